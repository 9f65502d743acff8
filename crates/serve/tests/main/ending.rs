//! How a server ends: what is in work is answered, what comes is refused.

use crate::client::{ThreeBytes, asking, options, request, start, start_with};
use loupe_core::model::{AskSource, ReplySink};
use loupe_core::{ModelInfo, VisionLanguageModel};
use loupe_serve::{ServeError, Server};
use serde_json::json;
use std::sync::Arc;

const CHAT: &str = "/v1/chat/completions";

#[test]
fn what_is_in_work_is_answered_and_what_comes_is_refused() {
    let server = start(1);
    let mut whole = server.connect();
    whole.send(request(CHAT, &asking("hold").to_string()));
    let mut body = asking("hold");
    body["stream"] = json!(true);
    let mut pieces = server.connect();
    pieces.send(request(CHAT, &body.to_string()));
    server.wait_for_metric("loupe_asks_waiting", 1.0);
    let mut kept = server.connect();
    kept.send("GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_eq!(kept.response().status, 200);
    server.stopper.finish();
    // On new connections, and on those that were there.
    let refused = server.say("x");
    assert_eq!(refused.error(), (503, "shutting_down".to_owned()));
    assert_eq!(refused.header("connection"), Some("close"));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(kept.post(CHAT, &asking("x")).status, 503);
    assert_eq!(server.get("/health").status, 503);
    server.watch.release();
    assert_eq!(whole.response().words(), "released");
    let events = pieces.response().events();
    assert_eq!(events[1]["choices"][0]["delta"]["content"], "released");
    assert_eq!(server.ended().unwrap().signal, None);
}

#[test]
fn a_server_without_work_ends_at_once_and_frees_its_port() {
    let server = start(1);
    assert_eq!(server.say("x").words(), "x");
    let mut kept = server.connect();
    kept.send("GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n");
    kept.response();
    let address = server.address;
    server.stopper.finish();
    server.ended().unwrap();
    assert_eq!(kept.rest(), b"");
    let mut again = options();
    again.address = address;
    assert_eq!(start_with(1, again).say("again").words(), "again");
}

#[test]
fn what_is_given_up_is_told_so() {
    let server = start(1);
    let mut clients: Vec<_> = (0..2)
        .map(|_| {
            let mut client = server.connect();
            client.send(request(CHAT, &asking("hold").to_string()));
            client
        })
        .collect();
    server.wait_for_metric("loupe_asks_waiting", 1.0);
    server.stopper.abandon();
    for client in &mut clients {
        assert_eq!(client.response().error(), (503, "shutting_down".to_owned()));
    }
    server.ended().unwrap();
}

/// Takes an ask and is gone.
struct Gone(ModelInfo, bool);

impl VisionLanguageModel for Gone {
    fn info(&self) -> &ModelInfo {
        &self.0
    }

    fn serve(&mut self, asks: &mut dyn AskSource, _: &mut dyn ReplySink) {
        asks.next(true);
        assert!(self.1, "the model breaks down");
    }
}

#[test]
fn nobody_waits_for_a_model_that_is_gone() {
    for quietly in [true, false] {
        let server = Server::bind(options()).unwrap();
        let address = server.address();
        let mut model = Gone(ModelInfo::scripted("gone", "speaker-1b", "none"), quietly);
        let thread = std::thread::spawn(move || server.run(&mut model, Arc::new(ThreeBytes)));
        let mut client = crate::client::Client::to(address);
        client.send(request(CHAT, &asking("x").to_string()));
        assert_eq!(client.response().error(), (500, "computation_failed".to_owned()));
        match thread.join() {
            Ok(ended) => assert!(quietly && matches!(ended, Err(ServeError::ModelEnded)), "{ended:?}"),
            Err(_) => assert!(!quietly),
        }
    }
}
