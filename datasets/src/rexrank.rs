//! ReXrank's file with a model's reports in it.

use crate::read::json;
use loupe_core::DataError;
use loupe_core::files::open_regular;
use serde_json::Value;
use std::collections::HashMap;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

/// The file at `path` with `model_prediction` set for every study in `reports` (by study id): what a submission to ReXrank is.
/// Nothing else is changed, not by a character: numbers, escapes and spaces stay as they are written; a study without a report keeps what it had.
///
/// # Errors
/// When the file cannot be read or is no object of studies.
pub fn rexrank_with_predictions(path: &Path, reports: &HashMap<String, String>) -> Result<String, DataError> {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let failed = |problem: String| DataError::Read { file: name.clone(), problem };
    let mut text = String::new();
    let read = open_regular(path).and_then(|mut file| file.read_to_string(&mut text));
    read.map_err(|e| failed(e.to_string()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let document = json::parse(text).map_err(|e| failed(format!("not JSON: {e}")))?;
    let no_studies = || failed("expected an object of studies by their study_id".to_owned());
    if !document.is_object() {
        return Err(no_studies());
    }
    let open = text.find('{').ok_or_else(no_studies)?;
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    let mut copied = 0;
    for study in members(text, open).0 {
        let report = study.name(text).and_then(|id| reports.get(&id));
        let (Some(report), true) = (report, text[study.value.clone()].starts_with('{')) else { continue };
        let (fields, end) = members(text, study.value.start);
        let said = Value::from(report.as_str()).to_string();
        let old = fields.iter().rfind(|field| field.name(text).as_deref() == Some(PREDICTION));
        let (from, to, put) = match (old, fields.first(), fields.last()) {
            (Some(old), ..) => (old.value.start, old.value.end, said),
            // Set off as the field before it is.
            (None, Some(first), Some(last)) => {
                let space = &text[study.value.start + 1..first.key.start];
                let space = if space.is_empty() { " " } else { space };
                (last.value.end, last.value.end, format!(",{space}\"{PREDICTION}\": {said}"))
            }
            _ => (end, end, format!("\"{PREDICTION}\": {said}")),
        };
        out.push_str(&text[copied..from]);
        out.push_str(&put);
        copied = to;
    }
    out.push_str(&text[copied..]);
    Ok(out)
}

const PREDICTION: &str = "model_prediction";

/// Where a member of an object stands in its text, in bytes.
struct Member {
    key: Range<usize>,
    value: Range<usize>,
}

impl Member {
    fn name(&self, text: &str) -> Option<String> {
        serde_json::from_str(text.get(self.key.clone())?).ok()
    }
}

/// The members of the object whose brace stands at `open`, and where it is closed. The text is JSON, or what Python takes for it.
fn members(text: &str, open: usize) -> (Vec<Member>, usize) {
    let bytes = text.as_bytes();
    let (mut all, mut at) = (Vec::new(), open + 1);
    let mut key: Option<Range<usize>> = None;
    while let Some(byte) = bytes.get(at) {
        let end = value_end(text, at);
        match (byte, key.take()) {
            (b'}', _) => return (all, at),
            (b'"', None) => key = Some(at..end),
            (b',' | b':' | b' ' | b'\t' | b'\n' | b'\r', before) => {
                key = before;
                at += 1;
                continue;
            }
            (_, Some(key)) => all.push(Member { key, value: at..end }),
            (_, None) => {}
        }
        at = end.max(at + 1);
    }
    (all, text.len())
}

/// Where the value that begins at `at` ends.
fn value_end(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    let (mut depth, mut now) = (0usize, at);
    while let Some(byte) = bytes.get(now) {
        match byte {
            b'"' => {
                now += json::string_end(&text[now..]);
                if depth == 0 {
                    return now;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return if depth == 0 { now } else { now + 1 },
            b'}' | b']' => depth -= 1,
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return now,
            _ => {}
        }
        now += 1;
    }
    text.len()
}
