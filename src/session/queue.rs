//! The queue of commands, which decides when a new command stops the running job.

use std::collections::VecDeque;

use super::{CurrentJob, Files};
use crate::protocol::Command;

/// A queue of commands, each with its attached files.
#[derive(Default)]
pub struct Queue {
    waiting: VecDeque<(Command, Option<Files>)>,
    /// Number of the running training command.
    training: Option<u64>,
    current_job: CurrentJob,
}

impl Queue {
    /// Creates a queue that stops jobs by changing `current_job`.
    pub fn new(current_job: CurrentJob) -> Self {
        Self { current_job, ..Self::default() }
    }

    /// Appends a command. Unless it is deferred, it stops the running job.
    pub fn push(&mut self, command: Command, files: Option<Files>) {
        if !command.is_deferred() {
            self.current_job.set(command.job_id().unwrap_or(0));
        }
        self.waiting.push_back((command, files));
        self.interrupt_training();
    }

    /// Removes and returns the next command.
    pub fn pop(&mut self) -> Option<(Command, Option<Files>)> {
        let next = self.waiting.pop_front();
        self.training = match &next {
            Some((Command::Train { id, .. }, _)) => Some(*id),
            _ => None,
        };
        self.interrupt_training();
        next
    }

    /// Stops training if any command waits, deferred or not.
    fn interrupt_training(&self) {
        if !self.waiting.is_empty() && self.training == Some(self.current_job.get()) {
            self.current_job.set(0);
        }
    }
}
