//! `loupe segment IMAGE --box … --point … --phrase …`

use crate::args::image::{ImageArgs, ViewArgs, numbers};
use crate::args::model::ModelArgs;
use crate::printer::{Ended, Printer};
use anyhow::{Context, Result};
use loupe_app::segment::{
    ObjectEntry, ObjectPrompts, SegmentOptions, Segmenters, segment_objects, segment_volume,
};
use std::path::PathBuf;

/// Segment objects that points, boxes, rough masks or words describe.
///
/// Positions are pixels of the image or slice, from its upper left corner in continuous edges. Each
/// box, mask and phrase is an object of its own; points all belong to one object, together with the
/// box or mask when there is exactly one. Prints area, diameters and intensities; with `--output`
/// also writes masks, an overlay, a COCO file and, for volumes, a NIfTI label map. A model that labels
/// whole volumes takes no prompts.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Image file or series folder.
    image: PathBuf,

    /// Box around an object; may be given several times.
    #[arg(long = "box", value_name = "X0,Y0,X1,Y1", value_parser = numbers::<4>)]
    boxes: Vec<[f64; 4]>,

    /// A place inside the object; may be given several times.
    #[arg(long = "point", value_name = "X,Y", value_parser = numbers::<2>)]
    points: Vec<[f64; 2]>,

    /// A place outside the object; may be given several times.
    #[arg(long, value_name = "X,Y", value_parser = numbers::<2>)]
    outside: Vec<[f64; 2]>,

    /// Picture of a rough mask, as large as the image; not 0 is inside. May be given several times.
    #[arg(long = "mask", value_name = "FILE")]
    masks: Vec<PathBuf>,

    /// Words that name an object; a grounding model finds its boxes. May be given several times.
    #[arg(long = "phrase", value_name = "WORDS")]
    phrases: Vec<String>,

    /// JSON list of objects: `label`, `box`, `points`, `outside`, `mask`, `phrase`, each optional.
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,

    /// Checkpoint folder of the grounding model that finds phrases; the built-in one when not given.
    #[arg(long, value_name = "DIR")]
    grounder: Option<PathBuf>,

    /// Family of the segmenter, where the checkpoint does not show it (see `loupe list models`).
    #[arg(long, value_name = "NAME")]
    family: Option<String>,

    /// Follow each object through the slices of the volume, in both directions, until it ends.
    #[arg(long)]
    propagate: bool,

    /// Folder for masks, overlay, COCO file, label map and measurements.
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,

    #[command(flatten)]
    model: ModelArgs,

    #[command(flatten)]
    view: ViewArgs,

    #[command(flatten)]
    images: ImageArgs,
}

impl Args {
    fn prompts(&self) -> ObjectPrompts {
        ObjectPrompts {
            boxes: self.boxes.clone(),
            points: self.points.clone(),
            outside: self.outside.clone(),
            masks: self.masks.clone(),
            phrases: self.phrases.clone(),
            file: self.prompts.clone(),
        }
    }
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let (prompts, model) = (args.prompts(), args.model.options(None)?);
    let mut options = SegmentOptions {
        image: args.image.display().to_string(),
        media: args.view.media(&args.image)?,
        prompts: Vec::new(),
        propagate: args.propagate,
        output: args.output.clone(),
    };
    let loader = args.images.options().loader();
    if prompts.is_empty() && model.folder.is_some() {
        let mut volumes = model.open_volume_segmenter(args.family.as_deref()).context(
            "there are no prompts; without --box, --point, --mask or --phrase a whole volume is labelled",
        )?;
        return volume(&segment_volume(&options, &loader, volumes.as_mut())?, args, out);
    }
    options.prompts = prompts.grouped()?;
    let mut segmenter = model.open_segmenter(args.family.as_deref())?;
    let mut grounder = match options.prompts.iter().any(|p| p.phrase.is_some()) {
        true => Some(model.of(args.grounder.clone()).open()?),
        false => None,
    };
    let mut models = Segmenters {
        segmenter: segmenter.as_mut(),
        // Matched by hand: the trait object's own lifetime is longer than this call.
        grounder: match &mut grounder {
            Some(model) => Some(model.as_mut()),
            None => None,
        },
    };
    let document = segment_objects(&options, &loader, &mut models)?;
    document.view.warnings.iter().for_each(|warning| out.say(warning));
    if let Some(dir) = &args.output {
        out.say(&format!("masks, overlay and measurements written to {}", dir.display()));
    }
    if out.json {
        out.document(&document)?;
    } else {
        for (n, object) in document.objects.iter().enumerate() {
            out.line(&format!("{:>3}  {}", n + 1, object_line(object)))?;
        }
        for failure in &document.failed {
            let prompt = serde_json::to_string(&failure.prompt)?;
            out.say(&format!("failed: {}: {prompt}", failure.reason));
        }
    }
    Ok(Ended::well_if(document.failed.is_empty()))
}

/// Prints the labels of a whole volume.
fn volume(document: &loupe_app::segment::VolumeDocument, args: &Args, out: &mut Printer) -> Result<Ended> {
    if let Some(dir) = &args.output {
        out.say(&format!("label map and measurements written to {}", dir.display()));
    }
    if out.json {
        out.document(document)?;
        return Ok(Ended::Well);
    }
    for s in &document.structures {
        let name = s.name.clone().unwrap_or_else(|| format!("label {}", s.label));
        let mean =
            s.intensities.as_ref().map(|i| format!("  mean {:.1} ± {:.1}", i.mean, i.sd)).unwrap_or_default();
        let (ml, longest) = (s.solid.volume_mm3 / 1000.0, s.solid.longest_mm);
        out.line(&format!("{:>3}  {name}  {ml:.2} ml  longest in space {longest:.1} mm{mean}", s.label))?;
    }
    Ok(Ended::Well)
}

fn object_line(o: &ObjectEntry) -> String {
    let mut line = format!("{}  {} px", o.label, o.flat.area_px);
    if let Some(area) = o.flat.area_mm2 {
        line += &format!("  {area:.1} mm²");
    }
    match o.flat.longest_mm {
        Some(length) => line += &format!("  longest {length:.1} mm"),
        None => line += &format!("  longest {:.1} px", o.flat.longest_px),
    }
    if let Some(solid) = o.solid.as_ref().filter(|s| s.slices.is_some_and(|[a, b]| a != b)) {
        let ml = solid.volume_mm3 / 1000.0;
        line += &format!("  {ml:.2} ml  longest in space {:.1} mm", solid.longest_mm);
    }
    if let Some(values) = &o.intensities {
        let unit = o.unit.map(|u| format!(" {u}")).unwrap_or_default();
        line += &format!("  mean {:.1} ± {:.1}{unit}", values.mean, values.sd);
    }
    if let Some(iou) = o.predicted_iou {
        line += &format!("  predicted IoU {iou:.3}");
    }
    line
}
