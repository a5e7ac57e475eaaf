//! Faults that the socket layer plays: a network that loses datagrams or is parted, inside one
//! process.
//!
//! Tests of networks and measurements alone want them: `vs demo` parts its processes with them
//! where there are no rights to do it outside, and `vs perf --loss` measures with them. Without
//! them nothing is thrown away.

use core::net::IpAddr;

use vs_core::rng::Rng;

/// What is lost on purpose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    loss_permille: u16,
    cut_off: Option<IpAddr>,
}

impl Faults {
    /// Throws `permille` of 1000 received datagrams away, each by its own chance.
    #[must_use]
    pub fn with_loss_permille(mut self, permille: u16) -> Self {
        self.loss_permille = permille;
        self
    }

    /// Passes on nothing from `addr`, and connects to nobody there, as if the network were parted;
    /// `None`: to all again.
    #[must_use]
    pub fn with_cut_off(mut self, addr: Option<IpAddr>) -> Self {
        self.cut_off = addr;
        self
    }

    /// Whether nothing passes between here and `addr`.
    pub(crate) fn is_cut_off(&self, addr: IpAddr) -> bool {
        self.cut_off == Some(addr)
    }

    /// Whether a datagram that was received is to be thrown away.
    pub(crate) fn loses(&self, rng: &mut Rng) -> bool {
        self.loss_permille > 0 && rng.below(1000) < self.loss_permille.into()
    }
}
