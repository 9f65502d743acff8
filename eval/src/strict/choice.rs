//! One of the options.

use super::denial::Denied;
use super::extract::{How, Span, bare, declared, refuses};
use super::lines;
use super::tokens::{Kind, Names, Token, own_text};
use super::words::{is_cjk, words};
use loupe_core::Choice;

/// A letter and the rule, or the reason why none was read.
type Found = Result<(char, &'static str), &'static str>;

/// A sentence that names one option answers with it only when it is no essay.
const LONGEST_SENTENCE: usize = 30;

/// The letter and the rule, or the reason why none was read. `exception` when the question asks for what is not so.
/// A box that holds no option gives way to a declaration.
pub(super) fn read(span: &Span<'_>, choices: &[Choice], exception: bool) -> (Found, How) {
    let options = Options::new(choices, span.reply, exception);
    let found = options.answer(span);
    if matches!(found, Err("no_option" | "letter_not_offered"))
        && span.how == How::Boxed
        && let Some(declared) = declared(span)
    {
        return (options.answer(&declared), How::Declared);
    }
    (found, span.how)
}
/// The letters that a reply (without its thoughts) rules out.
pub(super) fn denied(reply: &str, choices: &[Choice], exception: bool) -> Vec<char> {
    Options::new(choices, reply, exception).denied
}

/// The options as texts are compared with them.
pub(super) struct Options<'a> {
    choices: &'a [Choice],
    texts: Vec<Vec<String>>,
    pub(super) names: Names,
    exception: bool,
    /// Ruled out anywhere in the reply.
    pub(super) denied: Vec<char>,
}

impl<'a> Options<'a> {
    pub(super) fn new(choices: &'a [Choice], reply: &str, exception: bool) -> Self {
        let names = Names::new(choices);
        let texts = choices.iter().map(|c| words(own_text(c))).collect();
        let mut options = Self { choices, texts, names, exception, denied: Vec::new() };
        options.denied = options.denials(&options.names.tokens(reply)).letters;
        options
    }

    fn denials(&self, tokens: &[Token]) -> Denied {
        if self.exception { Denied::default() } else { Denied::of(&self.names, tokens) }
    }

    fn answer(&self, span: &Span<'_>) -> Found {
        match self.read(span) {
            // What the reply rules out is never its answer, whichever rule read it.
            Ok((letter, _)) if self.denied.contains(&letter) => Err("denied"),
            Err("no_option") if self.denied_only(span) => Err("denied"),
            found => found,
        }
    }

    /// Is all that the reply says about options what they are not?
    fn denied_only(&self, span: &Span<'_>) -> bool {
        span.how == How::Whole && !self.denied.is_empty()
    }

    fn read(&self, span: &Span<'_>) -> Found {
        let text = bare(span.text);
        if let Some(found) = self.plain(text) {
            return found;
        }
        if let Some(ticked) = lines::ticked(text) {
            return match ticked[..] {
                [one] => self.plain(one).unwrap_or(Err("no_option")),
                [] => Err("no_option"),
                _ => Err("several_options"),
            };
        }
        if span.how != How::Whole {
            if withdrawn(text) {
                return Err("withdrawn");
            }
            return match self.letter_then_reason(text, false) {
                Some(found) => found,
                None if refuses(text) => Err("refusal"),
                None => self.named(text).map(|letter| (letter, "option_named")).ok_or("no_option"),
            };
        }
        let lines: Vec<&str> = text.lines().map(bare).filter(|l| !l.is_empty()).collect();
        if let (Some(&last), true) = (lines.last(), lines.len() > 1) {
            let mut alone: Vec<char> =
                lines.iter().filter_map(|l| lone_letter(l)).filter_map(|l| self.offered(l)).collect();
            alone.dedup();
            let is_answer = |line: &str| self.plain(line).is_some_and(|found| found.is_ok());
            if lines::last_is_denied(&lines, is_answer) {
                return Err("denied");
            }
            if self.listed(&lines) > 1 || alone.len() > 1 {
                return Err("several_options");
            }
            if let Some(Ok((letter, _))) = self.plain(last) {
                return Ok((letter, "last_line"));
            }
        }
        if withdrawn(text) {
            return Err("withdrawn");
        }
        if let Some(found) = self.letter_then_reason(text, true) {
            return found;
        }
        if refuses(text) {
            return Err("refusal");
        }
        let tokens = self.names.tokens(text);
        if self.denials(&tokens).others(&self.names, &tokens) {
            return Err("no_option");
        }
        match self.chosen(&tokens)[..] {
            [letter] => return Ok((letter, "only_letter_chosen")),
            [] => {}
            _ => return Err("several_options"),
        }
        if lines.len() == 1
            && words(text).len() <= LONGEST_SENTENCE
            && let Some(letter) = self.named(text)
        {
            return Ok((letter, "option_named"));
        }
        Err("no_option")
    }

