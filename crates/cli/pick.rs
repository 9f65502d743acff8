//! Arguments that several commands share: which model, which view of an image.

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use loupe_core::media::WindowChoice;
use loupe_core::{
    MediaRef, MediaSource, Plane, Segmenter, SliceAt, View, VisionLanguageModel, VolumeSegmenter, Window,
};
use loupe_models::{Checkpoint, DeviceChoice, Dtype, LoadOptions};
use loupe_preprocess::dicom::series::{Irregular, Options};
use loupe_preprocess::nifti::Xform;
use loupe_preprocess::{DecodeLimits, Loader};
use std::path::{Path, PathBuf};

/// Which model and how to run it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Model")]
pub(crate) struct ModelArgs {
    /// Folder of a Hugging Face checkpoint; the embedded default when not given.
    #[arg(long, value_name = "DIR")]
    pub(crate) model: Option<PathBuf>,

    /// `cpu` or `cuda` (`cuda:1` for the second GPU).
    #[arg(long, default_value = "cpu", value_parser = device)]
    pub(crate) device: DeviceChoice,

    /// Number type of the computation; f32 on the CPU and bf16 on CUDA when not given.
    #[arg(long, value_enum)]
    pub(crate) dtype: Option<DtypeName>,

    /// Whose resizing to reproduce; what the checkpoint's processor file means when not given.
    #[arg(long, value_enum)]
    pub(crate) resample: Option<ResampleName>,

