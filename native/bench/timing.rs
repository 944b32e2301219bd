//! Repeats work and summarizes its times.

use std::{io, time::Instant};

/// Milliseconds of each repetition, sorted.
pub struct Times(Vec<f64>);

impl Times {
    fn new(mut milliseconds: Vec<f64>) -> Self {
        milliseconds.sort_by(f64::total_cmp);
        Self(milliseconds)
    }

    /// Returns whether there are no repetitions, which is possible with `--on-stdin`.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the quantile `q` in [0,1].
    pub fn quantile(&self, q: f64) -> f64 {
        let at = q * (self.0.len() - 1) as f64;
        let [low, high] = [at.floor(), at.ceil()].map(|i| self.0[i as usize]);
        low + (high - low) * at.fract()
    }

    /// Returns the interquartile range divided by the median.
    pub fn spread(&self) -> f64 {
        (self.quantile(0.75) - self.quantile(0.25)) / self.quantile(0.5)
    }
}

fn milliseconds(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let begin = Instant::now();
    work()?;
    Ok(1e3 * begin.elapsed().as_secs_f64())
}

/// Warms up, then repeats the work for the given time, at least 3 times. The time of `prepare` is not measured.
pub fn repeated<T>(
    seconds: f64,
    mut prepare: impl FnMut() -> T,
    mut work: impl FnMut(T) -> anyhow::Result<()>,
) -> anyhow::Result<Times> {
    work(prepare())?;
    let begin = Instant::now();
    let mut times = Vec::new();
    while times.len() < 3 || begin.elapsed().as_secs_f64() < seconds {
        let ready = prepare();
        times.push(milliseconds(|| work(ready))?);
    }
    Ok(Times::new(times))
}

/// Warms up, then runs the work once for each line on stdin and prints its milliseconds. A script can run two programs
/// alternately this way, so that both are measured under the same conditions.
pub fn on_stdin(mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Times> {
    work()?;
    println!("ready");
    let mut times = Vec::new();
    for line in io::stdin().lines() {
        line?;
        let ms = milliseconds(&mut work)?;
        println!("{ms}");
        times.push(ms);
    }
    Ok(Times::new(times))
}

/// Runs the work once, without warm-up.
pub fn once(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Times> {
    Ok(Times::new(vec![milliseconds(work)?]))
}
