//! Annotations of a batch: those of a file, which is read before anybody is asked, and beside them what a judge says.

use crate::error::AppError;
use crate::judge::{JudgedMetric, ReportJudge};
use crate::listener::Listener;
use crate::score::annotations as annotations_of;
use loupe_core::Metric;
use loupe_core::files::each_line;
use loupe_core::words::counted;
use loupe_eval::metrics::annotations::{self, Annotations, fields_of};
use loupe_eval::metrics::radeval::{self, RadEvalName, radeval_name};
use loupe_eval::reports::ReportProfile;
use loupe_run::{RunFolder, replace};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// The annotations that were given for a batch.
#[derive(Default)]
pub(super) struct Imported {
    given: Option<(PathBuf, Annotations)>,
    /// What is said of ids that are no study of the batch.
    pub(super) unmatched: Option<String>,
}

impl Imported {
    /// Reads the file of a batch, where there is one: it has what the named metrics are made of, unless a judge is `asked` for it, and nothing that
    /// one is asked for.
    pub(super) fn read(
        file: Option<&PathBuf>,
        dir: &Path,
        metrics: &[String],
        asked: &[String],
    ) -> Result<Self, AppError> {
        let Some(path) = file else { return Ok(Self::default()) };
        let all = annotations_of(path)?;
        let mut studies = BTreeSet::new();
        for item in RunFolder::open(dir)?.items()? {
            studies.insert(item?.line.id());
        }
        let strange = all.ids().filter(|id| !studies.contains(*id)).count();
        if strange > 0 && strange == all.len() {
            return Err(AppError::input(format!(
                "none of the ids in {} is a study of {}; the \"id\" of a line is the study_id",
                path.display(),
                dir.display()
            )));
        }
        let unmatched = (strange > 0).then(|| {
            format!("{} of {} are of no study of the batch", counted(strange, "line"), path.display())
        });
        if let Some(field) = asked.iter().find(|field| all.has(field)) {
            return Err(AppError::input(format!(
                "the annotations have {field:?} already; ask the judge for something else, or leave the file out"
            )));
        }
        need_fields(&all, path, metrics, asked)?;
        Ok(Self { given: Some((path.clone(), all)), unmatched })
    }

    /// The annotations with what the judge says beside them, which `judged.jsonl` keeps.
    pub(super) fn judged(
        self,
        judge: Option<&mut ReportJudge<'_>>,
        dir: &Path,
        profile: &ReportProfile,
        listener: &dyn Listener,
    ) -> Result<(Option<Annotations>, Vec<JudgedMetric>), AppError> {
        let Some(judge) = judge else { return Ok((self.given.map(|(_, all)| all), Vec::new())) };
        let (said, record) = judge.ask(dir, profile.texts, listener)?;
        let mut all: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        for (id, fields) in said.into_iter().flat_map(|said| said.annotations) {
            all.entry(id).or_default().extend(fields);
        }
        let refused = self.given.as_ref().map(|(_, given)| given.refused().to_vec()).unwrap_or_default();
        replace(dir, "judged.jsonl", |to| {
            if let Some((path, given)) = &self.given {
                copy_used(path, given, &mut all, to)?;
            }
            all.into_iter().try_for_each(|(id, fields)| write_line(&id, fields, to))
        })?;
        let judged = Annotations::read(&dir.join("judged.jsonl"))?;
        Ok((Some(judged.refusing(refused)), record))
    }
}

fn write_line(id: &str, fields: Map<String, Value>, to: &mut dyn Write) -> std::io::Result<()> {
    let mut line = Map::from_iter([("id".to_owned(), Value::from(id))]);
    line.extend(fields);
    serde_json::to_writer(&mut *to, &line)?;
    to.write_all(b"\n")
}

/// The lines of a file that can be used, each with what a judge said of its study.
fn copy_used(
    path: &Path,
    given: &Annotations,
    said: &mut BTreeMap<String, Map<String, Value>>,
    to: &mut dyn Write,
) -> std::io::Result<()> {
    let refused: BTreeSet<usize> = given.refused().iter().map(|refused| refused.line).collect();
    each_line(path, |number, line| {
        if !refused.contains(&number) {
            let mut fields: Map<String, Value> = serde_json::from_slice(line)?;
            if let Some(Value::String(id)) = fields.remove("id") {
                fields.extend(said.remove(&id).unwrap_or_default());
                write_line(&id, fields, to)?;
            }
        }
        Ok(ControlFlow::Continue(()))
    })
}

/// Refuses a metric of which no line has what it is made of.
fn need_fields(all: &Annotations, path: &Path, metrics: &[String], asked: &[String]) -> Result<(), AppError> {
    let without = |name: &str, field: &str| {
        let refused = match all.refused().len() {
            0 => String::new(),
            n => format!(" ({} of it cannot be used)", counted(n, "line")),
        };
        AppError::input(format!(
            "{name} was asked for, and no line of {} has {field}{refused}",
            path.display()
        ))
    };
    for name in metrics {
        let fields = match radeval_name(name) {
            Some(RadEvalName::Annotated(fields)) => fields,
            Some(RadEvalName::Words(_)) => continue,
            None if annotations::names().any(|known| known == name) => fields_of(name),
            None => continue,
        };
        let there = |field: &str| all.has(field) || asked.iter().any(|asked| asked == field);
        if let Some(field) = fields.iter().find(|field| !there(field)) {
            return Err(without(name, &format!("the field {field:?}")));
        }
        let bare = name.strip_prefix("do_").unwrap_or(name);
        let figure =
            radeval::ENTRIES.iter().find(|entry| fields == ["radeval"] && entry.name.starts_with(bare));
        if let Some(figure) =
            figure.filter(|figure| !all.metrics().iter().any(|one| one.name() == figure.name))
        {
            return Err(without(name, &format!("{:?} in its field \"radeval\"", figure.name)));
        }
    }
    Ok(())
}
