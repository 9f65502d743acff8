//! Protocols and strategies of `rethink` on the command line and behind the seam of a run.

use crate::pick::{ModelArgs, load_segmenter};
use anyhow::{Result, bail};
use loupe_core::media::WindowChoice;
use loupe_core::{Answer, Answerer, Work};
use loupe_core::{
    MediaLoader, MediaRef, ModelInfo, Origin, Picture, Resampler, Segmenter, SliceAt, View,
    VisionLanguageModel,
};
use loupe_preprocess::resampler::PillowResampler;
use loupe_rethink::{Budget, Models, Outcome, Request, RethinkError, Settings};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;

/// How to look again, and who helps.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Second look")]
pub(crate) struct LookArgs {
    /// Answer with this protocol or strategy (see `loupe list protocols`); joined by `+` when a
    /// strategy shall play a protocol, as in `self-consistency+deepeyes`.
    #[arg(long, value_name = "NAME")]
    pub(crate) rethink: Option<String>,

    /// Checkpoint folder of a second model, for `second-opinion`.
    #[arg(long, value_name = "DIR", requires = "rethink")]
    second_model: Option<PathBuf>,

    /// Checkpoint folder of a segmenter, for the action `segment`.
    #[arg(long, value_name = "DIR", requires = "rethink")]
    segmenter: Option<PathBuf>,

    /// Most rounds of a protocol; the protocol's own number when not given.
    #[arg(long, value_name = "N", requires = "rethink")]
    rounds: Option<usize>,

    /// No round begins after so many generated tokens.
    #[arg(long, value_name = "N", requires = "rethink")]
    token_budget: Option<usize>,

    /// No round begins after so many seconds. The answer then depends on the machine.
    #[arg(long, value_name = "S", requires = "rethink")]
    seconds: Option<f64>,

    /// Passes that `self-consistency` votes over.
    #[arg(long, value_name = "N", requires = "rethink")]
    passes: Option<usize>,

    /// Temperature of those passes.
    #[arg(long, value_name = "T", requires = "rethink")]
    pass_temperature: Option<f64>,

    /// Tokens of thought before `budgeted` asks for the answer.
    #[arg(long, value_name = "N", requires = "rethink")]
    think_tokens: Option<usize>,

    /// Times that `budgeted` makes a thought go on that ends early.
    #[arg(long, value_name = "N", requires = "rethink")]
    go_on: Option<usize>,

    /// Rounds of debate of `second-opinion`.
    #[arg(long, value_name = "N", requires = "rethink")]
    debate_rounds: Option<usize>,

    /// Places of the list of `ranked`.
    #[arg(long, value_name = "N", requires = "rethink")]
    ranks: Option<usize>,
}

impl LookArgs {
    /// The choices of strategies; what was not given is the default.
    fn settings(&self, seed: u64) -> Settings {
        let usual = Settings::default();
        Settings {
            protocol: None,
            samples: self.passes.unwrap_or(usual.samples),
            temperature: self.pass_temperature.unwrap_or(usual.temperature),
            seed,
            think_tokens: self.think_tokens.unwrap_or(usual.think_tokens),
            go_on: self.go_on.unwrap_or(usual.go_on),
            debate_rounds: self.debate_rounds.unwrap_or(usual.debate_rounds),
            ranks: self.ranks.unwrap_or(usual.ranks),
        }
    }

    /// Loads what `--rethink` needs beside the model, which runs as `model` says; nothing without
    /// `--rethink`.
    ///
    /// Names are checked before any weights are read.
    pub(crate) fn load(&self, model: &ModelArgs, seed: u64) -> Result<Option<Look>> {
        let Some(name) = &self.rethink else { return Ok(None) };
        let (strategy, _) = loupe_rethink::named(name)?;
        match (strategy.second_model, &self.second_model) {
            (true, None) => {
                bail!("{} needs a second model; name its folder with --second-model", strategy.name)
            }
            (false, Some(_)) => bail!("{name} asks one model only; --second-model is for second-opinion"),
            _ => {}
        }
        if self.pass_temperature.is_some_and(|t| !t.is_finite() || t <= 0.0) {
            bail!("--pass-temperature must be above 0, or all passes say the same");
        }
        let second = |dir: &PathBuf| ModelArgs { model: Some(dir.clone()), ..model.clone() }.load(None);
        Ok(Some(Look {
            name: name.clone(),
            settings: self.settings(seed),
            budget: Budget { rounds: self.rounds, new_tokens: self.token_budget, seconds: self.seconds },
            second: self.second_model.as_ref().map(second).transpose()?,
            segmenter: self
                .segmenter
                .as_ref()
                .map(|dir| load_segmenter(Some(dir), None, model))
                .transpose()?,
        }))
    }
}

