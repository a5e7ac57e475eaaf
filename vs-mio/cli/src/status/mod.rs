//! `vs status`: what a server or a node sees now.

mod ask;
mod text;

use core::net::SocketAddr;
use core::time::Duration;
use std::time::Instant;

use vs_core::ident::Deployment;
use vs_core::status::Status;

use crate::failure::Failure;
use crate::keys;
use crate::network::addresses;
use crate::output::{say, unwritten};
pub(crate) use ask::{ask, busy};

/// Pause between two answers with `--watch`.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// What `vs status` is told.
#[derive(clap::Args, Debug)]
#[command(
    about = "What a server or a node sees now: views, peers, windows, losses, queues",
    after_help = "Examples: vs status 127.0.0.1:7000            (a `vs server --listen`, or the server inside a node)\n          \
                  vs status --watch 127.0.0.1:7100    (a `vs node --status`)"
)]
pub(crate) struct Args {
    /// Where a server listens, or a node that was started with --status
    #[arg(value_name = "HOST:PORT")]
    addr: String,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Again each second, until interrupted
    #[arg(long)]
    watch: bool,
    /// What a server with keys belongs to
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = |text: &str| Deployment::new(text))]
    deployment: Deployment,
    #[command(flatten)]
    keys: keys::Sealing,
}

/// Asks, and prints the answer.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    // A name that is unknown is told of below.
    let found = addresses(&args.addr).unwrap_or_default();
    let mut keys = args.keys.keys(found.iter().map(SocketAddr::ip), "")?;
    loop {
        let status = ask(&args.addr, &args.deployment, keys.as_mut())?;
        let is_busy = matches!(status, Status::Busy);
        if is_busy && !args.watch {
            return Err(Failure(busy(&args.addr)));
        }
        let said = if is_busy && !args.json {
            busy(&args.addr)
        } else if args.json {
            serde_json::to_string(&status).map_err(|e| Failure(format!("no JSON: {e}")))?
        } else {
            text::text(&status)
        };
        say(format_args!("{said}"));
        unwritten()?;
        if !args.watch {
            return Ok(());
        }
        let until = Instant::now() + WATCH_EVERY;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            std::thread::park_timeout(left);
        }
    }
}
