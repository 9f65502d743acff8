//! `loupe doctor`

use crate::args::model::ModelArgs;
use crate::printer::{Ended, Printer};
use anyhow::Result;
use loupe_app::doctor::checks;

/// Check that this machine and a checkpoint can do the job.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelArgs,
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let checks = checks(&args.model.options(None)?);
    if out.json {
        out.document(&checks)?;
    } else {
        for check in &checks {
            let good = if check.good { "ok  " } else { "FAIL" };
            out.labelled(&format!("{good} {:11} ", check.name), &check.about)?;
        }
    }
    Ok(Ended::well_if(checks.iter().all(|c| c.good)))
}
