//! A reader of pickles that builds plain values and nothing else: numbers, texts, lists, dictionaries, and the
//! tensors that PyTorch writes. Whatever would import or run something is refused by name, so that a
//! file from anywhere can be looked at (the part of the pickle protocol, PEP 307 and 3154, that `torch.save` uses).

use std::rc::Rc;

/// Values that are ever made, marks and entries of the memo; a state dict of the largest models has some hundred thousand.
const MOST_VALUES: usize = 4_000_000;
/// Axes of a tensor.
const MOST_AXES: usize = 8;

/// A value of a pickle.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Pickled {
    /// What no tensor needs: truth values, bytes, sets, what functions without meaning here return.
    Other,
    None,
    Int(i64),
    Text(Rc<str>),
    /// A tuple or list.
    List(Vec<Pickled>),
    /// A dictionary in order.
    Dict(Vec<(Pickled, Pickled)>),
    /// Something of a module, by name.
    Global(Rc<str>),
    Storage(Rc<Storage>),
    Tensor(Rc<StoredView>),
}

/// A block of numbers that lies outside the pickle.
#[derive(Debug, PartialEq)]
pub(super) struct Storage {
    /// Class, such as `FloatStorage`.
    pub(super) class: Rc<str>,
    /// Its name in the archive.
    pub(super) key: Rc<str>,
    /// Count of numbers.
    pub(super) count: u64,
}

