//! Decision boundaries, linearised, and the way to them: what FAB and DeepFool are made of.

use super::{Classifier, Error, Goal, ModelOracle, Norm};

/// The boundary between two classes as the gradient at an image promises it: difference + normal . d = 0.
pub struct Boundary {
    /// Of the two classes' logits; the goal's side is positive.
    pub difference: f32,
    /// Its gradient, `[3, H, W]`.
    pub normal: Vec<f32>,
}

/// For each image the boundary that has to be crossed for its goal: of the nearest class, or of the one given.
///
/// Without given classes this takes a gradient for every class.
pub async fn nearest_boundary(
    query: &ModelOracle<'_, impl Classifier>,
    norm: Norm,
    x: &[f32],
    goals: &[Goal],
    targets: Option<&[usize]>,
) -> Result<Vec<Boundary>, Error> {
    let n = query.values();
    let mut nearest: Vec<Option<(f32, Boundary)>> = goals.iter().map(|_| None).collect();
    let mut class = 0;
    loop {
        // The logits whose difference is to grow: (to, from).
        let pair = |k: usize| match (goals[k], targets) {
            (Goal::Untargeted(y), Some(targets)) => Some((targets[k], y)),
            (Goal::Untargeted(y), None) => (class != y).then_some((class, y)),
            (Goal::Targeted(t), _) => (class != t).then_some((t, class)),
        };
        let cotangent = |k: usize, _: &[f32], dz: &mut [f32]| {
            if let Some((to, from)) = pair(k) {
                dz[to] = 1.0;
                dz[from] = -1.0;
            }
        };
        let (logits, gradients) = query.gradient(x, cotangent).await?;
        for (k, (z, normal)) in logits.rows().zip(gradients.chunks(n)).enumerate() {
            let Some((to, from)) = pair(k) else { continue };
            let difference = z[to] - z[from];
            // To avoid y, one boundary is enough: the nearest. To reach t, all must be crossed: the worst first.
            let rank = match goals[k] {
                Goal::Untargeted(_) => difference.abs() / (dual_size(norm, normal) + 1e-12),
                Goal::Targeted(_) => difference,
            };
            if nearest[k].as_ref().is_none_or(|(least, _)| rank < *least) {
                nearest[k] = Some((rank, Boundary { difference, normal: normal.to_vec() }));
            }
        }
        class += 1;
        if targets.is_some() || class >= logits.classes {
            break;
        }
    }
    let missing = || Error::Unsuited("a model of one class has no boundary to cross".into());
    nearest.into_iter().map(|b| Ok(b.ok_or_else(missing)?.1)).collect()
}

/// The size of a gradient in the dual norm: how much the loss changes along a unit step.
fn dual_size(norm: Norm, gradient: &[f32]) -> f32 {
    let dual = match norm {
        Norm::Linf => Norm::L1,
        Norm::L2 => Norm::L2,
        Norm::L1 => Norm::Linf,
    };
    dual.norm(gradient.iter().copied())
}

/// The smallest d with w . d = c and t + d in [0,1]; if there is none, the one that comes nearest (Croce and Hein, 2020b,
/// section 3.1).
///
/// Only moves with the sign of c w help. With room_i the way to the wall there, the solution is |d_i| = min(lambda, room_i)
/// for L-inf and min(lambda |w_i|, room_i) for L2, with the lambda at which sum |w_i d_i| = |c|; for L1 the steepest pixels
/// go to the wall one after the other.
pub fn project_onto_hyperplane(norm: Norm, t: &[f32], w: &[f32], c: f64) -> Vec<f32> {
    let towards = |w: f32| if (w > 0.0) == (c > 0.0) { 1.0f32 } else { -1.0 };
    let room = |i: usize| f64::from(if towards(w[i]) > 0.0 { 1.0 - t[i] } else { t[i] }.max(0.0));
    let weight = |i: usize| f64::from(w[i].abs());
    let sizes: Vec<f64> = match norm {
        Norm::Linf => {
            let lambda = solve(w.len(), c.abs(), weight, room, |_| 1.0);
            (0..w.len()).map(|i| lambda.min(room(i))).collect()
        }
        Norm::L2 => {
            let lambda = solve(w.len(), c.abs(), weight, room, weight);
            (0..w.len()).map(|i| (lambda * weight(i)).min(room(i))).collect()
        }
        Norm::L1 => {
            let mut order: Vec<usize> = (0..w.len()).filter(|&i| w[i] != 0.0).collect();
            order.sort_unstable_by(|&a, &b| weight(b).total_cmp(&weight(a)));
            let (mut sizes, mut left) = (vec![0.0; w.len()], c.abs());
            for i in order {
                sizes[i] = room(i).min(left / weight(i));
                left -= sizes[i] * weight(i);
                if left <= 0.0 {
                    break;
                }
            }
            sizes
        }
    };
    sizes.into_iter().zip(w).map(|(size, &w)| if w == 0.0 { 0.0 } else { towards(w) * size as f32 }).collect()
}

/// The smallest lambda with sum_i weight_i min(slope_i lambda, room_i) = c, or one at which all are at the wall if the sum
/// stays below c. The sum is concave and piecewise linear in lambda, so Newton's steps from 0 approach the solution from
/// below and hit it after finitely many.
fn solve(
    n: usize,
    c: f64,
    weight: impl Fn(usize) -> f64,
    room: impl Fn(usize) -> f64,
    slope: impl Fn(usize) -> f64,
) -> f64 {
    let mut lambda = 0.0f64;
    loop {
        let (mut sum, mut rise) = (0.0, 0.0);
        for i in 0..n {
            let (weight, slope, room) = (weight(i), slope(i), room(i));
            if slope * lambda < room {
                sum += weight * slope * lambda;
                rise += weight * slope;
            } else {
                sum += weight * room;
            }
        }
        let next = lambda + (c - sum) / rise;
        // Nothing can go further, or rounding is all that is left.
        if rise == 0.0 || next <= lambda * (1.0 + 1e-12) {
            return lambda;
        }
        lambda = next;
    }
}
