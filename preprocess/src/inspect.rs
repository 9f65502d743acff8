//! What is in a file or folder, and what would be refused. Nothing that identifies a patient.

use crate::dicom::files;
use crate::dicom::series::{self, Content, SeriesEntry};
use crate::dicom::{rtstruct, seg};
use crate::loader::kind::{FileKind, left_aside};
use crate::picture_io;
use crate::presentation::GreyScale;
use crate::render::orientation_letters;
use crate::volume_facts::VolumeFacts;
use crate::volume_io::nifti::{self, Xform};
use crate::volume_io::read::ReadVolume;
use crate::volume_io::{VolumeFormat, open_bytes};
use loupe_core::geometry::LpsFromIndex;
use loupe_core::labels::{CodedConcept, Label};
use loupe_core::limits::{DecodeLimits, io_error};
use loupe_core::media::MediaError;
use loupe_core::window::Window;
use loupe_core::words::counted;
use serde::Serialize;
use std::fmt;
use std::path::Path;

/// The facts of one file, or of a folder of frames.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Inspection {
    /// Format by contents; `folder of pictures` for a folder.
    pub format: String,
    /// Columns, rows and, for volumes, slices.
    pub size: Vec<usize>,
    /// Frames, pages or time points.
    pub frames: usize,
    /// Number type as stored, or bits and channels of a picture.
    pub stored_type: String,
    /// Voxel sizes along i, j and k in mm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spacing_mm: Option<[f64; 3]>,
    /// Where i, j and k rise to, such as `RAS`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orientation: Option<String>,
    /// Voxel index to patient mm (LPS).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lps_from_index: Option<LpsFromIndex>,
    /// Degrees between the slice step and the slice normal, when above 0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tilt_degrees: Option<f64>,
    /// What took it, as the file says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modality: Option<String>,
    /// Values that the stored values 0 and 1 stand for, when they are rescaled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rescaled: Option<[f64; 2]>,
    /// Pixel size to the right and down in mm of a flat image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pixel_mm: Option<[f64; 2]>,
    /// Smallest and largest value of the first frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<[f32; 2]>,
    /// Windows the file recommends.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// Decisions that reading takes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Why it would be refused, when it would.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// The series of a folder, archive or DICOMDIR, numbered as `--series` counts them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub series: Vec<SeriesEntry>,
    /// Labels of a segmentation or structure set; their names, which are free text, only when identifiers are asked
    /// for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Label>,
    /// Text of a structured report; only when identifiers are asked for, as it names people.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub report: Vec<String>,
    /// Names and identifiers; only when asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identifiers: Vec<(String, String)>,
}

/// How to look.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Which matrix of a NIfTI file counts.
    pub xform: Xform,
    /// Rules for DICOM series, and the limits of all formats.
    pub series: series::Options,
    /// Show names, identifiers and the text of reports.
    pub identifiers: bool,
}

/// Looks into a file or a folder of pictures. What reading refuses is in [`Inspection::refused`].
///
/// # Errors
/// When the file cannot be read at all or its format is unknown.
pub fn inspect(path: &Path, options: &Options) -> Result<Inspection, MediaError> {
    let (xform, limits) = (options.xform, &options.series.limits);
    if path.is_dir() {
        return folder(path, options);
    }
    if files::is_directory(path) {
        return dicom_folder(path, options);
    }
    let bytes = limits.read_file(path)?;
    match FileKind::sniff(&bytes) {
        Some(FileKind::Picture(_)) => picture(&bytes, limits),
        Some(FileKind::Volume(format)) => Ok(volume(path, &bytes, format, xform, limits)),
        Some(FileKind::Zip) => dicom_folder(path, options),
        Some(FileKind::Dicom) => dicom(path, options),
        None if nifti::is_image_of_pair(path) => Ok(volume(path, &bytes, VolumeFormat::Nifti, xform, limits)),
        None => {
            Err(MediaError::UnknownFormat("the contents are none of the formats that loupe reads".into()))
        }
    }
}

