//! Questions about phantom studies, with answers that follow from the ground truth.

use crate::finding::{Finding, FindingKind};
use crate::kind::Kind;
use crate::label::Label;
use crate::rng::Rng;
use crate::study::{Change, Plan, Study, Wish};
use serde::{Deserialize, Serialize};

/// What a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Topic {
    Modality,
    Plane,
    Region,
    Organ,
    Presence,
    Abnormality,
    Side,
    Position,
    Count,
    Size,
    Attribute,
    Change,
    WhichImage,
}

/// Language of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Language {
    En,
    Zh,
}

/// A question with its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Qa {
    /// The question.
    pub question: String,
    /// The answer, in the words of the vocabulary of this module.
    pub answer: String,
    /// What it is about.
    pub topic: Topic,
    /// Language of both.
    pub language: Language,
    /// True when the answer is yes or no.
    pub closed: bool,
    /// Options; the answer is one of them. Empty when the question is not multiple choice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

impl Qa {
    fn open(topic: Topic, question: impl Into<String>, answer: impl Into<String>) -> Self {
        Self {
            question: question.into(),
            answer: answer.into(),
            topic,
            language: Language::En,
            closed: false,
            options: Vec::new(),
        }
    }

    fn closed(topic: Topic, question: impl Into<String>, yes: bool) -> Self {
        Self { closed: true, ..Self::open(topic, question, if yes { "yes" } else { "no" }) }
    }

    fn chinese(mut self) -> Self {
        self.language = Language::Zh;
        if self.closed {
            self.answer = if self.answer == "yes" { "是" } else { "否" }.to_owned();
        }
        self
    }

    fn choice(topic: Topic, question: impl Into<String>, options: Vec<String>, answer: &str) -> Self {
        Self { options, ..Self::open(topic, question, answer) }
    }

    /// Letter of the right option, if this is multiple choice.
    pub fn letter(&self) -> Option<char> {
        let at = self.options.iter().position(|o| *o == self.answer)?;
        "ABCDEFGH".chars().nth(at)
    }
}

/// Every modality name that answers use, each once.
fn modalities() -> [&'static str; 5] {
    [Kind::CtChest, Kind::MrT1, Kind::Radiograph, Kind::Ultrasound, Kind::Fundus].map(Kind::modality)
}

/// Size as the questions want it: to the nearest 10 mm.
pub fn rounded_mm(size_mm: f64) -> String {
    format!("{} mm", ((size_mm / 10.0).round() as i64 * 10).max(10))
}

/// Everything worth asking about one picture (a study's slice `slice`), in random order of wording.
pub fn about(study: &Study, slice: usize, rng: &mut Rng) -> Vec<Qa> {
    let kind = study.kind;
    let mut out = Vec::with_capacity(32);
    about_acquisition(kind, rng, &mut out);
    about_structures(study, slice, rng, &mut out);
    let here: Vec<&Finding> = study.findings.iter().filter(|f| f.slice == slice).collect();
    about_findings(kind, &here, study.size(), rng, &mut out);
    out
}

fn about_acquisition(kind: Kind, rng: &mut Rng, out: &mut Vec<Qa>) {
    let modality = kind.modality();
    let ask = if rng.chance(0.5) {
        "What modality is used to take this image?"
    } else {
        "What is the imaging modality?"
    };
    out.push(Qa::open(Topic::Modality, ask, modality));
    let other = rng.pick(&modalities()).copied().unwrap_or(modality);
    for asked in [modality, other] {
        let article = if asked == "MRI" || asked == "X-Ray" || asked == "ultrasound" { "an" } else { "a" };
        out.push(Qa::closed(Topic::Modality, format!("Is this {article} {asked}?"), asked == modality));
    }
    if kind.is_mr() {
        let weight = if kind == Kind::MrT1 { "T1" } else { "T2" };
        out.push(Qa::open(Topic::Modality, "Is the MRI weighted in T1 or T2?", weight));
    }
    out.push(Qa::open(Topic::Region, "Which part of the body is shown?", kind.region()));
    let region = rng.pick(&["chest", "abdomen", "head", "eye"]).copied().unwrap_or("chest");
    out.push(Qa::closed(
        Topic::Region,
        format!("Does the image show the {region}?"),
        region == kind.region(),
    ));
    if let Some(plane) = kind.plane() {
        out.push(Qa::open(Topic::Plane, "What is the plane of the image?", plane));
    }
    out.push(Qa::open(Topic::Modality, "这张图像的成像方式是什么？", kind.modality_zh()).chinese());
    out.push(Qa::open(Topic::Region, "图像显示的是身体的哪个部位？", kind.region_zh()).chinese());
}

