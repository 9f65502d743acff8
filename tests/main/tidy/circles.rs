//! No circle of files inside a crate: a file must not need, directly or through others, a file that needs it.
//!
//! An arrow is a path (`use` or written out) that begins with `crate`, `super`, `self` or a name known in
//! its module, from the file it stands in to the file that defines what it names; re-exports are followed.
//! `mod x;` is no arrow, nor is a re-export by itself: only its use in the same file is.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{closing, tokens, without_tests};

/// A path as written, with the names of the module it stands in.
#[derive(Clone, Debug)]
struct Written {
    path: Vec<String>,
    module: Vec<String>,
}

#[derive(Default, Debug)]
struct Module {
    file: String,
    definitions: BTreeSet<String>,
    /// Names that `use` makes known here, and whether it is a re-export.
    bound: BTreeMap<String, (Vec<String>, bool)>,
    /// Where `*` takes names from, and whether it is a re-export.
    globs: Vec<(Vec<String>, bool)>,
    /// Paths of two or more names outside of `use`.
    paths: Vec<Written>,
    /// Names on their own outside of `use`.
    names: BTreeSet<String>,
}

/// The modules of one crate by their path from its root.
type Modules = BTreeMap<Vec<String>, Module>;

/// From file to file, with the names that need it.
pub(crate) type Arrows = BTreeMap<(String, String), BTreeSet<String>>;

#[derive(Debug, PartialEq)]
enum Target {
    Item { file: String, name: String },
    Module(Vec<String>),
    Outside,
}

/// `a/b.rs` is module `a::b`, `a/mod.rs` is `a`, `lib.rs` and `main.rs` are the root.
fn module_path(file: &str) -> Vec<String> {
    let mut path: Vec<String> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    let last = path.last().map(String::as_str);
    if last == Some("mod") || path.len() == 1 && matches!(last, Some("lib" | "main")) {
        path.pop();
    }
    path
}

/// Arrows between the files of a crate, given as (path from its source folder, text).
pub(crate) fn arrows(files: &BTreeMap<String, String>) -> Arrows {
    let mut words = BTreeMap::new();
    let mut tests = BTreeSet::new();
    for (file, text) in files {
        let (kept, modules) = without_tests(&tokens(text), text);
        for module in modules {
            let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
            match module.path {
                Some(path) => tests.insert(module_path(format!("{folder}/{path}").trim_start_matches('/'))),
                None => tests.insert([module_path(file), vec![module.name]].concat()),
            };
        }
        words.insert(file, kept);
    }
    let mut modules = Modules::new();
    for (file, words) in &words {
        let path = module_path(file);
        if !tests.iter().any(|test| path.starts_with(test)) {
            read(words, path, file, &mut modules);
        }
    }
    let mut found = Arrows::new();
    for (path, module) in &modules {
        let mut add = |target: Option<Target>| {
            if let Some(Target::Item { file, name }) = target
                && file != module.file
            {
                found.entry((module.file.clone(), file)).or_default().insert(name);
            }
        };
        for (name, (target, public)) in &module.bound {
            if !public || module.names.contains(name) {
                add(resolve(&modules, path, target, 0));
            }
        }
        for written in &module.paths {
            add(resolve(&modules, &written.module, &written.path, 0));
        }
        for (glob, public) in &module.globs {
            match resolve(&modules, path, glob, 0) {
                Some(Target::Module(from)) => {
                    let known = |name: &&String| !module.knows(name) && modules[&from].knows(name);
                    for name in module.names.iter().filter(known) {
                        add(inside(&modules, &from, std::slice::from_ref(name), 0));
                    }
                }
                variants if !public => add(variants),
                _ => {}
            }
        }
    }
    found
}

