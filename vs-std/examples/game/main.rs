//! A strategy game in lockstep, for the processes of this host:
//!
//! ```text
//! cargo run -p vs-std --example game -- --demo      # three bots and a spectator in one terminal
//! cargo run -p vs-std --example game 1              # you; 2 to 8 are others
//! cargo run -p vs-std --example game 2 --bot        # a program plays
//! cargo run -p vs-std --example game 9 --watch      # a spectator
//! ```
//!
//! Each cell has an owner and an army, which grows. Type `c4 e`, and the army of c4 goes to the
//! east, all but one; the stronger one has the cell. Who has three of five cells has won.
#![allow(missing_docs, reason = "an example")]
mod player;
mod world;

use core::error::Error;
use core::net::{Ipv4Addr, SocketAddr};
use core::{cmp::Reverse, mem, time::Duration};
use std::io::{self, IsTerminal};
use std::process::{Command, Stdio};
use std::{thread, time::Instant};

use player::Player;
use serde::{Deserialize, Serialize};
use vs_core::ident::ProcessId;
use vs_core::{Clusters, GroupConfig, Note, View, order};
use vs_std::{Event, Group, JoinOptions, Role, udp::UdpConfig};
use world::{Order, PLAYERS_MAX, World};

type Failure = Box<dyn Error>;

#[derive(Serialize, Deserialize)]
enum Said {
    Enter,
    Orders(u64, Vec<Order>),
    World(World),
}

struct Game {
    group: Group,
    me: u64,
    player: Option<Player>,
    world: Option<World>,
    early: Vec<(u64, Said)>, // what came before the world did
    entered: bool,           // whether this process has asked for a place, in this view
    ordered: Option<u64>,    // the turn that it has ordered for
    began: Instant,
}

impl Game {
    /// All members are told the same notes, so all know whose world counts. That member tells it to
    /// all, as it is when the view begins; what follows is in one order. Who is not in the view is
    /// taken out by each on its own, at the same place of that order.
    fn view(&mut self, view: &View, clusters: &Clusters) -> Result<(), Failure> {
        let reached = |p: &ProcessId| {
            let note = clusters.note(*p)?;
            Some((u64::from_be_bytes(*note.as_bytes().first_chunk()?), Reverse(*p)))
        };
        (self.entered, self.ordered) = (false, None);
        self.early.clear();
        let Some((_, Reverse(donor))) = view.members().iter().filter_map(reached).max() else {
            self.world = None; // spectators among themselves
            return Ok(());
        };
        let same = clusters.of(donor).is_some_and(|c| c.members.contains(&ProcessId(self.me)));
        self.world = self.world.take().filter(|_| same);
        if donor.0 == self.me {
            self.world.get_or_insert_with(World::new);
        }
        if let Some(world) = &mut self.world {
            world.keep(|player| view.members().contains(&ProcessId(player)));
        }
        self.close_turn();
        match &self.world {
            Some(world) if donor.0 == self.me => self.send(&Said::World(world.clone()))?,
            _ => {}
        }
        self.note()
    }

    fn send(&mut self, said: &Said) -> Result<(), Failure> {
        self.group.send(&postcard::to_stdvec(said)?)?;
        Ok(())
    }

    /// How recent the world here is: 0 if a player has none yet. Spectators give none.
    fn note(&mut self) -> Result<(), Failure> {
        let turn = self.world.as_ref().map_or(0, |world| world.turn + 1).to_be_bytes();
        let note = if self.player.is_some() { Note::new(&turn)? } else { Note::EMPTY };
        Ok(self.group.set_note(note)?)
    }

    fn deliver(&mut self, from: u64, said: Said) {
        match (&mut self.world, said) {
            (None, Said::World(world)) => {
                (self.world, self.began) = (Some(world), Instant::now());
                for (from, said) in mem::take(&mut self.early) {
                    self.deliver(from, said);
                }
            }
            (None, said) => self.early.push((from, said)),
            (Some(_), Said::World(_)) => {}
            (Some(world), Said::Enter) => world.enter(from),
            (Some(world), Said::Orders(turn, orders)) => world.order(from, turn, orders),
        }
        self.close_turn();
    }

