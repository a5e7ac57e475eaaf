//! The client's side of the membership service: one connection, an attachment for each group.
//!
//! What the server says is checked against the contract of a membership service (M1 to M6) before
//! anybody acts on it.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::ops::Bound;

use super::contract::{Contract, ContractError};
use super::detach::DetachReason;
use super::detector::Silence;
use super::link::LinkCommand;
use super::message::{Peer, Reply, Request};
use super::past::Past;
use super::profile::Held;
use super::signs::{Signs, announced};
use crate::config::ClientConfig;
use crate::ident::{Cid, GroupKey, GroupName, Incarnation, ProcessId};
use crate::seal::{Keys, Secret};
use crate::time::{Time, Wake};
use crate::view::View;
use crate::wire::STREAM_VERSION;
use crate::wire::channel::Party;
use crate::wire::frame::{Decoder, FRAME_BYTES_MAX, FrameError};
use crate::wire::stream::{End, Stream};

/// What the membership service says to a group of this node.
#[derive(Clone, Debug)]
pub(crate) enum ClientEvent {
    /// A change is proposed; peers ascending by process, this process among them (M1).
    StartChange { group: GroupKey, cid: Cid, peers: Vec<Peer> },
    /// The request to attach went out: from here on others may be accused.
    Attached { group: GroupKey },
    /// The profile that holds in the group from the next view on.
    Profile { group: GroupKey, held: Held },
    /// A view is announced.
    View { group: GroupKey, view: View, secret: Option<Secret> },
    /// The attachment ended. If the reason is not final the endpoint calls `attach` again when it
    /// is fit to.
    Detached { group: GroupKey, reason: DetachReason },
}

/// The connection.
#[derive(Debug)]
enum Link {
    /// None is wanted yet, or there is no server to connect to.
    Idle,
    /// To be tried again.
    Waiting(Time),
    Connecting(Time),
    Up(Silence),
}

/// One group's attachment.
#[derive(Debug)]
struct Attachment {
    group: GroupName,
    past: Past,
    /// Attaching is not allowed before.
    not_before: Time,
    /// The process has moved to another address, which others learn with the next change only: the
    /// view that it is in will not do.
    has_moved: bool,
    /// The request was sent on the present connection.
    sent: bool,
    /// The number of that request; what the server says to an earlier one is ignored.
    counter: u64,
    /// Members of the largest view that the group has room for here.
    members_max: u16,
    contract: Contract,
}

/// The membership client of a node.
#[derive(Debug)]
pub(crate) struct Client {
    config: ClientConfig,
    identity: Peer,
    servers: usize,
    server: usize,
    link: Link,
    pause_ms: u64,
    commands: VecDeque<LinkCommand>,
    events: VecDeque<ClientEvent>,
    /// While the connection is up.
    stream: Option<Stream>,
    /// What the connection is sealed with.
    keys: Option<Keys>,
    /// How often the server needs a sign of life.
    signs: Signs,
    last_sent: Time,
    /// Frames of kinds that are not known here.
    frames_skipped: u64,
    /// Grows with each attachment of this incarnation.
    counter: u64,
    attachments: BTreeMap<GroupKey, Attachment>,
    /// Groups that want to be attached and for which no request was sent yet.
    unsent: BTreeSet<GroupKey>,
}

/// Bytes that a runtime may hand to [`crate::Node::handle_stream`] at once without exceeding the
/// footprint.
const READ_BYTES: usize = 64 << 10;

impl Client {
    /// Bytes of the connection, estimated: what was read of a frame and a read more, and what waits
    /// to be written and a frame more, which is also encoded apart. Buffers that grow have up to
    /// twice the room that they need.
    pub(crate) fn footprint(&self) -> usize {
        let decoder = 2 * (FRAME_BYTES_MAX + READ_BYTES);
        let output = self.config.output_bytes_max.saturating_add(2 * FRAME_BYTES_MAX);
        // What is sealed is in a buffer of its own before it is opened.
        let sealed = if self.keys.is_some() { 2 * READ_BYTES } else { 0 };
        output.saturating_mul(2).saturating_add(decoder + sealed)
    }

