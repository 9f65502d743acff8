//! Pages of runs: what stands on them, and that every picture is read once.

use loupe_core::answer::{Answer, AnswerSink, Answerer, WorkSource, one_by_one};
use loupe_core::ask::{Role, Turn};
use loupe_core::loader::DisplayMaterial;
use loupe_core::mask::Rle;
use loupe_core::media::WindowChoice;
use loupe_core::trace::{Action, Ended, MaskTrace, Region, Round, Trace};
use loupe_core::{
    Box2, DataError, Dataset, DatasetInfo, Finding, GenerationLimits, Intensities, Labelled, Mask,
    MediaError, MediaLoader, MediaRef, MediaSource, ModelInfo, Origin, Picture, Record, Reply, Sample,
    SliceAt, Target, Window, Work,
};
use loupe_eval::compare::compare_judged;
use loupe_eval::strict::Strict;
use loupe_eval::{JudgedRun, Profile, ScoredRun, Scoring, tables};
use loupe_report::pages::document::BoxKind;
use loupe_report::pages::kit::place::MarkPlace;
use loupe_report::pages::run::{PageOptions, PagePart};
use loupe_report::pages::{PictureSource, compare, run};
use loupe_report::{Page, PageItem, WindowPreset};
use loupe_run::Plan;
use loupe_testing::{Nearest, dataset, scratch};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// `volume` and `large`, which is of twice the size, give slices 5, 7 and 8 of 40 × 30 pixels with their values, `stack` 40 slices, other
/// files flat pictures whose encoded bytes are at hand. Counts what a page gets.
#[derive(Default)]
pub(crate) struct Images {
    reads: Mutex<BTreeMap<String, usize>>,
}

const LUNG: Window = Window::linear(-600.0, 1500.0);

impl Images {
    fn reads(&self) -> Vec<(String, usize)> {
        self.reads.lock().unwrap().clone().into_iter().collect()
    }
}

/// By its file, because a page may hide the name.
fn is_volume(media: &MediaRef) -> bool {
    let names = ["volume", "large", "stack"];
    matches!(&media.source, MediaSource::File(path) if names.iter().any(|name| path.ends_with(name)))
}

/// The value of a pixel of `stack`.
pub(crate) fn stacked(slice: usize, pixel: usize) -> f32 {
    (pixel as f32) - 500.0 + 3.0 * slice as f32
}

impl MediaLoader for Images {
    fn load(&self, media: &MediaRef) -> Result<Picture, MediaError> {
        if matches!(&media.source, MediaSource::Bytes(bytes) if bytes.is_empty()) {
            return Err(MediaError::NotFound);
        }
        let scale = if media.name == "large" { 2 } else { 1 };
        let (width, height) = (40 * scale, 30 * scale);
        let mut origin = Origin::of_size(width, height);
        origin.source = Some(media.name.clone());
        let mut level = media.name.len() as u8;
        if is_volume(media) {
            let slice = match media.view.slice {
                Some(SliceAt::Index(n)) => n,
                _ => 5,
            };
            let stack = matches!(&media.source, MediaSource::File(path) if path.ends_with("stack"));
            if !(if stack { (0..40).contains(&slice) } else { [5, 7, 8].contains(&slice) }) {
                return Err(MediaError::View(format!("there is no slice {slice}")));
            }
            level = slice as u8;
            origin.slice = Some(slice);
            origin.plane = Some(media.view.plane);
            origin.spacing_mm = stack.then_some([0.5, 1.0]);
            origin.window = Some(match &media.view.window {
                Some(WindowChoice::Numbers(window)) => *window,
                _ => LUNG,
            });
        }
        let pixels: Vec<u8> = (0..width * height).map(|n| (n % 200) as u8 + level).collect();
        Ok(Picture::new(width, height, 1, pixels).unwrap().with_origin(origin))
    }

    fn intensities(&self, media: &MediaRef) -> Result<Option<Intensities>, MediaError> {
        let picture = self.load(media)?;
        let (width, height) = (picture.width(), picture.height());
        let slice = picture.origin.slice.filter(|_| media.name == "stack").unwrap_or(0);
        let values = (0..width * height).map(|n| stacked(slice, n)).collect();
        Ok(Some(Intensities { width, height, values, inverted: false, hounsfield: true }))
    }

