//! A run in parts, as a scheduler's jobs make it: each part by a command of its own, then joined; and what signals do to one.

use crate::common::{bmp, loupe, text};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

fn set(dir: &Path, pictures: usize) -> String {
    let mut lines = String::new();
    for n in 0..pictures {
        let image = bmp(40 + 3 * n, 52 + 2 * n, |x, y| (x * (n + 2) + y) as u8);
        fs::write(dir.join(format!("{n}.bmp")), image).unwrap();
        for q in 0..2 {
            // The last picture is not there.
            let image = if n + 1 == pictures { "gone.bmp".to_owned() } else { format!("{n}.bmp") };
            let line = serde_json::json!({
                "id": format!("{n}-{q}"), "image": image, "question": format!("Is finding {q} present?"),
                "answer": if (n + q) % 2 == 0 { "yes" } else { "no" },
            });
            lines += &format!("{line}\n");
        }
    }
    fs::write(dir.join("data.jsonl"), lines).unwrap();
    format!("jsonl={}", dir.join("data.jsonl").display())
}

fn eval(data: &str, run: &Path, more: &[&str]) -> Output {
    let run = run.display().to_string();
    let all = ["eval", "--data", data, "-o", &run, "--max-new-tokens", "4", "--no-page"];
    loupe(&all.iter().chain(more).copied().collect::<Vec<_>>())
}

#[test]
fn merged_parts_are_the_run_that_one_machine_would_have_made() {
    let dir = tempfile::tempdir().unwrap();
    let data = set(dir.path(), 6);
    let at = |name: &str| dir.path().join(name);
    // A missing picture makes failures.
    assert_eq!(eval(&data, &at("whole"), &[]).status.code(), Some(1));
    let mut shards = Vec::new();
    for index in 1..=4 {
        let shard = at(&format!("shard{index}"));
        let out = eval(&data, &shard, &["--shard", &format!("{index}/4")]);
        assert!(matches!(out.status.code(), Some(0 | 1)), "{}", text(&out.stderr));
        assert!(!shard.join("scores.json").exists());
        shards.push(shard.display().to_string());
    }
    // Alone none of them is a run.
    for command in
        [&["score", &shards[0]][..], &["compare", &shards[0], &shards[1]], &["leaderboard", &shards[0]]]
    {
        let out = loupe(command);
        assert_eq!(out.status.code(), Some(2), "{command:?}");
        assert!(text(&out.stderr).contains("holds shard 1/4"), "{command:?}: {}", text(&out.stderr));
    }
    let merged = at("merged").display().to_string();
    let merge = |shards: &[String]| {
        let mut all = vec!["merge", "-o", &merged, "--no-page"];
        all.extend(shards.iter().map(String::as_str));
        loupe(&all)
    };
    let out = merge(&shards[1..]);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("shard 1/4 is missing"), "{}", text(&out.stderr));
    shards.reverse();
    // Again is as well.
    for _ in 0..2 {
        let out = merge(&shards);
        assert_eq!(out.status.code(), Some(1), "{}", text(&out.stderr));
        for name in ["scores.json", "summary.json"] {
            assert!(
                fs::read(at("merged").join(name)).unwrap() == fs::read(at("whole").join(name)).unwrap(),
                "{name}"
            );
        }
    }
}

#[test]
fn a_scheduler_is_believed_only_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let data = set(dir.path(), 4);
    let go = |name: &str, more: &[&str], variables: &[(&str, &str)]| {
        let run = dir.path().join(name).display().to_string();
        let all = ["eval", "--data", &data, "-o", &run, "--max-new-tokens", "2", "--no-page"];
        let mut command = Command::new(env!("CARGO_BIN_EXE_loupe"));
        command.args(all).args(more).envs(variables.iter().copied()).output().unwrap()
    };
    let array = [
        ("SLURM_ARRAY_TASK_ID", "3"),
        ("SLURM_ARRAY_TASK_MIN", "1"),
        ("SLURM_ARRAY_TASK_MAX", "3"),
        ("SLURM_ARRAY_TASK_COUNT", "2"),
    ];
    let record = |name: &str| fs::read_to_string(dir.path().join(name).join("run.json")).unwrap();
    go("plain", &[], &array);
    assert!(!record("plain").contains("\"shard\""));
    let out = go("auto", &["--shard", "auto"], &array);
    assert!(text(&out.stderr).contains("shard 2/2, taken from the Slurm array"), "{}", text(&out.stderr));
    assert!(record("auto").contains("\"shard\""));
    let out = go("none", &["--shard", "auto"], &[]);
    assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
    assert_eq!(go("wrong", &["--shard", "5/4"], &[]).status.code(), Some(2));
}

