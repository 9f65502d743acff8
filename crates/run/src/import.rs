//! A run made of replies that another tool has written.

use crate::error::RunError;
use crate::files::{REPLIES, replace};
use crate::folder::{ReplyLine, RunFolder};
use crate::made_by::{FORMAT, MadeBy};
use crate::plan::{Selection, Setting};
use crate::resume::{Allowed, enter};
use crate::sample_line::SampleLine;
use crate::seal::sealed;
use crate::session::{Invocation, Session};
use loupe_core::{DatasetInfo, GenerationLimits, ModelInfo, Provenance};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What is known of replies made elsewhere.
#[derive(Debug, Clone)]
pub struct ImportSource {
    /// What made them, for tables.
    pub model: String,
    /// The questions they answer.
    pub dataset: DatasetInfo,
    /// Replies per sample.
    pub rollouts: usize,
    /// The dialect in which boxes and points were read, or `none`.
    pub box_dialect: String,
    /// SHA-256 over the file, in hexadecimal.
    pub file_sha256: String,
    /// The file and how it was read.
    pub settings: BTreeMap<String, Setting>,
    /// Folder of the set, where there is one.
    pub data_root: Option<PathBuf>,
    /// Who asks, for the record.
    pub invocation: Invocation,
}

/// Writes the folder of a finished run. A folder that holds the same import is left as it is; one
/// that holds something else is refused.
///
/// # Errors
/// When the folder cannot be written or holds another run, or there are no samples.
pub fn import(
    dir: &Path,
    source: ImportSource,
    samples: &mut dyn Iterator<Item = SampleLine>,
    replies: &mut dyn Iterator<Item = ReplyLine>,
) -> Result<RunFolder, RunError> {
    let made_by = MadeBy {
        format: FORMAT,
        loupe: env!("CARGO_PKG_VERSION").to_owned(),
        dataset: source.dataset,
        selection: Selection::default(),
        n: 0,
        samples_sha256: String::new(),
        model: ModelInfo {
            family: "imported".to_owned(),
            name: source.model,
            box_dialect: source.box_dialect,
            context_tokens: None,
            from: Provenance::Imported { file_sha256: source.file_sha256 },
        },
        strategy: Value::Null,
        prompt: json!({ "name": "unknown" }),
        limits: GenerationLimits::default(),
        rollouts: source.rollouts,
        settings: source.settings,
        image_limits: None,
        notes: Vec::new(),
        shard: None,
        data_root: source.data_root,
        sessions: vec![Session::begin(&source.invocation, None)],
    };
    let (folder, log) = enter(dir, made_by, samples, Allowed::default())?;
    // The log holds the folder's lock until the replies are in place.
    replace(dir, REPLIES, |to| {
        for line in replies {
            to.write_all(&sealed(&line)?)?;
        }
        Ok(())
    })?;
    drop(log);
    Ok(folder)
}
