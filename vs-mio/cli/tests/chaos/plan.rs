//! What happens in a run: drawn from the seed before anything starts, so that a seed gives the same
//! plan everywhere.

use core::fmt;

use crate::draw;
use crate::kind::Kind;

/// Processes of the group. Their ids are 1 to `MEMBERS`.
pub(crate) const MEMBERS: u8 = 9;
/// Membership servers. Their ids are 1 to `SERVERS`.
pub(crate) const SERVERS: u8 = 3;
/// Hosts: each process has one of its own.
pub(crate) const HOSTS: u8 = MEMBERS + SERVERS;
/// Faults of a round begin within so long of each other, in ms: less than most last, so that they
/// overlap.
const SPREAD_MS: u64 = 600;

/// More is not drawn for a plan: a kind that is asked for is not there.
const DRAWS_MAX: u32 = 10_000_000;

/// SplitMix64: small, and the same for ever, which a generator of a library does not promise.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of 0 to `n - 1`. The bias is below 2^-50 for the few that are asked for here.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.draw() % n
    }

    /// `count` of `from`, ascending.
    pub(crate) fn pick(&mut self, from: &[Host], count: usize) -> Vec<Host> {
        let mut left = from.to_vec();
        while left.len() > count {
            let at = self.below(left.len() as u64) as usize;
            left.remove(at);
        }
        left
    }

    /// Between `least` and `most` of `from`.
    pub(crate) fn some(&mut self, from: &[Host], least: u64, most: u64) -> Vec<Host> {
        let count = least + self.below(most - least + 1);
        self.pick(from, count as usize)
    }
}

/// A host, and the process that lives there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Host {
    Member(u8),
    Server(u8),
}

impl Host {
    pub(crate) fn members() -> Vec<Self> {
        (1..=MEMBERS).map(Self::Member).collect()
    }

    pub(crate) fn servers() -> Vec<Self> {
        (1..=SERVERS).map(Self::Server).collect()
    }

    pub(crate) fn all() -> Vec<Self> {
        [Self::members(), Self::servers()].concat()
    }

    /// Last part of its address, and what its namespace and its cable are numbered by.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Member(id) => id,
            Self::Server(id) => 100 + id,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member(id) => write!(f, "m{id}"),
            Self::Server(id) => write!(f, "s{id}"),
        }
    }
}

/// One fault of a round.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    /// From 1, over the whole run.
    pub(crate) number: u32,
    pub(crate) kind: Kind,
    /// From the beginning of the round, in ms.
    pub(crate) begin_ms: u64,
    /// From the beginning of the round, in ms.
    pub(crate) end_ms: u64,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, kind, begin_ms, end_ms } = self;
        write!(f, "fault {number} ({begin_ms} to {end_ms} ms): {kind}")
    }
}

/// Faults that overlap, up to the moment when all are healed. Of 10 rounds 6 have one fault, 3 two,
/// 1 three.
pub(crate) type Round = Vec<Fault>;

/// A run of `faults` faults; of those of the name `only`, if there is one.
pub(crate) fn plan(seed: u64, faults: u32, only: Option<&str>) -> Vec<Round> {
    let mut rng = Rng(seed);
    let (mut rounds, mut number, mut draws) = (Vec::new(), 0, 0_u32);
    while number < faults {
        let size = [1, 1, 1, 1, 1, 1, 2, 2, 2, 3][rng.below(10) as usize];
        let mut round: Round = Vec::new();
        while (round.len() as u32) < size.min(faults - number)
            && !round.iter().any(|fault| fault.kind.is_alone())
        {
            let kind = draw::kind(&mut rng);
            draws += 1;
            assert!(draws < DRAWS_MAX, "no kind of faults is named {only:?}");
            if only.is_some_and(|name| name != kind.name()) {
                continue;
            }
            if round.iter().any(|other| other.kind.excludes(&kind)) {
                // Of one kind alone there may be no other.
                if only.is_some() {
                    break;
                }
                continue;
            }
            let begin_ms = if round.is_empty() { 0 } else { rng.below(SPREAD_MS) };
            let end_ms = begin_ms + draw::hold_ms(&mut rng, &kind);
            round.push(Fault { number: number + round.len() as u32 + 1, kind, begin_ms, end_ms });
        }
        number += round.len() as u32;
        rounds.push(round);
    }
    rounds
}
