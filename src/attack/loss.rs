//! What attacks want of a prediction, and the losses that they climb to get it. All are functions of one picture's logits.

/// What an attack wants of the prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Anything but this label.
    Avoid(usize),
    /// This class.
    Reach(usize),
}

impl Goal {
    /// How far the attack is from its goal; at or below 0 it has reached it (a tie counts as an error of the model).
    /// To avoid y: z_y - max_{j != y} z_j.
    pub fn margin(self, z: &[f32]) -> f32 {
        match self {
            Self::Avoid(y) => z[y] - z[rival(z, y)],
            Self::Reach(t) => z[rival(z, t)] - z[t],
        }
    }
}

/// The class of the largest logit other than `y`.
pub fn rival(z: &[f32], y: usize) -> usize {
    let others = (0..z.len()).filter(|&j| j != y);
    others.reduce(|best, j| if z[j] > z[best] { j } else { best }).unwrap_or(y)
}

/// The classes from the likeliest to the least likely.
pub fn ranking(z: &[f32]) -> Vec<usize> {
    let mut classes: Vec<usize> = (0..z.len()).collect();
    classes.sort_by(|&a, &b| z[b].total_cmp(&z[a]));
    classes
}

/// What a gradient attack climbs; each grows towards the goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// -log p_y, or log p_t towards a target.
    CrossEntropy,
    /// Minus the margin (Carlini and Wagner, 2017).
    Margin,
    /// Minus the margin over z_1 - z_3, the first and third largest logits: blind to the logits' scale (Croce and Hein,
    /// 2020, eq. 6). Towards a class t it is [`Loss::DlrTowards`] from the likeliest other class.
    Dlr,
    /// Towards class t: (z_t - z_y) / (z_1 - (z_3 + z_4) / 2) (Croce and Hein, 2020, eq. 7).
    DlrTowards(usize),
}

/// Keeps the denominators of [`Loss::Dlr`] off 0.
const TINY: f64 = 1e-12;

impl Loss {
    /// How many classes it needs to be defined.
    pub fn needs_classes(self, goal: Goal) -> usize {
        match (self, goal) {
            (Self::CrossEntropy | Self::Margin, _) => 2,
            (Self::Dlr, Goal::Avoid(_)) => 3,
            (Self::Dlr, Goal::Reach(_)) | (Self::DlrTowards(_), _) => 4,
        }
    }

    /// Its value at logits `z`; its derivative is added to `dz`.
    ///
    /// The arithmetic is float64, and 1 - p_y is never computed as a difference: of a sure model the cross-entropy in
    /// float32 has no gradient beyond a margin of 17 or so, which makes attacks look weak and models strong; here it has up to 88.
    pub fn ascend(self, goal: Goal, z: &[f32], dz: &mut [f32]) -> f64 {
        let (own, sign) = match goal {
            Goal::Avoid(y) => (y, 1.0),
            Goal::Reach(t) => (t, -1.0),
        };
        let z64 = |j: usize| f64::from(z[j]);
        match self {
            Self::CrossEntropy => {
                // -log p_own = log(1 + sum_{j != own} exp(z_j - z_own)), with the largest exponent taken out.
                let top = (0..z.len()).map(z64).fold(f64::MIN, f64::max);
                let others: f64 = (0..z.len()).filter(|&j| j != own).map(|j| (z64(j) - top).exp()).sum();
                let total = others + (z64(own) - top).exp();
                for (j, dz) in dz.iter_mut().enumerate() {
                    let p = if j == own { -others } else { (z64(j) - top).exp() } / total;
                    *dz += (sign * p) as f32;
                }
                let value = if z64(own) == top { others.ln_1p() } else { total.ln() + top - z64(own) };
                sign * value
            }
            Self::Margin => {
                let other = rival(z, own);
                dz[own] -= sign as f32;
                dz[other] += sign as f32;
                sign * (z64(other) - z64(own))
            }
            Self::Dlr => match goal {
                Goal::Avoid(y) => {
                    let order = ranking(z);
                    ratio(z, dz, [rival(z, y), y], &[(order[0], 1.0), (order[2], -1.0)])
                }
                Goal::Reach(t) => towards(z, dz, [t, rival(z, t)]),
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
