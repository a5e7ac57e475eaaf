//! Servers and clients with keys, wired to each other, and those who lack the right key.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::super::connections::HANDSHAKE_MS;
use super::super::{ConnId, Note, PeerTrouble, Server, ServerConfig};
use super::bench::{greeting, group, hello, peer, set};
use crate::config::ClientConfig;
use crate::ident::{Deployment, Incarnation, ServerId};
use crate::member::client::{Client, ClientEvent};
use crate::member::message::{Peer, Request};
use crate::member::past::Past;
use crate::member::{DetachReason, LinkCommand};
use crate::seal::{KeyRing, Keys, PORTABLE, Proof, RingKey, SECRET_BYTES, Secret, Signer, Suite};
use crate::status::{Asker, Status};
use crate::time::Time;
use crate::wire::ChannelError;
use crate::wire::channel::Party;
use crate::wire::frame::{Decoder, FrameError};
use crate::wire::stream::{End, Stream};

/// The connection of the client.
const CONN: ConnId = ConnId(1);

fn ring(keys: &[(u8, u8)]) -> KeyRing {
    let key = |&(id, byte): &(u8, u8)| {
        let secret = Secret::new([byte; SECRET_BYTES]);
        RingKey::of_servers(id, Suite::Aes256Gcm, secret).unwrap()
    };
    KeyRing::new(keys.iter().map(key).collect()).unwrap()
}

fn keys(ring: KeyRing, seed: u8) -> Keys {
    Keys::new(ring, &PORTABLE, Secret::new([seed; SECRET_BYTES]))
}

fn server(id: u64, ring: Option<KeyRing>) -> Server {
    let mut server = Server::new(ServerConfig::default(), ServerId(id), 1000).unwrap();
    if let Some(ring) = ring {
        server.set_keys(keys(ring, id as u8)).unwrap();
    }
    server
}

fn notes(server: &mut Server) -> Vec<Note> {
    core::iter::from_fn(|| server.poll_note()).collect()
}

/// Why connections were refused.
fn refused(server: &mut Server) -> Vec<String> {
    let why = |note| match note {
        Note::Refused { why, .. } => Some(why.to_string()),
        _ => None,
    };
    notes(server).into_iter().filter_map(why).collect()
}

/// A server, a client, and the connection between them.
struct Pair {
    now: Time,
    server: Server,
    client: Client,
    is_open: bool,
    /// All that went over the connection.
    carried: Vec<u8>,
}

impl Pair {
    fn new(of_server: Option<KeyRing>, of_client: Option<KeyRing>) -> Self {
        let mut client = Client::new(ClientConfig::default(), peer(1, 5), 1);
        let now = Time::from_millis(5000);
        if let Some(ring) = of_client {
            client.set_keys(keys(ring, 99));
        }
        let server = server(1, of_server);
        let mut pair = Self { now, server, client, is_open: false, carried: Vec::new() };
        pair.client.attach(now, &group(), 16, Past::default());
        pair.carry();
        pair
    }

    /// Carries bytes until nobody has any.
    fn carry(&mut self) {
        loop {
            while let Some(command) = self.client.poll_link() {
                self.is_open = matches!(command, LinkCommand::Connect(_));
                if self.is_open {
                    self.server.handle_accepted(self.now, CONN);
                    self.client.handle_connected(self.now);
                } else {
                    self.server.handle_closed(self.now, CONN);
                }
            }
            let up = self.client.output().to_vec();
            self.client.consumed(self.now, up.len());
            self.server.handle_stream(self.now, CONN, &up);
            let is_closed = self.server.poll_close().is_some();
            let may_read = self.is_open || is_closed;
            let down = if may_read { self.server.output(CONN).to_vec() } else { Vec::new() };
            self.server.consumed(CONN, down.len());
            if self.is_open {
                self.client.handle_stream(self.now, &down);
            }
            if is_closed && self.is_open {
                self.client.handle_disconnected(self.now);
                self.is_open = false;
            }
            self.carried.extend([&up[..], &down].concat());
            if up.is_empty() && down.is_empty() {
                return;
            }
        }
    }

