//! The header of a GGUF file (specification: `docs/gguf.md` of the repository ggml-org/ggml), versions 2 and 3,
//! little-endian: metadata and where the tensors are. Nothing that the file says of lengths is believed before
//! so many bytes are known to be there.

use crate::checkpoint::source::{Source, StoredTensor};
use crate::error::LoadError;
use serde_json::{Map, Number, Value};
use std::collections::BTreeSet;

const MAGIC: &[u8; 4] = b"GGUF";
const VERSIONS: std::ops::RangeInclusive<u32> = 2..=3;
/// Bytes of a header that are believed: vocabularies are a few megabytes.
const LARGEST_HEADER: u64 = 256 << 20;
/// Values in all arrays together: a vocabulary of 262 144 tokens has as many scores and types, and up to twice as many
/// merges.
const MOST_VALUES: u64 = 1 << 22;
/// Keys, and tensors.
const MOST_ENTRIES: u64 = 1 << 16;
/// Bytes of a name.
const LONGEST_NAME: u64 = 1 << 10;
/// Arrays within arrays.
const DEEPEST: usize = 4;
/// Sides of a tensor.
const MOST_SIDES: u32 = 4;
const DEFAULT_ALIGNMENT: u64 = 32;
const LARGEST_ALIGNMENT: u64 = 1 << 16;

/// Number, name, weights of a block and bytes of a block of every number type of GGML (`ggml_type`).
const TYPES: &[(u32, &str, u64, u64)] = &[
    (0, "F32", 1, 4),
    (1, "F16", 1, 2),
    (2, "q4_0", 32, 18),
    (3, "q4_1", 32, 20),
    (6, "q5_0", 32, 22),
    (7, "q5_1", 32, 24),
    (8, "q8_0", 32, 34),
    (9, "q8_1", 32, 40),
    (10, "q2_k", 256, 84),
    (11, "q3_k", 256, 110),
    (12, "q4_k", 256, 144),
    (13, "q5_k", 256, 176),
    (14, "q6_k", 256, 210),
    (15, "q8_k", 256, 292),
    (16, "iq2_xxs", 256, 66),
    (17, "iq2_xs", 256, 74),
    (18, "iq3_xxs", 256, 98),
    (19, "iq1_s", 256, 50),
    (20, "iq4_nl", 32, 18),
    (21, "iq3_s", 256, 110),
    (22, "iq2_s", 256, 82),
    (23, "iq4_xs", 256, 136),
    (24, "i8", 1, 1),
    (25, "i16", 1, 2),
    (26, "i32", 1, 4),
    (27, "i64", 1, 8),
    (28, "f64", 1, 8),
    (29, "iq1_m", 256, 56),
    (30, "BF16", 1, 2),
    (34, "tq1_0", 256, 54),
    (35, "tq2_0", 256, 66),
    (39, "mxfp4", 32, 17),
    (40, "nvfp4", 64, 36),
];

/// What a file says before its tensors.
pub(super) struct Header {
    /// By key, in the form of JSON.
    pub(super) metadata: Map<String, Value>,
    /// In the order of the file, by their names there; sides as in other files, the one whose values are neighbours last.
    pub(super) tensors: Vec<StoredTensor>,
}

/// True when the file begins as one.
pub(super) fn is_gguf(source: &Source) -> bool {
    let mut magic = [0u8; 4];
    source.read_at(0, &mut magic).is_ok() && magic == *MAGIC
}

impl Header {
    /// Reads it.
    ///
    /// # Errors
    /// When it is no such file, damaged, or of a version that is not read.
    pub(super) fn read(source: &Source) -> Result<Self, LoadError> {
        let mut bytes = Bytes::new(source);
        if bytes.array::<4>()? != *MAGIC {
            return Err(source.failed(&"not a GGUF file"));
        }
        let version = bytes.u32()?;
        if !VERSIONS.contains(&version) {
            let why = match VERSIONS.contains(&version.swap_bytes()) {
                true => {
                    "a GGUF file with its bytes in the order of big-endian machines, which is not read".into()
                }
                false => format!("a GGUF file of version {version}; versions 2 and 3 are read"),
            };
            return Err(source.failed(&why));
        }
        let (tensors, keys) = (bytes.u64()?, bytes.u64()?);
        for (what, count) in [("tensors", tensors), ("keys", keys)] {
            if count > MOST_ENTRIES {
                return Err(
                    source.failed(&format!("says that it has {count} {what}; up to {MOST_ENTRIES} are read"))
                );
            }
        }
        let mut metadata = Map::new();
        for _ in 0..keys {
            let key = bytes.name()?;
            let kind = bytes.u32()?;
            let value = bytes.value(kind, 0)?;
            if metadata.insert(key.clone(), value).is_some() {
                return Err(source.failed(&format!("has the key {key:?} twice")));
            }
        }
        let mut described = Vec::new();
        let mut names = BTreeSet::new();
        for _ in 0..tensors {
            let tensor = bytes.tensor()?;
            if !names.insert(tensor.name.clone()) {
                return Err(source.failed(&format!("tensor {:?} is there twice", tensor.name)));
            }
            described.push(tensor);
        }
        let alignment = match metadata.get("general.alignment") {
            None => DEFAULT_ALIGNMENT,
            Some(value) => {
                value.as_u64().filter(|n| n.is_power_of_two() && *n <= LARGEST_ALIGNMENT).ok_or_else(
                    || source.failed(&format!("general.alignment is {value}, which is no power of two")),
                )?
            }
        };
        let start = bytes.at.next_multiple_of(alignment);
        place(&mut described, start, alignment, source.length())
            .map_err(|problem| source.failed(&problem))?;
        Ok(Self { metadata, tensors: described })
    }

