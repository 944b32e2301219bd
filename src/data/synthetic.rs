//! The built-in data set: ten classes of generated shapes, so that training needs no download.
//!
//! Each image has one shape of random color, position, size and small rotation on a shaded, blotchy background. The
//! shape differs from the mean of its background by more than a sixth of the brightness range, almost three times the
//! change that an attack with epsilon 8/255 can make to both together. The images have no artificial features that
//! help an attack, and standard training is not robust on them nevertheless. A classifier that is linear in the pixels
//! stays near chance, because position and sign of the contrast are random.
//!
//! Measured on set 0 with the defaults of `train` (WideResNet-10-1, 3,200 training images, 400 steps of batch 64; 500
//! test images; PGD-20 at L-infinity 8/255 with steps of 2/255):
//!
//! | contrast | `otjr` clean, robust accuracy | `ce` clean, robust accuracy |
//! |---|---|---|
//! | 0.35 to 0.6 of full contrast (this set) | 95.6 %, 80.8 % | 100.0 %, 0.2 % |
//! | 0.5 to 0.8 (`ce` in 200 steps, 300 images) | | 100.0 %, 17.7 % |
//!
//! The bytes are the same on every platform: colors and coverage are computed with `+ - * /`, `sqrt` and comparisons
//! only. IEEE 754 defines those to the last bit, unlike `sin` or `powf`.

use std::ops::Range;

use super::{IMAGE_LEN, IMAGE_SIZE, ImageSet, Splits};
use crate::random::{Rng, RngExt, Stream, StreamId, stream};

/// Amplitude of the sensor noise, in pixel units.
const NOISE: f32 = 2.0 / 255.0;
/// Number of different test images (see [`test_image`]).
pub const TEST_IMAGE_COUNT: u64 = 1_000_000_000;
/// Index of the first test image: above every index of a training image, and a multiple of the number of classes.
const FIRST_TEST_INDEX: u64 = 1_000_000_000_000;
/// The coverage of a pixel is averaged over `SAMPLES * SAMPLES` points.
const SAMPLES: usize = 3;
/// Upper bound of the extent of all shapes from their center, in units of the radius.
const MAX_EXTENT: f32 = 1.3;

/// One of the ten classes.
struct ShapeClass {
    name: &'static str,
    /// Returns whether the shape, which roughly fills the unit circle, contains the point `(u, v)`. `v` points down.
    contains: fn(f32, f32) -> bool,
}

/// The classes, by label.
const CLASSES: [ShapeClass; 10] = [
    ShapeClass { name: "disc", contains: |u, v| u * u + v * v < 0.72 },
    ShapeClass { name: "ring", contains: |u, v| (0.3..0.95).contains(&(u * u + v * v)) },
    ShapeClass { name: "square", contains: |u, v| u.abs().max(v.abs()) < 0.78 },
    ShapeClass { name: "triangle", contains: |u, v| v < 0.7 && u.abs() < (v + 0.95) * 0.58 },
    ShapeClass { name: "cross", contains: |u, v| u.abs().min(v.abs()) < 0.28 && u.abs().max(v.abs()) < 0.95 },
    // A star contains the points on the inner side of at least four of the five lines of a pentagram.
    ShapeClass { name: "star", contains: |u, v| PENTAGRAM.iter().filter(|(x, y)| u * x + v * y < 0.325).count() >= 4 },
    ShapeClass { name: "crescent", contains: |u, v| u * u + v * v < 0.9 && (u - 0.45) * (u - 0.45) + v * v > 0.5 },
    ShapeClass { name: "bars", contains: |u, v| u.abs() < 0.8 && (0.27..0.8).contains(&v.abs()) },
    ShapeClass {
        name: "checks",
        contains: |u, v| {
            u.abs().max(v.abs()) < 0.88 && (((u + 0.88) / 0.44) as u32 + ((v + 0.88) / 0.44) as u32).is_multiple_of(2)
        },
    },
    ShapeClass {
        name: "dots",
        contains: |u, v| (u.abs() - 0.5) * (u.abs() - 0.5) + (v.abs() - 0.5) * (v.abs() - 0.5) < 0.14,
    },
];

/// Outward normals of the five lines of a pentagram.
const PENTAGRAM: [(f32, f32); 5] = [
    (0.0, 1.0),
    (0.951_056_5, 0.309_017),
    (-0.951_056_5, 0.309_017),
    (0.587_785_2, -0.809_017),
    (-0.587_785_2, -0.809_017),
];

