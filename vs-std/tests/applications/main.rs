//! The examples that are whole applications, as real processes that are killed with `kill -9`.

mod process;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use process::{PATIENCE, Process, multicast};

struct Store {
    process: Process,
    addr: String,
}

impl Store {
    fn start(id: &str, test: u8) -> Self {
        let mut process = Process::start("http_store", &[id, "127.0.0.1:0", &multicast(test)]);
        let line = process.until(|line| line.contains("http://"));
        let addr = line.split_once("http://").expect("an address").1.to_owned();
        Self { process, addr }
    }

    /// The status and the rest of what is answered.
    fn ask(&self, method: &str, key: &str, body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.addr).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let len = body.len();
        let head = format!("{method} /{key} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
        write!(stream, "{head}Content-Length: {len}\r\n\r\n").expect("it reads");
        let _ = stream.write_all(body); // it may answer before it has read all
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
        (code.unwrap_or_else(|| panic!("{answer:?}")), answer)
    }

    /// Asks until a majority is there.
    fn must(&self, method: &str, key: &str, body: &[u8]) -> (u16, String) {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.ask(method, key, body) {
                (503, why) => assert!(Instant::now() < until, "{why}"),
                answer => return answer,
            }
        }
    }
}

#[test]
fn http_store_keeps_what_it_answered_through_kills() {
    let [mut one, mut two, three] = ["1", "2", "3"].map(|id| Store::start(id, 1));
    assert_eq!(one.must("PUT", "colour", b"green").0, 201);
    assert!(two.must("GET", "colour", b"").1.ends_with("\r\n\r\ngreen"));
    assert_eq!(three.must("PUT", "colour", b"blue").0, 204);
    assert_eq!(two.must("GET", "shape", b"").0, 404);
    assert_eq!(two.must("DELETE", "shape", b"").0, 404);
    assert_eq!(two.ask("POST", "colour", b"").0, 405);
    assert_eq!(two.ask("PUT", "colour", &vec![0; (256 << 10) + 1]).0, 413);
    assert_eq!(two.ask("GET", &"k".repeat(1100), b"").0, 404);

    // Killed while others write: what was answered is there.
    let mut written = Vec::new();
    for number in 0..60 {
        if number == 20 {
            one.process.kill();
        }
        let key = format!("n{number}");
        if matches!(three.must("PUT", &key, b"x").0, 201 | 204) {
            written.push(key);
        }
    }
    assert!(written.len() >= 59, "{}", written.len());
    for key in &written {
        assert_eq!(two.must("GET", key, b"").0, 200, "{key}");
    }

    // It comes back and takes the state, so another one may go.
    let one = Store::start("1", 1);
    assert!(one.must("GET", "colour", b"").1.ends_with("blue"));
    two.process.kill();
    for key in &written {
        assert_eq!(one.must("GET", key, b"").0, 200, "{key}");
    }
    assert_eq!(one.must("DELETE", "colour", b"").0, 204);
    let mut three = three;
    three.process.kill();
    // Without a majority nothing is answered, and the reason is told.
    let (code, answer) = one.ask("GET", "colour", b"");
    assert_eq!(code, 503, "{answer}");
    assert!(answer.contains("Retry-After: 1") && answer.contains("not done: no"), "{answer}");
    assert_eq!(one.ask("PUT", "colour", b"red").0, 503);
}

/// Which hash the world had after which turn, of each process that said so.
fn agree<'a>(processes: impl IntoIterator<Item = &'a Process>) -> BTreeMap<u64, String> {
    let mut all = BTreeMap::new();
    for line in processes.into_iter().flat_map(|process| &process.said) {
        let [turn, hash] = turn(line).unwrap_or_default();
        if let Ok(turn) = turn.parse::<u64>() {
            let known = all.entry(turn).or_insert_with(|| hash.to_owned());
            assert_eq!(known, hash, "turn {turn}");
        }
    }
    all
}

fn turn(line: &str) -> Option<[&str; 2]> {
    let (turn, hash) = line.strip_prefix("turn ")?.split_once(" hash ")?;
    Some([turn, hash])
}

#[test]
fn game_is_one_world_for_all_through_kills() {
    let group = multicast(2);
    let play = |id, role| Process::start("game", &[id, role, "--multicast", &group]);
    let reach = |process: &mut Process, turn: u64| {
        process.until(|line| {
            self::turn(line).is_some_and(|[at, _]| at.parse::<u64>().is_ok_and(|at| at >= turn))
        });
    };
    let [mut one, mut two, mut three] = ["1", "2", "3"].map(|id| play(id, "--bot"));
    for bot in [&mut one, &mut two, &mut three] {
        reach(bot, 8);
    }
    // One who comes later has the world as it is, and one who is gone holds no turn up.
    let mut late = play("9", "--watch");
    reach(&mut late, 12);
    let first = late.said.iter().find_map(|line| turn(line)).expect("a turn")[0].to_owned();
    assert!(first.parse::<u64>().is_ok_and(|turn| turn > 1), "{first}");
    two.kill();
    for process in [&mut one, &mut three, &mut late] {
        reach(process, 24);
    }
    let mut again = play("2", "--bot");
    reach(&mut again, 30);
    late.kill();
    for process in [&mut one, &mut three, &mut again] {
        reach(process, 40);
    }
    let turns = agree([&one, &two, &three, &late, &again]);
    assert!((12..40).all(|turn| turns.contains_key(&turn)), "{:?}", turns.keys());
    // All of them are killed but one.
    one.kill();
    three.kill();
    reach(&mut again, 48);
    agree([&one, &two, &three, &late, &again]);
}

/// Up to which tick a process has come, how many ticks it has had, and how many messages it missed.
fn ticks(line: &str) -> Option<[u64; 3]> {
    let (_, rest) = line.split_once(": up to ")?;
    let mut numbers = rest.split([' ', ',']).filter_map(|word| word.parse().ok());
    Some([numbers.next()?, numbers.next()?, numbers.next()?])
}

#[test]
fn feed_leaves_no_tick_out_when_its_publisher_is_killed() {
    let group = multicast(3);
    let feed = |role, id, more| Process::start("feed", &[role, id, &group, more]);
    let mut first = feed("publish", "1", "");
    let mut second = feed("publish", "2", "");
    let mut fast = feed("watch", "10", "");
    let mut slow = feed("watch", "11", "--slow");
    let mut member = feed("member", "12", "--slow");
    let come = |process: &mut Process, to: u64| {
        let line = process.until(|line| ticks(line).is_some_and(|[at, ..]| at >= to));
        ticks(line).expect("it was")
    };
    // Who is too slow skips, or is out: the others go on.
    assert!(come(&mut slow, 2500)[2] > 0);
    member.until(|line| line.contains("SlowReader"));
    assert!(come(&mut second, 3000)[2] == 0);
    first.kill();
    let [at, ..] = come(&mut second, 0);
    // Each of them ends with an error if a tick is left out or comes twice.
    let [_, _, missed] = come(&mut fast, at + 2000);
    assert_eq!(missed, 0);
    come(&mut slow, at + 2000);
    // It comes back, and hears what the prices are.
    let mut first = feed("publish", "1", "");
    come(&mut first, at + 2000);
    second.kill();
    come(&mut fast, at + 5000);
}
