//! Which links to other servers count, and whom the server leaves out.
//!
//! Each change of whom a server counts on costs its groups a view. So a link that is lost counts on for the grace of the
//! clients at its other end, and one that was lost for longer is ready again only once it has held for a while, which is
//! doubled each time. A link that comes and goes faster than that costs nothing more. The first time it is ready at once.
//!
//! A link that is ready counts when those with whom this server shares views are ready for that server, too: if one began
//! before the other, the newcomer might take the other's place for that time.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use super::words::Word;
use super::{Note, Server, ServerConfig, notify};
use crate::ident::ServerId;
use crate::time::Time;

/// What is made of the link to one peer.
#[derive(Clone, Copy, Debug)]
struct Link {
    connected: bool,
    /// When it came or went last.
    since: Time,
    counts: bool,
    /// It has held for long enough.
    ready: bool,
    /// It ceased to count a moment ago: others may not know yet.
    written_off: bool,
    /// How long it has to hold before it counts again, in ms.
    hold_ms: u64,
}

impl Link {
    /// When it is ready, begins or ceases to count whatever others do, or ceases to be written off.
    fn due(&self, config: &ServerConfig) -> Option<Time> {
        match (self.connected, self.counts) {
            (true, false) if !self.ready => Some(self.since.plus_ms(self.hold_ms)),
            // Another one may have been reached so much later.
            (true, false) => Some(self.since.plus_ms(self.hold_ms + config.reach_ms())),
            (false, true) => Some(self.since.plus_ms(config.reattach_ms)),
            // Others may miss it as much later as it takes to miss a silent one.
            (false, false) if self.written_off => {
                Some(self.since.plus_ms(config.reattach_ms + config.silence_ms))
            }
            _ => None,
        }
    }

    /// It ceases to count; the next time it has to hold for longer.
    fn cease(&mut self, config: &ServerConfig) {
        (self.counts, self.written_off) = (false, true);
        self.hold_ms = (2 * self.hold_ms).max(config.link_hold_ms).min(config.link_hold_max_ms);
    }
}

/// The links to all peers that were ever connected, within a bound.
#[derive(Debug, Default)]
pub(super) struct Links(BTreeMap<ServerId, Link>);

impl Links {
    /// `server` is connected. If it began another life the link is as one that is new.
    pub(super) fn up(&mut self, now: Time, server: ServerId, reborn: bool, config: &ServerConfig) {
        if !self.0.contains_key(&server) && self.0.len() >= config.connections_max {
            self.0.retain(|_, link| link.connected || link.counts);
        }
        let link = self.0.entry(server).or_insert(Link {
            connected: true,
            since: now,
            counts: false,
            ready: false,
            written_off: false,
            hold_ms: 0,
        });
        (link.connected, link.since, link.written_off) = (true, now, false);
        if reborn {
            link.hold_ms = 0;
        }
        link.ready = link.counts || link.hold_ms == 0;
    }

    /// `server` is connected no more. If the link has held for long it is as one that is new.
    pub(super) fn down(&mut self, now: Time, server: ServerId, config: &ServerConfig) {
        let Some(link) = self.0.get_mut(&server) else { return };
        if link.counts && now.millis_since(link.since) >= config.link_forgive_ms {
            link.hold_ms = 0;
        }
        (link.connected, link.since, link.ready) = (false, now, false);
    }

    /// Whether any link is ready now or began to count, and whether any ceased to, or to be written off, by `now`.
    fn look(&mut self, now: Time, config: &ServerConfig) -> (bool, bool) {
        let (mut began, mut ceased) = (false, false);
        for link in self.0.values_mut() {
            while link.due(config).is_some_and(|at| now >= at) {
                match (link.connected, link.counts) {
                    (true, _) if link.ready => (link.counts, began) = (true, true),
                    (true, _) => (link.ready, began) = (true, true),
                    (false, true) => {
                        link.cease(config);
                        ceased = true;
                    }
                    (false, false) => (link.written_off, ceased) = (false, true),
                }
            }
        }
        (began, ceased)
    }

    pub(super) fn poll_timeout(&self, config: &ServerConfig) -> Option<Time> {
        self.0.values().filter_map(|link| link.due(config)).min()
    }

    /// What others are told: the servers on whose links this one counts, and those that are ready; ascending.
    pub(super) fn word(&self) -> (Vec<ServerId>, Vec<ServerId>) {
        let those = |which: fn(&Link) -> bool| {
            self.0.iter().filter(|(_, link)| which(link)).map(|(server, _)| *server).collect()
        };
        (those(|link| link.counts), those(|link| link.ready && !link.counts))
    }

    /// Counts on `server` from now on.
    fn begin(&mut self, server: ServerId) {
        if let Some(link) = self.0.get_mut(&server) {
            link.counts = true;
        }
    }

    /// Whether the link to `server` counts as soon as others are ready for it.
    fn is_ready(&self, server: ServerId) -> bool {
        self.0.get(&server).is_some_and(|link| link.ready && !link.counts)
    }

    /// Whether `server` is connected, though its link may not count yet.
    pub(super) fn is_connected(&self, server: ServerId) -> bool {
        self.0.get(&server).is_some_and(|link| link.connected)
    }