/// One DICOM file: its attributes and, when its frames have places, the grid that they make.
fn dicom(path: &Path, options: &Options) -> Result<Inspection, MediaError> {
    let limits = &options.series.limits;
    let facts = crate::dicom::inspect::inspect(path, options.identifiers, limits)?;
    let format = facts.format.as_ref();
    let mut found = Inspection {
        format: format!("DICOM, {}", facts.transfer_syntax),
        size: format.map_or_else(Vec::new, |f| vec![f.columns, f.rows]),
        frames: format.map_or(0, |f| f.frames),
        stored_type: format.map_or_else(|| "no image".to_owned(), |f| f.describe()),
        modality: facts.modality,
        rescaled: facts.rescaled,
        pixel_mm: facts.spacing_mm,
        windows: facts.windows.iter().map(|w| w.window).collect(),
        notes: facts.notes,
        refused: facts.refused,
        report: facts.report,
        identifiers: facts.identifiers,
        ..Inspection::default()
    };
    found.notes.extend(facts.spacing_note);
    found.notes.extend(facts.burned_in_text.map(str::to_owned));
    match found.modality.as_deref() {
        Some("SEG") => segmentation(&mut found, path, options),
        Some("RTSTRUCT") => structures(&mut found, path, options),
        _ if found.refused.is_none() && facts.plane.is_some() => {
            match series::load_one(path, &series::Options { series: None, ..options.series }) {
                Ok((Content::Volumes(volumes), series)) => {
                    grid(&mut found, &volumes);
                    let new: Vec<String> =
                        series.notes.into_iter().filter(|note| !found.notes.contains(note)).collect();
                    found.notes.extend(new);
                }
                Ok((Content::Frames(_), _)) => {}
                Err(error) => found.notes.push(format!("no volume: {error}")),
            }
        }
        _ => {}
    }
    Ok(found)
}

/// The file's bytes as DICOM.
fn unpacked(path: &Path, limits: &DecodeLimits) -> Result<Vec<u8>, MediaError> {
    files::plain(limits.read_file(path)?, limits)
}

/// The segments of a segmentation and the grid that they lie on.
fn segmentation(found: &mut Inspection, path: &Path, options: &Options) {
    let limits = &options.series.limits;
    let read = match unpacked(path, limits).and_then(|bytes| seg::read(bytes, limits)) {
        Ok(read) => read,
        Err(error) => return found.notes.push(format!("no segments: {error}")),
    };
    found.notes.push(format!(
        "{} segmentation of {}",
        read.kind.name(),
        counted(read.segments.len(), "segment")
    ));
    found.labels = shown(&read.segments, options);
    match read.on_own_grid(limits) {
        Ok(masks) => {
            let [slices, rows, columns] = masks.grid.shape;
            found.size = vec![columns, rows, slices];
            place(found, masks.grid.lps_from_index);
            for (label, region) in masks.regions() {
                found.notes.push(format!("segment {}: {}", label.number, counted(region.len(), "voxel")));
            }
            for shared in masks.overlaps() {
                let ([a, b], voxels) = (shared.labels, counted(shared.voxels, "voxel"));
                found.notes.push(format!("segments {a} and {b} overlap in {voxels}"));
            }
        }
        Err(error) => found.notes.push(format!("no grid of its own: {error}")),
    }
}

/// The regions of a structure set.
fn structures(found: &mut Inspection, path: &Path, options: &Options) {
    let limits = &options.series.limits;
    match unpacked(path, limits).and_then(|bytes| rtstruct::read(bytes, limits)) {
        Ok(set) => {
            let contours: usize = set.regions.iter().map(|r| r.contours.len()).sum();
            let regions = counted(set.regions.len(), "region");
            found.notes.push(format!("{regions} with {}", counted(contours, "contour")));
            let labels: Vec<Label> = set.regions.into_iter().map(|r| r.label).collect();
            found.labels = shown(&labels, options);
        }
        Err(error) => found.notes.push(format!("no regions: {error}")),
    }
}

