//! Mini-o3: the model grounds a region of the picture or of an earlier crop, sees it, and goes on.
//!
//! Source: Mini-o3/Mini-o3 at 8654dbf, `verl/trainer/constants.py`,
//! `verl/workers/rollout/vllm_rollout/{vllm_async_engine,function_tools}.py`,
//! `verl/utils/dataset/multimodal_dataset.py` and the settings of its README (relative coordinates, 12
//! rounds and 12 images in validation, 40 000 to 2 000 000 pixels). The first picture is resized
//! into these bounds with LANCZOS; crops are cut from the unresized picture or crop and resized into
//! the bounds with NEAREST. `crop_image` could enlarge fourfold with LANCZOS, but every caller passes
//! `resize=1`, so it never does. The observation's number in the prompt counts rounds while `source`
//! counts successful crops; they part after an error, there and here. Texts of Python's own errors
//! are not all reproduced.

use super::play::{Acted, Play, Protocol, Scene, Step, system_and_user};
use crate::{actions, answer, pixels};
use loupe_core::{GenerationLimits, Part, Picture, Reply, Resampler, Stop, Turn};
use serde_json::{Value, json};
use std::sync::Arc;

/// `constants.py`, `TOOL_CROP_SYSTEM_PROMPT`.
pub const SYSTEM: &str = "You are a helpful assistant. Answer the user's question based on the image provided. Output your thinking process within the <think> and </think> tags. Whenever you find anything unclear, you can zoom in a specific region in the given image to see more clearly by outputing <grounding>{\"bbox_2d\": [x0, y0, x1, y1], \"source\": \"original_image\"}</grounding>, where (x0, y0) and (x1, y1) are the top-left and bottom-right coordinates of the region that you want to zoom in, respectively (suppose the width and height of the image are 1.0), and 'source' refers to the image that you zoom in and could be either 'original_image' or 'observation_i'. Once the final answer is confirmed, put it within <answer> and </answer>.";

/// `constants.py`, `TOOL_CALL_CROP_MULTI_TRUN_PROMPT`, before and after the picture.
pub const SHOWN: (&str, &str) = (
    "After the above Action {action}, here is the the zoom-in image (Observation {observation}):\n",
    ".\nContinue your reasoning process inside <think> and </think>. If needed, you can continue to zoom in on the original image or any of the observations, by outputting <grounding> and </grounding> as before. If the final answer is confirmed, put your final answer inside <answer> and </answer>.",
);

/// `constants.py`, `ERROR_INFO_MULTI_TURN_PROMPT`.
pub const AFTER_ERROR: &str = "Please analyze the error information obtained from the function tool and adjust your response. Countinue your reasoning process inside <think> and </think>.";

const CLOSE: &str = "</grounding>";
const IMAGES: usize = 12;
const PIXELS: (f64, f64) = (40_000.0, 2_000_000.0);

/// The protocol.
pub const PROTOCOL: Protocol = Protocol {
    name: "mini-o3",
    about: "zooms into the picture or into earlier crops by grounding, up to 12 rounds",
    source: "Mini-o3/Mini-o3@8654dbf verl/workers/rollout/vllm_rollout/vllm_async_engine.py",
    dialect: "mini-o3",
    actions: &["zoom"],
    rounds: 12,
    begin: || Box::new(MiniO3 { observations: Vec::new() }),
};

struct MiniO3 {
    /// The original picture and the crops, none of them resized, with their index in the ask.
    observations: Vec<(Arc<Picture>, usize)>,
}

impl Play for MiniO3 {
    fn limit(&self, limits: &mut GenerationLimits) {
        limits.stop = vec![CLOSE.to_owned()];
    }

    /// The stop string stays in the conversation.
    fn said(&self, reply: &Reply) -> Option<String> {
        (reply.stop == Stop::StopString).then(|| format!("{}{CLOSE}", reply.text))
    }

