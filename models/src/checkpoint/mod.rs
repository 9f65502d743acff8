//! Where the files of a checkpoint come from: a folder, or bytes built into the program.

pub(crate) mod fields;
pub(crate) mod generation_file;
pub(crate) mod processor_file;
pub(crate) mod weights;

use crate::error::LoadError;
use loupe_core::model::CheckpointRecord;
use loupe_core::words::hex;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

const EXPECTED: &str =
    "config.json, model.safetensors (or shards with model.safetensors.index.json) and tokenizer.json";
/// Settings files are kilobytes and tokenizers tens of megabytes; more is not a checkpoint.
const LARGEST_TEXT: u64 = 256 << 20;
/// The settings of an adapter, which `transformers` applies to the weights it lies beside.
const ADAPTER: &str = "adapter_config.json";
/// Settings files whose hashes go on record, where they are there.
const SETTINGS: &[&str] = &[
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "chat_template.json",
];
/// Fields of settings files that say who wrote them, and how.
const WRITERS: &[&str] = &["transformers_version", "_name_or_path", "_commit_hash", "torch_dtype", "dtype"];
/// Bytes of a safetensors header that are believed.
const LARGEST_HEADER: u64 = 100 << 20;

/// The files of a checkpoint.
#[derive(Debug, Clone)]
pub enum Checkpoint {
    /// A folder in the Hugging Face layout.
    Directory(PathBuf),
    /// Files built into the program: name and bytes.
    Embedded {
        /// Name for tables.
        name: &'static str,
        /// File names and contents.
        files: &'static [(&'static str, &'static [u8])],
    },
}

impl Checkpoint {
    /// The folder `dir`.
    pub fn directory(dir: &Path) -> Self {
        Self::Directory(dir.to_path_buf())
    }

    /// Name for tables: the last part of the folder's path.
    pub fn name(&self) -> String {
        match self {
            Self::Directory(dir) => {
                let full = dir.canonicalize().unwrap_or_else(|_| dir.clone());
                full.file_name().map_or_else(|| "checkpoint".to_owned(), |n| n.to_string_lossy().into_owned())
            }
            Self::Embedded { name, .. } => (*name).to_owned(),
        }
    }

    pub(crate) fn missing(&self, file: &str) -> LoadError {
        if self.has(ADAPTER) {
            return adapter();
        }
        let folder = match self {
            Self::Directory(dir) => dir.display().to_string(),
            Self::Embedded { name, .. } => (*name).to_owned(),
        };
        LoadError::MissingFile { file: file.to_owned(), folder, expected: EXPECTED }
    }

    /// The bytes of a settings file, or `None` when there is no such file.
    pub(crate) fn bytes(&self, file: &str) -> Result<Option<Vec<u8>>, LoadError> {
        let failed = |problem: String| LoadError::File { file: file.to_owned(), problem };
        match self {
            Self::Directory(dir) => {
                let path = dir.join(file);
                if !path.is_file() {
                    return Ok(None);
                }
                let source = File::open(&path).map_err(|e| failed(e.to_string()))?;
                let mut out = Vec::new();
                let read = source.take(LARGEST_TEXT + 1).read_to_end(&mut out);
                let read = read.map_err(|e| failed(e.to_string()))?;
                if read as u64 > LARGEST_TEXT {
                    return Err(failed(format!("larger than {} MiB", LARGEST_TEXT >> 20)));
                }
                Ok(Some(out))
            }
            Self::Embedded { files, .. } => {
                Ok(files.iter().find(|(name, _)| *name == file).map(|(_, bytes)| bytes.to_vec()))
            }
        }
    }

    /// A JSON file, or `None` when there is no such file.
    pub(crate) fn json(&self, file: &str) -> Result<Option<Value>, LoadError> {
        let Some(bytes) = self.bytes(file)? else { return Ok(None) };
        let parsed = serde_json::from_slice(&bytes);
        parsed.map(Some).map_err(|e| LoadError::File { file: file.to_owned(), problem: e.to_string() })
    }