    fn pass(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now = self.now.plus_ms(1);
            self.server.handle_timeout(self.now);
            self.client.handle_timeout(self.now);
            self.carry();
        }
    }

    fn views(&mut self) -> Vec<Vec<u64>> {
        let view = |event| match event {
            ClientEvent::View { view, .. } => Some(set(&view)),
            _ => None,
        };
        core::iter::from_fn(|| self.client.poll_event()).filter_map(view).collect()
    }

    fn detached(&mut self) -> Vec<DetachReason> {
        let reason = |event| match event {
            ClientEvent::Detached { reason, .. } => Some(reason),
            _ => None,
        };
        core::iter::from_fn(|| self.client.poll_event()).filter_map(reason).collect()
    }
}

#[test]
fn client_with_a_member_key_attaches_unread() {
    let mut pair = Pair::new(Some(ring(&[(7, 1)])), Some(ring(&[(7, 1)]).of_members()));
    pair.pass(100);
    assert_eq!(pair.views(), [[1]]);
    assert!(pair.server.status().clients == 1 && pair.is_open);
    let name = group();
    let holds = |bytes: &[u8]| bytes.windows(4).any(|window| window == name.as_str().as_bytes());
    assert!(!holds(&pair.carried));
    let mut clear = Pair::new(None, None);
    clear.pass(100);
    assert_eq!(clear.views(), [[1]]);
    assert!(holds(&clear.carried), "without keys it is read");
}

#[test]
fn wrong_keys_are_named_at_both_ends() {
    let ours = || Some(ring(&[(7, 1)]));
    for (of_server, of_client, at_client, at_server) in [
        (ours(), None, ChannelError::Sealed, ChannelError::Clear),
        (None, ours(), ChannelError::Clear, ChannelError::Sealed),
        (Some(ring(&[(8, 1)])), ours(), ChannelError::NotThere(7), ChannelError::NotHere(7)),
        (Some(ring(&[(7, 2)])), ours(), ChannelError::Other(7), ChannelError::Other(7)),
    ] {
        let mut pair = Pair::new(of_server, of_client.clone());
        let told = pair.detached();
        assert_eq!(told, [DetachReason::Seal(at_client)]);
        assert_eq!(told[0].is_final(), of_client.is_none(), "a false server ends nobody with keys");
        assert_eq!(refused(&mut pair.server), [at_server.to_string()]);
        assert_eq!(pair.server.status().connections, 0);
    }
}

/// It says another version, or speaks another protocol: without keys that is the end.
#[test]
fn no_false_server_ends_a_client_with_keys() {
    for words in [&b"VSM\0\x63\0"[..], b"HTTP/1.1 400 Bad Request", b"VSM\0\x03\0\xff\xff\xff\xff"]
    {
        for (of_client, ends) in [(Some(ring(&[(7, 1)])), false), (None, true)] {
            let mut client = Client::new(ClientConfig::default(), peer(1, 5), 1);
            if let Some(ring) = of_client {
                client.set_keys(keys(ring, 99));
            }
            client.attach(Time::ZERO, &group(), 16, Past::default());
            client.handle_connected(Time::ZERO);
            client.handle_stream(Time::ZERO, words);
            let told = core::iter::from_fn(|| client.poll_event()).last();
            let Some(ClientEvent::Detached { reason, .. }) = told else { panic!("{told:?}") };
            assert_eq!(reason.is_final(), ends, "{reason}");
            assert!(client.poll_timeout().is_some(), "it tries again");
        }
    }
}