    fn load_for_display(&self, media: &MediaRef) -> Result<DisplayMaterial, MediaError> {
        let picture = self.load(media)?;
        let slice = media.view.slice.map(|s| format!("{s:?}")).unwrap_or_default();
        *self.reads.lock().unwrap().entry(format!("{}{slice}", media.name)).or_default() += 1;
        let flat = picture.origin.window.is_none();
        let intensities = if flat { None } else { self.intensities(media)? };
        let encoded = flat.then(|| Arc::from(loupe_report::png(&picture).unwrap()));
        Ok(DisplayMaterial { picture, intensities, encoded })
    }
}

pub(crate) struct Samples {
    pub(crate) info: DatasetInfo,
    pub(crate) all: Vec<Sample>,
}

impl Dataset for Samples {
    fn info(&self) -> &DatasetInfo {
        &self.info
    }
    fn len(&self) -> usize {
        self.all.len()
    }
    fn get(&self, index: usize) -> Result<Sample, DataError> {
        Ok(self.all[index].clone())
    }
}

pub(crate) fn media(name: &str) -> MediaRef {
    MediaRef { name: name.into(), ..MediaRef::file(format!("/images/{name}")) }
}

pub(crate) fn sample(id: &str, image: MediaRef, target: Target) -> Sample {
    Sample {
        id: id.into(),
        group: image.name.clone(),
        media: vec![image],
        question: "Is there a nodule?".into(),
        choices: Vec::new(),
        target,
        tags: BTreeMap::from([("organ".to_owned(), "CHEST".to_owned())]),
        language: "en".into(),
    }
}

pub(crate) fn words(gold: &str) -> Target {
    Target::Text(vec![gold.into()])
}

pub(crate) struct Answers<F>(pub(crate) ModelInfo, pub(crate) F);

impl<F: FnMut(&Work) -> Answer> Answerer for Answers<F> {
    fn model(&self) -> &ModelInfo {
        &self.0
    }
    fn serve(&mut self, work: &mut dyn WorkSource, answers: &mut dyn AnswerSink) {
        one_by_one(work, answers, &mut self.1);
    }
}

/// A finished run in a folder of this name.
pub(crate) fn made(
    name: &str,
    samples: Vec<Sample>,
    answer: impl FnMut(&Work) -> Answer,
) -> (TempDir, Samples) {
    let dir = scratch();
    let set = Samples { info: dataset::info("chests"), all: samples };
    let plan = Plan::new(loupe_run::templates::default_template());
    let mut answerer = Answers(ModelInfo::scripted("script", "script-1b", "none"), answer);
    loupe_run::run(&dir.path().join(name), &plan, &set, &mut answerer, &Images::default(), &mut ()).unwrap();
    (dir, set)
}

pub(crate) fn says(text: &str) -> Answer {
    Answer::single(Ok(Reply::from_text(text)))
}

pub(crate) fn scored(dir: &Path) -> ScoredRun {
    let strict: &dyn Profile = &Strict;
    ScoredRun::of(dir, &Scoring { profiles: &[strict], ..Scoring::default() }).unwrap()
}

/// The same files with other pixels.
struct Later(Images);

impl MediaLoader for Later {
    fn load(&self, media: &MediaRef) -> Result<Picture, MediaError> {
        let picture = self.0.load(media)?;
        let pixels: Vec<u8> = picture.pixels().iter().map(|level| level ^ 1).collect();
        let changed = Picture::new(picture.width(), picture.height(), picture.channels(), pixels).unwrap();
        Ok(changed.with_origin(picture.origin))
    }
}