    pub(crate) fn new(config: ClientConfig, identity: Peer, servers: usize) -> Self {
        let signs = Signs::new(config.heartbeat_ms);
        Self {
            pause_ms: config.reconnect_ms,
            config,
            identity,
            servers,
            server: 0,
            link: Link::Idle,
            commands: VecDeque::new(),
            events: VecDeque::new(),
            stream: None,
            keys: None,
            signs,
            last_sent: Time::ZERO,
            frames_skipped: 0,
            counter: 0,
            attachments: BTreeMap::new(),
            unsent: BTreeSet::new(),
        }
    }

    /// Seals the connections to servers with these keys. One that is up under a key that is not
    /// among them, or in the clear, is given up.
    pub(crate) fn set_keys(&mut self, mut keys: Keys) {
        keys.set_signer(self.keys.as_ref());
        if let Some(nonce) = keys.nonce() {
            self.identity.incarnation = self.identity.incarnation.with_nonce(nonce);
        }
        let stays = self.stream.as_ref().is_none_or(|stream| stream.is_of(keys.ring()));
        self.keys = Some(keys);
        if !stays {
            // A time that has passed: the next one is dialled at once.
            let at = self.last_sent;
            self.close(at);
            self.link = Link::Waiting(at);
        }
    }

    /// Whether connections to servers are sealed.
    pub(crate) fn has_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// As which incarnation it attaches.
    pub(crate) fn incarnation(&self) -> Incarnation {
        self.identity.incarnation
    }

    /// Asks for membership: as soon as there is a connection and the server allows it.
    pub(crate) fn attach(&mut self, now: Time, group: &GroupName, members_max: u16, past: Past) {
        let key = group.key();
        let attachment = self.attachments.entry(key).or_insert_with(|| Attachment {
            group: group.clone(),
            contract: Contract::new(past.last_cid, past.last_view),
            past: Past::default(),
            not_before: Time::ZERO,
            has_moved: false,
            sent: false,
            counter: 0,
            members_max,
        });
        (attachment.past, attachment.sent) = (past, false);
        self.unsent.insert(key);
        if matches!(self.link, Link::Idle) && self.servers > 0 {
            self.connect(now);
        }
        self.send_attaches(now);
    }

    /// Leaves.
    pub(crate) fn detach(&mut self, now: Time, group: GroupKey) {
        self.unsent.remove(&group);
        let Some(attachment) = self.attachments.remove(&group) else { return };
        if attachment.sent {
            self.send(now, &Request::Leave { group: attachment.group });
        }
    }

    /// Replaces the set of members that this process accuses in `group`.
    pub(crate) fn accuse(&mut self, now: Time, group: GroupKey, accused: &[ProcessId]) {
        let Some(attachment) = self.attachments.get(&group) else { return };
        if attachment.sent {
            let group = attachment.group.clone();
            self.send(now, &Request::Accuse { group, accused: accused.to_vec() });
        }
    }

    fn connect(&mut self, now: Time) {
        self.link = Link::Connecting(now);
        self.commands.push_back(LinkCommand::Connect(self.server));
    }

    pub(crate) fn handle_connected(&mut self, now: Time) {
        if !matches!(self.link, Link::Connecting(_)) {
            return;
        }
        let silence = Silence::new(now, self.config.server_silence_ms);
        self.link = Link::Up(silence);
        let deployment = self.config.deployment.clone();
        self.stream = Some(Stream::new(
            Decoder::default(),
            self.config.output_bytes_max,
            End::Dialled(Party::Client),
            self.keys.as_mut(),
            &deployment,
        ));
        self.signs = Signs::new(self.config.heartbeat_ms);
        self.greet(now);
    }

    /// Names this process, once the server may hear it. What stands behind a handshake is signed:
    /// so nobody else can attach as this incarnation.
    fn greet(&mut self, now: Time) {
        let Some(stream) = self.stream.as_ref().filter(|stream| stream.is_up()) else { return };
        let (peer, deployment) = (self.identity, self.config.deployment.clone());
        let signer = self.keys.as_ref().and_then(Keys::signer);
        let proof = signer.zip(stream.binding()).map(|(signer, to)| peer.prove(signer, to));
        self.send(now, &Request::Client { peer, deployment, proof });
        if let Some(silence_ms) = announced(self.config.server_silence_ms) {
            self.send(now, &Request::Silence(silence_ms));
        }
        self.send_attaches(now);
    }

