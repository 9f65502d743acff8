//! What is sent and what is read: fields, pictures, log-probabilities, options, thoughts, streams.

use loupe_core::{
    Ask, AskId, GenerationLimits, Go, JsonForm, JsonSchema, ModelError, OptionsFrom, Picture, Reply,
    ReplyForm, ReplySink, Retry, Stop, VisionLanguageModel,
};
use loupe_remote::{Address, PictureBound, ServedModel, ServedOptions};
use loupe_testing::Nearest;
use loupe_testing::server::{Do, Server, refusal, says, status};
use serde_json::{Value, json};
use std::sync::Arc;

fn open(server: &Server, options: ServedOptions) -> ServedModel {
    ServedModel::open(&Address::parse(&server.address()).unwrap(), options).unwrap()
}

fn ask(limits: GenerationLimits) -> Ask {
    Ask::pictures_then(Vec::new(), "Is it?", limits)
}

fn one(model: &mut ServedModel, ask: Ask) -> Result<Reply, ModelError> {
    model.generate(&[ask]).remove(0)
}

fn json_answer(value: &Value) -> Do {
    Do::Answer(200, String::new(), value.to_string())
}

#[test]
fn fields_that_a_server_refuses_are_left_out_where_they_change_nothing() {
    let server = Server::new(|_, request| {
        let has = |name: &str| request.body.get(name).is_some();
        match () {
            () if has("top_k") || has("min_p") => {
                refusal(400, "Unrecognized request arguments supplied: min_p, top_k")
            }
            () if has("max_tokens") => refusal(
                400,
                "Unsupported parameter: 'max_tokens' is not supported; use 'max_completion_tokens' instead.",
            ),
            () => says("yes"),
        }
    });
    let mut model = open(&server, ServedOptions::default());
    let reply = one(&mut model, ask(GenerationLimits::default())).unwrap();
    assert_eq!(reply.text, "yes");
    assert_eq!(reply.served.unwrap().not_sent, ["top_k", "min_p"]);
    let last = server.questions().pop().unwrap().body;
    assert_eq!((&last["max_completion_tokens"], &last["temperature"]), (&json!(256), &json!(0.0)));
    // Learnt once.
    let before = server.questions().len();
    one(&mut model, ask(GenerationLimits::default())).unwrap();
    assert_eq!(server.questions().len(), before + 1);
    // What changes replies is not left out.
    let sampling = loupe_core::Sampling::Random { temperature: 1.0, top_k: 4, top_p: 1.0, seed: 1 };
    let error =
        one(&mut model, ask(GenerationLimits { sampling, ..GenerationLimits::default() })).unwrap_err();
    assert!(error.retry() == Retry::Barred && error.to_string().contains("top_k 4"), "{error}");
}

#[test]
fn log_probabilities_thoughts_and_ends_are_read() {
    let server = Server::new(|_, request| {
        assert_eq!((&request.body["logprobs"], &request.body["top_logprobs"]), (&json!(true), &json!(2)));
        assert_eq!(request.body["stop"], json!(["\n\n"]));
        json_answer(&json!({
            "choices": [{
                "message": { "content": "yes\n\nand more", "reasoning_content": "no, yes" },
                "finish_reason": "length", "token_ids": [5, 6],
                "logprobs": { "content": [
                    { "token": "yes", "logprob": -0.1, "top_logprobs": [{ "token": "yes", "logprob": -0.1 }, { "token": "no", "logprob": -2.5 }] },
                ] },
            }],
        }))
    });
    let limits =
        GenerationLimits { logprobs: Some(2), stop: vec!["\n\n".to_owned()], ..GenerationLimits::default() };
    let reply = one(&mut open(&server, ServedOptions::default()), ask(limits)).unwrap();
    assert_eq!(
        (reply.text.as_str(), reply.stop, reply.token_ids.as_slice()),
        ("yes", Stop::StopString, &[5, 6][..])
    );
    let served = reply.served.unwrap();
    assert_eq!(served.reasoning.as_deref(), Some("no, yes"));
    let tokens = served.tokens.unwrap();
    assert_eq!(tokens[0].top[1], ("no".to_owned(), -2.5));
}