#[test]
fn pictures_that_are_not_those_that_were_asked_about_are_said_to_be_others() {
    let samples =
        vec![sample("flat", media("flat.png"), words("no")), sample("ct", media("stack"), words("no"))];
    let (dir, _) = made("run", samples, |_| says("no"));
    let captions = |loader: &dyn MediaLoader| -> Vec<String> {
        let source = PictureSource { dataset: None, loader, resampler: &RESAMPLER };
        let page = run::page(&scored(&dir.path().join("run")), source, &ROOM).unwrap();
        page.items.iter().flat_map(|item| &item.pictures).map(|picture| picture.caption.clone()).collect()
    };
    let changed = "not the pixels that were asked about";
    assert!(captions(&Images::default()).iter().all(|caption| !caption.contains(changed)));
    let later = captions(&Later(Images::default()));
    assert!(later.len() == 2 && later.iter().all(|caption| caption.contains(changed)), "{later:?}");
}

static RESAMPLER: Nearest = Nearest { calls: Mutex::new(Vec::new()), jpegs: Mutex::new(Vec::new()) };

pub(crate) fn from(images: &Images) -> PictureSource<'_> {
    PictureSource { dataset: None, loader: images, resampler: &RESAMPLER }
}

pub(crate) const ROOM: PageOptions<'_> =
    PageOptions { windows: &[], samples: 100, picture_bytes: 1 << 20, hide_names: false };

pub(crate) fn html(page: &Page) -> String {
    let mut html = Vec::new();
    page.write(&mut html).unwrap();
    String::from_utf8(html).unwrap()
}

fn json(page: &Page) -> (serde_json::Value, String) {
    let html = html(page);
    let block = |id: &str| {
        let text = html.split(&format!("id=\"{id}\">")).nth(1).unwrap().split("</script>").next().unwrap();
        text.to_owned()
    };
    (serde_json::from_str(&block("data")).unwrap(), block("images"))
}

fn kinds(item: &PageItem, picture: usize) -> Vec<(BoxKind, [f64; 4])> {
    item.pictures[picture].boxes.iter().map(|b| (b.kind, b.xyxy)).collect()
}

#[test]
fn a_page_has_verdicts_windows_and_facts_and_reads_each_picture_once() {
    let region = Box2::new(4.0, 6.0, 20.0, 16.0);
    let target = |at| Target::Boxes(vec![Labelled { picture: 0, label: "nodule".into(), at, reader: None }]);
    let samples = vec![
        sample("q0", media("volume"), words("yes")),
        sample("q1", media("volume"), target(Box2::new(5.0, 6.0, 20.0, 16.0))),
        sample("q2", media("flat.png"), words("no")),
        sample("q3", media("flat.png"), words("yes")),
    ];
    let (dir, _) = made("run", samples, |work| match work.sample.id.as_str() {
        "q1" => {
            let mut reply = Reply::from_text("[4, 6, 20, 16]");
            let found = Finding::region(0, region, work.ask.pictures[0].origin.clone());
            reply.findings.push(found.with(Some("nodule".into()), None));
            Answer::single(Ok(reply))
        }
        "q3" => Answer::single(Err(loupe_core::Failure::lasting("too large"))),
        _ => says("yes"),
    });
    let run = scored(&dir.path().join("run"));
    let images = Images::default();
    let windows = [WindowPreset { name: "lung".into(), centre: -600.0, width: 1500.0 }];
    let page = run::page(&run, from(&images), &PageOptions { windows: &windows, ..ROOM }).unwrap();
    // The volume is opened once more for the neighbours of its slice, of which there are none.
    let read = [("flat.png", 1), ("volume", 1), ("volumeIndex(5)", 1)].map(|(name, n)| (name.to_owned(), n));
    assert_eq!(images.reads(), read);

    let verdicts: Vec<&str> = page.items.iter().map(|i| i.verdict.as_str()).collect();
    assert_eq!(verdicts, ["correct", "correct", "wrong", "failed"]);
    assert_eq!(page.items[0].verdicts[0].profile, "strict");
    assert_eq!((page.items[3].reply.clone(), page.items[3].failure.as_deref()), (None, Some("too large")));
    assert_eq!(page.lead, "3 replies, 1 failed");
    assert_eq!(page.title, "script-1b on chests (test)");
    assert_eq!(
        kinds(&page.items[1], 0),
        [(BoxKind::Model, [4.0, 6.0, 20.0, 16.0]), (BoxKind::Reference, [5.0, 6.0, 20.0, 16.0])]
    );
    assert_eq!(page.items[0].pictures[0].caption, "volume · 40 × 30 · slice 5 · window -600/1500");
    let numbers = |n: usize| (page.items[n].pictures[0].image, page.items[n].pictures[0].values);
    assert_eq!([0, 1, 2].map(numbers), [(Some(0), Some(0)), (Some(0), Some(0)), (Some(1), None)]);

    let (data, uris) = json(&page);
    assert_eq!(data["windows"][0]["name"], "lung");
    let html = html(&page);
    assert!(
        html.contains("<h2>Figures by the profile “strict”</h2>")
            && html.contains("<dt>dataset fingerprint</dt>")
    );
    assert_eq!(
        page.items[0].prompt.as_deref(),
        Some("[picture 1] Is there a nodule?\nAnswer with yes or no only.")
    );
    assert_eq!(uris.matches("data:image/png").count(), 2);
    // The figures of the page are those of the terminal.
    let terminal = tables::summary(&run.summary);
    assert_eq!((&page.tables[0].columns, &page.tables[0].rows), (&terminal[0].columns, &terminal[0].rows));

    let hidden = PageOptions { hide_names: true, ..ROOM };
    let hidden = run::page(&run, from(&Images::default()), &hidden).unwrap();
    assert_eq!(hidden.items[0].pictures[0].caption, "q0 image 1 · 40 × 30 · slice 5 · window -600/1500");
    assert!(!json(&hidden).0.to_string().contains("flat"), "the name of a file");

    let few = run::page(&run, from(&Images::default()), &PageOptions { samples: 1, ..ROOM }).unwrap();
    assert_eq!((few.items.len(), few.items[0].id.as_str()), (1, "q2"), "the wrong one");
    let cut = "; the page shows 1 of 4 samples, those that are not right first";
    assert!(few.lead.ends_with(cut), "{}", few.lead);
}

