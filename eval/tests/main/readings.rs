//! What of a reply may be read as its answer: no thoughts, nothing that is ruled out, no invented turn, no letter that is
//! none; and what is said plainly is read, in whatever form it is written.

use crate::strict::{judge, sample, text};
use loupe_core::reasoning::MARKS;
use loupe_core::{Sample, Target};
use loupe_eval::Verdict;
use loupe_eval::strict;
use proptest::prelude::*;

const CHEST: [(char, &str); 4] =
    [('A', "Pneumonia"), ('B', "Pleural effusion"), ('C', "Rib fracture"), ('D', "Normal chest")];

fn choice(gold: char) -> Sample {
    sample(Target::Choice(gold), &CHEST, &[])
}

fn polar(question: &str, gold: &str) -> Sample {
    Sample { question: question.into(), ..text(gold) }
}

/// The answer that is read, or nothing.
pub(crate) fn read(ask: &Sample, reply: &str) -> Option<String> {
    let judgement = judge(ask, reply);
    matches!(judgement.verdict, Verdict::Correct | Verdict::Wrong).then_some(judgement.answer).flatten()
}

#[track_caller]
pub(crate) fn reads(ask: &Sample, reply: &str, answer: Option<&str>) {
    assert_eq!(read(ask, reply).as_deref(), answer, "{reply:?}: {:?}", judge(ask, reply));
}

#[test]
fn thoughts_are_never_the_answer_whatever_marks_them() {
    let (ask, yes) = (choice('C'), text("yes"));
    for mark in MARKS {
        let (open, close) = (mark.open, mark.close);
        for (open, close) in
            [(open.to_owned(), close.to_owned()), (open.to_uppercase(), close.to_uppercase())]
        {
            reads(&ask, &format!("{open}\nThe answer is A. No, it is D.\n{close}\nC"), Some("C"));
            reads(&ask, &format!("I see. Answer: A{close}The answer is C."), Some("C"));
            reads(&ask, &format!("{open}The answer is C."), None);
            reads(&ask, &format!("Answer: C\n{open} But no, wait"), None);
            reads(&ask, &format!("{open}C{close}"), None);
            reads(&yes, &format!("{open}no{close} Yes."), Some("yes"));
        }
    }
    for (reply, answer) in [
        ("< think >A</ think >C", Some("C")),
        ("<think seconds=\"3\">Answer: A</think>C", Some("C")),
        ("<think>A</think>Hm.<think>B</think>C", Some("C")),
        (
            "<|channel|>analysis<|message|>The answer is A<|end|><|start|>assistant<|channel|>final<|message|>C<|return|>",
            Some("C"),
        ),
        ("<|channel|>analysis<|message|>The answer is C", None),
        ("<|channel|>commentary<|message|>Answer: C<|end|>", None),
        ("analysisThe answer is A? It shows a line.assistantfinalC", Some("C")),
        ("analysisThe answer is C", None),
        ("thought\nThe answer is C", None),
        ("## Thinking\n\nAnswer: A, surely.\n\n## Final Response\n\nC", Some("C")),
        ("**Thought process:**\nA or B. The answer is B.\n**Final Answer:** C", Some("C")),
        ("### Reasoning\nAnswer A is tempting.\n### Final Answer\nC", Some("C")),
        ("Here is my thought process:\nThe answer is A.\nHere is my response:\nC", Some("C")),
        ("## 思考过程\n答案是A\n## 最终答案\nC", Some("C")),
        ("## Thinking\nThe answer is C.", None),
        ("**Final Answer**\n\nC. Rib fracture", Some("C")),
        ("<|begin_of_box|>C<|end_of_box|>", Some("C")),
        ("<think>A</think><response>C</response>", Some("C")),
        ("<REASONING>A</REASONING>\n<CONCLUSION>C</CONCLUSION>", Some("C")),
        ("<|START_THINKING|>A<|END_THINKING|><|START_RESPONSE|>C<|END_RESPONSE|>", Some("C")),
        ("I was thinking about it. The answer is C.", Some("C")),
    ] {
        reads(&ask, reply, answer);
    }
}

