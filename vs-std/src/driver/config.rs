//! Who a driver's node is, and where it finds the others.

use vs_core::NodeConfig;
use vs_core::ident::{Incarnation, ProcessId};
use vs_core::seal::Keys;

use crate::clock::Clock;
use crate::embedded::Membership;
use crate::random::random;
use crate::udp::UdpConfig;

/// Who a driver's node is, and where it finds the others.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DriverConfig {
    /// Bounds and times of the node.
    pub node: NodeConfig,
    /// The process id, the same after every recovery.
    pub process: ProcessId,
    /// Grows with every start of the process: for example milliseconds of UNIX time.
    pub incarnation: Incarnation,
    /// Seed of the node's random choices.
    pub seed: u64,
    /// Where views come from.
    pub membership: Membership,
    /// The sockets for datagrams.
    pub udp: UdpConfig,
    /// Where the MTU of the interface takes only shorter datagrams than
    /// [`NodeConfig::datagram_bytes`], such are used, down to 512 bytes (see
    /// [`super::Driver::datagram_bytes`]); false: that is an error. Default true.
    pub fit_datagrams: bool,
    /// The clock that the node sees; a trace of UNIX times has to know when it began.
    pub clock: Clock,
    /// Keys of the deployment, with which everything is sealed that goes over the network, also by
    /// the server inside: see [`crate::keys::keys`]. What is not sealed under one of them is
    /// dropped. Each driver draws from a seed of its own. Default: nothing is sealed.
    pub keys: Option<Keys>,
}

/// Bytes of a full datagram by IPv6 where nothing else is said: what the MTU of Ethernet leaves
/// after 48 bytes of headers.
pub const DATAGRAM_BYTES_IPV6: usize = 1452;

impl DriverConfig {
    /// Everything by default for `process` (the same id after every start, and nobody else's).
    #[must_use]
    pub fn new(process: ProcessId, membership: Membership, udp: UdpConfig) -> Self {
        let clock = Clock::new();
        let mut node = NodeConfig::default();
        if udp.bind.is_ipv6() {
            node.datagram_bytes = DATAGRAM_BYTES_IPV6;
        }
        Self {
            node,
            process,
            incarnation: clock.incarnation(),
            seed: random(),
            membership,
            udp,
            fit_datagrams: true,
            clock,
            keys: None,
        }
    }
}

impl DriverConfig {
    /// Moves the clock and the incarnation, also one that was chosen, above `reached_ms`, in ms of
    /// UNIX time, where the time of day was set back below what an earlier incarnation has used:
    /// see [`crate::trace::reached_ms`]. [`crate::Group`] and [`crate::SharedGroup`] do so with
    /// their traces.
    pub fn start_above(&mut self, reached_ms: u64) {
        self.clock = self.clock.above(reached_ms);
        let nonce = self.incarnation.nonce();
        let start_ms = self.incarnation.millis().max(reached_ms.saturating_add(1));
        self.incarnation = Incarnation::new(start_ms).with_nonce(nonce);
    }
}

/// Setters.
impl DriverConfig {
    /// Sets [`Self::node`].
    #[must_use]
    pub fn with_node(mut self, node: NodeConfig) -> Self {
        self.node = node;
        self
    }

    /// Sets [`Self::process`].
    #[must_use]
    pub fn with_process(mut self, process: ProcessId) -> Self {
        self.process = process;
        self
    }

    /// Sets [`Self::incarnation`].
    #[must_use]
    pub fn with_incarnation(mut self, incarnation: Incarnation) -> Self {
        self.incarnation = incarnation;
        self
    }

    /// Sets [`Self::seed`].
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets [`Self::membership`].
    #[must_use]
    pub fn with_membership(mut self, membership: Membership) -> Self {
        self.membership = membership;
        self
    }

    /// Sets [`Self::udp`].
    #[must_use]
    pub fn with_udp(mut self, udp: UdpConfig) -> Self {
        self.udp = udp;
        self
    }

    /// Sets [`Self::fit_datagrams`].
    #[must_use]
    pub fn with_fit_datagrams(mut self, fit_datagrams: bool) -> Self {
        self.fit_datagrams = fit_datagrams;
        self
    }

    /// Sets [`Self::clock`].
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets [`Self::keys`].
    #[must_use]
    pub fn with_keys(mut self, keys: impl Into<Option<Keys>>) -> Self {
        self.keys = keys.into();
        self
    }
}