    fn close_turn(&mut self) {
        if let Some(world) = &mut self.world
            && world.close_turn()
        {
            self.began = Instant::now();
            if io::stdout().is_terminal() {
                println!("\x1b[H\x1b[J{world}");
            }
            println!("turn {} hash {:016x}", world.turn, world.hash());
        }
    }

    /// Asks for a place, or says what this player orders for the turn.
    fn act(&mut self) -> Result<(), Failure> {
        let (Some(world), Some(player)) = (&self.world, &mut self.player) else { return Ok(()) };
        if world.player(self.me).is_none() {
            return if mem::replace(&mut self.entered, true) {
                Ok(())
            } else {
                self.send(&Said::Enter)
            };
        }
        if self.ordered == Some(world.turn) || self.began.elapsed() < player.pace() {
            return Ok(());
        }
        let (turn, orders) = (world.turn, player.orders(world, self.me));
        self.ordered = Some(turn);
        self.send(&Said::Orders(turn, orders))
    }

    /// Goes on until a spectator has missed something: its world is not that of the others then.
    fn run(&mut self, turns: u64) -> Result<(), Failure> {
        while self.world.as_ref().is_none_or(|world| world.turn < turns) {
            match self.group.recv_timeout(Duration::from_millis(20))? {
                Some(Event::Message { from, payload, .. }) => {
                    self.deliver(from.0, postcard::from_bytes(&payload)?);
                    self.note()?;
                }
                Some(Event::View { view, clusters: Some(clusters), .. }) => {
                    println!("view {view}");
                    self.view(&view, &clusters)?;
                }
                Some(Event::Gap { .. }) => return Ok(()),
                _ => {}
            }
            self.act()?;
        }
        std::process::exit(0)
    }
}

/// Shows bots to a spectator: one is killed, and comes back.
fn demo() -> Result<(), Failure> {
    let game = |args: &[&str]| {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(args).stdin(Stdio::null());
        if args.contains(&"--bot") {
            command.stdout(Stdio::null()).spawn()
        } else {
            command.spawn()
        }
    };
    let mut bots = Vec::from(["1", "2", "3"].map(|id| game(&[id, "--bot"])));
    thread::sleep(Duration::from_secs(2));
    let mut spectator = game(&["9", "--watch", "--turns", "80"])?;
    for begin in [false, true] {
        thread::sleep(Duration::from_secs(4));
        if begin {
            println!("bot 2 is started again");
            bots.push(game(&["2", "--bot"]));
        } else if let Ok(bot) = &mut bots[1] {
            println!("bot 2 is killed");
            bot.kill()?;
        }
    }
    spectator.wait()?;
    bots.into_iter().try_for_each(|bot| bot.and_then(|mut bot| bot.kill()).map_err(Into::into))
}

fn main() -> Result<(), Failure> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let after = |flag: &str| Some(&args[args.iter().position(|arg| arg == flag)? + 1..]);
    let value = |flag| after(flag).and_then(|rest| rest.first());
    if has("--demo") {
        return demo();
    }
    let me = args.first().ok_or("name your id, 1 to 8, or --demo")?.parse()?;
    let plays = !has("--watch");
    if plays && !(1..=PLAYERS_MAX).contains(&me) {
        return Err("players have the ids 1 to 8; others --watch".into());
    }
    let mut udp = UdpConfig::on(Ipv4Addr::LOCALHOST);
    if let Some(multicast) = value("--multicast") {
        udp = udp.with_multicast(multicast.parse::<SocketAddr>()?);
    }
    let config = GroupConfig::default().with_order(order::Order::Total).with_clusters(true);
    let mut join = JoinOptions::without_server(ProcessId(me), udp).with_group(config);
    join.role = if plays { Role::Member } else { Role::Observer };
    join.note = if plays { Note::new(&0_u64.to_be_bytes())? } else { Note::EMPTY };
    let turns = value("--turns").map_or(Ok(u64::MAX), |turns| turns.parse())?;
    loop {
        let player = plays.then(|| Player::new(has("--bot")));
        let group = Group::join(&"game".parse()?, join.clone())?;
        let (early, began) = (Vec::new(), Instant::now());
        let (world, entered, ordered) = (None, false, None);
        let mut game = Game { group, me, player, world, early, entered, ordered, began };
        game.run(turns)?;
        game.group.leave()?;
    }
}
