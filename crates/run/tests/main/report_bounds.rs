//! Templates of reports that ask questions, write too much or too little, and candidates that fail.

use crate::report_prompt::{sample, trace, words, written};
use loupe_core::sample::Outcome;
use loupe_core::{Failure, GenerationLimits, ModelError, Retry, Sample, Sampling, Stop, Study};
use loupe_run::report_prompt::{
    Answers, CandidateRule, Candidates, MOST_CANDIDATES, ReportTemplate, StructuredReport, report_template,
};
use loupe_testing::Script;
use loupe_testing::model::reply;

const ASK: &str = "{% block ask_finding %}{{ images|first }}What is seen?{% endblock %}";

fn template(text: &str) -> ReportTemplate {
    ReportTemplate::new("mine", "", text).unwrap()
}

fn refused(text: &str) -> String {
    ReportTemplate::new("mine", "", text).map(|_| ()).unwrap_err()
}

fn one() -> Sample {
    sample(&[("PA", false)], Study::default())
}

fn reason(text: &str, study: &Sample) -> String {
    template(text).turns(study).unwrap_err().reason
}

fn failure(line: &loupe_run::ReplyLine) -> Failure {
    match &line.prediction.outcome {
        Outcome::Failed(failure) => failure.clone(),
        Outcome::Reply(reply) => panic!("{reply:?}"),
    }
}

#[test]
fn a_structured_report_has_the_sections_of_its_json() {
    let text = "{% block schema %}{\"properties\": {\"findings\": {}, \"impression\": {}}}{% endblock %}\
                {% block report %}{{ images|first }}{{ schema }}{% endblock %}";
    let said = r#"{"findings": {"comparison": "new effusion since 2 days", "technique": "supine"}, "impression": "Effusion.", "recommendation": "CT at once.", "critical": true}"#;
    let line = written(&mut Script::new(&[said]), template(text), None, GenerationLimits::default());
    assert_eq!(
        line.prediction.text(),
        Some(
            "Findings:\ncomparison: new effusion since 2 days; technique: supine.\n\nImpression:\nEffusion.\nrecommendation: CT at once.\ncritical: true"
        )
    );
    let told = StructuredReport::of(&line.prediction.record).unwrap().told().unwrap();
    assert_eq!(told.impression.as_deref(), Some("Effusion."));
    assert!(told.findings.unwrap().starts_with("comparison: new effusion"));
}

#[test]
fn a_question_is_asked_where_it_is_not_blank_the_first_one_too() {
    let text = "{% block ask_before %}{% if prior %}{{ priors|first }}What was seen?{% endif %}{% endblock %}\
                {% block ask_finding %}{{ images|first }}What is seen?{% endblock %}\
                {% block ask_word %}Is a {{ answers.finding }} dangerous?{% endblock %}\
                {% block compose %}Findings: {{ answers.finding }}. {{ answers.word }}{% endblock %}";
    let of = template(text);
    assert_eq!(words(&of.turns(&one()).unwrap()), "[0]What is seen?");
    assert_eq!(of.shown(&one()).unwrap(), [0]);
    let mut model = Script::new(&["A nodule.", "Yes"]);
    let line = written(&mut model, of.clone(), None, GenerationLimits::default());
    assert_eq!(line.prediction.text(), Some("Findings: A nodule. Yes"));
    let purposes: Vec<&str> = trace(&line).rounds.iter().map(|round| round.purpose.as_str()).collect();
    assert_eq!(purposes, ["finding", "word"]);
    // A question in words alone is given no pictures.
    assert_eq!((model.asks[0].pictures.len(), model.asks[1].pictures.len()), (1, 0));
    assert_eq!((trace(&line).rounds[0].pictures.len(), trace(&line).rounds[1].pictures.len()), (1, 0));
    let with = sample(&[("PA", false), ("PA", true)], Study::default());
    assert_eq!(words(&of.turns(&with).unwrap()), "[1]What was seen?");
    let blank = "{% block ask_a %}{% if prior %}{{ images|first }}?{% endif %}{% endblock %}{% block compose %}x{% endblock %}";
    assert!(reason(blank, &one()).contains("all of its questions are blank"));
    let bare = "{% block ask_a %}What?{% endblock %}{% block compose %}x{% endblock %}";
    assert!(reason(bare, &one()).contains("none of the images"));
}