#[test]
fn a_turn_that_the_model_invents_answers_another_question() {
    let ask = choice('B');
    for tail in [
        "\n\nQuestion: Which view is it?\nOptions: A. AP B. PA\nAnswer: A",
        "\nQ: Which view?\nA: C",
        "\nHuman: And the modality?\nAssistant: The answer is C.",
        "\n### Instruction:\nName the view.\n### Response:\nAnswer: C",
        "\n\nUser: thanks, and now?\n\nAssistant: C",
        "\nNext question: which side?\nAnswer: D",
        "\n\n**Question 2:** Which side?\n**Answer:** C",
        "<|im_end|>\n<|im_start|>user\nAnd?<|im_end|>\n<|im_start|>assistant\nC",
        "</s> Answer: C",
        "\n问题：哪一侧？\n答案：C",
        "\nHuman: And?\n<think>x</think>\nC",
    ] {
        for head in ["B", "Answer: B", "<answer>B</answer>", "<think>Question: A or C?</think>B"] {
            reads(&ask, &format!("{head}{tail}"), Some("B"));
        }
    }
    reads(&text("yes"), "Yes. Question: Is it a CT? Answer: no", Some("yes"));
    reads(&ask, "<|im_start|>assistant\nB<|im_end|>", Some("B"));
    // The last word of the model's own turn counts.
    reads(&ask, "Answer: A\nHold on, the angle is blunted.\nAnswer: B", Some("B"));
    reads(&ask, "To answer the question: it is seen at the base.\nAnswer: B", Some("B"));
}

/// Ways to rule out `X`, in which nothing speaks for it.
const RULED_OUT: [&str; 40] = [
    "X is incorrect.",
    "X) is wrong because of the borders.",
    "Option X is unlikely.",
    "(X) can be ruled out.",
    "X. is ruled out by the history.",
    "X has been eliminated",
    "X does not fit.",
    "X doesn't match the picture.",
    "X isn't right.",
    "X cannot be correct.",
    "X: incorrect",
    "X – wrong.",
    "X is not the answer.",
    "X is less likely.",
    "X is clearly not supported.",
    "X, which is unlikely, was my first idea.",
    "X would be highly improbable.",
    "X fails to explain it.",
    "X is out.",
    "The answer is not X.",
    "The answer isn't X.",
    "Not X.",
    "It is not option X.",
    "I would not choose X.",
    "The wrong answer is X.",
    "We can rule out X.",
    "Ruling out X,",
    "We exclude X.",
    "Eliminate option X.",
    "This argues against X.",
    "anything other than X",
    "anything rather than X",
    "Everything except X.",
    "排除X",
    "X错误",
    "X项不符合",
    "X可排除",
    "不选X",
    "答案不是X",
    "X选项是错误的",
];

#[test]
fn an_option_that_is_ruled_out_is_never_read() {
    let mut read_all_the_same = Vec::new();
    for (letter, words) in CHEST {
        let ask = choice(letter);
        for form in RULED_OUT {
            for name in [letter.to_string(), format!("{letter} ({words})")] {
                let reply = form.replace('X', &name);
                if judge(&ask, &reply).verdict == Verdict::Correct
                    || !strict::denied(&ask, &reply).contains(&letter)
                {
                    read_all_the_same.push(reply);
                }
            }
        }
    }
    assert!(read_all_the_same.is_empty(), "{read_all_the_same:#?}");
}

#[test]
fn what_is_said_beside_a_denial_is_read() {
    let ask = choice('B');
    for (reply, answer) in [
        ("The answer is B, not A.", Some("B")),
        ("The answer is (B) Pleural effusion, not (C) Rib fracture.", Some("B")),
        ("B, not A", Some("B")),
        ("A is wrong, so I choose B.", Some("B")),
        ("A and C are ruled out. Answer: B", Some("B")),
        ("A、C可排除，故选B", Some("B")),
        ("排除A和C，选B", Some("B")),
        ("B is more likely than A. Answer: B", Some("B")),
        ("Answer: B\n\nA: incorrect, the lung is clear.\nC: incorrect.", Some("B")),
        ("B cannot be excluded. Answer: B", Some("B")),
        ("B is not only likely but certain. Answer: B", Some("B")),
        ("不能排除B。答案：B", Some("B")),
        ("The answer is pleural effusion, not pneumonia.", Some("B")),
        ("A) is wrong.", None),
        ("A: I think B", None),
        ("Not A but perhaps B or C", None),
        ("Answer: B. But B is wrong.", None),
        ("Pleural effusion is ruled out.", None),
        ("There is no pleural effusion.", None),
        ("It is not a pleural effusion but something else.", None),
    ] {
        reads(&ask, reply, answer);
    }
    // "Which is not …" is answered with what is not.
    let except = Sample { question: "Which of these is NOT seen?".into(), ..choice('B') };
    reads(&except, "Answer: B\nB is incorrect, as no fluid is seen.", Some("B"));
}

