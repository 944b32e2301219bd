//! Goals of attacks and the losses that they maximize, as functions of the logits of one image.

use crate::prediction::{ranking, rival};

/// Goal of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Any class except this label.
    Untargeted(usize),
    /// This class.
    Targeted(usize),
}

impl Goal {
    /// Returns the logit margin, z_y - max_{j != y} z_j for an untargeted attack. The attack has succeeded if it is at most 0:
    /// a tie counts as an error of the model. `z` are logits `[C]`.
    pub fn margin(self, z: &[f32]) -> f32 {
        match self {
            Self::Untargeted(y) => z[y] - z[rival(z, y)],
            Self::Targeted(t) => z[rival(z, t)] - z[t],
        }
    }
}

/// Loss that a gradient attack maximizes; it increases towards the goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// -log p_y, or log p_t towards a target.
    CrossEntropy,
    /// log((1 - p_y) / p_y), of which the cross-entropy is an increasing function, log(1 + e^.): the same order of
    /// points and the same direction at each, but it is as steep however sure the model is. See [`Loss::unsaturated`].
    LogOdds,
    /// Minus the margin (Carlini and Wagner, 2017).
    Margin,
    /// Minus the margin over z_1 - z_3, the first and third largest logits: independent of the scale of the logits (Croce and Hein,
    /// 2020, eq. 6). Towards a class t it is [`Loss::DlrTowards`] from the likeliest other class.
    Dlr,
    /// Towards class t: (z_t - z_y) / (z_1 - (z_3 + z_4) / 2) (Croce and Hein, 2020, eq. 7).
    DlrTowards(usize),
}

/// Added to the denominators of [`Loss::Dlr`] to avoid division by 0.
const TINY: f64 = 1e-12;

impl Loss {
    /// Returns the number of classes that the loss needs.
    pub fn needs_classes(self, goal: Goal) -> usize {
        match (self, goal) {
            (Self::CrossEntropy | Self::LogOdds | Self::Margin, _) => 2,
            (Self::Dlr, Goal::Untargeted(_)) => 3,
            (Self::Dlr, Goal::Targeted(_)) | (Self::DlrTowards(_), _) => 4,
        }
    }

    /// What attacks climb in its place that only compare its values and only follow the direction of its gradient.
    ///
    /// Of a sure model the cross-entropy has no gradient: computed in float32 none beyond a margin of 17 or so, with
    /// exact probabilities none beyond 88, where 1 - p_y itself is no float32. That makes attacks look weak and models strong.
    pub fn unsaturated(self) -> Self {
        if self == Self::CrossEntropy { Self::LogOdds } else { self }
    }

    /// Returns the loss at logits `z` `[C]` and adds its gradient to `dz` `[C]`. Computes in float64.
    ///
    /// # Panics
    /// If there are fewer classes than [`Loss::needs_classes`] returns.
    pub fn value_and_grad(self, goal: Goal, z: &[f32], dz: &mut [f32]) -> f64 {
        let (own, sign) = match goal {
            Goal::Untargeted(y) => (y, 1.0),
            Goal::Targeted(t) => (t, -1.0),
        };
        let z64 = |j: usize| f64::from(z[j]);
        match self {
            Self::CrossEntropy => {
                // -log p_own = log(1 + e^s) of the log-odds s, whose slope is 1 - p_own, here without a difference.
                let mut slope = vec![0.0; z.len()];
                let s = sign * Self::LogOdds.value_and_grad(goal, z, &mut slope);
                let doubt = 1.0 / (1.0 + (-s).exp());
                dz.iter_mut().zip(slope).for_each(|(dz, slope)| *dz += (doubt * f64::from(slope)) as f32);
                sign * (s.max(0.0) + (-s.abs()).exp().ln_1p())
            }
            Self::LogOdds => {
                // log sum_{j != own} exp(z_j - z_own), with the largest exponent taken out.
                let top = z64(rival(z, own));
                let weight = |j: usize| if j == own { 0.0 } else { (z64(j) - top).exp() };
                let others: f64 = (0..z.len()).map(weight).sum();
                for (j, dz) in dz.iter_mut().enumerate() {
                    let slope = if j == own { -1.0 } else { weight(j) / others };
                    *dz += (sign * slope) as f32;
                }
                sign * (top + others.ln() - z64(own))
            }
            Self::Margin => {
                let other = rival(z, own);
                dz[own] -= sign as f32;
                dz[other] += sign as f32;
                sign * (z64(other) - z64(own))
            }
            Self::Dlr => match goal {
                Goal::Untargeted(y) => {
                    let order = ranking(z);
                    ratio(z, dz, [rival(z, y), y], &[(order[0], 1.0), (order[2], -1.0)])
                }
                Goal::Targeted(t) => towards(z, dz, [t, rival(z, t)]),
            },
            Self::DlrTowards(t) => towards(z, dz, [t, own]),
        }
    }
}

/// (z_a - z_b) / (z_1 - (z_3 + z_4) / 2).
fn towards(z: &[f32], dz: &mut [f32], pair: [usize; 2]) -> f64 {
    let order = ranking(z);
    ratio(z, dz, pair, &[(order[0], 1.0), (order[2], -0.5), (order[3], -0.5)])
}

/// (z_a - z_b) / (sum of weight z_j) and its derivative.
fn ratio(z: &[f32], dz: &mut [f32], [a, b]: [usize; 2], below: &[(usize, f64)]) -> f64 {
    let above = f64::from(z[a]) - f64::from(z[b]);
    let below_value = below.iter().map(|&(j, weight)| weight * f64::from(z[j])).sum::<f64>() + TINY;
    dz[a] += (1.0 / below_value) as f32;
    dz[b] -= (1.0 / below_value) as f32;
    for &(j, weight) in below {
        dz[j] -= (weight * above / (below_value * below_value)) as f32;
    }
    above / below_value
}
