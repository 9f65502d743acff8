//! Boxes, points, counts and masks through a whole run: figures of items, of the set, and repairs.

use loupe_core::mask::Rle;
use loupe_core::{
    Answer, AnswerSink, Answerer, Box2, DataError, Dataset, DatasetInfo, Finding, Labelled, Mask, MaskTrace,
    MediaRef, ModelInfo, Origin, Point2, Record, Reply, Sample, Target, WorkSource, answer,
};
use loupe_eval::strict::Strict;
use loupe_eval::{Scoring, Summary, Verdict, score, tables};
use loupe_run::{Plan, run, templates::default_template};
use loupe_testing::{FlatPictures, dataset::info, script_info};
use std::collections::BTreeMap;

/// Targets with what is answered to each.
struct Scripted(DatasetInfo, Vec<(Target, Reply, Record)>);

fn scripted(items: Vec<(Target, Reply, Record)>) -> Scripted {
    Scripted(info("fake"), items)
}

impl Dataset for Scripted {
    fn info(&self) -> &DatasetInfo {
        &self.0
    }

    fn len(&self) -> usize {
        self.1.len()
    }

    fn get(&self, index: usize) -> Result<Sample, DataError> {
        let image = format!("picture{index}.png");
        Ok(Sample {
            id: index.to_string(),
            media: vec![MediaRef::file(&image)],
            question: "Where?".into(),
            choices: Vec::new(),
            target: self.1[index].0.clone(),
            group: image,
            tags: BTreeMap::new(),
            language: "en".into(),
        })
    }
}

struct Answers<'a>(&'a Scripted, ModelInfo);

impl Answerer for Answers<'_> {
    fn model(&self) -> &ModelInfo {
        &self.1
    }

    fn serve(&mut self, work: &mut dyn WorkSource, answers: &mut dyn AnswerSink) {
        answer::one_by_one(work, answers, |w| {
            let (_, reply, record) = &self.0.1[w.sample.id.parse::<usize>().unwrap()];
            Answer { outcome: Ok(reply.clone()), record: record.clone() }
        });
    }
}

fn summary(items: Vec<(Target, Reply, Record)>) -> Summary {
    let set = scripted(items);
    let dir = tempfile::tempdir().unwrap();
    let mut answers = Answers(&set, script_info("answers"));
    run(dir.path(), &Plan::new(default_template()), &set, &mut answers, &FlatPictures::sound(), &mut ())
        .unwrap();
    score(dir.path(), &Scoring { profiles: &[&Strict], ..Scoring::default() }).unwrap()
}

fn value(summary: &Summary, name: &str) -> f64 {
    summary.figure("strict", name).unwrap_or_else(|| panic!("no figure {name}")).value.unwrap()
}

fn wanted(boxes: &[(&str, [f64; 4])]) -> Target {
    let one = |(label, [x0, y0, x1, y1]): &(&str, [f64; 4])| Labelled {
        picture: 0,
        label: (*label).to_owned(),
        at: Box2::new(*x0, *y0, *x1, *y1),
        reader: None,
    };
    Target::Boxes(boxes.iter().map(one).collect())
}

fn said(boxes: &[(&str, [f64; 4])], repairs: &[&str]) -> Reply {
    let mut reply = Reply::from_text("boxes");
    let one = |(label, [x0, y0, x1, y1]): &(&str, [f64; 4])| {
        Finding::region(0, Box2::new(*x0, *y0, *x1, *y1), Origin::unknown())
            .with(Some((*label).to_owned()), None)
    };
    reply.findings = boxes.iter().map(one).collect();
    reply.repairs = repairs.iter().map(|r| (*r).to_owned()).collect();
    reply
}

#[test]
fn boxes_have_figures_of_items_and_of_the_set() {
    let [a, b] = [[10., 10., 30., 30.], [50., 50., 60., 70.]];
    let summary = summary(vec![
        (wanted(&[("cyst", a)]), said(&[("cyst", a)], &["closed"]), Record::Single),
        (wanted(&[("cyst", b)]), said(&[], &[]), Record::Single),
        (wanted(&[("cyst", a), ("stone", b)]), said(&[("Cyst", a), ("Cyst", b)], &[]), Record::Single),
    ]);
    assert_eq!(value(&summary, "Acc@0.5 (one box)"), 0.5);
    assert_eq!(value(&summary, "accuracy"), 2.0 / 3.0);
    // Third item: the cyst's boxes cover 400 + 200 where 400 were wanted, the stone has none.
    let dice = (1.0 + 0.0 + (2.0 * 400.0 / 1000.0 + 0.0) / 2.0) / 3.0;
    assert!((value(&summary, "box mDice") - dice).abs() < 1e-12);
    let grounding = summary.grounding.as_ref().unwrap();
    assert_eq!((grounding.replies, grounding.read, grounding.repaired, grounding.nothing), (3, 1, 1, 1));
    assert_eq!(grounding.repairs, BTreeMap::from([("closed".to_owned(), 1)]));
    let boxes = grounding.boxes.as_ref().unwrap();
    assert_eq!((boxes.images, boxes.references, boxes.answers), (3, 4, 3));
    // Three of four found without a false one: precision 1 up to a recall of 0.75, 76 of 101 points.
    for ap in [boxes.map, boxes.ap50, boxes.ap75] {
        assert!((ap.unwrap() - 76.0 / 101.0).abs() < 1e-12);
    }
    let text = tables::join(&tables::summary(&summary), loupe_core::table::Format::Terminal);
    assert!(text.contains("mAP @ IoU 0.50:0.95") && text.contains("repair: closed"), "{text}");
}

