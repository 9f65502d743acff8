//! Rows to readings: names become numbers, and what rows say of the same case has to agree.

use super::cells::{COLUMNS, Row};
use crate::error::StudyError;
use crate::readings::{Case, Choice, Lesion, Mark, Preference, Reading, Readings};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Names in the order in which they first appear.
#[derive(Default)]
struct Names {
    numbers: HashMap<String, usize>,
    names: Vec<String>,
}

impl Names {
    fn number(&mut self, name: &str) -> usize {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        self.numbers.insert(name.to_owned(), self.names.len());
        self.names.push(name.to_owned());
        self.names.len() - 1
    }
}

/// What rows said of a case, with the line that said it first.
#[derive(Default)]
struct CaseRows {
    truth: Option<(u64, bool)>,
    group: Option<(u64, String)>,
    lesions: Option<(u64, Vec<Lesion>)>,
}

fn agree<T: PartialEq>(
    held: &mut Option<(u64, T)>,
    line: u64,
    value: Option<T>,
    what: &str,
) -> Result<(), StudyError> {
    let Some(value) = value else { return Ok(()) };
    match held {
        Some((_, known)) if *known == value => Ok(()),
        Some((first, _)) => {
            Err(StudyError::line(line, format!("the {what} of this case is another than in line {first}")))
        }
        None => {
            *held = Some((line, value));
            Ok(())
        }
    }
}

/// `name` or `name=weight`, separated by semicolons.
fn lesions(row: &Row) -> Result<Option<Vec<Lesion>>, StudyError> {
    let Some(text) = row.text("lesions") else { return Ok(None) };
    let wrong = |what: &str| StudyError::line(row.line, format!("`lesions`: {what}"));
    let mut found: Vec<Lesion> = Vec::new();
    let mut weighted = 0;
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let (name, weight) = match part.split_once('=') {
            Some((name, weight)) => {
                weighted += 1;
                let weight = weight.trim().parse::<f64>().ok().filter(|w| w.is_finite() && *w > 0.0);
                (name.trim(), weight.ok_or_else(|| wrong("a weight is not a number above 0"))?)
            }
            None => (part, 1.0),
        };
        if found.iter().any(|lesion| lesion.name == name) {
            return Err(wrong("two lesions of this case have the same name"));
        }
        found.push(Lesion { name: name.to_owned(), weight });
    }
    if weighted != 0 && weighted != found.len() {
        return Err(wrong("give a weight to all lesions of a case or to none"));
    }
    let sum: f64 = found.iter().map(|lesion| lesion.weight).sum();
    found.iter_mut().for_each(|lesion| lesion.weight /= sum);
    Ok(Some(found))
}

/// `rating` or `rating@lesion`, separated by semicolons.
fn marks(row: &Row, lesions: &[Lesion]) -> Result<Vec<Mark>, StudyError> {
    let parts = row.text("marks").unwrap_or_default().split(';').map(str::trim).filter(|p| !p.is_empty());
    parts
        .map(|part| {
            let (rating, name) =
                part.split_once('@').map_or((part, None), |(rating, name)| (rating, Some(name.trim())));
            let rating = rating.trim().parse::<f64>().ok().filter(|r| r.is_finite()).ok_or_else(|| {
                StudyError::line(
                    row.line,
                    "`marks`: a rating is not a finite number (write `70@lesion` or `70`, separated by `;`)",
                )
            })?;
            let lesion = name
                .map(|name| {
                    lesions.iter().position(|lesion| lesion.name == name).ok_or_else(|| {
                        StudyError::line(
                            row.line,
                            "`marks`: a mark names a lesion that `lesions` of this case does not have",
                        )
                    })
                })
                .transpose()?;
            Ok(Mark { rating, lesion })
        })
        .collect()
}

fn choice(row: &Row) -> Result<Choice, StudyError> {
    match row.text("choice").unwrap_or_default().to_ascii_lowercase().as_str() {
        "first" => Ok(Choice::First),
        "second" => Ok(Choice::Second),
        "tie" => Ok(Choice::Tie),
        "neither" => Ok(Choice::Neither),
        _ => Err(StudyError::line(row.line, "`choice` is none of first, second, tie and neither")),
    }
}

fn required<'a>(row: &'a Row, column: &'static str) -> Result<&'a str, StudyError> {
    row.text(column).ok_or_else(|| StudyError::line(row.line, format!("`{column}` is empty or missing")))
}

/// Who read what in which arm.
fn of_reading(r: &Reading) -> [usize; 4] {
    [r.reader, r.case, r.arm, r.arm]
}

/// Who compared what; arms in either order.
fn of_preference(p: &Preference) -> [usize; 4] {
    [p.reader, p.case, p.first.min(p.second), p.first.max(p.second)]
}

