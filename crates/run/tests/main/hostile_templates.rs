//! Templates of a user's that take without end: refused in bounded time and memory, whether they ask questions or for reports.

use crate::report_prompt::sample;
use loupe_core::{Choice, GenerationLimits, Picture, Sample, Study};
use loupe_run::report_prompt::ReportTemplate;
use loupe_run::templates::PromptTemplate;
use loupe_testing::dataset::worded;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bodies of a block, and what is said of each.
const HOSTILE: [(&str, &str); 17] = [
    // Time.
    (
        "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}x{% endfor %}{% endfor %}{% endfor %}",
        "fuel",
    ),
    ("{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}", "recursion"),
    ("{% macro a(n) %}{{ a(n ~ n) }}{{ a(n) }}{% endmacro %}{{ a('x') }}", "makes too much"),
    // Memory.
    (
        "{% set ns = namespace(x='aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa') %}{% for i in range(40) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "makes too much",
    ),
    (
        "{% set ns = namespace(x=[1, 2]) %}{% for i in range(40) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "makes too much",
    ),
    (
        "{% set ns = namespace(x=[1]) %}{% for i in range(40) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
        "makes too much",
    ),
    (
        "{% set ns = namespace(x='aaaa') %}{% for i in range(40) %}{% set ns.x = ns.x|replace('a', ns.x) %}{% endfor %}",
        "makes too much",
    ),
    ("{% set n = 999999999 %}{{ 'abcdefgh' * n }}", "makes too much"),
    ("{{ 'abcdefgh' * 999999999 }}", "too often"),
    ("{{ '%0999999999d'|format(1) }}", "makes too much"),
    ("{{ 'x'|indent(999999999, true) }}", "makes too much"),
    ("{{ range(999999999)|list }}", ""),
    ("{% set n = 3000 %}{{ ('x' * n) * n }}", "bytes of words"),
    // Depth.
    ("{{ ((((NEST)))) }}", "too many parts"),
    ("{% set ns = namespace() %}{% set ns.self = ns %}{{ ns }}", ""),
    // Other files.
    ("{% include 'x' %}", "stands by itself"),
    ("{{ debug() }}", ""),
];

fn body(text: &str) -> String {
    let nest = format!("{}1{}", "(".repeat(50_000), ")".repeat(50_000));
    text.replace("((((NEST))))", &nest)
}

fn asking(question: &str) -> Sample {
    Sample { question: question.to_owned(), ..worded("yes", &[]) }
}

/// What is said of a template that asks a question.
fn of_question(text: &str) -> Result<(), String> {
    let template = PromptTemplate::own("mine", text)?;
    let picture = Arc::new(Picture::new(1, 1, 1, vec![0]).unwrap());
    let asked = asking("Is there a mass?");
    let filled = template.ask(&asked, vec![picture], GenerationLimits::default(), &[]);
    filled.map(drop).map_err(|failure| failure.reason)
}

/// What is said of a template that asks for a report.
fn of_report(text: &str) -> Result<(), String> {
    let template = ReportTemplate::new("mine", "", text)?;
    let turns = template.turns(&sample(&[("PA", false)], Study::default()));
    turns.map(drop).map_err(|failure| failure.reason)
}

const ALONE: &str = "LOUPE_TEST_HOSTILE_TEMPLATES";

/// Most KiB that the process had so far, where the system says.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// In a process of its own, whose memory is its own.
#[test]
fn a_hostile_template_is_refused_in_bounded_time_and_memory_and_says_why() {
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hostile_templates::the_hostile_templates"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
}

