//! The node: one process, many groups, one connection to the membership service.

use alloc::vec::Vec;
use core::net::SocketAddr;

use crate::cast::CastCounters;
use crate::config::{ConfigError, GroupConfig, NodeConfig};
use crate::endpoint::{
    Action, BlockOkError, Cx, Endpoint, GroupSize, Left, Route, SendError, Sent, Transmit, Verdict,
};
use crate::ident::{GroupKey, GroupName, INCARNATION_MAX, Identity, NUMBER_MAX, ProcessId};
use crate::member::LinkCommand;
use crate::member::client::{Client, ClientEvent};
use crate::pool::Pool;
use crate::schedule::Schedule;
use crate::status::Counters;
use crate::time::{Time, Wake, earlier};
use crate::trace::Tracer;
use crate::view::View;
use crate::wire::body::body_bytes;
use crate::wire::packet::{self, Malformed};

/// One process in any number of groups. See the crate's documentation for how it is driven.
#[derive(Debug)]
pub struct Node<T: Tracer = ()> {
    config: NodeConfig,
    identity: Identity,
    pool: Pool,
    client: Client,
    /// In the order in which they were joined, but the last one takes the place of one that was left.
    endpoints: Vec<Endpoint>,
    /// Their places by key, ascending.
    places: Vec<(GroupKey, usize)>,
    /// Which endpoints have something to do, by their places.
    schedule: Schedule,
    /// The endpoint that is asked first for its next datagram and action: none starves another.
    turn: usize,
    /// The latest time handed in.
    now: Time,
    left: Left,
    counters: Counters,
    tracer: T,
}

/// What a node lends to an endpoint.
macro_rules! cx {
    ($node:ident) => {
        Cx {
            now: $node.now,
            identity: &$node.identity,
            body_bytes: body_bytes($node.config.datagram_bytes),
            groups: $node.places.len(),
            pool: &mut $node.pool,
            client: &mut $node.client,
            counters: &mut $node.counters,
            tracer: &mut $node.tracer,
        }
    };
}

/// Lends the node's parts to the endpoint at `$at`, to which something happens.
macro_rules! lend {
    ($node:ident, $at:expr, $endpoint:ident, $cx:ident) => {
        $node.wake($at);
        let $endpoint = &mut $node.endpoints[$at];
        let mut $cx = cx!($node);
    };
}

mod error;
mod external;
mod status;

pub use error::JoinError;

impl<T: Tracer> Node<T> {
    /// Makes a node that knows of `servers` membership servers (positions of the runtime's list).
    ///
    /// # Errors
    /// Names the field of `config` or `identity` that cannot be used.
    pub fn new(
        config: NodeConfig,
        identity: Identity,
        servers: usize,
        tracer: T,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        if identity.process.0 > NUMBER_MAX {
            return Err(ConfigError::Rule("the process id must be at most 2^53 - 1"));
        }
        if identity.incarnation.millis() > INCARNATION_MAX {
            return Err(ConfigError::Rule(
                "the incarnation, in ms of UNIX time, must be at most 4503599627370",
            ));
        }
        Ok(Self {
            pool: Pool::new(config.pool_slots_max, body_bytes(config.datagram_bytes)),
            client: Client::new(config.client.clone(), &identity, servers),
            endpoints: Vec::new(),
            places: Vec::new(),
            schedule: Schedule::default(),
            turn: 0,
            now: Time::ZERO,
            left: Left::default(),
            counters: Counters::default(),
            config,
            identity,
            tracer,
        })
    }

    /// Joins `group`: asks the membership service, and until its first view only waits. Bounded queues of messages may
    /// be filled meanwhile with [`Node::send`].
    ///
    /// # Errors
    /// See [`JoinError`]; nothing changed.
    pub fn join(
        &mut self,
        now: Time,
        group: &GroupName,
        config: GroupConfig,
    ) -> Result<GroupKey, JoinError> {
        self.join_by(now, group, config, false)
    }

