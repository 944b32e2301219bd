//! A machine for the pickles that `torch.save` writes of state dicts. It calls nothing: the few names that such a file
//! needs are known here and stand for data; any other is refused by name, wherever it occurs.
//!
//! Values lie in one list and refer to each other by number, so neither nesting, nor sharing, nor cycles cost more
//! memory or stack than the pickle has bytes.

use std::collections::HashMap;

use super::{Error, element::Element};

/// A state dict's pickle has some 150 bytes a tensor: far below this.
const LONGEST: usize = 4 << 20;
/// Of a tensor; convolutions have four.
const MOST_DIMENSIONS: usize = 8;

/// The number of a value.
pub type Id = u32;

/// What a pickle's opcodes make.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    Text(&'a str),
    Int(i64),
    Bool(bool),
    /// A tuple, list or set.
    Sequence(Vec<Id>),
    /// A dict, in the order of the file; a later entry replaces an earlier one.
    Dict(Vec<(Id, Id)>),
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
    fn known(module: &str, name: &str) -> Option<Self> {
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

/// The outcome of a pickle: its values, the number of the last one, and how many bytes it took.
pub struct Pickle<'a> {
    pub values: Vec<Value<'a>>,
    pub root: Id,
    pub length: usize,
}

impl<'a> Pickle<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let input = &bytes[..bytes.len().min(LONGEST)];
        let mut machine =
            Machine { input, at: 0, values: vec![], stack: vec![], marks: vec![], memo: HashMap::new(), copied: 0 };
        let root = machine.run()?;
        Ok(Self { root, length: machine.at, values: machine.values })
    }

    pub fn value(&self, id: Id) -> &Value<'a> {
        &self.values[id as usize]
    }
}

struct Machine<'a> {
    input: &'a [u8],
    at: usize,
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// Items that calls have copied: what a pickle repeats costs it next to no bytes.
    copied: usize,
}

fn damaged<T>(problem: &str) -> Result<T, Error> {
    Err(Error::Damaged(format!("in its pickle, {problem}")))
}

