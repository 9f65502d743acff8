//! loupe's own protocol: first say where to look, then see it enlarged, then answer.
//!
//! The model writes boxes in its family's own dialect, so that any grounding model can play. In
//! place of a box it may ask, as one JSON object, for a mark (`{"mark": [box]}`), an outline
//! (`{"segment": box}`, pixels of the first picture), another slice (`{"slice": 40}`, with
//! `"plane": "coronal"` if wanted) or another window (`{"window": "lung"}` or `{"window": [centre, width]}`).
//! After another slice or window it may look again. Anything else is its answer. Boxes are grown by a tenth on each side and enlarged with BICUBIC until
//! the longer side equals the longer side of the picture, at most eightfold.

use super::play::{Acted, Play, Protocol, Scene, Step, four};
use crate::actions::{self, ActionError};
use crate::answer;
use loupe_core::media::{SliceAt, WindowChoice};
use loupe_core::{Box2, Given, Part, Plane, Reply, Role, SegmentPrompt, Turn, Window};
use serde_json::{Value, json};

/// The first question, after the pictures and the user's own question.
pub const LOOK: &str = "\nWhere should one look to answer this? Reply with one box.";

/// What may be asked for besides, when slices and windows can be changed.
pub const VIEWS: &str = " For another slice reply {\"slice\": number}, for another plane {\"plane\": \"axial\", \"coronal\" or \"sagittal\"}, for another window {\"window\": name}.";

/// Said with the enlarged region. The question stands in the first round and is not said again.
pub const ENLARGED: &str = "This is the region, enlarged. Now answer the question.";

/// Said with a mark or an outline.
pub const SHOWN: &str = "Here it is. Now answer the question.";

/// Most times that a region is enlarged.
const MOST: f64 = 8.0;

/// Share by which a box grows on each side.
const MARGIN: f64 = 0.1;

/// The protocol.
pub const PROTOCOL: Protocol = Protocol {
    name: "loupe",
    about: "says where to look, sees the region enlarged and answers; also marks, outlines, slices, windows",
    source: "loupe",
    dialect: "family",
    actions: &["zoom", "mark", "segment", "slice", "window"],
    rounds: 4,
    begin: || Box::new(Loupe { looking: true }),
};

struct Loupe {
    /// A box still says where to look; later it belongs to the answer.
    looking: bool,
}

impl Play for Loupe {
    fn open(&mut self, scene: &mut Scene<'_>) -> Result<Vec<Turn>, String> {
        let views = if scene.request.media.is_empty() || scene.tools.loader.is_none() { "" } else { VIEWS };
        let mut parts: Vec<Part> = (0..scene.pictures.len()).map(Part::Picture).collect();
        parts.push(Part::Text(format!("{}{LOOK}{views}", scene.request.with_options())));
        Ok(vec![Turn { role: Role::User, parts }])
    }

    fn step(&mut self, scene: &mut Scene<'_>, reply: &Reply) -> Step {
        let wanted = object(&reply.text);
        let view = ["slice", "plane", "window"].iter().any(|k| wanted.get(k).is_some());
        let look = self.looking && !scene.last;
        let done = if let Some(boxes) = wanted.get("mark") {
            mark(scene, boxes).map_err(|e| ("mark", e))
        } else if let Some(region) = wanted.get("segment") {
            segment(scene, region).map_err(|e| ("segment", e))
        } else if view {
            change_view(scene, &wanted)
                .map_err(|e| (if wanted.get("window").is_some() { "window" } else { "slice" }, e))
        } else if let (true, Some((found, region))) = (look, reply.boxes().next()) {
            zoom(scene, found.picture, region).map_err(|e| ("zoom", e))
        } else {
            return Step::Answer(answer::of_reply(&reply.text).to_owned());
        };
        let question = scene.request.with_options();
        match done {
            Ok(mut acted) => {
                // Another slice or window is one more picture to look at; anything else is to be judged.
                self.looking = view;
                let words = match acted.name {
                    "zoom" => ENLARGED.to_owned(),
                    _ if view => format!("{question}{LOOK}{VIEWS}"),
                    _ => SHOWN.to_owned(),
                };
                acted.say = vec![scene.next(), Part::Text(words)];
                Step::Act(Box::new(acted))
            }
            Err((name, error)) => {
                let say = format!("That could not be shown: {error}. Answer the question: {question}");
                Step::fail(name, wanted, error.to_string(), say)
            }
        }
    }
}

