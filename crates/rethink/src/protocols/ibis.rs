//! `IBISAgent`: the model clicks in words, sees the mask that a segmenter makes of all clicks so far, and clicks again
//! until it is content.
//!
//! Source: Yankai96/IBISAgent at ab89901, `infer/{multi_turn,mllm_engine,sam2_engine}.py` with its defaults (no
//! history: the model sees the system turn, the latest picture and the query, nothing of earlier rounds). Clicks are
//! shares of width and height, cut to whole pixels. The segmenter gets every click so far and the low-resolution logits
//! of its previous best mask, and the best of all its candidates is taken. The picture with the mask is the original with
//! covered pixels 0.4 forest green; the words `<image>` stay in the text beside it, as there. Three equal clicks in a row
//! end the conversation before the third is used; so does a reply without a click that can be read.
//!
//! The README names `MedSAM2` as the segmenter, the code loads SAM 2 (`facebook/sam2-hiera-large`) and does not read the
//! option that would change it; the repository's users find SAM 2 better. `ibis` takes whatever segmenter is given,
//! `ibis-medsam2` refuses any but `MedSAM2`. Clicks outside the picture, which the source hands on, are refused.
//! The source computes in half precision on CUDA.

use super::play::{Acted, Outlined, Play, Protocol, Scene, Step, system_and_user};
use crate::{answer, pixels};
use loupe_core::segmenter::Refined;
use loupe_core::{GenerationLimits, Part, Picture, Point2, Reply, SegmentPrompt, Turn};
use serde_json::json;
use std::sync::Arc;

/// `multi_turn.py`, `SYSTEM_PROMPT`.
pub const SYSTEM: &str = "You are a precise and expert medical segmentation agent. Your mission is to accurately segment a target object in a medical image through a series of interactive point placements. You will be given an image and an instruction. You must carefully analyze the image state. If there is no mask, it is an initialization step. Your goal is to place a Positive Point on a clear, representative part of the target object. If a semi-transparent green mask is present, it is a refinement step. Your goal is to improve its accuracy. Place a Positive Point on a region of the target that the mask has missed, or a Negative Point on an area the mask has incorrectly included.\nYour response must strictly follow this structure: first, your detailed reasoning within <think> tags, and then your single, decisive move within <action> tags. The only valid actions are Positive Point (x, y), Negative Point (x, y), or Terminate. All coordinates (x, y) must be normalized to a 0.0-1.0 scale and formatted to four decimal places, for example: Positive Point (0.5000, 0.2500). Only use Terminate when the mask perfectly aligns with the target boundary. If you Terminate, you must also append a final, concise summary in an <answer> tag.";

/// `mllm_engine.py`, `refinement_prompt`, before and after the query.
pub const REFINE: (&str, &str) = (
    "<image>This is a refinement step. User's original query: \"",
    "\". Do you think the image with semi-transparent green mask need further segmentation? If so, please use point action; otherwise, use Terminate action.",
);

/// Forest green, and its share of a covered pixel.
const TINT: ([u8; 3], f64) = ([34, 139, 34], 0.4);
/// Equal clicks in a row that end the conversation.
const SAME: usize = 3;

/// With any segmenter.
pub const PROTOCOL: Protocol = Protocol {
    name: "ibis",
    about: "clicks in words on a segmenter's mask until it is content; the mask is the result",
    source: "Yankai96/IBISAgent@ab89901 infer/multi_turn.py",
    dialect: "family",
    actions: &["click"],
    rounds: 20,
    begin: || Box::new(Ibis::with(None)),
};

/// With the segmenter that the README names.
pub const MEDSAM2: Protocol = Protocol {
    name: "ibis-medsam2",
    about: "as ibis, on MedSAM2 alone, as its README says",
    source: "Yankai96/IBISAgent@ab89901 README.md",
    begin: || Box::new(Ibis::with(Some("medsam2"))),
    ..PROTOCOL
};

struct Ibis {
    /// The only family of segmenters that will do.
    family: Option<&'static str>,
    original: Option<Arc<Picture>>,
    clicks: Vec<Click>,
    prompts: Vec<SegmentPrompt>,
    /// Logits of the previous mask.
    logits: Option<Vec<f32>>,
    outlined: Option<Outlined>,
}

/// A click as the model wrote it, in shares of width and height.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Click {
    positive: bool,
    at: [f64; 2],
}

