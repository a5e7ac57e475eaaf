//! The client's side of the membership service: one connection, an attachment for each group.
//!
//! What the server says is checked against the contract of a membership service (M1 to M6) before anybody acts on it.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::detector::Silence;
use super::message::{Peer, Reply, Request};
use crate::action::{DetachReason, LinkCommand, Wake};
use crate::config::ClientConfig;
use crate::ident::{Cid, GroupKey, GroupName, NUMBER_MAX, ProcessId, ViewId};
use crate::node::Identity;
use crate::time::Time;
use crate::view::{Members, VIEW_MEMBERS_MAX, View};
use crate::wire::STREAM_VERSION;
use crate::wire::frame::{Decoder, FrameError, Output};

/// What an attach reports of the past, so that cids and view ids keep increasing (rule 5.4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The request to attach went out: from here on others may be accused.
    Attached { group: GroupKey },
    /// A view is announced.
    View { group: GroupKey, view: View },
    /// The attachment ended. If the reason is not final the endpoint calls `attach` again when it is fit to.
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
    Up {
        decoder: Decoder,
        silence: Silence,
    },
}

/// One group's attachment.
#[derive(Debug)]
struct Attachment {
    group: GroupName,
    key: GroupKey,
    past: Past,
    /// Attaching is not allowed before.
    not_before: Time,
    /// The endpoint wants to be attached.
    wanted: bool,
    /// The request was sent on the present connection.
    sent: bool,
    /// The number of that request; what the server says to an earlier one counts no more.
    counter: u64,
    /// Members of the largest view that the group has room for here.
    members_max: u16,
    last_cid: Cid,
    last_view: ViewId,
    /// The set of the last start_change, until its view.
    change: Option<Members>,
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
    output: Option<Output>,
    last_sent: Time,
    /// Grows with each attachment of this incarnation.
    counter: u64,
    attachments: Vec<Attachment>,
}

impl Client {
    pub(crate) fn new(config: ClientConfig, identity: &Identity, servers: usize) -> Self {
        Self {
            pause_ms: config.reconnect_ms,
            config,
            identity: Peer {
                process: identity.process,
                incarnation: identity.incarnation,
                addr: identity.addr,
            },
            servers,
            server: 0,
            link: Link::Idle,
            commands: VecDeque::new(),
            events: VecDeque::new(),
            output: None,
            last_sent: Time::ZERO,
            counter: 0,
            attachments: Vec::new(),
        }
    }

    /// Asks for membership: as soon as there is a connection and the server allows it.
    pub(crate) fn attach(&mut self, now: Time, group: &GroupName, members_max: u16, past: Past) {
        let key = group.key();
        match self.find(key) {
            Some(at) => {
                let attachment = &mut self.attachments[at];
                (attachment.past, attachment.wanted, attachment.sent) = (past, true, false);
            }
            None => self.attachments.push(Attachment {
                group: group.clone(),
                key,
                last_cid: past.last_cid,
                last_view: past.last_view,
                past,
                not_before: Time::ZERO,
                wanted: true,
                sent: false,
                counter: 0,
                members_max,
                change: None,
            }),
        }
        if matches!(self.link, Link::Idle) && self.servers > 0 {
            self.connect(now);
        }
        self.send_attaches(now);
    }

    /// Leaves.
    pub(crate) fn detach(&mut self, now: Time, group: GroupKey) {
        let Some(at) = self.find(group) else { return };
        let attachment = self.attachments.remove(at);
        if attachment.sent {
            self.send(now, &Request::Leave { group: attachment.group });
        }
    }

    /// Replaces the set of members that this process accuses in `group`.
    pub(crate) fn accuse(&mut self, now: Time, group: GroupKey, accused: &[ProcessId]) {
        let Some(at) = self.find(group) else { return };
        if self.attachments[at].sent {
            let group = self.attachments[at].group.clone();
            self.send(now, &Request::Accuse { group, accused: accused.to_vec() });
        }
    }

