//! Prompt templates: how a sample becomes a prompt, by name.
//!
//! `loupe` is the default and never looks at the reference answer. The others reproduce what known
//! harnesses send, to the character, including the habit of choosing the instruction by the
//! reference. A template is a line of [`PROMPT_TEMPLATES`]; run.json keeps its name and its words.

use crate::examples::Example;
use crate::own_template::{OwnTemplate, Wanted, reference};
pub use crate::question_form::{asks_for_report, asks_yes_or_no};
use loupe_core::words::did_you_mean;
use loupe_core::{Ask, Choice, Failure, GenerationLimits, Part, Picture, Role, Sample, Target, Turn};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, LazyLock};
use thiserror::Error;

/// The words around a question, one template a kind of question; `{q}` and `{options}` are filled in,
/// `{pictures}` says where the pictures stand when it is inside the words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wording {
    /// The sample has options.
    pub choice: Cow<'static, str>,
    /// It has options of which several are right; where there is none, `choice` stands for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub letters: Option<Cow<'static, str>>,
    /// Yes or no.
    pub yes_no: Cow<'static, str>,
    /// Another closed question.
    pub closed: Cow<'static, str>,
    /// A question with a free short answer.
    pub open: Cow<'static, str>,
}

/// What decides between the templates when a sample has no options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KindBy {
    /// The form of the question ("Is …", "…吗") alone.
    Form,
    /// Yes/no when the reference is yes or no, else open: the prompt tells the kind of the answer.
    Gold,
    /// Closed when the set's `answer_type` says so, else open.
    AnswerType,
}

/// Where the pictures go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// Before the words; several ones each after its tag `<image_k>: `, k from 1.
    TaggedFirst,
    /// Before the words, without tags.
    First,
    /// After the words.
    Last,
}

/// How options are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptionStyle {
    /// `A. text`, one a line.
    Dotted,
    /// `A.text`, one a line.
    DottedTight,
    /// `(A) text`, one a line.
    Bracketed,
    /// The `repr` of a Python list of `A. text`.
    PythonList,
}

/// How samples become prompts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptTemplate {
    /// Name on the command line.
    pub name: Cow<'static, str>,
    /// Whose prompt it is.
    pub source: Cow<'static, str>,
    /// System turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<Cow<'static, str>>,
    /// The words for English and for every language without words of its own.
    pub english: Wording,
    /// The words for Chinese.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chinese: Option<Wording>,
    /// What chooses the template.
    pub kind_by: KindBy,
    /// How options are written.
    pub options: OptionStyle,
    /// Where the pictures go.
    pub pictures: Placement,
    /// A template from a file, which then stands for all the words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<OwnTemplate>,
}

const SAME: &str = "{q}";
const BARE: Wording = Wording {
    choice: Cow::Borrowed("{q}\n{options}"),
    letters: None,
    yes_no: Cow::Borrowed(SAME),
    closed: Cow::Borrowed(SAME),
    open: Cow::Borrowed(SAME),
};

const MEDEVALKIT: Wording = Wording {
    choice: Cow::Borrowed(
        "\nQuestion: {q}\nOptions: \n{options}\nAnswer with the option's letter from the given choices directly.",
    ),
    letters: None,
    yes_no: Cow::Borrowed("{q}\nPlease output 'yes' or 'no'(no extra output)."),
    closed: Cow::Borrowed("{q}\nAnswer the question using a single word or phrase."),
    open: Cow::Borrowed("{q}\nPlease answer the question concisely."),
};
const MEDEVALKIT_ZH: Wording = Wording {
    choice: Cow::Borrowed("\n问题： {q}\n选项： \n{options}\n请直接使用给定选项中的选项字母来回答该问题。"),
    letters: None,
    yes_no: Cow::Borrowed("{q}\n请输出'是'或'否'(不要有任何其它输出)。"),
    closed: Cow::Borrowed("{q}\n请用一个单词或者短语回答该问题。"),
    open: Cow::Borrowed("{q}\n请简要回答该问题。"),
};
const MEDEVALKIT_REASONING: Wording = Wording {
    choice: Cow::Borrowed(
        "\nQuestion: {q}\nOptions: \n{options}\nAnswer with the option's letter from the given choices and put the letter in one \"\\boxed{}\".",
    ),
    letters: None,
    yes_no: Cow::Borrowed("{q}\nPlease output \"yes\" or \"no\" and put the answer in one \"\\boxed{}\"."),
    closed: Cow::Borrowed(
        "{q}\nAnswer the question using a single word or phrase and put the answer in one \"\\boxed{}\".",
    ),
    open: Cow::Borrowed("{q}\nPlease answer the question concisely and put the answer in one \"\\boxed{}\"."),
};

