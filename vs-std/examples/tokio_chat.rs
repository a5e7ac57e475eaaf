//! A chat in tokio. What is typed in one process appears in all; Ctrl-C leaves. Run it in two
//! terminals, with the name of a room if you like: `cargo run -p vs-std --example tokio_chat room`

use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use vs_std::{Event, JoinOptions, SharedGroup};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn core::error::Error + Send + Sync>> {
    let room = std::env::args().nth(1).unwrap_or("chat".into());
    let group = SharedGroup::join(&room.parse()?, JoinOptions::local())?;
    let events = tokio::spawn(print(group.clone()));
    let mut lines = BufReader::new(stdin()).lines();
    loop {
        tokio::select! {
            line = lines.next_line() => match line? {
                Some(line) => group.send_async(line.as_bytes()).await?,
                None => break,
            },
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    group.begin_leave();
    events.await?;
    // The thread that reads for tokio would end with the next line.
    std::process::exit(0)
}

async fn print(group: SharedGroup) {
    while let Ok(event) = group.recv_async().await {
        match event {
            Event::Message { from, payload, .. } => {
                println!("{from}: {}", String::from_utf8_lossy(&payload).escape_debug());
            }
            Event::View { view, .. } => println!("view {view}"),
            Event::Detached { reason } => eprintln!("{reason}"),
            Event::Left { unsent } => eprintln!("left, {unsent} lines were not sent"),
            _ => {}
        }
    }
}
