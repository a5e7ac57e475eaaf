//! A shared board. `board` starts two processes, each with a page: draw in both, and kill one with
//! `kill -9`. `board 3 127.0.0.1:8003` starts one more, or one that was killed once more.
#![allow(missing_docs, reason = "an example")]
mod web;

use core::error::Error;
use core::net::{Ipv4Addr, SocketAddr};
use core::{mem, time::Duration};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::{io::ErrorKind, process::Command, time::Instant};

use indexmap::IndexSet;
use serde::{Deserialize, Serialize};
use tungstenite::Utf8Bytes;
use vs_core::ident::{ProcessId, ViewId};
use vs_core::{Action, Clusters, GroupConfig, View, order::Order};
use vs_mio::{Driver, DriverConfig, Tokens};
use vs_std::{Membership, udp::UdpConfig};

const STROKES_MAX: usize = 20_000;
const WAITING_MAX: usize = 256; // texts for the group; while there are more, no page is heard
const READS_MAX: usize = 32; // of one page, before it is the turn of others
const BEAT: Duration = Duration::from_secs(2); // a page that hears nothing for long goes elsewhere

#[derive(Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Said {
    Stroke { id: String, colour: String, width: u8, points: Vec<u16> },
    User(User),
    Here { at: String, view: (u64, u64), users: Vec<User> },
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct User {
    name: String,
    colour: String,
}

#[derive(Default)]
struct Page {
    user: Option<User>,
    round: u64,
    strokes: usize,
    news: u64,
}

#[derive(Default)]
struct Board {
    me: ProcessId,
    at: String,
    view: ViewId,
    users: Vec<User>,
    here: BTreeMap<ProcessId, (String, Vec<User>)>,
    strokes: IndexSet<Utf8Bytes>, // in the order of the group
    before: IndexSet<Utf8Bytes>,  // what was here when the view began, while `missing` is not empty
    missing: BTreeSet<ProcessId>, // who has not yet told all it had
    waiting: VecDeque<Utf8Bytes>,
    round: u64, // grows when strokes come into another order
    news: u64,
}

fn is_colour(text: &str) -> bool {
    text.len() == 7 && text.starts_with('#') && text[1..].bytes().all(|b| b.is_ascii_hexdigit())
}

impl Board {
    /// Those who come together have the same strokes: one of them tells them to the others, and the
    /// order of the group makes all boards the same. If the last view ended before that was done,
    /// all who were in it know, and each tells what it has.
    fn view(&mut self, view: &View, clusters: &Clusters) {
        let halfway = !self.missing.is_empty();
        self.view = view.id();
        self.here.retain(|process, _| view.members().contains(process));
        if halfway || clusters.len() > 1 {
            let before = mem::take(&mut self.before);
            self.before = mem::take(&mut self.strokes).into_iter().chain(before).collect();
            if halfway || clusters.of(self.me).is_some_and(|own| own.members[0] == self.me) {
                self.waiting.extend(self.before.iter().cloned());
            }
            self.missing = view.members().iter().copied().collect();
        }
        self.tell();
    }

    fn tell(&mut self) {
        let (view, at) = ((self.view.major, self.view.minor), self.at.clone());
        let here = Said::Here { at, view, users: self.users.clone() };
        self.waiting.push_back(serde_json::to_string(&here).expect("it can be written").into());
    }

    fn deliver(&mut self, from: ProcessId, text: Utf8Bytes) {
        match serde_json::from_str(&text) {
            Ok(Said::Stroke { .. }) if self.strokes.len() < STROKES_MAX => {
                self.strokes.insert(text);
            }
            Ok(Said::Here { at, view, users }) => {
                self.here.insert(from, (at, users));
                self.news += 1;
                let current = view == (self.view.major, self.view.minor);
                if current && self.missing.remove(&from) && self.missing.is_empty() {
                    let before = mem::take(&mut self.before);
                    self.round += u64::from(!self.strokes.iter().take(before.len()).eq(&before));
                }
            }
            _ => {}
        }
    }