const MEDEVALKIT_REASONING_ZH: Wording = Wording {
    choice: Cow::Borrowed(
        "\n问题： {q}\n选项： \n{options}\n请直接使用给定选项中的选项字母来回答该问题,并将答案包裹在\"\\boxed{}\"里",
    ),
    letters: None,
    yes_no: Cow::Borrowed("{q}\n请输出'是'或'否'，并将答案放在一个'\\boxed{}'中。"),
    closed: Cow::Borrowed("{q}\n请用一个单词或者短语回答该问题，并将答案放在一个'\\boxed{}'中。"),
    open: Cow::Borrowed("{q}\n请简要回答该问题，并将答案放在一个'\\boxed{}'中。"),
};

const fn template(name: &'static str, source: &'static str, english: Wording) -> PromptTemplate {
    PromptTemplate {
        name: Cow::Borrowed(name),
        source: Cow::Borrowed(source),
        system: None,
        english,
        chinese: None,
        kind_by: KindBy::Gold,
        options: OptionStyle::Dotted,
        pictures: Placement::First,
        own: None,
    }
}

/// Every template; the first is the default.
pub static PROMPT_TEMPLATES: LazyLock<Vec<PromptTemplate>> = LazyLock::new(|| {
    vec![
        PromptTemplate {
            kind_by: KindBy::Form,
            pictures: Placement::TaggedFirst,
            chinese: Some(Wording {
                choice: Cow::Borrowed("{q}\n{options}\n请只回答唯一正确选项的字母。"),
                letters: Some(Cow::Borrowed("{q}\n{options}\n请只回答所有正确选项的字母。")),
                yes_no: Cow::Borrowed("{q}\n请只回答“是”或“否”。"),
                closed: Cow::Borrowed("{q}\n请用一个词或短语回答。"),
                open: Cow::Borrowed("{q}\n请用一个词或短语回答。"),
            }),
            ..template(
                "loupe",
                "loupe's own; never looks at the reference answer",
                Wording {
                    choice: Cow::Borrowed(
                        "{q}\n{options}\nAnswer with the letter of the one correct option.",
                    ),
                    letters: Some(Cow::Borrowed(
                        "{q}\n{options}\nAnswer with the letters of all correct options.",
                    )),
                    yes_no: Cow::Borrowed("{q}\nAnswer with yes or no only."),
                    closed: Cow::Borrowed("{q}\nAnswer with a single word or a short phrase."),
                    open: Cow::Borrowed("{q}\nAnswer with a single word or a short phrase."),
                },
            )
        },
        PromptTemplate {
            kind_by: KindBy::Form,
            pictures: Placement::TaggedFirst,
            ..template("question", "the question and its options, no instruction", BARE)
        },
        PromptTemplate {
            chinese: Some(MEDEVALKIT_ZH),
            pictures: Placement::TaggedFirst,
            ..template(
                "medevalkit",
                "MedEvalKit 9b12e3b, utils/question_formats.py as VQA_RAD, PATH_VQA and PMC_VQA use it",
                MEDEVALKIT,
            )
        },
        PromptTemplate {
            chinese: Some(MEDEVALKIT_ZH),
            pictures: Placement::TaggedFirst,
            kind_by: KindBy::AnswerType,
            ..template(
                "medevalkit-slake",
                "MedEvalKit 9b12e3b, utils/question_formats.py as SLAKE uses it",
                MEDEVALKIT,
            )
        },
        PromptTemplate {
            pictures: Placement::TaggedFirst,
            options: OptionStyle::DottedTight,
            ..template(
                "medevalkit-medframeqa",
                "MedEvalKit 9b12e3b, MedFrameQA: options without a space",
                MEDEVALKIT,
            )
        },
        PromptTemplate {
            chinese: Some(MEDEVALKIT_REASONING_ZH),
            pictures: Placement::TaggedFirst,
            ..template("medevalkit-reasoning", "MedEvalKit 9b12e3b with REASONING set", MEDEVALKIT_REASONING)
        },
        PromptTemplate {
            chinese: Some(Wording {
                choice: Cow::Borrowed("{q}\n{options}\n请用一个词或短语回答问题。"),
                letters: None,
                yes_no: Cow::Borrowed("{q}\n请用一个词或短语回答问题。"),
                closed: Cow::Borrowed("{q}\n请用一个词或短语回答问题。"),
                open: Cow::Borrowed("{q}\n请用一个词或短语回答问题。"),
            }),
            ..template(
                "lmms-eval",
                "lmms-eval 75571cf, tasks/slake and tasks/mmmu",
                Wording {
                    choice: Cow::Borrowed(
                        "{q}\n{options}\n\nAnswer with the option's letter from the given choices directly.",
                    ),
                    letters: None,
                    yes_no: Cow::Borrowed("{q}\nAnswer the question using a single word or phrase."),
                    closed: Cow::Borrowed("{q}\nAnswer the question using a single word or phrase."),
                    open: Cow::Borrowed("{q}\nAnswer the question using a single word or phrase."),
                },
            )
        },
        PromptTemplate {
            system: Some(Cow::Borrowed(
                "Answer the following multiple-choice question. Images are provided. The last line of your response should be strictly of the following format: ’Answer: $LETTER’ (without quotes) where LETTER is one of the options. For example, if the correct answer is A, your response should be: ’Answer: A’. Think step by step before answering.\"\n",
            )),
            options: OptionStyle::PythonList,
            pictures: Placement::Last,
            ..template(
                "medframeqa",
                "MedFrameQA e83fbe3, config/prompt.yaml",
                Wording { choice: Cow::Borrowed("Question:{q} \n\nOptions:\n{options}\n"), ..BARE },
            )
        },
        template(
            "multimedeval",
            "MultiMedEval d9ac283, vqa.py: the image stands where <img> does",
            Wording {
                choice: Cow::Borrowed("{pictures} {q}\n{options}"),
                letters: None,
                yes_no: Cow::Borrowed("Answer the following question with yes or no. {pictures} {q}"),
                closed: Cow::Borrowed("{pictures} {q}"),
                open: Cow::Borrowed("{pictures} {q}"),
            },
        ),
        template(
            "vlmevalkit",
            "VLMEvalKit e8e78f0, ImageMCQDataset.build_prompt and PathVQA",
            Wording {
                choice: Cow::Borrowed(
                    "Question: {q}\nOptions:\n{options}\nPlease select the correct answer from the options above. \n",
                ),
                letters: None,
                yes_no: Cow::Borrowed("{q}\nPlease directly provide a short answer to the question. "),
                closed: Cow::Borrowed("{q}\nPlease directly provide a short answer to the question. "),
                open: Cow::Borrowed("{q}\nPlease directly provide a short answer to the question. "),
            },
        ),
        template(
            "medq-bench",
            "MedQ-Bench 20ba2c5",
            Wording {
                choice: Cow::Borrowed(
                    "Please carefully observe this medical image and answer the following question:\n\n{q}\n\nOptions:\n{options}\n\nAnswer directly only with the option **letter** from the given choices.",
                ),
                ..BARE
            },
        ),
        {
            const KARMA: &str = "Given this radiology image, which can be a frontal chest X-ray, a single slice head or\nabdominal CT or MR image, provide a very short, definitive, and concise answer (if possible, a single\nword) to the following question: {q}";
            template(
                "karma-vqa-rad",
                "KARMA fe15101, VQA-RAD",
                Wording {
                    choice: Cow::Borrowed(KARMA),
                    letters: None,
                    yes_no: Cow::Borrowed(KARMA),
                    closed: Cow::Borrowed(KARMA),
                    open: Cow::Borrowed(KARMA),
                },
            )
        },
    ]
});

