//! What is not understood or not supported is refused, in words that name the field.

use crate::client::{asking, request, start};
use loupe_serve::fields::{CHAT_FIELDS, DECISION_FIELDS, Rule};
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

fn with(name: &str, value: Value) -> Value {
    let mut body = asking("x");
    body[name] = value;
    body
}

#[test]
fn fields_that_could_change_the_reply_are_refused_by_name() {
    let server = start(1);
    for (name, value, code) in [
        ("n", json!(2), "unsupported_value"),
        ("presence_penalty", json!(0.5), "unsupported_value"),
        ("logit_bias", json!({"50256": -100}), "unsupported_value"),
        ("response_format", json!({"type": "json_object"}), "unsupported_value"),
        ("tools", json!([{"type": "function"}]), "unsupported_value"),
        ("reasoning_effort", json!("high"), "unsupported_value"),
        ("guided_choice", json!(["a"]), "unsupported_value"),
        ("temprature", json!(1), "unknown_field"),
        ("temperature", json!("1"), "invalid_value"),
        ("temperature", json!(-1), "invalid_value"),
        ("top_p", json!(0), "invalid_value"),
        ("top_p", json!(1.5), "invalid_value"),
        ("top_k", json!(-2), "invalid_value"),
        ("seed", json!(1.5), "invalid_value"),
        ("repetition_penalty", json!(0), "invalid_value"),
        ("max_tokens", json!(0), "invalid_value"),
        ("max_tokens", json!(2049), "invalid_value"),
        ("max_completion_tokens", json!(-1), "invalid_value"),
        ("stop", json!(""), "invalid_value"),
        ("stop", json!([1]), "invalid_value"),
        ("stop", json!(vec!["a"; 17]), "invalid_value"),
        ("logprobs", json!(5), "invalid_value"),
        ("top_logprobs", json!(2), "invalid_value"),
        ("stream", json!("yes"), "invalid_value"),
        ("stream_options", json!({"include_usage": true}), "invalid_value"),
        ("messages", json!("x"), "invalid_value"),
        ("messages", json!([]), "invalid_value"),
        ("messages", json!([{"role": "assistant", "content": "x"}]), "invalid_value"),
        ("messages", Value::Null, "missing_field"),
        ("model", Value::Null, "missing_field"),
    ] {
        let response = server.post(CHAT, &with(name, value.clone()));
        assert_eq!(response.error(), (400, code.to_owned()), "{name} {value}");
        assert_eq!(response.json()["error"]["param"], name);
        assert!(response.message().contains(name), "{}", response.message());
        assert_eq!(response.json()["error"]["type"], "invalid_request_error");
    }
    assert!(
        server.post(CHAT, &with("temprature", json!(1))).message().contains("did you mean \"temperature\"?")
    );
    let mut both = with("max_tokens", json!(5));
    both["max_completion_tokens"] = json!(6);
    assert_eq!(server.post(CHAT, &both).error().0, 400);
    assert_eq!(server.watch.state().asked, 0);
}

#[test]
fn every_field_of_the_table_is_taken_with_its_harmless_value() {
    let server = start(1);
    for (name, rule) in CHAT_FIELDS {
        match rule {
            Rule::Read => {}
            Rule::LeftAside => {
                assert_eq!(server.post(CHAT, &with(name, json!({"a": 1}))).status, 200, "{name}");
            }
            Rule::Only(values) => {
                for value in *values {
                    let value = serde_json::from_str(value).unwrap();
                    assert_eq!(server.post(CHAT, &with(name, value)).status, 200, "{name}");
                }
                assert_eq!(server.post(CHAT, &with(name, Value::Null)).status, 200, "{name}");
                assert_eq!(server.post(CHAT, &with(name, json!("other"))).status, 400, "{name}");
            }
        }
    }
}

/// The guide's tables name every field.
#[test]
fn the_guide_names_every_field() {
    let guide = include_str!("../../../../docs/guides/serving.md");
    for (name, _) in CHAT_FIELDS.iter().chain(DECISION_FIELDS) {
        assert!(guide.contains(&format!("`{name}`")), "docs/guides/serving.md does not name {name}");
    }
}

