//! Attacks the built program, process by process: `cargo run -p attack -- --minutes 120`.
//!
//! Each round makes one broken input out of a good one (a file, a checkpoint, a template, a data set, a run folder),
//! runs one command on it under limits of memory and time, and looks at how it ended. What no input may bring about is
//! a panic, a signal, a hang, control characters on the terminal, and a changed run folder that is believed. Findings
//! are kept with their seeds; a round is the same for the same seed.

#![allow(clippy::print_stdout, reason = "it is a program of its own, for developers")]

mod child;
mod mutate;
mod rng;
mod targets;

use child::{Bounds, Ended};
use rng::Rng;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use targets::{Seeds, TARGETS, Target};

const HELP: &str = "\
cargo run -p attack -- [OPTIONS]
  --minutes N      how long; 1 when not given
  --rounds N       or how many rounds
  --seed N         seed of the first round; the others count on. The time of day when not given
  --only WORD      only kinds of input whose name has the word
  --binary FILE    the program; `loupe` beside this one when not given
  --keep DIR       where inputs that do harm are kept; `attack-findings` when not given
  --memory MB      address space of each process; 3072 when not given
  --seconds N      processor time of each process; 10 when not given";

struct Options {
    minutes: f64,
    rounds: u64,
    seed: u64,
    only: String,
    binary: PathBuf,
    keep: PathBuf,
    bounds: Bounds,
}

impl Options {
    fn read() -> Result<Self, String> {
        let beside = std::env::current_exe().map_err(|e| e.to_string())?.with_file_name("loupe");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let mut options = Self {
            minutes: 1.0,
            rounds: u64::MAX,
            seed: now.map_or(1, |t| t.as_secs()),
            only: String::new(),
            binary: beside,
            keep: "attack-findings".into(),
            bounds: Bounds { memory: 3 << 30, time: Duration::from_secs(10) },
        };
        let mut given = std::env::args().skip(1);
        while let Some(name) = given.next() {
            let mut value = || given.next().ok_or(format!("{name} needs a value\n{HELP}"));
            let number = |text: String| text.parse::<u64>().map_err(|e| format!("{name}: {e}"));
            match name.as_str() {
                "--minutes" => options.minutes = value()?.parse().map_err(|e| format!("{name}: {e}"))?,
                "--rounds" => options.rounds = number(value()?)?,
                "--seed" => options.seed = number(value()?)?,
                "--only" => options.only = value()?,
                "--binary" => options.binary = value()?.into(),
                "--keep" => options.keep = value()?.into(),
                "--memory" => options.bounds.memory = number(value()?)? << 20,
                "--seconds" => options.bounds.time = Duration::from_secs(number(value()?)?),
                _ => return Err(HELP.to_owned()),
            }
        }
        options.binary = fs::canonicalize(&options.binary)
            .map_err(|e| format!("{}: {e}; build it first", options.binary.display()))?;
        Ok(options)
    }
}

/// What happened to one kind of input.
#[derive(Default)]
struct Tally {
    rounds: u64,
    /// By exit code; `None` is a signal or the end of the time.
    codes: BTreeMap<Option<i32>, u64>,
    slowest: Duration,
    findings: u64,
}

/// A finished run to break: made once, by the program itself.
fn prepare(options: &Options, seeds: &Seeds, dir: &Path) -> Result<(), String> {
    let lines = seeds.small_set(dir).map_err(|e| e.to_string())?;
    fs::write(dir.join("a.jsonl"), lines).map_err(|e| e.to_string())?;
    for arguments in [
        "eval --data jsonl=a.jsonl -o run --max-new-tokens 4 --quiet --no-page",
        "score run --no-page --quiet",
    ] {
        let arguments: Vec<String> = arguments.split(' ').map(str::to_owned).collect();
        let bounds = Bounds { time: Duration::from_secs(300), ..options.bounds };
        let ended = child::run(&options.binary, &arguments, dir, bounds).map_err(|e| e.to_string())?;
        if ended.code() != Some(0) {
            let words = String::from_utf8_lossy(&ended.stderr).into_owned();
            return Err(format!("the program does not do its ordinary work: {words}"));
        }
    }
    Ok(())
}