    /// A UTF-8 file, or `None` when there is no such file.
    pub(crate) fn text(&self, file: &str) -> Result<Option<String>, LoadError> {
        let Some(bytes) = self.bytes(file)? else { return Ok(None) };
        let text = String::from_utf8(bytes);
        text.map(Some).map_err(|_| LoadError::File { file: file.to_owned(), problem: "not UTF-8".into() })
    }

    /// A JSON file that must be there.
    pub(crate) fn need_json(&self, file: &str) -> Result<Value, LoadError> {
        self.json(file)?.ok_or_else(|| self.missing(file))
    }

    /// SHA-256 of a settings file in hexadecimal, or `None` when there is no such file.
    pub(crate) fn sha256(&self, file: &str) -> Result<Option<String>, LoadError> {
        Ok(self.bytes(file)?.map(|bytes| hex(&Sha256::digest(bytes))))
    }

    /// SHA-256 of every settings file that is there, by its name.
    pub(crate) fn settings_sha256(&self) -> Result<BTreeMap<String, String>, LoadError> {
        let hash = |name: &&str| Ok(self.sha256(name)?.map(|digest| ((*name).to_owned(), digest)));
        SETTINGS.iter().map(hash).filter_map(Result::transpose).collect()
    }

    /// Contents of the small settings files of network and processor, without what only says who wrote them: for the
    /// record of models whose settings are taken as they are.
    pub(crate) fn settings_values(&self) -> Result<Value, LoadError> {
        /// Settings are a few kilobytes; of more the hash alone is recorded.
        const MOST: usize = 1 << 16;
        let mut out = serde_json::Map::new();
        for file in ["config.json", "preprocessor_config.json", "processor_config.json"] {
            let Some(bytes) = self.bytes(file)?.filter(|b| b.len() <= MOST) else { continue };
            let Ok(mut value) = serde_json::from_slice::<Value>(&bytes) else { continue };
            if let Some(map) = value.as_object_mut() {
                map.retain(|name, _| !WRITERS.contains(&name.as_str()));
            }
            out.insert(file.to_owned(), value);
        }
        Ok(Value::Object(out))
    }

