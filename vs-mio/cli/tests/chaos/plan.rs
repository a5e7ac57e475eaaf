//! What happens in a run: drawn from the seed before anything starts, so that a seed gives the same
//! plan everywhere.

use core::fmt;

/// Processes of the group. Their ids are 1 to `MEMBERS`.
pub(crate) const MEMBERS: u8 = 9;
/// Membership servers. Their ids are 1 to `SERVERS`.
pub(crate) const SERVERS: u8 = 3;
/// Hosts: each process has one of its own.
pub(crate) const HOSTS: u8 = MEMBERS + SERVERS;
/// Longest time that a fault lasts, in ms: above every silence that a server or a member is
/// granted.
const HOLD_MS_MAX: u64 = 2500;
/// Faults of a round begin within so long of each other, in ms: less than most last, so that they
/// overlap.
const SPREAD_MS: u64 = 600;

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
    fn pick(&mut self, from: &[Host], count: usize) -> Vec<Host> {
        let mut left = from.to_vec();
        while left.len() > count {
            let at = self.below(left.len() as u64) as usize;
            left.remove(at);
        }
        left
    }

    /// Between `least` and `most` of `from`.
    fn some(&mut self, from: &[Host], least: u64, most: u64) -> Vec<Host> {
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

/// What is done, and undone when its time is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// `kill -9`; started again at the end.
    Kill(Vec<Host>),
    /// SIGSTOP; SIGCONT at the end.
    Stop(Host),
    /// Their cables are pulled out at the switch: each is alone.
    Unplug(Vec<Host>),
    /// A packet filter at each host lets pass only what comes from hosts with which it shares a
    /// part. A host that is in two parts makes that "can reach" is not transitive.
    Partition(Vec<Vec<Host>>),
    /// Their datagrams are lost, both ways, while their connections to the servers live.
    Mute(Vec<Host>),
    /// What the first send does not reach the second, who are heard.
    OneWay(Vec<Host>, Vec<Host>),
    /// 5 of 100 packets that arrive are lost, of whatever protocol.
    Loss(Vec<Host>),
    /// Multicasts that the first send do not reach the second; all else does.
    Deafen(Vec<Host>, Vec<Host>),
    /// Their cables carry packets of up to 1280 bytes, and drop longer ones without a word.
    Narrow(Vec<Host>),
    /// It has another address; its own again at the end.
    Renumber(Host),
    /// Its network card is taken out; another one with the same address comes at the end.
    Replace(Host),
}

impl Kind {
    /// The name that it is counted by.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Kill(hosts) if hosts.len() > 1 => "herd restart",
            Self::Kill(hosts) if matches!(hosts[..], [Host::Server(_)]) => "server killed",
            Self::Kill(_) => "member killed",
            Self::Stop(Host::Server(_)) => "server stopped",
            Self::Stop(_) => "member stopped",
            Self::Unplug(_) => "link down",
            Self::Partition(_) => "partition",
            Self::Mute(_) => "datagrams cut",
            Self::OneWay(..) => "one-way cut",
            Self::Loss(_) => "loss",
            Self::Deafen(..) => "multicasts cut",
            Self::Narrow(_) => "narrow path",
            Self::Renumber(_) => "address change",
            Self::Replace(_) => "card replaced",
        }
    }

    /// Two faults of a round are not about the same process or cable: the end of one would be the
    /// end of the other.
    fn excludes(&self, other: &Self) -> bool {
        let shared = |a: &[Host], b: &[Host]| a.iter().any(|host| b.contains(host));
        match (self, other) {
            (Self::Unplug(a), Self::Unplug(b)) | (Self::Narrow(a), Self::Narrow(b)) => shared(a, b),
            _ if self.is_alone() || other.is_alone() => true,
            _ => shared(self.processes(), other.processes()),
        }
    }

    /// Filters and cables belong to an address and to a card: where these change, nothing else
    /// happens.
    fn is_alone(&self) -> bool {
        matches!(self, Self::Renumber(_) | Self::Replace(_))
    }

    fn processes(&self) -> &[Host] {
        match self {
            Self::Kill(hosts) => hosts,
            Self::Stop(host) => core::slice::from_ref(host),
            _ => &[],
        }
    }
}

