//! The endpoint of one group: a facade over [`crate::sync`] and [`crate::cast`], with no protocol of its own.
//!
//! It carries numbers between the two: prefixes into cuts, agreed cuts into bounds of delivery, members outside T into
//! forwards. This file is what the application and the node call; [`change`] is the way from a start_change to the
//! view, [`output`] is what goes out, [`peers`] is who is suspected, [`reach`] is who hears multicasts.

mod action;
mod change;
mod early;
mod error;
pub(crate) mod observe;
mod output;
mod peers;
mod primary;
mod queue;
mod reach;
mod size;
mod status;
mod transmit;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::cast::{Cast, CastCounters, ViewHeader};
use crate::config::{Blocking, GroupConfig};
use crate::ident::{
    Cid, FNV_OFFSET, GroupKey, GroupName, Identity, Incarnation, Seq, ViewId, fnv1a,
};
use crate::member::DetachReason;
use crate::member::client::Client;
use crate::member::past::Past;
use crate::pool::Pool;
use crate::status::Counters;
use crate::sync::{Automaton, Block};
use crate::time::{Time, Wake, earlier};
use crate::trace::{Event, Mark, Tracer};
use crate::view::{Members, View};
use crate::wire::packet::Packet;

pub use action::Action;
pub use error::{BlockOkError, SendError, Sent};
pub use size::GroupSize;
pub use transmit::{Dest, Route, Transmit, Verdict};

use early::Early;
use output::Resend;
use peers::{AddressBook, Suspicions};
use primary::Primary;
use queue::Queue;
use reach::Reachability;

/// Events that wait for the application, besides messages and views, which are derived from state.
const EVENTS_MAX: usize = 16;

/// What is left of the groups that were left: ids go on from there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Left {
    /// Groups left so far.
    pub(crate) count: u64,
    /// The highest cid of any of them.
    pub(crate) cid: Cid,
    /// The highest view id of any of them.
    pub(crate) view: ViewId,
}

/// What the node lends to an endpoint for the time of a call.
pub(crate) struct Cx<'a> {
    pub(crate) now: Time,
    pub(crate) identity: &'a Identity,
    pub(crate) body_bytes: usize,
    /// Groups of the node.
    pub(crate) groups: usize,
    pub(crate) pool: &'a mut Pool,
    pub(crate) client: &'a mut Client,
    pub(crate) counters: &'a mut Counters,
    pub(crate) tracer: &'a mut dyn Tracer,
}

/// Where the endpoint is between joining and gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Live,
    /// Own messages are being made stable before the attachment is given up, until the deadline at the latest.
    Leaving(Time),
    /// Detached for good: the application was told why and has to leave.
    Ended,
    /// Left: nothing more happens.
    Left,
}

#[derive(Debug)]
enum AppEvent {
    Block,
    /// At most once a view: the next one is installed when nothing waits here.
    Primary,
    Detached(DetachReason),
    Left {
        unsent: usize,
    },
}

/// The cast of the view before, kept while members of T may still need it (rule 5.9).
#[derive(Debug)]
struct Previous {
    cast: Cast,
    header: ViewHeader,
    view: View,
}

#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) name: GroupName,
    pub(crate) key: GroupKey,
    config: GroupConfig,
    size: GroupSize,
    phase: Phase,
    sync: Automaton,
    cast: Cast,
    header: ViewHeader,
    /// Up to where each stream may be delivered, by rank; `None` in a stable view.
    limits: Option<Vec<Seq>>,
    transitional: Members,
    previous: Option<Previous>,
    /// Members of the current view that have not shown yet that they have installed it.
    unmoved: Members,
    primary: Primary,
    book: AddressBook,
    /// Where large messages are put together for delivery.
    reassembly: Vec<u8>,
    early: Early,
    queue: Queue,
    events: VecDeque<AppEvent>,
    /// The length of a message that was refused: the application is told when there is room for it.
    refused: Option<usize>,
    /// The attachment ended; a new one is asked for when the application has caught up.
    reattach: bool,
    /// Forwards of the matched view were handed to the cast.
    forwarded: bool,
    resend: Resend,
    suspicions: Suspicions,
    reach: Reachability,
    /// When the application was asked to stop sending.
    block_asked: Option<Time>,
    /// Ids that this process was given in groups that it has left.
    before: (Cid, ViewId),
}

