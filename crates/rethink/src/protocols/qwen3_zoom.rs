//! Qwen3-VL thinking with images: the model zooms by tool calls, sees the crops, and answers when it is done.
//!
//! Source: QwenLM/Qwen3-VL at 9658872, `cookbooks/think_with_images.ipynb` (the first example, its optional system prompt
//! included), and what it runs on: QwenLM/Qwen-Agent at 31a4d36, `qwen_agent/tools/image_zoom_in_qwen3vl.py`,
//! `llm/fncall_prompts/nous_fncall_prompt.py` and `settings.py` (20 calls). Boxes are thousandths of the picture that
//! `img_idx` names; boxes with a side under 32 pixels grow; crops are resized to 256 to 12544 tokens of 32² pixels with
//! BICUBIC. One reply may hold several calls. Calls within thoughts do not count.
//!
//! `img_idx` counts the pictures that the user gave, so that a second zoom is relative to the original and not to the
//! crop: so the model was trained, as its maintainers say (QwenLM/Qwen3-VL issue 1667), while the tool's code would go on
//! counting among crops. The model's words stay as it wrote them, where Qwen-Agent writes its calls anew. The sampling of the notebook is left to the caller. Texts of Python's own errors are not all
//! reproduced; paths and traces are left out.

use super::play::{Acted, Play, Protocol, Scene, Step, four, system_and_user};
use crate::pixels::smart_resize;
use crate::{actions, answer};
use loupe_core::{Box2, Given, Part, Picture, Reply, Turn};
use serde_json::Value;

/// `analysis_prompt` of the notebook and the tool as `NousFnCallPrompt` describes it.
pub const SYSTEM: &str = r##"Your role is that of a research assistant specializing in visual information. Answer questions about images by looking at them closely and then using research tools. Please follow this structured thinking process and show your work.

Start an iterative loop for each question:

- **First, look closely:** Begin with a detailed description of the image, paying attention to the user's question. List what you can tell just by looking, and what you'll need to look up.
- **Next, find information:** Use a tool to research the things you need to find out.
- **Then, review the findings:** Carefully analyze what the tool tells you and decide on your next action.

Continue this loop until your research is complete.

To finish, bring everything together in a clear, synthesized answer that fully responds to the user's question.

# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{"type": "function", "function": {"name": "image_zoom_in_tool", "description": "Zoom in on a specific region of an image by cropping it based on a bounding box (bbox) and an optional object label", "parameters": {"type": "object", "properties": {"bbox_2d": {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4, "description": "The bounding box of the region to zoom in, as [x1, y1, x2, y2], where (x1, y1) is the top-left corner and (x2, y2) is the bottom-right corner"}, "label": {"type": "string", "description": "The name or label of the object in the specified bounding box"}, "img_idx": {"type": "number", "description": "The index of the zoomed-in image (starting from 0)"}}, "required": ["bbox_2d", "label", "img_idx"]}}}
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call>"##;

const TOOL: &str = "image_zoom_in_tool";
/// Shortest side of a crop before it grows.
const LEAST: f64 = 32.0;

/// The protocol.
pub const PROTOCOL: Protocol = Protocol {
    name: "qwen3-zoom",
    about: "zooms into the pictures given by tool calls, several at once if it likes, until it answers",
    source: "QwenLM/Qwen3-VL@9658872 cookbooks/think_with_images.ipynb, QwenLM/Qwen-Agent@31a4d36 qwen_agent/tools/image_zoom_in_qwen3vl.py",
    dialect: "qwen3-zoom",
    actions: &["zoom"],
    rounds: 20,
    begin: || Box::new(Qwen3Zoom { given: 0 }),
};

struct Qwen3Zoom {
    /// Pictures that the user gave.
    given: usize,
}

/// A crop, where it lies, and on which picture.
type Zoomed = (Picture, usize, Box2<Given>);

impl Play for Qwen3Zoom {
    fn open(&mut self, scene: &mut Scene<'_>) -> Result<Vec<Turn>, String> {
        self.given = scene.pictures.len();
        let mut parts: Vec<Part> = (0..self.given).map(Part::Picture).collect();
        parts.push(Part::Text(scene.request.with_options()));
        Ok(system_and_user(SYSTEM, parts))
    }

    fn step(&mut self, scene: &mut Scene<'_>, reply: &Reply) -> Step {
        let text = &reply.text;
        let calls = calls(text);
        if calls.is_empty() {
            return Step::Answer(answer::of_reply(text).to_owned());
        }
        if scene.last {
            let why = "asked for another zoom when none was left".to_owned();
            return Step::Stop { why, answer: answer::of_reply(text).to_owned() };
        }
        let mut next = scene.pictures.len();
        let (mut say, mut pictures, mut regions, mut errors) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for call in &calls {
            let open = if say.is_empty() { "<tool_response>\n" } else { "\n<tool_response>\n" };
            say.push(Part::Text(open.to_owned()));
            match self.zoom(scene, call) {
                Ok((picture, index, region)) => {
                    regions.push((index, region));
                    pictures.push(picture);
                    say.push(Part::Picture(next));
                    next += 1;
                }
                Err(error) => {
                    say.push(Part::Text(error.clone()));
                    errors.push(error);
                }
            }
            say.push(Part::Text("\n</tool_response>".to_owned()));
        }
        let arguments: Vec<Value> =
            calls.iter().map(|call| call.get("arguments").cloned().unwrap_or(Value::Null)).collect();
        let arguments = if let [one] = &arguments[..] { one.clone() } else { Value::Array(arguments) };
        let failed = (!errors.is_empty()).then(|| errors.join("\n"));
        if pictures.is_empty() {
            return Step::Fail { name: "zoom", arguments, error: failed.unwrap_or_default(), say };
        }
        Step::Act(Box::new(Acted { name: "zoom", arguments, regions, pictures, media: None, say, failed }))
    }
}

