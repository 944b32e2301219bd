//! NumPy `.npz` archives with images and labels, the format of published sets of generated CIFAR images (Gowal et al.,
//! 2021, arXiv:2110.09468; Wang et al., 2023, arXiv:2302.04638).
//!
//! The members are `image.npy`, bytes `[N, 32, 32, 3]`, and `label.npy`, integers `[N]`.

use std::io::{Read, Seek};

use zip::ZipArchive;

use super::{Error, IMAGE_LEN, IMAGE_SIZE, ImageSet, format_error};

const IMAGE: &str = "image.npy";
const LABEL: &str = "label.npy";
/// Largest number of images: 6 GB, or 1 GB with 32-bit addresses.
const MAX_IMAGES: usize = if usize::BITS > 32 { 2_000_000 } else { 300_000 };

/// Reads the images. The class names are the label numbers.
///
/// # Errors
/// If the file is not a zip, or if a member is missing, damaged, or has an unexpected element type or shape.
pub fn read(name: &str, file: impl Read + Seek) -> Result<ImageSet, Error> {
    let mut zip = ZipArchive::new(file)
        .map_err(|e| format_error(name, format!("is not an .npz file, or is damaged or truncated ({e})")))?;
    let images = read_array(name, &mut zip, IMAGE, &["|u1"])?;
    let [n @ 1..=MAX_IMAGES, IMAGE_SIZE, IMAGE_SIZE, 3] = images.shape[..] else {
        let problem = format!(
            "has shape {:?}, not [N, {IMAGE_SIZE}, {IMAGE_SIZE}, 3] with N from 1 to {MAX_IMAGES}",
            images.shape
        );
        return Err(format_error(&format!("{name}/{IMAGE}"), problem));
    };
    let mut pixels = images.bytes;
    // In place, because a second copy might not fit into memory.
    for image in pixels.chunks_exact_mut(IMAGE_LEN) {
        let channels_last = image.to_vec();
        for (i, value) in image.iter_mut().enumerate() {
            *value = channels_last[i % (IMAGE_SIZE * IMAGE_SIZE) * 3 + i / (IMAGE_SIZE * IMAGE_SIZE)];
        }
    }
    let labels = read_array(name, &mut zip, LABEL, &["|u1", "<i4", "<i8"])?;
    let label_path = format!("{name}/{LABEL}");
    if labels.shape != [n] {
        return Err(format_error(&label_path, format!("has shape {:?}, but there are {n} images", labels.shape)));
    }
    let label_bytes = labels.bytes.chunks_exact(labels.bytes.len() / n);
    let labels: Vec<u16> = label_bytes.map(parse_label).collect::<Option<_>>().ok_or_else(|| {
        format_error(&label_path, format!("has labels below 0 or above {}, which are not supported", u16::MAX))
    })?;
    let class_count = labels.iter().max().map_or(0, |&label| usize::from(label) + 1);
    Ok(ImageSet { pixels, labels, classes: (0..class_count).map(|class| class.to_string()).collect() })
}

/// Parses a little-endian integer of 1 to 8 bytes; `None` if it is negative or exceeds 16 bits.
fn parse_label(bytes: &[u8]) -> Option<u16> {
    let mut padded = [0; 8];
    padded[..bytes.len()].copy_from_slice(bytes);
    u16::try_from(u64::from_le_bytes(padded)).ok()
}

/// A NumPy array in C order.
struct NpyArray {
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// Reads a member of the archive, an array with one of the element types `dtypes`.
fn read_array(
    name: &str,
    zip: &mut ZipArchive<impl Read + Seek>,
    member: &str,
    dtypes: &[&str],
) -> Result<NpyArray, Error> {
    let path = format!("{name}/{member}");
    let invalid = |problem: &str| format_error(&path, format!("{problem}: write it again with numpy.savez"));
    let mut file = zip.by_name(member).map_err(|e| invalid(&e.to_string()))?;
    let mut magic = [0; 10];
    file.read_exact(&mut magic).map_err(|e| invalid(&e.to_string()))?;
    let header_len = usize::from(u16::from_le_bytes([magic[8], magic[9]]));
    if !magic.starts_with(b"\x93NUMPY\x01") {
        return Err(invalid("is not a NumPy array"));
    }
    let mut header = vec![0; header_len];
    file.read_exact(&mut header).map_err(|e| invalid(&e.to_string()))?;
    let header = String::from_utf8_lossy(&header).replace(' ', "");
    let Some((dtype, shape)) = parse_header(&header, dtypes) else {
        let expected = dtypes.join(" or ");
        return Err(format_error(&path, format!("is not an array of {expected} in C order; its header is {header}")));
    };
    let element_size = usize::from(dtype.as_bytes()[2] - b'0');
    let count = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    let count = count
        .filter(|count| *count <= MAX_IMAGES * IMAGE_LEN)
        .ok_or_else(|| invalid(&format!("has more than {MAX_IMAGES} images")))?;
    let mut bytes = Vec::new();
    file.take((count * element_size) as u64).read_to_end(&mut bytes).map_err(|e| invalid(&e.to_string()))?;
    if bytes.len() < count * element_size { Err(invalid("is truncated")) } else { Ok(NpyArray { shape, bytes }) }
}

/// Returns element type and shape from the header (a Python dict without spaces); `None` if they are not supported.
fn parse_header<'a>(header: &'a str, dtypes: &[&str]) -> Option<(&'a str, Vec<usize>)> {
    let between = |start: &str, end: &str| Some(header.split_once(start)?.1.split_once(end)?.0);
    let dtype = between("'descr':'", "'")?;
    let sizes = between("'shape':(", ")")?.split(',').filter(|size| !size.is_empty());
    let shape = sizes.map(|size| size.parse().ok()).collect::<Option<_>>()?;
    let supported = dtypes.contains(&dtype) && header.contains("'fortran_order':False");
    supported.then_some((dtype, shape))
}
