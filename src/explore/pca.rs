//! The plane in which a cloud of points is widest: principal component analysis.
//!
//! The leading eigenvectors of the covariance by subspace iteration with Rayleigh-Ritz steps: the covariance itself is
//! never built, so that wide networks cost no more than their points. Float64, from a fixed start: the same points give
//! the same plane on every machine.

use serde::{Deserialize, Serialize};

use crate::{
    attack::Error,
    random::{self, StreamId},
};

/// Vectors that are iterated: more than are wanted, so that the wanted ones converge fast.
const WIDTH: usize = 16;
const MOST_ITERATIONS: usize = 1000;
/// The residual ||C q - lambda q|| at which an axis is done, as a share of the variance.
const RESIDUAL: f64 = 1e-11;
/// Sweeps of Jacobi's rotations over a matrix of [`WIDTH`] rows; it converges quadratically, in half of them.
const SWEEPS: usize = 12;

/// A plane in a space of L dimensions, through the mean of the points that it was fitted to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrincipalPlane {
    /// `[L]`.
    pub mean: Vec<f32>,
    /// Orthonormal, `[L]` each, the widest first; of each the entry of largest magnitude is positive.
    pub axes: [Vec<f32>; 2],
    /// The share of the points' variance along each axis, in [0,1]; 0 if all points are equal.
    pub explained: [f32; 2],
}

impl PrincipalPlane {
    /// The plane of the two widest directions of points `[N, L]`, N at least 1, L = `l` at least 2.
    pub fn fit(points: &[f32], l: usize) -> Result<Self, Error> {
        if l < 2 || points.is_empty() || !points.len().is_multiple_of(l) {
            return Err(Error::Unsuited("a plane needs points of at least two dimensions".into()));
        }
        if !points.iter().all(|v| v.is_finite()) {
            return Err(Error::NotFinite);
        }
        let n = (points.len() / l) as f64;
        let mut mean = vec![0.0; l];
        points.chunks(l).flat_map(|p| p.iter().enumerate()).for_each(|(j, &v)| mean[j] += f64::from(v));
        mean.iter_mut().for_each(|m| *m /= n);
        let center = |p: &[f32]| -> Vec<f64> { p.iter().zip(&mean).map(|(&v, m)| f64::from(v) - m).collect() };
        let centered: Vec<Vec<f64>> = points.chunks(l).map(center).collect();
        let variance = centered.iter().map(|p| dot(p, p)).sum::<f64>() / n;
        // C q = mean of (p . q) p.
        let covariance = |q: &Vec<f64>| {
            let mut y = vec![0.0; l];
            centered.iter().for_each(|p| add(&mut y, dot(p, q) / n, p));
            y
        };
        let [first, second] = leading(covariance, l, variance);
        let share = |value: f64| if variance > 0.0 { (value / variance) as f32 } else { 0.0 };
        let explained = [share(first.0), share(second.0)];
        let narrow = |v: Vec<f64>| v.into_iter().map(|v| v as f32).collect();
        Ok(Self { axes: [first.1, second.1].map(|axis| narrow(upright(axis))), mean: narrow(mean), explained })
    }

    /// Points `[N, L]` -> their coordinates in the plane.
    pub fn project(&self, points: &[f32]) -> Vec<[f32; 2]> {
        let along = |p: &[f32], axis: &[f32]| {
            let terms = p.iter().zip(&self.mean).zip(axis);
            terms.map(|((&v, &m), &a)| (f64::from(v) - f64::from(m)) * f64::from(a)).sum::<f64>() as f32
        };
        points.chunks(self.mean.len()).map(|p| [along(p, &self.axes[0]), along(p, &self.axes[1])]).collect()
    }

