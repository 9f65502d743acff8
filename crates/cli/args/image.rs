//! How images are read and which part of them.

use crate::args::model::megabytes;
use anyhow::Result;
use clap::{Args, ValueEnum};
use loupe_app::open::{ImageOptions, Irregular, SeriesOptions, Xform, reference};
use loupe_app::view::{Marks, window_preset};
use loupe_core::media::WindowChoice;
use loupe_core::{DecodeLimits, MediaRef, Plane, SliceAt, View, Window};
use std::path::Path;

/// How large an image may be.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Images")]
pub(crate) struct SizeArgs {
    /// Most pixels of a picture or voxels of a volume in a file; larger ones are refused.
    #[arg(long, value_name = "N", default_value_t = DecodeLimits::default().max_pixels)]
    decode_max_pixels: u64,

    /// Most megabytes that images may take while they are read, all of them together; 4096 when not given,
    /// or half of what this process may have where that is less.
    #[arg(long, value_name = "MB")]
    max_memory: Option<u64>,
}

impl SizeArgs {
    /// As a plain option.
    pub(crate) fn limits(&self) -> DecodeLimits {
        let limits = DecodeLimits { max_pixels: self.decode_max_pixels, ..DecodeLimits::of_this_process() };
        self.max_memory.map_or(limits, |mb| limits.with_memory(megabytes(mb)))
    }
}

/// How images are read.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Images")]
pub(crate) struct ImageArgs {
    #[command(flatten)]
    limits: SizeArgs,

    /// Which of NIfTI's two orientations counts when they differ.
    #[arg(long, value_enum, default_value = "nibabel")]
    xform: XformName,

    /// What to do with a DICOM series whose slices are missing or not evenly spaced.
    #[arg(long, value_enum, default_value = "error")]
    irregular: IrregularName,

    /// Use the first of several slices at one position instead of refusing them.
    #[arg(long)]
    drop_duplicates: bool,

    /// Resample a series of a tilted gantry to an upright grid.
    #[arg(long)]
    deskew: bool,