#[test]
fn what_the_report_or_a_later_question_lacks_refuses_the_study_before_the_first() {
    let of = |end: &str| format!("{ASK}{end}");
    for (end, lacks) in [
        ("{% block compose %}{{ answers.finding }} {{ comparison }}{% endblock %}", "comparison"),
        (
            "{% block compose %}{% if answers.finding == 'none' %}{{ sex }}{% else %}x{% endif %}{% endblock %}",
            "sex",
        ),
        (
            "{% block ask_b %}{% if answers.finding != 'x' %}{{ indication }}?{% endif %}{% endblock %}{% block compose %}x{% endblock %}",
            "indication",
        ),
    ] {
        let said = reason(&of(end), &one());
        assert!(said.contains(&format!("it writes {lacks} ")), "{said}");
    }
    let tested = "{% set why = indication %}{% block compose %}{% if comparison %}{{ comparison }}{% endif %}{% if indication and answers.finding %}{{ indication }}{% endif %}{{ answers.finding }}{% endblock %}";
    assert!(template(&of(tested)).turns(&one()).is_ok());
    for name in ["phantom", "loupe", "loupe-two-pass"] {
        assert!(report_template(name).unwrap().turns(&one()).is_ok(), "{name}");
    }
}

#[test]
fn the_images_that_questions_can_show_are_known_before() {
    let phantom = report_template("phantom").unwrap();
    let three = sample(&[("PA", false), ("LATERAL", false), ("AP", false), ("PA", true)], Study::default());
    assert_eq!(phantom.shown(&three).unwrap(), [0, 3]);
    assert_eq!(phantom.shown(&one()).unwrap(), [0]);
    let both = "{% block findings %}{{ images[1] }}Findings?{% endblock %}{% block impression %}{{ images[0] }}Impression?{% endblock %}";
    assert_eq!(template(both).shown(&three).unwrap(), [1, 0]);
}

#[test]
fn names_of_answers_are_those_of_questions() {
    let of = |end: &str| refused(&format!("{ASK}{end}"));
    let said = of("{% block compose %}{% if answers.findng %}x{% endif %}{% endblock %}");
    assert!(said.contains("answers.findng") && said.contains("did you mean \"finding\""), "{said}");
    assert!(of("{% block compose %}{{ answers['size'] }}{% endblock %}").contains("\"ask_size\""));
    assert!(
        refused("{% block report %}{{ images|first }}{{ answers.a }}{% endblock %}").contains("\"ask_a\"")
    );
    let unnamed = "{% block ask_ %}{{ images|first }}?{% endblock %}{% block compose %}x{% endblock %}";
    assert!(refused(unnamed).contains("\"ask_NAME\""));
    let image =
        of("{% block compose %}{{ answers.finding }}{% if frontal %}{{ frontal }}{% endif %}{% endblock %}");
    assert!(image.contains("cannot stand there"), "{image}");
}

#[test]
fn answers_are_comparable_and_an_empty_one_is_no_report() {
    let phantom = || report_template("phantom").unwrap();
    let of = |said: &[&str]| written(&mut Script::new(said), phantom(), None, GenerationLimits::default());
    let normal = of(&["CT.", "<think>Hm.</think>\nNone."]);
    assert_eq!(
        normal.prediction.text(),
        Some("Findings:\nNo abnormality is seen.\n\nImpression:\nNormal study.")
    );
    assert_eq!(trace(&normal).rounds[1].reply.as_ref().unwrap().text, "<think>Hm.</think>\nNone.");
    let found = of(&["ct", "Effusion.", "LEFT."]);
    assert_eq!(
        found.prediction.text(),
        Some("Findings:\nAn effusion is seen on the left.\n\nImpression:\nLeft effusion.")
    );
    for empty in ["", ".", "<think>hm", "<think>hm</think>"] {
        let failure = failure(&of(&["CT", empty]));
        assert!(failure.reason.contains("\"finding\" has no answer"), "{empty}: {}", failure.reason);
        assert_eq!(failure.retry, Retry::Never);
    }
    let cut = loupe_core::Reply { stop: Stop::Length, ..reply("<think>hm") };
    let mut model = Script::of([Ok(reply("CT")), Ok(cut)]);
    let line = written(&mut model, phantom(), None, GenerationLimits::default());
    assert_eq!(failure(&line).retry, Retry::May);
    let odd = of(&["CT", "nodule\u{F0002}", "1", "left", "20 mm"]);
    assert!(odd.prediction.text().unwrap().contains("nodule\u{FFFD}"));
}

