//! Pixel-Reasoner: the model crops any picture of the conversation by tool calls, then answers in a box.
//!
//! Source: TIGER-AI-Lab/Pixel-Reasoner at a3a6c3a,
//! `curiosity_driven_rl/openrlhf/trainer/ppo_utils/experience_maker.py` (tool, loop, texts) and
//! `openrlhf/datasets/prompts_dataset.py` (`vcot`), evaluation settings. The source decides by the size
//! of the numbers whether a box is in shares or in pixels (all four below 1: shares); the protocol is
//! defined that way and followed. Crops get a tenth of the picture on each side and are resized to
//! 256 to 5120 patches of 28² pixels with BICUBIC. `select_frames` needs a video and is refused with the
//! source's words. Texts of Python's own errors are not all reproduced.

use super::play::{Acted, Play, Protocol, Scene, Step, four, system_and_user};
use crate::pixels::smart_resize;
use crate::{actions, answer};
use loupe_core::{Box2, Given, Part, Picture, Reply, Turn};
use serde_json::Value;

/// The system turn that qwen-agent's `NousFnCallPrompt` makes of the two tools.
pub const SYSTEM: &str = r##"You are a helpful assistant.

# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{"type": "function", "function": {"name": "crop_image_normalized", "description": "Zoom in on the image based on the bounding box coordinates. It is useful when the object or text in the image is too small to be seen.", "parameters": {"type": "object", "properties": {"bbox_2d": {"type": "array", "description": "coordinates for bounding box of the area you want to zoom in. Values should be within [0.0,1.0].", "items": {"type": "number"}}, "target_image": {"type": "number", "description": "The index of the image to crop. Index from 1 to the number of images. Choose 1 to operate on original image."}}, "required": ["bbox_2d", "target_image"]}}}
{"type": "function", "function": {"name": "select_frames", "description": "Select frames from a video.", "parameters": {"type": "object", "properties": {"target_frames": {"type": "array", "description": "List of frame indices to select from the video (no more than 8 frames in total).", "items": {"type": "integer", "description": "Frame index from 1 to 16."}}}, "required": ["target_frames"]}}}
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call>"##;

/// `prompts_dataset.py`: two line feeds and the template `vcot`, which begins with two of its own.
pub const GUIDELINES: &str = "\n\n\n\nGuidelines: Understand the given visual information and the user query. Determine if it is beneficial to employ the given visual operations (tools). For a video, we can look closer by `select_frames`. For an image, we can look closer by `crop_image`. Reason with the visual information step by step, and put your final answer within \\boxed{}.";

const TOOL: (&str, &str) = ("<tool_call>", "</tool_call>");
const CALLS: usize = 4;
const IMAGES: usize = 16;
const PADDING: f64 = 0.1;

/// The protocol.
pub const PROTOCOL: Protocol = Protocol {
    name: "pixel-reasoner",
    about: "crops any picture of the conversation by tool calls, at most four times",
    source: "TIGER-AI-Lab/Pixel-Reasoner@a3a6c3a curiosity_driven_rl/openrlhf/trainer/ppo_utils/experience_maker.py",
    dialect: "pixel-reasoner",
    actions: &["zoom"],
    rounds: CALLS + 1,
    begin: || Box::new(PixelReasoner),
};

struct PixelReasoner;

impl Play for PixelReasoner {
    fn open(&mut self, scene: &mut Scene<'_>) -> Result<Vec<Turn>, String> {
        let mut parts: Vec<Part> = (0..scene.pictures.len()).map(Part::Picture).collect();
        parts.push(Part::Text(format!("{}{GUIDELINES}", scene.request.with_options())));
        Ok(system_and_user(SYSTEM, parts))
    }

