//! Dialects there and back, mended and refused replies, and text of any kind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use loupe_core::dialect::{
    DIALECTS, Dialect, Parsed, PictureSizes, PlacedFindings, Readability, Refusal, Repair, SpokenPicture,
    Syntax, dialect,
};
use loupe_core::{Box2, Point2};
use loupe_core::{Finding, Origin};
use proptest::prelude::*;

fn parse(name: &str, text: &str) -> Parsed {
    dialect(name).unwrap().parse(text)
}

fn boxes(parsed: &Parsed) -> Vec<[f64; 4]> {
    parsed.boxes.iter().map(|b| b.region.xyxy()).collect()
}

fn points(parsed: &Parsed) -> Vec<[f64; 2]> {
    parsed.points.iter().map(|p| [p.point.x, p.point.y]).collect()
}

#[test]
fn every_dialect_reads_its_own_example_without_repairs() {
    let sizes = PictureSizes { given: [640, 480], model_input: [320, 560] };
    // (dialect, reply, the box in pixels of the 640×480 picture given)
    let cases = [
        (
            "qwen2.5-vl",
            r#"```json
[{"bbox_2d": [32, 56, 160, 280], "label": "polyp"}]
```"#,
            [64.0, 48.0, 320.0, 240.0],
        ),
        ("qwen3-vl", r#"[{"bbox_2d": [100, 200, 500, 750], "label": "polyp"}]"#, [64.0, 96.0, 320.0, 360.0]),
        (
            "qwen2-vl",
            "<|object_ref_start|>polyp<|object_ref_end|><|box_start|>(100,200),(500,750)<|box_end|>",
            [64.0, 96.0, 320.0, 360.0],
        ),
        ("internvl", "<ref>polyp</ref><box>[[100, 200, 500, 750]]</box>", [64.0, 96.0, 320.0, 360.0]),
        ("gemma", r#"[{"box_2d": [200, 100, 750, 500], "label": "polyp"}]"#, [64.0, 96.0, 320.0, 360.0]),
        // A 640×480 picture padded to 640×640 has 80 rows above.
        ("medgemma", r#"[{"box_2d": [250, 100, 750, 500], "label": "polyp"}]"#, [64.0, 80.0, 320.0, 400.0]),
        ("paligemma", "<loc0256><loc0128><loc0512><loc0768> polyp", [80.0, 120.0, 480.0, 240.0]),
        ("florence2", "polyp<loc_99><loc_199><loc_499><loc_749>", [63.68, 95.76, 319.68, 359.76]),
        // In a square of 640 pixels there are 80 rows above.
        ("ag-kd", "polyp<loc_99><loc_249><loc_499><loc_749>", [63.68, 79.68, 319.68, 399.68]),
        ("medvision", "0.100, 0.250, 0.500, 0.750", [64.0, 120.0, 320.0, 360.0]),
        (
            "point-detect-count",
            r#"```json
{"counts": 1, "bbox_2d": [[64.5, 96.0, 320.0, 360.0]], "label": "polyp"}
```"#,
            [64.5, 96.0, 320.0, 360.0],
        ),
        (
            "vitar",
            r#"{"thought": "look", "actions": [{"name": "mark_bbox", "arguments": {"box": [[64, 96, 320, 360]]}}]}"#,
            [64.0, 96.0, 320.0, 360.0],
        ),
        (
            "deepeyes",
            "<think>hm</think><tool_call>{\"name\": \"image_zoom_in_tool\", \"arguments\": {\"bbox_2d\": [64, 96, 320, 360], \"label\": \"polyp\"}}</tool_call>",
            [64.0, 96.0, 320.0, 360.0],
        ),
        (
            "mini-o3",
            r#"<grounding>{"bbox_2d": [0.1, 0.2, 0.5, 0.75], "source": "original_image"}</grounding>"#,
            [64.0, 96.0, 320.0, 360.0],
        ),
        (
            "pixel-reasoner",
            "<tool_call>\n{\"name\": \"crop_image_normalized\", \"arguments\": {\"bbox_2d\": [0.1, 0.2, 0.5, 0.75], \"target_image\": 1}}\n</tool_call>",
            [64.0, 96.0, 320.0, 360.0],
        ),
        (
            "qwen3-zoom",
            "<tool_call>\n{\"name\": \"image_zoom_in_tool\", \"arguments\": {\"label\": \"polyp\", \"bbox_2d\": [100, 200, 500, 750], \"img_idx\": 0}}\n</tool_call>",
            [64.0, 96.0, 320.0, 360.0],
        ),
        (
            "ophiuchus",
            "```json\n[\n    {\n        \"index\": 1,\n        \"bbox_2d\": [64, 96, 320, 360]\n    }\n]\n```",
            [64.0, 96.0, 320.0, 360.0],
        ),
    ];
    let names: Vec<&str> = cases.iter().map(|c| c.0).collect();
    assert_eq!(names, DIALECTS.names().collect::<Vec<_>>(), "one example a dialect");
    for (name, text, want) in cases {
        let d = dialect(name).unwrap();
        let parsed = d.parse(text);
        assert_eq!((&parsed.repairs, &parsed.refused), (&vec![], &vec![]), "{name}");
        let found = place(d, &parsed, &[sizes]);
        let got = found.findings[0].as_box().unwrap().xyxy();
        assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-9), "{name}: {got:?}");
        if text.contains("polyp") {
            assert_eq!(found.findings[0].label.as_deref(), Some("polyp"), "{name}");
        }
    }
}

