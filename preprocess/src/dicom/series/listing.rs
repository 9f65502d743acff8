//! The series of a folder, so that one can be chosen: from headers and the first and last image of each.

use super::about::{About, PhaseFact};
use super::grid::{SliceGrid, arrange};
use super::options::Options;
use super::scan::{Group, groups};
use crate::dicom::files::Blob;
use crate::dicom::image::Image;
use loupe_core::geometry::{cross, norm};
use loupe_core::media::MediaError;
use loupe_core::window::Window;
use loupe_core::words::counted;
use serde::Serialize;
use std::fmt;

/// A series as [`list`] finds it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SeriesEntry {
    /// Its number for `--series`, from 0.
    pub index: usize,
    /// Series Number (0020,0011).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series_number: Option<i64>,
    /// Modality (0008,0060), when it is a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modality: Option<String>,
    /// Image Type (0008,0008), such as `ORIGINAL`, `PRIMARY`, `LOCALIZER`.
    pub image_type: Vec<String>,
    /// `axial`, `coronal` or `sagittal`: the nearest to its slices; none without a place in the patient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plane: Option<&'static str>,
    /// Degrees between that plane and the slices, when above 0.5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oblique_degrees: Option<f64>,
    /// Convolution Kernel (0018,1210).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Volumes at the same place: time points, echoes, b-values.
    pub phases: usize,
    /// What the first header says of its phase.
    pub phase: Vec<PhaseFact>,
    /// Columns and rows.
    pub size: [usize; 2],
    /// Slices of a volume.
    pub slices: usize,
    /// Between columns, rows and slices, in mm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spacing_mm: Option<[f64; 3]>,
    /// Files.
    pub files: usize,
    /// Frames over all files.
    pub frames: usize,
    /// Number type and transfer syntax of the first file.
    pub stored_type: String,
    /// Windows of the first image.
    pub windows: Vec<Window>,
    /// Do other images have others?
    pub windows_vary: bool,
    /// Why reading it would be refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Names and identifiers, the description among them; only when asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identifiers: Vec<(String, String)>,
}

/// The series in files, numbered as [`Options::series`] counts them. Only the first and last image of each are
/// decoded.
///
/// # Errors
/// When none of the files is a DICOM image.
pub fn list(blobs: Vec<Blob>, options: &Options, identifiers: bool) -> Result<Vec<SeriesEntry>, MediaError> {
    let mut all: Vec<SeriesEntry> = Vec::new();
    for group in groups(blobs, &options.limits)? {
        all.extend(entries(&group, options, identifiers));
    }
    for (index, entry) in all.iter_mut().enumerate() {
        entry.index = index;
    }
    Ok(all)
}

/// A group as one series, or as several when irregular steps are to be split.
fn entries(group: &Group, options: &Options, identifiers: bool) -> Vec<SeriesEntry> {
    let About { number, modality, image_type, kernel, phase, identifiers: names, .. } = group.about.clone();
    let (first, last) = (end(group, 0, options), end(group, group.slices.len().saturating_sub(1), options));
    let windows =
        |n: usize| group.slices.get(n).map(|s| s.presentation.windows.as_slice()).unwrap_or_default();
    let windows_vary = (0..group.slices.len()).any(|n| windows(n) != windows(0));
    let (plane, oblique_degrees) = plane(group).unzip();
    let entry = SeriesEntry {
        series_number: number,
        modality,
        image_type,
        plane,
        oblique_degrees: oblique_degrees.filter(|d| *d > 0.5),
        kernel,
        phase,
        size: [group.size[1], group.size[0]],
        files: group.blobs.len(),
        frames: group.slices.len(),
        stored_type: group.stored.clone(),
        windows: windows(0).iter().map(|w| w.window).filter(Window::is_valid).collect(),
        windows_vary,
        refused: [first.err(), last.err()].into_iter().flatten().next().map(|e| e.to_string()),
        identifiers: if identifiers { names } else { Vec::new() },
        ..SeriesEntry::default()
    };
    if !group.makes_volumes() {
        return vec![entry];
    }
    let refused = |e: MediaError| vec![SeriesEntry { refused: Some(e.to_string()), ..entry.clone() }];
    let parts = match arrange(&group.slices, options) {
        Ok(parts) => parts,
        Err(e) => return refused(e),
    };
    let of_part = |part: SliceGrid| {
        let slices = part.phases.first().map_or(0, Vec::len);
        let [rows, columns] = group.size;
        let room = options.limits.pixels(&[slices as u64, rows as u64, columns as u64]);
        let room = room.and_then(|voxels| options.limits.memory(voxels, size_of::<f32>()));
        SeriesEntry {
            phases: part.phases.len(),
            slices,
            spacing_mm: Some(part.lps_from_index.spacing_mm()),
            refused: entry.refused.clone().or(room.err().map(|e| e.to_string())),
            ..entry.clone()
        }
    };
    parts.into_iter().map(of_part).collect()
}

/// Decodes one image of a group.
fn end(group: &Group, at: usize, options: &Options) -> Result<(), MediaError> {
    let slice = group.slices.get(at).ok_or(MediaError::NotFound)?;
    let blob = group.blobs.get(slice.blob).ok_or(MediaError::NotFound)?;
    let image = Image::parse(blob.read(&options.limits)?, &options.limits)?;
    image.stored(slice.frame)?;
    image.transform(slice.frame)?;
    Ok(())
}

/// The anatomical plane nearest to the slices, and the degrees between.
fn plane(group: &Group) -> Option<(&'static str, f64)> {
    let plane = group.slices.first()?.plane?;
    let normal = cross(plane.row, plane.column);
    let along = |axis: usize| (normal[axis].abs() / norm(normal)).clamp(0.0, 1.0);
    let names = ["sagittal", "coronal", "axial"];
    let (axis, name) = names.into_iter().enumerate().max_by(|a, b| along(a.0).total_cmp(&along(b.0)))?;
    Some((name, along(axis).acos().to_degrees()))
}

impl fmt::Display for SeriesEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = vec![self.modality.clone().unwrap_or_else(|| "unknown modality".to_owned())];
        let oblique = self.oblique_degrees.map(|d| format!(" oblique by {d:.1}°")).unwrap_or_default();
        words.extend(self.plane.map(|plane| format!("{plane}{oblique}")));
        let [columns, rows] = self.size;
        match self.slices {
            0 => words.push(format!("{} of {columns} × {rows}", counted(self.frames, "frame"))),
            n => words.push(format!("{} of {columns} × {rows}", counted(n, "slice"))),
        }
        if self.phases > 1 {
            words.push(counted(self.phases, "phase"));
        }
        if let Some([x, y, z]) = self.spacing_mm {
            words.push(format!("{x:.3} × {y:.3} × {z:.3} mm"));
        }
        words.extend(self.kernel.iter().map(|kernel| format!("kernel {kernel}")));
        words.extend(self.phase.iter().map(|fact| format!("{} {}", fact.name, fact.value)));
        words.extend(self.windows.iter().map(|w| format!("window {}/{}", w.centre, w.width)));
        words.extend(self.windows_vary.then(|| "windows vary by slice".to_owned()));
        if !self.image_type.is_empty() {
            words.push(self.image_type.join("\\"));
        }
        words.push(counted(self.files, "file"));
        let number = self.series_number.map_or_else(|| "no number".to_owned(), |n| format!("number {n}"));
        write!(f, "{number}: {}", words.join(", "))
    }
}