fn about_structures(study: &Study, slice: usize, rng: &mut Rng, out: &mut Vec<Qa>) {
    let present = |label: Label| {
        study.slices.get(slice).is_some_and(|s| s.labels.iter().filter(|&&l| l == label as u8).count() > 12)
    };
    let asked =
        [Label::Liver, Label::Heart, Label::Spleen, Label::LeftLung, Label::RightKidney, Label::OpticDisc];
    let other = rng.pick(&asked).copied();
    let own = rng.pick(study.kind.structures()).copied();
    for label in [own, other].into_iter().flatten() {
        out.push(Qa::closed(
            Topic::Organ,
            format!("Does the picture contain the {}?", label.name()),
            present(label),
        ));
        out.push(
            Qa::closed(Topic::Organ, format!("图像中是否包含{}？", label.name_zh()), present(label))
                .chinese(),
        );
    }
    if study.kind == Kind::Fundus
        && let Some(disc) = study.structure(slice, Label::OpticDisc).and_then(|m| m.bounding_box())
    {
        let eye = if disc.centre().x > study.size() as f64 / 2.0 { "right" } else { "left" };
        out.push(Qa::open(Topic::Side, "Which eye is shown?", eye));
    }
}

fn about_findings(kind: Kind, here: &[&Finding], size: usize, rng: &mut Rng, out: &mut Vec<Qa>) {
    let found = here.first().map(|f| f.kind);
    out.push(Qa::closed(Topic::Presence, "Is the image normal?", here.is_empty()));
    out.push(Qa::closed(Topic::Presence, "Is there any abnormality in the image?", !here.is_empty()));
    out.push(Qa::closed(Topic::Presence, "图像中有异常吗？", !here.is_empty()).chinese());
    let name = found.map_or("none", FindingKind::name);
    let ask =
        if rng.chance(0.5) { "What abnormality is seen in the image?" } else { "What is the main finding?" };
    out.push(Qa::open(Topic::Abnormality, ask, name));
    let name_zh = found.map_or("无", FindingKind::name_zh);
    out.push(Qa::open(Topic::Abnormality, "图像中有什么异常？", name_zh).chinese());
    let own = rng.pick(kind.repertoire()).map(|r| r.0);
    let any = rng.pick(&FindingKind::ALL).copied();
    let mut asked: Vec<FindingKind> = found.into_iter().chain(own).chain(any).collect();
    asked.dedup();
    for finding in asked {
        let what = finding.with_article();
        let ask = if rng.chance(0.5) {
            format!("Is there {what} in the image?")
        } else {
            format!("Does the image show {what}?")
        };
        out.push(Qa::closed(Topic::Presence, ask, found == Some(finding)));
        let ask = format!("图像中有{}吗？", finding.name_zh());
        out.push(Qa::closed(Topic::Presence, ask, found == Some(finding)).chinese());
    }
    let mut options: Vec<String> = kind.repertoire().iter().map(|r| r.0.name().to_owned()).collect();
    options.push("none".to_owned());
    rng.shuffle(&mut options);
    options.truncate(5);
    if options.iter().any(|o| o == name) {
        out.push(Qa::choice(Topic::Abnormality, "What abnormality is seen in the image?", options, name));
    }
    let (Some(first), Some(finding)) = (here.first(), found) else { return };
    let name = finding.name();
    let side = first.side.filter(|s| here.iter().all(|f| f.side == Some(*s)));
    if let Some(side) = side {
        out.push(Qa::open(Topic::Side, format!("On which side is the {name}?"), side.name()));
        let asked = if rng.chance(0.5) { side } else { side.other() };
        let ask = format!("Is the {name} on the {} side?", asked.name());
        out.push(Qa::closed(Topic::Side, ask, asked == side));
        let ask = format!("{}位于哪一侧？", finding.name_zh());
        out.push(Qa::open(Topic::Side, ask, side.name_zh()).chinese());
    }
    if matches!(
        finding,
        FindingKind::Nodule | FindingKind::Haemorrhage | FindingKind::Cyst | FindingKind::Exudate
    ) {
        let plural =
            if finding == FindingKind::Haemorrhage { "haemorrhages".to_owned() } else { format!("{name}s") };
        out.push(Qa::open(Topic::Count, format!("How many {plural} are there?"), here.len().to_string()));
    }
    if here.len() != 1 {
        return;
    }
    let middle = (first.box_px[1] + first.box_px[3]) / 2.0 / size.max(1) as f64;
    if (middle - 0.5).abs() > 0.04 && finding != FindingKind::Fracture {
        let half = if middle < 0.5 { "upper" } else { "lower" };
        let ask = format!("Is the {name} in the upper or lower half of the image?");
        out.push(Qa::open(Topic::Position, ask, half));
    }
    if let Some(mm) = first.size_mm.filter(|_| finding.is_round()) {
        out.push(Qa::open(
            Topic::Size,
            format!("What is the diameter of the {name} to the nearest 10 mm?"),
            rounded_mm(mm),
        ));
    }
    if finding == FindingKind::Nodule {
        out.extend(about_nodule(first));
    }
}

/// Questions about the inside of a nodule: what a second look is for when it is small.
pub fn about_nodule(nodule: &Finding) -> Vec<Qa> {
    let inside = if nodule.cavitary { "cavitary" } else { "solid" };
    vec![
        Qa::open(Topic::Attribute, "Is the nodule solid or cavitary?", inside),
        Qa::closed(Topic::Attribute, "Is the nodule cavitary?", nodule.cavitary),
    ]
}