/// What an endpoint can do next for the application.
enum Ready {
    Event,
    Deliver,
    Install,
    Writable,
}

/// Messages in the current view.
#[cfg(feature = "sim")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ViewTraffic {
    /// Own ones that were taken, those that wait for room included.
    pub(crate) sent: u64,
    /// Delivered ones, of all senders.
    pub(crate) delivered: u64,
}

impl Endpoint {
    /// A new endpoint in its initial view; asks for membership. The caller has reserved the pool slots.
    pub(crate) fn join(
        cx: &mut Cx<'_>,
        name: &GroupName,
        config: GroupConfig,
        size: GroupSize,
        left: &Left,
    ) -> Self {
        let key = name.key();
        let sync = Automaton::new(cx.identity.process, config.left_out());
        let header = ViewHeader::new(key, sync.current(), 0);
        let cast = Cast::new(&config, size.cast(), 1, 0, cx.now, cx.identity.seed ^ key.0);
        let mut endpoint = Self {
            name: name.clone(),
            key,
            phase: Phase::Live,
            sync,
            cast,
            header,
            limits: None,
            transitional: Members::new(),
            previous: None,
            unmoved: Members::new(),
            primary: Primary::default(),
            book: AddressBook::default(),
            reassembly: alloc::vec![0; config.message_bytes_max],
            early: Early::new(config.early_packets_max),
            queue: Queue::new(config.queue_bytes),
            events: VecDeque::with_capacity(EVENTS_MAX),
            refused: None,
            reattach: false,
            forwarded: false,
            resend: Resend::default(),
            suspicions: Suspicions::default(),
            reach: Reachability::default(),
            block_asked: None,
            before: (left.cid, left.view),
            size,
            config,
        };
        let incarnation = Incarnation::new(cx.identity.incarnation.millis() + left.count);
        endpoint.trace(cx, Event::Start { incarnation });
        endpoint.attach(cx);
        endpoint
    }

    pub(crate) fn is_changing(&self) -> bool {
        self.sync.change().is_some()
    }

    pub(crate) fn view(&self) -> &View {
        self.sync.current()
    }

    /// The highest cid and view id that this process was given, here or before.
    pub(crate) fn last_ids(&self) -> (Cid, ViewId) {
        let (cid, view) = self.before;
        (cid.max(self.sync.last_cid()), view.max(self.sync.last_view_id()))
    }

    pub(crate) fn size(&self) -> &GroupSize {
        &self.size
    }

    /// Whether nothing more happens here and the node may drop it.
    pub(crate) fn is_gone(&self) -> bool {
        self.phase == Phase::Left && self.events.is_empty()
    }

    /// What was counted in the current view.
    pub(crate) fn cast_counters(&self) -> &CastCounters {
        self.cast.counters()
    }

    #[cfg(feature = "sim")]
    pub(crate) fn traffic(&self) -> ViewTraffic {
        ViewTraffic {
            sent: self.cast.accepted() + self.queue.len() as u64,
            delivered: self.cast.counters().delivered,
        }
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = core::net::SocketAddr> + '_ {
        self.book.peers(|_| true)
    }

    fn trace(&self, cx: &mut Cx<'_>, event: Event) {
        if cx.tracer.enabled() {
            self.show(cx, Some(&event));
            cx.tracer.record(cx.now, cx.identity.process, &self.name, event);
        }
    }