#[test]
fn client_takes_no_words_before_the_key_for_signs_of_life() {
    let mut client = Client::new(ClientConfig::default(), peer(1, 5), 1);
    client.set_keys(keys(ring(&[(7, 1)]), 99));
    client.attach(Time::ZERO, &group(), 16, Past::default());
    client.handle_connected(Time::ZERO);
    let mut now = Time::ZERO;
    let words = [&crate::wire::frame::sealed_preamble()[..], &[0; 16], &[48, 0], &[1; 40]].concat();
    let closes = |command| command == LinkCommand::Close;
    for byte in words {
        client.handle_stream(now, &[byte]);
        now = now.plus_ms(100);
        client.handle_timeout(now);
    }
    assert!(core::iter::from_fn(|| client.poll_link()).any(closes));
}

#[test]
fn rotated_key_closes_connections_under_it() {
    let mut pair = Pair::new(Some(ring(&[(7, 1), (8, 2)])), Some(ring(&[(7, 1)]).of_members()));
    pair.pass(100);
    assert_eq!(pair.views(), [[1]]);
    // The new key moves to the front: nothing happens.
    pair.server.set_keys(keys(ring(&[(8, 2), (7, 1)]), 3)).unwrap();
    pair.pass(100);
    assert!(pair.is_open && pair.detached().is_empty());
    // The client has both, and dials with the new one from now on.
    pair.client.set_keys(keys(ring(&[(8, 2), (7, 1)]).of_members(), 98));
    pair.pass(100);
    assert!(pair.is_open && pair.detached().is_empty());
    pair.server.set_keys(keys(ring(&[(8, 2)]), 4)).unwrap();
    pair.carry();
    assert_eq!(pair.detached(), [DetachReason::ServerLost]);
    pair.client.attach(pair.now, &group(), 16, Past::default());
    pair.pass(200);
    assert_eq!(pair.views().last(), Some(&vec![1]));
    // So it is at the client.
    pair.client.set_keys(keys(ring(&[(9, 3)]).of_members(), 97));
    assert_eq!(pair.detached(), [DetachReason::ServerLost]);
    let error = pair.server.set_keys(keys(ring(&[(8, 2)]).of_members(), 4)).unwrap_err();
    assert!(error.to_string().starts_with("the key 8 is one of members"), "{error}");
}

/// The far end of a connection to a server with the key (7, 1).
struct Far {
    server: Server,
    now: Time,
    stream: Stream,
}

impl Far {
    fn new(party: Party) -> Self {
        Self::new_with(party, 50)
    }

    /// What the far end draws follows from `seed`.
    fn new_with(party: Party, seed: u8) -> Self {
        let mut own = keys(ring(&[(7, 1)]), seed);
        let end = End::Dialled(party);
        let deployment = Deployment::default();
        let stream = Stream::new(Decoder::default(), 1 << 20, end, Some(&mut own), &deployment);
        let (server, now) = (server(1, Some(ring(&[(7, 1)]))), Time::from_millis(5000));
        let mut far = Self { server, now, stream };
        far.server.handle_accepted(far.now, CONN);
        (0..3).for_each(|_| far.carry());
        assert_eq!(far.stream.other(), Some(Party::Server));
        far
    }

    fn carry(&mut self) {
        let bytes = self.stream.pending().to_vec();
        self.stream.consumed(bytes.len());
        self.server.handle_stream(self.now, CONN, &bytes);
        let bytes = self.server.output(CONN).to_vec();
        self.server.consumed(CONN, bytes.len());
        self.stream.push(&bytes);
    }

    /// What shows on this connection that `peer` signs with `signer`.
    fn prove(&self, peer: &Peer, signer: &Signer) -> Option<Proof> {
        Some(peer.prove(signer, self.stream.binding().unwrap()))
    }

    /// Whether the server closes the connection when it hears this.
    fn ends_it(&mut self, request: &Request) -> bool {
        assert!(self.stream.send(request));
        self.carry();
        self.server.poll_close().is_some()
    }
}