#[test]
fn options_are_asked_of_decisions_where_the_server_has_them() {
    let server = Server::raw(|request| match request {
        r if r.is("/v1/models") => json_answer(&json!({ "data": [{ "id": "m" }] })),
        r if r.is("/v1/decisions") => {
            assert_eq!(r.body["input"][0]["content"][0]["text"], "Is it?");
            assert_eq!(r.body["questions"][0]["choices"], json!([{ "value": "yes" }, { "value": "no" }]));
            json_answer(
                &json!({ "answers": [{ "type": "choice", "name": "reply", "choice": "no", "mass": 0.9,
                "probabilities": [{ "value": "yes", "probability": 0.2 }, { "value": "no", "probability": 0.8 }] }] }),
            )
        }
        _ => status(404),
    });
    let options = Some(vec!["yes".to_owned(), "no".to_owned()]);
    let limits = GenerationLimits { options, ..GenerationLimits::default() };
    let reply = one(&mut open(&server, ServedOptions::default()), ask(limits)).unwrap();
    let scores = reply.options.unwrap();
    assert_eq!((reply.text.as_str(), scores.mass, scores.each[0].probability), ("no", 0.9, 0.2));
    assert_eq!(reply.served.unwrap().options_from, Some(OptionsFrom::Decisions));
}

#[test]
fn options_are_read_from_the_first_token_elsewhere_or_refused_in_words() {
    let server = Server::new(|_, request| {
        assert_eq!((&request.body["max_tokens"], &request.body["top_logprobs"]), (&json!(1), &json!(20)));
        let rivals = json!([{ "token": "Yes", "logprob": -0.5 }, { "token": "no", "logprob": -1.5 }]);
        let rivals = if request.words() == "Is it?" { rivals } else { json!([]) };
        json_answer(&json!({ "choices": [{ "message": { "content": "Yes" }, "finish_reason": "length",
            "logprobs": { "content": [{ "token": "Yes", "logprob": -0.5, "top_logprobs": rivals }] } }] }))
    });
    let mut model = open(&server, ServedOptions::default());
    let limits = |options: &[&str]| GenerationLimits {
        options: Some(options.iter().map(|o| (*o).to_owned()).collect()),
        ..GenerationLimits::default()
    };
    let reply = one(&mut model, ask(limits(&["yes", "no"]))).unwrap();
    let scores = reply.options.unwrap();
    let (yes, no) = ((-0.5f64).exp(), (-1.5f64).exp());
    assert!((scores.each[0].probability - yes / (yes + no)).abs() < 1e-12);
    assert!((scores.mass - yes - no).abs() < 1e-12);
    let without =
        one(&mut model, Ask::pictures_then(Vec::new(), "And?", limits(&["yes", "no"]))).unwrap_err();
    assert!(
        without.to_string().contains("no log-probabilities") && without.retry() == Retry::Never,
        "{without}"
    );
    let alike = one(&mut model, ask(limits(&["Yes, on the left", "Yes, on the right"]))).unwrap_err();
    assert!(alike.to_string().contains("begin with the same token"), "{alike}");
}

fn json_form(answer: Option<&str>) -> Option<ReplyForm> {
    let schema = json!({ "type": "object", "additionalProperties": false, "required": ["why", "answer"],
        "properties": { "why": { "type": "string" }, "answer": { "enum": ["A", "B"] } } });
    let schema = JsonSchema::new(schema).unwrap();
    Some(ReplyForm::Json(JsonForm { schema, answer: answer.map(str::to_owned) }))
}