    pub(super) fn offered(&self, letter: char) -> Option<char> {
        self.choices.iter().map(|c| c.letter).find(|l| l.eq_ignore_ascii_case(&letter))
    }

    fn text_of(&self, letter: char) -> &[String] {
        self.choices.iter().position(|c| c.letter == letter).map_or(&[], |at| self.texts[at].as_slice())
    }

    /// Letters whose text is exactly `said`.
    pub(super) fn equal(&self, said: &[String]) -> Vec<char> {
        let same =
            self.choices.iter().zip(&self.texts).filter(|(_, t)| !t.is_empty() && t.as_slice() == said);
        same.map(|(c, _)| c.letter).collect()
    }

    /// The letters whose text `said` begins with, of the longest such text.
    fn begun(&self, said: &[String]) -> Vec<char> {
        let fits = |t: &&Vec<String>| !t.is_empty() && said.starts_with(t);
        let longest = self.texts.iter().filter(fits).map(Vec::len).max().unwrap_or(0);
        let same = self.choices.iter().zip(&self.texts).filter(|(_, t)| t.len() == longest && fits(t));
        same.map(|(c, _)| c.letter).collect()
    }

    /// The text is a letter, an option's words, or a letter followed by words.
    pub(super) fn plain(&self, text: &str) -> Option<Found> {
        let lone = lone_letter(text);
        if let Some(offered) = lone.and_then(|letter| self.offered(letter)) {
            // The letter is the option's, even where options are themselves letters (of figures).
            return Some(Ok((offered, "letter")));
        }
        let said = words(text);
        let same = self.equal(&said);
        let leading = leading_letter(text).and_then(|(letter, rest)| Some((self.offered(letter)?, rest)));
        let Some((letter, rest)) = leading else {
            return match same[..] {
                [letter] => Some(Ok((letter, "option_text"))),
                [] if lone.is_some() => Some(Err("letter_not_offered")),
                [] => self.letter_before_its_words(text),
                _ => Some(Err("several_options")),
            };
        };
        let rest_words = words(rest);
        if rest_words.is_empty() {
            return Some(Ok((letter, "letter_and_text")));
        }
        // "E. coli infection" is that option where an option reads so, unless the letter stands for another one's words.
        let begun = self.begun(&rest_words);
        match (&begun[..], &same[..]) {
            (begun, _) if begun.contains(&letter) => {
                let several = self.lists_more(letter, rest);
                return Some(if several { Err("several_options") } else { Ok((letter, "letter_and_text")) });
            }
            ([], [letter]) => return Some(Ok((*letter, "option_text"))),
            ([], _) => {}
            _ => return Some(Err("letter_and_text_differ")),
        }
        self.leading(letter, text, rest)
    }

    /// `B Pleural effusion`, `B胸腔积液`, `b) pleural effusion`: a letter before its own words.
    fn letter_before_its_words(&self, text: &str) -> Option<Found> {
        let mut chars = text.chars();
        let first = chars.next().filter(char::is_ascii_alphabetic)?;
        let letter = self.offered(first)?;
        let rest = chars.as_str();
        let parted = match first.is_ascii_uppercase() {
            true => rest.starts_with(|c: char| c.is_whitespace() || c == '(' || is_cjk(c)),
            false => rest.starts_with(['.', ')', ':']),
        };
        let own = parted && self.begun(&words(rest)).contains(&letter);
        (own && !self.lists_more(letter, rest)).then_some(Ok((letter, "letter_and_text")))
    }