#[test]
fn a_letter_with_the_words_of_another_option_is_neither() {
    for (letter, own) in CHEST {
        for (_, words) in CHEST {
            let expected = (own == words).then(|| letter.to_string());
            for reply in [
                format!("{letter}. {words}"),
                format!("({letter}) {words}"),
                format!("**{letter}: {words}**"),
                format!("Answer: {letter}. {words}"),
                format!("{letter}. {}, as it seems", words.to_lowercase()),
            ] {
                assert_eq!(
                    read(&choice('B'), &reply),
                    expected,
                    "{reply}: {:?}",
                    judge(&choice('B'), &reply)
                );
            }
        }
    }
    reads(&choice('B'), "A. The image shows a pleural effusion.", None);
    reads(&choice('B'), "A pleural effusion", Some("B"));
    let nested =
        sample(Target::Choice('D'), &[('A', "Left lung"), ('B', "Lung"), ('D', "Left lung and heart")], &[]);
    reads(&nested, "A. Left lung and heart", None);
    reads(&nested, "D. Left lung and heart", Some("D"));
}

#[test]
fn abbreviations_pronouns_and_articles_are_no_letters() {
    let germs: Vec<(char, &str)> = ('A'..='J')
        .zip([
            "Klebsiella",
            "Escherichia coli",
            "Clostridium",
            "Proteus",
            "Serratia",
            "Vitamin deficiency",
            "Candida",
            "Aspergillus",
            "Influenza",
            "Hernia",
        ])
        .collect();
    let ask = sample(Target::Choice('E'), &germs, &[]);
    for reply in [
        "E. coli",
        "C. difficile colitis",
        "C. difficile is unlikely",
        "H. pylori",
        "I, as a model, would rather not say",
        "Answer: I, as an AI, cannot say",
        "I think so",
        "I",
        "A chest X-ray shows consolidation",
        "A mass is seen",
        "Vitamin D",
        "Type B",
        "Hepatitis C",
        "Grade I",
        "The answer is vitamin D",
        "B-cell lymphoma",
        "T. pallidum or B. burgdorferi",
        "It depends",
        "A, B, C and D",
        "A. B.",
        "A / C",
        "(A) (C)",
        "B超",
    ] {
        if reply != "I" {
            reads(&ask, reply, None);
        }
    }
    for (reply, answer) in [
        ("Answer: I", "I"),
        ("(I)", "I"),
        ("I. Influenza", "I"),
        ("E. Serratia", "E"),
        ("C. Clostridium", "C"),
        ("A", "A"),
        ("a", "A"),
        ("E. The gram stain fits", "E"),
        ("E: rods in the stain", "E"),
    ] {
        reads(&ask, reply, Some(answer));
    }
}

