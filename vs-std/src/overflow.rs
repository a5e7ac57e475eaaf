//! Datagrams that the system dropped since a socket's buffer was full.
//!
//! Linux counts for each socket what it drops, and for each network namespace what it drops since
//! a buffer is full. The first includes own multicasts that the filter of the multicast socket
//! drops, the second what other processes are too slow for: the lesser of both is what is counted
//! here, so N means N at most. Elsewhere nothing is counted.

use core::fmt;

use vs_core::Time;

use crate::udp::UdpPair;

/// Pause between two looks, in ms.
const LOOK_MS: u64 = 5000;

/// Lines that are read of a file: sockets of the host that are looked at to find those of the node.
#[cfg(target_os = "linux")]
const LINES_MAX: usize = 4096;

/// Bytes of a file that are looked at at once: a line is shorter.
const TEXT_BYTES: usize = 8 << 10;

/// The system dropped datagrams for this node, since the buffers of its sockets were full: in one
/// sentence, what that means and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overflow {
    /// How many, at most.
    pub datagrams: u64,
    /// Bytes of the lesser buffer, as the system counts them.
    pub granted: usize,
}

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { datagrams, granted } = self;
        write!(
            f,
            "the system dropped {datagrams} datagrams so far, since buffers of {granted} bytes were full: this process reads \
             too late; let it have more of the processor, or larger buffers (`sysctl -w net.core.rmem_max`)"
        )
    }
}

/// What the system says of the sockets of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    /// What was dropped for each socket that there is: its number, and how many.
    sockets: [Option<(u64, u64)>; 2],
    /// What was dropped for all sockets, since buffers were full.
    all: u64,
}

impl Seen {
    /// Datagrams that were dropped since `before`.
    fn since(&self, before: &Self) -> u64 {
        let fresh = |(socket, drops): (u64, u64)| {
            let known = before.sockets.into_iter().flatten().find(|known| known.0 == socket);
            drops.saturating_sub(known.map_or(0, |known| known.1))
        };
        let own: u64 = self.sockets.into_iter().flatten().map(fresh).sum();
        own.min(self.all.saturating_sub(before.all))
    }
}

/// Looks now and then.
#[derive(Debug)]
pub(crate) struct Overflows {
    seen: Seen,
    /// What is read of the system's files.
    text: Vec<u8>,
    look_at: Time,
}

impl Overflows {
    /// What was dropped before is of no interest.
    pub(crate) fn new(pair: &UdpPair) -> Self {
        let mut text = vec![0; TEXT_BYTES];
        let seen = look(pair, &mut text).unwrap_or_default();
        Self { seen, text, look_at: Time::ZERO }
    }

    /// Datagrams that were dropped since the last look, if it is time for another one.
    #[inline]
    pub(crate) fn look(&mut self, now: Time, pair: &UdpPair) -> u64 {
        if now < self.look_at {
            return 0;
        }
        self.look_now(now, pair)
    }

    #[cold]
    fn look_now(&mut self, now: Time, pair: &UdpPair) -> u64 {
        self.look_at = now.plus_ms(LOOK_MS);
        let Some(seen) = look(pair, &mut self.text) else { return 0 };
        let dropped = seen.since(&self.seen);
        self.seen = seen;
        dropped
    }
}

#[cfg(not(target_os = "linux"))]
fn look(_pair: &UdpPair, _text: &mut [u8]) -> Option<Seen> {
    None
}

#[cfg(target_os = "linux")]
fn look(pair: &UdpPair, text: &mut [u8]) -> Option<Seen> {
    use crate::udp::Which;

    let is_v4 = pair.local_addr().is_ipv4();
    let [table, totals] = match is_v4 {
        true => ["/proc/thread-self/net/udp", "/proc/thread-self/net/snmp"],
        false => ["/proc/thread-self/net/udp6", "/proc/thread-self/net/snmp6"],
    };
    let mut full = Full::default();
    each_line(totals, text, |line| if is_v4 { full.read_v4(line) } else { full.read_v6(line) })?;
    let number = |which| rustix::fs::fstat(pair.socket(which)?).ok().map(|stat| stat.st_ino);
    let numbers = [number(Which::Unicast), number(Which::Multicast)];
    let mut sockets = [None; 2];
    each_line(table, text, |line| {
        let Some((number, drops)) = socket(line) else { return };
        if let Some(at) = numbers.iter().position(|own| *own == Some(number)) {
            sockets[at] = Some((number, drops));
        }
    })?;
    Some(Seen { sockets, all: full.datagrams? })
}

