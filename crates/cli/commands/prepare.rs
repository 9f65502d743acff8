//! `loupe prepare VOLUME -o DIR`

use crate::Ended;
use crate::pick::{ImageArgs, PlaneName, reference, window};
use crate::printer::Printer;
use anyhow::{Context, Result, bail};
use loupe_core::media::WindowChoice;
use loupe_core::words::counted;
use loupe_core::{Picture, SliceAt, View, Volume};
use loupe_preprocess::nifti::volume_bytes;
use loupe_preprocess::recipes::{Prepared, recipe};
use loupe_preprocess::render::{Slicing, render_with};
use loupe_preprocess::volume_io::{ReadVolume, labels_of};
use loupe_preprocess::volume_ops::{
    SliceChoice, central, chosen_slices, montage, oriented, projected, resized, spaced,
};
use std::path::{Path, PathBuf};

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
        "orient", "spacing", "crop", "resize", "mip", "slices", "window", "montage", "keep_volume",
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
    #[arg(long, value_name = "RULE", default_value = "all", value_parser = rule)]
    slices: Rule,

    /// Label map on the volume's own grid, for `--slices around`.
    #[arg(long, value_name = "FILE")]
    mask: Option<PathBuf>,

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

/// `--slices`.
#[derive(Debug, Clone, Copy)]
enum Rule {
    All,
    Every(usize),
    Evenly(usize),
    Around(usize),
}

fn rule(text: &str) -> Result<Rule, String> {
    let (name, n) = text.split_once(':').unwrap_or((text, ""));
    let n: Option<usize> = n.parse().ok();
    match (name, n) {
        ("all", None) => Ok(Rule::All),
        ("every", Some(n @ 1..)) => Ok(Rule::Every(n)),
        ("even", Some(n @ 1..)) => Ok(Rule::Evenly(n)),
        ("around", n) => Ok(Rule::Around(n.unwrap_or(0))),
        _ => Err("expected all, every:N, even:N or around:MARGIN".to_owned()),
    }
}

fn three<T: Copy>(values: &[T], option: &str) -> Result<[T; 3]> {
    values.try_into().ok().with_context(|| format!("{option} takes three numbers, such as 1,1,3"))
}

/// Pictures and captions that a recipe makes of the volume at `path`; they name it as their source.
pub(crate) fn by_recipe(name: &str, path: &Path, images: &ImageArgs) -> Result<Prepared> {
    let recipe = recipe(name)?;
    let media = reference(path, View::default())?;
    let read = images
        .loader()
        .load_volume(&media)
        .with_context(|| format!("{} could not be used", path.display()))?;
    let mut made = (recipe.prepare)(&read.volume, &images.limits())
        .with_context(|| format!("recipe {name} could not be followed"))?;
    for picture in &mut made.pictures {
        picture.origin.source = Some(media.name.clone());
    }
    made.steps.splice(0..0, read.notes.iter().cloned());
    Ok(made)
}

impl Args {
    /// The volume after its own steps, which are added to `steps`.
    fn volume(&self, read: &ReadVolume, steps: &mut Vec<String>) -> Result<Volume> {
        let limits = self.images.limits();
        let mut volume = read.volume.clone();
        if let Some(letters) = &self.orient {
            volume = oriented(&volume, &letters.to_uppercase())?;
            steps.push(format!("orientation {}", letters.to_uppercase()));
        }
        if let Some(mm) = &self.spacing {
            volume = spaced(&volume, three(mm, "--spacing")?, &limits)?;
            steps.push(format!("spacing {mm:?} mm, trilinear (MONAI Spacing)"));
        }
        if let Some(size) = &self.crop {
            let least = volume.voxels.iter().copied().filter(|v| v.is_finite()).fold(f32::INFINITY, f32::min);
            let sides = three(size, "--crop")?;
            let voxels = limits.pixels(&sides.map(|n| n as u64))?;
            limits.memory(voxels, size_of::<f32>())?;
            volume = central(&volume, sides, if least.is_finite() { least } else { 0.0 })?;
            steps.push(format!("crop or padding to {size:?}"));
        }
        if let Some(size) = &self.resize {
            volume = resized(&volume, three(size, "--resize")?, &limits)?;
            steps.push(format!("size {size:?}, trilinear (torch interpolate)"));
        }
        Ok(volume)
    }

