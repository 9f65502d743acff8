//! Scores a run of a million closed questions from its folder: rows a second and peak memory.
//!
//! `cargo bench -p loupe-eval --bench scoring [-- ROWS]`; figures go to BENCHMARKS.md.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use loupe_eval::profiles::{self, AsProfile};
use loupe_eval::strict::Strict;
use loupe_eval::{Profile, Scoring, score};
use serde_json::json;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let rows: usize = std::env::args().filter_map(|a| a.parse().ok()).next().unwrap_or(1_000_000);
    let dir = tempfile::tempdir().unwrap();
    write_run(dir.path(), rows);
    let others = ["medevalkit-vqa-rad", "llava-med", "lmms-eval-slake"];
    let others: Vec<AsProfile> =
        others.iter().map(|name| AsProfile::new(profiles::PROFILES.get(name).copied().unwrap())).collect();
    let mut all: Vec<&dyn Profile> = vec![&Strict];
    measure("strict", dir.path(), rows, &all);
    all.extend(others.iter().map(|p| p as &dyn Profile));
    measure("strict and three other harnesses", dir.path(), rows, &all);
}

fn measure(what: &str, dir: &Path, rows: usize, profiles: &[&dyn Profile]) {
    let before = peak_mib();
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let summary = score(dir, &Scoring { profiles, ..Scoring::default() }).unwrap();
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let accuracy = summary.profiles[0].figures[0].value.unwrap();
    println!(
        "{what}: {rows} rows in {seconds:.2} s ({cpu:.2} s of CPU): {:.0} rows/s, {:.0} rows per CPU second; \
         peak memory {:.0} MiB (before: {before:.0} MiB); accuracy {accuracy:.4}",
        rows as f64 / seconds,
        rows as f64 / cpu,
        peak_mib()
    );
}

/// A folder as a run leaves it; five questions an image, replies in another order than the samples.
fn write_run(dir: &Path, rows: usize) {
    let made_by = json!({
        "format": 1, "loupe": "bench",
        "dataset": {"name": "bench", "split": "test", "group_by": "image", "fingerprint": "", "citation": ""},
        "selection": {"limit": null}, "n": rows, "samples_sha256": "",
        "model": {"family": "none", "name": "none", "weights_sha256": "", "parameters": 0, "dtype": "f32",
            "device": "cpu", "resample": "pillow", "box_dialect": "none", "context_tokens": 0},
        "strategy": null, "prompt": {"name": "loupe"},
        "limits": {}, "rollouts": 1, "settings": {}
    });
    fs::write(dir.join("run.json"), made_by.to_string()).unwrap();
    let mut samples = BufWriter::new(File::create(dir.join("samples.jsonl")).unwrap());
    let mut replies = BufWriter::new(File::create(dir.join("replies.jsonl")).unwrap());
    let said = [
        "Yes.",
        "No, the scan is abnormal.",
        "no",
        "The answer is yes.",
        "<think>yes?</think>\nNo",
        "I cannot determine that.",
    ];
    for i in 0..rows {
        let (gold, organ) = (["yes", "no"][i % 2], ["CHEST", "HEAD", "ABD"][i % 3]);
        let sample = json!({
            "row": i,
            "sample": {
                "id": format!("q{i}"), "media": [{"source": {"file": "a.png"}, "name": "a.png"}],
                "question": "Is there evidence of an aortic aneurysm?", "target": {"text": [gold]},
                "group": format!("image{}", i / 5), "language": "en",
                "tags": {"answer_type": "CLOSED", "organ": organ, "question_type": "PRES"}
            }
        });
        writeln!(samples, "{sample}").unwrap();
        // Replies come grouped, so neighbours are swapped in blocks of four.
        let item = (i ^ 3).min(rows - 1);
        let reply = json!({
            "item": item, "id": format!("q{item}"),
            "outcome": {"reply": {"text": said[item % said.len()], "token_ids": [9454, 13], "stop": "end_of_turn",
                "counts": {"prompt_tokens": 285, "reused_tokens": 256, "picture_tokens": 256, "new_tokens": 2},
                "timing": {"prefill_s": 0.1, "decode_s": 0.1}}},
            "pictures": [{"width": 448, "height": 448, "origin": {"source_size": [448, 448],
                "source_from_self": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]}}]
        });
        writeln!(replies, "{reply}").unwrap();
    }
    samples.flush().unwrap();
    replies.flush().unwrap();
}

/// Highest resident memory of the process so far, where the system tells.
fn peak_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().split(' ').next()?.parse::<f64>().ok()).map_or(f64::NAN, |kib| kib / 1024.0)
}

/// CPU time of the process so far, where the system tells (ticks of 1/100 s): on a shared machine it
/// says more than the clock on the wall.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: Vec<f64> = fields.skip(11).take(2).filter_map(|t| t.parse().ok()).collect();
    if ticks.len() == 2 { (ticks[0] + ticks[1]) / 100.0 } else { f64::NAN }
}
