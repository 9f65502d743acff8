//! JSON objects: `{"bbox_2d": [x1, y1, x2, y2], "label": …}`, alone, in a list, fenced or in a tag.

use super::json::{self, Node};
use super::parsed::{NumberStyle, Order, Parsed, Refusal, Repair, SpokenCount};
use serde_json::{Value, json};

/// Which keys hold what; the first of each is the dialect's own, the others are read as a repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    /// Keys of boxes.
    pub boxes: &'static [&'static str],
    /// Keys of points.
    pub points: &'static [&'static str],
    /// Keys of counts.
    pub counts: &'static [&'static str],
    /// The key of the picture's number, and the number that the first picture has.
    pub picture: Option<(&'static str, usize)>,
    /// What surrounds the object.
    pub envelope: Envelope,
}

/// What surrounds the object that holds the coordinates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Envelope {
    /// Nothing, a list or a code fence.
    List,
    /// `{"thought": …, "actions": [{"name": …, "arguments": {…}}]}`.
    Actions,
    /// `<grounding>{…, "source": …}</grounding>`.
    Grounding,
    /// `<tool_call>{"name": …, "arguments": {…}}</tool_call>` with a tool of this name.
    ToolCall(&'static str),
}

impl Envelope {
    /// Opening and closing marks.
    fn marks(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::List | Self::Actions => None,
            Self::Grounding => Some(("<grounding>", "</grounding>")),
            Self::ToolCall(_) => Some(("<tool_call>", "</tool_call>")),
        }
    }

    /// Do the coordinates sit inside another object by design?
    fn nested(self) -> bool {
        matches!(self, Self::Actions | Self::ToolCall(_))
    }
}

pub(super) fn parse(text: &str, keys: Keys, order: Order, out: &mut Parsed) {
    let Some((open, close)) = keys.envelope.marks() else {
        return read(text, keys, order, out);
    };
    // Ends of an envelope: its closing mark, the next opening one, or the end of the reply.
    let opens = text.match_indices(open).map(|(at, _)| (at, true));
    let mut marks: Vec<(usize, bool)> =
        opens.chain(text.match_indices(close).map(|(at, _)| (at, false))).collect();
    marks.sort_unstable();
    for (n, &(at, _)) in marks.iter().enumerate().filter(|(_, (_, opening))| *opening) {
        let next = marks.get(n + 1);
        let end = next.map_or(text.len(), |&(end, _)| end);
        let body = text.get(at + open.len()..end).unwrap_or_default();
        if next.is_none_or(|&(_, opening)| opening) {
            out.repair(Repair::Closed);
        }
        if body.contains("```") {
            out.repair(Repair::Fence);
        }
        read(body, keys, order, out);
    }
}

fn read(text: &str, keys: Keys, order: Order, out: &mut Parsed) {
    // Repairs made to brackets in the words around the answer are of no interest.
    let mut mended = Parsed::default();
    let (nodes, mut prose) = json::values(text, &mut mended);
    let mut said = Vec::new();
    for node in &nodes {
        let mut item = Parsed::default();
        Walk { keys, order, out: &mut item }.top(node);
        if item.is_answer() || !item.refused.is_empty() {
            said.push(item);
        } else {
            prose = true;
        }
    }
    out.refused.extend(mended.refused);
    if said.is_empty() {
        return;
    }
    mended.repairs.iter().for_each(|&r| out.repair(r));
    if said.len() > 1 {
        out.repair(Repair::SeveralValues);
    }
    said.into_iter().for_each(|item| merge(item, out));
    if prose && keys.envelope == Envelope::List {
        out.repair(Repair::Prose);
    }
}

fn merge(item: Parsed, out: &mut Parsed) {
    out.boxes.extend(item.boxes);
    out.points.extend(item.points);
    out.counts.extend(item.counts);
    out.said_none |= item.said_none;
    out.refused.extend(item.refused);
    item.repairs.into_iter().for_each(|r| out.repair(r));
}

struct Walk<'a> {
    keys: Keys,
    order: Order,
    out: &'a mut Parsed,
}