/// Hands each of the first [`LINES_MAX`] lines of a file to `f`. Nothing is allocated: a node that
/// runs allocates nothing. `None`: it cannot be read, or a line is longer than `text`.
#[cfg(target_os = "linux")]
fn each_line(path: &str, text: &mut [u8], mut f: impl FnMut(&str)) -> Option<()> {
    use std::io::Read;

    let mut file = std::fs::File::open(path).ok()?;
    let (mut filled, mut lines) = (0, 0);
    while lines < LINES_MAX {
        let read = file.read(text.get_mut(filled..)?).ok()?;
        if read == 0 {
            return (filled < text.len()).then_some(());
        }
        filled += read;
        let whole = text[..filled].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        for line in core::str::from_utf8(&text[..whole]).ok()?.lines() {
            f(line);
            lines += 1;
        }
        text.copy_within(whole..filled, 0);
        filled -= whole;
    }
    Some(())
}

/// The number of a socket and what was dropped for it, of a line of `/proc/net/udp`.
#[cfg(target_os = "linux")]
fn socket(line: &str) -> Option<(u64, u64)> {
    let mut columns = line.split_ascii_whitespace();
    let number = columns.nth(9)?.parse().ok()?;
    Some((number, columns.last()?.parse().ok()?))
}

/// What was dropped for all sockets, since buffers were full.
#[cfg(target_os = "linux")]
#[derive(Default)]
struct Full {
    /// The place of the number in its line, once the line of names was read.
    at: Option<usize>,
    datagrams: Option<u64>,
}

#[cfg(target_os = "linux")]
impl Full {
    /// `RcvbufErrors` of `/proc/net/snmp`: a line of names, and one of numbers.
    fn read_v4(&mut self, line: &str) {
        let Some(fields) = line.strip_prefix("Udp: ") else { return };
        let mut fields = fields.split(' ');
        match self.at {
            None => self.at = fields.position(|name| name == "RcvbufErrors"),
            Some(at) => self.datagrams = fields.nth(at).and_then(|number| number.parse().ok()),
        }
    }

    /// The same of `/proc/net/snmp6`: a name and a number in a line.
    fn read_v6(&mut self, line: &str) {
        if let Some(number) = line.strip_prefix("Udp6RcvbufErrors") {
            self.datagrams = number.trim().parse().ok();
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use core::net::Ipv4Addr;
    use std::net::UdpSocket;

    use super::*;
    use crate::udp::UdpConfig;

    #[test]
    fn what_a_full_buffer_loses_is_counted() {
        let config = UdpConfig::on(Ipv4Addr::LOCALHOST).with_buffer_bytes(8192);
        let pair = UdpPair::open(&config, 1200).unwrap();
        let mut overflows = Overflows::new(&pair);
        let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let send = |count| {
            for _ in 0..count {
                sender.send_to(&[0; 1000], pair.local_addr()).unwrap();
            }
        };
        send(1);
        assert_eq!(overflows.look(Time::from_millis(1), &pair), 0);
        send(500);
        assert_eq!(overflows.look(Time::from_millis(2), &pair), 0, "not so soon");
        let dropped = overflows.look(Time::from_millis(LOOK_MS + 1), &pair);
        assert!((300..=501).contains(&dropped), "{dropped}");
        assert_eq!(overflows.look(Time::from_millis(3 * LOOK_MS), &pair), 0, "told once");
    }

    /// The filter drops own multicasts, which the system counts for the socket, too.
    #[test]
    fn own_multicasts_are_no_overflow() {
        let before = Seen { sockets: [Some((7, 1)), Some((8, 100))], all: 50 };
        let after = Seen { sockets: [Some((7, 1)), Some((8, 9000))], all: 50 };
        assert_eq!(after.since(&before), 0);
        let after = Seen { sockets: [Some((7, 3)), Some((8, 9000))], all: 60 };
        assert_eq!(after.since(&before), 10, "at most");
        let others = Seen { sockets: [Some((7, 2)), Some((8, 100))], all: 5000 };
        assert_eq!(others.since(&before), 1);
        let reopened = Seen { sockets: [Some((9, 4)), None], all: 5000 };
        assert_eq!(reopened.since(&before), 4);
    }
}
