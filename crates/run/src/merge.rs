//! The parts of a run put together: the same folder as if one machine had answered everything.

use crate::error::RunError;
use crate::files::{LOCK, REPLIES, RUN, SAMPLES, read_error, write_error};
use crate::folder::{Item, RunFolder};
use crate::log::lock;
use crate::made_by::{FORMAT, MadeBy};
use crate::resume::refuse_strangers;
use crate::seal::{sealed, sealed_file};
use crate::shard::{SampleDigest, ShardRecord, WholeSamples};
use loupe_core::files::open_regular;
use loupe_core::sample::Outcome;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::iter::Peekable;
use std::path::{Path, PathBuf};

/// A run that was put together.
#[derive(Debug, Clone)]
pub struct Merged {
    /// The run.
    pub folder: RunFolder,
    /// Of how many parts.
    pub parts: usize,
    /// Replies and failures in it.
    pub replies: usize,
    /// Failures among them.
    pub failed: usize,
    /// Was the same run there before?
    pub was_there: bool,
}

/// Puts the folders of all parts together to the run in `to`, which is there whole or not at all, whatever stops this call. The parts stay
/// as they are. A folder that holds the same merged run already is left as it is.
///
/// # Errors
/// When a folder holds no part, a part is missing, given twice, not finished, changed since, or of another run (another set, model, prompt or
/// setting), when the samples of all parts are not those of the whole set, and when `to` holds something else or cannot be written.
pub fn merge(parts: &[PathBuf], to: &Path) -> Result<Merged, RunError> {
    let parts = all_parts(parts)?;
    let Some(first) = parts.first() else { return refused("none is given".to_owned()) };
    let mut made_by = whole_run(first);
    for part in &parts[1..] {
        let (notes, sessions) = (&part.folder.made_by.notes, &part.folder.made_by.sessions);
        let new: Vec<String> = notes.iter().filter(|note| !made_by.notes.contains(note)).cloned().collect();
        made_by.notes.extend(new);
        made_by.sessions.extend_from_slice(sessions);
    }
    let beside = Workplace::enter(to)?;
    let counts = beside.fill(&parts, &made_by).inspect_err(|_| beside.clear())?;
    let was_there = beside.put_in_place(to)?;
    let folder = RunFolder::open(to)?;
    Ok(Merged { folder, parts: parts.len(), replies: counts.replies, failed: counts.failed, was_there })
}

fn refused<T>(problem: String) -> Result<T, RunError> {
    Err(RunError::Parts { problem })
}

/// What is on record of a part, as it would be of a run that was never in parts.
fn whole_run(part: &Part) -> MadeBy {
    let WholeSamples { n, samples_sha256 } = part.record.whole.clone();
    let data_root = part.data_root.clone();
    MadeBy { shard: None, n, samples_sha256, data_root, ..part.folder.made_by.clone() }
}

/// The folder of one part, which nobody else writes to meanwhile.
struct Part {
    /// Names its files as samples.jsonl does.
    folder: RunFolder,
    data_root: Option<PathBuf>,
    record: ShardRecord,
    _lock: Option<File>,
}

impl Part {
    fn open(dir: &Path) -> Result<Self, RunError> {
        let mut folder = RunFolder::open_any(dir)?;
        if folder.made_by.format != FORMAT {
            return Err(RunError::Former { folder: dir.into(), format: folder.made_by.format });
        }
        let Some(record) = folder.made_by.shard.clone() else {
            return refused(format!("{} holds a whole run, no shard of one", dir.display()));
        };
        let lock = match open_regular(&dir.join(REPLIES)) {
            Ok(file) => {
                lock(dir, || file.try_lock_shared())?;
                Some(file)
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(source) => return Err(read_error(dir, REPLIES, source)),
        };
        // Under the lock: another session may have ended meanwhile.
        folder.made_by = RunFolder::open_any(dir)?.made_by;
        let data_root = folder.made_by.data_root.take();
        Ok(Self { folder, data_root, record, _lock: lock })
    }

    fn dir(&self) -> std::path::Display<'_> {
        self.folder.dir().display()
    }
}

