//! Prompts to the character.

use crate::with_pictures;
use loupe_core::{Choice, GenerationLimits, Part, Picture, Role, Sample, Target};
use loupe_run::templates::{PROMPT_TEMPLATES, PromptTemplate, asks_yes_or_no, by_name};
use loupe_run::{Example, Examples, Plan, RunFolder};
use loupe_testing::{FlatPictures, PromptHash, QuestionSet, scratch};
use std::collections::BTreeSet;
use std::sync::Arc;

fn sample(question: &str, gold: &str, choices: &[(char, &str)]) -> Sample {
    Sample {
        id: "1".into(),
        media: Vec::new(),
        question: question.into(),
        choices: choices
            .iter()
            .map(|(letter, text)| Choice { letter: *letter, text: (*text).into() })
            .collect(),
        target: Target::Text(vec![gold.into()]),
        group: "g".into(),
        tags: [("answer_type".to_owned(), "CLOSED".to_owned())].into(),
        language: "en".into(),
    }
}

fn words(template: &str, sample: &Sample) -> String {
    let (before, after) = by_name(template).unwrap().words(sample);
    before + &after
}

/// The user's turn with `[k]` for pictures.
fn shown(template: &PromptTemplate, sample: &Sample, pictures: usize) -> String {
    let picture = Arc::new(Picture::new(1, 1, 1, vec![0]).unwrap());
    let ask = template.ask(sample, vec![picture; pictures], GenerationLimits::default(), &[]).unwrap();
    let turn = ask.turns.last().unwrap();
    assert_eq!(turn.role, Role::User);
    turn.parts
        .iter()
        .map(|p| match p {
            Part::Text(t) => t.clone(),
            Part::Picture(k) => format!("[{k}]"),
        })
        .collect()
}

const OPTIONS: [(char, &str); 2] = [('A', "CT"), ('B', "O'Brien's \"sign\"")];

#[test]
fn harness_prompts_are_exact() {
    let polar = sample("is it CT?", "Yes", &[]);
    let open = sample("which organ?", "liver", &[]);
    let choice = sample("which?", "CT", &OPTIONS);
    assert_eq!(words("medevalkit", &polar), "is it CT?\nPlease output 'yes' or 'no'(no extra output).");
    assert_eq!(words("medevalkit", &open), "which organ?\nPlease answer the question concisely.");
    assert_eq!(
        words("medevalkit-slake", &open),
        "which organ?\nAnswer the question using a single word or phrase."
    );
    assert_eq!(
        words("medevalkit", &choice),
        "\nQuestion: which?\nOptions: \nA. CT\nB. O'Brien's \"sign\"\nAnswer with the option's letter from the given choices directly."
    );
    assert_eq!(words("lmms-eval", &polar), "is it CT?\nAnswer the question using a single word or phrase.");
    assert_eq!(
        words("medframeqa", &choice),
        "Question:which? \n\nOptions:\n['A. CT', 'B. O\\'Brien\\'s \"sign\"']\n"
    );
    assert_eq!(
        shown(&by_name("multimedeval").unwrap(), &polar, 1),
        "Answer the following question with yes or no. [0] is it CT?"
    );
    let mut chinese = sample("器官？", "肝", &[]);
    chinese.language = "zh".into();
    assert_eq!(words("lmms-eval", &chinese), "器官？\n请用一个词或短语回答问题。");
    assert_eq!(words("medevalkit", &chinese), "器官？\n请简要回答该问题。");
}

#[test]
fn pictures_are_tagged_when_there_are_several() {
    let ask = sample("same?", "yes", &[]);
    let template = by_name("question").unwrap();
    assert_eq!(shown(&template, &ask, 0), "same?");
    assert_eq!(shown(&template, &ask, 1), "[0]same?");
    assert_eq!(shown(&template, &ask, 2), "<image_1>: [0]<image_2>: [1]same?");
    assert_eq!(
        shown(&by_name("vlmevalkit").unwrap(), &sample("q", "a", &[]), 2),
        "[0][1]q\nPlease directly provide a short answer to the question. "
    );
    assert!(shown(&by_name("medframeqa").unwrap(), &sample("q", "CT", &OPTIONS), 2).ends_with("\n[0][1]"));
}

#[test]
fn the_default_never_looks_at_the_reference() {
    for question in ["Is it CT?", "Which organ?", "Is it CT or MRI?", "左肺有阴影吗？"] {
        let prompts: BTreeSet<String> = ["yes", "No", "liver", ""]
            .iter()
            .map(|gold| words("loupe", &sample(question, gold, &[])))
            .collect();
        assert_eq!(prompts.len(), 1, "{prompts:?}");
    }
}

