//! State dicts as PyTorch stores them: an archive with a pickle and the numbers beside it (since 1.6), or pickles
//! and numbers one after the other (before).

use super::pickle::{self, Pickled, StoredView};
use super::source::{Source, StoredTensor};
use crate::error::LoadError;
use std::collections::BTreeMap;

/// Bytes of a pickle that are believed; those of the largest checkpoints have a few million.
const LARGEST_PICKLE: u64 = 256 << 20;
/// Entries of an archive.
const MOST_ENTRIES: usize = 1 << 20;
/// Where training scripts put the weights, in the order in which they are looked for.
const WRAPPERS: &[&str] = &["state_dict", "model_state_dict", "model", "module", "net", "ema"];
/// The first number of the older format.
const MAGIC: [u8; 14] = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// True when `file` has the beginning of a state dict.
pub(super) fn is_state_dict(source: &Source) -> bool {
    let mut begin = [0u8; 14];
    let length = source.length().min(14) as usize;
    source.read_at(0, &mut begin[..length]).is_ok() && (begin.starts_with(b"PK\x03\x04") || begin == MAGIC)
}

/// The tensors of a state dict.
///
/// # Errors
/// When the file is damaged, holds something else, or asks to run something.
pub(super) fn tensors(source: &Source) -> Result<Vec<StoredTensor>, LoadError> {
    let mut begin = [0u8; 2];
    source.read_at(0, &mut begin)?;
    let (root, storages) = if begin == *b"PK" { archive(source)? } else { sequence(source)? };
    let named = weights(&root).ok_or_else(|| {
        source.failed(&format!("no tensors under names, neither at the top nor in {}", WRAPPERS.join(", ")))
    })?;
    // Training on several devices puts a word before every name.
    let wrapped = !named.is_empty() && named.iter().all(|(name, _)| name.starts_with("module."));
    let bare = |name: &str| if wrapped { name["module.".len()..].to_owned() } else { name.to_owned() };
    named.iter().map(|(name, view)| stored(source, bare(name), view, &storages)).collect()
}

/// Where the bytes of each storage are: begin and length.
type Storages = BTreeMap<String, (u64, u64)>;

fn stored(
    source: &Source,
    name: String,
    view: &StoredView,
    storages: &Storages,
) -> Result<StoredTensor, LoadError> {
    let class = view.storage.class.rsplit('.').next().unwrap_or_default();
    let (dtype, size) = match class {
        "FloatStorage" => ("F32", 4),
        "HalfStorage" => ("F16", 2),
        "BFloat16Storage" => ("BF16", 2),
        "DoubleStorage" => ("F64", 8),
        "LongStorage" => ("I64", 8),
        "IntStorage" => ("I32", 4),
        "ShortStorage" => ("I16", 2),
        "CharStorage" => ("I8", 1),
        "ByteStorage" => ("U8", 1),
        "BoolStorage" => ("BOOL", 1),
        other => {
            return Err(
                source.failed(&format!("tensor {name:?} has the storage {other:?}, which is not known"))
            );
        }
    };
    let outside = || source.failed(&format!("tensor {name:?} does not lie within its storage"));
    let &(begin, length) = storages.get(&*view.storage.key).ok_or_else(outside)?;
    // Row-major strides; those of an axis of length 1 do not matter.
    let mut step = 1usize;
    for (side, stride) in view.shape.iter().zip(&view.strides).rev() {
        if *side > 1 && *stride != step {
            return Err(source.failed(&format!(
                "tensor {name:?} is stored turned (strides {:?}); save the state dict again after `.contiguous()`",
                view.strides
            )));
        }
        step = step.checked_mul(*side).ok_or_else(outside)?;
    }
    let end = view.offset.checked_add(step as u64).and_then(|n| n.checked_mul(size));
    if end.is_none_or(|end| end > length) || view.storage.count.checked_mul(size) != Some(length) {
        return Err(outside());
    }
    let at = begin.checked_add(view.offset * size).ok_or_else(outside)?;
    Ok(StoredTensor {
        name,
        dtype: dtype.to_owned(),
        shape: view.shape.clone(),
        at,
        bytes: step as u64 * size,
    })
}

/// The names and tensors at the top, or under one of the names that training scripts use.
fn weights(root: &Pickled) -> Option<Vec<(String, &StoredView)>> {
    let Pickled::Dict(items) = root else { return None };
    let mut found = Vec::new();
    for (key, value) in items {
        if let (Pickled::Text(name), Pickled::Tensor(view)) = (key, value) {
            found.push((name.to_string(), &**view));
        }
    }
    if !found.is_empty() {
        return Some(found);
    }
    let named = |wanted: &str| {
        let is = |key: &Pickled| matches!(key, Pickled::Text(name) if &**name == wanted);
        items.iter().find(|(key, _)| is(key)).and_then(|(_, value)| weights(value))
    };
    WRAPPERS.iter().find_map(|wanted| named(wanted))
}