#[test]
fn plain_answers_are_read_in_whatever_form() {
    let ask = choice('B');
    for reply in [
        "The answer should be: B",
        "The correct answer would be B.",
        "The answer must be (B).",
        "The answer is most likely B",
        "The answer is: **B**",
        "Answer = B",
        "Answer choice: B",
        "The correct option is B",
        "选B",
        "应选B。",
        "故选：B",
        "我选择B",
        "答案是B",
        "答案为（B）",
        "答案：Ｂ",
        "正确答案是Ｂ。",
        "答案选B",
        "选项B",
        "B选项",
        "Ｂ",
        "（B）",
        "【B】",
        "「Ｂ」",
        "Ⓑ",
        "B、胸腔积液",
        "\\boxed{\\text{B}}",
        "\\boxed{\\textbf{(B)}}",
        "$\\boxed{\\mathrm{B}}$",
        "\\boxed{\\textbf{\\text{B}}}",
        "The depth is \\boxed{5 mm}.\n\n**Answer: B**",
        "\\boxed{v = 3} so the answer is B.",
        "B, because the angle is blunted",
        "B since the angle is blunted",
        "B is the correct answer.",
        "I would go with B.",
        "It should be: B",
        "It is B.",
        "I think B.",
        "Thus, B.",
        "Selected: B",
        "I picked B",
        "Ans: B",
        "b) pleural effusion",
        "B。因为肋膈角变钝",
        "I choose (B).",
        "B Pleural effusion",
        "B (pleural effusion)",
        "B is most likely.",
        "Final answer: `B`",
        "Answer:\nB",
        "A small amount of fluid is seen at the base.\n\nB",
    ] {
        reads(&ask, reply, Some("B"));
    }
    reads(&ask, "The cortex is broken: \\boxed{C}", Some("C"));
    reads(&text("yes"), "It measures \\boxed{3 cm}. Answer: yes", Some("yes"));
}

#[test]
fn several_right_letters_are_a_set() {
    let ask = sample(Target::Choices(vec!['C', 'A']), &CHEST, &[]);
    for reply in [
        "A, C",
        "A and C",
        "C,A",
        "AC",
        "(A) and (C)",
        "A. Pneumonia\nC. Rib fracture",
        "Pneumonia and rib fracture",
        "The correct answers are A and C.",
        "Answer: A, C\n\nBoth are seen.",
        "[\"A\", \"C\"]",
        "答案：A、C",
        "<answer>A; C</answer>",
        "\\boxed{A, C}",
        "Options A and C, because both are seen",
        "A and C, not B",
        "选AC",
        "Both A and C are correct.",
        "Both are visible.\n\nA, C",
    ] {
        let judgement = judge(&ask, reply);
        assert_eq!(judgement.verdict, Verdict::Correct, "{reply}: {judgement:?}");
        assert_eq!(judgement.value(strict::LETTERS_JACCARD), Some(1.0));
    }
    for (reply, answer, jaccard, agree) in [
        ("A", "A", 0.5, 0.75),
        ("A, B", "A, B", 1.0 / 3.0, 0.5),
        ("ABCD", "A, B, C, D", 0.5, 0.5),
        ("B", "B", 0.0, 0.25),
    ] {
        let judgement = judge(&ask, reply);
        assert_eq!(
            (judgement.verdict, judgement.answer.as_deref()),
            (Verdict::Wrong, Some(answer)),
            "{judgement:?}"
        );
        assert_eq!(judgement.value(strict::ACCURACY), Some(0.0));
        assert!((judgement.value(strict::LETTERS_JACCARD).unwrap() - jaccard).abs() < 1e-12);
        assert!((judgement.value(strict::LETTERS_RIGHT).unwrap() - agree).abs() < 1e-12);
    }
    for reply in
        ["A or C", "A. Rib fracture", "A and C are both wrong", "It depends.", "<think>A, C", "", "None"]
    {
        let judgement = judge(&ask, reply);
        assert_eq!(judgement.verdict, Verdict::Unparsed, "{reply}: {judgement:?}");
        assert_eq!(judgement.value(strict::LETTERS_EXACT), Some(0.0));
    }
}

