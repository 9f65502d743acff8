//! The program as a child under limits of memory and time.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Bounds of one process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Of its address space, in bytes (`RLIMIT_AS`).
    pub(crate) memory: u64,
    /// Of its processor time (`RLIMIT_CPU`), so that a busy machine changes no finding. Who waits without computing hangs at six
    /// times as much by the clock.
    pub(crate) time: Duration,
}

/// The signal of a process whose processor time is used up (`SIGXCPU`).
const PROCESSOR_TIME_IS_OVER: i32 = 24;

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` when it had to be killed because its time was over.
    pub(crate) status: Option<ExitStatus>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Ended {
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.and_then(|s| s.code())
    }

    /// What no input may bring about.
    pub(crate) fn fault(&self) -> Option<String> {
        let Some(status) = self.status else { return Some("it hangs".to_owned()) };
        let words = String::from_utf8_lossy(&self.stderr);
        if words.contains("panicked at") {
            return Some(format!(
                "a panic: {}",
                words.lines().find(|l| l.contains("panicked")).unwrap_or_default()
            ));
        }
        match status.code() {
            Some(0 | 1 | 2 | 75) => {}
            Some(code) => return Some(format!("exit code {code}")),
            None if status.signal() == Some(PROCESSOR_TIME_IS_OVER) => {
                return Some("it takes too much processor time".to_owned());
            }
            None => return Some(format!("killed: {status}")),
        }
        let acts = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            text.chars().any(|c| (c.is_control() && !matches!(c, '\n' | '\t' | '\r')) || c == '\u{202e}')
        };
        if acts(&self.stdout) || acts(&self.stderr) {
            return Some("control characters are printed".to_owned());
        }
        None
    }
}

fn collect(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut out = Vec::new();
        // What is printed is bounded too: more than this is not read by anybody.
        let _ = from.by_ref().take(16 << 20).read_to_end(&mut out);
        out
    })
}

/// Runs `program` with `arguments` in `folder`.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn run(
    program: &Path,
    arguments: &[String],
    folder: &Path,
    bounds: Bounds,
) -> std::io::Result<Ended> {
    let mut child = started(program, arguments, folder, bounds)?;
    let out = child.stdout.take().map(collect);
    let err = child.stderr.take().map(collect);
    let began = Instant::now();
    let status = loop {
        match child.try_wait()? {
            Some(status) => break Some(status),
            None if began.elapsed() > bounds.time * 6 => {
                child.kill()?;
                child.wait()?;
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    let join = |thread: Option<std::thread::JoinHandle<Vec<u8>>>| {
        thread.and_then(|t| t.join().ok()).unwrap_or_default()
    };
    Ok(Ended { status, stdout: join(out), stderr: join(err) })
}

/// One limit a call, as some shells take no more, and nothing without them.
const LIMITED: &str =
    "ulimit -v \"$1\" && ulimit -t \"$2\" && ulimit -c 0 && shift 2 && exec \"$@\" || exit 126";

/// The shell sets the limits, because the standard library has no call for it.
fn started(program: &Path, arguments: &[String], folder: &Path, bounds: Bounds) -> std::io::Result<Child> {
    Command::new("sh")
        .args(["-c", LIMITED, "sh"])
        .args([(bounds.memory >> 10).to_string(), bounds.time.as_secs().to_string()])
        .arg(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}