/// Reads the words of a module (a file or a block) into `modules`.
fn read(words: &[String], path: Vec<String>, file: &str, modules: &mut Modules) {
    let mut module = Module { file: file.to_owned(), ..Module::default() };
    let word = |i: usize| words.get(i).map_or("", String::as_str);
    let (mut i, mut depth) = (0, 0_usize);
    while i < words.len() {
        match word(i) {
            "use" if word(i + 1) != "<" => {
                let end = (i..words.len()).find(|&j| word(j) == ";").unwrap_or(words.len());
                let public = i > 0 && matches!(word(i - 1), "pub" | ")");
                tree(&words[i + 1..end], &[], public, &mut module);
                i = end;
            }
            "mod" if word(i + 2) == "{" => {
                let end = closing(words, i + 2);
                let child = [path.clone(), vec![word(i + 1).to_owned()]].concat();
                read(&words[i + 3..end], child, file, modules);
                i = end;
            }
            "mod" if word(i + 2) == ";" => i += 2,
            "const" if matches!(word(i + 1), "fn" | "unsafe" | "{") => {}
            "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union" if depth == 0 => {
                module.definitions.insert(word(i + 1).to_owned());
                i += 1;
            }
            "macro_rules" => {
                module.definitions.insert(word(i + 2).to_owned());
                i += 2;
            }
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            first if first.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                let mut names = vec![first.to_owned()];
                let fresh = i == 0 || !matches!(word(i - 1), "." | "::");
                while word(i + 1) == "::" && word(i + 2).starts_with(|c: char| c.is_alphabetic() || c == '_')
                {
                    names.push(word(i + 2).to_owned());
                    i += 2;
                }
                if fresh {
                    module.names.insert(names[0].clone());
                    if names.len() > 1 {
                        module.paths.push(Written { path: names, module: path.clone() });
                    }
                }
            }
            _ => {}
        }
        i += 1;
    }
    modules.insert(path, module);
}

/// Reads the tree of a `use`.
fn tree(words: &[String], before: &[String], public: bool, module: &mut Module) {
    let mut path = before.to_vec();
    let mut i = 0;
    while i < words.len() {
        match words[i].as_str() {
            "::" if i == 0 && before.is_empty() => path.push(String::new()), // from outside
            "::" => {}
            "{" => {
                let (end, mut start, mut depth) = (closing(words, i), i + 1, 0_usize);
                for j in i + 1..=end {
                    match words[j].as_str() {
                        "{" => depth += 1,
                        "}" if j < end => depth -= 1,
                        "," if depth == 0 => {
                            tree(&words[start..j], &path, public, module);
                            start = j + 1;
                        }
                        _ => {}
                    }
                }
                return tree(&words[start..end], &path, public, module);
            }
            "*" => return module.globs.push((path, public)),
            "as" => {
                let name = words.get(i + 1).cloned().unwrap_or_default();
                module.bound.insert(name, (path, public));
                return;
            }
            "self" if !path.is_empty() => {}
            name => path.push(name.to_owned()),
        }
        i += 1;
    }
    if let Some(name) = path.last().filter(|_| !words.is_empty()).cloned() {
        module.bound.insert(name, (path, public));
    }
}

/// What a path written in module `here` names; none if it begins with something of its own.
fn resolve(modules: &Modules, here: &[String], path: &[String], depth: usize) -> Option<Target> {
    let mut here = here.to_vec();
    let mut rest = path;
    match rest.first()?.as_str() {
        "crate" => (here, rest) = (Vec::new(), &rest[1..]),
        "self" => rest = &rest[1..],
        "super" => {}
        first => {
            let child = [here.clone(), vec![first.to_owned()]].concat();
            // A name that `use` itself binds here comes from elsewhere.
            let bound = modules.get(&here)?.bound.get(first).filter(|(target, _)| target != path);
            if !modules.contains_key(&child) && bound.is_none() {
                return Some(by_glob(modules, &here, path, depth).unwrap_or(Target::Outside));
            }
        }
    }
    while rest.first().is_some_and(|w| w == "super") {
        here.pop();
        rest = &rest[1..];
    }
    inside(modules, &here, rest, depth)
}