#[test]
fn more_boxes_than_can_be_paired_are_wrong_where_there_are_fewer() {
    let many = |n: usize| -> Vec<(&'static str, [f64; 4])> {
        (0..n).map(|k| ("cyst", [k as f64, 0.0, k as f64 + 1.0, 2.0])).collect()
    };
    let summary = summary(vec![
        (wanted(&many(1)), said(&many(1), &[]), Record::Single),
        (wanted(&many(600)), said(&many(2000), &[]), Record::Single),
        (wanted(&many(1001)), said(&many(1001), &[]), Record::Single),
    ]);
    let accuracy = summary.figure("strict", "accuracy").unwrap();
    assert_eq!((accuracy.value, accuracy.n), (Some(0.5), 2));
}

#[test]
fn points_have_hits_and_distances_and_counts_have_errors() {
    let points = |all: &[[f64; 2]]| {
        let one = |p: &[f64; 2]| Labelled {
            picture: 0,
            label: "cell".to_owned(),
            at: Point2::new(p[0], p[1]),
            reader: None,
        };
        Target::Points(all.iter().map(one).collect())
    };
    let mut reply = Reply::from_text("points");
    let spot = |[x, y]: [f64; 2]| Finding::spot(0, Point2::new(x, y), Origin::unknown());
    reply.findings = [[0.0, 3.0], [54.0, 50.0]].map(spot).to_vec();
    let summary = summary(vec![
        (points(&[[0., 0.], [50., 50.], [90., 90.]]), reply, Record::Single),
        (Target::Count(5.0), Reply::from_text("There are 8 cells."), Record::Single),
        (Target::Count(2.0), Reply::from_text("2"), Record::Single),
        (Target::Count(2.0), Reply::from_text("Many."), Record::Single),
    ]);
    assert!((value(&summary, "point hit") - 2.0 / 3.0).abs() < 1e-12);
    assert_eq!(value(&summary, "point distance (px)"), 3.5);
    assert_eq!(value(&summary, "count absolute error"), 1.5);
    assert_eq!(value(&summary, "count squared error"), 4.5);
    let unread = summary.figure("strict", "count absolute error").unwrap();
    assert_eq!((unread.n, unread.unscored), (2, 1));
    assert!(summary.grounding.unwrap().boxes.is_none());
}

fn mask(rows: &[&str], slice: Option<usize>) -> Finding {
    let bits = rows.iter().flat_map(|r| r.chars().map(|c| c == '#')).collect();
    let mask = Rle::of(&Mask::new(rows[0].len(), rows.len(), bits).unwrap());
    Finding::mask(0, mask, Origin { slice, ..Origin::unknown() })
}

fn segmented(
    reference: Vec<Finding>,
    masks: Vec<Finding>,
    spacing_mm: Option<Vec<f64>>,
) -> (Target, Reply, Record) {
    let mut reply = Reply::from_text("");
    reply.findings = masks;
    let trace = MaskTrace { by: "segment".into(), prompts: Vec::new(), reference, spacing_mm };
    (Target::Masks(Vec::new()), reply, Record::Masks(Box::new(trace)))
}

#[test]
fn masks_are_scored_from_the_folder_in_millimetres_or_pixels() {
    let whole = ["####", "####"];
    let half = ["##..", "##.."];
    let flat =
        summary(vec![segmented(vec![mask(&whole, None)], vec![mask(&half, None)], Some(vec![1.0, 2.0]))]);
    assert!((value(&flat, "Dice") - 2.0 * 4.0 / 12.0).abs() < 1e-12);
    assert_eq!(value(&flat, "mask IoU"), 0.5);
    // The far edge is two columns of 2 mm away.
    assert_eq!(value(&flat, "HD95 distance (mm)"), 4.0);
    assert_eq!(value(&flat, "lesion recall"), 1.0);
    let pixels = summary(vec![segmented(vec![mask(&whole, None)], vec![mask(&half, None)], None)]);
    assert_eq!(value(&pixels, "HD95 distance (px)"), 2.0);
    // A slice too many of 3 mm: the volume is compared as a whole.
    let solid = summary(vec![segmented(
        vec![mask(&whole, Some(4)), mask(&whole, Some(5))],
        vec![mask(&whole, Some(4)), mask(&whole, Some(5)), mask(&whole, Some(6))],
        Some(vec![3.0, 1.0, 1.0]),
    )]);
    assert!((value(&solid, "Dice") - 2.0 * 16.0 / 40.0).abs() < 1e-12);
    assert_eq!(value(&solid, "HD95 distance (mm)"), 3.0);
    // Nothing found is wrong, not unscored; a distance to nothing is no number.
    let none = summary(vec![segmented(vec![mask(&whole, None)], vec![mask(&["....", "...."], None)], None)]);
    assert_eq!((value(&none, "Dice"), value(&none, "NSD at 2 px")), (0.0, 0.0));
    assert_eq!(none.figure("strict", "HD95 distance (px)").unwrap().value, None);
}

