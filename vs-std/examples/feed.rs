//! A market feed for the processes of this host: who publishes, who watches, and who is slow.
//!
//! ```text
//! cargo run -p vs-std --example feed                   # all of these, and a kill, in one terminal
//! cargo run -p vs-std --example feed publish 1         # of several, one publishes
//! cargo run -p vs-std --example feed watch 10          # an observer, which nobody waits for
//! cargo run -p vs-std --example feed watch 11 --slow   # it skips what it has no time for
//! cargo run -p vs-std --example feed member 12 --slow  # a member: it is out if it is too slow
//! ```
//! Kill the publisher with `kill -9`: the next one goes on with the tick that follows. Those who
//! come from one view have the same ticks, so none is left out and none comes twice.
#![allow(clippy::disallowed_methods, reason = "the demo waits, and so does a slow reader")]

use core::{cmp::Reverse, error::Error, time::Duration};
use std::{process::Command, process::Stdio, thread, time::Instant};

use serde::{Deserialize, Serialize};
use vs_core::{Clusters, Note, View, ident::ProcessId};
use vs_std::{Event, JoinOptions, Role, SharedGroup, SlowReader};

const SYMBOLS: usize = 4;
const TICKS_PER_BURST: u64 = 20;
const BURST: Duration = Duration::from_millis(10);
const INBOX_BYTES: usize = 64 << 10;
const LAG: (usize, Duration) = (INBOX_BYTES / 2, Duration::from_millis(300));
const EVICT: SlowReader = SlowReader::Evict { lag_bytes: LAG.0, after: LAG.1 };

/// The number of the next tick, and the prices before it.
type Prices = (u64, [i64; SYMBOLS]);

#[derive(Serialize, Deserialize)]
enum Said {
    Tick(u64, i64),
    All(Prices),
}

fn tick((number, prices): &mut Prices, price: i64) {
    prices[*number as usize % SYMBOLS] = price;
    *number += 1;
}

#[derive(Default)]
struct Feed {
    leader: Option<ProcessId>,
    made: Option<Prices>, // by this process, as long as it publishes
    seen: Option<Prices>,
    ticks: u64,
    missed: [u64; 2], // messages: all, and those since the last tick
}

impl Feed {
    /// All are told the same notes: the publisher that has seen most goes on. It begins by telling
    /// those who are new the prices, which come before its next ticks: its messages have an order.
    fn view(&mut self, me: ProcessId, view: &View, clusters: &Clusters) -> Option<Said> {
        let note = |p| clusters.note(p).map_or(Vec::new(), |note| note.as_bytes().to_vec());
        let publishers = view.members().iter().copied().filter(|p| !note(*p).is_empty());
        self.leader = publishers.max_by_key(|p| (note(*p), Reverse(*p)));
        let came = self.leader.and_then(|leader| clusters.of(leader));
        if came.is_none_or(|with| !with.members.contains(&me)) {
            self.seen = None; // it may be another one than theirs
        }
        let begin = self.seen.unwrap_or((0, [10_000; SYMBOLS]));
        self.made = (self.leader == Some(me)).then(|| self.made.unwrap_or(begin));
        self.seen = self.seen.or(self.made);
        self.made.map(Said::All)
    }

    fn deliver(&mut self, from: ProcessId, said: Said) -> Result<(), Box<dyn Error>> {
        match (&mut self.seen, said) {
            _ if Some(from) != self.leader => {}
            (None, Said::All(all)) => self.seen = Some(all),
            (Some(seen), Said::Tick(number, price)) => {
                if !(seen.0..=seen.0 + self.missed[1]).contains(&number) {
                    return Err(format!("tick {number} came, {} was due", seen.0).into());
                }
                (self.ticks, seen.0, self.missed[1]) = (self.ticks + 1, number, 0);
                tick(seen, price);
            }
            _ => {}
        }
        Ok(())
    }

    fn next_tick(&mut self) -> Option<Said> {
        let made = self.made.as_mut()?;
        let chance = (made.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % 201;
        let price = made.1[made.0 as usize % SYMBOLS] + chance as i64 - 100;
        tick(made, price);
        Some(Said::Tick(made.0 - 1, price))
    }
}

fn demo() -> Result<(), Box<dyn Error>> {
    let all = ["publish 1", "publish 2", "watch 10", "watch 11 --slow", "member 12 --slow"];
    let exe = std::env::current_exe()?;
    let feed = |args: &str| Command::new(&exe).args(args.split(' ')).stdin(Stdio::null()).spawn();
    let mut started = all.into_iter().map(feed).collect::<Result<Vec<_>, _>>()?;
    thread::sleep(Duration::from_secs(5));
    println!("publisher 1 is killed");
    started[0].kill()?;
    thread::sleep(Duration::from_secs(4));
    Ok(started.iter_mut().try_for_each(std::process::Child::kill)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [role, id, rest @ ..] = &args[..] else { return demo() };
    let (me, is_slow) = (ProcessId(id.parse()?), rest.iter().any(|arg| arg == "--slow"));
    let mut join = JoinOptions::local().with_inbox_bytes(INBOX_BYTES);
    (join.driver.process, join.group.clusters) = (me, true);
    if let Some(multicast) = rest.iter().find_map(|arg| arg.parse().ok()) {
        join.driver.udp.multicast = multicast;
    }
    match &role[..] {
        "publish" => join.note = Note::new(&0_u64.to_be_bytes())?,
        "watch" => join.role = Role::Observer,
        "member" => join.slow_reader = Some(EVICT),
        _ => return Err("publish, watch or member, and an id".into()),
    }
    let group = SharedGroup::join(&"feed".parse()?, join)?;
    let send = |said| Ok::<_, Box<dyn Error>>(group.send(&postcard::to_stdvec(&said)?)?);
    let (mut feed, mut due, mut tells) = (Feed::default(), Instant::now(), Instant::now());
    loop {
        match group.recv_timeout(due.saturating_duration_since(Instant::now()))? {
            Some(Event::Message { from, payload, .. }) => {
                feed.deliver(from, postcard::from_bytes(&payload)?)?;
                thread::sleep(Duration::from_millis(2 * u64::from(is_slow)));
            }
            Some(Event::View { view, clusters: Some(clusters), .. }) => {
                feed.view(me, &view, &clusters).into_iter().try_for_each(send)?;
            }
            Some(Event::Gap { messages: n }) => feed.missed.iter_mut().for_each(|m| *m += n),
            _ => {}
        }
        let is_due = Instant::now() >= due;
        due += BURST * u32::from(is_due);
        let Some((next, prices)) = feed.seen else { continue };
        if is_due {
            (0..TICKS_PER_BURST).filter_map(|_| feed.next_tick()).try_for_each(send)?;
            if role == "publish" {
                group.set_note(Note::new(&next.to_be_bytes())?)?;
            }
        }
        if Instant::now() >= tells {
            tells = Instant::now() + Duration::from_secs(1);
            let (ticks, missed) = (feed.ticks, feed.missed[0]);
            println!("{role} {id}: up to {next}, {ticks} ticks, {missed} missed; {prices:?}");
        }
    }
}