    fn join_by(
        &mut self,
        now: Time,
        group: &GroupName,
        config: GroupConfig,
        is_external: bool,
    ) -> Result<GroupKey, JoinError> {
        self.clamp(now);
        let size = GroupSize::new(&config, &self.config).map_err(JoinError::Config)?;
        self.drop_gone();
        let key = group.key();
        let Err(at) = self.find(key) else { return Err(JoinError::AlreadyJoined) };
        if self.endpoints.len() >= self.config.groups_max {
            return Err(JoinError::TooManyGroups);
        }
        let needed = size.slots();
        if !self.pool.reserve(needed) {
            return Err(JoinError::PoolFull { needed, free: self.pool.unreserved() });
        }
        if is_external {
            let past = (self.left.cid, self.left.view);
            self.client.external.add(group, config.members_max, past);
        }
        let mut cx = cx!(self);
        let endpoint = Endpoint::join(&mut cx, group, config, size, &self.left);
        let place = self.endpoints.len();
        self.places.insert(at, (key, place));
        self.endpoints.push(endpoint);
        self.schedule.grow(place + 1);
        self.schedule.wake(place);
        Ok(key)
    }

    /// Leaves `group` once own messages are known to be everywhere, after `peer_ms` at the latest;
    /// [`Action::Left`] follows. False if the node is not in the group or is leaving it already.
    pub fn leave(&mut self, now: Time, group: GroupKey) -> bool {
        self.clamp(now);
        let Ok(at) = self.find(group) else { return false };
        lend!(self, at, endpoint, cx);
        endpoint.leave(&mut cx)
    }

    /// Multicasts `payload` in the group's current view, or, while the view changes or is still to come, in the next
    /// one (automatic blocking). What was taken here comes back as [`Action::Deliver`] (S14) unless the group is left.
    ///
    /// # Errors
    /// See [`SendError`]; the message was not taken and nothing changed.
    pub fn send(&mut self, now: Time, group: GroupKey, payload: &[u8]) -> Result<Sent, SendError> {
        self.clamp(now);
        let at = self.find(group).map_err(|_| SendError::NotJoined)?;
        lend!(self, at, endpoint, cx);
        endpoint.send(&mut cx, payload)
    }

    /// Answers [`Action::Block`] (manual blocking): until the next view nothing is sent (S21).
    ///
    /// # Errors
    /// See [`BlockOkError`]; nothing changed.
    pub fn block_ok(&mut self, now: Time, group: GroupKey) -> Result<(), BlockOkError> {
        self.clamp(now);
        let at = self.find(group).map_err(|_| BlockOkError::NotJoined)?;
        lend!(self, at, endpoint, cx);
        endpoint.block_ok(&mut cx)
    }

    /// A datagram arrived, by multicast or unicast.
    pub fn handle_datagram(&mut self, now: Time, bytes: &[u8]) -> Verdict {
        self.clamp(now);
        let verdict = self.take_datagram(bytes);
        let counter = match verdict {
            Verdict::Accepted => &mut self.counters.accepted,
            Verdict::Duplicate => &mut self.counters.duplicate,
            Verdict::Early => &mut self.counters.early,
            Verdict::Foreign => &mut self.counters.foreign,
            Verdict::Dropped => &mut self.counters.dropped,
            Verdict::Version => &mut self.counters.version,
            Verdict::Malformed => &mut self.counters.malformed,
        };
        *counter += 1;
        self.counters.datagrams += 1;
        verdict
    }

    fn take_datagram(&mut self, bytes: &[u8]) -> Verdict {
        let packet = match packet::decode(bytes) {
            Ok(packet) => packet,
            Err(Malformed::Version(_)) => return Verdict::Version,
            Err(_) => return Verdict::Malformed,
        };
        let Ok(at) = self.find(packet.header.group) else { return Verdict::Foreign };
        lend!(self, at, endpoint, cx);
        endpoint.handle_packet(&mut cx, packet)
    }

    /// The connection asked for by [`LinkCommand::Connect`] is up.
    pub fn handle_connected(&mut self, now: Time) {
        self.clamp(now);
        self.client.handle_connected(self.now);
        self.drain_client();
    }

    /// Bytes arrived from the membership server.
    pub fn handle_stream(&mut self, now: Time, bytes: &[u8]) {
        self.clamp(now);
        self.client.handle_stream(self.now, bytes);
        self.counters.frames_skipped = self.client.frames_skipped();
        self.drain_client();
    }

    /// The connection failed or ended.
    pub fn handle_disconnected(&mut self, now: Time) {
        self.clamp(now);
        self.client.handle_disconnected(self.now);
        self.drain_client();
    }

    /// Time has passed. Call at [`Node::poll_timeout`] or later; earlier does no harm.
    pub fn handle_timeout(&mut self, now: Time) {
        self.clamp(now);
        self.client.handle_timeout(self.now);
        self.drain_client();
        self.wake_due();
        let mut next = 0;
        while let Some(at) = self.schedule.next_awake(next) {
            lend!(self, at, endpoint, cx);
            endpoint.handle_timeout(&mut cx);
            next = at + 1;
        }
        self.drop_gone();
    }

