//! Prompts that are answered at the same time: replies in whatever order, failures that are nobody else's.

use crate::{plan, said, with_pictures};
use loupe_core::{AskSource, Direct, ModelError, ModelInfo, Reply, ReplySink, Retry, VisionLanguageModel};
use loupe_run::{Plan, Progress, ReplyLine, run};
use loupe_testing::{FlatPictures, Held, PromptHash, QuestionSet, scratch, script_info};
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn each_reply_is_on_the_disk_as_soon_as_it_is_done() {
    /// Reads the file whenever it hears of a reply.
    struct Reader {
        file: PathBuf,
        items: Vec<usize>,
    }
    impl Progress for Reader {
        fn recorded(&mut self, line: &ReplyLine) {
            let text = fs::read_to_string(&self.file).unwrap();
            assert!(text.ends_with('\n'));
            assert_eq!(text.lines().count(), self.items.len() + 1);
            let last: ReplyLine = serde_json::from_str(text.lines().last().unwrap()).unwrap();
            assert_eq!((last.item, &last.prediction), (line.item, &line.prediction));
            self.items.push(line.item);
        }
    }
    let dir = scratch();
    let mut reader = Reader { file: dir.path().join("replies.jsonl"), items: Vec::new() };
    let (loader, mut model) = (FlatPictures::sound(), PromptHash::with_room(4));
    let set = QuestionSet::new(12);
    run(dir.path(), &plan(12), &set, &mut Direct(&mut model), &loader, &mut reader).unwrap();
    assert_eq!(reader.items.len(), 12);
    // The model answers the latest first, so the order is not that of the prompts (0, 4, 8, 1, …).
    assert_ne!(reader.items[0], 0);
    assert_ne!(reader.items, [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]);
    let in_order: Vec<String> = said(dir.path()).into_iter().map(|(id, ..)| id).collect();
    assert_eq!(in_order, (0..12).map(|n| format!("q{n}")).collect::<Vec<_>>());
}

/// Holds three prompts at a time. Those whose words contain `bad` fail always; others only while there is
/// company when `crowded`. Says nothing to those with `mute`.
struct Touchy {
    info: ModelInfo,
    crowded: bool,
    error: ModelError,
    bad: &'static str,
    mute: &'static str,
    /// Words of every prompt tried, with how many were held then.
    tried: Vec<(String, usize)>,
}

impl Touchy {
    fn new(error: ModelError) -> Self {
        let info = script_info("touchy");
        Self { info, crowded: false, error, bad: "nothing", mute: "nothing", tried: Vec::new() }
    }

    fn times(&self, words: &str) -> usize {
        self.tried.iter().filter(|(tried, _)| tried.contains(words)).count()
    }
}

impl VisionLanguageModel for Touchy {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn serve(&mut self, asks: &mut dyn AskSource, replies: &mut dyn ReplySink) {
        let mut held = Held::new(3);
        while held.fill(asks) {
            let company = held.asks.len();
            let (id, ask) = held.asks.pop_front().unwrap();
            let words = ask.turns.last().unwrap().words();
            self.tried.push((words.clone(), company));
            if words.contains(self.mute) {
                continue;
            }
            let fails = words.contains(self.bad) || self.crowded && company > 1;
            replies.done(id, if fails { Err(self.error.clone()) } else { Ok(Reply::from_text(words)) });
        }
    }
}

/// Two questions to an image, all pictures decoded before the first question is asked.
fn touched(dir: &Path, model: &mut Touchy, plan: &Plan) -> loupe_run::Finished {
    with_pictures(dir, &QuestionSet::new(9), plan, model)
}

#[test]
fn what_failed_for_its_company_is_tried_alone() {
    let dir = scratch();
    let mut model = Touchy { crowded: true, ..Touchy::new(ModelError::Compute("out of memory".into())) };
    let done = touched(dir.path(), &mut model, &plan(9));
    assert_eq!((done.answered, done.failed), (9, 0));
    assert!(
        model.tried.iter().any(|(_, company)| *company == 3),
        "they were tried together: {:?}",
        model.tried
    );
    // Nothing of it is left on the disk: one line an item.
    let lines = fs::read_to_string(dir.path().join("replies.jsonl")).unwrap();
    assert!(lines.lines().count() == 9 && !lines.contains("out of memory"), "{lines}");
    // After the first pass everything comes by itself.
    let crowd = model.tried.iter().rposition(|(_, company)| *company > 1).unwrap();
    assert!(model.tried[crowd + 1..].iter().filter(|(_, company)| *company == 1).count() >= 8);
}

#[test]
fn what_fails_alone_as_well_is_recorded_once_and_can_be_asked_again() {
    let dir = scratch();
    let mut model = Touchy { bad: "question 4", ..Touchy::new(ModelError::Compute("device lost".into())) };
    let done = touched(dir.path(), &mut model, &plan(9));
    assert_eq!((done.answered, done.failed), (8, 1));
    assert_eq!(model.times("question 4"), 2, "in company and alone");
    assert_eq!(model.tried.last().unwrap().1, 1);
    let failed = said(dir.path()).into_iter().find(|(id, ..)| id == "q4").unwrap().2.unwrap();
    assert_eq!(failed, Err("the computation failed: device lost".to_owned()));

    let mut mended = Touchy::new(ModelError::Compute(String::new()));
    assert_eq!(touched(dir.path(), &mut mended, &plan(9)).answered, 0, "not unless it is asked for");
    let again = Plan { retry_failed: true, ..plan(9) };
    let done = touched(dir.path(), &mut mended, &again);
    assert_eq!((done.answered, done.failed, mended.tried.len()), (1, 0, 1));
    assert!(said(dir.path()).iter().all(|(.., words)| matches!(words, Some(Ok(_)))));
}

