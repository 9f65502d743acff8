//! What is suspicious in a report, found by its words alone. A lint is no verdict: it says where to look.

use super::patterns::pattern;
use super::sentences::{Section, WrittenReport};
use loupe_core::{Stop, Study};
use regex::Regex;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// What is suspicious.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LintKind {
    /// It compares with an earlier study, and none was given.
    ComparisonWithoutPrior,
    /// The impression names another side than the findings.
    SideMismatch,
    /// The impression names another organ than the findings.
    OrganMismatch,
    /// A length or size without a unit.
    MeasurementWithoutUnit,
    /// A sentence that stands there before, word for word.
    RepeatedSentence,
    /// The reply ended at its limit of tokens.
    Truncated,
    /// A number, name or address that may identify somebody.
    Identifier,
    /// A date or a time of day.
    Date,
    /// A placeholder of a de-identified training set (`___`, `XXXX`).
    Placeholder,
    /// No words at all.
    Empty,
    /// It was asked for as JSON by a schema, and departs from it.
    SchemaNotFollowed,
}

impl LintKind {
    /// Every kind, in the order of tables.
    pub const ALL: [Self; 11] = [
        Self::ComparisonWithoutPrior,
        Self::SideMismatch,
        Self::OrganMismatch,
        Self::MeasurementWithoutUnit,
        Self::RepeatedSentence,
        Self::Truncated,
        Self::Identifier,
        Self::Date,
        Self::Placeholder,
        Self::Empty,
        Self::SchemaNotFollowed,
    ];

    /// In words for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::ComparisonWithoutPrior => "compares, but no prior was given",
            Self::SideMismatch => "side differs between findings and impression",
            Self::OrganMismatch => "organ differs between findings and impression",
            Self::MeasurementWithoutUnit => "measurement without a unit",
            Self::RepeatedSentence => "sentence repeated",
            Self::Truncated => "cut off at the limit of tokens",
            Self::Identifier => "may identify somebody",
            Self::Date => "date or time",
            Self::Placeholder => "placeholder of a de-identified set",
            Self::Empty => "empty",
            Self::SchemaNotFollowed => "does not follow its schema",
        }
    }
}

/// Something suspicious and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lint {
    /// What.
    pub kind: LintKind,
    /// The sentence, counted from 0 over the report; nothing where it is the whole report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentence: Option<usize>,
    /// The words of the report that show it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub words: String,
}

/// Everything suspicious in `report` on `study`, in the order of its sentences. `stop` says how the reply ended.
pub fn lints(report: &WrittenReport, study: &Study, stop: Stop) -> Vec<Lint> {
    let mut found = Vec::new();
    let mut say = |kind, sentence, words: &str| found.push(Lint { kind, sentence, words: words.to_owned() });
    if report.sentences.is_empty() {
        say(LintKind::Empty, None, "");
    }
    let compared = study.has_prior() || study.comparison.as_deref().is_some_and(names_a_comparison);
    let mut seen: BTreeSet<(Section, String)> = BTreeSet::new();
    for (at, sentence) in report.sentences.iter().enumerate() {
        let text = sentence.text.as_str();
        if !compared && let Some(words) = comparison(text) {
            say(LintKind::ComparisonWithoutPrior, Some(at), words);
        }
        for words in unitless(text) {
            say(LintKind::MeasurementWithoutUnit, Some(at), words);
        }
        for (kind, patterns) in [(LintKind::Date, &*DATES), (LintKind::Identifier, &*IDENTIFIERS)] {
            if let Some(words) = patterns.iter().find_map(|pattern| pattern.find(text)) {
                say(kind, Some(at), words.as_str());
            }
        }
        if let Some(words) = PLACEHOLDER.as_ref().and_then(|pattern| pattern.find(text)) {
            say(LintKind::Placeholder, Some(at), words.as_str());
        }
        let plain = plain(text);
        if plain.contains(' ') && !seen.insert((sentence.section, plain)) {
            say(LintKind::RepeatedSentence, Some(at), text);
        }
    }
    found.extend(mismatches(report));
    if matches!(stop, Stop::Length | Stop::ContextFull) {
        found.push(Lint { kind: LintKind::Truncated, sentence: None, words: String::new() });
    }
    found.sort_by_key(|lint| (lint.sentence.unwrap_or(usize::MAX), lint.kind));
    found
}

