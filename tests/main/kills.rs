//! Every kind of run killed at moments spread over its length: what was lost is made again, and all that the folder holds, but for times, ends
//! as in a run that nobody disturbed. `LOUPE_KILLS=100` kills each kind a hundred times; with `LOUPE_KILLED=merge,collect` these alone.

use crate::common::{bmp, loupe, text};
use loupe_testing::answers;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Kills of each kind of run in the ordinary tests.
const KILLS: u32 = 4;

/// A kind of run.
struct Kind {
    name: &'static str,
    /// Makes in a folder what the command needs.
    prepare: fn(&Path),
    /// The command in two parts, with `DIR` for that folder and `RUN` for the folder of the run.
    command: [&'static [&'static str]; 2],
}

/// How questions are asked.
const EVAL: &[&str] =
    &["eval", "--data", "jsonl=DIR/data.jsonl", "-o", "RUN", "--quiet", "--max-new-tokens", "6"];

const KINDS: &[Kind] = &[
    Kind { name: "eval", prepare: set, command: [EVAL, &[]] },
    Kind {
        name: "rollouts",
        prepare: set,
        command: [EVAL, &["--no-page", "--rollouts", "2", "--temperature", "1"]],
    },
    Kind { name: "second look", prepare: set, command: [EVAL, &["--no-page", "--rethink", "loupe"]] },
    Kind { name: "score", prepare: scored_before, command: [&["score", "RUN", "--quiet"], &[]] },
    Kind {
        name: "merge",
        prepare: shards,
        command: [&["merge", "DIR/1", "DIR/2", "DIR/3", "-o", "RUN", "--quiet"], &[]],
    },
    Kind {
        name: "reports",
        prepare: studies,
        command: [
            &["reports", "DIR/studies.jsonl", "-o", "RUN", "--quiet", "--max-new-tokens", "6"],
            &["--format", "text", "--format", "markdown", "--format", "dicom-sr", "--format", "fhir"],
        ],
    },
    Kind {
        name: "collect",
        prepare: saved_answers,
        command: [
            &["study", "collect", "DIR/r1.json", "DIR/r2.json"],
            &["--key", "DIR/pages/key.json", "-o", "RUN", "--quiet"],
        ],
    },
];