#[test]
fn what_can_never_be_answered_is_tried_once() {
    let dir = scratch();
    let too_long = ModelError::TooLong { tokens: 9, limit: 8 };
    assert_eq!(too_long.retry(), Retry::Never);
    let mut model = Touchy { bad: "question 4", ..Touchy::new(too_long) };
    let done = touched(dir.path(), &mut model, &plan(9));
    assert_eq!((done.answered, done.failed, model.times("question 4")), (8, 1, 1));
    let again = Plan { retry_failed: true, ..plan(9) };
    let done = touched(dir.path(), &mut model, &again);
    assert_eq!((done.already, done.answered, done.failed, model.times("question 4")), (9, 0, 0, 1));
}

#[test]
fn a_prompt_that_the_model_forgets_is_a_failure_that_may_pass() {
    let dir = scratch();
    let mut model = Touchy { mute: "question 4", ..Touchy::new(ModelError::Compute(String::new())) };
    let done = touched(dir.path(), &mut model, &plan(9));
    assert_eq!((done.answered, done.failed), (8, 1));
    let failed = said(dir.path()).into_iter().find(|(id, ..)| id == "q4").unwrap().2.unwrap();
    assert_eq!(failed, Err("the model gave no answer".to_owned()));
    let mut mended = Touchy::new(ModelError::Compute(String::new()));
    let again = Plan { retry_failed: true, ..plan(9) };
    assert_eq!(touched(dir.path(), &mut mended, &again).answered, 1);
}

/// Holds three prompts at a time and panics at some.
struct Fragile(ModelInfo, &'static str);

impl VisionLanguageModel for Fragile {
    fn info(&self) -> &ModelInfo {
        &self.0
    }

    fn serve(&mut self, asks: &mut dyn AskSource, replies: &mut dyn ReplySink) {
        let mut held = Held::new(3);
        while held.fill(asks) {
            let (id, ask) = held.asks.pop_front().unwrap();
            let words = ask.turns.last().unwrap().words();
            assert!(!words.contains(self.1), "secret");
            replies.done(id, Ok(Reply::from_text(words)));
        }
    }
}

#[test]
fn a_panic_fails_the_item_it_happened_at_and_no_other() {
    let dir = scratch();
    let mut model = Fragile(script_info("fragile"), "question 4");
    let done = with_pictures(dir.path(), &QuestionSet::new(9), &plan(9), &mut model);
    assert_eq!((done.answered, done.failed), (8, 1));
    let failed = said(dir.path()).into_iter().find(|(id, ..)| id == "q4").unwrap().2.unwrap();
    assert!(
        failed.as_ref().is_err_and(|why| why.contains("report") && !why.contains("secret")),
        "{failed:?}"
    );
    // A resume does not meet it again, unless it is told to.
    let done = with_pictures(dir.path(), &QuestionSet::new(9), &plan(9), &mut model);
    assert_eq!((done.already, done.answered, done.failed), (9, 0, 0));
    // One that panics at everything fails everything, and ends.
    let dir = scratch();
    let mut model = Fragile(script_info("fragile"), "question");
    let done = with_pictures(dir.path(), &QuestionSet::new(9), &plan(9), &mut model);
    assert_eq!((done.answered, done.failed), (0, 9));
}

#[test]
fn large_pictures_are_decoded_no_further_ahead_than_their_memory_allows() {
    use loupe_core::{MediaError, MediaLoader, MediaRef, Picture};
    use std::sync::atomic::{AtomicUsize, Ordering};
    /// 1 000 bytes each; how many there are of those handed out.
    #[derive(Default)]
    struct Large {
        decoded: AtomicUsize,
    }
    impl MediaLoader for Large {
        fn load(&self, _: &MediaRef) -> Result<Picture, MediaError> {
            self.decoded.fetch_add(1, Ordering::SeqCst);
            Ok(Picture::new(50, 20, 1, vec![7; 1000]).unwrap())
        }
    }
    /// How many pictures had been decoded when each of its prompts was answered.
    struct Slow<'a>(ModelInfo, &'a Large, Vec<usize>);
    impl VisionLanguageModel for Slow<'_> {
        fn info(&self) -> &ModelInfo {
            &self.0
        }
        fn serve(&mut self, asks: &mut dyn AskSource, replies: &mut dyn ReplySink) {
            loupe_core::model::one_by_one(asks, replies, |ask| {
                std::thread::sleep(std::time::Duration::from_millis(5));
                self.2.push(self.1.decoded.load(Ordering::SeqCst));
                Ok(Reply::from_text(ask.turns.last().map(|t| t.words()).unwrap_or_default()))
            });
        }
    }
    let dir = scratch();
    let loader = Large::default();
    let mut model = Slow(script_info("slow"), &loader, Vec::new());
    // Thirty questions about ten pictures; there is room for four pictures.
    let plan = Plan { picture_bytes: 4000, ..plan(32) };
    let set = QuestionSet::new(30);
    let done = run(dir.path(), &plan, &set, &mut Direct(&mut model), &loader, &mut ()).unwrap();
    assert_eq!((done.answered, done.failed), (30, 0));
    // Three questions a picture: after n answers n / 3 pictures are done with, and four or so are ahead.
    for (answered, decoded) in model.2.iter().enumerate() {
        assert!(*decoded <= answered / 3 + 6, "{decoded} decoded after {answered} answers");
    }
}
