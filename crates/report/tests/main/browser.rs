//! The page in headless Chromium: windows, filters, keys and two runs, without a single request.
//!
//! Runs where a Chromium is found (`LOUPE_CHROMIUM`, or `chromium`, `chromium-browser`,
//! `google-chrome` on the path) and says so when it is not.

use loupe_core::{Intensities, Picture, Window};
use loupe_report::pages::document::{
    BoxKind, ItemPicture, ItemVerdict, OtherRun, Page, PageBox, PageItem, WindowPreset,
};
use loupe_report::pages::kit::series::SideLetters;
use loupe_testing::browser::chromium;
use serde_json::Value;
use std::process::Command;

/// A slice of −1000 to 2000 HU in a soft-tissue window.
fn slice() -> (Picture, Intensities) {
    let (width, height) = (24, 16);
    let values: Vec<f32> =
        (0..width * height).map(|i| (i * 3000 / (width * height)) as f32 - 1000.0).collect();
    let window = Window::linear(40.0, 400.0);
    let pixels: Vec<u8> = values.iter().map(|v| window.level(f64::from(*v))).collect();
    let mut picture = Picture::new(width, height, 1, pixels).unwrap();
    picture.origin.window = Some(window);
    (picture, Intensities { width, height, values, inverted: false, hounsfield: true })
}

fn verdict(word: &str, rule: &str) -> ItemVerdict {
    ItemVerdict {
        profile: "strict".into(),
        verdict: word.into(),
        value: Some(0.5),
        rule: rule.into(),
        span: Some("the span".into()),
    }
}

fn preset(name: &str, centre: f64, width: f64) -> WindowPreset {
    WindowPreset { name: name.into(), centre, width }
}

fn page() -> Page {
    let mut page = Page {
        title: "Two runs".into(),
        runs: vec!["first run".into(), "second run".into()],
        windows: vec![preset("lung", -600.0, 1500.0), preset("soft-tissue", 50.0, 400.0)],
        ..Page::default()
    };
    let (picture, intensities) = slice();
    let image = page.images.add(&picture, None).unwrap();
    let values = page.images.add_values(&picture, &intensities);
    assert_eq!(values, Some(0));
    for n in 0..40 {
        let (a, b) = [("correct", "wrong"), ("wrong", "correct"), ("unparsed", "wrong")][n % 3];
        let rule = if a == "unparsed" { "refusal" } else { "word" };
        page.items.push(PageItem {
            id: format!("sample {n}"),
            question: format!("Question {n}? <img src=x onerror=\"window.broken=1\">"),
            gold: "yes".into(),
            reply: Some(format!("</script><b>reply {n}</b>")),
            verdict: a.into(),
            verdicts: vec![verdict(a, rule)],
            tags: [("organ".to_owned(), ["CHEST", "HEAD"][n % 2].to_owned())].into(),
            pictures: vec![ItemPicture {
                image: Some(image),
                values,
                caption: "slice 7".into(),
                spacing: Some([0.5, 0.5]),
                letters: SideLetters {
                    left: Some("R".into()),
                    right: Some("L".into()),
                    ..SideLetters::default()
                },
                boxes: vec![
                    PageBox { xyxy: [1.0, 2.0, 9.0, 8.0], label: "a".into(), kind: BoxKind::Model },
                    PageBox { xyxy: [2.0, 2.0, 9.0, 9.0], label: "b".into(), kind: BoxKind::Second },
                ],
                ..ItemPicture::default()
            }],
            others: vec![OtherRun {
                name: "second run".into(),
                reply: Some(format!("other reply {n}")),
                verdict: b.into(),
                verdicts: vec![verdict(b, "opening")],
                ..OtherRun::default()
            }],
            right: Some(["only first run", "only second run", "none right"][n % 3].into()),
            ..PageItem::default()
        });
    }
    page
}

