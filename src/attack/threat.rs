//! Threat models: norm balls around an image, intersected with [0,1].

use super::Norm;
use crate::random::{self, Stream};

/// A ball of radius epsilon, for pixels in [0,1].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThreatModel {
    /// Norm of the perturbation.
    pub norm: Norm,
    /// Radius, pixels in [0,1].
    pub epsilon: f32,
}

/// Share of the pixels that a step of steepest ascent in L1 moves (Tramer and Boneh, 2019, choose 1 % for larger images).
const SPARSE: f64 = 0.05;

impl Norm {
    /// Returns the norm of a perturbation.
    pub fn norm(self, d: impl Iterator<Item = f32>) -> f32 {
        match self {
            Self::Linf => d.fold(0.0, |m, v| m.max(v.abs())),
            Self::L2 => d.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt() as f32,
            Self::L1 => d.map(|v| f64::from(v.abs())).sum::<f64>() as f32,
        }
    }

    /// Returns the norm of the difference of two images, computed in float32.
    pub fn distance(self, a: &[f32], b: &[f32]) -> f32 {
        self.norm(a.iter().zip(b).map(|(a, b)| a - b))
    }
}

impl ThreatModel {
    /// Returns the distance of two images in the norm of the threat model.
    pub fn distance(&self, a: &[f32], b: &[f32]) -> f32 {
        self.norm.distance(a, b)
    }

    /// Moves `x_adv` to a point of the ball around `x` and of [0,1]; the nearest one, but for L2, where the ball's nearest
    /// point is clipped. Both hold exactly as float32 computes the difference.
    pub fn project(&self, x_adv: &mut [f32], x: &[f32]) {
        let epsilon = self.epsilon;
        match self.norm {
            Norm::Linf => {
                for (a, &x) in x_adv.iter_mut().zip(x) {
                    *a = a.clamp(x - epsilon, x + epsilon).clamp(0.0, 1.0);
                    // x + epsilon is rounded, perhaps outwards.
                    while (*a - x).abs() > epsilon {
                        *a = if *a > x { a.next_down() } else { a.next_up() };
                    }
                }
            }
            Norm::L2 => {
                let size = self.distance(x_adv, x);
                if size > epsilon {
                    self.shrink(x_adv, x, epsilon / size);
                }
                x_adv.iter_mut().for_each(|a| *a = a.clamp(0.0, 1.0));
                self.settle(x_adv, x);
            }
            Norm::L1 => {
                project_l1(x_adv, x, f64::from(epsilon));
                self.settle(x_adv, x);
            }
        }
    }

    /// Scales the perturbation.
    fn shrink(&self, x_adv: &mut [f32], x: &[f32], factor: f32) {
        x_adv.iter_mut().zip(x).for_each(|(a, &x)| *a = x + (*a - x) * factor);
    }

    /// Moves a point back into the ball that rounding put outside.
    fn settle(&self, x_adv: &mut [f32], x: &[f32]) {
        let mut slack = f32::EPSILON;
        while self.distance(x_adv, x) > self.epsilon {
            if slack > 0.01 {
                return x_adv.copy_from_slice(x); // The ball is smaller than the rounding of pixels.
            }
            let size = self.distance(x_adv, x);
            self.shrink(x_adv, x, self.epsilon / size * (1.0 - slack));
            slack *= 2.0;
        }
    }

    /// Returns the step of unit norm that increases the loss fastest; in L1 over the fraction [`SPARSE`] of values with the
    /// largest gradients.
    pub fn steepest_ascent(&self, gradient: &[f32]) -> Vec<f32> {
        match self.norm {
            Norm::Linf => gradient.iter().copied().map(sign).collect(),
            Norm::L2 => rescale(gradient, Norm::L2, 1.0),
            Norm::L1 => sparse_sign(gradient, (SPARSE * gradient.len() as f64).ceil() as usize),
        }
    }

