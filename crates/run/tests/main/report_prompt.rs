//! Templates of reports, and reports in two passes.

use loupe_core::study::StudyImage;
use loupe_core::{
    GenerationLimits, MediaRef, Part, Record, Role, Sample, Sampling, Study, Target, Trace, Turn,
};
use loupe_run::report_prompt::{
    Answers, CandidateRule, Candidates, Passes, REPORT_TEMPLATES, ReportAnswerer, ReportTemplate,
    report_template,
};
use loupe_run::{Plan, ReplyLine, RunFolder, run};
use loupe_testing::dataset::worded;
use loupe_testing::{FlatPictures, QuestionSet, Script, scratch};

pub(crate) fn sample(views: &[(&str, bool)], study: Study) -> Sample {
    let mut sample = Sample { id: "s".into(), target: Target::Unknown, ..worded("", &[]) };
    sample.media = views.iter().enumerate().map(|(n, _)| MediaRef::file(format!("{n}.png"))).collect();
    let view = |view: &str| (!view.is_empty()).then(|| view.to_owned());
    let images = views.iter().map(|(name, prior)| StudyImage { view: view(name), prior: *prior }).collect();
    Study { images, ..study }.tag(&mut sample);
    sample
}

/// The user's turn with `[n]` for picture n from 0.
pub(crate) fn words(turns: &[Turn]) -> String {
    let parts = turns.iter().filter(|t| t.role == Role::User).flat_map(|t| &t.parts);
    let said = parts.map(|part| match part {
        Part::Text(text) => text.clone(),
        Part::Picture(at) => format!("[{at}]"),
    });
    said.collect()
}

#[test]
fn every_template_is_sound_and_found_by_its_name() {
    for known in REPORT_TEMPLATES {
        let template = report_template(known.name).unwrap();
        let study = Study { indication: Some("Cough.".into()), ..Study::default() };
        let turns = template.turns(&sample(&[("PA", false)], study)).unwrap();
        assert!(words(&turns).contains("[0]"), "{}", known.name);
    }
    let error = report_template("maira2").unwrap_err();
    assert!(error.contains("did you mean \"maira-2\""), "{error}");
}

#[test]
fn published_prompts_come_out_to_the_character() {
    let chexagent = report_template("chexagent").unwrap();
    let study = Study { indication: Some("Cough".into()), ..Study::default() };
    let three = sample(&[("PA", false), ("LATERAL", false), ("AP", false)], study);
    assert_eq!(
        words(&chexagent.turns(&three).unwrap()),
        "[0][1]Given the indication: \"Cough\", write a structured findings section for the CXR."
    );
    assert_eq!(chexagent.shown(&three).unwrap(), [0, 1]);

    let maira = report_template("maira-2").unwrap();
    let end = " Provide a structured description of the findings in the radiology study in comparison to the prior frontal image. \
               INDICATION: Cough TECHNIQUE: N/A COMPARISON: N/A";
    let of = |views: &[(&str, bool)], prior_report: Option<&str>| {
        let study = Study {
            indication: Some("Cough".into()),
            prior_report: prior_report.map(str::to_owned),
            ..Study::default()
        };
        words(&maira.turns(&sample(views, study)).unwrap())
    };
    assert_eq!(of(&[("PA", false)], None), format!("Given the current frontal image only[0]{end}"));
    assert_eq!(
        of(&[("LATERAL", false), ("PA", false)], None),
        format!("Given the current frontal image[1] and the current lateral image[0]{end}")
    );
    assert_eq!(
        of(&[("PA", false), ("LATERAL", false), ("AP", true)], Some("Old.")),
        format!(
            "Given the current frontal image[0] the current lateral image[1] and the prior frontal image[2] PRIOR_REPORT: Old.{end}"
        )
    );
}

#[test]
fn what_a_study_lacks_refuses_that_study_and_says_what() {
    let reason =
        |name: &str, sample: &Sample| report_template(name).unwrap().turns(sample).unwrap_err().reason;
    let bare = sample(&[("PA", false)], Study::default());
    let said = reason("chexagent", &bare);
    assert!(said.contains("indication") && said.contains("does not have"), "{said}");
    let said = reason("maira-2", &sample(&[("LATERAL", false)], Study::default()));
    assert!(said.contains("needs a frontal view"), "{said}");
    let hostile = Study { indication: Some("\u{F0000}0\u{F0001}".into()), ..Study::default() };
    assert!(reason("loupe", &sample(&[("PA", false)], hostile)).contains("private use"));
    let view = sample(&[("PA", false), ("\u{F0000}1\u{F0001}", false)], Study::default());
    assert!(reason("loupe", &view).contains("private use"));
}