#[test]
fn real_malformed_replies_are_mended_and_every_repair_is_named() {
    use Repair::*;
    let p = "point-detect-count";
    type Case = (&'static str, &'static str, Vec<[f64; 4]>, Vec<[f64; 2]>, Vec<Repair>);
    let cases: Vec<Case> = vec![
        (
            p,
            "```JSON\n{\"counts\": 1, \"bbox_2d\": [[205.0, 131.0, 408.0, 306.0], \"label\": \"polyp\"}\n```",
            vec![[205.0, 131.0, 408.0, 306.0]],
            vec![],
            vec![Closed],
        ),
        (
            p,
            "```JSON\n{\"counts\": 1, \"point_2d\": [[482.5, 230.5], {\"label\": \"pinhead\"}]\n```",
            vec![],
            vec![[482.5, 230.5]],
            vec![Closed, LabelInList],
        ),
        (
            p,
            "```json\n{\"counts\": 1, \"point_2d\": [[576, 49], \"label\": \"cluster\"]\n}\n```",
            vec![],
            vec![[576.0, 49.0]],
            vec![Closed, StrayBracket],
        ),
        (
            p,
            "```json\n{\"count\": 1, \"point_2d\": [[309, 248],], \"label\": \"x\"}\n```",
            vec![],
            vec![[309.0, 248.0]],
            vec![ExtraComma, OtherKey],
        ),
        (
            p,
            "```json\n{\"counts\": 1, \"point_2d\": [[579, 48], \"cluster\"]}\n```",
            vec![],
            vec![[579.0, 48.0]],
            vec![LabelInList],
        ),
        (
            p,
            "{\"counts\": 1, \"bbox_2d\": [[1, 2, 3, 4], [\"5\", \"6\", \"7\", \"8.5\"]], \"label\": \"a\"}",
            vec![[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.5]],
            vec![],
            vec![NumberAsText],
        ),
        (
            p,
            "```json\n[\n\t{\"bbox_2d\": [1, 2, 3, 4], \"label\": \"a\"}\n]\nTotal count: 1\n```",
            vec![[1.0, 2.0, 3.0, 4.0]],
            vec![],
            vec![Prose],
        ),
        (
            p,
            "There it is: {'bbox_2d': (4, 3, 2, 1), label: 'the patient\\'s'}",
            vec![[2.0, 1.0, 4.0, 3.0]],
            vec![],
            vec![SingleQuotes, Parentheses, Unquoted, SwappedCorners, Prose],
        ),
        (
            p,
            "[{\"bbox_2d\": [1, 2, 3, 4], \"label\": \"a\"}, {\"bbox_2d\": [5, 6, 7, 8]}]",
            vec![[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]],
            vec![],
            vec![LabelMissing],
        ),
        (
            p,
            "{\"bbox_2d\": [1, 2, 3, 4]}, {\"bbox_2d\": [5, 6, 7, 8]}",
            vec![[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]],
            vec![],
            vec![SeveralValues],
        ),
        (p, "[1, 2, 3, 4]", vec![[1.0, 2.0, 3.0, 4.0]], vec![], vec![BareList]),
        (p, "{\"bbox_2d\": [[1, 2], [3, 4]]}", vec![[1.0, 2.0, 3.0, 4.0]], vec![], vec![CornerPairs]),
        (p, "{\"bbox_2d\": [1 2, 3, 4]}", vec![[1.0, 2.0, 3.0, 4.0]], vec![], vec![MissingComma]),
        (p, "{\"polyps\": [{\"bbox_2d\": [1, 2, 3, 4]}]}", vec![[1.0, 2.0, 3.0, 4.0]], vec![], vec![Nested]),
        (p, "[[{\"bbox_2d\": [1, 2, 3, 4]}]]", vec![[1.0, 2.0, 3.0, 4.0]], vec![], vec![ListDepth]),
        (
            "qwen2-vl",
            "polyp(100,200),(500,750)",
            vec![[100.0, 200.0, 500.0, 750.0]],
            vec![],
            vec![MarksMissing],
        ),
        (
            "qwen2-vl",
            "<|box_start|>(100,200),(500,750)",
            vec![[100.0, 200.0, 500.0, 750.0]],
            vec![],
            vec![Truncated],
        ),
        (
            "internvl",
            "It is <box>[100, 200, 500, 750]",
            vec![[100.0, 200.0, 500.0, 750.0]],
            vec![],
            vec![Closed, ListDepth],
        ),
        ("medvision", "The box is [0.1, 0.2, 0.3, 0.4].", vec![[0.1, 0.2, 0.3, 0.4]], vec![], vec![Prose]),
        ("medvision", "(0.1, 0.2, 0.3, 0.4)", vec![[0.1, 0.2, 0.3, 0.4]], vec![], vec![BareList]),
        (
            "medvision",
            "2 lesions: 0.1, 0.2, 0.3, 0.4",
            vec![[0.1, 0.2, 0.3, 0.4]],
            vec![],
            vec![LastNumbers, Prose],
        ),
        (
            "mini-o3",
            "<grounding>{\"bbox_2d\": [0.1, 0.2, 0.3, 0.4], \"source\": \"original_image\"}",
            vec![[0.1, 0.2, 0.3, 0.4]],
            vec![],
            vec![Closed],
        ),
        (
            "vitar",
            "{\"actions\": [{\"name\": \"m\", \"arguments\": {\"box\": [[1, 2, 3, 4]]}]}",
            vec![[1.0, 2.0, 3.0, 4.0]],
            vec![],
            vec![Closed],
        ),
    ];
    for (name, text, want_boxes, want_points, repairs) in cases {
        let got = parse(name, text);
        assert_eq!(boxes(&got), want_boxes, "{text}");
        assert_eq!(points(&got), want_points, "{text}");
        assert_eq!(got.repairs, repairs, "{text}");
        assert!(got.refused.is_empty(), "{text}: {:?}", got.refused);
    }
}

