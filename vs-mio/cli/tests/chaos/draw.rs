//! Which fault comes next, whom it meets, and how long it lasts.

use crate::kind::{Kind, Mismatch};
use crate::plan::{HOSTS, Host, MEMBERS, Rng};

/// Longest time that most faults last, in ms: above every silence that a server or a member is
/// granted.
const HOLD_MS_MAX: u64 = 2500;
/// Longest time that a link is down, in ms.
const FLAP_MS_MAX: u64 = 5000;
/// Rolling restarts, at least and at most.
const ROLLED: (u64, u64) = (10, 30);
/// Members that join at once, and are gone at once.
const CROWD: u8 = 64;
/// Seconds by which a clock is set wrong.
const CLOCK_STEPS: [i32; 6] = [-86_400, -3600, -5, 5, 3600, 86_400];

/// Options of a member that the others do not have.
const MEMBER_MISMATCHES: [Mismatch; 7] = [
    Mismatch { option: "--server-silence-ms", value: "300", words: None },
    Mismatch { option: "--peer-ms", value: "1500", words: None },
    Mismatch { option: "--window-packets", value: "512", words: None },
    Mismatch { option: "--members-max", value: "100", words: None },
    Mismatch { option: "--datagram-bytes", value: "1000", words: Some("datagram_bytes is 1472") },
    Mismatch { option: "--message-bytes-max", value: "1000", words: Some("message_bytes_max is") },
    Mismatch { option: "--primary-of", value: "1,2,3", words: Some("primary_of is") },
];
/// Options of a server that the others do not have.
const SERVER_MISMATCHES: [Mismatch; 3] = [
    Mismatch { option: "--silence-ms", value: "400", words: None },
    Mismatch { option: "--silence-ms", value: "3000", words: None },
    Mismatch { option: "--deployment", value: "other", words: Some("deployment") },
];

/// Draws one fault of a kind, or of some.
type Draw = fn(&mut Rng) -> Kind;

/// Each kind with how often it is drawn, of the sum of all.
const DRAWS: [(u64, Draw); 29] = [
    (6, |rng| Kind::Kill(member(rng))),
    (4, |rng| Kind::Kill(server(rng))),
    (2, |rng| Kind::Kill(rng.some(&Host::members(), 2, u64::from(MEMBERS)))),
    (2, herd),
    (4, |rng| Kind::Stop(member(rng)[0])),
    (2, |rng| Kind::Stop(server(rng)[0])),
    (2, roll),
    (2, |rng| Kind::Crowd { count: CROWD, leave: rng.below(2) == 0 }),
    (3, |rng| Kind::Throttle(rng.some(&Host::all(), 1, u64::from(HOSTS)))),
    (2, |rng| Kind::Descriptors(server(rng)[0])),
    (1, |rng| Kind::Descriptors(member(rng)[0])),
    (3, |rng| Kind::FullDisk(member(rng)[0])),
    (3, |rng| Kind::Clock(any(rng), CLOCK_STEPS[rng.below(CLOCK_STEPS.len() as u64) as usize])),
    (2, |rng| Kind::FarClock(any(rng))),
    (3, |rng| Kind::Options(member(rng)[0], one_of(rng, &MEMBER_MISMATCHES))),
    (1, |rng| Kind::Options(server(rng)[0], one_of(rng, &SERVER_MISMATCHES))),
    (5, |rng| Kind::Unplug(rng.some(&Host::all(), 1, 5))),
    (2, |rng| Kind::Mute(rng.some(&Host::members(), 1, 4))),
    (6, partition),
    (4, |rng| pair(rng, Kind::OneWay)),
    (3, |rng| pair(rng, Kind::Deafen)),
    (2, |rng| pair(rng, Kind::DeafenBoth)),
    (4, |rng| Kind::Loss(rng.some(&Host::all(), 2, u64::from(HOSTS)))),
    (3, |rng| Kind::Shuffle(any(rng))),
    (2, |rng| Kind::Narrow(rng.some(&Host::all(), 1, 4))),
    (2, |rng| Kind::NarrowTold(rng.some(&Host::all(), 1, 4))),
    (4, |rng| Kind::Renumber(member(rng)[0])),
    (2, |rng| Kind::Replace(any(rng))),
    (4, name),
];

/// A fault of any kind.
pub(crate) fn kind(rng: &mut Rng) -> Kind {
    let mut at = rng.below(DRAWS.iter().map(|(weight, _)| weight).sum());
    for (weight, draw) in DRAWS {
        if at < weight {
            return draw(rng);
        }
        at -= weight;
    }
    unreachable!("less than the sum is drawn")
}

fn member(rng: &mut Rng) -> Vec<Host> {
    rng.pick(&Host::members(), 1)
}

fn server(rng: &mut Rng) -> Vec<Host> {
    rng.pick(&Host::servers(), 1)
}

fn any(rng: &mut Rng) -> Host {
    rng.pick(&Host::all(), 1)[0]
}

fn one_of<T>(rng: &mut Rng, from: &'static [T]) -> &'static T {
    &from[rng.below(from.len() as u64) as usize]
}

fn herd(rng: &mut Rng) -> Kind {
    Kind::Kill(match rng.below(3) {
        0 => Host::servers(),
        1 => Host::all(),
        _ => rng.some(&Host::all(), 3, u64::from(HOSTS) - 1),
    })
}

fn roll(rng: &mut Rng) -> Kind {
    let count = ROLLED.0 + rng.below(ROLLED.1 - ROLLED.0 + 1);
    Kind::Roll((0..count).map(|_| any(rng)).collect())
}

fn pair(rng: &mut Rng, kind: fn(Vec<Host>, Vec<Host>) -> Kind) -> Kind {
    let from = rng.some(&Host::all(), 1, 4);
    let others = Host::all().into_iter().filter(|host| !from.contains(host)).collect::<Vec<_>>();
    let to = rng.some(&others, 1, 8);
    kind(from, to)
}

fn name(rng: &mut Rng) -> Kind {
    if rng.below(2) == 0 { Kind::Move(server(rng)[0]) } else { Kind::Nameless(member(rng)[0]) }
}

/// Two or three parts of any size; with a server or without. One host of 10 is in two of them.
fn partition(rng: &mut Rng) -> Kind {
    loop {
        let mut parts = vec![Vec::new(); 2 + rng.below(2) as usize];
        for host in Host::all() {
            let part = rng.below(parts.len() as u64) as usize;
            parts[part].push(host);
            if rng.below(10) == 0 {
                let next = (part + 1) % parts.len();
                parts[next].push(host);
            }
        }
        let cuts = Host::all().iter().any(|host| !unreached(&parts, *host).is_empty());
        if cuts && parts.iter().all(|part| !part.is_empty()) {
            return Kind::Partition(parts);
        }
    }
}

/// The hosts with which `host` shares no part.
pub(crate) fn unreached(parts: &[Vec<Host>], host: Host) -> Vec<Host> {
    let reached = |other: &Host| parts.iter().any(|p| p.contains(&host) && p.contains(other));
    Host::all().into_iter().filter(|other| !reached(other)).collect()
}

/// A third of what is killed is started again at once, the rest some time later.
pub(crate) fn hold_ms(rng: &mut Rng, kind: &Kind) -> u64 {
    match kind {
        Kind::Kill(_) if rng.below(3) == 0 => 0,
        Kind::Unplug(_) | Kind::Crowd { .. } => 100 + rng.below(FLAP_MS_MAX - 100),
        _ => 100 + rng.below(HOLD_MS_MAX - 100),
    }
}