/// Words alone, in lower case.
fn plain(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Does the comparison of a study name one, rather than say that there is none?
fn names_a_comparison(text: &str) -> bool {
    let plain = plain(text);
    !plain.is_empty()
        && !["none", "no", "not", "n a", "nil", "unavailable"]
            .iter()
            .any(|no| plain == *no || plain.starts_with(&format!("{no} ")))
}

static COMPARISON: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?ix)\b(
          interval(ly)? | unchanged | compared | (in\s+)?comparison\s+(to|with) | no\s+longer | previously\s+(seen|noted|described|identified|demonstrated)
        | (prior|previous|earlier|preceding|recent)\s+(chest\s+|cxr\s+|ct\s+|mr\s+|mri\s+|portable\s+|plain\s+)?(stud(y|ies)|exam(ination)?s?|radiographs?|films?|images?|imaging|ct|mri?|x-?rays?|scans?|reports?|mammograms?)
        | again\s+(seen|noted|demonstrated|identified|visuali[sz]ed) | (re-?)demonstrated\s+again | redemonstrat\w+
        | since\s+(the\s+)?(prior|previous|last|earlier|preceding|\d) | stable | new(ly)?\s+(?:appeared|developed|since|\w+) | (has|have)\s+(increased|decreased|resolved|improved|worsened|progressed|enlarged|grown|shrunk|developed|cleared)
        | improv(ed|ing|ement) | worsen(ed|ing) | progress(ed|ion|ing) | increas(ed|ing)\s+in\s+(size|number|extent) | decreas(ed|ing)\s+in\s+(size|number|extent)
        | (now|slightly)\s+(larger|smaller) | (larger|smaller|bigger)\s+than\s+(before|previously)
        )\b",
    )
});

static NO_COMPARISON: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?ix)\b(no|without|not)\s+(\w+\s+){0,3}(prior|priors|previous|earlier|comparison|comparisons)\b
        | \b(comparison|priors?)\b[^.]{0,30}\b(none|not\s+available|unavailable)\b | hemodynamically\s+stable | haemodynamically\s+stable",
    )
});

/// The words that compare with an earlier study.
fn comparison(text: &str) -> Option<&str> {
    let excused = NO_COMPARISON.as_ref().is_some_and(|pattern| pattern.is_match(text));
    let words = COMPARISON.as_ref()?.find(text).map(|found| found.as_str());
    words.filter(|_| !excused)
}

static MEASURES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?ix)\b(?:measur(?:es|ed|ing|e)|diameter|size|length|width|thickness|largest|maximal|maximum|up\s+to)\b
          (?:\s+(?:of|is|about|approximately|approx\.|up\s+to|to|at|around|roughly|in|=|:))*\s*
          (\d+(?:[.,]\d+)?(?:\s*[x×*]\s*\d+(?:[.,]\d+)?)*)
        | (\d+(?:[.,]\d+)?(?:\s*[x×]\s*\d+(?:[.,]\d+)?)+)",
    )
});

static UNIT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?ix)^\s*-?\s*(mm|cm|m|µm|um|ml|cc|l|hu|mg|g|kg|%|°|deg|degrees?|millimet|centimet|millilit|lit(er|re)|met(er|re)|inch|percent|times|fold|
          years?|months?|weeks?|days?|hours?|lesions?|nodules?|of\s+\d|/\s*\d|st\b|nd\b|rd\b|th\b|mm²|cm²|mm2|cm2|vertebra|ribs?|levels?|slices?|images?|cysts?|stones?|foci)",
    )
});

/// Sizes behind which no unit stands.
fn unitless(text: &str) -> Vec<&str> {
    let (Some(measures), Some(unit)) = (MEASURES.as_ref(), UNIT.as_ref()) else { return Vec::new() };
    let mut found = Vec::new();
    for captures in measures.captures_iter(text) {
        let Some(number) = captures.get(1).or_else(|| captures.get(2)) else { continue };
        let rest = text.get(number.end()..).unwrap_or_default();
        // A range ("3 to 5 mm", "3-5 mm") has its unit behind its end.
        let rest = RANGE
            .as_ref()
            .and_then(|range| range.find(rest))
            .map_or(rest, |m| rest.get(m.end()..).unwrap_or_default());
        if !unit.is_match(rest) {
            found.push(captures.get(0).map_or("", |all| all.as_str()).trim());
        }
    }
    found
}

