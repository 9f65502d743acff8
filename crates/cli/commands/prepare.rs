//! `loupe prepare VOLUME -o DIR`

use crate::args::image::{ImageArgs, PlaneName, window};
use crate::printer::{Ended, Printer};
use anyhow::{Context, Result};
use loupe_app::prepare::{MaskOptions, PrepareOptions, PrepareWay, SliceRule, Steps, prepare, write};
use loupe_core::media::WindowChoice;
use loupe_core::words::counted;
use std::path::PathBuf;

/// Make a model's input from a volume: a published recipe by name, or steps of your own.
///
/// Steps are taken in this order: orientation, spacing, crop or padding, size, projection, slices,
/// window, montage. `prepared.json` records what was done, with the way back to the patient of every
/// picture.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Volume file, DICOM series folder, archive or DICOMDIR.
    volume: PathBuf,

    /// Folder for the pictures (000.png …), the volume and prepared.json.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,

    /// A published recipe; `loupe list recipes` names them.
    #[arg(long, value_name = "NAME", conflicts_with_all = [
        "orient", "spacing", "crop", "resize", "plane", "mip", "slices", "mask", "window", "montage", "keep_volume", "frame",
    ])]
    recipe: Option<String>,

    /// Turn and flip the axes so that i, j and k rise towards these letters, such as RAS or LPS.
    #[arg(long, value_name = "LETTERS")]
    orient: Option<String>,

    /// Resample to these voxel sizes in mm (MONAI's `Spacing`, trilinear).
    #[arg(long, value_name = "X,Y,Z", value_delimiter = ',')]
    spacing: Option<Vec<f64>>,

    /// Crop or pad about the centre to columns, rows and slices; padding takes the smallest value.
    #[arg(long, value_name = "I,J,K", value_delimiter = ',')]
    crop: Option<Vec<usize>>,

    /// Resize to columns, rows and slices (torch's and MONAI's `Resize`, trilinear).
    #[arg(long, value_name = "I,J,K", value_delimiter = ',')]
    resize: Option<Vec<usize>>,

    /// Plane of the slices.
    #[arg(long, value_enum, default_value = "stored")]
    plane: PlaneName,

    /// The largest value along the plane's normal instead of slices.
    #[arg(long)]
    mip: bool,

    /// `all`, `every:N`, `even:N` (N evenly from the first to the last) or `around:MARGIN` (those
    /// that the mask touches, and MARGIN more on either side).
    #[arg(long, value_name = "RULE", default_value = "all")]
    slices: SliceRule,

    /// Label map, DICOM segmentation or structure set that lies on the volume, for `--slices around`.
    #[arg(long, value_name = "FILE")]
    mask: Option<PathBuf>,

    /// Of a mask with several labels only this one, by its number or name; all of them when not given.
    #[arg(long, value_name = "LABEL", requires = "mask")]
    mask_label: Option<String>,

    /// Take the nearest voxel of a mask whose voxels do not lie on the volume's, instead of refusing it.
    #[arg(long, requires = "mask")]
    resample_mask: bool,

    /// A preset such as `lung`, `CENTRE/WIDTH`, `full`, or percentiles such as `p1-p99`, of the whole
    /// volume.
    #[arg(long, allow_hyphen_values = true, value_parser = window)]
    window: Option<WindowChoice>,

    /// One picture with this many slices in a row.
    #[arg(long, value_name = "COLUMNS")]
    montage: Option<usize>,

    /// Write the volume as NIfTI (float32) as well, after its steps.
    #[arg(long)]
    keep_volume: bool,

    /// Time point or phase, from 0.
    #[arg(long)]
    frame: Option<usize>,

    #[command(flatten)]
    images: ImageArgs,
}

fn three<T: Copy>(values: Option<&Vec<T>>, option: &str) -> Result<Option<[T; 3]>> {
    let three = |values: &Vec<T>| values.as_slice().try_into().ok();
    let words = || format!("{option} takes three numbers, such as 1,1,3");
    values.map(|values| three(values).with_context(words)).transpose()
}

impl Args {
    fn options(&self) -> Result<PrepareOptions> {
        let way = match &self.recipe {
            Some(name) => PrepareWay::Recipe(name.clone()),
            None => PrepareWay::Steps {
                steps: Box::new(Steps {
                    orientation: self.orient.clone(),
                    spacing_mm: three(self.spacing.as_ref(), "--spacing")?,
                    crop: three(self.crop.as_ref(), "--crop")?,
                    size: three(self.resize.as_ref(), "--resize")?,
                    plane: self.plane.into(),
                    projection: self.mip,
                    slices: self.slices,
                    window: self.window.clone(),
                    montage: self.montage,
                    keep_volume: self.keep_volume,
                }),
                mask: self.mask.clone(),
                mask_options: MaskOptions { resample: self.resample_mask, label: self.mask_label.clone() },
                frame: self.frame,
            },
        };
        Ok(PrepareOptions { volume: self.volume.clone(), images: self.images.options(), way })
    }
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let options = args.options()?;
    let made = prepare(&options)?;
    let record = write(&args.output, &made, &options.way)?;
    if out.json {
        out.document(&record)?;
    } else {
        let volume = if made.volume.is_some() { " and a volume" } else { "" };
        let pictures = counted(made.pictures.len(), "picture");
        out.say(&format!("{pictures}{volume} written to {}", args.output.display()));
    }
    Ok(Ended::Well)
}
