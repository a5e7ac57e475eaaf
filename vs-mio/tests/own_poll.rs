//! Drivers in a poll that belongs to somebody else: a server, two members and sockets of the user
//! in one loop of one thread, and what a sender is refused.

use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::time::Duration;
use std::io;
use std::net::UdpSocket as StdUdpSocket;
use std::time::Instant;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use vs_core::ident::{GroupKey, GroupName, Incarnation, ProcessId, ServerId};
use vs_core::member::{Server, ServerConfig};
use vs_core::spec::{Component, Options, Stability, check_with};
use vs_core::trace::{Header, Record, Trace};
use vs_core::{Action, Blocking, GroupConfig, SendError, Sent};
use vs_mio::{Driver, DriverConfig, ServerDriver, Tokens};
use vs_std::Membership;
use vs_std::clock::Clock;
use vs_std::udp::UdpConfig;

/// What waits for longer hangs.
const HANG: Duration = Duration::from_secs(40);
/// Longest poll, so that a loop sees that it hangs.
const POLL_MAX: Duration = Duration::from_millis(100);
const OWN: Token = Token(7);
const SERVER: Token = Token(1000);

/// What a member's application was told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Message(u64, Vec<u8>),
    View(Vec<u64>, Vec<u64>),
    Block,
    Writable,
    Left(usize),
}

struct Member {
    driver: Driver<Vec<Record>>,
    group: GroupKey,
    process: ProcessId,
    tokens: Tokens,
    reading: bool,
    /// Whether block requests are answered at once.
    answering: bool,
    told: Vec<Told>,
}

impl Member {
    fn new(
        id: usize,
        server: SocketAddr,
        multicast: SocketAddrV4,
        group: &GroupConfig,
    ) -> io::Result<Self> {
        let process = ProcessId(id as u64);
        let membership = Membership::Servers(vec![server.into()]);
        let udp = UdpConfig::new(Ipv4Addr::LOCALHOST, multicast);
        let config = DriverConfig::new(process, membership, udp).with_seed(process.0);
        let mut driver = Driver::new(config, Vec::new()).map_err(io::Error::other)?;
        let group = driver.join(&name(), group.clone()).map_err(io::Error::other)?;
        // Neither from zero nor in a row.
        let token = |i: usize| Token(100 * id + 3 * i);
        let tokens = Tokens::from_base(token(0));
        let told = Vec::new();
        Ok(Self { driver, group, process, tokens, reading: true, answering: true, told })
    }

    fn hear(&mut self) {
        let ids = |set: &[ProcessId]| set.iter().map(|p| p.0).collect::<Vec<_>>();
        while self.reading
            && let Some(action) = self.driver.poll_action()
        {
            self.told.push(match action {
                Action::Deliver { from, payload, .. } => Told::Message(from.0, payload.to_vec()),
                Action::View { view, transitional, .. } => {
                    Told::View(ids(view.members()), ids(transitional))
                }
                Action::Primary { .. } => continue,
                Action::Block { .. } => Told::Block,
                Action::Writable { .. } => Told::Writable,
                Action::Left { unsent, .. } => Told::Left(unsent),
                other => panic!("{}: {other:?}", self.process),
            });
            if self.answering && self.told.last() == Some(&Told::Block) {
                self.driver.block_ok(self.group).expect("it was asked for");
            }
        }
    }

    fn send(&mut self, payload: &[u8]) -> Result<Sent, SendError> {
        self.driver.send(self.group, payload)
    }

    fn was_told(&self, what: &Told) -> bool {
        self.told.contains(what)
    }

    /// Payloads from `from`, in the order in which they came.
    fn messages(&self, from: u64) -> Vec<&[u8]> {
        let of = self.told.iter().filter_map(|told| match told {
            Told::Message(sender, payload) if *sender == from => Some(&payload[..]),
            _ => None,
        });
        of.collect()
    }
}

fn name() -> GroupName {
    GroupName::new("own poll").expect("a name")
}

/// A poll with everything in it.
struct Host {
    poll: Poll,
    server: ServerDriver,
    multicast: SocketAddrV4,
    members: Vec<Member>,
    /// A socket of the user, and the events that were its own.
    own: UdpSocket,
    own_events: usize,
}

