//! Verified answers to rows: what was shown is put back in its place.

use super::answers::{StepAnswers, TakenFile};
use crate::allocation::{Step, Task};
use crate::design::question::{QuestionKind, ReadingColumn};
use crate::error::StudyError;
use crate::reading::{Key, KeyCase, KeyQuestion};
use loupe_core::table::plain_cell;
use serde_json::{Map, Value, json};

/// A reading that counts.
pub(super) struct CountedReading<'a> {
    pub(super) file: &'a TakenFile<'a>,
    pub(super) number: usize,
    pub(super) step: &'a Step,
    pub(super) answers: &'a StepAnswers,
    pub(super) case: &'a KeyCase,
}

impl<'a> CountedReading<'a> {
    /// The done readings of a file, without training.
    pub(super) fn of(file: &'a TakenFile<'a>, key: &'a Key) -> Vec<Self> {
        let steps = file.page.steps.iter().zip(&file.steps).enumerate();
        steps
            .filter(|(_, (step, answers))| !step.training && answers.done.is_some())
            .filter_map(|(number, (step, answers))| {
                Some(Self { file, number, step, answers, case: key.cases.get(step.case)? })
            })
            .collect()
    }

    /// Names of its arm, or of the two that were compared as the pair has them.
    fn arms(&self, key: &Key) -> Vec<String> {
        let name = |arm: usize| key.arms.get(arm).cloned().unwrap_or_default();
        match self.step.task {
            Task::Arm(arm) => vec![name(arm)],
            Task::Pair { pair, .. } => key.pairs.get(pair).map(|p| p.map(name).to_vec()).unwrap_or_default(),
        }
    }

    fn flipped(&self) -> bool {
        matches!(self.step.task, Task::Pair { flipped: true, .. })
    }

    /// `first`, `second`, `tie` or `neither` for what stood on the left or right.
    fn preferred(&self, value: &Value) -> Option<&'static str> {
        match (value.as_str()?, self.flipped()) {
            ("left", false) | ("right", true) => Some("first"),
            ("right", false) | ("left", true) => Some("second"),
            ("tie", _) => Some("tie"),
            ("neither", _) => Some("neither"),
            _ => None,
        }
    }

    /// The marks of a question that are sought for. One on an earlier study that is on no lesion says nothing of the current one.
    fn marks<'v>(&self, value: Option<&'v Value>) -> impl Iterator<Item = &'v Value> {
        let all = value.and_then(Value::as_array).into_iter().flatten();
        all.filter(|mark| !self.is_aside(mark))
    }

    fn is_aside(&self, mark: &Value) -> bool {
        self.case.prior.is_some() && series_of(mark) == self.case.prior && self.lesion(mark).is_none()
    }

    /// How many marks are on an earlier study and on no lesion.
    pub(super) fn aside(&self, key: &Key) -> usize {
        let of = |q: &&KeyQuestion| q.column == Some(ReadingColumn::Marks);
        let marks =
            key.questions.iter().filter(of).filter_map(|q| self.answers.values.get(&q.id)?.as_array());
        marks.flatten().filter(|mark| self.is_aside(mark)).count()
    }

    /// The lesion that a mark is on: the smallest on its series that holds the point or the middle of the box, on one of its slices.
    fn lesion(&self, mark: &Value) -> Option<&str> {
        let slice = usize::try_from(mark["slice"].as_u64()?).ok()?;
        let series = series_of(mark)?;
        let at = |list: &Value, n: usize| list[n].as_f64();
        let [x, y] = match mark["point"].is_array() {
            true => [at(&mark["point"], 0)?, at(&mark["point"], 1)?],
            false => {
                let side = |n: usize| Some((at(&mark["box"], n)? + at(&mark["box"], n + 2)?) / 2.0);
                [side(0)?, side(1)?]
            }
        };
        let holds = |l: &&crate::reading::LesionPlace| {
            let [x0, y0, x1, y1] = l.xyxy;
            l.series == series
                && (l.slices[0]..=l.slices[1]).contains(&slice)
                && (x0..=x1).contains(&x)
                && (y0..=y1).contains(&y)
        };
        let area = |l: &crate::reading::LesionPlace| (l.xyxy[2] - l.xyxy[0]) * (l.xyxy[3] - l.xyxy[1]);
        let hit = self.case.lesions.iter().filter(holds);
        hit.min_by(|a, b| area(a).total_cmp(&area(b))).map(|l| l.name.as_str())
    }

    /// The cell of a question's column.
    fn cell(&self, question: &KeyQuestion) -> Option<String> {
        let value = self.answers.values.get(&question.id);
        match question.column? {
            ReadingColumn::Rating => Some(value?.as_f64()?.to_string()),
            ReadingColumn::Category => Some(value?.as_str()?.to_owned()),
            ReadingColumn::Decision => {
                Some(if value?.as_str() == question.positive.as_deref() { "1" } else { "0" }.to_owned())
            }
            ReadingColumn::Choice => self.preferred(value?).map(str::to_owned),
            ReadingColumn::Marks => {
                let one = |mark: &Value| {
                    let sure = mark["confidence"].as_f64()?;
                    Some(self.lesion(mark).map_or(sure.to_string(), |lesion| format!("{sure}@{lesion}")))
                };
                Some(self.marks(value).filter_map(one).collect::<Vec<_>>().join(";"))
            }
        }
    }

    /// Its lesions, each once.
    fn lesions(&self) -> String {
        let mut all: Vec<(&str, Option<f64>)> = Vec::new();
        for place in &self.case.lesions {
            match all.iter_mut().find(|(name, _)| *name == place.name) {
                Some((_, weight)) => *weight = weight.or(place.weight),
                None => all.push((&place.name, place.weight)),
            }
        }
        let weighted = all.iter().all(|(_, weight)| weight.is_some());
        let one = |(name, weight): &(&str, Option<f64>)| match weight.filter(|_| weighted) {
            Some(weight) => format!("{name}={weight}"),
            None => (*name).to_owned(),
        };
        all.iter().map(one).collect::<Vec<_>>().join(";")
    }
}

