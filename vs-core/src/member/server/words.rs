//! What servers say of their links, and how that gets to those beyond.
//!
//! All servers of a component have to draw the lines between its cliques at the same places, so each needs the words of
//! all, not of its neighbours alone. A server says its own word to all that are connected to it. What it has of others it
//! passes on, a moment later, to those of its peers that the word does not name: in a full mesh that is nobody. Versions
//! order the words of one server, whichever way they came; one that hears a later word of its own than it ever said, which
//! is of an earlier life with a clock ahead of this one's, goes on above that.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::{Note, Server, ServerConfig};
use crate::ident::ServerId;
use crate::member::message::PeerWord;
use crate::time::Time;

/// Most servers that a word names, and most whose words are kept.
pub(super) const SERVERS_MAX: usize = 1024;

/// A server goes on above words of an earlier life so many times. Whoever is led on more often has a twin: another server
/// with its id, which goes on above it in turn.
const LED_ON_MAX: u8 = 4;

/// What a server says of its links.
#[derive(Clone, Debug)]
pub(super) struct Word {
    /// Grows with each word of that server.
    pub(super) version: u64,
    /// On whose links it counts, ascending.
    pub(super) servers: Vec<ServerId>,
    /// Whose links are ready, ascending.
    pub(super) ready: Vec<ServerId>,
}

impl Word {
    pub(super) fn new(version: u64, mut servers: Vec<ServerId>, mut ready: Vec<ServerId>) -> Self {
        servers.sort_unstable();
        ready.sort_unstable();
        Self { version, servers, ready }
    }

    /// Whether the one that said it has a link to `server` that counts or may.
    pub(super) fn is_ready_for(&self, server: ServerId) -> bool {
        self.servers.binary_search(&server).is_ok() || self.ready.binary_search(&server).is_ok()
    }

    /// All that it names.
    pub(super) fn named(&self) -> impl Iterator<Item = ServerId> + '_ {
        self.servers.iter().chain(&self.ready).copied()
    }

    fn said_by(&self, server: ServerId) -> PeerWord {
        let Self { version, servers, ready } = self.clone();
        PeerWord::Links { server, version, servers, ready }
    }
}

/// The latest word of each server, this one left out, and who has it.
#[derive(Debug, Default)]
pub(super) struct Words {
    words: BTreeMap<ServerId, Word>,
    /// The version of each server's word that a connected peer has, as far as is known.
    had: BTreeMap<ServerId, BTreeMap<ServerId, u64>>,
    /// When to pass on what peers do not have.
    pass_at: Option<Time>,
}

impl Words {
    pub(super) fn get(&self, server: ServerId) -> Option<&Word> {
        self.words.get(&server)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ServerId, &Word)> {
        self.words.iter().map(|(server, word)| (*server, word))
    }

    /// Of how many servers `peer` is known to have words.
    #[cfg(test)]
    pub(super) fn known_of(&self, peer: ServerId) -> usize {
        self.had.get(&peer).map_or(0, BTreeMap::len)
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.pass_at
    }

    /// `peer` is connected, and is about to speak.
    pub(super) fn up(&mut self, now: Time, peer: ServerId, config: &ServerConfig) {
        self.forget(peer);
        self.repeat(now, peer, config);
    }

    /// `peer` may have nothing of what it was told.
    pub(super) fn repeat(&mut self, now: Time, peer: ServerId, config: &ServerConfig) {
        self.had.insert(peer, BTreeMap::new());
        self.plan(now, config);
    }

    /// `peer` is connected no more. What it said last is of no use: it is about to say another word, or is dead.
    pub(super) fn down(&mut self, peer: ServerId) {
        self.forget(peer);
        self.had.remove(&peer);
    }

    /// The word of `server` is forgotten, and who has it.
    fn forget(&mut self, server: ServerId) {
        self.words.remove(&server);
        for had in self.had.values_mut() {
            had.remove(&server);
        }
    }

    /// Makes room for the word of one more server: of those that are not reached, and for what a peer says itself also of
    /// the others that are no peers. False if there is none.
    fn make_room(&mut self, me: ServerId, is_peer: bool) -> bool {
        let live = self.live(me);
        let away: Vec<ServerId> =
            self.words.keys().filter(|server| !live.contains(server)).copied().collect();
        away.into_iter().for_each(|server| self.forget(server));
        if is_peer && self.words.len() >= SERVERS_MAX {
            let had = &self.had;
            let far = self.words.keys().find(|server| !had.contains_key(server)).copied();
            far.into_iter().for_each(|server| self.forget(server));
        }
        self.words.len() < SERVERS_MAX
    }