/// No template has that name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no prompt template is called {name:?}{meant} (`loupe list prompts` names them)")]
pub struct UnknownTemplate {
    /// What was asked for.
    pub name: String,
    meant: String,
}

/// The template of that name.
///
/// # Errors
/// When there is none; the message names the nearest.
pub fn by_name(name: &str) -> Result<PromptTemplate, UnknownTemplate> {
    PROMPT_TEMPLATES.iter().find(|t| t.name == name).cloned().ok_or_else(|| UnknownTemplate {
        name: name.to_owned(),
        meant: did_you_mean(name, PROMPT_TEMPLATES.iter().map(|t| t.name.as_ref())),
    })
}

/// The default template.
pub fn default_template() -> PromptTemplate {
    PROMPT_TEMPLATES.first().cloned().unwrap_or_else(|| template("loupe", "loupe's own", BARE))
}

impl PromptTemplate {
    /// The template in a file (minijinja, see [`OwnTemplate`]), called `name`.
    ///
    /// # Errors
    /// When it is none; the message says what is wrong.
    pub fn own(name: &str, text: &str) -> Result<Self, String> {
        let own = Some(OwnTemplate::new(text)?);
        let words = template("own", "a template of one's own", BARE);
        Ok(Self { name: Cow::Owned(name.to_owned()), kind_by: KindBy::Form, own, ..words })
    }

