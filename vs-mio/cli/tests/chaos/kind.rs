//! The kinds of faults: what each is, whom it concerns, and what its victim has to say.

use core::fmt;

use crate::plan::Host;

/// What is done, and undone when its time is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// `kill -9`; started again at the end.
    Kill(Vec<Host>),
    /// SIGSTOP; SIGCONT at the end.
    Stop(Host),
    /// Ten of them a second are killed and started again at once.
    Roll(Vec<Host>),
    /// So many more members join at once, and are gone at once: they leave, or are killed.
    Crowd { count: u8, leave: bool },
    /// The processes run for 2 of 100 ms, each by itself.
    Throttle(Vec<Host>),
    /// The process may open no more files; as many as before at the end.
    Descriptors(Host),
    /// The disk that holds the trace of a member is full. It starts again at the end, with room.
    FullDisk(Host),
    /// Started again under a wall clock that is wrong by so many seconds, and at the end under the
    /// right one.
    Clock(Host, i32),
    /// Started again under a wall clock that is two years ahead, which a member is refused for, and
    /// at the end under the right one.
    FarClock(Host),
    /// Started again with an option that the others do not have, and at the end without it.
    Options(Host, &'static Mismatch),
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
    /// Multicasts between the first and the second are lost, both ways.
    DeafenBoth(Vec<Host>, Vec<Host>),
    /// Datagrams to and from it overtake each other, and one of ten comes twice.
    Shuffle(Host),
    /// Their cables carry packets of up to 1280 bytes, and drop longer ones without a word.
    Narrow(Vec<Host>),
    /// Their routes take packets of up to 1280 bytes, as after an ICMP message of a router.
    NarrowTold(Vec<Host>),
    /// It has another address; its own again at the end.
    Renumber(Host),
    /// Its network card is taken out; another one with the same address comes at the end.
    Replace(Host),
    /// A server goes on at another address, and its name with it; at its own again at the end.
    Move(Host),
    /// A member starts again where no name is known yet.
    Nameless(Host),
}

/// An option with a value that the others do not have.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Mismatch {
    pub(crate) option: &'static str,
    pub(crate) value: &'static str,
    /// What the process says that is refused for it. None: all go on.
    pub(crate) words: Option<&'static str>,
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
            Self::Roll(_) => "rolling restarts",
            Self::Crowd { .. } => "crowd",
            Self::Throttle(_) => "processor quota",
            Self::Descriptors(_) => "descriptors exhausted",
            Self::FullDisk(_) => "disk full",
            Self::Clock(..) => "clock step",
            Self::FarClock(_) => "clock years ahead",
            Self::Options(..) => "option mismatch",
            Self::Unplug(_) => "link flap",
            Self::Partition(_) => "partition",
            Self::Mute(_) => "datagrams cut",
            Self::OneWay(..) => "one-way cut",
            Self::Loss(_) => "loss",
            Self::Deafen(..) => "multicasts cut one way",
            Self::DeafenBoth(..) => "multicasts cut",
            Self::Shuffle(_) => "duplication and reordering",
            Self::Narrow(_) => "narrow path",
            Self::NarrowTold(_) => "narrow path, told",
            Self::Renumber(_) => "address change",
            Self::Replace(_) => "card replaced",
            Self::Move(_) => "name moved",
            Self::Nameless(_) => "names unknown",
        }
    }

    /// Two faults of a round are not about the same process or cable: the end of one would be the
    /// end of the other.
    pub(crate) fn excludes(&self, other: &Self) -> bool {
        let shared = |a: &[Host], b: &[Host]| a.iter().any(|host| b.contains(host));
        self.is_alone()
            || other.is_alone()
            || shared(self.cables(), other.cables())
            || shared(self.routes(), other.routes())
            || shared(self.processes(), other.processes())
    }

    /// Filters and cables belong to an address and to a card: where these change, nothing else
    /// happens. Nor does it while words are awaited, or while many start again.
    pub(crate) fn is_alone(&self) -> bool {
        let changes_all = matches!(
            self,
            Self::Renumber(_)
                | Self::Replace(_)
                | Self::Move(_)
                | Self::Roll(_)
                | Self::Crowd { .. }
                | Self::Options(..)
        );
        changes_all || self.words().is_some()
    }

    /// What the victim has to say, since it cannot go on as if nothing were. The fault does not end
    /// before.
    pub(crate) fn words(&self) -> Option<(Host, &'static str)> {
        match self {
            Self::Descriptors(server @ Host::Server(_)) => {
                Some((*server, "cannot accept a connection: Too many open files"))
            }
            Self::FullDisk(host) => Some((*host, "the trace ends here, it cannot be written")),
            Self::FarClock(host @ Host::Member(_)) => {
                Some((*host, "the clock here is more than a year ahead"))
            }
            Self::Options(host, mismatch) => mismatch.words.map(|words| (*host, words)),
            Self::Nameless(host) => Some((*host, "cannot be looked up")),
            _ => None,
        }
    }

    fn processes(&self) -> &[Host] {
        match self {
            Self::Kill(hosts) | Self::Throttle(hosts) => hosts,
            Self::Stop(host)
            | Self::Descriptors(host)
            | Self::FullDisk(host)
            | Self::Clock(host, _)
            | Self::FarClock(host) => core::slice::from_ref(host),
            _ => &[],
        }
    }

    fn cables(&self) -> &[Host] {
        match self {
            Self::Unplug(hosts) | Self::Narrow(hosts) => hosts,
            Self::Shuffle(host) => core::slice::from_ref(host),
            _ => &[],
        }
    }

    fn routes(&self) -> &[Host] {
        if let Self::NarrowTold(hosts) = self { hosts } else { &[] }
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
            | Self::Roll(hosts)
            | Self::Throttle(hosts)
            | Self::Unplug(hosts)
            | Self::Mute(hosts)
            | Self::Loss(hosts)
            | Self::Narrow(hosts)
            | Self::NarrowTold(hosts) => f.write_str(&list(hosts)),
            Self::Stop(host)
            | Self::Descriptors(host)
            | Self::FullDisk(host)
            | Self::FarClock(host)
            | Self::Shuffle(host)
            | Self::Renumber(host)
            | Self::Replace(host)
            | Self::Move(host)
            | Self::Nameless(host) => write!(f, "{host}"),
            Self::Crowd { count, leave } => {
                write!(f, "{count} that {}", if *leave { "leave" } else { "are killed" })
            }
            Self::Clock(host, seconds) => write!(f, "{host} by {seconds} s"),
            Self::Options(host, mismatch) => {
                write!(f, "{host} with {} {}", mismatch.option, mismatch.value)
            }
            Self::Partition(parts) => {
                let parts = parts.iter().map(|part| list(part)).collect::<Vec<_>>();
                f.write_str(&parts.join(" | "))
            }
            Self::OneWay(from, to) | Self::Deafen(from, to) => {
                write!(f, "{} -/-> {}", list(from), list(to))
            }
            Self::DeafenBoth(a, b) => write!(f, "{} -/- {}", list(a), list(b)),
        }
    }
}