/// All parts of one run, in order: none is missing, twice, or of another run.
fn all_parts(folders: &[PathBuf]) -> Result<Vec<Part>, RunError> {
    let mut parts: Vec<Part> = folders.iter().map(|dir| Part::open(dir)).collect::<Result<_, _>>()?;
    parts.sort_by_key(|part| part.record.shard.index);
    let Some(first) = parts.first() else { return Ok(parts) };
    let count = first.record.shard.count;
    let common = first.folder.made_by.common();
    for part in &parts[1..] {
        let differs = common.differences(&part.folder.made_by.common());
        if differs.is_empty() {
            continue;
        }
        let named: Vec<String> =
            differs.iter().take(5).map(|(field, a, b)| format!("{field} ({a} and {b})")).collect();
        let more = if differs.len() > named.len() { " …" } else { "" };
        return refused(format!(
            "shards {} in {} and {} in {} are of different runs; they differ in {}{more}",
            first.record.shard,
            first.dir(),
            part.record.shard,
            part.dir(),
            named.join(", ")
        ));
    }
    for pair in parts.windows(2) {
        let [a, b] = pair else { continue };
        if a.record.shard == b.record.shard {
            return refused(format!(
                "shard {} is given twice, in {} and {}",
                a.record.shard,
                a.dir(),
                b.dir()
            ));
        }
    }
    let missing: Vec<String> = (1..=count)
        .filter(|i| parts.binary_search_by_key(i, |part| part.record.shard.index).is_err())
        .map(|i| format!("{i}/{count}"))
        .collect();
    match missing.as_slice() {
        [] => Ok(parts),
        [one] => refused(format!("shard {one} is missing")),
        many => {
            let more = if many.len() > 10 { " …" } else { "" };
            refused(format!(
                "{} shards are missing: {}{more}",
                many.len(),
                many[..many.len().min(10)].join(", ")
            ))
        }
    }
}

#[derive(Default)]
struct Counts {
    replies: usize,
    failed: usize,
}

/// A folder beside the one that is to be, in which it is made.
struct Workplace {
    dir: PathBuf,
    /// On a file of its own: the others move to where they belong.
    _lock: File,
}

impl Workplace {
    fn enter(to: &Path) -> Result<Self, RunError> {
        let name = to.file_name().ok_or_else(|| RunError::Parts {
            problem: format!("{} names no folder that could be made", to.display()),
        })?;
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(".part");
        let dir = to.with_file_name(hidden);
        let failed = |file| move |source| write_error(to, file, source);
        fs::create_dir_all(&dir).map_err(failed(RUN))?;
        let file = File::create(dir.join(LOCK)).map_err(failed(RUN))?;
        lock(to, || file.try_lock())?;
        Ok(Self { dir, _lock: file })
    }

    /// Leaves nothing behind.
    fn clear(&self) {
        let _ = fs::remove_dir_all(&self.dir);
    }

    /// Writes everything, one item in memory at a time.
    fn fill(&self, parts: &[Part], made_by: &MadeBy) -> Result<Counts, RunError> {
        let failed = |file: &'static str| move |source| write_error(&self.dir, file, source);
        // Over what a call that was killed has left.
        let create = |name| File::create(self.dir.join(name)).map_err(failed(name));
        let mut samples = BufWriter::with_capacity(1 << 16, create(SAMPLES)?);
        let mut replies = BufWriter::with_capacity(1 << 16, create(REPLIES)?);
        let (mut seen, mut counts) = (SampleDigest::default(), Counts::default());
        let mut to_go = vec![0usize; parts.len()];
        let mut rows = Rows::open(parts)?;
        let mut number = 0;
        while let Some((part, items)) = rows.next()? {
            for item in items {
                if item.rollout == 0 {
                    seen.add(&item.line).map_err(failed(SAMPLES))?;
                    let line = sealed(&item.line).map_err(|e| write_error(&self.dir, SAMPLES, e.into()))?;
                    samples.write_all(&line).map_err(failed(SAMPLES))?;
                }
                match item.reply {
                    Some(mut reply) => {
                        reply.item = number;
                        counts.replies += 1;
                        counts.failed += usize::from(matches!(reply.prediction.outcome, Outcome::Failed(_)));
                        let line = sealed(&reply).map_err(|e| write_error(&self.dir, REPLIES, e.into()))?;
                        replies.write_all(&line).map_err(failed(REPLIES))?;
                    }
                    None => to_go[part] += usize::from(item.line.sample.is_some()),
                }
            }
            number += 1;
        }
        unfinished(parts, &to_go)?;
        let whole = WholeSamples { n: made_by.n, samples_sha256: made_by.samples_sha256.clone() };
        let found = seen.finish();
        if found != whole {
            return refused(format!(
                "together they have {} samples that are not the {} of the whole set; a samples.jsonl was changed",
                found.n, whole.n
            ));
        }
        let synced =
            |to: BufWriter<File>| to.into_inner().map_err(|e| e.into_error()).and_then(|f| f.sync_all());
        synced(samples).map_err(failed(SAMPLES))?;
        synced(replies).map_err(failed(REPLIES))?;
        let record = sealed_file(made_by).map_err(|e| write_error(&self.dir, RUN, e.into()))?;
        File::create(self.dir.join(RUN))
            .and_then(|mut file| file.write_all(record.as_bytes()).and_then(|()| file.sync_all()))
            .map_err(failed(RUN))?;
        Ok(counts)
    }