    /// Which series of a folder, archive or DICOMDIR, counted from 0 as `loupe inspect` lists them.
    #[arg(long, value_name = "N")]
    series: Option<usize>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum IrregularName {
    /// Refuse it and say where.
    Error,
    /// An even grid of the median step; each place takes the nearest slice.
    Nearest,
    /// An even grid of the smallest step; linear between neighbours.
    Resample,
    /// One series for each evenly spaced stretch.
    Split,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum XformName {
    Nibabel,
    Itk,
}

impl ImageArgs {
    /// As a plain option.
    pub(crate) fn options(&self) -> ImageOptions {
        ImageOptions {
            limits: self.limits.limits(),
            xform: match self.xform {
                XformName::Nibabel => Xform::Nibabel,
                XformName::Itk => Xform::Itk,
            },
            series: SeriesOptions {
                irregular: match self.irregular {
                    IrregularName::Error => Irregular::Refuse,
                    IrregularName::Nearest => Irregular::Nearest,
                    IrregularName::Resample => Irregular::Resample,
                    IrregularName::Split => Irregular::Split,
                },
                drop_duplicates: self.drop_duplicates,
                deskew: self.deskew,
                series: self.series,
                ..SeriesOptions::default()
            },
        }
    }
}

/// Which part of an image, and how it becomes grey levels.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "View")]
pub(crate) struct ViewArgs {
    /// Slice of a volume: a number from 0, a share like `50%`, or a position like `-32.5mm`.
    #[arg(long, allow_hyphen_values = true, value_parser = slice)]
    slice: Option<SliceAt>,

    /// Plane of the slice.
    #[arg(long, value_enum, default_value = "upright")]
    plane: PlaneName,

    /// Frame of a multi-frame file or page of a TIFF, from 0.
    #[arg(long)]
    frame: Option<usize>,

    /// A preset such as `lung`, `CENTRE/WIDTH` such as `40/400`, `full`, percentiles such as `p1-p99`, `stored:N`
    /// (each slice's own N-th window) or `median` (of the stored windows of all slices).
    #[arg(long, allow_hyphen_values = true, value_parser = window)]
    window: Option<WindowChoice>,
}

/// What is drawn on pictures for people.
#[derive(Debug, Clone, Copy, Default, Args)]
#[command(next_help_heading = "View")]
pub(crate) struct MarkArgs {
    /// Draw the patient's directions at the edges: R, L, A, P, S (head), I (feet).
    #[arg(long)]
    letters: bool,

    /// Draw a bar of a round number of millimetres; with a star where `inspect` has a note on them.
    #[arg(long)]
    scale_bar: bool,
}

impl MarkArgs {
    /// As a plain option.
    pub(crate) fn marks(self) -> Marks {
        Marks { letters: self.letters, scale_bar: self.scale_bar }
    }
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum PlaneName {
    /// The file's slices in their order, turned upright (DICOM slices are shown as stored).
    #[default]
    Upright,
    /// The file's slices, rows and columns as stored.
    Stored,
    Axial,
    Coronal,
    Sagittal,
}

impl From<PlaneName> for Plane {
    fn from(name: PlaneName) -> Self {
        match name {
            PlaneName::Upright => Self::Upright,
            PlaneName::Stored => Self::Stored,
            PlaneName::Axial => Self::Axial,
            PlaneName::Coronal => Self::Coronal,
            PlaneName::Sagittal => Self::Sagittal,
        }
    }
}

impl ViewArgs {
    /// As a plain option.
    pub(crate) fn view(&self) -> View {
        View {
            frame: self.frame,
            slice: self.slice,
            plane: self.plane.into(),
            window: self.window.clone(),
            layer: None,
        }
    }

    /// The reference to `path` in this view.
    pub(crate) fn media(&self, path: &Path) -> Result<MediaRef> {
        Ok(reference(path, self.view())?)
    }
}

fn number(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(v) if v.is_finite() => Ok(v),
        _ => Err(format!("{text:?} is no number")),
    }
}

/// `N` numbers with commas between.
pub(crate) fn numbers<const N: usize>(text: &str) -> Result<[f64; N], String> {
    let all: Option<Vec<f64>> = text.split(',').map(|n| number(n).ok()).collect();
    all.and_then(|all| all.try_into().ok()).ok_or_else(|| format!("expected {N} numbers with commas between"))
}

fn slice(text: &str) -> Result<SliceAt, String> {
    if let Some(share) = text.strip_suffix('%') {
        return match number(share)? {
            v if (0.0..=100.0).contains(&v) => Ok(SliceAt::Share(v / 100.0)),
            _ => Err("a share lies between 0% and 100%".to_owned()),
        };
    }
    if let Some(mm) = text.strip_suffix("mm") {
        return Ok(SliceAt::Mm(number(mm)?));
    }
    text.parse()
        .map(SliceAt::Index)
        .map_err(|_| "expected a number from 0, a share like 50%, or a position like -32.5mm".to_owned())
}

pub(crate) fn window(text: &str) -> Result<WindowChoice, String> {
    if text == "full" {
        return Ok(WindowChoice::FullRange);
    }
    if text == "median" {
        return Ok(WindowChoice::Median(0));
    }
    for (form, choice) in [("stored:", WindowChoice::Stored as fn(_) -> _), ("median:", WindowChoice::Median)]
    {
        if let Some(n) = text.strip_prefix(form) {
            return n.parse().map(choice).map_err(|_| format!("{n:?} is no window number"));
        }
    }
    if let Some((low, high)) = text.strip_prefix('p').and_then(|rest| rest.split_once("-p")) {
        let (low, high) = (number(low)?, number(high)?);
        return if 0.0 <= low && low < high && high <= 100.0 {
            Ok(WindowChoice::Percentiles(low, high))
        } else {
            Err("percentiles rise between 0 and 100".to_owned())
        };
    }
    if let Some((centre, width)) = text.split_once('/') {
        let window = Window::linear(number(centre)?, number(width)?);
        return if window.has_width() {
            Ok(WindowChoice::Numbers(window))
        } else {
            Err("the width must be above 0".to_owned())
        };
    }
    window_preset(text).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn slices_windows_and_lists_of_numbers() {
        assert_eq!(slice("12"), Ok(SliceAt::Index(12)));
        assert_eq!(slice("50%"), Ok(SliceAt::Share(0.5)));
        assert_eq!(slice("-32.5mm"), Ok(SliceAt::Mm(-32.5)));
        assert!(slice("101%").is_err() && slice("x").is_err() && slice("nanmm").is_err());
        assert_eq!(window("full"), Ok(WindowChoice::FullRange));
        assert_eq!(window("0.5/0.5"), Ok(WindowChoice::Numbers(Window::linear(0.5, 0.5))));
        assert_eq!([window("median"), window("median:1")], [0, 1].map(|n| Ok(WindowChoice::Median(n))));
        assert_eq!(window("p1-p99"), Ok(WindowChoice::Percentiles(1.0, 99.0)));
        assert!(window("p99-p1").is_err() && window("40/0").is_err());
        assert!(window("lugn").unwrap_err().contains("did you mean \"lung\""));
        assert_eq!(numbers("1, 2.5"), Ok([1.0, 2.5]));
        assert!(numbers::<4>("1,2,3").is_err() && numbers::<2>("1,nan").is_err());
    }
}