    /// The prompt for `sample` with its pictures decoded, behind `examples` with their answers, whose pictures come behind its own. Where
    /// `limits` ask for the options of the question, they become those that the words of the prompt offer.
    ///
    /// # Errors
    /// When a template from a file cannot be filled in with this sample.
    pub fn ask(
        &self,
        sample: &Sample,
        mut pictures: Vec<Arc<Picture>>,
        mut limits: GenerationLimits,
        examples: &[Example],
    ) -> Result<Ask, Failure> {
        if limits.options.as_ref().is_some_and(Vec::is_empty) {
            limits.options = self.options(sample);
        }
        let own = pictures.len();
        let mut turns: Vec<Turn> = Vec::new();
        turns.extend(self.system_words(sample)?.map(|words| Turn::text(Role::System, words)));
        for example in examples {
            let Some(answer) = reference(&example.sample) else { continue };
            let first = pictures.len();
            pictures.extend(example.pictures.iter().cloned());
            let parts = self.user_parts(&example.sample, first..pictures.len(), Some(&answer))?;
            turns.push(Turn { role: Role::User, parts });
            let said = match &self.own {
                Some(own) => own
                    .answer(&example.sample, &self.wanted(&example.sample), &answer)
                    .map_err(Failure::lasting)?,
                None => answer,
            };
            turns.push(Turn::text(Role::Assistant, said));
        }
        turns.push(Turn { role: Role::User, parts: self.user_parts(sample, 0..own, None)? });
        Ok(Ask { pictures, turns, limits })
    }

    fn system_words(&self, sample: &Sample) -> Result<Option<String>, Failure> {
        match &self.own {
            Some(own) => own.system(sample, &self.wanted(sample)).map_err(Failure::lasting),
            None => Ok(self.system.as_deref().map(str::to_owned)),
        }
    }

    /// The user's turn about the sample, whose pictures have these numbers.
    fn user_parts(
        &self,
        sample: &Sample,
        pictures: Range<usize>,
        answer: Option<&str>,
    ) -> Result<Vec<Part>, Failure> {
        if let Some(own) = &self.own {
            return own.user(sample, &self.wanted(sample), pictures, answer).map_err(Failure::lasting);
        }
        let (before, after) = self.words(sample);
        let text = |words: String| (!words.is_empty()).then_some(Part::Text(words));
        let mut parts: Vec<Part> = text(before).into_iter().collect();
        let tagged = pictures.len() > 1 && self.pictures == Placement::TaggedFirst;
        for (n, at) in pictures.enumerate() {
            parts.extend(tagged.then(|| Part::Text(format!("<image_{}>: ", n + 1))));
            parts.push(Part::Picture(at));
        }
        parts.extend(text(after));
        Ok(parts)
    }

