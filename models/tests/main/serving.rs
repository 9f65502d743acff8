//! The engine while asks come and go: a reply does not depend on its company, on when it was asked, or on how
//! its prompt was cut.

use crate::common::{Case, Dialect, FAMILIES, greedy, largest_difference, picture};
use loupe_core::model::{AskId, AskSource, Go, Next};
use loupe_core::{Ask, ModelError, Reply, ReplySink, Role, Turn, VisionLanguageModel};
use loupe_models::{LoadOptions, load};
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a source and a sink know of each other.
#[derive(Default)]
struct Desk {
    /// Pieces of text given out so far.
    pieces: Cell<usize>,
    /// Asks taken and not yet done.
    out: Cell<usize>,
    most_out: Cell<usize>,
}

/// Releases each ask once so many pieces of text were given out, or when the model is idle.
struct Script<'a> {
    desk: &'a Desk,
    asks: Vec<(usize, Ask)>,
    at: usize,
    ended: bool,
}

impl AskSource for Script<'_> {
    fn next(&mut self, idle: bool) -> Next {
        assert!(!self.ended, "asked again after the end");
        assert_eq!(idle, self.desk.out.get() == 0, "idle is when nothing is in work");
        let Some((moment, ask)) = self.asks.get(self.at) else {
            self.ended = true;
            return Next::NoMore;
        };
        if !idle && self.desk.pieces.get() < *moment {
            return Next::NotYet;
        }
        self.at += 1;
        self.desk.out.set(self.desk.out.get() + 1);
        self.desk.most_out.set(self.desk.most_out.get().max(self.desk.out.get()));
        Next::Ask(AskId(self.at as u64 - 1), ask.clone())
    }
}

struct Tray<'a> {
    desk: &'a Desk,
    texts: BTreeMap<AskId, String>,
    replies: BTreeMap<AskId, Result<Reply, ModelError>>,
    /// Stops an ask at its so many-th piece, the empty ones included.
    stop: BTreeMap<AskId, usize>,
    calls: BTreeMap<AskId, usize>,
}

impl ReplySink for Tray<'_> {
    fn piece(&mut self, id: AskId, text: &str) -> Go {
        assert!(!self.replies.contains_key(&id), "a piece after the end");
        if !text.is_empty() {
            self.desk.pieces.set(self.desk.pieces.get() + 1);
        }
        *self.texts.entry(id).or_default() += text;
        let calls = self.calls.entry(id).or_default();
        *calls += 1;
        if self.stop.get(&id).is_some_and(|most| *calls >= *most) { Go::Stop } else { Go::On }
    }

    fn done(&mut self, id: AskId, reply: Result<Reply, ModelError>) {
        self.desk.out.set(self.desk.out.get() - 1);
        assert!(self.replies.insert(id, reply).is_none(), "{id:?} is done twice");
    }
}

struct Served {
    replies: Vec<Result<Reply, ModelError>>,
    texts: Vec<String>,
    most_out: usize,
}

fn serve_stopping(
    model: &mut dyn VisionLanguageModel,
    asks: Vec<(usize, Ask)>,
    stop: &[(u64, usize)],
) -> Served {
    let desk = Desk::default();
    let stop = stop.iter().map(|(id, calls)| (AskId(*id), *calls)).collect();
    let n = asks.len();
    let mut script = Script { desk: &desk, asks, at: 0, ended: false };
    let mut tray =
        Tray { desk: &desk, texts: BTreeMap::new(), replies: BTreeMap::new(), stop, calls: BTreeMap::new() };
    model.serve(&mut script, &mut tray);
    assert_eq!((tray.replies.len(), script.at), (n, n), "every ask is done exactly once");
    let texts = (0..n as u64).map(|id| tray.texts.remove(&AskId(id)).unwrap_or_default()).collect();
    Served { replies: tray.replies.into_values().collect(), texts, most_out: desk.most_out.get() }
}

fn serve(model: &mut dyn VisionLanguageModel, asks: Vec<(usize, Ask)>) -> Served {
    serve_stopping(model, asks, &[])
}