    /// The text under a key.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).and_then(Value::as_str)
    }

    /// Sides of a tensor, the one whose values are neighbours last.
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.iter().find(|tensor| tensor.name == name).map(|tensor| tensor.shape.as_slice())
    }
}

/// Turns places within the data into places within the file, where they lie one after the other as the format demands: every
/// tensor at a multiple of the alignment, and nothing but filling between them.
fn place(tensors: &mut [StoredTensor], start: u64, alignment: u64, length: u64) -> Result<(), String> {
    let mut order: Vec<&mut StoredTensor> = tensors.iter_mut().collect();
    order.sort_by_key(|tensor| (tensor.at, tensor.bytes));
    let mut end = 0u64;
    for tensor in order {
        let (name, at) = (&tensor.name, tensor.at);
        if !at.is_multiple_of(alignment) {
            return Err(format!(
                "tensor {name:?} begins at byte {at} of the data, which is no multiple of {alignment}"
            ));
        }
        if at < end {
            return Err(format!(
                "tensor {name:?} overlaps the tensor before it: it begins at byte {at} of the data, which ends at {end}"
            ));
        }
        if at - end >= alignment {
            return Err(format!(
                "tensor {name:?} leaves a hole before it: it begins at byte {at} of the data, after {end}"
            ));
        }
        end =
            at.checked_add(tensor.bytes).ok_or_else(|| format!("tensor {name:?} is larger than any file"))?;
        let within = start.checked_add(end).is_some_and(|end| end <= length);
        if !within {
            let data = length.saturating_sub(start);
            return Err(format!(
                "the file is shorter than its header says: tensor {name:?} ends at byte {end} of the data, of which there are {data}"
            ));
        }
        tensor.at = start + at;
    }
    match length.saturating_sub(start).saturating_sub(end) {
        more if more >= alignment => Err(format!("{more} bytes follow the last tensor")),
        _ => Ok(()),
    }
}

/// A file from its begin on, read in pieces.
struct Bytes<'a> {
    source: &'a Source,
    /// Place in the file of what is read next.
    at: u64,
    held: Vec<u8>,
    /// Place in the file of `held`.
    from: u64,
    /// Values in arrays so far.
    values: u64,
}

impl<'a> Bytes<'a> {
    fn new(source: &'a Source) -> Self {
        Self { source, at: 0, held: Vec::new(), from: 0, values: 0 }
    }

    /// Bytes that a header can still have.
    fn left(&self) -> u64 {
        self.source.length().min(LARGEST_HEADER).saturating_sub(self.at)
    }

    fn fill(&mut self, out: &mut [u8]) -> Result<(), LoadError> {
        const PIECE: u64 = 1 << 16;
        let count = out.len() as u64;
        if count > self.left() {
            return Err(self.source.failed(&match self.source.length() > LARGEST_HEADER {
                true => format!("its header is longer than {} MiB", LARGEST_HEADER >> 20),
                false => "its header is longer than the file".to_owned(),
            }));
        }
        if count >= PIECE {
            self.source.read_at(self.at, out)?;
            self.at += count;
            return Ok(());
        }
        let held = self.from..self.from + self.held.len() as u64;
        if !held.contains(&self.at) || self.at + count > held.end {
            self.held.resize(PIECE.min(self.left()) as usize, 0);
            self.source.read_at(self.at, &mut self.held)?;
            self.from = self.at;
        }
        let begin = (self.at - self.from) as usize;
        out.copy_from_slice(&self.held[begin..begin + out.len()]);
        self.at += count;
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], LoadError> {
        let mut out = [0; N];
        self.fill(&mut out)?;
        Ok(out)
    }

