//! Texts that tools store in the place of an answer when they got none. A reply of this kind is no reply: the item
//! failed, it was not answered wrongly.

/// How a stored failure is told from an answer.
enum Mark {
    /// The reply begins so.
    Begins(&'static str),
    /// The reply, but for a full stop at its end, is this.
    Is(&'static str),
    /// The reply holds this; the tool itself looks for it anywhere.
    Holds(&'static str),
}

/// A text that a tool stores for a failure.
struct StoredFailure {
    mark: Mark,
    /// Who stores it.
    tool: &'static str,
}

/// The known ones, with the file that writes or looks for each.
const STORED: &[StoredFailure] = &[
    // lmms_eval/models/chat/async_openai.py, openai.py, simple/gemini_api.py: "[… after N retries] …".
    StoredFailure { mark: Mark::Begins("[LMMS_EVAL_REQUEST_FAILED"), tool: "lmms-eval" },
    // lmms_eval/models/chat/async_openai.py.
    StoredFailure { mark: Mark::Begins("[LMMS_EVAL_BUDGET_EXCEEDED"), tool: "lmms-eval" },
    // vlmeval/api/base.py (fail_msg), found again by vlmeval/utils/matching_util.py.
    StoredFailure { mark: Mark::Holds("Failed to obtain answer via API"), tool: "VLMEvalKit" },
    // evaluation/eval_utils.py of MedBookVQA leaves such rows out.
    StoredFailure { mark: Mark::Begins("Error: "), tool: "MedBookVQA" },
    // openai-python, _exceptions.py: the words of APITimeoutError, APIConnectionError and of status errors, which scripts
    // write down as the answer.
    StoredFailure { mark: Mark::Is("Request timed out"), tool: "the OpenAI client" },
    StoredFailure { mark: Mark::Is("Connection error"), tool: "the OpenAI client" },
    StoredFailure { mark: Mark::Begins("Error code: "), tool: "the OpenAI client" },
];

/// Why the text is no reply; nothing for a reply.
pub(super) fn stored_failure(text: &str) -> Option<String> {
    let text = text.trim();
    let begins = |mark: &str| text.get(..mark.len()).is_some_and(|start| start.eq_ignore_ascii_case(mark));
    let found = STORED.iter().find(|stored| match stored.mark {
        Mark::Begins(mark) => begins(mark),
        Mark::Is(mark) => text.trim_end_matches('.').eq_ignore_ascii_case(mark),
        Mark::Holds(mark) => text.contains(mark),
    })?;
    let (Mark::Begins(mark) | Mark::Is(mark) | Mark::Holds(mark)) = found.mark;
    Some(format!("the file holds a failure in the place of a reply: {:?} ({})", mark.trim(), found.tool))
}

#[cfg(test)]
mod tests {
    use super::stored_failure;

    #[test]
    fn stored_failures_are_no_answers() {
        for text in [
            "[LMMS_EVAL_REQUEST_FAILED after 5 retries] 429",
            "[LMMS_EVAL_BUDGET_EXCEEDED]",
            "Failed to obtain answer via API. ",
            " Failed to obtain answer via API.\n",
            "Request timed out.",
            "request timed out",
            "Connection error.",
            "Error: 500",
            "Error code: 429 - {'error': …}",
        ] {
            assert!(stored_failure(text).is_some(), "{text}");
        }
        for text in
            ["", "no", "The request timed out of range", "An error: none", "Errors in metabolism", "é"]
        {
            assert_eq!(stored_failure(text), None, "{text}");
        }
    }
}
