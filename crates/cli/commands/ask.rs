//! `loupe ask IMAGE… "question"`

use crate::Ended;
use crate::commands::prepare::by_recipe;
use crate::pick::{ImageArgs, ModelArgs, ViewArgs};
use crate::placed::{PlacedBox, PlacedPoint};
use crate::printer::Printer;
use crate::second_look::{Look, LookArgs, views_of};
use anyhow::{Context, Result, bail};
use loupe_core::trace::{Ended as TraceEnded, Trace};
use loupe_core::{
    Ask, Box2, GenerationLimits, MediaLoader, MediaRef, ModelInfo, Origin, Part, Picture, Point2, Reply,
    ReplySink, Sampling, Source, VisionLanguageModel,
};
use loupe_report::coco::{Finding, detections};
use loupe_report::{Drawing, Style};
use loupe_rethink::Request;
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Ask a question about one or more images.
///
/// The pictures are sent first, in order, then the question, as one user turn through the
/// checkpoint's chat template.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Images (PNG, JPEG, TIFF, BMP, WebP, DICOM, NIfTI …), then the question as the last word.
    #[arg(required = true, value_name = "IMAGE… QUESTION")]
    words: Vec<String>,

    /// Prepare each image, a volume, by this published recipe (`loupe list recipes`), with the captions
    /// that the recipe puts between the pictures.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["slice", "plane", "frame", "window", "rethink"])]
    recipe: Option<String>,

    /// Locate this instead of asking a question; prints boxes in pixels of each image.
    #[arg(long, value_name = "PHRASE")]
    ground: Option<String>,

    /// Write the pictures with the found boxes drawn on them into this folder.
    #[arg(long, value_name = "DIR")]
    overlay: Option<PathBuf>,

    /// Write the found boxes as COCO detections.
    #[arg(long, value_name = "FILE")]
    coco: Option<PathBuf>,

    #[command(flatten)]
    look: LookArgs,

    #[command(flatten)]
    model: ModelArgs,

    #[command(flatten)]
    view: ViewArgs,

    #[command(flatten)]
    images: ImageArgs,

    #[command(flatten)]
    limits: LimitArgs,

    /// Write what the model saw and computed to DIR/dump.safetensors.
    #[arg(long, value_name = "DIR")]
    dump: Option<PathBuf>,
}

/// How to generate.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Generation")]
pub(crate) struct LimitArgs {
    /// Most tokens in a reply.
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub(crate) max_new_tokens: usize,

    /// Draw tokens at this temperature; 0 takes the likeliest.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) temperature: f64,

    /// Draw from the K likeliest tokens only; 0 for all.
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub(crate) top_k: usize,

    /// Draw from the likeliest tokens that make up this probability.
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    pub(crate) top_p: f64,

    /// Make tokens that were seen already less likely (above 1).
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    pub(crate) repetition_penalty: f64,

    /// Seed of the draws; the same seed gives the same text.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,

    /// End the reply before this string; may be given several times.
    #[arg(long, value_name = "TEXT")]
    pub(crate) stop: Vec<String>,

    /// Record log-probabilities of the chosen token and the K likeliest.
    #[arg(long, value_name = "K")]
    pub(crate) logprobs: Option<usize>,
}

impl LimitArgs {
    /// The limits in the words of `core`.
    pub(crate) fn limits(&self) -> Result<GenerationLimits> {
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            bail!("--temperature must be 0 or more");
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            bail!("--top-p must lie above 0 and at most at 1");
        }
        if !(self.repetition_penalty.is_finite() && self.repetition_penalty > 0.0) {
            bail!("--repetition-penalty must be above 0");
        }
        if self.max_new_tokens == 0 {
            bail!("--max-new-tokens must be at least 1");
        }
        let sampling = if self.temperature == 0.0 {
            Sampling::Greedy
        } else {
            Sampling::Random {
                temperature: self.temperature,
                top_k: self.top_k,
                top_p: self.top_p,
                seed: self.seed,
            }
        };
        Ok(GenerationLimits {
            max_new_tokens: self.max_new_tokens,
            sampling,
            repetition_penalty: self.repetition_penalty,
            stop: self.stop.clone(),
            logprobs: self.logprobs,
        })
    }
}

