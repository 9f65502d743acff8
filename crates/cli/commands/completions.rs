//! `loupe completions SHELL`

use crate::printer::{Ended, Printer};
use anyhow::Result;
use clap::Command;
use clap::builder::PossibleValuesParser;
use loupe_app::list::{ListKind, entries};

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// For which shell.
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Options that take a name of a table; of sets what stands before the folder.
const NAMED: [(&str, ListKind, &str); 11] = [
    ("data", ListKind::Datasets, "="),
    ("train", ListKind::Datasets, "="),
    ("test", ListKind::Datasets, "="),
    ("profile", ListKind::Profiles, ""),
    ("metric", ListKind::Metrics, ""),
    ("prompt", ListKind::Prompts, ""),
    ("rethink", ListKind::Protocols, ""),
    ("dialect", ListKind::Dialects, ""),
    ("reference-dialect", ListKind::Dialects, ""),
    ("recipe", ListKind::Recipes, ""),
    ("window", ListKind::Windows, ""),
];

/// The command with the names of the tables where its options take them. The program itself looks names up later, so
/// that it can say which one was meant.
fn with_names(command: Command) -> Command {
    // clap takes names that live as long as the program, which ends when the script is written.
    let options: Vec<(clap::Id, Vec<&'static str>)> = command
        .get_arguments()
        .filter_map(|arg| {
            let (_, kind, end) = NAMED.iter().find(|(long, ..)| arg.get_long() == Some(long))?;
            let names = entries(*kind).into_iter().map(|entry| &*format!("{}{end}", entry.name).leak());
            Some((arg.get_id().clone(), names.collect()))
        })
        .collect();
    let named = options.into_iter().fold(command, |command, (id, names)| {
        command.mut_arg(id, |arg| arg.value_parser(PossibleValuesParser::new(names)))
    });
    let inner: Vec<String> = named.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    inner.into_iter().fold(named, |command, name| command.mut_subcommand(name, with_names))
}

pub(crate) fn run(args: &Args, command: Command, out: &mut Printer) -> Result<Ended> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut with_names(command), "loupe", &mut script);
    out.text(&String::from_utf8_lossy(&script))?;
    Ok(Ended::Well)
}