#[test]
fn what_may_be_cut_off_is_refused_and_the_rest_kept() {
    // 29 may be the beginning of 297.
    let got = parse(
        "qwen2.5-vl",
        "[{\"bbox_2d\": [1, 2, 3, 4], \"label\": \"a\"}, {\"bbox_2d\": [208, 135, 406, 29",
    );
    assert_eq!(boxes(&got), [[1.0, 2.0, 3.0, 4.0]]);
    assert_eq!(got.repairs, [Repair::Truncated]);
    assert_eq!(got.refused, [Refusal::Length { what: "a box".into(), need: 4, got: 3 }]);
    assert_eq!(got.readability(), Readability::Partly);
    // A label cut short is dropped, its box is whole.
    let got = parse("qwen2.5-vl", "[{\"bbox_2d\": [1, 2, 3, 4], \"label\": \"pol");
    assert_eq!((boxes(&got).len(), got.boxes[0].label.clone()), (1, None));
    let got = parse("qwen2-vl", "<|box_start|>(100,200),(500,75");
    assert_eq!(got.readability(), Readability::Refused);
}

#[test]
fn refused_with_the_reason() {
    let length =
        |need, got| Refusal::Length { what: if need == 4 { "a box" } else { "a point" }.into(), need, got };
    for (name, text, reason) in [
        ("qwen3-vl", "There are none.", Refusal::Nothing { dialect: "qwen3-vl".into() }),
        ("qwen3-vl", "", Refusal::Nothing { dialect: "qwen3-vl".into() }),
        ("qwen3-vl", "{\"bbox_2d\": [1, 2, 3]}", length(4, 3)),
        ("qwen3-vl", "{\"point_2d\": [1, 2, 3, 4]}", length(2, 4)),
        ("qwen3-vl", "{\"bbox_2d\": [1, 2, 1, 4]}", Refusal::NoArea),
        ("qwen3-vl", "{\"bbox_2d\": [1, 2, 1e999, 4]}", Refusal::NotANumber { what: "a coordinate".into() }),
        ("qwen3-vl", "{\"bbox_2d\": \"upper left\"}", length(4, 0)),
        ("qwen3-vl", "{\"counts\": \"Numerous\"}", Refusal::NotANumber { what: "the count".into() }),
        ("qwen3-vl", "{\"counts\": null}", Refusal::NotANumber { what: "the count".into() }),
        ("qwen3-vl", "{\"counts\": -1}", Refusal::Range { what: "the count".into() }),
        ("paligemma", "<loc0001><loc0002><loc1024><loc1025> x", Refusal::Range { what: "a bin".into() }),
        ("paligemma", "<loc0001><loc0002><loc0003> x", length(4, 3)),
        ("florence2", "x<loc_1><loc_2>", length(4, 2)),
        ("florence2", "x<poly><loc_1><loc_2><loc_3><loc_4></poly>", Refusal::Polygon),
        ("medvision", "0.1, 0.2", length(4, 2)),
        ("internvl", "<box>none</box>", length(4, 0)),
        ("deepeyes", "{\"bbox_2d\": [1, 2, 3, 4]}", Refusal::Nothing { dialect: "deepeyes".into() }),
    ] {
        let got = parse(name, text);
        assert_eq!(got.refused, std::slice::from_ref(&reason), "{name}: {text}");
        assert_eq!(got.readability(), Readability::Refused, "{name}: {text}");
        assert!(!reason.to_string().is_empty());
    }
}

