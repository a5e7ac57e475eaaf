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
#![allow(clippy::disallowed_methods, reason = "the demo waits for something to look at")]
mod player;
mod world;

use core::{cmp::Reverse, error::Error, mem, time::Duration};
use std::io::{self, IsTerminal};
use std::process::{Child, Command, Stdio};
use std::{thread, time::Instant};

use player::Player;
use serde::{Deserialize, Serialize};
use vs_core::{Clusters, Note, View, ident::ProcessId, order};
use vs_std::{Event, Group, JoinOptions, Role};
use world::{Order, PLAYERS_MAX, World};

type Failure = Box<dyn Error>;

#[derive(Serialize, Deserialize)]
enum Said {
    Enter,
    Orders(u64, Vec<Order>),
    World(u64, World), // with the major id of the view that it is for
}

struct Game {
    group: Group,
    me: u64,
    player: Option<Player>,
    world: Option<World>,
    view: u64,
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
        let note = |p| clusters.note(p).map_or(Vec::new(), |note| note.as_bytes().to_vec());
        let players = view.members().iter().copied().filter(|p| !note(*p).is_empty());
        let donor = players.max_by_key(|p| (note(*p), Reverse(*p)));
        (self.entered, self.ordered, self.view) = (false, None, view.id().major);
        self.early.clear();
        let me = ProcessId(self.me);
        let came = donor.and_then(|donor| clusters.of(donor));
        let same = came.is_some_and(|with| with.members.contains(&me));
        self.world = self.world.take().filter(|_| same); // without players there is none
        if donor == Some(me) {
            self.world.get_or_insert_with(World::new);
        }
        if let Some(world) = &mut self.world {
            world.keep(|player| view.members().contains(&ProcessId(player)));
        }
        self.close_turn();
        let told = self.world.clone().filter(|_| donor == Some(me));
        told.into_iter().try_for_each(|world| self.send(&Said::World(self.view, world)))
    }

    fn send(&mut self, said: &Said) -> Result<(), Failure> {
        Ok(self.group.send(&postcard::to_stdvec(said)?).map(drop)?)
    }

    fn deliver(&mut self, from: u64, said: Said) {
        match (&mut self.world, said) {
            (None, Said::World(view, world)) if view == self.view => {
                (self.world, self.began) = (Some(world), Instant::now());
                for (from, said) in mem::take(&mut self.early) {
                    self.deliver(from, said);
                }
            }
            (_, Said::World(..)) => {} // it was for an earlier view
            (None, said) => self.early.push((from, said)),
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
        let Some(player) = &mut self.player else { return Ok(()) }; // spectators give no note
        let turn = self.world.as_ref().map_or(0, |world| world.turn + 1); // 0: there is none yet
        self.group.set_note(Note::new(&turn.to_be_bytes())?)?;
        let Some(world) = &self.world else { return Ok(()) };
        let plays = world.player(self.me).is_some();
        let is_due = self.ordered != Some(world.turn) && self.began.elapsed() >= player.pace();
        if !plays && !mem::replace(&mut self.entered, true) {
            self.send(&Said::Enter)?;
        } else if plays && is_due {
            let (turn, orders) = (world.turn, player.orders(world, self.me));
            self.ordered = Some(turn);
            self.send(&Said::Orders(turn, orders))?;
        }
        Ok(())
    }

    /// Goes on until a spectator has missed something: its world is not that of the others then.
    fn run(&mut self, turns: u64) -> Result<(), Failure> {
        while self.world.as_ref().is_none_or(|world| world.turn < turns) {
            match self.group.recv_timeout(Duration::from_millis(20))? {
                Some(Event::Message { from, payload, .. }) => {
                    self.deliver(from.0, postcard::from_bytes(&payload)?);
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
    let exe = std::env::current_exe()?;
    let game = |args: &str| {
        let out = if args.contains("bot") { Stdio::null() } else { Stdio::inherit() };
        Command::new(&exe).args(args.split(' ')).stdin(Stdio::null()).stdout(out).spawn()
    };
    let mut bots = vec![game("1 --bot")?, game("2 --bot")?, game("3 --bot")?];
    thread::sleep(Duration::from_secs(2));
    let mut spectator = game("9 --watch --turns 120")?;
    thread::sleep(Duration::from_secs(4));
    println!("bot 2 is killed");
    bots[1].kill()?;
    thread::sleep(Duration::from_secs(4));
    println!("bot 2 is started again");
    bots.push(game("2 --bot")?);
    spectator.wait()?;
    Ok(bots.iter_mut().try_for_each(Child::kill)?)
}

fn main() -> Result<(), Failure> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let value = |flag| args.iter().skip_while(|arg| *arg != flag).nth(1);
    if has("--demo") {
        return demo();
    }
    let me = args.first().ok_or("name your id, 1 to 8, or --demo")?.parse()?;
    let mut join = JoinOptions::local();
    (join.driver.process, join.group.order) = (ProcessId(me), order::Order::Total);
    join.group.clusters = true;
    if let Some(multicast) = value("--multicast") {
        join.driver.udp.multicast = multicast.parse()?;
    }
    match has("--watch") {
        true => join.role = Role::Observer,
        false if me > PLAYERS_MAX => return Err("players have the ids 1 to 8".into()),
        false => join.note = Note::new(&0_u64.to_be_bytes())?,
    }
    let turns = value("--turns").map_or(Ok(u64::MAX), |turns| turns.parse())?;
    loop {
        let player = (!has("--watch")).then(|| Player::new(has("--bot")));
        let (group, began) = (Group::join(&"game".parse()?, join.clone())?, Instant::now());
        let (early, world, entered, ordered) = (Vec::new(), None, false, None);
        let view = 0;
        let mut game = Game { group, me, player, world, view, early, entered, ordered, began };
        game.run(turns)?;
        game.group.leave()?;
    }
}