    /// Hands what the membership service said to the endpoints, which may ask for more.
    fn drain_client(&mut self) {
        while let Some(event) = self.client.poll_event() {
            let (ClientEvent::StartChange { group, .. }
            | ClientEvent::Attached { group }
            | ClientEvent::View { group, .. }
            | ClientEvent::Detached { group, .. }) = &event;
            let Ok(at) = self.find(*group) else { continue };
            lend!(self, at, endpoint, cx);
            endpoint.handle_membership(&mut cx, event);
        }
    }

    /// The next datagram, or run of up to `segments_max` datagrams of one length for one destination, written to
    /// `out`, which must have room for `datagram_bytes` (and is best given more).
    pub fn poll_transmit(
        &mut self,
        now: Time,
        out: &mut [u8],
        segments_max: usize,
    ) -> Option<Transmit> {
        self.clamp(now);
        self.wake_due();
        while let Some(at) = self.in_turn(Schedule::next_to_send) {
            let (endpoint, mut cx) = (&mut self.endpoints[at], cx!(self));
            if let Some(transmit) = endpoint.poll_transmit(&mut cx, out, segments_max) {
                self.schedule.wake(at); // what was sent may be delivered here
                self.turn = at;
                return Some(transmit);
            }
            self.settle(at);
        }
        None
    }

    /// What to do with the connection to the membership server.
    pub fn poll_link(&mut self) -> Option<LinkCommand> {
        self.client.poll_link()
    }

    /// Bytes that wait to be written to the server.
    #[must_use]
    pub fn stream_output(&self) -> &[u8] {
        self.client.output()
    }

    /// `n` bytes of [`Node::stream_output`] were written.
    pub fn stream_consumed(&mut self, n: usize) {
        self.client.consumed(self.now, n);
        self.drain_client();
    }

