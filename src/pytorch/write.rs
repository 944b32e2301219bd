//! Writes state dicts in the format of `torch.save`, for `torch.load(..., weights_only=True)`.

use std::{
    collections::BTreeMap,
    io::{Cursor, Write},
};

use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::METADATA_ENTRY;
use crate::{
    checkpoint::{EncodedArray, Error, encode_array},
    model::parameter::Arrays,
};

/// Returns the bytes of a `.pt` file with one storage per tensor and the metadata in an extra file that PyTorch
/// ignores.
///
/// With `half`, weights are stored as float16 (see [`encode_array`]), which about halves the size.
///
/// # Errors
/// If `half` is set and a weight is outside the range of float16.
///
/// # Panics
/// If the archive would have 4 GiB or more.
pub fn write(arrays: &Arrays, metadata: &BTreeMap<String, String>, half: bool) -> Result<Vec<u8>, Error> {
    let mut encoded = Vec::with_capacity(arrays.len());
    for (name, array) in arrays {
        encoded.push(encode_array(name, array, half)?);
    }
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    // Uncompressed and aligned as by PyTorch, so that it can map the file into memory.
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).with_alignment(64);
    let mut add_entry = |name: &str, bytes: &[u8]| {
        zip.start_file(format!("archive/{name}"), options).expect("an archive in memory accepts any entry");
        zip.write_all(bytes).expect("writing to memory does not fail");
    };
    add_entry("data.pkl", &pickle(arrays, &encoded));
    add_entry("byteorder", b"little");
    add_entry(METADATA_ENTRY, serde_json::json!(metadata).to_string().as_bytes());
    for (number, array) in encoded.iter().enumerate() {
        add_entry(&format!("data/{number}"), &array.bytes);
    }
    add_entry("version", b"3\n");
    Ok(zip.finish().expect("an archive in memory can be finished").into_inner())
}

/// Writes a dict whose values are
/// `torch._utils._rebuild_tensor_v2(('storage', type, key, 'cpu', n), 0, shape, strides, False, OrderedDict())`.
fn pickle(arrays: &Arrays, encoded: &[EncodedArray]) -> Vec<u8> {
    let mut out = b"\x80\x02}(".to_vec(); // PROTO 2, EMPTY_DICT, MARK
    for (number, ((name, array), encoded)) in arrays.iter().zip(encoded).enumerate() {
        push_text(&mut out, name);
        out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n(("); // GLOBAL, MARK, MARK
        push_text(&mut out, "storage");
        let storage = if encoded.is_half { "HalfStorage" } else { "FloatStorage" };
        out.extend(format!("ctorch\n{storage}\n").bytes());
        push_text(&mut out, &number.to_string());
        push_text(&mut out, "cpu");
        push_int(&mut out, array.values.len());
        out.extend(b"tQ"); // TUPLE, BINPERSID
        push_int(&mut out, 0);
        push_tuple(&mut out, &array.shape);
        let mut strides = vec![1; array.shape.len()];
        for d in (1..strides.len()).rev() {
            strides[d - 1] = strides[d] * array.shape[d];
        }
        push_tuple(&mut out, &strides);
        // NEWFALSE, an empty OrderedDict by REDUCE, TUPLE, REDUCE
        out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    out.extend(b"u."); // SETITEMS, STOP
    out
}

/// Writes BINUNICODE.
fn push_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.bytes());
}

/// Writes BININT, or LONG1 with 8 bytes if the integer does not fit into 32 bits.
fn push_int(out: &mut Vec<u8>, n: usize) {
    match i32::try_from(n) {
        Ok(n) => {
            out.push(b'J');
            out.extend(n.to_le_bytes());
        }
        Err(_) => {
            out.extend(b"\x8a\x08");
            out.extend((n as u64).to_le_bytes());
        }
    }
}

/// Writes a tuple of integers: MARK, the integers, TUPLE.
fn push_tuple(out: &mut Vec<u8>, integers: &[usize]) {
    out.push(b'(');
    for &n in integers {
        push_int(out, n);
    }
    out.push(b't');
}
