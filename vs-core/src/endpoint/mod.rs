//! The endpoint of one group: it joins [`crate::sync`] and [`crate::cast`], and has no protocol of
//! its own.
//!
//! It carries numbers between the two: prefixes of streams into cuts, agreed cuts into bounds of
//! delivery, members outside the transitional set into forwards.
//!
//! | What happens | File |
//! |---|---|
//! | the application sends, or answers a block request | [`send`] |
//! | a datagram of the group arrives | [`dispatch`] |
//! | the membership service proposes, announces or detaches | [`membership`] |
//! | a change of the view makes progress | [`change`] |
//! | an ordered view ends | [`ordered`] |
//! | a view is installed | [`install`] |
//! | the view does not hold any more for a process that is cut off | [`lapse`] |
//! | time passes | [`timeout`] |
//! | datagrams are asked for | [`output`] |
//! | the application is told something | [`deliver`] |
//! | one member sends to another alone | [`direct`] |
//! | the group is left | [`leave`] |
//!
//! The state is in values that own it: [`Installed`] (the multicast of a view), [`Moved`] (who has
//! installed the view), [`Progress`] (of a change), [`Deferred`] (what waits for the next view),
//! [`Resend`] (of sync messages), [`Suspicions`] (who owes something), [`Reachability`] (who hears
//! multicasts), [`PathSize`] (how long datagrams may be), [`Primary`], [`Lease`] (whether the view
//! holds), [`Early`] (packets of views to come), [`Queue`] (messages for the next view),
//! [`Events`], [`Directs`], [`Attachment`], [`AddressBook`].

mod action;
mod attachment;
mod book;
mod change;
mod cx;
mod deferred;
mod deliver;
mod direct;
mod dispatch;
mod early;
mod error;
mod events;
mod install;
mod installed;
mod lapse;
mod lease;
mod leave;
mod mail;
mod membership;
mod moved;
pub(crate) mod observe;
mod ordered;
mod output;
mod path;
mod primary;
mod profile;
mod progress;
mod queue;
mod reach;
mod resend;
mod sealing;
mod seals;
mod send;
mod size;
mod status;
mod suspicions;
mod timeout;
mod transmit;
mod waits;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::cast::CastCounters;
use crate::config::GroupConfig;
use crate::ident::{GroupKey, GroupName, Incarnation, ProcessId, ViewId};
use crate::order::Order;
use crate::rule::Rules;
use crate::sync::Automaton;
use crate::trace::Event;
use crate::view::{Clusters, Note, View};
use crate::wire::datagram::TransmitCounter;

pub use action::Action;
pub(crate) use attachment::LeftGroups;
pub(crate) use cx::Cx;
pub use error::{BlockOkError, DirectError, NoteError, SendError, Sent};
pub use mail::DIRECT_QUEUE_BYTES;
pub use size::GroupSize;
pub use transmit::{Dest, Route, Transmit, Verdict};
pub use waits::WaitsFor;

use attachment::{Attachment, HighestIds, Phase};
use book::AddressBook;
use deferred::Deferred;
use early::Early;
use events::Events;
use installed::Installed;
use lease::Lease;
use mail::Directs;
use moved::Moved;
use path::PathSize;
use primary::Primary;
use profile::Settings;
use progress::Progress;
use queue::Queue;
pub(crate) use reach::Budget;
use reach::Reachability;
use resend::Resend;
use seals::Seals;
use suspicions::Suspicions;

/// The endpoint of one group.
#[derive(Debug)]
pub(crate) struct Endpoint {
    name: GroupName,
    key: GroupKey,
    config: Settings,
    attachment: Attachment,
    sync: Automaton,
    /// The current view.
    current: Installed,
    /// The view before, kept while members of the transitional set may still need its packets (rule
    /// 5.9).
    previous: Option<Installed>,
    /// Numbers the datagrams of both.
    transmit_counter: TransmitCounter,
    /// Seals and opens them, where there are keys.
    seals: Option<Box<Seals>>,
    moved: Moved,
    primary: Primary,
    lease: Lease,
    progress: Progress,
    /// Who came with whom to the current view, in groups with clusters.
    clusters: Option<Clusters>,
    /// What the next own sync message carries.
    note: Note,
    /// What the membership service said while the view ends.
    deferred: Deferred,
    resend: Resend,
    book: AddressBook,
    suspicions: Suspicions,
    reach: Reachability,
    path: PathSize,
    early: Early,
    /// Messages that wait for the next view.
    queue: Queue,
    /// The length of a message that was refused: the application is told when there is room for it.
    refused: Option<usize>,
    events: Events,
    directs: Directs,
    /// Where large messages are put together for delivery.
    reassembly: Vec<u8>,
}

