//! Chat completions: turns, pictures, sampling, pieces, many clients.

use crate::client::{asking, start};
use loupe_core::{Part, Role, Sampling};
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

/// A picture of `ThreeBytes`: 2 × 1, 4 × 3.
const SMALL: &str = "data:image/png;base64,AgEH";
const LARGE: &str = "data:image/jpeg;base64,BAMJ";

#[test]
fn a_completion_has_openais_shape() {
    let server = start(1);
    let response = server.say("lungs are clear");
    assert_eq!(response.header("content-type"), Some("application/json"));
    let body = response.json();
    assert_eq!(body["object"], "chat.completion");
    assert!(body["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert!(body["created"].as_u64().unwrap() > 1_600_000_000);
    assert_eq!(body["model"], "speaker-1b");
    assert!(body["system_fingerprint"].as_str().unwrap().starts_with("loupe-"));
    let choice = &body["choices"][0];
    assert_eq!(
        choice["message"],
        json!({"role": "assistant", "content": "lungs are clear", "refusal": null})
    );
    assert_eq!(choice["finish_reason"], "stop");
    assert_eq!(choice["logprobs"], Value::Null);
    assert!(choice.get("token_ids").is_none());
    let usage = &body["usage"];
    assert_eq!([&usage["prompt_tokens"], &usage["completion_tokens"], &usage["total_tokens"]], [10, 3, 13]);
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 4);
}

#[test]
fn turns_keep_their_order_of_text_and_pictures() {
    let server = start(1);
    let body = json!({"model": "speaker-1b", "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [
            {"type": "text", "text": "first"},
            {"type": "image_url", "image_url": {"url": SMALL, "detail": "low"}},
            {"type": "text", "text": "then"},
            {"type": "image_url", "image_url": LARGE},
        ]},
        {"role": "assistant", "content": "seen", "refusal": null, "tool_calls": [], "annotations": []},
        {"role": "user", "content": [{"type": "text", "text": "pictures"}]},
    ]});
    assert_eq!(server.post(CHAT, &body).words(), "2 2x1 4x3");
    let ask = server.watch.state().asks[0].clone();
    let roles: Vec<Role> = ask.turns.iter().map(|t| t.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::User]);
    let [first, then] = ["first", "then"].map(|t| Part::Text(t.into()));
    assert_eq!(ask.turns[1].parts, [first, Part::Picture(0), then, Part::Picture(1)]);
    assert_eq!(ask.pictures[1].pixels(), [9; 12]);
}

#[test]
fn choices_of_generation_reach_the_model() {
    let server = start(1);
    let mut body = asking("one two three");
    for (name, value) in [
        ("max_completion_tokens", json!(2)),
        ("temperature", json!(0.5)),
        ("top_p", json!(0.9)),
        ("top_k", json!(40)),
        ("seed", json!(-1)),
        ("stop", json!(["END", "\n\n"])),
        ("repetition_penalty", json!(1.1)),
        ("n", json!(1.0)),
        ("frequency_penalty", json!(0)),
        ("response_format", json!({"type": "text"})),
        ("user", json!("anybody")),
        ("tools", Value::Null),
    ] {
        body[name] = value;
    }
    let response = server.post(CHAT, &body);
    assert_eq!(response.words(), "one two ");
    assert_eq!(response.json()["choices"][0]["finish_reason"], "length");
    assert_eq!(response.json()["loupe"]["seed"], u64::MAX);
    let limits = server.watch.state().asks[0].limits.clone();
    assert_eq!(limits.max_new_tokens, 2);
    let sampling = Sampling::Random { temperature: 0.5, top_k: 40, top_p: 0.9, seed: u64::MAX };
    assert_eq!(limits.sampling, sampling);
    assert_eq!((limits.repetition_penalty, limits.logprobs), (Some(1.1), None));
    assert_eq!(limits.stop, ["END", "\n\n"]);
    // What is not said is greedy, and not bounded by less than the server's limit.
    server.say("plain").words();
    let limits = server.watch.state().asks[1].limits.clone();
    assert_eq!(
        (limits.sampling, limits.max_new_tokens, limits.repetition_penalty),
        (Sampling::Greedy, 2048, None)
    );
}

#[test]
fn a_seed_that_is_not_given_is_another_each_time_and_told() {
    let server = start(1);
    let mut body = asking("seed");
    body["temperature"] = json!(1);
    let [a, b] = [(); 2].map(|()| server.post(CHAT, &body));
    assert_ne!(a.words(), b.words());
    for response in [a, b] {
        assert_eq!(response.json()["loupe"]["seed"].to_string(), response.words());
    }
    body["seed"] = json!(7);
    assert_eq!(server.post(CHAT, &body).words(), "7");
}

