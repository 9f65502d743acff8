//! Ophiuchus: the model zooms, segments by box, looks at what came out and goes on until it answers.
//!
//! Source: SII-zyj/Ophiuchus at 2560233, `agent_system/environments/prompts/medical_agent.py` and
//! `agent_system/environments/env_package/medical_agent/envs.py`, with 4 steps (its own default; the training script allows
//! 6). The prompt says that coordinates lie in 512 × 512, the tools take them as pixels of the picture that `index` names,
//! as is done here. Pictures are numbered from 1 over the one given and all that tools show; a list may ask for several
//! at once. Masks are laid over the picture half red.
//!
//! `SAM2` is the segmenter that is loaded, asked by box. `BiomedParse`, which segments by words, is the same segmenter asked
//! by phrase: one that takes none is told so. The source finds the answer's letter anywhere in a reply, the article "a"
//! included; here an answer is what stands in `<answer>` or after `Answer:`. Where the source would ask again without a word
//! (a tool without anything that can be read, neither tool nor answer) the conversation ends. Several results are one
//! user turn here, in the source one each. Its weights are not published yet.

use super::play::{Acted, Outlined, Play, Protocol, Scene, Step, four, given, python_type, system_and_user};
use crate::{actions, answer, pixels};
use loupe_core::{Box2, Given, Part, Picture, Reply, SegmentPrompt, Turn};
use serde_json::Value;

/// `MEDICAL_AGENT_SYSTEM_PROMPT`.
pub const SYSTEM: &str = r##"### Guidance:
You are a helpful assistant specialized in medical image analysis. You have access to several tools that help you segment and examine medical images (e.g. highlighting lesions or tumors) to answer questions.
Your task is to carefully analyze the image and question, use the tools step-by-step, and provide a well-reasoned final answer through tool invocation feedback.

### Available tools:
You can use the following three tools to process the images. After each tool usage, you must wait for and analyze the visualization feedback before proceeding.

1. **Zoom-in**
- Purpose: Zoom in on a specific region of an image by cropping it to a bounding box for detailed inspection. If a mask is provided, the zoomed image will highlight the mask’s contour.
- Input format: JSON
```json
[
    {
        "index": i, # Image index
        "bbox_2d": [x1, y1, x2, y2]
    }
]
```
- Output: Generates zoomed areas for visual inspection of the i-th image

2. **BiomedParse**
- Purpose: Detect and segment a specified object type in the image (e.g. lesion, tumor) using text descriptions for the targets.
- Input format: JSON
```json
[
    {
        "index": i, # Image index
        "captions": "target_description"
    }
]
```
- Output: Generates segmentation masks for target objects of the i-th image

3. **SAM2**
- Purpose: Detect and Segment an object in the image given a bounding box.
- Input format: JSON
```json
[
    {
        "index": i, # Image index
        "bbox_2d": [x1, y1, x2, y2]
    }
]
```
- Output: Generates segmentation masks for target objects of the i-th image


### Required Output Format:
For each reasoning step, you must structure your response as follows:
<think> [Your detailed reasoning process] </think> Action: [Zoom-in/BiomedParse/SAM2]
```json
[JSON format coordinates or descriptions]
```

After your reasoning and iteratively refine your solution through tool invocation feedback, you should arrive at a final answer and structure your response as follows:
<think> [Your detailed reasoning process] </think> Action: Answer
<answer> [Your final answer] </answer>


### Please NOTE the following reasoning techniques:
1. Initial Analysis
   - Break down the complex problem
   - Plan your approach

2. Iterative Reasoning for Each Step
   - Choose appropriate tool
   - Provide absolute coordinates in JSON format (The top-left corner of the image is (0, 0) and the bottom-right corner is (512, 512))
   - Observe the tool invocation output
   - Reflect on the results returned by the tool:
     * Does the results of the segmentation or zooming reasonable?
     * Does it align with your reasoning?
     * What adjustments are needed?
   - Backtrack and Adjust:
     * If errors found, backtrack to previous step to modify actions or decisions as needed."##;

/// The protocol.
pub const PROTOCOL: Protocol = Protocol {
    name: "ophiuchus",
    about: "zooms, segments by box, checks what came out and goes on until it answers, at most four steps",
    source: "SII-zyj/Ophiuchus@2560233 agent_system/environments/env_package/medical_agent/envs.py",
    dialect: "ophiuchus",
    actions: &["zoom", "segment"],
    rounds: 4,
    begin: || Box::new(Ophiuchus { outlined: None }),
};

