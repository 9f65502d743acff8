//! A process that is killed, not one that ends: what it had answered is in the folder.

use crate::{plan, said, with_pictures};
use loupe_core::{AskSource, ModelInfo, Reply, ReplySink, VisionLanguageModel};
use loupe_run::ReplyLine;
use loupe_testing::{Held, QuestionSet, scratch, script_info};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const DIR: &str = "LOUPE_TEST_KILLED_RUN";
/// Prompts held at a time.
const ROOM: usize = 3;

/// Writes down each answer in a file of its own before it gives it, and takes its time.
struct Diary {
    info: ModelInfo,
    file: PathBuf,
}

impl VisionLanguageModel for Diary {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn serve(&mut self, asks: &mut dyn AskSource, replies: &mut dyn ReplySink) {
        let mut diary = OpenOptions::new().create(true).append(true).open(&self.file).unwrap();
        let mut held = Held::new(ROOM);
        while held.fill(asks) {
            let (id, ask) = held.asks.pop_back().unwrap();
            std::thread::sleep(Duration::from_millis(3));
            diary.write_all(b".").unwrap();
            replies.done(id, Ok(Reply::from_text(ask.turns.last().unwrap().words())));
        }
    }
}

fn diary(dir: &Path) -> PathBuf {
    dir.join("diary")
}

fn answer_all(dir: &Path) {
    let mut model = Diary { info: script_info("diary"), file: diary(dir) };
    with_pictures(&dir.join("run"), &QuestionSet::new(120), &plan(16), &mut model);
}

/// The process that is killed: nothing unless the test below starts it.
#[test]
fn the_process_to_kill() {
    if let Some(dir) = std::env::var_os(DIR) {
        answer_all(Path::new(&dir));
    }
}

#[test]
fn killing_a_process_at_any_moment_loses_at_most_what_was_in_flight() {
    let whole = scratch();
    answer_all(whole.path());
    let dir = scratch();
    let run = dir.path().join("run");
    let mut kills = 0;
    loop {
        let answered = || fs::metadata(diary(dir.path())).map_or(0, |m| m.len());
        let before = answered();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::the_process_to_kill"])
            .env(DIR, dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Killed a little later each time, within a prompt or between two.
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if answered() > before + 11 {
                std::thread::sleep(Duration::from_micros(700 * (kills % 5)));
                break None;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        child.kill().unwrap();
        child.wait().unwrap();
        let text = fs::read_to_string(run.join("replies.jsonl")).unwrap_or_default();
        let complete = &text[..text.rfind('\n').map_or(0, |at| at + 1)];
        let lines: Vec<ReplyLine> = complete.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        // Every kill may have lost the one answer that was on its way to the disk.
        assert!(lines.len() as u64 + kills + 1 >= answered(), "{} of {}", lines.len(), answered());
        if ended.is_some_and(|status| status.success()) {
            assert_eq!(lines.len(), 120);
            break;
        }
        kills += 1;
        assert!(kills < 40, "no progress");
    }
    assert!(kills >= 5, "{kills}");
    assert!(said(&run) == said(&whole.path().join("run")));
}

#[test]
fn what_a_kill_left_half_written_goes_even_when_nothing_is_left_to_do() {
    let whole = scratch();
    answer_all(whole.path());
    let left =
        ["run.json", "samples.jsonl"].map(|name| whole.path().join("run").join(format!(".{name}.part")));
    left.iter().for_each(|file| fs::write(file, "{").unwrap());
    answer_all(whole.path());
    assert!(left.iter().all(|file| !file.exists()));
}
