//! Reports on phantoms, from their ground truth: indication, technique, findings and impression as a radiologist might dictate them, and the
//! same as structured facts.

use crate::finding::Finding;
use crate::rng::Rng;
use crate::study::{Change, Study};
use serde::Serialize;

/// A finding as a fact: what scores of reports are compared with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReportFact {
    /// `nodule`, `effusion` …
    pub finding: &'static str,
    /// The patient's side, where the body has sides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub side: Option<&'static str>,
    /// Longest diameter in mm, where the picture is calibrated and the thing is round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_mm: Option<f64>,
    /// What became of it since the earlier study, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<&'static str>,
}

/// A report on a phantom.
#[derive(Debug, Clone, PartialEq)]
pub struct PhantomReport {
    /// Why the study was made; says nothing of what is found.
    pub indication: &'static str,
    /// How it was made.
    pub technique: String,
    /// The findings section.
    pub findings: String,
    /// The impression section.
    pub impression: String,
    /// What is there, and what has gone.
    pub facts: Vec<ReportFact>,
}

/// The report on `study`; with an earlier one, what has changed since (`change` is true of all its findings).
pub fn report(study: &Study, earlier: Option<(&Study, Change)>, rng: &mut Rng) -> PhantomReport {
    let kind = study.kind;
    // The largest first: of several of a kind on one side it is the one that facts tell.
    let mut seen: Vec<&Finding> = study.findings.iter().collect();
    seen.sort_by(|a, b| b.size_mm.unwrap_or_default().total_cmp(&a.size_mm.unwrap_or_default()));
    let change = earlier.map(|(_, change)| change);
    let mut facts: Vec<ReportFact> = Vec::new();
    let (mut told, mut concluded) = (Vec::new(), Vec::new());
    for finding in &seen {
        let fact = fact(finding, change);
        if facts.iter().all(|other| (other.finding, other.side) != (fact.finding, fact.side)) {
            concluded.push(match change {
                Some(change) => format!("{}, {}", placed(finding), change.name()),
                None => placed(finding),
            });
            facts.push(fact);
        }
        told.push(sentence(finding, change));
    }
    let gone = earlier
        .filter(|(_, change)| *change == Change::Resolved)
        .map(|(before, _)| before.findings.as_slice());
    for old in gone.unwrap_or_default() {
        facts.push(ReportFact { size_mm: None, ..fact(old, change) });
        told.push(format!("The {} has resolved since the earlier study.", placed(old)));
        concluded.push(format!("{} has resolved", placed(old)));
    }
    let (findings, impression) = match told.is_empty() {
        true => (
            format!("The {} is normal. Nothing suspicious is seen.", kind.region()),
            "Normal study.".to_owned(),
        ),
        false => {
            told.push(format!("The rest of the {} is normal.", kind.region()));
            let lines =
                concluded.iter().enumerate().map(|(n, what)| format!("{}. {}.", n + 1, capital(what)));
            (told.join(" "), lines.collect::<Vec<_>>().join("\n"))
        }
    };
    let indications = ["Follow-up.", "Pain.", "Screening.", "Symptoms of unknown cause."];
    PhantomReport {
        indication: rng.pick(&indications).copied().unwrap_or("Screening."),
        technique: format!("{} of the {}.", kind.modality(), kind.region()),
        findings,
        impression,
        facts,
    }
}

fn fact(finding: &Finding, change: Option<Change>) -> ReportFact {
    ReportFact {
        finding: finding.kind.name(),
        side: finding.side.map(|side| side.name()),
        size_mm: finding.size_mm.filter(|_| finding.kind.is_round()).map(f64::round),
        change: change.map(Change::name),
    }
}

/// `left nodule`.
fn placed(finding: &Finding) -> String {
    let name = finding.kind.name();
    finding.side.map_or_else(|| name.to_owned(), |side| format!("{} {name}", side.name()))
}

/// `A nodule of 12 mm is seen on the left and has grown since the earlier study. It lies in the lung.`
fn sentence(finding: &Finding, change: Option<Change>) -> String {
    let size = finding.size_mm.filter(|_| finding.kind.is_round()).map(f64::round);
    let size = size.map(|mm| format!(" of {mm:.0} mm")).unwrap_or_default();
    let hollow = if finding.cavitary { " with a hollow centre" } else { "" };
    let side = finding.side.map(|side| format!(" on the {}", side.name())).unwrap_or_default();
    let since = match change {
        None => String::new(),
        Some(Change::Grew) => " and has grown since the earlier study".to_owned(),
        Some(Change::Shrank) => " and has become smaller since the earlier study".to_owned(),
        Some(Change::Appeared) => " and is new since the earlier study".to_owned(),
        Some(Change::Unchanged | Change::Resolved) => " and is unchanged since the earlier study".to_owned(),
    };
    let what = capital(&finding.kind.with_article());
    format!("{what}{size}{hollow} is seen{side}{since}. It lies in the {}.", finding.organ)
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use crate::finding::FindingKind;
    use crate::kind::Kind;
    use crate::study::{Plan, Wish};

    #[test]
    fn a_report_tells_its_facts() {
        let plan = Plan::held_out(3, Kind::CtChest, Wish::One(FindingKind::Nodule));
        let (before, after) = plan.follow_up(Change::Grew);
        let (before, after) = (before.picture(336), after.picture(336));
        let told = report(&after, Some((&before, Change::Grew)), &mut Rng::new(1, 2));
        let fact = told.facts.first().unwrap();
        assert_eq!((fact.finding, fact.change), ("nodule", Some("grew")));
        let size = format!("of {:.0} mm", fact.size_mm.unwrap());
        for part in [size.as_str(), "and has grown since", "It lies in the"] {
            assert!(told.findings.contains(part), "{}", told.findings);
        }
        assert!(told.impression.ends_with("nodule, grew."), "{}", told.impression);
        let (before, after) = plan.follow_up(Change::Resolved);
        let told =
            report(&after.picture(336), Some((&before.picture(336), Change::Resolved)), &mut Rng::new(1, 2));
        assert!(told.impression.contains("has resolved") && told.facts.first().unwrap().size_mm.is_none());
        let normal = Plan::held_out(4, Kind::CtChest, Wish::Normal).picture(336);
        let told = report(&normal, None, &mut Rng::new(1, 2));
        assert_eq!((told.impression.as_str(), told.facts.len()), ("Normal study.", 0));
    }
}