struct Ophiuchus {
    /// The latest mask.
    outlined: Option<Outlined>,
}

/// What a call shows, where it looked, and on which picture.
type Shown = (Picture, usize, Option<Box2<Given>>);

impl Play for Ophiuchus {
    fn open(&mut self, scene: &mut Scene<'_>) -> Result<Vec<Turn>, String> {
        let [picture] = &scene.pictures[..] else {
            return Err(format!("the protocol is for one picture, and there are {}", scene.pictures.len()));
        };
        let request = scene.request;
        let options: Vec<String> =
            request.choices.iter().map(|c| format!("({}) {}", c.letter, c.text)).collect();
        let text = format!(
            "\n### Question:\n{}\nOptions:\n{}\nThe index of the given image is 1 (width: {}, height: {}).\nBegin your reasoning. After each tool use, critically evaluate the image returned by the tool and adjust tool decisions if needed:",
            request.question,
            options.join("\n"),
            picture.width(),
            picture.height(),
        );
        Ok(system_and_user(SYSTEM, vec![Part::Picture(0), Part::Text(text)]))
    }

    fn outlined(&self) -> Option<&Outlined> {
        self.outlined.as_ref()
    }

    fn step(&mut self, scene: &mut Scene<'_>, reply: &Reply) -> Step {
        let text = &reply.text;
        let Some((tool, calls)) = invocation(text) else {
            let said = answer::of_reply(text).to_owned();
            let lower = text.to_lowercase();
            return if lower.contains("<answer>") || lower.contains("answer:") || lower.contains("answer：") {
                Step::Answer(said)
            } else {
                Step::Stop { why: "neither a tool nor an answer".into(), answer: said }
            };
        };
        if calls.is_empty() || scene.last {
            let why = if scene.last {
                "asked for another tool when no step was left"
            } else {
                "a tool with nothing to read"
            };
            return Step::Stop { why: why.into(), answer: answer::of_reply(text).to_owned() };
        }
        let mut next = scene.pictures.len();
        let (mut say, mut pictures, mut regions, mut errors) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for call in &calls {
            if !say.is_empty() {
                say.push(Part::Text("\n".into()));
            }
            match self.call(scene, tool, call) {
                Ok((picture, index, region)) => {
                    let words = format!(
                        "\nThe index of the given image is {} (width: {}, height: {}). Continue your reasoning. After each tool use, critically evaluate the image returned by the tool and adjust tool decisions if needed:",
                        next + 1,
                        picture.width(),
                        picture.height()
                    );
                    say.extend([Part::Picture(next), Part::Text(words)]);
                    regions.extend(region.map(|region| (index, region)));
                    pictures.push(picture);
                    next += 1;
                }
                Err(error) => {
                    let told = format!(
                        "!!(Warning) tool call failed: tool={tool}, input={}, error={error}",
                        python(call)
                    );
                    say.push(Part::Text(told));
                    errors.push(error);
                }
            }
        }
        let name = if tool == ZOOM { "zoom" } else { "segment" };
        let arguments = if let [one] = &calls[..] { one.clone() } else { Value::Array(calls) };
        let failed = (!errors.is_empty()).then(|| errors.join("\n"));
        if pictures.is_empty() {
            return Step::Fail { name, arguments, error: failed.unwrap_or_default(), say };
        }
        Step::Act(Box::new(Acted { name, arguments, regions, pictures, media: None, say, failed }))
    }
}

const ZOOM: &str = "Zoom-in";
const TOOLS: [&str; 3] = [ZOOM, "SAM2", "BiomedParse"];

