//! The page of a run as a person at a keyboard sees it: masks, slices of a volume, narrow windows, and every control by `Tab` alone.

use crate::runs::{Images, ROOM, from, html, made, media, sample, scored, stacked, words};
use loupe_core::answer::Answer;
use loupe_core::mask::Rle;
use loupe_core::trace::MaskTrace;
use loupe_core::{Box2, Finding, Labelled, Mask, Origin, Record, Reply, SliceAt, Target, View, Window, Work};
use loupe_report::pages::run::{self, PageOptions};
use loupe_report::{Page, WindowPreset};
use loupe_testing::browser::Browser;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A question about slice 20 of a stack, and masks on slices 18 to 22 of it.
fn page() -> (TempDir, Page) {
    let mut asked = media("stack");
    asked.view = View { slice: Some(SliceAt::Index(20)), ..View::default() };
    let masks =
        Target::Masks(vec![Labelled { picture: 0, label: "liver".into(), at: media("mask"), reader: None }]);
    let boxes = Target::Boxes(vec![Labelled {
        picture: 0,
        label: "nodule".into(),
        at: Box2::new(5.0, 6.0, 20.0, 16.0),
        reader: None,
    }]);
    let samples = vec![
        sample("box", asked, boxes),
        sample("masks", media("stack"), masks),
        sample("flat", media("flat.png"), words("yes")),
    ];
    let (dir, _) = made("run", samples, |work: &Work| match work.sample.id.as_str() {
        "masks" => {
            let rows =
                |n: usize| Rle::of(&Mask::new(40, 30, (0..1200).map(|i| i < n * 40).collect()).unwrap());
            let at = |slice: usize| Origin { slice: Some(slice), ..Origin::of_size(40, 30) };
            let all = |more: usize| -> Vec<Finding> {
                let one = |s: usize| Finding::mask(0, rows(10 + more - s.abs_diff(20)), at(s));
                (18..=22).map(|s| one(s).with(Some("liver".into()), None)).collect()
            };
            let trace = MaskTrace {
                by: "segment".into(),
                prompts: vec!["box 0,0,40,10".into()],
                reference: all(0),
                spacing_mm: None,
            };
            let reply = Reply { findings: all(2), ..Reply::from_text("liver") };
            Answer { outcome: Ok(reply), record: Record::Masks(Box::new(trace)) }
        }
        "box" => {
            let mut reply = Reply::from_text("[4, 6, 20, 16]");
            let region = Box2::new(4.0, 6.0, 20.0, 16.0);
            reply.findings.push(Finding::region(0, region, work.ask.pictures[0].origin.clone()));
            Answer::single(Ok(reply))
        }
        _ => Answer::single(Ok(Reply::from_text("no"))),
    });
    let windows = [WindowPreset { name: "bone".into(), centre: 400.0, width: 1800.0 }];
    let images = Images::default();
    let options = PageOptions { windows: &windows, ..ROOM };
    let page = run::page(&scored(&dir.path().join("run")), from(&images), &options).unwrap();
    (dir, page)
}

fn opened(size: [u32; 2]) -> Option<(TempDir, Browser)> {
    let mut browser = Browser::start(size)?;
    let (dir, page) = page();
    let file = dir.path().join("page.html");
    page.save(&file).unwrap();
    browser.open(&file);
    Some((dir, browser))
}

/// Goes to the sample of this id.
fn visit(browser: &mut Browser, id: &str) {
    browser.eval(&format!("location.hash = '#{id}'"));
    browser.wait(&format!("document.getElementById('address')?.textContent === '#{id}'"));
    browser
        .wait("Array.from(document.querySelectorAll('#detail figure')).every((f) => f.querySelector('svg'))");
}