    /// A letter with a delimiter and words that are no option's.
    fn leading(&self, letter: char, text: &str, rest: &str) -> Option<Found> {
        if self.denied.contains(&letter) {
            return None;
        }
        // "A - not this one"
        if words(rest).first().is_some_and(|word| word == "not") {
            return Some(Err("withdrawn"));
        }
        let said = words(text);
        // "E. coli": the words belong to an option that begins like a letter.
        let spelled = self
            .choices
            .iter()
            .zip(&self.texts)
            .any(|(c, t)| c.letter != letter && t.len() > 1 && said.starts_with(t));
        if spelled {
            return Some(Err("letter_and_text_differ"));
        }
        let tokens = self.names.tokens(text);
        let first = tokens.iter().position(|t| matches!(t.kind, Kind::Letter(_)) || t.kind == Kind::Word)?;
        // A genus ("E. coli") or a pronoun ("I: …"), no option.
        if self.names.at(&tokens, first).is_none_or(|(named, _)| named != letter)
            && !text.starts_with(['(', '['])
        {
            return None;
        }
        if self.lists_more(letter, rest) {
            return Some(Err("several_options"));
        }
        let denied = self.denials(&tokens).letters;
        let others = self.others_named(&tokens, letter, &denied);
        match (others.letters, others.words) {
            (true, _) => Some(Err("several_options")),
            (_, true) => Some(Err("letter_and_text_differ")),
            _ => Some(Ok((letter, "leading_letter"))),
        }
    }

    /// Does the text name another option that it does not rule out: by its letter anywhere, by its words in the first
    /// sentence and before any reason?
    fn others_named(&self, tokens: &[Token], letter: char, denied: &[char]) -> Others {
        let mut others = Others::default();
        let mut reasons = false;
        let mut own = false;
        for (at, token) in tokens.iter().enumerate() {
            let ends = token.kind == Kind::Line || (token.is_mark(&['.', '!', '?', ';', '。']) && at > 2);
            reasons |= ends || token.is_word(&REASONS);
            let Some((named, _)) = self.names.at(tokens, at) else { continue };
            let by_letter = matches!(token.kind, Kind::Letter(_));
            own |= named == letter && !by_letter;
            if named == letter || denied.contains(&named) {
                continue;
            }
            others.letters |= by_letter;
            others.words |= !by_letter && !reasons && !own;
        }
        others
    }

    /// Does the text go on with another option in the form of a list (its letter and its words, or a
    /// letter at the start of a line)?
    fn lists_more(&self, letter: char, rest: &str) -> bool {
        let mut marked = rest
            .char_indices()
            .filter(|(at, _)| !rest[..*at].ends_with(char::is_alphanumeric))
            .filter_map(|(at, c)| match c {
                'A'..='Z' => leading_letter(&rest[at..]),
                // b) pleural effusion
                'a'..='z' => Some((c.to_ascii_uppercase(), rest[at + 1..].strip_prefix(')')?)),
                _ => None,
            });
        marked.any(|(other, words_after)| {
            let Some(other) = self.offered(other).filter(|o| *o != letter) else { return false };
            let own = self.text_of(other);
            let longest = own.iter().map(String::len).sum::<usize>() * 2 + 40;
            !own.is_empty()
                && !self.denied.contains(&other)
                && words(&words_after.chars().take(longest).collect::<String>()).starts_with(own)
        }) || self.listed(&rest.lines().skip(1).map(bare).collect::<Vec<_>>()) > 0
    }

    /// How many letters open a line as in a list of options.
    fn listed(&self, lines: &[&str]) -> usize {
        let mut letters: Vec<char> =
            lines.iter().filter_map(|l| leading_letter(l)).filter_map(|(l, _)| self.offered(l)).collect();
        letters.sort_unstable();
        letters.dedup();
        letters.len()
    }

