//! What the lines around an answer say of it: a heading that denies what stands under it, boxes that are ticked.

use super::extract::bare;
use super::words::words;

/// Words of a heading that denies what stands under it.
const DENYING: [&str; 19] = [
    "incorrect",
    "wrong",
    "false",
    "eliminated",
    "excluded",
    "ruled",
    "rejected",
    "unlikely",
    "implausible",
    "least",
    "not",
    "without",
    "absent",
    "no",
    "alternative",
    "previous",
    "second",
    "distractor",
    "distractors",
];
/// The same in Chinese.
const DENYING_ZH: [&str; 10] = ["错误", "排除", "未见", "不", "没有", "除外", "否定", "干扰项", "其次", "无"];

/// Does the line, a heading by its colon, deny what stands under it ("Incorrect:", "Wrong answers:", 错误选项：)?
fn denies(line: &str) -> bool {
    let line = bare(line);
    let Some(title) = line.strip_suffix([':', '：']) else { return false };
    words(title).iter().any(|word| DENYING.contains(&word.as_str()))
        || DENYING_ZH.iter().any(|cue| title.contains(cue))
}

/// Does a heading deny the last of the lines? Lines between it and the heading are answers of the same list.
pub(super) fn last_is_denied(lines: &[&str], is_answer: impl Fn(&str) -> bool) -> bool {
    let above = lines.split_last().map_or(&[][..], |(_, above)| above);
    above.iter().rev().find(|line| !is_answer(line)).is_some_and(|line| denies(line))
}

/// What stands behind the boxes that are ticked (`- [x] A`, `☑ A`), where the text is a list of boxes.
pub(super) fn ticked(text: &str) -> Option<Vec<&str>> {
    const TICKED: [&str; 6] = ["[x]", "[X]", "☑", "☒", "✅", "✔"];
    const OPEN: [&str; 4] = ["[ ]", "[]", "☐", "□"];
    let (mut found, mut boxes) = (Vec::new(), 0);
    for line in text.lines() {
        let line = line.trim().trim_start_matches(['-', '*', '•', ' ']);
        let behind = |marks: &[&str]| marks.iter().find_map(|mark| line.strip_prefix(mark)).map(bare);
        boxes += usize::from(behind(&OPEN).is_some());
        found.extend(behind(&TICKED));
    }
    (boxes + found.len() > 1).then_some(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn headings_deny_and_boxes_are_ticked() {
        let letter = |line: &str| line.len() == 1;
        assert!(last_is_denied(&["Wrong options:", "B", "C"], letter));
        assert!(last_is_denied(&["错误选项：", "B"], letter));
        assert!(!last_is_denied(&["Final answer:", "B"], letter));
        assert!(!last_is_denied(&["B"], letter));
        assert_eq!(ticked("- [x] A\n- [ ] B").unwrap(), ["A"]);
        assert_eq!(ticked("☐ A\n☐ B").unwrap(), [""; 0]);
        assert_eq!(ticked("A\nB"), None);
    }
}