impl Walk<'_> {
    /// A value that stands on its own.
    fn top(&mut self, node: &Node) {
        match node {
            Node::Object(_) => self.object(node, 0),
            Node::List(items) if items.is_empty() => self.out.said_none = true,
            Node::List(items) if numbers(items, &mut Parsed::default()).is_some_and(|n| n.len() == 4) => {
                self.out.repair(Repair::BareList);
                self.boxes(node, None, None, None);
            }
            Node::List(items) => {
                for item in items {
                    match item {
                        Node::Object(_) => self.object(item, 0),
                        Node::List(inner)
                            if numbers(inner, &mut Parsed::default()).is_some_and(|n| n.len() == 4) =>
                        {
                            self.out.repair(Repair::BareList);
                            self.boxes(item, None, None, None);
                        }
                        Node::List(inner) => {
                            for object in inner.iter().filter(|n| matches!(n, Node::Object(_))) {
                                self.out.repair(Repair::ListDepth);
                                self.object(object, 0);
                            }
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    fn object(&mut self, node: &Node, level: usize) {
        let Node::Object(entries) = node else { return };
        let label = match node.get("label") {
            Some(Node::Text(t)) => Some(t.as_str()),
            Some(Node::List(all)) => match all.as_slice() {
                [Node::Text(t)] => Some(t.as_str()),
                _ => None,
            },
            _ => None,
        };
        let score = ["score", "confidence"].iter().find_map(|k| match node.get(k) {
            Some(Node::Number(n)) if n.is_finite() => Some(*n),
            _ => None,
        });
        let picture = self.picture(node);
        for (key, value) in entries {
            let key = key.as_deref().unwrap_or_default();
            let place = |keys: &[&str]| keys.iter().position(|k| *k == key);
            let (boxes, points, counts) =
                (place(self.keys.boxes), place(self.keys.points), place(self.keys.counts));
            if boxes.or(points).or(counts).is_some_and(|at| at > 0) {
                self.out.repair(Repair::OtherKey);
            }
            if boxes.or(points).or(counts).is_some() && level > 0 && !self.keys.envelope.nested() {
                self.out.repair(Repair::Nested);
            }
            if boxes.is_some() {
                self.boxes(value, label, score, picture);
            } else if points.is_some() {
                self.points(value, label, picture);
            } else if counts.is_some() {
                self.count(value, label);
            } else if let Node::Object(_) = value {
                self.object(value, level + 1);
            } else if let Node::List(items) = value {
                for item in items {
                    self.object(item, level + 1);
                }
            }
        }
    }

    /// The picture that the object names: `"source": "observation_2"` (0 is the original) or a number under the
    /// dialect's own key; a number that no picture has when it cannot be read.
    fn picture(&mut self, node: &Node) -> Option<usize> {
        if let Some(Node::Text(source)) = node.get("source") {
            let named = match source.strip_prefix("observation_") {
                Some(n) => n.parse().ok(),
                None => (source == "original_image").then_some(0),
            };
            return Some(named.unwrap_or(usize::MAX));
        }
        let (key, first) = self.keys.picture?;
        let n = node.get(key)?.number(self.out)? - first as f64;
        Some(if n >= 0.0 && n.fract() == 0.0 && n < 1e6 { n as usize } else { usize::MAX })
    }

    fn boxes(&mut self, value: &Node, label: Option<&str>, score: Option<f64>, picture: Option<usize>) {
        let all = self.tuples(value, 4, "a box", label);
        for (n, label) in all {
            if let [a, b, c, d] = n[..]
                && let Some(found) = self.out.push_box(self.order, [a, b, c, d], label.as_deref())
            {
                (found.score, found.picture) = (score, picture);
            }
        }
    }

    fn points(&mut self, value: &Node, label: Option<&str>, picture: Option<usize>) {
        let all = self.tuples(value, 2, "a point", label);
        for (n, label) in all {
            if let [a, b] = n[..]
                && let Some(found) = self.out.push_point(self.order, [a, b], label.as_deref())
            {
                found.picture = picture;
            }
        }
    }

    /// The number groups under a key: one flat list, or a list of lists. A label that slipped in
    /// among them is used where the object has none.
    fn tuples(
        &mut self,
        value: &Node,
        need: usize,
        what: &str,
        label: Option<&str>,
    ) -> Vec<(Vec<f64>, Option<String>)> {
        let label = label.map(str::to_owned);
        if let Node::Text(text) = value {
            let flat: Vec<f64> = text
                .split(',')
                .filter_map(|p| p.trim().trim_matches(['[', ']', '(', ')']).parse().ok())
                .collect();
            if flat.len() == need {
                self.out.repair(Repair::NumberAsText);
                return vec![(flat, label)];
            }
            self.out.refused.push(Refusal::Length { what: what.into(), need, got: flat.len() });
            return Vec::new();
        }
        let Node::List(items) = value else {
            self.out.refused.push(Refusal::NotANumber { what: what.into() });
            return Vec::new();
        };
        if items.is_empty() {
            self.out.said_none = true;
            return Vec::new();
        }
        if let Some(flat) = numbers(items, self.out) {
            if flat.len() == need {
                return vec![(flat, label)];
            }
            self.out.refused.push(Refusal::Length { what: what.into(), need, got: flat.len() });
            return Vec::new();
        }
        if let (4, [Node::List(a), Node::List(b)]) = (need, items.as_slice())
            && let (Some(a), Some(b)) = (numbers(a, self.out), numbers(b, self.out))
            && (a.len(), b.len()) == (2, 2)
        {
            self.out.repair(Repair::CornerPairs);
            return vec![([a, b].concat(), label)];
        }
        let mut slipped = None;
        let mut out = Vec::new();
        for item in items {
            match item {
                Node::List(inner) => match numbers(inner, self.out) {
                    Some(n) if n.len() == need => out.push((n, label.clone())),
                    Some(n) => {
                        self.out.refused.push(Refusal::Length { what: what.into(), need, got: n.len() });
                    }
                    None => self.out.refused.push(Refusal::NotANumber { what: what.into() }),
                },
                Node::Text(text) => slipped = Some(text.clone()),
                Node::Object(_) => match item.get("label") {
                    Some(Node::Text(text)) => slipped = Some(text.clone()),
                    _ => self.object(item, 1),
                },
                Node::Number(_) | Node::Other => {
                    self.out.refused.push(Refusal::NotANumber { what: what.into() });
                }
            }
        }
        if let Some(text) = slipped {
            self.out.repair(Repair::LabelInList);
            for (_, label) in out.iter_mut().filter(|(_, label)| label.is_none()) {
                *label = Some(text.clone());
            }
        }
        out
    }

    fn count(&mut self, value: &Node, label: Option<&str>) {
        match value.number(self.out) {
            Some(count) if count.is_finite() && count >= 0.0 => {
                self.out.counts.push(SpokenCount { count, label: label.map(str::to_owned) });
            }
            Some(_) => self.out.refused.push(Refusal::Range { what: "the count".into() }),
            None => self.out.refused.push(Refusal::NotANumber { what: "the count".into() }),
        }
    }
}

/// The items as numbers when every one of them is one.
fn numbers(items: &[Node], out: &mut Parsed) -> Option<Vec<f64>> {
    if items.iter().any(|n| matches!(n, Node::List(_) | Node::Object(_) | Node::Other)) {
        return None;
    }
    items.iter().map(|n| n.number(out)).collect()
}

pub(super) fn write(said: &Parsed, keys: Keys, numbers: NumberStyle) -> String {
    let key = |all: &[&'static str]| all.first().copied().unwrap_or_default();
    let number = |text: &String| -> Value { serde_json::from_str(text).unwrap_or(Value::Null) };
    let corners =
        |b: &super::parsed::SpokenBox| -> Value { numbers.box_numbers(b).iter().map(number).collect() };
    let picture = |b: &super::parsed::SpokenBox| b.picture.unwrap_or(0);
    let numbered = |mut object: Value, b: &super::parsed::SpokenBox| {
        if let (Some((key, first)), Some(map)) = (keys.picture, object.as_object_mut()) {
            map.insert(key.into(), json!(picture(b) + first));
        }
        object
    };
    let body = |b: &super::parsed::SpokenBox| match keys.envelope {
        Envelope::ToolCall(name) => {
            let mut arguments = json!({ key(keys.boxes): corners(b) });
            if let (Some(label), Some(map)) = (&b.label, arguments.as_object_mut()) {
                map.insert("label".into(), json!(label));
            }
            json!({ "name": name, "arguments": numbered(arguments, b) })
        }
        Envelope::List | Envelope::Actions | Envelope::Grounding => {
            let source = match picture(b) {
                0 => "original_image".to_owned(),
                n => format!("observation_{n}"),
            };
            json!({ key(keys.boxes): corners(b), "source": source })
        }
    };
    if let Some((open, close)) = keys.envelope.marks() {
        return said.boxes.iter().map(|b| format!("{open}{}{close}", body(b))).collect::<Vec<_>>().join("\n");
    }
    if keys.envelope == Envelope::Actions {
        let boxes: Value = said.boxes.iter().map(corners).collect();
        let action = json!({ "name": "mark_bbox", "arguments": { key(keys.boxes): boxes } });
        return json!({ "thought": "", "actions": [action] }).to_string();
    }
    let labelled = |mut object: Value, label: &Option<String>| {
        if let (Some(label), Some(map)) = (label, object.as_object_mut()) {
            map.insert("label".into(), json!(label));
        }
        object
    };
    if let ([count], true, true) = (said.counts.as_slice(), said.boxes.is_empty(), said.points.is_empty()) {
        return fenced(&labelled(json!({ key(keys.counts): count.count }), &count.label));
    }
    let mut list: Vec<Value> = said
        .boxes
        .iter()
        .map(|b| {
            let mut object = numbered(labelled(json!({ key(keys.boxes): corners(b) }), &b.label), b);
            if let (Some(score), Some(map)) = (b.score, object.as_object_mut()) {
                map.insert("score".into(), json!(score));
            }
            object
        })
        .collect();
    list.extend(said.points.iter().map(|p| {
        let (x, y) = (numbers.number(p.point.x), numbers.number(p.point.y));
        let pair = if numbers.order == Order::Xy { [x, y] } else { [y, x] };
        labelled(json!({ key(keys.points): pair.iter().map(number).collect::<Value>() }), &p.label)
    }));
    list.extend(said.counts.iter().map(|c| labelled(json!({ key(keys.counts): c.count }), &c.label)));
    fenced(&Value::Array(list))
}

fn fenced(value: &Value) -> String {
    format!("```json\n{value}\n```")
}
