//! The node: one process, many groups, one connection to the membership service.

mod error;
mod external;
mod groups;
mod impostor;
mod keys;
mod receive;
mod schedule;
mod status;
mod version;

use core::net::SocketAddr;

use crate::cast::CastCounters;
use crate::config::{ConfigError, GroupConfig, NodeConfig};
use crate::endpoint::{
    Action, BlockOkError, Budget, Cx, DirectError, Endpoint, GroupSize, NoteError, Route,
    SendError, Sent, Transmit,
};
use crate::ident::{GroupKey, GroupName, INCARNATION_MAX, Identity, NUMBER_MAX, ProcessId};
use crate::member::LinkCommand;
use crate::member::client::ClientEvent;
use crate::member::membership::Membership;
use crate::pool::Pool;
use crate::rule::Rules;
use crate::seal::Keys;
use crate::status::Counters;
use crate::time::{Time, Wake, earlier};
use crate::trace::Tracer;
use crate::view::{Note, View};
use crate::wire::body::body_bytes;

pub use error::JoinError;
pub use impostor::Impostor;
pub use keys::OtherKeys;
pub use version::OtherVersion;

use groups::Groups;

/// The parts of a node that its groups share.
#[derive(Debug)]
struct Shared<T> {
    config: NodeConfig,
    identity: Identity,
    pool: Pool,
    membership: Membership,
    counters: Counters,
    tracer: T,
    /// What is sealed with, if anything is.
    keys: Option<Keys>,
    /// The rules that each group keeps which is joined from now on.
    rules: Rules,
    /// The latest time handed in.
    now: Time,
}

impl<T: Tracer> Shared<T> {
    /// What one of `groups` endpoints is lent for a call.
    #[inline]
    fn cx(&mut self, groups: usize) -> Cx<'_> {
        Cx {
            now: self.now,
            identity: &self.identity,
            groups,
            keys: self.keys.as_ref(),
            pool: &mut self.pool,
            membership: &mut self.membership,
            counters: &mut self.counters,
            tracer: &mut self.tracer,
        }
    }

    /// Takes the time of a call; one that goes backwards is clamped.
    fn clamp(&mut self, now: Time) {
        self.now = self.now.max(now);
    }
}

