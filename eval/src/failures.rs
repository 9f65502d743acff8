//! Why items have no reply, commonest reasons first.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Why items have no reply: a reason with how many it kept from one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureReason {
    /// In words; of reasons that differ in numbers alone the first.
    pub reason: String,
    /// Items.
    pub n: u64,
}

/// Counts reasons; those that differ in numbers alone are one.
#[derive(Debug, Default)]
pub(crate) struct Reasons(HashMap<String, FailureReason>);

impl Reasons {
    /// Kinds of reasons that are told apart.
    const MOST: usize = 1000;
    /// Reasons that a summary names.
    const NAMED: usize = 5;

    pub(crate) fn add(&mut self, reason: &str) {
        let mut key = String::with_capacity(reason.len());
        for c in reason.chars() {
            match (c.is_ascii_digit(), key.ends_with('0')) {
                (true, true) => {}
                (true, false) => key.push('0'),
                (false, _) => key.push(c),
            }
        }
        if let Some(known) = self.0.get_mut(&key) {
            known.n += 1;
        } else if self.0.len() < Self::MOST {
            self.0.insert(key, FailureReason { reason: reason.to_owned(), n: 1 });
        }
    }

    /// The commonest, most frequent first.
    pub(crate) fn commonest(self) -> Vec<FailureReason> {
        let mut all: Vec<FailureReason> = self.0.into_values().collect();
        all.sort_by(|a, b| b.n.cmp(&a.n).then_with(|| a.reason.cmp(&b.reason)));
        all.truncate(Self::NAMED);
        all
    }
}