static RANGE: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"(?i)^\s*(-|–|to|and)\s*\d+([.,]\d+)?"));

static DATES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let month = "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)";
    let all = [
        r"\b\d{1,2}[/.]\d{1,2}[/.](?:\d{4}|\d{2})\b".to_owned(),
        r"\b\d{4}-\d{1,2}-\d{1,2}\b".to_owned(),
        r"\b\d{1,2}-\d{1,2}-\d{4}\b".to_owned(),
        format!(r"(?i)\b{month}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?,?(?:\s+\d{{4}})?\b"),
        format!(r"(?i)\b\d{{1,2}}(?:st|nd|rd|th)?\.?\s+(?:of\s+)?{month}\.?,?(?:\s+\d{{4}})?\b"),
        format!(r"(?i)\b{month}\s+(?:of\s+)?(?:19|20)\d{{2}}\b"),
        r"(?i)\b\d{1,2}:\d{2}(?::\d{2})?(?:\s*[ap]\.?m\b\.?)?".to_owned(),
    ];
    all.iter().filter_map(|text| pattern(text)).collect()
});

static IDENTIFIERS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let all = [
        r"(?i)\b(?:mrn|medical\s+record|accession|patient\s+(?:id|name)|date\s+of\s+birth|dob|ssn)\b\s*(?:number|no\.?|#)?\s*[:#]?\s*\S+",
        r"\b(?:[Dd]r|[Mm]r|[Mm]rs|[Mm]s)\.?\s+[A-Z][a-z]+",
        r"\b\d+(?:\.\d+){4,}\b",
        r"\b(?:\+?\d{1,3}[ -])?\(?\d{3}\)?[ -]\d{3}[ -]\d{4}\b",
        r"\b[\w.+-]+@[\w-]+\.[\w.]+\b",
        r"\b[A-Z]{0,3}\d{6,}\b",
    ];
    all.iter().filter_map(|text| pattern(text)).collect()
});

static PLACEHOLDER: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"_{2,}|\bX{4,}\b|\[\*\*.*?\*\*\]"));

/// Words that mean the same finding, the first its name.
const FINDINGS: [&[&str]; 22] = [
    &["nodule", "nodules", "nodular"],
    &["mass", "masses"],
    &["lesion", "lesions"],
    &["opacity", "opacities", "opacification"],
    &["consolidation", "consolidations"],
    &["effusion", "effusions"],
    &["pneumothorax", "pneumothoraces"],
    &["atelectasis", "atelectatic", "atelectases"],
    &["pneumonia", "pneumonias"],
    &["fracture", "fractures"],
    &["cyst", "cysts"],
    &["stone", "stones", "calculus", "calculi"],
    &["haemorrhage", "hemorrhage", "haematoma", "hematoma", "bleed"],
    &["infarct", "infarction", "infarcts"],
    &["tumour", "tumor", "tumours", "tumors", "neoplasm"],
    &["hydronephrosis"],
    &["aneurysm", "aneurysms"],
    &["metastasis", "metastases"],
    &["abscess", "abscesses"],
    &["embolus", "emboli", "embolism"],
    &["exudate", "exudates"],
    &["edema", "oedema"],
];

/// Words that mean the same organ, the first its name.
const ORGANS: [&[&str]; 15] = [
    &["lung", "lungs", "pulmonary", "lobe", "lobar", "lingula", "hilar", "hilum", "perihilar"],
    &["pleura", "pleural"],
    &["pericardium", "pericardial"],
    &["heart", "cardiac", "ventricle"],
    &["liver", "hepatic"],
    &["kidney", "kidneys", "renal"],
    &["spleen", "splenic"],
    &["pancreas", "pancreatic"],
    &["adrenal", "adrenals"],
    &["gallbladder", "biliary"],
    &["bladder", "vesical"],
    &["brain", "cerebral", "cerebellar", "frontal", "parietal", "temporal", "occipital"],
    &["thyroid"],
    &["prostate", "prostatic"],
    &["breast", "breasts", "mammary"],
];

const NEGATIONS: [&str; 9] =
    ["no", "without", "not", "negative", "absent", "denies", "resolved", "excluded", "neither"];

