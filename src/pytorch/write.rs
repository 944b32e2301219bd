//! A state dict as `torch.save` writes it, for `torch.load(..., weights_only=True)`.

use std::{
    collections::BTreeMap,
    io::{Cursor, Write},
};

use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::METADATA_ENTRY;
use crate::{
    checkpoint::{Error, stored},
    model::parameter::Arrays,
};

/// The bytes of a `.pt`: a storage for each tensor, and the metadata where PyTorch does not look. With `half` it has
/// about half the size (see [`stored`]).
///
/// # Errors
/// If a value is too large for float16.
pub fn write(arrays: &Arrays, metadata: &BTreeMap<String, String>, half: bool) -> Result<Vec<u8>, Error> {
    let stored = arrays.iter().map(|(name, array)| stored(name, array, half)).collect::<Result<Vec<_>, _>>()?;
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    // As PyTorch does, so that it can map the file into memory.
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).with_alignment(64);
    let mut put = |name: &str, bytes: &[u8]| {
        zip.start_file(format!("archive/{name}"), options).expect("an archive in memory takes any file");
        zip.write_all(bytes).expect("memory takes any bytes");
    };
    put("data.pkl", &pickle(arrays, &stored));
    put("byteorder", b"little");
    put(METADATA_ENTRY, serde_json::json!(metadata).to_string().as_bytes());
    for (number, (bytes, _)) in stored.iter().enumerate() {
        put(&format!("data/{number}"), bytes);
    }
    put("version", b"3\n");
    Ok(zip.finish().expect("an archive in memory can be finished").into_inner())
}

/// A dict of `torch._utils._rebuild_tensor_v2(('storage', type, key, 'cpu', n), 0, shape, strides, False, OrderedDict())`.
fn pickle(arrays: &Arrays, stored: &[(Vec<u8>, bool)]) -> Vec<u8> {
    let mut out = b"\x80\x02}(".to_vec(); // PROTO 2, EMPTY_DICT, MARK
    for (number, ((name, array), (_, half))) in arrays.iter().zip(stored).enumerate() {
        text(&mut out, name);
        out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n(("); // GLOBAL, MARK, MARK
        text(&mut out, "storage");
        let storage = if *half { "HalfStorage" } else { "FloatStorage" };
        out.extend(format!("ctorch\n{storage}\n").bytes());
        text(&mut out, &number.to_string());
        text(&mut out, "cpu");
        int(&mut out, array.values.len());
        out.extend(b"tQ"); // TUPLE, BINPERSID
        int(&mut out, 0);
        ints(&mut out, &array.shape);
        let mut strides = vec![1; array.shape.len()];
        for d in (1..strides.len()).rev() {
            strides[d - 1] = strides[d] * array.shape[d];
        }
        ints(&mut out, &strides);
        // NEWFALSE, an empty OrderedDict by REDUCE, TUPLE, REDUCE
        out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    out.extend(b"u."); // SETITEMS, STOP
    out
}

/// BINUNICODE
fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.bytes());
}

/// BININT, or LONG1 of 8 bytes
fn int(out: &mut Vec<u8>, n: usize) {
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

/// MARK, TUPLE
fn ints(out: &mut Vec<u8>, ns: &[usize]) {
    out.push(b'(');
    ns.iter().for_each(|&n| int(out, n));
    out.push(b't');
}
