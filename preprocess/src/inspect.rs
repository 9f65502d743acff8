//! What is in a file or folder, and what would be refused. Nothing that identifies a patient.

use crate::dicom::series;
use crate::limits::{Limits, io_error};
use crate::loader::Kind;
use crate::nifti::{self, Xform};
use crate::picture_io;
use crate::render::orientation_letters;
use crate::volume_io::{ReadVolume, VolumeFormat, open_bytes};
use loupe_core::geometry::LpsFromIndex;
use loupe_core::media::MediaError;
use loupe_core::window::Window;
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
}

/// Looks into a file or a folder of pictures. What reading refuses is in [`Inspection::refused`].
///
/// # Errors
/// When the file cannot be read at all or its format is unknown.
pub fn inspect(path: &Path, xform: Xform, limits: &Limits) -> Result<Inspection, MediaError> {
    if path.is_dir() {
        return folder(path, limits);
    }
    let bytes = limits.read_file(path)?;
    match Kind::sniff(&bytes) {
        Some(Kind::Picture(_)) => picture(&bytes, limits),
        Some(Kind::Volume(format)) => Ok(volume(path, &bytes, format, xform, limits)),
        Some(Kind::Dicom) => Ok(dicom(&crate::dicom::inspect::inspect(path, false, limits)?)),
        None if nifti::is_image_of_pair(path) => Ok(volume(path, &bytes, VolumeFormat::Nifti, xform, limits)),
        None => {
            Err(MediaError::UnknownFormat("the contents are none of the formats that loupe reads".into()))
        }
    }
}

/// What is common to all formats; [`crate::dicom::inspect`] tells more.
fn dicom(found: &crate::dicom::inspect::Inspection) -> Inspection {
    let format = found.format.as_ref();
    Inspection {
        format: format!("DICOM, {}", found.transfer_syntax),
        size: format.map_or_else(Vec::new, |f| vec![f.columns, f.rows]),
        frames: format.map_or(0, |f| f.frames),
        stored_type: format.map_or_else(String::new, |f| {
            format!("{} of {} bits, {} channels", f.bits_stored, f.bits_allocated, f.samples)
        }),
        windows: found.windows.iter().map(|w| w.window).collect(),
        notes: found
            .notes
            .iter()
            .cloned()
            .chain(found.burned_in_text.map(str::to_owned))
            .chain(found.report.iter().cloned())
            .collect(),
        refused: found.refused.clone(),
        ..Inspection::default()
    }
}

fn folder(path: &Path, limits: &Limits) -> Result<Inspection, MediaError> {
    let files = picture_io::frame_files(path)?;
    let Some(first) = files.first() else {
        std::fs::read_dir(path).map_err(|e| io_error(&e))?;
        return dicom_folder(path, limits);
    };
    let one = picture(&limits.read_file(first)?, limits)?;
    Ok(Inspection {
        format: "folder of pictures".into(),
        frames: files.len(),
        notes: vec![format!("the first is {}", one.format)],
        ..one
    })
}

/// The first series of a folder of DICOM files; the others are named in the notes.
fn dicom_folder(path: &Path, limits: &Limits) -> Result<Inspection, MediaError> {
    let options = series::Options { limits: *limits, ..series::Options::default() };
    let all = series::load_folder(path, &options)?;
    let Some(first) = all.first() else {
        return Err(MediaError::UnknownFormat("the folder holds neither pictures nor DICOM images".into()));
    };
    let describe = |s: &series::Series| format!("{:?}, {} files, {} frames", s.modality, s.files, s.frames);
    let mut found = Inspection {
        format: format!("DICOM series ({})", describe(first)),
        size: vec![first.size[1], first.size[0]],
        frames: first.frames,
        windows: first.window.into_iter().collect(),
        notes: all.iter().skip(1).map(|s| format!("further series: {}", describe(s))).collect(),
        ..Inspection::default()
    };
    match &first.content {
        Ok(series::Content::Volumes(volumes)) => {
            if let Some(volume) = volumes.first() {
                let [slices, rows, columns] = volume.shape();
                found.size = vec![columns, rows, slices];
                found.frames = volumes.len();
                place(&mut found, volume.lps_from_index);
            }
        }
        Ok(series::Content::Frames(_)) => found.notes.push("frames without a common geometry".into()),
        Err(error) => found.refused = Some(error.to_string()),
    }
    Ok(found)
}

fn picture(bytes: &[u8], limits: &Limits) -> Result<Inspection, MediaError> {
    let facts = picture_io::facts(bytes, limits)?;
    let mut notes = Vec::new();
    if facts.exif_orientation != 1 {
        notes.push(format!("exif orientation {} is applied", facts.exif_orientation));
    }
    if facts.bits == 16 {
        notes.push("16-bit samples are reduced to their high byte unless a window is given".into());
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

fn volume(path: &Path, bytes: &[u8], format: VolumeFormat, xform: Xform, limits: &Limits) -> Inspection {
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
    let finite = read.volume.voxels.iter().copied().filter(|v| v.is_finite());
    let (low, high) = finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    let mut found = Inspection {
        format: format.to_owned(),
        size: vec![w, h, d],
        frames: read.frames,
        stored_type: read.stored_type.into(),
        range: (low <= high).then_some([low, high]),
        windows: read.stored_window.into_iter().collect(),
        notes: read.notes.clone(),
        ..Inspection::default()
    };
    if !read.label_names.is_empty() {
        found.notes.push(format!("{} named segments", read.label_names.len()));
    }
    place(&mut found, read.volume.lps_from_index);
    found
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
        writeln!(f, "size         {}", join(&size, " × "))?;
        writeln!(f, "frames       {}", self.frames)?;
        writeln!(f, "stored as    {}", self.stored_type)?;
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
        for note in &self.notes {
            writeln!(f, "note         {note}")?;
        }
        match &self.refused {
            Some(why) => writeln!(f, "refused      {why}"),
            None => Ok(()),
        }
    }
}
