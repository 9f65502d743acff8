//! Nothing is taken without a bound, and what clients leave behind is let go.

use crate::client::{Running, asking, options, request, start, start_with};
use loupe_serve::ServeLimits;
use serde_json::{Value, json};
use std::time::Duration;

const CHAT: &str = "/v1/chat/completions";

fn limited(change: impl FnOnce(&mut ServeLimits)) -> Running {
    let mut options = options();
    change(&mut options.limits);
    start_with(1, options)
}

/// Nothing is held for anybody.
fn assert_empty(server: &Running) {
    for name in ["requests_in_progress", "asks_waiting", "asks_running", "picture_bytes"] {
        server.wait_for_metric(&format!("loupe_{name}"), 0.0);
    }
}

#[test]
fn requests_above_the_limit_are_told_when_to_come_again() {
    let server = limited(|l| l.requests = 3);
    let mut waiting: Vec<_> = (0..3)
        .map(|_| {
            let mut client = server.connect();
            client.send(request(CHAT, &asking("hold").to_string()));
            client
        })
        .collect();
    server.wait_for_metric("loupe_asks_waiting", 2.0);
    let response = server.say("x");
    assert_eq!(response.error(), (429, "too_many_requests".to_owned()));
    assert!(response.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(response.json()["error"]["type"], "rate_limit_error");
    // What needs no model is still there.
    assert_eq!(server.get("/health").status, 200);
    server.watch.release();
    for client in &mut waiting {
        assert_eq!(client.response().words(), "released");
    }
    assert_eq!(server.say("x").words(), "x");
    assert_empty(&server);
}

#[test]
fn who_leaves_is_not_answered() {
    let server = start(2);
    // While the reply is made, whole and in pieces; and while it waits for its turn.
    let mut clients: Vec<_> = [("hold", false), ("count on", true), ("x", false)]
        .into_iter()
        .map(|(words, stream)| {
            let mut body = asking(words);
            body["stream"] = json!(stream);
            let mut client = server.connect();
            client.send(request(CHAT, &body.to_string()));
            client
        })
        .enumerate()
        .map(|(n, client)| {
            match n {
                0 | 1 => server.watch.wait_until(|s| s.held == n + 1),
                _ => server.wait_for_metric("loupe_asks_waiting", 1.0),
            }
            client
        })
        .collect();
    drop(clients.remove(2));
    server.wait_for_metric("loupe_asks_waiting", 0.0);
    clients.clear();
    server.watch.wait_until(|s| s.cancelled == 2);
    server.wait_for_metric("loupe_asks_cancelled_total", 3.0);
    assert_eq!(server.watch.state().asked, 2);
    assert_empty(&server);
    assert_eq!(server.say("x").words(), "x");
}

#[test]
fn bodies_have_a_bound_however_they_come() {
    let server = limited(|l| l.body_bytes = 10_000);
    let long = asking(&"x".repeat(20_000)).to_string();
    let mut client = server.connect();
    client.send(request(CHAT, &long));
    let response = client.response();
    assert_eq!(response.error(), (413, "body_too_large".to_owned()));
    assert!(response.message().contains("--max-body"), "{}", response.message());
    // A length that is only declared.
    let mut client = server.connect();
    client.send(
        request(CHAT, "").replace("content-length: 0", "content-length: 99999999999\r\nexpect: 100-continue"),
    );
    assert_eq!(client.response().status, 413);
    // Without a length, in chunks.
    let mut client = server.connect();
    client.send(request(CHAT, "").replace("content-length: 0", "transfer-encoding: chunked"));
    for _ in 0..3 {
        client.send(format!("{:x}\r\n{}\r\n", 5000, " ".repeat(5000)));
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.response().error(), (413, "body_too_large".to_owned()));
    let mut client = server.connect();
    let body = asking("in chunks").to_string();
    client.send(request(CHAT, "").replace("content-length: 0", "transfer-encoding: chunked"));
    client.send(format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()));
    assert_eq!(client.response().words(), "in chunks");
    assert_empty(&server);
}

#[test]
fn slow_clients_are_left() {
    let short = Duration::from_millis(200);
    let server = limited(|l| (l.head_timeout, l.body_timeout) = (short, short));
    // A head that does not end, and a connection that says nothing.
    let mut slow = server.connect();
    slow.send("POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n");
    let mut silent = server.connect();
    slow.rest();
    silent.rest();
    // A body that does not come.
    let mut slow = server.connect();
    slow.send(request(CHAT, "").replace("content-length: 0", "content-length: 100"));
    slow.send("{\"model\"");
    assert_eq!(slow.response().error(), (408, "timeout".to_owned()));
    slow.rest();
    // One that breaks off.
    let mut broken = server.connect();
    broken.send(request(CHAT, "").replace("content-length: 0", "content-length: 100"));
    drop(broken);
    assert_empty(&server);
    assert_eq!(server.watch.state().asked, 0);
}

