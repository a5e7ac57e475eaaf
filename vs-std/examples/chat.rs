//! A chat: what is typed in one appears in all. Needs a membership server; each member has an id of its own.
//!
//! ```text
//! cargo run --bin vs -- server --listen 127.0.0.1:7000
//! cargo run -p vs-std --example chat -- 1 127.0.0.1:7000
//! cargo run -p vs-std --example chat -- 2 127.0.0.1:7000
//! ```
//!
//! An empty line leaves, and so does the end of the input.

use core::error::Error;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use std::sync::mpsc::{self, TryRecvError};
use std::thread;

use vs_core::DisplaySet;
use vs_core::ident::{GroupName, ProcessId};
use vs_std::udp::UdpConfig;
use vs_std::{Event, Group, JoinOptions};

const MULTICAST: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 86, 83, 1), 7586);
/// How long a typed line may wait to be noticed. The group needs a call a good deal more often than every `peer_ms`.
const TURN: Duration = Duration::from_millis(20);

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(id), Some(server)) = (args.next(), args.next()) else {
        return Err("usage: chat ID SERVER_IP:PORT".into());
    };
    let udp = UdpConfig::new(Ipv4Addr::LOCALHOST, MULTICAST);
    let options = JoinOptions::new(ProcessId(id.parse()?), vec![server.parse()?], udp);
    let mut group = Group::join(&GroupName::new("chat")?, options)?;

    // Standard input blocks, so it has a thread of its own.
    let (typed, lines) = mpsc::sync_channel(16);
    thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if line.is_empty() || typed.send(line).is_err() {
                return;
            }
        }
    });

    loop {
        match group.recv_timeout(TURN)? {
            Some(Event::Message { from, payload, .. }) => {
                println!("{from}: {}", String::from_utf8_lossy(&payload).escape_debug());
            }
            Some(Event::View { view, transitional }) => {
                println!("view {view}, together with {}", DisplaySet(&transitional));
            }
            Some(Event::Detached { reason }) => eprintln!("{reason}"),
            Some(Event::Left { unsent: 0 }) => return Ok(()),
            Some(Event::Left { unsent }) => {
                return Err(format!("{unsent} lines were not sent: is the server there?").into());
            }
            Some(Event::Primary) | None => {}
        }
        match lines.try_recv() {
            Ok(line) => drop(group.send(line.as_bytes())?),
            Err(TryRecvError::Empty) => {}
            // What the others still say is heard until `Event::Left`.
            Err(TryRecvError::Disconnected) => group.begin_leave(),
        }
    }
}
