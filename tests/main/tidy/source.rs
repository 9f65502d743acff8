//! Rust source as words: comments, strings, characters and test-only items are left out.

/// Words (identifiers, numbers) and marks of a source text; `::` is one mark, a lifetime is none.
pub(crate) fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut words = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        if c.is_whitespace() {
            i += 1;
        } else if c == '/' && at(i + 1) == '/' {
            while i < chars.len() && chars[i] != '\n' {
                i += 1;
            }
        } else if c == '/' && at(i + 1) == '*' {
            i = after_block_comment(&chars, i);
        } else if c == '"' {
            i = after_string(&chars, i);
        } else if c == '\'' {
            i = after_quote(&chars, i);
        } else if c.is_alphanumeric() || c == '_' {
            let start = i;
            while at(i).is_alphanumeric() || at(i) == '_' {
                i += 1;
            }
            let word: String = chars[start..i].iter().collect();
            let prefix = matches!(word.as_str(), "r" | "b" | "br" | "c" | "cr");
            if prefix && (at(i) == '"' || at(i) == '#' && word != "b" && word != "c") {
                match after_raw_string(&chars, i, word.contains('r')) {
                    Some(end) => i = end,
                    None => i += 1, // `r#name`: the name follows
                }
            } else if !(word == "b" && at(i) == '\'') {
                words.push(word);
            }
        } else if c == ':' && at(i + 1) == ':' {
            words.push("::".to_owned());
            i += 2;
        } else {
            words.push(c.to_string());
            i += 1;
        }
    }
    words
}

fn after_block_comment(chars: &[char], start: usize) -> usize {
    let (mut i, mut depth) = (start, 0);
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => (i, depth) = (i + 2, depth + 1),
            ('*', '/') => (i, depth) = (i + 2, depth - 1),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

fn after_string(chars: &[char], start: usize) -> usize {
    let mut i = start + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

/// After a character, or after the mark of a lifetime and its name.
fn after_quote(chars: &[char], start: usize) -> usize {
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    if at(start + 1) == '\\' {
        let mut i = start + 3;
        while i < chars.len() && chars[i] != '\'' {
            i += 1;
        }
        i + 1
    } else if at(start + 2) == '\'' {
        start + 3
    } else {
        let mut i = start + 1;
        while at(i).is_alphanumeric() || at(i) == '_' {
            i += 1;
        }
        i
    }
}

/// After `#"…"#` or `"…"` at `start`, which a prefix stood before; none if no string begins there.
fn after_raw_string(chars: &[char], start: usize, raw: bool) -> Option<usize> {
    let marks = chars[start..].iter().take_while(|c| **c == '#').count();
    if chars.get(start + marks) != Some(&'"') {
        return None;
    }
    if !raw {
        return Some(after_string(chars, start));
    }
    let mut i = start + marks + 1;
    while i < chars.len() {
        if chars[i] == '"' && chars[i + 1..].iter().take(marks).filter(|c| **c == '#').count() == marks {
            return Some(i + 1 + marks);
        }
        i += 1;
    }
    Some(chars.len())
}

/// A module that exists in tests only, by name and by the file that `#[path]` gives it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TestModule {
    pub(crate) name: String,
    pub(crate) path: Option<String>,
}

/// The words without the items that stand behind `#[cfg(test)]`, and the test modules among these that
/// have a file of their own. `text` is what the words came from: `#[path = "…"]` is a string there.
pub(crate) fn without_tests(words: &[String], text: &str) -> (Vec<String>, Vec<TestModule>) {
    let (mut kept, mut modules, mut i) = (Vec::new(), Vec::new(), 0);
    while i < words.len() {
        if words[i] != "#" || !is_word(words, i + 1, "[") {
            kept.push(words[i].clone());
            i += 1;
            continue;
        }
        let end = closing(words, i + 1);
        let attribute = &words[i..=end.min(words.len() - 1)];
        let test = attribute.get(2).is_some_and(|w| w == "cfg")
            && attribute.iter().any(|w| w == "test")
            && !attribute.iter().any(|w| w == "not");
        if !test {
            kept.extend_from_slice(attribute);
            i = end + 1;
            continue;
        }
        i = end + 1;
        while is_word(words, i, "#") && is_word(words, i + 1, "[") {
            i = closing(words, i + 1) + 1;
        }
        let first = i;
        while i < words.len() && words[i] != ";" && words[i] != "{" {
            i = if matches!(words[i].as_str(), "(" | "[") { closing(words, i) + 1 } else { i + 1 };
        }
        if is_word(words, i, ";") {
            if let Some(name) = words[first..i].iter().skip_while(|w| *w != "mod").nth(1) {
                modules.push(TestModule { name: name.clone(), path: path_of(name, text) });
            }
        } else {
            i = closing(words, i);
        }
        i += 1;
    }
    (kept, modules)
}

/// The string of the `#[path = "…"]` above `mod name;`.
fn path_of(name: &str, text: &str) -> Option<String> {
    let before = &text[..text.find(&format!("mod {name};"))?];
    let attribute = before.trim_end().lines().next_back()?;
    Some(attribute.rsplit_once("#[path = \"")?.1.split('"').next()?.to_owned())
}

fn is_word(words: &[String], i: usize, word: &str) -> bool {
    words.get(i).is_some_and(|w| w == word)
}

/// Where the bracket that opens at `open` closes, or the last word.
pub(crate) fn closing(words: &[String], open: usize) -> usize {
    let mut depth = 0_usize;
    for (i, word) in words.iter().enumerate().skip(open) {
        match word.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return i;
                }
            }
            _ => {}
        }
    }
    words.len().saturating_sub(1)
}

#[test]
fn comments_and_strings_are_no_words() {
    let text = "// use crate::a;\n/* b /* c */ d */ let x = \"crate::e \\\" f\"; r#\"crate::\"g\"# h b'i' '\\'' 'j' k::<'l, m>";
    assert_eq!(tokens(text).join(" "), "let x = ; h k :: < , m >");
    assert_eq!(tokens("r#type b\"a\" br\"b\" c\"c\" rest").join(" "), "type rest");
}

#[test]
fn test_items_are_left_out() {
    let text = "#[cfg(test)]\n#[path = \"x_tests.rs\"]\nmod tests;\nfn a() {}\n#[cfg(test)] mod m { use super::*; }\n\
        #[cfg(all(test, unix))]\n#[allow(x)] fn b(c: [u8; 2]) { d }\n#[cfg(not(test))] fn e() {}\n#[cfg(test)] use f::g;";
    let (kept, modules) = without_tests(&tokens(text), text);
    assert_eq!(kept.join(" "), "fn a ( ) { } # [ cfg ( not ( test ) ) ] fn e ( ) { }");
    assert_eq!(modules, [TestModule { name: "tests".to_owned(), path: Some("x_tests.rs".to_owned()) }]);
}
