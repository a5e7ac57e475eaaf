//! The world of the game. What it becomes follows from what it is told, and from nothing else.

use core::fmt;

use serde::{Deserialize, Serialize};

pub(crate) const WIDTH: usize = 24;
pub(crate) const HEIGHT: usize = 12;
pub(crate) const PLAYERS_MAX: u64 = 8;
pub(crate) const ORDERS_MAX: usize = 6; // of a player in a turn
const ARMY_MAX: u8 = 99;
const GROWTH_TURNS: u64 = 3;
/// Where players begin, by their ids.
const HOMES: [(usize, usize); PLAYERS_MAX as usize] =
    [(2, 2), (21, 9), (21, 2), (2, 9), (11, 1), (12, 10), (7, 6), (16, 6)];

/// The army of a cell is sent a step, all but one: x, y and whereto, one of `nesw`.
pub(crate) type Order = (u8, u8, char);

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) owner: u64, // 0: nobody
    pub(crate) army: u8,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Player {
    pub(crate) id: u64,
    pub(crate) wins: u32,
    pub(crate) is_here: bool,
    orders: Option<Vec<Order>>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct World {
    pub(crate) turn: u64,
    pub(crate) cells: Vec<Cell>,
    pub(crate) players: Vec<Player>, // by their ids
}

fn wild() -> Vec<Cell> {
    (0..WIDTH * HEIGHT).map(|i| Cell { owner: 0, army: (i * 7 / 3 % 4) as u8 }).collect()
}

impl World {
    pub(crate) fn new() -> Self {
        Self { turn: 0, cells: wild(), players: Vec::new() }
    }

    pub(crate) fn player(&self, id: u64) -> Option<&Player> {
        self.players.iter().find(|player| player.id == id && player.is_here)
    }

    /// A player comes, or comes back to what is left of its cells.
    pub(crate) fn enter(&mut self, id: u64) {
        if !(1..=PLAYERS_MAX).contains(&id) {
            return;
        }
        match self.players.binary_search_by_key(&id, |player| player.id) {
            Ok(at) => self.players[at].is_here = true,
            Err(at) => self.players.insert(at, Player { id, wins: 0, is_here: true, orders: None }),
        }
        self.settle(id);
    }

    /// Gives a player a cell who has none.
    fn settle(&mut self, id: u64) {
        if self.cells.iter().all(|cell| cell.owner != id) {
            let (x, y) = HOMES[(id - 1) as usize];
            self.cells[y * WIDTH + x] = Cell { owner: id, army: 12 };
        }
    }

    /// Takes those out who are gone. Their cells stay, and do not grow.
    pub(crate) fn keep(&mut self, here: impl Fn(u64) -> bool) {
        for player in self.players.iter_mut().filter(|player| !here(player.id)) {
            (player.is_here, player.orders) = (false, None);
        }
    }

    /// Notes what a player orders for this turn.
    pub(crate) fn order(&mut self, id: u64, turn: u64, orders: Vec<Order>) {
        let player = self.players.iter_mut().find(|player| player.id == id && player.is_here);
        if let Some(player) = player.filter(|player| turn == self.turn && player.orders.is_none()) {
            player.orders = Some(orders);
        }
    }

    /// Ends the turn, if all who are here have said what they order.
    pub(crate) fn close_turn(&mut self) -> bool {
        let mut here: Vec<_> = self.players.iter_mut().filter(|player| player.is_here).collect();
        if here.is_empty() || here.iter().any(|player| player.orders.is_none()) {
            return false;
        }
        let first = self.turn as usize % here.len(); // each is the first one in its turn
        here.rotate_left(first);
        let orders = |player: &mut Player| (player.id, player.orders.take().unwrap_or_default());
        for (id, orders) in here.into_iter().map(orders).collect::<Vec<_>>() {
            orders.into_iter().take(ORDERS_MAX).for_each(|order| self.march(id, order));
        }
        self.turn += 1;
        let grows: Vec<_> = self.players.iter().filter(|p| p.is_here).map(|p| p.id).collect();
        let owned = self.cells.iter_mut().filter(|cell| grows.contains(&cell.owner));
        let growth = u8::from(self.turn.is_multiple_of(GROWTH_TURNS));
        owned.for_each(|cell| cell.army = ARMY_MAX.min(cell.army + growth));
        let share = |id| self.cells.iter().filter(|cell| cell.owner == id).count();
        if let Some(at) = self.players.iter().position(|p| share(p.id) * 5 > WIDTH * HEIGHT * 3) {
            self.players[at].wins += 1;
            self.cells = wild();
            grows.into_iter().for_each(|id| self.settle(id));
        }
        true
    }

    /// Where an army of `at` comes to.
    pub(crate) fn step(at: usize, to: char) -> Option<usize> {
        let (x, y) = (at % WIDTH, at / WIDTH);
        match to {
            'n' if y > 0 => Some(at - WIDTH),
            's' if y + 1 < HEIGHT => Some(at + WIDTH),
            'w' if x > 0 => Some(at - 1),
            'e' if x + 1 < WIDTH => Some(at + 1),
            _ => None,
        }
    }

    fn march(&mut self, id: u64, (x, y, to): Order) {
        let at = usize::from(y) * WIDTH + usize::from(x);
        let Some(from) = self.cells.get_mut(at).filter(|cell| cell.owner == id) else { return };
        let Some(to) = Self::step(at, to).filter(|_| from.army > 1) else { return };
        let army = core::mem::replace(&mut from.army, 1) - 1;
        let cell = &mut self.cells[to];
        if cell.owner == id {
            cell.army = ARMY_MAX.min(cell.army + army);
        } else if army > cell.army {
            *cell = Cell { owner: id, army: army - cell.army };
        } else {
            cell.army -= army;
        }
    }
}

impl World {
    /// Of all that it is: it differs where two worlds do.
    pub(crate) fn hash(&self) -> u64 {
        let bytes = postcard::to_stdvec(self).expect("it can be written");
        let add = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, add)
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "    {}", ('a'..).take(WIDTH).map(|x| format!(" {x} ")).collect::<String>())?;
        for (y, row) in self.cells.chunks(WIDTH).enumerate() {
            write!(f, " {:2} ", y + 1)?;
            for Cell { owner, army } in row {
                let colour = [236, 160, 26, 28, 130, 91, 30, 125, 100][*owner as usize % 9];
                write!(f, "\x1b[48;5;{colour}m{army:2} \x1b[0m")?;
            }
            writeln!(f)?;
        }
        for Player { id, wins, is_here, .. } in &self.players {
            let cells = self.cells.iter().filter(|cell| cell.owner == *id).count();
            let gone = if *is_here { "" } else { ", gone" };
            write!(f, "    player {id}: {cells} cells, {wins} won{gone}")?;
        }
        Ok(())
    }
}