/// A tensor as a view of a storage.
#[derive(Debug, PartialEq)]
pub(super) struct StoredView {
    pub(super) storage: Rc<Storage>,
    pub(super) offset: u64,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// Reads one pickle from the beginning of `bytes`; also how many bytes it has.
///
/// # Errors
/// Says what the pickle holds that is refused, or that it is damaged.
pub(super) fn read(bytes: &[u8]) -> Result<(Pickled, usize), String> {
    let mut machine =
        Machine { bytes, at: 0, made: 0, stack: Vec::new(), marks: Vec::new(), memo: Vec::new() };
    let value = machine.run()?;
    Ok((value, machine.at))
}

/// A value that is referred to a second time: what torch refers to again (texts, classes, storages, tensors, sizes).
/// Other collections are not copied, so that references to references cannot grow without end.
fn copied(value: &Pickled) -> Pickled {
    match value {
        Pickled::List(list)
            if list.len() <= MOST_AXES && list.iter().all(|v| matches!(v, Pickled::Int(_))) =>
        {
            value.clone()
        }
        Pickled::List(_) | Pickled::Dict(_) => Pickled::Other,
        plain => plain.clone(),
    }
}

/// Refuses items in which collections lie deeper than any checkpoint has them.
fn shallow(items: &[Pickled]) -> Result<(), String> {
    fn depth(value: &Pickled) -> usize {
        match value {
            Pickled::List(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
            Pickled::Dict(dict) => 1 + dict.iter().map(|(k, v)| depth(k).max(depth(v))).max().unwrap_or(0),
            _ => 0,
        }
    }
    match items.iter().any(|item| depth(item) > 32) {
        true => Err("the pickle in it has collections more than 32 deep".to_owned()),
        false => Ok(()),
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Values that were ever pushed: what lies in collections counts too.
    made: usize,
    stack: Vec<Pickled>,
    marks: Vec<usize>,
    memo: Vec<Pickled>,
}

fn damaged() -> String {
    "the pickle in it is damaged or cut off".to_owned()
}

impl<'a> Machine<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len()).ok_or_else(damaged)?;
        let part = &self.bytes[self.at..end];
        self.at = end;
        Ok(part)
    }

    fn pass(&mut self, count: usize) -> Result<(), String> {
        self.take(count).map(|_| ())
    }

    /// A little-endian number of `count` bytes.
    fn number(&mut self, count: usize) -> Result<u64, String> {
        Ok(self.take(count)?.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)))
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|b| *b == b'\n').ok_or_else(damaged)?;
        let line = self.take(length + 1)?;
        std::str::from_utf8(&line[..length]).map_err(|_| damaged())
    }

    fn text(&mut self, width: usize) -> Result<Rc<str>, String> {
        let length = usize::try_from(self.number(width)?).map_err(|_| damaged())?;
        std::str::from_utf8(self.take(length)?).map(Rc::from).map_err(|_| damaged())
    }

    fn push(&mut self, value: Pickled) -> Result<(), String> {
        self.made += 1;
        if self.made > MOST_VALUES {
            return Err(format!("the pickle in it has more than {MOST_VALUES} values"));
        }
        self.stack.push(value);
        Ok(())
    }

    fn mark(&mut self) -> Result<(), String> {
        if self.marks.len() >= MOST_VALUES {
            return Err(format!("the pickle in it has more than {MOST_VALUES} marks"));
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    fn pop(&mut self) -> Result<Pickled, String> {
        self.stack.pop().ok_or_else(damaged)
    }

    /// Values above the last mark.
    fn since_mark(&mut self) -> Result<Vec<Pickled>, String> {
        let mark = self.marks.pop().filter(|m| *m <= self.stack.len()).ok_or_else(damaged)?;
        Ok(self.stack.split_off(mark))
    }

    fn last(&mut self, count: usize) -> Result<Vec<Pickled>, String> {
        let from = self.stack.len().checked_sub(count).ok_or_else(damaged)?;
        Ok(self.stack.split_off(from))
    }

    fn remember(&mut self, index: usize) -> Result<(), String> {
        let value = self.stack.last().ok_or_else(damaged)?;
        if index >= MOST_VALUES || index > self.memo.len() + (1 << 16) {
            return Err(damaged());
        }
        let kept = copied(value);
        if index >= self.memo.len() {
            self.memo.resize(index + 1, Pickled::Other);
        }
        self.memo[index] = kept;
        Ok(())
    }

    fn recall(&mut self, index: usize) -> Result<(), String> {
        let value = self.memo.get(index).cloned().ok_or_else(damaged)?;
        self.push(value)
    }

    fn set_items(&mut self, items: Vec<Pickled>) -> Result<(), String> {
        shallow(&items)?;
        let into = match self.stack.last_mut() {
            Some(Pickled::Dict(into)) => into,
            Some(Pickled::Other) => return Ok(()),
            _ => return Err(damaged()),
        };
        let mut items = items.into_iter();
        while let Some(key) = items.next() {
            into.push((key, items.next().ok_or_else(damaged)?));
        }
        Ok(())
    }

    fn append(&mut self, items: Vec<Pickled>) -> Result<(), String> {
        shallow(&items)?;
        match self.stack.last_mut() {
            Some(Pickled::List(into)) => into.extend(items),
            Some(Pickled::Other) => {}
            _ => return Err(damaged()),
        }
        Ok(())
    }

    fn run(&mut self) -> Result<Pickled, String> {
        loop {
            let op = self.take(1)?[0];
            match op {
                0x80 => self.pass(1)?,     // PROTO
                0x95 => self.pass(8)?,     // FRAME
                b'.' => return self.pop(), // STOP
                b'(' => self.mark()?,
                b'0' => drop(self.pop()?),        // POP
                b'1' => drop(self.since_mark()?), // POP_MARK
                b'2' => {
                    let top = self.stack.last().map(copied).ok_or_else(damaged)?;
                    self.push(top)?; // DUP
                }
                b'N' => self.push(Pickled::None)?,
                0x88 | 0x89 => self.push(Pickled::Other)?, // NEWTRUE, NEWFALSE
                b'J' => {
                    let value = self.number(4)? as u32;
                    self.push(Pickled::Int(i64::from(value as i32)))?;
                }
                b'K' => self.unsigned(1)?,
                b'M' => self.unsigned(2)?,
                0x8a => self.long()?,
                b'I' | b'L' => {
                    let line = self.line()?.trim_end_matches('L');
                    let value = line.parse().map_err(|_| damaged())?;
                    self.push(Pickled::Int(value))?;
                }
                b'G' => self.skip(8)?, // BINFLOAT
                b'F' => {
                    self.line()?;
                    self.push(Pickled::Other)?;
                }
                b'X' => self.push_text(4)?,
                0x8c => self.push_text(1)?,
                0x8d => self.push_text(8)?,
                b'U' => self.push_text_or_bytes(1)?,
                b'T' => self.push_text_or_bytes(4)?,
                b'C' => self.bytes_of(1)?,
                b'B' => self.bytes_of(4)?,
                0x8e | 0x96 => self.bytes_of(8)?,
                b')' | b']' => self.push(Pickled::List(Vec::new()))?,
                b'}' => self.push(Pickled::Dict(Vec::new()))?,
                0x8f => self.push(Pickled::Other)?, // EMPTY_SET
                b't' | b'l' => {
                    let items = self.since_mark()?;
                    shallow(&items)?;
                    self.push(Pickled::List(items))?;
                }
                b'd' => {
                    let items = self.since_mark()?;
                    self.push(Pickled::Dict(Vec::new()))?;
                    self.set_items(items)?;
                }
                0x85..=0x87 => {
                    let items = self.last(usize::from(op - 0x84))?;
                    shallow(&items)?;
                    self.push(Pickled::List(items))?;
                }
                b'e' => {
                    let items = self.since_mark()?;
                    self.append(items)?;
                }
                b'a' => {
                    let item = self.pop()?;
                    self.append(vec![item])?;
                }
                0x90 | 0x91 => {
                    self.since_mark()?; // ADDITEMS, FROZENSET
                    if op == 0x91 {
                        self.push(Pickled::Other)?;
                    }
                }
                b'u' => {
                    let items = self.since_mark()?;
                    self.set_items(items)?;
                }
                b's' => {
                    let items = self.last(2)?;
                    self.set_items(items)?;
                }
                b'q' | b'r' => {
                    let index = self.number(if op == b'q' { 1 } else { 4 })?;
                    self.remember(index as usize)?;
                }
                0x94 => self.remember(self.memo.len())?,
                b'h' | b'j' => {
                    let index = self.number(if op == b'h' { 1 } else { 4 })?;
                    self.recall(index as usize)?;
                }
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.push(Pickled::Global(format!("{module}.{name}").into()))?;
                }
                0x93 => {
                    let named = self.last(2)?;
                    let [Pickled::Text(module), Pickled::Text(name)] = named.as_slice() else {
                        return Err(damaged());
                    };
                    let global = format!("{module}.{name}").into();
                    self.push(Pickled::Global(global))?;
                }
                b'Q' => {
                    let id = self.pop()?;
                    self.push(storage(&id)?)?;
                }
                b'R' | 0x81 => {
                    let arguments = self.pop()?;
                    let function = self.pop()?;
                    self.push(call(&function, arguments)?)?;
                }
                // BUILD: attributes, such as the versions of modules beside a state dict.
                b'b' => drop(self.pop()?),
                other => {
                    return Err(format!(
                        "the pickle in it has the operation 0x{other:02x}, which is refused"
                    ));
                }
            }
        }
    }

    fn unsigned(&mut self, width: usize) -> Result<(), String> {
        let value = self.number(width)? as i64;
        self.push(Pickled::Int(value))
    }

    fn long(&mut self) -> Result<(), String> {
        let length = self.number(1)? as usize;
        if length > 8 {
            return self.skip(length);
        }
        let value = self.number(length)?;
        let spare = 64 - 8 * length as u32;
        let signed = if length == 0 { 0 } else { (value << spare) as i64 >> spare };
        self.push(Pickled::Int(signed))
    }

    fn skip(&mut self, count: usize) -> Result<(), String> {
        self.take(count)?;
        self.push(Pickled::Other)
    }

    fn bytes_of(&mut self, width: usize) -> Result<(), String> {
        let length = usize::try_from(self.number(width)?).map_err(|_| damaged())?;
        self.skip(length)
    }

    fn push_text(&mut self, width: usize) -> Result<(), String> {
        let text = self.text(width)?;
        self.push(Pickled::Text(text))
    }

    /// Texts of Python 2, which may be bytes.
    fn push_text_or_bytes(&mut self, width: usize) -> Result<(), String> {
        let length = usize::try_from(self.number(width)?).map_err(|_| damaged())?;
        let text =
            std::str::from_utf8(self.take(length)?).map_or(Pickled::Other, |t| Pickled::Text(t.into()));
        self.push(text)
    }
}

