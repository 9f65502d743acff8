//! A ranked list of answers, likeliest first, for top-k accuracy and differential diagnoses.

use super::entry::{Strategy, taken};
use crate::request::{Request, RethinkError, Settings};
use crate::session::{NewAsk, Pass, Session, Who};
use loupe_core::reasoning::without_reasoning;
use serde_json::json;

/// The strategy.
pub const STRATEGY: Strategy = Strategy {
    name: "ranked",
    about: "a ranked list of answers, likeliest first; the first one is the answer",
    source: "loupe",
    second_model: false,
    composes: false,
    run,
};

fn run(session: &mut Session<'_>, request: &Request, settings: &Settings) -> Result<Pass, RethinkError> {
    let ranks = settings.ranks.max(1);
    let words = format!(
        "{}\nGive your {ranks} most likely answers, the likeliest first, one a line, numbered, without explanation.",
        request.with_options()
    );
    let mut pass = taken(session, Who::First, NewAsk::opening("rank", request.opening(words)));
    let Some(round) = pass.round else { return Ok(pass) };
    let list = read(session.text(round), ranks);
    session.trace.summary = json!({ "ranked": list });
    if let Some(first) = list.into_iter().next() {
        pass.answer = first;
    }
    Ok(pass)
}

/// The entries of a numbered list (`1.`, `1)`, `-`), or the lines when nothing is numbered; repeats
/// are left out.
fn read(text: &str, most: usize) -> Vec<String> {
    let after = without_reasoning(text).unwrap_or_default();
    let lines: Vec<&str> = after.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let numbered: Vec<&str> = lines.iter().filter_map(|l| entry(l)).collect();
    let mut out: Vec<String> = Vec::new();
    for line in if numbered.is_empty() { lines } else { numbered } {
        if !out.iter().any(|o| o.eq_ignore_ascii_case(line)) && out.len() < most {
            out.push(line.to_owned());
        }
    }
    out
}

fn entry(line: &str) -> Option<&str> {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let rest = line.get(digits..)?;
    let rest =
        if digits > 0 { rest.strip_prefix(['.', ')', ':'])? } else { rest.strip_prefix(['-', '*', '•'])? };
    Some(rest.trim().trim_matches('*').trim()).filter(|r| !r.is_empty())
}
