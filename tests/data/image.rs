use std::io::Cursor;

use image::{DynamicImage, ImageFormat, LumaA, Rgb, Rgb32FImage, RgbImage, Rgba, RgbaImage};
use otjr::data::crop::Crop;
use otjr::data::image::{DecodedImage, decode_and_crop, encode_png};
use otjr::data::{IMAGE_LEN, IMAGE_SIZE};

use super::assert_refused;

fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Returns the value of plane `c` at `(x, y)`.
fn at(pixels: &[u8], c: usize, x: usize, y: usize) -> u8 {
    pixels[(c * IMAGE_SIZE + y) * IMAGE_SIZE + x]
}

#[track_caller]
fn assert_close(value: u8, expected: u8) {
    assert!(value.abs_diff(expected) <= 3, "{value} is not about {expected}");
}

/// Red, green, blue and white quarters, clockwise from the top left.
fn quarters(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| match (x < width / 2, y < height / 2) {
        (true, true) => Rgb([255, 0, 0]),
        (false, true) => Rgb([0, 255, 0]),
        (false, false) => Rgb([0, 0, 255]),
        (true, false) => Rgb([255, 255, 255]),
    })
}

#[test]
fn an_image_of_the_input_size_is_unchanged() {
    let pixels: Vec<u8> = (0..IMAGE_LEN).map(|i| (i * 7 % 251) as u8).collect();
    let decoded = decode_and_crop(&encode_png(&pixels), "a.png").unwrap();
    assert_eq!(decoded.pixels, pixels);
    assert_eq!((decoded.original_size, decoded.notes), ([32, 32], vec![]));
}

#[test]
fn every_format_is_read() {
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Gif, ImageFormat::WebP] {
        let decoded = decode_and_crop(&encode(quarters(32, 32), format), "any name").unwrap();
        assert_eq!(
            decoded.pixels,
            decode_and_crop(&encode(quarters(32, 32), ImageFormat::Png), "b").unwrap().pixels,
            "{format:?}"
        );
    }
    let jpeg = decode_and_crop(&encode(quarters(32, 32), ImageFormat::Jpeg), "a.jpg").unwrap();
    for (c, value) in [255, 0, 0].into_iter().enumerate() {
        assert_close(at(&jpeg.pixels, c, 4, 4), value);
    }
}

#[test]
fn the_centered_square_is_resized_without_aliasing() {
    // Black margins left and right of a fine checkerboard, whose average is gray.
    let image = RgbImage::from_fn(300, 128, |x, y| match x {
        86..214 => Rgb([if (x + y) % 2 == 0 { 255 } else { 0 }; 3]),
        _ => Rgb([0; 3]),
    });
    let decoded = decode_and_crop(&encode(image, ImageFormat::Png), "wide.png").unwrap();
    assert_eq!(decoded.original_size, [300, 128]);
    assert_eq!(decoded.notes.len(), 2, "{:?}", decoded.notes);
    decoded.pixels.iter().for_each(|&value| assert_close(value, 127));
    // Upscaling.
    let decoded = decode_and_crop(&encode(quarters(2, 2), ImageFormat::Png), "tiny.png").unwrap();
    assert_eq!([0, 1, 2].map(|c| at(&decoded.pixels, c, 31, 0)), [0, 255, 0]);
}

#[test]
fn transparency_is_composited_over_white() {
    let image = RgbaImage::from_fn(32, 32, |x, _| Rgba([200, 100, 0, if x < 16 { 0 } else { 128 }]));
    let decoded = decode_and_crop(&encode(image, ImageFormat::Png), "a.png").unwrap();
    assert_eq!([0, 1, 2].map(|c| at(&decoded.pixels, c, 3, 9)), [255; 3]);
    assert_eq!([0, 1, 2].map(|c| at(&decoded.pixels, c, 20, 9)), [227, 177, 127]);
    assert!(decoded.notes[0].contains("white"));
    // The color of transparent pixels does not affect their neighbors when the image is resized.
    let image = RgbaImage::from_fn(64, 64, |x, _| if x < 33 { Rgba([255, 255, 255, 255]) } else { Rgba([0; 4]) });
    assert!(decode_and_crop(&encode(image, ImageFormat::Png), "a.png").unwrap().pixels.iter().all(|&v| v == 255));
    // No note for an alpha channel without transparency.
    let opaque = RgbaImage::from_pixel(32, 32, Rgba([1, 2, 3, 255]));
    assert_eq!(decode_and_crop(&encode(opaque, ImageFormat::Png), "a.png").unwrap().notes, [""; 0]);
}