#[test]
fn masks_of_reply_and_reference_come_and_go() {
    let Some((_dir, mut browser)) = opened([1400, 900]) else { return };
    visit(&mut browser, "masks");
    // Ten rows of thirty on the slice with most of the reference, and two more by the model; a row is twice as high as a column is wide.
    let heights = "(() => { const f = Array.from(document.querySelectorAll('#detail figure')).find((f) => f.querySelector('[data-kind]')); \
        const whole = f.querySelector('img, canvas').getBoundingClientRect(); \
        return [whole.height / whole.width].concat(Array.from(f.querySelectorAll('[data-kind]')).map((g) => g.querySelector('.line').getBBox().height / whole.height * 30)); })()";
    let seen: Vec<f64> =
        browser.eval(heights).as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    assert!((seen[0] - 1.5).abs() < 0.01, "40 × 30 pixels of 0.5 × 1 mm: {seen:?}");
    assert!((seen[1] - 10.0).abs() < 0.05 && (seen[2] - 12.0).abs() < 0.05, "{seen:?}");
    let drawn = "Array.from(document.querySelectorAll('#detail .frame [data-kind]:not([display])')).map((g) => g.dataset.kind)";
    assert_eq!(browser.eval(drawn), json!(["reference", "model"]));
    browser.eval("document.querySelector('[data-toggle=model]').click()");
    assert_eq!(browser.eval(drawn), json!(["reference"]));
    browser.press("b");
    assert_eq!(browser.eval(drawn), json!([]));
    browser.press("b");
    assert_eq!(browser.eval(drawn), json!(["reference"]), "what was hidden stays hidden");
    browser.assert_quiet();
}

#[test]
fn slices_around_the_one_asked_about_are_scrolled_in_any_window() {
    let Some((_dir, mut browser)) = opened([1200, 900]) else { return };
    visit(&mut browser, "box");
    assert_eq!(browser.eval("document.querySelector('#detail .enlarge').textContent"), "Enlarge · slices");
    browser.press("e");
    let words = "document.querySelector('dialog .top-left').textContent";
    assert_eq!(browser.eval(words), "slice 20 · as asked");
    for _ in 0..30 {
        browser.press("ArrowUp");
    }
    assert_eq!(browser.eval(words), "slice 8", "twelve slices on either side");
    browser.press("o");
    assert_eq!(browser.eval(words), "slice 20 · as asked");
    browser.press("ArrowDown");
    assert_eq!(browser.eval(words), "slice 21");
    browser.press("w");
    assert_eq!(browser.eval("document.querySelector('dialog .top-right').textContent"), "C 400  W 1800");
    // The middle of a pixel of the slice on the screen has the grey level of its value, with the marks away.
    browser.press("h");
    let level = |browser: &mut Browser, [x, y]: [usize; 2]| -> Value {
        browser.eval(&format!(
            "(() => {{ const stage = document.querySelector('dialog .viewer-stage').getBoundingClientRect(), canvas = document.querySelector('dialog canvas'); \
             const zoom = Math.min(stage.width / 40, stage.height / 60), ratio = devicePixelRatio; \
             const at = [stage.width / 2 + ({x} + .5 - 20) * zoom, stage.height / 2 + ({y} + .5 - 15) * zoom * 2].map((v) => Math.floor(v * ratio)); \
             return canvas.getContext('2d').getImageData(at[0], at[1], 1, 1).data[0]; }})()"
        ))
    };
    let bone = Window::linear(400.0, 1800.0);
    for [x, y] in [[3, 4], [20, 11], [36, 25]] {
        let expected = bone.level(f64::from(stacked(21, y * 40 + x)));
        assert_eq!(level(&mut browser, [x, y]), expected, "pixel {x}, {y}");
    }
    browser.press("Escape");
    browser.wait("!document.querySelector('dialog')");
    visit(&mut browser, "flat");
    assert_eq!(browser.eval("document.querySelector('#detail .enlarge').textContent"), "Enlarge");
    browser.assert_quiet();
}