    pub(crate) fn handle_disconnected(&mut self, now: Time) {
        if matches!(self.link, Link::Idle | Link::Waiting(_)) {
            return;
        }
        self.server = (self.server + 1) % self.servers.max(1);
        self.link = Link::Waiting(now.plus_ms(self.pause_ms));
        self.pause_ms = (2 * self.pause_ms).min(self.config.reconnect_max_ms);
        self.stream = None;
        for (&group, attachment) in &mut self.attachments {
            attachment.contract.drop_change();
            if core::mem::take(&mut attachment.sent) {
                let reason = DetachReason::ServerLost;
                self.events.push_back(ClientEvent::Detached { group, reason });
            }
        }
    }

    /// Peers reach this process at `addr` from now on. Servers learn it with another connection.
    pub(crate) fn set_addr(&mut self, now: Time, addr: SocketAddr) {
        self.identity.addr = addr;
        self.attachments.values_mut().for_each(|attachment| attachment.has_moved = true);
        if let Link::Up(_) = self.link {
            self.close(now);
            self.link = Link::Waiting(now);
        }
    }

    /// Gives the connection up.
    fn close(&mut self, now: Time) {
        self.commands.push_back(LinkCommand::Close);
        self.handle_disconnected(now);
    }

    pub(crate) fn handle_stream(&mut self, now: Time, bytes: &[u8]) {
        let (Link::Up(silence), Some(stream)) = (&mut self.link, &mut self.stream) else { return };
        let was_up = stream.is_up();
        stream.push(bytes);
        // What anybody may say before it has shown the key is no sign of life.
        if stream.is_up() {
            silence.hear(now);
        }
        if !was_up {
            self.greet(now);
        }
        loop {
            let Some(stream) = &mut self.stream else { return };
            match stream.next::<Reply>() {
                Ok(Some(reply)) => {
                    self.pause_ms = self.config.reconnect_ms;
                    self.handle_reply(now, reply);
                }
                Ok(None) => {
                    self.frames_skipped += stream.take_skipped();
                    return;
                }
                Err(error) => {
                    let own = STREAM_VERSION;
                    self.detach_all(&match error {
                        FrameError::Version(server) => DetachReason::Version { server, own },
                        FrameError::Seal(error) => DetachReason::Seal(error),
                        error => DetachReason::Contract(error.what().into()),
                    });
                    return self.close(now);
                }
            }
        }
    }

    /// Frames that were skipped, since they are of kinds that are not known here.
    pub(crate) fn frames_skipped(&self) -> u64 {
        self.frames_skipped
    }

    fn detach_all(&mut self, reason: &DetachReason) {
        self.unsent.clear();
        for (&group, attachment) in &mut self.attachments {
            attachment.sent = false;
            let reason = reason.clone();
            self.events.push_back(ClientEvent::Detached { group, reason });
        }
    }

    fn handle_reply(&mut self, now: Time, reply: Reply) {
        let (group, counter) = match &reply {
            Reply::Ping => return,
            Reply::Silence(silence_ms) => return self.signs.handle_announced(*silence_ms),
            Reply::Refused(reason) => {
                self.detach_all(reason);
                return self.close(now);
            }
            Reply::StartChange { group, counter, .. }
            | Reply::View { group, counter, .. }
            | Reply::Profile { group, counter, .. }
            | Reply::Detached { group, counter, .. } => (group.key(), *counter),
        };
        let Some(attachment) = self.attachments.get_mut(&group) else { return };
        if !attachment.sent || counter != attachment.counter {
            return; // of an attachment that has ended
        }
        let checked = match reply {
            Reply::StartChange { cid, peers, .. } => attachment
                .contract
                .start_change(self.identity.process, cid, &peers)
                .map(|()| ClientEvent::StartChange { group, cid, peers }),
            Reply::View { secret: None, .. } if self.keys.is_some() => Err(ContractError::NoSecret),
            Reply::View { view, secret, .. } => attachment
                .contract
                .view(self.identity.process, &view)
                .map(|()| ClientEvent::View { group, view, secret }),
            Reply::Profile { held, .. } => Ok(ClientEvent::Profile { group, held }),
            Reply::Detached { reason, retry_ms, .. } => {
                attachment.sent = false;
                attachment.contract.drop_change();
                attachment.not_before = now.plus_ms(retry_ms);
                Ok(ClientEvent::Detached { group, reason })
            }
            Reply::Ping | Reply::Silence(_) | Reply::Refused(_) => return,
        };
        self.events.push_back(checked.unwrap_or_else(|rule| {
            let reason = DetachReason::Contract(rule.to_string());
            ClientEvent::Detached { group, reason }
        }));
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) {
        match &mut self.link {
            Link::Waiting(at) if now >= *at && !self.attachments.is_empty() => self.connect(now),
            Link::Connecting(since) if now.millis_since(*since) >= self.config.connect_ms => {
                self.close(now);
            }
            Link::Up(silence) => {
                if silence.look(now) {
                    return self.close(now);
                }
                if now >= self.last_sent.plus_ms(self.signs.pause_ms()) {
                    self.send(now, &Request::Ping);
                }
                self.send_attaches(now);
            }
            _ => {}
        }
    }