    /// "B because …", "B, as the lesion …", "option B", in a declared span also "B, …". The `whole` of a reply needs a
    /// word that gives a reason.
    fn letter_then_reason(&self, text: &str, whole: bool) -> Option<Found> {
        let skip = announced(text);
        if skip > 0
            && let Some(found) = self.plain(bare(&text[skip..]))
        {
            return Some(found);
        }
        let tokens = self.names.tokens(bare(&text[skip..]));
        let at = tokens.iter().position(|t| !t.is_mark(&['(', '[', '*', '_', '"']))?;
        let Kind::Letter(letter) = tokens[at].kind else { return None };
        self.names.at(&tokens, at).filter(|(named, _)| *named == letter)?;
        let rest = &tokens[at + 1..];
        // "A? No …"
        if rest.iter().take(3).any(|t| t.is_mark(&['?'])) {
            return None;
        }
        let closed =
            rest.iter().position(|t| !t.is_mark(&[')', ']', '*', '_', '"', '`', '}'])).unwrap_or(rest.len());
        let rest = &rest[closed..];
        // "A and B", "A, B", "A/B": more than one.
        let joins = |t: &&Token| {
            t.is_mark(&[',', '/', '&', ';', '、', '+'])
                || t.is_word(&["and", "or"])
                || (t.kind == Kind::Han && "和与及或".contains(t.word.as_str()))
        };
        let joined = rest.iter().take_while(joins).count();
        let offset = tokens.len() - rest.len();
        let after = (offset + joined..tokens.len())
            .find(|i| !tokens[*i].is_mark(&['(', '[', '*']))
            .and_then(|i| self.names.at(&tokens, i));
        if joined > 0 && after.is_some_and(|(other, _)| other != letter && !self.denied.contains(&other)) {
            return Some(Err("several_options"));
        }
        let punctuated = rest.first().is_some_and(|t| matches!(t.kind, Kind::Mark(_) | Kind::Line));
        let reason = rest.iter().find(|t| !matches!(t.kind, Kind::Mark(_))).is_some_and(|t| {
            t.is_word(&REASONS) || (t.kind == Kind::Han && "因由".contains(t.word.as_str()))
        });
        // "B, not A"
        let contrast = rest
            .iter()
            .find(|t| !matches!(t.kind, Kind::Mark(_)))
            .is_some_and(|t| t.is_word(&["not", "rather", "instead"]))
            && !self.denied.is_empty();
        // "A - not this one"
        if rest.iter().find(|t| !matches!(t.kind, Kind::Mark(_))).is_some_and(|t| t.is_word(&["not"]))
            && !contrast
        {
            return Some(Err("withdrawn"));
        }
        let fits = reason || rest.is_empty() || contrast || (punctuated && !whole);
        fits.then_some(Ok((letter, "leading_letter")))
    }

