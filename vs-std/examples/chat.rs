//! A chat among the processes of this host: what is typed in one appears in all. No server has to
//! be started. Run it in two terminals:
//!
//! ```text
//! cargo run -p vs-std --example chat
//! ```
//!
//! An empty line leaves, and so does the end of the input.

use core::error::Error;
use core::time::Duration;
use std::sync::mpsc::{self, TryRecvError};
use std::thread;

use vs_core::DisplaySet;
use vs_core::ident::GroupName;
use vs_std::{Event, Group, JoinOptions};

/// How long a typed line may wait to be noticed. The group needs a call a good deal more often than
/// every `peer_ms`.
const TURN: Duration = Duration::from_millis(20);

fn main() -> Result<(), Box<dyn Error>> {
    let mut group = Group::join(&GroupName::new("chat")?, JoinOptions::local())?;

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
            Some(Event::View { view, transitional, .. }) => {
                println!("view {view}, together with {}", DisplaySet(&transitional));
            }
            Some(Event::Detached { reason }) => eprintln!("{reason}"),
            Some(Event::Left { unsent: 0 }) => return Ok(()),
            Some(Event::Left { unsent }) => {
                return Err(format!("{unsent} lines were not sent: is the server there?").into());
            }
            Some(Event::Unanswered(unanswered)) => eprintln!("{unanswered}"),
            Some(_) | None => {}
        }
        match lines.try_recv() {
            Ok(line) => drop(group.send(line.as_bytes())?),
            Err(TryRecvError::Empty) => {}
            // What the others still say is heard until `Event::Left`.
            Err(TryRecvError::Disconnected) => group.begin_leave(),
        }
    }
}
