//! What is lost where images are stored: pixels, and what JPEG thinks nobody sees.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;

use crate::data::{
    IMAGE_SIZE,
    image::{interleaved, planar},
};

/// An image `[3, IMAGE_SIZE, IMAGE_SIZE]` made smaller, to this share of its side, and large again.
pub fn pixelate(x: &mut [f32], share: f32) {
    let small = (IMAGE_SIZE as f32 * share) as usize;
    for plane in x.chunks_mut(IMAGE_SIZE * IMAGE_SIZE) {
        plane.copy_from_slice(&resize(&resize(plane, IMAGE_SIZE, small), small, IMAGE_SIZE));
    }
}

/// A square of side `from` with side `to`: each new pixel is the mean of those whose centers lie in its box, of the nearest
/// one if it is smaller than they are.
fn resize(plane: &[f32], from: usize, to: usize) -> Vec<f32> {
    let scale = from as f32 / to as f32;
    let half = scale.max(1.0) / 2.0;
    let covered = |i: usize| -> Vec<usize> {
        let center = (i as f32 + 0.5) * scale;
        let inside = |k: &usize| (-half..half).contains(&(center - (*k as f32 + 0.5)));
        (0..from).filter(inside).collect()
    };
    let covered: Vec<Vec<usize>> = (0..to).map(covered).collect();
    let mean = |rows: &[usize], columns: &[usize]| {
        let seen = rows.iter().flat_map(|row| columns.iter().map(move |column| plane[row * from + column]));
        seen.sum::<f32>() / (rows.len() * columns.len()) as f32
    };
    covered.iter().flat_map(|rows| covered.iter().map(move |columns| mean(rows, columns))).collect()
}

/// An image `[3, IMAGE_SIZE, IMAGE_SIZE]`, 0..=255, after a JPEG file of this quality, 1 to 100.
pub fn jpeg(image: &[u8], quality: u8) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let written = JpegEncoder::new_with_quality(&mut file, quality).encode_image(&interleaved(image));
    written.expect("writing to memory does not fail");
    let read = image::load_from_memory(file.get_ref()).expect("what was just written can be read");
    planar(read.to_rgb8().as_raw())
}
