//! The strict profile: right on ordinary formats, no credit for guesses, and never confused by a row.

use loupe_core::sample::Outcome;
use loupe_core::{Choice, Prediction, Reply, Sample, Target};
use loupe_eval::strict::{self, Strict};
use loupe_eval::{Case, Judgement, Profile, Verdict};
use proptest::prelude::*;
use std::collections::BTreeMap;

pub(crate) fn sample(target: Target, choices: &[(char, &str)], tags: &[(&str, &str)]) -> Sample {
    Sample {
        id: "1".into(),
        media: Vec::new(),
        question: "?".into(),
        choices: choices
            .iter()
            .map(|(letter, text)| Choice { letter: *letter, text: (*text).into() })
            .collect(),
        target,
        group: "g".into(),
        tags: tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<BTreeMap<_, _>>(),
        language: "en".into(),
    }
}

pub(crate) fn text(gold: &str) -> Sample {
    sample(Target::Text(vec![gold.into()]), &[], &[])
}

pub(crate) fn judge(sample: &Sample, reply: &str) -> Judgement {
    let prediction = Prediction {
        id: sample.id.clone(),
        outcome: Outcome::Reply(Reply::from_text(reply)),
        record: loupe_core::Record::Single,
    };
    Strict.judge(&Case { sample, prediction: &prediction, pictures: &[] })
}

#[track_caller]
fn check(sample: &Sample, reply: &str, verdict: Verdict, rule: &str) {
    let judgement = judge(sample, reply);
    assert_eq!((judgement.verdict, judgement.rule.as_ref()), (verdict, rule), "{reply:?}: {judgement:?}");
}

/// Ordinary ways to give the answer `letter`, with other letters mentioned where people mention them.
fn formats(choices: &[(char, &str)], letter: char) -> Vec<String> {
    let words = choices.iter().find(|c| c.0 == letter).unwrap().1;
    let others: Vec<char> = choices.iter().map(|c| c.0).filter(|c| *c != letter).collect();
    let (x, y) = (others[0], others[others.len() - 1]);
    let lower = letter.to_ascii_lowercase();
    vec![
        format!("{letter}"),
        format!("{letter}."),
        format!("({letter})"),
        format!("{letter}. {words}"),
        words.to_owned(),
        format!("The correct answer is {letter}."),
        format!("**Answer: {letter}**"),
        format!(
            "Answer: {letter}\n\nOption {x} is unlikely because the finding is absent, {y} is ruled out by the history."
        ),
        format!(
            "Option {x} does not fit the picture. {y} would show more edema. The image favours the other.\nAnswer: {letter}"
        ),
        format!("The lesion is bright, so the final answer is \\boxed{{{letter}}}"),
        format!("\\boxed{{\\text{{{letter}}}}}"),
        format!("<think>It could be {x} or {y}. The answer is {x}?</think><answer>{letter}</answer>"),
        format!("<answer>{letter}. {words}</answer>"),
        format!("Therefore, among A through E, the answer is {letter}."),
        format!("{lower}"),
        format!("({letter}) {words}"),
        format!("{letter}: {words}"),
        format!("**{letter}. {words}**"),
        format!("The answer is ({letter}) {words}."),
        format!("The correct option is {letter}) {words}"),
        format!("I weighed {x} and {y}.\n\n{letter}"),
        format!("答案：{letter}"),
    ]
}

const NO_ANSWER: [&str; 8] = [
    "I'm sorry, but I cannot provide a medical diagnosis.",
    "",
    "   \n\t",
    "Based on the image, a mass is present",
    "I don't know",
    "<think>B is likely",
    "<think>Answer: B</think>",
    "Consider A, B, C, D and E carefully.",
];

const OPTION_LISTS: [[(char, &str); 5]; 6] = [
    [
        ('A', "Pneumonia"),
        ('B', "Pleural effusion"),
        ('C', "Pneumothorax"),
        ('D', "Normal"),
        ('E', "Lung abscess"),
    ],
    [
        ('A', "E. coli infection"),
        ('B', "C. difficile colitis"),
        ('C', "Vitamin B deficiency"),
        ('D', "Hepatitis A"),
        ('E', "None of the above"),
    ],
    [('A', "Left lung"), ('B', "Lung"), ('C', "Right lung"), ('D', "Left lung and heart"), ('E', "Heart")],
    [('A', "No"), ('B', "Not seen"), ('C', "Cannot be determined"), ('D', "Without contrast"), ('E', "Yes")],
    [('A', "3.5 cm"), ('B', "35 mm"), ('C', "3 cm"), ('D', "5 cm"), ('E', "0.5")],
    [
        ('A', "A-line"),
        ('B', "B-line"),
        ('C', "C-line"),
        ('D', "Dr. Smith's sign. Positive"),
        ('E', "Type I, grade II (mild)"),
    ],
];

