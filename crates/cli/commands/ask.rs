//! `loupe ask IMAGE… "question"`

use crate::args::image::{ImageArgs, ViewArgs};
use crate::args::limits::LimitArgs;
use crate::args::model::ModelArgs;
use crate::args::rethink::RethinkArgs;
use crate::printer::{Ended, Printer};
use anyhow::{Result, bail};
use loupe_app::ask::{AskOptions, AskPrompt, Question};
use loupe_app::findings::{BoxEntry, PointEntry, ViewEntry};
use loupe_core::trace::{Ended as TraceEnded, Trace};
use loupe_core::words::visible;
use loupe_core::{Go, Plane};
use std::io::Write;
use std::path::PathBuf;

/// Ask a question about one or more images.
///
/// The pictures are sent first, in order, then the question, as one user turn through the
/// checkpoint's chat template.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Images (PNG, JPEG, TIFF, BMP, WebP, DICOM, NIfTI …), then the question as the last argument.
    #[arg(required = true, value_name = "IMAGE… QUESTION")]
    words: Vec<String>,

    /// Prepare each image, which must be a volume, by this published recipe (`loupe list recipes`); its
    /// captions are put between the pictures.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["slice", "plane", "frame", "window", "rethink"])]
    recipe: Option<String>,

    /// Find what this phrase names instead of asking a question; prints boxes in pixels of each image.
    /// The model is asked in the words of its dialect (see `loupe list dialects`).
    #[arg(long, value_name = "PHRASE")]
    ground: Option<String>,

    /// Write the pictures with the found boxes drawn on them into this folder.
    #[arg(long, value_name = "DIR")]
    overlay: Option<PathBuf>,

    /// Write the found boxes as COCO detections.
    #[arg(long, value_name = "FILE")]
    coco: Option<PathBuf>,

    #[command(flatten)]
    rethink: RethinkArgs,

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

impl Args {
    fn options(&self) -> Result<AskOptions> {
        let (images, prompt) = match (&self.ground, self.words.split_last()) {
            (Some(phrase), _) => (self.words.as_slice(), AskPrompt::Ground(phrase.clone())),
            (None, Some((question, images))) => (images, AskPrompt::Question(question.clone())),
            (None, None) => bail!("a question is needed"),
        };
        if let AskPrompt::Question(words) = &prompt
            && PathBuf::from(words).is_file()
        {
            bail!("the last word is a file; put the question after the images, in quotes");
        }
        Ok(AskOptions {
            images: images.to_vec(),
            view: self.view.view(),
            recipe: self.recipe.clone(),
            reading: self.images.options(),
            prompt,
            limits: self.limits.limits()?,
        })
    }
}

/// Streams the words to the terminal as they come.
fn to_terminal(piece: &str) -> Go {
    let mut out = std::io::stdout().lock();
    // Whoever read the terminal may have left; the rest is then not worth computing.
    match out.write_all(visible(piece).as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Go::On,
        Err(_) => Go::Stop,
    }
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let options = args.options()?;
    let loader = options.reading.loader();
    let question = Question::read(&options, &loader)?;
    question.warnings().for_each(|warning| out.say(warning));
    let mut model_options = args.model.options(None)?;
    let rethink = args.rethink.options(args.limits.seed);
    let mut rethink = rethink.map(|r| r.open(&model_options)).transpose()?;
    model_options.load.dump.clone_from(&args.dump);
    let mut model = model_options.open()?;
    let streaming = !out.json && out.is_terminal() && rethink.is_none();
    let answer = match streaming {
        true => question.stream(model.as_mut(), &mut to_terminal)?,
        false => question.ask(model.as_mut(), rethink.as_mut(), &loader)?,
    };
    if out.json {
        out.document(&answer.document(&question, model.info()))?;
    } else {
        answer.trace.iter().flat_map(rounds).for_each(|line| out.say(&line));
        out.line(if streaming { "" } else { &answer.reply.text })?;
        let (boxes, points) = (answer.boxes(&question), answer.points(&question));
        let lines = boxes.iter().map(box_line).chain(points.iter().map(point_line));
        for (n, line) in lines.enumerate() {
            out.line(&format!("{:>3}  {line}", n + 1))?;
        }
    }
    if let Some(dir) = &args.overlay {
        answer.write_overlays(dir, &question, &loader)?;
        out.say(&format!("overlays written to {}", dir.display()));
    }
    if let Some(file) = &args.coco {
        answer.write_coco(file, &question)?;
    }
    Ok(Ended::Well)
}

/// What was done in each round.
fn rounds(trace: &Trace) -> Vec<String> {
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

/// ` slice 40 (coronal)`, or nothing for a flat picture.
fn view_words(view: &ViewEntry) -> String {
    let mut words = String::new();
    if let Some(slice) = view.slice {
        words += &format!("  slice {slice}");
    }
    if let Some(plane) = view.plane.filter(|p| *p != Plane::Stored) {
        words += &format!(" ({})", format!("{plane:?}").to_lowercase());
    }
    words
}

fn box_line(b: &BoxEntry) -> String {
    let [x0, y0, x1, y1] = b.source_xyxy;
    let size = b.size_mm.map(|[w, h]| format!("  {w:.1} × {h:.1} mm")).unwrap_or_default();
    let label = b.label.as_deref().unwrap_or("box");
    format!("{label}  x {x0:.1}–{x1:.1}  y {y0:.1}–{y1:.1}{size}{}", view_words(&b.view))
}

fn point_line(p: &PointEntry) -> String {
    let ([x, y], label) = (p.source_xy, p.label.as_deref().unwrap_or("point"));
    format!("{label}  x {x:.1}  y {y:.1}{}", view_words(&p.view))
}
