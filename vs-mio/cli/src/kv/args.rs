//! What `vs kv` is told.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::path::PathBuf;
use std::time::Instant;

use vs_core::VIEW_MEMBERS_MAX;
use vs_core::ident::{Deployment, GroupName};
use vs_std::ServerName;
use vs_std::udp::{UdpConfig, address_towards, address_towards_others};

use crate::config;
use crate::failure::Failure;
use crate::inside;
use crate::keys;
use crate::metrics;
use crate::network::{Interface, find_any};
use crate::tuning::Tuning;

/// How long the names of servers may take to be looked up.
const LOOK_UP_MAX: Duration = Duration::from_secs(5);

/// What `vs kv` is told.
#[derive(clap::Args, Debug)]
#[command(
    about = "A replicated key-value store: one state at all, through crashes, joins and partitions",
    after_help = "Lines of standard input: put KEY VALUE, get KEY, del KEY, watch [PREFIX], dump, status, recover, recover!, quit.\n\n\
                  Example: vs kv --interface 127.0.0.1, in three terminals; vs kv --key-file KEY, on three hosts (see vs keygen)\n\n\
                  The store is made once all --members are there. It lives while more than half of them do: one that was \
                  killed and started again gets it back from the others. It is nowhere on a disk.\n\n\
                  When so many were lost that no majority remembers, it says so and waits. recover lets the state of this \
                  process count if all are here; recover! also if some are not, and what only they had is lost then.\n\n\
                  The end of standard input does not leave (see --leave-at-eof); SIGTERM, SIGINT and SIGHUP do. \
                  With --key-file, SIGHUP reads the keys again instead."
)]
pub(crate) struct Args {
    /// The group that keeps the store
    #[arg(long, default_value = "store", value_parser = |text: &str| GroupName::new(text))]
    pub(super) group: GroupName,
    /// The processes that keep the store have the ids from 1 to N; more than half must be there.
    /// The same at all
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=VIEW_MEMBERS_MAX as u64))]
    pub(super) members: u64,
    /// Process id, the same after every restart; above N: a copy that does not count [default: the
    /// least from 1 to N that no other `vs kv` on this host has]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=vs_core::ident::NUMBER_MAX))]
    pub(super) id: Option<u64>,
    /// A membership server; several may be named [default: one inside each process]
    #[arg(long = "server", value_name = "HOST:PORT")]
    pub(super) servers: Vec<String>,
    /// What the servers belong to that may take this process up
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = |text: &str| Deployment::new(text))]
    pub(super) deployment: Deployment,
    /// Name of the interface to the others, or an address of it [default: on the way to the first
    /// server, or to others]
    #[arg(long, value_name = "NAME_OR_IP")]
    pub(super) interface: Option<Interface>,
    /// Multicast address of the group, the same at all members
    #[arg(long, value_name = "IP:PORT")]
    pub(super) multicast: Option<SocketAddr>,
    /// Do without IP multicast
    #[arg(long)]
    pub(super) unicast: bool,
    /// Write a trace for `vs check`
    #[arg(long, value_name = "FILE")]
    pub(super) trace: Option<PathBuf>,
    /// Answer with one JSON object a line
    #[arg(long)]
    pub(super) json: bool,
    /// Wait until the store is served, do what standard input says, and leave at its end
    #[arg(long)]
    pub(super) leave_at_eof: bool,
    #[command(flatten)]
    pub(super) config: config::Named,
    #[command(flatten)]
    pub(super) inside: inside::Options,
    #[command(flatten)]
    pub(super) metrics: metrics::Serving,
    #[command(flatten)]
    pub(super) keys: keys::Sealing,
    #[command(flatten)]
    pub(super) tuning: Tuning,
}

impl Args {
    /// The sockets.
    pub(super) fn udp(&self, servers: &[ServerName]) -> Result<UdpConfig, Failure> {
        let family = self.multicast.map(|addr| addr.is_ipv6());
        let bind = match &self.interface {
            Some(interface) => interface.addr(family)?,
            None => self.default_bind(servers)?,
        };
        let mut config = UdpConfig::on(bind);
        config.multicast = self.multicast.unwrap_or(config.multicast);
        config.unicast = self.unicast;
        if let Some(interface) = &self.interface {
            config.follow = interface.follow();
        }
        Ok(config)
    }

    fn default_bind(&self, servers: &[ServerName]) -> Result<IpAddr, Failure> {
        if servers.is_empty() {
            return Ok(address_towards_others().unwrap_or(Ipv4Addr::LOCALHOST.into()));
        }
        let addrs = find_any(servers, Instant::now() + LOOK_UP_MAX, false)?;
        addrs.iter().find_map(|addr| address_towards(*addr)).ok_or_else(|| {
            Failure(
                "no local address leads to the membership server: name one with --interface".into(),
            )
        })
    }
}