#[test]
fn a_template_at_fault_is_refused_before_anything_is_asked() {
    let of = |text: &str| ReportTemplate::new("mine", "", text).map(|_| ()).unwrap_err();
    assert!(of("{% block report %}{{ indicaton }}{% endblock %}").contains("did you mean \"indication\""));
    assert!(of("{% block report %}{{ images").contains("not minijinja"));
    assert!(of("Write a report.").contains("neither a block"));
    assert!(
        of("{% block report %}{% endblock %}{% block findings %}{% endblock %}").contains("others beside")
    );
    let none = ReportTemplate::new("mine", "", "{% block report %}Write.{% endblock %}").unwrap();
    let failure = none.turns(&sample(&[("PA", false)], Study::default())).unwrap_err();
    assert!(failure.reason.contains("none of the images"), "{}", failure.reason);
}

#[test]
fn a_prior_is_spoken_of_only_where_there_is_one() {
    let template = report_template("loupe").unwrap();
    let without = words(&template.turns(&sample(&[("PA", false)], Study::default())).unwrap());
    assert!(without.contains("There is no earlier study") && !without.contains("has changed"), "{without}");
    let with = words(&template.turns(&sample(&[("PA", false), ("AP", true)], Study::default())).unwrap());
    assert!(with.starts_with("Earlier study:\n[1] AP\nStudy to report on:\n[0] PA\n"), "{with}");
}

#[test]
fn two_passes_are_one_report_with_both_on_record() {
    let template = report_template("loupe-two-pass").unwrap();
    assert_eq!(template.passes(), Passes::FindingsThenImpression);
    let dir = scratch();
    let mut model = Script::new(&["**Findings:** A nodule.", "Nodule."]);
    let plan = Plan::new(template.clone());
    let set = QuestionSet::new(1);
    let finished = run(
        dir.path(),
        &plan,
        &set,
        &mut ReportAnswerer::new(&mut model, template),
        &FlatPictures::sound(),
        &mut (),
    );
    assert_eq!(finished.unwrap().answered, 1);
    assert_eq!(model.asks.len(), 2);
    let second = &model.asks[1].turns;
    assert_eq!(second[second.len() - 2], Turn::text(Role::Assistant, "**Findings:** A nodule."));
    assert!(second.last().unwrap().words().contains("impression"));
    let folder = RunFolder::open(dir.path()).unwrap();
    assert_eq!(folder.made_by.prompt["name"], "loupe-two-pass");
    let line = folder.items().unwrap().next().unwrap().unwrap().reply.unwrap();
    assert_eq!(line.prediction.text(), Some("Findings:\nA nodule.\n\nImpression:\nNodule."));
    let Record::Rounds(trace) = &line.prediction.record else { panic!("{:?}", line.prediction.record) };
    assert_eq!(
        trace.rounds.iter().map(|r| r.purpose.as_str()).collect::<Vec<_>>(),
        ["findings", "impression"]
    );
}

pub(crate) fn written(
    model: &mut Script,
    template: ReportTemplate,
    candidates: Option<Candidates>,
    limits: GenerationLimits,
) -> ReplyLine {
    let dir = scratch();
    let mut plan = Plan::new(template.clone());
    plan.limits = limits;
    let mut answerer = ReportAnswerer::new(model, template).choosing(candidates);
    let done = run(dir.path(), &plan, &QuestionSet::new(1), &mut answerer, &FlatPictures::sound(), &mut ());
    let done = done.unwrap();
    assert_eq!(done.answered + done.failed, 1);
    RunFolder::open(dir.path()).unwrap().items().unwrap().next().unwrap().unwrap().reply.unwrap()
}

pub(crate) fn trace(line: &ReplyLine) -> &Trace {
    let Record::Rounds(trace) = &line.prediction.record else { panic!("{:?}", line.prediction.record) };
    trace
}

const STRUCTURED: &str = "{% block schema %}{\"required\": [\"impression\"], \"properties\": {\"findings\": {\"type\": \"array\"}, \
                          \"impression\": {\"type\": \"string\"}}}{% endblock %}\
                          {% block report %}{% for image in images %}{{ image }}{% endfor %}As JSON: {{ schema }}{% endblock %}";

