//! The command `vs`.
#![forbid(unsafe_code)]

mod beacons;
mod check;
mod config;
#[cfg(test)]
mod config_tests;
mod cut;
mod demo;
mod draw;
mod explore;
mod failure;
mod fast_share;
mod generate;
mod input;
mod inside;
mod keygen;
mod keys;
mod kv;
mod log;
mod metrics;
mod network;
mod node;
mod notify;
mod output;
mod perf;
#[cfg(test)]
mod reference;
mod renewal;
mod repeats;
mod rules;
mod server;
mod signals;
mod sim;
mod status;
mod steps;
mod top;
mod traces;
mod tuning;
mod wan;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use failure::{Failure, MISUSED, in_one_sentence};

/// Virtually synchronous group communication.
#[derive(Parser, Debug)]
#[command(name = "vs", version, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    log: log::Options,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    Demo(demo::Args),
    Node(Box<node::Args>),
    Kv(Box<kv::Args>),
    Server(Box<server::Args>),
    Keygen(keygen::Args),
    Check(check::Args),
    Draw(draw::Args),
    Sim(sim::Args),
    Explore(explore::Args),
    Perf(Box<perf::Args>),
    Status(status::Args),
    Top(top::Args),
}

fn main() -> ExitCode {
    let args = match config::expand(&built(), std::env::args_os().collect()) {
        Ok(args) => args,
        Err(Failure(why)) => {
            log::begin_unparsed();
            tracing::error!("{why}");
            return ExitCode::from(MISUSED);
        }
    };
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return misused(&error),
    };
    cli.log.begin();
    let result = match cli.verb {
        Verb::Demo(args) => demo::run(args),
        Verb::Node(args) => node::run(*args),
        Verb::Kv(args) => kv::run(*args),
        Verb::Server(args) => server::run(*args),
        Verb::Keygen(args) => keygen::run(&args),
        Verb::Check(args) => check::run(args),
        Verb::Draw(args) => draw::run(&args),
        Verb::Sim(args) => sim::run(args),
        Verb::Explore(args) => explore::run(args),
        Verb::Perf(args) => perf::run(*args),
        Verb::Status(args) => status::run(&args),
        Verb::Top(args) => top::run(&args),
    };
    notify::stopping();
    match result.and_then(|()| output::unwritten()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(why)) => {
            tracing::error!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// The command line, with what each verb takes from all.
fn built() -> clap::Command {
    let mut command = Cli::command();
    command.build();
    command
}

/// Says in one sentence what is wrong with the command line; shows help to who asked for it, or for
/// nothing at all.
fn misused(error: &clap::Error) -> ExitCode {
    let status = u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        // Who does not read it does not need it.
        let _ = error.print();
        return status;
    }
    log::begin_unparsed();
    tracing::error!("{}", in_one_sentence(&error.render().to_string()));
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_message_becomes_one_sentence() {
        let message = "error: a value is missing:\n  --group <G>\n\nUsage: vs node --group <G>\n\n\
                       For more information, try '--help'.\n";
        assert_eq!(
            in_one_sentence(message),
            "a value is missing: --group <G>; usage: vs node --group <G>; for more information, try '--help'"
        );
    }
}
