//! The attack on the current image, the step of it that is displayed, and the image that was saved from it.

use crate::{
    app::state::State,
    attack::{AttackConfig, Norm},
    explore::probe::{AttackStep, Probe, ProbeResult},
    protocol::{AttackResult, Slot, Trace},
};

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum AttackPhase {
    #[default]
    Idle,
    /// Settings have changed; the attack starts in a moment.
    Scheduled,
    Running {
        done: usize,
        total: usize,
    },
    Done {
        steps: usize,
        milliseconds: f64,
        stopped: bool,
    },
}

/// The attack on the image in view.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attack {
    /// The number of the last one asked for.
    pub id: u64,
    pub phase: AttackPhase,
    /// Its settings and target when it began.
    pub config: AttackConfig,
    pub target: Option<usize>,
    pub result: Option<AttackResult>,
    /// Which stop of its way is in view; none: its outcome.
    pub rewound: Option<usize>,
    /// The way of each of its attacks.
    pub traces: Vec<Trace>,
    /// Why not to trust it.
    pub flags: Vec<String>,
    /// What the other models make of the adversarial image, as probabilities; once the attack is over.
    pub transfer: Vec<(Slot, Vec<f32>)>,
}

/// The file that was made of the attack last, and what the model sees in it.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedImage {
    pub name: String,
    pub probabilities: Vec<f32>,
    pub fools: bool,
}

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

    /// What is known of the way of the attack in view, or why nothing is.
    pub(crate) fn attack_steps(&self) -> Option<Result<&[AttackStep], &str>> {
        let known =
            self.cached_answer(self.slot()?, &Probe::AttackSteps).filter(|known| known.attack == self.attack.id)?;
        Some(match &known.answer {
            Ok(ProbeResult::AttackSteps(moments)) => Ok(moments),
            Ok(_) => Err(""),
            Err(why) => Err(why),
        })
    }

    /// The moment in view, if it is not the outcome.
    pub fn displayed_step(&self) -> Option<&AttackStep> {
        let (stop, moments) = (self.attack.rewound?, self.attack_steps()?.ok()?);
        moments.get(stop * moments.len().saturating_sub(1) / STOPS)
    }

    /// The adversarial image in view.
    pub fn displayed_image(&self) -> Option<DisplayedImage<'_>> {
        let result = self.attack.result.as_ref()?;
        Some(match self.displayed_step() {
            Some(moment) => DisplayedImage { pixels: &moment.x, probabilities: &moment.probabilities },
            None => DisplayedImage { pixels: &result.pixels, probabilities: &result.probabilities },
        })
    }

    /// How far the image in view has moved, in L-infinity, L2 and L1, pixels in [0,1].
    pub fn perturbation_norms(&self) -> Option<[f32; 3]> {
        let (shown, image) = (self.displayed_image()?, self.image.as_ref()?.to_unit_range());
        let same = shown.pixels.len() == image.len();
        same.then(|| [Norm::Linf, Norm::L2, Norm::L1].map(|norm| norm.distance(shown.pixels, &image)))
    }
}