    fn step(&mut self, scene: &mut Scene<'_>, reply: &Reply) -> Step {
        let text = &reply.text;
        if !text.ends_with(TOOL.1) {
            return match answer::boxed(text) {
                Some(found) => Step::Answer(found.to_owned()),
                None => Step::Stop {
                    why: "neither a tool call at the end nor an answer in a box".into(),
                    answer: answer::of_reply(text).to_owned(),
                },
            };
        }
        if scene.last || scene.pictures.len() > IMAGES {
            let why = "asked for another crop when none was left".to_owned();
            return Step::Stop { why, answer: answer::of_reply(text).to_owned() };
        }
        match call(text, scene) {
            Ok(acted) => Step::Act(Box::new(acted)),
            Err(error) => {
                let say = format!("\nExecution error:\n{error}\n");
                Step::fail("zoom", Value::Null, error, say)
            }
        }
    }
}

fn call(text: &str, scene: &Scene<'_>) -> Result<Acted, String> {
    let last = text.rsplit(TOOL.0).next().unwrap_or(text);
    let last = last.split(TOOL.1).next().unwrap_or(last);
    let call: Value = serde_json::from_str(last).map_err(|e| e.to_string())?;
    let name = call.get("name").ok_or("'name'")?;
    let arguments = call.get("arguments").ok_or("'arguments'")?;
    match name.as_str() {
        Some("crop_image_normalized") => {}
        Some("select_frames") => {
            return Err("Execution Error: You attempted to `select_frames` from **image** not **video**. You should use `crop_image_normalized` instead for inspecting **image**.".into());
        }
        _ => return Err(name.as_str().map_or_else(|| name.to_string(), |n| format!("'{n}'"))),
    }
    let target = arguments.get("target_image").ok_or("'target_image'")?;
    let target = target.as_i64().ok_or("list indices must be integers or slices")?;
    let count = scene.pictures.len() as i64;
    if target > count {
        return Err(format!(
            "Execution Error: Incorrect `target_image` argument in `crop_image_normalized` operation. You can only pick an image within [1,{count}]"
        ));
    }
    // Python counts negative indices from the end, so that 0 means the last picture.
    let index = if target >= 1 { target - 1 } else { count + target - 1 };
    let index = usize::try_from(index).map_err(|_| "list index out of range")?;
    let picture = scene.picture(index).ok_or("list index out of range")?;
    let bbox = arguments.get("bbox_2d").ok_or("'bbox_2d'")?;
    let b = four(bbox).ok_or("list index out of range")?;
    let (asked, padded) = regions(b, &picture);
    let cut = crate::pixels::crop(&picture, padded).map_err(|e| e.to_string())?;
    let (w, h) = (cut.width(), cut.height());
    if w <= 28 || h <= 28 {
        return Err(format!("Cropped image is too small: {w}x{h}"));
    }
    let size = |w: usize, h: usize| smart_resize(w as f64, h as f64, 28.0, 256.0 * 784.0, 5120.0 * 784.0);
    let shown =
        actions::zoom(&picture, padded, size, "bicubic", &scene.tools).map_err(|e| e.to_string())?.to_rgb();
    let words = format!("\nHere is the cropped image (Image Size: {}x{}):", shown.width(), shown.height());
    let say = vec![Part::Text(words), scene.next()];
    Ok(Acted::one("zoom", arguments.clone(), vec![(index, asked)], shown, say))
}

/// The box asked for, and the box that is cut: both in pixels of `picture`.
fn regions(b: [f64; 4], picture: &Picture) -> (Box2<Given>, [f64; 4]) {
    let (w, h) = (picture.width() as f64, picture.height() as f64);
    let shares = if b.iter().all(|v| *v < 1.0) { b } else { [b[0] / w, b[1] / h, b[2] / w, b[3] / h] };
    let padded = [shares[0] - PADDING, shares[1] - PADDING, shares[2] + PADDING, shares[3] + PADDING];
    let held = padded.map(|v| v.clamp(0.0, 1.0));
    let pixels = |s: [f64; 4]| [s[0] * w, s[1] * h, s[2] * w, s[3] * h];
    (super::play::given(pixels(shares)), pixels(held))
}
