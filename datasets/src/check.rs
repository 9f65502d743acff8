//! Is a set on disk what it should be? Counts, images, ids, checksums, and every row that is odd.

use crate::digest::file_sha256;
use crate::entry::SetEntry;
use crate::listed::Listed;
use crate::open::find;
use loupe_core::{DataError, Dataset, MeasureUnit, MediaRef, MediaSource, Sample, Target};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// What a note is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// A row that breaks the format: an item that fails.
    BadRow,
    /// An image or mask that is not there.
    MissingImage,
    /// An image that cannot be shown as the row asks: a slice out of range, an unknown window, another size than
    /// the set states.
    Image,
    /// A box, point or mask that does not fit its image.
    Place,
    /// An image whose checksum is not the one that the set states.
    Checksum,
    /// An id that stands in the files more than once.
    RepeatedId,
    /// Something odd about a row that can be used: an empty option, a box without area, no reference.
    Remark,
}

impl NoteKind {
    /// Does it mean that the set is not what it should be?
    pub fn is_fault(self) -> bool {
        self != Self::Remark
    }
}

/// Something to say about a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckNote {
    /// What it is about.
    pub kind: NoteKind,
    /// A sentence that names the row.
    pub text: String,
}

/// What was found in one split.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SplitCheck {
    /// Split, with its option.
    pub split: String,
    /// Rows in the files.
    pub rows: usize,
    /// Rows that the publishers state.
    pub known_rows: Option<usize>,
    /// Distinct image files that the rows refer to, or rows with embedded images.
    pub images: usize,
    /// Image files that are not there.
    pub missing_images: usize,
    /// Images whose checksum is not the one that the set states.
    pub wrong_checksums: usize,
    /// Images whose checksum the set states (the tag `image_sha256`, for a row's first image).
    pub known_checksums: usize,
    /// Rows without any image.
    pub rows_without_image: usize,
    /// Rows whose reference is unknown or empty: they cannot be scored.
    pub rows_without_reference: usize,
    /// Ids that stand in the files more than once.
    pub repeated_ids: Vec<String>,
    /// Boxes without area.
    pub empty_boxes: usize,
    /// Lengths that are not above 0 and major axes shorter than the minor one.
    pub odd_measurements: usize,
    /// Rows that break the format.
    pub bad_rows: usize,
    /// What there is to say about single rows, kind by kind in the order of the set.
    pub notes: Vec<CheckNote>,
    /// SHA-256 over the annotation files.
    pub fingerprint: String,
}

impl SplitCheck {
    /// Nothing is wrong with it.
    pub fn is_good(&self) -> bool {
        self.rows > 0 && self.has_known_size() && !self.notes.iter().any(|note| note.kind.is_fault())
    }

    /// It has as many rows as its publishers state, where they do.
    pub fn has_known_size(&self) -> bool {
        self.known_rows.is_none_or(|known| known == self.rows)
    }

    fn note(&mut self, kind: NoteKind, text: String) {
        self.notes.push(CheckNote { kind, text });
    }
}

/// What was found in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Name of the set.
    pub set: &'static str,
    /// Splits that could be opened.
    pub splits: Vec<SplitCheck>,
    /// Splits that could not, with the reason.
    pub absent: Vec<(String, String)>,
}

impl CheckReport {
    /// At least one split is there, and nothing is wrong with those that are.
    pub fn is_good(&self) -> bool {
        !self.splits.is_empty() && self.splits.iter().all(SplitCheck::is_good)
    }
}

/// A picture as a look at it finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Width and height in pixels, as it is shown.
    pub size: [usize; 2],
    /// Was it turned by its EXIF orientation?
    pub turned: bool,
}

/// Opens images and masks; what is wrong is said in words.
pub trait Looker {
    /// Looks at a picture in the view that is asked for.
    ///
    /// # Errors
    /// When it cannot be shown so.
    fn look(&mut self, picture: &MediaRef) -> Result<Look, String>;

    /// Is there a label in a label map, segmentation or structure set for what a reference is called? One that only
    /// looks at pictures is content.
    ///
    /// # Errors
    /// When there is none, or it is unclear which is meant.
    fn label(&mut self, _mask: &MediaRef, _label: &str) -> Result<(), String> {
        Ok(())
    }
}