    fn find(&self, key: GroupKey) -> Option<usize> {
        self.attachments.iter().position(|a| a.key == key)
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
        self.link = Link::Up { decoder: Decoder::default(), silence };
        self.output = Some(Output::new(self.config.output_bytes_max));
        let deployment = self.config.deployment.clone();
        self.send(now, &Request::Client(self.identity, deployment));
        self.send_attaches(now);
    }

    pub(crate) fn handle_disconnected(&mut self, now: Time) {
        if matches!(self.link, Link::Idle | Link::Waiting(_)) {
            return;
        }
        self.server = (self.server + 1) % self.servers.max(1);
        self.link = Link::Waiting(now.plus_ms(self.pause_ms));
        self.pause_ms = (2 * self.pause_ms).min(self.config.reconnect_max_ms);
        self.output = None;
        for attachment in &mut self.attachments {
            attachment.change = None;
            if core::mem::take(&mut attachment.sent) {
                attachment.wanted = false;
                let (group, reason) = (attachment.key, DetachReason::ServerLost);
                self.events.push_back(ClientEvent::Detached { group, reason });
            }
        }
    }

    /// Gives the connection up.
    fn close(&mut self, now: Time) {
        self.commands.push_back(LinkCommand::Close);
        self.handle_disconnected(now);
    }

    pub(crate) fn handle_stream(&mut self, now: Time, bytes: &[u8]) {
        let Link::Up { decoder, silence } = &mut self.link else { return };
        silence.hear(now);
        decoder.push(bytes);
        loop {
            let Link::Up { decoder, .. } = &mut self.link else { return };
            match decoder.next::<Reply>() {
                Ok(Some(reply)) => {
                    self.pause_ms = self.config.reconnect_ms;
                    self.handle_reply(now, reply);
                }
                Ok(None) => return,
                Err(error) => {
                    let own = STREAM_VERSION;
                    self.detach_all(&match error {
                        FrameError::Version(server) => DetachReason::Version { server, own },
                        error => DetachReason::Contract(error.what().into()),
                    });
                    return self.close(now);
                }
            }
        }
    }

    fn detach_all(&mut self, reason: &DetachReason) {
        for attachment in &mut self.attachments {
            (attachment.sent, attachment.wanted) = (false, false);
            let (group, reason) = (attachment.key, reason.clone());
            self.events.push_back(ClientEvent::Detached { group, reason });
        }
    }

    fn handle_reply(&mut self, now: Time, reply: Reply) {
        let (name, counter) = match &reply {
            Reply::Ping => return,
            Reply::Refused(reason) => {
                self.detach_all(reason);
                return self.close(now);
            }
            Reply::StartChange { group, counter, .. }
            | Reply::View { group, counter, .. }
            | Reply::Detached { group, counter, .. } => (group.key(), *counter),
        };
        let Some(at) = self.find(name) else { return };
        let attachment = &mut self.attachments[at];
        if !attachment.sent || counter != attachment.counter {
            return; // of an attachment that is no more
        }
        let group = attachment.key;
        let checked = match reply {
            Reply::StartChange { cid, peers, .. } => attachment
                .check_start_change(self.identity.process, cid, &peers)
                .map(|()| ClientEvent::StartChange { group, cid, peers }),
            Reply::View { view, .. } => attachment
                .check_view(self.identity.process, &view)
                .map(|()| ClientEvent::View { group, view }),
            Reply::Detached { reason, retry_ms, .. } => {
                (attachment.sent, attachment.wanted, attachment.change) = (false, false, None);
                attachment.not_before = now.plus_ms(retry_ms);
                Ok(ClientEvent::Detached { group, reason })
            }
            Reply::Ping | Reply::Refused(_) => return,
        };
        self.events.push_back(checked.unwrap_or_else(|rule| {
            let reason = DetachReason::Contract(rule.into());
            ClientEvent::Detached { group, reason }
        }));
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) {
        match &mut self.link {
            Link::Waiting(at) if now >= *at && !self.attachments.is_empty() => self.connect(now),
            Link::Connecting(since)
                if now.millis_since(*since) >= self.config.server_silence_ms =>
            {
                self.close(now);
            }
            Link::Up { silence, .. } => {
                if silence.look(now) {
                    return self.close(now);
                }
                if now >= self.last_sent.plus_ms(self.config.heartbeat_ms) {
                    self.send(now, &Request::Ping);
                }
                self.send_attaches(now);
            }
            _ => {}
        }
    }

