//! The words of Florence-2's tasks (`florence2.rs`) and the tokens that they are about.

use crate::chat::tokens::Tokens;

/// A token that names a task, and the words it stands for (`Florence2Processor`); `{input}` is what stands beside it.
pub(super) struct Task {
    pub(super) token: &'static str,
    pub(super) words: &'static str,
    /// Does the reply say where with something else than boxes?
    pub(super) has_shapes: bool,
}

const fn task(token: &'static str, words: &'static str) -> Task {
    Task { token, words, has_shapes: false }
}

const fn shapes(token: &'static str, words: &'static str) -> Task {
    Task { token, words, has_shapes: true }
}

/// In the order in which a text is searched for them.
pub(super) const TASKS: &[Task] = &[
    task("<OCR>", "What is the text in the image?"),
    shapes("<OCR_WITH_REGION>", "What is the text in the image, with regions?"),
    task("<CAPTION>", "What does the image describe?"),
    task("<DETAILED_CAPTION>", "Describe in detail what is shown in the image."),
    task("<MORE_DETAILED_CAPTION>", "Describe with a paragraph what is shown in the image."),
    task("<OD>", "Locate the objects with category name in the image."),
    task("<DENSE_REGION_CAPTION>", "Locate the objects in the image, with their descriptions."),
    task("<REGION_PROPOSAL>", "Locate the region proposals in the image."),
    task("<CAPTION_TO_PHRASE_GROUNDING>", "Locate the phrases in the caption: {input}"),
    shapes("<REFERRING_EXPRESSION_SEGMENTATION>", "Locate {input} in the image with mask"),
    shapes("<REGION_TO_SEGMENTATION>", "What is the polygon mask of region {input}"),
    task("<OPEN_VOCABULARY_DETECTION>", "Locate {input} in the image."),
    task("<REGION_TO_CATEGORY>", "What is the region {input}?"),
    task("<REGION_TO_DESCRIPTION>", "What does the region {input} describe?"),
    task("<REGION_TO_OCR>", "What text is in the region {input}?"),
];

/// Tokens that the authors' processor adds to BART's, in this order.
pub(super) fn added_tokens() -> Vec<String> {
    const BEFORE: [&str; 4] = ["<od>", "</od>", "<ocr>", "</ocr>"];
    const BEHIND: [&str; 20] = [
        "<cap>",
        "</cap>",
        "<ncap>",
        "</ncap>",
        "<dcap>",
        "</dcap>",
        "<grounding>",
        "</grounding>",
        "<seg>",
        "</seg>",
        "<sep>",
        "<region_cap>",
        "</region_cap>",
        "<region_to_desciption>",
        "</region_to_desciption>",
        "<proposal>",
        "</proposal>",
        "<poly>",
        "</poly>",
        "<and>",
    ];
    let places = (0..1000).map(|bin| format!("<loc_{bin}>"));
    BEFORE
        .iter()
        .map(|t| (*t).to_owned())
        .chain(places)
        .chain(BEHIND.iter().map(|t| (*t).to_owned()))
        .collect()
}

/// Words of a caller in which location tokens are what they look like.
pub(super) fn located(words: &str, tokens: &Tokens) -> String {
    let mut out = String::new();
    let mut rest = words;
    while let Some(at) = rest.find("<loc_") {
        let (plain, token) = rest.split_at(at);
        let length = token.find('>').map_or(0, |end| end + 1);
        let is_bin = token
            .get(5..length.saturating_sub(1))
            .is_some_and(|bin| !bin.is_empty() && bin.len() <= 3 && bin.bytes().all(|b| b.is_ascii_digit()));
        if !is_bin {
            break;
        }
        out += &tokens.protect(plain);
        out += &token[..length];
        rest = &token[length..];
    }
    out + &tokens.protect(rest)
}
