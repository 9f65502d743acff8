//! ViTAR: the model marks regions on the picture, sees them marked, and answers; two rounds.
//!
//! Source: JLINEkai/ViTAR at 1448fb2, `inference.py` and
//! `verl/workers/agent/envs/mm_process_engine/visual_toolcrop.py`. The two contradict each other,
//! so there are two variants. In *training* the marked picture comes first, then the words, and a
//! failed action is told to the model. In *inference* the words come first, the marked picture has
//! been through a JPEG file of Pillow's default quality, and a failed action or an answer in the
//! first round ends the script with an error; here the answer is kept and the reason recorded.
//! Boxes are taken as pixels of the picture given and only the first picture is shown, as there.
//! A box whose edges are not in order is told in the source's words; other Python errors are told
//! in those of CPython 3.12.

use super::play::{Acted, Play, Protocol, Scene, Step, system_and_user};
use crate::actions;
use loupe_core::{Part, Picture, Reply, Turn};
use serde_json::Value;

/// `inference.py`, `system_prompt`.
pub const SYSTEM: &str = "You are a medical image analysis assistant capable of analyzing medical images and answering questions about them. Your goal is to answer questions about medical images including modality, body part, and other medical details. You can rely on your own capabilities or use mark tools to assist in solving.\nYour output should be in a strict JSON format as follows:\n{\"thought\": \"the reasoning process\", \"actions\": [{\"name\": \"action\", \"arguments\": {\"argument1\": \"value1\"}}]}";

/// `visual_toolcrop.py`, `user_prompt`.
pub const MARKED: &str = "I have marked the region of interest on the image. Please answer the question based on the marked region.";

/// Pillow's default when a JPEG is saved.
const JPEG_QUALITY: u8 = 75;

/// The variant of training.
pub const TRAINING: Protocol = Protocol {
    name: "vitar",
    about: "marks boxes on the whole picture, looks at it and answers; picture first, as in training",
    source: "JLINEkai/ViTAR@1448fb2 verl/workers/agent/envs/mm_process_engine/visual_toolcrop.py",
    dialect: "vitar",
    actions: &["mark"],
    rounds: 2,
    begin: || Box::new(Vitar { inference: false }),
};

/// The variant of the published inference script.
pub const INFERENCE: Protocol = Protocol {
    name: "vitar-inference",
    about: "as vitar, but words before the picture and the picture through a JPEG, as in inference.py",
    source: "JLINEkai/ViTAR@1448fb2 inference.py",
    dialect: "vitar",
    actions: &["mark"],
    rounds: 2,
    begin: || Box::new(Vitar { inference: true }),
};

struct Vitar {
    inference: bool,
}

impl Play for Vitar {
    fn open(&mut self, scene: &mut Scene<'_>) -> Result<Vec<Turn>, String> {
        scene.pictures.truncate(1);
        scene.media.truncate(1);
        let request = scene.request;
        let mut text = request.question.clone();
        if !request.choices.is_empty() {
            let lines: Vec<String> =
                request.choices.iter().map(|c| format!("{} {}", c.letter, c.text)).collect();
            text = format!("{}\nOptions:\n{}", text.trim(), lines.join("\n"));
        }
        Ok(system_and_user(SYSTEM, vec![Part::Picture(0), Part::Text(text)]))
    }

    fn step(&mut self, scene: &mut Scene<'_>, reply: &Reply) -> Step {
        let text = &reply.text;
        if let Some(answer) = terminate(text) {
            if self.inference && scene.round == 0 {
                let why = "answered in the first round, where the published script fails".to_owned();
                return Step::Stop { why, answer: answer.to_owned() };
            }
            return Step::Answer(answer.to_owned());
        }
        if self.inference && scene.round > 0 {
            // The script takes whatever the second reply is.
            return Step::Answer(text.trim().to_owned());
        }
        match act(text, scene) {
            Ok((boxes, marked)) => self.show(&boxes, marked, scene),
            Err((_, error)) if self.inference => {
                let why = format!("the action failed, where the published script fails too: {error}");
                Step::Stop { why, answer: text.trim().to_owned() }
            }
            Err((arguments, error)) => {
                let say = format!("Error: {error}");
                Step::fail("mark", arguments, error, say)
            }
        }
    }
}

