//! What a pickle's opcodes make: data, and names that stand for data.

use super::element::Element;

/// The number of a value.
pub type ValueId = u32;

/// What a pickle's opcodes make.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    Text(&'a str),
    Int(i64),
    Bool(bool),
    /// A tuple, list or set.
    Sequence(Vec<ValueId>),
    /// A dict, in the order of the file; a later entry replaces an earlier one.
    Dict(Vec<(ValueId, ValueId)>),
    Global(Global),
    Storage(Storage<'a>),
    Tensor(Box<TensorRef<'a>>),
    /// Something that no state dict is made of: a number of some training log, a device's name.
    Other,
}

/// The names that a pickle may mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Element),
    /// Makes things that training code keeps beside a state dict; what it makes is left out.
    Inert,
}

impl Global {
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
            | ("_codecs", "encode") => Self::Inert,
            ("torch", storage) => Self::Storage(Element::of_storage(storage)?),
            _ => return None,
        })
    }
}

/// Numbers that tensors are views of.
#[derive(Clone, Debug, PartialEq)]
pub struct Storage<'a> {
    pub key: &'a str,
    pub element: Element,
    /// How many elements the pickle says it has.
    pub length: usize,
    /// Of a legacy file: where in the storage `key` this one begins.
    pub begin: usize,
}

/// A view of a storage, nothing of which has been looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorRef<'a> {
    pub storage: Storage<'a>,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub stride: Vec<usize>,
}
