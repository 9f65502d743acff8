//! ReXrank's file with a model's reports in it.

use crate::read::json;
use loupe_core::DataError;
use loupe_core::files::open_regular;
use serde_json::Value;
use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

/// The file at `path` with `model_prediction` set for every study in `reports` (by study id): what a submission to ReXrank is.
/// Nothing else is changed: studies, fields and their order stay; a study without a report keeps what it had.
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
    let mut document = json::parse(text).map_err(|e| failed(format!("not JSON: {e}")))?;
    let Value::Object(studies) = &mut document else {
        return Err(failed("expected an object of studies by their study_id".to_owned()));
    };
    for (id, study) in studies.iter_mut() {
        if let (Some(report), Value::Object(fields)) = (reports.get(id), study) {
            fields.insert("model_prediction".to_owned(), report.clone().into());
        }
    }
    // As Python's json.dump(indent=4) writes it, but that letters stay letters.
    let mut out = Vec::new();
    let form = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut to = serde_json::Serializer::with_formatter(&mut out, form);
    serde::Serialize::serialize(&document, &mut to).map_err(|e| failed(e.to_string()))?;
    String::from_utf8(out).map_err(|e| failed(e.to_string()))
}