#[test]
fn an_empty_list_is_an_answer() {
    for text in ["[]", "```json\n[]\n```", "{\"bbox_2d\": [], \"label\": \"polyp\"}"] {
        let got = parse("qwen2.5-vl", text);
        assert!(got.said_none && got.readability() == Readability::Read, "{text}");
    }
}

#[test]
fn thoughts_are_not_answers() {
    let got = parse("qwen2.5-vl", "<think>maybe [1, 2, 3, 4]</think>[{\"bbox_2d\": [5, 6, 7, 8]}]");
    assert_eq!(boxes(&got), [[5.0, 6.0, 7.0, 8.0]]);
    assert!(got.repairs.is_empty());
}

#[test]
fn a_picture_that_does_not_exist_is_refused() {
    let d = dialect("mini-o3").unwrap();
    for (source, ok) in
        [("original_image", true), ("observation_1", true), ("observation_2", false), ("photo", false)]
    {
        let text =
            format!("<grounding>{{\"bbox_2d\": [0.1, 0.2, 0.5, 0.7], \"source\": \"{source}\"}}</grounding>");
        let sizes = [PictureSizes::given(100, 50), PictureSizes::given(20, 30)];
        let found = place(d, &d.parse(&text), &sizes);
        assert_eq!((found.findings.len(), found.refused.len()), if ok { (1, 0) } else { (0, 1) }, "{source}");
    }
}