#[test]
fn reply_and_reference_stand_side_by_side_and_scroll_together() {
    let Some((_dir, mut browser)) = opened([1200, 900]) else { return };
    visit(&mut browser, "masks");
    browser.eval("Array.from(document.querySelectorAll('#detail .enlarge')).find((b) => b.textContent.includes('slices')).click()");
    browser.press("s");
    let words = "Array.from(document.querySelectorAll('dialog .top-left')).map((w) => w.textContent)";
    assert_eq!(browser.eval(words), json!(["slice 20 · as asked", "slice 20 · as asked"]));
    assert_eq!(
        browser.eval("Array.from(document.querySelectorAll('dialog h3')).map((h) => h.textContent)"),
        json!(["reference", "model"])
    );
    browser.press("ArrowDown");
    assert_eq!(browser.eval(words), json!(["slice 21", "slice 21"]));
    browser.press("s");
    assert_eq!(browser.eval(words), json!(["slice 20 · as asked"]));
    browser.assert_quiet();
}

/// Volumes take what room the pictures leave; what has none stays out, and the page says so.
#[test]
fn slices_keep_to_the_room_of_the_page() {
    let (dir, page) = page();
    let volumes = |html: &str| html.matches("id=\"volume-").count();
    let whole = html(&page);
    assert!(volumes(&whole) == 2 && !whole.contains("slices beside those"), "all have room");
    let run = scored(&dir.path().join("run"));
    let images = Images::default();
    let mut seen = Vec::new();
    for room in (1000..=12_000).step_by(500) {
        let page = run::page(&run, from(&images), &PageOptions { picture_bytes: room, ..ROOM }).unwrap();
        assert!(page.images.bytes() <= room, "{} bytes of {room}", page.images.bytes());
        let html = html(&page);
        let placed = volumes(&html);
        let said = html.contains(&format!("those asked about are there for {placed} of 2 volumes"));
        assert!(placed == 2 || said || page.images.left_out() > 0, "{room}: {placed}");
        seen.push(placed);
    }
    assert_eq!((seen.first(), seen.last()), (Some(&0), Some(&2)), "{seen:?}");
}

/// Nothing is wider than a narrow window: not the page, no sample, and not the enlarged picture.
#[test]
fn nothing_is_cut_at_500_pixels() {
    let Some((_dir, mut browser)) = opened([500, 900]) else { return };
    browser.eval("document.querySelectorAll('details').forEach((d) => { d.open = true; })");
    // What is wider than the window and is not inside something that scrolls.
    let wide = "Array.from(document.querySelectorAll('body *')).filter((e) => { const r = e.getBoundingClientRect(); \
        if (r.width === 0 || r.right <= innerWidth + 1) return false; \
        for (let p = e.parentElement; p; p = p.parentElement) if (/auto|scroll|hidden/.test(getComputedStyle(p).overflowX)) return false; \
        return true; }).map((e) => e.tagName + '.' + e.className)";
    for id in ["box", "masks", "flat"] {
        visit(&mut browser, id);
        assert_eq!(browser.eval(wide), json!([]), "{id}");
        assert_eq!(browser.eval("document.documentElement.scrollWidth"), 500, "{id}");
    }
    visit(&mut browser, "box");
    browser.press("e");
    browser.wait("document.querySelector('dialog .viewer-stage')");
    assert_eq!(browser.eval(wide), json!([]), "the enlarged picture");
    browser.assert_quiet();
}

/// `Tab` reaches every control, and the page shows where it is.
#[test]
fn every_control_is_reached_by_the_keyboard() {
    let Some((_dir, mut browser)) = opened([1400, 900]) else { return };
    visit(&mut browser, "box");
    let controls = "Array.from(document.querySelectorAll('a[href], button, select, input, summary, canvas, [role=listbox]')).filter((e) => e.getClientRects().length)";
    browser.eval("window.reached = new Set(); window.dark = 0; document.activeElement.blur()");
    let n = browser.eval(&format!("{controls}.length")).as_u64().unwrap();
    assert!(n > 20, "{n} controls");
    for _ in 0..3 * n {
        browser.press("Tab");
        browser.eval("{ const e = document.activeElement; reached.add(e); if (e !== document.body && getComputedStyle(e).outlineStyle === 'none') dark++; }");
    }
    let left = browser
        .eval(&format!("{controls}.filter((e) => !reached.has(e)).map((e) => e.outerHTML.slice(0, 120))"));
    assert_eq!(left, json!([]));
    assert_eq!(browser.eval("dark"), 0, "a control that has the focus and does not show it");
    browser.assert_quiet();
}
