//! Image files: decoding, cropping and resizing to the models' input size, and encoding as PNG.

use std::io::Cursor;

use image::imageops::{self, FilterType};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Rgb, RgbImage};

use super::{Error, IMAGE_SIZE, crop::Crop, format_error};

/// Largest number of pixels. It is checked against the header, before memory is allocated.
const MAX_PIXELS: u64 = 64_000_000;
/// Memory limit of a decoder in bytes: `MAX_PIXELS` pixels of 16-bit RGBA.
const MAX_ALLOCATION: u64 = 8 * MAX_PIXELS;

/// A square crop of an image, resized to the models' input size.
#[derive(Clone, Debug, PartialEq)]
pub struct CroppedImage {
    /// `[3, IMAGE_SIZE, IMAGE_SIZE]`, 0..=255.
    pub pixels: Vec<u8>,
    /// Width and height of the image in the file, in pixels.
    pub original_size: [u32; 2],
    /// Human-readable descriptions of the changes (crop, resize, transparency, orientation); empty if there are none.
    pub notes: Vec<String>,
}

/// A decoded image file in its upright orientation, without transparency.
pub struct DecodedImage {
    image: RgbImage,
    /// Width and height in the file, before the EXIF orientation was applied.
    original_size: [u32; 2],
    had_transparency: bool,
    was_rotated: bool,
}

/// Decodes an image file and resizes its largest centered square to the models' input size.
///
/// # Errors
/// The errors of [`DecodedImage::decode`].
pub fn decode_and_crop(bytes: &[u8], name: &str) -> Result<CroppedImage, Error> {
    let decoded = DecodedImage::decode(bytes, name)?;
    Ok(decoded.crop(Crop::centered(decoded.size())))
}

impl DecodedImage {
    /// Decodes a png, jpeg, gif (first frame), webp or bmp image, applies its EXIF orientation and composites
    /// transparent pixels over white. `name` is used in error messages only.
    ///
    /// # Errors
    /// If the file is not an image in one of these formats, is damaged or truncated, or has more than 64 megapixels.
    pub fn decode(bytes: &[u8], name: &str) -> Result<Self, Error> {
        let error = |problem: &str| format_error(name, problem);
        let damaged = |e: ImageError| match e {
            ImageError::Limits(_) => error("needs more than 512 MB of memory to decode: save it at a smaller size"),
            e => error(&format!("is damaged or truncated ({e}): copy, download or export it again")),
        };
        if bytes.is_empty() {
            return Err(error("the file is empty (0 bytes): copy or download it again"));
        }
        let format = image::guess_format(bytes).ok().filter(ImageFormat::reading_enabled).ok_or_else(|| {
            error("is not an image (png, jpeg, gif, webp or bmp), whatever its file name: convert it to one of them")
        })?;
        if format == ImageFormat::Jpeg && !has_jpeg_end_marker(bytes) {
            return Err(error("is truncated (a jpeg without its end marker): copy or download it again"));
        }

        let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
        let mut limits = Limits::default();
        limits.max_alloc = Some(MAX_ALLOCATION);
        reader.limits(limits);
        let mut decoder = reader.into_decoder().map_err(damaged)?;
        let (width, height) = decoder.dimensions();
        let pixels = u64::from(width) * u64::from(height);
        if pixels > MAX_PIXELS {
            return Err(error(&format!(
                "is {width} × {height} ({} megapixels), but the limit is {} megapixels: save it smaller ({IMAGE_SIZE} × \
                 {IMAGE_SIZE} is enough)",
                pixels.div_ceil(1_000_000),
                MAX_PIXELS / 1_000_000
            )));
        }
        // Invalid EXIF data does not affect the pixels.
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let decoded = DynamicImage::from_decoder(decoder).map_err(damaged)?;

        let (opaque, had_transparency) = composite_over_white(decoded);
        let mut upright = DynamicImage::from(opaque);
        upright.apply_orientation(orientation);
        let was_rotated = orientation != Orientation::NoTransforms;
        Ok(Self { image: upright.into_rgb8(), original_size: [width, height], had_transparency, was_rotated })
    }

    /// Returns width and height in the upright orientation, in pixels.
    pub fn size(&self) -> [u32; 2] {
        self.image.dimensions().into()
    }

