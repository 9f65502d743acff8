//! A question about images, asked once or with a second look.

use crate::error::{AppError, InStep};
use crate::files;
use crate::findings::{BoxEntry, PointEntry, view_name};
use crate::instances::{InstanceEntry, instances_of};
use crate::open::{ImageOptions, ReadingRecord, reference};
use crate::prepare::by_recipe;
use crate::rethink::{RESAMPLER, RethinkSetup};
use loupe_core::dialect::dialect;
use loupe_core::model::Listed;
use loupe_core::trace::Trace;
use loupe_core::{
    Ask, AskId, Box2, Finding, GenerationLimits, Go, MediaLoader, MediaRef, ModelError, ModelInfo, Origin,
    Part, Picture, PictureRecord, Place, Reply, ReplySink, Source, View, VisionLanguageModel,
};
use loupe_report::exports::{ExportImage, ImageFinding, coco};
use loupe_report::{Drawing, Marks, Style, marks};
use loupe_rethink::Request;
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;

/// What is wanted of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskPrompt {
    /// An answer to this question.
    Question(String),
    /// The place of what this phrase names, asked for in the words of the model's dialect.
    Ground(String),
}

/// A question about images and how they are read.
#[derive(Debug, Clone)]
pub struct AskOptions {
    /// Files or folders of images, in the order in which the model sees them.
    pub images: Vec<String>,
    /// Which part of each, and how it becomes grey levels.
    pub view: View,
    /// Prepare each image, a volume, by this published recipe instead.
    pub recipe: Option<String>,
    /// How images are read.
    pub reading: ImageOptions,
    /// What is wanted.
    pub prompt: AskPrompt,
    /// Bounds of the reply.
    pub limits: GenerationLimits,
    /// Say which DICOM object each slice is.
    pub instances: bool,
}

impl AskOptions {
    /// `prompt` without images, everything else as usual.
    pub fn new(prompt: AskPrompt) -> Self {
        Self {
            images: Vec::new(),
            view: View::default(),
            recipe: None,
            reading: ImageOptions::default(),
            prompt,
            limits: GenerationLimits::default(),
            instances: false,
        }
    }
}

/// A question with its decoded pictures.
#[derive(Debug, Clone)]
pub struct Question {
    /// Images as they were named.
    images: Vec<String>,
    media: Vec<MediaRef>,
    pictures: Vec<Arc<Picture>>,
    /// What is said after each picture; none when empty.
    captions: Vec<String>,
    prompt: AskPrompt,
    limits: GenerationLimits,
    reading: ReadingRecord,
    instances: Vec<InstanceEntry>,
}

