//! Servers that fail in every way: no reply is lost or doubled, time is bounded, and a key is never shown.

use loupe_core::model::{AskId, Listed};
use loupe_core::{Ask, GenerationLimits, ModelError, Reply, ReplySink, Retry, VisionLanguageModel};
use loupe_remote::{Address, Budget, Cost, Key, ServedModel, ServedOptions};
use loupe_testing::server::{Do, Request, Server, refusal, says, status};
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

fn options() -> ServedOptions {
    ServedOptions {
        reply: Duration::from_secs(5),
        patience: Duration::from_secs(20),
        ..ServedOptions::default()
    }
}

fn open(server: &Server, options: ServedOptions) -> ServedModel {
    ServedModel::open(&Address::parse(&server.address()).unwrap(), options).unwrap()
}

fn asks(n: usize) -> Vec<Ask> {
    (0..n)
        .map(|i| Ask::pictures_then(Vec::new(), format!("question {i}"), GenerationLimits::default()))
        .collect()
}

/// Keeps every reply, twice given ones too.
#[derive(Default)]
struct All(HashMap<u64, Vec<Result<Reply, ModelError>>>);

impl ReplySink for All {
    fn done(&mut self, id: AskId, reply: Result<Reply, ModelError>) {
        self.0.entry(id.0).or_default().push(reply);
    }
}

/// The replies in order, each asserted to have come once.
fn ask_all(model: &mut ServedModel, n: usize) -> Vec<Result<Reply, ModelError>> {
    let (asks, mut all) = (asks(n), All::default());
    model.serve(&mut Listed::new(&asks), &mut all);
    (0..n as u64)
        .map(|id| {
            let mut replies = all.0.remove(&id).unwrap_or_default();
            assert_eq!(replies.len(), 1, "ask {id}");
            replies.remove(0)
        })
        .collect()
}

fn all_answered(replies: &[Result<Reply, ModelError>]) {
    for (n, reply) in replies.iter().enumerate() {
        assert_eq!(reply.as_ref().unwrap().text, format!("to question {n}"));
    }
}

fn echo(request: &Request) -> Do {
    says(&format!("to {}", request.words()))
}

/// Fails the first `times` requests with the same words, then answers.
fn first(times: usize, failing: impl Fn() -> Do + Send + Sync + 'static) -> Server {
    let seen: Mutex<HashMap<String, usize>> = Mutex::default();
    Server::new(move |_, request| {
        let mut seen = seen.lock().unwrap();
        let n = seen.entry(request.words()).or_default();
        *n += 1;
        if *n <= times { failing() } else { echo(request) }
    })
}

#[test]
fn the_server_is_on_record_and_every_ask_has_its_reply() {
    let server = Server::new(|_, request| echo(request));
    let mut model = open(&server, options());
    let info = serde_json::to_value(model.info()).unwrap();
    assert_eq!(info["from"]["served"]["server"], "owned by tests, version 9.1, server fake/1");
    assert_eq!((&info["name"], &info["context_tokens"]), (&"m".into(), &4096.into()));
    let replies = ask_all(&mut model, 60);
    all_answered(&replies);
    let sent = server.questions();
    assert_eq!(sent.len(), 60);
    assert!(server.most_at_once() <= 64);
    let served = replies[0].as_ref().unwrap().served.as_ref().unwrap();
    assert_eq!(
        (served.request_sha256.len(), served.model.as_deref(), served.tries),
        (64, Some("m-served"), 1)
    );
    assert_eq!(replies[0].as_ref().unwrap().counts.prompt_tokens, 10);
}

#[test]
fn a_storm_of_429_is_waited_out_as_the_server_asks() {
    let storm = || Do::Answer(429, "retry-after: 1\r\n".to_owned(), String::new());
    let server = first(2, storm);
    let mut model = open(&server, ServedOptions { patience: Duration::from_secs(60), ..options() });
    let began = Instant::now();
    all_answered(&ask_all(&mut model, 12));
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    // At the worst one after the other, each after two pauses of a second and a little more.
    assert!(began.elapsed() < Duration::from_secs(120), "{:?}", began.elapsed());
    assert_eq!(server.questions().len(), 36);
}

