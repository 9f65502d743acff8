//! Where the sections of a report begin: headings with a colon, in Markdown, on a line of their own, numbered, in
//! brackets, as keys of a JSON object, as tags; in English, German, French, Spanish, Italian, Portuguese and Chinese.

use loupe_core::braced_json;
use regex::Regex;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Name of a section, and the titles it goes by in lower case.
type Titles = (&'static str, &'static [&'static str]);

/// The section of reports that tell findings and impression in one.
pub(super) const BOTH: &str = "findings and impression";

/// The titles that are understood.
const TITLES: [Titles; 8] = [
    (
        BOTH,
        &[
            "findings and impression",
            "findings and impressions",
            "findings & impression",
            "findings/impression",
            "findings / impression",
            "findings and conclusion",
            "findings and conclusions",
            "findings and diagnosis",
            "impression and findings",
            "befund und beurteilung",
            "hallazgos e impresión",
            "所见及诊断",
            "所见与诊断",
            "影像所见及诊断",
            "影像所见及印象",
        ],
    ),
    (
        "findings",
        &[
            "findings",
            "finding",
            "radiological findings",
            "radiographic findings",
            "imaging findings",
            "image findings",
            "key findings",
            "report findings",
            "observations",
            "observation",
            "befund",
            "befunde",
            "befundbericht",
            "résultats",
            "résultat",
            "resultats",
            "resultat",
            "constatations",
            "description",
            "hallazgos",
            "hallazgo",
            "informe",
            "descripción",
            "reperti",
            "referto",
            "achados",
            "影像所见",
            "检查所见",
            "影像学所见",
            "影像表现",
            "影像学表现",
            "放射学表现",
            "超声所见",
            "所见",
            "检查表现",
            "描述",
            "影像描述",
            "檢查所見",
            "影像所見",
            "所見",
            "소견",
            "描述所见",
            "bevindingen",
            "описание",
            "النتائج",
        ],
    ),
    (
        "impression",
        &[
            "impression",
            "impressions",
            "conclusion",
            "conclusions",
            "opinion",
            "interpretation",
            "assessment",
            "summary",
            "final impression",
            "diagnostic impression",
            "overall impression",
            "diagnosis",
            "beurteilung",
            "zusammenfassung",
            "fazit",
            "synthèse",
            "au total",
            "impresión",
            "impresion",
            "impresión diagnóstica",
            "conclusión",
            "conclusion diagnóstica",
            "conclusiones",
            "juicio diagnóstico",
            "conclusioni",
            "conclusão",
            "impressão",
            "impressão diagnóstica",
            "印象",
            "诊断意见",
            "结论",
            "诊断",
            "诊断印象",
            "影像诊断",
            "影像学诊断",
            "诊断结论",
            "影像印象",
            "诊断提示",
            "检查结论",
            "意见",
            "診斷意見",
            "結論",
            "診断",
            "결론",
            "판독",
            "conclusie",
            "заключение",
            "الانطباع",
            "الخلاصة",
        ],
    ),
    (
        "indication",
        &[
            "indication",
            "indications",
            "clinical indication",
            "history",
            "clinical history",
            "reason for exam",
            "reason for examination",
            "reason for study",
            "clinical information",
            "klinische angaben",
            "indikation",
            "fragestellung",
            "anamnese",
            "renseignements cliniques",
            "contexte",
            "indicación",
            "datos clínicos",
            "临床病史",
            "临床信息",
            "病史",
            "检查目的",
            "临床诊断",
        ],
    ),
    (
        "technique",
        &[
            "technique",
            "procedure",
            "protocol",
            "technik",
            "untersuchungstechnik",
            "técnica",
            "tecnica",
            "检查技术",
            "检查方法",
            "扫描方法",
            "技术",
        ],
    ),
    (
        "comparison",
        &[
            "comparison",
            "comparisons",
            "prior studies",
            "vergleich",
            "voraufnahmen",
            "comparaison",
            "comparación",
            "对比",
            "比较",
        ],
    ),
    (
        "examination",
        &["examination", "exam", "study", "untersuchung", "examen", "检查部位", "检查项目", "检查名称"],
    ),
    (
        "recommendation",
        &[
            "recommendation",
            "recommendations",
            "empfehlung",
            "empfehlungen",
            "recommandations",
            "recomendación",
            "recomendaciones",
            "建议",
            "建議",
        ],
    ),
];

/// Titles that head a section only on a line of their own, with markup or at the start of a line: before a colon within
/// a sentence they are ordinary words.
const ONLY_AT_LINES: [&str; 21] = [
    "observation",
    "observations",
    "description",
    "summary",
    "assessment",
    "diagnosis",
    "opinion",
    "interpretation",
    "study",
    "protocol",
    "contexte",
    "informe",
    "描述",
    "意见",
    "诊断",
    "技术",
    "对比",
    "比较",
    "建议",
    "病史",
    "所见",
];

/// The section that a title names.
pub(super) fn section_of(title: &str) -> Option<&'static str> {
    let title = title.trim().to_lowercase().replace(['_', '-'], " ");
    TITLES.iter().find(|(_, all)| all.contains(&title.as_str())).map(|(name, _)| *name)
}

/// All titles as alternatives of a regular expression, the longest first.
fn alternatives() -> String {
    let mut all: Vec<&str> = TITLES.iter().flat_map(|(_, titles)| titles.iter().copied()).collect();
    all.sort_by_key(|t| std::cmp::Reverse(t.len()));
    all.iter().map(|t| regex::escape(t)).collect::<Vec<_>>().join("|")
}

/// A heading: where it begins, where its text begins, and the section.
type Cut = (usize, usize, &'static str);

/// `Findings: …` behind white space, and whole lines that are a heading by a colon, by markup or by standing alone.
fn headings(report: &str) -> Vec<Cut> {
    static INLINE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(&format!(
            r"(?im)(?:^|[\s*_#>\[【。；])({})[ \t]*[*_\]】]*[ \t]*[:：][ \t]*[*_]*",
            alternatives()
        ))
        .ok()
    });
    static LINE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(&format!(
            r"(?im)^[ \t>]*(?:<(?:b|strong|h[1-6]|p)>)?(?:#{{1,6}}[ \t]*)?[*_\[【]*[ \t]*(?:(?:\d{{1,2}}|[ivx]{{1,4}}|[一二三四五])[.)、][ \t]*)?[*_\[【]*({})(?:</(?:b|strong|h[1-6]|p)>)?(?:[ \t]*[*_\]】]*[ \t]*[:：](?:</(?:b|strong|h[1-6]|p)>)?[ \t]*[*_]*|[ \t]+[-–—][ \t]+|[ \t]*[*_]*[\]】]|[ \t]*[*_]*[ \t]*\r?$)",
            alternatives()
        ))
        .ok()
    });
    let mut cuts: Vec<Cut> = Vec::new();
    for (rule, lines) in [(&LINE, true), (&INLINE, false)] {
        for found in rule.iter().flat_map(|rule| rule.captures_iter(report)) {
            let (Some(whole), Some(title)) = (found.get(0), found.get(1)) else { continue };
            let ordinary = !lines && ONLY_AT_LINES.contains(&title.as_str().to_lowercase().as_str());
            if let (false, Some(name)) = (ordinary, section_of(title.as_str())) {
                let start = whole.start() + whole.as_str().len() - whole.as_str().trim_start().len();
                cuts.push((start, whole.end(), name));
            }
        }
    }
    cuts.sort_unstable_by_key(|(start, end, _)| (*start, std::cmp::Reverse(*end)));
    let mut kept: Vec<Cut> = Vec::new();
    for cut in cuts {
        if kept.last().is_none_or(|last| cut.0 >= last.1) {
            kept.push(cut);
        }
    }
    kept
}