#[test]
fn depth_and_gray_are_converted() {
    let deep = Rgb32FImage::from_pixel(32, 32, Rgb([1.0, 0.5, 0.0]));
    let deep = decode_and_crop(&encode(DynamicImage::from(deep).into_rgb16(), ImageFormat::Png), "deep.png").unwrap();
    assert_eq!([0, 1, 2].map(|c| at(&deep.pixels, c, 0, 0)), [255, 128, 0]);
    let gray = image::GrayAlphaImage::from_pixel(32, 32, LumaA([0, 255]));
    assert!(decode_and_crop(&encode(gray, ImageFormat::Png), "gray.png").unwrap().pixels.iter().all(|&v| v == 0));
}

/// Inserts an EXIF segment with the given orientation into a jpeg.
fn rotated(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

#[test]
fn exif_orientation_is_applied() {
    let jpeg = encode(quarters(96, 64), ImageFormat::Jpeg);
    let upright = decode_and_crop(&jpeg, "a.jpg").unwrap();
    assert_close(at(&upright.pixels, 1, 2, 2), 0);
    // Orientation 6 rotates by 90 degrees clockwise: the white bottom left becomes the top left, the red top left the
    // top right.
    let turned = decode_and_crop(&rotated(&jpeg, 6), "a.jpg").unwrap();
    assert_eq!(turned.original_size, [96, 64]);
    assert!(turned.notes.iter().any(|note| note.contains("EXIF")));
    for (x, color) in [(2, [255, 255, 255]), (29, [255, 0, 0])] {
        (0..3).for_each(|c| assert_close(at(&turned.pixels, c, x, 2), color[c]));
    }
    assert_eq!(decode_and_crop(&rotated(&jpeg, 1), "a.jpg").unwrap(), upright);
}

#[test]
fn any_square_can_be_cropped() {
    let quarters = DecodedImage::decode(&encode(quarters(300, 200), ImageFormat::Png), "a.png").unwrap();
    let size = quarters.size();
    assert_eq!(size, [300, 200]);
    for (x, y, color) in [(0, 0, [255, 0, 0]), (160, 10, [0, 255, 0]), (170, 110, [0, 0, 255]), (5, 120, [255; 3])] {
        let seen = quarters.crop(Crop { x, y, side: 64 });
        (0..3).for_each(|c| assert!(seen.pixels[c * 1024..][..1024].iter().all(|v| *v == color[c]), "{x} {y}"));
        assert!(seen.notes[0].contains(&format!("64 × 64 pixels from {x}, {y} on")), "{:?}", seen.notes);
    }
    // A crop of the input size is copied without resizing.
    let noise = RgbImage::from_fn(64, 48, |x, y| Rgb([(x * 37 + y * 91) as u8, (x * y) as u8, (x ^ y) as u8]));
    let exact = DecodedImage::decode(&encode(noise.clone(), ImageFormat::Png), "a.png").unwrap();
    let seen = exact.crop(Crop { x: 20, y: 9, side: 32 });
    for (x, y) in [(0, 0), (31, 0), (7, 31)] {
        let expected = noise.get_pixel(20 + x, 9 + y).0;
        assert_eq!([0, 1, 2].map(|c| at(&seen.pixels, c, x as usize, y as usize)), expected);
    }
    // The default crop is centered, and crops outside the image are moved inside.
    let whole = encode(noise, ImageFormat::Png);
    assert_eq!(exact.crop(Crop::centered([64, 48])), decode_and_crop(&whole, "a.png").unwrap());
    assert_eq!(exact.crop(Crop { x: 900, y: 900, side: 32 }), exact.crop(Crop { x: 32, y: 16, side: 32 }));
}

#[test]
fn crops_use_the_upright_orientation() {
    // Rotated by 90 degrees clockwise, so 64 x 96: white top left, red top right.
    let jpeg = encode(quarters(96, 64), ImageFormat::Jpeg);
    let turned = DecodedImage::decode(&rotated(&jpeg, 6), "a.jpg").unwrap();
    assert_eq!(turned.size(), [64, 96]);
    let corner = turned.crop(Crop { x: 36, y: 2, side: 24 });
    [255, 0, 0].into_iter().enumerate().for_each(|(c, value)| assert_close(at(&corner.pixels, c, 16, 16), value));
}

#[test]
fn previews_are_small() {
    let upright = DecodedImage::decode(&encode(quarters(1000, 250), ImageFormat::Png), "a.png").unwrap();
    let (size, rgb) = upright.preview(640);
    assert_eq!((size, rgb.len()), ([640, 160], 640 * 160 * 3));
    assert_eq!((&rgb[..3], &rgb[3 * 639..3 * 640]), (&[255, 0, 0][..], &[0, 255, 0][..]));
    let (size, rgb) = DecodedImage::decode(&encode(quarters(40, 2), ImageFormat::Png), "a.png").unwrap().preview(640);
    assert_eq!((size, rgb.len()), ([40, 2], 240));
    let line = DecodedImage::decode(&encode(quarters(4000, 2), ImageFormat::Png), "a.png").unwrap();
    assert_eq!(line.preview(640).0, [640, 1]);
}

#[test]
fn squares_stay_in_the_image() {
    let size = [300, 200];
    assert_eq!(Crop::centered(size), Crop { x: 50, y: 0, side: 200 });
    let crop = Crop { x: 100, y: 50, side: 80 };
    assert_eq!(crop.moved_by(size, [-7.4, 3.6]), Crop { x: 93, y: 54, side: 80 });
    assert_eq!(crop.moved_by(size, [-1e9, 1e9]), Crop { x: 0, y: 120, side: 80 });
    assert_eq!(crop.moved_by(size, [f64::NAN, 0.0]), Crop { x: 0, y: 50, side: 80 });
    // The anchor keeps its relative position, here (1/4, 1/2).
    assert_eq!(crop.zoomed(size, 2.0, [120.0, 90.0]), Crop { x: 110, y: 70, side: 40 });
    assert_eq!(crop.zoomed(size, 2.0, crop.center()).zoomed(size, 0.5, crop.center()), crop);
    assert_eq!(crop.zoomed(size, 1e-9, crop.center()).side, 200);
    assert_eq!(crop.zoomed(size, 1e9, crop.center()).side, 8);
    assert_eq!(Crop { x: 9, y: 9, side: 9 }.clamped_to([3, 5]), Crop { x: 0, y: 2, side: 3 });
    // Each zoom step changes the side by at least one pixel.
    assert_eq!(crop.zoomed(size, 1.001, crop.center()).side, 79);
    assert_eq!(crop.zoomed(size, 0.999, crop.center()).side, 81);
}

/// Returns a PNG chunk with its CRC, computed bit by bit as in the specification.
fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [kind, data].concat();
    let crc = !body.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    });
    [&(data.len() as u32).to_be_bytes(), body.as_slice(), &crc.to_be_bytes()].concat()
}

