//! How far a program is, in the terminal or in a log, and when it is time to save.

use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

/// Steps of the bar for each image.
const FINE: f64 = 100.0;
/// Between two lines in a log.
const SILENCE: Duration = Duration::from_secs(30);

/// A bar that counts images; where there is no terminal, a line now and then for whoever reads the log.
pub struct Progress {
    bar: ProgressBar,
    of: usize,
    said: Instant,
    saved: Instant,
    save_every: Duration,
}

impl Progress {
    /// Saves are `save_every` seconds apart.
    pub fn new(save_every: u64) -> anyhow::Result<Self> {
        let style = ProgressStyle::with_template("{prefix:>9} {bar:24} {percent:>3} %, {eta} left  {msg}")?;
        let bar = ProgressBar::new(1).with_style(style);
        let (said, saved) = (Instant::now(), Instant::now());
        Ok(Self { bar, of: 0, said, saved, save_every: Duration::from_secs(save_every) })
    }

    /// Something new has begun, of which `done` images of `of` are done.
    pub fn begin(&mut self, name: String, done: f64, of: usize) {
        self.of = of;
        self.bar.set_prefix(name);
        self.bar.set_length((of as f64 * FINE) as u64);
        self.bar.set_position((done * FINE) as u64);
        self.bar.reset_eta();
    }

    pub fn show(&mut self, done: f64, message: String) {
        self.bar.set_position((done * FINE) as u64);
        if self.bar.is_hidden() && self.said.elapsed() >= SILENCE {
            let left = HumanDuration(self.bar.eta());
            println!("{}: {done:.0} of {} images, {left} left; {message}", self.bar.prefix(), self.of);
            self.said = Instant::now();
        }
        self.bar.set_message(message);
    }

    /// Whether it is time to save.
    pub fn due(&mut self) -> bool {
        let due = self.saved.elapsed() >= self.save_every;
        if due {
            self.saved = Instant::now();
        }
        due
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
