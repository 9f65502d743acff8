//! What an endpoint may answer, and what becomes of it.

use loupe_remote::{Endpoint, EndpointError, Key, Patience};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Reads a request; its body.
fn request(reader: &mut BufReader<TcpStream>) -> String {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(n) = line.to_lowercase().strip_prefix("content-length:") {
            length = n.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

/// Answers one request after the other with these statuses, headers and bodies; its address, and the bodies of the
/// requests.
fn answering(replies: Vec<(u16, String, &'static str)>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = asked.clone();
    std::thread::spawn(move || {
        for ((status, header, body), stream) in replies.into_iter().zip(listener.incoming().flatten()) {
            let mut reader = BufReader::new(stream);
            heard.lock().unwrap().push(request(&mut reader));
            let head = format!(
                "HTTP/1.1 {status} X\r\n{header}content-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            reader.into_inner().write_all(format!("{head}{body}").as_bytes()).unwrap();
        }
    });
    (url, asked)
}

const YES: &str = r#"{"choices": [{"message": {"role": "assistant", "content": "yes"}}]}"#;

fn plain(replies: Vec<(u16, &'static str)>) -> Endpoint {
    let replies = replies.into_iter().map(|(status, body)| (status, String::new(), body)).collect();
    Endpoint::new(&answering(replies).0, "m", None, Patience::default())
}

#[test]
fn a_busy_endpoint_is_asked_again_and_a_refusal_is_not() {
    let ask = |replies| plain(replies).complete("Is it?");
    assert_eq!(ask(vec![(503, ""), (200, YES)]).unwrap(), "yes");
    assert_eq!(ask(vec![(400, YES), (200, YES)]), Err(EndpointError::Refused(400)));
    let without = ask(vec![(200, "{}")]).unwrap_err();
    assert_eq!(without.to_string(), "the endpoint's reply has no choices[0].message.content");
    assert!(!without.may_pass());
    let cut = r#"{"choices": [{"finish_reason": "length", "message": {"content": "VERDICT: COR"}}]}"#;
    assert_eq!(ask(vec![(200, cut)]), Err(EndpointError::CutOff));
}

#[test]
fn nobody_there_is_said_with_the_number_of_tries_and_a_key_is_never_shown() {
    let key = Key::new("secret-key");
    let endpoint = Endpoint::new("http://127.0.0.1:9/v1", "m", key, Patience::default());
    assert!(!format!("{endpoint:?}").contains("secret"));
    let error = endpoint.complete("Is it?").unwrap_err();
    assert!(error.may_pass() && error.to_string().ends_with("(4 times)"), "{error}");
}

#[test]
fn every_field_of_sampling_is_sent_but_those_that_the_endpoint_refuses() {
    let refusal = r#"{"error": {"message": "Unrecognized request arguments supplied: min_p, top_k, repetition_penalty"}}"#;
    let none = String::new;
    let (url, asked) =
        answering(vec![(200, none(), YES), (400, none(), refusal), (200, none(), YES), (200, none(), YES)]);
    let endpoint = Endpoint::new(&url, "m", None, Patience::default());
    for question in ["One?", "Two?", "Three?"] {
        // Copies learn together.
        assert_eq!(endpoint.clone().complete(question).unwrap(), "yes");
    }
    let asked = asked.lock().unwrap();
    let bodies: Vec<Value> = asked.iter().map(|body| serde_json::from_str(body).unwrap()).collect();
    assert_eq!(bodies.len(), 4);
    for (n, body) in bodies.iter().enumerate() {
        for (field, value) in [
            ("temperature", json!(0.0)),
            ("top_p", json!(1.0)),
            ("presence_penalty", json!(0.0)),
            ("frequency_penalty", json!(0.0)),
            ("seed", json!(0)),
            ("n", json!(1)),
        ] {
            assert_eq!(body[field], value, "{field}");
        }
        let further = [("top_k", json!(-1)), ("min_p", json!(0.0)), ("repetition_penalty", json!(1.0))];
        for (field, value) in further {
            assert_eq!(body[field], if n < 2 { value } else { Value::Null }, "{field} of request {n}");
        }
    }
    let says =
        r#"{"error": {"message": "Unsupported value: 'temperature' does not support 0.0 with this model"}}"#;
    let error = plain(vec![(400, says)]).complete("Is it?").unwrap_err();
    assert!(error.to_string().contains("temperature") && !error.may_pass(), "{error}");
}

#[test]
fn redirects_are_not_followed() {
    let (other, asked_there) = answering(vec![(200, String::new(), YES)]);
    for status in [301, 302, 303, 307, 308] {
        for to in [other.as_str(), "/elsewhere"] {
            let (url, asked) = answering(vec![(status, format!("location: {to}\r\n"), ""); 2]);
            let endpoint = Endpoint::new(&url, "m", Key::new("key"), Patience::default());
            assert_eq!(endpoint.complete("Is it?"), Err(EndpointError::Elsewhere(status)));
            // The same for every question, so it is not asked again.
            assert!(matches!(endpoint.complete("Is it?"), Err(EndpointError::GivenUp { .. })));
            assert_eq!(asked.lock().unwrap().len(), 1);
        }
    }
    assert!(asked_there.lock().unwrap().is_empty());
}

#[test]
fn the_pause_that_is_asked_for_is_kept() {
    let pause = |seconds: u64| format!("retry-after: {seconds}\r\n");
    let (url, _) = answering(vec![(429, pause(1), ""), (200, String::new(), YES)]);
    let began = Instant::now();
    assert_eq!(Endpoint::new(&url, "m", None, Patience::default()).complete("Is it?").unwrap(), "yes");
    assert!(began.elapsed() >= Duration::from_secs(1));
    let (url, asked) = answering(vec![(503, pause(9_999_999), ""), (200, String::new(), YES)]);
    let error = Endpoint::new(&url, "m", None, Patience::default()).complete("Is it?").unwrap_err();
    assert_eq!(error, EndpointError::Overloaded { status: 503, seconds: 9_999_999 });
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[test]
fn an_endpoint_that_hangs_costs_little_time() {
    // Takes connections and never says a word; the second one begins a reply and stops.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for (n, stream) in listener.incoming().flatten().enumerate() {
            let mut reader = BufReader::new(stream);
            request(&mut reader);
            if n == 1 {
                reader.get_mut().write_all(b"HTTP/1.1 200 X\r\ncontent-length: 99\r\n\r\n{").unwrap();
            }
            open.push(reader);
        }
    });
    let endpoint = Endpoint::new(&url, "m", None, Patience { reply: Duration::from_millis(300) });
    let began = Instant::now();
    for n in 0..20 {
        let error = endpoint.clone().complete("Is it?").unwrap_err();
        match n {
            0..3 => assert!(matches!(error, EndpointError::TimedOut(_)), "{error}"),
            _ => assert!(matches!(error, EndpointError::GivenUp { times: 3, .. }), "{error}"),
        }
        assert!(error.may_pass());
    }
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[test]
fn a_wrong_key_is_asked_with_once() {
    let (url, asked) = answering(vec![(401, String::new(), ""); 9]);
    let endpoint = Endpoint::new(&url, "m", Key::new("wrong"), Patience::default());
    assert_eq!(endpoint.complete("Is it?"), Err(EndpointError::Refused(401)));
    let given_up = endpoint.complete("Is it?").unwrap_err();
    assert!(given_up.to_string().contains("401"), "{given_up}");
    assert_eq!(asked.lock().unwrap().len(), 1);
}