/// Nothing unless the test above starts it.
#[test]
fn the_hostile_templates() {
    if std::env::var_os(ALONE).is_none() {
        return;
    }
    for (hostile, said) in HOSTILE {
        let hostile = body(hostile);
        let question = hostile.clone();
        let user = format!("{{% block user %}}{hostile}{{% endblock %}}");
        let answer =
            format!("{{% block system %}}{hostile}{{% endblock %}}{{% block user %}}x{{% endblock %}}");
        let outside = format!("{hostile}{{% block user %}}x{{% endblock %}}");
        let report = format!("{{% block report %}}{{{{ images|first }}}}{hostile}{{% endblock %}}");
        let began = Instant::now();
        let short: String = hostile.chars().take(60).collect();
        for (which, refused) in [
            ("whole", of_question(&question)),
            ("user", of_question(&user)),
            ("system", of_question(&answer)),
            ("report", of_report(&report)),
        ] {
            let reason = refused.expect_err(&format!("{which}: {short}"));
            assert!(reason.contains(said), "{which}, {short}: {reason}");
        }
        // What stands outside of blocks is bounded as what stands within.
        if !said.contains("bytes of words") {
            assert!(of_question(&outside).is_err(), "outside: {short}");
        }
        assert!(began.elapsed() < Duration::from_secs(240), "{short}: {:?}", began.elapsed());
        let peak = peak().unwrap_or(0) >> 10;
        assert!(peak < 1024, "{short}: {peak} MiB");
    }
}

#[test]
fn reasons_repeat_no_text_of_the_sample() {
    for body in ["{{ question|int }}", "{{ question + 1 }}", "{{ {}[question].x }}", "{{ question.x.y }}"] {
        let template = PromptTemplate::own("mine", body).unwrap();
        let asked = asking("Follow-up of Jane");
        let failed = template.ask(&asked, Vec::new(), GenerationLimits::default(), &[]).unwrap_err();
        assert!(!failed.reason.contains("Jane") && failed.reason.contains("(line 1)"), "{}", failed.reason);
    }
}

#[test]
fn no_text_of_a_sample_stands_for_a_picture() {
    const MARK: &str = "\u{F0000}0\u{F0001}";
    type Change = fn(&mut Sample);
    let fields: [(&str, Change); 5] = [
        ("question", |sample| sample.question = MARK.into()),
        ("choices[0].text", |sample| {
            sample.choices = vec![Choice { letter: 'A', text: MARK.into() }];
        }),
        ("language", |sample| sample.language = MARK.into()),
        ("tags.organ", |sample| drop(sample.tags.insert("organ".into(), MARK.into()))),
        ("tags|list", |sample| drop(sample.tags.insert(MARK.into(), "lung".into()))),
    ];
    for (field, set) in fields {
        let mut marked = asking("what?");
        set(&mut marked);
        let template = PromptTemplate::own("mine", &format!("{{{{ {field} }}}}")).unwrap();
        let failed = template.ask(&marked, Vec::new(), GenerationLimits::default(), &[]).unwrap_err();
        assert!(failed.reason.contains("private use"), "{field}: {}", failed.reason);
    }
}

#[test]
fn a_template_has_a_bounded_number_of_blocks() {
    let blocks =
        |n: usize| -> String { (0..n).map(|at| format!("{{%- block b{at} %}}x{{% endblock %}}")).collect() };
    let began = Instant::now();
    let said = PromptTemplate::own("mine", &blocks(15_000)).unwrap_err();
    assert!(said.contains("15000 blocks; 256 at most"), "{said}");
    let said = ReportTemplate::new("mine", "", &blocks(257)).map(drop).unwrap_err();
    assert!(said.contains("257 blocks"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    // So many are read: these have other names than a question's.
    let said = PromptTemplate::own("mine", &blocks(256)).unwrap_err();
    assert!(said.contains("blocks are system, user and answer"), "{said}");
}

#[test]
fn a_template_of_questions_stands_by_itself() {
    for tag in ["include 'x'", "import 'x' as y", "extends 'x'", "from 'x' import y"] {
        let said = PromptTemplate::own("mine", &format!("{{{{ question }}}}{{% {tag} %}}")).unwrap_err();
        assert!(said.contains("a template is one file"), "{said}");
    }
    let long = format!("{{{{ question }}}}{}", "x".repeat(1 << 20));
    assert!(PromptTemplate::own("mine", &long).unwrap_err().contains("1048576 at most"));
    assert!(PromptTemplate::own("mine", "\u{F0002}{{ question }}").unwrap_err().contains("private-use"));
}
