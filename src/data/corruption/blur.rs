//! Blurs: each pixel becomes a weighted mean of those around it.

use crate::data::IMAGE_SIZE;

/// Pixels by how far right and down they are, and their weights.
pub type Kernel = Vec<([i32; 2], f32)>;

/// Replaces each value of an image `[3, IMAGE_SIZE, IMAGE_SIZE]` by the mean that the kernel says; beyond its border an image goes
/// on with its last values.
pub fn convolve(x: &mut [f32], kernel: &Kernel) {
    let total: f32 = kernel.iter().map(|(_, weight)| weight).sum();
    let inside = |at: i32| at.clamp(0, IMAGE_SIZE as i32 - 1) as usize;
    for plane in x.chunks_mut(IMAGE_SIZE * IMAGE_SIZE) {
        let before = plane.to_vec();
        for (i, v) in plane.iter_mut().enumerate() {
            let (row, column) = ((i / IMAGE_SIZE) as i32, (i % IMAGE_SIZE) as i32);
            let seen = |[right, down]: [i32; 2]| before[inside(row + down) * IMAGE_SIZE + inside(column + right)];
            *v = kernel.iter().map(|&(offset, weight)| weight * seen(offset)).sum::<f32>() / total;
        }
    }
}

/// A bell of standard deviation `sigma` pixels, up to four of them wide.
pub fn gaussian(sigma: f32) -> Kernel {
    bell(sigma, (4.0 * sigma).round() as i32)
}

fn bell(sigma: f32, reach: i32) -> Kernel {
    square(reach).map(|[x, y]| ([x, y], weight((x * x + y * y) as f32, sigma))).collect()
}

fn square(reach: i32) -> impl Iterator<Item = [i32; 2]> {
    (-reach..=reach).flat_map(move |y| (-reach..=reach).map(move |x| [x, y]))
}

fn weight(distance_squared: f32, sigma: f32) -> f32 {
    (-distance_squared / (2.0 * sigma * sigma)).exp()
}

/// A lens out of focus: a disc, its edge softened by a bell of 3 x 3 pixels. Where both reach a pixel in several ways, it is
/// named as often.
pub fn disc(radius: f32, soft: f32) -> Kernel {
    let edge = bell(soft, 1);
    let covered = |[x, y]: &[i32; 2]| (x * x + y * y) as f32 <= radius * radius;
    let softened = |[x, y]: [i32; 2]| edge.iter().map(move |&([dx, dy], weight)| ([x + dx, y + dy], weight));
    square(radius as i32).filter(covered).flat_map(softened).collect()
}

/// A camera that moves: a half bell along a line at `angle` (radians), as ImageMagick's `-motion-blur` has it.
pub fn streak(radius: i32, sigma: f32, angle: f32) -> Kernel {
    let (sin, cos) = angle.sin_cos();
    let step = |i: i32, along: f32| (i as f32 * along - 0.5).ceil() as i32;
    (0..=2 * radius).map(|i| ([step(i, cos), step(i, sin)], weight((i * i) as f32, sigma))).collect()
}
