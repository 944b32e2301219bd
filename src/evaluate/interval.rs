//! How far a measured accuracy may be from the true one.

/// The 97.5th percentile of the standard normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// The 95 % confidence interval of a share in [0,1] that was measured on `n` images (Wilson, 1927). For a mean over
/// several looks at each image it is wider than it need be: such means vary less from image to image.
pub fn wilson(share: f64, n: usize) -> [f64; 2] {
    let n = n as f64;
    let center = share + Z * Z / (2.0 * n);
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    // Rounding leaves the end beyond a share of 0 or 1 a hair outside.
    [center - half, center + half].map(|end| (end / (1.0 + Z * Z / n)).clamp(0.0, 1.0))
}
