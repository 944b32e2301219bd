//! Commands that wait for the session, and which of them end what it does now.

use std::collections::VecDeque;

use super::{CurrentJob, Files};
use crate::protocol::Command;

/// Commands in the order in which they came, with the files beside them.
#[derive(Default)]
pub struct Queue {
    waiting: VecDeque<(Command, Option<Files>)>,
    /// The number of the command to train that is carried out.
    training: Option<u64>,
    latest: CurrentJob,
}

impl Queue {
    pub fn new(latest: CurrentJob) -> Self {
        Self { latest, ..Self::default() }
    }

    /// A command has come. It ends what is computed, unless it is one that waits.
    pub fn push(&mut self, command: Command, files: Option<Files>) {
        if !command.waits() {
            self.latest.set(command.attack().unwrap_or(0));
        }
        self.waiting.push_back((command, files));
        self.give_way();
    }

    /// The command to carry out next.
    pub fn pop(&mut self) -> Option<(Command, Option<Files>)> {
        let next = self.waiting.pop_front();
        self.training = match &next {
            Some((Command::Train { id, .. }, _)) => Some(*id),
            _ => None,
        };
        self.give_way();
        next
    }

    /// Training ends for whatever waits.
    fn give_way(&self) {
        if !self.waiting.is_empty() && self.training == Some(self.latest.get()) {
            self.latest.set(0);
        }
    }
}
