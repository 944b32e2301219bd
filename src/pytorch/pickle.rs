//! Unpickler for the pickles that `torch.save` writes for state dicts.
//!
//! It never calls anything. The few Python names that a state dict needs are represented as data; any other name is
//! rejected, wherever it occurs in the pickle. See Python's `pickletools` module for the opcodes.
//!
//! All values are stored in one list and refer to each other by index. Therefore nested, shared and cyclic values need
//! no more memory than the pickle has bytes, and no recursion.

use std::collections::HashMap;

use super::{
    Error,
    value::{Global, Value, ValueId},
};

/// Largest size of a pickle in bytes. The pickle of a state dict has about 150 bytes per tensor.
const MAX_PICKLE_LEN: usize = 4 << 20;

/// The values of a decoded pickle.
pub(super) struct Pickle<'a> {
    pub values: Vec<Value<'a>>,
    /// The value that `pickle.load` would return.
    pub root: ValueId,
    /// Number of bytes that the pickle occupies in the input.
    pub length: usize,
}

impl<'a> Pickle<'a> {
    /// Decodes the pickle at the start of `bytes`.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut unpickler = Unpickler {
            input: &bytes[..bytes.len().min(MAX_PICKLE_LEN)],
            position: 0,
            values: vec![],
            stack: vec![],
            marks: vec![],
            memo: HashMap::new(),
            copied_items: 0,
        };
        let root = unpickler.run()?;
        Ok(Self { root, length: unpickler.position, values: unpickler.values })
    }

    pub fn value(&self, id: ValueId) -> &Value<'a> {
        &self.values[id as usize]
    }
}

/// The state of the pickle machine.
pub(super) struct Unpickler<'a> {
    input: &'a [u8],
    position: usize,
    values: Vec<Value<'a>>,
    stack: Vec<ValueId>,
    /// Heights of the stack at the marks.
    marks: Vec<usize>,
    memo: HashMap<u32, ValueId>,
    /// Number of items copied by calls. It is limited because a few bytes can copy many items repeatedly.
    copied_items: usize,
}

pub(super) fn damaged<T>(problem: &str) -> Result<T, Error> {
    Err(Error::Damaged(format!("in its pickle, {problem}")))
}

impl<'a> Unpickler<'a> {
    /// Executes the opcodes up to STOP and returns the top of the stack.
    fn run(&mut self) -> Result<ValueId, Error> {
        loop {
            let opcode = self.byte()?;
            match opcode {
                b'.' => return self.pop(),                 // STOP
                0x80 => drop(self.take(1)?),               // PROTO
                0x95 => drop(self.take(8)?),               // FRAME
                b'(' => self.marks.push(self.stack.len()), // MARK
                b'0' => drop(self.pop()?),                 // POP
                b'1' => drop(self.pop_mark()?),            // POP_MARK
                b'2' => self.duplicate_top()?,             // DUP
                b'N' => self.push(Value::Other),           // NONE
                0x88 => self.push(Value::Bool(true)),      // NEWTRUE
                0x89 => self.push(Value::Bool(false)),     // NEWFALSE
                b'J' | b'K' | b'M' | 0x8a | b'G' => self.push_number(opcode)?,
                b'X' | 0x8c | 0x8d | b'T' | b'U' => self.push_text(opcode)?,
                b'B' | b'C' | 0x8e => self.push_bytes(opcode)?,
                b']' | b')' | 0x8f => self.push(Value::Sequence(vec![])), // EMPTY_LIST, EMPTY_TUPLE, EMPTY_SET
                b'}' => self.push(Value::Dict(vec![])),                   // EMPTY_DICT
                b't' | b'l' | 0x91 | 0x85..=0x87 => self.push_sequence(opcode)?,
                b'a' | b'e' | 0x90 => self.append_items(opcode)?,
                b's' | b'u' | b'd' => self.set_items(opcode)?,
                b'q' | b'r' | 0x94 => self.put_memo(opcode)?,
                b'h' | b'j' => self.get_memo(opcode)?,
                b'c' | b'i' | 0x93 => self.push_global(opcode)?,
                b'R' | 0x81 => self.reduce()?, // REDUCE, NEWOBJ
                b'b' => self.build()?,         // BUILD
                b'Q' => self.push_storage()?,  // BINPERSID
                opcode => return Err(Error::UnsupportedOpcode(opcode)),
            }
        }
    }

