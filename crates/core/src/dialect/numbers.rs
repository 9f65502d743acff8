//! MedVision: four decimal numbers separated by commas, nothing else.

use super::parsed::{NumberStyle, Order, Parsed, Refusal, Repair};

/// The numbers in `text`, in order; the last one is left out when it may be `cut` short.
pub(super) fn scan(text: &str, cut: bool) -> Vec<f64> {
    let bytes = text.as_bytes();
    let (mut at, mut out) = (0, Vec::new());
    let digit = |n: usize| bytes.get(n).is_some_and(u8::is_ascii_digit);
    while at < bytes.len() {
        let dot = bytes.get(at) == Some(&b'.') && digit(at + 1);
        if !(digit(at) || dot) {
            at += 1;
            continue;
        }
        let minus = at > 0 && bytes.get(at - 1) == Some(&b'-');
        let start = if minus { at - 1 } else { at };
        while digit(at) {
            at += 1;
        }
        if bytes.get(at) == Some(&b'.') && digit(at + 1) {
            at += 1;
            while digit(at) {
                at += 1;
            }
        }
        if cut && at == bytes.len() {
            break;
        }
        out.extend(text.get(start..at).and_then(|t| t.parse::<f64>().ok()));
    }
    out
}

pub(super) fn parse(text: &str, order: Order, out: &mut Parsed) {
    let numbers = scan(text, false);
    let Some(&[a, b, c, d]) = numbers.last_chunk::<4>() else {
        if !numbers.is_empty() {
            out.refused.push(Refusal::Length { what: "a box".into(), need: 4, got: numbers.len() });
        }
        return;
    };
    if numbers.len() > 4 {
        out.repair(Repair::LastNumbers);
    }
    let bare = |c: char| c.is_ascii_digit() || c.is_whitespace() || matches!(c, '.' | ',' | '-');
    let inner = text.trim().trim_matches(['[', ']', '(', ')']);
    if !inner.chars().all(bare) {
        out.repair(Repair::Prose);
    } else if inner.len() != text.trim().len() {
        out.repair(Repair::BareList);
    } else if text.matches(',').count() < 3 {
        out.repair(Repair::MissingComma);
    }
    out.push_box(order, [a, b, c, d], None);
}

pub(super) fn write(said: &Parsed, numbers: NumberStyle) -> String {
    said.boxes.first().map(|b| numbers.box_numbers(b).join(", ")).unwrap_or_default()
}
