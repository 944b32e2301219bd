//! Steps back through the attack.

use crate::app::{
    domain::{action::REWIND_STOPS, effect::Effect},
    state::State,
};

impl State {
    /// Displays the step at a stop of the slider. The last stop is the result.
    pub(crate) fn rewind(&mut self, stop: usize) -> Vec<Effect> {
        if !self.can_rewind() {
            return Vec::new();
        }
        self.attack.rewound = (stop < REWIND_STOPS).then_some(stop);
        self.schedule_next()
    }
}
