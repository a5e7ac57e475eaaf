//! What members are told on the command line about times and bounds.

use core::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use vs_core::order::Order;
use vs_core::{Blocking, ClientConfig, GroupConfig, NodeConfig};
use vs_std::driver::DATAGRAM_BYTES_IPV6;

/// Times and bounds that the verbs with members share.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Times and bounds")]
pub(crate) struct Tuning {
    /// A member that owes an answer for so long is accused before the membership service
    #[arg(long, value_name = "MS", default_value_t = GroupConfig::default().peer_ms)]
    pub(crate) peer_ms: u64,
    /// A membership server that is silent for so long is taken for dead
    #[arg(long, value_name = "MS", default_value_t = NodeConfig::default().client.server_silence_ms)]
    pub(crate) server_silence_ms: u64,
    /// Give up if no membership server was reached within so long, though one may be started, or
    /// get its name, meanwhile; if not given, 5000, or as soon as all have refused the connection
    /// or are unknown
    #[arg(long, value_name = "MS")]
    pub(crate) connect_ms: Option<u64>,
    /// Largest message, the same at all members
    #[arg(long, value_name = "BYTES", default_value_t = GroupConfig::default().message_bytes_max)]
    pub(crate) message_bytes_max: usize,
    /// Largest datagram, in bytes of UDP payload: what the smallest MTU between the members leaves
    /// after 28 bytes of headers, or 48 by IPv6. The first member's holds for the group [default:
    /// 1472, by IPv6 1452, or less where the interface takes less]
    #[arg(long, value_name = "BYTES")]
    pub(crate) datagram_bytes: Option<usize>,
    /// Packets that a sender may have outstanding, the same at all members; if not given, it
    /// follows from --members-max
    #[arg(long, value_name = "N")]
    pub(crate) window_packets: Option<usize>,
    /// Most members of a view
    #[arg(long, value_name = "N", default_value_t = GroupConfig::default().members_max)]
    pub(crate) members_max: usize,
    /// Times for members that are 50 to 150 ms of round trip apart: fewer needless repairs, later
    /// ones
    #[arg(long)]
    pub(crate) wan: bool,
}

/// Parses the name of an order.
pub(crate) fn order() -> impl TypedValueParser<Value = Order> {
    let names = Order::ALL.iter().map(|order| order.name());
    // The names are those of orders, so the default never comes.
    PossibleValuesParser::new(names).map(|name| Order::from_name(&name).unwrap_or_default())
}

impl Tuning {
    /// The options that say the same.
    pub(crate) fn to_args(&self) -> Vec<String> {
        let options = [
            ("--peer-ms", self.peer_ms),
            ("--server-silence-ms", self.server_silence_ms),
            ("--message-bytes-max", self.message_bytes_max as u64),
            ("--members-max", self.members_max as u64),
        ];
        let connect = self.connect_ms.map(|ms| ("--connect-ms", ms));
        let datagram = self.datagram_bytes.map(|bytes| ("--datagram-bytes", bytes as u64));
        let window = self.window_packets.map(|packets| ("--window-packets", packets as u64));
        let all = options.into_iter().chain(connect).chain(window).chain(datagram);
        all.flat_map(|(option, value)| [option.to_owned(), value.to_string()])
            .chain(self.wan.then(|| "--wan".to_owned()))
            .collect()
    }

    /// The configurations that follow, of a member that sends by IPv6 or by IPv4.
    pub(crate) fn configs(&self, blocking: Blocking, is_ipv6: bool) -> (NodeConfig, GroupConfig) {
        let group = if self.wan { GroupConfig::wan() } else { GroupConfig::default() };
        let mut group = group
            .with_peer(Duration::from_millis(self.peer_ms))
            .with_message_bytes_max(self.message_bytes_max)
            .with_window_packets(self.window_packets)
            .with_members_max(self.members_max)
            .with_blocking(blocking);
        // What follows from the bounds that were named.
        group.block_ok_ms = group.block_ok_ms.min(group.peer_ms / 2).max(1);
        group.queue_bytes = group.queue_bytes.max(group.message_bytes_max.saturating_mul(2));
        if let Some(window) = group.window_packets {
            group.ack_packets = group.ack_packets.min(window / 2).max(1);
        }
        let mut node = NodeConfig::default();
        let default = if is_ipv6 { DATAGRAM_BYTES_IPV6 } else { node.datagram_bytes };
        node.datagram_bytes = self.datagram_bytes.unwrap_or(default);
        node.client = ClientConfig::for_silence(Duration::from_millis(self.server_silence_ms));
        (node, group)
    }
}
