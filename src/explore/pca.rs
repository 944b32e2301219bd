//! Principal component analysis: the plane with the largest variance of a set of points.
//!
//! The two leading eigenvectors of the covariance matrix are computed by subspace iteration with Rayleigh-Ritz
//! projection (Saad, "Numerical Methods for Large Eigenvalue Problems", 2011, sec. 5.2). The matrix itself is never
//! formed, so wide layers need no more memory than their points. Computed in float64 from a fixed start: the same
//! points give the same plane on every machine.

use serde::{Deserialize, Serialize};

use crate::{
    attack::Error,
    random::{self, StreamId},
};

/// Dimension of the iterated subspace. More than two dimensions speed up the convergence of the first two.
const SUBSPACE_DIM: usize = 16;
const MAX_ITERATIONS: usize = 1000;
/// An axis q has converged if the residual ||C q - lambda q|| is at most this fraction of the variance.
const TOLERANCE: f64 = 1e-11;
/// Number of sweeps of the Jacobi eigenvalue algorithm. It converges quadratically; about half of them are enough.
const JACOBI_SWEEPS: usize = 12;

/// The plane of the first two principal components, in a space of L dimensions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrincipalPlane {
    /// `[L]`, the mean of the points, which is the origin of the plane.
    pub mean: Vec<f32>,
    /// `[L]` each, orthonormal, in descending order of variance. The entry of largest magnitude is positive.
    pub axes: [Vec<f32>; 2],
    /// The fraction of the variance along each axis, in [0,1]; 0 if all points are equal.
    pub explained: [f32; 2],
}

impl PrincipalPlane {
    /// Fits the plane to points `[N, L]`, with N at least 1 and L = `l` at least 2.
    ///
    /// # Errors
    /// If there are no points, `l` is below 2, or a coordinate is not finite.
    pub fn fit(points: &[f32], l: usize) -> Result<Self, Error> {
        if l < 2 || points.is_empty() || !points.len().is_multiple_of(l) {
            return Err(Error::Unsuited("a plane needs at least one point with at least two dimensions".into()));
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
            centered.iter().for_each(|p| add_scaled(&mut y, dot(p, q) / n, p));
            y
        };
        let [first, second] = leading_eigenpairs(covariance, l, variance);
        let share = |value: f64| if variance > 0.0 { (value / variance) as f32 } else { 0.0 };
        let explained = [share(first.value), share(second.value)];
        let narrow = |v: Vec<f64>| v.into_iter().map(|v| v as f32).collect();
        Ok(Self {
            axes: [first.vector, second.vector].map(|axis| narrow(with_canonical_sign(axis))),
            mean: narrow(mean),
            explained,
        })
    }

    /// Returns the coordinates `[N]` in the plane of points `[N, L]`.
    pub fn project(&self, points: &[f32]) -> Vec<[f32; 2]> {
        let along = |p: &[f32], axis: &[f32]| {
            let terms = p.iter().zip(&self.mean).zip(axis);
            terms.map(|((&v, &m), &a)| (f64::from(v) - f64::from(m)) * f64::from(a)).sum::<f64>() as f32
        };
        points.chunks(self.mean.len()).map(|p| [along(p, &self.axes[0]), along(p, &self.axes[1])]).collect()
    }

