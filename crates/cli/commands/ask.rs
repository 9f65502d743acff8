//! `loupe ask IMAGE… "question"`

use crate::Ended;
use crate::pick::{ImageArgs, ModelArgs, ViewArgs};
use crate::printer::Printer;
use anyhow::{Context, Result, bail};
use loupe_core::ask::FoundBox;
use loupe_core::{Ask, Limits, MediaLoader, Picture, Reply, ReplySink, Sampling};
use loupe_report::coco::{Finding, detections};
use loupe_report::{Drawing, Style};
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;
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
    pub(crate) fn limits(&self) -> Result<Limits> {
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
        Ok(Limits {
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
    model: &'a loupe_core::ModelInfo,
}

/// A box with its way home.
#[derive(Serialize)]
struct PlacedBox {
    image: String,
    label: Option<String>,
    /// `[x0, y0, x1, y1]` in pixels of the picture the model was given.
    given_xyxy: [f64; 4],
    /// The same in pixels of the image, slice or frame it was cut from.
    source_xyxy: [f64; 4],
    /// Width and height in millimetres, when the image is calibrated.
    size_mm: Option<[f64; 2]>,
    /// Patient position (LPS) of the centre in millimetres, when the image says where it was taken.
    centre_lps_mm: Option<[f64; 3]>,
}

fn place(found: &FoundBox, picture: &Picture, image: &str) -> PlacedBox {
    let source = picture.origin.source_from_self.boxed(found.region);
    PlacedBox {
        image: image.to_owned(),
        label: found.label.clone(),
        given_xyxy: found.region.xyxy(),
        source_xyxy: source.xyxy(),
        size_mm: picture.origin.spacing_mm.map(|[sx, sy]| [source.width() * sx, source.height() * sy]),
        centre_lps_mm: picture.origin.lps_of(found.region.centre()),
    }
}

/// The words sent for `--ground`, the form that grounding checkpoints of this family were taught.
pub(crate) fn grounding_prompt(phrase: &str) -> String {
    format!("Locate {phrase} in the image and give its coordinates as JSON with the key \"bbox_2d\".")
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let (paths, question) = match (&args.ground, args.words.split_last()) {
        (Some(phrase), _) => (args.words.as_slice(), grounding_prompt(phrase)),
        (None, Some((question, paths))) => (paths, question.clone()),
        (None, None) => bail!("a question is needed"),
    };
    if args.ground.is_none() && PathBuf::from(&question).is_file() {
        bail!("the last word is a file; put the question after the images, in quotes");
    }
    let loader = args.images.loader();
    let mut pictures = Vec::new();
    for path in paths {
        let media = args.view.media(path.as_ref())?;
        let picture = loader.load(&media).with_context(|| format!("{path} could not be used"))?;
        pictures.push(Arc::new(picture));
    }
    let mut model = args.model.load(args.dump.as_deref())?;
    let ask = Ask::pictures_then(pictures.clone(), question.clone(), args.limits.limits()?);
    let streaming = !out.json && out.is_terminal();
    let mut terminal = Terminal;
    let mut silent = ();
    let sink: &mut dyn ReplySink = if streaming { &mut terminal } else { &mut silent };
    let reply =
        model.generate(std::slice::from_ref(&ask), sink).pop().context("the model gave no reply")??;
    let boxes: Vec<PlacedBox> = reply
        .boxes
        .iter()
        .filter_map(|b| Some(place(b, pictures.get(b.picture)?, paths.get(b.picture)?)))
        .collect();
    if out.json {
        out.document(&Document { question: &question, reply: &reply, boxes, model: model.info() })?;
    } else {
        out.line(if streaming { "" } else { &reply.text })?;
        for (n, b) in boxes.iter().enumerate() {
            let label = b.label.as_deref().unwrap_or("box");
            let [x0, y0, x1, y1] = b.source_xyxy;
            let size = b.size_mm.map(|[w, h]| format!("  {w:.1} × {h:.1} mm")).unwrap_or_default();
            out.line(&format!("{:>3}  {label}  x {x0:.1}–{x1:.1}  y {y0:.1}–{y1:.1}{size}", n + 1))?;
        }
    }
    if let Some(dir) = &args.overlay {
        write_overlays(dir, &pictures, &reply)?;
        out.say(&format!("overlays written to {}", dir.display()));
    }
    if let Some(file) = &args.coco {
        let findings: Vec<Finding> = reply
            .boxes
            .iter()
            .filter_map(|b| {
                Some(Finding {
                    image: paths.get(b.picture)?.clone(),
                    label: b
                        .label
                        .clone()
                        .or_else(|| args.ground.clone())
                        .unwrap_or_else(|| "finding".to_owned()),
                    region: pictures.get(b.picture)?.origin.source_from_self.boxed(b.region),
                    score: b.score,
                })
            })
            .collect();
        let text = serde_json::to_string_pretty(&detections(&findings))?;
        std::fs::write(file, text).with_context(|| format!("{} could not be written", file.display()))?;
    }
    Ok(Ended::Well)
}

fn write_overlays(dir: &std::path::Path, pictures: &[Arc<Picture>], reply: &Reply) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("{} could not be made", dir.display()))?;
    for (n, picture) in pictures.iter().enumerate() {
        let boxes = reply.boxes.iter().filter(|b| b.picture == n).enumerate().map(|(k, b)| Drawing::Box {
            region: b.region,
            tag: format!("{} {}", k + 1, b.label.as_deref().unwrap_or("")).trim_end().to_owned(),
            style: Style::Model,
        });
        let points =
            reply.points.iter().filter(|p| p.picture == n).enumerate().map(|(k, p)| Drawing::Point {
                at: p.point,
                tag: format!("{} {}", k + 1, p.label.as_deref().unwrap_or("")).trim_end().to_owned(),
            });
        let drawn = loupe_report::draw(picture, &boxes.chain(points).collect::<Vec<_>>())?;
        let file = dir.join(format!("{:02}.png", n + 1));
        std::fs::write(&file, loupe_report::png(&drawn)?)
            .with_context(|| format!("{} could not be written", file.display()))?;
    }
    Ok(())
}
