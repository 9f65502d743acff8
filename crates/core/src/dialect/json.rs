//! A reader of JSON as models really write it. Never fails, always moves forward: the time is linear
//! in the length of the text and the memory in the number of values.

use super::parsed::{Parsed, Refusal, Repair};

/// Levels of brackets that are followed.
const DEPTH: usize = 64;

/// A value; objects keep values that lost their key.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// `null`, `true`, `false` and their Python names: nothing that a coordinate could be.
    Other,
    Number(f64),
    Text(String),
    List(Vec<Node>),
    Object(Vec<(Option<String>, Node)>),
}

impl Node {
    /// The value under `key`.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        let Self::Object(entries) = self else { return None };
        entries.iter().find(|(k, _)| k.as_deref() == Some(key)).map(|(_, v)| v)
    }

    /// The number, also when it is written as text (said in `out`).
    pub(super) fn number(&self, out: &mut Parsed) -> Option<f64> {
        match self {
            Self::Number(n) => Some(*n),
            Self::Text(t) => {
                let n = t.trim().parse::<f64>().ok().filter(|n| n.is_finite())?;
                out.repair(Repair::NumberAsText);
                Some(n)
            }
            _ => None,
        }
    }
}

/// The bracketed values of `text` in order, and whether there are words around them.
pub(super) fn values(text: &str, out: &mut Parsed) -> (Vec<Node>, bool) {
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        at: 0,
        lists: 0,
        objects: 0,
        cut: false,
        comma: false,
        deep: false,
        out,
    };
    let (mut found, mut prose) = (Vec::new(), false);
    while let Some(byte) = reader.peek() {
        if reader.fence() {
            reader.at += 3;
            while reader.peek().is_some_and(|b| b.is_ascii_alphanumeric()) {
                reader.at += 1;
            }
        } else if byte == b'{' || byte == b'[' {
            found.push(reader.value());
        } else {
            prose |= !(byte.is_ascii_whitespace() || byte == b',');
            reader.at += 1;
        }
    }
    if reader.deep {
        out.refused.push(Refusal::TooDeep { limit: DEPTH });
    }
    (found, prose)
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// Open lists and objects around the current position.
    lists: usize,
    objects: usize,
    /// The last number or text ended with the reply, so that it may lack its tail.
    cut: bool,
    /// The list that was closed for want of a bracket had taken the comma after it.
    comma: bool,
    /// Brackets were left out because they are nested too deep.
    deep: bool,
    out: &'a mut Parsed,
}

/// What stands before an item of a list or object.
enum Between {
    /// A comma, stepped over.
    Comma,
    /// The end, stepped over; `cut` when the last item may be incomplete.
    End { cut: bool },
    /// An item that begins with this byte.
    Item(u8),
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn fence(&self) -> bool {
        self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(b"```"))
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Node {
        match self.peek() {
            Some(b'{') => self.object(),
            Some(b'[') => self.list(),
            Some(b'(') => {
                self.out.repair(Repair::Parentheses);
                self.list()
            }
            Some(b'"' | b'\'') => Node::Text(self.quoted()),
            Some(b'0'..=b'9' | b'-' | b'+' | b'.') => self.number(),
            _ => self.word(),
        }
    }

    /// The end of the reply inside brackets: what may be cut off is dropped.
    fn end_of_text(&mut self) -> bool {
        self.out.repair(Repair::Truncated);
        std::mem::take(&mut self.cut)
    }

    fn too_deep(&mut self) -> bool {
        let deep = self.lists + self.objects >= DEPTH;
        self.deep |= deep;
        deep
    }

    /// Steps over what may stand before an item of a list or object: white space, a comma, the mark
    /// in `ends` that closes it, a fence, the end of the reply.
    fn between(&mut self, ends: &[u8], any: bool, comma: &mut bool) -> Between {
        self.space();
        let repair = match self.peek() {
            None => return Between::End { cut: self.end_of_text() },
            Some(b'`') if self.fence() => {
                self.out.repair(Repair::Closed);
                return Between::End { cut: false };
            }
            Some(b',') => *comma,
            Some(end) if ends.contains(&end) => *comma && any,
            Some(other) => return Between::Item(other),
        };
        if repair {
            self.out.repair(Repair::ExtraComma);
        }
        let found = if self.peek() == Some(b',') { Between::Comma } else { Between::End { cut: false } };
        *comma = true;
        self.at += 1;
        found
    }

    fn list(&mut self) -> Node {
        self.at += 1;
        let mut items = Vec::new();
        if self.too_deep() {
            return Node::Other;
        }
        self.lists += 1;
        let mut comma = true; // an item may follow
        loop {
            let next = match self.between(b"])", !items.is_empty(), &mut comma) {
                Between::Comma => continue,
                Between::End { cut } => {
                    if cut {
                        items.pop();
                    }
                    break;
                }
                Between::Item(next) => next,
            };
            let start = self.at;
            match next {
                b'}' if self.objects > 0 => {
                    self.out.repair(Repair::Closed);
                    break;
                }
                b'"' | b'\'' => {
                    let text = self.quoted();
                    self.space();
                    if self.peek() == Some(b':') && self.objects > 0 {
                        // A key: the list should have been closed before it.
                        self.at = start;
                        self.comma = comma;
                        self.out.repair(Repair::Closed);
                        break;
                    }
                    items.push(Node::Text(text));
                    comma = false;
                }
                b'{' | b'[' | b'(' | b'0'..=b'9' | b'-' | b'+' | b'.' => {
                    if !comma {
                        self.out.repair(Repair::MissingComma);
                    }
                    items.push(self.value());
                    comma = std::mem::take(&mut self.comma);
                }
                b if b.is_ascii_alphabetic() => {
                    items.push(self.word());
                    comma = false;
                }
                _ => self.junk(),
            }
        }
        self.lists -= 1;
        Node::List(items)
    }

