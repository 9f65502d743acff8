//! `loupe segment IMAGE --box … --point … --phrase …`

use super::ask::grounding_prompt;
use crate::Ended;
use crate::pick::{ImageArgs, ModelArgs, ViewArgs, load_segmenter, load_volume_segmenter};
use crate::placed::Place;
use crate::printer::Printer;
use crate::scene::Scene;
use anyhow::{Context, Result, bail};
use loupe_core::{
    Ask, Box2, GenerationLimits, Given, MediaLoader, MediaRef, ModelInfo, Picture, Point2, SegmentPrompt,
    Segmenter, Source, VisionLanguageModel,
};
use loupe_preprocess::Loader;
use loupe_report::measure::{self, FlatMeasures, Intensities, SolidMeasures};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Outline objects that points, boxes, rough masks or words describe.
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

    /// Words for a model that grounds them as boxes; may be given several times.
    #[arg(long = "phrase", value_name = "WORDS")]
    phrases: Vec<String>,

    /// JSON list of objects: `label`, `box`, `points`, `outside`, `mask`, `phrase`, each optional.
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,

    /// Checkpoint folder of the model that finds phrases; the embedded default when not given.
    #[arg(long, value_name = "DIR")]
    grounder: Option<PathBuf>,

    /// Family of the segmenter, where the checkpoint does not show it (see `loupe list models`).
    #[arg(long, value_name = "NAME")]
    family: Option<String>,

    /// Carry the outlines on through the slices of a volume, both ways, until they end.
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

/// `N` numbers with commas between.
fn numbers<const N: usize>(text: &str) -> Result<[f64; N], String> {
    let all: Option<Vec<f64>> =
        text.split(',').map(|n| n.trim().parse().ok().filter(|v: &f64| v.is_finite())).collect();
    all.and_then(|all| all.try_into().ok()).ok_or_else(|| format!("expected {N} numbers with commas between"))
}

/// What describes one object, as in the file of `--prompts`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Prompt {
    /// Name of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// `[x0, y0, x1, y1]` in source pixels.
    #[serde(rename = "box", skip_serializing_if = "Option::is_none")]
    region: Option<[f64; 4]>,
    /// Places inside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    points: Vec<[f64; 2]>,
    /// Places outside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    outside: Vec<[f64; 2]>,
    /// File of a rough mask, relative to the prompts' file.
    #[serde(skip_serializing_if = "Option::is_none")]
    mask: Option<PathBuf>,
    /// Words.
    #[serde(skip_serializing_if = "Option::is_none")]
    phrase: Option<String>,
}

impl Args {
    fn without_prompts(&self) -> bool {
        self.prompts.is_none()
            && [self.boxes.len(), self.points.len(), self.outside.len(), self.masks.len(), self.phrases.len()]
                .iter()
                .all(|n| *n == 0)
    }

    /// The objects asked for.
    fn asked(&self) -> Result<Vec<Prompt>> {
        let mut all = match &self.prompts {
            None => Vec::new(),
            Some(file) => read_prompts(file)?,
        };
        let single = |region| Prompt { region: Some(region), ..Prompt::default() };
        all.extend(self.boxes.iter().copied().map(single));
        all.extend(self.masks.iter().map(|m| Prompt { mask: Some(m.clone()), ..Prompt::default() }));
        if !self.points.is_empty() || !self.outside.is_empty() {
            let of_points =
                Prompt { points: self.points.clone(), outside: self.outside.clone(), ..Prompt::default() };
            match (self.boxes.len() + self.masks.len(), all.last_mut()) {
                (0, _) => all.push(of_points),
                (1, Some(one)) => (one.points, one.outside) = (of_points.points, of_points.outside),
                _ => {
                    bail!("points with several boxes or masks: say in a --prompts file which belong together")
                }
            }
        }
        all.extend(self.phrases.iter().map(|p| Prompt { phrase: Some(p.clone()), ..Prompt::default() }));
        if all.is_empty() {
            bail!("nothing to outline; give --box, --point, --mask, --phrase or --prompts");
        }
        Ok(all)
    }
}

