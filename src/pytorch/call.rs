//! Results of the few calls that a state dict needs. They are computed here; no Python code is executed.

use super::{
    Error,
    pickle::{Unpickler, damaged},
    value::{Global, Storage, TensorRef, Value, ValueId},
};

/// Largest number of dimensions of a tensor; convolution weights have four.
const MAX_DIMENSIONS: usize = 8;

impl<'a> Unpickler<'a> {
    /// Returns the number of items in the first argument of a call.
    pub(super) fn first_argument_len(&self, arguments: ValueId) -> usize {
        let Value::Sequence(arguments) = self.value(arguments) else { return 0 };
        match arguments.first().map(|&first| self.value(first)) {
            Some(Value::Sequence(items)) => items.len(),
            _ => 0,
        }
    }

    /// Returns the value that Python would get by calling a global.
    pub(super) fn call(&self, callable: ValueId, arguments: ValueId) -> Result<Value<'a>, Error> {
        let (Value::Global(global), Value::Sequence(ids)) = (self.value(callable), self.value(arguments)) else {
            return damaged("a value is called that is not a function");
        };
        let arguments: Vec<&Value<'a>> = ids.iter().map(|&id| self.value(id)).collect();
        match global {
            Global::Ignored => Ok(Value::Other),
            Global::OrderedDict => self.ordered_dict(arguments.first().copied()),
            Global::RebuildParameter => match arguments.first() {
                Some(tensor @ Value::Tensor(_)) => Ok((*tensor).clone()),
                _ => damaged("a parameter contains no tensor"),
            },
            Global::RebuildTensor => {
                let [Value::Storage(storage), offset, shape, stride, ..] = arguments[..] else {
                    return damaged("a tensor lacks its storage, offset, shape or strides");
                };
                let (shape, stride) = (self.sizes(shape)?, self.sizes(stride)?);
                let tensor = TensorRef { storage: storage.clone(), offset: parse_size(offset)?, shape, stride };
                Ok(Value::Tensor(Box::new(tensor)))
            }
            Global::Storage(_) => damaged("a storage is inside the pickle itself"),
        }
    }

    /// Old versions of Python pass the items of an `OrderedDict` to its constructor.
    fn ordered_dict(&self, items: Option<&Value<'a>>) -> Result<Value<'a>, Error> {
        let pair = |&id: &ValueId| match self.value(id) {
            Value::Sequence(pair) if pair.len() == 2 => Some((pair[0], pair[1])),
            _ => None,
        };
        match items {
            None => Ok(Value::Dict(vec![])),
            Some(Value::Sequence(items)) => match items.iter().map(pair).collect() {
                Some(entries) => Ok(Value::Dict(entries)),
                None => damaged("the items of a dict are not pairs"),
            },
            Some(_) => damaged("a dict is created from a value that is not a list"),
        }
    }

    /// Parses the persistent id of a storage: `('storage', type, key, device, length)`. In legacy files, a sixth item
    /// is the view `(key, start, length)` or None.
    pub(super) fn storage(&self, id: ValueId) -> Result<Storage<'a>, Error> {
        let Value::Sequence(ids) = self.value(id) else { return damaged("the id of a storage is not a tuple") };
        let fields: Vec<_> = ids.iter().map(|&id| self.value(id)).collect();
        let [
            Value::Text("storage"),
            Value::Global(Global::Storage(element)),
            Value::Text(key),
            _,
            length,
            ref view @ ..,
        ] = fields[..]
        else {
            return damaged("the id of a storage has an unknown form");
        };
        let (start, length) = match view {
            [Value::Sequence(view)] if view.len() == 3 => {
                (parse_size(self.value(view[1]))?, parse_size(self.value(view[2]))?)
            }
            _ => (0, parse_size(length)?),
        };
        Ok(Storage { key, element: *element, length, start })
    }

    fn sizes(&self, value: &Value) -> Result<Vec<usize>, Error> {
        let Value::Sequence(ids) = value else { return damaged("a shape is not a tuple") };
        if ids.len() > MAX_DIMENSIONS {
            return damaged("a tensor has more than 8 dimensions");
        }
        ids.iter().map(|&id| parse_size(self.value(id))).collect()
    }
}

fn parse_size(value: &Value) -> Result<usize, Error> {
    match value {
        Value::Int(n) if *n >= 0 => usize::try_from(*n).or_else(|_| damaged("a size is too large")),
        _ => damaged("a size is not a non-negative integer"),
    }
}
