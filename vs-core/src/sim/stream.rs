//! Connections as TCP gives them: bytes in order, at boundaries that nobody chooses, late when a
//! path is cut; an end that is noticed by closing, by a reset, or not at all.

use alloc::collections::VecDeque;

use smallvec::SmallVec;

use crate::rng::Rng;
use crate::time::Time;

/// State of one end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndState {
    /// The dialer waits for an answer, or the listener's process has not accepted yet.
    Pending,
    Open,
    /// Bytes that are already written still go out; a close follows them.
    Closed,
    /// The host lost power: nothing goes out, not even a close.
    Vanished,
}

#[derive(Debug)]
pub(crate) struct End {
    pub(crate) host: usize,
    pub(crate) state: EndState,
}

/// Bytes under way in one direction.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    pub(crate) bytes: VecDeque<u8>,
    /// Bytes, last in `bytes`, that wait for a path that is cut or a receiver that is paused.
    pub(crate) stalled: usize,
    /// A close follows the bytes.
    pub(crate) fin: bool,
    /// The arrival scheduled last: later ones come no earlier.
    pub(crate) last: Time,
}

impl Pipe {
    /// Schedules the stalled bytes, cut at random boundaries, and the close: pairs of arrival and
    /// number of bytes.
    pub(crate) fn schedule(
        &mut self,
        rng: &mut Rng,
        now: Time,
        mut delay: impl FnMut(&mut Rng) -> u64,
    ) -> SmallVec<[(Time, u32); 4]> {
        let mut arrivals = SmallVec::new();
        while self.stalled > 0 {
            let chunk = if rng.percent(30) {
                1 + rng.below(self.stalled as u64) as usize
            } else {
                self.stalled
            };
            self.stalled -= chunk;
            self.last = self.last.max(now + delay(rng));
            arrivals.push((self.last, u32::try_from(chunk).unwrap_or(u32::MAX)));
        }
        if self.fin {
            self.last = self.last.max(now + delay(rng));
            arrivals.push((self.last, 0));
        }
        arrivals
    }

    /// Takes in bytes that wait to be scheduled.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.stalled += bytes.len();
    }
}

/// A connection; pipe `i` carries the bytes that end `i` writes. End 0 dialed.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) ends: [End; 2],
    pub(crate) pipes: [Pipe; 2],
}

impl Conn {
    pub(crate) fn new(dialer: usize, listener: usize) -> Self {
        let end = |host| End { host, state: EndState::Pending };
        Self { ends: [end(dialer), end(listener)], pipes: [Pipe::default(), Pipe::default()] }
    }

    /// Nobody can notice the connection any more.
    pub(crate) fn is_over(&self) -> bool {
        self.ends.iter().all(|e| matches!(e.state, EndState::Closed | EndState::Vanished))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_delivers_all_bytes_before_close() {
        let mut rng = Rng::new(3);
        let mut pipe = Pipe::default();
        let (mut total, mut last) = (0, Time::ZERO);
        for round in 0..50 {
            pipe.write(&[round; 33]);
            pipe.fin = round == 49;
            let arrivals = pipe.schedule(&mut rng, Time(10), |rng| rng.below(1000));
            for (at, n) in arrivals {
                assert!(at >= last);
                last = at;
                total += n;
                if n == 0 {
                    assert_eq!((round, total), (49, 50 * 33));
                }
            }
        }
        assert_eq!((total as usize, pipe.stalled), (pipe.bytes.len(), 0));
    }
}
