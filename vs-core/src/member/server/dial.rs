//! Which peers are dialled, and when. A runtime makes the connections and says what became of them.
//!
//! Each address that was named is dialled until a server answers there, and again when it is lost. Two servers that name
//! each other end with one connection: of several the first that the lower id made stays, and each side closes those of
//! its own that are too many, once the other one is known to use what is left.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use super::conn::Role;
use super::{ConnId, Note, Server, ServerConfig};
use crate::ident::ServerId;
use crate::member::message::Refusal;
use crate::status::{DialState, DialStatus};
use crate::time::Time;

/// Longest words of a runtime on why a connection cannot be made, in bytes.
const WORDS_BYTES_MAX: usize = 256;

/// Why a peer that was named is not connected.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerTrouble {
    /// There is no connection to its address, in the words of the system; or a server that was there says nothing.
    Unreachable(String),
    /// What listens there is no membership server: what it did instead.
    NoServer(&'static str),
    /// It speaks another version of the protocol.
    Version {
        /// The peer's version.
        peer: u16,
        /// Ours.
        own: u16,
    },
    /// It refuses this server.
    Refused(Refusal),
    /// It is this server itself, and not dialled again.
    Itself,
}

impl fmt::Display for PeerTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(words) => {
                write!(
                    f,
                    "the peer cannot be reached ({words}): start a server there; it is dialled again"
                )
            }
            Self::NoServer(what) => write!(
                f,
                "the peer does not answer as a membership server does ({what}): name the address of one"
            ),
            Self::Version { peer, own } => write!(
                f,
                "the peer speaks protocol version {peer}, this server {own}: upgrade the older of both"
            ),
            Self::Refused(refusal) => write!(f, "the peer refuses this server: {refusal}"),
            Self::Itself => {
                f.write_str("the address is one of this server itself, which needs none")
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// To be dialled.
    Waiting(Time),
    /// Dialled, at this time.
    Dialling(Time),
    /// There is a connection.
    Up(ConnId),
    /// The server that answers there is connected over another connection.
    Spare,
    /// It is this server itself.
    Itself,
}

/// An address at which there may be a peer.
#[derive(Debug)]
pub(super) struct Target {
    state: State,
    /// How long the next pause will be.
    pause_ms: u64,
    /// The life of the server that answered last.
    life: Option<(ServerId, u64)>,
    /// What was noted since it was connected last.
    noted: Option<PeerTrouble>,
}

impl Target {
    fn new(now: Time, config: &ServerConfig) -> Self {
        Self { state: State::Waiting(now), pause_ms: config.redial_ms, life: None, noted: None }
    }

    pub(super) fn status(&self, addr: SocketAddr) -> DialStatus {
        let state = match self.state {
            State::Waiting(_) => DialState::Waiting,
            State::Dialling(_) => DialState::Dialling,
            State::Up(_) => DialState::Up,
            State::Spare => DialState::Spare,
            State::Itself => DialState::Itself,
        };
        DialStatus { addr, state, trouble: self.noted.as_ref().map(ToString::to_string) }
    }

    /// When something is due.
    pub(super) fn poll_timeout(&self, config: &ServerConfig) -> Option<Time> {
        match self.state {
            State::Waiting(at) => Some(at),
            State::Dialling(since) => Some(since.plus_ms(config.dial_ms)),
            State::Up(_) | State::Spare | State::Itself => None,
        }
    }

    /// Whether it was neither reached nor found out that it cannot be.
    fn is_new(&self) -> bool {
        let under_way = matches!(self.state, State::Waiting(_) | State::Dialling(_));
        under_way && self.life.is_none() && self.noted.is_none()
    }

    /// Dials again after a pause, which grows: to that of a peer that is not there, or longer, if it is there and will
    /// not do before somebody changes something. An attempt that was under way for so long has been pause enough.
    fn wait(&mut self, now: Time, config: &ServerConfig, refused: bool) {
        let (least, most) = match refused {
            true => (config.refused_ms, config.refused_max_ms),
            false => (config.redial_ms, config.redial_max_ms),
        };
        let pause_ms = self.pause_ms.max(least).min(most);
        self.pause_ms = pause_ms.saturating_mul(2);
        let since = if let State::Dialling(since) = self.state { since } else { now };
        self.state = State::Waiting(now.max(since.plus_ms(pause_ms)));
    }
}

