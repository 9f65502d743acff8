//! DeepEyes: the model asks for a zoom with a tool call, sees the crop, and goes on until it answers.
//!
//! Source: Visual-Agent/DeepEyes at 6c5e796, `eval/eval_vstar.py` and
//! `verl/workers/agent/envs/mm_process_engine/{visual_toolbox_v2,prompt}.py`. Evaluation and
//! training contradict each other, so there are two variants. In *evaluation* the crop is enlarged
//! by `smart_resize` with BICUBIC, boxes are not checked, the first tool call of a reply counts, and
//! any error ends the conversation. In *training* the crop is shown as it is, boxes are clipped to
//! the picture and refused when a side is at most 30 pixels or the sides differ more than hundredfold,
//! the last tool call counts, and errors are told to the model. (The source also grows boxes under 28
//! pixels, but has refused them before.) Boxes are pixels of the first picture as it was given.
//! The source's rotation tool, which its prompt does not offer, is told to be unknown.

use super::play::{Acted, Play, Protocol, Scene, Step, four, system_and_user};
use crate::pixels::smart_resize;
use crate::{actions, answer};
use loupe_core::{GenerationLimits, Part, Reply, Turn};
use serde_json::Value;

/// `eval_vstar.py`, `instruction_prompt_system`, and `prompt.py`, `SYSTEM_PROMPT_V2`.
pub const SYSTEM: &str = r#"You are a helpful assistant.

# Tools
You may call one or more functions to assist with the user query.
You are provided with function signatures within <tools></tools> XML tags:
<tools>
{"type":"function","function":{"name":"image_zoom_in_tool","description":"Zoom in on a specific region of an image by cropping it based on a bounding box (bbox) and an optional object label.","parameters":{"type":"object","properties":{"bbox_2d":{"type":"array","items":{"type":"number"},"minItems":4,"maxItems":4,"description":"The bounding box of the region to zoom in, as [x1, y1, x2, y2], where (x1, y1) is the top-left corner and (x2, y2) is the bottom-right corner."},"label":{"type":"string","description":"The name or label of the object in the specified bounding box (optional)."}},"required":["bbox"]}}}
</tools>

# How to call a tool
Return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call>

**Example**:  
<tool_call>  
{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [10, 20, 100, 200], "label": "the apple on the desk"}}  
</tool_call>"#;

/// `USER_PROMPT_V2`.
pub const USER: &str = "\nThink first, call **image_zoom_in_tool** if needed, then answer. Format strictly as:  <think>...</think>  <tool_call>...</tool_call> (if tools needed)  <answer>...</answer> ";

/// The variant of the published evaluation.
pub const EVALUATION: Protocol = Protocol {
    name: "deepeyes",
    about: "zooms by tool calls until it answers; crops enlarged with smart_resize, as in eval_vstar.py",
    source: "Visual-Agent/DeepEyes@6c5e796 eval/eval_vstar.py",
    dialect: "deepeyes",
    actions: &["zoom"],
    rounds: 11, // `try_count > 10` is tested after each try
    begin: || Box::new(DeepEyes { training: false }),
};

/// The variant of training.
pub const TRAINING: Protocol = Protocol {
    name: "deepeyes-training",
    about: "as deepeyes, but boxes are checked, crops shown as they are and errors told, as in training",
    source: "Visual-Agent/DeepEyes@6c5e796 verl/workers/agent/envs/mm_process_engine/visual_toolbox_v2.py",
    dialect: "deepeyes",
    actions: &["zoom"],
    rounds: 11,
    begin: || Box::new(DeepEyes { training: true }),
};

struct DeepEyes {
    training: bool,
}

impl Play for DeepEyes {
    fn limit(&self, limits: &mut GenerationLimits) {
        if !self.training {
            limits.max_new_tokens = limits.max_new_tokens.min(10240);
        }
    }

    fn open(&mut self, scene: &mut Scene<'_>) -> Result<Vec<Turn>, String> {
        let request = scene.request;
        // Without options the source has no form; the line is left out.
        let options = if request.choices.is_empty() {
            String::new()
        } else {
            let lines: String =
                request.choices.iter().map(|c| format!("{}. {}\n", c.letter, c.text)).collect();
            format!("Options: \n{lines}\n")
        };
        let text = format!("Question: {}\n{options}{USER}", request.question);
        let mut parts: Vec<Part> = (0..scene.pictures.len()).map(Part::Picture).collect();
        parts.push(Part::Text(text));
        Ok(system_and_user(SYSTEM, parts))
    }

    fn step(&mut self, scene: &mut Scene<'_>, reply: &Reply) -> Step {
        if self.training { training(scene, &reply.text) } else { evaluation(scene, &reply.text) }
    }
}

