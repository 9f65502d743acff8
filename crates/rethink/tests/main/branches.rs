//! Scripted models drive every branch of the loop: answers at once, acts for ever, invalid boxes,
//! boxes outside, wrong picture numbers, malformed JSON, failing tools, every limit.

use crate::models;
use loupe_core::media::{MediaRef, Plane};
use loupe_core::segmenter::Refined;
use loupe_core::trace::Ended;
use loupe_core::{
    Mask, ModelError, ModelInfo, Part, Picture, Prediction, Retry, Role, Segment, SegmentError,
    SegmentPrompt, Segmenter, Stop,
};
use loupe_rethink::{Budget, Models, Outcome, Request, RethinkError, Settings, protocols, run};
use loupe_testing::{Nearest, PromptShapes, Script, Slices, picture, reply, script_info};

fn play(name: &str, script: &mut Script, request: &Request) -> Outcome {
    run(name, models(script, &Nearest::default()), request, &Settings::default()).unwrap()
}

fn request() -> Request {
    let mut request = Request::new(vec![picture(400, 300, 3)], "Where is it?");
    request.limits.max_new_tokens = 1000;
    request
}

const ZOOM: &str = "<tool_call>{\"name\": \"image_zoom_in_tool\", \"arguments\": {\"bbox_2d\": [50, 60, 150, 200]}}</tool_call>";