#[test]
fn chinese_negations_answer_only_what_is_asked() {
    for (question, reply, answer) in [
        ("图像中的肺部是否正常？", "无异常", None),
        ("图像中的肺部是否正常？", "未见异常", None),
        ("图像中的肺部是否正常？", "有异常", None),
        ("图像中的肺部是否正常？", "存在病变", None),
        ("图像中的肺部是否正常？", "不正常", Some("no")),
        ("图像中的肺部是否正常？", "是正常的", Some("yes")),
        ("图像中的肺部是否正常？", "不，左肺有阴影。", Some("no")),
        ("图像是否异常？", "不正常", None),
        ("肺部健康吗？", "没有发现异常。", None),
        ("肺部有异常吗？", "没有异常", Some("no")),
        ("肺部有异常吗？", "未见异常。", Some("no")),
        ("肺部有没有异常？", "没有", Some("no")),
        ("肺部有没有异常？", "有，左下叶。", Some("yes")),
        ("肺部没有异常，对吗？", "没有异常", None),
        ("图像中包含肝脏吗？", "不包含肝脏", Some("no")),
        ("图像中包含肝脏吗？", "包含", Some("yes")),
        ("图像中包含肝脏吗？", "包含肝脏", Some("yes")),
        ("这是CT吗？", "不是CT，是MRI", Some("no")),
        ("这是CT吗？", "不是，是MRI", Some("no")),
        ("两肺是否对称？", "不对称", Some("no")),
        ("两肺是否对称？", "对称", None),
        ("肺部有异常吗？", "没错", Some("yes")),
        ("肺部有异常吗？", "不确定", None),
        ("肺部有异常吗？", "不能排除", None),
        ("肺部有异常吗？", "不一定", None),
        ("肺部有异常吗？", "是的。", Some("yes")),
        ("肺部有异常吗？", "否", Some("no")),
    ] {
        reads(&polar(question, "是"), reply, answer);
        reads(&polar(question, "否"), reply, answer);
    }
    let normal = text("正常");
    assert_eq!(judge(&normal, "不正常").verdict, Verdict::Wrong);
    assert_eq!(judge(&normal, "不正常").value(strict::OPEN_RECALL), Some(0.0));
}

#[test]
fn arabic_answers_are_read_as_english_ones() {
    for (question, reply, answer) in [
        ("هل يوجد كسر؟", "نعم", Some("yes")),
        ("هل يوجد كسر؟", "نعم، يوجد كسر", Some("yes")),
        ("هل يوجد كسر؟", "لا", Some("no")),
        ("هل يوجد كسر؟", "لا.", Some("no")),
        ("هل يوجد كسر؟", "ﻻ", Some("no")),
        ("هل يوجد كسر؟", "لا، الصورة سليمة", Some("no")),
        ("هل يوجد كسر؟", "لا يوجد كسر", Some("no")),
        ("هل الصورة طبيعية؟", "لا يوجد كسر", None),
        ("هل الصورة طبيعية؟", "غير طبيعي", None),
        ("هل الصورة طبيعية؟", "طبيعي", None),
        ("هل يوجد كسر؟", "نعم أو لا", None),
        ("هل يوجد كسر؟", "لا أستطيع أن أجيب", None),
    ] {
        reads(&polar(question, "نعم"), reply, answer);
        reads(&polar(question, "لا"), reply, answer);
    }
    assert_eq!(judge(&text("الرئة اليمنى"), "الرِئة اليُمنى.").verdict, Verdict::Correct);
}

#[test]
fn booleans_are_yes_and_no() {
    for (gold, reply, verdict) in [
        ("true", "Yes", Verdict::Correct),
        ("True", "no", Verdict::Wrong),
        ("FALSE", "No.", Verdict::Correct),
        ("false", "False", Verdict::Correct),
        ("yes", "\"Yes\" is incorrect.", Verdict::Unparsed),
    ] {
        assert_eq!(judge(&text(gold), reply).verdict, verdict, "{gold}: {reply}");
    }
}

#[test]
fn forms_of_numbers_units_and_characters_are_one() {
    for (gold, reply) in [
        ("3.5 cm", "3.5cm"),
        ("3.5 cm", "３．５ cm"),
        ("3.5 cm", "3.50 centimetres"),
        ("5 mm", "5㎜"),
        ("5 mm", "5 millimeters"),
        ("-3", "\u{2212}3"),
        ("-3", "–3"),
        ("T2-weighted", "T2\u{2011}weighted"),
        ("50%", "50 %"),
        ("50%", "50 percent"),
        ("30 degrees", "30°"),
        ("0.5", ".5"),
        ("1200", "1,200"),
        ("CT", "ＣＴ"),
        ("4 cm²", "4 cm^2"),
        ("12", "١٢"),
        ("fibrosis", "ﬁbrosis"),
        ("Crohn's disease", "Crohn’s disease"),
    ] {
        assert_eq!(
            judge(&text(gold), reply).verdict,
            Verdict::Correct,
            "{gold}: {reply} {:?}",
            judge(&text(gold), reply)
        );
    }
    for (gold, reply) in
        [("35 mm", "3,5 mm"), ("5 cm", ".5 cm"), ("3", "-3"), ("5 mm", "5 cm"), ("3.5", "35"), ("10", "1.0")]
    {
        assert_eq!(
            judge(&text(gold), reply).verdict,
            Verdict::Wrong,
            "{gold}: {reply} {:?}",
            judge(&text(gold), reply)
        );
    }
    let count = |n: f64| sample(Target::Count(n), &[], &[]);
    assert_eq!(judge(&count(3.0), "３").verdict, Verdict::Correct);
    assert_eq!(judge(&count(3.0), "3 nodules, the largest 5 mm").verdict, Verdict::Correct);
    assert_eq!(judge(&count(80.0), "80%").verdict, Verdict::Unparsed);
}