#[test]
fn messages_are_refused_by_their_place() {
    let server = start(1);
    let parts = |part: Value| json!([{"role": "user", "content": [{"type": "text", "text": "a"}, part]}]);
    for (messages, param) in [
        (json!([{"role": "tool", "content": "x"}]), "messages[0].role"),
        (json!([{"content": "x"}]), "messages[0].role"),
        (json!([{"role": "user"}]), "messages[0].content"),
        (json!([{"role": "user", "content": 3}]), "messages[0].content"),
        (json!([{"role": "user", "content": "x", "name": "me"}]), "messages[0].name"),
        (json!([{"role": "user", "content": "x", "contents": "y"}]), "messages[0].contents"),
        (json!(["x"]), "messages[0]"),
        (parts(json!({"type": "input_audio"})), "messages[0].content[1].type"),
        (parts(json!({"type": "text"})), "messages[0].content[1].text"),
        (parts(json!({"type": "text", "text": "a", "image_url": "b"})), "messages[0].content[1].image_url"),
        (
            parts(json!({"type": "image_url", "image_url": {"link": "b"}})),
            "messages[0].content[1].image_url.link",
        ),
        (
            json!([{"role": "system", "content": [{"type": "image_url", "image_url": "data:;base64,AgEH"}]}]),
            "messages[0].content",
        ),
    ] {
        let response = server.post(CHAT, &with("messages", messages.clone()));
        assert_eq!(response.error().0, 400, "{messages}");
        assert_eq!(response.json()["error"]["param"], param, "{messages}");
    }
}

#[test]
fn pictures_are_data_and_no_addresses() {
    let server = start(1);
    let shown = |address: &str| {
        with(
            "messages",
            json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": address}}]}]),
        )
    };
    for (address, code) in [
        ("https://localhost/secret.png", "invalid_image_url"),
        ("file:///etc/passwd", "invalid_image_url"),
        ("AgEH", "invalid_image_url"),
        ("data:image/png;base64,?", "invalid_image_url"),
        ("data:image/png;base64,AgE=", "invalid_image"),
    ] {
        let response = server.post(CHAT, &shown(address));
        assert_eq!(response.error(), (400, code.to_owned()), "{address}");
        assert_eq!(response.json()["error"]["param"], "messages[0].content[0].image_url");
        assert!(!response.text.contains("secret") && !response.text.contains("passwd"));
    }
    // A decoder that breaks down takes nobody with it.
    assert_eq!(server.post(CHAT, &shown("data:;base64,DQ==")).error(), (500, "internal".to_owned()));
    assert_eq!(server.say("still here").words(), "still here");
    assert_eq!(server.metric("loupe_requests_in_progress"), 0.0);
}

#[test]
fn bodies_that_are_no_requests() {
    let server = start(1);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for body in ["", "{", "nonsense", "{\"model\": \"speaker-1b\"} tail", &deep, "{\"a\": \"\\ud800\"}"] {
        let mut client = server.connect();
        client.send(request(CHAT, body));
        assert_eq!(client.response().error(), (400, "invalid_json".to_owned()));
    }
    for body in ["[]", "3", "null", "\"x\""] {
        let mut client = server.connect();
        client.send(request(CHAT, body));
        assert_eq!(client.response().error(), (400, "invalid_value".to_owned()), "{body}");
    }
    let mut client = server.connect();
    client.send(request(CHAT, "xxxx").replace("xxxx", "").as_bytes());
    client.send(b"\xff\xfe\xff\xfe");
    assert_eq!(client.response().error(), (400, "invalid_json".to_owned()));
}

#[test]
fn other_models_paths_and_methods() {
    let server = start(1);
    let response = server.post(CHAT, &with("model", json!("speaker-1B")));
    assert_eq!(response.error(), (404, "model_not_found".to_owned()));
    assert_eq!(server.get("/v1/nothing").error(), (404, "unknown_path".to_owned()));
    let response = server.get(CHAT);
    assert_eq!(response.error(), (405, "method_not_allowed".to_owned()));
    assert_eq!(response.header("allow"), Some("POST"));
    let response = server.post("/health", &json!({}));
    assert_eq!((response.status, response.header("allow")), (405, Some("GET, HEAD")));
}