#[test]
fn a_box_outside_the_picture_stays_a_wrong_answer() {
    let d = dialect("qwen3-vl").unwrap();
    let parsed = d.parse("[{\"bbox_2d\": [1200, 100, 1500, 300]}]");
    let found = place(d, &parsed, &[PictureSizes::given(200, 100)]);
    assert_eq!(found.findings[0].as_box().unwrap().xyxy(), [240.0, 10.0, 300.0, 30.0]);
}

#[test]
fn several_boxes_share_a_label_in_location_tokens() {
    let got = parse(
        "florence2",
        "</s><s>left lung<loc_1><loc_2><loc_3><loc_4><loc_5><loc_6><loc_7><loc_8>heart<loc_9><loc_10><loc_11><loc_12></s>",
    );
    let labels: Vec<_> = got.boxes.iter().map(|b| b.label.as_deref().unwrap()).collect();
    assert_eq!(labels, ["left lung", "left lung", "heart"]);
    let got = parse(
        "paligemma",
        "<loc0001><loc0002><loc0003><loc0004> a ; <loc0005><loc0006><loc0007><loc0008> b<eos>",
    );
    let labels: Vec<_> = got.boxes.iter().map(|b| b.label.as_deref().unwrap()).collect();
    assert_eq!(labels, ["a", "b"]);
}

#[test]
fn bins_of_a_letterbox_are_undone_with_its_rounding() {
    // 181 × 300 to 309 × 512 with 101 columns at the left and 102 at the right.
    assert_eq!(loupe_core::dialect::letterbox([181, 300], 512), ([309, 512], [101, 0]));
    assert_eq!(loupe_core::dialect::letterbox([1300, 1], 512), ([512, 1], [0, 255]));
    let d = dialect("ag-kd").unwrap();
    let parsed = d.parse("x<loc_200><loc_0><loc_799><loc_999>");
    let sizes = PictureSizes { given: [181, 300], model_input: [512, 512] };
    let got = place(d, &parsed, &[sizes]).findings[0].as_box().unwrap().xyxy();
    let column = |bin: f64| ((bin + 0.5) * 0.512 - 101.0) * 181.0 / 309.0;
    let row = |bin: f64| (bin + 0.5) * 0.512 * 300.0 / 512.0;
    let want = [column(200.0), row(0.0), column(799.0), row(999.0)];
    assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-9), "{got:?} {want:?}");
}

/// What a reply points at, on pictures of these sizes; the first is meant where it does not say.
pub(crate) fn place(d: &Dialect, parsed: &Parsed, sizes: &[PictureSizes]) -> PlacedFindings {
    let origin = Origin::unknown();
    let pictures: Vec<SpokenPicture<'_>> =
        sizes.iter().map(|s| SpokenPicture { sizes: *s, origin: &origin }).collect();
    d.place(parsed, &pictures, 0)
}

/// Can the syntax write points?
fn has_points(syntax: Syntax) -> bool {
    matches!(syntax, Syntax::Json(keys) if !keys.points.is_empty())
}