/// A signal during a run: what was in flight is finished, nothing else is begun, and the same command goes on.
#[cfg(unix)]
#[test]
fn a_signal_ends_a_run_cleanly() {
    let dir = tempfile::tempdir().unwrap();
    let data = set(dir.path(), 12);
    let whole = dir.path().join("whole");
    eval(&data, &whole, &["--batch", "1"]);
    for (signal, number) in [("TERM", 15), ("USR2", 12), ("INT", 2)] {
        let run = dir.path().join(signal);
        let words = run.display().to_string();
        let all =
            ["eval", "--data", &data, "-o", &words, "--max-new-tokens", "4", "--no-page", "--batch", "1"];
        let child =
            Command::new(env!("CARGO_BIN_EXE_loupe")).args(all).stderr(Stdio::piped()).spawn().unwrap();
        let lines = || fs::read_to_string(run.join("replies.jsonl")).unwrap_or_default().lines().count();
        let began = Instant::now();
        while lines() < 2 {
            assert!(began.elapsed() < Duration::from_secs(120), "no reply");
            std::thread::sleep(Duration::from_millis(1));
        }
        let kill = ["-s", signal, &child.id().to_string()].map(str::to_owned);
        assert!(Command::new("kill").args(kill).status().unwrap().success());
        let out = child.wait_with_output().unwrap();
        assert_eq!(out.status.code(), Some(128 + number), "{signal}: {}", text(&out.stderr));
        assert!(text(&out.stderr).contains("stopped: "), "{}", text(&out.stderr));
        let replies = fs::read_to_string(run.join("replies.jsonl")).unwrap();
        assert!(replies.ends_with('\n') && lines() < 24 && !run.join("scores.json").exists());
        eval(&data, &run, &["--batch", "1"]);
        assert!(fs::read(run.join("scores.json")).unwrap() == fs::read(whole.join("scores.json")).unwrap());
    }
}

/// Whether trying again can help is in the exit code.
#[test]
fn a_run_that_another_process_writes_to_is_for_later() {
    let dir = tempfile::tempdir().unwrap();
    let data = set(dir.path(), 3);
    let run = dir.path().join("run");
    eval(&data, &run, &[]);
    let held = fs::File::open(run.join("replies.jsonl")).unwrap();
    held.lock().unwrap();
    let out = eval(&data, &run, &[]);
    assert_eq!(out.status.code(), Some(75), "{}", text(&out.stderr));
    drop(held);
    assert_eq!(eval(&data, &run, &[]).status.code(), Some(1));
    let missing = format!("jsonl={}", dir.path().join("none.jsonl").display());
    assert_eq!(eval(&missing, &dir.path().join("none"), &[]).status.code(), Some(2));
}

/// Every command in the files for schedulers is one that the program takes, and shell scripts are shell scripts.
#[test]
fn files_for_schedulers_use_options_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = [
        "array.sbatch",
        "merge.sbatch",
        "served.sbatch",
        "indexed-job.yaml",
        "ray-serve.yaml",
        "main.nf",
        "Snakefile",
    ]
    .map(|f| root.join("docs/clusters").join(f));
    for file in files.iter().chain(&[root.join("tests/clusters/slurm.sh")]) {
        let script = fs::read_to_string(file).unwrap().replace("\\\n", " ").replace("\"$loupe\"", "loupe");
        let mut seen = 0;
        for command in ["eval", "merge"] {
            let help = text(&loupe(&[command, "--help"]).stdout);
            let known =
                |option: &str| help.split_whitespace().any(|word| word.trim_end_matches(',') == option);
            for line in script.lines().filter_map(|line| line.split_once(&format!("loupe {command} "))) {
                let words = line.1.split(|c: char| c.is_whitespace() || "'\"|&".contains(c));
                for option in words.filter(|word| word.starts_with("--") || *word == "-o") {
                    assert!(known(option), "{}: loupe {command} has no {option}", file.display());
                    seen += 1;
                }
            }
        }
        assert!(seen > 0, "{}", file.display());
        #[cfg(unix)]
        if file.extension().is_some_and(|e| e == "sbatch" || e == "sh") {
            assert!(
                Command::new("bash").arg("-n").arg(file).status().unwrap().success(),
                "{}",
                file.display()
            );
        }
    }
}

/// What could not be written is never a success.
#[cfg(target_os = "linux")]
#[test]
fn a_line_that_cannot_be_written_ends_with_an_error() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let status =
        Command::new(env!("CARGO_BIN_EXE_loupe")).args(["list", "datasets"]).stdout(full).status().unwrap();
    assert_eq!(status.code(), Some(2));
    let mut child = Command::new(env!("CARGO_BIN_EXE_loupe"));
    let mut child = child.args(["list", "datasets"]).stdout(Stdio::piped()).spawn().unwrap();
    // The reader leaves before anything is written, or after what a pipe holds.
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(141));
}
