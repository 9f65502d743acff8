//! What denies an option or takes an answer back, in English, Chinese and Arabic, and what only looks so.

use crate::readings::reads;
use crate::strict::{sample, text};
use loupe_core::{Sample, Target};

fn named() -> Sample {
    sample(Target::Choice('A'), &[('A', "Pneumothorax"), ('B', "Pleural effusion")], &[])
}

fn named_zh() -> Sample {
    sample(Target::Choice('A'), &[('A', "气胸"), ('B', "胸腔积液")], &[])
}

fn named_ar() -> Sample {
    sample(Target::Choice('A'), &[('A', "استرواح الصدر"), ('B', "انصباب جنبي")], &[])
}

#[test]
fn words_of_an_option_that_are_denied_do_not_name_it() {
    for reply in [
        "I doubt it is a pneumothorax.",
        "The lungs are free of pneumothorax.",
        "Pneumothorax: none",
        "The pneumothorax has resolved.",
        "This is anything but a pneumothorax.",
        "Pneumothorax is the least likely.",
        "The least likely is pneumothorax.",
        "It is not a pneumothorax.",
        "Nothing here suggests pneumothorax.",
    ] {
        reads(&named(), reply, None);
    }
    for (reply, answer) in [
        ("There is a pneumothorax.", "A"),
        ("A rim of at least 2 cm: pneumothorax.", "A"),
        ("This is a pneumothorax, free air around the lung.", "A"),
        ("Not a pneumothorax but a pleural effusion.", "B"),
    ] {
        reads(&named(), reply, Some(answer));
    }
    // The words of denial may be the option's own.
    let ask = sample(Target::Choice('A'), &[('A', "No fracture"), ('B', "Rib fracture")], &[]);
    reads(&ask, "The image shows no fracture.", Some("A"));
}

#[test]
fn chinese_and_arabic_words_deny_as_english_ones() {
    for reply in [
        "没有气胸",
        "图像中无气胸",
        "未发现气胸",
        "未见明显气胸",
        "不存在气胸",
        "不太可能是气胸",
        "没有证据支持气胸",
        "气胸阴性",
        "气胸的可能性不大",
        "气胸可能性小",
        "不能排除气胸",
        "是不是气胸",
    ] {
        reads(&named_zh(), reply, None);
    }
    for reply in ["考虑为气胸", "非常可能是气胸", "肺野透亮度不均匀，提示气胸", "图像显示气胸"]
    {
        reads(&named_zh(), reply, Some("A"));
    }
    reads(&named_zh(), "没有气胸，是胸腔积液", Some("B"));
    for reply in [
        "لا يوجد استرواح الصدر",
        "بدون استرواح الصدر",
        "ليس هناك دليل على استرواح الصدر",
        "لم يظهر استرواح الصدر",
        "لا توجد علامات استرواح الصدر",
    ] {
        reads(&named_ar(), reply, None);
    }
    reads(&named_ar(), "يوجد استرواح الصدر", Some("A"));
}

#[test]
fn what_is_taken_back_or_only_supposed_is_no_answer() {
    for reply in [
        "Answer: A, no wait",
        "Answer: A - not this one",
        "Students often choose A.",
        "I would choose A if there were air, but there is none.",
        "It is not the case that the answer is A.",
        "I refuse to choose A.",
        "a) pneumothorax b) pleural effusion",
    ] {
        reads(&named(), reply, None);
    }
    for reply in [
        "No. 3 rib is fractured",
        "No. 2",
        "No, I cannot see the image.",
        "Yes, I can help with that! Please upload the image.",
        "Yes? I would say no.",
        "It is not the case that the answer is yes.",
        "no, I mean yes",
        "No, wait, yes",
    ] {
        reads(&text("yes"), reply, None);
    }
    for (reply, answer) in [
        ("No, I cannot see a fracture.", "no"),
        ("Yes, in the image there is one.", "yes"),
        ("No.\n2 views were taken.", "no"),
    ] {
        reads(&text("yes"), reply, Some(answer));
    }
}

