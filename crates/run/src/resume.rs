//! The way into a run folder: a new run, or the same one as before.

use crate::error::RunError;
use crate::files::{PROBE, REPLIES, RUN, SAMPLES, read_error, replace, write_error};
use crate::folder::RunFolder;
use crate::log::ReplyLog;
use crate::made_by::{FORMAT, MadeBy, differences};
use crate::sample_line::SampleLine;
use crate::seal::sealed;
use crate::shard::{SampleDigest, Shard};
use loupe_core::files::open_regular;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

/// What may have become of the set since the run was begun.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Allowed {
    /// Rows were added behind those that were there.
    pub(crate) extend: bool,
    /// Rows that could not be read can be read now.
    pub(crate) mended: bool,
}

/// Opens the folder for appending: a new run with these samples, or the same run as before. `made_by.n` and
/// `made_by.samples_sha256` are filled in here. Every sample of `samples` is pulled, in order.
pub(crate) fn enter(
    dir: &Path,
    mut made_by: MadeBy,
    samples: &mut dyn Iterator<Item = SampleLine>,
    allowed: Allowed,
) -> Result<(RunFolder, ReplyLog), RunError> {
    std::fs::create_dir_all(dir).map_err(|source| write_error(dir, RUN, source))?;
    if dir.join(RUN).exists() {
        // Before anything of it is touched.
        let before = RunFolder::open_any(dir)?.made_by.format;
        if before != FORMAT {
            return Err(RunError::Former { folder: dir.into(), format: before });
        }
    } else {
        refuse_strangers(dir)?;
    }
    let log = ReplyLog::open(dir)?;
    let shard = made_by.shard.as_ref().map(|part| part.shard);
    // Only under the lock: another process may have begun a run here meanwhile.
    let folder = match dir.join(RUN).exists() {
        true => again(RunFolder::open_any(dir)?, made_by, samples, allowed)?,
        false => {
            let mut seen = Seen::default();
            let root = made_by.data_root.clone();
            replace(dir, SAMPLES, |to| {
                for line in samples {
                    if !seen.holds(&line, shard)? {
                        continue;
                    }
                    to.write_all(&sealed(&line.relative_to(root.as_deref()))?)?;
                }
                Ok(())
            })?;
            seen.put_into(&mut made_by)?;
            let folder = RunFolder { dir: dir.into(), made_by };
            folder.write()?;
            folder
        }
    };
    Ok((folder, log))
}

/// The samples so far: those of this folder, and those of all parts of the run.
#[derive(Default)]
struct Seen {
    own: SampleDigest,
    whole: SampleDigest,
}

impl Seen {
    /// Counts a sample in; does it belong into this folder?
    fn holds(&mut self, line: &SampleLine, shard: Option<Shard>) -> std::io::Result<bool> {
        self.whole.add(line)?;
        let holds = shard.is_none_or(|shard| shard.holds(line));
        if holds {
            self.own.add(line)?;
        }
        Ok(holds)
    }

    fn put_into(self, made_by: &mut MadeBy) -> Result<(), RunError> {
        let whole = self.whole.finish();
        if whole.n == 0 {
            return Err(RunError::Empty(format!("{} has none that was asked for", made_by.dataset.name)));
        }
        let own = self.own.finish();
        (made_by.n, made_by.samples_sha256) = (own.n, own.samples_sha256);
        if let Some(part) = &mut made_by.shard {
            part.whole = whole;
        }
        Ok(())
    }
}