    fn attach(&mut self, cx: &mut Cx<'_>) {
        self.reattach = false;
        let announced = self.sync.announced();
        let (last_cid, last_view) = self.last_ids();
        let past = Past {
            last_cid,
            last_view,
            pending: self.sync.change().map(|change| change.cid),
            mbr_view: (announced.id() != ViewId::default()).then(|| announced.clone()),
        };
        let members_max = self.config.members_max as u16; // at most VIEW_MEMBERS_MAX
        cx.client.attach(cx.now, &self.name, members_max, past);
    }

    /// Whether the first membership view is still to come: until then messages have nobody to go to.
    fn is_waiting_for_first_view(&self) -> bool {
        self.sync.current().id() == ViewId::default()
    }

    /// Takes a message of the application.
    pub(crate) fn send(&mut self, cx: &mut Cx<'_>, payload: &[u8]) -> Result<Sent, SendError> {
        if self.phase != Phase::Live {
            return Err(SendError::NotJoined);
        }
        let (len, max) = (payload.len(), self.config.message_bytes_max);
        if len > max {
            return Err(SendError::TooLarge { len, max });
        }
        let result = self.take(cx, payload);
        if let Err(error) = &result {
            self.refused = Some(len);
            if *error == SendError::WindowFull {
                cx.tracer.mark(Mark::WindowFull);
            }
        }
        result
    }

    fn take(&mut self, cx: &mut Cx<'_>, payload: &[u8]) -> Result<Sent, SendError> {
        if self.may_send_now() {
            return self.accept(cx, payload).map(Sent::Now).ok_or(SendError::WindowFull);
        }
        if self.config.blocking == Blocking::Manual && self.queue.is_empty() {
            return Err(SendError::Blocked);
        }
        if !self.queue.fits(payload.len()) {
            return Err(SendError::WindowFull);
        }
        self.queue.push(payload);
        Ok(Sent::Queued(self.queue.len() - 1))
    }

    /// Whether a message goes into the current view, if the window has room.
    fn may_send_now(&self) -> bool {
        self.sync.may_send() && !self.is_waiting_for_first_view() && self.queue.is_empty()
    }

    /// Accepts a message in the current view: from here on it cannot be lost (rule 5.1).
    fn accept(&mut self, cx: &mut Cx<'_>, payload: &[u8]) -> Option<u64> {
        let n = self.cast.push(cx.pool, cx.now, payload).ok()?;
        if cx.tracer.enabled() {
            let (hash, len) = (fnv1a(FNV_OFFSET, payload), payload.len() as u64);
            self.trace(cx, Event::Send { n, hash, len });
        }
        Some(n)
    }

    /// Whether waiting messages may go into the view.
    fn may_flush(&self) -> bool {
        self.sync.may_send() && !self.is_waiting_for_first_view()
    }

    /// Moves waiting messages into the view as far as the window has room.
    fn flush_queue(&mut self, cx: &mut Cx<'_>) {
        if self.queue.is_empty() || !self.may_flush() {
            return;
        }
        while let Some(payload) = self.queue.front() {
            let Ok(n) = self.cast.push(cx.pool, cx.now, payload) else { return };
            if cx.tracer.enabled() {
                let (hash, len) = (fnv1a(FNV_OFFSET, payload), payload.len() as u64);
                self.trace(cx, Event::Send { n, hash, len });
            }
            self.queue.pop();
        }
    }

    /// The application has stopped sending (manual blocking).
    pub(crate) fn block_ok(&mut self, cx: &mut Cx<'_>) -> Result<(), BlockOkError> {
        if self.phase == Phase::Left {
            return Err(BlockOkError::NotJoined);
        }
        if self.sync.block() != Block::Requested || self.phase == Phase::Ended {
            return Err(BlockOkError::NotRequested);
        }
        self.blocked(cx);
        Ok(())
    }

