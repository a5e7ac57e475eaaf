//! What `vs top` is told.

use vs_core::ident::Deployment;

use crate::keys;

/// What `vs top` is told.
#[derive(clap::Args, Debug)]
#[command(
    about = "What servers and nodes see, live: views, members, lag, losses, rates, and what changes",
    after_help = "Example: vs top 127.0.0.1:7000 127.0.0.1:7100    (a `vs server --listen`, and a `vs node --status`)\n\n\
                  q ends it, ? shows the keys. Where there is no terminal, see vs status --watch."
)]
pub(crate) struct Args {
    /// Where servers listen, and nodes that were started with --status
    #[arg(value_name = "HOST:PORT", required = true)]
    pub(super) addrs: Vec<String>,
    /// One JSON object for each answer, each on a line of its own, instead of the live view
    #[arg(long)]
    pub(super) json: bool,
    /// What servers with keys belong to
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = |text: &str| Deployment::new(text))]
    pub(super) deployment: Deployment,
    #[command(flatten)]
    pub(super) keys: keys::Sealing,
}
