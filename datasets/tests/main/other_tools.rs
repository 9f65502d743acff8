//! Files in the layouts of other tools.

use loupe_core::Target;
use loupe_core::sample::Outcome;
use loupe_datasets::replies::{Join, JoinError, JoinOptions, join};
use loupe_testing::{NoPictures, folder};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;

fn lines(rows: &[Value]) -> String {
    rows.iter().map(|r| format!("{r}\n")).collect()
}

fn joined(file: &Path) -> Join<'static> {
    join(&JoinOptions::new(file), None, &NoPictures).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// Words of every reply, or the reason why there is none; with id and reference.
fn said(joined: &Join<'_>) -> Vec<(String, String, String)> {
    let gold: Vec<String> = joined
        .samples()
        .map(|s| match s.sample.unwrap().target {
            Target::Choice(letter) => letter.to_string(),
            target => target.text().unwrap_or_default().to_owned(),
        })
        .collect();
    let one = |r: loupe_datasets::replies::JoinedReply| {
        let text = match r.prediction.outcome {
            Outcome::Reply(reply) => reply.text,
            Outcome::Failed(failure) => format!("FAILED {}", failure.reason),
        };
        (r.prediction.id, text, gold[r.item].clone())
    };
    joined.replies().map(one).collect()
}

fn row(id: &str, text: &str, gold: &str) -> (String, String, String) {
    (id.to_owned(), text.to_owned(), gold.to_owned())
}

#[test]
fn samples_of_lmms_eval() {
    let sample = |doc_id: usize, resp: Value, target: &str| {
        json!({"doc_id": doc_id, "doc": {"qid": 900 + doc_id, "question": "Is there a mass?", "img_name": "x.png"}, "target": target,
               "arguments": {"gen_args_0": {"arg_0": "Is there a mass?\nAnswer:"}}, "resps": [[resp]], "filtered_resps": [resp],
               "doc_hash": "1", "exact_match": 1.0})
    };
    let rows = [
        sample(0, "yes".into(), "yes"),
        sample(1, "[LMMS_EVAL_REQUEST_FAILED after 5 retries] 429".into(), "no"),
        sample(2, "".into(), "no"),
    ];
    let dir = folder(&[("samples_vqa.jsonl", &lines(&rows))]);
    let joined = joined(&dir.path().join("samples_vqa.jsonl"));
    assert!(joined.notes[0].contains("lmms-eval"), "{:?}", joined.notes);
    let said = said(&joined);
    assert_eq!(said[0], row("900", "yes", "yes"));
    assert!(said[1].1.starts_with("FAILED") && said[1].1.contains("lmms-eval"), "{}", said[1].1);
    assert_eq!(said[2], row("902", "", "no"), "an empty reply is one");
    let sample = joined.samples().next().unwrap().sample.unwrap();
    assert_eq!((sample.question.as_str(), sample.group.as_str()), ("Is there a mass?", "x.png"));
}

#[expect(clippy::needless_pass_by_value, reason = "`json!` at the call")]
fn eval_sample(id: usize, content: Value, target: Value, error: Value) -> Value {
    json!({"id": id, "epoch": 1, "input": [{"role": "user", "content": [{"type": "image", "image": "x"}, {"type": "text", "text": "Which?"}]}],
           "choices": ["lung", "liver"], "target": target, "messages": [],
           "output": {"model": "m", "choices": [{"message": {"role": "assistant", "content": content}, "stop_reason": "stop"}], "usage": {}},
           "scores": {"choice": {"value": "C"}}, "error": error})
}

#[test]
fn logs_of_inspect_ai() {
    let samples = [
        eval_sample(1, "B".into(), "B".into(), Value::Null),
        eval_sample(
            2,
            json!([{"type": "reasoning", "reasoning": "A or B"}, {"type": "text", "text": "A"}]),
            json!(["B"]),
            Value::Null,
        ),
        eval_sample(3, "".into(), "A".into(), json!({"message": "TimeoutError()", "traceback": "…"})),
    ];
    let log = json!({"version": 2, "status": "success", "eval": {"task": "t"}, "plan": {}, "results": {}, "stats": {}, "samples": samples});
    let dir = folder(&[("log.json", &log.to_string())]);
    // The zipped form holds a file for each sample.
    let file = std::fs::File::create(dir.path().join("log.eval")).unwrap();
    let mut archive = zip::ZipWriter::new(file);
    let options = zip::write::SimpleFileOptions::default();
    archive.start_file("header.json", options).unwrap();
    archive.write_all(b"{}").unwrap();
    for (n, sample) in samples.iter().enumerate() {
        archive.start_file(format!("samples/{}_epoch_1.json", n + 1), options).unwrap();
        archive.write_all(sample.to_string().as_bytes()).unwrap();
    }
    archive.finish().unwrap();
    for file in ["log.json", "log.eval"] {
        let joined = joined(&dir.path().join(file));
        assert!(joined.notes[0].contains("inspect_ai"), "{:?}", joined.notes);
        let said = said(&joined);
        assert_eq!(said[..2], [row("1", "B", "B"), row("2", "A", "B")], "{file}");
        assert_eq!(said[2], row("3", "FAILED the tool got no reply: TimeoutError()", "A"));
        assert_eq!(joined.samples().next().unwrap().sample.unwrap().question, "Which?");
    }
}

