//! A shared board. `board` starts two processes, each with a page: draw in both, and kill one with
//! `kill -9`. `board 3 127.0.0.1:8003` starts one more, or one that was killed once more.
mod web;

use core::{error::Error, mem, time::Duration};
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

type User = [String; 2]; // name and colour

#[derive(Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Said {
    Stroke { id: String, colour: String, width: u8, points: Vec<u16> },
    User { user: User },
    Here { at: String, view: (u64, u64), users: Vec<User> },
}

#[derive(Default)]
struct Page {
    user: Option<User>,
    next: usize, // 0: to begin anew; then the strokes
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
    before: IndexSet<Utf8Bytes>,  // what was here when the view began, while some are missing
    missing: BTreeSet<ProcessId>, // who has not yet told all it had
    waiting: VecDeque<Utf8Bytes>,
    reordered: bool,
    news: u64,
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
                    self.reordered |= !self.strokes.iter().take(before.len()).eq(&before);
                }
            }
            _ => {}
        }
    }

    fn hear(&mut self, page: &mut web::Client<Page>) {
        let is_hex = |digits: &str| digits.len() == 6 && u32::from_str_radix(digits, 16).is_ok();
        let is_colour = |text: &str| text.strip_prefix('#').is_some_and(is_hex);
        for _ in 0..READS_MAX {
            let room = self.waiting.len() < WAITING_MAX;
            let Some(text) = room.then(|| page.read()).flatten() else { return };
            match serde_json::from_str(&text) {
                Ok(Said::Stroke { id, colour, points, .. })
                    if id.len() <= 40 && is_colour(&colour) && points.len() % 2 == 0 =>
                {
                    self.waiting.push_back(text);
                }
                Ok(Said::User { user }) if user[0].len() <= 96 && is_colour(&user[1]) => {
                    page.state.user = Some(user);
                }
                _ => page.gone = true,
            }
        }
    }

    fn serve(&mut self, web: &mut web::Web<Page>) {
        let at: Vec<_> = self.here.values().map(|(at, _)| at).collect();
        let here: Vec<_> = self.here.values().flat_map(|(_, users)| users).collect();
        let told = Utf8Bytes::from(serde_json::json!({ "at": at, "here": here }).to_string());
        let reordered = mem::take(&mut self.reordered);
        for page in web.clients() {
            self.hear(page);
            page.state.next *= usize::from(!reordered);
            while self.missing.is_empty() {
                match page.state.next.checked_sub(1).map(|at| self.strokes.get_index(at)) {
                    None if page.write("{\"reset\":1}".into()) => page.state.next += 1,
                    Some(Some(stroke)) if page.write(stroke.clone()) => page.state.next += 1,
                    Some(None) if page.state.news != self.news && page.write(told.clone()) => {
                        page.state.news = self.news;
                    }
                    _ => break,
                }
            }
        }
        let users: Vec<_> = web.clients().filter_map(|page| page.state.user.clone()).collect();
        if users != mem::replace(&mut self.users, users.clone()) {
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
    let mut udp = UdpConfig::on(core::net::Ipv4Addr::LOCALHOST);
    if let Some(multicast) = multicast.first() {
        udp.multicast = multicast.parse()?;
    }
    let (mut poll, mut events) = (mio::Poll::new()?, mio::Events::with_capacity(256));
    let mut web = web::Web::listen(at.parse()?, include_str!("page.html"), poll.registry())
        .map_err(|why| format!("cannot listen at {at}: {why}"))?;
    let (me, at) = (ProcessId(id.parse()?), web.local_addr()?.to_string());
    let mut driver = Driver::new(DriverConfig::new(me, Membership::embedded(), udp), ())?;
    driver.register(poll.registry(), Tokens::from_base(web::TOKENS_END))?;
    let config = GroupConfig::default().with_order(Order::Total).with_clusters(true);
    let group = driver.join(&"board".parse()?, config)?;
    println!("board {me} is process {}: http://{at}", std::process::id());
    let (mut board, mut beat) = (Board { me, at, ..Board::default() }, Instant::now());
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
        while board.waiting.front().is_some_and(|text| driver.send(group, text.as_bytes()).is_ok())
        {
            board.waiting.pop_front();
        }
        driver.flush();
    }
}
