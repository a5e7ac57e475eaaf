//! What `vs perf` is told.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::path::PathBuf;

use clap::ValueEnum;
use vs_core::ident::NUMBER_MAX;
use vs_core::order::Order;
use vs_core::seal::Keys;
use vs_core::{Blocking, GroupConfig, NodeConfig};

use super::payload;
use crate::failure::Failure;
use crate::keys;
use crate::tuning::{self, Tuning};

/// Measures throughput (closed loop) or latency (--rate, --ping) of a group; what is delivered is
/// verified
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples: vs perf --members 3 --senders 1 --size 1024 --seconds 5\n          \
                  vs perf --members 2 --size 64 --ping --busy --pin\n          \
                  vs perf --attach --server 10.0.0.1:7000 --id 2 --bind 10.0.0.2 --members 3 --size 64 --key-file KEY\n\n\
                  On one machine everything is started. With --attach this is one participant of a run over several \
                  hosts or namespaces; give all the same numbers. Latencies compare the clocks of the hosts, except \
                  with --ping, where one clock measures round trips and half of each counts."
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(super) load: Load,
    /// Be one participant: needs --server and --id
    #[arg(long, requires_all = ["servers", "id"])]
    pub(super) attach: bool,
    /// A membership server; several may be named
    #[arg(long = "server", value_name = "HOST:PORT", requires = "attach")]
    pub(super) servers: Vec<String>,
    /// Process id of this participant; the lowest ids send
    #[arg(long, requires = "attach", value_parser = clap::value_parser!(u64).range(..=NUMBER_MAX))]
    pub(super) id: Option<u64>,
    /// Local address that the other members can reach
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub(super) bind: IpAddr,
    /// Multicast address, the same at all members [default without --attach: one with a free port]
    #[arg(long, value_name = "IP:PORT")]
    pub(super) multicast: Option<SocketAddr>,
    /// Write a trace for `vs check`: a file with --attach, else a directory. Each event is a write
    /// of its own
    #[arg(long, value_name = "PATH")]
    pub(super) trace: Option<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) keys: keys::Sealing,
    #[command(flatten)]
    pub(super) tuning: Tuning,
}

impl Args {
    /// The keys, if there are any.
    pub(super) fn keys(&self) -> Result<Option<Keys>, Failure> {
        let uses = [self.bind].into_iter().chain(keys::named(&self.servers));
        self.keys.keys(uses, "--bind 127.0.0.1")
    }

    /// The configurations of a participant.
    pub(super) fn configs(&self) -> (NodeConfig, GroupConfig) {
        let (node, group) = self.tuning.configs(Blocking::Auto, self.bind.is_ipv6());
        (node, group.with_order(self.load.order))
    }
}

/// What is measured; the same for all participants.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Load {
    /// Members of the group
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) members: u16,
    /// How many of them send: those with the lowest ids, unless --highest says otherwise
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) senders: u16,
    /// Those with the highest ids send. In an ordered group the member with the lowest id leads at
    /// first
    #[arg(long)]
    pub(super) highest: bool,
    /// Bytes of a message
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    pub(super) size: usize,
    /// Length of the measurement
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds)]
    pub(super) seconds: Duration,
    /// What goes before it
    #[arg(long, value_name = "S", default_value = "0.5", value_parser = seconds)]
    pub(super) warm_up: Duration,
    /// The order of delivery
    #[arg(long, default_value = "fifo", value_parser = tuning::order())]
    pub(super) order: Order,
    /// What carries the node
    #[arg(long, default_value = "std")]
    pub(super) runtime: Runtime,
    /// Messages a second of each sender, for latency; each is timed from when it was due [default:
    /// as fast as possible]
    #[arg(long, value_name = "MSGS_PER_S", value_parser = rate, conflicts_with = "ping")]
    pub(super) rate: Option<f64>,
    /// The two lowest ids play ping-pong; half of a round trip is the latency
    #[arg(long)]
    pub(super) ping: bool,
    /// Drop so many of 100 received datagrams, each by its own chance
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = permille)]
    pub(super) loss: Permille,
    /// Do without IP multicast: each member gets a copy of its own
    #[arg(long)]
    pub(super) unicast: bool,
    /// Never sleep: look at the sockets again and again
    #[arg(long)]
    pub(super) busy: bool,
    /// Pin each participant to a core of its own, as far as there are cores
    #[arg(long)]
    pub(super) pin: bool,
}