/// Returns the class names in the order of their labels.
pub fn class_names() -> impl Iterator<Item = &'static str> {
    CLASSES.iter().map(|class| class.name)
}

/// Generates disjoint sets of `train` training images and `test` test images. Labels repeat the sequence 0, 1, ..., 9.
pub fn generate(seed: u64, train: usize, test: usize) -> Splits {
    Splits {
        train: images(seed, 0..train as u64),
        test: images(seed, FIRST_TEST_INDEX..FIRST_TEST_INDEX + test as u64),
    }
}

/// Returns the data set of a training run: at most `limits` training and test images, where 0 means the defaults 10,000
/// and 2,000. The images do not depend on the seed of the run.
pub fn default_splits([train_limit, test_limit]: [usize; 2]) -> Splits {
    let train = if train_limit == 0 { 10_000 } else { train_limit };
    let test = if test_limit == 0 { 2_000 } else { test_limit };
    generate(0, train, test)
}

/// Returns test image `index` (below [`TEST_IMAGE_COUNT`]) of seed 0 as a set of one image.
pub fn test_image(index: u64) -> ImageSet {
    images(0, FIRST_TEST_INDEX + index..FIRST_TEST_INDEX + index + 1)
}

fn images(seed: u64, indices: Range<u64>) -> ImageSet {
    ImageSet {
        pixels: indices.clone().flat_map(|i| image(seed, i)).collect(),
        labels: indices.map(label).collect(),
        classes: class_names().map(String::from).collect(),
    }
}

/// Returns the label of image `index`.
pub fn label(index: u64) -> u16 {
    (index % CLASSES.len() as u64) as u16
}

