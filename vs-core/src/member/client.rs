//! The client's side of the membership service: attachments over one connection. (Skeleton.)
#![allow(dead_code, unused_variables)]
use alloc::vec::Vec;

use crate::action::{DetachReason, LinkCommand, Wake};
use crate::config::ClientConfig;
use crate::ident::{Cid, GroupKey, GroupName, ProcessId, ViewId};
use crate::member::message::Peer;
use crate::node::Identity;
use crate::time::Time;
use crate::view::View;

/// What an attach reports of the past, so that cids and view ids keep increasing (rule 5.4).
#[derive(Clone, Debug, Default)]
pub(crate) struct Past {
    /// Highest cid that this process was given for the group.
    pub(crate) last_cid: Cid,
    /// Highest view id seen from the membership service or installed.
    pub(crate) last_view: ViewId,
    /// The cid of a change that is under way.
    pub(crate) pending: Option<Cid>,
    /// The last membership view.
    pub(crate) mbr_view: Option<View>,
}

/// What the membership service says to a group of this node.
#[derive(Clone, Debug)]
pub(crate) enum ClientEvent {
    /// A change is proposed; peers ascending by process, this process among them (M1).
    StartChange { group: GroupKey, cid: Cid, peers: Vec<Peer> },
    /// A view is announced.
    View { group: GroupKey, view: View },
    /// The attachment ended. If the reason is not final the endpoint calls `attach` again when it is fit to.
    Detached { group: GroupKey, reason: DetachReason },
}

#[derive(Debug)]
pub(crate) struct Client {}

impl Client {
    pub(crate) fn new(config: ClientConfig, identity: &Identity, servers: usize) -> Self {
        unimplemented!()
    }
    /// Asks for membership; sent once a connection is up, and again (with a higher attachment number and the `Past`
    /// kept by `note_past`) after each reconnection.
    pub(crate) fn attach(&mut self, now: Time, group: &GroupName, past: Past) {
        unimplemented!()
    }
    /// Leaves.
    pub(crate) fn detach(&mut self, now: Time, group: GroupKey) {
        unimplemented!()
    }
    /// Replaces the set of members that this process accuses in `group`.
    pub(crate) fn accuse(&mut self, now: Time, group: GroupKey, accused: &[ProcessId]) {
        unimplemented!()
    }
    pub(crate) fn handle_connected(&mut self, now: Time) {
        unimplemented!()
    }
    pub(crate) fn handle_stream(&mut self, now: Time, bytes: &[u8]) {
        unimplemented!()
    }
    pub(crate) fn handle_disconnected(&mut self, now: Time) {
        unimplemented!()
    }
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        unimplemented!()
    }
    pub(crate) fn poll_event(&mut self) -> Option<ClientEvent> {
        unimplemented!()
    }
    pub(crate) fn poll_link(&mut self) -> Option<LinkCommand> {
        unimplemented!()
    }
    pub(crate) fn output(&self) -> &[u8] {
        unimplemented!()
    }
    pub(crate) fn consumed(&mut self, n: usize) {
        unimplemented!()
    }
    pub(crate) fn poll_timeout(&self) -> Option<(Time, Wake)> {
        unimplemented!()
    }
}
