//! Fields of a row by their path.

use serde_json::Value;

/// What a name means in a row: the field of that name, or, with periods, one inside of objects and lists
/// (`answer.second_response`, `resps.0.0`).
pub(super) fn at<'a>(row: &'a Value, path: &str) -> Option<&'a Value> {
    row.get(path).or_else(|| path.split('.').try_fold(row, inside))
}

fn inside<'a>(at: &'a Value, key: &str) -> Option<&'a Value> {
    match at {
        Value::Array(list) => list.get(key.parse::<usize>().ok()?),
        at => at.get(key),
    }
}
