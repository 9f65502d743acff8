//! The files of a run: created once, appended to, read back.

use crate::error::RunError;
use crate::plan::{Selection, Setting};
use loupe_core::files::write_whole;
use loupe_core::sample::Outcome;
use loupe_core::words::hex;
use loupe_core::{
    DatasetInfo, Failure, Finding, GenerationLimits, MediaSource, ModelInfo, Origin, PictureRecord,
    Prediction, Record, Retry, Sample,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) const RUN: &str = "run.json";
pub(crate) const SAMPLES: &str = "samples.jsonl";
pub(crate) const REPLIES: &str = "replies.jsonl";
const PROBE: &str = ".space";

/// What made a run. Everything here must be the same on resume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MadeBy {
    /// Version of the folder's layout.
    pub format: u32,
    /// Version of loupe.
    pub loupe: String,
    /// The set and its fingerprint.
    pub dataset: DatasetInfo,
    /// Which of its samples.
    pub selection: Selection,
    /// How many that is.
    pub n: usize,
    /// SHA-256 over the samples (questions, references, choices, groups, tags and image names).
    pub samples_sha256: String,
    /// The model, its weights, number type, device and resampling.
    pub model: ModelInfo,
    /// Strategy over the model; `null` for a single pass.
    pub strategy: Value,
    /// The prompt template with its words.
    pub prompt: Value,
    /// Bounds and choices of generation.
    pub limits: GenerationLimits,
    /// Replies per sample.
    pub rollouts: usize,
    /// Further arguments, each given or default.
    pub settings: BTreeMap<String, Setting>,
}

/// Layout version written by this code.
pub(crate) const FORMAT: u32 = 2;
/// Layouts that can be read, scored and compared.
const READABLE: std::ops::RangeInclusive<u32> = 1..=FORMAT;

/// A line of samples.jsonl: a sample, or why the dataset could not give it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleLine {
    /// Row of the dataset, from 0.
    pub row: usize,
    /// The sample; images in bytes are not stored, their names are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<Sample>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl SampleLine {
    /// The sample's id, or the row's number when there is no sample.
    pub fn id(&self) -> String {
        self.sample.as_ref().map_or_else(|| format!("row {}", self.row), |s| s.id.clone())
    }

    /// A copy for the fingerprint: where the images lie does not matter, how they are named does.
    fn without_paths(&self) -> Self {
        let mut line = self.clone();
        for media in line.sample.iter_mut().flat_map(|s| &mut s.media) {
            match &mut media.source {
                MediaSource::File(path) | MediaSource::Folder(path) => *path = PathBuf::new(),
                MediaSource::Bytes(_) => {}
            }
        }
        line
    }
}

/// A line of replies.jsonl.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplyLine {
    /// Line of samples.jsonl, from 0.
    pub item: usize,
    /// Which of the replies to this sample, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rollout: usize,
    /// Reply or failure, with the sample's id and the strategy's trace.
    #[serde(flatten)]
    pub prediction: Prediction,
    /// The pictures the model was given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<PictureRecord>,
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

impl ReplyLine {
    /// Findings of the first layout say their picture alone; where that came from stands beside them.
    fn place_findings(&mut self) {
        let Self { prediction, pictures, .. } = self;
        let replies: &mut [Finding] = match &mut prediction.outcome {
            Outcome::Reply(reply) => &mut reply.findings,
            Outcome::Failed(_) => &mut [],
        };
        let references: &mut [Finding] = match &mut prediction.record {
            Record::Masks(trace) => &mut trace.reference,
            _ => &mut [],
        };
        for finding in replies.iter_mut().chain(references) {
            let slice = finding.origin.slice;
            if (Origin { slice: None, ..finding.origin.clone() }).is_unknown()
                && let Some(picture) = pictures.get(finding.picture)
            {
                finding.origin = picture.origin.clone();
                if slice.is_some() {
                    finding.origin.slice = slice;
                }
            }
        }
    }
}

/// An item of a run with what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Line of samples.jsonl, from 0.
    pub item: usize,
    /// Which of the replies to this sample.
    pub rollout: usize,
    /// The sample or why there is none.
    pub line: SampleLine,
    /// The reply or failure; `None` when the run has not come to it.
    pub reply: Option<ReplyLine>,
}

/// Where each reply lies in replies.jsonl; the last one for an item counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    /// Start of the line by `item × rollouts + rollout`.
    at: Vec<Option<u64>>,
    /// Complete lines that are no replies of this run (disk faults); their items are asked again.
    pub(crate) damaged: usize,
    /// Failed for a reason that may have passed.
    may_pass: Vec<bool>,
}

