//! Who reads which case when: every order comes from the seed alone, the same on every machine.
//!
//! Things are put in order by the SHA-256 of `loupe-order/1`, what is ordered, the seed, the reader, the session and the name of
//! each thing, joined by zero bytes. So an order does not depend on a generator, and a case that is added or taken away leaves
//! the others as they were among themselves.

use crate::design::{ArmOrder, Design};
use crate::error::StudyError;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What is done with a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// It is read in this arm.
    Arm(usize),
    /// The arms of this pair are compared; `flipped` shows the second on the left.
    Pair {
        /// Number of the pair.
        pair: usize,
        /// Is the second on the left?
        flipped: bool,
    },
}

/// One page turn of a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Session, from 1.
    pub session: usize,
    /// Number of the case.
    pub case: usize,
    /// What is done.
    pub task: Task,
    /// Was this done by this reader before?
    pub repeat: bool,
    /// Is it for training, and not counted?
    pub training: bool,
}

/// What the order depends on.
#[derive(Debug, Clone, Copy)]
pub struct CaseEntry<'a> {
    /// Name of the case.
    pub name: &'a str,
    /// For training?
    pub training: bool,
}

/// How many orders are tried for one that no other reader has.
const TRIES: u32 = 1000;

/// Where the order of a thing comes from.
struct Seeded<'a> {
    seed: u64,
    reader: &'a str,
    session: usize,
    attempt: u32,
}

impl Seeded<'_> {
    fn key(&self, what: &str, name: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        let numbers = [self.seed.to_string(), self.session.to_string(), self.attempt.to_string()];
        let [seed, session, attempt] = &numbers;
        for part in ["loupe-order/1", what, seed, self.reader, session, attempt, name] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        hash.finalize().into()
    }

    /// Cases in the order of `what`.
    fn sorted(&self, what: &str, cases: &[CaseEntry<'_>], training: bool) -> Vec<usize> {
        let mut all: Vec<usize> =
            (0..cases.len()).filter(|n| cases.get(*n).is_some_and(|c| c.training == training)).collect();
        all.sort_by_cached_key(|n| self.key(what, cases[*n].name));
        all
    }
}

