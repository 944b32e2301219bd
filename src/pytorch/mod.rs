//! Files of `torch.save`: reading state dicts without executing any code, and writing them for `torch.load`.

mod call;
mod container;
mod element;
mod pickle;
mod value;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::parameter::{Array, Arrays};
use container::Container;
use pickle::Pickle;
use value::{TensorRef, Value, ValueId};

pub use container::is_pytorch_file;
pub use write::write;

/// An error in a file of `torch.save`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The pickle refers to a Python name that a state dict does not need.
    #[error(
        "the file wants to run {0}: refused, and no code of the file was run. A state dict does not need it; if this is a whole model or a training log, save only model.state_dict() in PyTorch"
    )]
    ForbiddenGlobal(String),
    /// The pickle has an opcode that state dicts do not use.
    #[error("the pickle in the file uses opcode {0:#04x}, which torch.save never writes for a state dict: refused")]
    UnsupportedOpcode(u8),
    /// The file is truncated or inconsistent.
    #[error("not a complete file of torch.save: {0}. If you downloaded or copied it, do so again")]
    Damaged(String),
    /// The numbers are in big-endian order.
    #[error("the file was written on a big-endian machine: load and save it with PyTorch on a little-endian one")]
    BigEndian,
    /// A tensor refers to elements that the file does not have.
    #[error("tensor '{0}' is not within its storage: the file is damaged")]
    OutsideStorage(String),
    /// Tensors repeat elements of their storages too often.
    #[error("the tensors of the file have many more numbers than the file has bytes (at '{0}'): refused")]
    TooLarge(String),
}

/// Name of the archive entry with our metadata. PyTorch calls such entries extra files and ignores them.
const METADATA_ENTRY: &str = "extra/otjr";
/// Largest nesting depth at which state dicts are searched.
const MAX_DEPTH: usize = 8;
/// Longest key that is considered. A pickle can repeat a longer key many times at no cost.
const MAX_KEY_LEN: usize = 200;

/// A file of `torch.save`.
pub struct PyTorchFile<'a> {
    container: Container<'a>,
    /// Size of the file in bytes.
    length: usize,
    state_dicts: Vec<StateDict>,
}

/// One dict of tensors in a file.
#[derive(Debug)]
pub struct StateDict {
    /// The keys that lead to it, such as `state_dict` or `model.ema`; empty for the root.
    pub path: String,
    /// The shapes of its tensors by name.
    pub shapes: BTreeMap<String, Vec<usize>>,
    ids: BTreeMap<String, ValueId>,
}

