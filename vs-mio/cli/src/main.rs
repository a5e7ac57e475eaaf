//! The command `vs`.
#![forbid(unsafe_code)]

mod beacons;
mod check;
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
mod top;
mod traces;
mod tuning;
mod wan;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use failure::Failure;

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
    let cli = match Cli::try_parse() {
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
    match result.and_then(|()| output::unwritten()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(why)) => {
            tracing::error!("{why}");
            ExitCode::FAILURE
        }
    }
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

/// The parts of a message about the command line in one line: what is wrong, tips, how it is meant,
/// where to read more.
fn in_one_sentence(message: &str) -> String {
    let parts = message.trim().split("\n\n");
    let parts = parts.map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    let sentence = parts.collect::<Vec<_>>().join("; ");
    let sentence = sentence.trim_start_matches("error: ").trim_end_matches('.');
    sentence.replace("; Usage:", "; usage:").replace("; For more", "; for more")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
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