/// `('storage', class, key, location, count, …)`.
fn storage(id: &Pickled) -> Result<Pickled, String> {
    let Pickled::List(parts) = id else { return Err(damaged()) };
    let [Pickled::Text(kind), Pickled::Global(class), Pickled::Text(key), _, Pickled::Int(count), ..] =
        parts.as_slice()
    else {
        return Err(damaged());
    };
    let (Ok(count), "storage") = (u64::try_from(*count), &**kind) else { return Err(damaged()) };
    Ok(Pickled::Storage(Rc::new(Storage { class: class.clone(), key: key.clone(), count })))
}

/// What a call gives. Only what state dicts are made of is known; nothing is run.
fn call(function: &Pickled, arguments: Pickled) -> Result<Pickled, String> {
    /// Values of training beside the weights that no tensor is made of.
    const WITHOUT_MEANING: &[&str] =
        &["torch.device", "torch.Size", "argparse.Namespace", "builtins.set", "__builtin__.set"];
    let Pickled::Global(name) = function else { return Err(damaged()) };
    let arguments = match arguments {
        Pickled::List(list) => list,
        _ => return Err(damaged()),
    };
    match &**name {
        "collections.OrderedDict" | "builtins.dict" | "__builtin__.dict" => {
            // Pairs, where there are any.
            let mut dict = Vec::new();
            if let Some(Pickled::List(pairs)) = arguments.into_iter().next() {
                for pair in pairs {
                    let Pickled::List(pair) = pair else { return Err(damaged()) };
                    let Ok([key, value]) = <[Pickled; 2]>::try_from(pair) else { return Err(damaged()) };
                    dict.push((key, value));
                }
            }
            Ok(Pickled::Dict(dict))
        }
        "torch._utils._rebuild_tensor_v2" | "torch._utils._rebuild_tensor" => tensor(&arguments),
        "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state" => {
            arguments.into_iter().next().ok_or_else(damaged)
        }
        name if WITHOUT_MEANING.contains(&name)
            || name.starts_with("numpy.")
            || name.starts_with("_codecs.") =>
        {
            Ok(Pickled::Other)
        }
        other => {
            let shown: String = other.chars().filter(|c| !c.is_control()).take(80).collect();
            Err(format!(
                "the pickle in it would run {shown:?}; only tensors and plain values are taken from such files. \
                 Ask its publisher for safetensors"
            ))
        }
    }
}