    /// Letters that are said to be chosen ("option B", "so B", "B is correct", 选B), without those that are ruled out
    /// and without repeats.
    fn chosen(&self, tokens: &[Token]) -> Vec<char> {
        let mut found: Vec<char> = (0..tokens.len())
            .filter_map(|at| {
                let Kind::Letter(letter) = tokens[at].kind else { return None };
                self.names.at(tokens, at).filter(|(named, _)| *named == letter)?;
                // "If there were air the answer would be A": supposed.
                let clause: Vec<&Token> =
                    tokens[..at].iter().rev().take(20).take_while(|t| !t.is_mark(&['.', '!', ';'])).collect();
                let has = |words: &[&str]| clause.iter().any(|t| t.is_word(words));
                if has(&["would"]) && has(&["if", "unless", "were", "had"]) {
                    return None;
                }
                // "Is the answer A?" asks, "I would choose A if …" supposes.
                if tokens.get(at + 1).is_some_and(|t| t.is_mark(&['?']) || t.is_word(&["if", "unless"])) {
                    return None;
                }
                (said_before(tokens, at) || said_behind(tokens, at)).then_some(letter)
            })
            .filter(|l| !self.denied.contains(l))
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The one option whose words stand in the text, those inside a longer named option and those ruled out not
    /// counted; none where words of denial speak of something else.
    fn named(&self, text: &str) -> Option<char> {
        let said = words(text);
        let tokens = self.names.tokens(text);
        let denials = self.denials(&tokens);
        if said.len() > LONGEST_SENTENCE || denials.others(&self.names, &tokens) {
            return None;
        }
        let mut hits: Vec<(usize, usize, char)> = Vec::new();
        // A word of one letter or digit is in too many sentences to count as named.
        let long = |t: &[String]| t.iter().map(|w| w.chars().count()).sum::<usize>() > 1;
        for (choice, option) in self.choices.iter().zip(&self.texts).filter(|(_, t)| long(t)) {
            let places =
                said.windows(option.len().max(1)).enumerate().filter(|(_, w)| *w == option.as_slice());
            hits.extend(places.map(|(at, _)| (at, at + option.len(), choice.letter)));
        }
        let inside = |a: &(usize, usize, char), b: &(usize, usize, char)| {
            b.0 <= a.0 && a.1 <= b.1 && (b.1 - b.0) > (a.1 - a.0)
        };
        let mut letters: Vec<char> =
            hits.iter().filter(|h| !hits.iter().any(|other| inside(h, other))).map(|h| h.2).collect();
        letters.retain(|l| !denials.letters.contains(l));
        letters.sort_unstable();
        letters.dedup();
        if let [letter] = letters[..] { Some(letter) } else { None }
    }
}

/// Before "answer" and its like: it is not the one that the reply gives.
const OTHERS: [&str; 14] = [
    "alternative",
    "second",
    "third",
    "other",
    "another",
    "previous",
    "wrong",
    "incorrect",
    "possible",
    "tempting",
    "student",
    "students",
    "user",
    "your",
];

/// Does the text take back what it says ("A, no wait")?
fn withdrawn(text: &str) -> bool {
    words(text).iter().any(|w| matches!(w.as_str(), "wait" | "scratch"))
}

/// Options named beside the one that is read.
#[derive(Default)]
struct Others {
    letters: bool,
    words: bool,
}

/// Words before a reason.
pub(super) const REASONS: [&str; 10] =
    ["because", "since", "as", "given", "due", "based", "for", "while", "whereas", "although"];

/// A word before the letter at `at` chooses it.
fn said_before(tokens: &[Token], at: usize) -> bool {
    const CUES: [&str; 16] = [
        "option",
        "choice",
        "choose",
        "chose",
        "chosen",
        "select",
        "selected",
        "pick",
        "picked",
        "choosing",
        "selecting",
        "picking",
        "answer",
        "leaving",
        "leaves",
        "favor",
    ];
    const HENCE: [&str; 14] = [
        "so",
        "thus",
        "hence",
        "therefore",
        "then",
        "think",
        "believe",
        "say",
        "definitely",
        "probably",
        "likely",
        "clearly",
        "certainly",
        "it",
    ];
    let before = |n: usize| at.checked_sub(n).map(|b| &tokens[b]);
    let over =
        (1..3).find(|n| before(*n).is_some_and(|t| !t.is_mark(&['(', '[', '*', '_', '"', ':']))).unwrap_or(1);
    // "Thus, B."
    let over = over
        + usize::from(
            before(over).is_some_and(|t| t.is_mark(&[',']))
                && before(over + 1).is_some_and(|t| t.is_word(&HENCE)),
        );
    let Some(cue) = before(over) else { return false };
    if cue.kind == Kind::Han {
        let start = (at.saturating_sub(over + 3)..=at - over)
            .find(|i| tokens[*i..=at - over].iter().all(|t| t.kind == Kind::Han));
        let said: String = start
            .map_or_else(String::new, |s| tokens[s..=at - over].iter().map(|t| t.word.as_str()).collect());
        return ["选", "选择", "选项", "答案是", "答案为", "答案"].iter().any(|c| said.ends_with(c));
    }
    // "Alternative answer: B", "the student's choice B": not the reply's own.
    if before(over + 1).is_some_and(|t| t.is_word(&OTHERS)) {
        return false;
    }
    // "Students often choose A."
    if (1..4).any(|n| {
        before(over + n).is_some_and(|t| t.is_word(&["students", "people", "many", "some", "others"]))
    }) {
        return false;
    }
    let went = cue.is_word(&["with", "for", "on"])
        && before(over + 1).is_some_and(|t| t.is_word(&["go", "going", "opt", "settle", "went"]));
    // "…, so B." ends its clause with the letter.
    let closes = tokens[at + 1..].iter().find(|t| !t.is_mark(&[')', ']', '*', '_', '"']));
    let ends = closes.is_none_or(|t| matches!(t.kind, Kind::Line | Kind::Mark('.' | '!' | '。')));
    // "it is B", "it should be: B"; "could be B" is none.
    let verb = |word: &str, subjects: &[&str]| {
        cue.is_word(&[word]) && before(over + 1).is_some_and(|t| t.is_word(subjects))
    };
    let it_is = verb("is", &["it"]) || verb("be", &["should", "must", "would", "will"]);
    cue.is_word(&CUES) || went || (ends && (it_is || cue.is_word(&HENCE)))
}

/// "B is (the) correct (answer)", "B fits best", B正确 behind the letter at `at`.
fn said_behind(tokens: &[Token], at: usize) -> bool {
    let rest: Vec<&Token> =
        tokens[at + 1..].iter().filter(|t| !t.is_mark(&[')', ']', '*', '_', '"'])).take(6).collect();
    if rest.first().is_some_and(|t| t.kind == Kind::Han) {
        let said: String = rest.iter().take_while(|t| t.kind == Kind::Han).map(|t| t.word.as_str()).collect();
        let said = said.trim_start_matches(['选', '项', '是', '为', '最']);
        return ["正确", "符合", "对", "合适"].iter().any(|c| said.starts_with(c));
    }
    let is = rest.first().is_some_and(|t| t.is_word(&["is", "seems", "appears", "remains"]));
    let praised = rest
        .iter()
        .skip(1)
        .take(4)
        .find(|t| !t.is_word(&["the", "most", "clearly", "therefore", "thus", "only"]));
    is && praised.is_some_and(|t| t.is_word(&["correct", "right", "best", "answer", "likeliest"]))
        || (is
            && rest.iter().take(4).any(|t| t.is_word(&["most"]))
            && praised.is_some_and(|t| t.is_word(&["likely", "appropriate", "consistent", "probable"])))
}

/// Bytes of words that only announce a letter: "option ", 选项, 答案选.
pub(super) fn announced(text: &str) -> usize {
    const WORDS: [&str; 12] = [
        "option ",
        "choice ",
        "letter ",
        "answer ",
        "the option ",
        "选项",
        "选择",
        "应选",
        "故选",
        "我选",
        "答案",
        "选",
    ];
    let lower = text.to_ascii_lowercase();
    WORDS.iter().find(|p| lower.starts_with(**p)).map_or(0, |p| p.len())
}

/// The text is one letter but for brackets, punctuation and words that only announce it.
pub(super) fn lone_letter(text: &str) -> Option<char> {
    let around = |c: char| c.is_whitespace() || "()[]{}.,:;!*。、<>【】「」『』《》\"'`$_".contains(c);
    let mut text = text.trim_matches(around);
    for _ in 0..3 {
        text = text[announced(text)..].trim_matches(around);
    }
    let text =
        text.strip_suffix("选项").or_else(|| text.strip_suffix('项')).unwrap_or(text).trim_matches(around);
    let text =
        text.strip_prefix("\\(").and_then(|t| t.strip_suffix("\\")).unwrap_or(text).trim_matches(around);
    let mut chars = text.chars();
    chars.next().filter(|c| c.is_ascii_alphabetic() && chars.next().is_none())
}

/// A letter with a delimiter that the text opens with, and what follows: `B. text`, `(B) text`, `B: text`, `B - text`.
pub(super) fn leading_letter(text: &str) -> Option<(char, &str)> {
    let (open, rest) = match text.strip_prefix(['(', '[']) {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut chars = rest.chars();
    let letter = chars.next().filter(char::is_ascii_alphabetic)?;
    let rest = chars.as_str().trim_start_matches(['*', '_']);
    let after = if open {
        rest.strip_prefix([')', ']'])?
    } else if let Some(after) = rest.strip_prefix(['.', ')', ':', '：', '．', '、']) {
        after
    } else {
        ["\n", " - ", " – ", " — ", " : "].iter().find_map(|d| rest.strip_prefix(d))?
    };
    // "a." and "i)" in running text are no options; in brackets they may be.
    (open || letter.is_ascii_uppercase())
        .then(|| (letter, after.trim_start_matches(['*', '_', '.', ':', ' '])))
}