/// `<findings>…</findings>`: tags named after sections.
fn tags(report: &str) -> Vec<(&'static str, &str)> {
    static TAG: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"<([\p{L}_][\p{L}_ -]{2,30})>").ok());
    let lower = report.to_ascii_lowercase();
    let found = TAG.iter().flat_map(|rule| rule.captures_iter(report)).filter_map(|found| {
        let (whole, title) = (found.get(0)?, found.get(1)?);
        let name = section_of(title.as_str())?;
        let close = format!("</{}>", title.as_str().to_ascii_lowercase());
        let end = lower.get(whole.end()..)?.find(&close).map_or(report.len(), |at| whole.end() + at);
        Some((name, report.get(whole.end()..end)?))
    });
    found.take(MOST_TAGS).collect()
}

/// Tags of a report that are read.
const MOST_TAGS: usize = 64;

/// The JSON object of a report whose keys are titles.
fn object(report: &str) -> Option<Vec<(&'static str, String)>> {
    // Words or a code fence may stand around it.
    let value = braced_json(report)?.ok()?;
    let mut found = Vec::new();
    keyed(&value, &mut found, 0);
    (!found.is_empty()).then_some(found)
}

/// Sections among the keys of an object, or of objects inside it ("report": {…}).
fn keyed(value: &Value, found: &mut Vec<(&'static str, String)>, depth: usize) {
    let Value::Object(map) = value else { return };
    for (key, inner) in map {
        match section_of(key) {
            Some(name) => found.push((name, said(inner))),
            None if depth < 2 => keyed(inner, found, depth + 1),
            None => {}
        }
    }
}

/// The words of a value: lists and objects as sentences side by side.
fn said(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(said).collect::<Vec<_>>().join(" "),
        Value::Object(map) => {
            map.iter().map(|(key, v)| format!("{key}: {}", said(v))).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// Headings of LaTeX as those of Markdown, and a line for each block of HTML.
fn without_markup(report: &str) -> Cow<'_, str> {
    static LATEX: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\\(?:sub)*section\*?\{([^{}\n]{1,60})\}").ok());
    static BLOCK: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?i)</?(?:h[1-6]|p|br|div|li|ul|ol)(?:\s[^<>]*)?/?>").ok());
    let replaced = |text: Cow<'_, str>, rule: &LazyLock<Option<Regex>>, put: &str| match rule.as_ref() {
        Some(rule) => Cow::Owned(rule.replace_all(&text, put).into_owned()),
        None => Cow::Owned(text.into_owned()),
    };
    if !report.contains("section") && !report.contains('<') {
        return Cow::Borrowed(report);
    }
    replaced(replaced(Cow::Borrowed(report), &LATEX, "\n## $1\n"), &BLOCK, "\n")
}

