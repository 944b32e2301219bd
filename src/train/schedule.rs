//! The learning rate over a run.

use super::{Schedule, TrainConfig};

/// The factor on the peak rate at `step` of `steps`, in [0, 1].
pub fn factor(config: &TrainConfig, step: u64, steps: u64) -> f32 {
    /// Share of a one-cycle run in which the rate rises.
    const WARM_UP: f32 = 0.3;
    let t = step as f32 / steps.max(1) as f32;
    let half_cosine = |t: f32| 0.5 * (1.0 + (std::f32::consts::PI * t).cos());
    let rise = config.warm_up * steps as f32 / config.epochs.max(1) as f32;
    let risen = if rise > 0.0 { ((step + 1) as f32 / rise).min(1.0) } else { 1.0 };
    risen
        * match config.schedule {
            Schedule::Steps if t < 0.75 => 1.0,
            Schedule::Steps if t < 0.9 => 0.1,
            Schedule::Steps => 0.01,
            Schedule::Cosine => half_cosine(t),
            Schedule::OneCycle if t < WARM_UP => (step + 1) as f32 / (WARM_UP * steps as f32 + 1.0),
            Schedule::OneCycle => half_cosine((t - WARM_UP) / (1.0 - WARM_UP)),
        }
}