impl Qwen3Zoom {
    fn zoom(&self, scene: &Scene<'_>, call: &Value) -> Result<Zoomed, String> {
        let failed = |problem: String| format!("An error occurred when calling tool `{TOOL}`:\n{problem}");
        if call.is_null() {
            return Err(failed("ValueError: Parameters must be formatted as a valid JSON!".to_owned()));
        }
        let name = call.get("name").and_then(Value::as_str).unwrap_or_default();
        if name != TOOL {
            return Err(format!("Tool {name} does not exists."));
        }
        let invalid = |problem: String| failed(format!("ValidationError: {problem}"));
        let arguments = call.get("arguments").cloned().unwrap_or(Value::Null);
        let required = |key: &str| {
            arguments.get(key).cloned().ok_or_else(|| invalid(format!("'{key}' is a required property")))
        };
        let (bbox, label, index) = (required("bbox_2d")?, required("label")?, required("img_idx")?);
        let bbox = four(&bbox).ok_or_else(|| invalid(format!("{bbox} is not four numbers")))?;
        if !label.is_string() {
            return Err(invalid(format!("{label} is not of type 'string'")));
        }
        let index = index.as_f64().ok_or_else(|| invalid(format!("{index} is not of type 'number'")))?;
        // A list of Python's: whole numbers, negative ones from the end.
        let at = if index < 0.0 { index + self.given as f64 } else { index };
        let known = at.fract() == 0.0 && (0.0..self.given as f64).contains(&at);
        let picture = known.then(|| scene.picture(at as usize)).flatten();
        let picture = picture.ok_or_else(|| {
            format!("Error: Invalid input image: img_idx {index}, and the user gave {} (from 0)", self.given)
        })?;
        let size = [picture.width() as f64, picture.height() as f64];
        let [w, h] = size;
        let asked = [bbox[0] / 1000.0 * w, bbox[1] / 1000.0 * h, bbox[2] / 1000.0 * w, bbox[3] / 1000.0 * h];
        let cut = grown(asked, size).ok_or("Tool Execution Error float division by zero")?;
        let (width, height) = (cut[2] - cut[0], cut[3] - cut[1]);
        let resized = |_, _| smart_resize(width, height, 32.0, 256.0 * 1024.0, 12_845_056.0);
        let shown = actions::zoom(&picture, cut, resized, "bicubic", &scene.tools)
            .map_err(|e| format!("Tool Execution Error {e}"))?;
        Ok((shown, at as usize, super::play::given(asked)))
    }
}

/// `maybe_resize_bbox`: held inside the picture; a box with a side under 32 pixels grows about its centre, unless what
/// is inside the picture then still has no more than 32. `None` where the source divides by zero.
fn grown([left, top, right, bottom]: [f64; 4], [width, height]: [f64; 2]) -> Option<[f64; 4]> {
    let (left, top, right, bottom) = (left.max(0.0), top.max(0.0), right.min(width), bottom.min(height));
    let held = [left, top, right, bottom];
    let (w, h) = (right - left, bottom - top);
    if w >= LEAST && h >= LEAST {
        return Some(held);
    }
    if w.min(h) == 0.0 {
        return None;
    }
    let (x, y) = (f64::midpoint(left, right), f64::midpoint(top, bottom));
    let ratio = LEAST / w.min(h);
    let (half_w, half_h) = ((w * ratio * 0.5).ceil(), (h * ratio * 0.5).ceil());
    let left = (x - half_w).floor().max(0.0);
    let right = (x + half_w).ceil().min(width);
    let top = (y - half_h).floor().max(0.0);
    let bottom = (y + half_h).ceil().min(height);
    let fits = bottom - top > LEAST && right - left > LEAST;
    Some(if fits { [left, top, right, bottom] } else { held })
}

/// The tool calls after the thoughts, as `postprocess_fncall_messages` finds them. One that is no JSON keeps what can be
/// told of its name.
fn calls(text: &str) -> Vec<Value> {
    let after = if text.contains("<think>") {
        match text.rsplit_once("</think>") {
            Some((_, after)) => after,
            None => return Vec::new(),
        }
    } else {
        text
    };
    let each = after.split("<tool_call>").skip(1).filter(|call| !call.trim().is_empty());
    each.filter_map(|call| {
        let (body, closed) = call.split_once("</tool_call>").map_or((call, false), |(body, _)| (body, true));
        match serde_json::from_str::<Value>(body.trim()) {
            Ok(value) if !closed || value.get("name").is_some() && value.get("arguments").is_some() => {
                Some(value)
            }
            Ok(_) => None,
            Err(_) => Some(Value::Null),
        }
    })
    .collect()
}