/// The JSON object that the reply consists of, fenced or not; `null` otherwise.
fn object(text: &str) -> Value {
    let bare =
        text.trim().trim_start_matches("```json").trim_start_matches("```").trim_end_matches("```").trim();
    serde_json::from_str(bare).ok().filter(Value::is_object).unwrap_or(Value::Null)
}

fn acted(name: &'static str, arguments: Value, picture: loupe_core::Picture) -> Acted {
    Acted::one(name, arguments, Vec::new(), picture, Vec::new())
}

fn zoom(scene: &Scene<'_>, index: usize, region: Box2<Given>) -> Result<Acted, ActionError> {
    let picture = scene.picture(index).ok_or(ActionError::Unavailable("there is no such picture"))?;
    let grown = actions::grown(region.ordered(), MARGIN, &picture);
    let (pw, ph) = (picture.width(), picture.height());
    let size = |w: usize, h: usize| {
        let factor = (pw.max(ph) as f64 / w.max(h) as f64).clamp(1.0, MOST);
        ((w as f64 * factor).round() as usize, (h as f64 * factor).round() as usize)
    };
    // Whole pixels, edges outwards, as a crop of the picture itself would be.
    let cut = [grown.x0.floor(), grown.y0.floor(), grown.x1.ceil(), grown.y1.ceil()];
    let shown = actions::zoom(&picture, cut, size, "bicubic", &scene.tools)?;
    let regions = vec![(index, region)];
    Ok(Acted { regions, ..acted("zoom", json!({ "picture": index, "box": region.xyxy() }), shown) })
}

fn mark(scene: &Scene<'_>, boxes: &Value) -> Result<Acted, ActionError> {
    let picture = scene.picture(0).ok_or(ActionError::Unavailable("there is no such picture"))?;
    let list = match four(boxes) {
        Some(one) => vec![one],
        None => boxes.as_array().into_iter().flatten().filter_map(four).collect(),
    };
    if list.is_empty() {
        return Err(ActionError::Unavailable("a mark needs boxes of four numbers"));
    }
    let shown = actions::mark(&picture, &list)?;
    let regions = list.iter().map(|b| (0, super::play::given(*b))).collect();
    Ok(Acted { regions, ..acted("mark", json!({ "mark": list }), shown) })
}

fn segment(scene: &mut Scene<'_>, prompt: &Value) -> Result<Acted, ActionError> {
    let picture = scene.picture(0).ok_or(ActionError::Unavailable("there is no such picture"))?;
    let asked = match (four(prompt), prompt.as_str()) {
        (Some(b), _) => SegmentPrompt::Box(super::play::given(b)),
        (None, Some(phrase)) => SegmentPrompt::Phrase(phrase.to_owned()),
        (None, None) => return Err(ActionError::Unavailable("an outline needs a box or a phrase")),
    };
    let (shown, found) = actions::segment(&picture, &[asked], &mut scene.tools)?;
    let regions = found.mask.bounding_box().map(|b| (0, b)).into_iter().collect();
    Ok(Acted { regions, ..acted("segment", json!({ "segment": prompt }), shown) })
}

fn change_view(scene: &Scene<'_>, wanted: &Value) -> Result<Acted, ActionError> {
    let unavailable = ActionError::Unavailable;
    // The view that was shown last, so that a window can follow a slice.
    let media = scene.media.iter().rev().flatten().next();
    let media = media.ok_or(unavailable("slices and windows cannot be changed here"))?;
    let slice = match wanted.get("slice") {
        None => None,
        Some(n) => Some(SliceAt::Index(
            n.as_u64()
                .and_then(|n| usize::try_from(n).ok())
                .ok_or(unavailable("a slice is a whole number from 0"))?,
        )),
    };
    let plane = match wanted.get("plane") {
        None => None,
        Some(name) => Some(
            serde_json::from_value::<Plane>(name.clone())
                .map_err(|_| unavailable("a plane is axial, coronal, sagittal or stored"))?,
        ),
    };
    let window = match wanted.get("window") {
        None => None,
        Some(Value::String(name)) => Some(WindowChoice::Preset(name.clone())),
        Some(Value::Array(numbers)) => match numbers.iter().filter_map(Value::as_f64).collect::<Vec<_>>()[..]
        {
            [centre, width] => Some(WindowChoice::Numbers(Window::linear(centre, width))),
            _ => return Err(unavailable("a window is a name or [centre, width]")),
        },
        Some(_) => return Err(unavailable("a window is a name or [centre, width]")),
    };
    let name = if window.is_some() { "window" } else { "slice" };
    let (shown, media) = actions::view(media, slice, plane, window, &scene.tools)?;
    Ok(Acted { media: Some(media), ..acted(name, wanted.clone(), shown) })
}