    /// Gives the folder its name. True when the same run was there.
    fn put_in_place(self, to: &Path) -> Result<bool, RunError> {
        let failed = |source| write_error(to, RUN, source);
        if to.join(RUN).exists() {
            let same = [RUN, SAMPLES, REPLIES].iter().try_fold(true, |same, name| {
                Ok::<_, std::io::Error>(same && same_bytes(&to.join(name), &self.dir.join(name))?)
            });
            self.clear();
            return match same.map_err(failed)? {
                true => Ok(true),
                false => refused(format!(
                    "{} holds a run that is not what they make (another one, or it was continued since); name a new folder",
                    to.display()
                )),
            };
        }
        if to.exists()
            && let Err(error) = refuse_strangers(to).and_then(|()| fs::remove_dir_all(to).map_err(failed))
        {
            self.clear();
            return Err(error);
        }
        fs::remove_file(self.dir.join(LOCK)).and_then(|()| fs::rename(&self.dir, to)).map_err(failed)?;
        let folder = to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Not every system can sync a folder.
        let _ = File::open(folder).and_then(|d| d.sync_all());
        Ok(false)
    }
}

fn same_bytes(a: &Path, b: &Path) -> std::io::Result<bool> {
    use std::io::{BufReader, Read};
    let (a, b) = (open_regular(a)?, open_regular(b)?);
    if a.metadata()?.len() != b.metadata()?.len() {
        return Ok(false);
    }
    let mut pairs = BufReader::new(a).bytes().zip(BufReader::new(b).bytes());
    pairs.try_fold(true, |same, (a, b)| Ok(same && a? == b?))
}

/// Names every part that is not done.
fn unfinished(parts: &[Part], to_go: &[usize]) -> Result<(), RunError> {
    let named: Vec<String> = parts
        .iter()
        .zip(to_go)
        .filter(|(_, n)| **n > 0)
        .map(|(part, n)| {
            format!(
                "shard {} in {} has {n} of {} replies to go",
                part.record.shard,
                part.dir(),
                part.folder.units()
            )
        })
        .collect();
    match named.len() {
        0 => Ok(()),
        n => {
            let more = if n > 10 { " …" } else { "" };
            let named = named[..n.min(10)].join("; ");
            refused(format!("{named}{more}; the command of each resumes it"))
        }
    }
}

/// The samples of one part, in order.
type PartItems<'a> = Peekable<Box<dyn Iterator<Item = Result<Item, RunError>> + 'a>>;

/// The samples of all parts in the order of the set, each with its replies.
struct Rows<'a> {
    parts: &'a [Part],
    items: Vec<PartItems<'a>>,
    /// The part whose next sample is that row.
    next: BTreeMap<usize, usize>,
    last: Option<usize>,
}

impl<'a> Rows<'a> {
    fn open(parts: &'a [Part]) -> Result<Self, RunError> {
        let items = parts
            .iter()
            .map(|part| {
                let items: Box<dyn Iterator<Item = Result<Item, RunError>> + 'a> =
                    Box::new(part.folder.items()?);
                Ok(items.peekable())
            })
            .collect::<Result<Vec<_>, RunError>>()?;
        let mut rows = Self { parts, items, next: BTreeMap::new(), last: None };
        for part in 0..parts.len() {
            rows.queue(part)?;
        }
        Ok(rows)
    }

    /// Puts the next sample of a part into its place.
    fn queue(&mut self, part: usize) -> Result<(), RunError> {
        let item = match self.items.get_mut(part).and_then(Peekable::peek) {
            None => return Ok(()),
            Some(Ok(item)) => item,
            Some(Err(_)) => {
                // Taken out, as an error cannot be copied.
                let taken = self.items.get_mut(part).and_then(Iterator::next);
                return self.in_part(part, taken.map_or(Ok(()), |error| error.map(drop)));
            }
        };
        let row = item.line.row;
        if let Some(other) = self.next.insert(row, part) {
            return refused(format!(
                "row {row} of the set is in {} and in {}",
                self.parts[other].dir(),
                self.parts[part].dir()
            ));
        }
        Ok(())
    }

    /// Says in which part something was found.
    fn in_part<T>(&self, part: usize, result: Result<T, RunError>) -> Result<T, RunError> {
        result.map_err(|error| RunError::Parts {
            problem: format!(
                "shard {} in {}: {error}",
                self.parts[part].record.shard,
                self.parts[part].dir()
            ),
        })
    }

    /// The next sample of the set: its part, and one item a rollout.
    fn next(&mut self) -> Result<Option<(usize, Vec<Item>)>, RunError> {
        let Some((row, part)) = self.next.pop_first() else { return Ok(None) };
        if self.last.is_some_and(|last| last >= row) {
            return refused(format!(
                "row {row} of the set comes twice or out of order in {}",
                self.parts[part].dir()
            ));
        }
        self.last = Some(row);
        let rollouts = self.parts[part].folder.made_by.rollouts.max(1);
        let items = self.items[part].by_ref().take(rollouts).collect::<Result<Vec<_>, _>>();
        let items = self.in_part(part, items)?;
        self.queue(part)?;
        Ok(Some((part, items)))
    }
}