    /// Those that are or were connected, and whether they are; ascending.
    pub(super) fn known(&self) -> impl Iterator<Item = (ServerId, bool)> + '_ {
        self.0.iter().map(|(server, link)| (*server, link.connected))
    }

    /// Whether any server is.
    pub(super) fn is_any_connected(&self) -> bool {
        self.0.values().any(|link| link.connected)
    }

    /// Those that are connected and do not count yet.
    fn waiting(&self) -> impl Iterator<Item = ServerId> {
        let waits = |link: &Link| link.connected && !link.counts;
        self.0.iter().filter(move |(_, link)| waits(link)).map(|(server, _)| *server)
    }

    /// Whether this server counts on the link to `server`, though that may be lost just now.
    pub(super) fn counts(&self, server: ServerId) -> bool {
        self.0.get(&server).is_some_and(|link| link.counts)
    }

    /// Those that it reaches, ascending.
    pub(super) fn reached(&self) -> Vec<ServerId> {
        let reached = self.0.iter().filter(|(_, link)| link.counts && link.connected);
        reached.map(|(server, _)| *server).collect()
    }

    /// Whether the word of others that they reach `server` is not believed: it is lost, and if it is dead they miss it a
    /// little earlier or later. Whoever took it for a server on the side of some would find itself on another one.
    pub(super) fn is_lost(&self, server: ServerId) -> bool {
        self.0.get(&server).is_some_and(|l| !l.connected && (l.counts || l.written_off))
    }

    /// How long the link to `server` has to hold before it is ready, in ms; none if it is.
    fn held_off(&self, server: ServerId) -> Option<u64> {
        self.0.get(&server).filter(|link| !link.counts && !link.ready).map(|link| link.hold_ms)
    }
}

/// Why the clients of a server that is connected are in no view with those of this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeftOut {
    /// Its link came back after it was lost for longer than `reattach_ms`.
    Returned {
        /// The link counts once it has held for so long, in ms; longer each time.
        hold_ms: u64,
    },
    /// It and this server, or another one with which this server shares views, do not both count on their link: it is
    /// cut, or came back just now.
    Unlinked {
        /// That server.
        from: ServerId,
    },
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned { hold_ms } => {
                write!(f, "its link was lost and counts again once it has held for {hold_ms} ms")
            }
            Self::Unlinked { from } => write!(f, "it and server {from} do not reach each other"),
        }
    }
}

impl Server {
    /// What it makes of its links, for whoever looks for a fault.
    #[cfg(feature = "sim")]
    pub(crate) fn links_in_words(&self) -> alloc::string::String {
        alloc::format!("{:?}; they say {:?}", self.own_links, self.words)
    }

    /// Takes up links that count now, or no more, since time has passed.
    pub(super) fn look_at_links(&mut self) {
        let (began, ceased) = self.own_links.look(self.now, &self.config);
        if began || ceased {
            self.relink();
            self.tell_links();
            self.review_groups(ceased);
        }
    }

    /// Notes whom the servers reach, this one included, after that has changed, and counts on the links that are ready
    /// for all who are concerned. True if there are any.
    pub(super) fn relink(&mut self) -> bool {
        self.take_words();
        let mut began = false;
        for server in self.own_links.word().1 {
            let mut mates = self.clique.iter().filter(|mate| **mate != self.id);
            if mates.all(|mate| self.are_ready(*mate, server)) {
                self.own_links.begin(server);
                self.take_words();
                began = true;
            }
        }
        began
    }

    /// Whether `mate` and `server` are ready for each other, as they say; so it is with a mate that has said nothing.
    fn are_ready(&self, mate: ServerId, server: ServerId) -> bool {
        let word = |of, other| self.words.get(of).map(|word| word.is_ready_for(other));
        word(mate, server).is_none_or(|ready| ready && word(server, mate) == Some(true))
    }

    fn take_words(&mut self) {
        let own = self.own_links.reached();
        let believed = |server: &ServerId| !self.own_links.is_lost(*server);
        // Those on whom this server counts are about to count on each other.
        let counted = |server: &ServerId| own.binary_search(server).is_ok();
        let live = self.words.live(self.id);
        let word = |(server, word): (ServerId, &Word)| {
            let soon = word.ready.iter().filter(|other| counted(&server) && counted(other));
            let servers = word.servers.iter().filter(|server| believed(server));
            (server, servers.chain(soon).copied().collect())
        };
        let words = self.words.iter().filter(|(s, _)| live.contains(s) && believed(s));
        let mut words: BTreeMap<_, _> = words.map(word).collect();
        // Whoever was never reached is taken at the word of others, but one that is about to speak is not.
        for server in self.own_links.waiting() {
            words.entry(server).or_default();
        }
        words.insert(self.id, own.clone());
        self.reached = words;
        self.clique = notify::clique(self.id, &self.reached);
    }

    /// Tells the operator whom the server leaves out since it was asked last, and whom no more.
    pub(super) fn note_left_out(&mut self) {
        let links = &self.reached;
        let clique = self.clique.clone();
        let why = |server: ServerId| {
            let waits = self.own_links.is_ready(server);
            let apart = |from: &ServerId| match waits {
                true => *from != self.id && !self.are_ready(*from, server),
                false => !notify::linked(links, *from, server),
            };
            if let Some(hold_ms) = self.own_links.held_off(server) {
                return LeftOut::Returned { hold_ms };
            }
            let from = clique.iter().copied().find(apart).unwrap_or(self.id);
            LeftOut::Unlinked { from }
        };
        let outside = self.connected().into_iter().filter(|server| !clique.contains(server));
        let left_out: BTreeMap<ServerId, LeftOut> = outside.map(|s| (s, why(s))).collect();
        let before = core::mem::replace(&mut self.left_out, left_out.clone());
        for (server, why) in &left_out {
            if before.get(server) != Some(why) {
                self.note(Note::LeftOut { server: *server, why: *why });
            }
        }
        for server in before.into_keys().filter(|server| clique.contains(server)) {
            self.note(Note::TakenIn { server });
        }
    }
}