/// The steps of each reader, in the order of the design's readers.
///
/// # Errors
/// When there are fewer orders than readers, or no room for the gaps that were asked for.
pub fn allocate(design: &Design, cases: &[CaseEntry<'_>]) -> Result<Vec<Vec<Step>>, StudyError> {
    let counted = cases.iter().filter(|c| !c.training).count();
    if counted == 0 {
        return Err(StudyError::design("there is no case besides those for training"));
    }
    let mut taken: Vec<Vec<Vec<usize>>> = vec![Vec::new(); design.sessions()];
    let mut all = Vec::new();
    for (number, reader) in design.readers.iter().enumerate() {
        let mut steps = training(design, reader, cases);
        for session in 1..=design.sessions() {
            let found = (0..TRIES).find_map(|attempt| {
                let seeded = Seeded { seed: design.study.seed, reader, session, attempt };
                let made = session_steps(design, cases, &seeded, number);
                match made {
                    Ok(made) => {
                        let order: Vec<usize> = made.iter().map(|s| s.case).collect();
                        let new = !taken[session - 1].contains(&order);
                        new.then(|| {
                            taken[session - 1].push(order);
                            Ok(made)
                        })
                    }
                    Err(e) => Some(Err(e)),
                }
            });
            let made = found.ok_or_else(|| {
                StudyError::design(format!(
                    "{} cases do not have an order of their own for each of {} readers; add cases",
                    counted,
                    design.readers.len()
                ))
            })?;
            steps.extend(made?);
        }
        all.push(steps);
    }
    Ok(all)
}

/// The cases for training, once each, in the last arm or as the first pair: what shows most.
fn training(design: &Design, reader: &str, cases: &[CaseEntry<'_>]) -> Vec<Step> {
    let seeded = Seeded { seed: design.study.seed, reader, session: 0, attempt: 0 };
    let task = match design.pairs.is_empty() {
        true => Task::Arm(design.arms.len() - 1),
        false => Task::Pair { pair: 0, flipped: false },
    };
    let step = |case| Step { session: 1, case, task, repeat: false, training: true };
    seeded.sorted("training", cases, true).into_iter().map(step).collect()
}

fn session_steps(
    design: &Design,
    cases: &[CaseEntry<'_>],
    seeded: &Seeded<'_>,
    reader: usize,
) -> Result<Vec<Step>, StudyError> {
    let order = seeded.sorted("cases", cases, false);
    let step = |case, task| Step { session: seeded.session, case, task, repeat: false, training: false };
    let arms = design.arms.len();
    let (gap, asked) = match design.study.min_gap {
        Some(gap) => (gap, true),
        None => ((order.len() / 2).min(5), false),
    };
    let mut steps: Vec<Step> = if !design.pairs.is_empty() {
        let mixed = |pair: usize| {
            let flips = flips(design, cases, seeded.reader, pair);
            order.iter().map(move |case| step(*case, Task::Pair { pair, flipped: flips.contains(case) }))
        };
        spaced((0..design.pairs.len()).flat_map(mixed).collect(), seeded, cases, gap)?
    } else if design.study.order == ArmOrder::Sequential {
        order.iter().flat_map(|case| (0..arms).map(move |arm| step(*case, Task::Arm(arm)))).collect()
    } else if design.sessions() > 1 {
        let whole = Seeded { seed: seeded.seed, reader: "", session: 0, attempt: 0 };
        let blocks = whole.sorted("blocks", cases, false);
        let block = |case: usize| blocks.iter().position(|c| *c == case).unwrap_or(0) % arms;
        let arm = |case: usize| (block(case) + seeded.session + reader) % arms;
        order.iter().map(|case| step(*case, Task::Arm(arm(*case)))).collect()
    } else {
        let all = (0..arms).flat_map(|arm| order.iter().map(move |case| step(*case, Task::Arm(arm))));
        spaced(all.collect(), seeded, cases, gap)?
    };
    if seeded.session == 1 && design.study.repeats > 0.0 {
        let gap = if asked { gap } else { gap.min(steps.len() / 2) };
        repeat(&mut steps, design.study.repeats, gap, seeded, cases)?;
    }
    Ok(steps)
}

/// Cases whose second arm is on the left: half of them, others for each reader.
fn flips(design: &Design, cases: &[CaseEntry<'_>], reader: &str, pair: usize) -> Vec<usize> {
    let seeded = Seeded { seed: design.study.seed, reader, session: 0, attempt: 0 };
    let mut order = seeded.sorted(&format!("sides {pair}"), cases, false);
    // Of an odd number the one in the middle falls to either half.
    let odd = order.len() % 2 == 1 && seeded.key("odd", reader)[0] % 2 == 1;
    order.truncate(order.len() / 2 + usize::from(odd));
    order
}

/// The steps by their keys, with at least `gap` others between two of the same case.
fn spaced(
    mut steps: Vec<Step>,
    seeded: &Seeded<'_>,
    cases: &[CaseEntry<'_>],
    gap: usize,
) -> Result<Vec<Step>, StudyError> {
    let word = |task: Task| match task {
        Task::Arm(arm) => format!("arm {arm}"),
        Task::Pair { pair, .. } => format!("pair {pair}"),
    };
    steps.sort_by_cached_key(|s| seeded.key(&word(s.task), cases[s.case].name));
    let mut done: Vec<Step> = Vec::with_capacity(steps.len());
    while !steps.is_empty() {
        let recent = &done[done.len().saturating_sub(gap)..];
        let left = |case: usize| steps.iter().filter(|s| s.case == case).count();
        // Cases with most readings left come first, so that none is left over at the end.
        let free = steps.iter().enumerate().filter(|(_, s)| recent.iter().all(|r| r.case != s.case));
        let next = free.max_by_key(|(n, s)| (left(s.case), std::cmp::Reverse(*n))).map(|(n, _)| n);
        let Some(next) = next else {
            return Err(StudyError::design(format!(
                "`min_gap` of {gap} leaves no order for so few cases; lower it"
            )));
        };
        done.push(steps.remove(next));
    }
    Ok(done)
}

/// Puts a share of the cases in again, at least `gap` steps later.
fn repeat(
    steps: &mut Vec<Step>,
    share: f64,
    gap: usize,
    seeded: &Seeded<'_>,
    cases: &[CaseEntry<'_>],
) -> Result<(), StudyError> {
    let n = (share * steps.len() as f64).round() as usize;
    let mut chosen: Vec<(usize, Step)> =
        steps.iter().copied().enumerate().filter(|(at, _)| at + gap < steps.len()).collect();
    chosen.sort_by_cached_key(|(_, s)| seeded.key("repeats", cases[s.case].name));
    if chosen.len() < n {
        return Err(StudyError::design(format!(
            "there is no room to repeat {n} of {} readings with `min_gap` of {gap}; lower one of them",
            steps.len()
        )));
    }
    for (_, step) in chosen.into_iter().take(n) {
        let is = |s: &Step| s.case == step.case && s.task == step.task && !s.repeat;
        let first = steps.iter().position(is).unwrap_or(0);
        let places = steps.len() - (first + gap);
        let key = seeded.key("repeated", cases[step.case].name);
        let drawn = u64::from_le_bytes([key[0], key[1], key[2], key[3], key[4], key[5], key[6], key[7]]);
        let at = first + gap + 1 + (drawn % places as u64) as usize;
        steps.insert(at.min(steps.len()), Step { repeat: true, ..step });
    }
    Ok(())
}
