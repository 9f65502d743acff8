//! What an endpoint may answer, and what becomes of it.

use loupe_remote::{Endpoint, EndpointError};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

/// Answers one request after the other with these statuses and bodies; its address.
fn answering(replies: Vec<(u16, &'static str)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for ((status, body), stream) in replies.into_iter().zip(listener.incoming().flatten()) {
            let mut reader = BufReader::new(stream);
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
            reader.read_exact(&mut vec![0; length]).unwrap();
            let head =
                format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            reader.into_inner().write_all(format!("{head}{body}").as_bytes()).unwrap();
        }
    });
    url
}

const YES: &str = r#"{"choices": [{"message": {"role": "assistant", "content": "yes"}}]}"#;

#[test]
fn a_busy_endpoint_is_asked_again_and_a_refusal_is_not() {
    let ask = |replies| Endpoint::new(&answering(replies), "m", None).complete("Is it?");
    assert_eq!(ask(vec![(503, ""), (200, YES)]).unwrap(), "yes");
    assert_eq!(ask(vec![(400, YES), (200, YES)]), Err(EndpointError::Refused(400)));
    let without = ask(vec![(200, "{}")]).unwrap_err();
    assert_eq!(without.to_string(), "the endpoint's reply has no choices[0].message.content");
    assert!(!without.may_pass());
}

#[test]
fn nobody_there_is_said_with_the_number_of_tries_and_a_key_is_never_shown() {
    let endpoint = Endpoint::new("http://127.0.0.1:9/v1", "m", Some("secret-key".to_owned()));
    assert!(!format!("{endpoint:?}").contains("secret"));
    let error = endpoint.complete("Is it?").unwrap_err();
    assert!(error.may_pass() && error.to_string().ends_with("(4 times)"), "{error}");
}