#[test]
fn log_probabilities_have_text_bytes_and_ids() {
    let server = start(1);
    let mut body = asking("a b");
    body["logprobs"] = json!(true);
    body["top_logprobs"] = json!(2);
    body["return_token_ids"] = json!(true);
    let body = server.post(CHAT, &body).json();
    let choice = &body["choices"][0];
    assert_eq!(choice["token_ids"], json!([0, 1]));
    let tokens = choice["logprobs"]["content"].as_array().unwrap();
    assert_eq!(tokens.len(), 2);
    assert_eq!(tokens[0]["token"], "w0");
    assert_eq!(tokens[0]["bytes"], json!([119, 48]));
    assert_eq!(tokens[0]["logprob"], -0.5);
    assert_eq!(tokens[0]["top_logprobs"][1]["logprob"], -1.5);
    // Half a character has bytes, and a text that says so.
    assert_eq!((&tokens[1]["bytes"], &tokens[1]["token"]), (&json!([195]), &json!("\u{fffd}")));
    let mut plain = asking("a");
    plain["logprobs"] = json!(true);
    let plain = server.post(CHAT, &plain).json();
    assert_eq!(plain["choices"][0]["logprobs"]["content"][0]["top_logprobs"], json!([]));
}

#[test]
fn a_reply_comes_in_pieces() {
    let server = start(1);
    let mut body = asking("count 3");
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    let response = server.post(CHAT, &body);
    assert_eq!(response.header("content-type"), Some("text/event-stream"));
    let events = response.events();
    assert_eq!(events[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    let pieces: Vec<&str> =
        events[1..].iter().filter_map(|e| e["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(pieces, ["1 ", "2 ", "3"]);
    let [end, usage] = &events[events.len() - 2..] else { panic!("{events:?}") };
    assert_eq!(
        (&end["choices"][0]["finish_reason"], &end["choices"][0]["delta"]),
        (&json!("stop"), &json!({}))
    );
    assert_eq!((&usage["choices"], &usage["usage"]["completion_tokens"]), (&json!([]), &json!(3)));
    assert!(events.iter().all(|e| e["id"] == events[0]["id"] && e["object"] == "chat.completion.chunk"));
    assert!(events[..events.len() - 1].iter().all(|e| e["usage"].is_null()));
    // Without being asked for there is no usage, and log-probabilities come with the end.
    let mut body = asking("a b");
    body["stream"] = json!(true);
    body["logprobs"] = json!(true);
    let events = server.post(CHAT, &body).events();
    assert!(events.iter().all(|e| e.get("usage").is_none()));
    assert_eq!(events.last().unwrap()["choices"][0]["logprobs"]["content"].as_array().unwrap().len(), 2);
}

#[test]
fn pieces_end_before_a_stop_string() {
    let server = start(1);
    let mut body = asking("one two three");
    body["stop"] = json!("three");
    assert_eq!(server.post(CHAT, &body).words(), "one two ");
    body["stream"] = json!(true);
    let events = server.post(CHAT, &body).events();
    let text: String = events.iter().filter_map(|e| e["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "one two ");
}

#[test]
fn failures_before_and_within_a_stream() {
    let server = start(1);
    for (words, code) in [("fail", (500, "computation_failed")), ("long", (400, "context_length_exceeded"))] {
        let mut body = asking(words);
        for stream in [false, true] {
            body["stream"] = json!(stream);
            assert_eq!(server.post(CHAT, &body).error(), (code.0, code.1.to_owned()));
        }
    }
    let mut body = asking("late");
    assert_eq!(server.post(CHAT, &body).error(), (500, "computation_failed".to_owned()));
    body["stream"] = json!(true);
    let events = server.post(CHAT, &body).events();
    assert_eq!(events.last().unwrap()["error"]["code"], "computation_failed");
    assert!(events.iter().all(|e| e["choices"][0]["finish_reason"].is_null()), "{events:?}");
}

#[test]
fn many_clients_run_together_and_none_gets_what_is_anothers() {
    let server = start(8);
    let ask = |n: usize| {
        let mut client = server.connect();
        for round in 0..20 {
            let mut body = asking(&format!("client {n} round {round} says so"));
            if (n + round).is_multiple_of(3) {
                body["stream"] = json!(true);
                let events = client.post(CHAT, &body).events();
                let text: String =
                    events.iter().filter_map(|e| e["choices"][0]["delta"]["content"].as_str()).collect();
                assert_eq!(text, format!("client {n} round {round} says so"));
            } else {
                assert_eq!(client.post(CHAT, &body).words(), format!("client {n} round {round} says so"));
            }
        }
    };
    std::thread::scope(|scope| {
        for n in 0..16 {
            scope.spawn(move || ask(n));
        }
    });
    // The last reply is out before the model has let go of it.
    server.watch.wait_until(|s| s.held == 0);
    let state = server.watch.state().clone();
    assert_eq!((state.asked, state.held), (320, 0));
    assert!(state.most > 1, "asks ran one by one");
}
