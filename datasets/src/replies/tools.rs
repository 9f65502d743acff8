//! Files of tools whose layout is known: where each keeps reply, reference, question and its own errors.

use super::fields::at;
use super::mapping::Mapping;
use super::rows::stream;
use serde_json::Value;
use std::path::Path;

/// A tool's file, told by fields that a row has.
pub(super) struct Tool {
    /// As it is said to people.
    pub(super) name: &'static str,
    /// A row is of this tool when it has all of these.
    marks: &'static [&'static str],
    /// Where the reply is: the first of these that the row has.
    reply: &'static [&'static str],
    id: &'static [&'static str],
    gold: &'static [&'static str],
    question: &'static [&'static str],
    choices: &'static [&'static str],
    group: &'static [&'static str],
    /// Fields that say why there is no reply.
    errors: &'static [&'static str],
    /// Field that counts the replies to one sample, from 1.
    epoch: Option<&'static str>,
}

/// The tools, each with the place of its layout.
const TOOLS: &[Tool] = &[
    // lmms_eval/loggers/evaluation_tracker.py: `samples_<task>.jsonl` of --log_samples.
    Tool {
        name: "lmms-eval",
        marks: &["doc_id", "filtered_resps"],
        reply: &["filtered_resps", "resps"],
        id: &["doc.question_id", "doc.qid", "doc.id", "doc.index", "doc_id"],
        gold: &["target"],
        question: &["doc.question", "input", "arguments.0.0", "arguments.gen_args_0.arg_0"],
        choices: &["doc.index2ans", "doc.options", "doc.choices", "doc.all_choices"],
        group: &["doc.image_id", "doc.img_id", "doc.img_name", "doc.image_name"],
        errors: &[],
        epoch: None,
    },
    // lm_eval writes the same fields, of which only `resps` is sure.
    Tool {
        name: "lm-evaluation-harness",
        marks: &["doc_id", "doc", "resps"],
        reply: &["filtered_resps", "resps"],
        id: &["doc.question_id", "doc.qid", "doc.id", "doc.index", "doc_id"],
        gold: &["target"],
        question: &["doc.question", "arguments.gen_args_0.arg_0", "arguments.0.0"],
        choices: &["doc.index2ans", "doc.options", "doc.choices", "doc.all_choices"],
        group: &["doc.image_id", "doc.img_id", "doc.img_name", "doc.image_name"],
        errors: &[],
        epoch: None,
    },
    // inspect_ai/log/_log.py, EvalSample: an `.eval` file, or `samples` of a `.json` log.
    Tool {
        name: "inspect_ai",
        marks: &["output", "target", "input", "epoch"],
        reply: &["output.choices.0.message.content", "output.completion"],
        id: &["id"],
        gold: &["target"],
        question: &["input"],
        choices: &["choices", "metadata.choices", "metadata.options"],
        group: &["metadata.image", "metadata.group"],
        errors: &["error", "output.error"],
        epoch: Some("epoch"),
    },
    // The output file of OpenAI's batch interface (/v1/chat/completions and /v1/responses).
    Tool {
        name: "OpenAI batch",
        marks: &["custom_id", "response"],
        // The whole message: its refusal stands beside its content.
        reply: &["response.body.choices.0.message", "response.body.output"],
        id: &["custom_id"],
        gold: &[],
        question: &[],
        choices: &[],
        group: &[],
        errors: &["error", "response.body.error", "response.status_code"],
        epoch: None,
    },
];

impl Tool {
    /// The tool that wrote these rows.
    pub(super) fn of(rows: &[Value]) -> Option<&'static Self> {
        let has = |row: &Value, mark: &&str| row.get(mark).is_some();
        let written =
            |tool: &&Tool| !rows.is_empty() && rows.iter().all(|row| tool.marks.iter().all(|m| has(row, m)));
        TOOLS.iter().find(written)
    }

    /// Where its fields are, as the first rows have them.
    pub(super) fn mapping(&self, rows: &[Value]) -> Mapping {
        let there = |paths: &[&str]| {
            let path =
                paths.iter().find(|path| rows.iter().any(|row| at(row, path).is_some_and(|v| !v.is_null())));
            path.map(|path| (*path).to_owned())
        };
        Mapping {
            id: there(self.id),
            reply: there(self.reply)
                .or_else(|| self.reply.first().map(|r| (*r).to_owned()))
                .unwrap_or_default(),
            gold: there(self.gold),
            question: there(self.question),
            choices: there(self.choices),
            group: there(self.group),
            errors: self.errors.iter().map(|e| (*e).to_owned()).collect(),
            ..Mapping::default()
        }
    }
}

/// How many replies to each sample the file of the tool of this name holds, where it counts them.
pub(super) fn epochs(tool: &str, file: &Path, mapping: &Mapping) -> Option<usize> {
    let epoch = TOOLS.iter().find(|t| t.name == tool)?.epoch?;
    let mapping = Mapping { sizes: vec![epoch.to_owned()], ..mapping.clone() };
    stream(file, &mapping).flatten().filter_map(|row| row.sizes.first().copied().flatten()).max()
}
