//! Who is let in, and what the pages without the model say.

use crate::client::{asking, options, request, start, start_with};
use loupe_serve::{ServeError, Server, Token};

const CHAT: &str = "/v1/chat/completions";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn with_a_token_only_those_who_have_it() {
    let mut with_token = options();
    with_token.token = Some(Token::new(SECRET, "the test").unwrap());
    let server = start_with(1, with_token);
    let body = asking("x").to_string();
    let with = |header: &str| request(CHAT, &body).replace("\r\n\r\n", &format!("\r\n{header}\r\n\r\n"));
    for wrong in ["x: y", "authorization: Bearer", "authorization: Bearer wrong", "authorization: Basic YTpi"]
    {
        let mut client = server.connect();
        client.send(with(wrong));
        let response = client.response();
        assert_eq!(response.error(), (401, "invalid_api_key".to_owned()), "{wrong}");
        assert_eq!(response.header("www-authenticate"), Some("Bearer"));
        assert!(!response.text.contains(SECRET));
    }
    let mut client = server.connect();
    client.send(with(&format!("authorization: Bearer {SECRET}")).replace("127.0.0.1", "loupe.example"));
    assert_eq!(client.response().words(), "x");
    // Every route but /health.
    for path in ["/v1/models", "/v1/models/speaker-1b", "/metrics", "/version", "/v1/nothing"] {
        assert_eq!(server.get(path).status, 401, "{path}");
    }
    assert_eq!(server.get("/health").status, 200);
    assert_eq!(server.watch.state().asked, 1);
}

#[test]
fn without_a_token_other_machines_are_kept_out() {
    let mut open = options();
    open.address = "0.0.0.0:0".parse().unwrap();
    let refused = Server::bind(open.clone()).unwrap_err();
    assert!(matches!(refused, ServeError::Open(_)), "{refused}");
    assert!(refused.to_string().contains("LOUPE_SERVE_TOKEN"), "{refused}");
    open.token = Some(Token::new(SECRET, "the test").unwrap());
    assert!(Server::bind(open).is_ok());
}

/// A web page can make its own name point to this machine, and can send text without asking.
#[test]
fn without_a_token_web_pages_are_kept_out() {
    let server = start(1);
    let body = asking("x").to_string();
    let mut client = server.connect();
    client.send(request(CHAT, &body).replace("127.0.0.1", "evil.example:8000"));
    assert_eq!(client.response().error(), (403, "foreign_host".to_owned()));
    let mut client = server.connect();
    client.send(request(CHAT, &body).replace("application/json", "text/plain"));
    assert_eq!(client.response().error(), (415, "content_type".to_owned()));
    let mut client = server.connect();
    client.send(format!("OPTIONS {CHAT} HTTP/1.1\r\nhost: localhost\r\norigin: http://evil.example\r\n\r\n"));
    let response = client.response();
    assert_eq!(response.status, 405);
    assert_eq!(response.header("access-control-allow-origin"), None);
    assert_eq!(server.watch.state().asked, 0);
}

#[test]
fn pages_without_the_model() {
    let server = start(1);
    assert_eq!(server.get("/health").json()["status"], "ok");
    assert!(server.get("/health").header("server").unwrap().starts_with("loupe/"));
    assert_eq!(server.get("/version").json()["server"], "loupe");
    let models = server.get("/v1/models").json();
    let model = &models["data"][0];
    assert_eq!(
        (&models["object"], &model["id"], &model["object"]),
        (&"list".into(), &"speaker-1b".into(), &"model".into())
    );
    assert_eq!(model["loupe"]["weights_sha256"], "ab".repeat(32));
    assert_eq!((&model["max_model_len"], &model["loupe"]["family"]), (&4096.into(), &"speaker".into()));
    assert_eq!(server.get("/v1/models/speaker%2D1b").json()["id"], "speaker-1b");
    assert_eq!(server.get("/v1/models/other").error(), (404, "model_not_found".to_owned()));
    // A completion has the mark of the model that the list has.
    assert_eq!(server.say("x").json()["system_fingerprint"], model["system_fingerprint"]);
}

#[test]
fn metrics_count_what_happened() {
    let server = start(1);
    server.say("one two").words();
    assert_eq!(server.say("fail").status, 500);
    assert_eq!(server.post(CHAT, &serde_json::json!({})).status, 400);
    for (name, value) in [
        ("loupe_asks_answered_total", 1.0),
        ("loupe_asks_failed_total", 1.0),
        ("loupe_generated_tokens_total", 2.0),
        ("loupe_prompt_tokens_total", 10.0),
        ("loupe_reused_tokens_total", 4.0),
        ("loupe_proposed_tokens_total", 3.0),
        ("loupe_accepted_tokens_total", 1.0),
        ("loupe_request_seconds_count", 1.0),
        ("loupe_request_seconds_bucket{le=\"+Inf\"}", 1.0),
        ("loupe_responses_total{route=\"/v1/chat/completions\",code=\"200\"}", 1.0),
        ("loupe_responses_total{route=\"/v1/chat/completions\",code=\"500\"}", 1.0),
        ("loupe_responses_total{route=\"/v1/chat/completions\",code=\"400\"}", 1.0),
        ("loupe_connections", 1.0),
        ("loupe_asks_waiting", 0.0),
        ("loupe_asks_running", 0.0),
    ] {
        server.wait_for_metric(name, value);
    }
    let text = server.get("/metrics").text;
    // Each family is explained once, and every line is one of Prometheus' form.
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("loupe_") && value.parse::<f64>().is_ok(), "{line}");
        let family = name.split('{').next().unwrap();
        let family =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| family.strip_suffix(end)).unwrap_or(family);
        assert_eq!(text.matches(&format!("# TYPE {family} ")).count(), 1, "{line}");
    }
}

#[test]
fn the_model_has_the_name_that_it_is_given() {
    let mut named = options();
    named.name = Some("medical/vqa".into());
    let server = start_with(1, named);
    assert_eq!(server.say("x").status, 404);
    let mut body = asking("x");
    body["model"] = "medical/vqa".into();
    assert_eq!(server.post(CHAT, &body).json()["model"], "medical/vqa");
    assert_eq!(server.get("/v1/models/medical/vqa").status, 200);
}
