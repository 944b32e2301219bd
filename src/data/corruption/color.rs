//! What light does to colors, of images `[3, IMAGE_SIZE, IMAGE_SIZE]` in [0,1].

use crate::data::IMAGE_SIZE;

/// Brings each value nearer to the mean of its channel.
pub fn contrast(x: &mut [f32], factor: f32) {
    for plane in x.chunks_mut(IMAGE_SIZE * IMAGE_SIZE) {
        let mean = plane.iter().sum::<f32>() / plane.len() as f32;
        plane.iter_mut().for_each(|v| *v = (*v - mean) * factor + mean);
    }
}

/// Adds to the value of HSV, at most to 1; hue and saturation stay.
pub fn brighten(x: &mut [f32], amount: f32) {
    each_pixel(x, |rgb| {
        let value = largest(rgb);
        let brighter = (value + amount).min(1.0);
        // Black has no hue: it becomes gray.
        rgb.map(|v| if value > 0.0 { v / value * brighter } else { brighter })
    });
}

/// Multiplies the saturation of HSV and adds to it, within [0,1]; hue and value stay.
pub fn saturate(x: &mut [f32], factor: f32, offset: f32) {
    each_pixel(x, |rgb| {
        let (value, least) = (largest(rgb), rgb.into_iter().fold(1f32, f32::min));
        // How far below the value a channel is, as a share of the lowest one's way. HSV gives gray the hue of red.
        let below = |v: f32| (value - v) / (value - least);
        let below = if value > least { rgb.map(below) } else { [0.0, 1.0, 1.0] };
        let saturation = if value > 0.0 { (value - least) / value } else { 0.0 };
        let saturation = (saturation * factor + offset).clamp(0.0, 1.0);
        below.map(|share| value * (1.0 - saturation * share))
    });
}

fn largest(rgb: [f32; 3]) -> f32 {
    rgb.into_iter().fold(0f32, f32::max)
}

fn each_pixel(x: &mut [f32], change: impl Fn([f32; 3]) -> [f32; 3]) {
    for i in 0..IMAGE_SIZE * IMAGE_SIZE {
        let places = [i, i + IMAGE_SIZE * IMAGE_SIZE, i + 2 * IMAGE_SIZE * IMAGE_SIZE];
        let changed = change(places.map(|place| x[place]));
        places.into_iter().zip(changed).for_each(|(place, v)| x[place] = v);
    }
}
