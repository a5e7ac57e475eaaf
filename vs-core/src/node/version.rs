//! A process that speaks another version of the datagrams.

use core::fmt;
use core::net::SocketAddr;

use crate::wire::PROTOCOL_VERSION;

/// A datagram of another version came, so its sender and this process do not understand each other.
/// In one sentence, it names both versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OtherVersion {
    /// Where the datagram came from.
    pub from: SocketAddr,
    /// Its version. That of this process is [`PROTOCOL_VERSION`].
    pub version: u8,
}

impl fmt::Display for OtherVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, version } = self;
        write!(
            f,
            "{from} sends datagrams of version {version}, and this process knows version {PROTOCOL_VERSION} alone: they \
             cannot be in one group"
        )
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::ident::{Identity, Incarnation, ProcessId};
    use crate::wire::datagram::MAGIC;
    use crate::{Node, NodeConfig, Time, Verdict};

    #[test]
    fn the_first_other_version_is_named() {
        let addr = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let (process, incarnation) = (ProcessId(1), Incarnation::new(1));
        let identity = Identity { process, incarnation, addr: addr(4000), seed: 1 };
        let mut node: Node = Node::new(NodeConfig::default(), identity, 0, ()).unwrap();
        assert_eq!(node.other_version(), None);
        for (port, version) in [(4001, PROTOCOL_VERSION - 1), (4002, PROTOCOL_VERSION + 1)] {
            let mut bytes = [MAGIC[0], MAGIC[1], version, 4];
            let verdict = node.handle_datagram(Time::ZERO, addr(port), &mut bytes);
            assert_eq!(verdict, Verdict::Version);
        }
        let said = "127.0.0.1:4001 sends datagrams of version 1, and this process knows version 2 alone: they cannot be \
                    in one group";
        assert_eq!(node.other_version().unwrap().to_string(), said);
        assert_eq!(node.counters().version, 2);
    }
}