impl<'a> Machine<'a> {
    /// Goes through the opcodes (named as in Python's pickletools) to STOP.
    fn run(&mut self) -> Result<Id, Error> {
        loop {
            match self.byte()? {
                0x80 => drop(self.byte()?),                // PROTO
                0x95 => drop(self.take(8)?),               // FRAME
                b'.' => return self.pop(),                 // STOP
                b'(' => self.marks.push(self.stack.len()), // MARK
                b'0' => drop(self.pop()?),                 // POP
                b'1' => drop(self.pop_mark()?),            // POP_MARK
                b'2' => {
                    let top = self.pop()?; // DUP
                    self.stack.extend([top, top]);
                }
                b'N' => self.push(Value::Other),       // NONE
                0x88 => self.push(Value::Bool(true)),  // NEWTRUE
                0x89 => self.push(Value::Bool(false)), // NEWFALSE
                b'J' => {
                    let n = i32::from_le_bytes(self.array()?); // BININT
                    self.push(Value::Int(n.into()));
                }
                b'K' => {
                    let n = self.byte()?; // BININT1
                    self.push(Value::Int(n.into()));
                }
                b'M' => {
                    let n = u16::from_le_bytes(self.array()?); // BININT2
                    self.push(Value::Int(n.into()));
                }
                0x8a => {
                    let n = self.byte()?.into(); // LONG1
                    let value = long(self.take(n)?);
                    self.push(value);
                }
                b'G' => {
                    self.take(8)?; // BINFLOAT
                    self.push(Value::Other);
                }
                // BINUNICODE, SHORT_BINUNICODE, BINUNICODE8, and BINSTRING, SHORT_BINSTRING of Python 2
                op @ (b'X' | 0x8c | 0x8d | b'T' | b'U') => {
                    let bytes = self.sized(op)?;
                    let text = std::str::from_utf8(bytes);
                    // What is not text was bytes in Python 2.
                    self.push(text.map_or(Value::Other, Value::Text));
                }
                // BINBYTES, SHORT_BINBYTES, BINBYTES8
                op @ (b'B' | b'C' | 0x8e) => {
                    self.sized(op)?;
                    self.push(Value::Other);
                }
                b']' | b')' | 0x8f => self.push(Value::Sequence(vec![])), // EMPTY_LIST, EMPTY_TUPLE, EMPTY_SET
                b'}' => self.push(Value::Dict(vec![])),                   // EMPTY_DICT
                b't' | b'l' | 0x91 => {
                    let items = self.pop_mark()?; // TUPLE, LIST, FROZENSET
                    self.push(Value::Sequence(items));
                }
                op @ 0x85..=0x87 => {
                    let n = usize::from(op - 0x84); // TUPLE1, TUPLE2, TUPLE3
                    let Some(from) = self.stack.len().checked_sub(n) else { return damaged("a tuple lacks items") };
                    self.guard(from)?;
                    let items = self.stack.split_off(from);
                    self.push(Value::Sequence(items));
                }
                b'a' => {
                    let item = self.pop()?; // APPEND
                    self.extend(vec![item])?;
                }
                b'e' | 0x90 => {
                    let items = self.pop_mark()?; // APPENDS, ADDITEMS
                    self.extend(items)?;
                }
                b's' => {
                    let value = self.pop()?; // SETITEM
                    let key = self.pop()?;
                    self.set(&[key, value])?;
                }
                b'u' => {
                    let items = self.pop_mark()?; // SETITEMS
                    self.set(&items)?;
                }
                b'd' => {
                    let items = self.pop_mark()?; // DICT
                    self.push(Value::Dict(vec![]));
                    self.set(&items)?;
                }
                b'q' => {
                    let key = self.byte()?; // BINPUT
                    self.remember(key.into())?;
                }
                b'r' => {
                    let key = u32::from_le_bytes(self.array()?); // LONG_BINPUT
                    self.remember(key)?;
                }
                0x94 => self.remember(self.memo.len() as u32)?, // MEMOIZE
                b'h' => {
                    let key = self.byte()?; // BINGET
                    self.recall(key.into())?;
                }
                b'j' => {
                    let key = u32::from_le_bytes(self.array()?); // LONG_BINGET
                    self.recall(key)?;
                }
                // GLOBAL; INST would also call what it names.
                op @ (b'c' | b'i') => {
                    let (module, name) = (self.line()?, self.line()?);
                    let global = find(module, name)?;
                    if op == b'i' {
                        return Err(Error::Opcode(op));
                    }
                    self.push(Value::Global(global));
                }
                0x93 => {
                    let (name, module) = (self.pop()?, self.pop()?); // STACK_GLOBAL
                    let (&Value::Text(module), &Value::Text(name)) = (self.value(module), self.value(name)) else {
                        return damaged("a global's name is no text");
                    };
                    self.push(Value::Global(find(module, name)?));
                }
                b'R' | 0x81 => {
                    let (arguments, callable) = (self.pop()?, self.pop()?); // REDUCE, NEWOBJ
                    self.copied += self.first_items(arguments);
                    if self.copied > LONGEST {
                        return damaged("it repeats itself endlessly");
                    }
                    let value = self.stands_for(callable, arguments)?;
                    self.push(value);
                }
                b'b' => {
                    // BUILD: attributes of a dict (a state dict's versions of layers) or of what is left out.
                    self.pop()?;
                    let object = self.top()?;
                    if !matches!(self.value(object), Value::Dict(_) | Value::Other) {
                        return damaged("attributes are set of something that has none");
                    }
                }
                b'Q' => {
                    let id = self.pop()?; // BINPERSID
                    let storage = self.storage(id)?;
                    self.push(Value::Storage(storage));
                }
                op => return Err(Error::Opcode(op)),
            }
        }
    }

    /// How many items the first of a call's arguments has.
    fn first_items(&self, arguments: Id) -> usize {
        match self.value(arguments) {
            Value::Sequence(ids) => ids.first().map_or(0, |&first| match self.value(first) {
                Value::Sequence(items) => items.len(),
                _ => 0,
            }),
            _ => 0,
        }
    }

