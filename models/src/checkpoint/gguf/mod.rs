//! Checkpoints as llama.cpp publishes them: a file with the text model, its vocabulary and its settings, and for models
//! that see a second one with the vision part (`mmproj`). They are read as the checkpoints that they were made from: the
//! metadata become settings files, tensors get their published names, and weights stay in the blocks of the file.

mod gemma;
mod internvl;
mod keys;
mod names;
mod qwen;
mod reader;
mod settings;
mod text;
mod tokenizer;
mod vision;

use self::keys::Keys;
use self::names::Names;
use self::reader::Header;
use self::settings::Settings;
use super::source::{Source, StoredTensor};
use crate::error::LoadError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What is in the name of a vision part.
const VISION: &str = "mmproj";

/// The files of a checkpoint in this form.
#[derive(Debug)]
pub struct GgufFiles {
    /// Text model and vision part; in words why they cannot be told.
    found: Result<(PathBuf, Option<PathBuf>), String>,
    contents: OnceLock<Contents>,
    digests: OnceLock<BTreeMap<String, String>>,
}

/// What the headers of the files say, which are read once.
#[derive(Debug)]
struct Contents {
    settings: Settings,
    /// Tensors of every file by their published names.
    tensors: BTreeMap<String, Vec<StoredTensor>>,
}

/// The tensors of a file by their published names.
fn published(header: Header) -> Vec<StoredTensor> {
    let Some(names) = Names::of(&header) else { return header.tensors };
    let own = |tensor: StoredTensor| Some(StoredTensor { name: names.published(&tensor.name)?, ..tensor });
    header.tensors.into_iter().filter_map(own).collect()
}

impl GgufFiles {
    /// The file at `path` with the vision part beside it, or the files in that folder; `None` where there are none.
    pub(super) fn at(path: &Path) -> Option<Self> {
        let folder = if path.is_file() { path.parent()? } else { path };
        if path.is_file() && !begins_so(path) {
            return None;
        }
        let ending =
            |p: &PathBuf| p.extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf")) && p.is_file();
        // A file that is named without a folder lies in the present one.
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let all = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let (mut vision, mut text): (Vec<PathBuf>, Vec<PathBuf>) =
            all.filter(ending).partition(|p| name(p).to_lowercase().contains(VISION));
        vision.sort();
        text.sort();
        if path.is_file() {
            // Also one of another name, and one that is the vision part: its settings say so.
            vision.retain(|p| name(p) != name(path));
            text = vec![path.to_path_buf()];
        }
        let listed = |files: &[PathBuf]| files.iter().take(5).map(|p| name(p)).collect::<Vec<_>>().join(", ");
        let found = match (text.as_slice(), vision.as_slice()) {
            ([], []) => return None,
            ([], some) => Err(format!(
                "the folder has a vision part ({}), but not the text model that goes with it",
                listed(some)
            )),
            ([text], []) => Ok((text.clone(), None)),
            ([text], [vision]) => Ok((text.clone(), Some(vision.clone()))),
            ([_], several) => Err(format!(
                "{} vision parts lie in the folder ({}); keep the one that is meant there, and move the others elsewhere",
                several.len(),
                listed(several)
            )),
            (several, _) => Err(format!(
                "{} text models lie in the folder ({}); name one of these files as the model",
                several.len(),
                listed(several)
            )),
        };
        Some(Self { found, contents: OnceLock::new(), digests: OnceLock::new() })
    }

    /// Name for tables: that of the text model's file, without its ending.
    pub(super) fn name(&self) -> String {
        let stem = self.found.as_ref().ok().and_then(|(text, _)| text.file_stem());
        stem.map_or_else(|| "checkpoint".to_owned(), |stem| stem.to_string_lossy().into_owned())
    }

    fn paths(&self) -> Result<Vec<&Path>, LoadError> {
        match &self.found {
            Ok((text, vision)) => {
                Ok([Some(text), vision.as_ref()].into_iter().flatten().map(PathBuf::as_path).collect())
            }
            Err(problem) => Err(LoadError::File { file: "GGUF".to_owned(), problem: problem.clone() }),
        }
    }

    /// Names of the files, the text model's first.
    pub(super) fn names(&self) -> Result<Vec<String>, LoadError> {
        Ok(self.paths()?.into_iter().map(name).collect())
    }

    /// Opens the file of this name.
    pub(super) fn open(&self, file: &str) -> Result<Source, LoadError> {
        let path = self.paths()?.into_iter().find(|path| name(path) == file);
        let missing = || LoadError::File { file: file.to_owned(), problem: "not there".to_owned() };
        Source::open(path.ok_or_else(missing)?, file)
    }

    fn contents(&self) -> Result<&Contents, LoadError> {
        if let Some(known) = self.contents.get() {
            return Ok(known);
        }
        let read = |name: String| Ok::<_, LoadError>((Header::read(&self.open(&name)?)?, name));
        let headers = self.names()?.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let mut keys = headers.iter().map(|(header, file)| Keys { header, file });
        let (text, vision) = (keys.next(), keys.next());
        let settings = match text {
            Some(text) => settings::settings(&text, vision.as_ref())?,
            None => Settings::default(),
        };
        let tensors = headers.into_iter().map(|(header, file)| (file, published(header))).collect();
        Ok(self.contents.get_or_init(|| Contents { settings, tensors }))
    }

    /// The settings file of this name that the metadata stand for.
    ///
    /// # Errors
    /// When the files are damaged, or hold what is not read from such files.
    pub(super) fn settings(&self, file: &str) -> Result<Option<Vec<u8>>, LoadError> {
        Ok(self.contents()?.settings.files.get(file).cloned())
    }

    /// What the files do not say and published settings stand for: a line each.
    ///
    /// # Errors
    /// As [`GgufFiles::settings`].
    pub(super) fn notes(&self) -> Result<&[String], LoadError> {
        Ok(&self.contents()?.settings.notes)
    }

    /// The tensors of the file of this name by their published names.
    ///
    /// # Errors
    /// As [`GgufFiles::settings`].
    pub(super) fn tensors(&self, file: &str) -> Result<Vec<StoredTensor>, LoadError> {
        Ok(self.contents()?.tensors.get(file).cloned().unwrap_or_default())
    }

    /// SHA-256 of every file in hexadecimal, by its name; computed once.
    pub(super) fn digests(&self) -> Result<&BTreeMap<String, String>, LoadError> {
        use rayon::prelude::*;
        if let Some(known) = self.digests.get() {
            return Ok(known);
        }
        let digest = |file: &String| Ok::<_, LoadError>((file.clone(), self.open(file)?.sha256()?));
        let all = self.names()?.par_iter().map(digest).collect::<Result<BTreeMap<_, _>, _>>()?;
        Ok(self.digests.get_or_init(|| all))
    }

    /// How many tensors there are of each number type, by its name.
    pub(super) fn types(&self) -> Result<BTreeMap<String, usize>, LoadError> {
        let mut counts = BTreeMap::new();
        for tensor in self.contents()?.tensors.values().flatten() {
            *counts.entry(tensor.dtype.to_lowercase()).or_default() += 1;
        }
        Ok(counts)
    }
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Does the file begin as one of these?
fn begins_so(path: &Path) -> bool {
    Source::open(path, "").is_ok_and(|source| reader::is_gguf(&source))
}