/// What `path` names inside the module `from`, through re-exports.
fn inside(modules: &Modules, from: &[String], path: &[String], depth: usize) -> Option<Target> {
    let module = modules.get(from)?;
    let Some(first) = path.first() else { return Some(Target::Module(from.to_vec())) };
    let item = || Target::Item { file: module.file.clone(), name: first.clone() };
    if depth > 16 {
        return Some(item());
    }
    let child = [from.to_vec(), vec![first.clone()]].concat();
    let is_module = modules.contains_key(&child);
    if is_module && path.len() > 1 {
        return inside(modules, &child, &path[1..], depth);
    }
    if module.definitions.contains(first) {
        return Some(item());
    }
    if let Some((target, _)) = module.bound.get(first) {
        return match resolve(modules, from, target, depth + 1)? {
            Target::Module(path_of_module) => inside(modules, &path_of_module, &path[1..], depth + 1),
            target => Some(target),
        };
    }
    if is_module {
        return Some(Target::Module(child));
    }
    by_glob(modules, from, path, depth).or_else(|| Some(item()))
}

/// What `path` names inside the module `from` by way of its `use …::*`.
fn by_glob(modules: &Modules, from: &[String], path: &[String], depth: usize) -> Option<Target> {
    let first = path.first()?;
    modules.get(from)?.globs.iter().filter(|_| depth <= 16).find_map(|(glob, _)| {
        let Some(Target::Module(target)) = resolve(modules, from, glob, depth + 1) else { return None };
        let child = [target.clone(), vec![first.clone()]].concat();
        let known = modules[&target].knows(first) || path.len() > 1 && modules.contains_key(&child);
        if known && target != from { inside(modules, &target, path, depth + 1) } else { None }
    })
}

impl Module {
    fn knows(&self, name: &str) -> bool {
        self.definitions.contains(name) || self.bound.contains_key(name)
    }
}