/// Labels as they may be shown. Meanings of codes are free text too; their values are not.
fn shown(labels: &[Label], options: &Options) -> Vec<Label> {
    if options.identifiers {
        return labels.to_vec();
    }
    let without = |code: &CodedConcept| CodedConcept { meaning: String::new(), ..code.clone() };
    let hide = |label: &Label| Label {
        number: label.number,
        name: None,
        category: label.category.as_ref().map(without),
        code: label.code.as_ref().map(without),
    };
    labels.iter().map(hide).collect()
}

/// Size and place of the volumes of a series: one for each phase.
fn grid(found: &mut Inspection, phases: &[series::Phase]) {
    let Some(series::Phase { volume, facts }) = phases.first() else { return };
    let [slices, rows, columns] = volume.shape();
    found.size = vec![columns, rows, slices];
    found.frames = phases.len();
    found.range = range(volume, facts);
    found.windows = windows(facts);
    place(found, volume.lps_from_index);
    found.notes.extend(missed(found));
    for note in phases.iter().flat_map(|phase| phase.facts.notes()) {
        if !found.notes.contains(&note) {
            found.notes.push(note);
        }
    }
    if phases.len() > 1 {
        let lines = phases.iter().enumerate().take(MOST_PHASES);
        found.notes.extend(lines.map(|(n, phase)| of_phase(n, phase)));
    }
}

/// What has to be said where the first window reaches none of the values.
fn missed(found: &Inspection) -> Option<String> {
    let (window, range) = (found.windows.first()?, found.range?);
    GreyScale::of(*window, "").missed(Some(range.map(f64::from)))
}

/// Most phases that are described one by one.
const MOST_PHASES: usize = 16;

/// Range and first window of a phase, which need not be those of the others.
fn of_phase(n: usize, phase: &series::Phase) -> String {
    let values = match range(&phase.volume, &phase.facts) {
        Some([low, high]) => format!("values {low} to {high}"),
        None => "no values".to_owned(),
    };
    let window = windows(&phase.facts).first().map(|w| format!(", window {}/{}", w.centre, w.width));
    format!("phase {n}: {values}{}", window.unwrap_or_default())
}

/// The windows that all slices share, or the median of the first ones where they vary.
fn windows(facts: &VolumeFacts) -> Vec<Window> {
    match facts.common() {
        Some(shown) => shown.windows.iter().map(|w| w.window).filter(Window::is_valid).collect(),
        None => facts.median(0).into_iter().collect(),
    }
}

fn folder(path: &Path, options: &Options) -> Result<Inspection, MediaError> {
    let listed = files::collect(path, &options.series.limits).unwrap_or_default();
    // As it is read: DICOM files come before pictures beside them.
    if series::is_series(&listed) {
        return dicom_folder(path, options);
    }
    let files = picture_io::frame_files(path)?;
    let Some(first) = files.first() else {
        std::fs::read_dir(path).map_err(|e| io_error(&e))?;
        return dicom_folder(path, options);
    };
    let limits = &options.series.limits;
    let one = picture(&limits.read_file(first)?, limits)?;
    Ok(Inspection {
        format: "folder of pictures".into(),
        frames: files.len(),
        notes: std::iter::once(format!("the first is {}", one.format))
            .chain(left_aside(&listed, &files))
            .collect(),
        ..one
    })
}