/// Pieces of replies with letters, cues and words of options in any order.
fn pieces() -> impl Strategy<Value = String> {
    let fixed = |words: &'static [&'static str]| prop::sample::select(words).prop_map(str::to_owned);
    let piece = prop_oneof![
        4 => fixed(&["A", "B", "C", "D", "(A)", "(B)", "A.", "B)", "C:", "option A", "选B", "Ｂ"]),
        2 => fixed(&["Pneumonia", "pleural effusion", "rib fracture", "normal chest"]),
        4 => fixed(&[
            " is wrong", " is not ", " are ruled out", "not ", "rule out ", " is incorrect. ", "neither ", " nor ", " and ", ", ",
            "排除", "错误", " cannot be excluded", " rather than ", "less likely than ", " is unlikely", "isn't ",
        ]),
        3 => fixed(&["The answer is ", "Answer: ", "so ", " because ", "I choose ", "\\boxed{", "}", "<answer>", "</answer>", "答案是"]),
        2 => fixed(&[". ", "\n", "; ", " ", "<think>", "</think>", "\n\nQuestion: ", "Human: "]),
        1 => ".{0,6}",
    ];
    prop::collection::vec(piece, 1..14).prop_map(|p| p.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// No reply can earn a letter that its own words rule out.
    #[test]
    fn no_letter_that_is_denied_is_credited(reply in pieces()) {
        let several = sample(Target::Choices(vec!['A', 'B']), &CHEST, &[]);
        let denied = strict::denied(&several, &reply);
        for (letter, _) in CHEST {
            let judgement = judge(&choice(letter), &reply);
            prop_assert!(judgement.verdict != Verdict::Correct || !denied.contains(&letter), "{reply:?} {denied:?} {judgement:?}");
        }
        let set = judge(&several, &reply);
        let named = set.answer.clone().unwrap_or_default();
        prop_assert!(denied.iter().all(|l| !named.contains(*l)), "{reply:?} {denied:?} {set:?}");
    }

    /// A denial in front of an answer or behind it never makes the option the answer.
    #[test]
    fn a_denial_never_speaks_for_its_option(
        at in 0..RULED_OUT.len(),
        letter in prop::sample::select(vec!['A', 'B', 'C', 'D']),
        before in prop::sample::select(vec!["", "Looking at the image. ", "Let me see:\n", "首先，"]),
        behind in prop::sample::select(vec!["", " The lungs are clear.", "\nNothing else is known.", "。"]),
    ) {
        let reply = format!("{before}{}{behind}", RULED_OUT[at].replace('X', &letter.to_string()));
        let judgement = judge(&choice(letter), &reply);
        prop_assert!(judgement.verdict != Verdict::Correct, "{reply:?} {judgement:?}");
    }

    /// What stands inside thoughts changes no verdict.
    #[test]
    fn thoughts_change_no_verdict(thought in "[A-D .a-z\n]{0,40}", mark in 0..MARKS.len(), answer in pieces()) {
        let (open, close) = (MARKS[mark].open, MARKS[mark].close);
        let answer = answer.replace(['<', '\n'], " ").replace("Question", "").replace("Human", "");
        let with = |inside: &str| judge(&choice('B'), &format!("{open}{inside}{close}{answer}"));
        prop_assert_eq!(with(&thought).verdict, with("").verdict);
    }
}
