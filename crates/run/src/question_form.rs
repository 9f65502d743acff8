//! What a question calls for by its form alone.

/// Does the question call for yes or no by its form? English: it opens with an auxiliary verb and
/// offers no alternative ("… or …"); Chinese: it holds 吗, 是否, 是不是 or 有没有.
pub fn asks_yes_or_no(question: &str) -> bool {
    const VERBS: [&str; 24] = [
        "is", "are", "was", "were", "do", "does", "did", "has", "have", "had", "can", "could", "will",
        "would", "should", "isn't", "aren't", "wasn't", "doesn't", "don't", "didn't", "hasn't", "haven't",
        "may",
    ];
    if ["吗", "是否", "是不是", "有没有"].iter().any(|w| question.contains(w)) {
        return true;
    }
    let lower = question.to_lowercase();
    let mut words = lower.split(|c: char| c.is_whitespace() || c == ',').filter(|w| !w.is_empty());
    words.next().is_some_and(|first| VERBS.contains(&first)) && !words.any(|w| w == "or")
}

/// Does the question call for a report or a description by its words, so that a short answer would be none?
pub fn asks_for_report(question: &str) -> bool {
    const VERBS: [&str; 14] = [
        "write",
        "generate",
        "produce",
        "compose",
        "create",
        "draft",
        "describe",
        "summarize",
        "summarise",
        "dictate",
        "prepare",
        "report",
        "provide",
        "give",
    ];
    const THINGS: [&str; 10] = [
        "report",
        "findings",
        "impression",
        "impressions",
        "description",
        "conclusion",
        "summary",
        "sections",
        "narrative",
        "reports",
    ];
    const HAN: [&str; 12] = [
        "写报告",
        "撰写",
        "书写",
        "生成报告",
        "生成一份",
        "报告中",
        "诊断报告",
        "影像报告",
        "检查报告",
        "描述图像",
        "描述这",
        "详细描述",
    ];
    if HAN.iter().any(|w| question.contains(w)) {
        return true;
    }
    let lower = question.to_lowercase();
    let words = || lower.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty());
    let verb = words().position(|w| VERBS.contains(&w));
    // "Describe the image", and "write … the findings"; a question ("Which finding …?") asks for a word.
    verb.is_some_and(|at| {
        let mut behind = words().skip(at);
        let describes =
            behind.next().is_some_and(|w| matches!(w, "describe" | "summarize" | "summarise" | "dictate"));
        let asks = question.trim_end().ends_with('?');
        !asks && (describes || behind.any(|w| THINGS.contains(&w)))
    })
}