    /// The value that Python would get by calling a global.
    fn stands_for(&self, callable: Id, arguments: Id) -> Result<Value<'a>, Error> {
        let (Value::Global(global), Value::Sequence(arguments)) = (self.value(callable), self.value(arguments)) else {
            return damaged("something is called that is no function");
        };
        let argument = |i: usize| arguments.get(i).map(|&id| self.value(id));
        match global {
            Global::Inert => Ok(Value::Other),
            // Old versions of Python hand the items over at once.
            Global::OrderedDict => {
                let pair = |&id: &Id| match self.value(id) {
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
    fn storage(&self, id: Id) -> Result<Storage<'a>, Error> {
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

    fn byte(&mut self) -> Result<u8, Error> {
        Ok(self.take(1)?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        Ok(*self.take(N)?.first_chunk().expect("N bytes were taken"))
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Error> {
        let rest = &self.input[self.at..];
        let Some(bytes) = rest.get(..n) else {
            return damaged(if self.input.len() == LONGEST {
                "more than 4 MiB are no state dict"
            } else {
                "its end is missing"
            });
        };
        self.at += n;
        Ok(bytes)
    }

    /// Bytes that follow their number.
    fn sized(&mut self, op: u8) -> Result<&'a [u8], Error> {
        let n = match op {
            0x8c | b'U' | b'C' => self.byte()?.into(),
            0x8d | 0x8e => u64::from_le_bytes(self.array()?),
            _ => u32::from_le_bytes(self.array()?).into(),
        };
        self.take(usize::try_from(n).unwrap_or(usize::MAX))
    }

    fn line(&mut self) -> Result<&'a str, Error> {
        let Some(n) = self.input[self.at..].iter().position(|&b| b == b'\n') else {
            return damaged("its end is missing");
        };
        let line = self.take(n)?;
        self.at += 1;
        std::str::from_utf8(line).or_else(|_| damaged("a global's name is no text"))
    }

    fn value(&self, id: Id) -> &Value<'a> {
        &self.values[id as usize]
    }

    fn push(&mut self, value: Value<'a>) {
        // No more values than bytes, of which there are at most 4 Mi.
        self.stack.push(self.values.len() as Id);
        self.values.push(value);
    }

    /// That the items of the stack from `from` on lie above its last mark.
    fn guard(&self, from: usize) -> Result<(), Error> {
        if self.marks.last().is_some_and(|&mark| from < mark) { damaged("a mark is out of place") } else { Ok(()) }
    }

    fn top(&self) -> Result<Id, Error> {
        let Some(&top) = self.stack.last() else { return damaged("a value is missing") };
        self.guard(self.stack.len() - 1)?;
        Ok(top)
    }

    fn pop(&mut self) -> Result<Id, Error> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>, Error> {
        let Some(mark) = self.marks.pop() else { return damaged("a mark is missing") };
        Ok(self.stack.split_off(mark))
    }

    fn extend(&mut self, items: Vec<Id>) -> Result<(), Error> {
        let top = self.top()?;
        match &mut self.values[top as usize] {
            Value::Sequence(list) => list.extend(items),
            _ => return damaged("items are added to something that is no list"),
        }
        Ok(())
    }

    fn set(&mut self, items: &[Id]) -> Result<(), Error> {
        let (pairs, rest) = items.as_chunks();
        let top = self.top()?;
        match &mut self.values[top as usize] {
            Value::Dict(entries) if rest.is_empty() => entries.extend(pairs.iter().map(|&[key, value]| (key, value))),
            Value::Other => (), // A Counter's items.
            _ => return damaged("an entry is added to something that is no dict"),
        }
        Ok(())
    }

    fn remember(&mut self, key: u32) -> Result<(), Error> {
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<(), Error> {
        let Some(&id) = self.memo.get(&key) else { return damaged("it refers to a value that was never made") };
        self.stack.push(id);
        Ok(())
    }
}

fn find(module: &str, name: &str) -> Result<Global, Error> {
    let shown = || format!("{module}.{name}").chars().take(100).flat_map(char::escape_debug).collect();
    Global::known(module, name).ok_or_else(|| Error::Hostile(shown()))
}

fn size(value: &Value) -> Result<usize, Error> {
    match value {
        Value::Int(n) if *n >= 0 => usize::try_from(*n).or_else(|_| damaged("a size is too large")),
        _ => damaged("a size is no natural number"),
    }
}

/// A little-endian integer of any length; beyond 64 bits it is of no use here.
fn long(bytes: &[u8]) -> Value<'static> {
    if bytes.len() > 8 {
        return Value::Other;
    }
    let sign = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
    let mut all = [sign; 8];
    all[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(all))
}
