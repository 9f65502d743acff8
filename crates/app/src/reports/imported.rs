//! Annotations of a batch: those of a file, which is read before anybody is asked, and beside them what a judge says.

use crate::error::{AppError, InStep};
use crate::judge::{JudgeOptions, JudgedMetric};
use crate::listener::Listener;
use loupe_core::Metric;
use loupe_core::files::open_regular;
use loupe_core::words::counted;
use loupe_eval::metrics::annotations::{self, Annotations, field_of};
use loupe_eval::metrics::radeval::{self, RadEvalName, radeval_name};
use loupe_eval::reports::ReportProfile;
use loupe_run::{RunFolder, replace};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

/// The annotations that were given for a batch.
pub(super) struct Imported {
    file: Option<PathBuf>,
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
        let Some(path) = file else { return Ok(Self { file: None, unmatched: None }) };
        let named = || format!("the annotations {} could not be read", path.display());
        let all = Annotations::read(path).step(named)?;
        let mut studies = BTreeSet::new();
        for item in RunFolder::open(dir)?.items()? {
            studies.insert(item?.line.id());
        }
        let ids: Vec<&str> = all.ids().collect();
        let strange = ids.iter().filter(|id| !studies.contains(**id)).count();
        if strange > 0 && strange == ids.len() {
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
        for name in metrics {
            let field = match radeval_name(name) {
                Some(RadEvalName::Annotated(field)) => field,
                Some(RadEvalName::Words(_)) => continue,
                None if annotations::names().any(|known| known == name) => field_of(name),
                None => continue,
            };
            let lacking = field.split([',', ' ']).filter(|part| !matches!(*part, "" | "and"));
            let mut lacking =
                lacking.filter(|part| !all.has(part) && !asked.iter().any(|asked| asked == part));
            if let Some(part) = lacking.next() {
                return Err(AppError::input(format!(
                    "{name} was asked for, and no line of {} has the field {part:?}",
                    path.display()
                )));
            }
            let bare = name.strip_prefix("do_").unwrap_or(name);
            let figure =
                radeval::ENTRIES.iter().find(|entry| field == "radeval" && entry.name.starts_with(bare));
            if let Some(figure) =
                figure.filter(|figure| !all.metrics().iter().any(|one| one.name() == figure.name))
            {
                return Err(AppError::input(format!(
                    "{name} was asked for, and no line of {} has {:?} in its field \"radeval\"",
                    path.display(),
                    figure.name
                )));
            }
        }
        Ok(Self { file: Some(path.clone()), unmatched })
    }

    /// The annotations with what the judge says beside them, which `judged.jsonl` keeps.
    pub(super) fn judged(
        self,
        judge: Option<&JudgeOptions>,
        asked: &[String],
        dir: &Path,
        profile: &ReportProfile,
        listener: &dyn Listener,
    ) -> Result<(Option<PathBuf>, Vec<JudgedMetric>), AppError> {
        let Some(judge) = judge else { return Ok((self.file, Vec::new())) };
        let (said, record) = judge.ask_about_reports(dir, asked, profile.texts, listener)?;
        let mut all: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        if let Some(file) = &self.file {
            for line in BufReader::new(open_regular(file)?).lines() {
                let line = line?;
                if line.trim().is_empty() {
                    continue;
                }
                let mut fields: Map<String, Value> = serde_json::from_str(&line)?;
                if let Some(Value::String(id)) = fields.remove("id") {
                    all.insert(id, fields);
                }
            }
        }
        for (id, fields) in said.into_iter().flat_map(|said| said.annotations) {
            all.entry(id).or_default().extend(fields);
        }
        replace(dir, "judged.jsonl", |to| {
            for (id, fields) in &all {
                let mut line = Map::from_iter([("id".to_owned(), Value::from(id.as_str()))]);
                line.extend(fields.clone());
                serde_json::to_writer(&mut *to, &line)?;
                to.write_all(b"\n")?;
            }
            Ok(())
        })?;
        Ok((Some(dir.join("judged.jsonl")), record))
    }
}
