//! A server with a group of three, and strangers who send anything.

use std::collections::BTreeMap;

use vs_core::View;
use vs_core::ident::{ProcessId, ServerId};
use vs_core::member::ConnId;
use vs_core::wire::frame::preamble;

use super::{request, spoilt, stream};
use crate::cluster::{self, Cluster};
use crate::message::{DEPLOYMENT, Incarnation, Listener, Past, Peer, Profile, Request, frame};
use crate::{Bytes, Seeds};

/// Members of the group that strangers must not disturb.
const MEMBERS: usize = 3;

/// Its name.
const NAME: &str = "memory";

/// Connections that are open at a time.
const CONNECTIONS: u8 = 4;

/// How long the group may take to be whole after all others have gone, in ms: twice the longest
/// readmission.
const WHOLE_MS: u64 = 20_000;

/// What strangers can cause by what they sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Power {
    /// They are not in the group.
    None,
    /// They were members, and so may have been in the way of all.
    Member,
    /// They spoke as a member that there is, or as a server: those are trusted.
    Trusted,
}

/// Somebody who is connected.
struct Stranger {
    conn: ConnId,
    listener: Listener,
    process: Option<ProcessId>,
}

struct Stage {
    cluster: Cluster<()>,
    strangers: BTreeMap<u8, Stranger>,
    power: Power,
}

pub(super) fn run(bytes: &mut Bytes<'_>) {
    let mut stage =
        Stage { cluster: cluster::of(MEMBERS), strangers: BTreeMap::new(), power: Power::None };
    let before = stage.views();
    while !bytes.is_empty() {
        stage.happen(bytes);
    }
    stage.cluster.pass_us(5_000);
    if stage.power == Power::None {
        assert_eq!(stage.views(), before, "strangers changed the view");
        stage.speak();
    }
    for stranger in std::mem::take(&mut stage.strangers).into_values() {
        stage.cluster.close(stranger.conn);
    }
    stage.cluster.pass_us(5_000);
    if stage.power < Power::Trusted {
        let whole = stage.cluster.run_until_together(MEMBERS, WHOLE_MS);
        assert!(whole, "the group stays broken");
        stage.speak();
    }
}

impl Stage {
    fn views(&self) -> Vec<Option<View>> {
        let group = self.cluster.group;
        self.cluster.processes.iter().map(|p| p.node.view(group).cloned()).collect()
    }

    /// Each member says something, and all hear it.
    fn speak(&mut self) {
        let heard = |stage: &Self| stage.cluster.processes.iter().map(|p| p.delivered).sum::<u64>();
        let before = heard(self);
        for i in 0..MEMBERS {
            self.cluster.send(i, b"heard by all").expect("a stable view has room");
        }
        self.cluster.pass_us(100_000);
        assert_eq!(heard(self) - before, (MEMBERS * MEMBERS) as u64);
    }

    fn happen(&mut self, bytes: &mut Bytes<'_>) {
        let pick = bytes.u8();
        let who = (pick >> 4) % CONNECTIONS;
        match pick & 15 {
            0..=7 => {
                let frame = spoilt(frame(&request(bytes)), bytes);
                self.say(who, &frame);
            }
            8 | 9 => {
                let raw = bytes.sized();
                self.say(who, raw);
            }
            10 => self.close(who),
            11 => self.cluster.pass_us(u64::from(bytes.u16())),
            12 => self.cluster.pass_us(u64::from(bytes.u8()) * 10_000),
            13 => {
                // While the group changes it may have no room.
                let _ = self.cluster.send(usize::from(who) % MEMBERS, bytes.sized());
            }
            14 => {
                // The usual beginning of a client that is none of the group.
                let process = ProcessId(4 + u64::from(who));
                let addr = ([127, 0, 0, 1], 5000).into();
                let peer = Peer { process, incarnation: Incarnation { millis: 2, nonce: 0 }, addr };
                let client = Request::Client(peer, DEPLOYMENT.into());
                self.say(who, &frame(&client));
            }
            _ => {
                let server = ServerId(2 + u64::from(who));
                let deployment = DEPLOYMENT.into();
                self.say(who, &frame(&Request::Server { server, boot: 1, deployment }));
            }
        }
    }

