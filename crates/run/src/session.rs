//! Who worked on a run, when and how.

use crate::shard::Shard;
use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};

/// The command that asks for something to be run, for the record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invocation {
    /// Commit of the program's source, or why it is not known; empty where nobody says.
    pub commit: String,
    /// The words of the command line, without secrets.
    pub command: Vec<String>,
}

impl Invocation {
    /// From the words of a command line: what may be a key is blotted out. That is the value of an option or of a
    /// part of an address whose name speaks of a key, token, secret or password, and what stands before the host.
    pub fn new(commit: impl Into<String>, words: impl IntoIterator<Item = String>) -> Self {
        let mut command: Vec<String> = Vec::new();
        let mut hide = false;
        for word in words {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (Some(name), Some(value)),
                _ => (Some(word.as_str()).filter(|w| w.starts_with("--")), None),
            };
            command.push(match (hide, name, value) {
                (true, None, _) => HIDDEN.to_owned(),
                (_, Some(name), Some(_)) if is_secret(name) => format!("{name}={HIDDEN}"),
                (_, Some(name), Some(value)) => format!("{name}={}", without_credentials(value)),
                _ => without_credentials(&word),
            });
            hide = value.is_none() && name.is_some_and(is_secret);
        }
        Self { commit: commit.into(), command }
    }
}

const HIDDEN: &str = "…";

/// Does a name say that its value is a secret? The name of a variable that holds one (`--judge-key-env NAME`) is
/// none.
fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    let words = ["key", "token", "secret", "password", "passwd", "credential", "auth"];
    // Options that count tokens.
    let counts = ["tokens", "env"];
    let mut parts = name.split(|c: char| !c.is_ascii_alphanumeric());
    parts.clone().any(|part| words.iter().any(|w| part.contains(w)) && !counts.contains(&part))
        && parts.all(|part| !counts.contains(&part))
}

/// An address without user and password and with the values of secret parameters blotted out; other words as
/// they are.
fn without_credentials(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else { return word.to_owned() };
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let parameter = |pair: &str| match pair.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}={HIDDEN}"),
        _ => pair.to_owned(),
    };
    let query = query.map(|q| format!("?{}", q.split('&').map(parameter).collect::<Vec<_>>().join("&")));
    format!("{scheme}://{host}{path}{}", query.unwrap_or_default())
}

/// A time that a command worked on a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Session {
    /// Version of loupe.
    pub loupe: String,
    /// Commit of its source, or why it is not known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub commit: String,
    /// The words of the command line, without secrets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Name of the machine.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// The part of the run that it worked on, where the run was made in parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// When it began, in UTC (RFC 3339).
    pub started: String,
    /// When it ended; nothing where it was killed or is still at work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// Replies that it added.
    pub answered: usize,
    /// Failures that it added.
    pub failed: usize,
}

impl Session {
    /// One that begins now.
    pub(crate) fn begin(by: &Invocation, shard: Option<Shard>) -> Self {
        Self {
            shard,
            loupe: env!("CARGO_PKG_VERSION").to_owned(),
            commit: by.commit.clone(),
            command: by.command.clone(),
            host: host(),
            started: utc(SystemTime::now()),
            ..Self::default()
        }
    }

    /// Ends now.
    pub(crate) fn end(&mut self, answered: usize, failed: usize) {
        (self.answered, self.failed) = (answered, failed);
        self.ended = Some(utc(SystemTime::now()));
    }
}

/// The machine's name, as the system gives it.
fn host() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let variable = || ["HOSTNAME", "COMPUTERNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    kernel.or_else(variable).unwrap_or_default().trim().to_owned()
}

/// A time in UTC as records have it: `2026-01-31T09:05:00Z`.
pub fn utc(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days are counted from 1 March of year 0 in eras of 400 years, so that leap days come last in their year.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_are_those_of_the_calendar() {
        let at = |s: u64| utc(UNIX_EPOCH + Duration::from_secs(s));
        // `date -u -d @N +%FT%TZ`
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_709_251_199), "2024-02-29T23:59:59Z");
        assert_eq!(at(1_735_689_600), "2025-01-01T00:00:00Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00Z");
    }

    #[test]
    fn keys_do_not_go_on_record() {
        let line = "loupe eval --max-new-tokens 64 --judge-api-key abc --hf-token=def --judge-key-env NAME --data a=b \
                    --model https://me:pw@host:8000/v1?api_key=ghi&v=2 --password --json";
        let made = Invocation::new("c0ffee", line.split_whitespace().map(str::to_owned));
        let words = made.command.join(" ");
        assert_eq!(
            words,
            "loupe eval --max-new-tokens 64 --judge-api-key … --hf-token=… --judge-key-env NAME --data a=b \
             --model https://host:8000/v1?api_key=…&v=2 --password --json"
        );
    }
}