/// The archive of `torch.save` since PyTorch 1.6: `NAME/data.pkl` and `NAME/data/KEY`, stored without compression.
fn archive(source: &Source) -> Result<(Pickled, Storages), LoadError> {
    let entries = directory(source)?;
    let find = |end: &str| entries.iter().find(|e| e.name.ends_with(end));
    let Some(pickle) = find("/data.pkl") else {
        return Err(source.failed(&"an archive without data.pkl: not a state dict of PyTorch"));
    };
    if find("/byteorder").is_some_and(|e| e.length != 6) {
        return Err(source.failed(&"its numbers are not little-endian"));
    }
    let root = pickle.name.trim_end_matches("data.pkl").to_owned();
    let place = |source: &Source, entry: &Entry| {
        if entry.method != 0 {
            return Err(source.failed(&"its numbers are compressed; save it again with torch.save"));
        }
        // The local header has lengths of its own for name and extra field.
        let mut head = [0u8; 30];
        source.read_at(entry.at, &mut head)?;
        let skip = u64::from(u16_at(&head, 26)) + u64::from(u16_at(&head, 28));
        Ok((entry.at + 30 + skip, entry.length))
    };
    let (at, length) = place(source, pickle)?;
    let value = parsed(source, at, length)?.0;
    let prefix = format!("{root}data/");
    let mut storages = Storages::new();
    for entry in &entries {
        if let Some(key) = entry.name.strip_prefix(&prefix) {
            let found = place(source, entry)?;
            storages.insert(key.to_owned(), found);
        }
    }
    Ok((value, storages))
}

fn parsed(source: &Source, at: u64, most: u64) -> Result<(Pickled, u64), LoadError> {
    if most > LARGEST_PICKLE {
        return Err(source.failed(&format!("its pickle has more than {} MiB", LARGEST_PICKLE >> 20)));
    }
    let mut bytes = vec![0u8; most as usize];
    source.read_at(at, &mut bytes)?;
    let (value, used) = pickle::read(&bytes).map_err(|problem| source.failed(&problem))?;
    Ok((value, used as u64))
}

/// The format before PyTorch 1.6: number, version, machine, state dict and keys as pickles, then for each key the
/// count of its numbers and the numbers.
fn sequence(source: &Source) -> Result<(Pickled, Storages), LoadError> {
    /// Of this file a block is looked at, large enough for the pickle of most; then larger ones.
    const BLOCK: u64 = 1 << 22;
    let mut at = 0;
    let mut next = |source: &Source| -> Result<Pickled, LoadError> {
        let rest = source.length().saturating_sub(at);
        let mut most = BLOCK;
        loop {
            let block = most.min(rest);
            match parsed(source, at, block) {
                Ok((value, used)) => {
                    at += used;
                    return Ok(value);
                }
                Err(error) if block == rest || most >= LARGEST_PICKLE => return Err(error),
                Err(_) => most *= 8,
            }
        }
    };
    for _ in 0..3 {
        next(source)?;
    }
    let root = next(source)?;
    let Pickled::List(keys) = next(source)? else {
        return Err(source.failed(&"the list of its storages is damaged"));
    };
    let mut sizes = BTreeMap::new();
    sizes_of(&root, &mut sizes);
    let mut storages = Storages::new();
    for key in keys {
        let Pickled::Text(key) = key else {
            return Err(source.failed(&"the list of its storages is damaged"));
        };
        let mut count = [0u8; 8];
        source.read_at(at, &mut count)?;
        let unknown = || source.failed(&"a storage in it is not known");
        let size = sizes.get(&*key).copied().ok_or_else(unknown)?;
        let bytes = u64::from_le_bytes(count).checked_mul(size).ok_or_else(unknown)?;
        storages.insert(key.to_string(), (at + 8, bytes));
        at = at
            .checked_add(8)
            .and_then(|at| at.checked_add(bytes))
            .filter(|at| *at <= source.length())
            .ok_or_else(unknown)?;
    }
    Ok((root, storages))
}

/// Bytes of a number of every storage.
fn sizes_of(value: &Pickled, out: &mut BTreeMap<String, u64>) {
    match value {
        Pickled::Tensor(view) => {
            let class = &*view.storage.class;
            let size = match class.rsplit('.').next().unwrap_or_default() {
                "DoubleStorage" | "LongStorage" => 8,
                "HalfStorage" | "BFloat16Storage" | "ShortStorage" => 2,
                "CharStorage" | "ByteStorage" | "BoolStorage" => 1,
                _ => 4,
            };
            out.insert(view.storage.key.to_string(), size);
        }
        Pickled::List(list) => list.iter().for_each(|v| sizes_of(v, out)),
        Pickled::Dict(items) => items.iter().for_each(|(_, v)| sizes_of(v, out)),
        _ => {}
    }
}

