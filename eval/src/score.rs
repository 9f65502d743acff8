//! Scoring: verdicts per item and profile from the folder alone, without a model.

use crate::judged::{JudgedItem, case, judge};
use crate::profile::Judgement;
use crate::summary::{Scoring, Summariser, Summary};
use loupe_core::files::open_regular;
use loupe_core::guard::caught;
use loupe_core::sample::Outcome;
use loupe_core::words::counted;
use loupe_core::{DatasetInfo, Metric, Prediction, Sample, Score};
use loupe_run::{Item, RunError, RunFolder, damaged_lines, replace, sealed_file};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;

const SCORES: &str = "scores.json";

/// A line of scores.json: nothing in it depends on time, batch or interruption.
#[derive(Serialize)]
struct ScoreLine<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    rollout: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a str>,
    #[serde(serialize_with = "as_map", skip_serializing_if = "<[_]>::is_empty")]
    profiles: &'a [(String, Judgement)],
    #[serde(serialize_with = "as_map", skip_serializing_if = "<[_]>::is_empty")]
    metrics: &'a [(&'static str, Score)],
}

/// The same line as it is read back.
#[derive(Deserialize)]
struct ScoreRecord {
    id: String,
    #[serde(default)]
    rollout: usize,
    #[serde(default)]
    reply: Option<String>,
    #[serde(default)]
    failure: Option<String>,
    #[serde(default, deserialize_with = "from_map")]
    profiles: Vec<(String, Judgement)>,
    #[serde(default, rename = "metrics")]
    _metrics: IgnoredAny,
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

fn as_map<K: Serialize, V: Serialize, S: serde::Serializer>(
    pairs: &[(K, V)],
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_map(pairs.iter().map(|(k, v)| (k, v)))
}

/// The profiles of a line in their order.
fn from_map<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(String, Judgement)>, D::Error> {
    struct Pairs;
    impl<'de> Visitor<'de> for Pairs {
        type Value = Vec<(String, Judgement)>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("verdicts by profile")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(pair) = map.next_entry()? {
                all.push(pair);
            }
            Ok(all)
        }
    }
    from.deserialize_map(Pairs)
}

/// The words of the reply, or the reason why there is none.
fn words(prediction: &Prediction) -> (Option<&str>, Option<&str>) {
    match &prediction.outcome {
        Outcome::Reply(reply) => (Some(&reply.text), None),
        Outcome::Failed(failure) => (None, Some(&failure.reason)),
    }
}

/// A run that was just scored: its figures, and the verdicts in its scores.json.
#[derive(Debug, Clone)]
pub struct ScoredRun {
    /// The run.
    pub folder: RunFolder,
    /// Its figures.
    pub summary: Summary,
}

impl ScoredRun {
    /// Scores a run, finished or not, from its folder: every profile judges each reply once; scores.json
    /// and summary.json are written. One item is in memory at a time.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub fn of(dir: &Path, scoring: &Scoring<'_>) -> Result<Self, RunError> {
        let folder = RunFolder::open(dir)?.with_data_root(scoring.data_root);
        let mut summariser = Summariser::new(scoring);
        let (mut failed, mut damaged, mut incomplete) = (None, None, 0);
        replace(dir, SCORES, |to| {
            write!(to, "{{\"format\": 1, \"items\": [")?;
            let mut between = "\n";
            let items = folder.items().map_err(|e| remember(&mut failed, e))?;
            damaged = damaged_lines(&items.damaged);
            for item in items {
                let item = item.map_err(|e| remember(&mut failed, e))?;
                incomplete += usize::from(has_incomplete_picture(&item));
                add(&item, scoring, &mut summariser, to, &mut between)?;
            }
            to.write_all(b"\n]}\n")
        })
        .map_err(|e| failed.take().unwrap_or(e))?;
        let mut summary = summariser.finish(&folder.made_by);
        if incomplete > 0 {
            let replies = counted(incomplete, "answer");
            summary
                .run
                .notes
                .push(format!("{replies} about pictures whose source is incomplete, that show nothing of it, or that are one of several (see the page)"));
        }
        summary.run.notes.extend(scoring.set.and_then(|now| changed_set(&folder.made_by.dataset, now)));
        // Where every item has its reply, they were asked again already.
        if let Some(words) = damaged.filter(|_| summary.missing > 0) {
            summary.run.notes.push(format!("{words}; `loupe eval` asks their samples again"));
        }
        replace(dir, "summary.json", |to| to.write_all(sealed_file(&summary)?.as_bytes()))?;
        Ok(Self { folder, summary })
    }

    /// Every item in dataset order with the verdicts that scores.json has about it, read one at a time;
    /// nothing is judged again. A reply that was made since has no verdicts.
    ///
    /// # Errors
    /// When the folder cannot be read; each item may fail on its own.
    pub fn items(&self) -> Result<impl Iterator<Item = Result<JudgedItem, RunError>> + '_, RunError> {
        let mut scores = ScoreReader::open(self.folder.dir())?;
        Ok(self.folder.items()?.map(move |item| {
            let item = item?;
            let verdicts = scores.verdicts(&item)?;
            Ok(JudgedItem { item, verdicts })
        }))
    }
}