#[test]
fn thoughts_are_no_part_of_two_passes() {
    let two = || report_template("loupe-two-pass").unwrap();
    let mut model = Script::new(&["<think>a</think>A nodule.", "<think>b</think>Nodule."]);
    let line = written(&mut model, two(), None, GenerationLimits::default());
    assert_eq!(line.prediction.text(), Some("Findings:\nA nodule.\n\nImpression:\nNodule."));
    assert_eq!(trace(&line).rounds[0].said.as_deref(), Some("A nodule."));
    let line = written(&mut Script::new(&["<think>a", "Nodule."]), two(), None, GenerationLimits::default());
    assert!(failure(&line).reason.contains("\"findings\" has no answer"));
}

static FIRST: CandidateRule = CandidateRule { name: "first", about: "", rank: |_, all| vec![0.0; all.len()] };

#[test]
fn a_choice_is_made_from_all_that_can_be_had() {
    assert!(Candidates::new(MOST_CANDIDATES, &FIRST).is_ok());
    for n in [0, MOST_CANDIDATES + 1, usize::MAX] {
        assert!(Candidates::new(n, &FIRST).unwrap_err().contains("from 1 to 64"));
    }
    let sampling = Sampling::Random { temperature: 1.0, top_k: 0, top_p: 1.0, seed: 0 };
    let limits = GenerationLimits { sampling, ..GenerationLimits::default() };
    let of = |failed: ModelError| {
        let mut model = Script::of([Ok(reply("A.")), Err(failed), Ok(reply("B."))]);
        let several = Candidates::new(3, &FIRST).ok();
        written(&mut model, report_template("loupe").unwrap(), several, limits.clone())
    };
    let passing = of(ModelError::Compute("out of memory".into()));
    assert_eq!(failure(&passing).retry, Retry::May);
    let lasting = of(ModelError::NoSuchPicture { turn: 0, index: 1, count: 1 });
    assert_eq!(lasting.prediction.text(), Some("A."));
    assert_eq!(trace(&lasting).summary["choice"]["of"], 2);
}

#[test]
fn what_a_template_makes_is_bounded_and_reasons_repeat_no_text() {
    let double = "{% set ns = namespace(x='aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa') %}{% block report %}{{ images|first }}\
                  {% for i in range(26) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}x{% endblock %}";
    let said = reason(double, &one());
    assert!(said.contains("it makes too much"), "{said}");
    let long = "{% block report %}{{ images|first }}{{ 'abc' * 400000 }}{% endblock %}";
    let said =
        ReportTemplate::new("mine", "", long).map_or_else(|e| e, |t| t.turns(&one()).unwrap_err().reason);
    assert!(said.contains("too often") || said.contains("bytes of words"), "{said}");
    for tag in
        ["include indication", "include 'template'", "import 'x' as x", "extends 'x'", "from 'x' import y"]
    {
        let said =
            refused(&format!("{{% block report %}}{{{{ images|first }}}}{{% {tag} %}}{{% endblock %}}"));
        assert!(said.contains("a template is one file"), "{said}");
    }
    let secret = "Follow-up of Jane";
    let study = sample(&[("PA", false)], Study { indication: Some(secret.into()), ..Study::default() });
    for body in
        ["{{ indication|int }}", "{{ indication + 1 }}", "{{ refuse(indication) }}", "{{ {}[indication].x }}"]
    {
        let said =
            reason(&format!("{{% block report %}}{{{{ images|first }}}}{body}{{% endblock %}}"), &study);
        assert!(!said.contains("Jane"), "{body}: {said}");
    }
    assert!(
        template(&format!("{ASK}{{% block compose %}}x{{% endblock %}}"))
            .composed(&one(), &Answers::new())
            .is_ok()
    );
}