#[test]
fn json_by_a_schema_becomes_a_report_and_says_where_it_departs() {
    let template = ReportTemplate::new("mine", "", STRUCTURED).unwrap();
    let asked = words(&template.turns(&sample(&[("PA", false)], Study::default())).unwrap());
    assert!(asked.starts_with("[0]As JSON: {\"required\""), "{asked}");
    let mut model =
        Script::new(&["```json\n{\"findings\": [\"A nodule.\"], \"impression\": \"Nodule.\"}\n```"]);
    let line = written(&mut model, template.clone(), None, GenerationLimits::default());
    assert_eq!(line.prediction.text(), Some("Findings:\nA nodule.\n\nImpression:\nNodule."));
    assert_eq!(trace(&line).summary["structured"]["problems"].as_array().map(Vec::len), Some(0));
    let line = written(
        &mut Script::new(&["{\"findings\": \"A nodule.\"}"]),
        template.clone(),
        None,
        GenerationLimits::default(),
    );
    assert_eq!(line.prediction.text(), Some("Findings:\nA nodule."));
    assert_eq!(trace(&line).summary["structured"]["problems"].as_array().map(Vec::len), Some(2));
    let line = written(&mut Script::new(&["A nodule."]), template, None, GenerationLimits::default());
    assert_eq!(line.prediction.text(), Some("A nodule."));
    let of = |text: &str| ReportTemplate::new("mine", "", text).map(|_| ()).unwrap_err();
    assert!(
        of("{% block schema %}{}{% endblock %}{% block report %}{% endblock %}")
            .contains("neither a property")
    );
    let two = "{% block schema %}{}{% endblock %}{% block findings %}{% endblock %}";
    assert!(of(two).contains("goes with a block \"report\""));
}

static LONGEST: CandidateRule = CandidateRule {
    name: "longest",
    about: "",
    rank: |_, all| all.iter().map(|draft| draft.reply.text.len() as f64).collect(),
};

#[test]
fn one_of_several_reports_is_kept_and_all_are_on_record() {
    let several = Candidates::new(3, &LONGEST).ok();
    let random = Sampling::Random { temperature: 1.0, top_k: 0, top_p: 1.0, seed: 5 };
    let limits = GenerationLimits { sampling: random, ..GenerationLimits::default() };
    let seeds = |model: &Script| -> Vec<u64> {
        let seed = |ask: &loupe_core::Ask| match ask.limits.sampling {
            Sampling::Random { seed, .. } => seed,
            Sampling::Greedy => 0,
        };
        model.asks.iter().map(seed).collect()
    };
    let template = report_template("loupe").unwrap();
    let mut model = Script::new(&["One.", "The longest one.", "Another."]);
    let line = written(&mut model, template, several, limits.clone());
    assert_eq!(line.prediction.text(), Some("The longest one."));
    // What all of them took, not the one that was kept alone.
    let loupe_core::sample::Outcome::Reply(kept) = &line.prediction.outcome else { panic!("{line:?}") };
    assert_eq!((kept.counts.prompt_tokens, kept.counts.new_tokens), (300, 5));
    assert_eq!(seeds(&model), [5, 6, 7]);
    let choice = &trace(&line).summary["choice"];
    assert_eq!((choice["rule"].as_str(), choice["chosen"].as_u64()), (Some("longest"), Some(1)), "{choice}");
    assert_eq!((trace(&line).rounds.len(), choice["figures"].as_array().map(Vec::len)), (3, Some(3)));
    assert_eq!(choice["of"], 3);

    // What follows its schema goes before what is preferred.
    let template = ReportTemplate::new("mine", "", STRUCTURED).unwrap();
    let mut model = Script::new(&["No JSON at all, but long.", "{\"impression\": \"A.\"}", "{}"]);
    let line = written(&mut model, template, several, limits.clone());
    assert_eq!(line.prediction.text(), Some("Impression:\nA."));

    // Two passes each; the engine asks in whatever order it likes, so the impressions are alike here.
    let mut model = Script::new(&["F.", "F.", "F.", "I.", "I.", "I."]);
    let line = written(&mut model, report_template("loupe-two-pass").unwrap(), several, limits);
    assert_eq!(line.prediction.text(), Some("Findings:\nF.\n\nImpression:\nI."));
    assert_eq!(trace(&line).rounds.iter().filter(|round| round.follows.is_some()).count(), 3);
}

#[test]
fn a_block_is_filled_in_by_itself_behind_what_stands_outside() {
    let text = "{% set who = \"me\" %}Outside.{% block findings -%}\n {{ images|first }}{% block inner %}By {{ who }}.{% endblock %}{%- endblock %}\
                {% block impression %}{{ findings }} {{ indication }}{% endblock %}";
    let template = ReportTemplate::new("mine", "", text).unwrap();
    let known = Study { indication: Some("Cough.".into()), ..Study::default() };
    let known = sample(&[("PA", false)], known);
    assert_eq!(words(&template.turns(&known).unwrap()), "[0]By me.");
    assert_eq!(template.impression_turn(&known, "F.").unwrap().unwrap().words(), "F. Cough.");
    // What the second pass lacks is known before the first.
    let bare = template.turns(&sample(&[("PA", false)], Study::default())).unwrap_err();
    assert!(bare.reason.contains("indication"), "{}", bare.reason);
}