    /// Gives up membership once own messages are stable.
    pub(crate) fn leave(&mut self, cx: &mut Cx<'_>) -> bool {
        match self.phase {
            Phase::Live => {
                self.phase = Phase::Leaving(cx.now.plus_ms(self.config.peer_ms));
                self.try_leave(cx);
                true
            }
            Phase::Ended => {
                self.finish(cx);
                true
            }
            Phase::Leaving(_) | Phase::Left => false,
        }
    }

    /// Leaves if own messages are stable, those of the view before, too (rule 5.9), or if that has taken too long.
    fn try_leave(&mut self, cx: &mut Cx<'_>) {
        let Phase::Leaving(deadline) = self.phase else { return };
        let is_flushed = self.queue.is_empty() && self.cast.is_flushed() && self.previous.is_none();
        if is_flushed || cx.now >= deadline {
            self.finish(cx);
        }
    }

    fn finish(&mut self, cx: &mut Cx<'_>) {
        if self.phase != Phase::Ended {
            self.trace(cx, Event::Leave);
        }
        cx.client.detach(cx.now, self.key);
        let unsent = self.queue.clear();
        self.release(cx.pool);
        self.events.clear();
        self.events.push_back(AppEvent::Left { unsent });
        self.phase = Phase::Left;
    }

    /// Ends the membership for good, for a reason that the application is told.
    fn end(&mut self, cx: &mut Cx<'_>, reason: DetachReason) {
        match self.phase {
            Phase::Live => {}
            // Leaving was asked for, and that is what it comes to.
            Phase::Leaving(_) => return self.finish(cx),
            Phase::Ended | Phase::Left => return,
        }
        self.trace(cx, Event::Leave);
        cx.client.detach(cx.now, self.key);
        self.release(cx.pool);
        self.phase = Phase::Ended;
        self.events.push_back(AppEvent::Detached(reason));
    }

    /// Gives all pool slots back.
    fn release(&mut self, pool: &mut Pool) {
        self.cast.clear(pool);
        if let Some(mut previous) = self.previous.take() {
            previous.cast.clear(pool);
        }
        self.early.clear(pool);
    }

    fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Live | Phase::Leaving(_))
    }

    /// Whether a message waits that may be delivered.
    fn has_delivery(&self) -> bool {
        self.cast.has_deliverable(|r| limit(self.limits.as_deref(), r))
    }

    fn ready(&self) -> Option<Ready> {
        if !self.events.is_empty() {
            return Some(Ready::Event);
        }
        if !self.is_active() {
            return None;
        }
        if self.has_delivery() {
            return Some(Ready::Deliver);
        }
        if self.limits.is_some() && self.sync.installable(|r| self.cast.delivered(r)) {
            return Some(Ready::Install);
        }
        self.is_writable().then_some(Ready::Writable)
    }

    fn is_writable(&self) -> bool {
        let Some(len) = self.refused else { return false };
        if self.may_send_now() {
            return self.cast.can_accept(len);
        }
        let queues = self.config.blocking == Blocking::Auto || !self.queue.is_empty();
        queues && self.queue.fits(len)
    }

    /// The application is done with the payload that it was lent last: what that frees is used, also where nobody else
    /// would wake this group for it.
    pub(crate) fn take_back(&mut self, cx: &mut Cx<'_>) {
        if self.is_active() {
            self.cast.take_back(cx.pool, cx.now);
            self.flush_queue(cx);
            self.reattach_when_caught_up(cx);
            self.try_leave(cx);
        }
    }

    /// Something happens to it after a time in which there was nothing to do.
    pub(crate) fn woken(&mut self, now: Time) {
        self.nothing_was_owed(now);
    }

    /// Whether the application has to be asked: it has something to hear, or frees what the next message waits for; or
    /// the node has to drop it.
    pub(crate) fn is_busy(&self) -> bool {
        self.has_action() || self.is_gone() || (!self.queue.is_empty() && self.may_flush())
    }

    /// Whether [`Endpoint::next_action`] has something to say.
    pub(crate) fn has_action(&self) -> bool {
        self.ready().is_some()
    }

    /// The next event for the application.
    pub(crate) fn next_action<'a>(&'a mut self, mut cx: Cx<'a>) -> Option<Action<'a>> {
        match self.ready()? {
            Ready::Event => self.events.pop_front().map(|event| self.event_action(event)),
            Ready::Install => self.install(&mut cx),
            Ready::Writable => {
                self.refused = None;
                Some(Action::Writable { group: self.key })
            }
            Ready::Deliver => self.deliver(cx),
        }
    }

    fn event_action(&self, event: AppEvent) -> Action<'static> {
        let group = self.key;
        match event {
            AppEvent::Block => Action::Block { group },
            AppEvent::Primary => Action::Primary { group },
            AppEvent::Detached(reason) => Action::Detached { group, reason },
            AppEvent::Left { unsent } => Action::Left { group, unsent },
        }
    }

    fn deliver<'a>(&'a mut self, cx: Cx<'a>) -> Option<Action<'a>> {
        let limits = self.limits.as_deref();
        let delivered =
            self.cast.deliver_next(cx.pool, cx.now, &mut self.reassembly, |r| limit(limits, r))?;
        let from = self.sync.current().members()[usize::from(delivered.from)];
        if cx.tracer.enabled() {
            let hash = fnv1a(FNV_OFFSET, delivered.payload);
            let len = delivered.payload.len() as u64;
            let event = Event::Deliver { from, n: delivered.number, hash, len };
            observe::show(cx.tracer, cx.now, &self.name, &self.sync, &self.cast, Some(&event));
            cx.tracer.record(cx.now, cx.identity.process, &self.name, event);
        }
        cx.counters.delivered += 1;
        Some(Action::Deliver {
            group: self.key,
            from,
            number: delivered.number,
            payload: delivered.payload,
        })
    }

    /// A datagram of this group.
    pub(crate) fn handle_packet(&mut self, cx: &mut Cx<'_>, packet: Packet<'_>) -> Verdict {
        if !self.is_active() {
            return Verdict::Foreign;
        }
        let verdict = self.dispatch(cx, packet);
        self.flush_queue(cx);
        self.try_leave(cx);
        verdict
    }

    /// The earliest time at which [`Endpoint::handle_timeout`] has something to do.
    pub(crate) fn poll_timeout(&self) -> Option<(Time, Wake)> {
        if !self.is_active() {
            return None;
        }
        let previous = self.previous.as_ref().and_then(|previous| previous.cast.poll_timeout());
        let leaving = match self.phase {
            Phase::Leaving(deadline) => Some((deadline, Wake::Peer)),
            _ => None,
        };
        // After each datagram somebody asks for this: nothing is put in a list first.
        let next = earlier(self.cast.poll_timeout(), previous);
        let next = earlier(next, self.resend_timeout());
        let next = earlier(next, self.suspicion_timeout());
        let next = earlier(next, self.reach_timeout());
        let next = earlier(next, self.block_timeout());
        earlier(earlier(next, self.reattach_timeout()), leaving)
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        if !self.is_active() {
            return;
        }
        self.cast.handle_timeout(cx.now);
        if let Some(previous) = &mut self.previous {
            previous.cast.handle_timeout(cx.now);
        }
        self.handle_resend_timeout(cx);
        self.handle_suspicion_timeout(cx);
        self.handle_reach_timeout(cx.now);
        self.handle_block_timeout(cx);
        self.reattach_when_caught_up(cx);
        self.try_leave(cx);
    }
}

/// Up to where the stream of rank `r` may be delivered.
fn limit(limits: Option<&[Seq]>, r: crate::ident::Rank) -> Seq {
    limits.map_or(Seq::MAX, |limits| limits.get(usize::from(r)).copied().unwrap_or(0))
}
