//! A market feed for the processes of this host: who publishes prices, who watches, and who is slow.
//!
//! ```text
//! cargo run -p vs-std --example feed -- --demo         # all of these, and a kill, in one terminal
//! cargo run -p vs-std --example feed publish 1         # ids from 1 to 9: one of them publishes
//! cargo run -p vs-std --example feed watch 10          # an observer, which nobody waits for
//! cargo run -p vs-std --example feed watch 11 --slow   # it skips what it has no time for
//! cargo run -p vs-std --example feed member 12 --slow  # a member: it is out if it is too slow
//! ```
//!
//! Kill the publisher with `kill -9`: the next one goes on with the tick that follows. Those who
//! come from one view have the same ticks, so none is left out and none comes twice.
#![allow(missing_docs, reason = "an example")]

use core::error::Error;
use core::net::{Ipv4Addr, SocketAddr};
use core::{cmp::Reverse, time::Duration};
use std::process::{Command, Stdio};
use std::{thread, time::Instant};

use serde::{Deserialize, Serialize};
use vs_core::ident::ProcessId;
use vs_core::{Clusters, GroupConfig, Note, View};
use vs_std::{Event, JoinOptions, Role, SharedGroup, SlowReader, udp::UdpConfig};

type Failure = Box<dyn Error>;

const SYMBOLS: [&str; 4] = ["OAK", "ELM", "ASH", "FIR"];
const TICKS_PER_BURST: u64 = 20;
const BURST: Duration = Duration::from_millis(10);
const INBOX_BYTES: usize = 64 << 10;
const TOO_SLOW: SlowReader =
    SlowReader::Evict { lag_bytes: INBOX_BYTES / 2, after: Duration::from_millis(300) };

/// The number of the next tick, and the prices before it.
#[derive(Clone, Serialize, Deserialize)]
struct Prices(u64, [u64; SYMBOLS.len()]);

#[derive(Serialize, Deserialize)]
enum Said {
    Tick(u64, u64),
    All(Prices),
}

impl Prices {
    fn tick(&mut self, price: u64) {
        self.1[self.0 as usize % SYMBOLS.len()] = price;
        self.0 += 1;
    }
}

struct Feed {
    group: SharedGroup,
    me: ProcessId,
    leader: Option<ProcessId>,
    made: Option<Prices>, // by this process, as long as it publishes
    seen: Option<Prices>,
    ticks: u64,
    missed: u64,
    missing: u64, // since the last tick
}

impl Feed {
    /// The publisher that has seen most goes on, of several the one with the least id; all are told
    /// the same notes. It begins by telling those who are new what the prices are: that comes
    /// before the ticks which follow, since its messages come in their order.
    fn view(&mut self, view: &View, clusters: &Clusters) -> Result<(), Failure> {
        let reached = |p: &ProcessId| {
            let note = clusters.note(*p)?;
            Some((u64::from_be_bytes(*note.as_bytes().first_chunk()?), Reverse(*p)))
        };
        self.leader = view.members().iter().filter_map(reached).max().map(|(_, Reverse(p))| p);
        if self.leader != Some(self.me) {
            self.made = None;
            return Ok(());
        }
        let seen = self.seen.get_or_insert(Prices(0, [10_000; SYMBOLS.len()]));
        let all = Said::All(self.made.get_or_insert_with(|| seen.clone()).clone());
        Ok(self.group.send(&postcard::to_stdvec(&all)?)?)
    }

    fn deliver(&mut self, from: ProcessId, said: Said) -> Result<(), Failure> {
        match (&mut self.seen, said) {
            _ if Some(from) != self.leader => {}
            (None, Said::All(all)) => self.seen = Some(all),
            (Some(seen), Said::Tick(number, price)) => {
                if !(seen.0..=seen.0 + self.missing).contains(&number) {
                    let (due, gap) = (seen.0, self.missing);
                    return Err(format!("tick {number} came; {due} was due, {gap} missed").into());
                }
                (self.ticks, seen.0, self.missing) = (self.ticks + 1, number, 0);
                seen.tick(price);
            }
            _ => {}
        }
        Ok(())
    }