impl Server {
    /// Dials `addr` until a peer answers there, and again whenever it is lost; at most
    /// [`ServerConfig::peers_max`] addresses. False if there are as many already. Nothing if it is dialled already.
    pub fn add_peer(&mut self, now: Time, addr: SocketAddr) -> bool {
        self.advance(now);
        if !self.targets.contains_key(&addr) {
            if self.targets.len() >= self.config.peers_max {
                return false;
            }
            self.targets.insert(addr, Target::new(self.now, &self.config));
        }
        true
    }

    /// There was a sign of life of the server at `addr`, the first for long: it may be reached again, and the first
    /// packet of an attempt that is under way may be lost. One that was refused waits on.
    pub(super) fn dial_now(&mut self, addr: SocketAddr) {
        let Some(target) = self.targets.get_mut(&addr) else { return };
        let unreached = matches!(target.noted, None | Some(PeerTrouble::Unreachable(_)));
        if unreached && matches!(target.state, State::Waiting(_) | State::Dialling(_)) {
            target.pause_ms = self.config.redial_ms;
            target.state = State::Waiting(self.now);
        }
    }

    /// Dials `addr` no more. A connection that is up stays until it ends.
    pub fn remove_peer(&mut self, addr: SocketAddr) {
        self.targets.remove(&addr);
    }

    /// An address to connect to; the runtime answers with [`Server::handle_peer_connected`] or
    /// [`Server::handle_dial_failed`]. An attempt that is still under way for the same address is to be given up.
    pub fn poll_dial(&mut self) -> Option<SocketAddr> {
        let now = self.now;
        loop {
            let due = |target: &Target| matches!(target.state, State::Waiting(at) if at <= now);
            let (addr, life) =
                self.targets.iter().find(|(_, t)| due(t)).map(|(addr, t)| (*addr, t.life))?;
            let spare = life.is_some_and(|life| self.is_connected(life));
            let target = self.targets.get_mut(&addr)?;
            if !spare {
                target.state = State::Dialling(now);
                return Some(addr);
            }
            target.state = State::Spare;
        }
    }

    /// A connection that [`Server::poll_dial`] asked for is up. It is closed if nobody wants it any more.
    pub fn handle_peer_connected(&mut self, now: Time, conn: ConnId, addr: SocketAddr) {
        self.handle_accepted(now, conn);
        let Some(state) = self.conns.get_mut(&conn) else {
            // There are as many connections as there may be.
            if let Some(target) = self.targets.get_mut(&addr) {
                target.wait(self.now, &self.config, false);
            }
            return;
        };
        match self.targets.get_mut(&addr) {
            Some(target) if matches!(target.state, State::Dialling(_) | State::Waiting(_)) => {
                target.state = State::Up(conn);
                state.dialled = Some(addr);
                self.greet(conn);
            }
            _ => {
                self.conns.remove(&conn);
                self.closing.push_back((conn, None));
            }
        }
    }

    /// A connection that [`Server::poll_dial`] asked for cannot be made; `error` says why.
    pub fn handle_dial_failed(&mut self, now: Time, addr: SocketAddr, error: &dyn fmt::Display) {
        self.advance(now);
        let mut words = alloc::format!("{error}");
        while words.len() > WORDS_BYTES_MAX {
            words.pop();
        }
        self.trouble(addr, PeerTrouble::Unreachable(words));
    }

    /// Gives up attempts that nothing was heard of.
    pub(super) fn give_up_dials(&mut self) {
        let (now, dial_ms) = (self.now, self.config.dial_ms);
        let late = |t: &Target| matches!(t.state, State::Dialling(s) if now >= s.plus_ms(dial_ms));
        let late = self.targets.iter().filter(|(_, t)| late(t)).map(|(addr, _)| *addr);
        for addr in late.collect::<Vec<_>>() {
            let words = alloc::format!("no answer within {dial_ms} ms");
            self.trouble(addr, PeerTrouble::Unreachable(words));
        }
    }

