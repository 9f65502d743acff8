//! What stands beside each other: the pictures of a run and of its probes with the reply to each, and rounds beside their reference.

use crate::runs::{
    Answers, Images, ROOM, Samples, from, made, media, rethought, sample, says, scored, words,
};
use loupe_core::answer::Answer;
use loupe_core::{Box2, Labelled, ModelInfo, Sample, Target, Work};
use loupe_eval::compare::compare_judged;
use loupe_eval::strict::Strict;
use loupe_eval::{JudgedRun, ScoredRun};
use loupe_report::Page;
use loupe_report::pages::document::BoxKind;
use loupe_report::pages::run::{self, PagePart};
use loupe_report::pages::{PictureSource, compare};
use loupe_run::probes::{Probe, ProbeSetting, ProbedLoader, ProbedSet};
use loupe_run::{Plan, Setting};
use loupe_testing::browser::Browser;
use loupe_testing::{dataset, scratch};
use serde_json::json;
use tempfile::TempDir;

const GREY: Probe = Probe::Blank { level: 90 };
const SEED: u64 = 3;

/// Two samples of two groups.
fn samples() -> Vec<Sample> {
    vec![sample("q0", media("flat.png"), words("yes")), sample("q1", media("other-1.png"), words("no"))]
}

/// The run `vqa` of these samples, and its probe that asks with other pictures.
fn probed(name: &str, probe: Probe, answer: impl FnMut(&Work) -> Answer) -> (TempDir, Samples) {
    let dir = scratch();
    let set = Samples { info: dataset::info("chests"), all: samples() };
    let mut plan = Plan::new(loupe_run::templates::default_template());
    let value = ProbeSetting { probe, seed: SEED }.to_string().into();
    plan.settings.insert(ProbeSetting::NAME.to_owned(), Setting { value, given: true });
    let mut answerer = Answers(ModelInfo::scripted("script", "script-1b", "none"), answer);
    let images = Images::default();
    let seen = (ProbedSet::new(&set, probe, SEED), ProbedLoader { of: &images, probe, seed: SEED });
    loupe_run::run(&dir.path().join(name), &plan, &seen.0, &mut answerer, &seen.1, &mut ()).unwrap();
    (dir, set)
}

/// A run beside both of its probes.
fn page_of_probes(dir: &TempDir, grey: &TempDir, swapped: &TempDir) -> Page {
    let open = |dir: &TempDir, name: &str| JudgedRun::open(&dir.path().join(name), &Strict).unwrap();
    let (first, grey, swapped) = (open(dir, "vqa"), open(grey, "grey"), open(swapped, "swapped"));
    let found = [&grey, &swapped].map(|run| compare_judged(&first, run).unwrap());
    let others = [(&grey, &found[0]), (&swapped, &found[1])];
    let runs = compare::RunSet { first: &first, others: &others, tables: &[] };
    compare::page(runs, from(&Images::default()), &ROOM).unwrap()
}

/// Right with the pictures; yes to all that is grey; without a word for other patients.
fn three_runs() -> [TempDir; 3] {
    let right = |work: &Work| says(if work.sample.id == "q0" { "yes" } else { "no" });
    let (plain, _) = made("vqa", samples(), right);
    let (grey, _) = probed("grey", GREY, |work: &Work| {
        assert!(work.ask.pictures[0].pixels().iter().all(|level| *level == 90));
        says("yes")
    });
    let (swapped, _) = probed("swapped", Probe::Swapped, |_| says("I cannot tell."));
    [plain, grey, swapped]
}

