//! Which column of a reply file holds what.

use serde::Serialize;

/// Which column holds what. A name with periods goes into nested objects and lists
/// (`answer.second_response`, `resps.0.0`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Mapping {
    /// Identity of the row; without it, rows are numbered from 0 (or keyed, in a JSON object).
    pub id: Option<String>,
    /// The model's reply.
    pub reply: String,
    /// The reference answer: words, a list of accepted wordings, or the letter of an option.
    pub gold: Option<String>,
    /// The question.
    pub question: Option<String>,
    /// The options: a list, an object by letter, a list of objects, or one of these as words. Without it, columns `A`,
    /// `B` … or `option_A`, `option_B` … are options.
    pub choices: Option<String>,
    /// What rows share that are not independent: image, patient, video.
    pub group: Option<String>,
    /// Columns to keep as tags, as (tag, column).
    pub tags: Vec<(String, String)>,
    /// Where the list of rows lies inside a JSON object; without it the object is a map by id.
    pub rows: Option<String>,
    /// Letters that are offered where the file has no options (`ABCD`).
    pub letters: String,
    /// Columns of whole numbers to keep beside the row: widths and heights of pictures.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sizes: Vec<String>,
    /// Columns in which the tool says why there is no reply.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
}

/// Names that tools give the columns, the likeliest first.
const IDS: &[&str] = &[
    "id",
    "question_id",
    "qid",
    "index",
    "question id",
    "study_id",
    "sample_id",
    "example_id",
    "item_id",
    "case_id",
    "doc_id",
    "custom_id",
    "uid",
    "key",
];
const REPLIES: &[&str] = &[
    "reply",
    "prediction",
    "response",
    "pred_answer",
    "answer_pred",
    "model_answer",
    "predicted_answer",
    "output",
    "text",
    "pred",
    "generated_report",
    "predicted_report",
    "hypothesis",
    "hyp",
];
/// Columns in which tools say why there is no reply.
const ERRORS: &[&str] = &["error", "exception"];
const GOLDS: &[&str] = &[
    "gold",
    "reference",
    "gt_answer",
    "answer_gt",
    "ground_truth",
    "answer",
    "labels",
    "label",
    "gt",
    "target",
    "ref",
    "reference_report",
    "gt_report",
];
const QUESTIONS: &[&str] = &["question", "prompt", "query"];
const CHOICES: &[&str] = &[
    "index2ans",
    "choices",
    "options",
    "answer_choices",
    "answer_options",
    "multiple_choices",
    "candidates",
    "option",
    "opts",
    "all_choices",
];
const GROUPS: &[&str] = &[
    "group",
    "video_id",
    "patient_id",
    "image_id",
    "img_id",
    "image_name",
    "img_name",
    "image",
    "image_path",
    "image_file",
];
/// Columns that are tags under these names, because figures are by them.
const TAGS: &[(&str, &str)] = &[
    ("answer_type", "answer_type"),
    ("question_type", "question_type"),
    ("content_type", "content_type"),
    ("qtype", "qtype"),
    ("q_type", "content_type"),
    ("modality", "modality"),
    ("category", "category"),
    ("l2-category", "l2-category"),
    ("split", "split"),
    ("subject", "subject"),
    ("q_lang", "language"),
];

impl Mapping {
    /// The columns that may hold the id, the likeliest first.
    pub(super) fn ids<'a>(columns: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let columns: Vec<&str> = columns.into_iter().collect();
        let column = |name: &&str| columns.iter().find(|c| c.eq_ignore_ascii_case(name));
        IDS.iter().filter_map(column).map(|c| (*c).to_owned()).collect()
    }

    /// The mapping that the names of the columns suggest; says what it looked for when there is no
    /// column that could be the reply. A map from id to reply has no columns and needs none.
    ///
    /// # Errors
    /// A sentence with the columns there are.
    pub fn guess<'a>(columns: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        Self::guess_among(columns, |_| true)
    }

    /// The same where only some columns hold text that can be a reply.
    pub(super) fn guess_among<'a>(
        columns: impl IntoIterator<Item = &'a str>,
        is_text: impl Fn(&str) -> bool,
    ) -> Result<Self, String> {
        let columns: Vec<&str> = columns.into_iter().collect();
        let column = |name: &str| columns.iter().find(|c| c.eq_ignore_ascii_case(name));
        let first = |names: &[&str]| names.iter().find_map(|n| column(n)).map(|c| (*c).to_owned());
        let ids = Self::ids(columns.iter().copied());
        let mut replies = REPLIES.iter().filter_map(|n| column(n));
        let reply = replies.find(|c| is_text(c)).map(|c| (*c).to_owned()).ok_or_else(|| {
            let objects: Vec<&str> = columns.iter().copied().filter(|c| !is_text(c)).collect();
            let inside = match objects.first() {
                Some(first) => format!(
                    " ({} hold objects or lists, which are no replies; {first}.NAME names a field inside)",
                    objects.join(", ")
                ),
                None => String::new(),
            };
            format!(
                "no column looks like the reply; there are {}{inside}; name one with --reply-column",
                columns.join(", ")
            )
        });
        let reply = if columns.is_empty() { String::new() } else { reply? };
        let tags =
            TAGS.iter().filter_map(|(name, tag)| Some(((*tag).to_owned(), (*column(name)?).to_owned())));
        Ok(Self {
            id: ids.into_iter().next(),
            reply,
            gold: first(GOLDS),
            question: first(QUESTIONS),
            choices: first(CHOICES),
            group: first(GROUPS),
            tags: tags.collect(),
            errors: first(ERRORS).into_iter().collect(),
            ..Self::default()
        })
    }
}
