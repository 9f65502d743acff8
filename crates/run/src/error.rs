//! What can go wrong with a run as a whole; what goes wrong with one item is recorded as that item.

use crate::shard::Shard;
use loupe_core::DataError;
use std::path::PathBuf;
use thiserror::Error;

/// Why a run could not be started, continued or scored.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// The folder cannot be written: permissions, full disk.
    #[error("cannot write {file} in {folder}: {source}; nothing recorded so far is lost, make room or permission and repeat the command", folder = .folder.display())]
    Write {
        /// Run folder.
        folder: PathBuf,
        /// File within it.
        file: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of the run cannot be read.
    #[error("cannot read {file} in {folder}: {source}", folder = .folder.display())]
    Read {
        /// Run folder.
        folder: PathBuf,
        /// File within it.
        file: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of the run is not what it should be.
    #[error("{file}, line {line}: {problem}; start a new run in another folder")]
    Damaged {
        /// Name of the file in the run folder.
        file: &'static str,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// The samples in the folder are not those that its replies were given to.
    #[error("samples.jsonl in {folder} does not hold the samples that run.json was made for (samples_sha256 {was}, found {is}): it was changed since, or belongs to another run; put the file of this run back, or start a new run in another folder", folder = .folder.display())]
    OtherSamples {
        /// Run folder.
        folder: PathBuf,
        /// First digits of the digest in run.json.
        was: String,
        /// Those of the digest of the file.
        is: String,
    },
    /// The folder has other contents.
    #[error("{folder} is not empty and holds no run (found {found}); name a new folder", folder = .folder.display())]
    NotARun {
        /// Folder of the run.
        folder: PathBuf,
        /// A file in it.
        found: String,
    },
    /// The folder has no run in it.
    #[error("{folder} holds no run: run.json is missing", folder = .folder.display())]
    NoRun {
        /// Folder of the run.
        folder: PathBuf,
    },
    /// The folder holds a part of a run, which alone says nothing about the set.
    #[error(
        "{folder} holds shard {shard} of a run; join all of them with `loupe merge`, then use the merged run", folder = .folder.display()
    )]
    Shard {
        /// Folder of the shard.
        folder: PathBuf,
        /// Which part it is.
        shard: Shard,
    },
    /// The parts make no run.
    #[error("these parts make no run: {problem}")]
    Parts {
        /// Which part, and what is wrong.
        problem: String,
    },
    /// The folder holds another run.
    #[error(
        "this folder holds another run: {field} was {was}, now it is {now}{more}. Repeat the first command with the same files to resume it, or name a new folder"
    )]
    Differs {
        /// Path of the field in run.json.
        field: String,
        /// Value on disk.
        was: String,
        /// Value now.
        now: String,
        /// Further fields that differ, in words.
        more: String,
    },
    /// The samples are not those that the run was begun with.
    #[error(
        "the set is not as it was when this run was begun: {problem}. Put it back to resume the run, or name a new folder"
    )]
    Rows {
        /// Which sample, and what has changed.
        problem: String,
    },
    /// The run was begun by an earlier version.
    #[error(
        "{folder} holds a run in layout {format} of an earlier loupe: it can be scored, compared and shown, but not continued; name a new folder", folder = .folder.display()
    )]
    Former {
        /// Folder of the run.
        folder: PathBuf,
        /// Its layout.
        format: u32,
    },
    /// Another process is at work in the folder.
    #[error("another process is writing to the run in {folder}; wait for it or name a new folder", folder = .folder.display())]
    Busy {
        /// Folder of the run.
        folder: PathBuf,
    },
    /// Nothing to do.
    #[error("the selection leaves no sample: {0}")]
    Empty(String),
    /// A setting makes no sense.
    #[error("{setting}: {problem}")]
    Setting {
        /// Name of the setting.
        setting: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// Nobody answers any more: a server is down, a key is refused, a budget is used up.
    #[error(
        "{reason}. {recorded} of {total} replies are on record and nothing is lost: the same command goes on with the rest"
    )]
    Unreachable {
        /// Why.
        reason: String,
        /// May the same command go through later without anybody changing anything?
        passes: bool,
        /// Replies and failures on record.
        recorded: usize,
        /// Replies of the complete run.
        total: usize,
    },
    /// The model cannot run at all.
    #[error("the model failed before it answered anything, in a way that it should not; please report it")]
    Panicked,
    /// The dataset failed as a whole.
    #[error(transparent)]
    Data(#[from] DataError),
}