/// The run that is there, if it is the same: samples are compared one by one, and new ones are written where that is
/// allowed.
fn again(
    mut before: RunFolder,
    mut now: MadeBy,
    samples: &mut dyn Iterator<Item = SampleLine>,
    allowed: Allowed,
) -> Result<RunFolder, RunError> {
    before.made_by.same(&now, allowed.extend)?;
    let dir = before.dir.clone();
    let shard = now.shard.as_ref().map(|part| part.shard);
    let failed = |source| read_error(&dir, SAMPLES, source);
    let open = || open_regular(&dir.join(SAMPLES)).map(BufReader::new).map_err(failed);
    let mut old = open()?.lines().take(before.made_by.n).enumerate();
    let mut seen = Seen::default();
    // Of the file as it will be, which is the file as it is where nothing may be added or mended.
    let mut kept = SampleDigest::default();
    let mut mended: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
    let mut added: Vec<u8> = Vec::new();
    let differs = |problem: String| Err(RunError::Rows { problem });
    for line in samples {
        if !seen.holds(&line, shard).map_err(failed)? {
            continue;
        }
        let written = || sealed(&line.relative_to(now.data_root.as_deref())).map_err(|e| failed(e.into()));
        let Some((at, text)) = old.next() else {
            added.extend(written()?);
            kept.take(line).map_err(failed)?;
            continue;
        };
        let was: SampleLine = before.parse(SAMPLES, at, text.map_err(failed)?.as_bytes())?;
        let row = at + 1;
        match (&was.sample, &line.sample) {
            (None, None) => {}
            (None, Some(_)) if allowed.mended => drop(mended.insert(at, written()?)),
            (None, Some(_)) => {
                return differs(format!(
                    "sample {row} could not be read then and can be now; --retry-failed asks it too"
                ));
            }
            (Some(_), None) => {
                let why = line.error.as_deref().unwrap_or_default();
                return differs(format!("sample {row} could be read then, now it cannot: {why}"));
            }
            (Some(_), Some(_)) => {
                let fields = changed(&was, &line);
                if !fields.is_empty() {
                    return differs(format!("sample {row} has another {}", fields.join(", ")));
                }
            }
        }
        kept.take(if mended.contains_key(&at) { line } else { was }).map_err(failed)?;
    }
    let (was, is) = (before.made_by.n, seen.own.n);
    if is < was {
        return differs(format!("there are {is} samples, the run was begun with {was}"));
    }
    if is > was && !allowed.extend {
        return differs(format!(
            "there are {is} samples, the run was begun with {was}; --extend asks the new ones too"
        ));
    }
    let marks = [&before.made_by.dataset, &now.dataset]
        .map(|set| set.fingerprint.get(..12).unwrap_or(&set.fingerprint));
    if before.made_by.dataset.fingerprint != now.dataset.fingerprint && !allowed.extend {
        return differs(format!(
            "its files have changed (dataset.fingerprint was {}…, now {}…), though every sample reads as before; --extend goes on if the images and masks inside them are the same",
            marks[0], marks[1]
        ));
    }
    // Rows that were mended or added by a process that was killed before it could say so are in the file already.
    let kept = kept.finish();
    if !(allowed.extend || allowed.mended) {
        before.made_by.holds(&dir, &kept)?;
    }
    seen.put_into(&mut now)?;
    now.samples_sha256 = kept.samples_sha256;
    let others = match (&before.made_by.shard, &now.shard) {
        (Some(was), Some(is)) if was.whole != is.whole => Some((was.whole.n, is.whole.n)),
        _ => None,
    };
    // Samples of other parts.
    match others {
        Some((n, m)) if n != m && !allowed.extend => {
            return differs(format!(
                "all parts together have {m} samples, they were begun with {n}; --extend goes on with that, in every part"
            ));
        }
        Some((n, m)) if n == m && !(allowed.extend || allowed.mended) => {
            return differs("samples of other parts are no longer as they were".to_owned());
        }
        _ => {}
    }
    let other_lines = now.samples_sha256 != before.made_by.samples_sha256;
    if is > was || !mended.is_empty() || others.is_some() || other_lines {
        replace(&dir, SAMPLES, |to| {
            for (at, text) in open().map_err(std::io::Error::other)?.lines().take(was).enumerate() {
                let text = text?;
                match mended.get(&at) {
                    Some(line) => to.write_all(line)?,
                    None => to.write_all(text.as_bytes()).and_then(|()| to.write_all(b"\n"))?,
                }
            }
            to.write_all(&added)
        })?;
        let made_by = &mut before.made_by;
        (made_by.n, made_by.samples_sha256) = (now.n, now.samples_sha256);
        (made_by.dataset, made_by.selection, made_by.shard) = (now.dataset, now.selection, now.shard);
        made_by.data_root = now.data_root;
        before.write()?;
    } else {
        before.made_by.data_root = now.data_root;
    }
    Ok(before)
}

/// The fields in which two lines differ, by the name of the sample's part.
fn changed(was: &SampleLine, now: &SampleLine) -> Vec<String> {
    let (was, now) = (was.clone().without_paths(), now.clone().without_paths());
    if was == now {
        return Vec::new();
    }
    // Through text, so that numbers went the same way on both sides.
    let value = |line: &SampleLine| -> Value {
        let text = serde_json::to_string(line).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or(Value::Null)
    };
    let mut found = Vec::new();
    differences("", &value(&was), &value(&now), &mut found);
    let name = |path: String| path.strip_prefix("sample.").unwrap_or(&path).to_owned();
    found.into_iter().map(|(path, ..)| name(path)).collect()
}

/// A new run must not mix with foreign files.
pub(crate) fn refuse_strangers(dir: &Path) -> Result<(), RunError> {
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