/// The replies of several epochs are rollouts of one sample, however the file orders them.
#[test]
fn epochs_of_inspect_ai_are_rollouts() {
    let sample = |id: usize, epoch: usize, content: &str| {
        let mut sample = eval_sample(id, content.into(), "B".into(), Value::Null);
        sample["epoch"] = epoch.into();
        sample
    };
    let samples =
        [sample(1, 1, "A"), sample(2, 1, "B"), sample(1, 2, "B"), sample(2, 2, "A"), sample(1, 3, "B")];
    let log = |samples: &[Value]| {
        json!({"version": 2, "status": "success", "eval": {}, "samples": samples}).to_string()
    };
    let dir = folder(&[("log.json", &log(&samples)), ("once.json", &log(&samples[..2]))]);
    let of_log = joined(&dir.path().join("log.json"));
    assert_eq!((of_log.items, of_log.rollouts), (2, 3));
    assert!(
        of_log.notes.iter().any(|n| n.contains("3 epochs") && n.contains("--rollouts 3")),
        "{:?}",
        of_log.notes
    );
    let rollouts: Vec<_> = of_log.replies().map(|r| (r.prediction.id, r.rollout)).collect();
    let expected = [("1", 0), ("2", 0), ("1", 1), ("2", 1), ("1", 2)].map(|(id, n)| (id.to_owned(), n));
    assert_eq!(rollouts, expected);
    let mut replies = of_log.replies();
    assert_eq!((replies.by_ref().count(), replies.missing()), (5, 1));
    assert_eq!(of_log.samples().count(), 2);
    let once = joined(&dir.path().join("once.json"));
    assert_eq!((once.items, once.rollouts), (2, 1));
    // A number that was asked for counts, and what goes beyond it is named.
    let two = JoinOptions { rollouts: 2, ..JoinOptions::new(dir.path().join("log.json")) };
    let two = join(&two, None, &NoPictures).unwrap();
    assert_eq!((two.rollouts, two.replies().count()), (2, 4));
    assert!(two.problems.iter().any(|p| p.contains("--rollouts")), "{:?}", two.problems);
}