    fn duplicate_top(&mut self) -> Result<(), Error> {
        let top = self.pop()?;
        self.stack.extend([top, top]);
        Ok(())
    }

    /// BININT, BININT1, BININT2, LONG1, BINFLOAT.
    fn push_number(&mut self, opcode: u8) -> Result<(), Error> {
        let value = match opcode {
            b'J' => Value::Int(i32::from_le_bytes(self.array()?).into()),
            b'K' => Value::Int(self.byte()?.into()),
            b'M' => Value::Int(u16::from_le_bytes(self.array()?).into()),
            0x8a => {
                let length = self.byte()?.into();
                long_integer(self.take(length)?)
            }
            _ => {
                self.take(8)?;
                Value::Other
            }
        };
        self.push(value);
        Ok(())
    }

    /// BINUNICODE, SHORT_BINUNICODE, BINUNICODE8; BINSTRING and SHORT_BINSTRING of Python 2.
    fn push_text(&mut self, opcode: u8) -> Result<(), Error> {
        let bytes = self.take_sized(opcode)?;
        // Strings of Python 2 can contain arbitrary bytes.
        self.push(std::str::from_utf8(bytes).map_or(Value::Other, Value::Text));
        Ok(())
    }

    /// BINBYTES, SHORT_BINBYTES, BINBYTES8.
    fn push_bytes(&mut self, opcode: u8) -> Result<(), Error> {
        self.take_sized(opcode)?;
        self.push(Value::Other);
        Ok(())
    }

    /// TUPLE, LIST, FROZENSET; TUPLE1, TUPLE2, TUPLE3.
    fn push_sequence(&mut self, opcode: u8) -> Result<(), Error> {
        let items = if (0x85..=0x87).contains(&opcode) {
            let length = usize::from(opcode - 0x84);
            let Some(start) = self.stack.len().checked_sub(length) else { return damaged("a tuple lacks items") };
            self.check_above_mark(start)?;
            self.stack.split_off(start)
        } else {
            self.pop_mark()?
        };
        self.push(Value::Sequence(items));
        Ok(())
    }

    /// APPEND; APPENDS, ADDITEMS.
    fn append_items(&mut self, opcode: u8) -> Result<(), Error> {
        let items = if opcode == b'a' { vec![self.pop()?] } else { self.pop_mark()? };
        let top = self.top()?;
        match &mut self.values[top as usize] {
            Value::Sequence(list) => list.extend(items),
            _ => return damaged("items are appended to a value that is not a list"),
        }
        Ok(())
    }

    /// SETITEM, SETITEMS, DICT.
    fn set_items(&mut self, opcode: u8) -> Result<(), Error> {
        let items = if opcode == b's' {
            let value = self.pop()?;
            vec![self.pop()?, value]
        } else {
            self.pop_mark()?
        };
        if opcode == b'd' {
            self.push(Value::Dict(vec![]));
        }
        let (pairs, rest) = items.as_chunks();
        let top = self.top()?;
        match &mut self.values[top as usize] {
            Value::Dict(entries) if rest.is_empty() => entries.extend(pairs.iter().map(|&[key, value]| (key, value))),
            Value::Other => (), // The items of a Counter.
            _ => return damaged("an entry is added to a value that is not a dict"),
        }
        Ok(())
    }

