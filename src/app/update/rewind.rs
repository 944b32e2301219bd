//! Steps back through the attack.

use crate::app::{
    domain::effect::Effect,
    state::{State, attack::STOPS},
};

impl State {
    pub(crate) fn rewind(&mut self, stop: usize) -> Vec<Effect> {
        if !self.can_rewind() {
            return Vec::new();
        }
        self.attack.rewound = (stop < STOPS).then_some(stop);
        self.schedule_next()
    }
}