/// One process in any number of groups. See the crate's documentation for how it is driven.
#[derive(Debug)]
pub struct Node<T: Tracer = ()> {
    shared: Shared<T>,
    groups: Groups,
    /// What its groups may ask and answer about multicasts.
    budget: Budget,
    /// The first process that was heard to speak another version.
    other_version: Option<OtherVersion>,
    /// The first process that was heard to seal otherwise.
    other_keys: Option<OtherKeys>,
    /// Where the last datagram in the name of this process came from that it did not send.
    impostor: Option<SocketAddr>,
}

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
        Self::with_rules(config, identity, servers, tracer, Rules::default())
    }

    /// A node whose groups keep `rules`.
    pub(crate) fn with_rules(
        config: NodeConfig,
        identity: Identity,
        servers: usize,
        tracer: T,
        rules: Rules,
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
        let shared = Shared {
            pool: Pool::new(config.pool_slots_max, body_bytes(config.datagram_bytes)),
            membership: Membership::new(config.client.clone(), &identity, servers),
            counters: Counters::default(),
            now: Time::ZERO,
            config,
            identity,
            tracer,
            keys: None,
            rules,
        };
        Ok(Self {
            shared,
            groups: Groups::default(),
            budget: Budget::default(),
            other_version: None,
            other_keys: None,
            impostor: None,
        })
    }

    /// Leaves a rule of the algorithm out of each group that is joined from now on, to see that the
    /// checker notices.
    #[cfg(feature = "mutants")]
    pub fn leave_out(&mut self, rule: crate::rule::Rule) {
        self.shared.rules = Rules::without(rule);
    }

    /// Joins `group`: asks the membership service, and until its first view only waits. Bounded
    /// queues of messages may be filled meanwhile with [`Node::send`].
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
        self.shared.clamp(now);
        let size = GroupSize::new(&config, &self.shared.config).map_err(JoinError::Config)?;
        self.drop_gone();
        let key = group.key();
        if self.groups.find(key).is_some() {
            return Err(JoinError::AlreadyJoined);
        }
        if self.groups.len() >= self.shared.config.groups_max {
            return Err(JoinError::TooManyGroups);
        }
        let (needed, left) = (size.slots(), self.groups.left());
        if !self.shared.pool.reserve(needed) {
            return Err(JoinError::PoolFull { needed, free: self.shared.pool.unreserved() });
        }
        if is_external {
            let past = (left.ids().cid(), left.ids().view());
            self.shared.membership.add_external(group, config.members_max, past);
        }
        let rules = self.shared.rules;
        let mut cx = self.shared.cx(self.groups.len());
        let endpoint = Endpoint::join(&mut cx, group, config, size, left, rules);
        self.groups.add(endpoint);
        Ok(key)
    }

    /// Leaves `group` once own messages are known to be everywhere, after `peer_ms` at the latest;
    /// [`Action::Left`] follows. False if the node is not in the group or is leaving it already.
    pub fn leave(&mut self, now: Time, group: GroupKey) -> bool {
        self.shared.clamp(now);
        let Some(at) = self.groups.find(group) else { return false };
        let (endpoint, mut cx) = self.lend(at);
        endpoint.leave(&mut cx)
    }

    /// Multicasts `payload` in the group's current view, or, while the view changes or is still to
    /// come, in the next one (automatic blocking). What was taken here comes back as
    /// [`Action::Deliver`] (S14) unless the group is left.
    ///
    /// # Errors
    /// See [`SendError`]; the message was not taken and nothing changed.
    pub fn send(&mut self, now: Time, group: GroupKey, payload: &[u8]) -> Result<Sent, SendError> {
        self.shared.clamp(now);
        let at = self.groups.find(group).ok_or(SendError::NotJoined)?;
        let (endpoint, mut cx) = self.lend(at);
        endpoint.send(&mut cx, payload)
    }

    /// Sends `message` to the member `to` of the current view alone, in one datagram, behind all
    /// that the group is sent. It is neither ordered nor repaired: [`Node::poll_direct`] hands it
    /// out there, in the same view, or it is lost.
    ///
    /// # Errors
    /// See [`DirectError`]; the message was not taken and nothing changed.
    pub fn send_direct(
        &mut self,
        now: Time,
        group: GroupKey,
        to: ProcessId,
        message: &[u8],
    ) -> Result<(), DirectError> {
        self.shared.clamp(now);
        let at = self.groups.find(group).ok_or(DirectError::NotJoined)?;
        let (endpoint, _) = self.lend(at);
        endpoint.send_direct(to, message)
    }

    /// The next message that another member of the current view sent to this one alone, and who
    /// sent it. What waits when another view comes is dropped, and so is what arrives while
    /// [`crate::DIRECT_QUEUE_BYTES`] wait.
    pub fn poll_direct(&mut self, group: GroupKey) -> Option<(ProcessId, &[u8])> {
        let at = self.groups.find(group)?;
        self.groups.at_mut(at).poll_direct()
    }

    /// Whether [`Node::poll_direct`] has something for some group.
    #[must_use]
    pub fn has_direct(&self) -> bool {
        self.groups.iter().any(Endpoint::has_direct)
    }

    /// Drops what [`Node::poll_direct`] would hand out.
    #[cfg(feature = "sim")]
    pub(crate) fn drop_directs(&mut self) {
        (0..self.groups.len()).for_each(|at| self.groups.at_mut(at).drop_directs());
    }

    /// The most bytes that [`Node::send_direct`] takes now; 0 outside the group.
    #[must_use]
    pub fn direct_bytes_max(&self, group: GroupKey) -> usize {
        self.groups.get(group).map_or(0, Endpoint::direct_bytes_max)
    }

    /// Answers [`Action::Block`] (manual blocking): until the next view nothing is sent (S21).
    ///
    /// # Errors
    /// See [`BlockOkError`]; nothing changed.
    pub fn block_ok(&mut self, now: Time, group: GroupKey) -> Result<(), BlockOkError> {
        self.shared.clamp(now);
        let at = self.groups.find(group).ok_or(BlockOkError::NotJoined)?;
        let (endpoint, mut cx) = self.lend(at);
        endpoint.block_ok(&mut cx)
    }

    /// Sets the note of this process in a group with clusters. The next own sync message carries
    /// it, and all members of the view that follows are told it ([`Clusters::note`]). It holds for
    /// later views, too, until another one is set. A change of view whose sync message was sent
    /// before keeps the earlier note. Until the first one is set the note is empty.
    ///
    /// [`Clusters::note`]: crate::Clusters::note
    ///
    /// # Errors
    /// See [`NoteError`]; nothing changed.
    pub fn set_note(&mut self, group: GroupKey, note: Note) -> Result<(), NoteError> {
        let at = self.groups.find(group).ok_or(NoteError::NotJoined)?;
        self.groups.at_mut(at).set_note(note)
    }

    /// Who sent datagrams in the name of this process last, for an operator to know. That can be
    /// told of a datagram that says to be from this member of the current view, if its number was
    /// not given yet or if neither its address nor its port is that of this process.
    #[must_use]
    pub fn impostor(&self) -> Option<Impostor> {
        let (process, datagrams) = (self.shared.identity.process, self.shared.counters.impostors);
        self.impostor.map(|from| Impostor { process, from, datagrams })
    }

    /// The first process that was heard to send datagrams of another version, for an operator to
    /// know; how many there were is in [`Counters::version`].
    #[must_use]
    pub fn other_version(&self) -> Option<OtherVersion> {
        self.other_version
    }

    /// From now on peers reach this process at `addr`: its host has another address, say. The
    /// connection to a membership server is given up and asked for again, and the others learn the
    /// address with the change that follows. A source of views of one's own is told by another
    /// [`crate::member::MembershipRequest::Join`].
    pub fn set_addr(&mut self, now: Time, addr: SocketAddr) {
        self.shared.clamp(now);
        self.shared.identity.addr = addr;
        self.shared.membership.set_addr(self.shared.now, addr);
        self.groups.handle_new_address();
        self.drain_membership();
    }

    /// The connection asked for by [`LinkCommand::Connect`] is up.
    pub fn handle_connected(&mut self, now: Time) {
        self.shared.clamp(now);
        self.shared.membership.handle_connected(self.shared.now);
        self.drain_membership();
    }

    /// Bytes arrived from the membership server.
    pub fn handle_stream(&mut self, now: Time, bytes: &[u8]) {
        self.shared.clamp(now);
        self.shared.membership.handle_stream(self.shared.now, bytes);
        self.shared.counters.frames_skipped = self.shared.membership.frames_skipped();
        self.drain_membership();
    }

    /// The connection failed or ended.
    pub fn handle_disconnected(&mut self, now: Time) {
        self.shared.clamp(now);
        self.shared.membership.handle_disconnected(self.shared.now);
        self.drain_membership();
    }

    /// Time has passed. Call at [`Node::poll_timeout`] or later; earlier does no harm.
    pub fn handle_timeout(&mut self, now: Time) {
        self.shared.clamp(now);
        self.shared.membership.handle_timeout(self.shared.now);
        self.drain_membership();
        self.groups.wake_due(self.shared.now);
        let mut next = 0;
        while let Some(at) = self.groups.next_awake(next) {
            let (endpoint, mut cx) = self.lend(at);
            endpoint.handle_timeout(&mut cx);
            next = at + 1;
        }
        self.drop_gone();
    }

    /// Hands what the membership service said to the endpoints, which may ask for more.
    fn drain_membership(&mut self) {
        while let Some(event) = self.shared.membership.poll_event() {
            let (ClientEvent::StartChange { group, .. }
            | ClientEvent::Attached { group }
            | ClientEvent::View { group, .. }
            | ClientEvent::Profile { group, .. }
            | ClientEvent::Detached { group, .. }) = &event;
            let Some(at) = self.groups.find(*group) else { continue };
            let (endpoint, mut cx) = self.lend(at);
            endpoint.handle_membership(&mut cx, event);
        }
    }

    /// The next datagram, or run of up to `segments_max` datagrams of one length for one
    /// destination, written to `out`, which must have room for `datagram_bytes` (and is best given
    /// more).
    pub fn poll_transmit(
        &mut self,
        now: Time,
        out: &mut [u8],
        segments_max: usize,
    ) -> Option<Transmit> {
        self.shared.clamp(now);
        self.groups.wake_due(self.shared.now);
        let groups = self.groups.len();
        while let Some(at) = self.groups.next_to_send() {
            let mut cx = self.shared.cx(groups);
            let endpoint = self.groups.at_mut(at);
            let transmit = endpoint.poll_transmit(&mut cx, &mut self.budget, out, segments_max);
            if transmit.is_some() {
                self.groups.handle_sent(at);
                return transmit;
            }
            self.groups.handle_nothing_to_send(at);
        }
        None
    }

    /// What to do with the connection to the membership server.
    pub fn poll_link(&mut self) -> Option<LinkCommand> {
        self.shared.membership.poll_link()
    }

    /// Bytes that wait to be written to the server.
    #[must_use]
    pub fn stream_output(&self) -> &[u8] {
        self.shared.membership.output()
    }

    /// `n` bytes of [`Node::stream_output`] were written.
    pub fn stream_consumed(&mut self, n: usize) {
        self.shared.membership.consumed(self.shared.now, n);
        self.drain_membership();
    }

    /// What the application has to hear next. An application that does not ask is not forgotten:
    /// its messages stay, its credit runs out, and the senders wait ([rule
    /// 5.1](crate::manual::algorithm#rule-5-1)), until others accuse it of not answering.
    pub fn poll_action(&mut self, now: Time) -> Option<Action<'_>> {
        self.shared.clamp(now);
        self.groups.wake_due(self.shared.now);
        let (at, ready) = loop {
            let at = self.groups.next_to_tell()?;
            let (endpoint, mut cx) = self.lend(at);
            endpoint.take_back(&mut cx);
            if let Some(ready) = endpoint.ready() {
                break (at, ready);
            }
            self.groups.handle_nothing_to_tell(at);
        };
        self.groups.handle_told(at);
        let cx = self.shared.cx(self.groups.len());
        self.groups.at_mut(at).take_action(ready, cx)
    }

    /// Whether [`Node::poll_action`] has something to tell, without asking for it: a loop whose
    /// application hears everything has no reason to wait then.
    #[must_use]
    pub fn has_action(&self) -> bool {
        self.groups.has_action()
    }

    /// When to call [`Node::handle_timeout`], and what for. After that call and a full drain of the
    /// other `poll_*` the next time lies later.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Time, Wake)> {
        earlier(self.groups.poll_timeout(), self.shared.membership.poll_timeout())
    }

    /// The view that the group is in; its initial singleton view before the first one.
    #[must_use]
    pub fn view(&self, group: GroupKey) -> Option<&View> {
        self.groups.get(group).map(Endpoint::view)
    }

    /// Whether a change of the view is under way: the group is told to stop sending, or will be.
    #[must_use]
    pub fn is_changing(&self, group: GroupKey) -> bool {
        self.groups.get(group).is_some_and(Endpoint::is_changing)
    }

    /// The name of a joined group.
    #[must_use]
    pub fn group_name(&self, group: GroupKey) -> Option<&GroupName> {
        self.groups.get(group).map(Endpoint::name)
    }

    /// What the group's multicast counted in its current view.
    #[must_use]
    pub fn cast_counters(&self, group: GroupKey) -> Option<&CastCounters> {
        self.groups.get(group).map(Endpoint::cast_counters)
    }

    /// How a [`crate::Dest::Group`] is carried: as one multicast, and in a copy to each member that
    /// said that it hears none ([`Node::unheard_by`]); only in copies to all once all others said
    /// so.
    pub fn group_routes(&self, group: GroupKey) -> impl Iterator<Item = Route> + '_ {
        self.groups.get(group).into_iter().flat_map(Endpoint::routes)
    }

    /// The longest datagrams of this process that come through to all members of the view, in
    /// bytes, if full ones do not, and the members at which they do not arrive: something on the
    /// way takes less than the interfaces. Datagrams of this length are used. It is looked for once
    /// there is something to send that would fill a datagram of more than 1200 bytes.
    #[must_use]
    pub fn narrow_path(&self, group: GroupKey) -> Option<(usize, &[ProcessId])> {
        self.groups.get(group)?.narrow_path()
    }

    /// The members of the group's view that said that they hear no multicasts of this node, though
    /// they hear what it sends to them alone; ascending. Multicast does not work on the way there:
    /// an operator should know.
    #[must_use]
    pub fn unheard_by(&self, group: GroupKey) -> &[ProcessId] {
        self.groups.get(group).map_or(&[], Endpoint::unheard_by)
    }

    /// Members of the group's view whose datagrams to this process alone do not arrive, though
    /// their multicasts do; ascending. A firewall stops unicast, so nothing that is lost is
    /// repaired: an operator should know. Some members are asked, after each view with new ones.
    #[must_use]
    pub fn unicast_missing_from(&self, group: GroupKey) -> &[ProcessId] {
        self.groups.get(group).map_or(&[], Endpoint::unicast_missing_from)
    }

    /// Data addresses of the other members of the group's view and of the change under way: whom
    /// [`crate::Dest::Group`] names.
    pub fn group_addresses(&self, group: GroupKey) -> impl Iterator<Item = SocketAddr> + '_ {
        self.groups.get(group).into_iter().flat_map(Endpoint::addresses)
    }

    /// Whom this node knows as members of the group's view and of the change under way, as it was
    /// told: for tests that try what somebody can do with all that a member knows.
    #[cfg(feature = "sim")]
    pub fn group_peers(&self, group: GroupKey) -> impl Iterator<Item = crate::member::Peer> + '_ {
        self.groups.get(group).into_iter().flat_map(Endpoint::peers)
    }

    /// Bytes that this node takes as it is: the pool, the connection to the membership service, and
    /// what each group needs besides; An estimate, as [`GroupSize::footprint`] is.
    #[must_use]
    pub fn footprint(&self) -> usize {
        let node = self.shared.pool.footprint().saturating_add(self.shared.membership.footprint());
        let groups = self.groups.iter().map(|e| e.size().footprint_besides_slots());
        groups.fold(node, usize::saturating_add)
    }

    /// Slots of the pool that hold a packet now, for whatever group: none once all groups were
    /// left.
    #[must_use]
    pub fn pool_slots_used(&self) -> usize {
        self.shared.pool.used()
    }

    /// Who this node is; where there are keys, with the nonce that follows from them.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.shared.identity
    }

    /// The process.
    #[must_use]
    pub fn process(&self) -> ProcessId {
        self.shared.identity.process
    }

    /// The tracer.
    #[must_use]
    pub fn tracer(&self) -> &T {
        &self.shared.tracer
    }

    /// The tracer, to be changed.
    pub fn tracer_mut(&mut self) -> &mut T {
        &mut self.shared.tracer
    }

    /// The counters.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// The endpoint at `at`, to which something happens, and what it is lent.
    #[inline]
    fn lend(&mut self, at: usize) -> (&mut Endpoint, Cx<'_>) {
        let cx = self.shared.cx(self.groups.len());
        (self.groups.wake(at, cx.now), cx)
    }

    /// Drops endpoints that were left and have nothing more to say.
    fn drop_gone(&mut self) {
        while let Some(endpoint) = self.groups.drop_gone() {
            self.shared.pool.release(endpoint.size().slots());
        }
    }
}

#[cfg(test)]
mod tests;
