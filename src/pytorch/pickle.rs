//! A machine for the pickles that `torch.save` writes of state dicts. It calls nothing: the few names that such a file
//! needs are known here and stand for data; any other is refused by name, wherever it occurs.
//!
//! Values lie in one list and refer to each other by number, so neither nesting, nor sharing, nor cycles cost more
//! memory or stack than the pickle has bytes.

use std::collections::HashMap;

use super::{
    Error,
    value::{Global, Value, ValueId},
};

/// A state dict's pickle has some 150 bytes a tensor: far below this.
const LONGEST: usize = 4 << 20;

/// The outcome of a pickle: its values, the number of the last one, and how many bytes it took.
pub struct Pickle<'a> {
    pub values: Vec<Value<'a>>,
    pub root: ValueId,
    pub length: usize,
}

impl<'a> Pickle<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let input = &bytes[..bytes.len().min(LONGEST)];
        let mut unpickler =
            Unpickler { input, at: 0, values: vec![], stack: vec![], marks: vec![], memo: HashMap::new(), copied: 0 };
        let root = unpickler.run()?;
        Ok(Self { root, length: unpickler.at, values: unpickler.values })
    }

    pub fn value(&self, id: ValueId) -> &Value<'a> {
        &self.values[id as usize]
    }
}

pub(super) struct Unpickler<'a> {
    input: &'a [u8],
    at: usize,
    values: Vec<Value<'a>>,
    stack: Vec<ValueId>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, ValueId>,
    /// Items that calls have copied: what a pickle repeats costs it next to no bytes.
    copied: usize,
}

pub(super) fn damaged<T>(problem: &str) -> Result<T, Error> {
    Err(Error::Damaged(format!("in its pickle, {problem}")))
}

impl<'a> Unpickler<'a> {
    /// Goes through the opcodes (named as in Python's pickletools) to STOP.
    fn run(&mut self) -> Result<ValueId, Error> {
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
                        return Err(Error::UnsupportedOpcode(op));
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
                    let value = self.call(callable, arguments)?;
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
                op => return Err(Error::UnsupportedOpcode(op)),
            }
        }
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

    pub(super) fn value(&self, id: ValueId) -> &Value<'a> {
        &self.values[id as usize]
    }

    fn push(&mut self, value: Value<'a>) {
        // No more values than bytes, of which there are at most 4 Mi.
        self.stack.push(self.values.len() as ValueId);
        self.values.push(value);
    }

    /// That the items of the stack from `from` on lie above its last mark.
    fn guard(&self, from: usize) -> Result<(), Error> {
        if self.marks.last().is_some_and(|&mark| from < mark) { damaged("a mark is out of place") } else { Ok(()) }
    }

    fn top(&self) -> Result<ValueId, Error> {
        let Some(&top) = self.stack.last() else { return damaged("a value is missing") };
        self.guard(self.stack.len() - 1)?;
        Ok(top)
    }

    fn pop(&mut self) -> Result<ValueId, Error> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_mark(&mut self) -> Result<Vec<ValueId>, Error> {
        let Some(mark) = self.marks.pop() else { return damaged("a mark is missing") };
        Ok(self.stack.split_off(mark))
    }

    fn extend(&mut self, items: Vec<ValueId>) -> Result<(), Error> {
        let top = self.top()?;
        match &mut self.values[top as usize] {
            Value::Sequence(list) => list.extend(items),
            _ => return damaged("items are added to something that is no list"),
        }
        Ok(())
    }

    fn set(&mut self, items: &[ValueId]) -> Result<(), Error> {
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
    Global::lookup(module, name).ok_or_else(|| Error::ForbiddenGlobal(shown()))
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