    /// The pictures of `volume`.
    fn pictures(
        &self,
        read: &ReadVolume,
        mut volume: Volume,
        steps: &mut Vec<String>,
    ) -> Result<Vec<Picture>> {
        let plane = self.plane.plane();
        let axis = Slicing::of(plane, &volume.lps_from_index)?.through.axis;
        if self.mip {
            volume = projected(&volume, axis)?;
            steps.push("maximum intensity projection".to_owned());
        }
        let count = volume.shape()[2 - axis];
        let numbers = match self.slices {
            Rule::All => chosen_slices(count, SliceChoice::All)?,
            Rule::Every(n) => chosen_slices(count, SliceChoice::Every(n))?,
            Rule::Evenly(n) => chosen_slices(count, SliceChoice::Evenly(n))?,
            Rule::Around(margin) => {
                let moved = self.orient.is_some()
                    || self.spacing.is_some()
                    || self.crop.is_some()
                    || self.resize.is_some()
                    || self.mip;
                if moved || axis != 2 {
                    bail!("--slices around counts the volume's own slices; leave out what moves them");
                }
                let Some(mask) = &self.mask else { bail!("--slices around needs --mask FILE") };
                let mask_read = self.images.loader().load_volume(&reference(mask, View::default())?);
                let labels =
                    labels_of(&*mask_read.with_context(|| format!("{} could not be used", mask.display()))?)?;
                chosen_slices(count, SliceChoice::Around { labels: &labels, margin })?
            }
        };
        // Of the whole volume as it was read, so that all slices keep their relation.
        let window = read.window(self.window.as_ref())?;
        steps.push(format!("slices {numbers:?}"));
        steps.push(window.step.clone());
        let one = |n: &usize| {
            let view = View { slice: Some(SliceAt::Index(*n)), plane, ..View::default() };
            render_with(&volume, &view, &window)
        };
        let pictures: Vec<Picture> = numbers.iter().map(one).collect::<Result<_, _>>()?;
        match self.montage {
            None => Ok(pictures),
            Some(0) => bail!("--montage needs at least one column"),
            Some(columns) => {
                steps.push(format!("montage of {} columns", columns.min(pictures.len())));
                Ok(vec![montage(&pictures, columns)?])
            }
        }
    }

    fn prepared(&self) -> Result<Prepared> {
        if let Some(name) = &self.recipe {
            return by_recipe(name, &self.volume, &self.images);
        }
        let media = reference(&self.volume, View { frame: self.frame, ..View::default() })?;
        let read = self.images.loader().load_volume(&media);
        let read = read.with_context(|| format!("{} could not be used", self.volume.display()))?;
        let mut steps = read.notes.clone();
        let volume = self.volume(&read, &mut steps)?;
        let kept = self.keep_volume.then(|| volume.clone());
        let pictures = self.pictures(&read, volume, &mut steps)?;
        Ok(Prepared { pictures, captions: Vec::new(), volume: kept, steps })
    }
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let made = args.prepared()?;
    let dir = &args.output;
    std::fs::create_dir_all(dir).with_context(|| format!("{} could not be made", dir.display()))?;
    let write = |name: &str, bytes: &[u8]| {
        let file = dir.join(name);
        std::fs::write(&file, bytes).with_context(|| format!("{} could not be written", file.display()))
    };
    let mut listed = Vec::new();
    for (n, picture) in made.pictures.iter().enumerate() {
        let name = format!("{n:03}.png");
        write(&name, &loupe_report::png(picture)?)?;
        listed.push(serde_json::json!({
            "file": name, "caption": made.captions.get(n), "origin": picture.origin,
        }));
    }
    if let Some(volume) = &made.volume {
        write("volume.nii.gz", &volume_bytes(volume)?)?;
    }
    let record = serde_json::json!({
        "recipe": args.recipe, "steps": made.steps, "pictures": listed,
        "volume": made.volume.as_ref().map(|_| "volume.nii.gz"),
    });
    write("prepared.json", format!("{record:#}\n").as_bytes())?;
    if out.json {
        out.document(&record)?;
    } else {
        let volume = if made.volume.is_some() { " and a volume" } else { "" };
        out.say(&format!("{}{volume} written to {}", counted(made.pictures.len(), "picture"), dir.display()));
    }
    Ok(Ended::Well)
}
