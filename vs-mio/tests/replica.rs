//! A replicated state in a loop of one's own.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::net::UdpSocket;

use mio::{Events, Poll, Token};
use vs_core::GroupConfig;
use vs_core::ident::{GroupKey, GroupName, ProcessId};
use vs_core::order::Order;
use vs_core::replica::{
    Answer, Broken, Replica, ReplicaConfig, ReplicaStatus, Sink, Source, State, put_value,
    take_value,
};
use vs_mio::{Driver, DriverConfig, Tokens};
use vs_std::Membership;
use vs_std::udp::UdpConfig;

type Failure = Box<dyn core::error::Error>;

#[derive(Debug, Default)]
struct Sum(u64);

impl State for Sum {
    type Op = u64;
    type Out = u64;

    fn apply(&mut self, op: u64) -> u64 {
        self.0 += op;
        self.0
    }

    fn snapshot(&self, out: &mut dyn Sink) -> Result<(), Broken> {
        put_value(out, &self.0)
    }

    fn restore(input: &mut dyn Source) -> Result<Self, Broken> {
        take_value(input)?.map(Self).ok_or(Broken::new("empty"))
    }
}

struct Member {
    driver: Driver,
    group: GroupKey,
    replica: Replica<Sum>,
    poll: Poll,
    events: Events,
}

impl Member {
    fn new(id: u64, port: u16, primary_of: &[ProcessId]) -> Result<Self, Failure> {
        let udp = UdpConfig::new(Ipv4Addr::LOCALHOST, (Ipv4Addr::new(239, 86, 85, 1), port));
        let config = DriverConfig::new(ProcessId(id), Membership::embedded(), udp);
        let mut driver = Driver::new(config, ())?;
        let poll = Poll::new()?;
        driver.register(poll.registry(), Tokens::from_base(Token(0)))?;
        let config = GroupConfig::default().with_order(Order::Safe);
        let group = driver.join(&GroupName::new("sum")?, config)?;
        let config = ReplicaConfig::new(primary_of, id);
        let replica = Replica::new(ProcessId(id), config, Sum::default());
        Ok(Self { driver, group, replica, poll, events: Events::with_capacity(64) })
    }

    /// A round of the loop.
    fn round(&mut self) -> Result<(), Failure> {
        let Self { driver, group, replica, poll, events } = self;
        driver.advance();
        let now = driver.now();
        while !replica.is_full()
            && let Some(action) = driver.poll_action()
        {
            replica.handle_action(&action)?;
        }
        while let Some((from, message)) = driver.poll_direct(*group) {
            replica.handle_direct(now, from, message)?;
        }
        replica.drive(now, &mut driver.port(*group))?;
        driver.flush();
        let limit = driver.timeout().unwrap_or(Duration::MAX).min(Duration::from_millis(1));
        poll.poll(events, Some(limit))?;
        for event in events.iter() {
            driver.handle_event(event);
        }
        Ok(())
    }
}

#[test]
fn replicas_in_own_loops_share_a_state() -> Result<(), Failure> {
    let port = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?.local_addr()?.port();
    let primary_of = [1, 2].map(ProcessId);
    let mut members = vec![Member::new(1, port, &primary_of)?, Member::new(2, port, &primary_of)?];
    let serves = |member: &Member| member.replica.status() == ReplicaStatus::Serving;
    while !members.iter().all(serves) {
        members.iter_mut().try_for_each(Member::round)?;
    }
    let ticket = members[0].replica.call(&40)?;
    let answer = loop {
        members.iter_mut().try_for_each(Member::round)?;
        if let Some((answered, answer)) = members[0].replica.poll_answer() {
            assert_eq!(answered, ticket);
            break answer;
        }
    };
    let Answer::Done(answer) = answer else { return Err("no answer".into()) };
    assert_eq!(Replica::<Sum>::decode(&answer)?, 40);

    // One that counts for nothing gets the state as well.
    members.push(Member::new(3, port, &primary_of)?);
    while !members.iter().all(|member| serves(member) && member.replica.peek().is_some()) {
        members.iter_mut().try_for_each(Member::round)?;
    }
    assert!(members.iter().all(|member| member.replica.peek().is_some_and(|sum| sum.0 == 40)));
    Ok(())
}