#[test]
fn a_heading_denies_what_stands_under_it() {
    for reply in [
        "Incorrect:\nB",
        "The following are wrong:\n\nB",
        "Wrong options:\nA\nB",
        "The image does not show:\nPneumothorax",
        "错误选项：\nB",
        "A\n\nB",
    ] {
        reads(&named(), reply, None);
    }
    reads(&named(), "Final answer:\nB", Some("B"));
    reads(&text("yes"), "Wrong answer:\nYes", None);
    reads(&text("yes"), "No - I cannot determine that.", None);
    reads(&named(), "- [x] A\n- [ ] B", Some("A"));
    reads(&named(), "- [ ] A\n- [ ] B", None);
    let both = sample(
        Target::Choices(vec!['A', 'B']),
        &[('A', "one"), ('B', "two"), ('C', "three"), ('D', "four")],
        &[],
    );
    reads(&both, "- [x] A\n- [x] B\n- [ ] C\n- [ ] D", Some("A, B"));
    reads(&both, "A. one\nB. two\nC. four", None);
}

#[test]
fn an_answer_that_is_another_one_s_is_not_the_reply_s() {
    for reply in [
        "The answer is A. The second most likely answer is B.",
        "Answer: A\nSecond best answer: B",
        "The correct answer is A. The student's answer was B.",
        "Answer: A. If there were fluid the answer would be B.",
        "答案：A。其次可能的答案是B",
    ] {
        let read = crate::readings::read(&named(), reply);
        assert!(read.as_deref() != Some("B"), "{reply:?} {read:?}");
    }
    for reply in [
        "If the lung were collapsed the answer would be B.",
        "Is the answer A?",
        "Choosing A would be a mistake.",
    ] {
        reads(&named(), reply, None);
    }
    for reply in ["الإجابة الصحيحة هي B", "Answer - B", "\\(B\\)"] {
        reads(&named(), reply, Some("B"));
    }
}

#[test]
fn a_further_question_that_nobody_announces_ends_the_answer() {
    for reply in [
        "B. Pleural effusion\n\nWhat is the next step?\nA. CT\nB. MRI\nAnswer: A",
        "B\n\n2. What is seen on the left?\nAnswer: A",
        "B\n<question>Which lobe?</question> A",
        "B. Pleural effusion.\nDoctor: And here? Answer: A",
    ] {
        reads(&named(), reply, Some("B"));
    }
    reads(&text("yes"), "Is there a fracture?\nYes.\n\nIs there a dislocation?\nNo.", Some("yes"));
    // Who says the question again before the answer asks nothing further.
    reads(&named(), "Which is seen?\nA. Pneumothorax\nB. Pleural effusion\nAnswer: B", Some("B"));
}

#[test]
fn thoughts_in_fences_folds_and_fields_are_not_read() {
    for (reply, answer) in [
        ("```thinking\nA is best\n```\nB", Some("B")),
        ("<details><summary>Thinking</summary>Answer: A</details>\nB", Some("B")),
        ("<details type=\"reasoning\" done=\"true\">\nAnswer: A\n</details>\nB", Some("B")),
        ("```thinking\nThe answer is B", None),
        ("{\"thought\": \"A is best\", \"choice\": \"B\"}", Some("B")),
        ("```json\n{\"reasoning\": \"option A\", \"answer\": \"B\"}\n```", Some("B")),
        ("{\"reasoning\": \"option A\", \"answer\": \"\"}", None),
        ("{\"analysis\": \"Answer: A\", \"final\": \"B\"}", Some("B")),
        ("{\"reasoning\": \"The answer is B because", None),
        ("Thinking...\nIt is A.\n...done thinking.\n\nB", Some("B")),
        ("Thinking...\nIt is B.", None),
        ("<|im_start|>think\nAnswer: A\n<|im_start|>answer\nB", Some("B")),
        ("<reasoning_content>A</reasoning_content>B", Some("B")),
    ] {
        reads(&named(), reply, answer);
    }
}

#[test]
fn signs_powers_and_products_of_numbers_count() {
    for (gold, reply, same) in [
        ("<5 mm", ">5 mm", false),
        ("< 5 mm", "<5mm", true),
        (">= 3", "≥3", true),
        ("10³", "103", false),
        ("10³", "10^3", true),
        ("10⁻³", "10^-3", true),
        ("5 cm²", "5 cm2", true),
        ("50%", "٥٠٪", true),
        ("3x4 cm", "3 × 4 cm", true),
        ("3x4 cm", "34 cm", false),
        ("1/2", "1 2", false),
        ("½", "1 / 2", true),
    ] {
        let answer = crate::strict::judge(&text(gold), reply);
        assert_eq!(answer.verdict == loupe_eval::Verdict::Correct, same, "{gold:?} {reply:?}: {answer:?}");
    }
}