impl Index {
    pub(crate) fn done(&self, unit: usize, retry_failed: bool) -> bool {
        self.at.get(unit).is_some_and(Option::is_some)
            && !(retry_failed && self.may_pass.get(unit) == Some(&true))
    }

    pub(crate) fn count(&self) -> usize {
        self.at.iter().flatten().count()
    }
}

/// An existing run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    dir: PathBuf,
    /// What made it.
    pub made_by: MadeBy,
}

/// Writes one line at a time, each synced to the disk before the next; holds the folder's lock.
#[derive(Debug)]
pub(crate) struct ReplyLog {
    dir: PathBuf,
    file: File,
}

impl RunFolder {
    /// Opens a run to read it.
    ///
    /// # Errors
    /// When the folder holds no run or run.json cannot be understood.
    pub fn open(dir: &Path) -> Result<Self, RunError> {
        let mut text = String::new();
        match File::open(dir.join(RUN)) {
            Ok(mut file) => file.read_to_string(&mut text).map_err(|source| read_error(dir, RUN, source))?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(RunError::NoRun { folder: dir.into() });
            }
            Err(source) => return Err(read_error(dir, RUN, source)),
        };
        let made_by: MadeBy = serde_json::from_str(&text).map_err(|e| RunError::Damaged {
            file: RUN,
            line: e.line(),
            problem: e.to_string(),
        })?;
        if !READABLE.contains(&made_by.format) {
            let problem = format!(
                "the run was written in layout {}, this version reads {} to {FORMAT}",
                made_by.format,
                READABLE.start()
            );
            return Err(RunError::Damaged { file: RUN, line: 1, problem });
        }
        Ok(Self { dir: dir.into(), made_by })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Opens the folder for appending: a new run with these samples, or the same run as before.
    /// `made_by.samples_sha256` and `made_by.n` are filled in here.
    pub(crate) fn create_or_resume(
        dir: &Path,
        mut made_by: MadeBy,
        samples: &mut dyn Iterator<Item = SampleLine>,
    ) -> Result<(Self, ReplyLog), RunError> {
        std::fs::create_dir_all(dir).map_err(|source| write_error(dir, RUN, source))?;
        if dir.join(RUN).exists() {
            // Before anything of it is touched.
            let before = Self::open(dir)?.made_by.format;
            if before != FORMAT {
                return Err(RunError::Former { folder: dir.into(), format: before });
            }
        } else {
            refuse_strangers(dir)?;
        }
        let log = ReplyLog::open(dir)?;
        // Only under the lock: another process may have begun a run here meanwhile.
        let exists = dir.join(RUN).exists();
        let mut hash = Sha256::new();
        let mut n = 0;
        let mut each = |line: &SampleLine| -> std::io::Result<()> {
            n += 1;
            hash.update(serde_json::to_vec(&line.without_paths())?);
            Ok(())
        };
        if exists {
            for line in samples {
                each(&line).map_err(|source| read_error(dir, SAMPLES, source))?;
            }
        } else {
            replace(dir, SAMPLES, |to| {
                for line in samples {
                    each(&line)?;
                    serde_json::to_writer(&mut *to, &line)?;
                    to.write_all(b"\n")?;
                }
                Ok(())
            })?;
        }
        made_by.n = n;
        made_by.samples_sha256 = hex(&hash.finalize());
        if made_by.n == 0 {
            return Err(RunError::Empty(format!("{} has none that was asked for", made_by.dataset.name)));
        }
        if exists {
            let before = Self::open(dir)?;
            same(&before.made_by, &made_by)?;
            return Ok((before, log));
        }
        replace(dir, RUN, |to| {
            serde_json::to_writer_pretty(&mut *to, &made_by)?;
            to.write_all(b"\n")
        })?;
        Ok((Self { dir: dir.into(), made_by }, log))
    }

    /// Number of replies a complete run has.
    pub fn units(&self) -> usize {
        self.made_by.n * self.made_by.rollouts.max(1)
    }

    /// Finds every complete reply.
    pub(crate) fn index(&self) -> Result<Index, RunError> {
        #[derive(Deserialize)]
        struct Head {
            item: usize,
            #[serde(default)]
            rollout: usize,
            outcome: Kind,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Kind {
            Reply(serde::de::IgnoredAny),
            Failed {
                #[serde(default)]
                retry: Retry,
            },
        }
        let rollouts = self.made_by.rollouts.max(1);
        let mut index =
            Index { at: vec![None; self.units()], damaged: 0, may_pass: vec![false; self.units()] };
        let file = match File::open(self.dir.join(REPLIES)) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(index),
            other => other.map_err(|source| read_error(&self.dir, REPLIES, source))?,
        };
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let (mut start, mut line) = (0u64, Vec::new());
        loop {
            line.clear();
            let read = reader
                .read_until(b'\n', &mut line)
                .map_err(|source| read_error(&self.dir, REPLIES, source))?;
            if line.last() != Some(&b'\n') {
                return Ok(index); // end of the file, or a last line that was cut short
            }
            match serde_json::from_slice::<Head>(&line) {
                Ok(head) if head.item < self.made_by.n && head.rollout < rollouts => {
                    let unit = head.item * rollouts + head.rollout;
                    index.at[unit] = Some(start);
                    index.may_pass[unit] = matches!(head.outcome, Kind::Failed { retry: Retry::May });
                }
                _ => index.damaged += 1,
            }
            start += read as u64;
        }
    }