proptest! {
    #[test]
    fn pixels_to_words_and_back(n in 0..DIALECTS.iter().count(), w in 1usize..4000, h in 1usize..4000, mw in 1usize..2000, mh in 1usize..2000,
                                x in 0.0f64..0.9, y in 0.0f64..0.9, bw in 0.01f64..1.0, bh in 0.01f64..1.0) {
        let d = DIALECTS.iter().nth(n).unwrap();
        let size = PictureSizes { given: [w, h], model_input: [mw, mh] };
        let (x, y) = (x * w as f64, y * h as f64);
        let region = Box2::new(x, y, x + bw * (w as f64 - x), y + bh * (h as f64 - y));
        let points = has_points(d.syntax);
        let origin = Origin::unknown;
        let found = [
            Finding::region(0, region, origin()).with(Some("a lesion".into()), None),
            Finding::spot(0, Point2::new(x, y), origin()),
        ];
        let said = d.spoken(&found[..1 + usize::from(points)], size).unwrap();
        // Without rounding the way there and back is the identity.
        let back = place(d, &said, &[size]).findings;
        for (a, b) in back[0].as_box().unwrap().xyxy().iter().zip(region.xyxy()) {
            prop_assert!((a - b).abs() < 1e-6);
        }
        if points {
            prop_assert!(back[1].as_point().unwrap().distance(Point2::new(x, y)) < 1e-6);
        }
    }

    #[test]
    fn written_and_read(n in 0..DIALECTS.iter().count(), corners in prop::collection::vec((0u32..400, 0u32..400, 1u32..500, 1u32..500), 1..5),
                        label in "[a-z]{1,8}( [a-z]{1,8}){0,2}") {
        let d = DIALECTS.iter().nth(n).unwrap();
        let step = 10f64.powi(-(d.decimals as i32));
        let count = if d.syntax == Syntax::Numbers { 1 } else { corners.len() };
        let mut said = Parsed::default();
        for &(x, y, w, h) in corners.iter().take(count) {
            let region = [x, y, x + w, y + h].map(|v| f64::from(v) * step);
            let [x0, y0, x1, y1] = region;
            said.boxes.push(loupe_core::dialect::SpokenBox {
                region: Box2::new(x0, y0, x1, y1), label: Some(label.clone()), score: None, picture: None,
            });
            if has_points(d.syntax) {
                said.points.push(loupe_core::dialect::SpokenPoint { point: Point2::new(x1, y0), label: Some(label.clone()), picture: None });
            }
        }
        let text = d.write(&said);
        let read = d.parse(&text);
        prop_assert!(read.refused.is_empty(), "{text}: {:?}", read.refused);
        prop_assert!(read.repairs.iter().all(|&r| r == Repair::SeveralValues && said.boxes.len() > 1), "{text}: {:?}", read.repairs);
        prop_assert_eq!(read.boxes.len(), said.boxes.len());
        prop_assert_eq!(read.points.len(), said.points.len());
        for (a, b) in read.boxes.iter().zip(&said.boxes) {
            prop_assert!(a.region.xyxy().iter().zip(b.region.xyxy()).all(|(p, q)| (p - q).abs() <= step / 2.0 + 1e-9), "{text}");
        }
    }

    #[test]
    fn any_text_is_survived(text in any::<String>(), junk in "[\\[\\]{}()<>,:;'\"`a-z0-9|_.\\\\ \n-]{0,200}") {
        for d in DIALECTS.iter() {
            for t in [&text, &junk] {
                let parsed = d.parse(t);
                prop_assert!(parsed.is_answer() || !parsed.refused.is_empty());
                prop_assert!(parsed.boxes.iter().all(|b| b.region.is_proper()));
            }
        }
    }

    #[test]
    fn a_reply_cut_anywhere_never_invents_a_number(n in 0..DIALECTS.iter().count(), cut in 0.0f64..1.0) {
        let d = DIALECTS.iter().nth(n).unwrap();
        let whole: Vec<[f64; 4]> = vec![[100.0, 200.0, 300.0, 444.0], [120.0, 230.0, 340.0, 555.0]];
        let step = 10f64.powi(-(d.decimals as i32));
        let said = Parsed {
            boxes: whole.iter().map(|[a, b, c, e]| loupe_core::dialect::SpokenBox {
                region: Box2::new(a * step, b * step, c * step, e * step), label: Some("x".into()), score: None, picture: None }).collect(),
            ..Parsed::default()
        };
        let text = d.write(&said);
        let end = (text.len() as f64 * cut) as usize;
        prop_assume!(text.is_char_boundary(end));
        if d.syntax == Syntax::Numbers { return Ok(()); } // four plain numbers have no closing mark
        for b in d.parse(&text[..end]).boxes {
            let known = whole.iter().any(|w| w.iter().zip(b.region.xyxy()).all(|(p, q)| (p * step - q).abs() < step / 2.0));
            prop_assert!(known, "{} -> {:?}", &text[..end], b.region);
        }
    }
}

