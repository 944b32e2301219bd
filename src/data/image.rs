//! One image file -> the whole image -> `[3, IMAGE_SIZE, IMAGE_SIZE]` bytes of a square of it, and back to PNG.

use std::io::Cursor;

use image::imageops::{self, FilterType};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Rgb, RgbImage};

use super::{Error, IMAGE_SIZE, crop::Crop};

/// Larger images are refused by their header, before anything is allocated for them.
const MAX_PIXELS: u64 = 64_000_000;
/// What a decoder may allocate: 64 megapixels of 16-bit RGBA. In bytes.
const MAX_BYTES: u64 = 8 * MAX_PIXELS;

/// What models see of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct CroppedImage {
    /// `[3, IMAGE_SIZE, IMAGE_SIZE]`, 0..=255.
    pub pixels: Vec<u8>,
    /// Width and height in the file, in pixels.
    pub original_size: [u32; 2],
    /// What was done to make it `IMAGE_SIZE` x `IMAGE_SIZE` and opaque, for people to read; empty if nothing.
    pub notes: Vec<String>,
}

/// An image file, decoded: all of it, decoded and opaque.
pub struct DecodedImage {
    image: RgbImage,
    /// Width and height in the file, before it was turned.
    original_size: [u32; 2],
    flattened: bool,
    turned: bool,
}

/// Reads an image file as models see it: the largest centered square of [`DecodedImage::decode`].
///
/// # Errors
/// Those of [`DecodedImage::decode`].
pub fn decode_and_crop(bytes: &[u8], name: &str) -> Result<CroppedImage, Error> {
    let decoded = DecodedImage::decode(bytes, name)?;
    Ok(decoded.crop(Crop::centered(decoded.size())))
}

impl DecodedImage {
    /// Decodes a png, jpeg, gif (its first frame), webp or bmp image, turns it decoded (EXIF) and puts transparent parts
    /// on white; `name` is for messages.
    ///
    /// # Errors
    /// If it is no such image, is damaged or cut short, or has more than 64 megapixels.
    pub fn decode(bytes: &[u8], name: &str) -> Result<Self, Error> {
        let refuse = |problem: String| Error::Format { path: name.to_owned(), problem };
        if bytes.is_empty() {
            return Err(refuse("the file is empty (0 bytes): copy or download it again".into()));
        }
        let format = image::guess_format(bytes).ok().filter(ImageFormat::reading_enabled).ok_or_else(|| {
            refuse(
                "is not an image (png, jpeg, gif, webp or bmp), whatever its name says: convert it to one of them"
                    .into(),
            )
        })?;
        let damaged = |e: ImageError| match e {
            ImageError::Limits(_) => refuse("needs over 512 MB of memory to decode: save it smaller".into()),
            e => refuse(format!("is damaged or cut short ({e}): copy, download or export it again")),
        };
        if format == ImageFormat::Jpeg && !jpeg_has_end(bytes) {
            return Err(refuse("is cut short (a jpeg without its end marker): copy or download it again".into()));
        }

        let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
        let mut limits = Limits::default();
        limits.max_alloc = Some(MAX_BYTES);
        reader.limits(limits);
        let mut decoder = reader.into_decoder().map_err(damaged)?;
        let (width, height) = decoder.dimensions();
        let pixels = u64::from(width) * u64::from(height);
        if pixels > MAX_PIXELS {
            return Err(refuse(format!(
                "is {width} × {height} ({} megapixels), over the limit of {}: save it smaller; {IMAGE_SIZE} × {IMAGE_SIZE} will do",
                pixels.div_ceil(1_000_000),
                MAX_PIXELS / 1_000_000
            )));
        }
        // Broken EXIF does not make the pixels worse.
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let image = DynamicImage::from_decoder(decoder).map_err(damaged)?;

        let (image, flattened) = flatten(image);
        let mut image = DynamicImage::from(image);
        image.apply_orientation(orientation);
        let turned = orientation != Orientation::NoTransforms;
        Ok(Self { image: image.into_rgb8(), original_size: [width, height], flattened, turned })
    }

    /// Width and height, decoded.
    pub fn size(&self) -> [u32; 2] {
        self.image.dimensions().into()
    }