    /// What the application has to hear next. An application that does not ask is not forgotten: its messages stay,
    /// its credit runs out, and the senders wait (rule 5.1), until others accuse it of not answering.
    pub fn poll_action(&mut self, now: Time) -> Option<Action<'_>> {
        self.clamp(now);
        self.wake_due();
        let at = loop {
            let at = self.in_turn(Schedule::next_to_tell)?;
            lend!(self, at, endpoint, cx);
            endpoint.take_back(&mut cx);
            if endpoint.has_action() {
                break at;
            }
            self.schedule.send(at); // what was taken back may let it go on
        };
        self.turn = (at + 1) % self.endpoints.len();
        let endpoint = &mut self.endpoints[at];
        endpoint.next_action(cx!(self))
    }

    /// Whether [`Node::poll_action`] has something to tell, without asking for it: a loop whose application hears
    /// everything has no reason to wait then.
    #[must_use]
    pub fn has_action(&self) -> bool {
        self.awake().any(|at| self.endpoints[at].has_action())
    }

    /// When to call [`Node::handle_timeout`], and what for. After that call and a full drain of the other `poll_*`
    /// the next time lies later.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Time, Wake)> {
        let awake = self.awake().map(|at| self.endpoints[at].poll_timeout());
        let groups = awake.fold(self.schedule.deadline(), earlier);
        earlier(groups, self.client.poll_timeout())
    }

    /// The view that the group is in; its initial singleton view before the first one.
    #[must_use]
    pub fn view(&self, group: GroupKey) -> Option<&View> {
        self.endpoint(group).map(Endpoint::view)
    }

    /// Whether a change of the view is under way: the group is told to stop sending, or will be.
    #[must_use]
    pub fn is_changing(&self, group: GroupKey) -> bool {
        self.endpoint(group).is_some_and(Endpoint::is_changing)
    }

    /// The name of a joined group.
    #[must_use]
    pub fn group_name(&self, group: GroupKey) -> Option<&GroupName> {
        self.endpoint(group).map(|endpoint| &endpoint.name)
    }

    /// What the group's multicast counted in its current view.
    #[must_use]
    pub fn cast_counters(&self, group: GroupKey) -> Option<&CastCounters> {
        self.endpoint(group).map(Endpoint::cast_counters)
    }

    /// How many messages there are in the group's current view.
    #[cfg(feature = "sim")]
    pub(crate) fn traffic(&self, group: GroupKey) -> Option<crate::endpoint::ViewTraffic> {
        self.endpoint(group).map(Endpoint::traffic)
    }

    /// How a [`crate::Dest::Group`] is carried: as one multicast, and in a copy to each member that said that it hears
    /// none ([`Node::unheard_by`]); only in copies to all once all others said so.
    pub fn group_routes(&self, group: GroupKey) -> impl Iterator<Item = Route> + '_ {
        self.endpoint(group).into_iter().flat_map(Endpoint::routes)
    }

    /// The members of the group's view that said that they hear no multicasts of this node, though they hear what it
    /// sends to them alone; ascending. Multicast does not work on the way there: an operator should know.
    #[must_use]
    pub fn unheard_by(&self, group: GroupKey) -> &[ProcessId] {
        self.endpoint(group).map_or(&[], Endpoint::unheard_by)
    }

    /// Data addresses of the other members of the group's view and of the change under way: whom
    /// [`crate::Dest::Group`] names.
    pub fn group_addresses(&self, group: GroupKey) -> impl Iterator<Item = SocketAddr> + '_ {
        self.endpoint(group).into_iter().flat_map(Endpoint::addresses)
    }

    /// Bytes that this node takes as it is: the pool, the connection to the membership service, and what each group needs
    /// besides. An estimate, as [`GroupSize::footprint`] is.
    #[must_use]
    pub fn footprint(&self) -> usize {
        let node = self.pool.footprint().saturating_add(self.client.footprint());
        let groups = self.endpoints.iter().map(|e| e.size().footprint_besides_slots());
        groups.fold(node, usize::saturating_add)
    }

    /// Slots of the pool that hold a packet now, for whatever group: none once all groups were left.
    #[must_use]
    pub fn pool_slots_used(&self) -> usize {
        self.pool.used()
    }

    /// The tracer.
    pub fn tracer_mut(&mut self) -> &mut T {
        &mut self.tracer
    }

    /// The counters.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn clamp(&mut self, now: Time) {
        self.now = self.now.max(now);
    }

    /// The place of the endpoint of `key`, or where to note one among the places.
    fn find(&self, key: GroupKey) -> Result<usize, usize> {
        self.places.binary_search_by_key(&key, |(key, _)| *key).map(|at| self.places[at].1)
    }

    fn endpoint(&self, key: GroupKey) -> Option<&Endpoint> {
        self.find(key).ok().map(|at| &self.endpoints[at])
    }

    /// The places of the endpoints that do not sleep.
    fn awake(&self) -> impl Iterator<Item = usize> + '_ {
        let next = |from: usize| self.schedule.next_awake(from);
        core::iter::successors(next(0), move |at| next(at + 1))
    }

    /// The next place that `find` finds, from the endpoint on whose turn it is.
    fn in_turn(&self, find: impl Fn(&Schedule, usize) -> Option<usize>) -> Option<usize> {
        find(&self.schedule, self.turn).or_else(|| find(&self.schedule, 0))
    }

    fn wake(&mut self, at: usize) {
        if self.schedule.sleeps(at) {
            self.endpoints[at].woken(self.now);
        }
        self.schedule.wake(at);
    }

    fn wake_due(&mut self) {
        while let Some(at) = self.schedule.next_due(self.now) {
            self.wake(at);
        }
    }

    /// The endpoint at `at` has nothing to send: it sleeps, unless it has something to tell.
    fn settle(&mut self, at: usize) {
        let endpoint = &self.endpoints[at];
        if endpoint.is_busy() {
            self.schedule.tell(at);
        } else {
            self.schedule.rest(at, endpoint.poll_timeout());
        }
    }

    /// Drops endpoints that were left and have nothing more to say. None of them sleeps.
    fn drop_gone(&mut self) {
        loop {
            let gone = self.awake().find(|at| self.endpoints[*at].is_gone());
            let Some(at) = gone else { return };
            let endpoint = self.endpoints.swap_remove(at);
            self.pool.release(endpoint.size().slots());
            let (cid, view) = endpoint.last_ids();
            self.left.count += 1;
            (self.left.cid, self.left.view) = (self.left.cid.max(cid), self.left.view.max(view));
            self.places.retain(|(key, _)| *key != endpoint.key);
            let last = self.endpoints.len();
            self.schedule.rest(last, None);
            if at < last {
                let moved = self.places.iter_mut().find(|(_, place)| *place == last);
                moved.into_iter().for_each(|(_, place)| *place = at);
                self.schedule.wake(at);
            }
        }
    }
}