impl Question {
    /// What has to be said of the pictures: that a source is incomplete, or that nobody chose this one of several.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        self.pictures.iter().flat_map(|picture| picture.origin.warnings())
    }

    /// Decodes the images in the view that was asked for.
    ///
    /// # Errors
    /// When an image is missing or cannot be read so.
    pub fn read(options: &AskOptions, loader: &dyn MediaLoader) -> Result<Self, AppError> {
        let mut question = Self {
            images: options.images.clone(),
            media: Vec::new(),
            pictures: Vec::new(),
            captions: Vec::new(),
            prompt: options.prompt.clone(),
            limits: options.limits.clone(),
            reading: options.reading.record(),
            instances: Vec::new(),
        };
        if options.instances {
            for image in &options.images {
                let media = reference(image.as_ref(), options.view.clone())?;
                question.instances.extend(instances_of(&options.reading.loader(), &media, image)?);
            }
        }
        for image in &options.images {
            let media = reference(image.as_ref(), options.view.clone())?;
            if let Some(recipe) = &options.recipe {
                let made = by_recipe(recipe, image.as_ref(), &options.reading)?;
                if made.pictures.is_empty() {
                    return Err(AppError::input(format!(
                        "recipe {recipe} makes a tensor for models that take volumes; `loupe prepare` writes it"
                    )));
                }
                question.pictures.extend(made.pictures.into_iter().map(Arc::new));
                question.captions.extend(made.captions);
                question.media.push(media);
                continue;
            }
            let picture = loader.load(&media).step(|| format!("{image} could not be used"))?;
            question.pictures.push(Arc::new(picture));
            question.media.push(media);
        }
        Ok(question)
    }

    /// The questions that are asked one by one. A place is asked for on one picture at a time, because a reply in the
    /// model's dialect cannot say which picture its places are in.
    ///
    /// # Errors
    /// When the pictures are those of one volume, so that they cannot be asked about one by one.
    pub fn one_by_one(self) -> Result<Vec<Self>, AppError> {
        let one = self.pictures.len() < 2 || matches!(self.prompt, AskPrompt::Question(_));
        if one {
            return Ok(vec![self]);
        }
        if self.pictures.len() != self.media.len() {
            return Err(AppError::input(
                "a place is asked for on one picture at a time, and this recipe makes several of a volume; name the slice with --slice",
            ));
        }
        let Self { images, media, pictures, captions: _, prompt, limits, reading, instances } = self;
        let each = images.into_iter().zip(media).zip(pictures);
        Ok(each
            .map(|((image, media), picture)| Self {
                reading: reading.clone(),
                instances: instances.iter().filter(|entry| entry.image == image).cloned().collect(),
                images: vec![image],
                media: vec![media],
                pictures: vec![picture],
                captions: Vec::new(),
                prompt: prompt.clone(),
                limits: limits.clone(),
            })
            .collect())
    }

    /// The images as they were named.
    pub fn images(&self) -> &[String] {
        &self.images
    }

    /// The words for a model of this dialect.
    ///
    /// # Errors
    /// When something is to be located and the dialect has no words for that.
    pub fn words(&self, box_dialect: &str) -> Result<String, AppError> {
        match &self.prompt {
            AskPrompt::Question(words) => Ok(words.clone()),
            AskPrompt::Ground(phrase) => grounding_words(phrase, box_dialect),
        }
    }

    /// The pictures as a model of this dialect is shown them.
    fn shown(&self, box_dialect: &str) -> Result<Vec<Arc<Picture>>, AppError> {
        match &self.prompt {
            AskPrompt::Question(_) => Ok(self.pictures.clone()),
            AskPrompt::Ground(_) => self.pictures.iter().map(|p| grounding_picture(p, box_dialect)).collect(),
        }
    }

    /// The image that a finding lies in, as it was named. Images of one name in several folders are told apart by the
    /// number of the picture where that is the number of the image.
    fn named(&self, finding: &Finding) -> &str {
        let of = |media: &MediaRef| finding.origin.source.as_deref() == Some(media.name.as_str());
        let numbered = self.media.get(finding.picture).filter(|media| of(media)).map(|_| finding.picture);
        let at = numbered.or_else(|| self.media.iter().position(of));
        self.images.get(at.unwrap_or(0)).map_or("", String::as_str)
    }

    /// The views that were given, with the sizes of their sources.
    fn views(&self) -> Vec<(String, [usize; 2])> {
        let view = |(n, picture): (usize, &Arc<Picture>)| {
            let image = match self.pictures.len() == self.images.len() {
                true => self.images.get(n),
                false => self.images.first(),
            };
            let image = image.map_or("", String::as_str);
            (view_name(&picture.origin, image), picture.origin.source_size)
        };
        self.pictures.iter().enumerate().map(view).collect()
    }

    /// Asks, with a second look where there is one.
    ///
    /// # Errors
    /// When there is no reply, or the model's dialect has no words for what is wanted.
    pub fn ask(
        &self,
        model: &mut dyn VisionLanguageModel,
        rethink: Option<&mut RethinkSetup>,
        loader: &dyn MediaLoader,
    ) -> Result<AskAnswer, AppError> {
        match rethink {
            None => self.stream(model, &mut |_| Go::On),
            Some(rethink) => self.rethink(rethink, model, loader),
        }
    }

    /// One pass through the model; `piece` hears the words as they come and may stop them.
    ///
    /// # Errors
    /// As [`Question::ask`].
    pub fn stream(
        &self,
        model: &mut dyn VisionLanguageModel,
        piece: &mut dyn FnMut(&str) -> Go,
    ) -> Result<AskAnswer, AppError> {
        let words = self.words(&model.info().box_dialect)?;
        let pictures = self.shown(&model.info().box_dialect)?;
        let mut ask = Ask::pictures_then(pictures, words.clone(), self.limits.clone());
        if let Some(turn) = ask.turns.first_mut()
            && !self.captions.is_empty()
        {
            // A caption follows each picture, the question comes last.
            let captions = self.captions.iter().map(|caption| Part::Text(caption.clone()));
            let captioned = (0..self.pictures.len()).map(Part::Picture).zip(captions);
            let question = Part::Text(words.clone());
            turn.parts =
                captioned.flat_map(|(picture, caption)| [picture, caption]).chain([question]).collect();
        }
        let mut sink = OneReply { piece, reply: None };
        model.serve(&mut Listed::new(std::slice::from_ref(&ask)), &mut sink);
        let reply =
            sink.reply.unwrap_or_else(|| Err(ModelError::Compute("the model gave no reply".into())))?;
        Ok(AskAnswer { words, findings: reply.findings.clone(), reply, trace: None })
    }

    /// A protocol or strategy over the model.
    fn rethink(
        &self,
        rethink: &mut RethinkSetup,
        model: &mut dyn VisionLanguageModel,
        loader: &dyn MediaLoader,
    ) -> Result<AskAnswer, AppError> {
        let words = self.words(&model.info().box_dialect)?;
        let mut request = Request::new(self.shown(&model.info().box_dialect)?, words.clone());
        request.media.clone_from(&self.media);
        request.limits = self.limits.clone();
        let outcome = rethink.run(model, loader, RESAMPLER, request)?;
        Ok(AskAnswer { words, findings: outcome.findings, reply: outcome.reply, trace: Some(outcome.trace) })
    }
}