/// A finding as a clause tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mention {
    pub(super) finding: &'static str,
    pub(super) sides: BTreeSet<&'static str>,
    pub(super) organs: BTreeSet<&'static str>,
    pub(super) sentence: usize,
}

fn named(word: &str, table: &'static [&'static [&'static str]]) -> Option<&'static str> {
    table.iter().find(|names| names.contains(&word)).and_then(|names| names.first().copied())
}

/// The findings that a sentence says are there, each with the sides and organs of its clause.
pub(super) fn mentions(text: &str, sentence: usize) -> Vec<Mention> {
    let lower = text.to_lowercase();
    let mut joined = lower;
    for (words, one) in [
        ("left and right", "bilateral"),
        ("right and left", "bilateral"),
        ("both", "bilateral"),
        ("left-sided", "left"),
        ("right-sided", "right"),
        ("left greater than right", "bilateral"),
        ("right greater than left", "bilateral"),
    ] {
        joined = joined.replace(words, one);
    }
    let mut all = Vec::new();
    let mut denied = false;
    for clause in joined.split([',', ';', ':']).flat_map(|part| part.split(" and ")) {
        let words: Vec<&str> =
            clause.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
        let mut of_clause: Vec<Mention> = Vec::new();
        let (mut sides, mut organs) = (BTreeSet::new(), BTreeSet::new());
        // "No effusion, pneumothorax or fracture" denies all of a list; a new verb or "but" ends it.
        denied &= !words.iter().any(|w| matches!(*w, "is" | "are" | "there" | "but" | "however" | "with"));
        for word in &words {
            denied |= NEGATIONS.contains(word);
            if *word == "but" || *word == "however" {
                denied = false;
            }
            match *word {
                "left" => drop(sides.insert("left")),
                "right" => drop(sides.insert("right")),
                "bilateral" | "bilaterally" | "bibasilar" | "bibasal" => sides.extend(["left", "right"]),
                word => {
                    organs.extend(named(word, &ORGANS));
                    if let Some(finding) = named(word, &FINDINGS).filter(|_| !denied) {
                        let (sides, organs) = (BTreeSet::new(), BTreeSet::new());
                        of_clause.push(Mention { finding, sides, organs, sentence });
                    }
                }
            }
        }
        for mut mention in of_clause {
            (mention.sides, mention.organs) = (sides.clone(), organs.clone());
            all.push(mention);
        }
    }
    all
}

/// Findings that the impression places elsewhere than the findings do.
fn mismatches(report: &WrittenReport) -> Vec<Lint> {
    let mut by: BTreeMap<Section, Vec<Mention>> = BTreeMap::new();
    for (at, sentence) in report.sentences.iter().enumerate() {
        by.entry(sentence.section).or_default().extend(mentions(&sentence.text, at));
    }
    let (Some(seen), Some(concluded)) = (by.get(&Section::Findings), by.get(&Section::Impression)) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for mention in concluded {
        let of = || seen.iter().filter(|other| other.finding == mention.finding);
        let together = |get: fn(&Mention) -> &BTreeSet<&'static str>| {
            of().flat_map(|other| get(other).iter().copied()).collect::<BTreeSet<_>>()
        };
        for (kind, get) in [
            (LintKind::SideMismatch, (|m| &m.sides) as fn(&Mention) -> &BTreeSet<&'static str>),
            (LintKind::OrganMismatch, |m| &m.organs),
        ] {
            // Where the findings leave the place of one open, it may be the one that is meant.
            let open = of().any(|other| get(other).is_empty());
            let (said, known) = (get(mention), together(get));
            if !known.is_empty()
                && !open
                && said.iter().any(|place| !known.contains(place))
                && said.is_disjoint(&known)
            {
                let words =
                    |places: &BTreeSet<&'static str>| places.iter().copied().collect::<Vec<_>>().join(", ");
                let text = format!("{}: {} against {}", mention.finding, words(said), words(&known));
                found.push(Lint { kind, sentence: Some(mention.sentence), words: text });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use loupe_core::study::StudyImage;

    fn kinds(text: &str) -> Vec<LintKind> {
        let found = lints(&WrittenReport::read(text), &Study::default(), Stop::EndOfTurn);
        found.into_iter().map(|lint| lint.kind).collect()
    }

    #[test]
    fn every_pattern_is_sound() {
        for pattern in [&COMPARISON, &NO_COMPARISON, &MEASURES, &UNIT, &RANGE, &PLACEHOLDER] {
            assert!(pattern.is_some());
        }
        assert_eq!((DATES.len(), IDENTIFIERS.len()), (7, 6));
    }

    #[test]
    fn comparisons_need_something_to_compare_with() {
        use LintKind::ComparisonWithoutPrior as Compares;
        for said in [
            "The nodule is unchanged.",
            "Compared to the prior study, less effusion.",
            "Interval improvement of the consolidation.",
            "The effusion has increased.",
            "Cardiomegaly is again seen.",
            "Small effusion, stable.",
            "The pneumothorax is no longer visible.",
        ] {
            assert_eq!(kinds(said), [Compares], "{said}");
        }
        for silent in [
            "Status post prior sternotomy.",
            "No prior study is available.",
            "Comparison: none available.",
            "Increased interstitial markings.",
            "The knee is normal.",
        ] {
            assert!(!kinds(silent).contains(&Compares), "{silent}");
        }
        let study = Study { images: vec![StudyImage { view: None, prior: true }], ..Study::default() };
        assert!(lints(&WrittenReport::read("Unchanged nodule."), &study, Stop::EndOfTurn).is_empty());
        let study = Study { comparison: Some("None.".into()), ..Study::default() };
        assert_eq!(lints(&WrittenReport::read("Unchanged nodule."), &study, Stop::EndOfTurn).len(), 1);
    }

    #[test]
    fn findings_and_impression_agree_on_sides_and_organs() {
        use LintKind::{OrganMismatch, SideMismatch};
        let of = |findings: &str, impression: &str| {
            kinds(&format!("FINDINGS: {findings}\nIMPRESSION: {impression}"))
        };
        assert_eq!(of("Left pleural effusion.", "Right pleural effusion."), [SideMismatch]);
        assert_eq!(of("Nodule in the right upper lobe.", "Left lung nodule."), [SideMismatch]);
        assert_eq!(of("A cyst of the liver.", "Renal cyst."), [OrganMismatch]);
        assert_eq!(of("Bilateral effusions.", "Left effusion."), []);
        assert_eq!(of("Effusion.", "Left effusion."), []);
        assert_eq!(of("No right effusion. Left effusion.", "Left effusion."), []);
        assert_eq!(of("Left effusion and right pneumothorax.", "Right pneumothorax, left effusion."), []);
        assert_eq!(of("Nodules in the left and right lung.", "Right lung nodule."), []);
        assert_eq!(of("Left effusion.", "No right effusion."), []);
    }

    #[test]
    fn sizes_need_units() {
        use LintKind::MeasurementWithoutUnit as NoUnit;
        assert_eq!(kinds("The nodule measures 2.3 in the left lung."), [NoUnit]);
        assert_eq!(kinds("A mass of 3.4 x 2.1 is seen."), [NoUnit]);
        for fine in [
            "The nodule measures 2.3 cm.",
            "A mass of 3.4 x 2.1 cm is seen.",
            "Nodules measuring up to 3-5 mm.",
            "Size 12mm.",
            "There are 2 nodules.",
        ] {
            assert_eq!(kinds(fine), [], "{fine}");
        }
    }

    #[test]
    fn what_does_not_belong_into_a_report() {
        use LintKind::{Date, Empty, Identifier, Placeholder, RepeatedSentence, Truncated};
        assert_eq!(kinds("Discussed with Dr. Smith at 10:35 a.m."), [Identifier, Date]);
        assert_eq!(kinds("CT of 03/04/2019."), [Date]);
        assert_eq!(kinds("MRN 0012345."), [Identifier]);
        assert_eq!(kinds("No change from ___ film."), [Placeholder]);
        assert_eq!(kinds("Lungs are clear. Heart normal. Lungs are clear."), [RepeatedSentence]);
        assert_eq!(kinds(""), [Empty]);
        let cut = lints(&WrittenReport::read("The lungs"), &Study::default(), Stop::Length);
        assert_eq!(cut.iter().map(|l| l.kind).collect::<Vec<_>>(), [Truncated]);
        assert_eq!(kinds("Clear lungs at T10 and L4/5."), []);
    }
}
