//! The `loupe` command: data on stdout, people on stderr; exit code 0 when all went well, 1 when it
//! ran but some items failed or a gate was not met, 2 when it could not run, 75 when it could not run now and may later
//! (a server is down), and 128 + n when signal n ended it.

mod args;
mod commands;
mod invocation;
mod printer;
mod signals;

use clap::{CommandFactory, Parser, Subcommand};
use loupe_app::AppError;
use loupe_core::words::visible;
use printer::{Ended, Printer};
use std::borrow::Cow;
use std::io::Write;
use std::process::ExitCode;

/// Pictures and volumes come and go by the megabyte; glibc returns each to the system and pays for its
/// pages again, which took up to half of the time of reading one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Medical visual question answering, grounding and segmentation with scores that can be trusted.
#[derive(Debug, Parser)]
#[command(name = "loupe", version = invocation::VERSION, about, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Print one JSON document on stdout instead of text.
    #[arg(long, global = true)]
    json: bool,

    /// Say nothing on stderr but errors; no progress bars.
    #[arg(long, short, global = true)]
    quiet: bool,
}

/// Could not run, however often it is tried.
const NEVER: u8 = 2;
/// Could not run now; a scheduler may try again (`EX_TEMPFAIL` of sysexits.h).
const NOT_NOW: u8 = 75;
/// As if by the signal that others die of whose reader leaves (PIPE, 13).
const PIPE: u8 = 128 + 13;

#[derive(Debug, Subcommand)]
enum Command {
    Demo(commands::demo::Args),
    Ask(commands::ask::Args),
    Segment(commands::segment::Args),
    Classify(commands::classify::Args),
    Embed(commands::embed::Args),
    #[cfg(feature = "serve")]
    Serve(commands::serve::Args),
    Eval(commands::eval::Args),
    Batch(commands::batch::Args),
    Score(commands::score::Args),
    Merge(commands::merge::Args),
    Reports(commands::reports::Args),
    Suite(commands::suite::Args),
    Compare(commands::compare::Args),
    Leaderboard(commands::leaderboard::Args),
    Export(Box<commands::export::Args>),
    Inspect(commands::inspect::Args),
    Render(commands::render::Args),
    Prepare(commands::prepare::Args),
    Measure(commands::measure::Args),
    Deidentify(commands::deidentify::Args),
    Study(commands::study::Args),
    List(commands::list::Args),
    Data(commands::data::Args),
    Phantom(commands::phantom::Args),
    Doctor(commands::doctor::Args),
    Completions(commands::completions::Args),
    Man(commands::man::Args),
}

/// Says once how many threads there are. Without the variable candle reads /proc/cpuinfo for every matrix
/// product, a seventh of the demonstration's time on two cores and more on many.
#[expect(unsafe_code, reason = "the environment can be changed in no other way")]
fn settle_threads() {
    const THREADS: &str = "RAYON_NUM_THREADS";
    let threads = std::thread::available_parallelism();
    if let (None, Ok(threads)) = (std::env::var_os(THREADS), threads) {
        // SAFETY: first thing in `main`, when there is no other thread that could read the environment.
        unsafe { std::env::set_var(THREADS, threads.to_string()) };
    }
}

/// Ends with what clap says. It repeats words of the command line, and some may come from names of files.
fn refuse(error: &clap::Error) -> ! {
    let said = error.render().to_string();
    match visible(&said) {
        Cow::Borrowed(_) => error.exit(),
        Cow::Owned(said) => {
            let _ = write!(std::io::stderr(), "{said}");
            std::process::exit(error.exit_code())
        }
    }
}

fn main() -> ExitCode {
    settle_threads();
    let cli = Cli::try_parse().unwrap_or_else(|error| refuse(&error));
    let mut out = Printer::new(cli.json, cli.quiet);
    let ended = match cli.command {
        Command::Demo(args) => commands::demo::run(&args, &mut out),
        Command::Ask(args) => commands::ask::run(&args, &mut out),
        Command::Segment(args) => commands::segment::run(&args, &mut out),
        Command::Classify(args) => commands::classify::run(&args, &mut out),
        Command::Embed(args) => commands::embed::run(&args, &mut out),
        #[cfg(feature = "serve")]
        Command::Serve(args) => commands::serve::run(&args, &mut out),
        Command::Eval(args) => commands::eval::run(&args, &mut out),
        Command::Batch(args) => commands::batch::run(&args, &mut out),
        Command::Score(args) => commands::score::run(&args, &mut out),
        Command::Merge(args) => commands::merge::run(&args, &mut out),
        Command::Reports(args) => commands::reports::run(&args, &mut out),
        Command::Suite(args) => commands::suite::run(&args, &mut out),
        Command::Compare(args) => commands::compare::run(&args, &mut out),
        Command::Leaderboard(args) => commands::leaderboard::run(&args, &mut out),
        Command::Export(args) => commands::export::run(&args, &mut out),
        Command::Inspect(args) => commands::inspect::run(&args, &mut out),
        Command::Render(args) => commands::render::run(&args, &mut out),
        Command::Measure(args) => commands::measure::run(&args, &mut out),
        Command::Prepare(args) => commands::prepare::run(&args, &mut out),
        Command::Deidentify(args) => commands::deidentify::run(&args, &mut out),
        Command::Study(args) => commands::study::run(&args, &mut out),
        Command::List(args) => commands::list::run(&args, &mut out),
        Command::Phantom(args) => commands::phantom::run(&args, &mut out),
        Command::Data(args) => commands::data::run(&args, &mut out),
        Command::Doctor(args) => commands::doctor::run(&args, &mut out),
        Command::Completions(args) => commands::completions::run(&args, Cli::command(), &mut out),
        Command::Man(args) => commands::man::run(&args, &Cli::command(), &mut out),
    };
    match ended {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::WithFailures) => ExitCode::from(1),
        Ok(Ended::Stopped(signal)) => ExitCode::from(signal.saturating_add(128)),
        // The reader of a pipe has left: nobody is there to be told, but what was not written was not written.
        Err(error) if printer::is_broken_pipe(&error) => ExitCode::from(PIPE),
        Err(error) => {
            out.error(&error);
            let may_pass =
                error.chain().any(|e| e.downcast_ref::<AppError>().is_some_and(AppError::may_pass));
            ExitCode::from(if may_pass { NOT_NOW } else { NEVER })
        }
    }
}