/// What a model of this dialect is told to locate `phrase`.
///
/// # Errors
/// When the dialect has no words for that.
pub fn grounding_words(phrase: &str, box_dialect: &str) -> Result<String, AppError> {
    dialect(box_dialect).and_then(|d| d.ask_for(phrase)).ok_or_else(|| {
        let known = loupe_core::dialect::DIALECTS.iter().filter(|d| d.ask.is_some()).map(|d| d.name);
        AppError::input(format!(
            "the dialect {box_dialect} of this model has no words that ask where something is; name another with --dialect ({}), or ask in words of your own",
            known.collect::<Vec<_>>().join(", ")
        ))
    })
}

/// A picture as a model of this dialect is shown it when it is told to locate something.
///
/// # Errors
/// When the picture cannot be prepared so.
pub fn grounding_picture(picture: &Arc<Picture>, box_dialect: &str) -> Result<Arc<Picture>, AppError> {
    let Some(dialect) = dialect(box_dialect) else { return Ok(Arc::clone(picture)) };
    dialect.shown(picture).map_err(|e| AppError::input(format!("the image could not be padded: {e}")))
}

/// Keeps the one reply and passes its words on.
struct OneReply<'a> {
    piece: &'a mut dyn FnMut(&str) -> Go,
    reply: Option<Result<Reply, ModelError>>,
}

impl ReplySink for OneReply<'_> {
    fn piece(&mut self, _: AskId, text: &str) -> Go {
        (self.piece)(text)
    }

    fn done(&mut self, _: AskId, reply: Result<Reply, ModelError>) {
        self.reply = Some(reply);
    }
}

/// What came of a question.
#[derive(Debug, Clone)]
pub struct AskAnswer {
    /// The words that were asked.
    pub words: String,
    /// The last reply.
    pub reply: Reply,
    /// What was located, on the pictures that the model spoke about: with a second look, those of the trace.
    pub findings: Vec<Finding>,
    /// The rounds of a second look.
    pub trace: Option<Trace>,
}

/// The answer as a JSON document.
#[derive(Debug, Clone, Serialize)]
pub struct AskDocument<'a> {
    /// The words that were asked.
    pub question: &'a str,
    /// The last reply.
    pub reply: &'a Reply,
    /// Boxes with their way home.
    pub boxes: Vec<BoxEntry>,
    /// Points with their way home.
    pub points: Vec<PointEntry>,
    /// Who answered.
    pub model: &'a ModelInfo,
    /// The pictures that were given, with window, plane and every step, in the order of the images.
    pub pictures: Vec<PictureRecord>,
    /// How the images were read, by which version.
    pub reading: ReadingRecord,
    /// Bounds of the reply, its seed among them.
    pub limits: &'a GenerationLimits,
    /// The DICOM objects behind the slices; only when asked for, as they identify the study.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<InstanceEntry>,
    /// The rounds of a second look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<&'a Trace>,
}

impl AskAnswer {
    /// Boxes on the images of `question`, in order.
    pub fn boxes(&self, question: &Question) -> Vec<BoxEntry> {
        self.findings.iter().filter_map(|f| BoxEntry::of(f, question.named(f))).collect()
    }

    /// Points on the images of `question`, in order.
    pub fn points(&self, question: &Question) -> Vec<PointEntry> {
        self.findings.iter().filter_map(|f| PointEntry::of(f, question.named(f))).collect()
    }

