//! Every kind of run killed at moments spread over its length: what was lost is made again, and the scores end byte
//! for byte as those of a run that nobody disturbed. `LOUPE_KILLS=100` kills each kind a hundred times.

use crate::common::{bmp, loupe, text};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Kills of each kind of run in the ordinary tests.
const KILLS: u32 = 6;

/// How questions are asked, with `DATA` and `RUN` to be put in.
const EVAL: &[&str] = &["eval", "--data", "jsonl=DATA", "-o", "RUN", "--no-page", "--quiet"];

/// A kind of run: its name, and its command in two parts.
const KINDS: &[(&str, [&[&str]; 2])] = &[
    ("eval", [EVAL, &["--max-new-tokens", "6"]]),
    ("rollouts", [EVAL, &["--max-new-tokens", "4", "--rollouts", "2", "--temperature", "1"]]),
    ("second look", [EVAL, &["--max-new-tokens", "4", "--rethink", "loupe"]]),
    ("score", [&["score", "RUN", "--quiet"], &[]]),
    ("merge", [&["merge", "SHARD1", "SHARD2", "SHARD3", "-o", "RUN"], &["--no-page", "--quiet"]]),
];

fn kills() -> u32 {
    std::env::var("LOUPE_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(KILLS)
}

fn set(dir: &Path) {
    let mut lines = String::new();
    for n in 0..3 {
        let image = bmp(40 + 9 * n, 52 + 5 * n, |x, y| (x * (n + 2) + y) as u8);
        fs::write(dir.join(format!("{n}.bmp")), image).unwrap();
        for q in 0..3 {
            let line = serde_json::json!({
                "id": format!("{n}-{q}"), "image": format!("{n}.bmp"), "question": format!("Is finding {q} present?"),
                "answer": if (n + q) % 2 == 0 { "yes" } else { "no" },
            });
            lines += &format!("{line}\n");
        }
    }
    fs::write(dir.join("data.jsonl"), lines).unwrap();
}

fn arguments(kind: &[&[&str]; 2], data: &Path, run: &Path) -> Vec<String> {
    let put = |word: &&str| match *word {
        "RUN" => run.display().to_string(),
        shard if shard.starts_with("SHARD") => data.join(shard).display().to_string(),
        word => word.replace("DATA", &data.join("data.jsonl").display().to_string()),
    };
    kind.iter().copied().flatten().map(put).collect()
}

/// Runs to the end; how long that took.
fn calmly(arguments: &[String]) -> Duration {
    let began = Instant::now();
    let out = loupe(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(out.status.success(), "{arguments:?}: {}", text(&out.stderr));
    began.elapsed()
}

#[test]
fn runs_of_every_kind_that_are_killed_end_like_undisturbed_ones() {
    for (name, kind) in KINDS {
        let dir = tempfile::tempdir().unwrap();
        set(dir.path());
        let (calm, killed) = (dir.path().join("calm"), dir.path().join("killed"));
        if *name == "score" {
            for run in [&calm, &killed] {
                calmly(&arguments(&KINDS[0].1, dir.path(), run));
            }
        }
        for index in (1..=3).filter(|_| *name == "merge") {
            let shard = dir.path().join(format!("SHARD{index}"));
            let mut part = arguments(&KINDS[0].1, dir.path(), &shard);
            part.extend(["--shard".to_owned(), format!("{index}/3")]);
            calmly(&part);
        }
        let length = calmly(&arguments(kind, dir.path(), &calm));
        let disturbed = arguments(kind, dir.path(), &killed);
        let read = |run: &Path, file: &str| fs::read(run.join(file)).unwrap();
        let lines = |run: &Path| text(&read(run, "replies.jsonl")).lines().count();
        let same = || {
            assert!(read(&calm, "scores.json") == read(&killed, "scores.json"), "{name}");
            assert_eq!(lines(&calm), lines(&killed), "{name}: no reply is made twice");
        };
        let (mut tries, mut caught, mut ended) = (0, 0, 0);
        while caught < kills() && tries < 5 * kills() {
            let mut child = Command::new(env!("CARGO_BIN_EXE_loupe"))
                .args(&disturbed)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            // A low-discrepancy sequence: any number of kills is spread over the whole length.
            let share = (f64::from(tries) * 0.618_033_988_749_895).fract();
            std::thread::sleep(length.mul_f64(share).max(Duration::from_millis(1)));
            child.kill().unwrap();
            tries += 1;
            if !child.wait().unwrap().success() {
                caught += 1;
                continue;
            }
            // It was there before the kill: the next ones meet a new run.
            same();
            ended += 1;
            if *name != "score" {
                fs::remove_dir_all(&killed).unwrap();
            }
        }
        calmly(&disturbed);
        same();
        let left: Vec<String> = fs::read_dir(&killed)
            .unwrap()
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .filter(|n| n.starts_with('.'))
            .collect();
        assert!(left.is_empty(), "{name} leaves {left:?}");
        assert!(!dir.path().join(".killed.part").exists(), "{name} leaves what it began");
        assert!(caught > 0, "{name}: nothing was killed");
        eprintln!("{name}: killed {caught} times, ended {} times", ended + 1);
    }
}