/// A checkpoint with asks of all kinds, and what each says alone in a model that keeps nothing.
struct Bench {
    dir: tempfile::TempDir,
    asks: Vec<Ask>,
    alone: Vec<Reply>,
    /// So little memory that the largest ask just fits: prompts are computed in pieces of 64 tokens, and few
    /// asks are in work.
    tight: u64,
}

impl Bench {
    fn new(family: &str) -> Self {
        let case = Case::all(family).into_iter().find(|c| c.name.contains("gqa")).unwrap();
        let dir = case.write(&Dialect::default());
        let [one, two] = [(84, 56, 3), (56, 112, 4)].map(|(w, h, seed)| Arc::new(picture(w, h, seed)));
        let long = "Describe everything that can be seen in this picture, from left to right. ".repeat(6);
        let mut asks = vec![
            greedy(vec![one.clone()], "Is there a fracture?", 17),
            greedy(vec![one.clone()], "Which side?", 3),
            greedy(vec![one.clone(), two.clone()], &long, 9),
            greedy(vec![], "Hello", 12),
            greedy(vec![two.clone()], &long, 1),
            greedy(vec![two.clone(), one.clone()], "Compare them.", 24),
            greedy(vec![one], &long, 30),
            greedy(vec![two], "Is there a fracture, and where?", 6),
        ];
        asks.iter_mut().for_each(|a| a.limits.logprobs = Some(3));
        asks[3].limits.repetition_penalty = Some(1.3);
        let off = LoadOptions { cache_bytes: 0, ..LoadOptions::default() };
        let mut model = load(dir.path(), &off).unwrap();
        let alone = asks.iter().map(|a| model.generate(std::slice::from_ref(a)).remove(0).unwrap()).collect();
        let none = LoadOptions { memory_bytes: Some(1 << 20), ..LoadOptions::default() };
        let needed = |reply: Result<Reply, ModelError>| match reply {
            Err(ModelError::Memory { needed, limit: 1_048_576 }) if needed > 1 << 20 => needed,
            other => panic!("{other:?}"),
        };
        let tight = load(dir.path(), &none).unwrap().generate(&asks).into_iter().map(needed).max().unwrap();
        Self { dir, asks, alone, tight }
    }

    fn model(&self, options: &LoadOptions) -> Box<dyn VisionLanguageModel> {
        load(self.dir.path(), options).unwrap()
    }

    fn check(&self, ask: usize, got: &Reply, at: &str) {
        let want = &self.alone[ask];
        assert_eq!((&got.token_ids, &got.text, got.stop), (&want.token_ids, &want.text, want.stop), "{at}");
        let shares = |reply: &Reply| -> Vec<f32> {
            reply.logprobs.iter().flatten().flat_map(|p| p.top.iter().map(|t| t.1)).collect()
        };
        let off = largest_difference(&shares(got), &shares(want));
        assert!(off <= 1e-5, "{at}: {off}");
    }
}

thread_local! {
    static BENCHES: RefCell<Vec<Arc<Bench>>> = RefCell::default();
}

