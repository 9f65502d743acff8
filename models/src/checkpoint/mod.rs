//! Where the files of a checkpoint come from: a folder, or bytes built into the program.

pub(crate) mod adapter;
mod change;
pub(crate) mod fields;
pub(crate) mod generation_file;
pub(crate) mod gguf;
mod hub;
mod pickle;
mod pieces;
pub(crate) mod processor_file;
mod sentencepiece;
pub(crate) mod source;
mod state_dict;
mod stored;
pub(crate) mod token_ids;
pub(crate) mod weights;

use self::gguf::GgufFiles;
use self::source::{Source, StoredTensor};
use crate::error::LoadError;
use loupe_core::files::open_regular;
use loupe_core::model::CheckpointRecord;
use loupe_core::words::hex;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const EXPECTED: &str =
    "config.json, model.safetensors (or shards with model.safetensors.index.json) and tokenizer.json";
const SINGLE: &str = "model.safetensors";
/// The tokenizer, and as SentencePiece stores it.
const TOKENIZER: &str = "tokenizer.json";
const PIECES: &str = "tokenizer.model";
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
    TOKENIZER,
    PIECES,
    "tokenizer_config.json",
    "chat_template.jinja",
    "chat_template.json",
    "open_clip_config.json",
];
/// Fields of settings files that say who wrote them, and how.
const WRITERS: &[&str] = &["transformers_version", "_name_or_path", "_commit_hash", "torch_dtype", "dtype"];

/// The files of a checkpoint.
#[derive(Debug, Clone)]
pub enum Checkpoint {
    /// A folder in the Hugging Face layout.
    Directory(PathBuf),
    /// One file of weights as its authors publish it, without settings.
    WeightFile(PathBuf),
    /// A text model with its settings and vocabulary in one file, and for models that see a second one.
    Gguf(Arc<GgufFiles>),
    /// Files built into the program: name and bytes.
    Embedded {
        /// Name for tables.
        name: &'static str,
        /// File names and contents.
        files: &'static [(&'static str, &'static [u8])],
    },
}

impl Checkpoint {
    /// What lies at `path`: a folder, the folder of a model in a Hugging Face cache (its main revision), a single
    /// file of weights, or a GGUF file with the vision part (`mmproj`) that lies beside it; the two may be all that a
    /// folder has. A path that does not exist may be the name of a model on the hub, `publisher/model`, that
    /// such a cache on this computer holds; nothing is downloaded.
    pub fn directory(path: &Path) -> Self {
        if path.is_file() {
            let gguf = GgufFiles::at(path).map(|files| Self::Gguf(Arc::new(files)));
            return gguf.unwrap_or_else(|| Self::WeightFile(path.to_path_buf()));
        }
        let folder = hub::snapshot(path).unwrap_or_else(|| path.to_path_buf());
        let gguf = GgufFiles::at(&folder);
        let own = Self::Directory(folder);
        match (own.weight_files(), gguf) {
            (Err(LoadError::MissingFile { .. }), Some(files)) => Self::Gguf(Arc::new(files)),
            _ => own,
        }
    }

    /// Name for tables: the last part of the folder's path.
    pub fn name(&self) -> String {
        match self {
            Self::Directory(dir) => {
                let full = dir.canonicalize().unwrap_or_else(|_| dir.clone());
                let last = || full.file_name().map(|n| n.to_string_lossy().into_owned());
                hub::model_of(&full).or_else(last).unwrap_or_else(|| "checkpoint".to_owned())
            }
            Self::WeightFile(path) => {
                path.file_stem().map_or_else(|| "checkpoint".to_owned(), |n| n.to_string_lossy().into_owned())
            }
            Self::Gguf(files) => files.name(),
            Self::Embedded { name, .. } => (*name).to_owned(),
        }
    }