    /// The point of the space `[L]` that lies at these coordinates.
    pub fn unproject(&self, [u, v]: [f32; 2]) -> Vec<f32> {
        let axes = self.axes[0].iter().zip(&self.axes[1]);
        self.mean.iter().zip(axes).map(|(m, (a, b))| m + u * a + v * b).collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// y <- y + factor x.
fn add(y: &mut [f64], factor: f64, x: &[f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += factor * x);
}

/// The two largest eigenvalues of a symmetric map of R^l, and their unit eigenvectors. `trace` is the sum of all.
fn leading(map: impl Fn(&Vec<f64>) -> Vec<f64>, l: usize, trace: f64) -> [(f64, Vec<f64>); 2] {
    let width = WIDTH.min(l);
    let mut rng = random::stream(0, StreamId::Directions, 0);
    let mut draw = |_| random::normal(&mut rng, l).into_iter().map(f64::from).collect();
    let mut basis = orthonormal((0..width).map(&mut draw).collect());
    // Keeps directions in which the points do not spread at all, and leaves every eigenvector as it is.
    let shift = if trace > 0.0 { trace * 1e-9 } else { 1.0 };
    let mut values = vec![0.0; width];
    for _ in 0..MOST_ITERATIONS {
        let images: Vec<Vec<f64>> = basis.iter().map(&map).collect();
        let within = basis.iter().map(|q| images.iter().map(|y| dot(q, y)).collect()).collect();
        let (ritz, turns) = eigen(within);
        let turn = |vectors: &[Vec<f64>]| -> Vec<Vec<f64>> {
            let mix = |turn: &Vec<f64>| {
                let mut sum = vec![0.0; l];
                turn.iter().zip(vectors).for_each(|(&weight, v)| add(&mut sum, weight, v));
                sum
            };
            turns.iter().map(mix).collect()
        };
        let mut images = turn(&images);
        basis = turn(&basis);
        values = ritz;
        let converged = (0..2).all(|i| {
            let mut residual = images[i].clone();
            add(&mut residual, -values[i], &basis[i]);
            dot(&residual, &residual).sqrt() <= RESIDUAL * trace
        });
        if converged {
            break;
        }
        images.iter_mut().zip(&basis).for_each(|(y, q)| add(y, shift, q));
        basis = orthonormal(images);
    }
    [0, 1].map(|i| (values[i].max(0.0), basis[i].clone()))
}

/// Gram and Schmidt's orthonormal basis of the same span; twice over each vector, or rounding would show.
fn orthonormal(mut vectors: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    for i in 0..vectors.len() {
        let (done, rest) = vectors.split_at_mut(i);
        let v = &mut rest[0];
        for _ in 0..2 {
            for q in done.iter() {
                let along = dot(q, v);
                add(v, -along, q);
            }
            let length = dot(v, v).sqrt().max(f64::MIN_POSITIVE);
            v.iter_mut().for_each(|v| *v /= length);
        }
    }
    vectors
}

/// The eigenvalues of a symmetric matrix, the largest first, and their unit eigenvectors as rows, by Jacobi's rotations.
fn eigen(mut a: Vec<Vec<f64>>) -> (Vec<f64>, Vec<Vec<f64>>) {
    let n = a.len();
    let mut vectors: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for (i, j) in (0..SWEEPS).flat_map(|_| (0..n).flat_map(move |i| (i + 1..n).map(move |j| (i, j)))) {
        if a[i][j] == 0.0 {
            continue;
        }
        // The smaller angle whose rotation makes a_ij 0, by its tangent.
        let cotangent = (a[j][j] - a[i][i]) / (2.0 * a[i][j]); // of twice the angle
        let tangent = cotangent.signum() / (cotangent.abs() + (cotangent * cotangent + 1.0).sqrt());
        let cos = (tangent * tangent + 1.0).sqrt().recip();
        let sin = tangent * cos;
        let rotate = |x: f64, y: f64| (cos * x - sin * y, sin * x + cos * y);
        for row in &mut a {
            (row[i], row[j]) = rotate(row[i], row[j]);
        }
        for matrix in [&mut a, &mut vectors] {
            let (above, below) = matrix.split_at_mut(j);
            above[i].iter_mut().zip(&mut below[0]).for_each(|(x, y)| (*x, *y) = rotate(*x, *y));
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[j][j].total_cmp(&a[i][i]));
    (order.iter().map(|&i| a[i][i]).collect(), order.iter().map(|&i| vectors[i].clone()).collect())
}

/// An axis has no sign of its own: the one that makes its entry of largest magnitude positive (the first, of equals).
fn upright(axis: Vec<f64>) -> Vec<f64> {
    let largest = axis.iter().fold(0.0, |largest: f64, &v| if v.abs() > largest.abs() { v } else { largest });
    if largest < 0.0 { axis.into_iter().map(|v| -v).collect() } else { axis }
}