    fn plan(&mut self, now: Time, config: &ServerConfig) {
        self.pass_at.get_or_insert(now.plus_ms(config.pass_on_ms));
    }

    /// Takes up what `of` said, as `peer` passes it on or says it itself.
    fn hear(&mut self, me: ServerId, peer: ServerId, of: ServerId, word: Word) -> Heard {
        if peer != of && self.had.contains_key(&of) {
            // It says that here itself. If it does not know the word, that is of its earlier life, or of its twin.
            let later = self.words.get(&of).is_none_or(|known| known.version < word.version);
            return if later { Heard::Earlier(word.said_by(of)) } else { Heard::Known };
        }
        let is_full = self.words.len() >= SERVERS_MAX && !self.words.contains_key(&of);
        if is_full && !self.make_room(me, peer == of) {
            return Heard::Known;
        }
        let had = self.had.entry(peer).or_default().entry(of).or_default();
        *had = word.version.max(*had);
        match self.words.get(&of) {
            Some(known) if known.version > word.version => {
                *had = known.version;
                Heard::Older(known.said_by(of))
            }
            Some(known) if known.version == word.version => Heard::Known,
            _ => {
                self.words.insert(of, word);
                Heard::New
            }
        }
    }

    /// What `peer` lacks: words that do not name it, for whoever names it tells it; and its own of an earlier life.
    fn take_lacked(&mut self, peer: ServerId) -> Vec<PeerWord> {
        let Some(had) = self.had.get_mut(&peer) else { return Vec::new() };
        let mut lacked = Vec::new();
        for (&server, word) in &self.words {
            let lacks = had.get(&server).is_none_or(|version| *version < word.version);
            if lacks && !word.is_ready_for(peer) {
                had.insert(server, word.version);
                lacked.push(word.said_by(server));
            }
        }
        lacked
    }

    /// Those that are reached from `me`, over others, by these words and by the connections to peers.
    pub(super) fn live(&self, me: ServerId) -> BTreeSet<ServerId> {
        let mut next: Vec<ServerId> = self.had.keys().copied().collect();
        let mut live = BTreeSet::from([me]);
        while let Some(server) = next.pop() {
            if live.insert(server) {
                next.extend(self.words.get(&server).into_iter().flat_map(Word::named));
            }
        }
        live
    }
}

/// What a word is worth.
enum Heard {
    New,
    /// There is no room for it, or it is the one that is known.
    Known,
    /// This one came later: whoever passes on the other does not have it.
    Older(PeerWord),
    /// It is for the one that it is of, which is connected and does not say so.
    Earlier(PeerWord),
}

impl Server {
    /// Says the own word to all peers.
    pub(super) fn tell_links(&mut self) {
        self.version += 1;
        let (servers, ready) = self.own_links.word();
        let word = Word { version: self.version, servers, ready };
        self.tell_peers(&word.said_by(self.id));
    }

    /// `peer` says, or passes on, what `of` said of its links.
    pub(super) fn hear_links(&mut self, peer: ServerId, of: ServerId, word: Word) {
        let most = SERVERS_MAX;
        let too_long = word.servers.len() > most || word.ready.len() > most;
        if too_long || word.version > self.versions_max() {
            return;
        }
        if of == self.id {
            return self.hear_own(word.version);
        }
        match self.words.hear(self.id, peer, of, word) {
            Heard::Known => return,
            Heard::Older(known) => return self.tell_server(peer, known),
            Heard::Earlier(word) => return self.tell_server(of, word),
            Heard::New => self.words.plan(self.now, &self.config),
        }
        let before = self.clique.clone();
        if self.relink() {
            self.tell_links();
        }
        self.review_groups(!before.iter().all(|mate| self.clique.contains(mate)));
    }

    /// A word of this server comes back. If this life never said it, it is of an earlier one.
    fn hear_own(&mut self, version: u64) {
        if version <= self.version || self.led_on > LED_ON_MAX {
            return;
        }
        self.led_on += 1;
        if self.led_on > LED_ON_MAX {
            return self.note(Note::DuplicateId { server: self.id });
        }
        self.version = version;
        self.tell_links();
    }

    /// Passes on what peers do not have, if it is time to.
    pub(super) fn pass_on(&mut self) {
        if self.words.pass_at.is_none_or(|at| self.now < at) {
            return;
        }
        self.words.pass_at = None;
        for peer in self.connected() {
            for word in self.words.take_lacked(peer) {
                self.tell_server(peer, word);
            }
        }
    }
}