#[test]
fn a_long_reply_of_anything_is_read_in_linear_time() {
    /// Bytes; quadratic reading of any of these would take minutes.
    const LONG: usize = 300_000;
    let seeds = [
        "[",
        "{",
        "]",
        "(",
        "\"",
        "'",
        "`",
        "```",
        "{\"a\":",
        "[[1,2,3,4],",
        "{\"bbox_2d\":[1,2,3,4]},",
        "<",
        "<|",
        "<box>",
        "<box>[",
        "<ref>",
        "<|box_start|>",
        "<|box_start|>(1,2),(3,",
        "<loc0001>",
        "<loc0001>x",
        "<loc_1>x",
        "<loc",
        "<tool_call>",
        "<tool_call>{",
        "<grounding>{\"bbox_2d\":",
        "</tool_call>",
        "(1,2)",
        "(1,2),(3,4)",
        "(1,2) ",
        "1.",
        "-",
        "0.1,",
        "\\",
        "\"\\",
        "<think>",
        "</think>",
        "é",
        " ",
        "\n",
        "{\"bbox_2d\":[[",
        "'a':",
        "[\"a\"",
        "<box>[[1,2,3,4]]",
    ];
    for d in DIALECTS.iter() {
        for seed in seeds {
            let parsed = d.parse(&seed.repeat(LONG / seed.len()));
            assert!(parsed.is_answer() || !parsed.refused.is_empty());
        }
    }
}

#[test]
fn names_are_unique_and_found() {
    for (n, d) in DIALECTS.iter().enumerate() {
        assert_eq!(dialect(d.name).unwrap(), d);
        assert!(DIALECTS.iter().skip(n + 1).all(|o| o.name != d.name));
    }
    assert!(dialect("nobody").is_none());
}

#[test]
fn every_family_is_asked_in_words_of_its_own_and_protocols_in_theirs() {
    let asked = |name: &str| dialect(name).unwrap().ask_for("the lung");
    assert_eq!(
        asked("qwen2.5-vl").unwrap(),
        "Locate the lung in the image and give its coordinates as JSON with the key \"bbox_2d\"."
    );
    assert_eq!(
        asked("internvl").unwrap(),
        "Please provide the bounding box coordinate of the region this sentence describes: <ref>the lung</ref>"
    );
    assert_eq!(asked("paligemma").unwrap(), "detect the lung");
    let medgemma = asked("medgemma").unwrap();
    assert!(
        medgemma.contains("[0, 1000], meaning") && medgemma.contains("\nWhere is the lung? Don't"),
        "{medgemma}"
    );
    // The example in the words is in the dialect itself.
    let parsed = dialect("medgemma").unwrap().parse(&medgemma);
    assert!(parsed.is_answer(), "{parsed:?}");
    for d in DIALECTS.iter() {
        let of_a_protocol =
            ["vitar", "deepeyes", "mini-o3", "pixel-reasoner", "qwen3-zoom", "ophiuchus"].contains(&d.name);
        assert_eq!(d.ask.is_none(), of_a_protocol, "{}", d.name);
        assert!(d.ask.is_none_or(|words| words.matches("{phrase}").count() == 1), "{}", d.name);
    }
}