impl<F: FnMut(&MediaRef) -> Result<Look, String>> Looker for F {
    fn look(&mut self, picture: &MediaRef) -> Result<Look, String> {
        self(picture)
    }
}

/// Opens `split` of the set `name` in `path`, or every split, and goes through every row. Images are looked at
/// where a row says more about them than their name: a view, a size, places in them.
///
/// # Errors
/// No such set or split, or nothing of it in `path`.
pub fn check(
    name: &str,
    path: &Path,
    split: Option<&str>,
    look: &mut dyn Looker,
) -> Result<CheckReport, DataError> {
    let entry = find(name)?;
    let mut report = CheckReport { set: entry.name, splits: Vec::new(), absent: Vec::new() };
    let mut first_error = None;
    let splits = match split {
        Some(split) => vec![Some(split.to_owned())],
        None => splits(entry),
    };
    // A file that stands for all splits is looked through once.
    let mut whole_files = HashSet::new();
    for split in splits {
        match entry.open(path, split.as_deref()) {
            Ok(set)
                if path.is_file()
                    && !set.info().split.contains(':')
                    && !whole_files.insert(set.info().fingerprint.clone()) => {}
            Ok(set) => report.splits.push(Checker::new(entry, &set, look).check()),
            Err(error) => {
                let split = split.unwrap_or_else(|| "all".to_owned());
                report.absent.push((split, error.to_string()));
                first_error.get_or_insert(error);
            }
        }
    }
    match first_error {
        Some(error) if report.splits.is_empty() => Err(error),
        _ => Ok(report),
    }
}

/// Every split by itself and every selection with a published size.
fn splits(entry: &SetEntry) -> Vec<Option<String>> {
    if entry.splits.is_empty() {
        return vec![None];
    }
    let whole = entry.splits.iter().copied();
    let parts = entry.known.iter().map(|k| k.split).filter(|k| k.contains(':'));
    whole.chain(parts).map(|s| Some(s.to_owned())).collect()
}

/// A file that rows refer to.
struct SoughtFile {
    is_there: bool,
    /// How many were looked for before.
    order: usize,
    /// Where it is missing: the sentence about the first row, and the places of further ones.
    first: String,
    further: Vec<String>,
}

struct Checker<'a> {
    set: &'a Listed,
    found: SplitCheck,
    look: &'a mut dyn Looker,
    /// Files that were looked for.
    files: HashMap<String, SoughtFile>,
    /// Pictures by their reference; many rows share one.
    looks: HashMap<String, Result<Look, String>>,
}

impl<'a> Checker<'a> {
    fn new(entry: &SetEntry, set: &'a Listed, look: &'a mut dyn Looker) -> Self {
        let info = set.info();
        let found = SplitCheck {
            split: info.split.clone(),
            rows: set.len(),
            known_rows: entry.published_rows(&info.split, set.len()),
            repeated_ids: set.repeated_ids.clone(),
            fingerprint: info.fingerprint.clone(),
            ..SplitCheck::default()
        };
        Self { set, found, look, files: HashMap::new(), looks: HashMap::new() }
    }

    fn check(mut self) -> SplitCheck {
        for index in 0..self.set.len() {
            match self.set.get(index) {
                Ok(sample) => self.sample(&sample),
                Err(error) => {
                    self.found.bad_rows += 1;
                    self.found.note(NoteKind::BadRow, error.to_string());
                }
            }
        }
        let mut missing: Vec<SoughtFile> =
            self.files.drain().map(|(_, file)| file).filter(|f| !f.is_there).collect();
        // In the order of the set, not of the map.
        missing.sort_by_key(|file| file.order);
        for SoughtFile { first, further, .. } in missing {
            let more =
                if further.is_empty() { String::new() } else { format!(" (also {})", further.join(", ")) };
            self.found.note(NoteKind::MissingImage, format!("{first}{more}"));
        }
        for remark in &self.set.remarks {
            self.found.note(NoteKind::Remark, remark.to_string());
        }
        for id in &self.set.repeated_ids {
            self.found.note(NoteKind::RepeatedId, format!("the id {id} stands more than once"));
        }
        self.found.notes.sort_by_key(|note| note.kind);
        self.found
    }

