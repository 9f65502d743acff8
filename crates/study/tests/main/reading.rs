//! Pages are built from a design and its cases, read in a browser through the keyboard, collected and analysed.

use crate::cases::{DETECTION, cases, design, presets};
use loupe_study::allocation::{CaseEntry, Step, Task, allocate};
use loupe_study::collect::collect;
use loupe_study::design::Design;
use loupe_study::reading::{BuiltStudy, HiddenText, Key, build};
use loupe_study::{Options, analyse, input};
use loupe_testing::{Browser, answers};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

pub(crate) fn built(text: &str, n: usize, dir: &Path) -> BuiltStudy {
    let design = design(text);
    build(&design, &cases(&design, n), &presets(), dir).unwrap()
}

fn entries(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("patient-{n:03}")).collect()
}

fn steps(text: &str, n: usize) -> Vec<Vec<loupe_study::allocation::Step>> {
    let names = entries(n);
    let cases: Vec<CaseEntry<'_>> = names.iter().map(|name| CaseEntry { name, training: false }).collect();
    allocate(&design(text), &cases).unwrap()
}

#[test]
fn a_crossover_reads_every_case_in_every_arm_and_no_two_readers_alike() {
    let all = steps(DETECTION, 40);
    let mut orders = HashSet::new();
    for steps in &all {
        let mut met = HashSet::new();
        for session in [1, 2] {
            let own: Vec<_> = steps.iter().filter(|s| s.session == session && !s.repeat).collect();
            assert_eq!(own.len(), 40);
            assert_eq!(own.iter().map(|s| s.case).collect::<HashSet<_>>().len(), 40, "once a session");
            let helped = own.iter().filter(|s| s.task == Task::Arm(1)).count();
            assert_eq!(helped, 20, "half of the cases with marks");
            met.extend(own.iter().map(|s| (s.case, s.task)));
            assert!(
                orders.insert(
                    steps.iter().filter(|s| s.session == session).map(|s| s.case).collect::<Vec<_>>()
                )
            );
        }
        assert_eq!(met.len(), 80);
        let repeats: Vec<usize> = (0..steps.len()).filter(|n| steps[*n].repeat).collect();
        assert_eq!(repeats.len(), 4);
        for at in repeats {
            let first =
                steps.iter().position(|s| (s.case, s.task) == (steps[at].case, steps[at].task)).unwrap();
            assert!(at - first > 3 && steps[at].session == 1, "{first} {at}");
        }
    }
    assert_eq!(steps(DETECTION, 40), all, "the same from the same seed");
    assert_ne!(steps(&DETECTION.replace("seed = 7", "seed = 8"), 40), all);
    // A case that is taken away leaves the others in their order.
    let (with, without) = (steps(DETECTION, 40), steps(DETECTION, 39));
    let order = |s: &[loupe_study::allocation::Step]| -> Vec<usize> {
        s.iter().filter(|s| s.session == 2 && s.case < 39).map(|s| s.case).collect()
    };
    assert_eq!(order(&with[0]), order(&without[0]));
}

#[test]
fn sides_are_flipped_for_half_of_the_cases_of_each_reader() {
    let text = "[study]\ntitle = 't'\nseed = 3\n[cases]\nlist = 'x.csv'\n[[arm]]\nname = 'a'\nrun = 'a'\nshow = ['text']\n[[arm]]\nname = 'b'\nrun = 'b'\nshow = ['text']\n[[pair]]\nfirst = 'a'\nsecond = 'b'\n[[reader]]\ncode = 'r1'\n[[reader]]\ncode = 'r2'\n[[question]]\npack = 'preference'\n";
    let all = steps(text, 30);
    let flipped = |n: usize| -> HashSet<usize> {
        all[n].iter().filter(|s| matches!(s.task, Task::Pair { flipped: true, .. })).map(|s| s.case).collect()
    };
    assert_eq!((flipped(0).len(), flipped(1).len()), (15, 15));
    assert_ne!(flipped(0), flipped(1));
}