/// Hosts as `m1 m2 s1`.
pub(crate) fn list(hosts: &[Host]) -> String {
    hosts.iter().map(Host::to_string).collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name())?;
        match self {
            Self::Kill(hosts)
            | Self::Unplug(hosts)
            | Self::Mute(hosts)
            | Self::Loss(hosts)
            | Self::Narrow(hosts) => f.write_str(&list(hosts)),
            Self::Stop(host) | Self::Renumber(host) | Self::Replace(host) => write!(f, "{host}"),
            Self::Partition(parts) => {
                let parts = parts.iter().map(|part| list(part)).collect::<Vec<_>>();
                f.write_str(&parts.join(" | "))
            }
            Self::OneWay(from, to) | Self::Deafen(from, to) => {
                write!(f, "{} -/-> {}", list(from), list(to))
            }
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

/// A run of `faults` faults.
pub(crate) fn plan(seed: u64, faults: u32) -> Vec<Round> {
    let mut rng = Rng(seed);
    let (mut rounds, mut number) = (Vec::new(), 0);
    while number < faults {
        let size = [1, 1, 1, 1, 1, 1, 2, 2, 2, 3][rng.below(10) as usize];
        let mut round: Round = Vec::new();
        while (round.len() as u32) < size.min(faults - number)
            && !round.iter().any(|fault| fault.kind.is_alone())
        {
            let kind = kind(&mut rng);
            if round.iter().any(|other| other.kind.excludes(&kind)) {
                continue;
            }
            let begin_ms = if round.is_empty() { 0 } else { rng.below(SPREAD_MS) };
            let end_ms = begin_ms + hold_ms(&mut rng, &kind);
            round.push(Fault { number: number + round.len() as u32 + 1, kind, begin_ms, end_ms });
        }
        number += round.len() as u32;
        rounds.push(round);
    }
    rounds
}

fn kind(rng: &mut Rng) -> Kind {
    let (members, servers, all) = (Host::members(), Host::servers(), Host::all());
    match rng.below(26) {
        0..=2 => Kind::Kill(rng.pick(&members, 1)),
        3..=4 => Kind::Kill(rng.pick(&servers, 1)),
        5..=6 => Kind::Stop(rng.pick(&members, 1)[0]),
        7 => Kind::Stop(rng.pick(&servers, 1)[0]),
        8..=9 => Kind::Unplug(rng.some(&all, 1, 5)),
        10 => Kind::Mute(rng.some(&members, 1, 4)),
        11..=13 => partition(rng),
        14..=15 | 20..=21 => {
            let is_deaf = rng.below(2) == 0;
            let from = rng.some(&all, 1, 4);
            let others = all.into_iter().filter(|host| !from.contains(host)).collect::<Vec<_>>();
            let to = rng.some(&others, 1, 8);
            if is_deaf { Kind::Deafen(from, to) } else { Kind::OneWay(from, to) }
        }
        16..=17 => Kind::Loss(rng.some(&all, 2, u64::from(HOSTS))),
        22 => Kind::Narrow(rng.some(&all, 1, 4)),
        23..=24 => Kind::Renumber(rng.pick(&members, 1)[0]),
        25 => Kind::Replace(rng.pick(&all, 1)[0]),
        18 => Kind::Kill(rng.some(&members, 2, u64::from(MEMBERS))),
        _ => Kind::Kill(match rng.below(3) {
            0 => servers,
            1 => all,
            _ => rng.some(&all, 3, u64::from(HOSTS) - 1),
        }),
    }
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
fn hold_ms(rng: &mut Rng, kind: &Kind) -> u64 {
    match kind {
        Kind::Kill(_) if rng.below(3) == 0 => 0,
        _ => 100 + rng.below(HOLD_MS_MAX - 100),
    }
}
