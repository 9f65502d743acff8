//! `loupe batch export|import`

use crate::commands::{eval, score};
use crate::printer::{Ended, Printer};
use anyhow::{Result, bail};
use clap::Subcommand;
use loupe_app::batch::{BatchRequests, export, import};
use std::path::PathBuf;

/// Let an offline batch endpoint answer a run: write its requests now, read the results later.
///
/// Both commands take the options of `loupe eval` and have to be given the same ones; the run's folder, which `export`
/// begins, refuses others.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Export(ExportArgs),
    Import(ImportArgs),
}

/// Write the requests of a run as JSONL, for what has no reply yet.
///
/// Each line is a request of /v1/chat/completions with its `custom_id`, the hash of its body; vLLM's run_batch and the
/// batch endpoints of OpenAI, Azure and others take such files. Equal requests are there once.
#[derive(Debug, clap::Args)]
struct ExportArgs {
    /// Folder for the files; requests-001.jsonl and so on.
    #[arg(long, value_name = "DIR")]
    requests: PathBuf,

    /// Most requests in a file.
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..))]
    rows: u32,

    /// Most megabytes in a file.
    #[arg(long, value_name = "MB", default_value_t = 190, value_parser = clap::value_parser!(u32).range(1..))]
    megabytes: u32,

    #[command(flatten)]
    endpoint: EndpointArgs,

    #[command(flatten)]
    eval: eval::Args,
}

/// Read the results of a batch into the run that its requests were written for, and score it.
///
/// Files of outputs and of errors, in any order and as many as there are; what they do not have stays unanswered, so that
/// further ones can be read or the rest be exported once more.
#[derive(Debug, clap::Args)]
struct ImportArgs {
    /// File of results; may be given several times.
    #[arg(long, value_name = "FILE", required = true)]
    results: Vec<PathBuf>,

    #[command(flatten)]
    endpoint: EndpointArgs,

    #[command(flatten)]
    eval: eval::Args,
}

#[derive(Debug, clap::Args)]
struct EndpointArgs {
    /// Name of the model at the endpoint.
    #[arg(long, value_name = "NAME")]
    served_name: String,

    /// Write fields of OpenAI's own API alone, with max_completion_tokens; other servers take more fields, which would
    /// otherwise be filled from the checkpoint's own file.
    #[arg(long)]
    openai_fields: bool,
}

impl EndpointArgs {
    fn requests(&self, rows: u32, megabytes: u32) -> BatchRequests {
        BatchRequests {
            model: self.served_name.clone(),
            strict: self.openai_fields,
            rows: usize::try_from(rows).unwrap_or(usize::MAX),
            bytes: u64::from(megabytes) << 20,
        }
    }
}

fn without_model(eval: &eval::Args) -> Result<()> {
    if eval.has_shard() {
        bail!("a batch is one run; --rows and --megabytes part its files, so leave --shard out");
    }
    if eval.has_model() {
        bail!("a batch is answered elsewhere; name its model with --served-name and leave --model out");
    }
    Ok(())
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    match &args.command {
        Command::Export(args) => {
            without_model(&args.eval)?;
            let requests = args.endpoint.requests(args.rows, args.megabytes);
            let written = export(&args.eval.options(None)?, &requests, &args.requests, out)?;
            if out.json {
                out.document(&written)?;
            } else {
                written.files.iter().try_for_each(|file| out.line(&file.display().to_string()))?;
                out.say(&format!(
                    "{} requests for {} replies of {}; `loupe batch import` with the same options reads the results",
                    written.requests,
                    written.replies,
                    written.run.display()
                ));
            }
            Ok(Ended::Well)
        }
        Command::Import(args) => {
            without_model(&args.eval)?;
            let (options, requests) = (args.eval.options(None)?, args.endpoint.requests(1, 1));
            let done = import(&options, &requests, &args.results, out)?;
            score::print(out, &done.summary, &done.dir, args.eval.score())?;
            score::say_failures(out, &done.summary);
            if done.without_result > 0 {
                out.say(&format!("{} replies have no result in these files", done.without_result));
            }
            Ok(score::ended(&done.summary))
        }
    }
}