fn evaluation(scene: &Scene<'_>, text: &str) -> Step {
    let whole = || text.to_owned();
    if text.contains("</answer>") {
        let inner =
            text.split_once("<answer>").map(|(_, rest)| rest.split("</answer>").next().unwrap_or(rest));
        return Step::Answer(inner.map_or_else(whole, |a| a.trim().to_owned()));
    }
    let Some(call) = text.split("<tool_call>").nth(1) else {
        let why = "neither a tool call nor an answer; the source asks the same again".to_owned();
        return Step::Stop { why, answer: whole() };
    };
    let call = call.split("</tool_call>").next().unwrap_or(call).trim();
    let zoomed = serde_json::from_str::<Value>(call).map_err(|e| e.to_string()).and_then(|call| {
        let region =
            call.pointer("/arguments/bbox_2d").and_then(four).ok_or("bbox_2d is not four numbers")?;
        let picture = scene.picture(0).ok_or("there is no picture")?;
        let (w, h) = (region[2] - region[0], region[3] - region[1]);
        let size = |_, _| smart_resize(w, h, 28.0, 4.0 * 784.0, 16384.0 * 784.0);
        let crop =
            actions::zoom(&picture, region, size, "bicubic", &scene.tools).map_err(|e| e.to_string())?;
        Ok((region, call, crop))
    });
    match zoomed {
        Ok((region, call, picture)) => {
            let say = vec![
                Part::Text("<tool_response>".into()),
                scene.next(),
                Part::Text(USER.into()),
                Part::Text("</tool_response>".into()),
            ];
            acted(region, &call, picture, say)
        }
        Err(error) => Step::Stop { why: error, answer: whole() },
    }
}

fn acted(region: [f64; 4], call: &Value, picture: loupe_core::Picture, say: Vec<Part>) -> Step {
    let arguments = call.get("arguments").cloned().unwrap_or(Value::Null);
    let regions = vec![(0, super::play::given(region))];
    Step::Act(Box::new(Acted::one("zoom", arguments, regions, picture, say)))
}

fn training(scene: &Scene<'_>, text: &str) -> Step {
    if let Some(found) = last_closed(text, "<answer>", "</answer>").filter(|a| !a.is_empty()) {
        return Step::Answer(found.trim().to_owned());
    }
    let Some(call) = last_closed(text, "<tool_call>", "</tool_call>") else {
        let why = "neither a tool call nor an answer".to_owned();
        return Step::Stop { why, answer: answer::of_reply(text).to_owned() };
    };
    let call = call.trim();
    let told = |arguments: Value, error: String| {
        let say = format!("Error: {error}");
        Step::fail("zoom", arguments, error, say)
    };
    let parsed: Value = match serde_json::from_str(call) {
        Ok(parsed) => parsed,
        Err(e) => return told(Value::Null, format!("Invalid tool call format: {call}. Error: {e}")),
    };
    let Some(name) = parsed.get("name") else { return told(parsed, "'name'".into()) };
    let Some(arguments) = parsed.get("arguments") else { return told(parsed, "'arguments'".into()) };
    if name != "image_zoom_in_tool" {
        let name = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
        return told(arguments.clone(), format!("Unknown tool name: {name}"));
    }
    let Some(bbox) = arguments.get("bbox_2d") else { return told(arguments.clone(), "'bbox_2d'".into()) };
    let Some(picture) = scene.picture(0) else { return told(Value::Null, "there is no picture".into()) };
    let size = [picture.width() as f64, picture.height() as f64];
    let Some(region) = four(bbox).and_then(|b| checked(b, size)) else {
        return told(arguments.clone(), "ZOOM IN ARGUMENTS ARE INVALID".into());
    };
    match actions::zoom(&picture, region, |w, h| (w, h), "bicubic", &scene.tools) {
        Ok(crop) => {
            let say = vec![
                Part::Text("<tool_response>".into()),
                scene.next(),
                Part::Text(format!("{USER}</tool_response>")),
            ];
            acted(region, &parsed, crop, say)
        }
        Err(error) => told(arguments.clone(), error.to_string()),
    }
}

/// The last `open … close` of the text, pairs taken from the left.
fn last_closed<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let (mut rest, mut found) = (text, None);
    while let Some((_, inner)) = rest.split_once(open) {
        let Some((body, after)) = inner.split_once(close) else { break };
        (found, rest) = (Some(body), after);
    }
    found
}

/// `maybe_resize_bbox`: clipped to the picture, then checked.
fn checked([left, top, right, bottom]: [f64; 4], [width, height]: [f64; 2]) -> Option<[f64; 4]> {
    let (left, top, right, bottom) = (left.max(0.0), top.max(0.0), right.min(width), bottom.min(height));
    let (w, h) = (right - left, bottom - top);
    (w > 0.0 && h > 0.0 && w.max(h) / w.min(h) <= 100.0 && w.min(h) > 30.0)
        .then_some([left, top, right, bottom])
}