#[test]
fn pictures_inside_a_dataset_are_shown_with_the_dataset() {
    let inside = MediaRef { source: MediaSource::Bytes(Arc::from(*b"inside")), ..media("row 0") };
    let samples = ["q0", "q1"].map(|id| sample(id, inside.clone(), words("yes"))).to_vec();
    let (dir, set) = made("run", samples, |_| says("yes"));
    let run = scored(&dir.path().join("run"));
    let images = Images::default();
    let without = run::page(&run, from(&images), &ROOM).unwrap();
    assert_eq!(without.items[0].pictures[0].image, None);
    assert!(without.items[0].pictures[0].caption.contains("--data"));
    let source = PictureSource { dataset: Some(&set), ..from(&images) };
    let with = run::page(&run, source, &ROOM).unwrap();
    assert!(with.items.iter().all(|i| i.pictures[0].image == Some(0)));
    assert_eq!(images.reads(), [("row 0".to_owned(), 1)]);
}

fn round(words: &str, pictures: Vec<usize>) -> Round {
    Round {
        purpose: "look".into(),
        model: "script-1b".into(),
        follows: None,
        turns: vec![Turn::text(Role::User, words)],
        pictures,
        limits: GenerationLimits::default(),
        reply: Some(Reply::from_text("I look.")),
        said: None,
        action: None,
        error: None,
    }
}

/// First a part of the slice that was given, then a part of another slice.
pub(crate) fn rethought(work: &Work) -> Answer {
    let given = &work.ask.pictures[0];
    let mut trace = Trace::new("loupe");
    let first = trace.enter(given);
    let part = trace.enter(&given.crop(Box2::new(10.0, 10.0, 20.0, 15.0)).unwrap());
    let other = MediaRef {
        view: loupe_core::View { slice: Some(SliceAt::Index(8)), ..Default::default() },
        ..media("volume")
    };
    let far = Images::default().load(&other).unwrap().crop(Box2::new(0.0, 0.0, 8.0, 6.0)).unwrap();
    let far = trace.enter(&far);
    let region = Region { picture: first, region: Box2::new(10.0, 10.0, 20.0, 15.0) };
    let action = Action {
        name: "zoom".into(),
        arguments: serde_json::json!({ "box": [10, 10, 20, 15] }),
        regions: vec![region],
        result: Some(part),
    };
    trace.rounds.push(Round { action: Some(action), ..round("Look.", vec![first]) });
    trace.rounds.push(round("Again.", vec![first, part]));
    trace.rounds.push(round("Answer.", vec![first, part, far]));
    trace.ended = Ended::Answered;
    Answer { outcome: Ok(Reply::from_text("yes")), record: Record::Rounds(Box::new(trace)) }
}