/// Streams the words to the terminal as they come.
struct Terminal;

impl ReplySink for Terminal {
    fn piece(&mut self, _: usize, piece: &str) {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(piece.as_bytes()).and_then(|()| out.flush());
    }
}

#[derive(Serialize)]
struct Document<'a> {
    question: &'a str,
    reply: &'a Reply,
    boxes: Vec<PlacedBox>,
    points: Vec<PlacedPoint>,
    model: &'a ModelInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<&'a Trace>,
}

/// The words sent for `--ground`, the form that grounding checkpoints of this family were taught.
pub(crate) fn grounding_prompt(phrase: &str) -> String {
    format!("Locate {phrase} in the image and give its coordinates as JSON with the key \"bbox_2d\".")
}

/// A question with its images.
pub(crate) struct Question<'a> {
    /// Images as they were named.
    pub(crate) paths: &'a [String],
    pub(crate) media: Vec<MediaRef>,
    pub(crate) pictures: Vec<Arc<Picture>>,
    /// What is said after each picture; none when empty.
    pub(crate) captions: Vec<String>,
    pub(crate) words: String,
    pub(crate) limits: GenerationLimits,
}

/// A box or point on the source of a picture with this origin.
struct Found<T> {
    at: T,
    label: Option<String>,
    score: Option<f64>,
    origin: Origin,
}

/// What came of a question.
pub(crate) struct Answered {
    reply: Reply,
    boxes: Vec<Found<Box2<Source>>>,
    points: Vec<Found<Point2<Source>>>,
    trace: Option<Trace>,
}

impl<'a> Question<'a> {
    /// Loads the images in the view that was asked for.
    fn read(args: &Args, paths: &'a [String], words: String, loader: &dyn MediaLoader) -> Result<Self> {
        let mut question = Self {
            paths,
            media: Vec::new(),
            pictures: Vec::new(),
            captions: Vec::new(),
            words,
            limits: args.limits.limits()?,
        };
        for path in paths {
            let media = args.view.media(path.as_ref())?;
            if let Some(recipe) = &args.recipe {
                let made = by_recipe(recipe, path.as_ref(), &args.images)?;
                if made.pictures.is_empty() {
                    bail!(
                        "recipe {recipe} makes a tensor for models that take volumes; `loupe prepare` writes it"
                    );
                }
                question.pictures.extend(made.pictures.into_iter().map(Arc::new));
                question.captions.extend(made.captions);
                question.media.push(media);
                continue;
            }
            let picture = loader.load(&media).with_context(|| format!("{path} could not be used"))?;
            question.pictures.push(Arc::new(picture));
            question.media.push(media);
        }
        Ok(question)
    }
    /// The image of a picture as it was named.
    fn named(&self, origin: &Origin) -> &str {
        let at = self.media.iter().position(|m| origin.source.as_deref() == Some(m.name.as_str()));
        self.paths.get(at.unwrap_or(0)).map_or("", String::as_str)
    }

    /// One pass through the model.
    fn once(&self, model: &mut dyn VisionLanguageModel, sink: &mut dyn ReplySink) -> Result<Answered> {
        let mut ask = Ask::pictures_then(self.pictures.clone(), self.words.clone(), self.limits.clone());
        if let Some(turn) = ask.turns.first_mut()
            && !self.captions.is_empty()
        {
            // A caption follows each picture, the question comes last.
            let captions = self.captions.iter().map(|caption| Part::Text(caption.clone()));
            let captioned = (0..self.pictures.len()).map(Part::Picture).zip(captions);
            let question = Part::Text(self.words.clone());
            turn.parts =
                captioned.flat_map(|(picture, caption)| [picture, caption]).chain([question]).collect();
        }
        let replies = model.generate(std::slice::from_ref(&ask), sink).pop();
        let reply = replies.context("the model gave no reply")??;
        let boxes = reply.boxes.iter().filter_map(|b| {
            let origin = &self.pictures.get(b.picture)?.origin;
            let at = origin.source_from_self.boxed(b.region);
            Some(Found { at, label: b.label.clone(), score: b.score, origin: origin.clone() })
        });
        let points = reply.points.iter().filter_map(|p| {
            let origin = &self.pictures.get(p.picture)?.origin;
            let at = origin.source_from_self.point(p.point);
            Some(Found { at, label: p.label.clone(), score: None, origin: origin.clone() })
        });
        Ok(Answered { boxes: boxes.collect(), points: points.collect(), reply, trace: None })
    }