#[test]
fn a_report_is_made_of_answers() {
    let asked = |views: &[(&str, bool)], answers: &[&str]| -> (Vec<String>, String) {
        let template = report_template("phantom").unwrap();
        let study = sample(views, Study::default());
        let (mut said, mut turns, mut at) = (Answers::new(), template.turns(&study).unwrap(), 0);
        let (names, mut all) = (template.asks().map(str::to_owned).collect::<Vec<String>>(), Vec::new());
        for answer in answers {
            all.push(words(&turns));
            said.insert(names[at].clone(), (*answer).to_owned());
            match template.next_ask(&study, &said, at).unwrap() {
                Some((next, asks)) => (at, turns) = (next, asks),
                None => break,
            }
        }
        (all, template.composed(&study, &said).unwrap())
    };
    let both = [("axial", false), ("axial", true)];
    let (questions, report) = asked(&both, &["CT", "nodule", "grew. Answer: A", "1", "left", "20 mm"]);
    assert!(
        questions[2].starts_with(
            "<image_1>: [1]<image_2>: [0]What happened to the nodule from image 1 to image 2?\nA. grew\n"
        ),
        "{questions:?}"
    );
    assert_eq!(
        questions[5],
        "[0]What is the diameter of the nodule to the nearest 10 mm?\nAnswer with a single word or a short phrase."
    );
    assert_eq!(
        report,
        "Findings:\nA nodule of about 20 mm is seen on the left and has grown since the earlier study.\n\nImpression:\nLeft nodule, grew."
    );
    let (questions, report) = asked(&both, &["CT", "none", "effusion"]);
    assert_eq!(
        questions[2],
        "[1]What abnormality is seen in the image?\nAnswer with a single word or a short phrase."
    );
    assert_eq!(
        report,
        "Findings:\nThe effusion has resolved since the earlier study. No abnormality is seen.\n\nImpression:\nEffusion has resolved."
    );
    let one = [("photograph", false)];
    let (questions, report) = asked(&one, &["fundus photograph", "exudate", "2"]);
    assert_eq!(
        (questions.len(), report.as_str()),
        (3, "Findings:\nMore than one exudate (2) is seen.\n\nImpression:\nExudate.")
    );
    let (_, report) = asked(&one, &["CT", "mass", "abdomen", "30 mm"]);
    assert_eq!(report, "Findings:\nA mass of about 30 mm is seen.\n\nImpression:\nMass.");
    assert_eq!(
        asked(&one, &["MRI", "none"]).1,
        "Findings:\nNo abnormality is seen.\n\nImpression:\nNormal study."
    );

    let mut model = Script::new(&["CT", "infarct", "right"]);
    let line = written(&mut model, report_template("phantom").unwrap(), None, GenerationLimits::default());
    assert_eq!(
        line.prediction.text(),
        Some("Findings:\nAn infarct is seen on the right.\n\nImpression:\nRight infarct.")
    );
    let purposes: Vec<&str> = trace(&line).rounds.iter().map(|round| round.purpose.as_str()).collect();
    assert_eq!(purposes, ["modality", "finding", "side"]);
    assert!(trace(&line).rounds.iter().all(|round| round.follows.is_none()));
    let of = |text: &str| ReportTemplate::new("mine", "", text).map(|_| ()).unwrap_err();
    assert!(of("{% block ask_a %}{% endblock %}").contains("\"compose\""));
    assert!(
        of("{% block compose %}{% endblock %}{% block report %}{% endblock %}").contains("both are needed")
    );
}

/// Each is a file of its own, to be copied and changed; what they say of a study before they ask is one text.
#[test]
fn loupes_own_templates_show_a_study_in_the_same_words() {
    let head = |name: &str| {
        let text = REPORT_TEMPLATES.iter().find(|template| template.name == name).unwrap().text;
        let (system, rest) = text.split_once("{% block ").unwrap().1.split_once("{% block ").unwrap();
        let (study, asked) = rest.split_once(" %}").unwrap().1.split_once("\nWrite the ").unwrap();
        assert!(study.contains("{{ prior_report }}") && asked.contains("compare with none"), "{name}");
        (system, study)
    };
    assert_eq!(head("loupe"), head("loupe-two-pass"));
}