    /// Crops a square and resizes it to `IMAGE_SIZE` x `IMAGE_SIZE` with an antialiasing Lanczos filter.
    ///
    /// A crop that exceeds the image is clamped to it. An opaque 8-bit crop that already has the target size keeps its
    /// pixels exactly.
    pub fn crop(&self, crop: Crop) -> CroppedImage {
        let size = self.size();
        let Crop { x, y, side } = crop.clamped_to(size);
        let mut notes = Vec::new();
        if self.had_transparency {
            notes.push("transparent parts were put on white".to_owned());
        }
        if size != [side; 2] {
            let is_centered = Crop { x, y, side } == Crop::centered(size);
            let place = if is_centered { "in the middle".to_owned() } else { format!("from {x}, {y} on") };
            notes.push(format!("cropped to the {side} × {side} pixels {place}"));
        }
        if side != IMAGE_SIZE as u32 {
            notes.push(format!("resized from {side} × {side} to {IMAGE_SIZE} × {IMAGE_SIZE}"));
        }
        if self.was_rotated {
            notes.push("rotated upright according to its EXIF data".to_owned());
        }
        let square = imageops::crop_imm(&self.image, x, y, side, side);
        let resized = imageops::resize(&*square, IMAGE_SIZE as u32, IMAGE_SIZE as u32, FilterType::Lanczos3);
        CroppedImage { pixels: planar(&resized.into_raw()), original_size: self.original_size, notes }
    }

    /// Returns the whole image, scaled down so that neither side exceeds `max_side` pixels: its size `[width, height]`
    /// and its bytes `[height, width, 3]`.
    pub fn preview(&self, max_side: u32) -> ([u32; 2], Vec<u8>) {
        let [width, height] = self.size();
        let longer_side = width.max(height);
        if longer_side <= max_side {
            return ([width, height], self.image.as_raw().clone());
        }
        let scaled = |side: u32| ((u64::from(side) * u64::from(max_side) / u64::from(longer_side)) as u32).max(1);
        let preview = imageops::thumbnail(&self.image, scaled(width), scaled(height));
        (preview.dimensions().into(), preview.into_raw())
    }
}

/// Returns whether the end marker (FF D9) follows the first scan. The decoder fills missing parts with gray instead of
/// reporting an error.
fn has_jpeg_end_marker(bytes: &[u8]) -> bool {
    // Skip the segments before the scan: an EXIF thumbnail is a complete jpeg with its own end marker.
    let mut position = 2;
    while let Some(&[0xff, marker, high, low]) = bytes.get(position..position + 4) {
        position += if marker == 0xff { 1 } else { 2 + usize::from(u16::from_be_bytes([high, low])) };
        if marker == 0xda {
            return bytes.get(position..).is_some_and(|scan| scan.windows(2).any(|pair| pair == [0xff, 0xd9]));
        }
    }
    // Unexpected structure: the decoder reports the error.
    true
}

/// Composites the image over white. Also returns whether any pixel was transparent.
fn composite_over_white(image: DynamicImage) -> (RgbImage, bool) {
    if !image.has_alpha() {
        return (image.into_rgb8(), false);
    }
    let rgba = image.into_rgba8();
    let had_transparency = rgba.pixels().any(|pixel| pixel[3] < 255);
    let over_white = |value: u8, alpha: u8| {
        let (value, alpha) = (u32::from(value), u32::from(alpha));
        ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    let opaque = RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| {
        let [r, g, b, a] = rgba.get_pixel(x, y).0;
        Rgb([r, g, b].map(|value| over_white(value, a)))
    });
    (opaque, had_transparency)
}

/// Encodes a square image `[3, side, side]`, 0..=255, as a PNG file.
///
/// # Panics
/// If `pixels` does not have the length of three square planes.
pub fn encode_png(pixels: &[u8]) -> Vec<u8> {
    let mut png = Cursor::new(Vec::new());
    interleaved(pixels).write_to(&mut png, ImageFormat::Png).expect("writing to memory does not fail");
    png.into_inner()
}

/// Converts a square image from `[3, side, side]` to `[side, side, 3]`.
///
/// # Panics
/// If `pixels` does not have the length of three square planes.
pub(super) fn interleaved(pixels: &[u8]) -> RgbImage {
    let plane = pixels.len() / 3;
    let side = plane.isqrt();
    assert_eq!(pixels.len(), 3 * side * side, "the image must have three square planes");
    RgbImage::from_fn(side as u32, side as u32, |x, y| {
        let i = y as usize * side + x as usize;
        Rgb([pixels[i], pixels[plane + i], pixels[2 * plane + i]])
    })
}

/// Converts an image from `[height, width, 3]` to `[3, height, width]`.
pub(super) fn planar(interleaved: &[u8]) -> Vec<u8> {
    (0..3).flat_map(|c| interleaved[c..].iter().step_by(3).copied()).collect()
}