/// The series of a folder, archive or DICOMDIR of DICOM files, and of the one that would be read what its voxels say.
fn dicom_folder(path: &Path, options: &Options) -> Result<Inspection, MediaError> {
    let blobs = files::collect(path, &options.series.limits)?;
    let listed = series::list(blobs.clone(), &options.series, options.identifiers);
    let all = listed.map_err(|error| match error {
        MediaError::UnknownFormat(_) if path.is_dir() => {
            MediaError::UnknownFormat("the folder holds neither pictures nor DICOM images".into())
        }
        other => other,
    })?;
    let first_volume = all.iter().position(|s| s.phases > 0 && s.refused.is_none());
    let any_volume = all.iter().position(|s| s.phases > 0 || s.refused.is_some());
    let at = options.series.series.or(first_volume).or(any_volume).unwrap_or(0);
    let Some(entry) = all.get(at) else {
        return Err(MediaError::View(format!(
            "series {at} was asked for, but there are {} (counted from 0)",
            all.len()
        )));
    };
    let mut found = Inspection {
        format: match all.len() {
            1 => "DICOM series".to_owned(),
            n => format!("DICOM, {n} series; this is series {at}"),
        },
        size: entry.size.to_vec(),
        frames: entry.frames,
        stored_type: entry.stored_type.clone(),
        modality: entry.modality.clone(),
        windows: entry.windows.clone(),
        refused: entry.refused.clone(),
        identifiers: entry.identifiers.clone(),
        ..Inspection::default()
    };
    match series::choose(blobs, &series::Options { series: Some(at), ..options.series }) {
        Ok((content, shown)) => {
            found.notes = shown.notes;
            if let Content::Volumes(volumes) = &content {
                grid(&mut found, volumes);
            }
        }
        Err(error) => found.refused = Some(error.to_string()),
    }
    found.series = all;
    Ok(found)
}

fn picture(bytes: &[u8], limits: &DecodeLimits) -> Result<Inspection, MediaError> {
    let facts = picture_io::facts(bytes, limits)?;
    let mut notes = Vec::new();
    if facts.exif_orientation != 1 {
        notes.push(format!("exif orientation {} is applied", facts.exif_orientation));
    }
    if facts.bits == 16 {
        notes.push(
            "16-bit samples are scaled by the bits that their largest value needs, unless a window is given"
                .into(),
        );
    }
    if facts.icc_profile {
        notes.push(crate::dicom::ICC_NOTE.to_owned());
    }
    Ok(Inspection {
        format: facts.format.into(),
        size: vec![facts.width, facts.height],
        frames: facts.frames,
        stored_type: format!("{} × {} bit", facts.channels, facts.bits),
        notes,
        refused: picture_io::decode(bytes, &Default::default(), limits).err().map(|e| e.to_string()),
        ..Inspection::default()
    })
}

fn volume(
    path: &Path,
    bytes: &[u8],
    format: VolumeFormat,
    xform: Xform,
    limits: &DecodeLimits,
) -> Inspection {
    match open_bytes(path, bytes, 0, xform, limits) {
        Ok(read) => of_volume(format.name(), &read),
        Err(error) => {
            let mut found = Inspection {
                format: format.name().into(),
                refused: Some(error.to_string()),
                ..Default::default()
            };
            // A header may be readable where the voxels are not.
            if let (VolumeFormat::Nifti, Ok(facts)) = (format, nifti::facts(bytes, xform)) {
                found.format = facts.version.into();
                found.size = facts.size.to_vec();
                found.frames = facts.frames;
                found.stored_type = facts.stored_type.into();
                found.notes = facts.notes;
                place(&mut found, facts.lps_from_index);
            }
            found
        }
    }
}

fn of_volume(format: &str, read: &ReadVolume) -> Inspection {
    let [d, h, w] = read.volume.shape();
    let mut found = Inspection {
        format: format.to_owned(),
        size: vec![w, h, d],
        frames: read.frames,
        stored_type: read.stored_type.into(),
        range: range(&read.volume, &read.facts),
        windows: windows(&read.facts),
        notes: read.notes.clone(),
        ..Inspection::default()
    };
    if !read.label_names.is_empty() {
        found.notes.push(counted(read.label_names.len(), "named segment"));
    }
    place(&mut found, read.volume.lps_from_index);
    found
}

