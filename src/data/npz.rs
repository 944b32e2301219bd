//! NumPy's `.npz` with images and labels, as sets of generated CIFAR images are given away (Gowal et al., 2021; Wang et
//! al., 2023): members `image.npy`, bytes `[N, 32, 32, 3]`, and `label.npy`, whole numbers `[N]`.

use std::io::{Read, Seek};

use zip::ZipArchive;

use super::{Error, IMAGE_LEN, IMAGE_SIZE, ImageSet, refuse};

const IMAGE: &str = "image.npy";
const LABEL: &str = "label.npy";
/// Images that fit into memory along with the rest: 6 GB of them, 1 GB where addresses have 32 bits.
const MAX_IMAGES: usize = if usize::BITS > 32 { 2_000_000 } else { 300_000 };

/// Reads the images; classes are called by their numbers.
///
/// # Errors
/// If it is no zip, or a member is missing, damaged, or of another type or shape.
pub fn read(name: &str, file: impl Read + Seek) -> Result<ImageSet, Error> {
    let zip =
        &mut ZipArchive::new(file).map_err(|e| refuse(name, format!("is no .npz, damaged or cut short ({e})")))?;
    let (shape, mut pixels) = member(name, zip, IMAGE, &["|u1"])?;
    let [n @ 1..=MAX_IMAGES, IMAGE_SIZE, IMAGE_SIZE, 3] = shape[..] else {
        let problem =
            format!("has shape {shape:?}, not [N, {IMAGE_SIZE}, {IMAGE_SIZE}, 3] with N from 1 to {MAX_IMAGES}");
        return Err(refuse(&format!("{name}/{IMAGE}"), problem));
    };
    // Channels first, in place: there is no room for a second copy.
    for image in pixels.chunks_exact_mut(IMAGE_LEN) {
        let channels_last = image.to_vec();
        for (i, value) in image.iter_mut().enumerate() {
            *value = channels_last[i % (IMAGE_SIZE * IMAGE_SIZE) * 3 + i / (IMAGE_SIZE * IMAGE_SIZE)];
        }
    }
    let (shape, bytes) = member(name, zip, LABEL, &["|u1", "<i4", "<i8"])?;
    if shape != [n] {
        return Err(refuse(&format!("{name}/{LABEL}"), format!("has shape {shape:?}, but there are {n} images")));
    }
    let wide = bytes.chunks_exact(bytes.len() / n);
    let label = |bytes: &[u8]| {
        let mut wide = [0; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        u16::try_from(u64::from_le_bytes(wide))
    };
    let labels: Result<Vec<u16>, _> = wide.map(label).collect();
    let labels = labels.map_err(|_| {
        refuse(&format!("{name}/{LABEL}"), format!("has labels below 0 or above {}: no classes have them", u16::MAX))
    })?;
    let classes = labels.iter().max().map_or(0, |&label| usize::from(label) + 1);
    Ok(ImageSet { pixels, labels, classes: (0..classes).map(|class| class.to_string()).collect() })
}

/// Shape and bytes of a member that is an array of one of the `types`.
fn member(
    name: &str,
    zip: &mut ZipArchive<impl Read + Seek>,
    member: &str,
    types: &[&str],
) -> Result<(Vec<usize>, Vec<u8>), Error> {
    let path = format!("{name}/{member}");
    let bad = |problem: &str| refuse(&path, format!("{problem}: write it again with numpy.savez"));
    let mut file = zip.by_name(member).map_err(|e| bad(&e.to_string()))?;
    let mut start = [0; 10];
    file.read_exact(&mut start).map_err(|e| bad(&e.to_string()))?;
    let length = usize::from(u16::from_le_bytes([start[8], start[9]]));
    if !start.starts_with(b"\x93NUMPY\x01") {
        return Err(bad("is no array"));
    }
    let mut header = vec![0; length];
    file.read_exact(&mut header).map_err(|e| bad(&e.to_string()))?;
    let header = String::from_utf8_lossy(&header).replace(' ', "");
    let between = |from: &str, to: &str| Some(header.split_once(from)?.1.split_once(to)?.0.to_owned());
    let of_type = between("'descr':'", "'").filter(|t| types.contains(&t.as_str()));
    let shape = between("'shape':(", ")").map(|s| s.split(',').filter(|s| !s.is_empty()).map(str::parse).collect());
    let (Some(of_type), Some(Ok(shape)), true) = (of_type, shape, header.contains("'fortran_order':False")) else {
        return Err(refuse(&path, format!("is no array of {} in C order, but {header}", types.join(" or "))));
    };
    let shape: Vec<usize> = shape;
    let width = usize::from(of_type.as_bytes()[2] - b'0');
    let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|n| *n <= MAX_IMAGES * IMAGE_LEN);
    let count = count.ok_or_else(|| bad(&format!("has more than {MAX_IMAGES} images")))?;
    let mut bytes = Vec::new();
    file.take((count * width) as u64).read_to_end(&mut bytes).map_err(|e| bad(&e.to_string()))?;
    if bytes.len() < count * width { Err(bad("is cut short")) } else { Ok((shape, bytes)) }
}