    /// Returns the point `[L]` of the full space with the given coordinates in the plane.
    pub fn unproject(&self, [u, v]: [f32; 2]) -> Vec<f32> {
        let axes = self.axes[0].iter().zip(&self.axes[1]);
        self.mean.iter().zip(axes).map(|(m, (a, b))| m + u * a + v * b).collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Computes y <- y + factor x.
fn add_scaled(y: &mut [f64], factor: f64, x: &[f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += factor * x);
}

/// An eigenvalue and its unit eigenvector.
#[derive(Clone)]
struct Eigenpair {
    value: f64,
    vector: Vec<f64>,
}

/// Returns the eigenpairs of the two largest eigenvalues of a symmetric linear map of R^l. `trace` is the sum of all
/// eigenvalues.
fn leading_eigenpairs(map: impl Fn(&Vec<f64>) -> Vec<f64>, l: usize, trace: f64) -> [Eigenpair; 2] {
    let width = SUBSPACE_DIM.min(l);
    let mut rng = random::stream(0, StreamId::Directions, 0);
    let mut draw = |_| random::normal(&mut rng, l).into_iter().map(f64::from).collect();
    let mut basis = orthonormal((0..width).map(&mut draw).collect());
    // Adding a multiple of the identity keeps the eigenvectors and avoids the zero vector in directions without
    // variance.
    let shift = if trace > 0.0 { trace * 1e-9 } else { 1.0 };
    let mut values = vec![0.0; width];
    for _ in 0..MAX_ITERATIONS {
        let images: Vec<Vec<f64>> = basis.iter().map(&map).collect();
        let projected_map = basis.iter().map(|q| images.iter().map(|y| dot(q, y)).collect()).collect();
        let ritz_pairs = symmetric_eigenpairs(projected_map);
        // Linear combinations of `vectors` with the coefficients of the Ritz vectors.
        let combine = |vectors: &[Vec<f64>]| -> Vec<Vec<f64>> {
            let combination = |pair: &Eigenpair| {
                let mut sum = vec![0.0; l];
                for (&weight, vector) in pair.vector.iter().zip(vectors) {
                    add_scaled(&mut sum, weight, vector);
                }
                sum
            };
            ritz_pairs.iter().map(combination).collect()
        };
        let mut images = combine(&images);
        basis = combine(&basis);
        values = ritz_pairs.iter().map(|pair| pair.value).collect();
        let converged = (0..2).all(|i| {
            let mut residual = images[i].clone();
            add_scaled(&mut residual, -values[i], &basis[i]);
            dot(&residual, &residual).sqrt() <= TOLERANCE * trace
        });
        if converged {
            break;
        }
        images.iter_mut().zip(&basis).for_each(|(y, q)| add_scaled(y, shift, q));
        basis = orthonormal(images);
    }
    [0, 1].map(|i| Eigenpair { value: values[i].max(0.0), vector: basis[i].clone() })
}

/// Orthonormalizes vectors by the Gram-Schmidt process. Each vector is processed twice to remove rounding errors.
fn orthonormal(mut vectors: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    for i in 0..vectors.len() {
        let (done, rest) = vectors.split_at_mut(i);
        let v = &mut rest[0];
        for _ in 0..2 {
            for q in done.iter() {
                let along = dot(q, v);
                add_scaled(v, -along, q);
            }
            let length = dot(v, v).sqrt().max(f64::MIN_POSITIVE);
            v.iter_mut().for_each(|v| *v /= length);
        }
    }
    vectors
}

/// Returns the eigenpairs of a symmetric matrix in descending order of eigenvalue (Jacobi eigenvalue algorithm).
fn symmetric_eigenpairs(mut a: Vec<Vec<f64>>) -> Vec<Eigenpair> {
    let n = a.len();
    let mut vectors: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for (i, j) in (0..JACOBI_SWEEPS).flat_map(|_| (0..n).flat_map(move |i| (i + 1..n).map(move |j| (i, j)))) {
        if a[i][j] == 0.0 {
            continue;
        }
        // The tangent of the smaller rotation angle that makes a_ij zero.
        let cotangent = (a[j][j] - a[i][i]) / (2.0 * a[i][j]); // of twice that angle
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
    order.into_iter().map(|i| Eigenpair { value: a[i][i], vector: vectors[i].clone() }).collect()
}

/// Returns the axis or its negative, so that its entry of largest magnitude is positive. If several entries have the
/// same magnitude, the first one counts.
fn with_canonical_sign(axis: Vec<f64>) -> Vec<f64> {
    let largest = axis.iter().fold(0.0, |largest: f64, &v| if v.abs() > largest.abs() { v } else { largest });
    if largest < 0.0 { axis.into_iter().map(|v| -v).collect() } else { axis }
}