#[test]
fn what_cannot_be_allocated_is_refused() {
    let names = entries(1);
    let one = [CaseEntry { name: &names[0], training: false }];
    let said = allocate(&design(DETECTION), &one).unwrap_err().to_string();
    assert!(said.contains("order of their own") || said.contains("no room"), "{said}");
    for (from, to, word) in [
        ("washout_days = 28", "washout_days = 28\nwashuot = 1", "washuot"),
        ("code = 'r1'", "code = 'R. Smith'", "letters, digits"),
        ("pack = 'detection'", "pack = 'detecton'", "did you mean"),
        ("pack = 'detection'", "pack = 'preference'", "[[pair]]"),
        ("sessions = 2", "sessions = 3", "`sessions`"),
        ("show = ['marks', 'text']", "show = []", "`run` and `show`"),
    ] {
        let text = DETECTION.replace(from, to);
        assert_ne!(text, DETECTION, "{from}");
        let said = Design::parse(&text, Path::new("")).unwrap_err().to_string();
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn a_page_holds_nothing_that_readers_must_not_know() {
    let dir = tempfile::tempdir().unwrap();
    let built = built(DETECTION, 12, dir.path());
    assert_eq!(built.pages.len(), 3);
    let again = tempfile::tempdir().unwrap();
    self::built(DETECTION, 12, again.path());
    for (path, _) in &built.pages {
        let html = std::fs::read_to_string(path).unwrap();
        let other = again.path().join(path.strip_prefix(dir.path()).unwrap());
        assert_eq!(html, std::fs::read_to_string(other).unwrap(), "the same bytes from the same design");
        let lower = html.to_lowercase();
        for hidden in [
            "patient-",
            "medmodel",
            "unaided",
            "run-7f",
            "archive/",
            "reference report",
            "1.2.840",
            "positive_option",
        ] {
            assert!(!lower.contains(hidden), "{hidden}");
        }
        assert!(html.contains("default-src 'none'") && !html.contains("unsafe-inline"));
        for found in html.match_indices("http") {
            let rest = &html[found.0..(found.0 + 30).min(html.len())];
            assert!(
                rest.starts_with("http-equiv") || rest.starts_with("http://www.w3.org/2000/svg"),
                "{rest}"
            );
        }
        for payload in payloads(&html) {
            assert!(payload.windows(8).all(|w| w != b"patient-"), "a name within the pixels");
        }
    }
    let key = std::fs::read_to_string(dir.path().join("key.json")).unwrap();
    assert!(key.contains("patient-003") && key.contains("unaided"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(dir.path().join("key.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

/// The bytes of every slice on a page.
fn payloads(html: &str) -> Vec<Vec<u8>> {
    use base64::Engine as _;
    use std::io::Read as _;
    let mut all = Vec::new();
    for block in html.split("type=\"application/json\" id=\"i").skip(1) {
        let json = block.split_once('>').unwrap().1.split("</script>").next().unwrap();
        let series: Value = serde_json::from_str(json).unwrap();
        for slice in series["slices"].as_array().unwrap() {
            let zlib = base64::engine::general_purpose::STANDARD.decode(slice.as_str().unwrap()).unwrap();
            let mut bytes = Vec::new();
            flate2::read::ZlibDecoder::new(zlib.as_slice()).read_to_end(&mut bytes).unwrap();
            all.push(bytes);
        }
    }
    assert!(!all.is_empty());
    all
}

#[test]
fn a_text_that_breaks_the_blinding_is_refused_and_not_repeated() {
    let design = design(DETECTION);
    let mut all = cases(&design, 6);
    all[3].outputs[1].text = Some("As MedModel-7B I see nothing.".into());
    all[3].hidden.push(HiddenText { what: "the name of a model", text: "medmodel-7b".into() });
    all[4].outputs[1].text = Some("see 1.2.840.113619.2.55.3.604688".into());
    let dir = tempfile::tempdir().unwrap();
    let said = build(&design, &all, &presets(), dir.path()).unwrap_err().to_string();
    assert!(said.contains("case 4: the name of a model; case 5: an identifier of DICOM"), "{said}");
    assert!(!said.to_lowercase().contains("medmodel") && !said.contains("113619"), "{said}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_page_that_is_too_large_is_split_by_session_and_then_further() {
    let dir = tempfile::tempdir().unwrap();
    let text = DETECTION.replace("washout_days = 28", "washout_days = 28\nmax_mb = 2");
    let design = self::design(&text);
    let mut all = cases(&design, 6);
    let large = "a".repeat(600_000);
    all.iter_mut().for_each(|c| c.series[0].1.slices.push(large.clone()));
    let built = build(&design, &all, &presets(), dir.path()).unwrap();
    assert!(built.pages.iter().all(|(_, bytes)| *bytes <= 2_000_000), "{:?}", built.pages);
    let own: Vec<_> = built.key.pages.iter().filter(|p| p.reader == "r1").collect();
    assert!(own.len() > 2 && own.iter().all(|p| p.steps.iter().all(|s| s.session == p.steps[0].session)));
    assert_eq!(own.iter().map(|p| p.steps.len()).sum::<usize>(), 6 * 2 + 1);
    all[0].series[0].1.slices.push("b".repeat(2_000_000));
    let said = build(&design, &all, &presets(), dir.path()).unwrap_err().to_string();
    assert!(said.contains("`max_mb` is 2"), "{said}");
}

/// Rating and decision of a simulated reader: surer on cases with the finding, and with marks surer still.
fn simulated(seed: u64, truth: bool, helped: bool) -> (u64, &'static str) {
    let noise =
        (seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 33) % 45;
    let sure =
        if truth { 45 + noise + if helped { 10 } else { 0 } } else { noise + if helped { 0 } else { 14 } };
    (sure, if sure >= 50 { "1" } else { "2" })
}

/// Reads a page to its end, or `most` cases of it, as a reader would, and returns the file of answers.
fn read(browser: &mut Browser, key: &Key, page: &Path, most: usize) -> Value {
    let number = key.pages.iter().position(|p| page.ends_with(&p.file)).unwrap();
    let own = &key.pages[number];
    browser.open(page);
    browser.wait("document.querySelector('.message button.main')");
    browser.press("Enter");
    browser.wait("document.querySelector('.panel h2')");
    let done = browser.eval("document.querySelector('.panel h2')?.textContent ?? ''");
    for (n, step) in own.steps.iter().enumerate().skip(already(&done)).take(most) {
        wait_for_step(browser, &own.steps, n);
        let case = &key.cases[step.case];
        let helped = step.task == Task::Arm(1);
        let shown = browser.eval("document.querySelectorAll('.output').length");
        assert_eq!(shown == 1, helped, "the text is seen in its arm alone");
        let seed = (number * 1000 + step.case * 10 + usize::from(step.repeat)) as u64;
        let (rating, decision) = simulated(seed, case.truth.unwrap(), helped);
        browser.type_words(&rating.to_string());
        browser.press("Enter");
        browser.press(decision);
        browser.press("Enter");
    }
    saved_file(browser)
}

/// Waits until a step is shown, and begins its session where that is a new one.
pub(crate) fn wait_for_step(browser: &mut Browser, steps: &[Step], n: usize) {
    if n > 0 && steps[n - 1].session != steps[n].session {
        browser.wait("document.querySelector('.message h1')?.textContent.startsWith('Session')");
        browser.eval("[...document.querySelectorAll('.message button')].find((b) => b.textContent.startsWith('The coordinator')).click()");
    }
    let (at, all) = (n + 1, steps.len());
    browser.wait(&format!("document.querySelector('.panel h2')?.textContent === 'Case {at} of {all}'"));
}

/// What the button gives to be saved.
pub(crate) fn saved_file(browser: &mut Browser) -> Value {
    let text = browser.eval(
        "(() => { let kept = null; const make = URL.createObjectURL; \
         URL.createObjectURL = (blob) => { kept = blob; return make(blob); }; HTMLAnchorElement.prototype.click = () => {}; \
         [...document.querySelectorAll('button')].find((b) => b.textContent === 'Save answers').click(); return kept.text(); })()",
    );
    serde_json::from_str(text.as_str().unwrap()).unwrap()
}

/// How many cases were read before, from the heading `Case n of m`.
fn already(heading: &Value) -> usize {
    heading.as_str().and_then(|h| h.split_whitespace().nth(1)?.parse::<usize>().ok()).map_or(0, |n| n - 1)
}

pub(crate) fn saved(dir: &Path, name: &str, file: &Value) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, file.to_string()).unwrap();
    path
}

/// Three readers read forty cases with and without marks; everything comes back, and comes out of the analysis.
#[test]
fn readers_read_by_keyboard_and_their_answers_are_analysed() {
    let dir = tempfile::tempdir().unwrap();
    let built = built(DETECTION, 40, dir.path());
    let key = Key::read(&dir.path().join("key.json")).unwrap();
    assert_eq!(key, built.key);
    let Some(mut browser) = Browser::start([1400, 900]) else { return };
    let mut files = Vec::new();
    for (n, (page, _)) in built.pages.iter().enumerate() {
        let file = read(&mut browser, &key, page, usize::MAX);
        assert_eq!(file["complete"], true);
        files.push(saved(dir.path(), &format!("answers-{n}.json"), &file));
    }
    browser.assert_quiet();
    let out = dir.path().join("readings");
    let collected = collect(&key, &files, false, &out).unwrap();
    assert_eq!((collected.refused.len(), collected.readings), (0, 3 * 84));
    assert_eq!(
        collected.notes.iter().filter(|n| n.contains("agreement is on record")).count(),
        3,
        "{:?}",
        collected.notes
    );
    let readings = input::read(&out.join("readings.csv")).unwrap();
    let mut arms = readings.arms.clone();
    arms.sort();
    assert_eq!(arms, ["aided", "unaided"]);
    assert_eq!((readings.readings.len(), readings.repeats.len()), (3 * 80, 3 * 4));
    // Every reading is the one that was typed, in its place.
    let helped = readings.arms.iter().position(|a| a == "aided").unwrap();
    let once = readings.readings.iter().map(|r| (r, false));
    for (r, again) in once.chain(readings.repeats.iter().map(|r| (r, true))) {
        let case: usize = readings.cases[r.case].name.trim_start_matches("patient-").parse().unwrap();
        let reader: usize = readings.readers[r.reader].trim_start_matches('r').parse().unwrap();
        let seed = ((reader - 1) * 1000 + case * 10 + usize::from(again)) as u64;
        let truth = readings.cases[r.case].truth.unwrap();
        let (rating, decision) = simulated(seed, truth, r.arm == helped);
        assert_eq!((r.rating, r.decision), (Some(rating as f64), Some(decision == "1")));
        assert!(r.seconds.unwrap() > 0.0);
    }
    let analysis = analyse(&readings, &Options::default()).unwrap();
    let auc = analysis.merits.iter().find(|m| m.merit == loupe_study::Merit::Auc).unwrap();
    assert!(auc.each.iter().filter(|e| e.arm == helped).all(|e| e.value > 0.9));
    // Readings that were repeated do not make the design uneven.
    let compared = auc.comparison.as_ref().unwrap();
    assert_eq!(compared.design, loupe_study::stats::design::Design::FullyCrossed);
    assert_eq!(
        analysis.own_agreement.iter().filter(|a| a.reader.is_some()).map(|a| a.n).sum::<usize>(),
        2 * 12
    );
    let answers = std::fs::read_to_string(out.join("answers.jsonl")).unwrap();
    assert_eq!(answers.lines().count(), 2 * 3 * 84);
}

#[test]
fn a_browser_that_is_closed_loses_nothing_and_pauses_are_not_counted() {
    let dir = tempfile::tempdir().unwrap();
    let built = built(DETECTION, 6, dir.path());
    let profile = tempfile::tempdir().unwrap();
    let page = &built.pages[0].0;
    let Some(mut browser) = Browser::with_profile([1000, 800], profile.path()) else { return };
    read(&mut browser, &built.key, page, 2);
    // One of two answers is given when everything ends.
    browser.type_words("3");
    browser.press("Enter");
    browser.close();
    let mut browser = Browser::with_profile([1000, 800], profile.path()).unwrap();
    browser.open(page);
    browser.wait("document.querySelector('.message button.main')?.textContent.startsWith('Go on')");
    browser.press("Enter");
    browser.wait("document.querySelector('.panel h2')?.textContent.startsWith('Case 3 of')");
    assert_eq!(browser.eval("document.querySelector('.rating input.number').value"), "3");
    // A required answer holds the case.
    browser.press("Enter");
    browser.press("Enter");
    assert_eq!(
        browser.eval("[...document.querySelectorAll('.lacks')].filter((l) => l.textContent).length"),
        1
    );
    // Ten minutes pass without a sign of life; one minute of them counts.
    browser.eval("(() => { const real = performance.now.bind(performance); performance.now = () => real() + 600000; })()");
    browser.press("2");
    browser.press("Enter");
    let file = saved_file(&mut browser);
    let done: Vec<Value> = file["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| serde_json::from_str::<Value>(e["line"].as_str().unwrap()).unwrap())
        .filter(|e| e["kind"] == "done")
        .collect();
    assert_eq!(done.len(), 3);
    let seconds = done[2]["seconds"].as_f64().unwrap();
    assert!((60.0..90.0).contains(&seconds) && done[2]["idle_seconds"].as_f64().unwrap() > 530.0, "{done:?}");
    assert!(done[1]["seconds"].as_f64().unwrap() < 30.0);
    browser.assert_quiet();
    // The file goes on in another browser.
    let path = saved(dir.path(), "so-far.json", &file);
    let partial = collect(&built.key, std::slice::from_ref(&path), true, &dir.path().join("out")).unwrap();
    assert_eq!(partial.readings, 3);
    let said = collect(&built.key, &[path], false, &dir.path().join("out")).unwrap_err().to_string();
    assert!(said.contains("3 of 13 readings are done"), "{said}");
}

/// Names that a spreadsheet would compute come back from the file of readings as they were, and compute nothing on the way.
#[test]
fn names_that_compute_are_written_as_words_and_read_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let mut key = built(DETECTION, 6, dir.path()).key;
    for page in &mut key.pages {
        page.reader = format!("={}+1", page.reader);
    }
    for (n, case) in key.cases.iter_mut().enumerate() {
        case.name = format!("{}{n}", ["=HYPERLINK(1)", "-2+3", "'=4", "plain"][n % 4]);
        case.group = Some(format!("+{}*2", n + 1));
    }
    let files =
        [0, 1].map(|page| saved(dir.path(), &format!("{page}.json"), &written(&key, page, |n| n as u64)));
    let out = dir.path().join("out");
    collect(&key, &files, false, &out).unwrap();
    let file = std::fs::read_to_string(out.join("readings.csv")).unwrap();
    for cell in file.lines().skip(1).flat_map(|line| line.split(',')) {
        let first = cell.trim_start_matches('"').chars().next();
        assert!(!matches!(first, Some('=' | '+' | '@' | '\t' | '\r')), "{cell}");
        assert!(first != Some('-') || cell.parse::<f64>().is_ok(), "{cell}");
    }
    let readings = input::read(&out.join("readings.csv")).unwrap();
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(sorted(readings.readers.clone()), ["=r1+1", "=r2+1"]);
    let read = sorted(readings.cases.iter().map(|case| case.name.clone()).collect());
    assert_eq!(read, sorted(key.cases.iter().map(|case| case.name.clone()).collect()));
}

/// A file of answers as a page makes it, without a browser.
fn written(key: &Key, page: usize, rating: impl Fn(usize) -> u64) -> Value {
    let key = serde_json::to_value(key).unwrap();
    answers(&key, page, &[("rating", &|step| rating(step).into()), ("decision", &|_| "negative".into())])
}

#[test]
fn files_that_were_changed_cut_or_belong_elsewhere_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let key = built(DETECTION, 6, dir.path()).key;
    let other = built(&DETECTION.replace("seed = 7", "seed = 9"), 6, &dir.path().join("other")).key;
    let good = written(&key, 0, |n| n as u64);
    let mut all: HashMap<&str, (Value, &str)> = HashMap::new();
    let mut changed = good.clone();
    let line = changed["entries"][1]["line"].as_str().unwrap().replace("\"value\":0", "\"value\":99");
    changed["entries"][1]["line"] = line.into();
    all.insert("changed", (changed, "entry 2 was changed"));
    let mut cut = good.clone();
    cut["entries"].as_array_mut().unwrap().truncate(20);
    all.insert("cut", (cut, "it was cut or changed"));
    let mut short = good.clone();
    short["entries"].as_array_mut().unwrap().remove(8);
    all.insert("short", (short, "entry 9 was changed, taken out or put in"));
    all.insert("foreign", (written(&other, 0, |_| 1), "another study"));
    let mut renamed = good.clone();
    renamed["reader"] = "r2".into();
    all.insert("renamed", (renamed, "names another reader"));
    let mut page = good.clone();
    page["plan"] = "00".into();
    all.insert("page", (page, "does not know"));
    all.insert("else", (json!([1, 2]), "no file of answers"));
    let mut files = vec![saved(dir.path(), "good.json", &good)];
    for (name, (file, _)) in &all {
        files.push(saved(dir.path(), &format!("{name}.json"), file));
    }
    let torn = dir.path().join("torn.json");
    std::fs::write(&torn, &good.to_string()[..500]).unwrap();
    files.push(torn);
    let conflict = saved(dir.path(), "conflict.json", &written(&key, 0, |n| n as u64 + 1));
    files.push(conflict);
    let out = dir.path().join("out");
    let collected = collect(&key, &files, false, &out).unwrap();
    let said: Vec<String> = collected.refused.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 9, "{said:?}");
    for (name, (_, why)) in &all {
        assert!(
            said.iter().any(|s| s.starts_with(&format!("{name}.json: ")) && s.contains(why)),
            "{name}: {said:?}"
        );
    }
    assert!(said.iter().any(|s| s.starts_with("torn.json: the file ends in the middle")));
    assert!(said.iter().any(|s| s.starts_with("conflict.json: good.json holds other answers")));
    assert_eq!(collected.readings, 13, "the good one is taken");
    assert!(collected.notes.iter().any(|n| n.contains("no answers to r2/study.html")));
    let readings = input::read(&out.join("readings.csv")).unwrap();
    assert_eq!((readings.readings.len(), readings.repeats.len()), (12, 1));
}