    /// A protocol or strategy over the model.
    fn again(
        &self,
        look: &mut Look,
        model: &mut dyn VisionLanguageModel,
        loader: &dyn MediaLoader,
    ) -> Result<Answered> {
        let mut request = Request::new(self.pictures.clone(), self.words.clone());
        request.media.clone_from(&self.media);
        request.limits = self.limits.clone();
        let outcome = look.run(model, loader, request)?;
        let origin = |n: usize| outcome.trace.pictures.get(n).map(|p| p.origin.clone());
        let boxes = outcome.boxes.iter().filter_map(|b| {
            Some(Found { at: b.region, label: b.label.clone(), score: b.score, origin: origin(b.picture)? })
        });
        let points = outcome.points.iter().filter_map(|p| {
            Some(Found { at: p.point, label: p.label.clone(), score: None, origin: origin(p.picture)? })
        });
        let (boxes, points) = (boxes.collect(), points.collect());
        Ok(Answered { boxes, points, reply: outcome.reply, trace: Some(outcome.trace) })
    }

    /// Asks, with a second look where there is one.
    pub(crate) fn ask(
        &self,
        model: &mut dyn VisionLanguageModel,
        look: Option<&mut Look>,
        loader: &dyn MediaLoader,
        sink: &mut dyn ReplySink,
    ) -> Result<Answered> {
        match look {
            None => self.once(model, sink),
            Some(look) => self.again(look, model, loader),
        }
    }
}

impl Answered {
    fn placed(&self, question: &Question<'_>) -> (Vec<PlacedBox>, Vec<PlacedPoint>) {
        let boxes = self
            .boxes
            .iter()
            .map(|b| PlacedBox::new(b.at, b.label.clone(), b.score, &b.origin, question.named(&b.origin)));
        let points = self
            .points
            .iter()
            .map(|p| PlacedPoint::new(p.at, p.label.clone(), &p.origin, question.named(&p.origin)));
        (boxes.collect(), points.collect())
    }

    /// The answer as JSON.
    pub(crate) fn document(&self, question: &Question<'_>, model: &ModelInfo) -> Result<serde_json::Value> {
        let (boxes, points) = self.placed(question);
        let document = Document {
            question: &question.words,
            reply: &self.reply,
            boxes,
            points,
            model,
            trace: self.trace.as_ref(),
        };
        Ok(serde_json::to_value(&document)?)
    }

    /// What was done in each round, for people.
    fn rounds(&self) -> Vec<String> {
        let Some(trace) = &self.trace else { return Vec::new() };
        let mut lines = Vec::new();
        for (n, round) in trace.rounds.iter().enumerate() {
            let mut line = format!("{} ({}): {}", n + 1, round.purpose, round.words().trim());
            if let Some(action) = &round.action {
                line += &format!("\n   → {} {}", action.name, action.arguments);
            }
            if let Some(error) = &round.error {
                line += &format!("\n   failed: {error}");
            }
            lines.push(line);
        }
        if trace.ended != TraceEnded::Answered {
            let why = serde_json::to_string(&trace.ended).unwrap_or_default();
            lines.push(format!("ended early, the best answer so far: {why}"));
        }
        lines
    }