    pub(crate) fn missing(&self, file: &str) -> LoadError {
        if self.has(ADAPTER) {
            return adapter();
        }
        let folder = match self {
            Self::Directory(path) if !path.exists() => return nothing_there(path),
            Self::Directory(path) | Self::WeightFile(path) => path.display().to_string(),
            Self::Gguf(files) => files.name(),
            Self::Embedded { name, .. } => (*name).to_owned(),
        };
        LoadError::MissingFile { file: file.to_owned(), folder, expected: EXPECTED }
    }

    /// The bytes of a settings file, or `None` when there is no such file. A tokenizer.json that is not there is made
    /// from tokenizer.model.
    pub(crate) fn bytes(&self, file: &str) -> Result<Option<Vec<u8>>, LoadError> {
        match self.stored_bytes(file)? {
            None if file == TOKENIZER => self.converted_tokenizer(),
            stored => Ok(stored),
        }
    }

    /// tokenizer.json as it follows from tokenizer.model, where that is there.
    fn converted_tokenizer(&self) -> Result<Option<Vec<u8>>, LoadError> {
        let Some(model) = self.stored_bytes(PIECES)? else { return Ok(None) };
        let settings = self.json("tokenizer_config.json")?.unwrap_or_default();
        let added = self.json("added_tokens.json")?.unwrap_or_default();
        let made = sentencepiece::tokenizer_json(&model, &settings, &added);
        let failed = |problem: String| {
            let advice = "save the tokenizer with transformers, which writes a tokenizer.json";
            LoadError::File { file: PIECES.to_owned(), problem: format!("{problem}; {advice}") }
        };
        Ok(Some(made.map_err(failed)?.to_string().into_bytes()))
    }

