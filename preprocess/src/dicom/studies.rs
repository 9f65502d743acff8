//! A folder or archive of DICOM files as studies to report on.
//!
//! Files are grouped by Study Instance UID (0020,000D). Images of a study come frontal views first, then lateral ones, then others;
//! within these by Series Number, time of acquisition, Acquisition and Instance Number. The latest earlier study of the same patient
//! with the same modality and part of the body is the prior. What is no image to report on is left out with its reason.
//!
//! A study is called by a digest of its UID and a patient by a number, so that neither names nor UIDs get into a run.

use super::files::{Blob, collect};
use super::image::modality_of;
use super::seg::is_segmentation;
use loupe_core::guard::guarded;
use loupe_core::limits::DecodeLimits;
use loupe_core::media::MediaError;
use loupe_core::study::{Projection, StudyImage, age_band};
use loupe_core::words::{counted, hex};
use loupe_core::{
    DataError, Dataset as Samples, DatasetInfo, MediaRef, MediaSource, Modality, Sample, Spot, Study, Target,
    View,
};
use loupe_dicom::object::Dataset;
use loupe_dicom::{Tag, parse, tags};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// A file that is not shown to the model, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its path below the folder that was named, or its number in an archive.
    pub file: String,
    /// Why.
    pub reason: String,
}

/// The studies of a folder or archive, each a sample.
#[derive(Debug)]
pub struct StudyFolder {
    info: DatasetInfo,
    root: Option<PathBuf>,
    studies: Vec<Result<Sample, DataError>>,
    /// Files that are no image to report on, by their paths.
    pub left_out: Vec<LeftOut>,
}

/// What one file says of its image.
#[derive(Debug, Clone)]
struct Shot {
    source: MediaSource,
    name: String,
    digest: [u8; 32],
    study: String,
    series: String,
    instance: String,
    patient: Option<String>,
    /// Study Date and Time; empty where there is none.
    date: String,
    modality: String,
    body_part: Option<String>,
    view: Option<String>,
    rank: (u8, i64, String, i64, i64),
    age: Option<u32>,
    sex: Option<String>,
    /// A slice of a volume: CT, MR or PET with more than one image in its series.
    sliced: bool,
    /// Stands in for slices that are not shown.
    unusable: bool,
    frames: i64,
}

impl StudyFolder {
    /// Reads the headers of all files at `path`: a folder, a DICOMDIR, a zip archive or one file. With `volumes`, a series of CT, MR or
    /// PET slices that has a folder of its own is one image, for a recipe to prepare; otherwise its slices are left out.
    ///
    /// # Errors
    /// When the path cannot be read, or holds no DICOM image at all.
    pub fn open(path: &Path, volumes: bool, limits: &DecodeLimits) -> Result<Self, MediaError> {
        let root =
            if path.is_dir() { Some(path) } else { path.parent().filter(|p| !p.as_os_str().is_empty()) };
        let blobs = collect(path, limits)?;
        let named: Vec<(String, Blob)> = blobs
            .into_iter()
            .enumerate()
            .map(|(at, blob)| {
                let name = match &blob {
                    Blob::File(file) => {
                        let below = root.and_then(|root| file.strip_prefix(root).ok()).unwrap_or(file);
                        below.to_string_lossy().replace('\\', "/")
                    }
                    Blob::Memory(_) => format!("file {} of the archive", at + 1),
                };
                (name, blob)
            })
            .collect();
        let read: Vec<Result<Shot, LeftOut>> = named
            .into_par_iter()
            .map(|(name, blob)| shot(&name, &blob, limits).map_err(|reason| LeftOut { file: name, reason }))
            .collect();
        let (mut shots, mut left_out) = (Vec::new(), Vec::new());
        let mut instances = BTreeSet::new();
        for one in read {
            match one {
                Ok(shot) if !instances.insert(shot.instance.clone()) => {
                    left_out.push(LeftOut {
                        file: shot.name,
                        reason: "a copy of an image that is there".to_owned(),
                    });
                }
                Ok(shot) => shots.push(shot),
                Err(out) => left_out.push(out),
            }
        }
        if shots.is_empty() {
            let first = left_out
                .first()
                .map(|out| format!(", the first because: {}", out.reason))
                .unwrap_or_default();
            return Err(MediaError::UnknownFormat(format!(
                "no DICOM image to report on was found; {} left out{first}",
                counted(left_out.len(), "file")
            )));
        }
        let shots = slices_together(shots, volumes, &mut left_out);
        let studies = studies(shots);
        left_out.sort_by(|a, b| a.file.cmp(&b.file));
        let mut all = Sha256::new();
        for study in studies.iter().flatten() {
            let files = study.tags.get("files_sha256").map(String::as_str).unwrap_or_default();
            all.update(format!("{}\0{files}\n", study.id));
        }
        let info = DatasetInfo {
            name: "dicom".to_owned(),
            split: "all".to_owned(),
            group_by: "patient".to_owned(),
            fingerprint: hex(&all.finalize()),
            citation: "studies of a DICOM folder, by Study Instance UID".to_owned(),
            published_rows: None,
        };
        Ok(Self { info, root: root.map(Path::to_path_buf), studies, left_out })
    }
}