fn benches() -> Vec<Arc<Bench>> {
    BENCHES.with_borrow_mut(|all| {
        if all.is_empty() {
            *all = FAMILIES.iter().map(|family| Arc::new(Bench::new(family))).collect();
        }
        all.clone()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]
    #[test]
    fn a_reply_does_not_depend_on_its_company(
        order in Just((0..8usize).collect::<Vec<_>>()).prop_shuffle(),
        moments in proptest::collection::vec(0usize..60, 8),
        rows in 1usize..9,
        cached: bool,
        tight: bool,
        lookup in proptest::sample::select(vec![0usize, 8]),
    ) {
        for bench in benches() {
            let options = LoadOptions {
                rows: Some(rows),
                cache_bytes: if cached { 64 << 20 } else { 0 },
                memory_bytes: tight.then_some(bench.tight),
                prompt_lookup: lookup,
                ..LoadOptions::default()
            };
            let mut model = bench.model(&options);
            // Twice, so that the second time finds what the first one left.
            for round in 0..2 {
                let mut asks: Vec<(usize, Ask)> =
                    order.iter().zip(&moments).map(|(i, m)| (*m, bench.asks[*i].clone())).collect();
                asks.sort_by_key(|(moment, _)| *moment);
                let mut by_time: Vec<(usize, usize)> =
                    order.iter().zip(&moments).map(|(i, m)| (*m, *i)).collect();
                by_time.sort_by_key(|(moment, _)| *moment);
                let served = serve(model.as_mut(), asks);
                prop_assert!(served.most_out <= rows);
                for ((reply, text), (_, ask)) in served.replies.iter().zip(&served.texts).zip(&by_time) {
                    let reply = reply.as_ref().unwrap();
                    bench.check(*ask, reply, &format!("ask {ask}, round {round}"));
                    prop_assert_eq!(&reply.text, text);
                }
            }
        }
    }
}

#[test]
fn a_late_ask_joins_the_picture_that_another_is_answered_about() {
    let bench = &benches()[1];
    let mut model = bench.model(&LoadOptions::default());
    // The second comes while the first is being decoded, the third with it.
    let asks = vec![(0, bench.asks[0].clone()), (4, bench.asks[1].clone()), (4, bench.asks[6].clone())];
    let served = serve(model.as_mut(), asks);
    assert_eq!(served.most_out, 3);
    for (reply, ask) in served.replies.iter().zip([0, 1, 6]) {
        let reply = reply.as_ref().unwrap();
        bench.check(ask, reply, "late");
        let counts = reply.counts;
        assert_eq!(ask != 0, counts.reused_tokens > counts.picture_tokens, "{counts:?}");
        assert!(reply.timing.prefill_s > 0.0 && reply.timing.decode_s >= 0.0);
    }
}

#[test]
fn a_row_that_nobody_wants_leaves_at_once_and_alone() {
    for bench in benches() {
        for (tight, prompt_lookup) in [(false, 0), (true, 0), (false, 8)] {
            let memory_bytes = tight.then_some(bench.tight);
            let options = LoadOptions { memory_bytes, prompt_lookup, ..LoadOptions::default() };
            let mut model = bench.model(&options);
            let asks: Vec<(usize, Ask)> = bench.asks.iter().map(|a| (0, a.clone())).collect();
            // One before it is begun, one that computes what others share, one in the middle of its reply.
            let served = serve_stopping(model.as_mut(), asks, &[(0, 1), (2, 1), (6, 12)]);
            for (i, reply) in served.replies.iter().enumerate() {
                match reply {
                    Ok(reply) => bench.check(i, reply, &format!("ask {i}")),
                    Err(error) => assert!(matches!(error, ModelError::Cancelled), "{error}"),
                }
                assert_eq!(reply.is_err(), [0, 2, 6].contains(&i), "ask {i}");
            }
            assert!(served.texts[6].len() < bench.alone[6].text.len());
            // And the model goes on.
            let again = model.generate(&bench.asks[..1]).remove(0).unwrap();
            bench.check(0, &again, "afterwards");
        }
    }
}

#[test]
fn an_ask_that_does_not_fit_into_memory_fails_by_itself() {
    let bench = &benches()[0];
    let mut long = bench.asks[2].clone();
    long.turns.push(Turn::text(Role::User, "and so on ".repeat(80)));
    long.limits.max_new_tokens = 1000;
    let options = LoadOptions { memory_bytes: Some(bench.tight), ..LoadOptions::default() };
    let replies = bench.model(&options).generate(&[bench.asks[1].clone(), long, bench.asks[2].clone()]);
    bench.check(1, replies[0].as_ref().unwrap(), "the small one");
    bench.check(2, replies[2].as_ref().unwrap(), "the one that just fits");
    let error = replies[1].as_ref().unwrap_err();
    let fits =
        matches!(error, ModelError::Memory { needed, limit } if needed > limit && *limit == bench.tight);
    assert!(fits, "{error}");
    assert!(error.to_string().contains("--memory"), "{error}");
}

#[test]
fn nothing_is_generated_where_nothing_is_wanted() {
    let bench = &benches()[0];
    let mut ask = bench.asks[0].clone();
    ask.limits.max_new_tokens = 0;
    let served = serve(bench.model(&LoadOptions::default()).as_mut(), vec![(0, ask)]);
    let reply = served.replies[0].as_ref().unwrap();
    assert_eq!((reply.text.as_str(), reply.token_ids.len()), ("", 0));
}
