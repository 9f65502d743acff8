//! Marks on every series that a case shows, set through the keyboard.

use crate::cases::{DETECTION, cases, design, presets, series};
use crate::reading::{saved, saved_file};
use loupe_study::collect::collect;
use loupe_study::design::Design;
use loupe_study::reading::{CaseMaterial, LesionPlace, TraceStep, build};
use loupe_study::{Merit, Options, analyse, input};
use loupe_testing::Browser;
use serde_json::{Value, json};

const LESION: [f64; 4] = [25.0, 7.0, 35.0, 17.0];

/// Two views and an earlier study; the lesion of every other case is seen on the second view and, as it was, on the earlier study.
fn views(design: &Design, n: usize) -> Vec<CaseMaterial> {
    let mut all = cases(design, n);
    for (number, case) in all.iter_mut().enumerate() {
        let seen = case.truth == Some(true);
        let one = |title: &str, seen| (title.to_owned(), series(number, seen, 3));
        case.series = vec![one("Image 1", false), one("Image 2", seen), one("Earlier study", seen)];
        case.prior = Some(2);
        let place = |series, name: &str| LesionPlace {
            name: name.into(),
            weight: None,
            series,
            slices: [1, 1],
            xyxy: LESION,
        };
        case.lesions = if seen { vec![place(1, "1"), place(0, "1"), place(0, "2")] } else { Vec::new() };
    }
    all
}

/// Number of the viewer that has the focus.
fn focused(browser: &mut Browser) -> Value {
    browser.eval(
        "[...document.querySelectorAll('.stage-host')].findIndex((h) => h.contains(document.activeElement))",
    )
}

/// Which viewers show something in a colour of marks, as `[r, g, b]`.
fn coloured(browser: &mut Browser, colour: &str) -> Value {
    browser.eval(&format!(
        "[...document.querySelectorAll('.viewer-stage canvas')].map((c) => {{ \
         const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data, [r, g, b] = {colour}; \
         for (let i = 0; i < d.length; i += 4) if (d[i] === r && d[i + 1] === g && d[i + 2] === b) return true; \
         return false; }})"
    ))
}

/// Moves the crosshair of the viewer from one place to another; a key is ten pixels of the screen.
fn aim(browser: &mut Browser, viewer: usize, from: [f64; 2], to: [f64; 2]) {
    let shown = browser.eval(&format!(
        "(() => {{ const b = document.querySelectorAll('.viewer-stage')[{viewer}].getBoundingClientRect(); return Math.min(b.width / 48, b.height / 50); }})()"
    ));
    for (axis, [less, more]) in [(0, ["ArrowLeft", "ArrowRight"]), (1, ["ArrowUp", "ArrowDown"])] {
        let steps = ((to[axis] - from[axis]) * shown.as_f64().unwrap() / 10.0).round();
        for _ in 0..steps.abs() as usize {
            browser.press(if steps < 0.0 { less } else { more });
        }
    }
}

/// Goes on to the next image, draws a box there and says how sure.
fn mark(browser: &mut Browser, viewer: usize, [x0, y0, x1, y1]: [f64; 4], sure: &str) {
    for _ in 0..3 {
        if focused(browser) == json!(viewer) {
            break;
        }
        browser.press("s");
    }
    browser.press("b");
    aim(browser, viewer, [24.0, 20.0], [x0, y0]);
    browser.press("Enter");
    aim(browser, viewer, [x0, y0], [x1, y1]);
    browser.press("Enter");
    browser.type_words(sure);
    browser.press("Enter");
}

/// What readers draw, and where a model looked.
const READER: &str = "[47, 214, 165]";
const REGION: &str = "[240, 228, 66]";