    /// The answer as a JSON document.
    pub fn document<'a>(&'a self, question: &'a Question, model: &'a ModelInfo) -> AskDocument<'a> {
        AskDocument {
            question: &self.words,
            reply: &self.reply,
            boxes: self.boxes(question),
            points: self.points(question),
            model,
            pictures: question.pictures.iter().map(|picture| PictureRecord::of(picture)).collect(),
            reading: question.reading.clone(),
            limits: &question.limits,
            instances: question.instances.clone(),
            trace: self.trace.as_ref(),
        }
    }

    /// The pictures with the findings, where a second look went, and what else is `drawn`, drawn on them.
    ///
    /// # Errors
    /// When a picture cannot be drawn on.
    pub fn overlays(
        &self,
        question: &Question,
        loader: &dyn MediaLoader,
        drawn: Marks,
    ) -> Result<Vec<Picture>, AppError> {
        let origins = self.trace.iter().flat_map(|t| t.pictures.iter().map(|p| &p.origin));
        let views = views_of(origins, &question.pictures, &question.media, loader);
        let looked = self
            .trace
            .iter()
            .flat_map(|t| t.regions().filter_map(|r| Some((r.region, &t.pictures.get(r.picture)?.origin))));
        let looked: Vec<(Box2<Source>, &Origin)> = looked.collect();
        let mut out = Vec::with_capacity(views.len());
        for view in views {
            let here: Vec<&Finding> =
                self.findings.iter().filter(|f| view.origin.same_view(&f.origin)).collect();
            let moved = |f: &&Finding| f.moved_to(0, &view.origin);
            let tag = |n: usize, label: &Option<String>| {
                format!("{} {}", n + 1, label.as_deref().unwrap_or("")).trim_end().to_owned()
            };
            let boxes = here.iter().filter(|f| f.as_box().is_some()).filter_map(moved).enumerate();
            let points = here.iter().filter(|f| f.as_point().is_some()).filter_map(moved).enumerate();
            let mut drawings: Vec<Drawing> = boxes
                .chain(points)
                .filter_map(|(n, f)| match f.at {
                    Place::Box(region) => {
                        Some(Drawing::Box { region, tag: tag(n, &f.label), style: Style::Model })
                    }
                    Place::Point(at) => Some(Drawing::Point { at, tag: tag(n, &f.label) }),
                    Place::Mask(_) => None,
                })
                .collect();
            let Some(given_from_source) = view.origin.source_from_self.inverse() else { continue };
            drawings.extend(looked.iter().filter(|(_, o)| view.origin.same_view(o)).map(|(region, _)| {
                Drawing::Box {
                    region: given_from_source.boxed(*region),
                    tag: "looked".to_owned(),
                    style: Style::Reference,
                }
            }));
            drawings.extend(marks(&view, drawn));
            out.push(loupe_report::draw(&view, &drawings)?);
        }
        Ok(out)
    }

    /// The boxes with the names of the images they lie in; those without a label get the phrase that was asked for.
    fn named_boxes(&self, question: &Question) -> Vec<(String, Finding)> {
        let phrase = match &question.prompt {
            AskPrompt::Ground(phrase) => phrase.as_str(),
            AskPrompt::Question(_) => "finding",
        };
        let named = |f: &Finding| {
            let label = f.label.clone().unwrap_or_else(|| phrase.to_owned());
            (view_name(&f.origin, question.named(f)), f.clone().with(Some(label), f.score))
        };
        self.findings.iter().filter(|f| f.as_box().is_some()).map(named).collect()
    }
}

/// Writes the overlays of all answers as `01.png`, `02.png` … into `dir`.
///
/// # Errors
/// When a picture cannot be drawn on, or the folder cannot be written.
pub fn write_overlays(
    dir: &Path,
    answers: &[(Question, AskAnswer)],
    loader: &dyn MediaLoader,
    drawn: Marks,
) -> Result<(), AppError> {
    files::make_folder(dir)?;
    let mut number = 0;
    for (question, answer) in answers {
        for picture in answer.overlays(question, loader, drawn)? {
            number += 1;
            files::write(&dir.join(format!("{number:02}.png")), &loupe_report::png(&picture)?)?;
        }
    }
    Ok(())
}

/// Writes the boxes of all answers as COCO detections. Images are numbered in the order in which they were given.
///
/// # Errors
/// When the file cannot be written.
pub fn write_coco(file: &Path, answers: &[(Question, AskAnswer)]) -> Result<(), AppError> {
    let views: Vec<(String, [usize; 2])> =
        answers.iter().flat_map(|(question, _)| question.views()).collect();
    let images: Vec<ExportImage<'_>> =
        views.iter().map(|(name, size)| ExportImage::new(name, *size)).collect();
    let named: Vec<(String, Finding)> =
        answers.iter().flat_map(|(question, answer)| answer.named_boxes(question)).collect();
    let findings: Vec<ImageFinding<'_>> =
        named.iter().map(|(image, finding)| ImageFinding { image, finding }).collect();
    let text = serde_json::to_string_pretty(&coco::detections(&images, &findings))?;
    files::write(file, text.as_bytes())
}

/// The views that a conversation was about: `given` and every other slice or plane that it went to.
fn views_of<'a>(
    origins: impl Iterator<Item = &'a Origin>,
    given: &[Arc<Picture>],
    media: &[MediaRef],
    loader: &dyn MediaLoader,
) -> Vec<Arc<Picture>> {
    let mut views = given.to_vec();
    for origin in origins {
        if !views.iter().any(|v| v.origin.same_view(origin))
            && let Some((_, again)) = origin.view_again(media)
            && let Ok(picture) = loader.load(&again)
        {
            views.push(Arc::new(picture));
        }
    }
    views
}
