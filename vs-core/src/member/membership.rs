//! Where the views of a node's groups come from: the servers of this crate, or a source of one's
//! own, group by group.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::client::{Client, ClientEvent};
use super::contract::ContractError;
use super::external::{External, MembershipError, MembershipRequest};
use super::message::Peer;
use super::past::Past;
use super::{DetachReason, LinkCommand};
use crate::config::ClientConfig;
use crate::ident::{Cid, GroupKey, GroupName, Identity, ProcessId, ViewId};
use crate::seal::{Keys, Secret};
use crate::time::{Time, Wake};
use crate::view::View;

/// The membership of all groups of a node.
#[derive(Debug)]
pub(crate) struct Membership {
    me: Peer,
    servers: Client,
    external: External,
    /// What was said of groups whose views come from a source of one's own.
    events: VecDeque<ClientEvent>,
}

impl Membership {
    pub(crate) fn new(config: ClientConfig, identity: &Identity, servers: usize) -> Self {
        let Identity { process, incarnation, addr, .. } = *identity;
        let me = Peer { process, incarnation, addr };
        let servers = Client::new(config, me, servers);
        Self { me, servers, external: External::default(), events: VecDeque::new() }
    }

    /// Seals connections to servers with these keys; see [`Client::set_keys`].
    pub(crate) fn set_keys(&mut self, keys: Keys) {
        self.servers.set_keys(keys);
        self.me.incarnation = self.servers.incarnation();
    }

    /// The group `group` asks to be a member.
    pub(crate) fn attach(&mut self, now: Time, group: &GroupName, members_max: u16, past: Past) {
        let key = group.key();
        if self.external.has(key) {
            self.external.attach(key);
            self.events.push_back(ClientEvent::Attached { group: key });
        } else {
            self.servers.attach(now, group, members_max, past);
        }
    }

    /// The process leaves a group.
    pub(crate) fn detach(&mut self, now: Time, group: GroupKey) {
        if self.external.has(group) {
            self.external.detach(group);
        } else {
            self.servers.detach(now, group);
        }
    }

    /// Replaces the set of members that this process accuses.
    pub(crate) fn accuse(&mut self, now: Time, group: GroupKey, accused: &[ProcessId]) {
        if self.external.has(group) {
            self.external.accuse(group, accused);
        } else {
            self.servers.accuse(now, group, accused);
        }
    }

    /// What was said of a group.
    pub(crate) fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front().or_else(|| self.servers.poll_event())
    }

    /// Peers reach this process at `addr` from now on.
    pub(crate) fn set_addr(&mut self, now: Time, addr: SocketAddr) {
        self.me.addr = addr;
        self.servers.set_addr(now, addr);
        self.external.join_again();
    }

    // The connection to the servers.

    pub(crate) fn handle_connected(&mut self, now: Time) {
        self.servers.handle_connected(now);
    }

    pub(crate) fn handle_stream(&mut self, now: Time, bytes: &[u8]) {
        self.servers.handle_stream(now, bytes);
    }

    pub(crate) fn handle_disconnected(&mut self, now: Time) {
        self.servers.handle_disconnected(now);
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) {
        self.servers.handle_timeout(now);
    }

    pub(crate) fn poll_timeout(&self) -> Option<(Time, Wake)> {
        self.servers.poll_timeout()
    }

    pub(crate) fn poll_link(&mut self) -> Option<LinkCommand> {
        self.servers.poll_link()
    }

    pub(crate) fn output(&self) -> &[u8] {
        self.servers.output()
    }

    pub(crate) fn consumed(&mut self, now: Time, n: usize) {
        self.servers.consumed(now, n);
    }

    pub(crate) fn frames_skipped(&self) -> u64 {
        self.servers.frames_skipped()
    }

    /// Bytes that the connection takes.
    pub(crate) fn footprint(&self) -> usize {
        self.servers.footprint()
    }

    // A source of one's own.

    /// Groups whose views come from a source of one's own, those included that were left and of
    /// which it has not learned it.
    pub(crate) fn external_groups(&self) -> usize {
        self.external.len()
    }

    /// A group is about to be joined whose views come from a source of one's own.
    pub(crate) fn add_external(
        &mut self,
        group: &GroupName,
        members_max: usize,
        past: (Cid, ViewId),
    ) {
        self.external.add(group, members_max, past);
    }

    /// The next that the source has to learn.
    pub(crate) fn poll_request(&mut self) -> Option<MembershipRequest> {
        self.external.poll(self.me)
    }

    pub(crate) fn handle_start_change(
        &mut self,
        group: GroupKey,
        cid: Cid,
        peers: &[Peer],
    ) -> Result<(), MembershipError> {
        self.external.start_change(self.me.process, group, cid, peers)?;
        let peers = Vec::from(peers);
        self.events.push_back(ClientEvent::StartChange { group, cid, peers });
        Ok(())
    }

    pub(crate) fn handle_view(
        &mut self,
        group: GroupKey,
        view: View,
        secret: Option<Secret>,
    ) -> Result<(), MembershipError> {
        if self.servers.has_keys() && secret.is_none() {
            return Err(ContractError::NoSecret.into());
        }
        self.external.view(self.me.process, group, &view)?;
        self.events.push_back(ClientEvent::View { group, view, secret });
        Ok(())
    }

    pub(crate) fn handle_excluded(&mut self, group: GroupKey) -> Result<(), MembershipError> {
        self.external.exclude(group)?;
        let reason = DetachReason::Excluded;
        self.events.push_back(ClientEvent::Detached { group, reason });
        Ok(())
    }
}