#[test]
fn faults_that_pass_cost_no_reply() {
    let truncated = br#"HTTP/1.1 200 X
content-length: 400

{"choices": [{"message": {"con"#;
    let truncated: Vec<u8> = String::from_utf8_lossy(truncated).replace('\n', "\r\n").into_bytes();
    let page = || Do::Answer(200, "content-type: text/html\r\n".into(), "<html>sign in</html>".into());
    let cut = || Do::Answer(200, String::new(), r#"{"choices": [{"message": {"content": "ye"#.into());
    let wrapped =
        || Do::Answer(200, String::new(), r#"{"error": {"code": 503, "message": "warming up"}}"#.into());
    all_answered(&ask_all(&mut open(&first(1, || Do::Reset), options()), 12));
    all_answered(&ask_all(&mut open(&first(1, move || Do::Raw(truncated.clone())), options()), 12));
    all_answered(&ask_all(&mut open(&first(1, || status(500)), options()), 12));
    all_answered(&ask_all(&mut open(&first(1, || status(503)), options()), 12));
    all_answered(&ask_all(&mut open(&first(1, page), options()), 12));
    all_answered(&ask_all(&mut open(&first(1, cut), options()), 12));
    all_answered(&ask_all(&mut open(&first(1, wrapped), options()), 12));
}

#[test]
fn one_question_that_always_fails_fails_alone() {
    for (failing, retry) in [(500, Retry::May), (400, Retry::Never)] {
        let server = Server::new(move |_, request| match request.words().as_str() {
            "question 3" => refusal(failing, "question 3 is more than this model can take"),
            _ => echo(request),
        });
        // Reads the words of a refusal, which must not repeat the question.
        let mut model = open(&server, options());
        let replies = ask_all(&mut model, 8);
        for (n, reply) in replies.iter().enumerate() {
            match n {
                3 => {
                    let error = reply.as_ref().unwrap_err();
                    assert_eq!(error.retry(), retry, "{error}");
                    assert!(error.to_string().contains(&failing.to_string()), "{error}");
                    assert!(!error.to_string().contains("question"), "{error}");
                }
                n => assert_eq!(reply.as_ref().unwrap().text, format!("to question {n}")),
            }
        }
    }
}

#[test]
fn hanging_requests_end_in_time_and_only_they_fail() {
    let server = Server::new(|_, request| match request.words().as_str() {
        "question 1" => Do::Hang(Duration::from_secs(30)),
        _ => echo(request),
    });
    let mut model = open(&server, ServedOptions { reply: Duration::from_millis(700), ..options() });
    let began = Instant::now();
    let replies = ask_all(&mut model, 6);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    let failed: Vec<usize> = (0..6).filter(|n| replies[*n].is_err()).collect();
    assert_eq!(failed, [1]);
    let error = replies[1].as_ref().unwrap_err();
    assert_eq!(error.retry(), Retry::May);
    assert!(error.to_string().contains("no reply within 1 s (2 times)"), "{error}");
}

#[test]
fn huge_bodies_are_not_read_to_their_end() {
    let huge = || {
        let mut bytes = b"HTTP/1.1 200 X\r\ncontent-length: 9000000000\r\n\r\n".to_vec();
        bytes.resize(20 << 20, b' ');
        Do::Raw(bytes)
    };
    let server = first(1, huge);
    all_answered(&ask_all(&mut open(&server, options()), 2));
}

#[test]
fn a_server_that_dies_is_given_up_and_nothing_is_called_a_failure_of_an_ask() {
    // Answers five and then resets every connection, also for those who ask for its models.
    let served = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::raw(move |request| {
        let models = r#"{"data": [{"id": "m"}]}"#.to_owned();
        let n = served.load(std::sync::atomic::Ordering::SeqCst);
        match request {
            _ if n >= 5 => Do::Reset,
            r if r.is("/v1/models") => Do::Answer(200, String::new(), models),
            r if r.is("/v1/chat/completions") => {
                served.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                echo(r)
            }
            _ => status(404),
        }
    });
    let mut model = open(&server, ServedOptions { patience: Duration::from_secs(2), ..options() });
    let began = Instant::now();
    let replies = ask_all(&mut model, 200);
    assert!(began.elapsed() < Duration::from_secs(120), "{:?}", began.elapsed());
    let answered = replies.iter().filter(|r| r.is_ok()).count();
    assert!((5..=16).contains(&answered), "{answered}");
    for reply in replies.iter().filter_map(|r| r.as_ref().err()) {
        assert_eq!(reply.retry(), Retry::Away, "{reply}");
    }
    // Nobody is asked any more for a while.
    let before = server.asked.lock().unwrap().len();
    let began = Instant::now();
    assert!(ask_all(&mut model, 3).iter().all(|r| r.as_ref().is_err_and(|e| e.retry() == Retry::Away)));
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_eq!(server.asked.lock().unwrap().len(), before);
    // Nor is one opened where nobody listens.
    let closed = Address::parse("http://127.0.0.1:9/v1#m").unwrap();
    assert_eq!(ServedModel::open(&closed, options()).unwrap_err().retry(), Retry::Away);
}

#[test]
fn a_server_that_comes_back_within_patience_answers_everything() {
    let began = Instant::now();
    let server = Server::raw(move |request| match request {
        r if r.is("/v1/models") && began.elapsed() < Duration::from_millis(400) => {
            Do::Answer(200, String::new(), r#"{"data": [{"id": "m"}]}"#.to_owned())
        }
        _ if began.elapsed() < Duration::from_secs(4) => status(502),
        r if r.is("/v1/models") => Do::Answer(200, String::new(), r#"{"data": [{"id": "m"}]}"#.to_owned()),
        r => echo(r),
    });
    all_answered(&ask_all(&mut open(&server, options()), 10));
}

#[test]
fn redirects_are_not_followed_and_end_the_run() {
    let other = Server::new(|_, request| echo(request));
    let to = format!("location: {}/chat/completions\r\n", other.base);
    for code in [301, 302, 303, 307, 308] {
        let to = to.clone();
        let server = Server::new(move |_, _| Do::Answer(code, to.clone(), String::new()));
        let mut model = open(&server, ServedOptions { key: Key::new("k-secret"), ..options() });
        for reply in ask_all(&mut model, 20) {
            let error = reply.unwrap_err();
            assert_eq!(error.retry(), Retry::Barred);
            assert!(error.to_string().contains("sends to another address"), "{error}");
        }
        assert!(server.questions().len() <= 8, "{}", server.questions().len());
    }
    assert!(other.asked.lock().unwrap().is_empty());
}

#[test]
fn a_key_goes_to_the_server_and_nowhere_else() {
    let server = Server::new(|_, request| {
        let key =
            request.head.lines().find(|l| l.to_lowercase().starts_with("authorization")).unwrap_or_default();
        match key.contains("Bearer k-secret-1") {
            true => refusal(401, &format!("Incorrect API key provided: {key}")),
            false => echo(request),
        }
    });
    let with_key = ServedOptions { key: Key::new("k-secret-1\n"), ..options() };
    let mut model = open(&server, with_key.clone());
    let replies = ask_all(&mut model, 3);
    let shown =
        format!("{with_key:?} {model:?} {replies:?} {}", serde_json::to_string(model.info()).unwrap());
    assert!(!shown.contains("k-secret"), "{shown}");
    assert!(replies.iter().all(|r| r.as_ref().is_err_and(|e| e.retry() == Retry::Barred)));
    let heads: Vec<String> = server.asked.lock().unwrap().iter().map(|r| r.head.clone()).collect();
    assert!(heads.iter().all(|head| head.contains("Bearer k-secret-1")));
}

#[test]
fn a_budget_ends_the_run_and_is_not_overspent() {
    let server = Server::new(|_, request| echo(request));
    let budget = Budget { requests: Some(7), ..Budget::default() };
    let mut model = open(&server, ServedOptions { budget, requests_at_a_time: 3, ..options() });
    let replies = ask_all(&mut model, 30);
    let answered = replies.iter().filter(|r| r.is_ok()).count();
    assert_eq!((answered, server.questions().len()), (7, 7));
    let error = replies.iter().find_map(|r| r.as_ref().err()).unwrap();
    assert_eq!(error.retry(), Retry::Barred);
    assert!(error.to_string().contains("budget of 7 requests is used up"), "{error}");
    let budget = Budget { tokens: Some(50), ..Budget::default() };
    let mut model = open(&server, ServedOptions { budget, requests_at_a_time: 1, ..options() });
    // Twelve tokens each: the fifth begins with 48.
    assert_eq!(ask_all(&mut model, 30).iter().filter(|r| r.is_ok()).count(), 5);
    // Ten tokens of a prompt and two of a reply: 14 each at these prices, the fourth begins with 42.
    let cost = Cost { most: 43.0, per_million_prompt: 1e6, per_million_reply: 2e6 };
    let budget = Budget { cost: Some(cost), ..Budget::default() };
    let mut model = open(&server, ServedOptions { budget, requests_at_a_time: 1, ..options() });
    let replies = ask_all(&mut model, 30);
    assert_eq!(replies.iter().filter(|r| r.is_ok()).count(), 4);
    let error = replies.iter().find_map(|r| r.as_ref().err()).unwrap();
    assert!(error.to_string().contains("56.0000 was spent"), "{error}");
}

/// A budget that nobody counts towards would never end.
#[test]
fn a_budget_of_tokens_needs_a_server_that_counts_them() {
    let server = Server::new(|_, request| match echo(request) {
        Do::Answer(status, headers, body) => {
            Do::Answer(status, headers, body.replace("\"usage\"", "\"cost\""))
        }
        other => other,
    });
    let opened = |budget| open(&server, ServedOptions { budget, requests_at_a_time: 1, ..options() });
    let replies = ask_all(&mut opened(Budget { tokens: Some(5000), ..Budget::default() }), 10);
    // The one that showed it stays.
    assert_eq!(replies.iter().filter(|r| r.is_ok()).count(), 1);
    let error = replies.iter().find_map(|r| r.as_ref().err()).unwrap();
    assert_eq!(error.retry(), Retry::Barred);
    assert!(error.to_string().contains("--max-requests"), "{error}");
    let replies = ask_all(&mut opened(Budget { requests: Some(100), ..Budget::default() }), 10);
    assert!(replies.iter().all(Result::is_ok));
}

#[test]
fn a_question_that_is_always_too_much_fails_alone() {
    let server = Server::new(|_, request| match request.words().as_str() {
        "question 2" => Do::Answer(429, "retry-after: 0\r\n".to_owned(), String::new()),
        _ => {
            std::thread::sleep(Duration::from_millis(20));
            echo(request)
        }
    });
    let began = Instant::now();
    let replies = ask_all(&mut open(&server, ServedOptions { requests_at_a_time: 4, ..options() }), 120);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    let failed: Vec<usize> = (0..120).filter(|n| replies[*n].is_err()).collect();
    assert_eq!(failed, [2]);
    let error = replies[2].as_ref().unwrap_err();
    assert!(error.retry() == Retry::May && error.to_string().contains("status 429"), "{error}");
}

#[test]
fn a_server_that_asks_for_hours_ends_the_command() {
    for asks in ["86400", "1e300", "Wed, 01 Jan 2200 00:00:00 GMT"] {
        let server = Server::new(move |n, request| match n {
            0..3 => echo(request),
            _ => Do::Answer(503, format!("retry-after: {asks}\r\n"), String::new()),
        });
        let began = Instant::now();
        let replies = ask_all(&mut open(&server, options()), 50);
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        assert_eq!(replies.iter().filter(|r| r.is_ok()).count(), 3, "{asks}");
        assert!(replies.iter().filter_map(|r| r.as_ref().err()).all(|e| e.retry() == Retry::Away), "{asks}");
    }
}

#[test]
fn a_server_that_hangs_over_options_is_given_up_in_time() {
    let server = Server::raw(|request| match request {
        r if r.is("/v1/models") => Do::Answer(200, String::new(), r#"{"data": [{"id": "m"}]}"#.to_owned()),
        _ => Do::Hang(Duration::from_secs(60)),
    });
    let patience = Duration::from_secs(1);
    let mut model = open(&server, ServedOptions { reply: Duration::from_secs(1), patience, ..options() });
    let options = Some(vec!["yes".to_owned(), "no".to_owned()]);
    let limits = GenerationLimits { options, ..GenerationLimits::default() };
    let asks: Vec<Ask> =
        (0..40).map(|n| Ask::pictures_then(Vec::new(), format!("question {n}"), limits.clone())).collect();
    let (began, mut all) = (Instant::now(), All::default());
    model.serve(&mut Listed::new(&asks), &mut all);
    // One after the other they would take a second each, twice.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(all.0.len(), 40);
    assert!(all.0.values().all(|r| r.len() == 1 && r[0].as_ref().is_err_and(|e| e.retry() == Retry::Away)));
}

/// Keeps the words as they come, and the reply.
#[derive(Default)]
struct Heard(String, Option<Result<Reply, ModelError>>);

impl ReplySink for Heard {
    fn piece(&mut self, _: AskId, text: &str) -> loupe_core::Go {
        self.0.push_str(text);
        loupe_core::Go::On
    }

    fn done(&mut self, _: AskId, reply: Result<Reply, ModelError>) {
        assert!(self.1.replace(reply).is_none());
    }
}

#[test]
fn words_of_a_stream_that_breaks_off_are_heard_once() {
    let event = |words: &str| {
        format!("data: {}\n\n", serde_json::json!({ "choices": [{ "delta": { "content": words } }] }))
    };
    let end = "data: {\"choices\": [{\"delta\": {}, \"finish_reason\": \"stop\"}]}\n\ndata: [DONE]\n\n";
    for (first, again, heard) in [
        (vec!["no ", "nod"], vec!["no nod", "ule"], "no nodule"),
        (vec!["no ", "nod"], vec!["a ", "mass"], "no nod\na mass"),
    ] {
        let first: String = first.into_iter().map(event).collect();
        let again = again.into_iter().map(event).collect::<String>() + end;
        let server = Server::new(move |n, _| {
            let body = if n == 0 { first.clone() } else { again.clone() };
            Do::Answer(200, "content-type: text/event-stream\r\n".to_owned(), body)
        });
        let mut model = open(&server, ServedOptions { stream: true, ..options() });
        let mut sink = Heard::default();
        model.serve(&mut Listed::new(&asks(1)), &mut sink);
        assert_eq!(sink.0, heard);
        assert_eq!(sink.1.unwrap().unwrap().text, heard.rsplit('\n').next().unwrap());
    }
}

#[test]
fn a_refusal_within_a_stream_is_heard_as_one_in_a_reply() {
    let server = Server::new(|_, request| {
        let event = match request.body.get("top_k") {
            Some(_) => {
                serde_json::json!({ "error": { "code": 400, "message": "Unrecognized argument: top_k" } })
            }
            None => {
                let choice = serde_json::json!({ "delta": { "content": "yes" }, "finish_reason": "stop" });
                serde_json::json!({ "choices": [choice] })
            }
        };
        let body = format!("data: {event}\n\ndata: [DONE]\n\n");
        Do::Answer(200, "content-type: text/event-stream\r\n".to_owned(), body)
    });
    let mut model = open(&server, ServedOptions { stream: true, ..options() });
    let reply = ask_all(&mut model, 1).remove(0).unwrap();
    assert_eq!((reply.text.as_str(), server.questions().len()), ("yes", 2));
    assert_eq!(reply.served.unwrap().not_sent, ["top_k"]);
}

#[test]
fn a_key_that_a_server_repeats_is_not_kept() {
    let server = Server::new(|_, request| {
        let key = request.head.lines().find_map(|l| l.split_once("Bearer ")).map(|(_, key)| key.trim());
        let key = key.unwrap_or_default().to_owned();
        let reply = serde_json::json!({
            "model": key, "system_fingerprint": format!("for {key}"),
            "choices": [{ "message": { "content": format!("You sent {key}"), "reasoning": key }, "finish_reason": "stop" }],
        });
        Do::Answer(200, format!("server: {key}\r\n"), reply.to_string())
    });
    let mut model = open(&server, ServedOptions { key: Key::new("k-secret-2"), ..options() });
    let replies = ask_all(&mut model, 2);
    let shown = format!("{replies:?}");
    assert!(replies[0].is_ok() && shown.contains("You sent …") && !shown.contains("k-secret"), "{shown}");
}

#[test]
fn a_server_that_refuses_everything_leaves_no_failures_behind() {
    let server = Server::new(|_, _| refusal(400, "this model takes no images"));
    let replies = ask_all(&mut open(&server, options()), 40);
    for reply in &replies {
        let error = reply.as_ref().unwrap_err();
        assert_eq!(error.retry(), Retry::Barred, "{error}");
        assert!(error.to_string().contains("takes no images"), "{error}");
    }
    assert!(server.questions().len() <= 16, "{}", server.questions().len());
}