#[test]
fn a_huge_image_is_refused_by_its_header() {
    let size = 12_000u32.to_be_bytes();
    let header = chunk(b"IHDR", &[&size[..], &size, &[8, 2, 0, 0, 0]].concat());
    let png = [b"\x89PNG\r\n\x1a\n".as_slice(), &header, &chunk(b"IDAT", &[])].concat();
    assert_refused(
        decode_and_crop(&png, "big.png"),
        &["big.png", "12000 × 12000", "144 megapixels", "64", "save it smaller"],
    );
}

#[test]
fn other_files_are_rejected() {
    assert_refused(decode_and_crop(b"", "empty.png"), &["empty.png", "empty (0 bytes)"]);
    assert_refused(
        decode_and_crop(b"just some text", "text.png"),
        &["text.png", "is not an image (png, jpeg, gif, webp or bmp)"],
    );
    // TIFF is an image format, but not a supported one.
    assert_refused(decode_and_crop(b"II*\0\x08\0\0\0", "a.tiff"), &["a.tiff", "is not an image"]);
}

#[test]
fn truncated_images_are_rejected() {
    let noise = RgbImage::from_fn(64, 64, |x, y| Rgb([(x * 37 + y * 91) as u8, (x * y) as u8, (x ^ y) as u8]));
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Bmp, ImageFormat::Gif, ImageFormat::WebP] {
        let bytes = encode(noise.clone(), format);
        assert!(decode_and_crop(&bytes, "a").is_ok());
        for keep in [20, bytes.len() / 2, bytes.len() * 9 / 10] {
            assert_refused(decode_and_crop(&bytes[..keep], "a"), &["a: ", "truncated", "again"]);
        }
    }
    // The EXIF thumbnail is a jpeg with its own end marker.
    let jpeg = encode(noise, ImageFormat::Jpeg);
    let thumbnail = [&[0xff, 0xe1, 0, 6], b"\xff\xd9..".as_slice()].concat();
    let cut = [&jpeg[..2], &thumbnail, &jpeg[2..jpeg.len() / 2]].concat();
    assert_refused(decode_and_crop(&cut, "a"), &["truncated"]);
}