/// Runs steps of a reader; what they see goes into the document.
const READER: &str = r####"
(async () => {
  const seen = {};
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  const until = async (f) => { for (let n = 0; n < 200 && !f(); n++) await wait(10); return f(); };
  const press = (key, on = document) => on.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const count = () => document.getElementById("count").textContent;
  const choose = (key, value) => {
    const select = document.querySelector(`select[data-key="${key}"]`);
    select.value = value;
    select.dispatchEvent(new Event("change"));
  };
  const order = (name) => {
    const select = document.getElementById("sort");
    select.value = Array.from(select.options).find((o) => o.textContent === name).value;
    select.dispatchEvent(new Event("change"));
  };
  const levels = () => {
    const canvas = document.querySelector("#detail canvas");
    return Array.from(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.filter((_, i) => i % 4 === 0));
  };
  try {
{{script}}
  } catch (error) { seen.error = String(error); }
  document.body.replaceChildren();
  document.title = "seen";
  const bytes = new TextEncoder().encode(JSON.stringify(seen));
  document.body.textContent = "SEEN" + Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("") + "END";
})();
"####;

/// What a reader does, and what is then to be seen.
const STEPS: &str = r####"
    order("as in the set");
    await until(() => document.querySelector("#detail canvas[data-ready]"));
    seen.given = levels();
    const windows = document.querySelector(".window select");
    windows.value = Array.from(windows.options).find((o) => o.textContent === "lung").value;
    windows.dispatchEvent(new Event("change"));
    seen.lung = levels();
    press("w", document.querySelector("#detail canvas"));
    seen.windowText = document.querySelector(".window .note").textContent;
    const drawn = () => document.querySelectorAll("#detail .frame [data-kind]:not([display])").length;
    seen.boxes = drawn();
    press("b");
    seen.boxesOff = drawn();
    seen.windowKept = document.querySelector(".window .note").textContent;
    press("j"); press("j");
    seen.third = document.getElementById("reply").textContent;
    seen.thirdSecond = document.getElementById("second").textContent;
    seen.runs = Array.from(document.querySelectorAll("#detail h3")).map((h) => h.textContent);
    seen.rules = Array.from(document.querySelectorAll("#detail td")).map((t) => t.textContent);
    press("End");
    seen.last = document.getElementById("reply").textContent;
    seen.all = count();
    choose("verdict", "unparsed"); seen.unparsed = count(); choose("verdict", "");
    choose("right", "only second run"); seen.right = count(); choose("right", "");
    choose("rule", "refusal"); seen.rule = count(); choose("rule", "");
    choose("organ", "HEAD"); seen.organ = count(); choose("organ", "");
    const search = document.querySelector("#filters input");
    press("/"); seen.searching = document.activeElement === search;
    search.value = "other reply 17"; search.dispatchEvent(new Event("input")); seen.search = count();
    search.value = ""; search.dispatchEvent(new Event("input"));
    document.querySelector("#detail .enlarge").click();
    const viewer = await until(() => document.querySelector("dialog[open] .viewer-stage"));
    seen.enlarged = document.querySelector("dialog .top-right").textContent;
    press("w", viewer);
    seen.enlargedLung = document.querySelector("dialog .top-right").textContent;
    seen.letters = Array.from(document.querySelectorAll("dialog .left, dialog .right")).map((e) => e.textContent);
    press("b"); seen.behind = document.getElementById("marks").getAttribute("aria-pressed");
    Array.from(document.querySelectorAll("dialog button")).find((b) => b.textContent === "Close").click();
    seen.closed = !document.querySelector("dialog");
    seen.requests = performance.getEntriesByType("resource").map((e) => e.name).filter((n) => !n.startsWith("data:"));
    seen.broken = window.broken ?? null;
"####;

