//! Where the files of a checkpoint come from: a folder, or bytes built into the program.

pub(crate) mod fields;
pub(crate) mod generation_file;
pub(crate) mod processor_file;
pub(crate) mod weights;

use crate::error::LoadError;
use loupe_core::model::CheckpointRecord;
use loupe_core::words::hex;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
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
            names.extend(header.into_iter().map(|(name, _)| name).filter(|n| n != "__metadata__"));
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

    /// The entries of a safetensors header and where the data begin.
    pub(crate) fn header(&self) -> Result<(serde_json::Map<String, Value>, u64), LoadError> {
        let mut length = [0u8; 8];
        self.read_at(0, &mut length)?;
        let length = u64::from_le_bytes(length);
        if length > LARGEST_HEADER || length.saturating_add(8) > self.length {
            return Err(self.failed(&"not a safetensors file: its header is longer than the file"));
        }
        let mut text = vec![0u8; length as usize];
        self.read_at(8, &mut text)?;
        match serde_json::from_slice(&text) {
            Ok(Value::Object(map)) => Ok((map, 8 + length)),
            _ => Err(self.failed(&"not a safetensors file: its header is not a JSON object")),
        }
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
