//! Progress of an evaluation in the terminal or in a log file, and the time of the next save.

use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

/// Positions of the progress bar for each image.
const POSITIONS_PER_IMAGE: f64 = 100.0;
/// Time between two lines in a log file.
const LOG_INTERVAL: Duration = Duration::from_secs(30);

/// A progress bar that counts images. Without a terminal it prints a line every 30 seconds.
pub struct Progress {
    bar: ProgressBar,
    images: usize,
    logged: Instant,
    saved: Instant,
    save_every: Duration,
}

impl Progress {
    /// Creates a progress bar. Saves are due every `save_every` seconds.
    ///
    /// # Errors
    /// Never: the template of the bar is valid.
    pub fn new(save_every: u64) -> anyhow::Result<Self> {
        let style = ProgressStyle::with_template("{prefix:>9} {bar:24} {percent:>3} %, {eta} left  {msg}")?;
        let bar = ProgressBar::new(1).with_style(style);
        let now = Instant::now();
        Ok(Self { bar, images: 0, logged: now, saved: now, save_every: Duration::from_secs(save_every) })
    }

    /// Starts a new task, of which `done` of `images` images are done.
    pub fn start(&mut self, name: String, done: f64, images: usize) {
        self.images = images;
        self.bar.set_prefix(name);
        self.bar.set_length((images as f64 * POSITIONS_PER_IMAGE) as u64);
        self.bar.set_position((done * POSITIONS_PER_IMAGE) as u64);
        self.bar.reset_eta();
    }

    /// Shows that `done` images are done.
    pub fn show(&mut self, done: f64, message: String) {
        self.bar.set_position((done * POSITIONS_PER_IMAGE) as u64);
        if self.bar.is_hidden() && self.logged.elapsed() >= LOG_INTERVAL {
            let left = HumanDuration(self.bar.eta());
            println!("{}: {done:.0} of {} images, {left} left; {message}", self.bar.prefix(), self.images);
            self.logged = Instant::now();
        }
        self.bar.set_message(message);
    }

    /// Returns whether a save is due, and starts the next interval if so.
    pub fn save_due(&mut self) -> bool {
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