    fn wanted(&self, sample: &Sample) -> Wanted<'static> {
        let kind = match self.kind(sample) {
            Kind::Choice => "choice",
            Kind::Letters => "letters",
            Kind::YesNo => "yes_no",
            Kind::Closed | Kind::Open => "open",
            Kind::Itself => "itself",
        };
        Wanted { kind, options: self.write_options(&sample.choices) }
    }

    /// The replies between which a closed question lets its reader choose: the letters of its choices, or yes and no. Nothing for open
    /// questions and those of which several choices are right.
    pub fn options(&self, sample: &Sample) -> Option<Vec<String>> {
        match self.kind(sample) {
            Kind::Choice => Some(sample.choices.iter().map(|c| c.letter.to_string()).collect()),
            Kind::YesNo if is_chinese(sample) => Some(vec!["是".to_owned(), "否".to_owned()]),
            Kind::YesNo => Some(vec!["yes".to_owned(), "no".to_owned()]),
            Kind::Letters | Kind::Closed | Kind::Open | Kind::Itself => None,
        }
    }

    /// The words of the user's turn before and behind the pictures.
    pub fn words(&self, sample: &Sample) -> (String, String) {
        let wording = self.chinese.as_ref().filter(|_| is_chinese(sample)).unwrap_or(&self.english);
        let template: &str = match self.kind(sample) {
            Kind::Letters => wording.letters.as_ref().unwrap_or(&wording.choice),
            Kind::Choice => &wording.choice,
            Kind::YesNo => &wording.yes_no,
            Kind::Closed => &wording.closed,
            Kind::Open => &wording.open,
            Kind::Itself => SAME,
        };
        let fill = |part: &str| {
            // One pass, so that braces in the question are never read as a placeholder.
            let Some((before, after)) = part.split_once("{q}") else { return part.to_owned() };
            match after.split_once("{options}") {
                Some((between, rest)) => {
                    format!(
                        "{before}{}{between}{}{rest}",
                        sample.question,
                        self.write_options(&sample.choices)
                    )
                }
                None => format!("{before}{}{after}", sample.question),
            }
        };
        match template.split_once("{pictures}") {
            Some((before, after)) => (fill(before), fill(after)),
            None if self.pictures == Placement::Last => (fill(template), String::new()),
            None => (String::new(), fill(template)),
        }
    }

    fn kind(&self, sample: &Sample) -> Kind {
        match &sample.target {
            Target::Choices(_) => return Kind::Letters,
            _ if !sample.choices.is_empty() => return Kind::Choice,
            Target::Text(_) | Target::Choice(_) | Target::Unknown => {}
            // Boxes, counts, reports: the question says what is wanted.
            _ => return Kind::Itself,
        }
        let closed = sample.tag("answer_type").is_some_and(|t| t.eq_ignore_ascii_case("closed"));
        match self.kind_by {
            // A question without a reference may be for anything; one for a report says so itself.
            KindBy::Form if matches!(sample.target, Target::Unknown) || asks_for_report(&sample.question) => {
                Kind::Itself
            }
            KindBy::Form if asks_yes_or_no(&sample.question) => Kind::YesNo,
            KindBy::Form => Kind::Open,
            KindBy::Gold => match sample.target.text().map(|t| t.trim().to_lowercase()).as_deref() {
                Some("yes" | "no") => Kind::YesNo,
                _ => Kind::Open,
            },
            KindBy::AnswerType if closed => Kind::Closed,
            KindBy::AnswerType => Kind::Open,
        }
    }

    fn write_options(&self, choices: &[Choice]) -> String {
        let write = |c: &Choice| match self.options {
            OptionStyle::Dotted => format!("{}. {}", c.letter, c.text),
            OptionStyle::DottedTight => format!("{}.{}", c.letter, c.text),
            OptionStyle::Bracketed => format!("({}) {}", c.letter, c.text),
            OptionStyle::PythonList => python_repr(&format!("{}. {}", c.letter, c.text)),
        };
        let all: Vec<String> = choices.iter().map(write).collect();
        if self.options == OptionStyle::PythonList { format!("[{}]", all.join(", ")) } else { all.join("\n") }
    }
}

/// What a prompt asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The letter of one choice.
    Choice,
    /// The letters of several choices.
    Letters,
    YesNo,
    Closed,
    Open,
    /// What the question says by itself.
    Itself,
}

fn is_chinese(sample: &Sample) -> bool {
    sample.language.starts_with("zh")
}

/// Python's `repr` of a string: single quotes unless only the double ones are free.
fn python_repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}