    /// The target is dialled again after a pause, if there is a point in it, and the operator is told once.
    fn trouble(&mut self, addr: SocketAddr, why: PeerTrouble) {
        let Some(target) = self.targets.get_mut(&addr) else { return };
        if matches!(why, PeerTrouble::Itself) {
            target.state = State::Itself;
        } else {
            let refused = !matches!(why, PeerTrouble::Unreachable(_));
            target.wait(self.now, &self.config, refused);
        }
        if target.noted.as_ref() != Some(&why) {
            target.noted = Some(why.clone());
            self.note(Note::PeerTrouble { addr, why });
        }
    }

    /// Ends a connection that this side made, since what is at the other end will not do.
    pub(super) fn give_up_peer(&mut self, conn: ConnId, addr: SocketAddr, why: PeerTrouble) {
        self.trouble(addr, why);
        let output = self.drop_conn(conn);
        self.closing.push_back((conn, output));
    }

    /// The address to which this side made the connection, if nobody has answered as a server there.
    pub(super) fn dialled_in_vain(&self, conn: ConnId) -> Option<SocketAddr> {
        self.conns.get(&conn).filter(|conn| matches!(conn.role, Role::New))?.dialled
    }

    /// A connection that this side made to `addr` is over.
    pub(super) fn dialled_conn_ended(&mut self, conn: ConnId, addr: SocketAddr, role: &Role) {
        let Some(target) = self.targets.get_mut(&addr) else { return };
        if target.state != State::Up(conn) {
            return;
        }
        let silent = "it said nothing";
        match role {
            Role::Peer(..) => target.wait(self.now, &self.config, false),
            // There was a server: its process is stopped, and the system takes the connection for it.
            _ if target.life.is_some() => {
                self.trouble(addr, PeerTrouble::Unreachable(silent.into()));
            }
            _ => self.trouble(addr, PeerTrouble::NoServer(silent)),
        }
    }

    /// A peer that answered at `addr` is connected.
    pub(super) fn dialled_peer_answered(&mut self, addr: SocketAddr, life: (ServerId, u64)) {
        if let Some(target) = self.targets.get_mut(&addr) {
            target.life = Some(life);
            target.pause_ms = self.config.redial_ms;
            target.noted = None;
        }
    }

    /// The last connection to `server` is over: what was spare is needed.
    pub(super) fn use_spares(&mut self, server: ServerId) {
        for target in self.targets.values_mut() {
            let of_it = target.life.is_some_and(|(other, _)| other == server);
            if target.state == State::Spare && of_it {
                target.wait(self.now, &self.config, false);
            }
        }
    }

    /// Whether a peer is being dialled of which it is not known whether it is there.
    pub(super) fn is_dialling_anew(&self) -> bool {
        self.targets.values().any(Target::is_new)
    }

    fn is_connected(&self, (server, boot): (ServerId, u64)) -> bool {
        let mut roles = self.conns.values().map(|conn| conn.role);
        roles.any(|role| matches!(role, Role::Peer(s, b) if (s, b) == (server, boot)))
    }

    /// Closes what this side has made too many of to `server`.
    pub(super) fn thin_out(&mut self, server: ServerId) {
        let known = || self.peers.get(&server).into_iter().flatten();
        let conns = || known().filter_map(|id| Some((id, self.conns.get(id)?)));
        // The lower id keeps dialling. The other side has heard who is at this end if it spoke on after its greeting.
        let theirs = conns().any(|(_, conn)| conn.dialled.is_none() && conn.confirmed);
        let ours = conns().filter_map(|(id, conn)| conn.dialled.map(|addr| (*id, addr)));
        let kept = if server < self.id && theirs { 0 } else { 1 };
        for (conn, addr) in ours.skip(kept).collect::<Vec<_>>() {
            if let Some(target) = self.targets.get_mut(&addr) {
                target.state = State::Spare;
            }
            self.closing.push_back((conn, None));
            self.drop_conn(conn);
        }
    }
}
