//! One connection of a server.

use alloc::collections::BTreeSet;
use core::net::SocketAddr;

use super::ServerConfig;
use crate::ident::{GroupName, ServerId};
use crate::member::detector::Silence;
use crate::member::message::Peer;
use crate::time::Time;
use crate::wire::frame::{Decoder, Output};

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    /// It has not named itself yet.
    New,
    Client(Peer),
    /// A server, and its boot value.
    Peer(ServerId, u64),
}

#[derive(Debug)]
pub(super) struct Conn {
    pub(super) role: Role,
    /// This side made the connection, to this address, and named itself when it was up.
    pub(super) dialled: Option<SocketAddr>,
    /// A peer spoke on after its greeting: it has heard ours.
    pub(super) confirmed: bool,
    pub(super) decoder: Decoder,
    pub(super) output: Output,
    pub(super) silence: Silence,
    pub(super) sent: Time,
    /// Groups that a client is attached to or waits in; it may have been excluded from some of them since.
    pub(super) groups: BTreeSet<GroupName>,
}

impl Conn {
    pub(super) fn new(now: Time, config: &ServerConfig) -> Self {
        Self {
            role: Role::New,
            dialled: None,
            confirmed: false,
            decoder: Decoder::default(),
            output: Output::new(config.output_bytes_max),
            silence: Silence::new(now, config.silence_ms),
            sent: now,
            groups: BTreeSet::new(),
        }
    }
}
