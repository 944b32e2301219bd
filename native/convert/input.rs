//! Reads the network of a file in any supported format, with this project's tensor names.

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

/// The network in a file.
pub struct InputModel {
    /// Name of the format, such as `file of torch.save`.
    pub format: &'static str,
    /// Key of the state dict.
    pub path: String,
    pub mapping: Mapping,
    pub arrays: Arrays,
    pub metadata: BTreeMap<String, String>,
    /// Other parts of the file, which are not converted.
    pub others: Vec<String>,
}

/// Reads a file. `key` selects one of several state dicts.
pub fn read(bytes: &[u8], key: Option<&str>) -> anyhow::Result<InputModel> {
    if pytorch::is_pytorch_file(bytes) {
        return torch(bytes, key);
    }
    // Safetensors start with a length and JSON. Tar archives and plain pickles are older PyTorch formats.
    let pickled = bytes.get(257..262) == Some(b"ustar") || matches!(bytes.first(), Some(0x80 | b'('));
    if pickled && bytes.get(8) != Some(&b'{') {
        bail!("neither safetensors nor a file of a current torch.save: load it in PyTorch and save its state dict");
    }
    if key.is_some() {
        bail!("--key is for files of torch.save with several networks");
    }
    safetensors(bytes)
}

fn torch(bytes: &[u8], key: Option<&str>) -> anyhow::Result<InputModel> {
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
        (several, _) => {
            bail!("the file contains several networks, under {}: choose one with --key NAME", paths(several))
        }
    };
    let mapping = names::map(&dict.shapes)?;
    let arrays = flattened(file.read(dict, &mapping.names)?);
    let others = dicts.iter().filter(|other| other.path != dict.path).map(|other| shown(&other.path)).collect();
    let format = if file.is_legacy() { "file of torch.save before PyTorch 1.6" } else { "file of torch.save" };
    Ok(InputModel { format, path: dict.path.clone(), mapping, arrays, metadata: file.metadata(), others })
}

fn shown(path: &str) -> String {
    if path.is_empty() { "the top".to_owned() } else { format!("'{}'", path.escape_debug()) }
}

fn safetensors(bytes: &[u8]) -> anyhow::Result<InputModel> {
    let file = Checkpoint::from_bytes(bytes)?;
    // This project's checkpoints contain the architecture, and possibly the state of a training run.
    let ours =
        file.metadata.contains_key("architecture") && file.arrays.keys().any(|name| name.starts_with(MODEL_PREFIX));
    let format = if ours { "checkpoint of this project" } else { "safetensors" };
    let arrays = if ours { file.model_arrays() } else { file.arrays.clone() };
    let shapes: Shapes = arrays.iter().map(|(name, array)| (name.clone(), array.shape.clone())).collect();
    let mapping = names::map(&shapes)?;
    let take = |(theirs, ours): (&String, &String)| Some((ours.clone(), arrays.get(theirs)?.clone()));
    let taken = flattened(mapping.names.iter().filter_map(take).collect());
    let others: BTreeSet<_> = if ours {
        let rest = file.arrays.keys().filter(|name| !name.starts_with(MODEL_PREFIX));
        rest.map(|name| format!("'{}'", name.split('.').next().unwrap_or_default())).collect()
    } else {
        BTreeSet::new()
    };
    let path = if ours { MODEL_PREFIX.trim_end_matches('.').to_owned() } else { String::new() };
    // Metadata of other programs could have the same keys with another meaning.
    let metadata = if ours { file.metadata } else { BTreeMap::new() };
    Ok(InputModel { format, path, mapping, arrays: taken, metadata, others: others.into_iter().collect() })
}

/// Reshapes mean and standard deviation to `[3]`. Many code bases store `[1, 3, 1, 1]`.
fn flattened(mut arrays: Arrays) -> Arrays {
    for name in [Model::MEAN, Model::STD] {
        if let Some(array) = arrays.get_mut(name) {
            array.shape = vec![array.values.len()];
        }
    }
    arrays
}
