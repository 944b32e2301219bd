//! Losses from storing images: pixelation and JPEG compression.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;

use crate::data::{
    IMAGE_SIZE,
    image::{interleaved, planar},
};

/// Downscales an image `[3, IMAGE_SIZE, IMAGE_SIZE]` to `scale` (in (0,1]) of its side length, and upscales it again.
pub(super) fn pixelate(image: &mut [f32], scale: f32) {
    let small_side = (IMAGE_SIZE as f32 * scale) as usize;
    for plane in image.chunks_mut(IMAGE_SIZE * IMAGE_SIZE) {
        plane.copy_from_slice(&box_resize(&box_resize(plane, IMAGE_SIZE, small_side), small_side, IMAGE_SIZE));
    }
}

/// Resizes a square plane from side length `from` to side length `to` with a box filter.
///
/// Each output pixel is the mean of the input pixels whose centers are inside its box. When upscaling, the box has the
/// size of one input pixel (nearest neighbor).
fn box_resize(plane: &[f32], from: usize, to: usize) -> Vec<f32> {
    let scale = from as f32 / to as f32;
    let half_width = scale.max(1.0) / 2.0;
    let inputs_of = |output: usize| -> Vec<usize> {
        let center = (output as f32 + 0.5) * scale;
        let is_inside = |input: &usize| (-half_width..half_width).contains(&(center - (*input as f32 + 0.5)));
        (0..from).filter(is_inside).collect()
    };
    let inputs: Vec<Vec<usize>> = (0..to).map(inputs_of).collect();
    let mut resized = Vec::with_capacity(to * to);
    for rows in &inputs {
        for columns in &inputs {
            let values = rows.iter().flat_map(|row| columns.iter().map(move |column| plane[row * from + column]));
            resized.push(values.sum::<f32>() / (rows.len() * columns.len()) as f32);
        }
    }
    resized
}

/// Encodes an image `[3, IMAGE_SIZE, IMAGE_SIZE]`, 0..=255, as JPEG with a quality of 1 to 100, and decodes it again.
pub(super) fn jpeg(image: &[u8], quality: u8) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    JpegEncoder::new_with_quality(&mut file, quality)
        .encode_image(&interleaved(image))
        .expect("writing to memory does not fail");
    let decoded = image::load_from_memory(file.get_ref()).expect("the encoded file is valid");
    planar(decoded.to_rgb8().as_raw())
}