/// Sets of files each of which needs every other, largest first.
pub(crate) fn circles(arrows: &Arrows) -> Vec<Vec<String>> {
    let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (from, to) in arrows.keys() {
        next.entry(from).or_default().insert(to);
    }
    let reach = |start: &str| {
        let (mut seen, mut stack) = (BTreeSet::new(), vec![start]);
        while let Some(file) = stack.pop() {
            for to in next.get(file).into_iter().flatten() {
                if seen.insert(*to) {
                    stack.push(to);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&str, BTreeSet<&str>> = next.keys().map(|file| (*file, reach(file))).collect();
    let mut found: Vec<Vec<String>> = Vec::new();
    for (file, seen) in &reached {
        let circle: Vec<String> = seen
            .iter()
            .filter(|other| seen.contains(file) && reached.get(**other).is_some_and(|r| r.contains(file)))
            .map(|other| (*other).to_owned())
            .collect();
        if !circle.is_empty() && !found.contains(&circle) {
            found.push(circle);
        }
    }
    found.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
    found
}

/// A circle as text: its arrows and the names that make them.
pub(crate) fn described(circle: &[String], arrows: &Arrows, folder: &str) -> String {
    let mut text = format!("{folder}: a circle of {}\n", circle.join(", "));
    for ((from, to), names) in arrows {
        if circle.contains(from) && circle.contains(to) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            text += &format!("    {from} needs {to} for {}\n", names.join(", "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[(&str, &str)]) -> Vec<String> {
        let files = files.iter().map(|(f, t)| ((*f).to_owned(), (*t).to_owned())).collect();
        arrows(&files)
            .iter()
            .flat_map(|((from, to), names)| names.iter().map(move |name| format!("{from} {to} {name}")))
            .collect()
    }

    #[test]
    fn paths_and_uses_are_arrows() {
        let found = of(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            (
                "a.rs",
                "use crate::b::{One, two::{self, Three}, four as five}; fn f() { crate::c::g::<u8>(); }",
            ),
            ("b/mod.rs", "pub mod two; struct One; fn four() {}"),
            ("b/two.rs", "pub struct Three; fn h() -> super::One { super::super::c::g() }"),
            ("c.rs", "use std::fmt; use other::Thing; pub fn g() { fmt::b(); x.a::<T>(); }"),
        ]);
        assert_eq!(
            found,
            [
                "a.rs b/mod.rs One",
                "a.rs b/mod.rs four",
                "a.rs b/two.rs Three",
                "a.rs c.rs g",
                "b/two.rs b/mod.rs One",
                "b/two.rs c.rs g"
            ]
        );
    }

    #[test]
    fn re_exports_are_followed_and_are_no_arrows() {
        let found = of(&[
            ("lib.rs", "mod a; mod b; pub use a::{A, AA}; pub use b::*; pub fn own(_: AA) {}"),
            ("a.rs", "pub struct A; pub struct AA; use crate::{B, own};"),
            ("b.rs", "pub struct B; use crate::A; fn f(_: crate::AA) {}"),
        ]);
        assert_eq!(
            found,
            ["a.rs b.rs B", "a.rs lib.rs own", "b.rs a.rs A", "b.rs a.rs AA", "lib.rs a.rs AA"]
        );
    }

    #[test]
    fn a_module_by_itself_is_no_arrow_but_what_is_taken_from_it() {
        let found = of(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b; use super::b::c as d; fn f() { b::g(); d::h(); }"),
            ("b/mod.rs", "pub mod c; pub fn g() { c::h(); self::c::k() }"),
            ("b/c.rs", "pub fn h() {} pub fn k() {}"),
        ]);
        assert_eq!(found, ["a.rs b/c.rs h", "a.rs b/mod.rs g", "b/mod.rs b/c.rs h", "b/mod.rs b/c.rs k"]);
    }

    #[test]
    fn blocks_globs_and_what_the_parent_has_imported() {
        let found = of(&[
            ("lib.rs", "mod a; mod b; mod inner { pub use crate::b::B; pub fn here() {} }"),
            (
                "a.rs",
                "use super::*; use crate::inner::B; mod m { use super::super::b; fn f() { b::g() } } fn f() { inner::here() }",
            ),
            (
                "b.rs",
                "use serde::Value; pub struct B; pub fn g() {} mod deep { use super::Value; use super::B; }",
            ),
        ]);
        assert_eq!(found, ["a.rs b.rs B", "a.rs b.rs g", "a.rs lib.rs here"]);
    }

    #[test]
    fn tests_do_not_count() {
        let found = of(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "#[cfg(test)] mod tests; #[cfg(test)] mod more { use crate::b::B; } pub struct A;"),
            ("a/tests.rs", "use crate::b::B; use super::A;"),
            ("b.rs", "use crate::a::A; pub struct B; #[cfg(test)] #[path = \"b_tests.rs\"] mod t;\n"),
            ("b_tests.rs", "use crate::a::A;"),
        ]);
        assert_eq!(found, ["b.rs a.rs A"]);
    }

    #[test]
    fn circles_are_found_whole() {
        let arrow =
            |from: &str, to: &str| ((from.to_owned(), to.to_owned()), BTreeSet::from(["X".to_owned()]));
        let arrows: Arrows = [
            arrow("a", "b"),
            arrow("b", "c"),
            arrow("c", "a"),
            arrow("c", "d"),
            arrow("e", "f"),
            arrow("f", "e"),
        ]
        .into();
        assert_eq!(circles(&arrows), [vec!["a", "b", "c"], vec!["e", "f"]]);
        assert_eq!(
            described(&circles(&arrows)[1], &arrows, "x"),
            "x: a circle of e, f\n    e needs f for X\n    f needs e for X\n"
        );
    }
}