#[test]
fn a_schema_is_sent_and_every_reply_is_held_against_it() {
    let server = Server::new(|n, request| {
        let format = &request.body["response_format"];
        assert_eq!(
            (&format["type"], &format["json_schema"]["strict"]),
            (&json!("json_schema"), &json!(true))
        );
        // The order in which the properties are to be written is the user's.
        let sent = format["json_schema"]["schema"]["properties"].as_object().unwrap();
        assert_eq!(sent.keys().collect::<Vec<_>>(), ["why", "answer"]);
        match n {
            0 => says(r#"{"why": "dense", "answer": "B"}"#),
            1 => says(r#"{"answer": "B"}"#),
            _ => says("It is B."),
        }
    });
    let mut model = open(&server, ServedOptions { requests_at_a_time: 1, ..ServedOptions::default() });
    let with = |answer| ask(GenerationLimits { form: json_form(answer), ..GenerationLimits::default() });
    let reply = one(&mut model, with(Some("answer"))).unwrap();
    assert_eq!(
        (reply.text.as_str(), reply.said.as_deref()),
        ("B", Some(r#"{"why": "dense", "answer": "B"}"#))
    );
    for problem in ["/why is missing", "no JSON document"] {
        let error = one(&mut model, with(None)).unwrap_err();
        assert!(error.to_string().contains(problem) && error.retry() == Retry::Never, "{error}");
    }
    // Nothing was asked twice for the sake of its form.
    assert_eq!(server.questions().len(), 3);
}

#[test]
fn a_server_that_takes_no_schema_says_so_in_its_own_words() {
    let server = Server::new(|_, _| refusal(400, "response_format json_schema is not supported here"));
    let limits = GenerationLimits { form: json_form(None), ..GenerationLimits::default() };
    let error = one(&mut open(&server, ServedOptions::default()), ask(limits)).unwrap_err();
    assert!(error.to_string().contains("json_schema is not supported here"), "{error}");
}

#[test]
fn a_grammar_is_sent_where_the_server_was_seen_to_keep_to_it() {
    for (field, at) in
        [("structured_outputs", "/structured_outputs/grammar"), ("grammar", "/grammar"), ("ebnf", "/ebnf")]
    {
        // Fields that it does not know are left aside, as many servers do.
        let server = Server::new(move |_, request| match request.body.pointer(at).and_then(Value::as_str) {
            Some("root ::= \"yes\" | \"no\"") => says("yes"),
            Some(other) => says(other.trim_start_matches("root ::= ").trim_matches('"')),
            None => says("As you like: yes"),
        });
        let mut model = open(&server, ServedOptions { requests_at_a_time: 1, ..ServedOptions::default() });
        let form = Some(ReplyForm::Grammar("root ::= \"yes\" | \"no\"".to_owned()));
        let limits = GenerationLimits { form, ..GenerationLimits::default() };
        assert_eq!(one(&mut model, ask(limits.clone())).unwrap().text, "yes", "{field}");
        let sent = server.questions().len();
        assert_eq!(one(&mut model, ask(limits)).unwrap().text, "yes");
        assert_eq!(server.questions().len(), sent + 1, "looked for once");
    }
    let server = Server::new(|_, _| says("As you like: yes"));
    let limits = GenerationLimits {
        form: Some(ReplyForm::Grammar("root ::= \"yes\"".to_owned())),
        ..GenerationLimits::default()
    };
    let error = one(&mut open(&server, ServedOptions::default()), ask(limits)).unwrap_err();
    assert!(
        error.to_string().contains("does not keep to a grammar") && error.retry() == Retry::Barred,
        "{error}"
    );
}

#[test]
fn a_picture_over_the_bound_is_reduced_and_what_was_sent_is_on_record() {
    let server = Server::new(|_, _| says("yes"));
    // Noise, so that the file shrinks with the picture (xorshift).
    let mut state = 88_172_645_463_325_252u64;
    let mut level = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    let noise: Vec<u8> = (0..120 * 80).map(|_| level()).collect();
    let picture = Arc::new(Picture::new(120, 80, 1, noise).unwrap());
    let question = || Ask::pictures_then(vec![picture.clone()], "Is it?", GenerationLimits::default());
    let whole = one(&mut open(&server, ServedOptions::default()), question()).unwrap().served.unwrap();
    assert_eq!(whole.pictures[0].size, [120, 80]);
    let most = whole.pictures[0].bytes / 3;
    let pictures = PictureBound { bytes: Some(most), resampler: Some(Arc::new(Nearest::default())) };
    let reduced =
        one(&mut open(&server, ServedOptions { pictures, ..ServedOptions::default() }), question()).unwrap();
    let reduced = &reduced.served.unwrap().pictures[0];
    assert!(reduced.bytes <= most && reduced.size[0] < 120 && reduced.sha256 != whole.pictures[0].sha256);
    let pictures = PictureBound { bytes: Some(most), resampler: None };
    let error = one(&mut open(&server, ServedOptions { pictures, ..ServedOptions::default() }), question())
        .unwrap_err();
    assert!(error.to_string().contains("--picture-bytes") && error.retry() == Retry::Never, "{error}");
}

#[test]
fn dialects_that_cannot_be_undone_are_refused() {
    let server = Server::new(|_, _| says("yes"));
    let address = Address::parse(&server.address()).unwrap();
    let with = |dialect: &str| ServedOptions { box_dialect: dialect.to_owned(), ..ServedOptions::default() };
    let error = ServedModel::open(&address, with("qwen2.5-vl")).unwrap_err();
    assert!(error.to_string().contains("pixels after the model's own resizing"), "{error}");
    assert!(ServedModel::open(&address, with("qwen3-vl")).is_ok());
}

#[test]
fn a_model_that_is_not_there_is_said_with_those_that_are() {
    let server = Server::new(|_, _| says("yes"));
    let address = Address::parse(&format!("{}#mm", server.base)).unwrap();
    let error = ServedModel::open(&address, ServedOptions::default()).unwrap_err();
    assert!(
        error.to_string().contains("no model \"mm\"") && error.to_string().contains("it has m"),
        "{error}"
    );
    // The only one needs no name.
    let address = Address::parse(&server.base).unwrap();
    assert_eq!(ServedModel::open(&address, ServedOptions::default()).unwrap().info().name, "m");
}

/// Keeps the pieces and may stop.
struct Pieces(Vec<String>, usize, Option<Result<Reply, ModelError>>);

impl ReplySink for Pieces {
    fn piece(&mut self, _: AskId, text: &str) -> Go {
        if !text.is_empty() {
            self.0.push(text.to_owned());
        }
        if self.0.len() >= self.1 { Go::Stop } else { Go::On }
    }

    fn done(&mut self, _: AskId, reply: Result<Reply, ModelError>) {
        assert!(self.2.is_none());
        self.2 = Some(reply);
    }
}

#[test]
fn words_come_in_pieces_and_can_be_stopped() {
    let server = Server::new(|_, request| {
        assert_eq!(request.body["stream"], true);
        let event =
            |words: &str| format!("data: {}\n\n", json!({ "choices": [{ "delta": { "content": words } }] }));
        let end = json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }] });
        let body = format!("{}{}data: {end}\n\ndata: [DONE]\n\n", event("ye"), event("s"));
        Do::Answer(200, "content-type: text/event-stream\r\n".to_owned(), body)
    });
    let mut model = open(&server, ServedOptions { stream: true, ..ServedOptions::default() });
    for (most, text) in [(usize::MAX, Some("yes")), (1, None)] {
        let mut pieces = Pieces(Vec::new(), most, None);
        let asks = [ask(GenerationLimits::default())];
        model.serve(&mut loupe_core::model::Listed::new(&asks), &mut pieces);
        let reply = pieces.2.unwrap();
        match text {
            Some(text) => {
                assert_eq!(pieces.0, ["ye", "s"]);
                assert_eq!(reply.unwrap().text, text);
            }
            None => assert_eq!(reply.unwrap_err(), ModelError::Cancelled),
        }
    }
}