/// Reports are asked for where no reference exists; the words cannot depend on there being one.
#[test]
fn a_question_for_a_report_is_sent_as_it_stands() {
    for question in [
        "Indication: cough. Write the findings and the impression of the report.",
        "Generate a radiology report for this image.",
        "Describe the image in detail.",
        "Please provide the FINDINGS section.",
        "请撰写这张胸片的诊断报告。",
    ] {
        for target in [
            Target::Unknown,
            Target::Text(vec!["Clear.".into()]),
            Target::Report([("findings".into(), "Clear.".into())].into()),
        ] {
            let ask = Sample { target, ..sample(question, "", &[]) };
            assert_eq!(words("loupe", &ask), question);
        }
    }
    for question in
        ["Which lobe is affected?", "Does the report mention a nodule?", "What is the main finding?"]
    {
        assert_ne!(words("loupe", &sample(question, "upper", &[])), question);
        let bare = Sample { target: Target::Unknown, ..sample(question, "", &[]) };
        assert_eq!(words("loupe", &bare), question);
    }
}

#[test]
fn braces_in_a_question_are_left_alone() {
    for template in PROMPT_TEMPLATES.iter() {
        let ask = sample("a {options} {q} {pictures} b", "yes", &OPTIONS);
        let text = shown(template, &ask, 1);
        assert_eq!(text.matches("a {options} {q} {pictures} b").count(), 1, "{}: {text}", template.name);
        assert!(text.contains("CT"), "{}", template.name);
    }
    let names: BTreeSet<&str> = PROMPT_TEMPLATES.iter().map(|r| r.name.as_ref()).collect();
    assert_eq!(names.len(), PROMPT_TEMPLATES.len());
    assert!(by_name("nobody").unwrap_err().to_string().contains("`loupe list prompts`"));
    let slip = by_name("medevalkit_slak").unwrap_err().to_string();
    assert!(slip.contains("did you mean \"medevalkit-slake\"?"), "{slip}");
}

#[test]
fn questions_for_yes_or_no_are_told_by_their_form() {
    for (question, expected) in [
        ("Is there a fracture?", true),
        ("is it CT or MRI?", false),
        ("Isn't this normal?", true),
        ("Which side is affected?", false),
        ("Island of calcification where?", false),
        ("肺正常吗？", true),
        ("这是什么？", false),
        ("", false),
    ] {
        assert_eq!(asks_yes_or_no(question), expected, "{question}");
    }
}

/// Turns in short: the role's first letter, then the words with `[k]` for pictures.
fn turns(template: &PromptTemplate, sample: &Sample, pictures: usize, examples: &[Example]) -> Vec<String> {
    let picture = Arc::new(Picture::new(1, 1, 1, vec![0]).unwrap());
    let limits = GenerationLimits::default();
    let ask = template.ask(sample, vec![picture; pictures], limits, examples).unwrap();
    let part = |p: &Part| match p {
        Part::Text(t) => t.clone(),
        Part::Picture(k) => format!("[{k}]"),
    };
    let role = |role| match role {
        Role::System => "S",
        Role::User => "U",
        Role::Assistant => "A",
    };
    ask.turns
        .iter()
        .map(|t| format!("{} {}", role(t.role), t.parts.iter().map(part).collect::<String>()))
        .collect()
}

#[test]
fn templates_from_a_file_have_turns_and_put_pictures_between_words() {
    let choice = sample("which {{ question }}?", "CT", &OPTIONS);
    let own = |text: &str| PromptTemplate::own("mine", text).unwrap();
    let whole = own("Q: {{ question }} ({{ kind }}, {{ tags.answer_type }})\n{{ options }}");
    // What is filled in is never read as a template; without a word of pictures they stand before the words.
    assert_eq!(
        turns(&whole, &choice, 2, &[]),
        ["U [0][1]Q: which {{ question }}? (choice, CLOSED)\nA. CT\nB. O'Brien's \"sign\""]
    );
    let blocks = own(
        "{% block system %}You read {{ pictures | length }} films.{% endblock %}\n{%- block user -%}\nFirst {{ pictures[1] }} then {{ pictures[0] }}: \
         {% for c in choices %}<{{ c.letter }}>{{ c.text }} {% endfor %}{% endblock %}",
    );
    assert_eq!(
        turns(&blocks, &choice, 2, &[]),
        ["S You read 0 films.", "U First [1] then [0]: <A>CT <B>O'Brien's \"sign\""]
    );
    // Which template it was is on record, and equal texts are equal.
    let json = serde_json::to_value(&blocks).unwrap();
    assert!(json["own"].as_str().unwrap().contains("block user") && json["name"] == "mine");
    assert_eq!(serde_json::from_value::<PromptTemplate>(json).unwrap(), blocks);
}