    /// Sends the attaches that are wanted and allowed.
    fn send_attaches(&mut self, now: Time) {
        if !matches!(self.link, Link::Up { .. }) {
            return;
        }
        for at in 0..self.attachments.len() {
            let attachment = &mut self.attachments[at];
            if !attachment.wanted || attachment.sent || now < attachment.not_before {
                continue;
            }
            attachment.sent = true;
            self.counter += 1;
            attachment.counter = self.counter;
            attachment.change = None;
            self.events.push_back(ClientEvent::Attached { group: attachment.key });
            let request = Request::Attach {
                group: attachment.group.clone(),
                counter: self.counter,
                members_max: attachment.members_max,
                past: attachment.past.clone(),
            };
            self.send(now, &request);
        }
    }

    fn send(&mut self, now: Time, request: &Request) {
        self.last_sent = now;
        if self.output.as_mut().is_some_and(|output| !output.push(request)) {
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
        self.output.as_ref().map_or(&[], Output::pending)
    }

    pub(crate) fn consumed(&mut self, n: usize) {
        if let Some(output) = &mut self.output {
            output.consumed(n);
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<(Time, Wake)> {
        match &self.link {
            Link::Idle => None,
            Link::Waiting(at) => (!self.attachments.is_empty()).then_some((*at, Wake::Reconnect)),
            Link::Connecting(since) => {
                Some((since.plus_ms(self.config.server_silence_ms), Wake::Reconnect))
            }
            Link::Up { silence, .. } => {
                let ping = self.last_sent.plus_ms(self.config.heartbeat_ms);
                let attach = |a: &Attachment| (a.wanted && !a.sent).then_some(a.not_before);
                let attach = self.attachments.iter().filter_map(attach).min();
                let at = attach.into_iter().chain([ping, silence.next_look()]).min()?;
                Some((at, Wake::Server))
            }
        }
    }
}

impl Attachment {
    /// M1, M2, and that the set is one and its numbers are in range, as those of a view are.
    fn check_start_change(
        &mut self,
        me: ProcessId,
        cid: Cid,
        peers: &[Peer],
    ) -> Result<(), &'static str> {
        if peers.len() > VIEW_MEMBERS_MAX || !peers.windows(2).all(|w| w[0].process < w[1].process)
        {
            return Err("the set of a start_change is ascending and has at most 1024 members");
        }
        let numbers = peers.iter().map(|peer| peer.process.0).chain([cid.0]);
        if numbers.max() > Some(NUMBER_MAX) {
            return Err("numbers of a start_change are at most 2^53 - 1");
        }
        if !peers.iter().any(|peer| peer.process == me) {
            return Err("M1: this process is in the set of its start_change");
        }
        if cid <= self.last_cid {
            return Err("M2: cids increase");
        }
        self.last_cid = cid;
        self.change = Some(peers.iter().map(|peer| peer.process).collect());
        Ok(())
    }

    /// M1, M3 to M6.
    fn check_view(&mut self, me: ProcessId, view: &View) -> Result<(), &'static str> {
        view.validate().map_err(|_| "a view is well-formed")?;
        let Some(start) = view.start(me) else {
            return Err("M1: this process is in its view");
        };
        let Some(set) = &self.change else {
            return Err("M5: each view has a start_change of its own before it");
        };
        if view.members().iter().any(|p| set.binary_search(p).is_err()) {
            return Err("M3: a view lies within the set of the last start_change");
        }
        if start != self.last_cid {
            return Err("M4: a view carries the last cid");
        }
        if view.id() <= self.last_view {
            return Err("M6: view ids increase");
        }
        self.last_view = view.id();
        self.change = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