/// The sections of a report by name; text before the first heading is `""`. A section that occurs
/// twice is joined.
pub fn sections(report: &str) -> BTreeMap<&'static str, String> {
    let mut out: BTreeMap<&'static str, String> = BTreeMap::new();
    let mut add = |name: &'static str, text: &str| {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        let entry = out.entry(name).or_default();
        if !entry.is_empty() {
            entry.push(' ');
        }
        entry.push_str(text);
    };
    if let Some(found) = object(report) {
        found.iter().for_each(|(name, text)| add(name, text));
        return out;
    }
    let tagged = tags(report);
    if !tagged.is_empty() {
        tagged.iter().for_each(|(name, text)| add(name, text));
        return out;
    }
    let report = &without_markup(report);
    let cuts = headings(report);
    add("", report.get(..cuts.first().map_or(report.len(), |c| c.0)).unwrap_or_default());
    for (i, (_, from, name)) in cuts.iter().enumerate() {
        let to = cuts.get(i + 1).map_or(report.len(), |next| next.0);
        add(name, report.get(*from..to).unwrap_or_default());
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;

    #[test]
    fn sections_by_their_headings() {
        let report = "EXAM: Chest\nFINDINGS: Lungs are clear. Ratio: 0.5.\nIMPRESSION:\n1. No acute disease.";
        let found = sections(report);
        assert_eq!(found["findings"], "Lungs are clear. Ratio: 0.5.");
        assert_eq!(found["impression"], "1. No acute disease.");
        assert_eq!(found["examination"], "Chest");
    }

    #[test]
    fn every_layout_and_language_holds_the_same_two_sections() {
        for report in [
            "Findings: Clear lungs. Impression: Normal.",
            "FINDINGS\nClear lungs.\n\nIMPRESSION\nNormal.",
            "## Findings\nClear lungs.\n## Conclusion:\nNormal.",
            "**Findings**\nClear lungs.\n\n**Impression:** Normal.",
            "### **Findings:**\nClear lungs.\n### **Impression:**\nNormal.",
            "1. **Findings**: Clear lungs.\n2. **Impression**: Normal.",
            "I. Findings: Clear lungs.\nII. Impression: Normal.",
            "[FINDINGS] Clear lungs.\n[IMPRESSION]\nNormal.",
            "Findings - Clear lungs.\nOpinion - Normal.",
            "<FINDINGS>Clear lungs.</FINDINGS>\n<IMPRESSION>Normal.</IMPRESSION>",
            "```json\n{\"Findings\": [\"Clear lungs.\"], \"impression\": \"Normal.\"}\n```",
            "{\"report\": {\"findings\": \"Clear lungs.\", \"final_impression\": \"Normal.\"}}",
            "Befund: Clear lungs.\nBeurteilung: Normal.",
            "Résultats :\nClear lungs.\nConclusion :\nNormal.",
            "Hallazgos: Clear lungs.\nImpresión: Normal.",
            "影像所见：Clear lungs.\n印象：Normal.",
            "【检查所见】Clear lungs.\n【诊断意见】\nNormal.",
            "\\section{Findings}\nClear lungs.\n\\section*{Impression} Normal.",
            "<h2>Findings</h2><p>Clear lungs.</p><h2>Impression</h2><p>Normal.</p>",
            "<b>Findings</b>\nClear lungs.\n<b>Impression:</b> Normal.",
            "Here is the report: {\"findings\": \"Clear lungs.\", \"impression\": \"Normal.\"}",
            "Bevindingen: Clear lungs.\nConclusie: Normal.",
            "النتائج: Clear lungs.\nالخلاصة: Normal.",
            "一、影像表现：Clear lungs.\n二、结论：Normal.",
        ] {
            let found = sections(report);
            let of = |name: &str| found.get(name).map_or("(none)", String::as_str);
            let tidy = |text: &str| text.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
            assert_eq!(
                (tidy(of("findings")), tidy(of("impression"))),
                ("Clear lungs".to_owned(), "Normal".to_owned()),
                "{report}"
            );
        }
    }

    #[test]
    fn words_of_a_sentence_are_no_headings() {
        for report in [
            "The findings are those of a mass. An impression of the rib is seen.",
            "Final assessment of this study: benign, in summary: normal.",
            "{\"label\": \"normal\"}",
            "",
        ] {
            let found = sections(report);
            assert!(found.keys().all(|name| name.is_empty()), "{report}: {found:?}");
        }
    }
}