    /// Every item in dataset order with its replies, read from the folder alone.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn items(&self) -> Result<impl Iterator<Item = Result<Item, RunError>> + '_, RunError> {
        let index = self.index()?;
        let open =
            |name| File::open(self.dir.join(name)).map_err(|source| read_error(&self.dir, name, source));
        let mut samples = BufReader::with_capacity(1 << 16, open(SAMPLES)?).lines().enumerate();
        let mut replies = index
            .count()
            .gt(&0)
            .then(|| open(REPLIES))
            .transpose()?
            .map(|f| (BufReader::with_capacity(1 << 16, f), 0u64));
        let rollouts = self.made_by.rollouts.max(1);
        let mut now: Option<(SampleLine, usize)> = None;
        let mut item = 0;
        Ok(std::iter::from_fn(move || {
            let next = (|| -> Result<Option<Item>, RunError> {
                let (line, rollout) = match now.take() {
                    Some(held) => held,
                    None => {
                        let Some((at, text)) = samples.next() else { return Ok(None) };
                        item = at;
                        let text = text.map_err(|source| read_error(&self.dir, SAMPLES, source))?;
                        (parse(SAMPLES, at, text.as_bytes())?, 0)
                    }
                };
                if rollout + 1 < rollouts {
                    now = Some((line.clone(), rollout + 1));
                }
                let start = index.at.get(item * rollouts + rollout).copied().flatten();
                let reply = match (start, &mut replies) {
                    (Some(start), Some((file, position))) => Some(self.read_reply(file, position, start)?),
                    _ => None,
                };
                Ok(Some(Item { item, rollout, line, reply }))
            })();
            next.transpose()
        }))
    }

    fn read_reply(
        &self,
        file: &mut BufReader<File>,
        position: &mut u64,
        start: u64,
    ) -> Result<ReplyLine, RunError> {
        let mut line = Vec::new();
        // Relative, because neighbours are usually in the buffer already.
        file.seek_relative(start.wrapping_sub(*position).cast_signed())
            .and_then(|()| file.read_until(b'\n', &mut line))
            .map_err(|source| read_error(&self.dir, REPLIES, source))?;
        *position = start + line.len() as u64;
        let mut line: ReplyLine = parse(REPLIES, usize::try_from(start).unwrap_or(usize::MAX), &line)?;
        line.place_findings();
        Ok(line)
    }
}

fn parse<T: for<'a> Deserialize<'a>>(file: &'static str, at: usize, line: &[u8]) -> Result<T, RunError> {
    serde_json::from_slice(line).map_err(|e| RunError::Damaged { file, line: at + 1, problem: e.to_string() })
}