/// What carries the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Runtime {
    /// `vs_std::Group`, driven by the thread that measures.
    Std,
    /// `vs_mio::Driver` in a poll.
    Mio,
}

/// A share of 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Permille(pub(super) u16);

/// The value's name on the command line and in reports.
pub(super) fn name_of(value: impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

fn number(text: &str) -> Result<f64, String> {
    text.parse::<f64>().ok().filter(|n| n.is_finite()).ok_or_else(|| "it must be a number".into())
}

fn seconds(text: &str) -> Result<Duration, String> {
    match number(text)? {
        s if (0.0..=86_400.0).contains(&s) => Ok(Duration::from_secs_f64(s)),
        _ => Err("it must be from 0 to 86400".into()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match number(text)? {
        rate if rate > 0.0 && rate <= 1e9 => Ok(rate),
        _ => Err("it must be above 0 and at most 1e9".into()),
    }
}

fn permille(text: &str) -> Result<Permille, String> {
    match number(text)? {
        percent if (0.0..=90.0).contains(&percent) => Ok(Permille((percent * 10.0).round() as u16)),
        _ => Err("it must be from 0 to 90".into()),
    }
}

impl Load {
    /// The options that say the same.
    pub(super) fn to_args(&self) -> Vec<String> {
        let mut args = Vec::new();
        for (option, value) in [
            ("--members", self.members.to_string()),
            ("--senders", self.senders.to_string()),
            ("--size", self.size.to_string()),
            ("--seconds", self.seconds.as_secs_f64().to_string()),
            ("--warm-up", self.warm_up.as_secs_f64().to_string()),
            ("--order", self.order.to_string()),
            ("--runtime", name_of(self.runtime)),
            ("--loss", (f64::from(self.loss.0) / 10.0).to_string()),
        ] {
            args.extend([option.to_owned(), value]);
        }
        if let Some(rate) = self.rate {
            args.extend(["--rate".to_owned(), rate.to_string()]);
        }
        let flags = [
            ("--highest", self.highest),
            ("--ping", self.ping),
            ("--unicast", self.unicast),
            ("--busy", self.busy),
            ("--pin", self.pin),
        ];
        args.extend(flags.iter().filter(|(_, on)| *on).map(|(option, _)| (*option).to_owned()));
        args
    }

    pub(super) fn check(&self, config: &GroupConfig) -> Result<(), Failure> {
        let refuse = |why: String| Err(Failure(why));
        let (size, least) = (self.size, payload::HEADER_BYTES);
        if size < least {
            return refuse(format!(
                "--size {size} leaves no room for what is verified: choose {least} or more"
            ));
        }
        let max = config.message_bytes_max;
        if size > max {
            return refuse(format!(
                "--size {size} is above --message-bytes-max {max}: raise that, too"
            ));
        }
        let (senders, members) = (self.senders, self.members);
        if senders > members {
            return refuse(format!(
                "{senders} senders of {members} members: choose --senders of at most {members}"
            ));
        }
        if usize::from(members) > config.members_max {
            return refuse(format!("--members {members} is above --members-max: raise that, too"));
        }
        if self.ping && members < 2 {
            return refuse("--ping needs two members: choose --members 2 or more".into());
        }
        if self.seconds.is_zero() {
            return refuse("--seconds must be above 0".into());
        }
        Ok(())
    }
}
