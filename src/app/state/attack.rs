//! The attack on the current image, the step of it that is displayed, and the image that was exported from it.

use crate::{
    app::{domain::action::REWIND_STOPS, state::State},
    attack::{AttackConfig, Norm},
    explore::probe::{AttackStep, Probe, ProbeResult},
    protocol::{AttackResult, Slot, Trace},
};

/// The phase of an attack.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum AttackPhase {
    /// Nothing to attack yet, or preempted.
    #[default]
    Idle,
    /// The settings have changed; the attack starts when the timer fires.
    Scheduled,
    /// The worker runs the attack.
    Running {
        /// Number of completed steps.
        done: usize,
        /// Number of all steps; 0 until it is known.
        total: usize,
    },
    /// The attack has ended.
    Done {
        /// Number of steps of all attacks of the suite.
        steps: usize,
        /// Duration.
        milliseconds: f64,
        /// Whether the user stopped it early.
        stopped: bool,
    },
}

impl AttackPhase {
    /// Whether the attack has ended and was not stopped early.
    pub fn is_complete(self) -> bool {
        matches!(self, Self::Done { stopped: false, .. })
    }
}

/// An attack on the current image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attack {
    /// The id of the last attack that was started.
    pub id: u64,
    /// The phase.
    pub phase: AttackPhase,
    /// The settings at the start.
    pub config: AttackConfig,
    /// The target class at the start; `None` for an untargeted attack.
    pub target: Option<usize>,
    /// The result so far.
    pub result: Option<AttackResult>,
    /// The slider stop whose step is displayed; `None` for the result.
    pub rewound: Option<usize>,
    /// The trace of each attack of the suite.
    pub traces: Vec<Trace>,
    /// Reasons not to trust the result.
    pub flags: Vec<String>,
    /// Class probabilities of the adversarial image under each other model, after the attack has ended.
    pub transfer: Vec<(Slot, Vec<f32>)>,
}

/// The image that was exported last. Its pixels are rounded to bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedImage {
    /// The file name.
    pub name: String,
    /// Class probabilities of the rounded image.
    pub probabilities: Vec<f32>,
    /// Whether the rounded image fools the model.
    pub fools: bool,
}

/// The adversarial image that is displayed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DisplayedImage<'a> {
    /// `[3, 32, 32]` in [0,1].
    pub pixels: &'a [f32],
    /// Class probabilities.
    pub probabilities: &'a [f32],
}

impl State {
    /// Whether the user can step back through the attack.
    pub fn can_rewind(&self) -> bool {
        self.attack.phase.is_complete() && self.attack.result.is_some()
    }

    /// The recorded steps of the current attack, or the reason why there are none; `None` until the worker answers.
    pub(crate) fn attack_steps(&self) -> Option<Result<&[AttackStep], &str>> {
        let cached = self.cached_answer(self.slot()?, &Probe::AttackSteps)?;
        if cached.attack != self.attack.id {
            return None;
        }
        Some(match &cached.answer {
            Ok(ProbeResult::AttackSteps(steps)) => Ok(steps),
            Ok(_) => Err(""),
            Err(reason) => Err(reason),
        })
    }

    /// The step that is displayed; `None` for the result of the attack.
    pub fn displayed_step(&self) -> Option<&AttackStep> {
        let stop = self.attack.rewound?;
        let steps = self.attack_steps()?.ok()?;
        steps.get(stop * steps.len().saturating_sub(1) / REWIND_STOPS)
    }

    /// The adversarial image that is displayed.
    pub fn displayed_image(&self) -> Option<DisplayedImage<'_>> {
        let result = self.attack.result.as_ref()?;
        Some(match self.displayed_step() {
            Some(step) => DisplayedImage { pixels: &step.x, probabilities: &step.probabilities },
            None => DisplayedImage { pixels: &result.pixels, probabilities: &result.probabilities },
        })
    }

    /// The L-infinity, L2 and L1 norms of the displayed perturbation, for pixels in [0,1].
    pub fn perturbation_norms(&self) -> Option<[f32; 3]> {
        let displayed = self.displayed_image()?;
        let original = self.image.as_ref()?.to_unit_range();
        if displayed.pixels.len() != original.len() {
            return None;
        }
        Some([Norm::Linf, Norm::L2, Norm::L1].map(|norm| norm.distance(displayed.pixels, &original)))
    }
}