#[test]
fn keys_of_members_and_servers_name_their_holders() {
    for (party, request, ends) in [
        (Party::Client, greeting(2, 5), true),
        (Party::Server, hello(peer(1, 5)), true),
        (Party::Server, greeting(2, 5), false),
        (Party::Server, Request::Status, true),
    ] {
        let mut far = Far::new(party);
        assert_eq!(far.ends_it(&request), ends, "{party:?} {request:?}");
        let words = ends.then_some("its key does not allow what it names itself".to_string());
        assert_eq!(refused(&mut far.server), Vec::from_iter(words));
    }
}

/// Who has the key of members and knows an incarnation cannot take its attachments over.
#[test]
fn an_incarnation_names_itself_with_its_own_signature_alone() {
    let [own, other] = [1, 2].map(|byte| Signer::new(&Secret::new([byte; SECRET_BYTES])));
    let mut me = peer(1, 5);
    me.incarnation = me.incarnation.with_nonce(own.nonce());
    let elsewhere = Far::new(Party::Client).prove(&me, &own);
    let earlier = Peer { incarnation: Incarnation::new(4).with_nonce(own.nonce()), ..me };
    type Prove<'a> = &'a dyn Fn(&Far) -> Option<Proof>;
    let cases: [(Prove<'_>, bool); 5] = [
        (&|far| far.prove(&me, &own), false),
        (&|_| None, true),
        (&|far| far.prove(&me, &other), true),
        (&|far| far.prove(&earlier, &own), true),
        (&|_| elsewhere, true),
    ];
    for (at, (prove, ends)) in cases.into_iter().enumerate() {
        let mut far = Far::new_with(Party::Client, 60 + at as u8);
        let (deployment, proof) = (Deployment::default(), prove(&far));
        assert_eq!(far.ends_it(&Request::Client { peer: me, deployment, proof }), ends, "{at}");
        let why = "it does not show that it is the incarnation that it names".to_string();
        assert_eq!(refused(&mut far.server), Vec::from_iter(ends.then_some(why)));
    }
}

#[test]
fn status_is_told_over_a_sealed_connection() {
    let servers = || Some(ring(&[(7, 1)]));
    let (sealed, clear) = (ChannelError::Sealed, ChannelError::Clear);
    for (of_server, of_asker, fails) in [
        (servers(), Some(ring(&[(7, 1)]).of_members()), None),
        (servers(), None, Some(sealed)),
        (None, servers(), Some(clear)),
        (None, None, None),
    ] {
        let (mut server, now) = (server(1, of_server), Time::from_millis(5000));
        let mut own = of_asker.map(|ring| keys(ring, 50));
        let mut asker = Asker::new(own.as_mut(), &Deployment::default());
        server.handle_accepted(now, CONN);
        let mut told = Ok(None);
        for _ in 0..4 {
            let bytes = asker.output().to_vec();
            asker.consumed(bytes.len());
            server.handle_stream(now, CONN, &bytes);
            let bytes = server.output(CONN).to_vec();
            server.consumed(CONN, bytes.len());
            told = if matches!(told, Ok(None)) { asker.handle_stream(&bytes) } else { told };
            server.poll_close();
            let last_words = server.output(CONN).to_vec();
            told = if matches!(told, Ok(None)) { asker.handle_stream(&last_words) } else { told };
        }
        match fails {
            Some(error) => assert_eq!(told, Err(FrameError::Seal(error))),
            None => assert!(matches!(told, Ok(Some(Status::Server(_)))), "{told:?}"),
        }
    }
}

#[test]
fn handshakes_take_no_room_of_connections() {
    let most = 64;
    let config = ServerConfig { connections_max: 1, strangers_max: 64, ..ServerConfig::default() };
    let mut far = Far::new(Party::Client);
    far.server = Server::new(config, ServerId(1), 1000).unwrap();
    far.server.set_keys(keys(ring(&[(7, 1)]), 3)).unwrap();
    for conn in 100..100 + most {
        far.server.handle_accepted(far.now, ConnId(conn));
    }
    assert_eq!(far.server.poll_close(), None);
    assert_eq!(far.server.status().connections, 0);
    let mut pair = Pair { server: far.server, ..Pair::new(None, None) };
    pair.client = Client::new(ClientConfig::default(), peer(1, 5), 1);
    pair.client.set_keys(keys(ring(&[(7, 1)]), 99));
    pair.client.attach(pair.now, &group(), 16, Past::default());
    assert_eq!(pair.client.poll_link(), Some(LinkCommand::Connect(0)));
    pair.server.handle_accepted(pair.now, CONN);
    let gone = pair.server.poll_close().expect("one has to go");
    assert!((100..100 + most).contains(&gone.0), "{gone:?}");
    assert_eq!(pair.server.counters().strangers_crowded_out, 1);
    pair.client.handle_connected(pair.now);
    pair.is_open = true;
    pair.carry();
    assert_eq!(pair.server.status().clients, 1);
    let mut closed = Vec::new();
    for _ in 0..HANDSHAKE_MS {
        assert!(closed.is_empty(), "before their time");
        pair.now = pair.now.plus_ms(1);
        pair.server.handle_timeout(pair.now);
        // They say something, which is no handshake.
        closed.extend(core::iter::from_fn(|| pair.server.poll_close()));
    }
    closed.retain(|conn| *conn != CONN);
    assert_eq!(closed.len() as u64, most - 1);
    assert_eq!(pair.server.counters().strangers_late, most - 1);
}

/// Two servers and the connection that the first one makes to the second.
fn dial(of_first: Option<KeyRing>, of_second: Option<KeyRing>) -> [Server; 2] {
    let addr = SocketAddr::from(([127, 0, 0, 1], 7));
    let mut now = Time::from_millis(5000);
    let mut servers = [server(1, of_first), server(2, of_second)];
    servers[0].add_peer(now, addr);
    assert_eq!(servers[0].poll_dial(), Some(addr));
    servers[0].handle_peer_connected(now, CONN, addr);
    servers[1].handle_accepted(now, CONN);
    for _ in 0..20 {
        for from in [0, 1] {
            let is_closed = servers[from].poll_close().is_some();
            let bytes = servers[from].output(CONN).to_vec();
            servers[from].consumed(CONN, bytes.len());
            servers[1 - from].handle_stream(now, CONN, &bytes);
            if is_closed {
                servers[1 - from].handle_closed(now, CONN);
            }
        }
        now = now.plus_ms(1);
        servers.iter_mut().for_each(|server| server.handle_timeout(now));
    }
    servers
}

#[test]
fn servers_with_one_key_connect() {
    let mut servers = dial(Some(ring(&[(7, 1)])), Some(ring(&[(6, 5), (7, 1)])));
    for (server, other) in servers.iter_mut().zip([2, 1]) {
        let connected = Note::Peer { server: ServerId(other), connected: true };
        assert!(notes(server).contains(&connected));
    }
}

#[test]
fn servers_of_other_keys_name_them_at_both_ends() {
    let ours = || Some(ring(&[(7, 1)]));
    for (of_second, at_first, at_second) in [
        (None, ChannelError::Clear, ChannelError::Sealed),
        (Some(ring(&[(7, 2)])), ChannelError::Other(7), ChannelError::Other(7)),
        (Some(ring(&[(8, 1)])), ChannelError::NotThere(7), ChannelError::NotHere(7)),
    ] {
        let [mut first, mut second] = dial(ours(), of_second);
        let trouble = notes(&mut first).into_iter().find_map(|note| match note {
            Note::PeerTrouble { why, .. } => Some(why),
            _ => None,
        });
        assert_eq!(trouble, Some(PeerTrouble::Seal(at_first)));
        assert_eq!(refused(&mut second), [at_second.to_string()]);
        let told: BTreeMap<_, _> =
            first.status().dialled.first.into_iter().map(|d| (d.addr, d.trouble)).collect();
        assert!(told.values().all(Option::is_some));
    }
}