/// A client that reads nothing of a long reply does not keep it for ever.
#[test]
fn who_takes_nothing_of_a_reply_is_left() {
    let server = limited(|l| (l.write_timeout, l.reply_tokens) = (Duration::from_millis(300), usize::MAX));
    let mut body = asking("count on");
    body["stream"] = json!(true);
    let mut client = server.connect();
    client.send(request(CHAT, &body.to_string()));
    server.watch.wait_until(|s| s.cancelled == 1);
    assert_empty(&server);
}

#[test]
fn heads_have_a_bound() {
    let server = start(1);
    let long = format!("GET /health HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(200_000));
    let fields: String = (0..500).map(|n| format!("h{n}: x\r\n")).collect();
    let many = format!("GET /health HTTP/1.1\r\n{fields}\r\n");
    // The answer may get lost where the client is still sending.
    for head in [long, many] {
        let status = server.connect().try_status(&head);
        assert!(status.is_none_or(|status| matches!(status, 400 | 431)), "{status:?}");
    }
    for nonsense in ["\r\n\r\nNONSENSE\r\n\r\n", "GET /\0 HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\0\x01"] {
        let mut client = server.connect();
        assert!(client.try_status(nonsense).is_none_or(|status| status == 400), "{nonsense:?}");
    }
    assert_eq!(server.get("/health").status, 200);
}

#[test]
fn connections_have_a_bound() {
    let server = limited(|l| l.connections = 2);
    let mut first = server.connect();
    first.send("GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_eq!(first.response().status, 200);
    let mut second = server.connect();
    second.send("GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_eq!(second.response().status, 200);
    let mut third = server.connect();
    assert_eq!(third.response().error(), (503, "too_many_connections".to_owned()));
    drop(second);
    // Its place is free when the server has noticed.
    for _ in 0..1000 {
        let mut again = server.connect();
        if again.try_status("GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n") == Some(200) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("the place stays taken");
}

#[test]
fn pictures_have_bounds() {
    let server = limited(|l| (l.pictures, l.picture_bytes) = (3, 5000));
    // 50 × 60 pixels, and as many of another grey.
    let [a, b] = ["data:;base64,MjwB", "data:;base64,MjwC"];
    let shown = |words: &str, addresses: &[&str]| {
        let mut parts: Vec<Value> =
            addresses.iter().map(|a| json!({"type": "image_url", "image_url": {"url": a}})).collect();
        parts.push(json!({"type": "text", "text": words}));
        json!({"model": "speaker-1b", "messages": [{"role": "user", "content": parts}]})
    };
    assert_eq!(server.post(CHAT, &shown("pictures", &[a, a, a])).words(), "3 50x60 50x60 50x60");
    assert_eq!(server.post(CHAT, &shown("x", &[a; 4])).error(), (400, "too_many_pictures".to_owned()));
    assert_eq!(server.post(CHAT, &shown("x", &[a, b])).error(), (413, "pictures_too_large".to_owned()));
    // Those of all requests together.
    let mut holding = server.connect();
    holding.send(request(CHAT, &shown("hold", &[a]).to_string()));
    server.watch.wait_until(|s| s.held == 1);
    let response = server.post(CHAT, &shown("x", &[b]));
    assert_eq!(response.error(), (429, "too_many_pictures".to_owned()));
    assert!(response.header("retry-after").is_some());
    server.watch.release();
    assert_eq!(holding.response().words(), "released");
    assert_eq!(server.post(CHAT, &shown("x", &[b])).words(), "x");
    assert_empty(&server);
}

/// A picture that several requests show at the same time is in memory once.
#[test]
fn requests_in_work_share_their_pictures() {
    let server = start(4);
    let body = json!({"model": "speaker-1b", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "hold"}, {"type": "image_url", "image_url": {"url": "data:;base64,MjwB"}}]}]});
    let mut clients: Vec<_> = (1..=2)
        .map(|n| {
            let mut client = server.connect();
            client.send(request(CHAT, &body.to_string()));
            server.watch.wait_until(|s| s.held == n);
            client
        })
        .collect();
    let asks = server.watch.state().asks.clone();
    assert!(std::sync::Arc::ptr_eq(&asks[0].pictures[0], &asks[1].pictures[0]));
    assert_eq!(server.metric("loupe_pictures_known"), 1.0);
    server.watch.release();
    for client in &mut clients {
        client.response().words();
    }
}

/// The picture of `n`: 20 × 20 pixels of one grey, with words.
fn about(n: u8, words: &str) -> Value {
    let address = format!("data:;base64,{}", base64([20, 20, n]));
    json!({"model": "speaker-1b", "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": address}}, {"type": "text", "text": words}]}]})
}