pub(super) fn collect(rows: &[Row], unread: BTreeSet<String>) -> Result<Readings, StudyError> {
    let Some(first) = rows.first() else {
        return Err(StudyError::File("the file holds no reading".to_owned()));
    };
    for column in ["reader", "case"] {
        if !first.has(column) {
            let known = COLUMNS.join(", ");
            return Err(StudyError::File(format!(
                "the file has no column `{column}`; columns that are read: {known}"
            )));
        }
    }
    let (mut readers, mut arms, mut names) = (Names::default(), Names::default(), Names::default());
    let mut cases: Vec<CaseRows> = Vec::new();
    for row in rows {
        let number = names.number(required(row, "case")?);
        if number == cases.len() {
            cases.push(CaseRows::default());
        }
        let case = &mut cases[number];
        agree(&mut case.truth, row.line, row.truth("truth")?, "truth")?;
        agree(&mut case.group, row.line, row.text("group").map(str::to_owned), "group")?;
        agree(&mut case.lesions, row.line, lesions(row)?, "list of lesions")?;
        if let (Some((_, false)), Some((_, listed))) = (&case.truth, &case.lesions)
            && !listed.is_empty()
        {
            return Err(StudyError::line(row.line, "the case has lesions and its truth is 0"));
        }
    }
    let mut units = Names::default();
    let described = names.names.iter().zip(&cases).map(|(name, said)| {
        let unit = match &said.group {
            Some((_, group)) => units.number(&format!("group {group}")),
            None => units.number(&format!("case {name}")),
        };
        let lesions = said.lesions.as_ref().map_or_else(Vec::new, |(_, l)| l.clone());
        let truth = said.truth.map(|(_, truth)| truth).or((!lesions.is_empty()).then_some(true));
        Case { name: name.clone(), truth, unit, lesions }
    });
    let mut all = Readings { cases: described.collect(), ..Readings::default() };
    let mut met: HashMap<(usize, usize, usize, usize, bool), u64> = HashMap::new();
    let mut empty = 0;
    for row in rows {
        let (reader, case) = (readers.number(required(row, "reader")?), names.number(required(row, "case")?));
        let repeat = row.truth("repeat")?.unwrap_or(false);
        let key;
        if row.text("choice").is_some() {
            let (first, second) =
                (arms.number(required(row, "first")?), arms.number(required(row, "second")?));
            if first == second {
                return Err(StudyError::line(row.line, "`first` and `second` are the same arm"));
            }
            let lengths = match (row.number("first_length")?, row.number("second_length")?) {
                (Some(a), Some(b)) if a >= 0.0 && b >= 0.0 => Some([a, b]),
                (None, None) => None,
                _ => return Err(StudyError::line(row.line, "give both lengths, from 0 on, or none")),
            };
            key = (reader, case, first.min(second), first.max(second) + 1, repeat);
            let into = if repeat { &mut all.repeated_preferences } else { &mut all.preferences };
            into.push(Preference { reader, case, first, second, choice: choice(row)?, lengths });
        } else {
            let arm = arms.number(row.text("arm").unwrap_or("all"));
            let seconds = row.number("seconds")?;
            if seconds.is_some_and(|s| s <= 0.0) {
                return Err(StudyError::line(row.line, "`seconds` is not above 0"));
            }
            let marked = row.has("marks").then(|| marks(row, &all.cases[case].lesions)).transpose()?;
            let reading = Reading {
                arm,
                reader,
                case,
                rating: row.number("rating")?,
                decision: row.truth("decision")?,
                category: row.text("category").map(str::to_owned),
                marks: marked,
                seconds,
            };
            key = (reader, case, arm, 0, repeat);
            if reading.rating.is_none()
                && reading.decision.is_none()
                && reading.category.is_none()
                && reading.marks.is_none()
                && reading.seconds.is_none()
            {
                empty += 1;
                continue;
            }
            let into = if repeat { &mut all.repeats } else { &mut all.readings };
            into.push(reading);
        }
        if let Some(line) = met.insert(key, row.line) {
            return Err(StudyError::line(
                row.line,
                format!(
                    "this reader has read this case in this arm in line {line} already; a second reading has 1 as `repeat`, a further one needs an arm of its own"
                ),
            ));
        }
    }
    if all.readings.is_empty() && all.preferences.is_empty() {
        return Err(StudyError::File(
            "no row has a `rating`, `decision`, `category`, `marks`, `seconds` or `choice`".to_owned(),
        ));
    }
    let firsts: HashSet<[usize; 4]> =
        all.readings.iter().map(of_reading).chain(all.preferences.iter().map(of_preference)).collect();
    let again = all.repeats.iter().map(of_reading).chain(all.repeated_preferences.iter().map(of_preference));
    let alone = again.filter(|key| !firsts.contains(key)).count();
    if alone > 0 {
        all.notes.push(format!("{alone} repeated readings have no first one, and are left out"));
    }
    if empty > 0 {
        all.notes.push(format!("{empty} rows hold no answer; their readings count as missing"));
    }
    if !unread.is_empty() {
        all.notes.push(format!("columns that were not read: {}", Vec::from_iter(unread).join(", ")));
    }
    (all.arms, all.readers, all.units) = (arms.names, readers.names, units.names.len());
    Ok(all)
}
