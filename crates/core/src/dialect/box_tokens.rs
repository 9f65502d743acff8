//! Qwen2-VL: `<|object_ref_start|>label<|object_ref_end|><|box_start|>(x1,y1),(x2,y2)<|box_end|>`.

use super::numbers::scan;
use super::parsed::{NumberStyle, Order, Parsed, Refusal, Repair};

const REF: (&str, &str) = ("<|object_ref_start|>", "<|object_ref_end|>");
const BOX: (&str, &str) = ("<|box_start|>", "<|box_end|>");

pub(super) fn parse(text: &str, order: Order, out: &mut Parsed) {
    if !text.contains(BOX.0) {
        return without_tokens(text, order, out);
    }
    let mut label: Option<&str> = None;
    let mut rest = text;
    while let Some(at) = rest.find("<|") {
        let mark = rest.get(at..).unwrap_or_default();
        if let Some(inner) = mark.strip_prefix(REF.0) {
            let end = inner.find("<|").unwrap_or(inner.len());
            label = inner.get(..end).map(str::trim).filter(|l| !l.is_empty());
            rest = inner.get(end..).unwrap_or_default();
        } else if let Some(inner) = mark.strip_prefix(BOX.0) {
            let end = inner.find("<|");
            let closed = end.is_some_and(|e| inner.get(e..).unwrap_or_default().starts_with(BOX.1));
            if !closed {
                out.repair(if end.is_some() { Repair::Closed } else { Repair::Truncated });
            }
            let end = end.unwrap_or(inner.len());
            let body = inner.get(..end).unwrap_or_default();
            let numbers = scan(body, !closed && end == inner.len() && !body.trim_end().ends_with(')'));
            match numbers[..] {
                [a, b, c, d] => {
                    out.push_box(order, [a, b, c, d], label);
                }
                _ => out.refused.push(Refusal::Length { what: "a box".into(), need: 4, got: numbers.len() }),
            }
            rest = inner.get(end..).unwrap_or_default();
        } else {
            rest = mark.get(2..).unwrap_or_default();
        }
    }
}

/// The same when the tokenizer has already removed its special tokens: `label(x1,y1),(x2,y2)`.
fn without_tokens(text: &str, order: Order, out: &mut Parsed) {
    let mut rest = text;
    while let Some((before, pairs, after)) = next_pairs(rest) {
        out.repair(Repair::MarksMissing);
        let label = before.trim().trim_matches([',', ';', '.', ':']).trim();
        out.push_box(order, pairs, (!label.is_empty()).then_some(label));
        rest = after;
    }
}

/// The first `(a,b),(c,d)` of `text`, with what stands before and after it.
fn next_pairs(text: &str) -> Option<(&str, [f64; 4], &str)> {
    let mut from = 0;
    loop {
        let open = from + text.get(from..)?.find('(')?;
        if let Some((first, rest)) = pair(text.get(open..)?) {
            let rest = rest.trim_start_matches([',', ' ']);
            if let Some((second, after)) = pair(rest) {
                return Some((text.get(..open)?, [first[0], first[1], second[0], second[1]], after));
            }
        }
        from = open + 1;
    }
}

/// `(a,b)` at the start of `text`.
fn pair(text: &str) -> Option<([f64; 2], &str)> {
    // Two numbers are short; looking no further keeps the time linear.
    let near = text.as_bytes().get(1..text.len().min(64))?;
    let end =
        1 + near.iter().position(|&b| b == b')' || b == b'(').filter(|&e| near.get(e) == Some(&b')'))?;
    let (a, b) = text.strip_prefix('(')?.get(..end - 1)?.split_once(',')?;
    Some(([a.trim().parse().ok()?, b.trim().parse().ok()?], text.get(end + 1..)?))
}

pub(super) fn write(said: &Parsed, numbers: NumberStyle) -> String {
    let each = said.boxes.iter().map(|b| {
        let [a, b2, c, d] = numbers.box_numbers(b);
        let label = b.label.as_ref().map(|l| format!("{}{l}{}", REF.0, REF.1)).unwrap_or_default();
        format!("{label}{}({a},{b2}),({c},{d}){}", BOX.0, BOX.1)
    });
    each.collect()
}
