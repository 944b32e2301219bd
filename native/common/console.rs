//! Messages and progress bars in the terminal.

use std::fmt::Display;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The terminal. Prints nothing if `quiet` is set.
#[derive(Clone, Copy, Default)]
pub struct Console {
    /// Whether messages and progress bars are suppressed.
    pub quiet: bool,
}

impl Console {
    /// Prints a line.
    pub fn print(self, text: impl Display) {
        if !self.quiet {
            println!("{text}");
        }
    }

    /// Returns a progress bar of `length` steps with a template of indicatif.
    ///
    /// # Errors
    /// If the template is invalid.
    pub fn progress_bar(self, length: u64, template: &str) -> anyhow::Result<ProgressBar> {
        let target = if self.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        Ok(ProgressBar::with_draw_target(Some(length), target).with_style(ProgressStyle::with_template(template)?))
    }
}