/// `(storage, offset, shape, strides, …)`.
fn tensor(arguments: &[Pickled]) -> Result<Pickled, String> {
    let [Pickled::Storage(storage), Pickled::Int(offset), shape, strides, ..] = arguments else {
        return Err(damaged());
    };
    let sizes = |value: &Pickled| -> Option<Vec<usize>> {
        let Pickled::List(list) = value else { return None };
        let size = |v: &Pickled| match v {
            Pickled::Int(n) => usize::try_from(*n).ok().filter(|n| *n <= 1 << 31),
            _ => None,
        };
        list.iter().map(size).collect()
    };
    let (Some(shape), Some(strides), Ok(offset)) = (sizes(shape), sizes(strides), u64::try_from(*offset))
    else {
        return Err(damaged());
    };
    if shape.len() != strides.len() || shape.len() > MOST_AXES {
        return Err(damaged());
    }
    Ok(Pickled::Tensor(Rc::new(StoredView { storage: storage.clone(), offset, shape, strides })))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    /// A list of so many ones, which the memo keeps, taken from the memo again.
    fn recalled(count: usize) -> Pickled {
        let bytes = [&b"\x80\x02]("[..], &b"K\x01".repeat(count), b"eq\x000h\x00."].concat();
        read(&bytes).unwrap().0
    }

    #[test]
    fn what_is_taken_from_the_memo_cannot_grow_without_end() {
        assert_eq!(recalled(MOST_AXES), Pickled::List(vec![Pickled::Int(1); MOST_AXES]));
        assert_eq!(recalled(MOST_AXES + 1), Pickled::Other);
    }

    #[test]
    fn values_and_marks_are_counted() {
        // Each value is dropped at once, and each mark could be.
        for (endless, what) in [(&b"N0"[..], "values"), (b"(", "marks")] {
            let error = read(&endless.repeat(MOST_VALUES + 1)).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
    }
}