/// The series that a mark is on; the first one where it says nothing.
fn series_of(mark: &Value) -> Option<usize> {
    match &mark["series"] {
        Value::Null => Some(0),
        number => usize::try_from(number.as_u64()?).ok(),
    }
}

/// The file of readings with these questions.
pub(super) fn readings_csv(
    readings: &[CountedReading<'_>],
    key: &Key,
    questions: &[&KeyQuestion],
) -> Result<Vec<u8>, StudyError> {
    let pairs = !key.pairs.is_empty();
    let columns: Vec<(&str, &KeyQuestion)> = questions
        .iter()
        .filter_map(|q| {
            let name = match q.column? {
                ReadingColumn::Rating => "rating",
                ReadingColumn::Decision => "decision",
                ReadingColumn::Category => "category",
                ReadingColumn::Marks => "marks",
                ReadingColumn::Choice => "choice",
            };
            Some((name, *q))
        })
        .collect();
    let mut header = vec!["reader", "case", "truth", "group", "lesions", "seconds"];
    let compared = ["first", "second", "first_length", "second_length"];
    header.extend(if pairs { compared.as_slice() } else { &["arm"] });
    header.push("repeat");
    header.extend(columns.iter().map(|(name, _)| *name));
    let mut csv = csv::Writer::from_writer(Vec::new());
    // Names of readers, cases and groups come from files of others, and readers open this one in a spreadsheet.
    csv.write_record(&header)?;
    for r in readings {
        let mut row = vec![
            r.file.page.reader.clone(),
            r.case.name.clone(),
            r.case.truth.map_or_else(String::new, |t| u8::from(t).to_string()),
            r.case.group.clone().unwrap_or_default(),
            r.lesions(),
            r.answers.seconds.map_or_else(String::new, |s| s.max(0.001).to_string()),
        ];
        row.extend(r.arms(key));
        if let Task::Pair { pair, .. } = r.step.task {
            let of = |arm: usize| r.case.lengths.get(arm).copied().flatten();
            let both = key.pairs.get(pair).and_then(|[a, b]| Some([of(*a)?, of(*b)?]));
            row.extend(both.map_or([String::new(), String::new()], |l| l.map(|n| n.to_string())));
        }
        row.push(if r.step.repeat { "1" } else { "" }.to_owned());
        row.extend(columns.iter().map(|(_, q)| r.cell(q).unwrap_or_default()));
        csv.write_record(row.iter().map(|cell| plain_cell(cell)))?;
    }
    csv.into_inner().map_err(|e| StudyError::Io(e.into_error()))
}

/// Every answer as a line: who, what case and arm, when, how long, and the answer with left and right put back in their places.
pub(super) fn answers_jsonl(readings: &[CountedReading<'_>], key: &Key) -> Result<String, StudyError> {
    let mut out = String::new();
    for r in readings {
        for question in &key.questions {
            let Some(value) = r.answers.values.get(&question.id) else { continue };
            let mut row = Map::new();
            row.insert("reader".to_owned(), r.file.page.reader.clone().into());
            row.insert("case".to_owned(), r.case.name.clone().into());
            match (r.step.task, r.arms(key).as_slice()) {
                (Task::Arm(_), [arm]) => _ = row.insert("arm".to_owned(), arm.clone().into()),
                (Task::Pair { flipped, .. }, [first, second]) => {
                    row.insert("first".to_owned(), first.clone().into());
                    row.insert("second".to_owned(), second.clone().into());
                    row.insert("left".to_owned(), if flipped { "second" } else { "first" }.into());
                }
                _ => {}
            }
            row.insert("session".to_owned(), r.step.session.into());
            row.insert("position".to_owned(), (r.number + 1).into());
            row.insert("repeat".to_owned(), r.step.repeat.into());
            row.insert("question".to_owned(), question.id.clone().into());
            row.insert("answer".to_owned(), answer(r, question, value));
            row.insert("seconds".to_owned(), json!(r.answers.seconds));
            row.insert("done".to_owned(), json!(r.answers.done));
            out += &serde_json::to_string(&row)?;
            out.push('\n');
        }
    }
    Ok(out)
}

/// An answer as it was meant.
fn answer(r: &CountedReading<'_>, question: &KeyQuestion, value: &Value) -> Value {
    match question.kind {
        QuestionKind::Prefer => json!(r.preferred(value)),
        QuestionKind::Mark => {
            let on = |mark: &Value| {
                let mut mark = mark.clone();
                let lesion = r.lesion(&mark).map(str::to_owned);
                if let (Some(fields), Some(lesion)) = (mark.as_object_mut(), lesion) {
                    fields.insert("lesion".to_owned(), lesion.into());
                }
                mark
            };
            value.as_array().into_iter().flatten().map(on).collect()
        }
        QuestionKind::Findings => {
            let Task::Arm(arm) = r.step.task else { return value.clone() };
            let labels = r.case.findings.get(arm).map_or(&[][..], Vec::as_slice);
            let judged = |(n, label): (usize, &String)| {
                let mut judged = value.get(format!("f{}", n + 1))?.clone();
                judged.as_object_mut()?.insert("finding".to_owned(), label.clone().into());
                Some(judged)
            };
            labels.iter().enumerate().filter_map(judged).collect()
        }
        _ => value.clone(),
    }
}