#[test]
fn every_ordinary_format_is_read_and_only_the_given_letter_credited() {
    for choices in &OPTION_LISTS {
        for gold in 'A'..='E' {
            for given in 'A'..='E' {
                let sample = sample(Target::Choice(gold), choices, &[]);
                for reply in formats(choices, given) {
                    let judgement = judge(&sample, &reply);
                    let expected = if given == gold { Verdict::Correct } else { Verdict::Wrong };
                    assert!(judgement.verdict == expected, "gold {gold}, {reply:?}: {judgement:?}");
                }
            }
        }
    }
}

#[test]
fn refusals_and_empties_get_no_credit_whatever_the_options_are() {
    for choices in &OPTION_LISTS {
        for gold in 'A'..='E' {
            let sample = sample(Target::Choice(gold), choices, &[]);
            for reply in NO_ANSWER {
                let judgement = judge(&sample, reply);
                assert_eq!(judgement.verdict, Verdict::Unparsed, "{reply:?}: {judgement:?}");
                assert_eq!(judgement.value(strict::ACCURACY), Some(0.0));
            }
        }
    }
    for gold in ["yes", "no", "left lung"] {
        for reply in [
            "I'm sorry, but I cannot help.",
            "",
            "<think>yes</think>",
            "No, I'm sorry, I can't assist with that.",
        ] {
            assert_eq!(judge(&text(gold), reply).verdict, Verdict::Unparsed, "{gold}: {reply:?}");
        }
    }
}

#[test]
fn doubtful_choices_stay_unparsed() {
    let ask = sample(Target::Choice('B'), &OPTION_LISTS[0], &[]);
    for (reply, rule) in [
        ("B. Pneumonia", "letter_and_text_differ"),
        ("A. Pneumonia\nB. Pleural effusion\nC. Pneumothorax", "several_options"),
        ("A. Pneumonia B. Pleural effusion C. Pneumothorax", "several_options"),
        ("Answer: A and B", "declared/several_options"),
        ("Answer: A, B", "declared/several_options"),
        ("F", "letter_not_offered"),
        ("It is not a pleural effusion.", "denied"),
        ("Either option A or option B.", "several_options"),
        ("The answer is a lesion.", "declared/no_option"),
        ("The answer is not A.", "denied"),
    ] {
        check(&ask, reply, Verdict::Unparsed, rule);
    }
    check(
        &ask,
        "The answer is Pleural effusion, as the angle is blunted.",
        Verdict::Correct,
        "declared/option_named",
    );
    check(&ask, "The image shows a pleural effusion.", Verdict::Correct, "option_named");
    check(&ask, "I would choose option B here.", Verdict::Correct, "only_letter_chosen");
    check(&ask, "Answer: A. On reflection the final answer is B", Verdict::Correct, "declared/letter");
    // The longer of two named options counts when one holds the other.
    let nested = sample(Target::Choice('D'), &OPTION_LISTS[2], &[]);
    check(&nested, "The image shows the left lung and heart.", Verdict::Correct, "option_named");
    let coli = sample(Target::Choice('A'), &OPTION_LISTS[1], &[]);
    check(&coli, "E. coli infection of the kidney", Verdict::Unparsed, "letter_and_text_differ");
}

#[test]
fn a_letter_is_an_option_even_where_options_are_letters_of_figures() {
    let figures = [('A', "E"), ('B', "A"), ('C', "B"), ('D', "C"), ('E', "G")];
    let ask = sample(Target::Choice('B'), &figures, &[]);
    check(&ask, "B", Verdict::Correct, "letter");
    check(&ask, "A", Verdict::Wrong, "letter");
    check(&ask, "B. A", Verdict::Correct, "letter_and_text");
    check(&ask, "G", Verdict::Wrong, "option_text");
    check(&ask, "F", Verdict::Unparsed, "letter_not_offered");
    let images = [('A', "Image B"), ('B', "Image A"), ('C', "Image C")];
    let ask = sample(Target::Choice('B'), &images, &[]);
    check(&ask, "Image A", Verdict::Correct, "option_text");
    check(&ask, "Based on the image, a mass is present", Verdict::Unparsed, "no_option");
}

