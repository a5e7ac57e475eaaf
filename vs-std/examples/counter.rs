//! A counter that all members add to: a replicated state, kept by two threads that share a handle.
//! The members meet at a membership server, and each has an id of its own.
//!
//! ```text
//! cargo run --bin vs -- server --listen 127.0.0.1:7000
//! cargo run -p vs-std --example counter -- 1 localhost:7000
//! cargo run -p vs-std --example counter -- 2 localhost:7000
//! ```
//!
//! Each line that is typed is a number to add; the end of the input leaves. The total is that of
//! the members in the view: a share goes with its member, and comes with a new one.

use core::error::Error;
use core::net::{Ipv4Addr, SocketAddrV4};
use std::collections::BTreeMap;
use std::io::BufRead;
use std::sync::{Mutex, PoisonError};
use std::thread;

use vs_core::ident::{GroupName, ProcessId};
use vs_std::udp::UdpConfig;
use vs_std::{Event, JoinOptions, RecvError, SendError, SharedGroup};

const MULTICAST: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 86, 83, 1), 7587);

/// What this member has added so far.
static SHARE: Mutex<i64> = Mutex::new(0);

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(id), Some(server)) = (args.next(), args.next()) else {
        return Err("usage: counter ID HOST:PORT".into());
    };
    let udp = UdpConfig::new(Ipv4Addr::LOCALHOST, MULTICAST);
    let options = JoinOptions::new(ProcessId(id.parse()?), vec![server.parse()?], udp);
    let group = SharedGroup::join(&GroupName::new("counter")?, options)?;

    // This thread waits for what is typed, the other for what is heard; the protocol waits for
    // neither.
    let typing = group.clone();
    thread::spawn(move || match add(&typing) {
        Ok(()) => typing.begin_leave(),
        Err(error) => eprintln!("{error}"),
    });
    count(&group)
}

/// Tells the others the share anew after each number that is typed.
fn add(group: &SharedGroup) -> Result<(), SendError> {
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        match line.trim().parse::<i64>() {
            Ok(number) => tell(group, number)?,
            Err(_) => eprintln!("a number, please"),
        }
    }
    Ok(())
}

/// Adds `number` and tells the share, as a whole: whoever hears the last one knows it.
fn tell(group: &SharedGroup, number: i64) -> Result<(), SendError> {
    // Waits for room, if it has to; what comes then does not, so that the lock is held for a moment
    // only. It keeps the shares that the two threads tell in the order in which they grew.
    let mut message = group.reserve(size_of::<i64>())?;
    let mut share = SHARE.lock().unwrap_or_else(PoisonError::into_inner);
    *share += number;
    message.copy_from_slice(&share.to_le_bytes());
    message.commit()
}

/// Adds up the shares of the members.
fn count(group: &SharedGroup) -> Result<(), Box<dyn Error>> {
    let mut shares = BTreeMap::new();
    loop {
        match group.recv() {
            Ok(Event::View { view, .. }) => {
                shares.retain(|member, _| view.members().contains(member));
                // Those who are new have not heard it.
                if let Err(error) = tell(group, 0) {
                    eprintln!("{error}");
                }
                println!("view {view}");
            }
            Ok(Event::Message { from, payload, .. }) => {
                let share = payload[..].try_into().map(i64::from_le_bytes)?;
                shares.insert(from, share);
                println!("total {}", shares.values().sum::<i64>());
            }
            Ok(Event::Unanswered(unanswered)) => eprintln!("{unanswered}"),
            Ok(Event::Detached { reason }) => eprintln!("{reason}"),
            Ok(Event::Left { .. }) | Err(RecvError::Left) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
