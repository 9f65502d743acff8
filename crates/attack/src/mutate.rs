//! How good inputs are made bad: bytes, JSON and text.

use crate::rng::Rng;
use serde_json::{Map, Value, json};

/// Numbers that sizes, counts and offsets break at.
const EDGES: &[u64] = &[
    0,
    1,
    2,
    7,
    127,
    128,
    255,
    256,
    32_767,
    65_535,
    65_536,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    u64::MAX,
];

/// Words that act where they are printed, looked up or computed.
pub(crate) const WORDS: &[&str] = &[
    "\u{1b}[31m",
    "\u{9b}2J",
    "\u{202e}",
    "__proto__",
    "constructor",
    "=1+1",
    "[a](javascript:x)",
    "../../etc/passwd",
    "/dev/zero",
    "",
    " ",
    "NaN",
    "1e999",
    "-1",
    "9223372036854775808",
    "null",
    "<script>",
    "\u{0}",
];

/// Changed bytes of a file.
pub(crate) fn bytes(base: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut out = base.to_vec();
    for _ in 0..=rng.below(3) {
        if out.is_empty() {
            return out;
        }
        let at = rng.below(out.len());
        match rng.below(9) {
            0 => out.truncate(at),
            1 => out[at] ^= 1 << rng.below(8),
            2 | 3 => {
                // A number of some width and either byte order.
                let width = [1, 2, 4, 8][rng.below(4)];
                let edge = EDGES[rng.below(EDGES.len())].wrapping_add(rng.below(3) as u64).wrapping_sub(1);
                let mut number = edge.to_le_bytes()[..width].to_vec();
                if rng.chance(1, 2) {
                    number.reverse();
                }
                for (place, byte) in out.iter_mut().skip(at).zip(number) {
                    *place = byte;
                }
            }
            4 => {
                let end = (at + 1 + rng.below(64)).min(out.len());
                let part = out[at..end].to_vec();
                let to = rng.below(out.len());
                out.splice(to..to, part);
            }
            5 => {
                let end = (at + 1 + rng.below(64)).min(out.len());
                out.drain(at..end);
            }
            6 => {
                let part: Vec<u8> = (0..1 + rng.below(16)).map(|_| rng.next() as u8).collect();
                out.splice(at..at, part);
            }
            7 => {
                // Headers lie in front.
                let at = rng.below(out.len().min(512));
                out[at] = rng.next() as u8;
            }
            _ => {
                let value = [0, 0xFF, b' ', b'9'][rng.below(4)];
                let end = (at + 1 + rng.below(256)).min(out.len());
                out[at..end].fill(value);
            }
        }
    }
    out
}

/// A value of any kind that is likely to be wrong where it stands.
fn odd(rng: &mut Rng) -> Value {
    match rng.below(12) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(EDGES[rng.below(EDGES.len())]),
        3 => json!(-(rng.below(5) as i64)),
        4 => json!(1e308),
        5 => json!(0.5),
        6 => json!([]),
        7 => json!({}),
        8 => json!([1, "2", null, [3.5], { "a": 4 }]),
        9 => json!("x".repeat(1 << rng.below(16))),
        10 => (0..40).fold(json!(1), |inner, _| json!([inner])),
        _ => json!(WORDS[rng.below(WORDS.len())]),
    }
}

/// Changes a few places of a JSON value.
pub(crate) fn value(base: &Value, rng: &mut Rng) -> Value {
    let mut out = base.clone();
    for _ in 0..=rng.below(2) {
        change(&mut out, rng, 0);
    }
    out
}

fn change(value: &mut Value, rng: &mut Rng, depth: usize) {
    match value {
        Value::Object(map) if !map.is_empty() && rng.chance(5, 6) => {
            let keys: Vec<String> = map.keys().cloned().collect();
            let Some(key) = rng.pick(&keys).cloned() else { return };
            match rng.below(8) {
                0 => drop(map.remove(&key)),
                1 => drop(map.insert(WORDS[rng.below(WORDS.len())].to_owned(), odd(rng))),
                _ => {
                    if let Some(inner) = map.get_mut(&key) {
                        change(inner, rng, depth + 1);
                    }
                }
            }
        }
        Value::Array(list) if !list.is_empty() && rng.chance(5, 6) => {
            let at = rng.below(list.len());
            match rng.below(8) {
                0 => drop(list.remove(at)),
                1 => list.insert(at, odd(rng)),
                _ => change(&mut list[at], rng, depth + 1),
            }
        }
        Value::Number(number) if rng.chance(2, 3) => {
            let n = number.as_f64().unwrap_or(0.0);
            *value = match rng.below(5) {
                0 => json!(-n),
                1 => json!(n * 1e6),
                2 => json!(n + 1.0),
                3 => json!(n / 1e9),
                _ => odd(rng),
            };
        }
        Value::String(text) if rng.chance(1, 2) => {
            let place = rng.below(text.len() + 1);
            if text.is_char_boundary(place) {
                text.insert_str(place, WORDS[rng.below(WORDS.len())]);
            }
        }
        other => *other = if depth == 0 { Value::Object(Map::new()) } else { odd(rng) },
    }
}

