//! Links of the documents lead somewhere: the file is there, and so is the heading.

use std::collections::{BTreeMap, BTreeSet};

/// Lines outside of blocks of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    })
}

/// The name by which a heading is linked to: lower case, spaces as `-`, other marks left out.
fn anchors(text: &str) -> BTreeSet<String> {
    prose(text)
        .filter_map(|line| line.strip_prefix('#'))
        .map(|line| {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// `path` seen from the folder of `file`, without `.` and `..`.
fn joined(file: &str, path: &str) -> String {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Links of documents (by path from the root) that lead nowhere; `there` says whether a path exists.
pub(crate) fn broken(documents: &BTreeMap<String, String>, there: impl Fn(&str) -> bool) -> Vec<String> {
    let anchors: BTreeMap<&str, BTreeSet<String>> =
        documents.iter().map(|(file, text)| (file.as_str(), anchors(text))).collect();
    let mut broken = Vec::new();
    for (file, text) in documents {
        let links =
            prose(text).flat_map(|line| line.split("](").skip(1)).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { file.clone() } else { joined(file, path) };
            let known =
                anchors.get(target.as_str()).is_none_or(|known| anchor.is_empty() || known.contains(anchor));
            if !known || !there(&target) {
                broken.push(format!("{file}: {link}"));
            }
        }
    }
    broken
}

#[test]
fn broken_links_are_found() {
    let documents = [
        ("README.md", "# A b, c\n[x](docs/a.md#two-words) [y](docs/b.md) [z](https://example.org) ![p](docs/p.png)"),
        ("docs/a.md", "## Two words\n```\n# no heading\n[q](none)\n```\n[r](../README.md#a-b-c) [s](#no-heading) [t](a.md#two)"),
    ]
    .map(|(file, text)| (file.to_owned(), text.to_owned()))
    .into();
    let found = broken(&documents, |path| path != "docs/b.md");
    assert_eq!(found, ["README.md: docs/b.md", "docs/a.md: #no-heading", "docs/a.md: a.md#two"]);
}