    /// The pictures with what was found, and where a second look went, drawn on them.
    pub(crate) fn overlays(&self, question: &Question<'_>, loader: &dyn MediaLoader) -> Result<Vec<Picture>> {
        let shown = self.trace.iter().flat_map(|t| t.pictures.iter().map(|p| &p.origin));
        let views = views_of(shown, &question.pictures, &question.media, loader);
        let regions = self
            .trace
            .iter()
            .flat_map(|t| t.regions().filter_map(|r| Some((r.region, &t.pictures.get(r.picture)?.origin))));
        let regions: Vec<(Box2<Source>, &Origin)> = regions.collect();
        let mut out = Vec::with_capacity(views.len());
        for view in views {
            let Some(back) = view.origin.source_from_self.inverse() else { continue };
            let here = |origin: &Origin| view.origin.same_view(origin);
            let tag = |n: usize, label: &Option<String>| {
                format!("{} {}", n + 1, label.as_deref().unwrap_or("")).trim_end().to_owned()
            };
            let looked = regions.iter().filter(|(_, o)| here(o)).map(|(region, _)| Drawing::Box {
                region: back.boxed(*region),
                tag: "looked".to_owned(),
                style: Style::Reference,
            });
            let boxes = self.boxes.iter().filter(|b| here(&b.origin)).enumerate();
            let boxes = boxes.map(|(n, b)| Drawing::Box {
                region: back.boxed(b.at),
                tag: tag(n, &b.label),
                style: Style::Model,
            });
            let points = self.points.iter().filter(|p| here(&p.origin)).enumerate();
            let points = points.map(|(n, p)| Drawing::Point { at: back.point(p.at), tag: tag(n, &p.label) });
            out.push(loupe_report::draw(&view, &boxes.chain(points).chain(looked).collect::<Vec<_>>())?);
        }
        Ok(out)
    }

    /// The boxes for COCO; `phrase` names those without a label.
    fn findings(&self, question: &Question<'_>, phrase: Option<&str>) -> Vec<Finding> {
        let one = |b: &Found<Box2<Source>>| {
            let slice = b.origin.slice.map(|n| format!("#slice={n}")).unwrap_or_default();
            Finding {
                image: format!("{}{slice}", question.named(&b.origin)),
                label: b.label.clone().unwrap_or_else(|| phrase.unwrap_or("finding").to_owned()),
                region: b.at,
                score: b.score,
            }
        };
        self.boxes.iter().map(one).collect()
    }
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let (paths, words) = match (&args.ground, args.words.split_last()) {
        (Some(phrase), _) => (args.words.as_slice(), grounding_prompt(phrase)),
        (None, Some((question, paths))) => (paths, question.clone()),
        (None, None) => bail!("a question is needed"),
    };
    if args.ground.is_none() && PathBuf::from(&words).is_file() {
        bail!("the last word is a file; put the question after the images, in quotes");
    }
    let loader = args.images.loader();
    let question = Question::read(args, paths, words, &loader)?;
    let mut look = args.look.load(&args.model, args.limits.seed)?;
    let mut model = args.model.load(args.dump.as_deref())?;
    let streaming = !out.json && out.is_terminal() && look.is_none();
    let mut terminal = Terminal;
    let mut silent = ();
    let sink: &mut dyn ReplySink = if streaming { &mut terminal } else { &mut silent };
    let answered = question.ask(model.as_mut(), look.as_mut(), &loader, sink)?;
    if out.json {
        out.document(&answered.document(&question, model.info())?)?;
    } else {
        answered.rounds().iter().for_each(|line| out.say(line));
        out.line(if streaming { "" } else { &answered.reply.text })?;
        let (boxes, points) = answered.placed(&question);
        let lines = boxes.iter().map(PlacedBox::words).chain(points.iter().map(PlacedPoint::words));
        for (n, line) in lines.enumerate() {
            out.line(&format!("{:>3}  {line}", n + 1))?;
        }
    }
    if let Some(dir) = &args.overlay {
        write_overlays(dir, &answered.overlays(&question, &loader)?)?;
        out.say(&format!("overlays written to {}", dir.display()));
    }
    if let Some(file) = &args.coco {
        let found = detections(&answered.findings(&question, args.ground.as_deref()));
        let text = serde_json::to_string_pretty(&found)?;
        std::fs::write(file, text).with_context(|| format!("{} could not be written", file.display()))?;
    }
    Ok(Ended::Well)
}

fn write_overlays(dir: &Path, drawn: &[Picture]) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("{} could not be made", dir.display()))?;
    for (n, picture) in drawn.iter().enumerate() {
        let file = dir.join(format!("{:02}.png", n + 1));
        std::fs::write(&file, loupe_report::png(picture)?)
            .with_context(|| format!("{} could not be written", file.display()))?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "ask_tests.rs"]
mod tests;