    /// Bytes over a connection, which is opened if there is none.
    fn say(&mut self, who: u8, bytes: &[u8]) {
        if !self.strangers.contains_key(&who) {
            let conn = self.cluster.open();
            let stranger = Stranger { conn, listener: Listener::default(), process: None };
            self.strangers.insert(who, stranger);
            if !bytes.starts_with(b"VS") {
                self.say(who, &preamble());
            }
        }
        let Some(stranger) = self.strangers.get_mut(&who) else { return };
        for request in stranger.listener.hear::<Request>(bytes) {
            let power = match request {
                Request::Client(peer, _) => {
                    stranger.process.get_or_insert(peer.process);
                    Power::None
                }
                Request::Attach { group, .. } if group == NAME => {
                    let members = (1..=MEMBERS as u64).map(ProcessId);
                    let is_member = |p: ProcessId| members.clone().any(|member| member == p);
                    if stranger.process.is_some_and(is_member) {
                        Power::Trusted
                    } else {
                        Power::Member
                    }
                }
                Request::Server { .. } => Power::Trusted,
                _ => Power::None,
            };
            self.power = self.power.max(power);
        }
        self.cluster.poke_server(stranger.conn, bytes);
        self.cluster.pump();
    }

    fn close(&mut self, who: u8) {
        if let Some(stranger) = self.strangers.remove(&who) {
            self.cluster.close(stranger.conn);
            self.cluster.pump();
        }
    }
}

/// The group's name, another one, or none.
pub(super) fn name(bytes: &mut Bytes<'_>) -> String {
    match bytes.u8() {
        0..0x80 => NAME.into(),
        0xf0 => String::new(),
        0xf1 => "x".repeat(65),
        0xf2 => "\n".into(),
        0xf3 => String::from_utf8_lossy(bytes.sized()).into_owned(),
        other => format!("other-{}", other % 4),
    }
}

pub(super) fn seeds() -> Seeds {
    let client = |process: u64| {
        let addr = ([127, 0, 0, 1], 5000).into();
        let process = ProcessId(process);
        let peer = Peer { process, incarnation: Incarnation { millis: 2, nonce: 0 }, addr };
        frame(&Request::Client(peer, DEPLOYMENT.into()))
    };
    let attach = |group: &str| {
        let (group, past) = (group.into(), Past::default());
        let profile = Profile::default();
        frame(&Request::Attach { group, counter: 1, members_max: 4, past, profile, held: None })
    };
    let leave = frame(&Request::Leave { group: NAME.into() });
    let accuse = |accused: &[u64]| {
        let accused = accused.iter().map(|p| ProcessId(*p)).collect();
        frame(&Request::Accuse { group: NAME.into(), accused })
    };
    let deployment = DEPLOYMENT.into();
    let server = frame(&Request::Server { server: ServerId(2), boot: 1, deployment });
    let conversations: [(&str, Vec<Vec<u8>>); 8] = [
        ("hello", vec![client(9)]),
        ("other-group", vec![client(9), attach("other"), accuse(&[1, 2])]),
        ("joins", vec![client(4), attach(NAME)]),
        ("joins-and-leaves", vec![client(4), attach(NAME), leave.clone()]),
        ("accuses", vec![client(4), attach(NAME), accuse(&[1, 2, 3])]),
        ("is-another", vec![client(2), attach(NAME), leave]),
        ("server", vec![server, frame(&Request::Ping)]),
        ("asks-for-the-status", vec![frame(&Request::Status)]),
    ];
    let mut seeds = Seeds::new();
    for (name, frames) in conversations {
        let raw = stream(&frames);
        let len = (raw.len() as u16).to_le_bytes();
        // To the server; raw; and half a second.
        let input = [&[0, 8], &len[..], &raw, &[12, 50]].concat();
        seeds.push((format!("server-{name}"), input));
    }
    seeds.push(("server-other-protocol".into(), b"\x00\x08\x0e\x00GET / HTTP/1.1".to_vec()));
    seeds
}