fn kills() -> u32 {
    std::env::var("LOUPE_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(KILLS)
}

fn is_asked(kind: &Kind) -> bool {
    std::env::var("LOUPE_KILLED").map_or(true, |names| names.split(',').any(|name| name == kind.name))
}

fn pictures(dir: &Path) {
    for n in 0..3 {
        let image = bmp(40 + 9 * n, 52 + 5 * n, |x, y| (x * (n + 2) + y) as u8);
        fs::write(dir.join(format!("{n}.bmp")), image).unwrap();
    }
}

fn lines(rows: impl IntoIterator<Item = Value>) -> String {
    rows.into_iter().map(|row| format!("{row}\n")).collect()
}

/// Three pictures with three questions each.
fn set(dir: &Path) {
    pictures(dir);
    let row = |n: usize| {
        let (image, q) = (n / 3, n % 3);
        json!({
            "id": format!("{image}-{q}"), "image": format!("{image}.bmp"), "question": format!("Is finding {q} present?"),
            "answer": if (image + q) % 2 == 0 { "yes" } else { "no" },
        })
    };
    fs::write(dir.join("data.jsonl"), lines((0..9).map(row))).unwrap();
}

/// Two folders with the same replies.
fn scored_before(dir: &Path) {
    set(dir);
    calmly(&arguments(&[EVAL, &["--no-page"]], dir, &dir.join("calm")));
    fs::create_dir(dir.join("killed")).unwrap();
    for file in ["run.json", "samples.jsonl", "replies.jsonl"] {
        fs::copy(dir.join("calm").join(file), dir.join("killed").join(file)).unwrap();
    }
}

/// A run in three parts.
fn shards(dir: &Path) {
    set(dir);
    for part in 1..=3 {
        calmly(&arguments(&[EVAL, &["--shard", &format!("{part}/3")]], dir, &dir.join(part.to_string())));
    }
}

/// Studies of one image or two.
fn studies(dir: &Path) {
    pictures(dir);
    let row = |n: usize| {
        let prior = if n % 2 == 0 { vec![format!("{}.bmp", (n + 1) % 3)] } else { Vec::new() };
        json!({"study_id": format!("study-{n}"), "images": [format!("{}.bmp", n % 3)], "prior_images": prior, "indication": "Cough."})
    };
    fs::write(dir.join("studies.jsonl"), lines((0..6).map(row))).unwrap();
}

/// Two readers' answers to a study.
fn saved_answers(dir: &Path) {
    pictures(dir);
    fs::write(dir.join("list.csv"), "case,image,truth\na,0.bmp,1\nb,1.bmp,0\nc,2.bmp,1\n").unwrap();
    let design = "[study]\ntitle = 'Shadows'\nseed = 3\nsessions = 1\n[cases]\nlist = 'list.csv'\n[[arm]]\nname = 'unaided'\n\
                  [[reader]]\ncode = 'r1'\n[[reader]]\ncode = 'r2'\n\
                  [[question]]\nid = 'sure'\ntype = 'rating'\ntext = 'How sure?'\ncolumn = 'rating'\n\
                  [[question]]\nid = 'again'\ntype = 'rating'\ntext = 'And now?'\ncolumn = 'rating'\n";
    fs::write(dir.join("study.toml"), design).unwrap();
    calmly(&arguments(&[&["study", "build", "DIR/study.toml", "-o", "DIR/pages"], &[]], dir, dir));
    let key: Value = serde_json::from_slice(&fs::read(dir.join("pages/key.json")).unwrap()).unwrap();
    for page in 0..2 {
        let sure = |step: usize| json!(10 * step + page);
        let saved = answers(&key, page, &[("sure", &sure), ("again", &|step| json!(90 - step))]);
        let reader = saved["reader"].as_str().unwrap();
        fs::write(dir.join(format!("{reader}.json")), saved.to_string()).unwrap();
    }
}

fn arguments(command: &[&[&str]; 2], dir: &Path, run: &Path) -> Vec<String> {
    let put = |word: &&str| match *word {
        "RUN" => run.display().to_string(),
        word => word.replace("DIR", &dir.display().to_string()),
    };
    command.iter().copied().flatten().map(put).collect()
}

/// Runs to the end; how long that took.
fn calmly(arguments: &[String]) -> Duration {
    let began = Instant::now();
    let out = loupe(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(out.status.success(), "{arguments:?}: {}", text(&out.stderr));
    began.elapsed()
}

/// Every file below a folder by its name from there.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else {
            found.insert(name, fs::read(path).unwrap());
        }
    }
    found
}

/// A document without what is another in each run: times, what was at hand from the prompts before, and checksums over these.
fn timeless(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for field in ["sessions", "timing", "reused_tokens", "sum"] {
                fields.remove(field);
            }
            fields.values_mut().for_each(timeless);
        }
        Value::Array(all) => all.iter_mut().for_each(timeless),
        _ => {}
    }
}