#[test]
fn rounds_show_where_the_model_went_and_what_it_was_shown() {
    let (dir, _) = made("run", vec![sample("q0", media("volume"), words("yes"))], rethought);
    let run = scored(&dir.path().join("run"));
    let images = Images::default();
    let page = run::page(&run, from(&images), &ROOM).unwrap();
    let [look, again, answer] = page.items[0].rounds.as_slice() else { panic!("three rounds") };
    assert_eq!((look.prompt.as_str(), look.reply.as_str()), ("Look.", "I look."));
    assert_eq!(look.action, "zoom {\"box\":[10,10,20,15]}");
    // The picture as it was shown, and the region that the model went to.
    assert_eq!(look.pictures.len(), 2);
    assert_eq!(
        (look.pictures[1].boxes[0].kind, look.pictures[1].caption.as_str()),
        (BoxKind::Region, "looked at")
    );
    assert_eq!(look.pictures[1].boxes[0].xyxy, [10.0, 10.0, 20.0, 15.0]);
    assert_eq!(again.pictures.len(), 1);
    assert_eq!(again.pictures[0].caption, "shown at 10 × 5 crop 10,10,20,15");
    assert_eq!(answer.pictures[0].caption, "shown at 8 × 6 crop 0,0,8,6");
    // The other slice was read again once; the given one was not.
    let read = ["volume", "volumeIndex(5)", "volumeIndex(8)"].map(|name| (name.to_owned(), 1));
    assert_eq!(images.reads(), read);
}

#[test]
fn masks_lie_over_the_slice_with_most_of_the_reference() {
    let mask = |w: usize, h: usize, rows: usize| {
        Rle::of(&Mask::new(w, h, (0..w * h).map(|n| n < rows * w).collect()).unwrap())
    };
    let answer = |name: &'static str| {
        move |_: &Work| {
            let at = |slice: usize| Origin { slice: Some(slice), ..Origin::of_size(40, 30) };
            let trace = MaskTrace {
                by: "segment".into(),
                prompts: vec!["box 0,0,40,2".into()],
                reference: vec![
                    Finding::mask(0, mask(40, 30, 2), at(3)),
                    Finding::mask(0, mask(40, 30, 9), at(7)),
                ],
                spacing_mm: None,
            };
            let mut reply = Reply::from_text(name);
            reply.findings =
                vec![Finding::mask(0, mask(40, 30, 2), at(3)), Finding::mask(0, mask(40, 30, 8), at(7))];
            Answer { outcome: Ok(reply), record: Record::Masks(Box::new(trace)) }
        }
    };
    // `large` is another patient's, of another size, as under a probe.
    for name in ["volume", "large"] {
        let target = Target::Masks(vec![Labelled {
            picture: 0,
            label: "lesion".into(),
            at: media("mask"),
            reader: None,
        }]);
        let (dir, _) = made("run", vec![sample("q0", media(name), target)], answer(name));
        let images = Images::default();
        let page = run::page(&scored(&dir.path().join("run")), from(&images), &ROOM).unwrap();
        let [drawn, plain] = page.items[0].pictures.as_slice() else { panic!("two pictures") };
        assert_ne!(plain.image, drawn.image);
        assert_eq!(drawn.caption, format!("{name} · slice 7 · masks · box 0,0,40,2"));
        let rows = |n: f64| vec![vec![[0.0, 0.0], [40.0, 0.0], [40.0, n], [0.0, n]]];
        let masks = drawn.masks.iter().filter(|m| m.slice == 7).map(|m| (m.kind, m.place.clone()));
        let expected = [(BoxKind::Reference, rows(9.0)), (BoxKind::Model, rows(8.0))]
            .map(|(k, o)| (k, MarkPlace::Outlines(o)));
        assert_eq!(masks.collect::<Vec<_>>(), expected);
        // Slice 3 is not among the neighbours that the page has.
        assert_eq!((drawn.masks.len(), drawn.volume.is_some()), (2, name == "volume"));
        assert_eq!(plain.volume, None, "the way through the volume is that of the masks");
    }
    let resized = RESAMPLER.calls.lock().unwrap();
    assert!(resized.iter().all(|(_, w, h, filter)| (*w, *h, filter.as_str()) == (40, 30, "bilinear")));
    assert_eq!(resized.len(), 1);
}

