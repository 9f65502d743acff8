//! A run folder as it is read back.

use crate::error::RunError;
use crate::files::{REPLIES, RUN, SAMPLES, read_error, replace};
use crate::made_by::{FORMAT, MadeBy, READABLE};
use crate::sample_line::SampleLine;
use crate::seal::{Seal, seal, seal_of_file, sealed_file};
use crate::shard::SampleDigest;
use loupe_core::files::open_regular;
use loupe_core::sample::Outcome;
use loupe_core::{Failure, Finding, Origin, PictureRecord, Prediction, Record, Retry, Turn};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

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
    /// The prompt as it was sent, where the model was asked once: turns of words and of pictures by number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prompt: Vec<Turn>,
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
                // A mask without a slice is flat, whatever its picture was cut from.
                if slice.is_some() || finding.as_mask().is_some() {
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
    /// Numbers, from 1, of complete lines that are no replies of this run, or not as they were written (disk
    /// faults, edits); their items are asked again.
    pub(crate) damaged: Vec<usize>,
    /// Failed for a reason that may have passed.
    may_pass: Vec<bool>,
}

/// The items of a run, one after the other.
pub struct Items<'a> {
    /// Numbers, from 1, of lines of replies.jsonl that are not as they were written; they are passed over, and
    /// their items have no reply.
    pub damaged: Vec<usize>,
    items: Box<dyn Iterator<Item = Result<Item, RunError>> + 'a>,
}

impl Iterator for Items<'_> {
    type Item = Result<Item, RunError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.items.next()
    }
}

/// What is said of damaged lines, of which the first ten are numbered; nothing where there are none.
pub fn damaged_lines(lines: &[usize]) -> Option<String> {
    let numbers: Vec<String> = lines.iter().take(10).map(usize::to_string).collect();
    let more = if lines.len() > numbers.len() { ", …" } else { "" };
    let words = "damaged lines of replies.jsonl were passed over";
    (!lines.is_empty()).then(|| format!("{words}: {} ({}{more})", lines.len(), numbers.join(", ")))
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

/// Most replies to one sample.
const MOST_ROLLOUTS: usize = 10_000;

/// An existing run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    pub(crate) dir: PathBuf,
    /// What made it.
    pub made_by: MadeBy,
}

/// What a run is called in tables: its folder's name, also where it is given as `.` or `..`.
pub fn run_name(dir: &Path) -> String {
    let whole = || dir.canonicalize().ok()?.file_name().map(ToOwned::to_owned);
    let name = dir.file_name().map(ToOwned::to_owned).or_else(whole);
    name.unwrap_or_else(|| dir.as_os_str().to_owned()).to_string_lossy().into_owned()
}

impl RunFolder {
    /// Opens a whole run to read it.
    ///
    /// # Errors
    /// When the folder holds no run or a part of one, or run.json cannot be understood.
    pub fn open(dir: &Path) -> Result<Self, RunError> {
        let folder = Self::open_any(dir)?;
        match &folder.made_by.shard {
            Some(part) => Err(RunError::Shard { folder: dir.into(), shard: part.shard }),
            None => Ok(folder),
        }
    }

