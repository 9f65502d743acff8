//! Long runs stay flat: what a run takes of memory does not grow with the samples that it has answered. `LOUPE_SAMPLES=20000` makes the run
//! as long as one likes, and compares with what it takes at 1000 samples.

use crate::common::text;
use loupe_testing::png;
use serde_json::json;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Samples of the ordinary tests.
const SAMPLES: usize = 320;
/// Questions about each picture, and replies to each of them.
const QUESTIONS: usize = 4;
const ROLLOUTS: usize = 2;

/// Pictures of many sizes, each with several questions.
fn set(dir: &Path, samples: usize) {
    let mut lines = String::new();
    for n in 0..samples.div_ceil(QUESTIONS) {
        // Multiples of primes modulo others: no two neighbours alike.
        let [width, height] = [40 + 37 * n % 101, 40 + 53 * n % 97];
        let image = png(width, height, |x, y| ((x * (n + 3)) ^ (y * (n % 7 + 2))) as u8);
        fs::write(dir.join(format!("{n}.png")), image).unwrap();
        for question in ["Is there a mass?", "Where is it?", "Which organ is shown?", "Which plane is it?"] {
            let words = format!("{question} Picture {n}.");
            lines +=
                &format!("{}\n", json!({"image": format!("{n}.png"), "question": words, "answer": "yes"}));
        }
    }
    fs::write(dir.join("data.jsonl"), lines).unwrap();
}

/// Bytes of memory that a process holds, where the system says so.
fn resident(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kb| kb << 10)
}

/// Replies and memory, side by side, over a run from its beginning to its end.
fn watched(dir: &Path) -> Vec<(usize, u64)> {
    let run = dir.join("run");
    let mut child = Command::new(env!("CARGO_BIN_EXE_loupe"))
        .args(["eval", "--data", &format!("jsonl={}", dir.join("data.jsonl").display())])
        .args(["-o", &run.display().to_string(), "--no-page", "--quiet", "--max-new-tokens", "6"])
        .args(["--rollouts", &ROLLOUTS.to_string(), "--temperature", "1"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut seen, mut replies, mut line) = (Vec::new(), 0, Vec::new());
    let mut file = None;
    while child.try_wait().unwrap().is_none() {
        file = file.or_else(|| fs::File::open(run.join("replies.jsonl")).ok().map(BufReader::new));
        if let Some(file) = &mut file {
            while file.read_until(b'\n', &mut line).unwrap() > 0 && line.ends_with(b"\n") {
                replies += 1;
                line.clear();
            }
        }
        seen.extend(resident(child.id()).map(|bytes| (replies, bytes)));
        std::thread::sleep(Duration::from_millis(20));
    }
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    seen
}

#[test]
fn a_long_run_takes_no_more_memory_than_a_short_one() {
    let asked: Option<usize> = std::env::var("LOUPE_SAMPLES").ok().and_then(|n| n.parse().ok());
    let samples = asked.unwrap_or(SAMPLES);
    let dir = tempfile::tempdir().unwrap();
    set(dir.path(), samples);
    let began = Instant::now();
    let seen = watched(dir.path());
    if seen.is_empty() {
        eprintln!("skipped: this system does not say how much memory a process has");
        return;
    }
    let replies = fs::read_to_string(dir.path().join("run/replies.jsonl")).unwrap();
    let (all, anew) = (replies.lines().count(), replies.matches("\"reused_tokens\":0,").count());
    assert!(
        all == samples * ROLLOUTS && 2 * anew < all,
        "what was computed is used again: {anew} of {all} anew"
    );
    // Means over stretches, as what is there at one moment is chance.
    let (at, stretch) = match asked {
        Some(_) => (1000, 500),
        None => (SAMPLES / 2, SAMPLES / 4),
    };
    let mean = |from: usize, to: usize| {
        let within = seen.iter().filter(|(replies, _)| (from..to).contains(&(replies / ROLLOUTS)));
        let (n, sum) = within.fold((0, 0), |(n, sum), (_, bytes)| (n + 1, sum + bytes));
        (n > 0).then(|| sum as f64 / f64::from(n))
    };
    let first = mean(at - stretch / 2, at + stretch / 2).unwrap();
    let later = (at + stretch / 2..samples)
        .step_by(stretch)
        .filter_map(|from| Some((from, mean(from, from + stretch)?)));
    let (most_at, most) = later.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
    let peak = seen.iter().map(|(_, bytes)| *bytes).max().unwrap();
    let mb = |bytes: f64| bytes / 1e6;
    eprintln!(
        "{samples} samples in {:.0} s: {:.0} MB at {at}, at most {:.0} MB later (at {most_at}), {:.0} MB at any time",
        began.elapsed().as_secs_f64(),
        mb(first),
        mb(most),
        mb(peak as f64)
    );
    // Short ones are still filling what they keep of prompts.
    let allowed = if asked.is_some() { 1.1 } else { 1.3 };
    assert!(most <= allowed * first, "{:.0} MB after {:.0} MB", mb(most), mb(first));
}
