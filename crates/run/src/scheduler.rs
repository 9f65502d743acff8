//! Which part of a run a scheduler has given to this process, read from the environment, and only on request: an array of
//! jobs may just as well be one over models or sets.

use crate::shard::{Shard, ShardError};

/// A part and where it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledShard {
    /// The part.
    pub shard: Shard,
    /// Which variables said so, in words for people.
    pub from: String,
}

/// Variables of the environment by name.
type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The part that the scheduler names. Asked are, in this order, a Slurm array, a Slurm step of several tasks, a Kubernetes indexed job (which does
/// not say how many parts there are: `count` does) and torchrun. `count` must fit what the scheduler says, where both are known.
///
/// # Errors
/// When no scheduler is there, or its numbers make no parts of 1 to n.
pub fn scheduled_shard(variables: Variables<'_>, count: Option<usize>) -> Result<ScheduledShard, ShardError> {
    let found = match () {
        () if variables("SLURM_ARRAY_TASK_ID").is_some() => slurm_array(variables)?,
        () if variables("SLURM_PROCID").is_some() => {
            ranked(variables, "a Slurm step", "SLURM_PROCID", "SLURM_NTASKS")?
        }
        () if variables("JOB_COMPLETION_INDEX").is_some() => indexed_job(variables, count)?,
        () if variables("RANK").is_some() => ranked(variables, "torchrun", "RANK", "WORLD_SIZE")?,
        () => {
            return Err(refused(
                "auto finds no scheduler: none of SLURM_ARRAY_TASK_ID, SLURM_PROCID, JOB_COMPLETION_INDEX and RANK is set; name the part as i/n",
            ));
        }
    };
    match count {
        Some(count) if count != found.shard.count => Err(refused(format!(
            "{} has {} parts, --shards says {count}; to repeat one part of a run name it as i/{count}",
            found.from, found.shard.count
        ))),
        _ => Ok(found),
    }
}

fn refused(problem: impl Into<String>) -> ShardError {
    ShardError(problem.into())
}

/// The whole number in a variable.
fn number(variables: Variables<'_>, name: &str) -> Result<usize, ShardError> {
    let text = variables(name)
        .ok_or_else(|| refused(format!("auto needs the variable {name}, which is not set")))?;
    text.trim().parse().map_err(|_| refused(format!("the variable {name} is {text:?}, not a whole number")))
}

/// The ids of an array may begin anywhere and go in steps; a list of its own (`--array=0,5,9`) does not say which place an id has.
fn slurm_array(variables: Variables<'_>) -> Result<ScheduledShard, ShardError> {
    let of = |name: &str| number(variables, name);
    let (id, first, last) =
        (of("SLURM_ARRAY_TASK_ID")?, of("SLURM_ARRAY_TASK_MIN")?, of("SLURM_ARRAY_TASK_MAX")?);
    let count = of("SLURM_ARRAY_TASK_COUNT")?;
    if count == 1 {
        return Err(refused(
            "the Slurm array has one task: one task of a larger array is repeated with `scontrol requeue JOB_TASK`, or by naming its part as i/n",
        ));
    }
    let gaps = count.saturating_sub(1);
    let even = |span: &usize| *span > 0 && gaps > 0 && span.is_multiple_of(gaps);
    let step = last.checked_sub(first).filter(even).map(|span| span / gaps);
    let place = step.and_then(|step| {
        let behind = id.checked_sub(first).filter(|n| n.is_multiple_of(step) && n / step < count)?;
        Some((step, behind / step))
    });
    let Some((step, place)) = place else {
        return Err(refused(format!(
            "the {count} tasks of the Slurm array from {first} to {last} are not evenly spaced, so that the place of task {id} is not known; name the part as i/n"
        )));
    };
    let shard = Shard::new(place + 1, count)?;
    let steps = if step > 1 { format!(" in steps of {step}") } else { String::new() };
    Ok(ScheduledShard {
        shard,
        from: format!("the Slurm array {first}–{last}{steps} (SLURM_ARRAY_TASK_ID {id})"),
    })
}

fn indexed_job(variables: Variables<'_>, count: Option<usize>) -> Result<ScheduledShard, ShardError> {
    let at = number(variables, "JOB_COMPLETION_INDEX")?;
    let count = count.ok_or_else(|| {
        refused("a Kubernetes indexed job does not say how many parts there are; --shards N does (completions of the job)")
    })?;
    let shard = Shard::new(at.saturating_add(1), count)?;
    Ok(ScheduledShard { shard, from: format!("a Kubernetes indexed job (JOB_COMPLETION_INDEX {at})") })
}

fn ranked(variables: Variables<'_>, who: &str, rank: &str, size: &str) -> Result<ScheduledShard, ShardError> {
    let (at, count) = (number(variables, rank)?, number(variables, size)?);
    let shard = Shard::new(at.saturating_add(1), count)?;
    Ok(ScheduledShard { shard, from: format!("{who} ({rank} {at}, {size} {count})") })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    fn of(set: &[(&str, &str)], count: Option<usize>) -> Result<(usize, usize, String), String> {
        let variables = |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        let found = scheduled_shard(&variables, count).map_err(|e| e.to_string())?;
        Ok((found.shard.index, found.shard.count, found.from))
    }

    fn array<'a>(id: &'a str, first: &'a str, last: &'a str, count: &'a str) -> [(&'static str, &'a str); 6] {
        [
            ("SLURM_ARRAY_TASK_ID", id),
            ("SLURM_ARRAY_TASK_MIN", first),
            ("SLURM_ARRAY_TASK_MAX", last),
            ("SLURM_ARRAY_TASK_COUNT", count),
            // Every job of Slurm has these too.
            ("SLURM_PROCID", "0"),
            ("SLURM_NTASKS", "1"),
        ]
    }

    #[test]
    fn each_scheduler_says_which_part_it_gave() {
        let (index, count, from) = of(&array("5", "1", "7", "4"), None).unwrap();
        assert_eq!((index, count), (3, 4));
        assert!(from.contains("SLURM_ARRAY_TASK_ID 5") && from.contains("steps of 2"), "{from}");
        assert_eq!(of(&array("0", "0", "3", "4"), Some(4)).unwrap().0, 1);
        let step = of(&[("SLURM_PROCID", "3"), ("SLURM_NTASKS", "4")], None).unwrap();
        assert_eq!((step.0, step.1), (4, 4));
        let job = of(&[("JOB_COMPLETION_INDEX", "0"), ("RANK", "9"), ("WORLD_SIZE", "10")], Some(3)).unwrap();
        assert_eq!((job.0, job.1), (1, 3));
        let torch = of(&[("RANK", "1"), ("WORLD_SIZE", "2")], None).unwrap();
        assert_eq!((torch.0, torch.1), (2, 2));
        assert!(torch.2.contains("WORLD_SIZE 2"), "{}", torch.2);
    }

    #[test]
    fn numbers_that_make_no_part_are_refused() {
        let why = |set: &[(&str, &str)], count| of(set, count).unwrap_err();
        assert!(why(&[], None).contains("finds no scheduler"));
        assert!(why(&array("5", "0", "9", "3"), None).contains("not evenly spaced")); // 0, 5, 9
        assert!(why(&array("3", "3", "3", "1"), None).contains("one task"));
        assert!(why(&array("8", "1", "7", "4"), None).contains("not evenly spaced"));
        assert!(why(&array("1", "7", "1", "4"), None).contains("not evenly spaced"));
        assert!(why(&array("x", "1", "7", "4"), None).contains("SLURM_ARRAY_TASK_ID"));
        assert!(why(&array("1", "1", "4", "4"), Some(8)).contains("--shards says 8"));
        assert!(why(&[("SLURM_ARRAY_TASK_ID", "1")], None).contains("SLURM_ARRAY_TASK_MIN"));
        assert!(why(&[("JOB_COMPLETION_INDEX", "0")], None).contains("--shards"));
        assert!(why(&[("JOB_COMPLETION_INDEX", "4")], Some(4)).contains("no part 5 of 4"));
        assert!(why(&[("RANK", "2"), ("WORLD_SIZE", "2")], None).contains("no part 3 of 2"));
        assert!(why(&[("SLURM_PROCID", "0")], None).contains("SLURM_NTASKS"));
    }
}