fn read_prompts(file: &Path) -> Result<Vec<Prompt>> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("{} could not be read", file.display()))?;
    let mut all: Vec<Prompt> = serde_json::from_str(&text)
        .with_context(|| format!("{} is not a JSON list of objects to outline", file.display()))?;
    let folder = file.parent().unwrap_or(Path::new("."));
    for prompt in &mut all {
        if let Some(mask) = &mut prompt.mask {
            *mask = folder.join(&*mask);
        }
        if *prompt == (Prompt { label: prompt.label.clone(), ..Prompt::default() }) {
            bail!("{}: an object has neither box, points, mask nor phrase", file.display());
        }
    }
    Ok(all)
}

/// An outlined object.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Outlined {
    pub(crate) label: String,
    /// What described it.
    pub(crate) prompt: Prompt,
    /// The model's own estimate of the mask's IoU.
    pub(crate) predicted_iou: Option<f32>,
    /// `[x0, y0, x1, y1]` around the mask in source pixels; none when it is empty.
    pub(crate) box_xyxy: Option<[f64; 4]>,
    #[serde(flatten)]
    pub(crate) flat: FlatMeasures,
    /// Centre of the mask in patient millimetres (LPS).
    pub(crate) centre_lps_mm: Option<[f64; 3]>,
    /// Values under the mask in the image's own unit.
    pub(crate) intensities: Option<Intensities>,
    /// `HU` where the file says that it is CT.
    pub(crate) unit: Option<&'static str>,
    /// Of the mask through the volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) solid: Option<SolidMeasures>,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Document {
    #[serde(flatten)]
    pub(crate) place: Place,
    pub(crate) model: ModelInfo,
    pub(crate) objects: Vec<Outlined>,
    /// Objects without a mask, and why.
    pub(crate) failed: Vec<Failure>,
}

/// An object without a mask.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Failure {
    prompt: Prompt,
    pub(crate) reason: String,
}

/// Models that take part.
pub(crate) struct Helpers<'a> {
    pub(crate) segmenter: &'a mut dyn Segmenter,
    /// Finds phrases.
    pub(crate) grounder: Option<&'a mut dyn VisionLanguageModel>,
}

/// The hints of one object in pixels of the picture.
struct Wanted {
    label: String,
    prompt: Prompt,
    hints: Vec<SegmentPrompt>,
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let media = args.view.media(&args.image)?;
    let loader = args.images.loader();
    if let (true, Some(dir)) = (args.without_prompts(), &args.model.model) {
        return whole(args, dir, &media, &loader, out);
    }
    let asked = args.asked()?;
    let mut segmenter = load_segmenter(args.model.model.as_ref(), args.family.as_deref(), &args.model)?;
    let mut grounder = match asked.iter().any(|p| p.phrase.is_some()) {
        true => Some(ModelArgs { model: args.grounder.clone(), ..args.model.clone() }.load(None)?),
        false => None,
    };
    let mut helpers = Helpers {
        segmenter: segmenter.as_mut(),
        // Matched by hand: the trait object's own lifetime is longer than this call.
        grounder: match &mut grounder {
            Some(model) => Some(model.as_mut()),
            None => None,
        },
    };
    let document = outline(args, asked, &media, &loader, &mut helpers, out)?;
    if out.json {
        out.document(&document)?;
    } else {
        print(&document, out)?;
    }
    Ok(if document.failed.is_empty() { Ended::Well } else { Ended::WithFailures })
}

/// A structure of a volume.
#[derive(Debug, Serialize)]
struct Structure {
    label: u16,
    name: Option<String>,
    #[serde(flatten)]
    solid: SolidMeasures,
    /// Values under the mask in the image's own unit.
    intensities: Option<Intensities>,
}

#[derive(Debug, Serialize)]
struct Whole {
    image: String,
    model: ModelInfo,
    structures: Vec<Structure>,
}

