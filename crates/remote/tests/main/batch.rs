//! Requests written to be answered later, and their results joined back in any order.

use loupe_core::{Ask, GenerationLimits, ModelError, Picture, Retry, VisionLanguageModel};
use loupe_remote::{BatchOptions, BatchResults, BatchWriter, PictureBound};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

fn options(rows: usize, bytes: u64) -> BatchOptions {
    BatchOptions {
        model: "vendor/m-1".to_owned(),
        strict: false,
        pictures: PictureBound::default(),
        box_dialect: "none".to_owned(),
        rows,
        bytes,
    }
}

fn asks() -> Vec<Ask> {
    let picture = Arc::new(Picture::new(9, 7, 3, vec![80; 189]).unwrap());
    let ask = |n: usize| {
        Ask::pictures_then(vec![picture.clone()], format!("question {n}"), GenerationLimits::default())
    };
    // The last repeats the first.
    (0..7).map(|n| ask(n % 6)).collect()
}

/// The requests of `asks` in files of at most so many rows and bytes.
fn written(dir: &Path, asks: &[Ask], rows: usize, bytes: u64) -> Vec<Vec<Value>> {
    let mut writer = BatchWriter::new(dir, options(rows, bytes)).unwrap();
    for reply in writer.generate(asks) {
        assert_eq!(reply.unwrap_err().retry(), Retry::Later);
    }
    let (files, requests) = writer.finish().unwrap();
    let read = |path: &std::path::PathBuf| -> Vec<Value> {
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.len() as u64 <= bytes && text.lines().count() <= rows);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let all: Vec<Vec<Value>> = files.iter().map(read).collect();
    assert_eq!(all.iter().map(Vec::len).sum::<usize>(), requests);
    all
}

#[test]
fn files_are_split_by_rows_and_bytes_and_hold_each_request_once() {
    let dir = tempfile::tempdir().unwrap();
    let by_rows = written(&dir.path().join("a"), &asks(), 4, 1 << 20);
    assert_eq!(by_rows.iter().map(Vec::len).collect::<Vec<_>>(), [4, 2]);
    let line = by_rows[0][0].to_string().len() as u64 + 1;
    let by_bytes = written(&dir.path().join("b"), &asks(), 100, line * 2 + 1);
    assert_eq!(by_bytes.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2]);
    let ids: HashSet<&str> = by_rows.iter().flatten().map(|r| r["custom_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 6);
    let first = &by_rows[0][0];
    assert_eq!((&first["method"], &first["url"]), (&json!("POST"), &json!("/v1/chat/completions")));
    assert_eq!(first["body"]["temperature"], 0.0);
    // A folder with requests is not written into again.
    let again = BatchWriter::new(&dir.path().join("a"), options(4, 1 << 20)).unwrap_err();
    assert!(again.to_string().contains("holds requests already"), "{again}");
    let mut small = BatchWriter::new(&dir.path().join("c"), options(4, 100)).unwrap();
    let error = small.generate(&asks()[..1]).remove(0).unwrap_err();
    assert!(error.to_string().contains("a file may have 100"), "{error}");
}

#[test]
fn results_are_joined_in_any_order_with_their_failures() {
    let dir = tempfile::tempdir().unwrap();
    let requests: Vec<Value> = written(&dir.path().join("a"), &asks(), 100, 1 << 20).concat();
    let words = |r: &Value| r["body"]["messages"][0]["content"][1]["text"].as_str().unwrap().to_owned();
    let reply = |r: &Value, text: &str| {
        let body = json!({ "choices": [{ "message": { "content": text }, "finish_reason": "stop" }] });
        json!({ "id": "x", "custom_id": r["custom_id"], "response": { "status_code": 200, "body": body }, "error": null })
    };
    let mut outputs: Vec<Value> =
        requests.iter().take(4).map(|r| reply(r, &format!("to {}", words(r)))).collect();
    outputs.reverse();
    let expired = json!({ "custom_id": requests[4]["custom_id"], "response": null,
        "error": { "code": "batch_expired", "message": "question 4 was too late" } });
    let refused =
        json!({ "custom_id": requests[0]["custom_id"], "response": { "status_code": 500, "body": {} } });
    let lines = |all: &[Value]| all.iter().map(|l| format!("{l}\n")).collect::<String>();
    let (output, errors) = (dir.path().join("output.jsonl"), dir.path().join("errors.jsonl"));
    std::fs::write(&output, lines(&outputs) + "{\"custom_id\": \"cu").unwrap();
    let foreign = json!({ "custom_id": "foreign", "response": { "status_code": 200, "body": {} } });
    std::fs::write(&errors, lines(&[expired, refused, foreign])).unwrap();
    // A failure does not replace a reply that is there, in whichever order the files are named.
    for files in [[output.clone(), errors.clone()], [errors, output]] {
        let mut results = BatchResults::open(&files, options(100, 1 << 20)).unwrap();
        let replies = results.generate(&asks());
        for n in [0, 1, 2, 3, 6] {
            assert_eq!(replies[n].as_ref().unwrap().text, format!("to question {}", n % 6));
        }
        let expired = replies[4].as_ref().unwrap_err();
        assert_eq!((expired.retry(), expired.to_string().contains("batch_expired")), (Retry::May, true));
        assert!(!expired.to_string().contains("question"));
        assert_eq!(replies[5].as_ref().unwrap_err().retry(), Retry::Later);
        assert_eq!((results.damaged(), results.unused()), (1, 1));
        assert_eq!(results.info().name, "m-1");
    }
}

#[test]
fn files_without_results_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("requests.jsonl");
    std::fs::write(&file, "{\"id\": 1}\n").unwrap();
    let error = BatchResults::open(&[file], options(1, 1)).unwrap_err();
    assert!(matches!(error, ModelError::Setting { setting: "results", .. }), "{error}");
}

#[test]
fn an_error_within_a_result_of_success_is_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    let requests: Vec<Value> = written(&dir.path().join("a"), &asks(), 100, 1 << 20).concat();
    let line = |n: usize, body: Value| {
        let response = json!({ "status_code": 200, "body": body });
        format!("{}\n", json!({ "custom_id": requests[n]["custom_id"], "response": response }))
    };
    let choice = json!({ "message": { "content": "half" }, "finish_reason": "stop" });
    let lines = [
        line(0, json!({ "error": { "code": 503, "message": "question 0 is too much" } })),
        line(1, json!({ "error": { "code": "400", "message": "question 1 is too long" } })),
        line(2, json!({ "error": { "code": "server_error" }, "choices": [choice] })),
        line(3, json!({ "object": "error", "code": 401 })),
        line(4, json!({ "error": null, "choices": [choice] })),
    ];
    let file = dir.path().join("output.jsonl");
    // A failure does not replace a reply.
    std::fs::write(&file, lines.concat() + &line(4, json!({ "error": "boom" }))).unwrap();
    let replies = BatchResults::open(&[file], options(100, 1 << 20)).unwrap().generate(&asks());
    for (n, retry, says) in [
        (0, Retry::May, "(status 503)"),
        (1, Retry::Never, "(status 400)"),
        (2, Retry::May, "(status 502, server_error)"),
        // The key is at fault, not the request.
        (3, Retry::May, "(status 401)"),
    ] {
        let error = replies[n].as_ref().unwrap_err();
        assert_eq!(error.retry(), retry, "{error}");
        assert!(error.to_string().contains(says) && !error.to_string().contains("question"), "{error}");
    }
    assert_eq!(replies[4].as_ref().unwrap().text, "half");
}
