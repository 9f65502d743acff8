//! How much memory the system gives this process. `None` where the system has no such files (Linux has them).

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// Bytes that this process can have at most, whatever others use: of the machine, of its control group, of its
/// address space (`ulimit -v`).
pub fn hard_limit() -> Option<u64> {
    let machine = read("/proc/meminfo").and_then(|text| kilobytes(&text, "MemTotal:"));
    let space = read("/proc/self/limits").and_then(|text| address_space(&text));
    let groups = each_group(|file| number(file("memory.max").or_else(|| file("memory.limit_in_bytes"))));
    machine.into_iter().chain(space).chain(groups).min()
}

/// Bytes that the system can still give this process: what is available, and what the process's control group
/// leaves of its limit.
pub fn free_memory() -> Option<u64> {
    let available = read("/proc/meminfo").and_then(|text| kilobytes(&text, "MemAvailable:"));
    let groups = each_group(|file| {
        let stat = file("memory.stat");
        left_in_group(file("memory.max"), file("memory.current"), stat.clone())
            .or_else(|| left_in_group(file("memory.limit_in_bytes"), file("memory.usage_in_bytes"), stat))
    });
    available.into_iter().chain(groups).min()
}

/// The least of `of` over the control groups of this process: version 2, whose limits hold from the root down to
/// the group; then version 1. `of` is given a reader of the group's files.
fn each_group(of: impl Fn(&dyn Fn(&str) -> Option<String>) -> Option<u64>) -> Option<u64> {
    let group = read("/proc/self/cgroup").map(|text| group(&text))?;
    let mut folders = vec!["/sys/fs/cgroup/memory".to_owned()];
    let mut path = group.as_str();
    loop {
        folders.push(format!("/sys/fs/cgroup{path}"));
        let Some((parent, _)) = path.trim_end_matches('/').rsplit_once('/') else { break };
        path = parent;
    }
    folders.iter().filter_map(|folder| of(&|name| read(&format!("{folder}/{name}")))).min()
}

fn number(text: Option<String>) -> Option<u64> {
    text?.trim().parse::<u64>().ok()
}

/// A line of /proc/meminfo, in bytes.
fn kilobytes(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|l| l.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The soft limit of the address space in /proc/self/limits; `unlimited` is none.
fn address_space(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|l| l.strip_prefix("Max address space"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The group of this process in version 2: the path of the line `0::path`; the root without one.
fn group(cgroup: &str) -> String {
    cgroup.lines().find_map(|l| l.strip_prefix("0::")).unwrap_or("/").to_owned()
}

/// What a group leaves of its limit. Pages of files that were read count as its use, but are given up first.
fn left_in_group(limit: Option<String>, used: Option<String>, stat: Option<String>) -> Option<u64> {
    // `max` is no number: no limit.
    let (limit, used) = (number(limit)?, number(used)?);
    let stat = stat.unwrap_or_default();
    let pages = stat.lines().find_map(|l| l.strip_prefix("inactive_file ")?.trim().parse::<u64>().ok());
    Some(limit.saturating_sub(used.saturating_sub(pages.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn what_there_is_is_read_as_the_system_writes_it() {
        let meminfo = "MemTotal:       24000000 kB\nMemAvailable:   1000 kB\nBuffers: 3 kB\n";
        assert_eq!(kilobytes(meminfo, "MemAvailable:"), Some(1_024_000));
        assert_eq!(kilobytes("MemTotal: 5 kB\n", "MemAvailable:"), None);
        assert_eq!(group("12:memory:/x\n0::/user.slice/a\n"), "/user.slice/a");
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max address space         3221225472           unlimited            bytes     \n";
        assert_eq!(address_space(limits), Some(3 << 30));
        assert_eq!(address_space(&limits.replace("3221225472", "unlimited ")), None);
        let left = |limit: &str, used: &str, stat: &str| {
            left_in_group(Some(limit.into()), Some(used.into()), Some(stat.into()))
        };
        assert_eq!(left("1000\n", "600\n", "anon 5\ninactive_file 100\n"), Some(500));
        assert_eq!(left("1000\n", "1600\n", ""), Some(0));
        assert_eq!(left("max\n", "600\n", ""), None);
        assert_eq!(left_in_group(None, None, None), None);
    }
}