#[test]
fn two_runs_stand_side_by_side() {
    let samples = || {
        vec![
            sample("q0", media("volume"), words("yes")),
            sample("q1", media("volume"), words("no")),
            sample("q2", media("flat.png"), words("no")),
        ]
    };
    let (a, _) = made("first", samples(), |_| says("yes"));
    let (b, _) = made("second", samples(), |work| {
        let Answer { outcome, record } = rethought(work);
        let mut reply = outcome.unwrap();
        reply.text = "no".into();
        reply.findings.push(Finding::region(0, Box2::new(1.0, 2.0, 3.0, 4.0), Origin::of_size(40, 30)));
        Answer { outcome: Ok(reply), record }
    });
    let first = JudgedRun::open(&a.path().join("first"), &Strict).unwrap();
    let second = JudgedRun::open(&b.path().join("second"), &Strict).unwrap();
    let comparison = compare_judged(&first, &second).unwrap();
    let tables = tables::comparison_tables(&comparison);
    let others = [(&second, &comparison)];
    let pair = compare::RunSet { first: &first, others: &others, tables: &tables };
    let images = Images::default();
    let page = compare::page(pair, from(&images), &ROOM).unwrap();
    assert_eq!(page.title, "first and second on chests");
    assert_eq!(page.lead, "3 samples in both runs; verdicts by the profile “strict”");
    assert_eq!(page.tables, tables);
    let (data, _) = json(&page);
    assert_eq!(data["runs"], serde_json::json!(["first", "second"]));
    let right: Vec<&str> = page.items.iter().map(|i| i.right.as_deref().unwrap()).collect();
    assert_eq!(right, ["only first", "only second", "only second"]);
    assert_eq!(kinds(&page.items[0], 0), [(BoxKind::Second, [1.0, 2.0, 3.0, 4.0])]);
    assert_eq!(page.items[0].others[0].rounds.len(), 3);
    let volume = images.reads.lock().unwrap()["volume"];
    assert_eq!(volume, 1, "both runs and both questions read the slice once");

    let few = compare::page(pair, from(&Images::default()), &PageOptions { samples: 2, ..ROOM }).unwrap();
    let cut = "; the page shows 2 of 3 samples, those that are not right first";
    assert!(few.lead.ends_with(cut) && few.items.len() == 2, "{}", few.lead);
}

#[test]
fn several_runs_share_a_page() {
    let samples = (0..6).map(|n| sample(&format!("q{n}"), media("flat.png"), words("yes"))).collect();
    let (a, _) = made("run", samples, |_| says("yes"));
    let (b, _) = made("run", vec![sample("q0", media("volume"), words("yes"))], |_| says("no"));
    let runs = [a, b].map(|dir| (scored(&dir.path().join("run")), dir));
    let images = Images::default();
    let part = |name, n: usize| PagePart { name, run: &runs[n].0, pictures: from(&images), probes: &[] };
    let table = loupe_core::Table::new("what was found", &["figure"]);
    let options = PageOptions { samples: 3, ..ROOM };
    let page = run::page_of_parts("demo", vec![table], &[part("vqa", 0), part("look", 1)], &options).unwrap();
    let ids: Vec<&str> = page.items.iter().map(|i| i.id.as_str()).collect();
    assert_eq!(ids, ["vqa: q0", "vqa: q2", "vqa: q4", "look: q0"]);
    assert_eq!((page.items[3].tags["part"].as_str(), page.items[3].verdict.as_str()), ("look", "wrong"));
    assert_eq!(page.lead, "4 samples of 2 runs");
    assert_eq!(page.facts.len(), 2);
    assert_eq!(page.tables.len(), 1);
}