impl Samples for StudyFolder {
    fn info(&self) -> &DatasetInfo {
        &self.info
    }

    fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    fn len(&self) -> usize {
        self.studies.len()
    }

    fn get(&self, index: usize) -> Result<Sample, DataError> {
        self.studies.get(index).cloned().unwrap_or_else(|| {
            Err(DataError::Row {
                file: self.info.name.clone(),
                at: Spot::Row(index + 1),
                problem: format!("there are {}", counted(self.studies.len(), "study")),
            })
        })
    }
}

/// What a file says, or why it is left out.
fn shot(name: &str, blob: &Blob, limits: &DecodeLimits) -> Result<Shot, String> {
    let bytes = blob.read(limits).map_err(|e| e.to_string())?;
    if !parse::looks_like_dicom(&bytes) {
        return Err("no DICOM file".to_owned());
    }
    let digest: [u8; 32] = Sha256::digest(&bytes).into();
    let source = match blob {
        Blob::File(path) => MediaSource::File(path.clone()),
        Blob::Memory(bytes) => MediaSource::Bytes(bytes.clone()),
    };
    let object = guarded("DICOM", "data set", || parse::parse(bytes, limits)).map_err(|e| e.to_string())?;
    let data = &object.data;
    let text = |tag| data.text(tag).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let code = |tag| {
        text(tag)
            .filter(|t| t.len() <= 16 && t.chars().all(|c| c.is_ascii_alphanumeric() || " _-".contains(c)))
    };
    let modality = code(tags::MODALITY).unwrap_or_default();
    let kind = modality_of(&object);
    let pixels = [tags::PIXEL_DATA, tags::FLOAT_PIXEL_DATA, tags::DOUBLE_FLOAT_PIXEL_DATA];
    if is_segmentation(data) {
        return Err("a segmentation, whose frames are masks".to_owned());
    }
    // A file that is cut off before its pixels stays in its study, which then fails with that reason.
    if object.truncated_in.is_none() && !pixels.iter().any(|tag| data.get(*tag).is_some()) {
        return Err(if modality.is_empty() {
            "no image".to_owned()
        } else {
            format!("no image ({modality})")
        });
    }
    let types = values(data, tags::IMAGE_TYPE);
    if types.iter().any(|word| matches!(word.as_str(), "LOCALIZER" | "SCOUT" | "TOPOGRAM")) {
        return Err("a localizer".to_owned());
    }
    if modality == "SEG" || modality == "RTDOSE" {
        return Err(format!("no image to report on ({modality})"));
    }
    let Some(study) = text(tags::STUDY_INSTANCE_UID) else {
        return Err("it has no Study Instance UID (0020,000D), so that its study is not known".to_owned());
    };
    let view = view(data);
    let projection = view.as_deref().and_then(Projection::of).or_else(|| oriented(data));
    let side = match projection {
        Some(Projection::Frontal) => 0,
        Some(Projection::Lateral) => 1,
        None => 2,
    };
    let integer = |tag| data.integer(tag).unwrap_or(i64::MAX);
    let date_time =
        |date, time| format!("{} {}", text(date).unwrap_or_default(), text(time).unwrap_or_default());
    let acquired = date_time(tags::ACQUISITION_DATE, tags::ACQUISITION_TIME);
    let word = match projection {
        Some(Projection::Frontal) => Some("frontal".to_owned()),
        Some(Projection::Lateral) => Some("lateral".to_owned()),
        None => None,
    };
    Ok(Shot {
        source,
        name: name.to_owned(),
        digest,
        study,
        series: text(tags::SERIES_INSTANCE_UID).unwrap_or_default(),
        instance: text(tags::SOP_INSTANCE_UID).unwrap_or_else(|| hex(&digest)),
        patient: text(tags::PATIENT_ID),
        date: date_time(tags::STUDY_DATE, tags::STUDY_TIME),
        body_part: code(tags::BODY_PART_EXAMINED),
        view: view.or(word),
        rank: (
            side,
            integer(tags::SERIES_NUMBER),
            acquired,
            integer(tags::ACQUISITION_NUMBER),
            integer(tags::INSTANCE_NUMBER),
        ),
        age: text(tags::PATIENT_AGE).and_then(|age| years(&age)),
        sex: code(tags::PATIENT_SEX).filter(|sex| matches!(sex.as_str(), "M" | "F" | "O")),
        sliced: matches!(kind, Modality::Ct | Modality::Mr | Modality::Pt),
        unusable: false,
        frames: data.integer(tags::NUMBER_OF_FRAMES).unwrap_or(1),
        modality,
    })
}