impl ReplyLog {
    fn open(dir: &Path) -> Result<Self, RunError> {
        let failed = |source| write_error(dir, REPLIES, source);
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(dir.join(REPLIES))
            .map_err(failed)?;
        // A process that starts another one lends it every lock for a moment, so that a lock which was just
        // given back may still be held.
        let mut patience = 10;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if patience > 0 => {
                    patience -= 1;
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(TryLockError::WouldBlock) => return Err(RunError::Busy),
                // A file system without locks: work on, as there is nothing better.
                Err(TryLockError::Error(e)) if e.kind() == std::io::ErrorKind::Unsupported => break,
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
        let keep = complete_bytes(&mut file).map_err(failed)?;
        file.set_len(keep).map_err(failed)?;
        Ok(Self { dir: dir.into(), file })
    }

    /// Writes, syncs and removes `bytes` bytes, so that a full disk shows before the work begins.
    pub(crate) fn probe(&self, bytes: usize) -> Result<(), RunError> {
        let path = self.dir.join(PROBE);
        let block = vec![b' '; bytes.min(1 << 20)];
        let tried = (|| {
            let mut file = File::create(&path)?;
            for _ in 0..bytes.div_ceil(block.len().max(1)) {
                file.write_all(&block)?;
            }
            file.sync_all()
        })();
        let removed = std::fs::remove_file(&path);
        tried.and(removed).map_err(|source| write_error(&self.dir, REPLIES, source))
    }

    /// Appends a line and waits until it is on the disk.
    pub(crate) fn append(&mut self, line: &ReplyLine) -> Result<(), RunError> {
        let mut text = serde_json::to_vec(line)
            .map_err(|e| write_error(&self.dir, REPLIES, std::io::Error::other(e)))?;
        text.push(b'\n');
        self.file
            .write_all(&text)
            .and_then(|()| self.file.sync_data())
            .map_err(|source| write_error(&self.dir, REPLIES, source))
    }
}

/// Length of the file up to and including its last line break.
fn complete_bytes(file: &mut File) -> std::io::Result<u64> {
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut block = [0u8; 4096];
    while end > 0 {
        let take = end.min(block.len() as u64);
        file.seek(SeekFrom::Start(end - take))?;
        let part = &mut block[..usize::try_from(take).unwrap_or(0)];
        file.read_exact(part)?;
        if let Some(at) = part.iter().rposition(|&b| b == b'\n') {
            return Ok(end - take + at as u64 + 1);
        }
        end -= take;
    }
    Ok(0)
}

/// Writes a file of the folder, whole or not at all.
///
/// # Errors
/// When the folder cannot be written or `write` fails.
pub fn replace(
    dir: &Path,
    name: &'static str,
    write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<(), RunError> {
    write_whole(&dir.join(name), write).map_err(|source| write_error(dir, name, source))
}

/// A new run must not mix with foreign files.
fn refuse_strangers(dir: &Path) -> Result<(), RunError> {
    for entry in std::fs::read_dir(dir).map_err(|source| read_error(dir, RUN, source))? {
        let entry = entry.map_err(|source| read_error(dir, RUN, source))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let ours = match name.as_str() {
            // A start that was killed leaves these; replies without a run.json are somebody's work.
            REPLIES => entry.metadata().is_ok_and(|m| m.len() == 0),
            SAMPLES | PROBE => true,
            other => other.starts_with('.') && other.ends_with(".part"),
        };
        if !ours {
            return Err(RunError::NotARun { folder: dir.into(), found: name });
        }
    }
    Ok(())
}

/// Refuses to mix two runs, naming the first field that differs.
fn same(before: &MadeBy, now: &MadeBy) -> Result<(), RunError> {
    match before.differences(now).into_iter().next() {
        None => Ok(()),
        Some((field, was, now)) => Err(RunError::Differs { field, was, now }),
    }
}

impl MadeBy {
    /// Fields in which the runs differ, with both values.
    pub fn differences(&self, other: &Self) -> Vec<(String, String, String)> {
        let value = |made_by: &Self| {
            let mut made_by = made_by.clone();
            // Giving the default by name makes no other run.
            made_by.settings.values_mut().for_each(|s| s.given = false);
            // Through text, so that numbers went the same way on both sides.
            let text = serde_json::to_string(&made_by).unwrap_or_default();
            serde_json::from_str(&text).unwrap_or(Value::Null)
        };
        let mut found = Vec::new();
        differences("", &value(self), &value(other), &mut found);
        found
    }
}

fn differences(path: &str, was: &Value, now: &Value, found: &mut Vec<(String, String, String)>) {
    if was == now {
        return;
    }
    if let (Value::Object(a), Value::Object(b)) = (was, now) {
        for key in a.keys().chain(b.keys().filter(|k| !a.contains_key(*k))) {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            differences(&path, a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null), found);
        }
        return;
    }
    let short = |v: &Value| {
        let text = v.to_string();
        if text.chars().count() > 80 {
            format!("{}…", text.chars().take(80).collect::<String>())
        } else {
            text
        }
    };
    found.push((path.to_owned(), short(was), short(now)));
}

impl Item {
    /// The prediction to score: a row that the dataset could not give counts as failed.
    pub fn prediction(&self) -> Option<Cow<'_, Prediction>> {
        match (&self.reply, &self.line.error) {
            (Some(reply), _) => Some(Cow::Borrowed(&reply.prediction)),
            (None, Some(reason)) => Some(Cow::Owned(Prediction {
                id: self.line.id(),
                outcome: Outcome::Failed(Failure::may_pass(reason.clone())),
                record: Record::Single,
            })),
            (None, None) => None,
        }
    }
}

/// A short identity of anything that can be written as JSON.
pub fn fingerprint(of: &impl Serialize) -> [u8; 16] {
    let mut key = [0; 16];
    key.copy_from_slice(&Sha256::digest(serde_json::to_vec(of).unwrap_or_default())[..16]);
    key
}

pub(crate) fn write_error(dir: &Path, file: &'static str, source: std::io::Error) -> RunError {
    RunError::Write { folder: dir.into(), file, source }
}

fn read_error(dir: &Path, file: &'static str, source: std::io::Error) -> RunError {
    RunError::Read { folder: dir.into(), file, source }
}