    /// Megabytes kept for images and prompt beginnings that come again.
    #[arg(long, value_name = "MB", default_value_t = 2048)]
    pub(crate) cache: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum DtypeName {
    F32,
    F16,
    Bf16,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ResampleName {
    Pillow,
    Torchvision,
}

pub(crate) fn device(text: &str) -> Result<DeviceChoice, String> {
    match text.split_once(':') {
        None if text == "cpu" => Ok(DeviceChoice::Cpu),
        None if text == "cuda" => Ok(DeviceChoice::Cuda(0)),
        Some(("cuda", n)) => n.parse().map(DeviceChoice::Cuda).map_err(|_| format!("{n:?} is no GPU number")),
        _ => Err("expected cpu, cuda or cuda:N".to_owned()),
    }
}

impl ModelArgs {
    /// The settings in the words of `models`.
    fn options(&self, dump: Option<&Path>) -> LoadOptions {
        LoadOptions {
            device: self.device,
            dtype: self.dtype.map(|d| match d {
                DtypeName::F32 => Dtype::F32,
                DtypeName::F16 => Dtype::F16,
                DtypeName::Bf16 => Dtype::Bf16,
            }),
            resample: self.resample.map(|r| match r {
                ResampleName::Pillow => loupe_preprocess::resize::Backend::Pillow,
                ResampleName::Torchvision => loupe_preprocess::resize::Backend::Torchvision,
            }),
            cache_bytes: self.cache.saturating_mul(1 << 20),
            dump: dump.map(Path::to_path_buf),
        }
    }

    /// Loads the model that was asked for.
    pub(crate) fn load(&self, dump: Option<&Path>) -> Result<Box<dyn VisionLanguageModel>> {
        let options = self.options(dump);
        match &self.model {
            Some(dir) => loupe_models::load(dir, &options)
                .with_context(|| format!("the checkpoint in {} could not be loaded", dir.display())),
            None => loupe_models::load_checkpoint(&crate::embedded::checkpoint(), &options)
                .context("the embedded model could not be loaded"),
        }
    }
}

/// Loads a segmenter that takes prompts and runs where `model` runs; without a folder the built-in one.
/// `family` names its family where the checkpoint does not show it.
pub(crate) fn load_segmenter(
    dir: Option<&PathBuf>,
    family: Option<&str>,
    model: &ModelArgs,
) -> Result<Box<dyn Segmenter>> {
    let options = model.options(None);
    match dir {
        Some(dir) => loupe_models::load_segmenter(&Checkpoint::directory(dir), family, &options)
            .with_context(|| format!("the segmenter in {} could not be loaded", dir.display())),
        None => loupe_models::load_segmenter(&crate::embedded::segmenter(), family, &options)
            .context("the built-in segmenter could not be loaded"),
    }
}

/// Loads a segmenter that labels whole volumes; as [`load_segmenter`].
pub(crate) fn load_volume_segmenter(
    dir: &Path,
    family: Option<&str>,
    model: &ModelArgs,
) -> Result<Box<dyn VolumeSegmenter>> {
    loupe_models::load_volume_segmenter(&Checkpoint::directory(dir), family, &model.options(None))
        .with_context(|| format!("the segmenter in {} could not be loaded", dir.display()))
}

/// How large an image may be.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Images")]
pub(crate) struct SizeArgs {
    /// Most pixels of a picture or voxels of a volume.
    #[arg(long, value_name = "N", default_value_t = DecodeLimits::default().max_pixels)]
    max_pixels: u64,

    /// Most megabytes that one decoded image may take.
    #[arg(long, value_name = "MB", default_value_t = DecodeLimits::default().max_memory_bytes >> 20)]
    max_memory: u64,
}

impl SizeArgs {
    /// The limits in the words of `preprocess`.
    pub(crate) fn limits(&self) -> DecodeLimits {
        DecodeLimits {
            max_pixels: self.max_pixels,
            max_memory_bytes: self.max_memory.saturating_mul(1 << 20),
        }
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

    /// Resample a tilted series to slices that stand upright on each other.
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
    /// The limits in the words of `preprocess`.
    pub(crate) fn limits(&self) -> DecodeLimits {
        self.limits.limits()
    }

    /// Which orientation of a NIfTI file counts.
    pub(crate) fn xform(&self) -> Xform {
        match self.xform {
            XformName::Nibabel => Xform::Nibabel,
            XformName::Itk => Xform::Itk,
        }
    }

    /// Rules for DICOM series.
    pub(crate) fn series(&self) -> Options {
        Options {
            irregular: match self.irregular {
                IrregularName::Error => Irregular::Refuse,
                IrregularName::Nearest => Irregular::Nearest,
                IrregularName::Resample => Irregular::Resample,
                IrregularName::Split => Irregular::Split,
            },
            drop_duplicates: self.drop_duplicates,
            deskew: self.deskew,
            series: self.series,
            limits: self.limits(),
            ..Options::default()
        }
    }

    /// A reader with these bounds and rules.
    pub(crate) fn loader(&self) -> Loader {
        Loader::new(self.limits()).with_xform(self.xform()).with_series(self.series())
    }
}

/// Which part of an image, and how it becomes grey levels.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "View")]
pub(crate) struct ViewArgs {
    /// Slice of a volume: a number from 0, a share like `50%`, or a position like `-32.5mm`.
    #[arg(long, allow_hyphen_values = true, value_parser = slice)]
    pub(crate) slice: Option<SliceAt>,

    /// Plane of the slice.
    #[arg(long, value_enum, default_value = "stored")]
    pub(crate) plane: PlaneName,

    /// Frame of a multi-frame file or page of a TIFF, from 0.
    #[arg(long)]
    pub(crate) frame: Option<usize>,

    /// A preset such as `lung`, `CENTRE/WIDTH` such as `40/400`, `full`, `stored:N`, or percentiles
    /// such as `p1-p99`.
    #[arg(long, allow_hyphen_values = true, value_parser = window)]
    pub(crate) window: Option<WindowChoice>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum PlaneName {
    #[default]
    Stored,
    Axial,
    Coronal,
    Sagittal,
}

impl PlaneName {
    /// In the words of `core`.
    pub(crate) fn plane(self) -> Plane {
        match self {
            Self::Stored => Plane::Stored,
            Self::Axial => Plane::Axial,
            Self::Coronal => Plane::Coronal,
            Self::Sagittal => Plane::Sagittal,
        }
    }
}

fn number(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(v) if v.is_finite() => Ok(v),
        _ => Err(format!("{text:?} is no number")),
    }
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
    if let Some(n) = text.strip_prefix("stored:") {
        return n.parse().map(WindowChoice::Stored).map_err(|_| format!("{n:?} is no window number"));
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
        return if window.is_valid() {
            Ok(WindowChoice::Numbers(window))
        } else {
            Err("the width must be at least 1".to_owned())
        };
    }
    match loupe_preprocess::windows::preset(text) {
        Ok(_) => Ok(WindowChoice::Preset(text.to_owned())),
        Err(error) => Err(error.to_string()),
    }
}

impl ViewArgs {
    /// The view in the words of the crates.
    pub(crate) fn view(&self) -> View {
        View { frame: self.frame, slice: self.slice, plane: self.plane.plane(), window: self.window.clone() }
    }

    /// The reference to `path` with this view.
    pub(crate) fn media(&self, path: &Path) -> Result<MediaRef> {
        reference(path, self.view())
    }
}

/// The reference to a file or folder that is there, in a view.
pub(crate) fn reference(path: &Path, view: View) -> Result<MediaRef> {
    if !path.exists() {
        bail!("{} does not exist", path.display());
    }
    let mut media = MediaRef::file(path);
    if path.is_dir() {
        media.source = MediaSource::Folder(path.to_path_buf());
    }
    media.view = view;
    Ok(media)
}