/// Labels a whole volume with a model that takes no prompts.
fn whole(args: &Args, dir: &Path, media: &MediaRef, loader: &Loader, out: &mut Printer) -> Result<Ended> {
    let mut model = load_volume_segmenter(dir, args.family.as_deref(), &args.model).context(
        "there are no prompts; without --box, --point, --mask or --phrase a whole volume is labelled",
    )?;
    let image = args.image.display().to_string();
    let read = loader.load_volume(media).with_context(|| format!("{image} could not be used"))?;
    let labels = model.label(&read.volume)?;
    let mut present: Vec<u16> = labels.labels.iter().copied().filter(|v| *v != 0).collect();
    present.sort_unstable();
    present.dedup();
    let structures = present.into_iter().map(|label| {
        let under = labels.labels.iter().zip(&read.volume.voxels).filter(|(l, _)| **l == label);
        Structure {
            label,
            name: labels.names.get(&label).cloned(),
            solid: measure::solid(&labels, label),
            intensities: measure::intensities(under.map(|(_, v)| f64::from(*v))),
        }
    });
    let whole = Whole { image, model: model.info().clone(), structures: structures.collect() };
    if let Some(dir) = &args.output {
        std::fs::create_dir_all(dir).with_context(|| format!("{} could not be made", dir.display()))?;
        write(&dir.join("labels.nii.gz"), &loupe_preprocess::nifti::label_bytes(&labels)?)?;
        write(&dir.join("measures.json"), serde_json::to_string_pretty(&whole)?.as_bytes())?;
        out.say(&format!("label map and measurements written to {}", dir.display()));
    }
    if out.json {
        out.document(&whole)?;
        return Ok(Ended::Well);
    }
    for s in &whole.structures {
        let name = s.name.clone().unwrap_or_else(|| format!("label {}", s.label));
        let mean =
            s.intensities.as_ref().map(|i| format!("  mean {:.1} ± {:.1}", i.mean, i.sd)).unwrap_or_default();
        let (ml, longest) = (s.solid.volume_mm3 / 1000.0, s.solid.longest_mm);
        out.line(&format!("{:>3}  {name}  {ml:.2} ml  longest in space {longest:.1} mm{mean}", s.label))?;
    }
    Ok(Ended::Well)
}

/// Outlines everything, measures it and writes the files.
pub(crate) fn outline(
    args: &Args,
    asked: Vec<Prompt>,
    media: &MediaRef,
    loader: &Loader,
    helpers: &mut Helpers<'_>,
    out: &Printer,
) -> Result<Document> {
    let image = args.image.display().to_string();
    let picture = Arc::new(loader.load(media).with_context(|| format!("{image} could not be used"))?);
    let mut scene = Scene::new(Arc::clone(&picture), media.clone(), loader);
    if args.propagate && scene.volume().is_none() {
        bail!("--propagate goes through the slices of a volume, and {image} has none");
    }
    let mut document = Document {
        place: Place::of(&picture.origin, &image),
        model: helpers.segmenter.info().clone(),
        objects: Vec::new(),
        failed: Vec::new(),
    };
    let mut all = Vec::new();
    for prompt in asked {
        match hints_of(&prompt, all.len(), &scene, helpers, loader) {
            Ok(wanted) => all.extend(wanted),
            Err(error) => document.failed.push(Failure { prompt, reason: format!("{error:#}") }),
        }
    }
    // All at once: the picture is encoded once and prompts of a kind are decoded together.
    let objects: Vec<Vec<SegmentPrompt>> = all.iter().map(|w| w.hints.clone()).collect();
    let found = helpers.segmenter.segment_all(&picture, &objects);
    for (Wanted { label, prompt, hints }, found) in all.into_iter().zip(found) {
        let best = match found.map(|f| f.into_iter().next()) {
            Ok(Some(best)) => best,
            Ok(None) => {
                document.failed.push(Failure { prompt, reason: "the model found nothing".to_owned() });
                continue;
            }
            Err(error) => {
                document.failed.push(Failure { prompt, reason: error.to_string() });
                continue;
            }
        };
        let measured = scene.add(&label, &best.mask);
        if args.propagate {
            scene.propagate(&hints, helpers.segmenter)?;
        }
        document.objects.push(Outlined {
            label,
            prompt,
            predicted_iou: best.predicted_iou,
            box_xyxy: measured.box_xyxy,
            flat: measured.flat,
            centre_lps_mm: measured.centre_lps_mm,
            intensities: measured.intensities,
            unit: scene.unit(),
            solid: scene.solid(),
        });
    }
    if let Some(dir) = &args.output {
        scene.write(dir, &image)?;
        let text = serde_json::to_string_pretty(&document)?;
        write(&dir.join("measures.json"), text.as_bytes())?;
        out.say(&format!("masks, overlay and measurements written to {}", dir.display()));
    }
    Ok(document)
}