#[test]
fn answers_at_once() {
    for (name, text, answer) in [
        ("deepeyes", "<answer>left</answer>", "left"),
        ("deepeyes-training", "<answer>left</answer>", "left"),
        ("mini-o3", "<think>t</think><answer>left</answer>", "left"),
        ("pixel-reasoner", "It is \\boxed{left}.", "left"),
        ("vitar", r#"{"actions": [{"name": "Terminate", "arguments": {"answer": "left"}}]}"#, "left"),
        ("qwen3-zoom", "left", "left"),
        ("ophiuchus", "<think>t</think> Action: Answer\n<answer>left</answer>", "left"),
        ("loupe", "left", "left"),
        ("single", "left", "left"),
    ] {
        let outcome = play(name, &mut Script::new(&[text]), &request());
        assert_eq!((outcome.reply.text.as_str(), outcome.trace.rounds.len()), (answer, 1), "{name}");
        assert_eq!(outcome.trace.ended, Ended::Answered, "{name}");
    }
    // Where the published script fails, the answer is kept and the reason on record.
    let text = r#"{"actions": [{"name": "Terminate", "arguments": {"answer": "left"}}]}"#;
    let outcome = play("vitar-inference", &mut Script::new(&[text]), &request());
    assert_eq!(outcome.reply.text, "left");
    assert!(matches!(outcome.trace.ended, Ended::Stopped(ref why) if why.contains("first round")));
}

#[test]
fn acts_for_ever() {
    let calls = [
        ("deepeyes", ZOOM, 11),
        ("deepeyes-training", ZOOM, 11),
        (
            "mini-o3",
            "<grounding>{\"bbox_2d\": [0.1, 0.1, 0.9, 0.9], \"source\": \"original_image\"}</grounding>",
            12,
        ),
        (
            "pixel-reasoner",
            "<tool_call>{\"name\": \"crop_image_normalized\", \"arguments\": {\"bbox_2d\": [0.1, 0.1, 0.5, 0.5], \"target_image\": 1}}</tool_call>",
            5,
        ),
        ("vitar", r#"{"actions": [{"name": "mark", "arguments": {"box": [[1, 2, 30, 40]]}}]}"#, 2),
        (
            "qwen3-zoom",
            "<tool_call>{\"name\": \"image_zoom_in_tool\", \"arguments\": {\"bbox_2d\": [100, 100, 500, 500], \"label\": \"x\", \"img_idx\": 0}}</tool_call>",
            20,
        ),
        ("ophiuchus", "Action: Zoom-in\n```json\n[{\"index\": 1, \"bbox_2d\": [1, 2, 30, 40]}]\n```", 4),
        ("loupe", "{\"mark\": [1, 2, 30, 40]}", 4),
    ];
    for (name, text, rounds) in calls {
        let outcome = play(name, &mut Script::forever(text), &request());
        assert_eq!(outcome.trace.rounds.len(), rounds, "{name}");
        assert!(
            matches!(outcome.trace.ended, Ended::Rounds(n) if n == rounds)
                || matches!(outcome.trace.ended, Ended::Stopped(_)),
            "{name}"
        );
        assert!(!outcome.reply.text.is_empty(), "{name}: the best so far");
        // A bound of the request comes first.
        let mut short = request();
        short.budget.rounds = Some(1);
        assert_eq!(play(name, &mut Script::forever(text), &short).trace.rounds.len(), 1, "{name}");
    }
}

#[test]
fn every_limit_ends_cleanly_with_the_best_so_far() {
    let cases = [
        (Budget { new_tokens: Some(1), ..Budget::default() }, Ended::Tokens(1)),
        (Budget { seconds: Some(0.0), ..Budget::default() }, Ended::Seconds(0.0)),
        (Budget { rounds: Some(1), ..Budget::default() }, Ended::Rounds(1)),
    ];
    for (budget, ended) in cases {
        let mut request = request();
        request.budget = budget;
        let mut script = Script::forever(ZOOM);
        let outcome = play("deepeyes", &mut script, &request);
        assert_eq!((outcome.trace.ended, script.asks.len()), (ended, 1));
        assert!(outcome.reply.text.contains("image_zoom_in_tool"));
    }
    // The token bound also bounds the reply.
    let mut request = request();
    request.budget.new_tokens = Some(3);
    let mut script = Script::new(&["one two three four five"]);
    let outcome = play("single", &mut script, &request);
    assert_eq!(script.asks[0].limits.max_new_tokens, 3);
    assert_eq!(outcome.trace.rounds[0].reply.as_ref().unwrap().stop, Stop::Length);
    assert_eq!(outcome.reply.counts.new_tokens, 3);
}

#[test]
fn a_failed_action_is_told_and_recorded() {
    let p = |text: &str, b: &str, target: &str| text.replace("BOX", b).replace("TARGET", target);
    let deep = "<tool_call>{\"name\": \"image_zoom_in_tool\", \"arguments\": {\"bbox_2d\": BOX}}</tool_call>";
    let mini = "<grounding>{\"bbox_2d\": BOX, \"source\": TARGET}</grounding>";
    let pixel = "<tool_call>{\"name\": \"crop_image_normalized\", \"arguments\": {\"bbox_2d\": BOX, \"target_image\": TARGET}}</tool_call>";
    let qwen3 = deep.replace("BOX", "BOX, \"label\": \"x\", \"img_idx\": TARGET");
    let ophiuchus = "Action: Zoom-in\n```json\n[{\"index\": TARGET, \"bbox_2d\": BOX}]\n```";
    let cases = [
        ("deepeyes-training", p(deep, "[90, 10, 20, 60]", ""), "ARGUMENTS ARE INVALID"), // invalid box
        ("deepeyes-training", p(deep, "[900, 900, 990, 990]", ""), "ARGUMENTS ARE INVALID"), // outside
        ("deepeyes-training", p(deep, "[10, 10", ""), "Invalid tool call format"),       // malformed JSON
        ("mini-o3", p(mini, "[0.9, 0.1, 0.2, 0.6]", "\"original_image\""), "not valid in width"),
        ("mini-o3", p(mini, "[2.0, 2.0, 3.0, 3.0]", "\"original_image\""), "not valid in width"), // outside
        ("mini-o3", p(mini, "[0.1, 0.1, 0.2, 0.6]", "\"observation_7\""), "observation_7"), // wrong number
        ("mini-o3", "<grounding>{bbox: 1}</grounding>".into(), "ERROR occurs during grounding"),
        ("pixel-reasoner", p(pixel, "[0.5, 0.5, 0.1, 0.1]", "1"), "less than"),
        ("pixel-reasoner", p(pixel, "[3, 3, 5, 5]", "9"), "within [1,1]"), // wrong number
        ("pixel-reasoner", p(pixel, "[0.1", "1"), "Execution error"),      // malformed JSON
        ("qwen3-zoom", p(deep, "[10, 10, 90, 90]", ""), "'label' is a required property"),
        ("qwen3-zoom", p(&qwen3, "[10, 10, 90, 90]", "1"), "img_idx 1, and the user gave 1"), // a crop, or none
        ("qwen3-zoom", p(&qwen3, "[10, 10", "0"), "must be formatted as a valid JSON"),
        ("qwen3-zoom", p(&qwen3, "[10, 10, 90, 90]", "0").replace("zoom_in", "search"), "does not exists"),
        ("qwen3-zoom", p(&qwen3, "[2000, 10, 3000, 90]", "0"), "Tool Execution Error"), // outside
        ("ophiuchus", p(ophiuchus, "[900, 900, 990, 990]", "1"), "Invalid bounding box after clamping"), // outside
        ("ophiuchus", p(ophiuchus, "[1, 1, 9, 9]", "2"), "Image index 2 is out of bounds"),
        ("ophiuchus", p(ophiuchus, "[1, 1, 9]", "1").replace("Zoom-in", "SAM2"), "requires bbox_2d"),
        ("ophiuchus", p(ophiuchus, "[1, 1, 9, 9]", "1").replace("Zoom-in", "SAM2"), "no segmentation model"),
        (
            "ophiuchus",
            "Action: BiomedParse\n```json\n{\"captions\": \"the lung\"}\n```".into(),
            "input={'captions': 'the lung'}",
        ),
        ("loupe", "{\"mark\": \"left\"}".into(), "a mark needs boxes"),
        ("loupe", "{\"segment\": [1, 2, 3, 4]}".into(), "no segmentation model"),
        ("loupe", "{\"slice\": 3}".into(), "slices and windows cannot be changed"),
    ];
    let answers = "<answer>x</answer>";
    for (name, text, told) in cases {
        let mut script = Script::new(&[&text, answers]);
        if name == "pixel-reasoner" {
            script = Script::new(&[&text, "\\boxed{x}"]);
        }
        let outcome = play(name, &mut script, &request());
        let rounds = &outcome.trace.rounds;
        assert_eq!(rounds.len(), 2, "{name}: {text}: {:?}", outcome.trace.ended);
        assert!(
            rounds[0].error.is_some() && rounds[0].action.as_ref().unwrap().result.is_none(),
            "{name}: {text}"
        );
        let said: String = rounds[1].turns.iter().map(loupe_core::Turn::words).collect();
        assert!(said.contains(told), "{name}: {text}: {said}");
        assert_eq!(outcome.reply.text, "x", "{name}");
    }
}

#[test]
fn errors_that_end_a_conversation() {
    // The evaluation script of DeepEyes stops at any error and takes the whole reply.
    for b in ["[90, 10, 20, 60]", "[10, 10", "[1e12, 0, 3e12, 9e11]"] {
        let text = ZOOM.replace("[50, 60, 150, 200]", b);
        let outcome = play("deepeyes", &mut Script::new(&[&text]), &request());
        assert!(matches!(outcome.trace.ended, Ended::Stopped(_)), "{b}");
        assert_eq!(outcome.reply.text, text);
    }
    for (name, text) in [
        ("deepeyes", "I do not know"),
        ("deepeyes-training", "hm"),
        ("mini-o3", "hm"),
        ("pixel-reasoner", "hm"),
        ("ophiuchus", "hm"),
        ("ophiuchus", "Action: Zoom-in\nthere"),
    ] {
        let outcome = play(name, &mut Script::new(&[text]), &request());
        assert!(matches!(outcome.trace.ended, Ended::Stopped(_)), "{name}");
        assert_eq!(outcome.reply.text, text, "{name}");
    }
    let text = r#"{"actions": [{"name": "mark", "arguments": {"box": [[9, 9, 1, 1]]}}]}"#;
    let outcome = play("vitar-inference", &mut Script::new(&[text]), &request());
    assert!(matches!(outcome.trace.ended, Ended::Stopped(ref why) if why.contains("Invalid crop box")));
}

/// Segments the first row and says what it was asked with.
struct Clicked {
    info: ModelInfo,
    asked: Vec<(usize, Option<Vec<f32>>)>,
}

impl Segmenter for Clicked {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn segment(&mut self, _: &Picture, _: &[SegmentPrompt]) -> Result<Vec<Segment>, SegmentError> {
        Err(SegmentError::Compute("clicks are refined".into()))
    }

    fn refine(
        &mut self,
        picture: &Picture,
        prompts: &[SegmentPrompt],
        earlier: Option<&[f32]>,
    ) -> Result<Refined, SegmentError> {
        self.asked.push((prompts.len(), earlier.map(<[f32]>::to_vec)));
        let (w, h) = (picture.width(), picture.height());
        let mask = Mask::new(w, h, (0..w * h).map(|n| n < w).collect()).unwrap();
        let segment = Segment { mask, predicted_iou: Some(0.5) };
        Ok(Refined { segment, logits: Some(vec![prompts.len() as f32]) })
    }
}

#[test]
fn clicks_go_on_from_the_mask_before() {
    let click = |x: &str| format!("<action>Positive Point ({x}, 0.5)</action>");
    let lines =
        [click("0.1"), click("0.2"), click("0.3"), "<action>Terminate</action><answer>x</answer>".into()];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut segmenter = Clicked { info: ModelInfo::scripted("sam2", "", "none"), asked: Vec::new() };
    let (mut script, resampler) = (Script::new(&lines), Nearest::default());
    let models = Models { segmenter: Some(&mut segmenter), ..models(&mut script, &resampler) };
    let outcome = run("ibis", models, &request(), &Settings::default()).unwrap();
    assert_eq!(segmenter.asked, [(1, None), (2, Some(vec![1.0])), (3, Some(vec![2.0]))]);
    assert_eq!(outcome.reply.text, "x");
    let found = &outcome.reply.findings[0];
    assert_eq!((found.score, found.picture), (Some(0.5), 0));
    assert_eq!(found.as_mask().unwrap().to_mask().unwrap().bits().iter().filter(|b| **b).count(), 400);
    let limits: Vec<usize> = script.asks.iter().map(|ask| ask.limits.max_new_tokens).collect();
    assert!(limits.iter().all(|most| *most <= 512), "{limits:?}");
}

#[test]
fn a_protocol_that_needs_a_segmenter_says_so() {
    for (name, family, told) in [
        ("ibis", None, "--segmenter"),
        ("ibis-medsam2", None, "--segmenter"),
        ("ibis-medsam2", Some("sam2"), "for the segmenter medsam2, and sam2 is loaded"),
    ] {
        let mut segmenter =
            family.map(|family| Clicked { info: ModelInfo::scripted(family, "", "none"), asked: Vec::new() });
        let (mut script, resampler) = (Script::new(&[]), Nearest::default());
        let mut models = models(&mut script, &resampler);
        models.segmenter = segmenter.as_mut().map(|s| s as &mut dyn Segmenter);
        let error = run(name, models, &request(), &Settings::default()).unwrap_err();
        assert!(error.to_string().contains(told), "{name}: {error}");
    }
}

#[test]
fn a_model_that_fails() {
    let broken = || Err(ModelError::Compute("out of memory".into()));
    // At once: no outcome, but the trace is not lost.
    let error = run(
        "deepeyes",
        models(&mut Script::of(vec![broken()]), &Nearest::default()),
        &request(),
        &Settings::default(),
    );
    let Err(RethinkError::NoReply { failure, trace }) = error else { panic!("{error:?}") };
    assert!(failure.reason.contains("out of memory") && failure.retry == Retry::May);
    assert!(trace.rounds[0].error.is_some());
    // Later: the best so far and the reason.
    let mut script = Script::of(vec![Ok(reply(ZOOM)), broken()]);
    let outcome = play("deepeyes", &mut script, &request());
    assert!(matches!(outcome.trace.ended, Ended::Failed(ref why) if why.contains("out of memory")));
    assert_eq!(outcome.reply.text, ZOOM);
    // Whoever is out of reach has not failed: there is no answer, not even the best so far.
    let away = ModelError::Served { reason: "the server is down".into(), retry: Retry::Away };
    let mut script = Script::of(vec![Ok(reply(ZOOM)), Err(away)]);
    let error = run("deepeyes", models(&mut script, &Nearest::default()), &request(), &Settings::default());
    let Err(RethinkError::NoReply { failure, .. }) = error else { panic!("{error:?}") };
    assert_eq!((failure.retry, failure.reason.as_str()), (Retry::Away, "the server is down"));
}

#[test]
fn requests_that_cannot_be_run() {
    let mut script = Script::new(&[]);
    let nearest = Nearest::default();
    let settings = Settings::default();
    let empty = Request::new(Vec::new(), "q");
    assert_eq!(
        run("loupe", models(&mut script, &nearest), &empty, &settings).unwrap_err(),
        RethinkError::NoPicture
    );
    for (name, says) in [
        ("louppe", "did you mean \"loupe\"?"),
        ("self-consistency+louppe", "did you mean \"loupe\"?"),
        ("loupe+deepeyes", "`loupe list protocols`"),
        ("", "`loupe list protocols`"),
    ] {
        let error = run(name, models(&mut script, &nearest), &request(), &settings).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    let error = run("second-opinion", models(&mut script, &nearest), &request(), &settings).unwrap_err();
    assert!(matches!(error, RethinkError::Needs { what: "a second model", .. }));
    // Too small for Mini-o3 even after enlarging: refused before anything is asked.
    let sliver = Request::new(vec![picture(3000, 2, 3)], "q");
    let error = run("mini-o3", models(&mut script, &nearest), &sliver, &settings).unwrap_err();
    assert!(error.to_string().contains("28 * 28"), "{error}");
    assert!(script.asks.is_empty());
}

#[test]
fn later_asks_repeat_earlier_ones_word_for_word() {
    let ground = "<think>t</think><grounding>{\"bbox_2d\": [0.1, 0.1, 0.9, 0.9], \"source\": \"original_image\"}</grounding>";
    for (name, lines) in [
        ("deepeyes", vec![ZOOM, ZOOM, "<answer>x</answer>"]),
        ("mini-o3", vec![ground, ground, "<answer>x</answer>"]),
        ("loupe", vec!["{\"bbox_2d\": [50, 60, 150, 200]}", "{\"mark\": [1, 2, 30, 40]}", "x"]),
        ("chain-of-thought", vec!["thinking", "x"]),
    ] {
        let mut script = Script::new(&lines);
        let outcome = play(name, &mut script, &request());
        for (n, pair) in script.asks.windows(2).enumerate() {
            let (before, after) = (&pair[0], &pair[1]);
            let kept = before.turns.len();
            assert_eq!(after.turns[..kept], before.turns, "{name}: the prefix cache serves these");
            assert_eq!(after.turns[kept].role, Role::Assistant, "{name}");
            // Mini-o3's stop string belongs to what was said.
            assert_eq!(after.turns[kept].words(), lines[n], "{name}");
            assert_eq!(after.pictures[..before.pictures.len()], before.pictures, "{name}");
            let new = &after.turns[kept + 1..];
            assert!(new.iter().all(|t| t.role == Role::User), "{name}");
        }
        assert_eq!(
            outcome.trace.turns_of(script.asks.len() - 1).unwrap(),
            script.asks.last().unwrap().turns,
            "{name}"
        );
    }
}

#[test]
fn the_loupe_protocol_looks_and_answers() {
    let mut script = Script::new(&[
        "```json\n[{\"bbox_2d\": [100, 60, 140, 90], \"label\": \"nodule\"}]\n```",
        "[{\"bbox_2d\": [0, 0, 96, 72]}]",
    ]);
    let nearest = Nearest::default();
    let mut whole = (*picture(400, 300, 3)).clone();
    whole.origin.lps_from_source = Some(loupe_core::LpsFromIndex::IDENTITY.plane(7.0));
    let request = Request::new(vec![whole.into()], "Is there a nodule?");
    let outcome = run("loupe", models(&mut script, &nearest), &request, &Settings::default()).unwrap();
    let rounds = &outcome.trace.rounds;
    assert_eq!(rounds[0].turns[0].words(), format!("Is there a nodule?{}", protocols::loupe::LOOK));
    assert_eq!(rounds[1].turns[0].parts[0], Part::Picture(1));
    assert_eq!(rounds[1].turns[0].words(), protocols::loupe::ENLARGED);
    // 40×30 grown by a tenth on each side is 48×36, enlarged eightfold.
    let shown = &outcome.trace.pictures[rounds[1].pictures[1]];
    assert_eq!(shown.size, [384, 288]);
    let looked = &rounds[0].action.as_ref().unwrap().regions[0];
    assert_eq!(looked.region.xyxy(), [100.0, 60.0, 140.0, 90.0]);
    // A box on the enlarged region is reported on the source, in pixels and in millimetres.
    let found = &outcome.findings[0];
    assert_eq!(found.source_box().unwrap().xyxy(), [96.0, 57.0, 108.0, 66.0]);
    let corners = found.corners_lps_mm().unwrap();
    assert_eq!(corners[0], [95.5, 56.5, 7.0]);
    assert_eq!(corners[2], [107.5, 65.5, 7.0]);
}

#[test]
fn slices_windows_and_segments() {
    let media = MediaRef::file("scan.nii.gz");
    let first = loupe_core::MediaLoader::load(&Slices, &media).unwrap();
    let mut request = Request::new(vec![first.into()], "q");
    request.media = vec![media];
    let mut script =
        Script::new(&["{\"slice\": 8}", "{\"window\": \"lung\"}", "{\"segment\": [4, 6, 14, 16]}", "yes"]);
    let nearest = Nearest::default();
    let mut segmenter = PromptShapes::new(script_info("boxes"));
    let all = Models {
        first: &mut script,
        second: None,
        segmenter: Some(&mut segmenter),
        resampler: &nearest,
        loader: Some(&Slices),
    };
    let outcome = run("loupe", all, &request, &Settings::default()).unwrap();
    let trace = &outcome.trace;
    assert_eq!(outcome.reply.text, "yes");
    assert!(trace.rounds[0].turns[0].words().ends_with(protocols::loupe::VIEWS));
    let result = |n: usize| &trace.pictures[trace.rounds[n].action.as_ref().unwrap().result.unwrap()];
    assert_eq!((result(0).origin.slice, result(0).origin.plane), (Some(8), Some(Plane::Upright)));
    // The window follows the slice that was shown last.
    assert_eq!(result(1).origin.slice, Some(8));
    assert!(result(1).origin.steps[0].contains("lung"));
    assert_eq!(trace.rounds[2].action.as_ref().unwrap().regions[0].region.xyxy(), [4.0, 6.0, 14.0, 16.0]);
    assert_eq!(result(2).origin.steps.last().unwrap(), "mask");
    // A slice that does not exist is told.
    let mut script = Script::new(&["{\"slice\": 99}", "{\"slice\": -1}", "{\"window\": 3}", "yes"]);
    let all = Models {
        first: &mut script,
        second: None,
        segmenter: None,
        resampler: &nearest,
        loader: Some(&Slices),
    };
    let outcome = run("loupe", all, &request, &Settings::default()).unwrap();
    let said: Vec<String> = outcome.trace.rounds.iter().skip(1).map(|r| r.turns[0].words()).collect();
    assert!(
        said[0].contains("10 slices")
            && said[1].contains("whole number")
            && said[2].contains("[centre, width]"),
        "{said:?}"
    );
}

#[test]
fn a_box_in_a_zoom_of_a_slice_is_found_in_the_patient() {
    let media = MediaRef::file("scan.nii.gz");
    let first = loupe_core::MediaLoader::load(&Slices, &media).unwrap();
    let mut request = Request::new(vec![first.into()], "q");
    request.media = vec![media];
    // Slice 8, then a look at 10×10 of its pixels, enlarged, then a box in that.
    let mut script = Script::new(&[
        "{\"slice\": 8}",
        "[{\"bbox_2d\": [10, 10, 20, 20]}]",
        "[{\"bbox_2d\": [0, 0, 10, 20]}]",
    ]);
    let nearest = Nearest::default();
    let all = Models {
        first: &mut script,
        second: None,
        segmenter: None,
        resampler: &nearest,
        loader: Some(&Slices),
    };
    let outcome = run("loupe", all, &request, &Settings::default()).unwrap();
    let trace = &outcome.trace;
    assert_eq!(trace.ended, Ended::Answered);
    // 12×12 pixels from (9, 9) fill 40: a factor of 10/3.
    let zoomed = &trace.pictures[trace.rounds[1].action.as_ref().unwrap().result.unwrap()];
    assert_eq!((zoomed.size, zoomed.origin.slice), ([40, 40], Some(8)));
    let found = &outcome.findings[0];
    assert_eq!(trace.pictures[found.picture].origin.slice, Some(8));
    let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
    let region = found.source_box().unwrap();
    assert!(close(&region.xyxy(), &[9.0, 9.0, 12.0, 15.0]), "{region:?}");
    // 0.5 and 0.7 mm a pixel, slices 3 mm apart; the first pixel's centre at (-10, -20, 30).
    let corners = found.corners_lps_mm().unwrap();
    assert!(close(&corners[0], &[-10.0 + 8.5 * 0.5, -20.0 + 8.5 * 0.7, 54.0]), "{corners:?}");
    assert!(close(&corners[2], &[-10.0 + 11.5 * 0.5, -20.0 + 14.5 * 0.7, 54.0]), "{corners:?}");
}

#[test]
fn a_trace_is_written_read_and_replayed() {
    for (name, lines) in [
        ("deepeyes-training", vec![ZOOM, "<tool_call>{</tool_call>", "<answer>left</answer>"]),
        ("loupe", vec!["[{\"bbox_2d\": [50, 60, 150, 200]}]", "left"]),
        ("chain-of-thought", vec!["thinking", "left"]),
        ("self-consistency", vec!["left", "right", "left", "left", "right"]),
        ("modular", vec!["a", "b", "c", "left"]),
    ] {
        let outcome = play(name, &mut Script::new(&lines), &request());
        let prediction = outcome.clone().prediction("7");
        let text = serde_json::to_string(&prediction).unwrap();
        let read: Prediction = serde_json::from_str(&text).unwrap();
        let trace = read.record.rounds().unwrap().clone();
        assert_eq!(trace, outcome.trace, "{name}");
        let mut replay = loupe_rethink::Replay::new(trace.clone(), "point-detect-count");
        let nearest = Nearest::default();
        let again = run(name, models(&mut replay, &nearest), &request(), &Settings::default()).unwrap();
        assert!(replay.is_done());
        assert_eq!(again.reply.text, outcome.reply.text, "{name}");
        assert_eq!(again.trace, outcome.trace, "{name}");
        assert_eq!(again.findings, outcome.findings, "{name}");
        // Another question or picture is not what is on record.
        for other in [
            Request::new(vec![picture(400, 300, 3)], "Why?"),
            Request::new(vec![picture(400, 300, 1)], "Where is it?"),
        ] {
            let mut other = other;
            other.limits = request().limits;
            let mut replay = loupe_rethink::Replay::new(trace.clone(), "point-detect-count");
            let error = run(name, models(&mut replay, &nearest), &other, &Settings::default()).unwrap_err();
            assert!(error.to_string().contains("round 0 of the trace has other"), "{name}: {error}");
        }
    }
}
