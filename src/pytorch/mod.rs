//! Files of `torch.save`: state dicts read without running anything that they say, and written for `torch.load`.

mod call;
mod container;
mod element;
mod pickle;
mod value;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::parameter::{Array, Arrays};
use container::Container;
use value::{TensorRef, Value, ValueId};

pub use container::is_pytorch_file;
pub use write::write;

/// What is wrong with a file of PyTorch's.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "the file wants to run {0}: refused, and nothing of it was run. A state dict needs no such thing; if it is a whole model or a log, save only model.state_dict() in PyTorch"
    )]
    ForbiddenGlobal(String),
    #[error("the pickle in the file uses opcode {0:#04x}, which torch.save never writes for a state dict: refused")]
    UnsupportedOpcode(u8),
    #[error("not a complete file of torch.save: {0}. If it was downloaded or copied, fetch it again")]
    Damaged(String),
    #[error("the file was written on a big-endian unpickler: load and save it with PyTorch on a usual one")]
    BigEndian,
    #[error("tensor '{0}' is not within its storage: the file is damaged")]
    OutsideStorage(String),
    #[error("the tensors of the file repeat themselves to far more numbers than it has bytes ('{0}'): refused")]
    TooLarge(String),
}

/// Where our metadata lie in the archive, beside the state dict; PyTorch calls such entries extra files.
const METADATA_ENTRY: &str = "extra/otjr";
/// Dicts in dicts, beyond which no state dict is looked for.
const DEEPEST: usize = 8;
/// The longest key that is looked at: a pickle can repeat one as often as it likes.
const LONGEST_KEY: usize = 200;

/// The dicts of tensors that a file holds.
pub struct PyTorchFile<'a> {
    container: Container<'a>,
    /// How many bytes the file has.
    length: usize,
    dicts: Vec<StateDict>,
}

/// One dict of tensors.
#[derive(Debug)]
pub struct StateDict {
    /// The keys that lead to it, as `state_dict` or `model.ema`; empty for the whole.
    pub path: String,
    /// Its tensors' shapes.
    pub shapes: BTreeMap<String, Vec<usize>>,
    ids: BTreeMap<String, ValueId>,
}

impl<'a> PyTorchFile<'a> {
    /// Looks at a file's structure; no tensor is read yet.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Error> {
        let container = Container::open(bytes)?;
        let dicts = dicts(&container);
        Ok(Self { container, length: bytes.len(), dicts })
    }

    pub fn dicts(&self) -> &[StateDict] {
        &self.dicts
    }

    pub fn is_legacy(&self) -> bool {
        self.container.legacy
    }

    /// The metadata that [`write()`] has put beside the state dict.
    pub fn metadata(&self) -> BTreeMap<String, String> {
        self.container.note.and_then(|note| serde_json::from_slice(note).ok()).unwrap_or_default()
    }

    /// Reads tensors of a dict, each under the name that it is to have.
    pub fn read(&self, dict: &StateDict, names: &BTreeMap<String, String>) -> Result<Arrays, Error> {
        // Tensors may share a storage and an expanded one repeats it, but not endlessly: it is a file of weights.
        let mut left = self.length.saturating_mul(2);
        let read = |(from, to): (&String, &String)| {
            let id = dict.ids.get(from).ok_or_else(|| Error::OutsideStorage(from.clone()))?;
            let Value::Tensor(tensor) = self.container.pickle.value(*id) else {
                return Err(Error::OutsideStorage(from.clone()));
            };
            Ok((to.clone(), self.array(from, tensor, &mut left)?))
        };
        names.iter().map(read).collect()
    }

    fn array(&self, name: &str, tensor: &TensorRef, left: &mut usize) -> Result<Array, Error> {
        let TensorRef { storage, offset, shape, stride } = tensor;
        let outside = || Error::OutsideStorage(name.to_owned());
        let element = storage.element;
        let bytes = *self.container.storages.get(storage.key).ok_or_else(outside)?;
        // The storage, as far as both pickle and file have it.
        let begin = storage.begin.checked_mul(element.size()).ok_or_else(outside)?;
        let length = storage.length.checked_mul(element.size()).ok_or_else(outside)?;
        let bytes = bytes.get(begin..).and_then(|bytes| bytes.get(..length)).ok_or_else(outside)?;
        if shape.len() != stride.len() {
            return Err(outside());
        }
        let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).ok_or_else(outside)?;
        if count == 0 {
            return Ok(Array { shape: shape.clone(), values: vec![] });
        }
        let last = shape.iter().zip(stride).try_fold(*offset, |at, (&d, &s)| at.checked_add((d - 1).checked_mul(s)?));
        if last.is_none_or(|last| last >= storage.length) {
            return Err(outside());
        }
        *left = left.checked_sub(count).ok_or_else(|| Error::TooLarge(name.to_owned()))?;
        let mut values = Vec::with_capacity(count);
        let mut index = vec![0; shape.len()];
        let mut at = *offset;
        for _ in 0..count {
            values.push(element.read(bytes, at));
            // The next index in row-major order.
            for d in (0..shape.len()).rev() {
                index[d] += 1;
                // Where there is but one index the stride may be anything.
                at = at.wrapping_add(stride[d]);
                if index[d] < shape[d] {
                    break;
                }
                at = at.wrapping_sub(stride[d].wrapping_mul(shape[d]));
                index[d] = 0;
            }
        }
        Ok(Array { shape: shape.clone(), values })
    }
}

/// Every dict that holds a tensor, each once, however often and in whatever circles the file refers to it.
fn dicts(container: &Container) -> Vec<StateDict> {
    let pickle = &container.pickle;
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let mut ahead = vec![(String::new(), 0, pickle.root)];
    while let Some((path, depth, id)) = ahead.pop() {
        if depth > DEEPEST || !seen.insert(id) {
            continue;
        }
        let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        let children: Vec<(&str, ValueId)> = match pickle.value(id) {
            Value::Dict(entries) => {
                let text = |&(key, value): &(ValueId, ValueId)| match pickle.value(key) {
                    Value::Text(key) if key.len() <= LONGEST_KEY => Some((*key, value)),
                    _ => None,
                };
                entries.iter().filter_map(text).collect()
            }
            _ => vec![],
        };
        let mut dict = StateDict { path: path.clone(), shapes: BTreeMap::new(), ids: BTreeMap::new() };
        for &(key, id) in &children {
            if let Value::Tensor(tensor) = pickle.value(id) {
                dict.shapes.insert(key.to_owned(), tensor.shape.clone());
                dict.ids.insert(key.to_owned(), id);
            }
        }
        if !dict.ids.is_empty() {
            found.push(dict);
        }
        let inner = |&(key, id): &(&str, ValueId)| {
            matches!(pickle.value(id), Value::Dict(_)).then(|| (below(key), depth + 1, id))
        };
        ahead.extend(children.iter().rev().filter_map(inner));
    }
    found
}
