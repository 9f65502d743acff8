//! Growing text: pieces are valid UTF-8 and final, and end before a stop string.

/// What text was given out so far and what may follow.
#[derive(Debug, Default)]
pub(crate) struct TextStream {
    text: String,
    given: usize,
}

impl TextStream {
    /// The text is now `whole`; the piece that can be given out, and whether a stop string was met.
    ///
    /// An unfinished character at the end is held back, and so is the beginning of a stop string. Of a text that `is_open` nothing new
    /// is given out: its end may become another one.
    pub(crate) fn update(&mut self, whole: &str, stops: &[String], is_open: bool) -> (String, bool) {
        self.text = whole.to_owned();
        let at = stops.iter().filter(|s| !s.is_empty()).filter_map(|s| whole.find(s.as_str())).min();
        if let Some(at) = at {
            self.text.truncate(at);
            return (self.take(at), true);
        }
        if is_open {
            return (String::new(), false);
        }
        let solid = whole.trim_end_matches(char::REPLACEMENT_CHARACTER);
        let held = stops.iter().filter_map(|stop| overlap(solid, stop)).max().unwrap_or(0);
        (self.take(solid.len() - held), false)
    }

    /// The rest, when nothing more comes.
    pub(crate) fn finish(&mut self) -> String {
        self.take(self.text.len())
    }

    /// The text, stop string left out.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    fn take(&mut self, end: usize) -> String {
        let piece = self.text.get(self.given..end).unwrap_or_default().to_owned();
        self.given = self.given.max(end);
        piece
    }
}

/// Bytes at the end of `text` that are a beginning of `stop`.
fn overlap(text: &str, stop: &str) -> Option<usize> {
    let starts = stop.char_indices().map(|(i, _)| i).skip(1);
    starts.filter(|n| text.ends_with(&stop[..*n])).max()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;

    #[test]
    fn pieces_add_up_and_stop_strings_never_leak() {
        let stops = vec!["</answer>".to_owned(), "\n\n".to_owned()];
        let mut stream = TextStream::default();
        let mut out = String::new();
        let whole = "yes <b> </answer> no";
        let mut stopped = false;
        for end in 1..=whole.len() {
            let (piece, stop) = stream.update(&whole[..end], &stops, false);
            out += &piece;
            assert!(!out.contains("</"), "{out}");
            if stop {
                stopped = true;
                break;
            }
        }
        assert!(stopped);
        assert_eq!(out, "yes <b> ");
        assert_eq!(stream.text(), "yes <b> ");
    }

    #[test]
    fn unfinished_characters_wait() {
        let mut stream = TextStream::default();
        assert_eq!(stream.update("a\u{FFFD}", &[], false).0, "a");
        assert_eq!(stream.update("aé", &[], false).0, "é");
        assert_eq!(stream.update("aé\u{FFFD}", &[], false).0, "");
        assert_eq!(stream.finish(), "\u{FFFD}");
        // A byte that was a character of its own until the next one came.
        let mut stream = TextStream::default();
        assert_eq!(stream.update("a\n", &[], true).0, "");
        assert_eq!(stream.update("a\u{FFFD}\u{FFFD}", &[], true).0, "");
        assert_eq!(stream.update("a\u{FFFD}\u{FFFD}b", &[], false).0, "a\u{FFFD}\u{FFFD}b");
    }
}
