//! The runs of a suite.

use super::declared::{Suite, SuiteModel, SuiteSet, SuiteTemplate};
use crate::error::AppError;
use crate::evaluate::{AnswerWay, Draw, EvaluateOptions, ExampleOptions, Invocation, Selection, TagValue};
use crate::open::{DataOptions, ImageOptions, LoadOptions, ModelOptions};
use crate::score::ScoreOptions;
use crate::served::{Secret, ServerOptions, is_address};
use loupe_core::{GenerationLimits, Sampling};
use std::path::{Path, PathBuf};

/// A suite and how its models are loaded.
#[derive(Debug, Clone)]
pub struct SuiteOptions {
    /// What is run.
    pub suite: Suite,
    /// Device, number type, memory, for every model.
    pub load: LoadOptions,
    /// How images are read.
    pub images: ImageOptions,
    /// On resume, ask the samples again that failed for a reason that may have passed.
    pub retry_failed: bool,
    /// Who asks, for the record.
    pub invocation: Invocation,
}

/// One run of a suite.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The model's name in the suite.
    pub model: String,
    /// The model it was made from.
    pub base: Option<String>,
    /// The set's name.
    pub set: String,
    /// The template's name.
    pub template: String,
    /// The seed.
    pub seed: u64,
    /// How it is made.
    pub options: EvaluateOptions,
}

impl Planned {
    /// Its folder.
    pub fn dir(&self) -> &Path {
        self.options.output.as_deref().unwrap_or(Path::new("."))
    }

    /// In words.
    pub fn name(&self) -> String {
        format!("{} on {} by {}, seed {}", self.model, self.set, self.template, self.seed)
    }
}

impl SuiteOptions {
    /// Folder of all runs and tables.
    pub fn output(&self) -> PathBuf {
        self.suite.output.clone().unwrap_or_else(|| PathBuf::from("runs"))
    }

    /// All runs in the order in which they are made: models outermost, so that each is loaded once.
    ///
    /// # Errors
    /// When what names a set is none.
    pub fn planned(&self) -> Result<Vec<Planned>, AppError> {
        let suite = &self.suite;
        let mut all = Vec::new();
        for model in &suite.models {
            for set in &suite.sets {
                for template in &suite.templates {
                    for seed in &suite.seeds {
                        all.push(self.plan(model, set, template, *seed)?);
                    }
                }
            }
        }
        Ok(all)
    }

    fn plan(
        &self,
        model: &SuiteModel,
        set: &SuiteSet,
        template: &SuiteTemplate,
        seed: u64,
    ) -> Result<Planned, AppError> {
        let suite = &self.suite;
        let tags = set.tags.iter().map(|words| words.parse()).collect::<Result<Vec<TagValue>, String>>();
        let sampling = match suite.temperature > 0.0 {
            true => Sampling::Random { temperature: suite.temperature, top_k: 0, top_p: 1.0, seed },
            false => Sampling::Greedy,
        };
        let key = model.key_env.as_deref().map(Secret::from_variable).transpose()?;
        let usual = GenerationLimits::default();
        let mut profiles = suite.profiles.clone();
        profiles.extend(set.profiles.iter().filter(|p| !suite.profiles.contains(p)).cloned());
        let run = format!("{}-seed-{seed}", template.name);
        let options = EvaluateOptions {
            data: DataOptions::parse(&set.data, set.split.as_deref())?,
            output: Some(self.output().join(&model.name).join(&set.name).join(run)),
            template: template.name.clone(),
            template_file: template.file.clone(),
            examples: template.examples.map(|n| ExampleOptions { n, split: template.examples_from.clone() }),
            selection: Selection {
                limit: set.limit,
                ids: Vec::new(),
                tags: tags.map_err(AppError::input)?,
                sample: set.sample.map(|n| Draw { n, seed }),
            },
            rollouts: suite.rollouts,
            probe: None,
            seed,
            retry_failed: self.retry_failed,
            hide_names: false,
            extend: false,
            shard: None,
            limits: GenerationLimits {
                max_new_tokens: suite.max_new_tokens.unwrap_or(usual.max_new_tokens),
                sampling,
                ..usual
            },
            model: ModelOptions {
                folder: model.served.as_ref().map(PathBuf::from).or_else(|| model.folder.clone()),
                server: ServerOptions { key, ..ServerOptions::default() },
                load: LoadOptions { adapter: model.adapter.clone(), ..self.load.clone() },
            },
            way: AnswerWay::Direct,
            images: self.images.clone(),
            score: ScoreOptions {
                profiles,
                metrics: suite.metrics.clone(),
                page: None,
                ..ScoreOptions::default()
            },
            invocation: self.invocation.clone(),
        };
        Ok(Planned {
            model: model.name.clone(),
            base: model.base.clone(),
            set: set.name.clone(),
            template: template.name.clone(),
            seed,
            options,
        })
    }

    /// Finds everything that can be found without a model: sets, templates, examples, profiles, folders. All that is wrong is named at once.
    ///
    /// # Errors
    /// When anything is.
    pub fn check(&self) -> Result<Vec<Planned>, AppError> {
        let planned = self.planned()?;
        let mut wrong: Vec<String> = Vec::new();
        for one in &planned {
            if let Some(folder) =
                one.options.model.folder.as_deref().filter(|f| !is_address(f) && !f.is_dir())
            {
                wrong.push(format!("model {}: {} is no folder", one.model, folder.display()));
            }
            // Sets and templates are the same for every model.
            if planned.first().is_some_and(|first| first.model == one.model)
                && let Err(error) = one.options.check()
            {
                wrong.push(format!("{}: {}", one.name(), error.in_one_line()));
            }
        }
        wrong.dedup();
        match wrong.is_empty() {
            true => Ok(planned),
            false => {
                Err(AppError::input(format!("the suite cannot be run as it is:\n  {}", wrong.join("\n  "))))
            }
        }
    }
}