    /// What is on record of a checkpoint whose settings are taken as they are.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(crate) fn record(
        &self,
        parameters: u64,
        dtype: &str,
        device: String,
    ) -> Result<CheckpointRecord, LoadError> {
        Ok(CheckpointRecord {
            weights_sha256: self.weights_sha256()?,
            tokenizer_sha256: self.sha256("tokenizer.json")?,
            parameters,
            dtype: dtype.to_owned(),
            device,
            settings: self.settings_values()?,
            files_sha256: self.settings_sha256()?,
            ..CheckpointRecord::default()
        })
    }

    /// Refuses a folder with an adapter that would be left out.
    ///
    /// # Errors
    /// When there is one.
    pub(crate) fn refuse_adapter(&self) -> Result<(), LoadError> {
        if self.has(ADAPTER) { Err(adapter()) } else { Ok(()) }
    }

    /// A file that must be there.
    pub(crate) fn need_bytes(&self, file: &str) -> Result<Vec<u8>, LoadError> {
        self.bytes(file)?.ok_or_else(|| self.missing(file))
    }

    /// True when there is a file of this name.
    pub(crate) fn has(&self, file: &str) -> bool {
        match self {
            Self::Directory(dir) => dir.join(file).is_file(),
            Self::Embedded { files, .. } => files.iter().any(|(name, _)| *name == file),
        }
    }

    /// Names of all tensors, as written in the files.
    pub(crate) fn tensor_names(&self) -> Result<Vec<String>, LoadError> {
        let mut names = Vec::new();
        for file in self.weight_files()? {
            let (header, _) = self.open(&file)?.header()?;
            names.extend(header.into_iter().map(|(name, _)| name));
        }
        Ok(names)
    }

    /// Names of the weight files, in order: one file or the shards of the index.
    pub(crate) fn weight_files(&self) -> Result<Vec<String>, LoadError> {
        const SINGLE: &str = "model.safetensors";
        const INDEX: &str = "model.safetensors.index.json";
        if self.has(SINGLE) {
            return Ok(vec![SINGLE.to_owned()]);
        }
        let Some(index) = self.json(INDEX)? else { return Err(self.missing(SINGLE)) };
        let Some(map) = index.get("weight_map").and_then(Value::as_object) else {
            return Err(LoadError::Field {
                file: INDEX,
                field: "weight_map".into(),
                problem: "not an object of tensor names and file names".into(),
            });
        };
        let mut files: Vec<String> = map.values().filter_map(|v| v.as_str().map(str::to_owned)).collect();
        files.sort();
        files.dedup();
        // A shard is a file of this folder; anything else would let an index read other places.
        if let Some(odd) = files.iter().find(|f| f.contains(['/', '\\']) || f.contains("..")) {
            let problem = format!("{odd:?} is not the name of a file in the folder");
            return Err(LoadError::Field { file: INDEX, field: "weight_map".into(), problem });
        }
        Ok(files)
    }

    /// Opens a weight file for reading at any place.
    pub(crate) fn open(&self, file: &str) -> Result<Source, LoadError> {
        match self {
            Self::Directory(dir) => {
                let path = dir.join(file);
                if !path.is_file() {
                    return Err(self.missing(file));
                }
                let opened = File::open(&path).and_then(|f| f.metadata().map(|m| (f, m.len())));
                let failed =
                    |e: std::io::Error| LoadError::File { file: file.to_owned(), problem: e.to_string() };
                let (handle, length) = opened.map_err(failed)?;
                Ok(Source { name: file.to_owned(), length, kind: Kind::File(handle) })
            }
            Self::Embedded { files, .. } => {
                let found = files.iter().find(|(name, _)| *name == file);
                let (_, bytes) = found.ok_or_else(|| self.missing(file))?;
                Ok(Source { name: file.to_owned(), length: bytes.len() as u64, kind: Kind::Bytes(bytes) })
            }
        }
    }

    /// SHA-256 of the weights in hexadecimal: of the file itself when there is one (`sha256sum`
    /// prints the same), of the lines `digest  name` when there are shards.
    pub(crate) fn weights_sha256(&self) -> Result<String, LoadError> {
        use rayon::prelude::*;
        let files = self.weight_files()?;
        let digests = files.par_iter().map(|file| self.open(file)?.sha256());
        let digests: Vec<String> = digests.collect::<Result<_, _>>()?;
        if let [only] = digests.as_slice() {
            return Ok(only.clone());
        }
        let mut listing = String::new();
        for (digest, file) in digests.iter().zip(&files) {
            let _ = writeln!(listing, "{digest}  {file}");
        }
        Ok(hex(&Sha256::digest(listing.as_bytes())))
    }
}

fn adapter() -> LoadError {
    LoadError::File {
        file: ADAPTER.to_owned(),
        problem: "the folder holds an adapter (LoRA), which is not applied; merge it into its base model \
                  (`merge_and_unload` of the package peft) and name the folder of the merged checkpoint"
            .to_owned(),
    }
}

/// An open weight file. Read with ordinary reads, not memory-mapped: a file that shrinks meanwhile
/// gives an error instead of a fault, and pages of the file do not count as memory of the program.
pub(crate) struct Source {
    name: String,
    length: u64,
    kind: Kind,
}

