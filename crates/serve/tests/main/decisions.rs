//! Probabilities of options.

use crate::client::start;
use loupe_core::{Part, Role};
use serde_json::{Value, json};

const PICTURE: &str = "data:image/png;base64,AgEH";
const OTHER: &str = "data:image/png;base64,BAMJ";

fn close(value: &Value, expected: f64) -> bool {
    (value.as_f64().unwrap() - expected).abs() < 1e-12
}

#[test]
fn each_kind_of_question_has_its_answer() {
    let server = start(4);
    let body = json!({
        "model": "speaker-1b",
        "input": [{"type": "message", "role": "user", "content": [
            {"type": "input_image", "image_url": PICTURE},
            {"type": "input_text", "text": "A chest radiograph."},
        ]}],
        "questions": [
            {"type": "predicate", "name": "effusion", "instructions": "There is an effusion."},
            {"type": "choice", "instructions": "Which side?", "choices": [
                {"value": "left", "description": "the patient's left"}, {"value": true}, {"value": "both"}]},
            {"type": "score", "instructions": [{"type": "input_text", "text": "How severe?"}],
                "levels": [{"label": "none"}, {"label": "mild"}]},
        ],
    });
    let response = server.post("/v1/decisions", &body);
    assert_eq!(response.status, 200, "{response:?}");
    let body = response.json();
    let [predicate, choice, score] = body["answers"].as_array().unwrap().as_slice() else { panic!("{body}") };
    assert_eq!((&predicate["type"], &predicate["name"]), (&json!("predicate"), &json!("effusion")));
    assert!(close(&predicate["probability"], 2.0 / 3.0) && close(&predicate["mass"], 0.75), "{predicate}");
    assert_eq!((&choice["choice"], &choice["name"]), (&json!("left"), &Value::Null));
    assert_eq!(choice["probabilities"][1]["value"], true);
    assert!(
        close(&choice["probabilities"][2]["probability"], 1.0 / 7.0)
            && close(&choice["confidence"], 4.0 / 7.0)
    );
    assert!(close(&score["score"], 1.0 / 3.0), "{score}");
    assert_eq!(score["probabilities"][1]["label"], "mild");
    assert_eq!((&body["usage"]["input_tokens"], &body["usage"]["output_tokens"]), (&json!(30), &json!(0)));
    // Nothing but the prompt that the guide tells.
    let asks = server.watch.state().asks.clone();
    let words: Vec<String> = asks.iter().map(|a| a.turns[0].words()).collect();
    assert!(words.contains(
        &"A chest radiograph.\n\nThere is an effusion.\nIs this true? Answer Yes or No.".to_owned()
    ));
    let choice = "A chest radiograph.\n\nWhich side?\nAnswer with one of these and nothing else:\nleft: the patient's left\ntrue\nboth";
    assert!(words.contains(&choice.to_owned()), "{words:?}");
    assert!(asks.iter().all(|a| a.pictures.len() == 1 && a.turns[0].parts[0] == Part::Picture(0)));
}

#[test]
fn without_instructions_the_input_is_the_whole_prompt() {
    let server = start(1);
    let body = json!({
        "model": "speaker-1b",
        "input": "Is there an effusion?\nA. yes\nB. no",
        "questions": [{"type": "choice", "choices": [{"value": "A"}, {"value": "B"}]}],
    });
    let answer = server.post("/v1/decisions", &body).json();
    assert_eq!(answer["answers"][0]["choice"], "A");
    let ask = server.watch.state().asks[0].clone();
    assert_eq!(ask.turns.len(), 1);
    assert_eq!(ask.turns[0].parts, [Part::Text("Is there an effusion?\nA. yes\nB. no".into())]);
    assert_eq!(ask.limits.options, Some(vec!["A".to_owned(), "B".to_owned()]));
}

#[test]
fn questions_see_their_own_pictures_alone() {
    let server = start(1);
    let own = |address: &str| {
        json!({"type": "predicate", "instructions": [
            {"type": "input_text", "text": "This is as the first:"}, {"type": "input_image", "image_url": address}]})
    };
    let body = json!({
        "model": "speaker-1b",
        "input": [
            {"role": "user", "content": [{"type": "input_image", "image_url": PICTURE}]},
            {"role": "assistant", "content": [{"type": "output_text", "text": "Seen."}]},
        ],
        "questions": [own(OTHER), own(PICTURE)],
    });
    let response = server.post("/v1/decisions", &body);
    assert_eq!(response.status, 200, "{response:?}");
    let asks = server.watch.state().asks.clone();
    let sizes: Vec<Vec<usize>> =
        asks.iter().map(|a| a.pictures.iter().map(|p| p.width()).collect()).collect();
    assert_eq!(sizes, [[2, 4], [2, 2]]);
    assert!(asks.iter().all(|a| a.turns[2].role == Role::User && a.turns[2].parts[1] == Part::Picture(1)));
}

#[test]
fn what_is_no_question_is_refused_by_its_place() {
    let server = start(1);
    let asked = |question: Value| json!({"model": "speaker-1b", "input": "x", "questions": [{"type": "predicate", "instructions": "a"}, question]});
    let choices = |list: Value| json!({"type": "choice", "instructions": "a", "choices": list});
    for (question, param) in [
        (json!({"type": "box", "instructions": "a"}), "questions[1].type"),
        (json!({"type": "predicate", "instructions": 3}), "questions[1].instructions"),
        (json!({"type": "predicate", "instructions": "a", "choices": []}), "questions[1].choices"),
        (choices(json!([{"value": "a"}])), "questions[1].choices"),
        (choices(json!([{"value": "a"}, {"value": "a"}])), "questions[1].choices[1].value"),
        (choices(json!([{"value": "true"}, {"value": true}])), "questions[1].choices[1].value"),
        (choices(json!([{"value": "a"}, {"value": 1}])), "questions[1].choices[1].value"),
        (choices(json!([{"value": "a"}, "b"])), "questions[1].choices[1]"),
        (json!({"type": "score", "instructions": "a", "levels": [{"label": "a"}]}), "questions[1].levels"),
        (json!(3), "questions[1].type"),
    ] {
        let response = server.post("/v1/decisions", &asked(question.clone()));
        assert_eq!(response.error().0, 400, "{question}");
        assert_eq!(response.json()["error"]["param"], param, "{question}");
    }
    let none = json!({"model": "speaker-1b", "input": "x", "questions": []});
    assert_eq!(server.post("/v1/decisions", &none).error().0, 400);
    assert_eq!(server.watch.state().asked, 0);
}
