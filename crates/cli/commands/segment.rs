//! `loupe segment IMAGE --box … --point … --phrase …`

use crate::args::image::{ImageArgs, MarkArgs, ViewArgs, numbers};
use crate::args::model::ModelArgs;
use crate::args::saliency::SaliencyArgs;
use crate::printer::{Ended, Printer};
use anyhow::{Context, Result};
use loupe_app::segment::{
    LoadedGrounder, ObjectEntry, ObjectPrompts, SegmentOptions, Segmenters, segment_objects, segment_volume,
};
use std::path::PathBuf;

/// Segment objects that points, boxes, rough masks or words describe.
///
/// Positions are pixels of the picture that `loupe render` writes with the same options, from its upper left
/// corner in continuous edges. Each
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

    /// Rough mask: a picture as large as that picture, in which not 0 is inside, or a label map, DICOM segmentation or
    /// structure set that lies on the volume, whose labels on the slice are an object each. May be given several
    /// times.
    #[arg(long = "mask", value_name = "FILE")]
    masks: Vec<PathBuf>,

    /// Of masks with several labels only this one, by its number or name.
    #[arg(long, value_name = "LABEL", requires = "masks")]
    mask_label: Option<String>,

    /// Take the nearest voxel of a mask whose voxels do not lie on the image's, instead of refusing it.
    #[arg(long)]
    resample_mask: bool,

    /// Words that name an object; a grounding model finds its boxes. May be given several times.
    #[arg(long = "phrase", value_name = "WORDS")]
    phrases: Vec<String>,

    /// JSON list of objects: `label`, `box`, `points`, `outside`, `mask`, `phrase`, each optional.
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,

    /// Checkpoint folder of the model that finds phrases; the built-in one when not given. A model that grounds is asked
    /// for boxes; of CLIP or BiomedCLIP it is computed what of the image bears on the phrase.
    #[arg(long, value_name = "DIR")]
    grounder: Option<PathBuf>,

    /// Family of the segmenter, where the checkpoint does not show it (see `loupe list models`).
    #[arg(long, value_name = "NAME")]
    family: Option<String>,

    /// Follow each object through the slices of the volume, in both directions, until it ends.
    #[arg(long)]
    propagate: bool,

    /// Say in the JSON which DICOM object each slice is: SOP Instance UID and Instance Number, which identify the
    /// study.
    #[arg(long)]
    instances: bool,

    /// Folder for masks, overlay, COCO file, label map and measurements.
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,

    #[command(flatten)]
    saliency: SaliencyArgs,

    #[command(flatten)]
    model: ModelArgs,

    #[command(flatten)]
    view: ViewArgs,

    #[command(flatten)]
    marks: MarkArgs,

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
            mask_label: self.mask_label.clone(),
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
        reading: args.images.options(),
        instances: args.instances,
        marks: args.marks.marks(),
        prompts: Vec::new(),
        resample_masks: args.resample_mask,
        propagate: args.propagate,
        output: args.output.clone(),
    };
    let loader = options.reading.loader();
    if prompts.is_empty() && model.folder.is_some() {
        let mut volumes = model.open_volume_segmenter(args.family.as_deref()).context(
            "there are no prompts; without --box, --point, --mask or --phrase a whole volume is labelled",
        )?;
        return volume(&segment_volume(&options, &loader, volumes.as_mut())?, args, out);
    }
    options.prompts = prompts.grouped()?;
    let mut segmenter = model.open_segmenter(args.family.as_deref())?;
    let built_in = model.note(segmenter.info(), [args.image.as_path()]);
    built_in.iter().for_each(|note| out.say(note));
    let mut grounder = match options.prompts.iter().any(|p| p.phrase.is_some()) {
        true => Some(LoadedGrounder::open(&model.of(args.grounder.clone()), args.saliency.options())?),
        false => None,
    };
    let mut models =
        Segmenters { segmenter: segmenter.as_mut(), grounder: grounder.as_mut().map(LoadedGrounder::lend) };
    let document = segment_objects(&options, &loader, &mut models)?;
    document.view.warnings.iter().for_each(|warning| out.say(warning));
    match &args.output {
        Some(_) if document.objects.is_empty() => out.say("no object was segmented: nothing is written"),
        Some(dir) => out.say(&format!("masks, overlay and measurements written to {}", dir.display())),
        None => {}
    }
    for note in &document.notes {
        out.say(&format!("note: {note}"));
    }
    if out.json {
        out.document(&document)?;
    } else {
        for (n, object) in document.objects.iter().enumerate() {
            out.line(&format!("{:>3}  {}", n + 1, object_line(object)))?;
            for note in &object.notes {
                out.line(&format!("     note: {note}"))?;
            }
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
    document.notes.iter().for_each(|note| out.say(&format!("note: {note}")));
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