/// One round; what was found wrong.
fn attack(
    options: &Options,
    target: &Target,
    seeds: &Seeds,
    seed: u64,
    tally: &mut Tally,
) -> Result<Option<String>, std::io::Error> {
    let dir = tempfile::tempdir()?;
    let attack = (target.make)(dir.path(), seeds, &mut Rng::new(seed))?;
    let began = Instant::now();
    let ended: Ended = child::run(&options.binary, &attack.arguments, dir.path(), options.bounds)?;
    tally.slowest = tally.slowest.max(began.elapsed());
    tally.rounds += 1;
    *tally.codes.entry(ended.code()).or_default() += 1;
    let Some(fault) = ended.fault().or_else(|| (attack.judge)(dir.path(), &ended, seeds)) else {
        return Ok(None);
    };
    tally.findings += 1;
    let kept = options.keep.join(format!("{}-{seed}", target.name.replace([' ', '\''], "-")));
    fs::create_dir_all(&options.keep)?;
    let _ = fs::remove_dir_all(&kept);
    // Moved, or copied where it lies on another disk.
    let from = dir.keep();
    if fs::rename(&from, &kept).is_err() {
        std::process::Command::new("cp").arg("-r").arg(&from).arg(&kept).status()?;
        fs::remove_dir_all(&from)?;
    }
    let mut report =
        fs::OpenOptions::new().create(true).append(true).open(options.keep.join("findings.jsonl"))?;
    let line = json!({
        "seed": seed, "kind": target.name, "fault": fault, "arguments": attack.arguments,
        "folder": kept.display().to_string(),
        "stderr": String::from_utf8_lossy(&ended.stderr).chars().take(2000).collect::<String>(),
    });
    writeln!(report, "{line}")?;
    Ok(Some(fault))
}

fn main() -> ExitCode {
    let options = match Options::read() {
        Ok(options) => options,
        Err(words) => {
            println!("{words}");
            return ExitCode::from(2);
        }
    };
    match campaign(&options) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(words) => {
            println!("{words}");
            ExitCode::from(2)
        }
    }
}

fn campaign(options: &Options) -> Result<u64, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let base = tempfile::tempdir().map_err(|e| e.to_string())?;
    let seeds =
        Seeds::find(&root, base.path().join("run")).map_err(|e| format!("the project's files: {e}"))?;
    prepare(options, &seeds, base.path())?;
    let targets: Vec<&Target> = TARGETS.iter().filter(|t| t.name.contains(&options.only)).collect();
    if targets.is_empty() {
        return Err(format!("no kind of input is called {:?}", options.only));
    }
    let mut tallies: Vec<Tally> = targets.iter().map(|_| Tally::default()).collect();
    let (began, end) = (Instant::now(), Duration::from_secs_f64(options.minutes * 60.0));
    let mut seed = options.seed;
    while began.elapsed() < end && seed - options.seed < options.rounds {
        let at = (seed % targets.len() as u64) as usize;
        match attack(options, targets[at], &seeds, seed, &mut tallies[at]) {
            Ok(None) => {}
            Ok(Some(fault)) => println!("seed {seed}, {}: {fault}", targets[at].name),
            Err(error) => return Err(format!("seed {seed}, {}: {error}", targets[at].name)),
        }
        seed += 1;
    }
    println!(
        "\n{} rounds in {:.0} s from seed {}; {} MB and {} s a process",
        seed - options.seed,
        began.elapsed().as_secs_f64(),
        options.seed,
        options.bounds.memory >> 20,
        options.bounds.time.as_secs()
    );
    println!(
        "| input | rounds | done | failures on record | refused | slowest | findings |\n|---|---|---|---|---|---|---|"
    );
    for (target, tally) in targets.iter().zip(&tallies) {
        let code = |n: i32| tally.codes.get(&Some(n)).copied().unwrap_or(0);
        println!(
            "| {} | {} | {} | {} | {} | {:.1} s | {} |",
            target.name,
            tally.rounds,
            code(0),
            code(1),
            code(2),
            tally.slowest.as_secs_f64(),
            tally.findings
        );
    }
    Ok(tallies.iter().map(|t| t.findings).sum())
}