    /// Returns a point drawn uniformly from the ball, clipped to [0,1].
    pub fn random(&self, x: &[f32], rng: &mut Stream) -> Vec<f32> {
        let d = match self.norm {
            Norm::Linf => random::uniform(rng, x.len(), -self.epsilon, self.epsilon),
            Norm::L2 => {
                let direction = random::normal(rng, x.len());
                let radius = random::uniform(rng, 1, 0.0, 1.0)[0].powf(1.0 / x.len() as f32);
                rescale(&direction, Norm::L2, self.epsilon * radius)
            }
            Norm::L1 => {
                // One more than there are pixels: its share is the way left to the surface.
                let sizes = random::exponential(rng, x.len() + 1);
                let unit = self.epsilon / Norm::L1.norm(sizes.iter().copied());
                let signs = random::uniform(rng, x.len(), -1.0, 1.0);
                sizes.iter().zip(signs).map(|(size, s)| unit * size * s.signum()).collect()
            }
        };
        self.perturb(x, &d)
    }

    /// A random point on the surface of the ball, as AutoAttack's attacks start: uniform numbers scaled to it for L-inf,
    /// normal ones for L2; L1: the projection of a normal draw.
    pub fn random_surface(&self, x: &[f32], rng: &mut Stream) -> Vec<f32> {
        let d = random_direction(self.norm, x.len(), rng);
        let d = if self.norm == Norm::L1 { d } else { rescale(&d, self.norm, self.epsilon) };
        self.perturb(x, &d)
    }

    /// Returns the projection of `x + d`.
    pub fn perturb(&self, x: &[f32], d: &[f32]) -> Vec<f32> {
        let mut x_adv: Vec<f32> = x.iter().zip(d).map(|(x, d)| x + d).collect();
        self.project(&mut x_adv, x);
        x_adv
    }
}

/// Draws `n` uniform numbers for L-inf, otherwise normal ones.
pub fn random_direction(norm: Norm, n: usize, rng: &mut Stream) -> Vec<f32> {
    if norm == Norm::Linf { random::uniform(rng, n, -1.0, 1.0) } else { random::normal(rng, n) }
}

/// Returns 1, 0 or -1. The sign of 0 is 0, unlike [`f32::signum`].
pub fn sign(v: f32) -> f32 {
    if v == 0.0 { 0.0 } else { v.signum() }
}

/// Scales `d` to norm `size`; 0 stays 0.
pub fn rescale(d: &[f32], norm: Norm, size: f32) -> Vec<f32> {
    match norm.norm(d.iter().copied()) {
        0.0 => d.to_vec(),
        now => d.iter().map(|v| v * (size / now)).collect(),
    }
}

/// The signs of the `k` largest entries (more if they tie), scaled to unit L1 size; the rest 0.
pub fn sparse_sign(gradient: &[f32], k: usize) -> Vec<f32> {
    let mut sizes: Vec<f32> = gradient.iter().map(|v| v.abs()).collect();
    let rank = sizes.len() - k.clamp(1, sizes.len());
    let threshold = *sizes.select_nth_unstable_by(rank, f32::total_cmp).1;
    let signs: Vec<f32> = gradient.iter().map(|&v| if v.abs() >= threshold { sign(v) } else { 0.0 }).collect();
    rescale(&signs, Norm::L1, 1.0)
}

/// The Euclidean projection onto the L1 ball of radius epsilon around `x`, cut with [0,1] (Croce and Hein, 2021):
/// |d_i| <- clamp(|d_i| - lambda, 0, way to the wall), with the lambda >= 0 that makes the sizes sum to epsilon.
fn project_l1(x_adv: &mut [f32], x: &[f32], epsilon: f64) {
    let wall = |x: f32, d: f32| f64::from(if d > 0.0 { 1.0 - x } else { x });
    let d: Vec<f32> = x_adv.iter().zip(x).map(|(a, x)| a - x).collect();
    let kept = |d: f32, x: f32, lambda: f64| (f64::from(d.abs()) - lambda).clamp(0.0, wall(x, d).max(0.0));
    let sum = |lambda: f64| d.iter().zip(x).map(|(&d, &x)| kept(d, x, lambda)).sum::<f64>();
    let mut lambda = 0.0;
    if sum(0.0) > epsilon {
        let (mut low, mut high) = (0.0, f64::from(Norm::Linf.norm(d.iter().copied())));
        while high - low > 1e-12 {
            lambda = (low + high) / 2.0;
            if sum(lambda) > epsilon { low = lambda } else { high = lambda }
        }
        lambda = high;
    }
    for ((a, &x), d) in x_adv.iter_mut().zip(x).zip(d) {
        *a = (f64::from(x) + f64::from(sign(d)) * kept(d, x, lambda)).clamp(0.0, 1.0) as f32;
    }
}
