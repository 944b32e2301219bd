//! The values of a decoded pickle.

use super::element::Element;

/// The index of a value in [`super::pickle::Pickle`].
pub type ValueId = u32;

/// A value of a decoded pickle. Containers refer to their items by index.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    Text(&'a str),
    Int(i64),
    Bool(bool),
    /// A tuple, list or set.
    Sequence(Vec<ValueId>),
    /// A dict in the order of the file. A later entry replaces an earlier one with the same key.
    Dict(Vec<(ValueId, ValueId)>),
    Global(Global),
    Storage(Storage<'a>),
    Tensor(Box<TensorRef<'a>>),
    /// A value that is not part of a state dict, such as a number of a training log or the name of a device.
    Other,
}

/// The Python names that a pickle may refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Element),
    /// Used by training code for values next to a state dict; the result of a call is ignored.
    Ignored,
}

impl Global {
    /// Returns `None` for a name that is not allowed.
    pub fn lookup(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "device" | "Size" | "float16" | "bfloat16" | "float32" | "float64" | "int64")
            | ("argparse", "Namespace")
            | ("collections", "Counter")
            | ("builtins" | "__builtin__", "set")
            | ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar")
            | ("numpy", "dtype")
            | ("_codecs", "encode") => Self::Ignored,
            ("torch", storage) => Self::Storage(Element::from_storage_class(storage)?),
            _ => return None,
        })
    }
}

/// A storage, which tensors are views of.
#[derive(Clone, Debug, PartialEq)]
pub struct Storage<'a> {
    pub key: &'a str,
    pub element: Element,
    /// Number of elements according to the pickle. It has not been compared with the file.
    pub length: usize,
    /// Offset of the first element in the storage `key`; 0 except in legacy files.
    pub start: usize,
}

/// A tensor as a view of a storage. Its indices have not been checked.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorRef<'a> {
    pub storage: Storage<'a>,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub stride: Vec<usize>,
}