impl Vitar {
    fn show(&self, boxes: &[[f64; 4]], marked: Picture, scene: &Scene<'_>) -> Step {
        let mut say = vec![scene.next(), Part::Text(MARKED.into())];
        let mut picture = marked;
        if self.inference {
            say.reverse();
            picture = match scene.tools.resampler.through_jpeg(&picture, JPEG_QUALITY) {
                Ok(picture) => picture,
                Err(error) => return Step::Stop { why: error.to_string(), answer: String::new() },
            };
        }
        let arguments = serde_json::json!({ "box": boxes });
        let regions = boxes.iter().map(|b| (0, super::play::given(*b))).collect();
        Step::Act(Box::new(Acted::one("mark", arguments, regions, picture, say)))
    }
}

type Marked = (Vec<[f64; 4]>, Picture);

/// Reads the first action and marks its boxes on a copy of the first picture.
fn act(text: &str, scene: &Scene<'_>) -> Result<Marked, (Value, String)> {
    let none = "'NoneType' object is not subscriptable";
    let actions: Value = actions_list(text)
        .and_then(|list| serde_json::from_str(list).ok())
        .ok_or_else(|| (Value::Null, none.to_owned()))?;
    let first = actions.get(0).ok_or_else(|| (actions.clone(), "list index out of range".to_owned()))?;
    let arguments = first.get("arguments").ok_or_else(|| (first.clone(), none.to_owned()))?;
    let fail = |error: String| (arguments.clone(), error);
    let boxes = arguments.get("box").ok_or_else(|| fail("'box'".into()))?;
    let Value::Array(boxes) = boxes else {
        return Err(fail(format!("'{}' object is not iterable", super::play::python_type(boxes))));
    };
    let mut all = Vec::with_capacity(boxes.len());
    for each in boxes {
        let Value::Array(numbers) = each else {
            return Err(fail(format!(
                "cannot unpack non-iterable {} object",
                super::play::python_type(each)
            )));
        };
        let [left, upper, right, lower] = numbers.as_slice() else {
            return Err(fail(match numbers.len() {
                n @ 0..4 => format!("not enough values to unpack (expected 4, got {n})"),
                _ => "too many values to unpack (expected 4)".into(),
            }));
        };
        let Some(b) = super::play::four(each) else {
            return Err(fail("'<=' not supported between instances of 'str' and 'str'".into()));
        };
        if b[2] <= b[0] || b[3] <= b[1] {
            return Err(fail(format!(
                "Invalid crop box: right({right}) <= left({left}) or lower({lower}) <= upper({upper})"
            )));
        }
        all.push(b);
    }
    let picture = scene.picture(0).ok_or_else(|| fail("there is no picture".into()))?;
    let marked = actions::mark(&picture, &all).map_err(|e| fail(e.to_string()))?;
    Ok((all, marked))
}

/// The text after `wanted` and the white space around it.
fn after<'a>(text: &'a str, wanted: &str) -> Option<&'a str> {
    Some(text.trim_start().strip_prefix(wanted)?.trim_start())
}

/// The list of `"actions": […]` as the source's expression finds it: brackets up to four deep,
/// wherever they stand.
fn actions_list(text: &str) -> Option<&str> {
    text.match_indices("\"actions\"").find_map(|(at, key)| {
        let list = after(text.get(at + key.len()..)?, ":").filter(|rest| rest.starts_with('['))?;
        let mut depth = 0usize;
        for (end, c) in list.char_indices() {
            match c {
                '[' => depth += 1,
                ']' => depth -= 1,
                _ => {}
            }
            if depth > 4 {
                return None;
            }
            if depth == 0 {
                return list.get(..=end);
            }
        }
        None
    })
}

/// The answer of `{"name": "Terminate", "arguments": {… "answer": "…"}}` as the source's expression
/// finds it.
fn terminate(text: &str) -> Option<&str> {
    text.match_indices("\"name\"").find_map(|(at, key)| {
        text.get(..at)?.trim_end().ends_with('{').then_some(())?;
        let rest = after(text.get(at + key.len()..)?, ":")?;
        let rest = after(after(rest, "\"Terminate\"")?, ",")?;
        let inner = after(after(after(rest, "\"arguments\"")?, ":")?, "{")?;
        let end = inner.find('}').unwrap_or(inner.len());
        inner.get(..end)?.match_indices("\"answer\"").find_map(|(at, key)| {
            let value = after(inner.get(at + key.len()..)?, ":")?.strip_prefix('"')?;
            value.get(..value.find('"')?).filter(|answer| !answer.is_empty())
        })
    })
}
