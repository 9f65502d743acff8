//! InternVL: `<ref>label</ref><box>[[x1, y1, x2, y2], …]</box>`.

use super::json::{self, Node};
use super::parsed::{NumberStyle, Order, Parsed, Refusal, Repair};

pub(super) fn parse(text: &str, order: Order, out: &mut Parsed) {
    let mut label: Option<&str> = None;
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let mark = rest.get(at..).unwrap_or_default();
        if let Some(inner) = mark.strip_prefix("<ref>") {
            let end = inner.find('<').unwrap_or(inner.len());
            label = inner.get(..end).map(str::trim).filter(|l| !l.is_empty());
            rest = inner.get(end..).unwrap_or_default();
        } else if let Some(inner) = mark.strip_prefix("<box>") {
            let end = inner.find('<').unwrap_or(inner.len());
            if !inner.get(end..).unwrap_or_default().starts_with("</box>") {
                out.repair(Repair::Closed);
            }
            boxes(inner.get(..end).unwrap_or_default(), order, label, out);
            rest = inner.get(end..).unwrap_or_default();
        } else {
            rest = mark.get(1..).unwrap_or_default();
        }
    }
}

fn boxes(body: &str, order: Order, label: Option<&str>, out: &mut Parsed) {
    let (nodes, _) = json::values(body, out);
    if nodes.is_empty() {
        out.refused.push(Refusal::Length { what: "a box".into(), need: 4, got: 0 });
    }
    let flat = |items: &[Node], out: &mut Parsed| {
        let n: Vec<f64> = items.iter().filter_map(|n| n.number(out)).collect();
        match n[..] {
            [a, b, c, d] if items.len() == 4 => {
                out.push_box(order, [a, b, c, d], label);
            }
            _ => out.refused.push(Refusal::Length { what: "a box".into(), need: 4, got: n.len() }),
        }
    };
    for node in &nodes {
        match node {
            Node::List(items) if items.is_empty() => out.said_none = true,
            Node::List(items) if items.iter().all(|n| matches!(n, Node::List(_))) => {
                for item in items {
                    if let Node::List(inner) = item {
                        flat(inner, out);
                    }
                }
            }
            Node::List(items) => {
                out.repair(Repair::ListDepth);
                flat(items, out);
            }
            _ => out.refused.push(Refusal::NotANumber { what: "a box".into() }),
        }
    }
}

pub(super) fn write(said: &Parsed, numbers: NumberStyle) -> String {
    let each = said.boxes.iter().map(|b| {
        let label = b.label.as_ref().map(|l| format!("<ref>{l}</ref>")).unwrap_or_default();
        format!("{label}<box>[[{}]]</box>", numbers.box_numbers(b).join(", "))
    });
    each.collect()
}
