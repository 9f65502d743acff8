//! `loupe ask IMAGE… "question"`

use crate::args::image::{ImageArgs, MarkArgs, ViewArgs};
use crate::args::limits::LimitArgs;
use crate::args::model::ModelArgs;
use crate::args::rethink::RethinkArgs;
use crate::printer::{Ended, Printer};
use anyhow::{Result, bail};
use loupe_app::ask::{AskAnswer, AskOptions, AskPrompt, Question, write_coco, write_overlays};
use loupe_app::findings::{BoxEntry, PointEntry, ViewEntry};
use loupe_app::form::check_form;
use loupe_core::trace::{Ended as TraceEnded, Trace};
use loupe_core::words::visible;
use loupe_core::{GenerationLimits, Go, OptionScores, OptionsFrom, Plane, Reply};
use std::io::Write;
use std::path::{Path, PathBuf};

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
    /// The model is asked in the words of its dialect (see `loupe list dialects`), about one image after the other.
    #[arg(long, value_name = "PHRASE")]
    ground: Option<String>,

    /// Say how probable each of these replies is instead of answering in words: two or more, with commas between
    /// them. Their probabilities add up to 1; `mass` is how probable it is that the model says any of them.
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', conflicts_with_all = ["ground", "rethink"])]
    options: Vec<String>,

    /// Write the pictures with the found boxes drawn on them into this folder.
    #[arg(long, value_name = "DIR")]
    overlay: Option<PathBuf>,

    /// Say in the JSON which DICOM object each slice is: SOP Instance UID and Instance Number, which identify the
    /// study.
    #[arg(long)]
    instances: bool,

    /// Write the found boxes as COCO detections; an image's number is its place on the command line, from 1. A score
    /// is there only where the model gives one.
    #[arg(long, value_name = "FILE")]
    coco: Option<PathBuf>,

    #[command(flatten)]
    rethink: RethinkArgs,

    #[command(flatten)]
    model: ModelArgs,

    #[command(flatten)]
    view: ViewArgs,

    #[command(flatten)]
    marks: MarkArgs,

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
            limits: GenerationLimits {
                options: (!self.options.is_empty()).then(|| self.options.clone()),
                ..self.limits.limits()?
            },
            instances: self.instances,
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
    check_form(&options.limits, &model_options, rethink.is_some())?;
    let mut rethink = rethink.map(|r| r.open(&model_options)).transpose()?;
    model_options.load.dump.clone_from(&args.dump);
    let in_words = args.options.is_empty();
    let streaming = !out.json && out.is_terminal() && rethink.is_none() && in_words;
    model_options.server.stream = streaming;
    let mut model = model_options.open()?;
    model.info().notes().iter().for_each(|note| out.say(note));
    let built_in = model_options.note(model.info(), options.images.iter().map(Path::new));
    built_in.iter().for_each(|note| out.say(note));
    let questions = question.one_by_one()?;
    let several = questions.len() > 1;
    let mut answers: Vec<(Question, AskAnswer)> = Vec::new();
    for question in questions {
        if several && !out.json {
            out.line(&format!("{}:", question.images().join(", ")))?;
        }
        let answer = match streaming {
            true => question.stream(model.as_mut(), &mut to_terminal)?,
            false => question.ask(model.as_mut(), rethink.as_mut(), &loader)?,
        };
        if !out.json {
            print_answer(&question, &answer, streaming, out)?;
        }
        answers.push((question, answer));
    }
    if out.json {
        let documents: Vec<_> = answers.iter().map(|(q, answer)| answer.document(q, model.info())).collect();
        match documents.as_slice() {
            [one] => out.document(one)?,
            each => out.document(&each)?,
        }
    }
    if let Some(dir) = &args.overlay {
        write_overlays(dir, &answers, &loader, args.marks.marks())?;
        out.say(&format!("overlays written to {}", dir.display()));
    }
    if let Some(file) = &args.coco {
        write_coco(file, &answers)?;
    }
    Ok(Ended::Well)
}

fn print_answer(question: &Question, answer: &AskAnswer, streamed: bool, out: &mut Printer) -> Result<()> {
    answer.trace.iter().flat_map(rounds).for_each(|line| out.say(&line));
    match &answer.reply.options {
        Some(options) => option_lines(options, &answer.reply).iter().try_for_each(|line| out.line(line))?,
        None => out.line(if streamed { "" } else { &answer.reply.text })?,
    }
    let (boxes, points) = (answer.boxes(question), answer.points(question));
    // Which of several images a place is in.
    let image = |view: &ViewEntry| match question.images() {
        [_] => String::new(),
        _ => format!("  {}", view.image),
    };
    let boxes = boxes.iter().map(|b| box_line(b) + &image(&b.view));
    let lines = boxes.chain(points.iter().map(|p| point_line(p) + &image(&p.view)));
    for (n, line) in lines.enumerate() {
        out.line(&format!("{:>3}  {line}", n + 1))?;
    }
    Ok(())
}

/// The options, the most probable first, and the mass where it is known.
fn option_lines(options: &OptionScores, reply: &Reply) -> Vec<String> {
    let mut each: Vec<_> = options.each.iter().collect();
    each.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    let lines = each.into_iter().map(|o| format!("{:.4}  {}", o.probability, o.text));
    let shares = reply.served.as_ref().is_some_and(|s| s.options_from == Some(OptionsFrom::Shares));
    let mass = (!shares).then(|| format!("{:.4}  mass (any of these)", options.mass));
    lines.chain(mass).collect()
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
    if let Some(plane) = view.plane.filter(|p| !matches!(p, Plane::Upright | Plane::Stored)) {
        words += &format!(" ({})", plane.name());
    }
    words
}

fn box_line(b: &BoxEntry) -> String {
    let [x0, y0, x1, y1] = b.source_xyxy;
    let note = b.size_note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
    let size = b.size_mm.map(|[w, h]| format!("  {w:.1} × {h:.1} mm{note}")).unwrap_or_default();
    let label = b.label.as_deref().unwrap_or("box");
    format!("{label}  x {x0:.1}–{x1:.1}  y {y0:.1}–{y1:.1}{size}{}", view_words(&b.view))
}

fn point_line(p: &PointEntry) -> String {
    let ([x, y], label) = (p.source_xy, p.label.as_deref().unwrap_or("point"));
    format!("{label}  x {x:.1}  y {y:.1}{}", view_words(&p.view))
}