/// A question over several pictures.
#[derive(Debug, Clone)]
pub struct Series {
    /// What each picture is of.
    pub plans: Vec<Plan>,
    /// Questions; all are multiple choice.
    pub questions: Vec<Qa>,
}

/// "Image 1" … "Image n".
fn image_names(n: usize) -> Vec<String> {
    (1..=n).map(|i| format!("Image {i}")).collect()
}

/// A set of 2–5 pictures with multiple-choice questions over them. `patient` makes the plan of a
/// patient from a seed (held out or for training).
pub fn series(seed: u64, patient: fn(u64, Kind, Wish) -> Plan) -> Series {
    let mut rng = Rng::new(seed, 900);
    match rng.below(3) {
        0 => follow_up(seed, &mut rng, patient),
        1 => which_shows(seed, &mut rng, patient),
        _ => which_modality(seed, &mut rng, patient),
    }
}

fn follow_up(seed: u64, rng: &mut Rng, patient: fn(u64, Kind, Wish) -> Plan) -> Series {
    let kind = *rng.pick(&Kind::ALL).unwrap_or(&Kind::CtChest);
    let findings: Vec<FindingKind> =
        kind.repertoire().iter().map(|r| r.0).filter(|f| *f != FindingKind::Fracture).collect();
    let finding = *rng.pick(&findings).unwrap_or(&FindingKind::Mass);
    let change = *rng.pick(&Change::ALL).unwrap_or(&Change::Grew);
    let (before, after) = patient(seed, kind, Wish::One(finding)).follow_up(change);
    let mut options: Vec<String> = Change::ALL.iter().map(|c| c.name().to_owned()).collect();
    rng.shuffle(&mut options);
    let ask = format!("What happened to the {} from image 1 to image 2?", finding.name());
    let mut questions = vec![Qa::choice(Topic::Change, ask, options, change.name())];
    let larger = match change {
        Change::Grew => Some("Image 2"),
        Change::Shrank => Some("Image 1"),
        _ => None,
    };
    if let Some(answer) = larger {
        let ask = format!("Which image shows the larger {}?", finding.name());
        questions.push(Qa::choice(Topic::WhichImage, ask, image_names(2), answer));
    }
    Series { plans: vec![before, after], questions }
}

fn which_shows(seed: u64, rng: &mut Rng, patient: fn(u64, Kind, Wish) -> Plan) -> Series {
    let kind = *rng.pick(&Kind::ALL).unwrap_or(&Kind::CtChest);
    let finding = rng.pick(kind.repertoire()).map_or(FindingKind::Mass, |r| r.0);
    let n = 2 + rng.below(4);
    let at = rng.below(n);
    let plans = (0..n)
        .map(|i| {
            let wish = if i == at { Wish::One(finding) } else { Wish::Normal };
            patient(seed.wrapping_mul(8).wrapping_add(i as u64), kind, wish)
        })
        .collect();
    let answer = format!("Image {}", at + 1);
    let ask = format!("Which image shows {}?", finding.with_article());
    let mut questions = vec![
        Qa::choice(Topic::WhichImage, ask, image_names(n), &answer),
        Qa::choice(Topic::WhichImage, "Which image is abnormal?", image_names(n), &answer),
    ];
    let mut options: Vec<String> = kind.repertoire().iter().map(|r| r.0.name().to_owned()).collect();
    rng.shuffle(&mut options);
    let ask = "What abnormality is seen in one of the images?";
    questions.push(Qa::choice(Topic::Abnormality, ask, options, finding.name()));
    Series { plans, questions }
}

fn which_modality(seed: u64, rng: &mut Rng, patient: fn(u64, Kind, Wish) -> Plan) -> Series {
    let mut kinds = [Kind::CtChest, Kind::MrT1, Kind::Radiograph, Kind::Ultrasound, Kind::Fundus];
    if let Some(ct) = kinds.first_mut() {
        *ct = *rng.pick(&[Kind::CtChest, Kind::CtAbdomen, Kind::CtHead]).unwrap_or(ct);
    }
    rng.shuffle(&mut kinds);
    let n = 2 + rng.below(4);
    let at = rng.below(n);
    let plans = kinds
        .iter()
        .take(n)
        .enumerate()
        .map(|(i, kind)| patient(seed.wrapping_mul(8).wrapping_add(i as u64), *kind, Wish::Any))
        .collect();
    let modality = kinds.get(at).map_or("CT", |k| k.modality());
    let article = if matches!(modality, "MRI" | "X-Ray" | "ultrasound") { "an" } else { "a" };
    let ask = format!("Which image is {article} {modality}?");
    let answer = format!("Image {}", at + 1);
    Series { plans, questions: vec![Qa::choice(Topic::WhichImage, ask, image_names(n), &answer)] }
}