    fn object(&mut self) -> Node {
        self.at += 1;
        let mut entries = Vec::new();
        if self.too_deep() {
            return Node::Other;
        }
        self.objects += 1;
        let mut comma = true;
        loop {
            let next = match self.between(b"}", !entries.is_empty(), &mut comma) {
                Between::Comma => continue,
                Between::End { cut } => {
                    if cut {
                        entries.pop();
                    }
                    break;
                }
                Between::Item(next) => next,
            };
            match next {
                b']' if self.lists > 0 => {
                    self.out.repair(Repair::Closed);
                    break;
                }
                b']' | b')' => {
                    self.out.repair(Repair::StrayBracket);
                    self.at += 1;
                }
                b'{' | b'[' | b'(' | b'0'..=b'9' | b'-' | b'+' | b'.' => {
                    self.out.repair(Repair::MissingKey);
                    let value = self.value();
                    entries.push((None, value));
                    comma = std::mem::take(&mut self.comma);
                }
                b if b == b'"' || b == b'\'' || b == b'_' || b.is_ascii_alphabetic() => {
                    if !comma {
                        self.out.repair(Repair::MissingComma);
                    }
                    entries.push(self.entry(b));
                    comma = std::mem::take(&mut self.comma);
                }
                _ => self.junk(),
            }
        }
        self.objects -= 1;
        Node::Object(entries)
    }

    fn entry(&mut self, first: u8) -> (Option<String>, Node) {
        let key = if first == b'"' || first == b'\'' {
            self.quoted()
        } else {
            self.out.repair(Repair::Unquoted);
            self.bare_word().to_owned()
        };
        self.space();
        if self.peek() != Some(b':') {
            self.out.repair(Repair::MissingKey);
            return (None, Node::Text(key));
        }
        self.at += 1;
        self.space();
        let value = match self.peek() {
            None | Some(b',' | b'}' | b']' | b')') => {
                self.out.repair(Repair::Junk);
                Node::Other
            }
            Some(b'`') if self.fence() => Node::Other,
            Some(_) => self.value(),
        };
        (Some(key), value)
    }

    /// A character that fits nowhere.
    fn junk(&mut self) {
        self.out.repair(Repair::Junk);
        self.at += 1;
    }

    fn quoted(&mut self) -> String {
        let quote = self.bytes.get(self.at).copied().unwrap_or(b'"');
        if quote == b'\'' {
            self.out.repair(Repair::SingleQuotes);
        }
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        while let Some(b) = self.peek() {
            if b == b'\n' || (b == quote && self.closes(quote)) {
                break;
            }
            if b == b'\\' {
                escaped = true;
                self.at += 1;
            }
            self.at += 1;
        }
        self.at = self.at.min(self.bytes.len());
        let raw = self.text.get(start..self.at).unwrap_or_default();
        match self.peek() {
            Some(b) if b == quote => self.at += 1,
            Some(_) => self.out.repair(Repair::Closed), // the line ended first
            None => {}
        }
        self.cut = self.at >= self.bytes.len() && !self.text.ends_with(char::from(quote));
        if !escaped {
            return raw.to_owned();
        }
        serde_json::from_str(&format!("\"{raw}\"")).unwrap_or_else(|_| raw.replace('\\', ""))
    }

    /// An apostrophe inside a word does not close a single-quoted text.
    fn closes(&self, quote: u8) -> bool {
        if quote == b'"' {
            return true;
        }
        let next = self.bytes.get(self.at + 1).copied();
        !next.is_some_and(|b| b.is_ascii_alphanumeric())
    }

    fn number(&mut self) -> Node {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E'))
        {
            self.at += 1;
        }
        self.cut = self.at >= self.bytes.len();
        let raw = self.text.get(start..self.at).unwrap_or_default();
        match raw.parse::<f64>() {
            Ok(n) => Node::Number(n),
            Err(_) => Node::Text(raw.to_owned()),
        }
    }

    fn bare_word(&mut self) -> &str {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_') {
            self.at += 1;
        }
        if self.at == start {
            // Not a word after all: step over one whole character.
            self.at += 1;
            while self.peek().is_some_and(|b| (0x80..0xC0).contains(&b)) {
                self.at += 1;
            }
        }
        self.cut = self.at >= self.bytes.len();
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn word(&mut self) -> Node {
        let word = self.bare_word().to_owned();
        match word.as_str() {
            "null" | "true" | "false" | "None" | "True" | "False" => Node::Other,
            _ => {
                self.out.repair(Repair::Unquoted);
                Node::Text(word)
            }
        }
    }
}