#[test]
fn a_run_and_its_probes_show_what_each_was_asked_with() {
    let [plain, grey, swapped] = three_runs();
    let page = page_of_probes(&plain, &grey, &swapped);
    assert_eq!(page.runs, ["vqa", "grey", "swapped"]);
    let [yes, no] = page.items.as_slice() else { panic!("two samples") };
    let altered =
        |item: usize| page.items[item].others.iter().map(|o| o.altered.clone().unwrap()).collect::<Vec<_>>();
    assert_eq!(altered(0), ["every pixel at level 90", "pictures of another group"]);
    assert_eq!(yes.others[0].answer, Some("the same answer"), "yes, whatever is seen");
    assert_eq!(no.others[0].answer, Some("another answer"));
    assert!(page.items.iter().all(|i| i.others[1].answer == Some("no readable answer")));
    // Each has its own picture, and the swapped one is that of the other sample.
    let shown = |item: usize| {
        let item = &page.items[item];
        let image = |p: &loupe_report::pages::document::ItemPicture| p.image.unwrap();
        [image(&item.pictures[0]), image(&item.others[0].pictures[0]), image(&item.others[1].pictures[0])]
    };
    let ([a, grey_a, swapped_a], [b, grey_b, swapped_b]) = (shown(0), shown(1));
    assert_eq!((swapped_a, swapped_b, grey_a), (b, a, grey_b));
    assert_eq!([a, b, grey_a].iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
    assert!(page.items.iter().all(|i| i.unaltered.is_empty() && i.altered.is_none()));
    let captions =
        page.items.iter().flat_map(|i| i.pictures.iter().chain(i.others.iter().flat_map(|o| &o.pictures)));
    assert!(
        captions.clone().all(|p| !p.caption.contains("not the pixels")),
        "they are those that were asked about"
    );

    // The other way round the run itself has the pictures of the set.
    let open = |dir: &TempDir, name: &str| JudgedRun::open(&dir.path().join(name), &Strict).unwrap();
    let (first, second) = (open(&grey, "grey"), open(&plain, "vqa"));
    let found = compare_judged(&first, &second).unwrap();
    let runs = compare::RunSet { first: &first, others: &[(&second, &found)], tables: &[] };
    let page = compare::page(runs, from(&Images::default()), &ROOM).unwrap();
    assert!(page.items.iter().all(|i| i.unaltered.is_empty() && i.others[0].altered.is_none()));
    assert_eq!(page.items[0].altered.as_deref(), Some("every pixel at level 90"));
    assert_ne!(page.items[0].pictures[0].image, page.items[0].others[0].pictures[0].image);
}

#[test]
fn a_probe_alone_shows_the_pictures_of_the_set_too() {
    let [plain, grey, swapped] = three_runs();
    let images = Images::default();
    let page = run::page(&scored(&grey.path().join("grey")), from(&images), &ROOM).unwrap();
    assert_eq!(page.items[0].altered.as_deref(), Some("every pixel at level 90"));
    assert_ne!(page.items[0].pictures[0].image, page.items[0].unaltered[0].image);

    // Whose pictures the others are is known to the set alone.
    let run = scored(&swapped.path().join("swapped"));
    let without = run::page(&run, from(&images), &ROOM).unwrap();
    assert!(without.items.iter().all(|i| i.unaltered.is_empty() && i.altered.is_some()));
    let set = Samples { info: dataset::info("chests"), all: samples() };
    let with = run::page(&run, PictureSource { dataset: Some(&set), ..from(&images) }, &ROOM).unwrap();
    let names = |pictures: &[loupe_report::pages::document::ItemPicture]| {
        pictures[0].caption.split(' ').next().unwrap().to_owned()
    };
    assert_eq!(
        (names(&with.items[0].pictures), names(&with.items[0].unaltered)),
        ("other-1.png".into(), "flat.png".into())
    );

    // On a page of several runs too, where a part names its probes.
    let runs: [ScoredRun; 2] = [scored(&plain.path().join("vqa")), scored(&grey.path().join("grey"))];
    let probes = [("grey", &runs[1])];
    let part = PagePart { name: "vqa", run: &runs[0], pictures: from(&images), probes: &probes };
    let page = run::page_of_parts("demo", Vec::new(), &[part], &ROOM).unwrap();
    assert!(page.items.iter().all(|i| i.others[0].name == "grey" && i.others[0].pictures.len() == 1));
}

/// The page of the three runs in a window of this size, at its second sample.
fn opened(size: [u32; 2]) -> Option<(TempDir, Browser)> {
    let mut browser = Browser::start(size)?;
    let dir = scratch();
    let [plain, grey, swapped] = three_runs();
    let file = dir.path().join("page.html");
    page_of_probes(&plain, &grey, &swapped).save(&file).unwrap();
    browser.open(&file);
    browser.eval("location.hash = '#q1'");
    browser.wait("document.getElementById('address')?.textContent === '#q1'");
    browser.wait("Array.from(document.querySelectorAll('.side img')).every((i) => i.complete)");
    Some((dir, browser))
}

#[test]
fn a_flip_is_seen_beside_what_caused_it() {
    let Some((_dir, mut browser)) = opened([1400, 900]) else { return };
    let texts = |of: &str| format!("Array.from(document.querySelectorAll('{of}')).map((e) => e.textContent)");
    assert_eq!(browser.eval(&texts(".side h3")), json!(["vqa", "grey", "swapped"]));
    assert_eq!(browser.eval(&texts(".side pre")), json!(["no", "yes", "I cannot tell."]));
    assert_eq!(
        browser.eval(&texts(".side .outcome")),
        json!(["correct", "wronganother answer", "unparsedno readable answer"])
    );
    // The pixels of each, to the level: names of 11, 0 and 8 letters on a ramp.
    let level = "Array.from(document.querySelectorAll('.side img')).map((i) => { const c = document.createElement('canvas'), x = c.getContext('2d'); \
        [c.width, c.height] = [i.naturalWidth, i.naturalHeight]; x.drawImage(i, 0, 0); return x.getImageData(3, 4, 1, 1).data[0]; })";
    assert_eq!(browser.eval(level), json!([163 + 11, 90, 163 + 8]));
    // They stand in a row, and one below the other in a narrow window.
    let lefts = "new Set(Array.from(document.querySelectorAll('.side')).map((s) => s.getBoundingClientRect().left)).size";
    assert_eq!(browser.eval(lefts), 3);
    browser.resize([500, 900], 1.0);
    assert_eq!(browser.eval(lefts), 1);
    assert_eq!(browser.eval("document.documentElement.scrollWidth"), 500);
    browser.resize([1400, 900], 1.0);
    browser.eval("{ const s = document.querySelector('select[data-key=\"with other pictures\"]'); s.value = 'another answer'; s.dispatchEvent(new Event('change')); }");
    assert_eq!(browser.eval("document.getElementById('count').textContent"), "1 of 2 samples");
    // Enlarged, they zoom together.
    browser.press("e");
    browser.wait("document.querySelector('dialog .viewer-stage')");
    browser.press("s");
    browser.wait("document.querySelectorAll('dialog .viewer-stage').length === 3");
    assert_eq!(browser.eval(&texts("dialog h3")), json!(["vqa", "grey", "swapped"]));
    browser.press("s");
    assert_eq!(browser.eval("document.querySelectorAll('dialog .viewer-stage').length"), 1);
    browser.assert_quiet();
}

#[test]
fn rounds_stand_beside_their_reference() {
    let at = Box2::new(5.0, 6.0, 20.0, 16.0);
    let target = Target::Boxes(vec![Labelled { picture: 0, label: "nodule".into(), at, reader: None }]);
    let (dir, _) = made("run", vec![sample("q0", media("volume"), target)], rethought);
    let page = run::page(&scored(&dir.path().join("run")), from(&Images::default()), &ROOM).unwrap();
    let references = |round: usize, picture: usize| -> Vec<[f64; 4]> {
        let boxes = &page.items[0].rounds[round].pictures[picture].boxes;
        boxes.iter().filter(|b| b.kind == BoxKind::Reference).map(|b| b.xyxy).collect()
    };
    // On the picture and where the model looked at it, and what the part from 10, 10 to 20, 15 shows of it.
    assert_eq!([references(0, 0), references(0, 1)], [vec![at.xyxy()], vec![at.xyxy()]]);
    assert_eq!(references(1, 0), [[0.0, 0.0, 10.0, 5.0]]);
    assert_eq!(references(2, 0), Vec::<[f64; 4]>::new(), "another slice");

    let Some(mut browser) = Browser::start([1400, 900]) else { return };
    let file = dir.path().join("page.html");
    page.save(&file).unwrap();
    browser.open(&file);
    let heads = "Array.from(document.querySelectorAll('.rounds h4')).map((h) => h.textContent)";
    assert_eq!(browser.eval(heads), json!(["Round 1", "Round 2", "Round 3", "Reference"]));
    browser.wait("document.querySelector('.round.reference figure svg')");
    let drawn =
        "Array.from(document.querySelectorAll('.round.reference [data-kind]')).map((g) => g.dataset.kind)";
    assert_eq!(browser.eval(drawn), json!(["reference"]));
    browser.assert_quiet();
}
