//! Pictures given by address: fetched where the server was given something that fetches, else refused.

use crate::client::{Running, options, start, start_with};
use loupe_core::{FetchError, MediaFetcher};
use loupe_serve::ServeOptions;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

const CHAT: &str = "/v1/chat/completions";
const GREY: &str = "https://pictures.example.org/grey?key=s3cret";

/// Gives files by the last part of the path.
#[derive(Debug)]
struct Shelf {
    fetched: AtomicUsize,
    most: AtomicUsize,
    /// `slow` waits for a word here.
    word: Mutex<mpsc::Receiver<()>>,
}

impl MediaFetcher for Shelf {
    fn fetch(&self, address: &str, most_bytes: usize, within: Duration) -> Result<Vec<u8>, FetchError> {
        self.fetched.fetch_add(1, Ordering::SeqCst);
        self.most.store(most_bytes, Ordering::SeqCst);
        let bytes = match address.rsplit('/').next().and_then(|p| p.split('?').next()).unwrap_or_default() {
            "grey" => vec![50, 60, 9],
            "white" => vec![20, 30, 255],
            "page" => b"<html>".to_vec(),
            "slow" => match self.word.lock().unwrap().recv_timeout(within) {
                Ok(()) => vec![50, 60, 9],
                Err(_) => return Err(FetchError::TimedOut(within.as_secs())),
            },
            "elsewhere" => return Err(FetchError::NotAllowed),
            "inside" => return Err(FetchError::Private),
            "moved" => return Err(FetchError::Redirect(302)),
            _ => return Err(FetchError::Status(404)),
        };
        if bytes.len() > most_bytes { Err(FetchError::TooLarge(most_bytes)) } else { Ok(bytes) }
    }
}

fn serving(change: impl FnOnce(&mut ServeOptions)) -> (Running, Arc<Shelf>, mpsc::Sender<()>) {
    let (speak, word) = mpsc::channel();
    let shelf = Shelf { fetched: 0.into(), most: 0.into(), word: word.into() };
    let shelf = Arc::new(shelf);
    let mut options = options();
    options.fetcher = Some(Arc::clone(&shelf) as Arc<dyn MediaFetcher>);
    change(&mut options);
    (start_with(4, options), shelf, speak)
}

fn shown(addresses: &[&str]) -> Value {
    let mut parts: Vec<Value> =
        addresses.iter().map(|a| json!({"type": "image_url", "image_url": {"url": a}})).collect();
    parts.push(json!({"type": "text", "text": "pictures"}));
    json!({"model": "speaker-1b", "messages": [{"role": "user", "content": parts}]})
}

#[test]
fn a_fetched_picture_is_shown_as_one_that_was_sent() {
    let (server, shelf, _speak) = serving(|_| {});
    let white = "HTTPS://pictures.example.org/white";
    let said = server.post(CHAT, &shown(&[GREY, "data:;base64,MjwJ", white, GREY])).words();
    assert_eq!(said, "4 50x60 50x60 20x30 50x60");
    // Each address once; and the file that was sent and fetched is one picture.
    assert_eq!(shelf.fetched.load(Ordering::SeqCst), 2);
    assert_eq!(server.metric("loupe_pictures_fetched_total"), 2.0);
    assert_eq!(server.metric("loupe_pictures_decoded_total"), 2.0);
    // The next request has it fetched again, for it may have changed, and decodes nothing.
    assert_eq!(server.post(CHAT, &shown(&[GREY])).words(), "1 50x60");
    assert_eq!(
        (shelf.fetched.load(Ordering::SeqCst), server.metric("loupe_pictures_decoded_total")),
        (3, 2.0)
    );
    let decision = json!({"model": "speaker-1b", "input": [{"role": "user", "content": [
        {"type": "input_image", "image_url": GREY}, {"type": "input_text", "text": "Which side?"}]}],
        "questions": [{"type": "choice", "choices": [{"value": "left"}, {"value": "right"}]}]});
    assert_eq!(server.post("/v1/decisions", &decision).status, 200);
    assert_eq!(shelf.fetched.load(Ordering::SeqCst), 4);
}