/// Draws image `index` for a seed: `[3, IMAGE_SIZE, IMAGE_SIZE]`, 0..=255.
pub fn image(seed: u64, index: u64) -> Vec<u8> {
    // The order of the random draws is part of the data set.
    let rng = &mut stream(seed, StreamId::Synthetic, index);
    let palette = Palette::draw(rng);
    let spots: [BackgroundSpot; 3] = std::array::from_fn(|_| BackgroundSpot::draw(rng));
    let shape = PlacedShape::draw(&CLASSES[usize::from(label(index))], rng);
    let shading_direction = unit_vector(rng);
    let mut noise = [0; IMAGE_LEN];
    rng.fill_bytes(&mut noise);

    let mut pixels = vec![0; IMAGE_LEN];
    for y in 0..IMAGE_SIZE {
        for x in 0..IMAGE_SIZE {
            let coverage = shape.coverage(x, y);
            let centered = |i: usize| i as f32 + 0.5 - IMAGE_SIZE as f32 / 2.0;
            let along = centered(x) * shading_direction[0] + centered(y) * shading_direction[1];
            let shade = (along / 40.0 + 0.5).clamp(0.0, 1.0);
            for c in 0..3 {
                let i = (c * IMAGE_SIZE + y) * IMAGE_SIZE + x;
                let tint: f32 = spots.iter().filter(|spot| spot.covers(x, y)).map(|spot| spot.tint[c]).sum();
                let [near, far] = palette.background.map(|color| color[c]);
                let background = near + (far - near) * shade + tint;
                let noise = (f32::from(noise[i]) / 127.5 - 1.0) * NOISE;
                let value = background + (palette.shape[c] - background) * coverage + noise;
                pixels[i] = (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
            }
        }
    }
    pixels
}

/// A shape at its position in the image.
struct PlacedShape {
    class: &'static ShapeClass,
    /// In pixels.
    radius: f32,
    /// `[x, y]` in pixels.
    center: [f32; 2],
    /// Cosine of the rotation angle.
    cos: f32,
    /// Sine of the rotation angle.
    sin: f32,
}

impl PlacedShape {
    fn draw(class: &'static ShapeClass, rng: &mut Stream) -> Self {
        let radius = uniform(rng, 9.0, 13.0);
        let max_shift = 0.8 * (IMAGE_SIZE as f32 / 2.0 - radius);
        let center = [(); 2].map(|()| IMAGE_SIZE as f32 / 2.0 + uniform(rng, -max_shift, max_shift));
        // Up to 17 degrees in either direction. Sine and cosine are computed from the tangent of half the angle.
        let t = uniform(rng, -0.15, 0.15);
        Self { class, radius, center, cos: (1.0 - t * t) / (1.0 + t * t), sin: 2.0 * t / (1.0 + t * t) }
    }

    /// Returns the fraction of a pixel that the shape covers.
    fn coverage(&self, x: usize, y: usize) -> f32 {
        let (dx, dy) = (x as f32 + 0.5 - self.center[0], y as f32 + 0.5 - self.center[1]);
        if dx * dx + dy * dy > (MAX_EXTENT * self.radius) * (MAX_EXTENT * self.radius) {
            return 0.0;
        }
        let offset = |i: usize| (i as f32 + 0.5) / SAMPLES as f32 - 0.5;
        let points = (0..SAMPLES * SAMPLES).map(|i| (dx + offset(i % SAMPLES), dy + offset(i / SAMPLES)));
        let inside = points.filter(|(px, py)| {
            let u = (px * self.cos + py * self.sin) / self.radius;
            let v = (py * self.cos - px * self.sin) / self.radius;
            (self.class.contains)(u, v)
        });
        inside.count() as f32 / (SAMPLES * SAMPLES) as f32
    }
}

/// A round spot in the background.
struct BackgroundSpot {
    /// `[x, y]` in pixels.
    center: [f32; 2],
    /// In pixels.
    radius: f32,
    /// Added to the background color.
    tint: Color,
}

impl BackgroundSpot {
    fn draw(rng: &mut Stream) -> Self {
        Self {
            center: [(); 2].map(|()| uniform(rng, 0.0, IMAGE_SIZE as f32)),
            radius: uniform(rng, 2.0, 5.0),
            tint: [(); 3].map(|()| uniform(rng, -0.06, 0.06)),
        }
    }

    fn covers(&self, x: usize, y: usize) -> bool {
        let (dx, dy) = (x as f32 - self.center[0], y as f32 - self.center[1]);
        dx * dx + dy * dy < self.radius * self.radius
    }
}

/// Red, green and blue in [0,1].
type Color = [f32; 3];

/// The colors of an image: a light shape on a dark background, or the reverse.
struct Palette {
    shape: Color,
    /// The two ends of the background shading.
    background: [Color; 2],
}

impl Palette {
    fn draw(rng: &mut Stream) -> Self {
        let light_shape = rng.random::<bool>();
        let light =
            |rng: &mut Stream| hsv_to_rgb(uniform(rng, 0.0, 1.0), uniform(rng, 0.15, 0.8), uniform(rng, 0.85, 1.0));
        let dark =
            |rng: &mut Stream| hsv_to_rgb(uniform(rng, 0.0, 1.0), uniform(rng, 0.3, 0.9), uniform(rng, 0.08, 0.4));
        loop {
            let [full_contrast_shape, near, other] =
                if light_shape { [light(rng), dark(rng), dark(rng)] } else { [dark(rng), light(rng), light(rng)] };
            let far = mix(near, other, 0.6);
            let contrast = |background: Color| (luma(full_contrast_shape) - luma(background)).abs();
            if contrast(near) > 0.5 && contrast(far) > 0.5 {
                // Reduce the contrast: at full contrast, standard training resists many attacks with epsilon 8/255.
                let shape = mix(mix(near, far, 0.5), full_contrast_shape, uniform(rng, 0.35, 0.6));
                return Self { shape, background: [near, far] };
            }
        }
    }
}

/// Interpolates between `a` (weight 0) and `b` (weight 1).
fn mix(a: Color, b: Color, weight: f32) -> Color {
    std::array::from_fn(|c| a[c] + weight * (b[c] - a[c]))
}

/// Perceived brightness in [0,1], with the weights of Rec. 601.
fn luma([r, g, b]: Color) -> f32 {
    0.299 * r + 0.587 * g + 0.114 * b
}

/// Converts HSV to RGB. All values are in [0,1].
fn hsv_to_rgb(hue: f32, saturation: f32, value: f32) -> Color {
    [0.0, 4.0, 2.0].map(|offset| {
        let sixth = hue * 6.0 + offset;
        let wrapped = if sixth >= 6.0 { sixth - 6.0 } else { sixth };
        value * (1.0 - saturation * (1.0 - ((wrapped - 3.0).abs() - 1.0).clamp(0.0, 1.0)))
    })
}

/// Draws uniformly from `[low, high)`.
fn uniform(rng: &mut Stream, low: f32, high: f32) -> f32 {
    low + (high - low) * rng.random::<f32>()
}

/// Draws a random unit vector: a point of the unit disk (by rejection), normalized.
fn unit_vector(rng: &mut Stream) -> [f32; 2] {
    loop {
        let [x, y] = [(); 2].map(|()| uniform(rng, -1.0, 1.0));
        let length = (x * x + y * y).sqrt();
        if length > 0.1 && length < 1.0 {
            return [x / length, y / length];
        }
    }
}