    fn stored_bytes(&self, file: &str) -> Result<Option<Vec<u8>>, LoadError> {
        let failed = |problem: String| LoadError::File { file: file.to_owned(), problem };
        match self {
            Self::Directory(dir) => {
                let path = dir.join(file);
                if !path.is_file() {
                    return Ok(None);
                }
                let source = open_regular(&path).map_err(|e| failed(e.to_string()))?;
                let mut out = Vec::new();
                let read = source.take(LARGEST_TEXT + 1).read_to_end(&mut out);
                let read = read.map_err(|e| failed(e.to_string()))?;
                if read as u64 > LARGEST_TEXT {
                    return Err(failed(format!("larger than {} MiB", LARGEST_TEXT >> 20)));
                }
                Ok(Some(out))
            }
            Self::WeightFile(_) => Ok(None),
            Self::Gguf(files) => files.settings(file),
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

    /// The number of a token that tokenizer.json adds to its vocabulary.
    pub(crate) fn added_token(&self, content: &str) -> Result<u32, LoadError> {
        const FILE: &str = "tokenizer.json";
        let tokenizer = self.need_json(FILE)?;
        let added = tokenizer.get("added_tokens").and_then(Value::as_array).into_iter().flatten();
        let mut same = added.filter(|t| t.get("content").and_then(Value::as_str) == Some(content));
        let id = same.find_map(|t| u32::try_from(t.get("id")?.as_u64()?).ok());
        let problem = || format!("has no token {content}");
        id.ok_or_else(|| LoadError::File { file: FILE.to_owned(), problem: problem() })
    }

    /// SHA-256 of a settings file in hexadecimal, or `None` when there is no such file.
    pub(crate) fn sha256(&self, file: &str) -> Result<Option<String>, LoadError> {
        Ok(self.bytes(file)?.map(|bytes| hex(&Sha256::digest(bytes))))
    }

    /// SHA-256 of every settings file that is there, by its name; of the files themselves where settings and weights are in
    /// the same.
    pub(crate) fn settings_sha256(&self) -> Result<BTreeMap<String, String>, LoadError> {
        if let Self::Gguf(files) = self {
            return files.digests().cloned();
        }
        let hash = |name: &&str| Ok(self.sha256(name)?.map(|digest| ((*name).to_owned(), digest)));
        SETTINGS.iter().map(hash).filter_map(Result::transpose).collect()
    }

    /// Contents of the small settings files of network and processor, without what only says who wrote them: for the
    /// record of models whose settings are taken as they are.
    pub(crate) fn settings_values(&self) -> Result<Value, LoadError> {
        /// Settings are a few kilobytes; of more the hash alone is recorded.
        const MOST: usize = 1 << 16;
        let mut out = serde_json::Map::new();
        for file in
            ["config.json", "preprocessor_config.json", "processor_config.json", "open_clip_config.json"]
        {
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

    /// How many tensors of each number type there are, for checkpoints whose files decide how weights are kept.
    ///
    /// # Errors
    /// When a file is damaged.
    pub(crate) fn stored_types(&self) -> Result<Option<BTreeMap<String, usize>>, LoadError> {
        match self {
            Self::Gguf(files) => files.types().map(Some),
            _ => Ok(None),
        }
    }

    /// A file that must be there.
    pub(crate) fn need_bytes(&self, file: &str) -> Result<Vec<u8>, LoadError> {
        self.bytes(file)?.ok_or_else(|| self.missing(file))
    }

    /// True when there is a file of this name.
    pub(crate) fn has(&self, file: &str) -> bool {
        match self {
            Self::Directory(dir) => dir.join(file).is_file(),
            Self::WeightFile(_) => false,
            Self::Gguf(files) => files.settings(file).is_ok_and(|found| found.is_some()),
            Self::Embedded { files, .. } => files.iter().any(|(name, _)| *name == file),
        }
    }

    /// All tensors, as the files describe them.
    pub(crate) fn tensors(&self) -> Result<Vec<StoredTensor>, LoadError> {
        let mut all = Vec::new();
        for file in self.weight_files()? {
            all.extend(self.tensors_of(&file, &self.open(&file)?)?);
        }
        Ok(all)
    }

    /// The tensors of a weight file, which is open as `source`.
    pub(crate) fn tensors_of(&self, file: &str, source: &Source) -> Result<Vec<StoredTensor>, LoadError> {
        match self {
            Self::Gguf(files) => files.tensors(file),
            _ => stored::tensors(source),
        }
    }

    /// What the files leave out and published settings stand for: a line each.
    pub(crate) fn notes(&self) -> Result<Vec<String>, LoadError> {
        match self {
            Self::Gguf(files) => files.notes().map(<[String]>::to_vec),
            _ => Ok(Vec::new()),
        }
    }

    /// Names of the weight files, in order: one file, the shards of an index, or a state dict as published.
    pub(crate) fn weight_files(&self) -> Result<Vec<String>, LoadError> {
        if let Self::WeightFile(path) = self {
            return Ok(vec![path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()]);
        }
        if let Self::Gguf(files) = self {
            return files.names();
        }
        for (single, index) in
            [(SINGLE, "model.safetensors.index.json"), ("pytorch_model.bin", "pytorch_model.bin.index.json")]
        {
            if self.has(single) {
                return Ok(vec![single.to_owned()]);
            }
            if let Some(found) = self.json(index)? {
                return shards(&found, index);
            }
        }
        let found = self.other_weights();
        match found.as_slice() {
            [] => Err(self.missing(SINGLE)),
            [_] => Ok(found),
            several => {
                let shown: Vec<&str> = several.iter().take(5).map(String::as_str).collect();
                Err(LoadError::File {
                    file: SINGLE.to_owned(),
                    problem: format!(
                        "not there, but {} other files of weights ({}); name one of them as the model, or give it a \
                         folder of its own",
                        several.len(),
                        shown.join(", ")
                    ),
                })
            }
        }
    }

    /// Files of the folder that hold weights under another name: safetensors before state dicts.
    fn other_weights(&self) -> Vec<String> {
        /// What training leaves beside them.
        const NOT_WEIGHTS: &[&str] =
            &["training_args", "optimizer", "scheduler", "rng_state", "scaler", "adapter_model"];
        let Self::Directory(dir) = self else { return Vec::new() };
        let names = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let names = names.filter(|entry| entry.path().is_file());
        let mut names: Vec<String> = names.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.retain(|name| !NOT_WEIGHTS.iter().any(|begin| name.starts_with(begin)));
        names.sort();
        let ending = |endings: &[&str]| -> Vec<String> {
            let has =
                |name: &&String| Path::new(name).extension().is_some_and(|e| endings.iter().any(|x| e == *x));
            names.iter().filter(has).cloned().collect()
        };
        let safe = ending(&["safetensors"]);
        if safe.is_empty() { ending(&["bin", "pth", "pt", "ckpt"]) } else { safe }
    }

    /// Opens a weight file for reading at any place.
    pub(crate) fn open(&self, file: &str) -> Result<Source, LoadError> {
        let at = |path: &Path| match path.is_file() {
            true => Source::open(path, file),
            false => Err(self.missing(file)),
        };
        match self {
            Self::Directory(dir) => at(&dir.join(file)),
            Self::WeightFile(path) => at(path),
            Self::Gguf(files) => files.open(file),
            Self::Embedded { files, .. } => {
                let found = files.iter().find(|(name, _)| *name == file);
                let (_, bytes) = found.ok_or_else(|| self.missing(file))?;
                Ok(Source::embedded(bytes, file))
            }
        }
    }

    /// SHA-256 of the weights in hexadecimal: of the file itself when there is one (`sha256sum`
    /// prints the same), of the lines `digest  name` when there are shards.
    pub(crate) fn weights_sha256(&self) -> Result<String, LoadError> {
        use rayon::prelude::*;
        let files = self.weight_files()?;
        let digests: Vec<String> = match self {
            Self::Gguf(known) => {
                let known = known.digests()?;
                files.iter().filter_map(|file| known.get(file).cloned()).collect()
            }
            _ => files.par_iter().map(|file| self.open(file)?.sha256()).collect::<Result<_, _>>()?,
        };
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

/// The files that an index names.
fn shards(index: &Value, file: &'static str) -> Result<Vec<String>, LoadError> {
    let field = || "weight_map".to_owned();
    let Some(map) = index.get("weight_map").and_then(Value::as_object) else {
        let problem = "not an object of tensor names and file names".to_owned();
        return Err(LoadError::Field { file, field: field(), problem });
    };
    let mut files: Vec<String> = map.values().filter_map(|v| v.as_str().map(str::to_owned)).collect();
    files.sort();
    files.dedup();
    // A shard is a file of this folder; anything else would let an index read other places.
    if let Some(odd) = files.iter().find(|f| f.contains(['/', '\\']) || f.contains("..")) {
        let problem = format!("{odd:?} is not the name of a file in the folder");
        return Err(LoadError::Field { file, field: field(), problem });
    }
    Ok(files)
}

/// A path with nothing at it, or a model that was not downloaded.
fn nothing_there(path: &Path) -> LoadError {
    let advice = hub::name(path).map(|(publisher, model)| {
        format!(
            " here, and the cache of Hugging Face on this computer has no model of that name; nothing is downloaded by loupe: `hf download {publisher}/{model} --local-dir {model}` fetches it, and --model {model} names it then"
        )
    });
    let advice = advice.unwrap_or_else(|| {
        "; --model takes the folder of a checkpoint, a GGUF file or an address".to_owned()
    });
    LoadError::NothingThere { path: path.display().to_string(), advice }
}

fn adapter() -> LoadError {
    LoadError::File {
        file: ADAPTER.to_owned(),
        problem: "the folder holds an adapter (LoRA), which is not applied unasked; name the folder of its base model \
                  with --model and this one with --adapter"
            .to_owned(),
    }
}