    fn say(&mut self, kind: NoteKind, sample: &Sample, problem: &str) {
        let text = self.set.about(sample, problem);
        self.found.note(kind, text);
    }

    fn sample(&mut self, sample: &Sample) {
        if sample.media.is_empty() {
            self.found.rows_without_image += 1;
        }
        self.target(sample);
        for (at, media) in sample.media.iter().enumerate() {
            if !self.is_there(sample, media, at == 0) {
                continue;
            }
            let places = places_in(sample, at);
            if !places && media.stated_size.is_none() && media.view == Default::default() {
                continue;
            }
            match self.look(media) {
                Ok(look) => self.places(sample, at, look),
                Err(problem) => {
                    self.say(NoteKind::Image, sample, &format!("image {}: {problem}", media.name));
                }
            }
        }
    }

    /// What can be said of a reference without looking at images.
    fn target(&mut self, sample: &Sample) {
        match &sample.target {
            Target::Boxes(boxes) => {
                let empty = boxes.iter().filter(|b| !b.at.is_proper()).count();
                self.found.empty_boxes += empty;
                if empty > 0 {
                    let verb = if empty == 1 { "box encloses" } else { "boxes enclose" };
                    self.say(NoteKind::Remark, sample, &format!("{empty} {verb} no area"));
                }
            }
            Target::Measurements(all) => {
                let odd = all.iter().filter(|m| m.unit == MeasureUnit::Mm && m.value <= 0.0).count();
                let swapped = all.windows(2).filter(|w| w[0].name == "major axis" && w[0].value < w[1].value);
                let odd = odd + swapped.count();
                self.found.odd_measurements += odd;
                if odd > 0 {
                    self.say(
                        NoteKind::Remark,
                        sample,
                        "a measurement is not above 0, or the axes stand in the wrong order",
                    );
                }
            }
            Target::Unknown => {
                self.found.rows_without_reference += 1;
                self.say(NoteKind::Remark, sample, "there is no reference answer; the row is not scored");
            }
            Target::Masks(masks) => {
                for mask in masks {
                    // Where a set itself numbers the labels, one that an image does not have is no error of it.
                    let named = !is_flat(&mask.at) && sample.tag("value").is_none();
                    if !self.is_there(sample, &mask.at, false) || !named {
                        continue;
                    }
                    if let Err(problem) = self.look.label(&mask.at, &mask.label) {
                        self.say(NoteKind::Place, sample, &format!("mask {}: {problem}", mask.at.name));
                    }
                }
            }
            _ => {}
        }
    }

    /// Is the file of the image there? Each is counted once; a missing one is named with all the rows that want it.
    fn is_there(&mut self, sample: &Sample, media: &MediaRef, first: bool) -> bool {
        let path = match &media.source {
            MediaSource::File(path) | MediaSource::Folder(path) => path,
            MediaSource::Bytes(_) => {
                self.found.images += 1;
                return true;
            }
        };
        let name = path.to_string_lossy().into_owned();
        if let Some(sought) = self.files.get_mut(&name) {
            if !sought.is_there {
                let place = self.set.place(sample);
                if sought.further.last() != Some(&place) {
                    sought.further.push(place);
                }
            }
            return sought.is_there;
        }
        let there = path.is_file() || path.is_dir();
        let said = self.set.about(sample, &format!("missing image: {}", media.name));
        let order = self.files.len();
        self.files.insert(name, SoughtFile { is_there: there, order, first: said, further: Vec::new() });
        self.found.images += 1;
        if !there {
            self.found.missing_images += 1;
        } else if let Some(stated) = sample.tag("image_sha256").filter(|_| first) {
            self.found.known_checksums += 1;
            let same = file_sha256(path).is_ok_and(|sum| sum.eq_ignore_ascii_case(stated));
            if !same {
                self.found.wrong_checksums += 1;
                self.say(
                    NoteKind::Checksum,
                    sample,
                    &format!("image {} has another checksum than stated", media.name),
                );
            }
        }
        there
    }

