//! What calls stand for. None is made.

use super::{
    Error,
    pickle::{Unpickler, damaged},
    value::{Global, Storage, TensorRef, Value, ValueId},
};

/// Of a tensor; convolutions have four.
const MOST_DIMENSIONS: usize = 8;

impl<'a> Unpickler<'a> {
    /// How many items the first of a call's arguments has.
    pub(super) fn first_items(&self, arguments: ValueId) -> usize {
        match self.value(arguments) {
            Value::Sequence(ids) => ids.first().map_or(0, |&first| match self.value(first) {
                Value::Sequence(items) => items.len(),
                _ => 0,
            }),
            _ => 0,
        }
    }

    /// The value that Python would get by calling a global.
    pub(super) fn call(&self, callable: ValueId, arguments: ValueId) -> Result<Value<'a>, Error> {
        let (Value::Global(global), Value::Sequence(arguments)) = (self.value(callable), self.value(arguments)) else {
            return damaged("something is called that is no function");
        };
        let argument = |i: usize| arguments.get(i).map(|&id| self.value(id));
        match global {
            Global::Inert => Ok(Value::Other),
            // Old versions of Python hand the items over at once.
            Global::OrderedDict => {
                let pair = |&id: &ValueId| match self.value(id) {
                    Value::Sequence(pair) if pair.len() == 2 => Some((pair[0], pair[1])),
                    _ => None,
                };
                match argument(0) {
                    None => Ok(Value::Dict(vec![])),
                    Some(Value::Sequence(items)) => match items.iter().map(pair).collect() {
                        Some(entries) => Ok(Value::Dict(entries)),
                        None => damaged("a dict's items are no pairs"),
                    },
                    Some(_) => damaged("a dict is made of something that is no list"),
                }
            }
            Global::RebuildParameter => match argument(0) {
                Some(tensor @ Value::Tensor(_)) => Ok(tensor.clone()),
                _ => damaged("a parameter holds no tensor"),
            },
            Global::RebuildTensor => {
                let (Some(Value::Storage(storage)), Some(offset), Some(shape), Some(stride)) =
                    (argument(0), argument(1), argument(2), argument(3))
                else {
                    return damaged("a tensor lacks its storage, offset, shape or strides");
                };
                let storage = storage.clone();
                let (shape, stride) = (self.sizes(shape)?, self.sizes(stride)?);
                Ok(Value::Tensor(Box::new(TensorRef { storage, offset: size(offset)?, shape, stride })))
            }
            Global::Storage(_) => damaged("a storage lies in the pickle itself"),
        }
    }

    /// `('storage', type, key, device, length)`, in legacy files also `(key of the view, its begin, its length)` or None.
    pub(super) fn storage(&self, id: ValueId) -> Result<Storage<'a>, Error> {
        let Value::Sequence(fields) = self.value(id) else { return damaged("a storage's name is no tuple") };
        let fields: Vec<_> = fields.iter().map(|&id| self.value(id)).collect();
        match fields[..] {
            [
                Value::Text("storage"),
                Value::Global(Global::Storage(element)),
                Value::Text(key),
                _,
                length,
                ref view @ ..,
            ] => {
                let (begin, length) = match view {
                    [Value::Sequence(view)] if view.len() == 3 => {
                        (size(self.value(view[1]))?, size(self.value(view[2]))?)
                    }
                    _ => (0, size(length)?),
                };
                Ok(Storage { key, element: *element, length, begin })
            }
            _ => damaged("a storage is named in an unknown way"),
        }
    }

    fn sizes(&self, value: &Value) -> Result<Vec<usize>, Error> {
        let Value::Sequence(ids) = value else { return damaged("a shape is no tuple") };
        if ids.len() > MOST_DIMENSIONS {
            return damaged("a tensor has more than 8 dimensions");
        }
        ids.iter().map(|&id| size(self.value(id))).collect()
    }
}

fn size(value: &Value) -> Result<usize, Error> {
    match value {
        Value::Int(n) if *n >= 0 => usize::try_from(*n).or_else(|_| damaged("a size is too large")),
        _ => damaged("a size is no natural number"),
    }
}