#[test]
fn the_reference_may_be_the_words_of_an_option() {
    let ask = sample(Target::Text(vec!["pleural effusion".into()]), &OPTION_LISTS[0], &[]);
    assert_eq!(judge(&ask, "B").verdict, Verdict::Correct);
    let none = sample(Target::Text(vec!["gout".into()]), &OPTION_LISTS[0], &[]);
    assert_eq!(judge(&none, "B").verdict, Verdict::Unscored);
}

#[test]
fn yes_and_no_are_words_not_letters() {
    let (yes, no) = (text("Yes"), text("no"));
    for (reply, rule) in [
        ("yes", "word"),
        ("Yes.", "word"),
        ("**Yes**", "word"),
        ("Yes, there is no doubt.", "opening"),
        ("Yes there is", "opening"),
        ("The answer is yes.", "declared/word"),
        ("\\boxed{Yes}", "boxed/word"),
        ("<think>no</think>\nYes", "word"),
        ("<answer>yes</answer>", "answer_tag/word"),
        ("There is a shadow in the left lung.\n\nYes.", "last_line"),
        ("是的", "word"),
        ("有，左肺有阴影", "opening"),
    ] {
        check(&yes, reply, Verdict::Correct, rule);
        check(&no, reply, Verdict::Wrong, rule);
    }
    for (reply, rule) in [
        ("no", "word"),
        ("No, the scan is abnormal, yes abnormal.", "opening"),
        ("No - it is normal", "opening"),
        ("没有，肺部正常", "opening"),
        ("不包含", "word"),
        ("Final answer: No", "declared/word"),
        ("The answer is 不是.", "declared/word"),
    ] {
        check(&no, reply, Verdict::Correct, rule);
        check(&yes, reply, Verdict::Wrong, rule);
    }
    for (reply, rule) in [
        ("There is an abnormality that I cannot determine.", "refusal"),
        ("The scan is abnormal.", "no_yes_or_no"),
        ("Normal", "no_yes_or_no"),
        ("No fracture is seen.", "no_yes_or_no"),
        ("Yes or no", "both_yes_and_no"),
        ("Yes/No", "both_yes_and_no"),
        ("Yes, at first sight.\nNo, on reflection.", "both_yes_and_no"),
        ("Nothing", "no_yes_or_no"),
        ("无法确定", "refusal"),
        ("是否有阴影", "no_yes_or_no"),
        ("eyes", "no_yes_or_no"),
        ("True or false is hard to say", "both_yes_and_no"),
    ] {
        check(&yes, reply, Verdict::Unparsed, rule);
        check(&no, reply, Verdict::Unparsed, rule);
    }
}

#[test]
fn short_answers_are_compared_in_their_normal_form() {
    for (gold, reply) in [
        ("CT", "The answer is CT."),
        ("x-ray", "X ray"),
        ("chest x-ray", "Chest Xray."),
        ("the left lung", "Left lung"),
        ("Crohn's disease", "crohns disease"),
        ("2", "two"),
        ("3.5 cm", "3.5 cm."),
        ("心脏", "心脏。"),
        ("肝脏", "答案是肝脏"),
    ] {
        check(
            &text(gold),
            reply,
            Verdict::Correct,
            if reply.contains("answer") || reply.contains("答案") { "declared/words" } else { "words" },
        );
    }
    let open = judge(&text("left lung base"), "It is in the left lung");
    assert_eq!(open.verdict, Verdict::Wrong);
    assert!((open.value(strict::OPEN_RECALL).unwrap() - 2.0 / 3.0).abs() < 1e-12);
    // "the" is dropped: it is in left lung = 5 words, 3 in the reference, 2 shared.
    assert!((open.value(strict::OPEN_F1).unwrap() - 4.0 / 8.0).abs() < 1e-12);
    // No word of a refusal earns recall.
    assert_eq!(
        judge(&text("left lung"), "I cannot determine whether the left lung is affected")
            .value(strict::OPEN_RECALL),
        Some(0.0)
    );
}

