//! One real node and nothing else: the input plays its servers, its peers, its application and its
//! clock.

use vs_core::ident::{Cid, GroupKey, GroupName, Identity, Incarnation, ProcessId, ViewId};
use vs_core::spec;
use vs_core::trace::{Header, Record, Trace};
use vs_core::wire::frame::{FRAME_BYTES_MAX, preamble};
use vs_core::wire::packet;
use vs_core::{Action, GroupConfig, LinkCommand, Node, NodeConfig, Time, View};

use crate::cluster;
use crate::message::{Listener, Peer, Reply, Request, Triple, frame};

/// Rounds after which a node that still has output is considered endless.
const ROUNDS_MAX: usize = 10_000;

/// Datagrams handed out at once.
const SEGMENTS_MAX: usize = 4;

/// The latest time that a clock shows. The core adds to times, and saturates at 2^64 - 1.
pub(crate) const TIME_MAX: Time = Time(1 << 62);

/// The group's name.
pub(crate) const NAME: &str = "lone";

/// Who the node is: neither the first nor the last of its view.
pub(crate) const ME: ProcessId = ProcessId(2);

/// What the node has asked its membership server for.
#[derive(Debug, Default)]
pub(crate) struct Attachment {
    pub(crate) open: bool,
    pub(crate) counter: u64,
    /// The last cid and view number that it was given.
    pub(crate) cid: u64,
    pub(crate) vid: u64,
}

pub(crate) struct Lone {
    pub(crate) node: Node<Vec<Record>>,
    pub(crate) key: GroupKey,
    pub(crate) datagram_bytes: usize,
    pub(crate) attachment: Attachment,
    /// A connection was asked for, and whether it is up.
    pub(crate) dialled: bool,
    pub(crate) up: bool,
    /// The node was detached for good, and has not left yet.
    ended: bool,
    name: GroupName,
    config: GroupConfig,
    pool_slots_max: usize,
    /// The latest time that was handed in: what the node goes by.
    latest: Time,
    /// The counter of its last datagram.
    counter: u64,
    listener: Listener,
    buffer: Vec<u8>,
}

impl Lone {
    /// A node that has joined and is to be given its first view.
    pub(crate) fn new(config: impl FnOnce(&mut NodeConfig, &mut GroupConfig)) -> Self {
        let (mut node_config, mut config_of_group) = cluster::configs();
        config(&mut node_config, &mut config_of_group);
        let identity = Identity {
            process: ME,
            incarnation: Incarnation::new(1),
            addr: ([127, 0, 0, 1], 4000).into(),
            seed: 1,
        };
        let (datagram_bytes, pool_slots_max) =
            (node_config.datagram_bytes, node_config.pool_slots_max);
        let name = GroupName::new(NAME).expect("a name");
        let node = Node::new(node_config, identity, 1, Vec::new()).expect("a configuration");
        let mut lone = Self {
            node,
            key: name.key(),
            datagram_bytes,
            attachment: Attachment::default(),
            dialled: false,
            up: false,
            ended: false,
            name,
            config: config_of_group,
            pool_slots_max,
            latest: Time::from_millis(1),
            counter: 0,
            listener: Listener::default(),
            buffer: vec![0; SEGMENTS_MAX * datagram_bytes],
        };
        assert!(lone.join(), "the first group finds room");
        lone.drain();
        lone
    }

    pub(crate) fn now(&self) -> Time {
        self.latest
    }

    /// The clock shows `now`, which may lie before what it showed last.
    pub(crate) fn clock(&mut self, now: Time) -> Time {
        self.latest = self.latest.max(now);
        now
    }

    pub(crate) fn join(&mut self) -> bool {
        self.node.join(self.latest, &self.name, self.config.clone()).is_ok()
    }

    /// The connection that was asked for is up.
    pub(crate) fn connect(&mut self) {
        self.node.handle_connected(self.latest);
        (self.up, self.dialled) = (self.dialled, false);
        self.listener = Listener::default();
        self.hear();
        if self.up {
            self.node.handle_stream(self.latest, &preamble());
        }
    }

    pub(crate) fn disconnect(&mut self) {
        self.node.handle_disconnected(self.latest);
        (self.up, self.dialled, self.attachment.open) = (false, false, false);
    }

    /// Attaches the node if it can be attached: whatever it waits for happens.
    pub(crate) fn attach(&mut self) {
        for _ in 0..4 {
            self.drain();
            if self.attachment.open {
                return;
            }
            if self.dialled {
                self.connect();
            } else if let Some((at, _)) = self.node.poll_timeout() {
                let now = self.clock(at);
                self.node.handle_timeout(now);
            }
        }
    }

    /// The server proposes a set: `members` and this process.
    pub(crate) fn start_change(&mut self, members: &[ProcessId]) {
        self.attachment.cid += 1;
        let peer = |&process: &ProcessId| Peer {
            process,
            incarnation: crate::message::Incarnation { millis: 1, nonce: 0 },
            addr: ([127, 0, 0, 1], 4000 + process.0 as u16).into(),
        };
        let Attachment { counter, cid, .. } = self.attachment;
        let (cid, peers) = (Cid(cid), members.iter().map(peer).collect());
        self.say(&Reply::StartChange { group: NAME.into(), counter, cid, peers });
    }

    /// The server says the view of these members.
    pub(crate) fn announce(&mut self, members: &[ProcessId]) {
        self.attachment.vid += 1;
        let Attachment { counter, cid, vid, .. } = self.attachment;
        let view = Triple {
            id: ViewId { major: vid, minor: 1 },
            members: members.to_vec(),
            // All were given the same number: this is the only server.
            start: vec![Cid(cid); members.len()],
        };
        self.say(&Reply::View { group: NAME.into(), counter, view });
    }