impl Ophiuchus {
    fn call(&mut self, scene: &mut Scene<'_>, tool: &str, call: &Value) -> Result<Shown, String> {
        let Some(fields) = call.as_object() else {
            return Err(format!("AttributeError: '{}' object has no attribute 'get'", python_type(call)));
        };
        let index = match fields.get("index") {
            None => 1,
            Some(index) => whole(index).ok_or("ValueError: index is not a number")?,
        };
        let out = || format!("IndexError: Image index {index} is out of bounds.");
        let at = usize::try_from(index).ok().and_then(|i| i.checked_sub(1)).ok_or_else(out)?;
        let picture = scene.picture(at).ok_or_else(out)?;
        let bbox = || {
            let found = fields.get("bbox_2d").and_then(four);
            found.ok_or_else(|| format!("ValueError: {tool} requires bbox_2d with four coordinates."))
        };
        if tool == ZOOM {
            let b = bbox()?;
            let held = |v: f64, most: usize| pixels::whole(v).min(most as i64).max(0) as f64;
            let (w, h) = (picture.width(), picture.height());
            let cut = [held(b[0], w), held(b[1], h), held(b[2], w), held(b[3], h)];
            if cut[2] <= cut[0] || cut[3] <= cut[1] {
                return Err("ValueError: Invalid bounding box after clamping.".into());
            }
            let shown = actions::zoom(&picture, cut, |w, h| (w, h), "bicubic", &scene.tools);
            return Ok((shown.map_err(|e| format!("ValueError: {e}"))?, at, Some(given(cut))));
        }
        let (prompt, region) = if tool == "SAM2" {
            let region = given(bbox()?);
            (SegmentPrompt::Box(region), Some(region))
        } else {
            let words = fields.get("captions").and_then(Value::as_str).unwrap_or_default();
            (SegmentPrompt::Phrase(words.to_owned()), None)
        };
        let (shown, segment) = actions::segment(&picture, &[prompt], &mut scene.tools)
            .map_err(|e| format!("RuntimeError: {e}"))?;
        self.outlined = Some(Outlined { picture: at, segment });
        Ok((shown, at, region))
    }
}

/// Tool and calls of the first `Action:` of the reply, when it names a tool.
fn invocation(text: &str) -> Option<(&'static str, Vec<Value>)> {
    let (line, rest) = action(text)?;
    let tool = TOOLS.into_iter().find(|tool| *tool == line.trim())?;
    Some((tool, fenced(rest).unwrap_or_default()))
}

/// What follows the first `Action:` on its line, and all after that.
fn action(text: &str) -> Option<(&str, &str)> {
    let lower = text.to_ascii_lowercase();
    lower.match_indices("action").find_map(|(at, word)| {
        let rest = text.get(at + word.len()..)?.trim_start().strip_prefix(':')?.trim_start();
        let end = rest.find(['\r', '\n']).unwrap_or(rest.len());
        (end > 0).then_some((rest.get(..end)?, rest.get(end..)?))
    })
}

/// The objects of the first fenced JSON that can be read; comments are taken out.
fn fenced(text: &str) -> Option<Vec<Value>> {
    let lower = text.to_ascii_lowercase();
    let mut from = 0;
    while let Some(open) = lower.get(from..)?.find("```json").map(|at| from + at + "```json".len()) {
        let close = open + lower.get(open..)?.find("```")?;
        let bare: Vec<&str> = text.get(open..close)?.lines().map(without_comment).collect();
        match serde_json::from_str(bare.join("\n").trim()) {
            Ok(Value::Array(calls)) => return Some(calls),
            Ok(one @ Value::Object(_)) => return Some(vec![one]),
            _ => from = close + "```".len(),
        }
    }
    None
}

/// The line up to `//` or `#`.
fn without_comment(line: &str) -> &str {
    let line = line.split("//").next().unwrap_or(line);
    line.split('#').next().unwrap_or(line)
}

/// A whole number as Python's `int` takes it from a number or its digits.
fn whole(value: &Value) -> Option<i64> {
    value.as_f64().map(pixels::whole).or_else(|| value.as_str()?.trim().parse().ok())
}

/// `repr` of what `json.loads` makes of a value.
fn python(value: &Value) -> String {
    let joined = |all: Vec<String>| all.join(", ");
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Number(n) => n.to_string(),
        Value::String(text) if text.contains('\'') && !text.contains('"') => format!("\"{text}\""),
        Value::String(text) => {
            format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n"))
        }
        Value::Array(all) => format!("[{}]", joined(all.iter().map(python).collect())),
        Value::Object(map) => {
            let pair = |(key, value): (&String, &Value)| format!("'{key}': {}", python(value));
            format!("{{{}}}", joined(map.iter().map(pair).collect()))
        }
    }
}