    /// BINPUT, LONG_BINPUT, MEMOIZE.
    fn put_memo(&mut self, opcode: u8) -> Result<(), Error> {
        let key = match opcode {
            b'q' => self.byte()?.into(),
            b'r' => u32::from_le_bytes(self.array()?),
            _ => self.memo.len() as u32,
        };
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    /// BINGET, LONG_BINGET.
    fn get_memo(&mut self, opcode: u8) -> Result<(), Error> {
        let key = if opcode == b'h' { self.byte()?.into() } else { u32::from_le_bytes(self.array()?) };
        let Some(&id) = self.memo.get(&key) else { return damaged("it refers to a value that does not exist") };
        self.stack.push(id);
        Ok(())
    }

    /// GLOBAL, STACK_GLOBAL. INST, which would also call the global, is rejected after its name has been checked.
    fn push_global(&mut self, opcode: u8) -> Result<(), Error> {
        let global = if opcode == 0x93 {
            let (name, module) = (self.pop()?, self.pop()?);
            let (&Value::Text(module), &Value::Text(name)) = (self.value(module), self.value(name)) else {
                return damaged("the name of a global is not text");
            };
            find_global(module, name)?
        } else {
            let (module, name) = (self.line()?, self.line()?);
            find_global(module, name)?
        };
        if opcode == b'i' {
            return Err(Error::UnsupportedOpcode(opcode));
        }
        self.push(Value::Global(global));
        Ok(())
    }

    fn reduce(&mut self) -> Result<(), Error> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        self.copied_items += self.first_argument_len(arguments);
        if self.copied_items > MAX_PICKLE_LEN {
            return damaged("the same items are copied too often");
        }
        let value = self.call(callable, arguments)?;
        self.push(value);
        Ok(())
    }

    /// Discards the attributes of a dict (such as the layer versions of a state dict) or of an ignored object.
    fn build(&mut self) -> Result<(), Error> {
        self.pop()?;
        let object = self.top()?;
        match self.value(object) {
            Value::Dict(_) | Value::Other => Ok(()),
            _ => damaged("attributes are set on a value that cannot have any"),
        }
    }

    fn push_storage(&mut self) -> Result<(), Error> {
        let id = self.pop()?;
        let storage = self.storage(id)?;
        self.push(Value::Storage(storage));
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, Error> {
        Ok(self.take(1)?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        Ok(*self.take(N)?.first_chunk().expect("`take` returns N bytes"))
    }

    /// Returns the next `n` bytes of the input.
    fn take(&mut self, n: usize) -> Result<&'a [u8], Error> {
        let Some(bytes) = self.input[self.position..].get(..n) else {
            return damaged(if self.input.len() == MAX_PICKLE_LEN {
                "there are more than 4 MiB, too much for a state dict"
            } else {
                "the end is missing"
            });
        };
        self.position += n;
        Ok(bytes)
    }

    /// Returns bytes that are preceded by their length, which has 1, 4 or 8 bytes depending on the opcode.
    fn take_sized(&mut self, opcode: u8) -> Result<&'a [u8], Error> {
        let length = match opcode {
            0x8c | b'U' | b'C' => self.byte()?.into(),
            0x8d | 0x8e => u64::from_le_bytes(self.array()?),
            _ => u32::from_le_bytes(self.array()?).into(),
        };
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn line(&mut self) -> Result<&'a str, Error> {
        let Some(length) = self.input[self.position..].iter().position(|&b| b == b'\n') else {
            return damaged("the end is missing");
        };
        let line = self.take(length)?;
        self.position += 1;
        std::str::from_utf8(line).or_else(|_| damaged("the name of a global is not text"))
    }

    pub(super) fn value(&self, id: ValueId) -> &Value<'a> {
        &self.values[id as usize]
    }

    fn push(&mut self, value: Value<'a>) {
        // The index fits into 32 bits: each value needs at least one byte of the input.
        self.stack.push(self.values.len() as ValueId);
        self.values.push(value);
    }

    /// Checks that the stack items from index `start` are above the last mark.
    fn check_above_mark(&self, start: usize) -> Result<(), Error> {
        if self.marks.last().is_some_and(|&mark| start < mark) {
            damaged("a mark is in the wrong place")
        } else {
            Ok(())
        }
    }

    fn top(&self) -> Result<ValueId, Error> {
        let Some(&top) = self.stack.last() else { return damaged("a value is missing") };
        self.check_above_mark(self.stack.len() - 1)?;
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
}

fn find_global(module: &str, name: &str) -> Result<Global, Error> {
    let printable = || format!("{module}.{name}").chars().take(100).flat_map(char::escape_debug).collect();
    Global::lookup(module, name).ok_or_else(|| Error::ForbiddenGlobal(printable()))
}

/// Decodes a little-endian two's complement integer. Integers of more than 64 bits are ignored; state dicts do not use
/// them.
fn long_integer(bytes: &[u8]) -> Value<'static> {
    if bytes.len() > 8 {
        return Value::Other;
    }
    let sign = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
    let mut extended = [sign; 8];
    extended[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(extended))
}