#[test]
fn templates_that_cannot_be_right_are_refused_before_anything_is_asked() {
    let why = |text: &str| PromptTemplate::own("mine", text).unwrap_err();
    assert!(why("{{ question ").contains("not minijinja"));
    assert!(why("{{ questoin }}").contains("did you mean \"question\""));
    assert!(why("{% block usr %}{% endblock %}").contains("block \"usr\""));
    assert!(why("{% block system %}x{% endblock %}").contains("none is called \"user\""));
    let fails = |text: &str, pictures: usize| {
        let picture = Arc::new(Picture::new(1, 1, 1, vec![0]).unwrap());
        let template = PromptTemplate::own("mine", text).unwrap();
        let asked = sample("what?", "x", &[]);
        template.ask(&asked, vec![picture; pictures], GenerationLimits::default(), &[]).unwrap_err().reason
    };
    assert!(
        fails("{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}", 0)
            .contains("fuel")
    );
    assert!(fails("{{ pictures[0] }}", 2).contains("1 of 2 pictures"));
    assert!(fails("{{ tags.organ.left }}", 0).contains("cannot be filled in"));
    assert!(fails("  ", 0).contains("no words"));
}

#[test]
fn examples_come_before_the_question_with_their_answers() {
    let picture = || Arc::new(Picture::new(1, 1, 1, vec![0]).unwrap());
    let mut shown = sample("which one?", "", &OPTIONS);
    shown.target = Target::Choice('B');
    let examples = [
        Example { sample: shown, pictures: vec![picture()] },
        Example { sample: sample("is it?", "no", &[]), pictures: vec![picture(), picture()] },
    ];
    let asked = sample("is it CT?", "yes", &[]);
    let said = turns(&by_name("question").unwrap(), &asked, 1, &examples);
    assert_eq!(
        said,
        [
            "U [1]which one?\nA. CT\nB. O'Brien's \"sign\"",
            "A B",
            "U <image_1>: [2]<image_2>: [3]is it?",
            "A no",
            "U [0]is it CT?"
        ]
    );
    let own = PromptTemplate::own(
        "mine",
        "{% block user %}{{ question }}{% endblock %}{% block answer %}The answer is {{ answer }}.{% endblock %}",
    )
    .unwrap();
    assert_eq!(
        turns(&own, &asked, 0, &examples[1..]),
        ["U [0][1]is it?", "A The answer is no.", "U is it CT?"]
    );
}

#[test]
fn examples_are_drawn_by_seed_and_never_about_what_is_asked() {
    let train = QuestionSet::new(30);
    let draw = |n, seed, asked: &[&str]| {
        let asked = asked.iter().map(|s| (*s).to_owned()).collect();
        Examples::draw(&train, n, seed, &asked, &FlatPictures::sound())
    };
    let three = draw(3, 1, &[]).unwrap();
    assert_eq!(draw(3, 1, &[]).unwrap().record, three.record);
    assert_ne!(draw(3, 2, &[]).unwrap().record.ids, three.record.ids);
    let asked: Vec<String> = (0..9).map(|n| format!("image{n}.png")).collect();
    let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    let left = draw(3, 1, &asked).unwrap();
    assert!(left.shown.iter().all(|e| e.sample.group == "image9.png"));
    assert!(draw(4, 1, &asked).unwrap_err().to_string().contains("has 3 samples"));

    // On record in run.json, and the prompt as it was sent beside each reply.
    let dir = scratch();
    let plan = Plan { examples: three.clone(), ..crate::plan(4) };
    with_pictures(dir.path(), &QuestionSet::new(6), &plan, &mut PromptHash::new());
    let folder = RunFolder::open(dir.path()).unwrap();
    assert_eq!(folder.made_by.prompt["examples"]["ids"], serde_json::json!(three.record.ids));
    for item in folder.items().unwrap() {
        let reply = item.unwrap().reply.unwrap();
        assert_eq!(reply.prompt.len(), 7);
        assert!(reply.prompt[6].words().contains("Is question"));
        assert_eq!(reply.pictures.len(), 1);
    }
}
