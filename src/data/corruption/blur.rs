//! Blurs as convolutions. Each pixel becomes a weighted mean of its neighborhood.

use crate::data::IMAGE_SIZE;

/// One weight of a convolution kernel.
pub(super) struct KernelTap {
    /// Offset from the output pixel, `[right, down]` in pixels.
    offset: [i32; 2],
    weight: f32,
}

/// A sparse convolution kernel. It does not have to be normalized, and offsets may occur more than once.
pub(super) type BlurKernel = Vec<KernelTap>;

/// Convolves an image `[3, IMAGE_SIZE, IMAGE_SIZE]` with the normalized kernel. The border pixels are repeated outside
/// the image.
pub(super) fn convolve(image: &mut [f32], kernel: &BlurKernel) {
    let total_weight: f32 = kernel.iter().map(|tap| tap.weight).sum();
    let clamp = |position: i32| position.clamp(0, IMAGE_SIZE as i32 - 1) as usize;
    for plane in image.chunks_mut(IMAGE_SIZE * IMAGE_SIZE) {
        let original = plane.to_vec();
        for (i, value) in plane.iter_mut().enumerate() {
            let (row, column) = ((i / IMAGE_SIZE) as i32, (i % IMAGE_SIZE) as i32);
            let weighted = kernel.iter().map(|&KernelTap { offset: [right, down], weight }| {
                weight * original[clamp(row + down) * IMAGE_SIZE + clamp(column + right)]
            });
            *value = weighted.sum::<f32>() / total_weight;
        }
    }
}

/// Returns a Gaussian kernel with standard deviation `sigma` pixels, truncated at four standard deviations.
pub(super) fn gaussian(sigma: f32) -> BlurKernel {
    truncated_gaussian(sigma, (4.0 * sigma).round() as i32)
}

fn truncated_gaussian(sigma: f32, radius: i32) -> BlurKernel {
    let tap = |[x, y]: [i32; 2]| KernelTap { offset: [x, y], weight: gaussian_weight((x * x + y * y) as f32, sigma) };
    square_offsets(radius).map(tap).collect()
}

fn square_offsets(radius: i32) -> impl Iterator<Item = [i32; 2]> {
    (-radius..=radius).flat_map(move |y| (-radius..=radius).map(move |x| [x, y]))
}

fn gaussian_weight(squared_distance: f32, sigma: f32) -> f32 {
    (-squared_distance / (2.0 * sigma * sigma)).exp()
}

/// Returns a defocus kernel: a disk of the given radius, smoothed by a 3x3 Gaussian with standard deviation
/// `edge_sigma`.
pub(super) fn defocus(radius: f32, edge_sigma: f32) -> BlurKernel {
    let edge = truncated_gaussian(edge_sigma, 1);
    let mut kernel = BlurKernel::new();
    for [x, y] in square_offsets(radius as i32) {
        if (x * x + y * y) as f32 <= radius * radius {
            kernel.extend(
                edge.iter()
                    .map(|&KernelTap { offset: [dx, dy], weight }| KernelTap { offset: [x + dx, y + dy], weight }),
            );
        }
    }
    kernel
}

/// Returns a motion blur kernel: half a Gaussian along a line at `angle` radians, like ImageMagick's `-motion-blur`.
pub(super) fn motion(radius: i32, sigma: f32, angle: f32) -> BlurKernel {
    let (sin, cos) = angle.sin_cos();
    let coordinate = |i: i32, direction: f32| (i as f32 * direction - 0.5).ceil() as i32;
    let tap = |i: i32| KernelTap {
        offset: [coordinate(i, cos), coordinate(i, sin)],
        weight: gaussian_weight((i * i) as f32, sigma),
    };
    (0..=2 * radius).map(tap).collect()
}