/// A reply without a place: what it says decides, and an image without findings is no gift.
#[test]
fn nothing_said_is_not_nothing_there() {
    let something = || wanted(&[("cyst", [10., 10., 30., 30.])]);
    let points = |n: usize| {
        let one = |_| Labelled { picture: 0, label: "cell".into(), at: Point2::new(5.0, 5.0), reader: None };
        Target::Points((0..n).map(one).collect())
    };
    let empty_lists =
        ["[]", "```json\n[]\n```", "<think>[1, 2]</think>[]", "[ ]", "<ref>cyst</ref><box>[]</box>"];
    let denials = ["No cyst is seen.", "None", "There is no lesion.", "未见异常"];
    let words =
        ["I cannot see any lesion here.", "The heart is large.", "I'm sorry, I can't help with that.", "yes"];
    let right = |target: Target, reply: &str| {
        let summary = summary(vec![(target, Reply::from_text(reply), Record::Single)]);
        let profile = &summary.profiles[0];
        let rule = profile.rules.keys().next().cloned().unwrap_or_default();
        let unparsed = profile.verdicts.get(&Verdict::Unparsed).copied().unwrap_or(0);
        (value(&summary, "accuracy"), value(&summary, "region F1"), unparsed, rule)
    };
    for reply in empty_lists {
        for target in [something(), points(2)] {
            assert_eq!(
                right(target, reply),
                (0.0, 0.0, 0, "nothing_there".to_owned()),
                "{reply}: wrong, and read"
            );
        }
        for target in [wanted(&[]), points(0)] {
            assert_eq!(right(target, reply), (1.0, 1.0, 0, "nothing_there".to_owned()), "{reply}");
        }
    }
    for reply in denials.iter().chain(&words) {
        assert_eq!(
            right(something(), reply),
            (0.0, 0.0, 1, "no_region".to_owned()),
            "{reply}: words are no boxes"
        );
        let denies = denials.contains(reply);
        let there = right(wanted(&[]), reply);
        assert_eq!((there.0, there.2), (f64::from(denies), u64::from(!denies)), "{reply}");
    }
    for target in [something(), wanted(&[])] {
        assert_eq!(right(target, " "), (0.0, 0.0, 1, "empty".to_owned()));
    }
    // The other figures agree.
    let silent = summary(vec![(wanted(&[]), Reply::from_text(""), Record::Single)]);
    assert_eq!((value(&silent, "box IoU"), value(&silent, "box mDice")), (0.0, 0.0));
    let said_so = summary(vec![(wanted(&[]), Reply::from_text("[]"), Record::Single)]);
    assert_eq!((value(&said_so, "box IoU"), value(&said_so, "box mDice")), (1.0, 1.0));
}

/// No mask and an empty mask are the same to every figure.
#[test]
fn an_empty_mask_and_no_mask_are_judged_alike() {
    for slice in [None, Some(4)] {
        let nothing = || mask(&["....", "...."], slice);
        let whole = || mask(&["####", "####"], slice);
        let of = |reference: Vec<Finding>, masks: Vec<Finding>| {
            let summary = summary(vec![segmented(reference, masks, None)]);
            let figures = summary.profiles[0].figures.iter();
            let figures: Vec<(String, Option<f64>)> = figures.map(|f| (f.name.clone(), f.value)).collect();
            (summary.profiles[0].verdicts.clone(), figures)
        };
        let empty = of(Vec::new(), Vec::new());
        assert!(empty.1.iter().all(|(_, value)| value.is_none()), "{empty:?}");
        for (reference, masks) in
            [(vec![nothing()], Vec::new()), (Vec::new(), vec![nothing()]), (vec![nothing()], vec![nothing()])]
        {
            assert_eq!(of(reference, masks), empty);
        }
        // An invented mask is one, however the empty reference is written.
        let invented = of(vec![nothing()], vec![whole()]);
        assert_eq!(of(Vec::new(), vec![whole()]), invented);
        assert!(invented.1.contains(&("Dice".to_owned(), Some(0.0))), "{invented:?}");
        let missed = of(vec![whole()], vec![nothing()]);
        assert_eq!(of(vec![whole()], Vec::new()), missed);
    }
}
