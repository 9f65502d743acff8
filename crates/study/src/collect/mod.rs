//! Files of answers to files of readings: verified against the key, put together, and blinding undone.

mod answers;
mod rows;

use crate::design::question::ReadingColumn;
use crate::error::StudyError;
use crate::input;
use crate::reading::{Key, KeyQuestion};
pub use answers::ANSWERS_FORMAT;
use answers::{TakenFile, take};
use loupe_core::files::write_whole;
use rows::{CountedReading, answers_jsonl, readings_csv};
use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What came of collecting.
#[derive(Debug)]
pub struct CollectedStudy {
    /// Files that were not taken, each with its reason.
    pub refused: Vec<StudyError>,
    /// What the coordinator has to know: missing pages, sessions begun too early.
    pub notes: Vec<String>,
    /// Readings that count.
    pub readings: usize,
    /// Files written: the file of readings, one more for each further question of the same column, and every answer.
    pub written: Vec<PathBuf>,
}

/// Verifies files of answers and writes `readings.csv` (which `loupe study analyse` reads) and `answers.jsonl` into `dir`. A file
/// that is damaged, cut, changed or foreign is refused by its name, and the others go on; files that are not complete are
/// taken only when `partial` says so.
///
/// # Errors
/// When no file can be taken, or the results cannot be written.
pub fn collect(
    key: &Key,
    files: &[PathBuf],
    partial: bool,
    dir: &Path,
) -> Result<CollectedStudy, StudyError> {
    let (mut taken, mut refused, mut notes) = (Vec::<TakenFile<'_>>::new(), Vec::new(), Vec::new());
    for path in files {
        match take(path, key, partial) {
            Ok(file) => match merge(&mut taken, file) {
                Ok(note) => notes.extend(note),
                Err(e) => refused.push(e),
            },
            Err(e) => refused.push(e),
        }
    }
    taken.sort_by_key(|file| key.pages.iter().position(|p| p.plan == file.page.plan));
    let readings: Vec<CountedReading<'_>> = taken.iter().flat_map(|f| CountedReading::of(f, key)).collect();
    if readings.is_empty() {
        let why: Vec<String> = refused.iter().map(ToString::to_string).collect();
        return Err(StudyError::File(format!("no reading could be taken. {}", why.join("; "))));
    }
    for page in &key.pages {
        match taken.iter().find(|f| f.page.plan == page.plan) {
            None => notes.push(format!("there are no answers to {}", page.file)),
            Some(file) if file.done() < page.steps.len() => {
                notes.push(format!(
                    "{}: {} of {} readings are done",
                    file.name,
                    file.done(),
                    page.steps.len()
                ));
            }
            Some(_) => {}
        }
    }
    notes.extend(early(key, &taken));
    let aside: usize = readings.iter().map(|r| r.aside(key)).sum();
    if aside > 0 {
        notes.push(format!(
            "{aside} marks lie on earlier studies and on no lesion there: they are in answers.jsonl and count neither as found nor as false"
        ));
    }
    std::fs::create_dir_all(dir)?;
    let mut written = Vec::new();
    let mut write = |name: String, bytes: &[u8]| {
        let path = dir.join(name);
        write_whole(&path, |out| out.write_all(bytes))?;
        written.push(path);
        Ok::<(), StudyError>(())
    };
    let (first, further) = columns(key);
    if first.iter().any(|q| q.column.is_some()) {
        let csv = readings_csv(&readings, key, &first)?;
        // The file must be one that the analysis takes.
        input::read_csv(&String::from_utf8_lossy(&csv))?;
        write("readings.csv".to_owned(), &csv)?;
    } else {
        notes.push("no question fills a column of readings; all answers are in answers.jsonl".to_owned());
    }
    for question in further {
        write(format!("readings-{}.csv", question.id), &readings_csv(&readings, key, &[question])?)?;
    }
    write("answers.jsonl".to_owned(), answers_jsonl(&readings, key)?.as_bytes())?;
    Ok(CollectedStudy { refused, notes, readings: readings.len(), written })
}

/// Of two files of one page the one that goes further, when it continues the other.
fn merge<'k>(taken: &mut Vec<TakenFile<'k>>, file: TakenFile<'k>) -> Result<Option<String>, StudyError> {
    let Some(known) = taken.iter_mut().find(|f| f.page.plan == file.page.plan) else {
        taken.push(file);
        return Ok(None);
    };
    let (short, long) =
        if known.chain.len() <= file.chain.len() { (&*known, &file) } else { (&file, &*known) };
    if !long.chain.starts_with(&short.chain) {
        return Err(StudyError::Answers {
            what: format!(
                "{} holds other answers to the same page; ask the reader which one counts and give that alone",
                known.name
            ),
            file: file.name,
        });
    }
    let note = format!("{} continues {}; it is taken", long.name, short.name);
    if file.chain.len() > known.chain.len() {
        *known = file;
    }
    Ok(Some(note))
}

/// Questions of the file of readings, the first of each column, and those that come after them.
fn columns(key: &Key) -> (Vec<&KeyQuestion>, Vec<&KeyQuestion>) {
    let mut met: HashSet<ReadingColumn> = HashSet::new();
    key.questions.iter().filter(|q| q.column.is_some()).partition(|q| q.column.is_some_and(|c| met.insert(c)))
}

/// Sessions that began before the washout had passed.
fn early(key: &Key, taken: &[TakenFile<'_>]) -> Vec<String> {
    let mut notes = Vec::new();
    let readers: Vec<&str> = key.pages.iter().map(|p| p.reader.as_str()).collect();
    let mut said = HashSet::new();
    for reader in readers.into_iter().filter(|r| said.insert(*r)) {
        let own = || taken.iter().filter(|f| f.page.reader == reader);
        let times = |session: usize| {
            let of: Vec<&[String; 2]> = own().filter_map(|f| f.times.get(&session)).collect();
            Some((of.iter().map(|t| &t[0]).min()?, of.iter().map(|t| &t[1]).max()?))
        };
        let last = key.pages.iter().flat_map(|p| p.steps.iter().map(|s| s.session)).max().unwrap_or(1);
        for session in 2..=last {
            let (Some((_, end)), Some((begun, _))) = (times(session - 1), times(session)) else { continue };
            let (Some(end), Some(begun)) = (days(end), days(begun)) else { continue };
            if begun - end < f64::from(key.washout_days) {
                let agreed = own().any(|f| f.overrides.contains(&session));
                notes.push(format!(
                    "reader {reader} began session {session} {:.1} days after the one before; the washout is {} days{}",
                    begun - end,
                    key.washout_days,
                    if agreed { " (the coordinator's agreement is on record)" } else { "" }
                ));
            }
        }
    }
    notes
}

/// Days since 1970 of a time as `Date.toISOString` writes it.
fn days(at: &str) -> Option<f64> {
    let number = |from: usize, to: usize| at.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    // Days before a month of a year that begins in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let whole =
        y * 365 + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (153 * m + 2) / 5 + day - 719_469;
    Some(whole as f64 + (hour * 3600 + minute * 60 + second) as f64 / 86_400.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_days() {
        assert_eq!(days("1970-01-01T00:00:00.000Z"), Some(0.0));
        assert_eq!(days("2000-03-01T12:00:00.000Z"), Some(11_017.5));
        assert_eq!(days("2024-02-29T06:00:00.000Z"), Some(19_782.25));
        assert_eq!(days("yesterday"), None);
    }
}