#[test]
fn both_definitions_of_closed_are_reported() {
    let organ = sample(Target::Text(vec!["Lung".into()]), &[], &[("answer_type", "CLOSED")]);
    let judgement = judge(&organ, "Lung");
    assert_eq!(judgement.value(strict::CLOSED_BY_TYPE), Some(1.0));
    assert_eq!(judgement.value(strict::CLOSED_BY_GOLD), None);
    assert_eq!(judgement.value(strict::OPEN_RECALL), None);
    let polar = sample(Target::Text(vec!["No".into()]), &[], &[("answer_type", "OPEN")]);
    let judgement = judge(&polar, "no");
    assert_eq!(judgement.value(strict::CLOSED_BY_TYPE), None);
    assert_eq!(judgement.value(strict::CLOSED_BY_GOLD), Some(1.0));
}

#[test]
fn a_failed_item_is_missed_where_it_belongs() {
    let ask = sample(Target::Text(vec!["yes".into()]), &[], &[("answer_type", "CLOSED")]);
    let prediction = Prediction {
        id: "1".into(),
        outcome: Outcome::Failed(loupe_core::Failure::may_pass("image file not found")),
        record: loupe_core::Record::Single,
    };
    let judgement = Strict.judge(&Case { sample: &ask, prediction: &prediction, pictures: &[] });
    assert_eq!((judgement.verdict, judgement.rule.as_ref()), (Verdict::Failed, "image file not found"));
    assert!(judgement.value(strict::CLOSED_BY_TYPE).unwrap().is_nan());
    assert!(judgement.value(strict::ACCURACY).unwrap().is_nan());
}

#[test]
fn counts_need_one_number() {
    let ask = sample(Target::Count(3.0), &[], &[]);
    check(&ask, "There are three nodules.", Verdict::Correct, "number");
    check(&ask, "Between 2 and 3", Verdict::Unparsed, "several_numbers");
    check(&ask, "The answer is 4 of 5", Verdict::Wrong, "declared/number");
    check(&ask, "Numerous", Verdict::Unparsed, "no_number");
}

/// Replies that people and machines really send, and what no one should.
fn odd() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        any::<String>(),
        Just("<think>".to_owned()),
        Just("</think>".to_owned()),
        Just("<answer>".to_owned()),
        Just("</answer>".to_owned()),
        Just("\\boxed{".to_owned()),
        Just("}".to_owned()),
        Just("Answer: ".to_owned()),
        Just("the answer is ".to_owned()),
        Just("答案是".to_owned()),
        Just("\u{202e}\u{0}\u{feff}İ".to_owned()),
        Just("A. ".to_owned()),
        Just("(B) ".to_owned()),
        Just("yes ".to_owned()),
        Just("不是".to_owned()),
        Just("\n".to_owned()),
    ];
    proptest::collection::vec(pieces, 0..12).prop_map(|p| p.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_reply_crashes_and_every_verdict_is_consistent(reply in odd()) {
        for ask in [
            text("yes"), text("left lung"), text("心脏"), text(""),
            sample(Target::Choice('B'), &OPTION_LISTS[1], &[]),
            sample(Target::Choice('Z'), &OPTION_LISTS[1], &[]),
            sample(Target::Count(1.0), &[], &[]),
            sample(Target::Boxes(Vec::new()), &[], &[]),
            sample(Target::Points(Vec::new()), &[], &[]),
        ] {
            let judgement = judge(&ask, &reply);
            prop_assert_eq!(format!("{judgement:?}"), format!("{:?}", judge(&ask, &reply)));
            for value in &judgement.values {
                prop_assert!(value.name.contains("error") || (0.0..=1.0).contains(&value.value));
            }
            if judgement.verdict == Verdict::Unparsed {
                prop_assert!(judgement.values.iter().all(|v| v.value == 0.0 || v.value.is_nan()));
            }
        }
    }
}

#[test]
fn a_megabyte_is_read_in_reasonable_time() {
    for piece in [
        "a",
        "<think>",
        "\\boxed{",
        "Answer: ",
        "the answer is not ",
        "(A) ",
        "B. Pleural effusion ",
        "是",
        "\n",
        "option A ",
    ] {
        let reply = piece.repeat((1 << 20) / piece.len());
        judge(&text("yes"), &reply);
        judge(&text("left lung"), &reply);
        judge(&sample(Target::Choice('B'), &OPTION_LISTS[0], &[]), &reply);
    }
}
