//! Square attack, a black-box random search.

use super::{
    Attack, AttackBatch, AttackOutcome, Classifier, Error, ModelOracle, Norm, Observer, Progress, ThreatModel,
    initial_outcomes, stream, threat::rescale, unfooled,
};
use crate::random::{RngExt, Stream};

/// "Square Attack: a Query-efficient Black-box Adversarial Attack via Random Search" (Andriushchenko et al., 2020,
/// algorithms 1 to 3).
///
/// Proposes random squares of decreasing size and keeps those that lower the margin. Uses logits only. Norms: L-inf, L2,
/// L1. Images `[B, 3, H, W]` in [0,1].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Square {
    /// Norm and epsilon (pixels in [0,1]).
    pub threat: ThreatModel,
    /// Proposals after the starting point, one query each (AutoAttack: 5000).
    pub queries: usize,
    /// Number of restarts (usually 1).
    pub restarts: usize,
    /// Initial fraction of pixels per square, p_init (usually 0.8).
    pub share: f32,
    /// Seed of the proposals.
    pub seed: u64,
}

/// The share of the image that the square of proposal `i` covers, of the first one's: halved at these proposals, as
/// published for 10,000 of them; AutoAttack's 5,000 do not rescale them.
pub fn shrunk(i: usize) -> f64 {
    let halvings = [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000].iter().filter(|&&at| i > at).count();
    0.5f64.powi(halvings as i32)
}

/// State of one image.
struct Point<'a> {
    i: usize,
    x: &'a [f32],
    best: Vec<f32>,
    margin: f32,
    rng: Stream,
}