/// A way of looking again with everything it needs beside the model.
pub(crate) struct Look {
    /// Protocol or strategy, or both joined.
    pub(crate) name: String,
    pub(crate) settings: Settings,
    pub(crate) budget: Budget,
    pub(crate) second: Option<Box<dyn VisionLanguageModel>>,
    pub(crate) segmenter: Option<Box<dyn Segmenter>>,
}

impl Look {
    /// `name` with the usual settings and nobody's help.
    pub(crate) fn plain(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            settings: Settings::default(),
            budget: Budget::default(),
            second: None,
            segmenter: None,
        }
    }

    /// Plays the conversation on one question.
    pub(crate) fn run(
        &mut self,
        model: &mut dyn VisionLanguageModel,
        loader: &dyn MediaLoader,
        mut request: Request,
    ) -> Result<Outcome, RethinkError> {
        request.budget = self.budget.clone();
        // Other slices and windows can be had only of images that have them.
        if request.pictures.iter().all(|p| p.origin.slice.is_none() && p.origin.window.is_none()) {
            request.media.clear();
        }
        const RESAMPLER: &dyn Resampler = &PillowResampler;
        let models = Models {
            first: model,
            // Reborrowed by hand: the trait objects' own lifetime is longer than this call.
            second: match &mut self.second {
                Some(second) => Some(second.as_mut()),
                None => None,
            },
            segmenter: match &mut self.segmenter {
                Some(segmenter) => Some(segmenter.as_mut()),
                None => None,
            },
            resampler: RESAMPLER,
            loader: Some(loader),
        };
        loupe_rethink::run(&self.name, models, &request, &self.settings)
    }
}

/// Answers every sample with a protocol or strategy.
pub(crate) struct RethinkAnswerer<'a> {
    pub(crate) look: Look,
    pub(crate) model: &'a mut dyn VisionLanguageModel,
    pub(crate) loader: &'a dyn MediaLoader,
}

impl Answerer for RethinkAnswerer<'_> {
    fn model(&self) -> &ModelInfo {
        self.model.info()
    }

    fn strategy(&self) -> Value {
        let look = &self.look;
        let mut record = serde_json::json!({
            "name": look.name, "settings": look.settings, "budget": look.budget,
        });
        let helpers = [
            ("second_model", look.second.as_ref().map(|m| m.info())),
            ("segmenter", look.segmenter.as_ref().map(|s| s.info())),
        ];
        for (role, info) in helpers {
            if let (Value::Object(record), Some(info)) = (&mut record, info) {
                record.insert(role.to_owned(), serde_json::to_value(info).unwrap_or(Value::Null));
            }
        }
        record
    }

    fn answer(&mut self, work: &[Work]) -> Vec<Answer> {
        work.iter().map(|w| self.one(w)).collect()
    }
}

impl RethinkAnswerer<'_> {
    fn one(&mut self, work: &Work) -> Answer {
        let written = |trace: &_| serde_json::to_value(trace).unwrap_or(Value::Null);
        match self.look.run(self.model, self.loader, Request::of_sample(&work.sample, &work.ask)) {
            Ok(outcome) => Answer { trace: written(&outcome.trace), outcome: Ok(outcome.reply) },
            Err(RethinkError::NoReply { reason, trace }) => {
                Answer { outcome: Err(reason), trace: written(&*trace) }
            }
            Err(error) => Answer { outcome: Err(error.to_string()), trace: Value::Null },
        }
    }
}

/// The whole view that a picture of a trace was cut from, to be read again: which of `media`, and
/// the same frame, slice, plane and window of it.
pub(crate) fn view_again(origin: &Origin, media: &[MediaRef]) -> Option<(usize, MediaRef)> {
    let named = |m: &MediaRef| origin.source.as_deref() == Some(m.name.as_str());
    let at = media.iter().position(named).or((media.len() == 1).then_some(0))?;
    let view = View {
        frame: origin.frame,
        slice: origin.slice.map(SliceAt::Index),
        plane: origin.plane.unwrap_or_default(),
        window: origin.window.map(WindowChoice::Numbers),
    };
    Some((at, MediaRef { view, ..media.get(at)?.clone() }))
}

/// The views that a conversation was about: `given` and every other slice or plane that it went to.
pub(crate) fn views_of<'a>(
    origins: impl Iterator<Item = &'a Origin>,
    given: &[Arc<Picture>],
    media: &[MediaRef],
    loader: &dyn MediaLoader,
) -> Vec<Arc<Picture>> {
    let mut views = given.to_vec();
    for origin in origins {
        if !views.iter().any(|v| v.origin.same_view(origin))
            && let Some((_, again)) = view_again(origin, media)
            && let Ok(picture) = loader.load(&again)
        {
            views.push(Arc::new(picture));
        }
    }
    views
}
