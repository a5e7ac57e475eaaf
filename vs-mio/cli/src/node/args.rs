//! What `vs node` is told.

use core::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use vs_core::VIEW_MEMBERS_MAX;
use vs_core::ident::{Deployment, GroupName, NUMBER_MAX, ProcessId};
use vs_core::order::Order;

use crate::config;
use crate::cut::Cut;
use crate::generate::Sizes;
use crate::inside;
use crate::keys;
use crate::metrics;
use crate::network::Interface;
use crate::tuning::{self, Tuning};

/// What `vs node` is told.
#[derive(clap::Args, Debug)]
#[command(
    about = "One member of a group: lines of standard input are multicast, deliveries and views are printed",
    after_help = "Example: vs node --group chat --interface 127.0.0.1 --name ann\n         vs node --group chat --key-file KEY --name ann    (on several hosts; see vs keygen)\n\n\
                  Nodes that name no server find one another by multicast; --server names one that was started.\n\n\
                  The end of standard input does not leave the group (see --leave-at-eof); SIGTERM, SIGINT and SIGHUP do. \
                  With --key-file, SIGHUP reads the keys again instead."
)]
pub(crate) struct Args {
    /// The group to join
    #[arg(long, value_parser = |text: &str| GroupName::new(text))]
    pub(super) group: GroupName,
    /// A membership server; several may be named [default: one inside each node; the nodes find one
    /// another]
    #[arg(long = "server", value_name = "HOST:PORT")]
    pub(super) servers: Vec<String>,
    /// What the servers belong to that may take this process up
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = |text: &str| Deployment::new(text))]
    pub(super) deployment: Deployment,
    /// Process id, the same after every restart; otherwise a random one
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=NUMBER_MAX))]
    pub(super) id: Option<u64>,
    /// Put in front of each line: "TEXT: line"
    #[arg(long, value_name = "TEXT")]
    pub(super) name: Option<String>,
    /// Local address that the other members can reach [default: on the way to the first server,
    /// or to the multicast address]
    #[arg(long, value_name = "IP")]
    pub(super) bind: Option<IpAddr>,
    /// UDP port that the other members send to, for firewalls [default: the system chooses]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) data_port: Option<u16>,
    /// Name of the interface for multicast, or an address of it [default: that of --bind]
    #[arg(long, value_name = "NAME_OR_IP")]
    pub(super) interface: Option<Interface>,
    /// Multicast address of the group, the same at all members [default: 239.86.83.1:7586, or of
    /// IPv6 [ff15::7673:1]:7586]
    #[allow(rustdoc::broken_intra_doc_links, reason = "the address is no link")]
    #[arg(long, value_name = "IP:PORT")]
    pub(super) multicast: Option<SocketAddr>,
    /// Do without IP multicast: what goes to the group goes to each member in a copy (members need
    /// not agree on it)
    #[arg(long)]
    pub(super) unicast: bool,
    /// Write a trace for `vs check`; one that an earlier start of this process left is appended to
    #[arg(long, value_name = "FILE")]
    pub(super) trace: Option<PathBuf>,
    /// Print the events of the trace, one JSON object a line; deliveries with their payload
    #[arg(long)]
    pub(super) json: bool,
    /// What is sent while a view changes goes into the next view (the default)
    #[arg(long, conflicts_with = "manual_block")]
    pub(super) auto_block: bool,
    /// Show block requests; nothing is sent between a request and the next view
    #[arg(long)]
    pub(super) manual_block: bool,
    /// Tell which views are primary: more than half of these processes have installed them. The
    /// same at all members, for the life of the group
    #[arg(long, value_name = "ID,ID,...", value_parser = Voters::parse)]
    pub(super) primary_of: Option<Voters>,
    /// Order of delivery, the same at all members: `fifo` (of each sender), `causal` (behind
    /// what the sender had seen), `total` (one for all members), or `safe` (the same, once all
    /// members have what is delivered)
    #[arg(long, default_value = "fifo", value_parser = tuning::order())]
    pub(super) order: Order,
    /// Leave once standard input has ended and all own messages came back
    #[arg(long)]
    pub(super) leave_at_eof: bool,
    /// Tell `vs status` here what this member sees; port 0: one that the system chooses, and says
    #[arg(long, value_name = "IP:PORT")]
    pub(super) status: Option<SocketAddr>,
    #[command(flatten)]
    pub(super) config: config::Named,
    #[command(flatten)]
    pub(super) metrics: metrics::Serving,
    #[command(flatten)]
    pub(super) cut: Cut,
    /// For measurements: the sync message waits for the membership view, as it must where a
    /// proposal needs an id that all share. This is safe, and slower by half a round trip between
    /// the farthest members
    #[cfg(feature = "mutants")]
    #[arg(long)]
    pub(super) sync_after_view: bool,
    #[command(flatten)]
    pub(super) embedded: inside::Options,
    #[command(flatten)]
    pub(super) keys: keys::Sealing,
    #[command(flatten)]
    pub(super) tuning: Tuning,
    #[command(flatten)]
    pub(super) generate: Generate,
}

#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Generated messages")]
pub(super) struct Generate {
    /// Send so many generated messages instead of standard input
    #[arg(long, value_name = "N")]
    pub(super) generate: Option<u64>,
    /// Their sizes in bytes, spread evenly over the orders of magnitude
    #[arg(long, value_name = "MIN..MAX", default_value = "64", requires = "generate")]
    pub(super) sizes: Sizes,
    /// Seed of their sizes and contents
    #[arg(long, default_value_t = 1, requires = "generate")]
    pub(super) seed: u64,
    /// Messages a second; otherwise as fast as the group takes them
    #[arg(long, value_name = "MSGS_PER_S", requires = "generate", value_parser = rate)]
    pub(super) rate: Option<f64>,
    /// Begin with the first view of so many members
    #[arg(long, value_name = "M", default_value_t = 1, requires = "generate")]
    pub(super) generate_members: usize,
}

/// The processes of which more than half make a view primary; ascending.
#[derive(Clone, Debug)]
pub(super) struct Voters(pub(super) Vec<ProcessId>);

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