    fn open(&mut self, scene: &mut Scene<'_>) -> Result<Vec<Turn>, String> {
        let original = scene.picture(0).ok_or("there is no picture")?;
        let shown = first_view(&original, scene.tools.resampler)?;
        self.observations = vec![(original, 0)];
        *scene.pictures = vec![Arc::new(shown)];
        scene.media.truncate(1);
        let text = format!("\n{}", scene.request.with_options());
        Ok(system_and_user(SYSTEM, vec![Part::Picture(0), Part::Text(text)]))
    }

    fn step(&mut self, scene: &mut Scene<'_>, reply: &Reply) -> Step {
        let said = self.said(reply);
        let text = said.as_deref().unwrap_or(&reply.text);
        if !text.contains("<grounding>") || !text.contains(CLOSE) {
            let found = answer::between(text, "<answer>", "</answer>");
            return match found {
                Some(found) if text.ends_with("</answer>") => Step::Answer(found.to_owned()),
                _ => Step::Stop {
                    why: "neither a grounding nor an answer at the end".into(),
                    answer: answer::of_reply(text).to_owned(),
                },
            };
        }
        if scene.pictures.len() >= IMAGES || scene.last {
            let why = "asked for another zoom when none was left".to_owned();
            return Step::Stop { why, answer: answer::of_reply(text).to_owned() };
        }
        match self.crop(scene, text) {
            Ok(acted) => Step::Act(Box::new(acted)),
            Err(error) => {
                let say =
                    format!("ERROR occurs during grounding. Error Information: {error}.\n{AFTER_ERROR}");
                Step::fail("zoom", Value::Null, error, say)
            }
        }
    }
}

impl MiniO3 {
    fn crop(&mut self, scene: &Scene<'_>, text: &str) -> Result<Acted, String> {
        let (bbox, source) = arguments(text).ok_or("'NoneType' object has no attribute 'group'")?;
        let numbers: Value = serde_json::from_str(bbox).map_err(|_| "invalid syntax (<string>, line 1)")?;
        // A bare `assert` has no text.
        let Some(b) = super::play::four(&numbers) else { return Err(String::new()) };
        let index = match source {
            "original_image" => 0,
            named => {
                let digits = named.strip_prefix("observation_").unwrap_or_default();
                let digits =
                    digits.get(..digits.bytes().take_while(u8::is_ascii_digit).count()).unwrap_or_default();
                digits.parse().map_err(|_| {
                    format!(
                        "The 'source' argument \"{named}\" does not match the pattern 'observation_([0-9]*)'."
                    )
                })?
            }
        };
        let Some((image, shown_as)) = self.observations.get(index).cloned() else {
            return Err(format!("Error in predicting the source observation: \"{source}\"."));
        };
        let (w, h) = (image.width() as f64, image.height() as f64);
        // int() cuts towards zero; then the edges are held inside.
        let [x0, y0, x1, y1] = [b[0] * w, b[1] * h, b[2] * w, b[3] * h].map(pixels::whole);
        let cut = [x0.max(0), y0.max(0), x1.min(w as i64 - 1), y1.min(h as i64 - 1)];
        if cut[0] > cut[2] - 1 {
            return Err(format!("The bounding box is not valid in width: {cut:?}"));
        }
        if cut[1] > cut[3] - 1 {
            return Err(format!("The bounding box is not valid in height: {cut:?}"));
        }
        let region = cut.map(|v| v as f64);
        let (bw, bh) = (region[2] - region[0], region[3] - region[1]);
        if bw / bh >= 200.0 || bh / bw >= 200.0 {
            return Err(
                "The absolute aspect ratio of the bounding box exceeds 200, which is too large.".into()
            );
        }
        let crop = actions::zoom(&image, region, |w, h| (w, h), "nearest", &scene.tools)
            .map_err(|e| e.to_string())?;
        let shown = later_view(&crop, scene.tools.resampler)?;
        // The box on the picture as it was shown, for the record.
        let on = scene.picture(shown_as).ok_or("there is no picture")?;
        let scale = [on.width() as f64 / w, on.height() as f64 / h];
        let on_shown =
            [region[0] * scale[0], region[1] * scale[1], region[2] * scale[0], region[3] * scale[1]];
        self.observations.push((Arc::new(crop), scene.pictures.len()));
        let numbered = |text: &str| {
            text.replace("{action}", &scene.round.to_string())
                .replace("{observation}", &(scene.round + 1).to_string())
        };
        let arguments = json!({ "bbox_2d": b, "source": source });
        let regions = vec![(shown_as, super::play::given(on_shown))];
        let say = vec![Part::Text(numbered(SHOWN.0)), scene.next(), Part::Text(SHOWN.1.into())];
        Ok(Acted::one("zoom", arguments, regions, shown, say))
    }
}

