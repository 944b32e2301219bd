//! Repeating work and what its times say.

use std::{io, time::Instant};

/// Milliseconds of each repetition, sorted.
pub struct Times(Vec<f64>);

impl Times {
    fn new(mut milliseconds: Vec<f64>) -> Self {
        milliseconds.sort_by(f64::total_cmp);
        Self(milliseconds)
    }

    /// Nobody asked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The value below which this share of the repetitions lies.
    pub fn quantile(&self, share: f64) -> f64 {
        let at = share * (self.0.len() - 1) as f64;
        let [low, high] = [at.floor(), at.ceil()].map(|i| self.0[i as usize]);
        low + (high - low) * at.fract()
    }

    /// How far the middle half is apart, as a share of the median.
    pub fn spread(&self) -> f64 {
        (self.quantile(0.75) - self.quantile(0.25)) / self.quantile(0.5)
    }
}

fn milliseconds(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let begin = Instant::now();
    work()?;
    Ok(1e3 * begin.elapsed().as_secs_f64())
}

/// Warms up, then repeats work for some seconds, at least 3 times, each time on what `prepare` makes, which is not measured.
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

/// Warms up, then does the work once for every line of the input and answers with its milliseconds: two programs that are
/// asked in turns meet the same machine.
pub fn asked(mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Times> {
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

pub fn once(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Times> {
    Ok(Times::new(vec![milliseconds(work)?]))
}