#[test]
fn marks_are_set_on_every_series_of_a_case() {
    let dir = tempfile::tempdir().unwrap();
    let text = DETECTION.replace("'detection'", "'localisation'").replace("repeats = 0.1", "repeats = 0");
    let design = design(&text);
    let built = build(&design, &views(&design, 4), &presets(), dir.path()).unwrap();
    let key = built.key;
    let own = &key.pages[0];
    let Some(mut browser) = Browser::start([1400, 900]) else { return };
    browser.open(&built.pages[0].0);
    browser.wait("document.querySelector('.message button.main')");
    browser.press("Enter");
    for (n, step) in own.steps.iter().enumerate() {
        if n > 0 && own.steps[n - 1].session != step.session {
            browser.wait("document.querySelector('.message h1')?.textContent.startsWith('Session')");
            browser.eval("[...document.querySelectorAll('.message button')].find((b) => b.textContent.startsWith('The coordinator')).click()");
        }
        browser.wait(&format!(
            "document.querySelector('.panel h2')?.textContent === 'Case {} of {}'",
            n + 1,
            own.steps.len()
        ));
        // What the reader draws is seen on its own series alone.
        mark(&mut browser, 1, LESION, "80");
        assert_eq!(coloured(&mut browser, READER), json!([false, true, false]));
        mark(&mut browser, 0, [5.0, 25.0, 12.0, 32.0], "20");
        mark(&mut browser, 2, LESION, "60");
        assert_eq!(coloured(&mut browser, READER), json!([true, true, true]));
        let said = browser.eval(
            "[...document.querySelectorAll('.marks li button.plain:first-child')].map((b) => b.textContent)",
        );
        assert_eq!(
            said,
            json!(["Box · Image 2 · slice 2", "Box · Image 1 · slice 2", "Box · Earlier study · slice 2"])
        );
        browser.press("q");
        browser.type_words("70");
        browser.press("Enter");
    }
    browser.wait("document.querySelector('.message h1')?.textContent === 'All cases are read'");
    let file = saved_file(&mut browser);
    browser.assert_quiet();
    let out = dir.path().join("readings");
    let collected = collect(&key, &[saved(dir.path(), "answers.json", &file)], false, &out).unwrap();
    assert_eq!((collected.refused.len(), collected.readings), (0, 8));
    let aside = "8 marks lie on earlier studies and on no lesion there";
    assert!(collected.notes.iter().any(|n| n.starts_with(aside)), "{:?}", collected.notes);
    let csv = std::fs::read_to_string(out.join("readings.csv")).unwrap();
    for row in csv.lines().skip(1) {
        let seen = row.contains(",1,");
        assert_eq!(row.contains(",1;2,") && row.contains(",80@1;20,"), seen, "{row}");
        assert_eq!(row.contains(",80;20,"), !seen, "{row}");
    }
    let answers = std::fs::read_to_string(out.join("answers.jsonl")).unwrap();
    let marks =
        answers.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()).find(|a| a["question"] == "marks");
    let series: Vec<Value> =
        marks.unwrap()["answer"].as_array().unwrap().iter().map(|m| m["series"].clone()).collect();
    assert_eq!(series, [json!(1), Value::Null, json!(2)]);
    // One of two lesions is found in each case that has them, as surely as what is marked where there is none.
    let analysis = analyse(&input::read(&out.join("readings.csv")).unwrap(), &Options::default()).unwrap();
    let wafroc = analysis.merits.iter().find(|m| m.merit == Merit::Wafroc).unwrap();
    assert!(wafroc.each.iter().all(|e| e.value == 0.25), "{:?}", wafroc.each);
}

#[test]
fn a_step_of_a_trace_is_shown_on_the_series_that_it_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let text = DETECTION
        .replace("['marks', 'text']", "['trace']")
        .replace("name = 'unaided'", "name = 'unaided'\nrun = 'run-7f'\nshow = ['trace']");
    let design = design(&text);
    let mut all = views(&design, 4);
    let step = |series| TraceStep {
        said: "Look.".into(),
        did: "zoom".into(),
        series,
        slice: Some(2),
        region: Some([4.0, 4.0, 20.0, 16.0]),
    };
    for output in all.iter_mut().flat_map(|c| &mut c.outputs) {
        (output.marks, output.text, output.trace) = (Vec::new(), None, vec![step(1), step(0)]);
    }
    let built = build(&design, &all, &presets(), dir.path()).unwrap();
    let Some(mut browser) = Browser::start([1400, 900]) else { return };
    browser.open(&built.pages[0].0);
    browser.wait("document.querySelector('.message button.main')");
    browser.press("Enter");
    browser.wait("document.querySelector('.trace')");
    for want in [json!([false, true, false]), json!([true, false, false])] {
        browser.press("]");
        assert_eq!(coloured(&mut browser, REGION), want);
    }
    browser.assert_quiet();
}