/// `bbox` and `source` as the source's expression takes them: the last grounding that is written
/// `<grounding>{"bbox_2d": …, … "source": "…"}</grounding>`.
fn arguments(text: &str) -> Option<(&str, &str)> {
    let open = "<grounding>{\"bbox_2d\": ";
    let body = text.get(text.rfind(open)? + open.len()..)?;
    let body = body.get(..body.rfind("}</grounding>")?)?;
    let quoted = |c: char| matches!(c, '\'' | '"' | ',');
    let key = "\"source\": ";
    let at = body.rfind(key)?;
    let source = body.get(at + key.len()..)?.strip_prefix(quoted)?.strip_suffix(quoted)?;
    let before = body.get(..at)?;
    Some((before.get(..before.rfind(',')?)?.trim(), source))
}

fn scaled(picture: &Picture, factor: f64) -> (usize, usize) {
    ((picture.width() as f64 * factor) as usize, (picture.height() as f64 * factor) as usize)
}

/// Resized so that the area lies within the bounds.
fn within(picture: &Picture, filter: &str, resampler: &dyn Resampler) -> Result<Picture, String> {
    let mut picture = picture.clone();
    let area = |p: &Picture| (p.width() * p.height()) as f64;
    for bound in [PIXELS.1, PIXELS.0] {
        let outside = if bound == PIXELS.1 { area(&picture) > bound } else { area(&picture) < bound };
        if outside {
            let (w, h) = scaled(&picture, (bound / area(&picture)).sqrt());
            picture = resampler.resize(&picture, w.max(1), h.max(1), filter).map_err(|e| e.to_string())?;
        }
    }
    Ok(picture)
}

/// `process_image` of the data set.
fn first_view(picture: &Picture, resampler: &dyn Resampler) -> Result<Picture, String> {
    let picture = within(picture, "lanczos", resampler)?;
    if picture.width() < 28 || picture.height() < 28 {
        return Err("Qwen image size should be larger than 28 * 28.".into());
    }
    Ok(picture.to_rgb())
}

/// `process_image` of the engine, its slip in the last step included: a picture too tall gets
/// the width `height / 190 + 1`, one too wide the height `width / 190 + 1`.
fn later_view(picture: &Picture, resampler: &dyn Resampler) -> Result<Picture, String> {
    let resize =
        |p: &Picture, w: usize, h: usize| resampler.resize(p, w, h, "nearest").map_err(|e| e.to_string());
    let mut picture = within(picture, "nearest", resampler)?;
    let least = picture.width().min(picture.height());
    if least < 28 {
        let factor = 28.0 / least as f64;
        let w = (picture.width() as f64 * factor + 1.0) as usize;
        let h = (picture.height() as f64 * factor + 1.0) as usize;
        picture = resize(&picture, w, h)?;
    }
    if picture.width() >= 200 * picture.height() {
        picture = resize(&picture, picture.width(), (picture.width() as f64 / 190.0 + 1.0) as usize)?;
    }
    if picture.height() >= 200 * picture.width() {
        picture = resize(&picture, (picture.height() as f64 / 190.0 + 1.0) as usize, picture.height())?;
    }
    // A crop too long for the bounds of memory is refused by the crop itself.
    if picture.width() * picture.height() > pixels::MAX_CROP_PIXELS as usize {
        return Err("the crop is too long to be shown".into());
    }
    Ok(picture.to_rgb())
}