impl Attack for Square {
    async fn run(
        &self,
        query: &ModelOracle<'_, impl Classifier>,
        task: &AttackBatch,
        observer: &mut impl Observer,
    ) -> Result<Vec<AttackOutcome>, Error> {
        let (mut found, _) = initial_outcomes(query, task).await?;
        for restart in 0..self.restarts {
            let mut points: Vec<Point> = unfooled(&found)
                .into_iter()
                .map(|i| {
                    let (x, rng) = (task.image(i), stream(self.seed, task.image_ids[i], restart));
                    Point { i, x, best: x.to_vec(), margin: f32::INFINITY, rng }
                })
                .collect();
            for proposal in 0..=self.queries {
                if points.is_empty() {
                    break;
                }
                let candidates: Vec<f32> =
                    points.iter_mut().flat_map(|p| self.propose(p, query.shape, proposal)).collect();
                let logits = query.logits(&candidates).await?;
                for ((p, candidate), z) in points.iter_mut().zip(candidates.chunks(query.values())).zip(logits.rows()) {
                    let margin = task.goals[p.i].margin(z);
                    if margin < p.margin {
                        p.best.copy_from_slice(candidate);
                        p.margin = margin;
                        found[p.i].keep_if_worse(candidate, margin, || self.threat.distance(candidate, p.x));
                    }
                }
                points.retain(|p| !found[p.i].succeeded());
                let done = restart * (self.queries + 1) + proposal + 1;
                let total = self.restarts * (self.queries + 1);
                if observer.step(Progress { done, total, found: &found }).await.is_break() {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }
}

impl Square {
    /// Returns a proposal. Proposal 0 is the starting point: stripes for L-inf, a grid of bumps otherwise.
    fn propose(&self, p: &mut Point, shape: [usize; 3], proposal: usize) -> Vec<f32> {
        let [c, h, w] = shape;
        let area = f64::from(self.share) * if proposal == 0 { 1.0 } else { shrunk(proposal - 1) } * (h * w) as f64;
        let side = area.sqrt().round() as usize;
        match (self.threat.norm, proposal) {
            (Norm::Linf, 0) => {
                let stripes: Vec<f32> = (0..c * w).map(|_| self.threat.epsilon * either(&mut p.rng)).collect();
                let d: Vec<f32> = (0..c * h * w).map(|j| stripes[j / (h * w) * w + j % w]).collect();
                self.threat.perturb(p.x, &d)
            }
            (Norm::Linf, _) => {
                let window = Window::random(side.clamp(1, h.min(w)), shape, &mut p.rng);
                let mut x = p.best.clone();
                for channel in 0..c {
                    let d = 2.0 * self.threat.epsilon * either(&mut p.rng);
                    window.indices(channel).for_each(|j| x[j] += d);
                }
                self.threat.project(&mut x, p.x);
                x
            }
            (_, 0) => {
                let side = (h.min(w) / 5).max(1);
                // Where the five squares along `n` pixels begin, which leave as much free before as after them.
                let starts = |n: usize| {
                    let count = (n / side).min(5);
                    (0..count).map(move |i| (n - count * side) / 2 + i * side)
                };
                let mut d = vec![0.0; c * h * w];
                for (top, left) in starts(h).flat_map(|top| starts(w).map(move |left| (top, left))) {
                    let window = Window { top, left, side, shape };
                    let bump = turned(bump(self.threat.norm, side), &mut p.rng);
                    for channel in 0..c {
                        let sign = either(&mut p.rng);
                        window.indices(channel).zip(&bump).for_each(|(j, b)| d[j] += sign * b);
                    }
                }
                self.threat.perturb(p.x, &self.filling(&d))
            }
            _ => {
                let side = (side.max(3) | 1).min(h.min(w));
                let to = Window::random(side, shape, &mut p.rng);
                let from = Window::random(side, shape, &mut p.rng);
                let bump = turned(bump(self.threat.norm, side), &mut p.rng);
                let signs = (0..c).map(|_| either(&mut p.rng)).collect();
                self.shifted(p.x, &p.best, &Shift { to, from, bump, signs })
            }
        }
    }

    /// L2: scaled to fill the ball. L1: the projection alone bounds it.
    fn filling(&self, d: &[f32]) -> Vec<f32> {
        if self.threat.norm == Norm::L2 { rescale(d, Norm::L2, self.threat.epsilon) } else { d.to_vec() }
    }

    /// The proposal in L2 and L1 for image `x` when `best` is the best point so far: takes the size of the displacement
    /// in one window, and what the ball has left, and puts it as a bump, added to what is there, into another (algorithm 3
    /// of the paper).
    pub fn shifted(&self, x: &[f32], best: &[f32], Shift { to, from, bump, signs }: &Shift) -> Vec<f32> {
        let (norm, epsilon, channels) = (self.threat.norm, self.threat.epsilon, signs.len() as f32);
        let mut d: Vec<f32> = best.iter().zip(x).map(|(b, x)| b - x).collect();
        let whole = norm.norm(d.iter().copied());
        for (channel, sign) in signs.iter().enumerate() {
            let there = norm.norm(to.indices(channel).map(|j| d[j]));
            let elsewhere = from.indices(channel).filter(|&j| !to.contains(j));
            let both = norm.norm(to.indices(channel).chain(elsewhere).map(|j| d[j]));
            let new: Vec<f32> = to.indices(channel).zip(bump).map(|(j, b)| sign * b + d[j] / (1e-12 + there)).collect();
            let size = match norm {
                Norm::L2 => ((epsilon * epsilon - whole * whole).max(0.0) / channels + both * both).sqrt(),
                _ => (epsilon - whole).max(0.0) + both * channels,
            };
            from.indices(channel).for_each(|j| d[j] = 0.0);
            to.indices(channel).zip(rescale(&new, norm, size)).for_each(|(j, v)| d[j] = v);
        }
        self.threat.perturb(x, &self.filling(&d))
    }
}

/// What is random in a proposal in L2 and L1.
pub struct Shift {
    pub to: Window,
    pub from: Window,
    /// Of unit size, `[side, side]`.
    pub bump: Vec<f32>,
    /// Of the bump in each channel.
    pub signs: Vec<f32>,
}

/// A square of pixels.
pub struct Window {
    pub top: usize,
    pub left: usize,
    pub side: usize,
    /// Channels, height, width of the image that it is in.
    pub shape: [usize; 3],
}

impl Window {
    fn random(side: usize, shape: [usize; 3], rng: &mut Stream) -> Self {
        let [_, h, w] = shape;
        Self { top: rng.random_range(0..=h - side), left: rng.random_range(0..=w - side), side, shape }
    }

    /// Of its values in one channel, row by row.
    fn indices(&self, channel: usize) -> impl Iterator<Item = usize> + use<> {
        let ([_, h, w], top, left, side) = (self.shape, self.top, self.left, self.side);
        (0..side * side).map(move |k| (channel * h + top + k / side) * w + left + k % side)
    }

    fn contains(&self, index: usize) -> bool {
        let [_, h, w] = self.shape;
        let (row, column) = (index / w % h, index % w);
        (self.top..self.top + self.side).contains(&row) && (self.left..self.left + self.side).contains(&column)
    }
}

fn either(rng: &mut Stream) -> f32 {
    if rng.random::<bool>() { 1.0 } else { -1.0 }
}

/// Two peaks of opposite sign, one above the other, of unit size: `[side, side]`.
pub fn bump(norm: Norm, side: usize) -> Vec<f32> {
    let upper = peak(norm, side / 2, side);
    let lower = peak(norm, side - side / 2, side).into_iter().map(|v| -v);
    let both: Vec<f32> = upper.into_iter().chain(lower).collect();
    rescale(&both, norm, 1.0)
}

/// A bump as it is or, as often, with its peaks side by side.
fn turned(bump: Vec<f32>, rng: &mut Stream) -> Vec<f32> {
    let side = bump.len().isqrt();
    if rng.random::<bool>() { bump } else { (0..side * side).map(|k| bump[k % side * side + k / side]).collect() }
}

/// Rectangles around the middle, each a pixel larger, weighted by 1/k^2 (L2) or 1/k^4 (L1): `[rows, columns]`, unit size.
fn peak(norm: Norm, rows: usize, columns: usize) -> Vec<f32> {
    let power = if norm == Norm::L2 { 2 } else { 4 };
    let (middle, center) = (rows / 2, columns / 2);
    let mut values = vec![0.0; rows * columns];
    for k in 0..=middle.max(center) {
        let weight = 1.0 / ((k + 1) as f32).powi(power);
        for row in middle.saturating_sub(k)..(middle + k + 1).min(rows) {
            for column in center.saturating_sub(k)..(center + k + 1).min(columns) {
                values[row * columns + column] += weight;
            }
        }
    }
    rescale(&values, norm, 1.0)
}
