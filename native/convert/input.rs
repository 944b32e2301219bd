//! A file's one network under our names, whatever the file is.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use otjr::{
    checkpoint::{Checkpoint, MODEL_PREFIX},
    model::{
        Model,
        names::{self, Error, Mapping, Shapes},
        parameter::Arrays,
    },
    pytorch,
};

/// What a file holds.
pub struct Found {
    /// `file of torch.save`, for one.
    pub format: &'static str,
    /// The keys that lead to its state dict.
    pub path: String,
    pub mapping: Mapping,
    pub arrays: Arrays,
    pub metadata: BTreeMap<String, String>,
    /// Dicts of tensors that are no network.
    pub besides: Vec<String>,
}

pub fn read(bytes: &[u8], key: Option<&str>) -> anyhow::Result<Found> {
    if pytorch::is_pytorch_file(bytes) {
        return torch(bytes, key);
    }
    // Safetensors begin with a length and JSON; a tar archive or a bare pickle is PyTorch's as well.
    let pickled = bytes.get(257..262) == Some(b"ustar") || matches!(bytes.first(), Some(0x80 | b'('));
    if pickled && bytes.get(8) != Some(&b'{') {
        bail!(
            "neither a file that today's torch.save writes nor safetensors: load it in PyTorch and save its state dict"
        );
    }
    if key.is_some() {
        bail!("--key is for files of torch.save with several networks");
    }
    safetensors(bytes)
}

fn torch(bytes: &[u8], key: Option<&str>) -> anyhow::Result<Found> {
    let file = pytorch::PyTorchFile::open(bytes)?;
    let dicts = file.state_dicts();
    let paths = |dicts: &[&pytorch::StateDict]| dicts.iter().map(|d| shown(&d.path)).collect::<Vec<_>>().join(", ");
    let all: Vec<_> = dicts.iter().collect();
    let chosen: Vec<_> = match key {
        Some(key) => dicts.iter().filter(|dict| dict.path == key).collect(),
        // A network of another kind, or an optimizer's state.
        None => dicts.iter().filter(|dict| !matches!(names::map(&dict.shapes), Err(Error::Unknown { .. }))).collect(),
    };
    let dict = match (&chosen[..], key) {
        (_, _) if dicts.is_empty() => bail!("the file holds no tensors under names: it is no state dict"),
        ([dict], _) => *dict,
        ([], Some(key)) => bail!("no tensors under '{key}'; there are some under {}", paths(&all)),
        // The largest says best what the file is.
        ([], None) => dicts.iter().max_by_key(|dict| dict.shapes.len()).expect("there are some"),
        (several, _) => bail!("several networks, under {}: choose one with --key NAME", paths(several)),
    };
    let mapping = names::map(&dict.shapes)?;
    let arrays = flattened(file.read(dict, &mapping.names)?);
    let besides = dicts.iter().filter(|other| other.path != dict.path).map(|other| shown(&other.path)).collect();
    let format = if file.is_legacy() { "file of torch.save before PyTorch 1.6" } else { "file of torch.save" };
    Ok(Found { format, path: dict.path.clone(), mapping, arrays, metadata: file.metadata(), besides })
}

fn shown(path: &str) -> String {
    if path.is_empty() { "the top".to_owned() } else { format!("'{}'", path.escape_debug()) }
}

fn safetensors(bytes: &[u8]) -> anyhow::Result<Found> {
    let file = Checkpoint::from_bytes(bytes)?;
    // Ours say what they are, and may hold what training needs beside the model.
    let ours =
        file.metadata.contains_key("architecture") && file.arrays.keys().any(|name| name.starts_with(MODEL_PREFIX));
    let format = if ours { "checkpoint of ours" } else { "safetensors" };
    let arrays = if ours { file.model_arrays() } else { file.arrays.clone() };
    let shapes: Shapes = arrays.iter().map(|(name, array)| (name.clone(), array.shape.clone())).collect();
    let mapping = names::map(&shapes)?;
    let take = |(theirs, ours): (&String, &String)| Some((ours.clone(), arrays.get(theirs)?.clone()));
    let taken = flattened(mapping.names.iter().filter_map(take).collect());
    let besides: BTreeSet<_> = if ours {
        let rest = file.arrays.keys().filter(|name| !name.starts_with(MODEL_PREFIX));
        rest.map(|name| format!("'{}'", name.split('.').next().unwrap_or_default())).collect()
    } else {
        BTreeSet::new()
    };
    let path = if ours { MODEL_PREFIX.trim_end_matches('.').to_owned() } else { String::new() };
    // Somebody else's metadata would be taken for ours.
    let metadata = if ours { file.metadata } else { BTreeMap::new() };
    Ok(Found { format, path, mapping, arrays: taken, metadata, besides: besides.into_iter().collect() })
}

/// Means and deviations as `[3]`: `[1, 3, 1, 1]` in many codes.
fn flattened(mut arrays: Arrays) -> Arrays {
    for name in [Model::MEAN, Model::STD] {
        if let Some(array) = arrays.get_mut(name) {
            array.shape = vec![array.values.len()];
        }
    }
    arrays
}