impl<'a> PyTorchFile<'a> {
    /// Reads the structure of a file. The tensors are not read yet.
    ///
    /// # Errors
    /// If the file is damaged, or its pickle is not that of a state dict.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Error> {
        let container = Container::open(bytes)?;
        let state_dicts = find_state_dicts(&container.pickle);
        Ok(Self { container, length: bytes.len(), state_dicts })
    }

    /// Returns all dicts that contain tensors.
    pub fn state_dicts(&self) -> &[StateDict] {
        &self.state_dicts
    }

    /// Returns whether the file has the format of PyTorch before version 1.6.
    pub fn is_legacy(&self) -> bool {
        self.container.is_legacy
    }

    /// Returns the metadata that [`write()`] has added; empty for files of other programs.
    pub fn metadata(&self) -> BTreeMap<String, String> {
        self.container.metadata.and_then(|json| serde_json::from_slice(json).ok()).unwrap_or_default()
    }

    /// Reads tensors as float32. `names` maps their names in the file to the names of the result.
    ///
    /// # Errors
    /// If a tensor does not exist or is not within its storage, or if the tensors are too large for the file.
    pub fn read(&self, state_dict: &StateDict, names: &BTreeMap<String, String>) -> Result<Arrays, Error> {
        // Tensors may share a storage, and an expanded tensor repeats it, so the limit is above the size of the file.
        let mut remaining_values = self.length.saturating_mul(2);
        let mut arrays = Arrays::new();
        for (name, new_name) in names {
            let id = state_dict.ids.get(name).ok_or_else(|| Error::OutsideStorage(name.clone()))?;
            let Value::Tensor(tensor) = self.container.pickle.value(*id) else {
                return Err(Error::OutsideStorage(name.clone()));
            };
            let array = self.array(name, tensor, &mut remaining_values)?;
            arrays.insert(new_name.clone(), array);
        }
        Ok(arrays)
    }

    /// Reads one tensor, and subtracts its number of values from `remaining_values`.
    fn array(&self, name: &str, tensor: &TensorRef, remaining_values: &mut usize) -> Result<Array, Error> {
        let TensorRef { storage, offset, shape, stride } = tensor;
        let outside = || Error::OutsideStorage(name.to_owned());
        let element = storage.element;
        let bytes = *self.container.storages.get(storage.key).ok_or_else(outside)?;
        // Restrict the storage to the part that the pickle declares.
        let start = storage.start.checked_mul(element.size()).ok_or_else(outside)?;
        let length = storage.length.checked_mul(element.size()).ok_or_else(outside)?;
        let bytes = bytes.get(start..).and_then(|bytes| bytes.get(..length)).ok_or_else(outside)?;
        if shape.len() != stride.len() {
            return Err(outside());
        }
        let count = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size)).ok_or_else(outside)?;
        if count == 0 {
            return Ok(Array { shape: shape.clone(), values: vec![] });
        }
        let last_index = shape
            .iter()
            .zip(stride)
            .try_fold(*offset, |index, (&size, &stride)| index.checked_add((size - 1).checked_mul(stride)?));
        if last_index.is_none_or(|last| last >= storage.length) {
            return Err(outside());
        }
        *remaining_values = remaining_values.checked_sub(count).ok_or_else(|| Error::TooLarge(name.to_owned()))?;
        let mut values = Vec::with_capacity(count);
        let mut indices = vec![0; shape.len()];
        let mut position = *offset;
        for _ in 0..count {
            values.push(element.read(bytes, position));
            // Advance to the next index in row-major order.
            for d in (0..shape.len()).rev() {
                indices[d] += 1;
                // Wrapping, because the stride of a dimension of size 1 can be any number.
                position = position.wrapping_add(stride[d]);
                if indices[d] < shape[d] {
                    break;
                }
                position = position.wrapping_sub(stride[d].wrapping_mul(shape[d]));
                indices[d] = 0;
            }
        }
        Ok(Array { shape: shape.clone(), values })
    }
}

/// Returns every dict that contains a tensor. Dicts that the pickle refers to several times, or cyclically, are visited
/// once.
fn find_state_dicts(pickle: &Pickle) -> Vec<StateDict> {
    let mut found = Vec::new();
    let mut visited = BTreeSet::new();
    let mut pending = vec![(String::new(), 0, pickle.root)];
    while let Some((path, depth, id)) = pending.pop() {
        if depth > MAX_DEPTH || !visited.insert(id) {
            continue;
        }
        let mut state_dict = StateDict { path: path.clone(), shapes: BTreeMap::new(), ids: BTreeMap::new() };
        let mut nested = Vec::new();
        for (key, id) in text_entries(pickle, id) {
            match pickle.value(id) {
                Value::Tensor(tensor) => {
                    state_dict.shapes.insert(key.to_owned(), tensor.shape.clone());
                    state_dict.ids.insert(key.to_owned(), id);
                }
                Value::Dict(_) => {
                    let nested_path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                    nested.push((nested_path, depth + 1, id));
                }
                _ => {}
            }
        }
        if !state_dict.ids.is_empty() {
            found.push(state_dict);
        }
        // Reversed, so that `pop` visits them in the order of the file.
        pending.extend(nested.into_iter().rev());
    }
    found
}

/// Returns the entries of a dict whose keys are text of moderate length; nothing for other values.
fn text_entries<'a>(pickle: &Pickle<'a>, id: ValueId) -> Vec<(&'a str, ValueId)> {
    let Value::Dict(entries) = pickle.value(id) else { return vec![] };
    let text_key = |&(key, value): &(ValueId, ValueId)| match pickle.value(key) {
        Value::Text(key) if key.len() <= MAX_KEY_LEN => Some((*key, value)),
        _ => None,
    };
    entries.iter().filter_map(text_key).collect()
}