    /// Opens a run, or a part of one as it is ([`MadeBy::shard`]).
    ///
    /// # Errors
    /// As [`RunFolder::open`], but for parts.
    pub fn open_any(dir: &Path) -> Result<Self, RunError> {
        let mut text = String::new();
        match open_regular(&dir.join(RUN)) {
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
        believed(seal_of_file(&text), made_by.format, RUN, 1)?;
        if made_by.rollouts > MOST_ROLLOUTS {
            let problem = format!("{} replies to each sample; {MOST_ROLLOUTS} at most", made_by.rollouts);
            return Err(RunError::Damaged { file: RUN, line: 1, problem });
        }
        Ok(Self { dir: dir.into(), made_by })
    }

    /// The same run with the set's files in another folder than they were in when it was made.
    #[must_use]
    pub fn with_data_root(mut self, root: Option<&Path>) -> Self {
        if let Some(root) = root.and_then(|r| std::path::absolute(r).ok()) {
            self.made_by.data_root = Some(root);
        }
        self
    }

    /// Writes run.json.
    pub(crate) fn write(&self) -> Result<(), RunError> {
        replace(&self.dir, RUN, |to| to.write_all(sealed_file(&self.made_by)?.as_bytes()))
    }

    /// Is the text of a file in the folder, which was made by [`sealed_file`], as it was written?
    pub fn is_as_written(&self, text: &str) -> bool {
        seal_of_file(text).holds(self.made_by.format)
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the run is called in tables: its folder's name.
    pub fn name(&self) -> String {
        run_name(&self.dir)
    }

    /// How many items have no reply but a failure, rows that could not be read among them.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn failures(&self) -> Result<usize, RunError> {
        let failed = |item: &Item| item.prediction().is_some_and(|p| matches!(p.outcome, Outcome::Failed(_)));
        self.items()?.try_fold(0, |n, item| Ok(n + usize::from(failed(&item?))))
    }

    /// Number of replies a complete run has.
    pub fn units(&self) -> usize {
        self.made_by.n * self.made_by.rollouts.max(1)
    }

    /// What tells the id of every sample, and that they are all there and those that the run was made for.
    fn ids(&self) -> Result<Vec<[u8; 16]>, RunError> {
        let failed = |source| read_error(&self.dir, SAMPLES, source);
        let file = open_regular(&self.dir.join(SAMPLES)).map_err(failed)?;
        let (mut ids, mut digest) = (Vec::new(), SampleDigest::default());
        for (at, text) in BufReader::with_capacity(1 << 16, file).lines().take(self.made_by.n).enumerate() {
            let line: SampleLine = self.parse(SAMPLES, at, text.map_err(failed)?.as_bytes())?;
            ids.push(fingerprint(&line.id()));
            digest.take(line).map_err(failed)?;
        }
        if ids.len() < self.made_by.n {
            let problem = format!("the file ends here, {RUN} says that there are {} samples", self.made_by.n);
            return Err(RunError::Damaged { file: SAMPLES, line: ids.len() + 1, problem });
        }
        self.made_by.holds(&self.dir, &digest.finish())?;
        Ok(ids)
    }

    /// Finds every complete reply.
    pub(crate) fn index(&self) -> Result<Index, RunError> {
        #[derive(Deserialize)]
        struct Head {
            id: String,
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
        let ids = self.ids()?;
        let units = self.units();
        let mut index = Index { at: vec![None; units], damaged: Vec::new(), may_pass: vec![false; units] };
        let file = match open_regular(&self.dir.join(REPLIES)) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(index),
            other => other.map_err(|source| read_error(&self.dir, REPLIES, source))?,
        };
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let (mut start, mut line, mut number) = (0u64, Vec::new(), 0);
        loop {
            line.clear();
            number += 1;
            let read = reader
                .read_until(b'\n', &mut line)
                .map_err(|source| read_error(&self.dir, REPLIES, source))?;
            if line.last() != Some(&b'\n') {
                return Ok(index); // end of the file, or a last line that was cut short
            }
            match serde_json::from_slice::<Head>(&line) {
                Ok(head)
                    if head.rollout < rollouts
                        && ids.get(head.item) == Some(&fingerprint(&head.id))
                        && self.is_readable(&line) =>
                {
                    let unit = head.item * rollouts + head.rollout;
                    index.at[unit] = Some(start);
                    index.may_pass[unit] = matches!(head.outcome, Kind::Failed { retry: Retry::May });
                }
                _ => index.damaged.push(number),
            }
            start += read as u64;
        }
    }

    /// Every item in dataset order with its replies, read from the folder alone.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn items(&self) -> Result<Items<'_>, RunError> {
        let mut index = self.index()?;
        let damaged = std::mem::take(&mut index.damaged);
        let open =
            |name| open_regular(&self.dir.join(name)).map_err(|source| read_error(&self.dir, name, source));
        // Of rows that were being added when the process was killed only samples.jsonl knows.
        let samples = BufReader::with_capacity(1 << 16, open(SAMPLES)?).lines();
        let mut samples = samples.take(self.made_by.n).enumerate();
        let root = self.made_by.data_root.as_deref();
        let mut replies = index
            .count()
            .gt(&0)
            .then(|| open(REPLIES))
            .transpose()?
            .map(|f| (BufReader::with_capacity(1 << 16, f), 0u64));
        let rollouts = self.made_by.rollouts.max(1);
        let mut now: Option<(SampleLine, usize)> = None;
        let mut item = 0;
        let items = std::iter::from_fn(move || {
            let next = (|| -> Result<Option<Item>, RunError> {
                let (line, rollout) = match now.take() {
                    Some(held) => held,
                    None => {
                        let Some((at, text)) = samples.next() else { return Ok(None) };
                        item = at;
                        let text = text.map_err(|source| read_error(&self.dir, SAMPLES, source))?;
                        let line: SampleLine = self.parse(SAMPLES, at, text.as_bytes())?;
                        (line.rooted(root), 0)
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
        });
        Ok(Items { damaged, items: Box::new(items) })
    }

    /// A line of one of its files.
    pub(crate) fn parse<T: for<'a> Deserialize<'a>>(
        &self,
        file: &'static str,
        at: usize,
        line: &[u8],
    ) -> Result<T, RunError> {
        believed(seal(line), self.made_by.format, file, at + 1)?;
        let damaged = |e: serde_json::Error| RunError::Damaged { file, line: at + 1, problem: e.to_string() };
        serde_json::from_slice(line).map_err(damaged)
    }

    /// Is the reply on a line as it was written? A line that needs no checksum says so by holding all that a reply needs.
    fn is_readable(&self, line: &[u8]) -> bool {
        let seal = seal(line);
        seal.holds(self.made_by.format)
            && (seal == Seal::Whole || serde_json::from_slice::<ReplyLine>(line).is_ok())
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
        let mut line: ReplyLine = self.parse(REPLIES, usize::try_from(start).unwrap_or(usize::MAX), &line)?;
        line.place_findings();
        Ok(line)
    }
}

/// Is what `seal` closes to be believed in a folder of layout `format`?
fn believed(seal: Seal, format: u32, file: &'static str, line: usize) -> Result<(), RunError> {
    let problem = match seal {
        seal if seal.holds(format) => return Ok(()),
        Seal::None => "it is not as it was written: its checksum is gone",
        _ => "it is not as it was written: its checksum is another",
    };
    Err(RunError::Damaged { file, line, problem: problem.to_owned() })
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