/// Scores a run as [`ScoredRun::of`] does and returns its figures.
///
/// # Errors
/// As [`ScoredRun::of`].
pub fn score(dir: &Path, scoring: &Scoring<'_>) -> Result<Summary, RunError> {
    Ok(ScoredRun::of(dir, scoring)?.summary)
}

/// Judges an item, counts it in and writes its line.
fn add(
    item: &Item,
    scoring: &Scoring<'_>,
    summariser: &mut Summariser<'_>,
    to: &mut impl Write,
    between: &mut &str,
) -> std::io::Result<()> {
    let Some(prediction) = item.prediction() else {
        summariser.missing();
        return Ok(());
    };
    let Some(sample) = &item.line.sample else {
        summariser.unreadable(item.line.error.as_deref().unwrap_or("unreadable"));
        let line = ScoreLine {
            id: &item.line.id(),
            rollout: item.rollout,
            group: None,
            reply: None,
            failure: item.line.error.as_deref(),
            profiles: &[],
            metrics: &[],
        };
        return write_line(to, between, &line);
    };
    let case = case(sample, &prediction, item);
    let verdicts = judge(scoring.profiles, &case);
    let measured: Vec<(&'static str, Score)> =
        scoring.metrics.iter().map(|m| (m.name(), measured(*m, sample, &prediction))).collect();
    summariser.add(&case, &verdicts, &measured);
    let (reply, failure) = words(&prediction);
    let line = ScoreLine {
        id: &sample.id,
        rollout: item.rollout,
        group: Some(&sample.group),
        reply,
        failure,
        profiles: &verdicts,
        metrics: &measured,
    };
    write_line(to, between, &line)
}

/// What is said where the files of a set are no longer those that a run was made of.
fn changed_set(was: &DatasetInfo, now: &DatasetInfo) -> Option<String> {
    if (&was.name, &was.split) != (&now.name, &now.split) || was.fingerprint == now.fingerprint {
        return None;
    }
    let mark = |set: &DatasetInfo| set.fingerprint.chars().take(12).collect::<String>();
    Some(format!(
        "the files of {} have changed since the run was made (dataset.fingerprint was {}…, now {}…): questions and references are those of the run, pictures those of now",
        was.name,
        mark(was),
        mark(now)
    ))
}

/// Was something of what a reply is about missing, such as a file of a series, or is it one of several that nobody chose?
fn has_incomplete_picture(item: &Item) -> bool {
    let pictures = item.reply.iter().flat_map(|reply| &reply.pictures);
    pictures.flat_map(|picture| picture.origin.warnings()).next().is_some()
}

/// What a metric says of a reply; one that panics at it has no figure for it.
fn measured(metric: &dyn Metric, sample: &Sample, prediction: &Prediction) -> Score {
    let failed = || Score::Unscored("the metric failed on this reply; please report it".into());
    caught(|| metric.score(sample, prediction)).unwrap_or_else(failed).finite()
}

/// Keeps the reading error while the writer is told to give up.
fn remember(kept: &mut Option<RunError>, error: RunError) -> std::io::Error {
    *kept = Some(error);
    std::io::Error::other("reading the run failed")
}

fn write_line(to: &mut impl Write, between: &mut &str, line: &ScoreLine<'_>) -> std::io::Result<()> {
    to.write_all(between.as_bytes())?;
    *between = ",\n";
    serde_json::to_writer(to, line).map_err(Into::into)
}

/// Reads the lines of scores.json beside the items of its run, which come in the same order.
struct ScoreReader {
    lines: std::iter::Enumerate<Lines<BufReader<File>>>,
    /// A line that was read and belongs to an item that is still to come.
    next: Option<ScoreRecord>,
}

impl ScoreReader {
    fn open(dir: &Path) -> Result<Self, RunError> {
        let file = open_regular(&dir.join(SCORES)).map_err(|source| RunError::Read {
            folder: dir.into(),
            file: SCORES,
            source,
        })?;
        let mut lines = BufReader::with_capacity(1 << 16, file).lines().enumerate();
        lines.next(); // `{"format": 1, "items": [`
        Ok(Self { lines, next: None })
    }

    fn record(&mut self) -> Result<Option<ScoreRecord>, RunError> {
        let Some((at, line)) = self.lines.next() else { return Ok(None) };
        let damaged = |problem: String| RunError::Damaged { file: SCORES, line: at + 1, problem };
        let line = line.map_err(|e| damaged(e.to_string()))?;
        if line == "]}" {
            return Ok(None);
        }
        let line = line.strip_suffix(',').unwrap_or(&line);
        serde_json::from_str(line).map(Some).map_err(|e| damaged(e.to_string()))
    }

    /// The verdicts about this very reply; none where the run had not come to it when it was scored.
    fn verdicts(&mut self, item: &Item) -> Result<Vec<(String, Judgement)>, RunError> {
        let Some(prediction) = item.prediction() else { return Ok(Vec::new()) };
        if self.next.is_none() {
            self.next = self.record()?;
        }
        let about = |r: &mut ScoreRecord| r.rollout == item.rollout && r.id == item.line.id();
        let Some(record) = self.next.take_if(about) else { return Ok(Vec::new()) };
        let (reply, failure) = words(&prediction);
        let same = (record.reply.as_deref(), record.failure.as_deref()) == (reply, failure);
        Ok(if same { record.profiles } else { Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;
    use crate::judged::{JudgedRun, view};
    use crate::profile::{Case, Profile};
    use crate::profiles::{AsProfile, PROFILES};
    use crate::strict::Strict;
    use loupe_core::Direct;
    use loupe_run::Plan;
    use loupe_testing::{FlatPictures, PromptHash, QuestionSet, scratch};
    use sha2::{Digest, Sha256};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// `strict` that counts how often it is asked.
    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Profile for Counted {
        fn name(&self) -> &str {
            "counted"
        }
        fn about(&self) -> &str {
            "strict, counted"
        }
        fn judge(&self, case: &Case<'_>) -> Judgement {
            self.0.fetch_add(1, Ordering::Relaxed);
            Strict.judge(case)
        }
    }

    fn made(set: &QuestionSet) -> tempfile::TempDir {
        let dir = scratch();
        let plan = Plan::new(loupe_run::templates::default_template());
        let mut model = PromptHash::new();
        loupe_run::run(dir.path(), &plan, set, &mut Direct(&mut model), &FlatPictures::sound(), &mut ())
            .unwrap();
        dir
    }

    /// Equal, where what is no number is equal to itself.
    fn assert_same(read: &JudgedItem, judged: &JudgedItem) {
        assert_eq!(read.item, judged.item);
        let plain = |j: &Judgement| {
            let mut j = j.clone();
            let values: Vec<_> = std::mem::take(&mut j.values);
            (j, values.into_iter().map(|v| (v.name, v.value)).collect::<Vec<_>>())
        };
        assert_eq!(read.verdicts.len(), judged.verdicts.len());
        for ((name, a), (same, b)) in read.verdicts.iter().zip(&judged.verdicts) {
            let ((a, x), (b, y)) = (plain(a), plain(b));
            assert_eq!((name, a, x.len()), (same, b, y.len()));
            for ((figure, x), (same, y)) in x.into_iter().zip(y) {
                assert_eq!(figure, same);
                assert!(x == y || (x.is_nan() && !y.is_finite()), "{figure}: {x}, not {y}");
            }
        }
    }

    #[test]
    fn each_reply_is_judged_once_and_the_verdicts_are_read_back() {
        let dir = made(&QuestionSet::new(30).with_holes());
        let counted = Counted::default();
        let harnesses: Vec<AsProfile> = PROFILES.iter().map(|p| AsProfile::new(*p)).collect();
        let mut all: Vec<&dyn Profile> = vec![&counted];
        all.extend(harnesses.iter().map(|p| p as &dyn Profile));
        let scoring = Scoring { profiles: &all, sensitivity: true, ..Scoring::default() };
        let run = ScoredRun::of(dir.path(), &scoring).unwrap();
        assert_eq!(run.summary.unreadable, 1);
        let read: Vec<JudgedItem> = run.items().unwrap().map(Result::unwrap).collect();
        assert_eq!(counted.0.load(Ordering::Relaxed), 29, "one call a reply, reading included");
        let judged: Vec<JudgedItem> = view(&run.folder, &all).unwrap().map(Result::unwrap).collect();
        assert_eq!(read.len(), 30);
        read.iter().zip(&judged).for_each(|(a, b)| assert_same(a, b));
        assert!(read[5].verdicts.is_empty(), "a row that could not be read");

        // The profiles that judged are not asked again for the range, and it is the same one.
        let alone = Scoring { profiles: &[&Strict], sensitivity: true, ..Scoring::default() };
        assert_eq!(score(dir.path(), &alone).unwrap().sensitivity, run.summary.sensitivity);
    }

    #[test]
    fn a_set_that_has_changed_since_is_noted() {
        let set = QuestionSet::new(6);
        let dir = made(&set);
        let noted = |now: &DatasetInfo| {
            let scoring = Scoring { profiles: &[&Strict], set: Some(now), ..Scoring::default() };
            score(dir.path(), &scoring).unwrap().run.notes
        };
        let was = loupe_core::Dataset::info(&set).clone();
        assert!(noted(&was).iter().all(|note| !note.contains("have changed")));
        let now = DatasetInfo { fingerprint: "beef".repeat(16), ..was };
        assert!(noted(&now).iter().any(|note| note.contains("was f00d…, now beefbeefbeef…")));
        // Another split has other files.
        assert!(
            noted(&DatasetInfo { split: "train".into(), ..now }).iter().all(|n| !n.contains("have changed"))
        );
    }

    #[test]
    fn a_reply_that_came_after_the_scoring_has_no_verdict() {
        let dir = made(&QuestionSet::new(12));
        let replies = dir.path().join("replies.jsonl");
        let lines = std::fs::read_to_string(&replies).unwrap();
        let (others, last) = lines.trim_end().rsplit_once('\n').unwrap();
        std::fs::write(&replies, format!("{others}\n")).unwrap();
        let strict = Strict;
        let scoring = Scoring { profiles: &[&strict], ..Scoring::default() };
        let run = ScoredRun::of(dir.path(), &scoring).unwrap();
        let first: serde_json::Value = serde_json::from_str(others.lines().next().unwrap()).unwrap();
        let mut other = first.clone();
        other["outcome"] = serde_json::json!({ "failed": { "reason": "asked again" } });
        other.as_object_mut().unwrap().remove("sum");
        let other = other.to_string();
        let open = other.strip_suffix('}').unwrap();
        let sum = loupe_core::words::hex(&Sha256::digest(open));
        let other = format!("{open},\"sum\":\"{}\"}}", &sum[..16]);
        std::fs::write(&replies, format!("{others}\n{last}\n{other}\n")).unwrap();

        let late: serde_json::Value = serde_json::from_str(last).unwrap();
        let without = [&late, &first].map(|line| line["item"].as_u64().unwrap() as usize);
        for (n, judged) in run.items().unwrap().enumerate() {
            let judged = judged.unwrap();
            assert!(judged.item.reply.is_some());
            assert_eq!(judged.verdicts.is_empty(), without.contains(&n), "{n}");
        }
    }

    #[test]
    fn a_judged_run_gives_what_was_decided() {
        let dir = made(&QuestionSet::new(12).with_holes());
        let counted = Counted::default();
        let run = JudgedRun::open(dir.path(), &counted).unwrap();
        let judged: Vec<JudgedItem> =
            view(&run.folder, &[&Counted::default() as &dyn Profile]).unwrap().map(Result::unwrap).collect();
        for _ in 0..2 {
            let again = run.items().unwrap().map(Result::unwrap).inspect(|a| assert!(a.verdicts.len() < 2));
            let n = again.zip(&judged).map(|(a, b)| assert_same(&a, b)).count();
            assert_eq!(n, 12);
        }
        assert_eq!((run.profile(), counted.0.load(Ordering::Relaxed)), ("counted", 11));
    }
}