    /// A square of it, brought to `IMAGE_SIZE` x `IMAGE_SIZE` with an antialiasing Lanczos filter; what lies outside the image is
    /// moved inside. The pixels of an opaque 8-bit square that has that size stay as they are.
    pub fn crop(&self, crop: Crop) -> CroppedImage {
        let size = self.size();
        let Crop { x, y, side } = crop.clamped_to(size);
        let mut notes = Vec::new();
        if self.flattened {
            notes.push("transparent parts were put on white".to_owned());
        }
        if size != [side; 2] {
            let middle = Crop { x, y, side } == Crop::centered(size);
            let place = if middle { "in the middle".to_owned() } else { format!("from {x}, {y} on") };
            notes.push(format!("cropped to the {side} × {side} pixels {place}"));
        }
        if side != IMAGE_SIZE as u32 {
            notes.push(format!("resized from {side} × {side} to {IMAGE_SIZE} × {IMAGE_SIZE}"));
        }
        if self.turned {
            notes.push("turned upright, as its EXIF data asks".to_owned());
        }
        let square = imageops::crop_imm(&self.image, x, y, side, side);
        let interleaved =
            imageops::resize(&*square, IMAGE_SIZE as u32, IMAGE_SIZE as u32, FilterType::Lanczos3).into_raw();
        CroppedImage { pixels: planar(&interleaved), original_size: self.original_size, notes }
    }

    /// All of it, made small enough that no side is longer than `longest` pixels: width and height, and its bytes
    /// `[height, width, 3]`.
    pub fn preview(&self, longest: u32) -> ([u32; 2], Vec<u8>) {
        let size = self.size();
        let [width, height] = size;
        let now = width.max(height);
        if now <= longest {
            return (size, self.image.as_raw().clone());
        }
        let part = |side: u32| ((u64::from(side) * u64::from(longest) / u64::from(now)) as u32).max(1);
        let small = imageops::thumbnail(&self.image, part(width), part(height));
        (small.dimensions().into(), small.into_raw())
    }
}

/// Whether the end marker (FF D9) follows the first scan. The decoder would fill up a jpeg that is cut short with gray.
fn jpeg_has_end(bytes: &[u8]) -> bool {
    // Over the segments before the scan, since an EXIF thumbnail is a whole jpeg of its own.
    let mut at = 2;
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..at + 4) {
        at += if marker == 0xff { 1 } else { 2 + usize::from(u16::from_be_bytes([high, low])) };
        if marker == 0xda {
            return bytes.get(at..).is_some_and(|scan| scan.windows(2).any(|pair| pair == [0xff, 0xd9]));
        }
    }
    // Not laid out as expected: the decoder says what is wrong.
    true
}

/// The image over white, and whether any of it was transparent.
fn flatten(image: DynamicImage) -> (RgbImage, bool) {
    if !image.has_alpha() {
        return (image.into_rgb8(), false);
    }
    let image = image.into_rgba8();
    let transparent = image.pixels().any(|p| p[3] < 255);
    let over_white = |value: u8, alpha: u8| {
        let (value, alpha) = (u32::from(value), u32::from(alpha));
        ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    let opaque = RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let [r, g, b, a] = image.get_pixel(x, y).0;
        Rgb([r, g, b].map(|value| over_white(value, a)))
    });
    (opaque, transparent)
}

/// A PNG file of a square image `[3, side, side]`, 0..=255.
///
/// # Panics
/// If `pixels` is no three squares.
pub fn encode_png(pixels: &[u8]) -> Vec<u8> {
    let mut png = Cursor::new(Vec::new());
    interleaved(pixels).write_to(&mut png, ImageFormat::Png).expect("writing to memory does not fail");
    png.into_inner()
}

/// A square image `[3, side, side]` as an image `[side, side, 3]`.
///
/// # Panics
/// If `pixels` is no three squares.
pub(super) fn interleaved(pixels: &[u8]) -> RgbImage {
    let plane = pixels.len() / 3;
    let side = plane.isqrt();
    assert_eq!(pixels.len(), 3 * side * side, "not three square planes");
    RgbImage::from_fn(side as u32, side as u32, |x, y| {
        let i = y as usize * side + x as usize;
        Rgb([pixels[i], pixels[plane + i], pixels[2 * plane + i]])
    })
}

/// The other way: `[height, width, 3]` as `[3, height, width]`.
pub(super) fn planar(interleaved: &[u8]) -> Vec<u8> {
    (0..3).flat_map(|c| interleaved[c..].iter().step_by(3).copied()).collect()
}
