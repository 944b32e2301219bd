//! Changes of contrast, brightness and saturation. Images are `[3, IMAGE_SIZE, IMAGE_SIZE]` in [0,1].

use crate::data::IMAGE_SIZE;

/// Scales the difference of each value from the mean of its channel by `factor`.
pub(super) fn contrast(image: &mut [f32], factor: f32) {
    for plane in image.chunks_mut(IMAGE_SIZE * IMAGE_SIZE) {
        let mean = plane.iter().sum::<f32>() / plane.len() as f32;
        for value in plane {
            *value = (*value - mean) * factor + mean;
        }
    }
}

/// Adds `amount` to the HSV value, limited to 1. Hue and saturation stay the same.
pub(super) fn brighten(image: &mut [f32], amount: f32) {
    map_pixels(image, |rgb| {
        let value = max_channel(rgb);
        let brighter = (value + amount).min(1.0);
        // Black has no hue and becomes gray.
        rgb.map(|channel| if value > 0.0 { channel / value * brighter } else { brighter })
    });
}

/// Replaces the HSV saturation s by `factor * s + offset`, clamped to [0,1]. Hue and value stay the same.
pub(super) fn saturate(image: &mut [f32], factor: f32, offset: f32) {
    map_pixels(image, |rgb| {
        let (value, least) = (max_channel(rgb), rgb.into_iter().fold(1f32, f32::min));
        // Distance of each channel from the value, relative to the lowest channel. HSV gives gray the hue of red.
        let relative_distance = |channel: f32| (value - channel) / (value - least);
        let distances = if value > least { rgb.map(relative_distance) } else { [0.0, 1.0, 1.0] };
        let saturation = if value > 0.0 { (value - least) / value } else { 0.0 };
        let new_saturation = (saturation * factor + offset).clamp(0.0, 1.0);
        distances.map(|distance| value * (1.0 - new_saturation * distance))
    });
}

fn max_channel(rgb: [f32; 3]) -> f32 {
    rgb.into_iter().fold(0f32, f32::max)
}

/// Replaces each pixel `[R, G, B]` by the result of `map`.
fn map_pixels(image: &mut [f32], map: impl Fn([f32; 3]) -> [f32; 3]) {
    for i in 0..IMAGE_SIZE * IMAGE_SIZE {
        let indices = [i, i + IMAGE_SIZE * IMAGE_SIZE, i + 2 * IMAGE_SIZE * IMAGE_SIZE];
        let mapped = map(indices.map(|index| image[index]));
        for (index, value) in indices.into_iter().zip(mapped) {
            image[index] = value;
        }
    }
}