struct Entry {
    name: String,
    method: u16,
    length: u64,
    at: u64,
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// The central directory of a zip file, which lies at its end. Only places are read: torch stores numbers as they are.
fn directory(source: &Source) -> Result<Vec<Entry>, LoadError> {
    let broken = |source: &Source| source.failed(&"a damaged archive, or one that was cut off");
    let tail = source.length().min(22 + (1 << 16));
    let begin = source.length() - tail;
    let mut bytes = vec![0u8; tail as usize];
    source.read_at(begin, &mut bytes)?;
    let end = bytes.windows(4).rposition(|w| w == b"PK\x05\x06").filter(|at| at + 22 <= bytes.len());
    let end = end.ok_or_else(|| broken(source))?;
    let (mut count, mut length, mut at) = (
        u64::from(u16_at(&bytes, end + 10)),
        u64::from(u32_at(&bytes, end + 12)),
        u64::from(u32_at(&bytes, end + 16)),
    );
    // Files beyond 4 GiB have a second record, whose place stands just before this one.
    if count == 0xffff || length == 0xffff_ffff || at == 0xffff_ffff {
        let locator = end.checked_sub(20).filter(|at| bytes[*at..].starts_with(b"PK\x06\x07"));
        if let Some(locator) = locator {
            let mut large = [0u8; 56];
            source.read_at(u64_at(&bytes, locator + 8), &mut large)?;
            if !large.starts_with(b"PK\x06\x06") {
                return Err(broken(source));
            }
            (count, length, at) = (u64_at(&large, 32), u64_at(&large, 40), u64_at(&large, 48));
        }
    }
    if length > LARGEST_PICKLE || count > MOST_ENTRIES as u64 {
        return Err(broken(source));
    }
    let mut list = vec![0u8; length as usize];
    source.read_at(at, &mut list)?;
    let mut entries = Vec::new();
    let mut rest = list.as_slice();
    while rest.len() >= 46 && rest.starts_with(b"PK\x01\x02") {
        let [name, extra, comment] = [28, 30, 32].map(|at| usize::from(u16_at(rest, at)));
        let whole = 46 + name + extra + comment;
        if rest.len() < whole {
            return Err(broken(source));
        }
        let mut sizes =
            [u64::from(u32_at(rest, 24)), u64::from(u32_at(rest, 20)), u64::from(u32_at(rest, 42))];
        enlarge(&mut sizes, &rest[46 + name..46 + name + extra]);
        entries.push(Entry {
            name: String::from_utf8_lossy(&rest[46..46 + name]).into_owned(),
            method: u16_at(rest, 10),
            length: sizes[0],
            at: sizes[2],
        });
        rest = &rest[whole..];
    }
    if entries.len() as u64 != count {
        return Err(broken(source));
    }
    Ok(entries)
}

/// Numbers that did not fit into 32 bits stand in the extra field 1, in order.
fn enlarge(sizes: &mut [u64; 3], mut extra: &[u8]) {
    while extra.len() >= 4 {
        let (id, length) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let Some(mut body) = extra.get(4..4 + length) else { return };
        if id == 1 {
            for size in sizes.iter_mut().filter(|size| **size == 0xffff_ffff) {
                if body.len() < 8 {
                    return;
                }
                *size = u64_at(body, 0);
                body = &body[8..];
            }
        }
        extra = &extra[4 + length..];
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    /// A state dict of one number, in the older format, whose storage says that it has `count`.
    fn sequence_of(count: u64) -> Vec<u8> {
        let text = |t: &str| [&b"X"[..], &(t.len() as u32).to_le_bytes(), t.as_bytes()].concat();
        [
            &MAGIC[..],
            b".\x80\x02M\xe9\x03.\x80\x02}.",
            b"\x80\x02}",
            &text("w"),
            b"ctorch._utils\n_rebuild_tensor_v2\n((",
            &text("storage"),
            b"ctorch\nFloatStorage\n",
            &text("0"),
            &text("cpu"),
            b"K\x01NtQK\x00(K\x01t(K\x01ttRs.",
            b"\x80\x02]",
            &text("0"),
            b"a.",
            &count.to_le_bytes(),
            &1.5f32.to_le_bytes(),
        ]
        .concat()
    }

    #[test]
    fn storages_of_impossible_sizes_are_refused() {
        let read = |count| tensors(&Source::embedded(sequence_of(count).leak(), "w.pth"));
        let found = read(1).unwrap();
        assert_eq!((found[0].name.as_str(), found[0].bytes), ("w", 4));
        for count in [2, u64::MAX / 4, u64::MAX] {
            assert!(read(count).is_err(), "{count}");
        }
    }
}
