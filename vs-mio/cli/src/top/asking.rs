//! Threads that ask, one for each address: who does not answer holds up nobody else.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use vs_core::ident::Deployment;
use vs_core::seal::Keys;
use vs_core::status::Status;

use super::args::Args;
use crate::failure::{Failure, system};
use crate::network::addresses;
use crate::status::{ask, busy};

/// How often each address is asked.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Answers that wait to be shown.
const ANSWERS_MAX: usize = 256;

/// What became of a question.
pub(super) struct Answer {
    /// Which address was asked.
    pub(super) index: usize,
    /// When it answered, since the first question.
    pub(super) at: Duration,
    /// The same as UNIX time, in s.
    pub(super) unix_s: u64,
    /// What it sees, or why there is no answer.
    pub(super) told: Result<Status, String>,
}

/// Begins to ask.
pub(super) fn start(args: &Args) -> Result<Receiver<Answer>, Failure> {
    let (sender, answers) = sync_channel(ANSWERS_MAX);
    let begun = Instant::now();
    for (index, addr) in args.addrs.iter().enumerate() {
        // A name that is unknown is told of later.
        let found = addresses(addr).unwrap_or_default();
        // Keys have secrets of connections, which no two may share.
        let keys = args.keys.keys(found.iter().map(SocketAddr::ip), "")?;
        let asked = Asked { index, addr: addr.clone(), deployment: args.deployment.clone(), keys };
        let sender = sender.clone();
        let thread = thread::Builder::new().name("ask".into());
        thread.spawn(move || asked.run(begun, &sender)).map_err(|e| system("ask", &e))?;
    }
    Ok(answers)
}

struct Asked {
    index: usize,
    addr: String,
    deployment: Deployment,
    keys: Option<Keys>,
}

impl Asked {
    /// Asks until nobody wants to know any more.
    fn run(mut self, begun: Instant, sender: &SyncSender<Answer>) {
        loop {
            let next = Instant::now() + ASK_EVERY;
            let told = match ask(&self.addr, &self.deployment, self.keys.as_mut()) {
                Ok(Status::Busy) => Err(busy(&self.addr)),
                Ok(status) => Ok(status),
                Err(Failure(why)) => Err(why),
            };
            let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let (index, at, unix_s) = (self.index, begun.elapsed(), unix.as_secs());
            if sender.send(Answer { index, at, unix_s, told }).is_err() {
                return;
            }
            while let Some(left) = next.checked_duration_since(Instant::now()) {
                thread::park_timeout(left);
            }
        }
    }
}
