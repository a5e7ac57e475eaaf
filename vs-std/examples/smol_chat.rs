//! A chat on async-io, the loop of smol. What is typed in one process appears in all; the end of
//! the input (Ctrl-D) leaves. Run it in two terminals, with the name of a room if you like:
//! `cargo run -p vs-std --example smol_chat room`

use core::time::Duration;
use std::thread;

use async_io::{Timer, block_on};
use futures_lite::{FutureExt, StreamExt};
use vs_std::{Event, JoinOptions, SharedGroup};

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let room = std::env::args().nth(1).unwrap_or("chat".into());
    let group = SharedGroup::join(&room.parse()?, JoinOptions::local())?;
    let mut events = group.stream();
    // Blocking callers and tasks share a group.
    thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if let Err(error) = group.send(line.as_bytes()) {
                eprintln!("{error}");
            }
        }
        group.begin_leave();
    });
    block_on(async {
        loop {
            // A timeout loses nothing: the event that came too late is the next one.
            let quiet = async {
                Timer::after(Duration::from_secs(60)).await;
                Err(())
            };
            match async { Ok(events.next().await) }.or(quiet).await {
                Ok(Some(Event::Message { from, payload, .. })) => {
                    println!("{from}: {}", String::from_utf8_lossy(&payload).escape_debug());
                }
                Ok(Some(Event::View { view, .. })) => println!("view {view}"),
                Ok(Some(Event::Detached { reason })) => eprintln!("{reason}"),
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(()) => println!("(nobody has said anything for a minute)"),
            }
        }
    })
}