impl Host {
    /// Two members in one view.
    fn new(group: &GroupConfig) -> io::Result<Self> {
        let poll = Poll::new()?;
        let server =
            Server::new(ServerConfig::default(), ServerId(1), Clock::new().unix_start_ms());
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut server = ServerDriver::new(server.map_err(io::Error::other)?, listen)?;
        server.register(poll.registry(), SERVER)?;
        let mut own = UdpSocket::bind(listen)?;
        poll.registry().register(&mut own, OWN, Interest::READABLE)?;
        // A port that is free now.
        let port = StdUdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?.local_addr()?.port();
        let [low, high, ..] = std::process::id().to_le_bytes();
        let multicast = SocketAddrV4::new(Ipv4Addr::new(239, 254, high, low), port);
        let mut host = Self { poll, server, multicast, members: Vec::new(), own, own_events: 0 };
        for id in 1..=2 {
            host.add(id, group)?;
        }
        host.until("a view of both", |host| host.are_together(&[1, 2]));
        Ok(host)
    }

    fn add(&mut self, id: usize, group: &GroupConfig) -> io::Result<()> {
        let mut member = Member::new(id, self.server.local_addr()?, self.multicast, group)?;
        member.driver.register(self.poll.registry(), member.tokens)?;
        self.members.push(member);
        Ok(())
    }

    fn are_together(&self, ids: &[u64]) -> bool {
        self.members.iter().all(|member| {
            let mut views = member.told.iter().rev().filter_map(|told| match told {
                Told::View(members, _) => Some(members),
                _ => None,
            });
            views.next().is_some_and(|members| members == ids)
        })
    }

    /// One round, as the crate's documentation has it.
    fn turn(&mut self) {
        for member in &mut self.members {
            member.driver.advance();
            member.hear();
            member.driver.flush();
        }
        self.server.advance();
        while self.server.poll_note().is_some() {}
        let timeouts = self.members.iter().map(|member| member.driver.timeout());
        let timeouts = timeouts.chain([self.server.timeout(), Some(POLL_MAX)]).flatten();
        let mut events = Events::with_capacity(64);
        self.poll.poll(&mut events, timeouts.min()).expect("a poll");
        for event in &events {
            let mut takers = usize::from(self.server.handle_event(event));
            for member in &mut self.members {
                takers += usize::from(member.driver.handle_event(event));
            }
            self.own_events += usize::from(event.token() == OWN);
            let expected = usize::from(event.token() != OWN);
            assert_eq!(takers, expected, "an event of token {:?}", event.token());
        }
    }

    /// A round of the server in a poll without the members.
    fn serve(&mut self, poll: &mut Poll) {
        let mut events = Events::with_capacity(64);
        poll.poll(&mut events, Some(Duration::ZERO)).expect("a poll");
        for event in &events {
            assert!(self.server.handle_event(event) || event.token() == OWN);
            assert!(!self.members.iter_mut().any(|m| m.driver.handle_event(event)));
        }
    }

    fn until(&mut self, what: &str, mut condition: impl FnMut(&mut Self) -> bool) {
        let until = Instant::now() + HANG;
        while !condition(self) {
            let told = || self.members.iter().map(|member| member.told.len()).collect::<Vec<_>>();
            assert!(Instant::now() < until, "{what}: waited in vain; told {:?}", told());
            self.turn();
        }
    }

    /// Both are in one view and have delivered everything: the checker judges all that happened.
    fn check(&mut self) {
        let members = self.members.iter().map(|member| member.process).collect();
        let component = Component { group: name(), members };
        let traces = self.members.iter_mut().map(|member| {
            let (process, incarnation) = (member.process, Incarnation::new(0));
            let header = Header { process, incarnation, runtime: "mio".into() };
            Trace::from_records(header, member.driver.tracer_mut().clone())
        });
        let traces: Vec<_> = traces.collect();
        let options = Options::settled(Stability { components: vec![component] });
        let report = check_with(&traces, &options);
        assert!(report.is_clean(), "{:?}", report.violations);
        println!("{report}");
    }
}

/// Small, so that a window is soon full.
fn small() -> GroupConfig {
    GroupConfig::default()
        .with_members_max(2)
        .with_window_packets(16)
        .with_ack_packets(4)
        .with_message_bytes_max(8 << 10)
        .with_queue_bytes(16 << 10)
        // Nobody here is slow; the machine may be.
        .with_peer(Duration::from_secs(60))
}