    fn look(&mut self, media: &MediaRef) -> Result<Look, String> {
        if let MediaSource::Bytes(_) = media.source {
            return self.look.look(media);
        }
        let key = serde_json::to_string(media).unwrap_or_default();
        if let Some(known) = self.looks.get(&key) {
            return known.clone();
        }
        let seen = self.look.look(media);
        self.looks.insert(key, seen.clone());
        seen
    }

    /// Do the places in image `at` lie in it?
    fn places(&mut self, sample: &Sample, at: usize, look: Look) {
        let [width, height] = look.size;
        let size = format!("{width} × {height} pixels");
        match &sample.target {
            Target::Boxes(boxes) => {
                let here: Vec<[f64; 4]> =
                    boxes.iter().filter(|b| b.picture == at).map(|b| b.at.xyxy()).collect();
                let shares = here.iter().flatten().all(|v| (0.0..=1.0).contains(v));
                if !here.is_empty() && shares && width.min(height) > 1 {
                    self.say(
                        NoteKind::Place,
                        sample,
                        &format!("every box lies within 0 to 1 of a picture of {size}: shares, not pixels?"),
                    );
                    return;
                }
                for (n, [x0, y0, x1, y1]) in here.iter().enumerate() {
                    if outside([*x0, *y0], look.size) || outside([*x1, *y1], look.size) {
                        let problem = format!(
                            "box {} ({x0}, {y0}, {x1}, {y1}) reaches out of the picture of {size}",
                            n + 1
                        );
                        self.say(NoteKind::Place, sample, &problem);
                    }
                }
            }
            Target::Points(points) => {
                let here: Vec<[f64; 2]> =
                    points.iter().filter(|p| p.picture == at).map(|p| [p.at.x, p.at.y]).collect();
                for (n, point) in here.iter().enumerate().filter(|(_, p)| outside(**p, look.size)) {
                    let [x, y] = point;
                    let problem = format!("point {} ({x}, {y}) lies outside the picture of {size}", n + 1);
                    self.say(NoteKind::Place, sample, &problem);
                }
            }
            Target::Masks(masks) => {
                for mask in masks.iter().filter(|m| m.picture == at && is_flat(&m.at)) {
                    if matches!(&mask.at.source, MediaSource::File(path) if !path.exists()) {
                        continue;
                    }
                    match self.look(&mask.at) {
                        Ok(seen) if seen.size != look.size => {
                            let [w, h] = seen.size;
                            let problem = format!("mask {} is {w} × {h}, its picture {size}", mask.at.name);
                            self.say(NoteKind::Place, sample, &problem);
                        }
                        Ok(_) => {}
                        Err(problem) => {
                            self.say(NoteKind::Place, sample, &format!("mask {}: {problem}", mask.at.name));
                        }
                    }
                }
            }
            _ => return,
        }
        let stated = sample.media.get(at).is_some_and(|media| media.stated_size.is_some());
        if look.turned && !stated && places_in(sample, at) {
            self.say(
                NoteKind::Remark,
                sample,
                "the picture is turned by its EXIF orientation; places are taken as those of the turned picture",
            );
        }
    }
}

/// Further out of the picture than rounding explains?
fn outside([x, y]: [f64; 2], [width, height]: [usize; 2]) -> bool {
    const ROUNDING: f64 = 1.0;
    x < -ROUNDING || y < -ROUNDING || x > width as f64 + ROUNDING || y > height as f64 + ROUNDING
}

/// Does the reference lie in image `at`, and is that a picture and no volume?
fn places_in(sample: &Sample, at: usize) -> bool {
    match &sample.target {
        Target::Boxes(boxes) => boxes.iter().any(|b| b.picture == at),
        Target::Points(points) => points.iter().any(|p| p.picture == at),
        Target::Masks(masks) => masks.iter().any(|m| m.picture == at && is_flat(&m.at)),
        _ => false,
    }
}

/// A picture, by the ending of its name; volumes are label maps, whose slices are not compared here.
fn is_flat(media: &MediaRef) -> bool {
    let name = match &media.source {
        MediaSource::File(path) => path.to_string_lossy().to_lowercase(),
        MediaSource::Folder(_) => return false,
        MediaSource::Bytes(_) => return true,
    };
    ![".nii", ".nii.gz", ".nrrd", ".mha", ".mhd", ".npy", ".dcm"].iter().any(|ending| name.ends_with(ending))
}