/// View Position (0018,5101) with the laterality of a paired part, or what the code of the view means.
fn view(data: &Dataset) -> Option<String> {
    let short = |text: String| {
        let text = text.trim().to_owned();
        let plain = text.len() <= 32 && text.chars().all(|c| c.is_ascii_alphanumeric() || " -_/".contains(c));
        (plain && !text.is_empty()).then_some(text)
    };
    let position = data.text(tags::VIEW_POSITION).and_then(short);
    let meaning = || data.item(tags::VIEW_CODE_SEQUENCE)?.text(tags::CODE_MEANING).and_then(short);
    let side = data.text(tags::IMAGE_LATERALITY).or_else(|| data.text(tags::LATERALITY));
    let side = match side.as_deref().map(str::trim) {
        Some("L") => Some("left"),
        Some("R") => Some("right"),
        Some("B") => Some("both sides"),
        _ => None,
    };
    match (position.or_else(meaning), side) {
        (Some(view), Some(side)) => Some(format!("{view} {side}")),
        (Some(view), None) => Some(view),
        (None, side) => side.map(str::to_owned),
    }
}

/// The projection that Patient Orientation (0020,0020) tells: rows of a frontal view run between left and right, those of a lateral
/// one between front and back.
fn oriented(data: &Dataset) -> Option<Projection> {
    let directions = values(data, tags::PATIENT_ORIENTATION);
    let [rows, columns] = directions.as_slice() else { return None };
    let upright = columns.starts_with(['F', 'H']);
    match rows.chars().next() {
        Some('L' | 'R') if upright => Some(Projection::Frontal),
        Some('A' | 'P') if upright => Some(Projection::Lateral),
        _ => None,
    }
}

