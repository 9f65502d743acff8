//! `loupe serve` as a process: the same tokens as `loupe ask` gives, and a clean end.

use crate::common::{bmp, json, loupe, text};
use base64::Engine;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_loupe"))
            .args(["serve", "--port", "0", "--quiet"])
            .args(args)
            .env_remove("LOUPE_SERVE_TOKEN")
            // Nobody listens there, and pictures are fetched past it.
            .env("http_proxy", "http://127.0.0.1:9")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().trim_start_matches("http://").trim_end_matches("/v1").to_owned();
        Self { child, address }
    }

    fn post(&self, path: &str, body: &Value) -> (String, Value) {
        let body = body.to_string();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), serde_json::from_str(body).unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_is_served_is_what_ask_says() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = bmp(64, 48, |x, y| (x * y) as u8);
    let file = dir.path().join("a.bmp");
    fs::write(&file, &bytes).unwrap();
    let file = file.to_str().unwrap();
    let question = "What is shown?";
    let server = Server::start();
    let uri = format!("data:image/bmp;base64,{}", base64::engine::general_purpose::STANDARD.encode(&bytes));
    let turn = |kind: [&str; 2]| {
        json!([{"role": "user", "content": [
            {"type": kind[0], "image_url": uri}, {"type": kind[1], "text": question}]}])
    };
    let chat = json!({"model": "phantom-vl", "messages": turn(["image_url", "text"]), "max_tokens": 6,
        "logprobs": true, "top_logprobs": 2, "return_token_ids": true, "repetition_penalty": 1.0});
    let (status, served) = server.post("/v1/chat/completions", &chat);
    assert!(status.contains("200"), "{status} {served}");
    let asked = json(&[
        "ask",
        file,
        question,
        "--json",
        "--max-new-tokens",
        "6",
        "--logprobs",
        "2",
        "--repetition-penalty",
        "1",
    ]);
    let (choice, reply) = (&served["choices"][0], &asked["reply"]);
    assert_eq!(choice["token_ids"], reply["token_ids"]);
    assert_eq!(choice["message"]["content"], reply["text"]);
    assert_eq!(served["usage"]["prompt_tokens"], reply["counts"]["prompt_tokens"]);
    let tokens = choice["logprobs"]["content"].as_array().unwrap();
    for (served, asked) in tokens.iter().zip(reply["logprobs"].as_array().unwrap()) {
        assert_eq!(served["token_id"], asked["id"]);
        // One is written as 64 bits, the other as 32: the number is the same.
        let [served, asked] = [served, asked].map(|token| token["logprob"].as_f64().unwrap() as f32);
        assert_eq!(served.to_bits(), asked.to_bits());
    }
    // The bytes of the tokens are the words.
    let bytes = tokens.iter().flat_map(|t| t["bytes"].as_array().unwrap()).map(|b| b.as_u64().unwrap() as u8);
    let words = String::from_utf8(bytes.collect()).unwrap();
    assert_eq!(words.trim(), reply["text"].as_str().unwrap().trim());

    let decision = json!({"model": "phantom-vl", "input": turn(["input_image", "input_text"]),
        "questions": [{"type": "choice", "choices": [{"value": "lung"}, {"value": "brain"}]}]});
    let (status, served) = server.post("/v1/decisions", &decision);
    assert!(status.contains("200"), "{status} {served}");
    let scores = &json(&["ask", file, question, "--json", "--options", "lung,brain"])["reply"]["options"];
    let answer = &served["answers"][0];
    let close = |a: &Value, b: &Value| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-6;
    assert!(close(&answer["mass"], &scores["mass"]), "{answer} {scores}");
    for n in 0..2 {
        assert!(
            close(&answer["probabilities"][n]["probability"], &scores["each"][n]["probability"]),
            "{answer} {scores}"
        );
    }
    // A file that is none is refused, and the server goes on.
    let hostile = json!({"model": "phantom-vl", "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": "data:image/png;base64,iVBORw0KGgo="}]}]});
    let (status, refused) = server.post("/v1/chat/completions", &hostile);
    assert!(status.contains("400") && refused["error"]["code"] == "invalid_image", "{status} {refused}");
    assert_eq!(server.post("/v1/chat/completions", &chat).1["choices"][0]["token_ids"], choice["token_ids"]);
}

