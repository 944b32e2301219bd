//! The attack rewound: which moment of its way is in view. Part of the fold in `state`.

use super::{
    message::Effect,
    state::{AttackPhase, State},
};
use crate::{
    attack::Norm,
    explore::probe::{AttackStep, Probe, ProbeResult},
};

/// Stops of the control: its way in so many parts, with the outcome at the last.
pub const STOPS: usize = 20;

/// What stands as the adversarial image: pixels `[3, 32, 32]` in [0,1], and what the model sees there, as probabilities.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DisplayedImage<'a> {
    pub pixels: &'a [f32],
    pub probabilities: &'a [f32],
}

impl State {
    /// Whether there is an attack to rewind.
    pub fn can_rewind(&self) -> bool {
        matches!(self.attack.phase, AttackPhase::Done { stopped: false, .. }) && self.attack.result.is_some()
    }

    pub(super) fn rewind(&mut self, stop: usize) -> Vec<Effect> {
        if !self.can_rewind() {
            return Vec::new();
        }
        self.attack.rewound = (stop < STOPS).then_some(stop);
        self.schedule_next()
    }

    /// What is known of the way of the attack in view, or why nothing is.
    pub(super) fn moments(&self) -> Option<Result<&[AttackStep], &str>> {
        let known = self.known(self.slot()?, &Probe::AttackSteps).filter(|known| known.attack == self.attack.id)?;
        Some(match &known.answer {
            Ok(ProbeResult::AttackSteps(moments)) => Ok(moments),
            Ok(_) => Err(""),
            Err(why) => Err(why),
        })
    }

    /// The moment in view, if it is not the outcome.
    pub fn moment(&self) -> Option<&AttackStep> {
        let (stop, moments) = (self.attack.rewound?, self.moments()?.ok()?);
        moments.get(stop * moments.len().saturating_sub(1) / STOPS)
    }

    /// The adversarial image in view.
    pub fn shown(&self) -> Option<DisplayedImage<'_>> {
        let result = self.attack.result.as_ref()?;
        Some(match self.moment() {
            Some(moment) => DisplayedImage { pixels: &moment.x, probabilities: &moment.probabilities },
            None => DisplayedImage { pixels: &result.pixels, probabilities: &result.probabilities },
        })
    }

    /// How far the image in view has moved, in L-infinity, L2 and L1, pixels in [0,1].
    pub fn moved(&self) -> Option<[f32; 3]> {
        let (shown, image) = (self.shown()?, self.image.as_ref()?.to_unit_range());
        let same = shown.pixels.len() == image.len();
        same.then(|| [Norm::Linf, Norm::L2, Norm::L1].map(|norm| norm.distance(shown.pixels, &image)))
    }
}

/// Which moment is in view; nothing for the outcome.
pub fn words(state: &State) -> String {
    if state.attack.rewound.is_none() {
        return String::new();
    }
    let Some(AttackStep { attack, step, .. }) = state.moment() else {
        let why = state.moments().and_then(Result::err);
        return why.unwrap_or("not known yet").into();
    };
    let traces = &state.attack.traces;
    let steps = traces.iter().find(|trace| trace.attack == *attack).map_or(*step, |trace| trace.steps);
    match (step, traces.len()) {
        (0, _) => "before the attack".into(),
        (_, 1) => format!("at step {step} of {steps}"),
        _ => format!("{attack} {step} of {steps}"),
    }
}