/// Writes a file, naming it when that fails.
pub(crate) fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(file, bytes).with_context(|| format!("{} could not be written", file.display()))
}

/// What the segmenter is told; a phrase may stand for several objects. `before` is the number of
/// objects that come earlier.
fn hints_of(
    prompt: &Prompt,
    before: usize,
    scene: &Scene<'_>,
    helpers: &mut Helpers<'_>,
    loader: &Loader,
) -> Result<Vec<Wanted>> {
    let place = |[x, y]: [f64; 2]| scene.given(Point2::new(x, y));
    let mut hints = Vec::new();
    if let Some([x0, y0, x1, y1]) = prompt.region {
        let region = Box2::<Source>::new(x0, y0, x1, y1);
        if !region.is_proper() {
            bail!("the box {x0},{y0},{x1},{y1} has no area; the corners are x0,y0 (upper left) and x1,y1");
        }
        hints.push(SegmentPrompt::Box(scene.given_box(region)));
    }
    hints.extend(prompt.points.iter().map(|p| SegmentPrompt::Point { at: place(*p), positive: true }));
    hints.extend(prompt.outside.iter().map(|p| SegmentPrompt::Point { at: place(*p), positive: false }));
    if let Some(file) = &prompt.mask {
        let drawn = loader
            .load(&MediaRef::file(file))
            .with_context(|| format!("the mask {} could not be read", file.display()))?;
        hints.push(SegmentPrompt::Mask(scene.given_mask(&drawn)?));
    }
    let label = |n: usize| match (&prompt.label, &prompt.phrase) {
        (Some(label), _) => label.clone(),
        (None, Some(phrase)) => phrase.clone(),
        (None, None) => format!("object {}", before + n + 1),
    };
    let Some(phrase) = &prompt.phrase else {
        return Ok(vec![Wanted { label: label(0), prompt: prompt.clone(), hints }]);
    };
    let Some(grounder) = &mut helpers.grounder else { bail!("a phrase needs a model that finds it") };
    let boxes = find(*grounder, scene.picture(), phrase)?;
    let one = |(n, region): (usize, Box2<Given>)| {
        let mut hints = hints.clone();
        hints.insert(0, SegmentPrompt::Box(region));
        let region = Some(scene.picture().origin.source_from_self.boxed(region).xyxy());
        Wanted { label: label(n), prompt: Prompt { region, ..prompt.clone() }, hints }
    };
    Ok(boxes.into_iter().enumerate().map(one).collect())
}

/// Boxes of what a phrase names, from a model that grounds.
fn find(
    model: &mut dyn VisionLanguageModel,
    picture: &Arc<Picture>,
    phrase: &str,
) -> Result<Vec<Box2<Given>>> {
    let ask =
        Ask::pictures_then(vec![Arc::clone(picture)], grounding_prompt(phrase), GenerationLimits::default());
    let reply = model.generate(std::slice::from_ref(&ask), &mut ()).pop();
    let reply = reply.context("the model gave no reply")??;
    let boxes: Vec<Box2<Given>> = reply.boxes.iter().map(|b| b.region).filter(|b| b.is_proper()).collect();
    if boxes.is_empty() {
        bail!("the model that grounds found no box for {phrase:?}; it said {:?}", reply.text);
    }
    Ok(boxes)
}

fn print(document: &Document, out: &mut Printer) -> Result<()> {
    for (n, o) in document.objects.iter().enumerate() {
        let mut line = format!("{:>3}  {}  {} px", n + 1, o.label, o.flat.area_px);
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
        out.line(&line)?;
    }
    for failure in &document.failed {
        let prompt = serde_json::to_string(&failure.prompt)?;
        out.say(&format!("failed: {}: {prompt}", failure.reason));
    }
    Ok(())
}

#[cfg(test)]
#[path = "segment_tests.rs"]
mod tests;