/// A picture that comes again is not decoded again, and every reply is as without.
#[test]
fn questions_about_one_picture_decode_it_once() {
    let [keeping, forgetting] =
        [ServeLimits::default().kept_picture_bytes, 0].map(|bytes| limited(|l| l.kept_picture_bytes = bytes));
    for n in 0..22 {
        let body = about(7, &format!("question {n}"));
        let [kept, fresh] = [&keeping, &forgetting].map(|server| server.post(CHAT, &body).json());
        assert_eq!(kept["choices"], fresh["choices"]);
        assert_eq!(kept["usage"]["prompt_tokens"], fresh["usage"]["prompt_tokens"]);
    }
    assert_eq!(keeping.metric("loupe_pictures_decoded_total"), 1.0);
    assert_eq!(keeping.metric("loupe_pictures_reused_total"), 21.0);
    assert_eq!(keeping.metric("loupe_kept_picture_bytes"), 400.0 + 4096.0);
    assert_eq!(forgetting.metric("loupe_kept_picture_bytes"), 0.0);
    assert_empty(&keeping);
    // Files that are no pictures leave nothing behind.
    for n in 0..200u8 {
        let address = format!("data:;base64,{}=", &base64([1, n, 0])[..3]);
        let mut body = about(1, "x");
        body["messages"][0]["content"][0]["image_url"]["url"] = json!(address);
        assert_eq!(keeping.post(CHAT, &body).status, 400);
    }
    assert_eq!(keeping.metric("loupe_pictures_known"), 1.0);
}

#[test]
fn kept_pictures_have_a_bound_and_those_shown_last_stay() {
    let server = limited(|l| l.kept_picture_bytes = 3 * (400 + 4096));
    let decoded = |n: u8| {
        server.watch.state().asks.clear();
        let before = server.metric("loupe_pictures_decoded_total");
        assert_eq!(server.post(CHAT, &about(n, "x")).words(), "x");
        server.watch.state().asks.clear();
        assert!(server.metric("loupe_kept_picture_bytes") <= 3.0 * 4496.0);
        server.metric("loupe_pictures_decoded_total") > before
    };
    assert_eq!([1, 2, 3, 1].map(decoded), [true, true, true, false]);
    // The fourth takes the place of the second, which was not shown for longest.
    assert_eq!([4, 1, 3, 2].map(decoded), [true, false, false, true]);
    assert_eq!([4, 2].map(decoded), [true, false]);
    // One that is too large is shown and not kept.
    let server = limited(|l| l.kept_picture_bytes = 4400);
    assert_eq!(server.post(CHAT, &about(1, "x")).words(), "x");
    assert_eq!(server.metric("loupe_kept_picture_bytes"), 0.0);
}

/// What the server holds after ten thousand requests is what it held after the first, and what it may keep.
#[test]
fn ten_thousand_requests_leave_nothing() {
    let server = start_with(16, {
        let mut options = options();
        options.limits.kept_picture_bytes = 0;
        options
    });
    let one = |thread: usize| {
        let mut client = server.connect();
        for n in 0..2500 {
            // As many pictures as there are requests.
            let bytes = [1, 1 + (thread as u8), (n % 251) as u8];
            let address = format!("data:;base64,{}", base64(bytes));
            let mut body = json!({"model": "speaker-1b", "messages": [{"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": address}}, {"type": "text", "text": "a b"}]}]});
            match n % 5 {
                0 => body["stream"] = json!(true),
                1 => body["temperature"] = json!(-1),
                _ => {}
            }
            assert_eq!(client.post(CHAT, &body).status, if n % 5 == 1 { 400 } else { 200 });
        }
    };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || one(thread));
        }
    });
    assert_empty(&server);
    assert_eq!(server.metric("loupe_asks_answered_total"), 8000.0);
    // The model of the test keeps some asks with their pictures; the server keeps none of itself.
    server.watch.state().asks.clear();
    let picture = json!({"type": "image_url", "image_url": {"url": "data:;base64,MjwB"}});
    let body = json!({"model": "speaker-1b", "messages": [{"role": "user", "content": [picture]}]});
    assert_eq!(server.post(CHAT, &body).status, 200);
    assert_eq!(server.metric("loupe_pictures_known"), 1.0);
    server.wait_for_metric("loupe_connections", 1.0);
    // One line a route and status, not one a request.
    assert!(server.get("/metrics").text.lines().count() < 120);
}

fn base64(bytes: [u8; 3]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let [a, b, c] = bytes.map(usize::from);
    let digits = [a >> 2, (a & 3) << 4 | b >> 4, (b & 15) << 2 | c >> 6, c & 63];
    digits.iter().map(|d| char::from(DIGITS[*d])).collect()
}