#[test]
fn what_cannot_be_fetched_is_told_by_its_field_and_without_its_address() {
    let (server, shelf, _speak) = serving(|o| o.limits.body_timeout = Duration::from_millis(500));
    for (path, words) in [
        ("elsewhere", "--allow-pictures-from"),
        ("inside", "HOST=ADDRESS"),
        ("moved", "302"),
        ("gone", "404"),
        ("slow", "within"),
    ] {
        let response =
            server.post(CHAT, &shown(&[GREY, &format!("https://pictures.example.org/{path}?key=s3cret")]));
        assert_eq!(response.error(), (400, "invalid_image_url".to_owned()), "{path}");
        assert_eq!(response.json()["error"]["param"], "messages[0].content[1].image_url", "{path}");
        assert!(response.message().contains(words), "{}", response.message());
        assert!(!response.text.contains("s3cret") && !response.text.contains("example.org"), "{response:?}");
    }
    // What is no picture is judged by the decoder, as one that was sent.
    let response = server.post(CHAT, &shown(&["https://pictures.example.org/page"]));
    assert_eq!(response.error(), (400, "invalid_image".to_owned()));
    let fetched = shelf.fetched.load(Ordering::SeqCst);
    for other in ["file:///etc/passwd", "ftp://h/a", "gopher://h/a", "//h/a", "h/a.png", "httpss://h/a"] {
        assert_eq!(
            server.post(CHAT, &shown(&[other])).error(),
            (400, "invalid_image_url".to_owned()),
            "{other}"
        );
    }
    assert_eq!(shelf.fetched.load(Ordering::SeqCst), fetched);
    assert_eq!(server.metric("loupe_requests_in_progress"), 0.0);
}

#[test]
fn without_a_fetcher_addresses_are_refused() {
    let server = start(1);
    for address in [GREY, "http://localhost/a.png", "file:///etc/passwd"] {
        let response = server.post(CHAT, &shown(&[address]));
        assert_eq!(response.error(), (400, "invalid_image_url".to_owned()), "{address}");
        assert!(!response.text.contains("s3cret") && !response.text.contains("passwd"), "{response:?}");
    }
}

/// The files of a request are bounded together, as its body is.
#[test]
fn fetched_files_have_a_limit_together() {
    let (server, shelf, _speak) = serving(|o| o.limits.body_bytes = 500);
    let white = "https://pictures.example.org/white";
    assert_eq!(server.post(CHAT, &shown(&[GREY, white])).words(), "2 50x60 20x30");
    assert_eq!(shelf.most.load(Ordering::SeqCst), 497);
    let (server, _shelf, _speak) = serving(|o| (o.limits.body_bytes, o.limits.pictures) = (4000, 1));
    let response = server.post(CHAT, &shown(&[GREY, white]));
    assert_eq!(response.error(), (400, "too_many_pictures".to_owned()));
    assert_eq!(server.metric("loupe_pictures_fetched_total"), 0.0);
}

/// A host that lets one wait keeps nobody waiting who sends pictures, and those that wait for it too have their time.
#[test]
fn a_slow_host_takes_only_the_places_for_fetching() {
    let (server, _shelf, speak) = serving(|o| {
        (o.limits.decoders, o.limits.fetchers) = (1, 1);
        o.limits.body_timeout = Duration::from_secs(3);
    });
    let slow = "https://pictures.example.org/slow";
    let mut waiting = server.connect();
    waiting.send(crate::client::request(CHAT, &shown(&[slow]).to_string()));
    server.wait_for_metric("loupe_requests_in_progress", 1.0);
    for _ in 0..3 {
        assert_eq!(server.post(CHAT, &shown(&["data:;base64,MjwJ"])).words(), "1 50x60");
    }
    speak.send(()).unwrap();
    assert_eq!(waiting.response().words(), "1 50x60");
    // Two at a time: the first has its time and is told so; the second had no place, or no time left.
    let began = Instant::now();
    let mut both = [server.connect(), server.connect()];
    for client in &mut both {
        client.send(crate::client::request(CHAT, &shown(&[slow]).to_string()));
    }
    let mut codes: Vec<String> = both.iter_mut().map(|client| client.response().error().1).collect();
    codes.sort();
    assert!(codes.contains(&"invalid_image_url".to_owned()), "{codes:?}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}