/// A model that refuses has answered.
#[test]
fn refusals_of_openai_are_replies() {
    let line = |id: &str, message: Value| json!({"custom_id": id, "response": {"status_code": 200, "body": {"choices": [{"message": message}]}}, "error": null});
    let refusal = "I'm sorry, I can't read medical images.";
    let rows = [
        line("a", json!({"role": "assistant", "content": "No.", "refusal": null})),
        line("b", json!({"role": "assistant", "content": null, "refusal": refusal})),
        line("c", json!({"role": "assistant", "content": null, "refusal": null})),
    ];
    let output = json!([{"type": "reasoning", "summary": []},
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": refusal}]}]);
    let response = json!({"custom_id": "a", "response": {"status_code": 200, "body": {"output": output}}, "error": null});
    let gold = "id,answer\na,no\nb,no\nc,no\n";
    let dir = folder(&[
        ("chat.jsonl", &lines(&rows)),
        ("responses.jsonl", &lines(&[response])),
        ("gold.csv", gold),
    ]);
    let all = |file: &str| {
        let mut options = JoinOptions::new(dir.path().join(file));
        options.references = Some(dir.path().join("gold.csv"));
        said(&join(&options, None, &NoPictures).unwrap())
    };
    let chat = all("chat.jsonl");
    assert_eq!(chat[..2], [row("a", "No.", "no"), row("b", refusal, "no")]);
    assert!(chat[2].1.starts_with("FAILED"), "{}", chat[2].1);
    assert_eq!(all("responses.jsonl")[0], row("a", refusal, "no"));
}

#[test]
fn output_of_the_batch_interface_of_openai() {
    let line = |id: &str, status: u32, content: Option<&str>, error: Value| {
        let body = content.map_or_else(
            || json!({"error": {"code": "rate_limit"}}),
            |text| json!({"choices": [{"message": {"role": "assistant", "content": text}}]}),
        );
        json!({"id": format!("batch_{id}"), "custom_id": id, "response": {"status_code": status, "request_id": "r", "body": body}, "error": error})
    };
    let rows = [
        line("q2", 200, Some("No."), Value::Null),
        line("q1", 429, None, Value::Null),
        json!({"id": "batch_3", "custom_id": "q3", "response": null, "error": {"code": "batch_expired", "message": "…"}}),
    ];
    let dir = folder(&[("out.jsonl", &lines(&rows)), ("gold.csv", "id,answer\nq1,yes\nq2,no\nq3,no\n")]);
    let mut options = JoinOptions::new(dir.path().join("out.jsonl"));
    options.references = Some(dir.path().join("gold.csv"));
    let joined = join(&options, None, &NoPictures).unwrap();
    assert_eq!(
        said(&joined),
        [
            row("q2", "No.", "no"),
            row("q1", "FAILED the tool got no reply: rate_limit", "yes"),
            row("q3", "FAILED the tool got no reply: batch_expired", "no")
        ]
    );
    let mut replies = joined.replies();
    assert_eq!(replies.by_ref().count(), 3);
    assert_eq!(joined.warnings(&replies), ["2 rows of the file hold no reply and failed"]);
}

#[test]
fn predictions_of_vlmevalkit() {
    let tsv = "index\tquestion\tA\tB\tC\tanswer\tprediction\tcategory\n3\tWhich?\tlung\tliver\t\tB\tB\tx\n4\tWhich?\tlung\tliver\t\tA\tFailed to obtain answer via API. \tx\n";
    let json = json!([{"index": 3, "question": "Which?", "A": "lung", "B": "liver", "answer": "B", "prediction": "B"},
        {"index": 4, "question": "Which?", "A": "lung", "B": "liver", "answer": "A", "prediction": "Failed to obtain answer via API."}]);
    let dir = folder(&[("m.tsv", tsv), ("m.json", &json.to_string())]);
    for file in ["m.tsv", "m.json"] {
        let said = said(&joined(&dir.path().join(file)));
        assert_eq!(said[0], row("3", "B", "B"), "{file}");
        assert!(said[1].1.contains("VLMEvalKit") && said[1].2 == "A", "{file}: {:?}", said[1]);
    }
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_files() {
    let dir = folder(&[]);
    let file = dir.path().join("r.parquet");
    let row = |id: &str, question: &str, answer: &str| loupe_datasets::FrameRow {
        question_id: id.into(),
        question: question.into(),
        options: vec!["lung".into(), "liver".into()],
        correct_answer: answer.into(),
        pictures: vec![vec![1, 2, 3]],
        ..loupe_datasets::FrameRow::default()
    };
    loupe_datasets::write_frames(&file, &[row("a", "Which?", "B"), row("b", "What?", "A")]).unwrap();
    let mut options = JoinOptions::new(&file);
    options.columns.reply = Some("question".into());
    options.columns.gold = Some("correct_answer".into());
    let joined = join(&options, None, &NoPictures).unwrap();
    assert_eq!(said(&joined), [row_of("a", "Which?", "B"), row_of("b", "What?", "A")]);
}

#[cfg(feature = "parquet")]
fn row_of(id: &str, text: &str, gold: &str) -> (String, String, String) {
    row(id, text, gold)
}

#[test]
fn an_object_is_never_a_reply() {
    let object = json!({"choices": [{"message": {"content": "B"}}], "model": "m"});
    let rows = [
        json!({"id": 1, "answer": "B", "output": object}),
        json!({"id": 2, "answer": "B", "output": object}),
    ];
    let mixed = [
        json!({"id": 1, "answer": "B", "response": "B"}),
        json!({"id": 2, "answer": "B", "response": {"text": "B"}}),
        json!({"id": 3, "answer": "B", "response": null}),
        json!({"id": 4, "answer": "B"}),
    ];
    let csv = format!("id,answer,response\n1,B,\"{}\"\n", object.to_string().replace('"', "\"\""));
    let facts = json!({"model": "m", "config": {"a": 1}, "n": 3});
    let dir = folder(&[
        ("objects.jsonl", &lines(&rows)),
        ("mixed.jsonl", &lines(&mixed)),
        ("written.csv", &csv),
        ("facts.json", &facts.to_string()),
        (
            "named.json",
            &json!({"config": {"a": 1}, "results": [{"id": 1, "answer": "B", "response": "B"}]}).to_string(),
        ),
    ]);
    let refused =
        |file: &str| join(&JoinOptions::new(dir.path().join(file)), None, &NoPictures).err().unwrap();
    for file in ["objects.jsonl", "written.csv"] {
        let JoinError::NoReplyColumn(why) = refused(file) else { panic!("{file}") };
        assert!(
            why.contains("hold objects or lists, which are no replies") && why.contains("--reply-column"),
            "{why}"
        );
    }
    let JoinError::Replies(why) = refused("facts.json") else { panic!() };
    assert!(why.to_string().contains("--rows"), "{why}");
    // The field inside is one, when it is named.
    let mut options = JoinOptions::new(dir.path().join("objects.jsonl"));
    options.columns.reply = Some("output.choices.0.message.content".into());
    assert_eq!(said(&join(&options, None, &NoPictures).unwrap())[0], row("1", "B", "B"));
    let mixed = said(&joined(&dir.path().join("mixed.jsonl")));
    assert_eq!(mixed[0].1, "B");
    assert!(mixed[1].1.starts_with("FAILED the column of the reply holds an object"), "{}", mixed[1].1);
    assert!(mixed[2..].iter().all(|m| m.1 == "FAILED the file has no reply in this row"));
    // The only list of objects inside a log are its rows.
    assert_eq!(said(&joined(&dir.path().join("named.json")))[0], row("1", "B", "B"));
}