    fn serve(&mut self, web: &mut web::Web<Page>) {
        let told = (self.here.values().map(|(at, _)| at), self.here.values().flat_map(|h| &h.1));
        let told = (told.0.collect::<Vec<_>>(), told.1.collect::<Vec<_>>());
        let told: Utf8Bytes =
            serde_json::json!({ "at": told.0, "here": told.1 }).to_string().into();
        for page in web.clients() {
            for _ in 0..READS_MAX {
                let room = self.waiting.len() < WAITING_MAX;
                let Some(text) = room.then(|| page.read()).flatten() else { break };
                match serde_json::from_str(&text) {
                    Ok(Said::Stroke { id, colour, points, .. })
                        if id.len() <= 40
                            && is_colour(&colour)
                            && points.len() >= 2
                            && points.len() % 2 == 0 =>
                    {
                        self.waiting.push_back(text);
                    }
                    Ok(Said::User(u)) if u.name.len() <= 96 && is_colour(&u.colour) => {
                        page.state.user = Some(u);
                    }
                    _ => page.gone = true,
                }
            }
            let mut seen = mem::take(&mut page.state);
            if self.missing.is_empty()
                && seen.round != self.round
                && page.write("{\"reset\":1}".into())
            {
                seen = Page { user: seen.user, round: self.round, ..Page::default() };
            }
            let is_current = self.missing.is_empty() && seen.round == self.round;
            while is_current
                && let Some(stroke) = self.strokes.get_index(seen.strokes)
                && page.write(stroke.clone())
            {
                seen.strokes += 1;
            }
            let has_all = is_current && seen.strokes == self.strokes.len();
            if has_all && seen.news != self.news && page.write(told.clone()) {
                seen.news = self.news;
            }
            page.state = seen;
        }
        let users: Vec<_> = web.clients().filter_map(|page| page.state.user.clone()).collect();
        if users != self.users {
            self.users = users;
            self.tell();
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [id, at, multicast @ ..] = &args[..] else {
        let boards = args.first().map_or(Ok(2), |boards| boards.parse::<u16>())?;
        let board = |n: u16| [n.to_string(), format!("127.0.0.1:{}", 8000 + n)];
        let start = |n| Command::new(std::env::current_exe()?).args(board(n)).spawn();
        let started = (1..=boards).map(start).collect::<Result<Vec<_>, _>>()?;
        println!("open both in two browsers; kill one with kill -9: its page goes on at another");
        return Ok(started.into_iter().try_for_each(|mut board| board.wait().map(drop))?);
    };
    let mut udp = UdpConfig::on(Ipv4Addr::LOCALHOST);
    if let Some(multicast) = multicast.first() {
        udp = udp.with_multicast(multicast.parse::<SocketAddr>()?);
    }
    let (mut poll, mut events, me) =
        (mio::Poll::new()?, mio::Events::with_capacity(256), id.parse()?);
    let listen = at.parse()?;
    let mut web = web::Web::listen(listen, include_str!("page.html"), poll.registry())
        .map_err(|why| format!("cannot listen at {at}: {why}"))?;
    let at = web.local_addr()?.to_string();
    let config = DriverConfig::new(ProcessId(me), Membership::embedded(), udp);
    let mut driver = Driver::new(config, ())?;
    driver.register(poll.registry(), Tokens::from_base(web::TOKENS_END))?;
    let config = GroupConfig::default().with_order(Order::Total).with_clusters(true);
    let group = driver.join(&"board".parse()?, config)?;
    println!("board {me} is process {}: http://{at}", std::process::id());
    let mut board = Board { me: ProcessId(me), at, round: 1, ..Board::default() };
    let mut beat = Instant::now();
    loop {
        let hears = web.is_ready() && board.waiting.len() < WAITING_MAX;
        let timeout = if hears { Duration::ZERO } else { BEAT };
        let timeout = driver.timeout().map_or(timeout, |own| own.min(timeout));
        match poll.poll(&mut events, Some(timeout)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &events {
            let _ = driver.handle_event(event) || web.handle_event(event);
        }
        driver.advance();
        while let Some(action) = driver.poll_action() {
            match action {
                Action::Deliver { from, payload, .. } => {
                    board.deliver(from, String::from_utf8_lossy(payload).into_owned().into());
                }
                Action::View { view, clusters: Some(clusters), .. } => board.view(view, clusters),
                Action::Detached { reason, .. } if reason.is_final() => {
                    return Err(reason.to_string().into());
                }
                _ => {}
            }
        }
        while driver.poll_note().is_some() {}
        if beat.elapsed() >= BEAT {
            (beat, board.news) = (Instant::now(), board.news + 1);
        }
        web.advance();
        board.serve(&mut web);
        while let Some(text) = board.waiting.front()
            && driver.send(group, text.as_bytes()).is_ok()
        {
            board.waiting.pop_front();
        }
        driver.flush();
    }
}