#[test]
fn one_poll_holds_everything_and_is_exchangeable() -> io::Result<()> {
    let mut host = Host::new(&small())?;
    host.members[0].send(b"in the first poll").expect("room");
    let here = host.own.local_addr()?;
    StdUdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.send_to(b"for the user", here)?;
    host.until("events of all", |host| {
        let all = host.members.iter().all(|m| m.messages(1) == [b"in the first poll"]);
        all && host.own_events > 0
    });

    // What arrives while a driver is in no poll is heard in the next one.
    let other = Poll::new()?;
    for member in &mut host.members {
        member.driver.deregister()?;
        member.send(b"between polls").expect("room");
    }
    for member in &mut host.members {
        member.driver.register(other.registry(), member.tokens)?;
    }
    host.server.advance();
    let mut first = core::mem::replace(&mut host.poll, other);
    host.until("messages in the second poll, the server still in the first", |host| {
        host.serve(&mut first);
        let heard = |m: &Member, from| m.messages(from).last() == Some(&&b"between polls"[..]);
        host.members.iter().all(|m| heard(m, 1) && heard(m, 2))
    });
    assert!(host.members.iter().all(|m| m.driver.io_counters().received > 0));
    assert!(host.members.iter().all(|m| m.driver.link_status().connected == 1), "one connection");
    host.check();

    let leaver = &mut host.members[1];
    assert!(leaver.driver.leave(leaver.group));
    assert_eq!(leaver.send(b"too late"), Err(SendError::NotJoined));
    host.until("the leave", |host| {
        host.serve(&mut first);
        let alone = host.members[0].was_told(&Told::View(vec![1], vec![1]));
        alone && host.members[1].was_told(&Told::Left(0))
    });
    Ok(())
}

#[test]
fn only_messages_above_the_maximum_are_refused() -> io::Result<()> {
    let config = small();
    let mut host = Host::new(&config)?;
    let max = config.message_bytes_max;
    let sender = &mut host.members[0];
    assert_eq!(sender.send(&vec![1; max + 1]), Err(SendError::TooLarge { len: max + 1, max }));
    sender.send(&vec![2; max]).expect("room for one");
    host.until("the largest and nothing else", |host| {
        host.members.iter().all(|m| m.messages(1) == [&vec![2; max][..]])
    });
    host.check();
    Ok(())
}

#[test]
fn a_full_window_loses_nothing_accepted() -> io::Result<()> {
    let mut host = Host::new(&small())?;
    host.members[1].reading = false;
    let mut accepted = 0_u64;
    let mut full = 0;
    // Turns in which nothing moves any more: the other reads nothing.
    host.until("the window is full", |host| {
        let sender = &mut host.members[0];
        let before = accepted;
        let refused = loop {
            let payload = [&accepted.to_le_bytes()[..], &[0; 1000]].concat();
            match sender.send(&payload) {
                Ok(_) => accepted += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(refused, SendError::WindowFull);
        full = if accepted == before { full + 1 } else { 0 };
        full > 20
    });
    println!("accepted before the window was full: {accepted}");
    assert!((8..100).contains(&accepted), "{accepted} for a window of 16 packets");
    let at = host.members[0].told.len();
    host.members[1].reading = true;
    host.until("room again", |host| host.members[0].told[at..].contains(&Told::Writable));
    host.members[0].send(b"after").expect("what Writable promises");
    host.until("everything", |host| {
        host.members.iter().all(|m| m.messages(1).last() == Some(&&b"after"[..]))
    });
    for member in &host.members {
        let numbers = member.messages(1).into_iter().filter_map(|m| m.first_chunk::<8>());
        assert!(numbers.map(|n| u64::from_le_bytes(*n)).eq(0..accepted), "a gap or a repetition");
    }
    host.check();
    Ok(())
}

#[test]
fn manual_blocking_refuses_until_the_next_view() -> io::Result<()> {
    let config = small().with_members_max(3).with_blocking(Blocking::Manual);
    let mut host = Host::new(&config)?;
    let key = host.members[0].group;
    for member in &mut host.members {
        member.told.clear();
        member.answering = false;
    }
    assert!(host.members[0].driver.block_ok(key).is_err(), "nobody asked");
    host.add(3, &config)?;
    host.until("a block request", |host| {
        host.members[..2].iter().all(|m| m.was_told(&Told::Block))
    });
    host.members[0].send(b"before block_ok").expect("allowed until block_ok");
    for member in &mut host.members[..2] {
        member.driver.block_ok(key).expect("it was asked for");
    }
    assert_eq!(host.members[0].send(b"refused"), Err(SendError::Blocked));
    host.until("the view of three", |host| host.are_together(&[1, 2, 3]));
    let sender = &mut host.members[0];
    assert!(sender.was_told(&Told::Writable), "{:?}", sender.told);
    sender.send(b"in the next view").expect("the view is open");
    host.until("messages of both views", |host| {
        host.members.iter().all(|m| m.messages(1).last() == Some(&&b"in the next view"[..]))
    });
    for member in &host.members[..2] {
        assert_eq!(member.messages(1), [&b"before block_ok"[..], b"in the next view"]);
        let view = Told::View(vec![1, 2, 3], vec![1, 2]);
        let at = |what| member.told.iter().position(|told| *told == what);
        assert!(at(Told::Message(1, b"before block_ok".to_vec())) < at(view), "its own view");
    }
    assert_eq!(host.members[2].messages(1), [b"in the next view"]);
    host.check();
    Ok(())
}