fn values(data: &Dataset, tag: Tag) -> Vec<String> {
    let text = data.text(tag).unwrap_or_default();
    text.split('\\').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

/// Whole years of an Age String (PS3.5 6.2): `045Y`, `018M`, `003W`, `010D`.
fn years(age: &str) -> Option<u32> {
    let (number, unit) = age.split_at_checked(age.len().checked_sub(1)?)?;
    let number: u32 = number.trim().parse().ok()?;
    match unit {
        "Y" => Some(number),
        "M" => Some(number / 12),
        "W" => Some(number / 52),
        "D" => Some(number / 365),
        _ => None,
    }
}

/// Slices of volumes as one image a series, or left out: the first stands in for its study, so that it is not lost.
fn slices_together(shots: Vec<Shot>, volumes: bool, left_out: &mut Vec<LeftOut>) -> Vec<Shot> {
    let mut in_series: HashMap<(String, String), i64> = HashMap::new();
    let mut in_folder: HashMap<PathBuf, BTreeSet<(String, String)>> = HashMap::new();
    let key = |shot: &Shot| (shot.study.clone(), shot.series.clone());
    let folder = |shot: &Shot| match &shot.source {
        MediaSource::File(path) => path.parent().map(Path::to_path_buf),
        _ => None,
    };
    for shot in &shots {
        *in_series.entry(key(shot)).or_default() += shot.frames.max(1);
        if let Some(folder) = folder(shot) {
            in_folder.entry(folder).or_default().insert(key(shot));
        }
    }
    let mut out: Vec<Shot> = Vec::new();
    let mut at: HashMap<(String, String), usize> = HashMap::new();
    for mut shot in shots {
        if !shot.sliced || in_series.get(&key(&shot)).is_none_or(|n| *n < 2) {
            out.push(shot);
            continue;
        }
        let alone = folder(&shot).filter(|folder| in_folder.get(folder).is_some_and(|all| all.len() == 1));
        let reason = match (&alone, volumes) {
            (Some(_), true) => None,
            (None, true) => Some(
                "its slices lie in one folder with other series; put each series into a folder of its own",
            ),
            (_, false) => Some(
                "a slice of a volume; --recipe NAME shows it as a published model does (`loupe list recipes`)",
            ),
        };
        if let Some(reason) = reason {
            left_out.push(LeftOut { file: shot.name.clone(), reason: reason.to_owned() });
        }
        match (at.get(&key(&shot)).copied().and_then(|at| out.get_mut(at)), alone) {
            (Some(volume), _) => {
                let both = Sha256::new().chain_update(volume.digest).chain_update(shot.digest);
                volume.digest = both.finalize().into();
            }
            (None, alone) => {
                at.insert(key(&shot), out.len());
                if let Some(folder) = alone.filter(|_| reason.is_none()) {
                    shot.name = shot.name.rsplit_once('/').map_or("series", |(folder, _)| folder).to_owned();
                    shot.source = MediaSource::Folder(folder);
                }
                shot.unusable = reason.is_some();
                out.push(shot);
            }
        }
    }
    out
}

/// The studies in the order of their first files, with their priors.
fn studies(shots: Vec<Shot>) -> Vec<Result<Sample, DataError>> {
    let mut of_study: Vec<Vec<Shot>> = Vec::new();
    let mut at: HashMap<String, usize> = HashMap::new();
    let mut no_picture: BTreeSet<String> = BTreeSet::new();
    for shot in shots {
        if shot.unusable {
            no_picture.insert(shot.study);
            continue;
        }
        let next = of_study.len();
        let place = *at.entry(shot.study.clone()).or_insert(next);
        if place == next {
            of_study.push(Vec::new());
        }
        if let Some(study) = of_study.get_mut(place) {
            study.push(shot);
        }
    }
    for study in &mut of_study {
        study.sort_by(|a, b| a.rank.cmp(&b.rank).then_with(|| a.instance.cmp(&b.instance)));
    }
    let mut patients: HashMap<String, usize> = HashMap::new();
    for shot in of_study.iter().filter_map(|study| study.first()) {
        let next = patients.len() + 1;
        patients.entry(shot.patient.clone().unwrap_or_else(|| shot.study.clone())).or_insert(next);
    }
    let mut samples: Vec<Result<Sample, DataError>> = Vec::new();
    for (n, study) in of_study.iter().enumerate() {
        let Some(first) = study.first() else { continue };
        let prior = of_study.iter().enumerate().filter(|(m, other)| *m != n && is_prior(other, study));
        let prior = prior
            .max_by(|(_, a), (_, b)| by_date(a, b))
            .map(|(_, prior)| prior.as_slice())
            .unwrap_or_default();
        samples.push(Ok(sample(study, first, prior, &patients)));
    }
    // A study of which nothing can be shown is skipped with its reason, not dropped.
    for uid in no_picture.iter().filter(|uid| !at.contains_key(*uid)) {
        samples.push(Err(DataError::Row {
            file: study_id(uid),
            at: Spot::Row(samples.len() + 1),
            problem:
                "the study holds volumes alone, which are not shown as they are; --recipe NAME shows them"
                    .to_owned(),
        }));
    }
    samples
}

fn by_date(a: &[Shot], b: &[Shot]) -> Ordering {
    let key = |study: &[Shot]| study.first().map(|shot| (shot.date.clone(), shot.study.clone()));
    key(a).cmp(&key(b))
}

/// Is `other` an earlier study of the same patient, by the same modality, of the same part of the body as far as that is said?
fn is_prior(other: &[Shot], study: &[Shot]) -> bool {
    let (Some(a), Some(b)) = (other.first(), study.first()) else { return false };
    let said = |x: &Option<String>, y: &Option<String>| x.is_none() || y.is_none() || x == y;
    a.patient.is_some()
        && a.patient == b.patient
        && !a.date.trim().is_empty()
        && a.date < b.date
        && a.modality == b.modality
        && said(&a.body_part, &b.body_part)
}

fn study_id(uid: &str) -> String {
    let digest = hex(&Sha256::digest(uid.as_bytes()));
    format!("study-{}", digest.get(..12).unwrap_or(&digest))
}

fn sample(study: &[Shot], first: &Shot, prior: &[Shot], patients: &HashMap<String, usize>) -> Sample {
    let media = |shot: &Shot| MediaRef {
        source: shot.source.clone(),
        view: View::default(),
        name: shot.name.clone(),
        stated_size: None,
    };
    let image = |prior: bool| move |shot: &Shot| StudyImage { view: shot.view.clone(), prior };
    let about = Study {
        images: study.iter().map(image(false)).chain(prior.iter().map(image(true))).collect(),
        age_band: study.iter().find_map(|shot| shot.age).map(age_band),
        sex: study.iter().find_map(|shot| shot.sex.clone()),
        ..Study::default()
    };
    let mut files = Sha256::new();
    study.iter().chain(prior).for_each(|shot| files.update(shot.digest));
    let number = patients.get(first.patient.as_ref().unwrap_or(&first.study)).copied().unwrap_or_default();
    let mut tags = BTreeMap::from([("files_sha256".to_owned(), hex(&files.finalize()))]);
    tags.extend((!first.modality.is_empty()).then(|| ("modality".to_owned(), first.modality.clone())));
    tags.extend(first.body_part.clone().map(|part| ("body_part".to_owned(), part.to_lowercase())));
    let mut sample = Sample {
        id: study_id(&first.study),
        media: study.iter().chain(prior).map(media).collect(),
        question: "Write the findings and the impression of the report on this study.".to_owned(),
        choices: Vec::new(),
        target: Target::Unknown,
        group: format!("patient {number}"),
        tags,
        language: "en".to_owned(),
    };
    about.tag(&mut sample);
    sample
}