    fn publish(&mut self) -> Result<(), Failure> {
        let Some(made) = &mut self.made else { return Ok(()) };
        for _ in 0..TICKS_PER_BURST {
            let swing = (made.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % 201; // by chance
            let price = made.1[made.0 as usize % SYMBOLS.len()] + swing;
            let price = price.saturating_sub(100).max(1);
            self.group.send(&postcard::to_stdvec(&Said::Tick(made.0, price))?)?;
            made.tick(price);
        }
        Ok(())
    }
}

fn demo() -> Result<(), Failure> {
    let all: [&[&str]; 5] = [
        &["publish", "1"],
        &["publish", "2"],
        &["watch", "10"],
        &["watch", "11", "--slow"],
        &["member", "12", "--slow"],
    ];
    let feed =
        |args| Command::new(std::env::current_exe()?).args(args).stdin(Stdio::null()).spawn();
    let mut started = all.into_iter().map(feed).collect::<Result<Vec<_>, _>>()?;
    thread::sleep(Duration::from_secs(5));
    println!("publisher 1 is killed");
    started[0].kill()?;
    thread::sleep(Duration::from_secs(4));
    Ok(started.iter_mut().try_for_each(std::process::Child::kill)?)
}

fn main() -> Result<(), Failure> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [role, id, rest @ ..] = &args[..] else { return demo() };
    let me = ProcessId(id.parse()?);
    let is_slow = rest.iter().any(|arg| arg == "--slow");
    let mut udp = UdpConfig::on(Ipv4Addr::LOCALHOST);
    if let Some(multicast) = rest.iter().find(|arg| arg.contains(':')) {
        udp = udp.with_multicast(multicast.parse::<SocketAddr>()?);
    }
    let publishes = role == "publish";
    let mut join = JoinOptions::without_server(me, udp).with_inbox_bytes(INBOX_BYTES);
    join = join.with_group(GroupConfig::default().with_clusters(true));
    match &role[..] {
        "publish" => join.note = Note::new(&0_u64.to_be_bytes())?,
        "watch" => join.role = Role::Observer,
        "member" => join.slow_reader = Some(TOO_SLOW),
        _ => return Err("publish, watch or member, and an id".into()),
    }
    let group = SharedGroup::join(&"feed".parse()?, join)?;
    let mut feed =
        Feed { group, me, leader: None, made: None, seen: None, ticks: 0, missed: 0, missing: 0 };
    let (mut due, mut tells) = (Instant::now(), Instant::now());
    loop {
        match feed.group.recv_timeout(due.saturating_duration_since(Instant::now()))? {
            Some(Event::Message { from, payload, .. }) => {
                feed.deliver(from, postcard::from_bytes(&payload)?)?;
                thread::sleep(Duration::from_millis(2 * u64::from(is_slow)));
            }
            Some(Event::View { view, clusters: Some(clusters), .. }) => {
                feed.view(&view, &clusters)?
            }
            Some(Event::Gap { messages }) => {
                (feed.missed, feed.missing) = (feed.missed + messages, feed.missing + messages);
            }
            _ => {}
        }
        let now = Instant::now();
        if now >= due {
            due += BURST;
            feed.publish()?;
            if publishes && let Some(seen) = &feed.seen {
                feed.group.set_note(Note::new(&seen.0.to_be_bytes())?)?;
            }
        }
        if now >= tells
            && let Some(Prices(next, prices)) = &feed.seen
        {
            tells = now + Duration::from_secs(1);
            let prices = SYMBOLS.iter().zip(prices).map(|(symbol, p)| format!("{symbol} {p}"));
            let prices = prices.collect::<Vec<_>>().join(", ");
            println!(
                "{role} {id}: up to {next}, {} ticks, {} missed; {prices}",
                feed.ticks, feed.missed
            );
        }
    }
}