    pub(crate) fn say(&mut self, reply: &Reply) {
        self.node.handle_stream(self.latest, &frame(reply));
    }

    pub(crate) fn view(&self) -> Option<&View> {
        self.node.view(self.key)
    }

    /// What the node says to its server.
    fn hear(&mut self) -> bool {
        let output = self.node.stream_output();
        let len = output.len();
        assert!(len <= (1 << 20) + FRAME_BYTES_MAX, "{len} bytes wait for the server");
        for request in self.listener.hear::<Request>(output) {
            match request {
                Request::Attach { counter, past, .. } => {
                    let Attachment { cid, vid, .. } = self.attachment;
                    let (cid, vid) = (cid.max(past.last_cid.0), vid.max(past.last_view.major));
                    self.attachment = Attachment { open: true, counter, cid, vid };
                }
                Request::Leave { .. } => self.attachment.open = false,
                Request::Client(..)
                | Request::Accuse { .. }
                | Request::Ping
                | Request::Silence(_) => {}
                Request::Server { .. }
                | Request::Peer(_)
                | Request::Refused(_)
                | Request::Status => panic!("a client says {request:?}"),
            }
        }
        self.node.stream_consumed(len);
        len > 0
    }

    fn link(&mut self) -> bool {
        let mut progress = false;
        while let Some(command) = self.node.poll_link() {
            progress = true;
            (self.up, self.attachment.open) = (false, false);
            self.dialled = command == LinkCommand::Connect(0);
            assert!(self.dialled || command == LinkCommand::Close, "{command:?}");
        }
        progress | self.hear()
    }

    /// One datagram, or a run of them, goes out: it is well-formed and finds room.
    pub(crate) fn transmit(&mut self, segments_max: usize) -> bool {
        let sent = self.node.poll_transmit(self.latest, &mut self.buffer, segments_max.max(1));
        let Some(sent) = sent else { return false };
        assert!((1..=self.datagram_bytes).contains(&sent.segment_bytes), "{sent:?}");
        let datagrams = self.buffer[..sent.len].chunks_mut(sent.segment_bytes);
        assert!(datagrams.len() <= segments_max.max(1), "{sent:?}");
        for datagram in datagrams {
            let packet = packet::open(datagram).expect("a datagram of ours");
            assert_eq!(packet.header.group, self.key);
            assert!(packet.counter > self.counter, "a counter is used again");
            self.counter = packet.counter;
        }
        true
    }

    /// The application hears one thing.
    pub(crate) fn act(&mut self) -> bool {
        let some = self.node.has_action();
        let action = self.node.poll_action(self.latest);
        // Taking back what was lent may make room, and news.
        assert!(!some || action.is_some(), "it had something to say");
        match action {
            Some(Action::Deliver { payload, .. }) => {
                assert!(payload.len() <= self.config.message_bytes_max);
                true
            }
            Some(Action::Detached { reason, .. }) if reason.is_final() => {
                self.ended = true;
                true
            }
            Some(Action::Left { .. }) => {
                self.ended = false;
                true
            }
            Some(_) => true,
            None => false,
        }
    }

    /// Everything that the node has to say is heard.
    pub(crate) fn drain(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let progress = self.link() | self.transmit(SEGMENTS_MAX) | self.act();
            if !progress {
                let used = self.node.pool_slots_used();
                assert!(
                    !self.ended || used == 0,
                    "{used} slots are used by a group that is no more"
                );
                return;
            }
        }
        panic!("the node never falls silent");
    }

    /// After `handle_timeout(now)` and a full drain the next timeout lies after `now`.
    pub(crate) fn timeout(&mut self, now: Time) {
        let now = self.clock(now);
        self.node.handle_timeout(now);
        self.drain();
        let (next, latest) = (self.node.poll_timeout(), self.latest);
        assert!(next.is_none_or(|(at, _)| at > latest), "at {latest:?} next is {next:?}");
    }

    /// The node is woken when it wants to be.
    pub(crate) fn wake(&mut self) {
        self.drain();
        if let Some((at, _)) = self.node.poll_timeout() {
            self.timeout(at);
        }
    }

    /// Whatever happened, the node comes to rest and keeps no packet, and its trace satisfies the
    /// specification.
    pub(crate) fn end(mut self) {
        assert!(self.node.pool_slots_used() <= self.pool_slots_max);
        for _ in 0..16 {
            self.wake();
        }
        self.node.leave(self.latest, self.key);
        self.drain();
        self.timeout(self.latest.plus_ms(self.config.peer_ms));
        self.node.handle_timeout(self.latest); // the group is forgotten once it was told of
        assert!(self.node.view(self.key).is_none(), "it cannot leave");
        assert_eq!(self.node.pool_slots_used(), 0, "slots leak");
        assert!(self.join(), "what the group had reserved is free again");
        let counters = *self.node.counters();
        let verdicts = [
            counters.accepted,
            counters.duplicate,
            counters.early,
            counters.foreign,
            counters.dropped,
            counters.version,
            counters.malformed,
            counters.clear,
            counters.other_key,
            counters.forged,
            counters.replayed,
            counters.impostors,
        ];
        assert_eq!(counters.datagrams, verdicts.iter().sum::<u64>());
        let records = core::mem::take(self.node.tracer_mut());
        let (incarnation, runtime) = (Incarnation::new(1), "fuzz".into());
        let header = Header { process: ME, incarnation, runtime };
        let trace = Trace::from_records(header, records);
        crate::trace::again(&trace);
        let report = spec::check(&[trace]);
        assert!(report.is_clean(), "{report}\n{:#?}", report.violations);
    }
}
