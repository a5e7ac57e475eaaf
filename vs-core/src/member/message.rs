//! Frames between clients and servers, and between servers.

use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::ident::{Incarnation, ProcessId};

/// A process as the membership service announces it: enough to reach a joiner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Peer {
    /// The process.
    pub process: ProcessId,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// Where its datagrams are received.
    pub addr: SocketAddr,
}