/// Smallest and largest finite value that is not padding.
fn range(volume: &loupe_core::Volume, facts: &VolumeFacts) -> Option<[f32; 2]> {
    let padded = |at: (usize, usize, usize)| facts.padding.as_ref().is_some_and(|p| p[at]);
    let image = volume.voxels.indexed_iter().filter(|(at, v)| v.is_finite() && !padded(*at));
    let (low, high) = image.fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), (_, v)| (a.min(*v), b.max(*v)));
    (low <= high).then_some([low, high])
}

fn place(found: &mut Inspection, map: LpsFromIndex) {
    found.spacing_mm = Some(map.spacing_mm());
    found.orientation = orientation_letters(&map);
    found.tilt_degrees = Some(map.tilt_degrees()).filter(|t| *t > 0.1);
    found.lps_from_index = Some(map);
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |v: &[String], with: &str| v.join(with);
        let numbers = |v: &[f64]| join(&v.iter().map(|n| format!("{n:.4}")).collect::<Vec<_>>(), " × ");
        writeln!(f, "format       {}", self.format)?;
        let size: Vec<String> = self.size.iter().map(ToString::to_string).collect();
        if !size.is_empty() {
            writeln!(f, "size         {}", join(&size, " × "))?;
            writeln!(f, "frames       {}", self.frames)?;
        }
        writeln!(f, "stored as    {}", self.stored_type)?;
        if let Some(modality) = &self.modality {
            writeln!(f, "modality     {modality}")?;
        }
        if let Some([zero, one]) = self.rescaled {
            writeln!(f, "rescaled     × {} + {zero}", one - zero)?;
        }
        if let (Some(pixel), None) = (self.pixel_mm, self.spacing_mm) {
            writeln!(f, "pixel size   {} mm", numbers(&pixel))?;
        }
        if let Some(spacing) = self.spacing_mm {
            writeln!(f, "spacing      {} mm", numbers(&spacing))?;
        }
        if let Some(letters) = &self.orientation {
            writeln!(f, "orientation  {letters}")?;
        }
        if let Some(map) = &self.lps_from_index {
            for (n, row) in map.m.iter().enumerate() {
                let cells: Vec<String> = row.iter().map(|v| format!("{v:>12.5}")).collect();
                writeln!(f, "{:<12}{}", if n == 0 { "LPS from ijk" } else { "" }, join(&cells, ""))?;
            }
        }
        if let Some(tilt) = self.tilt_degrees {
            writeln!(f, "tilt         {tilt:.2}°")?;
        }
        if let Some([low, high]) = self.range {
            writeln!(f, "values       {low} to {high}")?;
        }
        for window in &self.windows {
            writeln!(f, "window       centre {} width {}", window.centre, window.width)?;
        }
        for label in &self.labels {
            let name = label.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
            let code = label.code.as_ref().map(|c| format!(" ({} {} {})", c.scheme, c.value, c.meaning));
            let code = code.map(|c| c.replace(" )", ")")).unwrap_or_default();
            writeln!(f, "label        {}{name}{code}", label.number)?;
        }
        for series in &self.series {
            writeln!(f, "series {:<6}{series}", series.index)?;
            if let Some(why) = &series.refused {
                writeln!(f, "{:13}refused: {why}", "")?;
            }
            // Those of the series that is shown stand at the end.
            for (name, value) in series.identifiers.iter().filter(|_| self.series.len() > 1) {
                writeln!(f, "{:13}{name}: {value}", "")?;
            }
        }
        for note in &self.notes {
            writeln!(f, "note         {note}")?;
        }
        if let Some(why) = self.refused.as_ref().filter(|_| self.series.len() < 2) {
            writeln!(f, "refused      {why}")?;
        }
        for (name, value) in &self.identifiers {
            writeln!(f, "{name}: {value}")?;
        }
        for line in &self.report {
            writeln!(f, "  {line}")?;
        }
        Ok(())
    }
}
