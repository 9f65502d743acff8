//! What the server counts, in Prometheus' text form.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper ends of the classes of durations, in seconds.
const SECONDS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0];

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is counted over the life of a server.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// Responses by route and status. Both come from small sets, never from what a client sent.
    responses: Mutex<BTreeMap<(&'static str, u16), u64>>,
    durations: Mutex<Durations>,
    pub(crate) prompt_tokens: Counter,
    pub(crate) reused_tokens: Counter,
    pub(crate) new_tokens: Counter,
    pub(crate) proposed_tokens: Counter,
    pub(crate) accepted_tokens: Counter,
    /// Asks that the model answered.
    pub(crate) answered: Counter,
    /// Asks that failed.
    pub(crate) failed: Counter,
    /// Asks that nobody waited for any more.
    pub(crate) cancelled: Counter,
    pub(crate) connections: Counter,
    /// Connections that were turned away because there were too many.
    pub(crate) turned_away: Counter,
    /// Pictures fetched from their addresses.
    pub(crate) pictures_fetched: Counter,
    pub(crate) pictures_decoded: Counter,
    /// Pictures that were in memory when they were shown again.
    pub(crate) pictures_reused: Counter,
}

#[derive(Debug, Default)]
struct Durations {
    classes: [u64; SECONDS.len()],
    count: u64,
    sum: f64,
}

/// What there is at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Census {
    /// Connections that are open.
    pub(crate) connections: usize,
    /// Requests that are read, wait, or are answered.
    pub(crate) requests: usize,
    /// Asks that wait for the model.
    pub(crate) waiting: usize,
    /// Asks that the model works on.
    pub(crate) running: usize,
    /// Bytes of decoded pictures of requests in work.
    pub(crate) picture_bytes: u64,
    /// Pictures that are known to be in memory.
    pub(crate) pictures: usize,
    /// Bytes of decoded pictures that are kept for later requests.
    pub(crate) kept_picture_bytes: u64,
}

impl Metrics {
    /// A response was given.
    pub(crate) fn responded(&self, route: &'static str, status: u16) {
        *lock(&self.responses).entry((route, status)).or_default() += 1;
    }

    /// A request was answered in full.
    pub(crate) fn took(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let mut durations = lock(&self.durations);
        durations.count += 1;
        durations.sum += seconds;
        for (class, most) in durations.classes.iter_mut().zip(SECONDS) {
            *class += u64::from(seconds <= most);
        }
    }

    /// Seconds after which a place is likely to be free: what a request took in the mean, within reason.
    pub(crate) fn retry_after(&self) -> u64 {
        let durations = lock(&self.durations);
        let mean = if durations.count == 0 { 1.0 } else { durations.sum / durations.count as f64 };
        (mean.ceil() as u64).clamp(1, 30)
    }

    /// Everything as text.
    pub(crate) fn text(&self, now: &Census, version: &str, model: &str) -> String {
        let mut out = String::new();
        let mut family = |name: &str, kind: &str, what: &str, rows: &[(String, f64)]| {
            let _ = writeln!(out, "# HELP loupe_{name} {what}\n# TYPE loupe_{name} {kind}");
            for (labels, value) in rows {
                let _ = writeln!(out, "loupe_{name}{labels} {value}");
            }
        };
        let one = |n: f64| vec![(String::new(), n)];
        let build = format!("{{version=\"{version}\",model=\"{}\"}}", escaped(model));
        family("build_info", "gauge", "Version of loupe and name of the model.", &[(build, 1.0)]);
        let gauges = [
            ("connections", "Open connections.", now.connections as f64),
            ("requests_in_progress", "Requests that are read, wait or are answered.", now.requests as f64),
            ("asks_waiting", "Asks that wait for the model.", now.waiting as f64),
            ("asks_running", "Asks that the model works on.", now.running as f64),
            ("picture_bytes", "Bytes of decoded pictures of requests in work.", now.picture_bytes as f64),
            (
                "kept_picture_bytes",
                "Bytes of decoded pictures kept for later.",
                now.kept_picture_bytes as f64,
            ),
            ("pictures_known", "Pictures that requests can share.", now.pictures as f64),
        ];
        for (name, what, value) in gauges {
            family(name, "gauge", what, &one(value));
        }
        let counters = [
            ("connections_total", "Connections taken.", &self.connections),
            ("connections_turned_away_total", "Connections above the limit.", &self.turned_away),
            ("asks_answered_total", "Asks that the model answered.", &self.answered),
            ("asks_failed_total", "Asks that failed.", &self.failed),
            ("asks_cancelled_total", "Asks that nobody waited for any more.", &self.cancelled),
            ("pictures_fetched_total", "Pictures fetched from their addresses.", &self.pictures_fetched),
            ("pictures_decoded_total", "Pictures decoded.", &self.pictures_decoded),
            (
                "pictures_reused_total",
                "Pictures that came again and were not decoded again.",
                &self.pictures_reused,
            ),
            ("prompt_tokens_total", "Tokens of prompts, pictures included.", &self.prompt_tokens),
            ("reused_tokens_total", "Prompt tokens whose computation was reused.", &self.reused_tokens),
            ("generated_tokens_total", "Tokens generated.", &self.new_tokens),
            ("proposed_tokens_total", "Tokens that prompt look-up proposed.", &self.proposed_tokens),
            ("accepted_tokens_total", "Proposed tokens that were generated.", &self.accepted_tokens),
        ];
        for (name, what, counter) in counters {
            family(name, "counter", what, &one(counter.get() as f64));
        }
        let responses: Vec<(String, f64)> = lock(&self.responses)
            .iter()
            .map(|((route, code), n)| (format!("{{route=\"{route}\",code=\"{code}\"}}"), *n as f64))
            .collect();
        family("responses_total", "counter", "Responses by route and status.", &responses);
        let durations = lock(&self.durations);
        let _ = writeln!(
            out,
            "# HELP loupe_request_seconds Seconds from the head of a request to the end of its reply.\n\
             # TYPE loupe_request_seconds histogram"
        );
        for (most, n) in SECONDS.iter().zip(durations.classes) {
            let _ = writeln!(out, "loupe_request_seconds_bucket{{le=\"{most}\"}} {n}");
        }
        let (count, sum) = (durations.count, durations.sum);
        let _ = writeln!(
            out,
            "loupe_request_seconds_bucket{{le=\"+Inf\"}} {count}\nloupe_request_seconds_sum {sum}\n\
             loupe_request_seconds_count {count}"
        );
        out
    }
}

/// The value of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