impl Ibis {
    fn with(family: Option<&'static str>) -> Self {
        Self { family, original: None, clicks: Vec::new(), prompts: Vec::new(), logits: None, outlined: None }
    }

    /// The mask of all clicks, and the original with that mask over it.
    fn click(&mut self, scene: &mut Scene<'_>, click: Click) -> Result<Picture, String> {
        let original = self.original.as_ref().ok_or("there is no picture")?;
        let segmenter = scene.tools.segmenter.as_mut().ok_or("no segmentation model is loaded")?;
        let [x, y] = [click.at[0] * original.width() as f64, click.at[1] * original.height() as f64];
        let at = Point2::new(pixels::whole(x) as f64, pixels::whole(y) as f64);
        self.prompts.push(SegmentPrompt::Point { at, positive: click.positive });
        let refined = segmenter.refine(original, &self.prompts, self.logits.as_deref());
        let Refined { segment, logits } = refined.map_err(|e| e.to_string())?;
        self.logits = logits;
        let shown = pixels::overlay(original, &segment.mask, TINT.0, TINT.1).map_err(|e| e.to_string())?;
        self.outlined = Some(Outlined { picture: 0, segment });
        Ok(shown)
    }
}

impl Play for Ibis {
    fn limit(&self, limits: &mut GenerationLimits) {
        limits.max_new_tokens = limits.max_new_tokens.min(512);
    }

    fn forgets(&self) -> bool {
        true
    }

    fn outlined(&self) -> Option<&Outlined> {
        self.outlined.as_ref()
    }

    fn open(&mut self, scene: &mut Scene<'_>) -> Result<Vec<Turn>, String> {
        let Some(segmenter) = &scene.tools.segmenter else {
            return Err(
                "the protocol clicks on a segmentation model, and none is loaded: name one with --segmenter"
                    .into(),
            );
        };
        let family = &segmenter.info().family;
        if let Some(wanted) = self.family.filter(|wanted| wanted != family) {
            return Err(format!(
                "the protocol is for the segmenter {wanted}, and {family} is loaded; `ibis` takes any"
            ));
        }
        if scene.pictures.len() != 1 {
            return Err(format!("the protocol is for one picture, and there are {}", scene.pictures.len()));
        }
        self.original = scene.picture(0);
        let text = format!("<image>{}", scene.request.with_options());
        Ok(system_and_user(SYSTEM, vec![Part::Picture(0), Part::Text(text)]))
    }

    fn step(&mut self, scene: &mut Scene<'_>, reply: &Reply) -> Step {
        let text = &reply.text;
        let said = || answer::of_reply(text).to_owned();
        let action = action(text);
        if action.contains("Terminate") {
            return Step::Answer(said());
        }
        let Some(click) = click(action) else {
            return Step::Stop { why: "neither a click nor Terminate".into(), answer: said() };
        };
        self.clicks.push(click);
        if self.clicks.iter().rev().take_while(|c| **c == click).count() >= SAME {
            return Step::Stop { why: format!("the same click {SAME} times in a row"), answer: said() };
        }
        match self.click(scene, click) {
            Ok(shown) => {
                let query = scene.request.with_options();
                let words = format!("{}{query}{}", REFINE.0, REFINE.1);
                let say = vec![scene.next(), Part::Text(words)];
                let arguments = json!({ "point": click.at, "positive": click.positive });
                Step::Act(Box::new(Acted::one("click", arguments, Vec::new(), shown, say)))
            }
            Err(why) => Step::Stop { why, answer: said() },
        }
    }
}

/// What stands in the first `<action>`.
fn action(text: &str) -> &str {
    let inner = text.split_once("<action>").and_then(|(_, rest)| rest.split_once("</action>"));
    inner.map_or("", |(inner, _)| inner.trim())
}

fn click(action: &str) -> Option<Click> {
    let positive = action.contains("Positive Point");
    if !positive && !action.contains("Negative Point") {
        return None;
    }
    let at = action.split('(').skip(1).find_map(|rest| {
        let (pair, _) = rest.split_once(')')?;
        let (x, y) = pair.split_once(',')?;
        let digits = |t: &str| !t.is_empty() && t.chars().all(|c| c.is_ascii_digit() || c == '.');
        let (x, y) = (x, y.trim_start());
        (digits(x) && digits(y)).then_some([x, y])
    })?;
    let [x, y] = at.map(|t| t.parse().ok());
    Some(Click { positive, at: [x?, y?] })
}