    fn u32(&mut self) -> Result<u32, LoadError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, LoadError> {
        self.array().map(u64::from_le_bytes)
    }

    fn string(&mut self, longest: u64) -> Result<String, LoadError> {
        let length = self.u64()?;
        if length > longest || length > self.left() {
            return Err(self
                .source
                .failed(&format!("its header has a text of {length} bytes, which cannot be")));
        }
        let mut bytes = vec![0; length as usize];
        self.fill(&mut bytes)?;
        String::from_utf8(bytes).map_err(|_| self.source.failed(&"its header has a text that is not UTF-8"))
    }

    fn name(&mut self) -> Result<String, LoadError> {
        self.string(LONGEST_NAME)
    }

    /// A value of a `gguf_metadata_value_type`.
    fn value(&mut self, kind: u32, depth: usize) -> Result<Value, LoadError> {
        Ok(match kind {
            0 => self.array::<1>()?[0].into(),
            1 => i8::from_le_bytes(self.array()?).into(),
            2 => u16::from_le_bytes(self.array()?).into(),
            3 => i16::from_le_bytes(self.array()?).into(),
            4 => self.u32()?.into(),
            5 => i32::from_le_bytes(self.array()?).into(),
            6 => {
                // 1e-6 is meant, not the f32 next to it: the shortest decimal is what a settings file had.
                let value = f32::from_le_bytes(self.array()?);
                number(value.to_string().parse().unwrap_or(f64::NAN))
            }
            7 => match self.array::<1>()?[0] {
                0 => false.into(),
                1 => true.into(),
                other => {
                    return Err(self.source.failed(&format!("its header has {other} for true or false")));
                }
            },
            8 => self.string(LARGEST_HEADER)?.into(),
            9 => self.list(depth)?,
            10 => self.u64()?.into(),
            11 => i64::from_le_bytes(self.array()?).into(),
            12 => number(f64::from_le_bytes(self.array()?)),
            other => {
                return Err(self
                    .source
                    .failed(&format!("its header has a value of the unknown type {other}")));
            }
        })
    }

    fn list(&mut self, depth: usize) -> Result<Value, LoadError> {
        let (kind, count) = (self.u32()?, self.u64()?);
        // The least that a value of the type takes.
        let least = match kind {
            2 | 3 => 2,
            4..=6 => 4,
            8 | 10..=12 => 8,
            9 => 12,
            _ => 1,
        };
        self.values = self.values.saturating_add(count);
        if depth >= DEEPEST || count.saturating_mul(least) > self.left() || self.values > MOST_VALUES {
            return Err(self
                .source
                .failed(&format!("its header has a list of {count} values, which cannot be")));
        }
        (0..count).map(|_| self.value(kind, depth + 1)).collect::<Result<Vec<_>, _>>().map(Value::Array)
    }

    /// A tensor, its place relative to the begin of the data.
    fn tensor(&mut self) -> Result<StoredTensor, LoadError> {
        let name = self.name()?;
        let sides = self.u32()?;
        if sides > MOST_SIDES {
            return Err(self
                .source
                .failed(&format!("tensor {name:?} has {sides} sides; up to {MOST_SIDES} are read")));
        }
        let mut shape = (0..sides).map(|_| self.u64()).collect::<Result<Vec<u64>, _>>()?;
        let kind = self.u32()?;
        let at = self.u64()?;
        let Some((_, dtype, block, bytes)) = TYPES.iter().find(|known| known.0 == kind) else {
            return Err(self.source.failed(&format!("tensor {name:?} has the unknown number type {kind}")));
        };
        if !shape.first().copied().unwrap_or(1).is_multiple_of(*block) {
            let problem = format!(
                "tensor {name:?}: its rows are no whole blocks of {block} weights, as {dtype} has them"
            );
            return Err(self.source.failed(&problem));
        }
        let count = shape.iter().try_fold(1u64, |n, side| n.checked_mul(*side));
        let bytes = count.and_then(|n| (n / block).checked_mul(*bytes)).filter(|n| *n > 0);
        let bytes =
            bytes.ok_or_else(|| self.source.failed(&format!("tensor {name:?} has an impossible shape")))?;
        shape.reverse();
        let shape: Option<Vec<usize>> = shape.into_iter().map(|n| usize::try_from(n).ok()).collect();
        let shape =
            shape.ok_or_else(|| self.source.failed(&format!("tensor {name:?} has an impossible shape")))?;
        Ok(StoredTensor { name, dtype: (*dtype).to_owned(), shape, at, bytes })
    }
}

/// A number; null for what JSON has no number for.
fn number(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}