/// What a script sees on a page, as it says at its end; nothing without a browser.
fn seen(page: &Page, script: &str) -> Option<Value> {
    let chromium = chromium()?;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("page.html");
    let mut html = Vec::new();
    page.write(&mut html).unwrap();
    let html = String::from_utf8(html).unwrap();
    let (before, after) = html.rsplit_once("</body>").unwrap();
    let script = READER.replace("{{script}}", script);
    std::fs::write(&file, format!("{before}<script>{script}</script></body>{after}")).unwrap();
    let out = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=60000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", dir.path().join("profile").display()))
        .arg(format!("file://{}", file.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&out.stdout);
    let packed = dom.split("SEEN").nth(1).and_then(|rest| rest.split("END").next());
    let packed = packed.unwrap_or_else(|| panic!("{}\n{dom:.3000}", String::from_utf8_lossy(&out.stderr)));
    let seen: Value = serde_json::from_slice(&decoded(packed)).unwrap();
    assert_eq!(seen["error"], Value::Null, "{seen}");
    Some(seen)
}

/// Boxes are in pixels of the picture itself, whatever is left of it on a full page.
#[test]
fn a_smaller_picture_keeps_its_boxes() {
    let mut state = 3u32;
    let noise = (0..900 * 600).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    let picture = Picture::new(900, 600, 1, noise.collect::<Vec<u8>>()).unwrap();
    let images = loupe_report::ImageStore::of_size(Some(200_000));
    let mut page = Page { title: "Small".into(), images, ..Page::default() };
    let image = page.images.add(&picture, None).unwrap();
    let boxes = vec![PageBox { xyxy: [450.0, 300.0, 900.0, 600.0], label: "a".into(), kind: BoxKind::Model }];
    let pictures =
        vec![ItemPicture { image: Some(image), caption: "noise".into(), boxes, ..ItemPicture::default() }];
    page.items.push(PageItem { id: "1".into(), verdict: "correct".into(), pictures, ..PageItem::default() });
    let script = r##"
        const rect = await until(() => document.querySelector("#detail [data-kind] rect.line"));
        const [img, box] = [document.querySelector("#detail img"), rect.getBoundingClientRect()];
        const whole = img.getBoundingClientRect();
        seen.natural = img.naturalWidth;
        seen.box = [box.left - whole.left, box.top - whole.top, box.width, box.height].map((v, i) => v / (i % 2 ? whole.height : whole.width));
        seen.caption = document.querySelector("#detail figcaption").textContent;
        seen.head = document.getElementById("head").textContent;
    "##;
    let Some(seen) = seen(&page, script) else { return };
    assert!(seen["natural"].as_u64().unwrap() < 900, "{seen}");
    let place: Vec<f64> = seen["box"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    assert!(place.iter().all(|v| (v - 0.5).abs() < 0.02), "the lower right quarter: {place:?}");
    assert_eq!(seen["caption"], "noise · re-compressed");
    assert!(seen["head"].as_str().unwrap().contains("Of 1 pictures 1 are shown smaller"));
}

#[test]
fn a_reader_windows_filters_and_moves_by_keys() {
    let Some(seen) = seen(&page(), STEPS) else { return };
    let (picture, intensities) = slice();
    let levels = |key: &str| -> Vec<u8> {
        seen[key].as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u8).collect()
    };
    assert_eq!(levels("given"), picture.pixels(), "as the model saw it");
    let lung = Window::linear(-600.0, 1500.0);
    let expected: Vec<u8> = intensities.values.iter().map(|v| lung.level(f64::from(*v))).collect();
    assert_eq!(levels("lung"), expected, "another window is computed from the values");
    assert_eq!(seen["windowText"], "centre 50  width 400", "the windows are those that the page was given");
    assert_eq!(seen["windowKept"], seen["windowText"], "marks come and go, the window stays");

    assert_eq!((&seen["boxes"], &seen["boxesOff"]), (&2.into(), &0.into()));
    assert_eq!(
        (&seen["third"], &seen["last"]),
        (&"</script><b>reply 2</b>".into(), &"</script><b>reply 39</b>".into())
    );
    assert_eq!(seen["thirdSecond"], "other reply 2");
    let words =
        |key: &str| seen[key].as_array().unwrap().iter().filter_map(Value::as_str).collect::<Vec<_>>();
    assert!(words("runs").contains(&"first run") && words("runs").contains(&"second run"));
    assert!(["refusal", "opening", "the span"].iter().all(|w| words("rules").contains(w)), "{seen}");
    for (key, expected) in [
        ("all", "40 of 40 samples"),
        ("unparsed", "13 of 40 samples"),
        ("right", "13 of 40 samples"),
        ("rule", "13 of 40 samples"),
        ("organ", "20 of 40 samples"),
        ("search", "1 of 40 samples"),
    ] {
        assert_eq!(seen[key], expected, "{key}");
    }
    assert_eq!(seen["searching"], true);
    assert_eq!((&seen["enlarged"], &seen["enlargedLung"]), (&"C 40  W 400".into(), &"C -600  W 1500".into()));
    assert_eq!(seen["letters"], serde_json::json!(["R", "L"]));
    assert_eq!(
        (&seen["behind"], &seen["closed"]),
        (&"false".into(), &true.into()),
        "keys stay in the dialog"
    );
    assert_eq!(seen["requests"], Value::Array(Vec::new()), "the page asked for something");
    assert_eq!(seen["broken"], Value::Null, "a question became markup");
}

fn decoded(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

/// Sorting, one spelling of a value, addresses, and the list as a file.
#[test]
fn the_list_is_sorted_addressed_and_saved() {
    let mut page = Page { title: "Finding one's way".into(), ..Page::default() };
    let verdicts = ["correct", "wrong", "unparsed", "failed", "unscored"];
    for n in 0..30usize {
        page.items.push(PageItem {
            id: if n == 21 { "20".into() } else { format!("{n}") },
            question: format!("Question {n}?"),
            reply: (n % 5 != 3).then(|| if n == 1 { "=1+1, \"so\"".into() } else { "word ".repeat(n) }),
            failure: (n % 5 == 3).then(|| "too large".into()),
            verdict: verdicts[n % 5].into(),
            figure: (n % 5 == 4).then(|| "Dice 0.50".into()),
            numbers: (n % 5 != 3)
                .then(|| ("Dice".to_owned(), ((n * 7) % 30) as f64 / 30.0))
                .into_iter()
                .collect(),
            tags: [(
                "organ".to_owned(),
                ["ABDOMEN", "Abdomen", "abdomen", "left lung", "Left-Lung"][n % 5].to_owned(),
            )]
            .into(),
            ..PageItem::default()
        });
    }
    let script = r##"
        const first = () => document.querySelector("#detail h2").textContent;
        const rows = () => Array.from(document.querySelectorAll("#list .row")).map((r) => r.textContent);
        seen.first = first();
        seen.options = Array.from(document.querySelectorAll('select[data-key="organ"] option')).map((o) => o.textContent);
        choose("organ", "ABDOMEN"); seen.merged = count(); choose("organ", "");
        order("Dice, lowest first"); seen.lowest = first();
        order("Dice, highest first"); seen.highest = first();
        order("length of the reply, highest first"); seen.longest = first();
        order("wrong and unparsed first");
        seen.figure = rows().length > 0;
        press("j"); seen.moved = location.hash;
        choose("verdict", "correct");
        location.hash = "#20%20(2)";
        await until(() => first().includes("21"));
        seen.visited = [first(), count(), document.getElementById("address").textContent];
        let file;
        // What is to be saved is looked at; a browser without a window has nowhere to save it.
        HTMLAnchorElement.prototype.click = () => {};
        const made = URL.createObjectURL.bind(URL);
        URL.createObjectURL = (blob) => { file = blob; return made(blob); };
        choose("verdict", "wrong");
        document.querySelector('[data-save="csv"]').click(); seen.csv = await file.text();
        document.querySelector('[data-save="json"]').click(); seen.json = JSON.parse(await file.text());
        choose("verdict", "failed"); seen.failed = document.getElementById("reply").textContent;
        seen.selected = document.querySelectorAll('#list [aria-selected="true"]').length;
        seen.active = document.getElementById(document.getElementById("list").getAttribute("aria-activedescendant")) !== null;
    "##;
    let Some(seen) = seen(&page, script) else { return };
    assert_eq!(seen["first"], "wrongQuestion 1?");
    assert_eq!(seen["options"], serde_json::json!(["organ: all", "ABDOMEN (18)", "left lung (12)"]));
    assert_eq!(seen["merged"], "18 of 30 samples");
    assert_eq!(
        (&seen["lowest"], &seen["highest"]),
        (&"correctQuestion 0?".into(), &"unparsedQuestion 17?".into())
    );
    assert_eq!(seen["longest"], "Dice 0.50Question 29?");
    assert_eq!(seen["moved"], "#6");
    assert_eq!(
        seen["visited"],
        serde_json::json!(["wrongQuestion 21?", "30 of 30 samples", "#20 (2)"]),
        "{seen}"
    );
    let csv = seen["csv"].as_str().unwrap();
    assert_eq!(csv.lines().count(), 7, "{csv}");
    assert!(
        csv.starts_with("id,verdict,question,reference,reply,failure,number: Dice,tag: organ\r\n"),
        "{csv}"
    );
    assert!(csv.contains("1,wrong,Question 1?,,\"'=1+1, \"\"so\"\"\",,"), "{csv}");
    assert_eq!(
        (&seen["json"][0]["id"], &seen["json"][0]["number: Dice"]),
        (&"1".into(), &(7.0 / 30.0).into())
    );
    assert_eq!(seen["failed"], "no reply: too large");
    assert_eq!((&seen["selected"], &seen["active"]), (&1.into(), &true.into()));
}

/// A page of many samples shows its list and its first sample without waiting for the rest.
#[test]
fn five_thousand_samples_open_at_once() {
    let mut page = Page { title: "Many".into(), ..Page::default() };
    for n in 0..5000 {
        page.items.push(PageItem {
            id: format!("{n}"),
            question: format!("Question {n}? {}", "and more ".repeat(10)),
            reply: Some("a reply ".repeat(30)),
            verdict: if n == 4711 { "wrong" } else { "correct" }.into(),
            ..PageItem::default()
        });
    }
    let script = r##"
        seen.rows = document.querySelectorAll("#list .row").length;
        seen.first = document.querySelector("#detail h2").textContent;
        seen.count = count();
        press("End");
        seen.last = document.querySelector("#list [aria-selected='true']").textContent.includes("Question 4999?");
    "##;
    let Some(seen) = seen(&page, script) else { return };
    assert!(seen["first"].as_str().unwrap().starts_with("wrongQuestion 4711?"), "{seen}");
    assert!((1..100).contains(&seen["rows"].as_u64().unwrap()), "only what is seen is there: {seen}");
    assert_eq!((&seen["count"], &seen["last"]), (&"5000 of 5000 samples".into(), &true.into()));
}

/// Tags called like what every object has, or like the page's own filters, are tags like others.
#[test]
fn tags_may_be_called_like_anything() {
    let names = ["__proto__", "constructor", "toString", "hasOwnProperty", "verdict", "rule", "right"];
    let mut page = Page { title: "Tags".into(), ..Page::default() };
    for n in 0..6 {
        page.items.push(PageItem {
            id: format!("{n}"),
            question: format!("Question {n}?"),
            verdict: ["correct", "wrong"][n % 2].into(),
            tags: names
                .map(|name| (name.to_owned(), ["left", "right"][usize::from(n < 2)].to_owned()))
                .into(),
            ..PageItem::default()
        });
    }
    let script = r##"
        await until(() => document.querySelector("#filters select"));
        seen.all = count();
        const selects = Array.from(document.querySelectorAll("#filters select[data-key]"));
        seen.keys = selects.map((s) => s.dataset.key);
        seen.counts = selects.map((s) => {
          s.value = s.options[s.options.length - 1].value;
          s.dispatchEvent(new Event("change"));
          const shown = count();
          s.value = "";
          s.dispatchEvent(new Event("change"));
          return shown;
        });
    "##;
    let Some(seen) = seen(&page, script) else { return };
    assert_eq!(seen["all"], "6 of 6 samples");
    let mut keys: Vec<&str> = seen["keys"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let counts = seen["counts"].as_array().unwrap();
    // The page's own filter for the verdict, and one for each tag.
    assert_eq!((keys.remove(0), &counts[0]), ("verdict", &"3 of 6 samples".into()));
    keys.sort_unstable();
    let mut wanted = names;
    wanted.sort_unstable();
    assert_eq!(keys, wanted);
    assert!(counts.iter().skip(1).all(|c| c == "2 of 6 samples"), "{counts:?}");
}

/// Where there are figures alone, what failed comes first, and then the lowest figure.
#[test]
fn the_worst_mask_comes_first() {
    let mut page = Page { title: "Masks".into(), ..Page::default() };
    for (n, dice) in [Some(0.9), Some(0.2), None].into_iter().enumerate() {
        page.items.push(PageItem {
            id: n.to_string(),
            question: format!("Mask {n}"),
            failure: dice.is_none().then(|| "too large".into()),
            verdict: if dice.is_some() { "unscored" } else { "failed" }.into(),
            figure: dice.map(|dice: f64| format!("Dice {dice:.2}")),
            numbers: dice.map(|dice| ("Dice".to_owned(), dice)).into_iter().collect(),
            ..PageItem::default()
        });
    }
    let script = r##"
        seen.rows = Array.from(document.querySelectorAll("#list .row .q")).map((r) => r.textContent);
        seen.sort = document.getElementById("sort").selectedOptions[0].textContent;
    "##;
    let Some(seen) = seen(&page, script) else { return };
    assert_eq!(seen["rows"], serde_json::json!(["failedMask 2", "Dice 0.20Mask 1", "Dice 0.90Mask 0"]));
    assert_eq!(seen["sort"], "lowest Dice first");
}

/// Words stand beside small findings, and not on them or on each other.
#[test]
fn words_cover_no_small_finding() {
    let mut page = Page { title: "Small findings".into(), ..Page::default() };
    let picture = Picture::new(336, 336, 1, vec![40; 336 * 336]).unwrap();
    let image = page.images.add(&picture, None).unwrap();
    let placed = |xyxy, kind| PageBox { xyxy, label: "fracture".into(), kind };
    let boxes = vec![
        placed([60.0, 174.0, 75.0, 183.0], BoxKind::Model),
        placed([58.0, 167.0, 71.0, 179.0], BoxKind::Reference),
        placed([320.0, 2.0, 334.0, 14.0], BoxKind::Model),
    ];
    let pictures = vec![ItemPicture { image: Some(image), boxes, ..ItemPicture::default() }];
    page.items.push(PageItem { id: "1".into(), verdict: "wrong".into(), pictures, ..PageItem::default() });
    let script = r##"
        await until(() => document.querySelectorAll("#detail svg text").length === 3);
        const around = (e) => { const r = e.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; };
        const words = Array.from(document.querySelectorAll("#detail .frame text")).map(around);
        const boxes = Array.from(document.querySelectorAll("#detail .frame rect.line")).map(around);
        const meet = (a, b) => Math.min(a[2], b[2]) - Math.max(a[0], b[0]) > 1 && Math.min(a[3], b[3]) - Math.max(a[1], b[1]) > 1;
        seen.covered = words.flatMap((w, n) => boxes.filter((b) => meet(w, b)).map(() => n));
        seen.overlaps = words.filter((w, n) => words.some((v, m) => m !== n && meet(w, v))).length;
        const frame = around(document.querySelector("#detail .frame"));
        seen.outside = words.filter((w) => w[0] < frame[0] - 1 || w[2] > frame[2] + 1 || w[1] < frame[1] - 1 || w[3] > frame[3] + 1).length;
    "##;
    let Some(seen) = seen(&page, script) else { return };
    assert_eq!(seen["covered"], serde_json::json!([]), "{seen}");
    assert_eq!((&seen["overlaps"], &seen["outside"]), (&0.into(), &0.into()), "{seen}");
}