/// A picture by its address is the picture that is sent; only from a host that was named.
#[cfg(feature = "remote")]
#[test]
fn pictures_are_fetched_from_hosts_that_were_named() {
    use loupe_testing::server::{Do, Server as Host};
    let bytes = bmp(64, 48, |x, y| (x * y) as u8);
    let uri = format!("data:image/bmp;base64,{}", base64::engine::general_purpose::STANDARD.encode(&bytes));
    let file =
        [format!("HTTP/1.1 200 X\r\ncontent-length: {}\r\n\r\n", bytes.len()).into_bytes(), bytes].concat();
    let host = Host::raw(move |_| Do::Raw(file.clone()));
    let place = host.base.trim_end_matches("/v1").to_owned();
    let server = Server::start_with(&[
        "--allow-pictures-from",
        "pictures.example.org",
        "--allow-pictures-from",
        &place,
    ]);
    let asked = |url: &str| {
        let chat = json!({"model": "phantom-vl", "max_tokens": 4, "return_token_ids": true, "messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "What is shown?"}]}]});
        server.post("/v1/chat/completions", &chat)
    };
    let (status, fetched) = asked(&format!("{place}/a.bmp?key=s3cret"));
    assert!(status.contains("200"), "{status} {fetched}");
    assert_eq!(fetched["choices"][0]["token_ids"], asked(&uri).1["choices"][0]["token_ids"]);
    let other = Host::raw(|_| Do::Reset);
    for address in
        [other.base.clone(), place.replace("http:", "https:"), "http://pictures.example.org/a".into()]
    {
        let (status, refused) = asked(&address);
        assert!(
            status.contains("400") && refused["error"]["code"] == "invalid_image_url",
            "{status} {refused}"
        );
    }
    assert!(other.asked.lock().unwrap().is_empty());
    let wrong = loupe(&["serve", "--port", "0", "--allow-pictures-from", "https://h/path"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("without a path"), "{}", text(&wrong.stderr));
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_with_its_number() {
    for (name, code) in [("-TERM", 143), ("-INT", 130)] {
        let mut server = Server::start();
        assert!(server.post("/v1/chat/completions", &json!({})).0.contains("400"));
        let pid = server.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
        assert_eq!(server.child.wait().unwrap().code(), Some(code));
    }
}

#[test]
fn what_would_be_open_or_is_taken_is_refused_before_the_model_is_loaded() {
    let open = Command::new(env!("CARGO_BIN_EXE_loupe"))
        .args(["serve", "--host", "0.0.0.0", "--model", "no such folder"])
        .env_remove("LOUPE_SERVE_TOKEN")
        .output()
        .unwrap();
    assert_eq!(open.status.code(), Some(2));
    assert!(text(&open.stderr).contains("LOUPE_SERVE_TOKEN"), "{}", text(&open.stderr));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let out = loupe(&["serve", "--port", &port, "--model", "no such folder"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("--port 0"), "{}", text(&out.stderr));
}

/// The replies of a run in the order of its samples.
fn replies(run: &Path) -> Vec<Value> {
    let lines = fs::read_to_string(run.join("replies.jsonl")).unwrap();
    let mut lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.sort_by_key(|line| line["item"].as_u64());
    lines.into_iter().map(|mut line| line["outcome"]["reply"].take()).collect()
}

/// The client of `loupe eval` on the server of `loupe serve`: tokens and scores are those of the checkpoint itself.
#[test]
fn a_run_through_the_server_is_the_run_itself() {
    let dir = tempfile::tempdir().unwrap();
    let phantoms = dir.path().join("phantoms");
    assert!(loupe(&["phantom", "--out", phantoms.to_str().unwrap(), "--studies", "2"]).status.success());
    let data = format!("vqa-rad={}", phantoms.join("vqa-rad").display());
    let server = Server::start();
    let address = format!("http://{}/v1#phantom-vl", server.address);
    for way in ["words", "options"] {
        let [here, there] = [None, Some(address.as_str())].map(|model| {
            let run = dir.path().join(format!("{way}-{}", model.is_some()));
            let mut args = vec!["eval", "--data", &data, "--no-page", "--quiet", "--answer-by", way];
            args.extend(["--max-new-tokens", "8", "--repetition-penalty", "1", "-o", run.to_str().unwrap()]);
            args.extend(model.map(|model| ["--model", model]).into_iter().flatten());
            let out = loupe(&args);
            assert!(out.status.success(), "{}", text(&out.stderr));
            run
        });
        let [own, served] = [&here, &there].map(|run| replies(run));
        assert!(own.len() > 20, "{}", own.len());
        for (own, served) in own.iter().zip(&served) {
            assert_eq!((&own["text"], &own["token_ids"]), (&served["text"], &served["token_ids"]));
            let Some(each) = own["options"]["each"].as_array() else { continue };
            for (own, served) in each.iter().zip(served["options"]["each"].as_array().unwrap()) {
                let [own, served] = [own, served].map(|option| option["probability"].as_f64().unwrap());
                assert!((own - served).abs() < 1e-5, "{own} {served}");
            }
        }
        let [own, served] = [&here, &there].map(|run| fs::read_to_string(run.join("scores.json")).unwrap());
        // Probabilities differ in their last digits, as the company of an ask does.
        assert!(way == "options" || own == served, "the scores differ");
    }
}