/// What a folder holds but for times. Replies come in any order.
fn results(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = files(dir);
    let document = |bytes: &[u8]| {
        let mut value: Value = serde_json::from_slice(bytes).unwrap();
        timeless(&mut value);
        value
    };
    let began = found.get("run.json").map(|bytes| {
        let record: Value = serde_json::from_slice(bytes).unwrap();
        record["sessions"][0]["started"].as_str().unwrap_or_default().to_owned()
    });
    for (name, bytes) in &mut found {
        match name.as_str() {
            "run.json" => *bytes = document(bytes).to_string().into_bytes(),
            "replies.jsonl" => {
                let mut all: Vec<Value> = text(bytes).lines().map(|line| document(line.as_bytes())).collect();
                all.sort_by_key(|line| (line["item"].as_u64(), line["rollout"].as_u64()));
                *bytes = lines(all).into_bytes();
            }
            // The studies; the rest is times.
            "times.csv" => {
                let studies = text(bytes)
                    .lines()
                    .map(|line| line.split(',').next().unwrap().to_owned() + "\n")
                    .collect::<String>();
                *bytes = studies.into_bytes();
            }
            name if name.starts_with("dicom/") => {
                // Date and time of the first session.
                let began: String =
                    began.iter().flat_map(|at| at.chars()).filter(char::is_ascii_digit).collect();
                for part in [&began[..8], &began[8..]] {
                    blank(bytes, part.as_bytes());
                }
            }
            name if name.starts_with("fhir/") => {
                blank(bytes, began.as_deref().unwrap_or_default().as_bytes())
            }
            _ => {}
        }
    }
    // A page of replies shows how long each took.
    if found.contains_key("scores.json") {
        found.remove("report.html");
    }
    found
}

fn blank(bytes: &mut [u8], what: &[u8]) {
    for at in 0..bytes.len().saturating_sub(what.len()) {
        if bytes[at..].starts_with(what) {
            bytes[at..at + what.len()].fill(b'_');
        }
    }
}

/// The names whose contents differ.
fn differing<'a>(a: &'a BTreeMap<String, Vec<u8>>, b: &'a BTreeMap<String, Vec<u8>>) -> Vec<&'a str> {
    let names = a.keys().chain(b.keys()).filter(|name| a.get(*name) != b.get(*name));
    names.map(String::as_str).collect()
}

/// Starts a command and kills it `after` so long; whether it was at work then.
fn killed(arguments: &[String], after: Duration) -> bool {
    let mut child = Command::new(env!("CARGO_BIN_EXE_loupe"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

#[test]
fn runs_of_every_kind_that_are_killed_end_like_undisturbed_ones() {
    for kind in KINDS.iter().filter(|kind| is_asked(kind)) {
        let (name, dir) = (kind.name, tempfile::tempdir().unwrap());
        (kind.prepare)(dir.path());
        let (calm, disturbed) = (dir.path().join("calm"), dir.path().join("killed"));
        let length = calmly(&arguments(&kind.command, dir.path(), &calm));
        let wanted = results(&calm);
        let command = arguments(&kind.command, dir.path(), &disturbed);
        // The folder as it was before the first kill, for kinds that begin with one.
        let before = disturbed.is_dir().then(|| files(&disturbed));
        let (mut tries, mut caught, mut ended) = (0, 0, 0);
        loop {
            let more = caught < kills() && tries < 10 * kills();
            if more {
                // A low-discrepancy sequence: any number of kills is spread over the whole length.
                let share = (f64::from(tries) * 0.618_033_988_749_895).fract();
                tries += 1;
                if killed(&command, length.mul_f64(share).max(Duration::from_millis(1))) {
                    caught += 1;
                    continue;
                }
            } else {
                calmly(&command);
            }
            // It has come to its end, after all the kills since the last one.
            ended += 1;
            assert_eq!(differing(&wanted, &results(&disturbed)), [""; 0], "{name}");
            if !more {
                break;
            }
            fs::remove_dir_all(&disturbed).unwrap();
            if let Some(before) = &before {
                fs::create_dir(&disturbed).unwrap();
                before.iter().for_each(|(file, bytes)| fs::write(disturbed.join(file), bytes).unwrap());
            }
        }
        // The same command once more finds everything done, and everything that it writes again is the same, pages too.
        let left = files(&disturbed);
        calmly(&command);
        assert_eq!(differing(&left, &files(&disturbed)), [""; 0], "{name}, again");
        let hidden: Vec<String> = files(dir.path())
            .into_keys()
            .filter(|n| n.rsplit('/').next().unwrap().starts_with('.'))
            .collect();
        assert!(hidden.is_empty(), "{name} leaves {hidden:?}");
        assert!(caught > 0, "{name}: nothing was killed");
        eprintln!("{name}: killed {caught} times in {tries}, ended {ended} times");
    }
}