enum Kind {
    File(File),
    Bytes(&'static [u8]),
}

/// Fills `out` from place `at` on, whatever else reads the file at the same time.
fn read_exact_at(file: &File, mut at: u64, mut out: &mut [u8]) -> std::io::Result<()> {
    #[cfg(unix)]
    use std::os::unix::fs::FileExt;
    #[cfg(windows)]
    use std::os::windows::fs::FileExt;
    while !out.is_empty() {
        #[cfg(unix)]
        let read = file.read_at(out, at);
        #[cfg(windows)]
        let read = file.seek_read(out, at);
        match read {
            Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                out = &mut out[n..];
                at += n as u64;
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

impl Source {
    pub(crate) fn failed(&self, problem: &dyn std::fmt::Display) -> LoadError {
        LoadError::File { file: self.name.clone(), problem: problem.to_string() }
    }

    /// Fills `out` with the bytes from `at` on.
    pub(crate) fn read_at(&self, at: u64, out: &mut [u8]) -> Result<(), LoadError> {
        let end = at.checked_add(out.len() as u64).filter(|end| *end <= self.length);
        if end.is_none() {
            return Err(self.failed(&"the file is shorter than its header says"));
        }
        let result = match &self.kind {
            Kind::File(file) => read_exact_at(file, at, out),
            Kind::Bytes(bytes) => {
                out.copy_from_slice(&bytes[at as usize..][..out.len()]);
                Ok(())
            }
        };
        result.map_err(|e| self.failed(&e))
    }

    /// The tensors of a safetensors header, and where the data begin. As the format demands, the data of
    /// the tensors follow each other without holes and overlaps up to the end of the file.
    pub(crate) fn header(&self) -> Result<(Vec<(String, Value)>, u64), LoadError> {
        let mut length = [0u8; 8];
        self.read_at(0, &mut length)?;
        let length = u64::from_le_bytes(length);
        if length > LARGEST_HEADER || length.saturating_add(8) > self.length {
            return Err(self.failed(&"not a safetensors file: its header is longer than the file"));
        }
        let mut text = vec![0u8; length as usize];
        self.read_at(8, &mut text)?;
        let parsed = serde_json::from_slice(&text);
        let Header(mut tensors) =
            parsed.map_err(|e| self.failed(&format!("not a safetensors file: its header is broken: {e}")))?;
        tensors.retain(|(name, _)| name != "__metadata__");
        let start = 8 + length;
        layout(&tensors, self.length - start).map_err(|problem| self.failed(&problem))?;
        Ok((tensors, start))
    }

    fn sha256(&self) -> Result<String, LoadError> {
        let mut hash = Sha256::new();
        let mut block = vec![0u8; 1 << 20];
        let mut at = 0;
        while at < self.length {
            let step = block.len().min((self.length - at) as usize);
            let part = &mut block[..step];
            self.read_at(at, part)?;
            hash.update(&*part);
            at += step as u64;
        }
        Ok(hex(&hash.finalize()))
    }
}

/// The pairs of a JSON object, none of them twice.
struct Header(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Header;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of tensors")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let (mut all, mut names) = (Vec::new(), BTreeSet::new());
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom(format!("tensor {name:?} is there twice")));
                    }
                    all.push((name, value));
                }
                Ok(Header(all))
            }
        }
        from.deserialize_map(Pairs)
    }
}

/// Do the tensors fill `size` bytes of data, one after the other?
fn layout(tensors: &[(String, Value)], size: u64) -> Result<(), String> {
    let mut ranges = Vec::with_capacity(tensors.len());
    for (name, value) in tensors {
        let range = value.get("data_offsets").and_then(Value::as_array);
        let range: Option<Vec<u64>> = range.and_then(|r| r.iter().map(Value::as_u64).collect());
        match range.as_deref() {
            Some([from, to]) if from <= to => ranges.push((*from, *to, name)),
            _ => return Err(format!("the header entry of tensor {name:?} is malformed")),
        }
    }
    ranges.sort_unstable();
    let mut end = 0;
    for (from, to, name) in ranges {
        if from != end {
            let how = if from < end { "overlaps the tensor before it" } else { "leaves a hole before it" };
            return Err(format!("tensor {name:?} {how}: its data begin at byte {from}, expected {end}"));
        }
        end = to;
    }
    match end.cmp(&size) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Less => Err(format!("{} bytes follow the last tensor", size - end)),
        std::cmp::Ordering::Greater => {
            Err(format!("the file is shorter than its header says: {size} bytes of data, expected {end}"))
        }
    }
}
