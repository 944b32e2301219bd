//! What a program says while it runs.

use std::fmt::Display;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The terminal, or whatever reads in its place; silent if that was asked for.
#[derive(Clone, Copy, Default)]
pub struct Console {
    pub quiet: bool,
}

impl Console {
    pub fn say(self, text: impl Display) {
        if !self.quiet {
            println!("{text}");
        }
    }

    /// A bar over `length`, laid out as indicatif's `template` says.
    pub fn bar(self, length: u64, template: &str) -> anyhow::Result<ProgressBar> {
        let target = if self.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        Ok(ProgressBar::with_draw_target(Some(length), target).with_style(ProgressStyle::with_template(template)?))
    }
}
