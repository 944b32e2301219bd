//! From the real numbers that an attack finds to the bytes that a file holds, inside the ball and still fooling: rounding
//! moves each pixel by up to half a 255th, which can undo an attack that only just succeeded.

use super::{Classifier, Error, Goal, ModelOracle, Norm, ThreatModel, stream};
use crate::{data::to_unit_range, random::RngExt};

/// Random ways of rounding that are tried if the two plain ones fail.
const DRAWS: usize = 14;

/// Slack of the ball in 255ths: epsilon is written in them, but held in float32.
const SLACK: f64 = 1e-3;

/// An image in bytes, and what a model makes of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rounded {
    /// `[3, H, W]`, 0..=255.
    pub pixels: Vec<u8>,
    pub logits: Vec<f32>,
    /// The goal's margin there.
    pub margin: f32,
}

impl Rounded {
    /// Whether the goal is reached. A tie is not enough: another machine's arithmetic may break it the other way.
    pub fn fools(&self) -> bool {
        self.margin < 0.0
    }
}

/// Rounds the image `x_adv` `[3, H, W]` in [0,1], which an attack has found inside the ball around `original` (bytes).
/// Each pixel goes to one of the two bytes next to it, or stays nearer to the original; all in 255ths, the ball is kept
/// exactly. Where rounding to the nearest does not fool, away from the original and seeded draws are tried as well, and
/// the one with the lowest margin is taken.
///
/// # Errors
/// Those of [`ModelOracle::logits`].
pub async fn round(
    query: &ModelOracle<'_, impl Classifier>,
    goal: Goal,
    original: &[u8],
    x_adv: &[f32],
    threat: &ThreatModel,
    seed: u64,
) -> Result<Rounded, Error> {
    let nearest = bytes(original, x_adv, threat, |rest| rest >= 0.5);
    let best = judge(query, goal, vec![nearest]).await?;
    let mut rng = stream(seed, 0, 0);
    let away = bytes(original, x_adv, threat, |rest| rest > SLACK);
    let draws = |_| bytes(original, x_adv, threat, |rest| rng.random::<f64>() < rest);
    match best {
        Some(best) if best.fools() => Ok(best),
        best => {
            let others = judge(query, goal, std::iter::once(away).chain((0..DRAWS).map(draws)).collect()).await?;
            let lowest = best.into_iter().chain(others).min_by(|a, b| a.margin.total_cmp(&b.margin));
            lowest.ok_or_else(|| Error::Unsuited("there is no image".into()))
        }
    }
}

/// The candidate with the lowest margin, the first of equals.
async fn judge(
    query: &ModelOracle<'_, impl Classifier>,
    goal: Goal,
    candidates: Vec<Vec<u8>>,
) -> Result<Option<Rounded>, Error> {
    let logits = query.logits(&to_unit_range(&candidates.concat())).await?;
    let rounded = |(pixels, z): (Vec<u8>, &[f32])| Rounded { pixels, logits: z.to_vec(), margin: goal.margin(z) };
    Ok(candidates.into_iter().zip(logits.rows()).map(rounded).min_by(|a, b| a.margin.total_cmp(&b.margin)))
}

/// Cuts each change to whole 255ths towards the original; where `up` says so of what was cut off, in 255ths and at most
/// 1, one more 255th is added, the largest rests first, while the ball has room.
fn bytes(original: &[u8], x_adv: &[f32], threat: &ThreatModel, mut up: impl FnMut(f64) -> bool) -> Vec<u8> {
    let epsilon = f64::from(threat.epsilon) * 255.0 + SLACK;
    let wanted: Vec<f64> = x_adv.iter().zip(original).map(|(&a, &b)| f64::from(a) * 255.0 - f64::from(b)).collect();
    let mut change: Vec<f64> = wanted.iter().map(|d| d.trunc()).collect();
    if threat.norm == Norm::Linf {
        change.iter_mut().for_each(|d| *d = d.clamp(-epsilon.floor(), epsilon.floor()));
    }
    // What one more 255th adds to what the ball bounds, and the bound.
    let (added, room): (fn(f64) -> f64, f64) = match threat.norm {
        Norm::Linf => (|_| 0.0, 0.0),
        Norm::L2 => (|d| 2.0 * d.abs() + 1.0, epsilon * epsilon - change.iter().map(|d| d * d).sum::<f64>()),
        Norm::L1 => (|_| 1.0, epsilon - change.iter().map(|d| d.abs()).sum::<f64>()),
    };
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    let rest = |i: usize| wanted[i].fract().abs();
    order.sort_by(|&a, &b| rest(b).total_cmp(&rest(a)));
    let mut left = room;
    for i in order.into_iter().filter(|&i| up(rest(i))) {
        let more = change[i] + wanted[i].signum();
        let fits = threat.norm != Norm::Linf || more.abs() <= epsilon;
        let value = f64::from(original[i]) + more;
        if fits && added(change[i]) <= left && (0.0..=255.0).contains(&value) {
            left -= added(change[i]);
            change[i] = more;
        }
    }
    change.iter().zip(original).map(|(d, &b)| (f64::from(b) + d) as u8).collect()
}

/// A change of bytes as an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// 128 + factor * (after - before), modulo 256: with the image before, the one after can be had from it exactly.
    pub pixels: Vec<u8>,
    /// At least 1.
    pub factor: u8,
    /// Whether a change is so large that its sign is lost without the image before.
    pub wraps: bool,
}

impl Change {
    /// Its file's name, which says the scale.
    pub fn name(&self) -> String {
        if self.wraps { "change-mod256.png".into() } else { format!("change-x{}.png", self.factor) }
    }
}

/// How `after` differs from `before`, as strong as whole factors allow; gray 128 is unchanged.
pub fn change(before: &[u8], after: &[u8]) -> Change {
    let largest = before.iter().zip(after).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
    let factor = (127 / largest.max(1)).max(1);
    let pixel = |(before, after): (&u8, &u8)| factor.wrapping_mul(after.wrapping_sub(*before)).wrapping_add(128);
    Change { pixels: before.iter().zip(after).map(pixel).collect(), factor, wraps: largest > 127 }
}