impl Endpoint {
    /// A new endpoint in its initial view; asks for membership. The caller has reserved the pool
    /// slots.
    pub(crate) fn join(
        cx: &mut Cx<'_>,
        name: &GroupName,
        config: GroupConfig,
        size: GroupSize,
        left: &LeftGroups,
        rules: Rules,
    ) -> Self {
        let key = name.key();
        let sync = Automaton::new(cx.identity.process, rules);
        let sync = match config.clusters {
            true => sync.with_clusters(config.members_max),
            false => sync,
        };
        let mut endpoint = Self {
            name: name.clone(),
            key,
            attachment: Attachment::new(left.ids()),
            current: Installed::alone(cx, &config, size.cast(), key, sync.current(), rules),
            sync,
            previous: None,
            transmit_counter: left.transmit_counter(),
            seals: Seals::of(cx, key, (config.early_packets_max, size.sealed_bytes())),
            moved: Moved::default(),
            primary: Primary::default(),
            lease: Lease::default(),
            progress: Progress::default(),
            clusters: None,
            note: Note::default(),
            deferred: Deferred::default(),
            resend: Resend::default(),
            book: AddressBook::default(),
            suspicions: Suspicions::default(),
            reach: Reachability::new(cx.identity.seed ^ key.0),
            path: PathSize::default(),
            early: Early::new(config.early_packets_max),
            queue: Queue::new(config.queue_bytes),
            refused: None,
            events: Events::new(),
            directs: Directs::new(),
            reassembly: alloc::vec![0; config.message_bytes_max],
            config: Settings::new(config, size),
        };
        let (order, clusters) = (endpoint.config.order, endpoint.config.clusters);
        if order != Order::Fifo || clusters {
            endpoint.trace(cx, Event::Join { order, clusters });
        }
        let incarnation = Incarnation::new(cx.identity.incarnation.millis() + left.count());
        endpoint.trace(cx, Event::Start { incarnation });
        endpoint.attach(cx);
        endpoint
    }

    pub(crate) fn name(&self) -> &GroupName {
        &self.name
    }

    pub(crate) fn key(&self) -> GroupKey {
        self.key
    }

    pub(crate) fn size(&self) -> &GroupSize {
        self.config.size()
    }

    pub(crate) fn view(&self) -> &View {
        self.sync.current()
    }

    pub(crate) fn is_changing(&self) -> bool {
        self.sync.change().is_some()
    }

    /// What numbers its datagrams.
    pub(crate) fn transmit_counter(&self) -> TransmitCounter {
        self.transmit_counter
    }

    /// The highest ids that this process was given, here or before.
    pub(crate) fn highest_ids(&self) -> HighestIds {
        let here = HighestIds::new(self.sync.last_cid(), self.sync.last_view_id());
        let waiting =
            HighestIds::new(self.deferred.cid().unwrap_or_default(), self.deferred.view_id());
        self.attachment.ids_before().max(here).max(waiting)
    }

    /// Whether nothing more happens here and the node may drop it.
    pub(crate) fn is_gone(&self) -> bool {
        self.attachment.phase() == Phase::Left && self.events.is_empty()
    }

    /// What was counted in the current view.
    pub(crate) fn cast_counters(&self) -> &CastCounters {
        self.current.cast().counters()
    }

    /// Data addresses of the other members of the view and of the change under way.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = core::net::SocketAddr> + '_ {
        self.book.addresses(|_| true)
    }

    /// Members of the view and of the proposed one, as they are known.
    #[cfg(feature = "sim")]
    pub(crate) fn peers(&self) -> impl Iterator<Item = crate::member::message::Peer> + '_ {
        self.book.peers().iter().copied()
    }

    /// Members of the view or the proposed one that said that they hear no multicast of this
    /// process.
    pub(crate) fn unheard_by(&self) -> &[ProcessId] {
        self.reach.unheard_by()
    }

    /// Members of the view whose datagrams to this process alone do not arrive, though their
    /// multicasts do.
    pub(crate) fn unicast_missing_from(&self) -> &[ProcessId] {
        self.reach.unicast_missing_from()
    }

    /// The longest datagrams that come through to all members, in bytes, if full ones do not, and
    /// the members at which they do not arrive.
    pub(crate) fn narrow_path(&self) -> Option<(usize, &[ProcessId])> {
        self.path.narrow()
    }

    /// How a datagram for the group is carried.
    pub(crate) fn routes(&self) -> impl Iterator<Item = Route> + '_ {
        self.reach.routes(&self.book)
    }

    /// Whether the first membership view is still to come: until then messages have nobody to go
    /// to.
    fn is_waiting_for_first_view(&self) -> bool {
        self.sync.current().id() == ViewId::default()
    }

    fn trace(&self, cx: &mut Cx<'_>, event: Event) {
        if cx.tracer.enabled() {
            self.show(cx, Some(&event));
            cx.record(&self.name, event);
        }
    }
}
