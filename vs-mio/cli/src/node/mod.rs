//! `vs node`: one member of a group.

mod echo;
mod embedded;
mod session;
mod setup;
mod status;

use core::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use vs_core::VIEW_MEMBERS_MAX;
use vs_core::ident::{Deployment, GroupName, NUMBER_MAX, ProcessId};

use crate::Failure;
use crate::cut::Cut;
use crate::generate::Sizes;
use crate::network::Interface;
use crate::tuning::Tuning;

/// What `vs node` is told.
#[derive(clap::Args, Debug)]
#[command(
    about = "One member of a group: lines of standard input are multicast, deliveries and views are printed",
    after_help = "Example: vs node --group chat --name ann\n\n\
                  Nodes that name no server find one another by multicast; --server names one that was started.\n\n\
                  The end of standard input does not leave the group (see --leave-at-eof); SIGTERM and SIGINT do."
)]
pub(crate) struct Args {
    /// The group to join
    #[arg(long, value_parser = |text: &str| GroupName::new(text))]
    group: GroupName,
    /// A membership server; several may be named [default: one inside each node; the nodes find one
    /// another]
    #[arg(long = "server", value_name = "HOST:PORT")]
    servers: Vec<String>,
    /// What the servers belong to that may take this process up
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = |text: &str| Deployment::new(text))]
    deployment: Deployment,
    /// Process id, the same after every restart; otherwise a random one
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=NUMBER_MAX))]
    id: Option<u64>,
    /// Put in front of each line: "TEXT: line"
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Local address that the other members can reach [default: on the way to the first server,
    /// or to the multicast address]
    #[arg(long, value_name = "IP")]
    bind: Option<IpAddr>,
    /// Name of the interface for multicast, or an address of it [default: that of --bind]
    #[arg(long, value_name = "NAME_OR_IP")]
    interface: Option<Interface>,
    /// Multicast address of the group, the same at all members [default: 239.86.83.1:7586, or of
    /// IPv6 [ff15::7673:1]:7586]
    #[allow(rustdoc::broken_intra_doc_links)] // an address
    #[arg(long, value_name = "IP:PORT")]
    multicast: Option<SocketAddr>,
    /// Do without IP multicast: what goes to the group goes to each member in a copy (members need
    /// not agree on it)
    #[arg(long)]
    unicast: bool,
    /// Write a trace for `vs check`; one that an earlier start of this process left is appended to
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Print the events of the trace, one JSON object a line; deliveries with their payload
    #[arg(long)]
    json: bool,
    /// What is sent while a view changes goes into the next view (the default)
    #[arg(long, conflicts_with = "manual_block")]
    auto_block: bool,
    /// Show block requests; nothing is sent between a request and the next view
    #[arg(long)]
    manual_block: bool,
    /// Tell which views are primary: more than half of these processes have installed them. The
    /// same at all members, for the life of the group
    #[arg(long, value_name = "ID,ID,...", value_parser = Voters::parse)]
    primary_of: Option<Voters>,
    /// Leave once standard input has ended and all own messages came back
    #[arg(long)]
    leave_at_eof: bool,
    #[command(flatten)]
    embedded: embedded::Options,
    /// Tell `vs status` here what this member sees; port 0: one that the system chooses, and says
    #[arg(long, value_name = "IP:PORT")]
    status: Option<SocketAddr>,
    #[command(flatten)]
    cut: Cut,
    /// For measurements: the sync message waits for the membership view, as it must where a
    /// proposal needs an id that all share. This is safe, and slower by half a round trip between
    /// the farthest members
    #[cfg(feature = "mutants")]
    #[arg(long)]
    sync_after_view: bool,
    #[command(flatten)]
    tuning: Tuning,
    #[command(flatten)]
    generate: Generate,
}

#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Generated messages")]
struct Generate {
    /// Send so many generated messages instead of standard input
    #[arg(long, value_name = "N")]
    generate: Option<u64>,
    /// Their sizes in bytes, spread evenly over the orders of magnitude
    #[arg(long, value_name = "MIN..MAX", default_value = "64", requires = "generate")]
    sizes: Sizes,
    /// Seed of their sizes and contents
    #[arg(long, default_value_t = 1, requires = "generate")]
    seed: u64,
    /// Messages a second; otherwise as fast as the group takes them
    #[arg(long, value_name = "MSGS_PER_S", requires = "generate", value_parser = rate)]
    rate: Option<f64>,
    /// Begin with the first view of so many members
    #[arg(long, value_name = "M", default_value_t = 1, requires = "generate")]
    generate_members: usize,
}

/// The processes of which more than half make a view primary; ascending.
#[derive(Clone, Debug)]
struct Voters(Vec<ProcessId>);

impl Voters {
    fn parse(text: &str) -> Result<Self, String> {
        let id = |word: &str| match word.trim().parse() {
            Ok(id) if id <= NUMBER_MAX => Ok(ProcessId(id)),
            _ => Err(format!("{word:?} is no process id: name some, such as 1,2,3")),
        };
        let mut voters = text.split(',').map(id).collect::<Result<Vec<_>, _>>()?;
        voters.sort_unstable();
        if let Some(pair) = voters.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("{} is named twice: name each process once", pair[0]));
        }
        if voters.len() > VIEW_MEMBERS_MAX {
            return Err(format!("name at most {VIEW_MEMBERS_MAX} processes"));
        }
        Ok(Self(voters))
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate.is_finite() => Ok(rate),
        _ => Err("it must be a number above 0".into()),
    }
}

/// Takes part in the group until told to leave.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    setup::session(args)?.run()
}
