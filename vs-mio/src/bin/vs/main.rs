//! The command `vs`.
#![forbid(unsafe_code)]

mod check;
mod demo;
mod generate;
mod input;
mod node;
mod output;
mod server;

use std::process::ExitCode;

use clap::Parser;

/// Why a verb failed: one sentence that says what to do.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

/// Virtually synchronous group communication.
#[derive(Parser, Debug)]
#[command(name = "vs", version, arg_required_else_help = true)]
enum Cli {
    Demo(demo::Args),
    Node(Box<node::Args>),
    Server(server::Args),
    Check(check::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse() {
        Cli::Demo(args) => demo::run(args),
        Cli::Node(args) => node::run(*args),
        Cli::Server(args) => server::run(args),
        Cli::Check(args) => check::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(why)) => {
            eprintln!("vs: {why}");
            ExitCode::FAILURE
        }
    }
}
