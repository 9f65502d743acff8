//! Specific Character Set (0008,0005) with code extensions (PS3.3 C.12.1.1.2, PS3.5 6.1).

use encoding_rs::{
    BIG5, EUC_JP, EUC_KR, Encoding, GB18030, GBK, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5, ISO_8859_6,
    ISO_8859_7, ISO_8859_8, SHIFT_JIS, UTF_8, WINDOWS_874, WINDOWS_1252, WINDOWS_1254,
};

/// How the text of a data set is decoded.
#[derive(Debug, Clone)]
pub struct Charset {
    initial: &'static Encoding,
}

/// Defined terms of PS3.3 tables C.12-2 to C.12-5. `WINDOWS_1252` stands for Latin-1 and the default
/// repertoire, `WINDOWS_1254` for Latin-5, `WINDOWS_874` for TIS 620: each holds the other.
const TERMS: &[(&str, &Encoding)] = &[
    ("ISO_IR 6", WINDOWS_1252),
    ("ISO_IR 100", WINDOWS_1252),
    ("ISO_IR 101", ISO_8859_2),
    ("ISO_IR 109", ISO_8859_3),
    ("ISO_IR 110", ISO_8859_4),
    ("ISO_IR 144", ISO_8859_5),
    ("ISO_IR 127", ISO_8859_6),
    ("ISO_IR 126", ISO_8859_7),
    ("ISO_IR 138", ISO_8859_8),
    ("ISO_IR 148", WINDOWS_1254),
    ("ISO_IR 203", encoding_rs::ISO_8859_15),
    ("ISO_IR 13", SHIFT_JIS),
    ("ISO_IR 166", WINDOWS_874),
    ("ISO_IR 192", UTF_8),
    ("GB18030", GB18030),
    ("GBK", GBK),
    ("BIG5", BIG5),
];

/// How the bytes behind an escape sequence stand to the encoding that decodes them.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// As they are.
    Plain,
    /// Seven bits of the encoding's eight.
    Raised,
    /// Seven bits, in pairs that EUC marks with 8F (its third code set).
    ThirdSet,
}

/// What follows the escape character, the encoding it switches to, and the form of its bytes.
const ESCAPES: &[(&[u8], &Encoding, Form)] = &[
    (b"(B", WINDOWS_1252, Form::Plain),
    (b"-A", WINDOWS_1252, Form::Plain),
    (b"-B", ISO_8859_2, Form::Plain),
    (b"-C", ISO_8859_3, Form::Plain),
    (b"-D", ISO_8859_4, Form::Plain),
    (b"-L", ISO_8859_5, Form::Plain),
    (b"-G", ISO_8859_6, Form::Plain),
    (b"-F", ISO_8859_7, Form::Plain),
    (b"-H", ISO_8859_8, Form::Plain),
    (b"-M", WINDOWS_1254, Form::Plain),
    (b"-T", WINDOWS_874, Form::Plain),
    (b")I", SHIFT_JIS, Form::Plain),
    (b"(J", SHIFT_JIS, Form::Plain),
    (b"$B", EUC_JP, Form::Raised),
    (b"$(D", EUC_JP, Form::ThirdSet),
    (b"$)C", EUC_KR, Form::Plain),
    (b"$)A", GBK, Form::Plain),
];

impl Charset {
    /// From the attribute's value (several values are separated by a backslash); the default
    /// repertoire when empty or unknown.
    pub fn named(value: &str) -> Self {
        let first = value.split('\\').next().unwrap_or_default().trim().replace("ISO 2022 IR", "ISO_IR");
        let found = TERMS.iter().find(|(term, _)| *term == first);
        Self { initial: found.map_or(WINDOWS_1252, |(_, encoding)| encoding) }
    }

    /// Text from bytes; what cannot be decoded becomes U+FFFD.
    pub fn decode(&self, bytes: &[u8]) -> String {
        let mut text = String::new();
        for (n, part) in bytes.split(|b| *b == 0x1B).enumerate() {
            let escape = ESCAPES.iter().find(|(code, ..)| n > 0 && part.starts_with(code));
            let (encoding, body, form) = match escape {
                Some((code, encoding, form)) => {
                    (*encoding, part.get(code.len()..).unwrap_or_default(), *form)
                }
                None => (self.initial, part, Form::Plain),
            };
            if form == Form::Plain {
                text.push_str(&encoding.decode_without_bom_handling(body).0);
                continue;
            }
            let mut raised = Vec::with_capacity(body.len() * 3 / 2);
            let mut begins = true;
            for byte in body {
                // Control characters and blanks stay as they are.
                if *byte <= 0x20 {
                    raised.push(*byte);
                    begins = true;
                    continue;
                }
                if begins && form == Form::ThirdSet {
                    raised.push(0x8F);
                }
                raised.push(byte | 0x80);
                begins = !begins;
            }
            text.push_str(&encoding.decode_without_bom_handling(&raised).0);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The person names of PS3.5 annex H and I, and of PS3.5 annex J.
    #[test]
    fn names_of_the_standard() {
        let cases: [(&str, &[u8], &str); 6] = [
            ("ISO_IR 100", b"Buc^J\xE9r\xF4me", "Buc^Jérôme"),
            ("ISO_IR 144", b"\xBB\xEE\xDA\xD5\xDC\xD1\xE3\xE0\xD3", "Люкceмбypг"),
            ("\\ISO 2022 IR 87", b"Yamada^Tarou=\x1B$B;3ED\x1B(B^\x1B$BB@O:\x1B(B", "Yamada^Tarou=山田^太郎"),
            (
                "\\ISO 2022 IR 149",
                b"Hong^Gildong=\x1B$)C\xFB\xF3^\x1B$)C\xD1\xCE\xD4\xD7",
                "Hong^Gildong=洪^吉洞",
            ),
            ("\\ISO 2022 IR 87\\ISO 2022 IR 159", b"\x1B$B;3ED\x1B(B=\x1B$(D0!0\x22\x1B(B", "山田=丂丄"),
            ("ISO_IR 192", b"Wang^XiaoDong=\xE7\x8E\x8B^\xE5\xB0\x8F\xE6\x9D\xB1", "Wang^XiaoDong=王^小東"),
        ];
        for (n, (set, bytes, text)) in cases.into_iter().enumerate() {
            let decoded = Charset::named(set).decode(bytes);
            if n == 1 {
                // Cyrillic letters that look Latin are Cyrillic in the set.
                assert!(decoded.chars().all(|c| ('\u{400}'..'\u{460}').contains(&c)), "{decoded}");
            } else {
                assert_eq!(decoded, text, "{set}");
            }
        }
    }
}
