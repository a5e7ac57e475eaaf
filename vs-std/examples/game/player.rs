//! Who gives orders: a person at a terminal, or a program.

use core::time::Duration;
use std::sync::mpsc::{self, Receiver};
use std::{io, thread};

use crate::world::{HEIGHT, ORDERS_MAX, Order, WIDTH, World};

/// A turn lasts as long as the slowest player takes.
const BOT_PACE: Duration = Duration::from_millis(100);
const HUMAN_PACE: Duration = Duration::from_millis(1500);

pub(crate) struct Player {
    typed: Option<Receiver<Order>>, // none: a program
}

impl Player {
    pub(crate) fn new(bot: bool) -> Self {
        Self { typed: (!bot).then(typed) }
    }

    pub(crate) fn pace(&self) -> Duration {
        if self.typed.is_some() { HUMAN_PACE } else { BOT_PACE }
    }

    pub(crate) fn orders(&mut self, world: &World, me: u64) -> Vec<Order> {
        match &self.typed {
            Some(typed) => typed.try_iter().take(ORDERS_MAX).collect(),
            None => think(world, me),
        }
    }
}

/// What a person types: `c4 e`.
fn typed() -> Receiver<Order> {
    let (send, receive) = mpsc::sync_channel(ORDERS_MAX);
    thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            match parse(&line) {
                Some(order) => drop(send.send(order)),
                None => println!("a cell and n, e, s or w: c4 e"),
            }
        }
    });
    receive
}

fn parse(line: &str) -> Option<Order> {
    let (cell, to) = line.trim().split_once(' ')?;
    let x = cell.bytes().next()?.checked_sub(b'a').filter(|x| usize::from(*x) < WIDTH)?;
    let y = cell.get(1..)?.parse::<u8>().ok()?.checked_sub(1)?;
    let to = to.trim().chars().next().filter(|to| "nesw".contains(*to))?;
    (usize::from(y) < HEIGHT).then_some((x, y, to))
}

/// The strongest go for the weakest cell that they can take, or somewhere.
fn think(world: &World, me: u64) -> Vec<Order> {
    let mut own: Vec<_> = (0..world.cells.len()).filter(|i| world.cells[*i].owner == me).collect();
    own.sort_by_key(|i| core::cmp::Reverse(world.cells[*i].army));
    let order = |at: usize| {
        let army = world.cells[at].army;
        let ways = "nesw".chars().filter_map(|to| Some((World::step(at, to)?, to)));
        let weaker = ways.filter(|(i, _)| world.cells[*i].owner != me);
        let weaker = weaker.filter(|(i, _)| world.cells[*i].army + 1 < army);
        let target = weaker.min_by_key(|(i, _)| world.cells[*i].army).map(|(_, to)| to);
        let luck = (world.turn * 7 + at as u64 * 13 + me * 5) / 3 % 4;
        let to = target.or((army > 3).then(|| ['n', 'e', 's', 'w'][luck as usize]))?;
        Some(((at % WIDTH) as u8, (at / WIDTH) as u8, to))
    };
    own.into_iter().filter_map(order).take(ORDERS_MAX).collect()
}