    /// Sends the attaches that are wanted and allowed, as many as there is room for: of many
    /// groups, the others follow when these are written.
    fn send_attaches(&mut self, now: Time) {
        let mut from = Bound::Unbounded;
        while self.has_room_for_attach()
            && let Some(&key) = self.unsent.range((from, Bound::Unbounded)).next()
        {
            from = Bound::Excluded(key);
            let Some(attachment) = self.attachments.get_mut(&key) else { continue };
            if now < attachment.not_before {
                continue;
            }
            self.unsent.remove(&key);
            attachment.sent = true;
            self.counter += 1;
            attachment.counter = self.counter;
            attachment.contract.drop_change();
            self.events.push_back(ClientEvent::Attached { group: key });
            let mut past = attachment.past.clone();
            if core::mem::take(&mut attachment.has_moved) {
                past.mbr_view = None;
            }
            let request = Request::Attach {
                group: attachment.group.clone(),
                counter: self.counter,
                members_max: attachment.members_max,
                past,
            };
            self.send(now, &request);
        }
    }

    /// Whether there is a connection on which this process has named itself, and half of what may
    /// wait to be written to it is free.
    fn has_room_for_attach(&self) -> bool {
        let waits = |stream: &Stream| stream.waiting_bytes() > self.config.output_bytes_max / 2;
        self.stream.as_ref().is_some_and(|stream| stream.is_up() && !waits(stream))
    }

    fn send(&mut self, now: Time, request: &Request) {
        self.last_sent = now;
        if self.stream.as_ref().is_some_and(|stream| !stream.is_up()) {
            return; // Nothing comes before the name.
        }
        if self.stream.as_mut().is_some_and(|stream| !stream.send(request)) {
            self.close(now);
        }
    }

    pub(crate) fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    pub(crate) fn poll_link(&mut self) -> Option<LinkCommand> {
        self.commands.pop_front()
    }

    pub(crate) fn output(&self) -> &[u8] {
        self.stream.as_ref().map_or(&[], Stream::pending)
    }

    pub(crate) fn consumed(&mut self, now: Time, n: usize) {
        if let Some(stream) = &mut self.stream {
            stream.consumed(n);
        }
        self.send_attaches(now);
    }

    pub(crate) fn poll_timeout(&self) -> Option<(Time, Wake)> {
        match &self.link {
            Link::Idle => None,
            Link::Waiting(at) => (!self.attachments.is_empty()).then_some((*at, Wake::Reconnect)),
            Link::Connecting(since) => {
                Some((since.plus_ms(self.config.connect_ms), Wake::Reconnect))
            }
            Link::Up(silence) => {
                let ping = self.last_sent.plus_ms(self.signs.pause_ms());
                let unsent = self.unsent.iter().filter(|_| self.has_room_for_attach());
                let attach =
                    unsent.filter_map(|key| Some(self.attachments.get(key)?.not_before)).min();
                let at = attach.into_iter().chain([ping, silence.next_look()]).min()?;
                Some((at, Wake::Server))
            }
        }
    }
}

#[cfg(test)]
mod tests;