/// Changed JSON text: its values, or now and then its bytes.
pub(crate) fn json_text(base: &[u8], rng: &mut Rng) -> Vec<u8> {
    match serde_json::from_slice::<Value>(base) {
        Ok(parsed) if rng.chance(7, 8) => value(&parsed, rng).to_string().into_bytes(),
        _ => bytes(base, rng),
    }
}

/// The same for one JSON document a line.
pub(crate) fn json_lines(base: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = base.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    if lines.last().is_some_and(Vec::is_empty) {
        lines.pop();
    }
    if lines.is_empty() {
        return Vec::new();
    }
    let at = rng.below(lines.len());
    match rng.below(8) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(at, lines[at].clone()),
        2 => lines.truncate(at),
        3 => {
            let other = rng.below(lines.len());
            lines.swap(at, other);
        }
        _ => lines[at] = json_text(&lines[at], rng),
    }
    let mut out = lines.join(&b'\n');
    out.push(b'\n');
    out
}

/// A chat template out of the parts that such templates are made of, put together without sense.
pub(crate) fn template(rng: &mut Rng) -> String {
    const EXPRESSIONS: &[&str] = &[
        "ns.s",
        "ns",
        "messages",
        "messages[0].content",
        "x",
        "'ab'",
        "[1, 2]",
        "{'a': 1}",
        "9",
        "loop",
        "none",
        "range(1000)",
        "bos_token",
        "m",
        "namespace()",
        "cycler",
        "-1",
        "100000000000",
    ];
    const APPLIED: &[&str] = &[
        "{} ~ {}",
        "{} + {}",
        "{} * {}",
        "[{}, {}]",
        "{}|join({})",
        "{}|replace('a', {})",
        "{}|indent({})",
        "'%s%s'|format({}, {})",
        "{}|tojson(indent={})",
        "{}|string ~ {}",
        "{}|batch({})|list",
        "{}|slice({})|list",
        "{}.replace('a', {})",
        "{}|list + {}",
        "{}|map('upper')|join({})",
        "({}, {})|sort",
        "{} == {}",
        "{} in {}",
        "{}|length + {}",
        "loop.cycle({}, {})",
        "{}[{}:]",
        "m({}, {})",
        "{}|pprint ~ {}",
        "{}|unique|list + {}",
    ];
    fn expression(rng: &mut Rng, depth: usize) -> String {
        if depth > 2 || rng.chance(1, 3) {
            return EXPRESSIONS[rng.below(EXPRESSIONS.len())].to_owned();
        }
        let mut out = APPLIED[rng.below(APPLIED.len())].to_owned();
        while out.contains("{}") {
            out = out.replacen("{}", &format!("({})", expression(rng, depth + 1)), 1);
        }
        out
    }
    fn statement(rng: &mut Rng, depth: usize) -> String {
        let body = |rng: &mut Rng| if depth > 2 { "a".to_owned() } else { statement(rng, depth + 1) };
        match rng.below(9) {
            0 | 1 => format!("{{{{ {} }}}}", expression(rng, 0)),
            2 | 3 => format!("{{% set ns.s = {} %}}", expression(rng, 0)),
            4 => format!("{{% set x = {} %}}", expression(rng, 0)),
            5 => format!("{{% for i in range({}) %}}{}{{% endfor %}}", 10 << rng.below(12), body(rng)),
            6 => format!("{{% if {} %}}{}{{% endif %}}", expression(rng, 0), body(rng)),
            7 => format!("{{% macro m(x, y) %}}{}{{% endmacro %}}", body(rng)),
            _ => format!(
                "{{% for i in {} recursive %}}{}{{{{ loop(i) }}}}{{% endfor %}}",
                expression(rng, 0),
                body(rng)
            ),
        }
    }
    let mut out = String::from("{% set ns = namespace(s='ab') %}{% set x = 'y' %}");
    for _ in 0..=rng.below(5) {
        out += &statement(rng, 0);
    }
    match rng.below(12) {
        0 => format!("{{{{ {}1 }}}}", "-".repeat(1 << rng.below(18))),
        1 => format!("{{{{ {}1{} }}}}", "(".repeat(1 << rng.below(16)), ")".repeat(1 << rng.below(16))),
        _ => out,
    }
}
