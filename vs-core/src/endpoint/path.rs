//! How long datagrams may be on the way to all members.
//!
//! Interfaces tell how long a datagram they take. What lies between two hosts may take less, and
//! drops longer ones without a word: a tunnel, a VPN, a switch. So a stream begins with datagrams
//! of [`SAFE_BYTES`]. Once there is something to send that would fill a longer one, probes of the
//! full length go to the group, and each member answers those that arrive. The stream uses the
//! longest that all have answered, found by bisection if the full length does not arrive. This is
//! the idea of RFC 8899, with the group for a peer.
//!
//! Two cases remain. A group whose window holds the largest message only in longer datagrams begins
//! with such. And what is handed on for a member that is gone has the length that the ways of that
//! member carried.
//!
//! Answers come by unicast. A member that answers no probe at all, not even the shortest, says
//! nothing of how long datagrams may be: its answers do not arrive.
//!
//! A member that came along from the last view has its answers kept. One that was excluded, since
//! a way to it takes less than before, is a stranger when it returns: then the search begins anew.

use alloc::vec::Vec;

use smallvec::SmallVec;

use crate::ident::{ProcessId, Rank};
use crate::time::{Time, Wake};
use crate::view::{Members, View};
use crate::wire::path::PATH_BYTES;

/// Bytes of a datagram that every way is taken to carry: the least MTU of IPv6, less headers of
/// tunnels.
pub(super) const SAFE_BYTES: usize = 1200;

/// Probes of one length before it counts as too long.
const PROBES_MAX: u8 = 4;

/// Pause between two probes, in ms.
const PROBE_MS: u64 = 100;

/// Pause before a length is probed again of which nothing is known, since a member that did not
/// answer was not heard at all, in ms.
const AGAIN_MS: u64 = 1000;

/// The search ends when the longest that arrives is known up to so many bytes.
const STEP_BYTES: usize = 32;

/// Probes that wait to be answered; others are sent again.
const ANSWERS_MAX: usize = 8;

/// Probes of one length.
#[derive(Clone, Copy, Debug)]
struct Probe {
    bytes: usize,
    sent: u8,
    /// When the first of them went out.
    since: Time,
    next_at: Time,
    /// Members that have not answered one so long.
    missing: usize,
}

/// What is known of the ways to the members of the current view.
#[derive(Debug, Default)]
pub(super) struct PathSize {
    own: Rank,
    /// Of each member by rank, the longest that it has answered; 0: none.
    answered: Vec<usize>,
    /// The longest that all ways carry, as far as is known.
    usable: usize,
    /// The shortest that does not arrive at all, or one more than is ever used.
    ceiling: usize,
    probe: Option<Probe>,
    /// Members at which the ceiling does not arrive, ascending.
    unreached: Members,
    /// The search is over. Those that answered none of its probes were asked by the shortest one.
    is_over: bool,
    /// Who is to be answered, and for what length.
    answers: SmallVec<[(Rank, u32); 1]>,
}

impl PathSize {
    /// A view begins, in which this process has rank `own`, and datagrams have at most `full`
    /// bytes and may have `least` on any way. Of the members of `before`, those in `transitional`
    /// came along.
    pub(super) fn handle_installed(
        &mut self,
        (before, view): (&View, &View),
        transitional: &[ProcessId],
        own: Rank,
        (least, full): (usize, usize),
    ) {
        let last = core::mem::take(&mut self.answered);
        let kept = |p: &ProcessId| {
            let rank = before.rank(*p).filter(|_| transitional.binary_search(p).is_ok())?;
            last.get(usize::from(rank)).copied()
        };
        let answered: Vec<usize> =
            view.members().iter().map(|p| kept(p).unwrap_or_default()).collect();
        let least = least.max(SAFE_BYTES).min(full);
        let (ceiling, usable) = (full + 1, full);
        *self = Self { own, answered, usable, ceiling, ..Self::default() };
        let longest = self.others().map(|(_, bytes)| bytes.max(least)).min();
        self.usable = longest.unwrap_or(full).min(full);
    }

    /// The way to `process` is another one now, or to all others: what it carries is found out anew
    /// in the next view.
    pub(super) fn forget(&mut self, view: &View, process: Option<ProcessId>) {
        match process.map(|process| view.rank(process)) {
            None => self.answered.fill(0),
            Some(rank) => {
                let of_it = rank.and_then(|rank| self.answered.get_mut(usize::from(rank)));
                of_it.into_iter().for_each(|answered| *answered = 0);
            }
        }
    }

    fn others(&self) -> impl Iterator<Item = (Rank, usize)> + '_ {
        (0..).zip(self.answered.iter().copied()).filter(|(rank, _)| *rank != self.own)
    }

    /// The longest datagram that all ways carry, as far as is known, in bytes.
    pub(super) fn usable(&self) -> usize {
        self.usable
    }

    /// Once a search is over that full datagrams did not come through: the longest that do, in
    /// bytes, and the members at which longer ones do not arrive.
    pub(super) fn narrow(&self) -> Option<(usize, &[ProcessId])> {
        let is_narrow = self.is_over && !self.unreached.is_empty();
        is_narrow.then_some((self.usable, self.unreached.as_slice()))
    }

    /// Whether a longer datagram may be found that all ways carry.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        !self.is_over
            && self.ceiling - self.usable > if self.unreached.is_empty() { 1 } else { STEP_BYTES }
    }

    /// There is something to send that would fill a longer datagram.
    pub(super) fn handle_wanted(&mut self, now: Time) {
        if self.probe.is_none() && self.is_open() {
            let bytes = match self.unreached.is_empty() {
                true => self.ceiling - 1,
                false => self.usable.midpoint(self.ceiling),
            };
            self.begin(now, bytes);
        }
    }

    fn begin(&mut self, now: Time, bytes: usize) {
        let missing = self.others().filter(|(_, answered)| *answered < bytes).count();
        self.probe = Some(Probe { bytes, sent: 0, since: now, next_at: now, missing });
    }

    /// Goes on after a length was found to arrive or not to arrive, if some does not.
    fn go_on(&mut self, now: Time) {
        if self.unreached.is_empty() || self.is_open() {
            return self.handle_wanted(now);
        }
        let some_are_mute = self.others().any(|(_, answered)| answered == 0);
        match some_are_mute {
            true => self.begin(now, PATH_BYTES),
            false => self.is_over = true,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<(Time, Wake)> {
        self.probe.map(|probe| (probe.next_at, Wake::Reach))
    }

    /// The length of a probe that is due. After the last one it is known that this is too long, if
    /// those that did not answer were there: `met_at` says when something last arrived of one.
    pub(super) fn next_probe(
        &mut self,
        now: Time,
        view: &View,
        met_at: impl Fn(Rank) -> Option<Time>,
    ) -> Option<usize> {
        let probe = self.probe.as_mut().filter(|probe| probe.next_at <= now)?;
        if probe.sent < PROBES_MAX {
            probe.sent += 1;
            probe.next_at = now.plus_ms(PROBE_MS);
            return Some(probe.bytes);
        }
        let (bytes, since) = (probe.bytes, probe.since);
        let is_there = |rank| met_at(rank).is_some_and(|at| at > since);
        if self.others().any(|(rank, answered)| answered < bytes && !is_there(rank)) {
            let again_at = now.plus_ms(AGAIN_MS);
            self.probe = self.probe.map(|probe| Probe {
                sent: 0,
                since: again_at,
                next_at: again_at,
                ..probe
            });
            return None;
        }
        self.probe = None;
        if bytes == PATH_BYTES {
            // Its answers do not arrive, whatever is sent.
            self.is_over = true;
            let answers = |p: &ProcessId| {
                let rank = view.rank(*p).map_or(usize::MAX, usize::from);
                self.answered.get(rank).is_some_and(|answered| *answered > 0)
            };
            self.unreached.retain(|p| answers(p));
            return None;
        }
        self.ceiling = bytes;
        let late = self.others().filter(|(_, answered)| *answered < bytes);
        self.unreached = late.map(|(rank, _)| view.members()[usize::from(rank)]).collect();
        self.go_on(now);
        self.next_probe(now, view, met_at)
    }

    /// The member of `rank` answers a probe of `bytes`. True if longer datagrams can be used now.
    pub(super) fn handle_answer(&mut self, now: Time, rank: Rank, bytes: usize) -> bool {
        let Some(answered) = self.answered.get_mut(usize::from(rank)) else { return false };
        let Some(probe) = &mut self.probe else { return false };
        // What was not sent cannot have arrived.
        if rank == self.own || bytes != probe.bytes || *answered >= bytes {
            return false;
        }
        *answered = bytes;
        probe.missing -= 1;
        if probe.missing > 0 {
            return false;
        }
        self.usable = self.usable.max(bytes);
        self.probe = None;
        if !self.unreached.is_empty() {
            self.go_on(now);
        }
        true
    }

    /// A probe of the member of `rank` arrived.
    pub(super) fn answer(&mut self, rank: Rank, bytes: u32) {
        let is_known = self.answers.iter().any(|(other, _)| *other == rank);
        if !is_known && self.answers.len() < ANSWERS_MAX {
            self.answers.push((rank, bytes));
        }
    }

    /// The next answer: to whom, and for what length.
    pub(super) fn next_answer(&mut self) -> Option<(Rank, u32)> {
        self.answers.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::{Cid, ViewId};

    const FULL: usize = 1472;

    fn view(major: u64, members: &[u64]) -> View {
        let members: Vec<_> = members.iter().map(|p| ProcessId(*p)).collect();
        let start = alloc::vec![Cid(major); members.len()];
        View::new(ViewId { major, minor: 1 }, &members, &start).unwrap()
    }

    /// In a view of 1, 2 and 3 of which this process is the first; all of them came along.
    fn installed() -> PathSize {
        let (mut path, now) = (PathSize::default(), view(2, &[1, 2, 3]));
        path.handle_installed((&view(1, &[1]), &now), &[ProcessId(1)], 0, (0, FULL));
        path
    }

    /// Searches where the member of rank 2 hears what is at most `most` long.
    fn search(path: &mut PathSize, most: usize) -> usize {
        let (view, mut now) = (view(2, &[1, 2, 3]), Time::ZERO);
        path.handle_wanted(now);
        let mut probes = 0;
        while let Some((at, _)) = path.poll_timeout() {
            now = at;
            if let Some(bytes) = path.next_probe(now, &view, |_| Some(now)) {
                probes += 1;
                path.handle_answer(now, 1, bytes);
                if bytes <= most {
                    path.handle_answer(now, 2, bytes);
                }
            }
        }
        probes
    }

    #[test]
    fn full_length_is_used_once_all_answered() {
        let mut path = installed();
        assert_eq!((path.usable(), path.poll_timeout()), (SAFE_BYTES, None), "until it is wanted");
        assert_eq!(search(&mut path, FULL), 1);
        assert_eq!((path.usable(), path.is_open()), (FULL, false));
        // Who comes along is known, who comes from elsewhere is not.
        let (before, after) = (view(2, &[1, 2, 3]), view(3, &[1, 2, 3]));
        let came = [1, 2, 3].map(ProcessId);
        path.handle_installed((&before, &after), &came, 0, (0, FULL));
        assert_eq!(path.usable(), FULL);
        path.handle_installed((&after, &view(4, &[1, 2, 3])), &came[..2], 0, (0, FULL));
        assert_eq!(path.usable(), SAFE_BYTES);
    }

    #[test]
    fn longest_that_arrives_is_found() {
        for most in [PATH_BYTES, 1199, 1210, 1300, 1372, 1471] {
            let mut path = installed();
            let probes = search(&mut path, most);
            let found = path.usable();
            let most = most.max(SAFE_BYTES);
            assert!(found <= most && most - found <= STEP_BYTES, "{found} of {most}");
            assert_eq!(path.narrow(), Some((found, &[ProcessId(3)][..])));
            assert!(probes < 40, "{probes} probes");
            path.handle_wanted(Time::ZERO);
            assert_eq!(path.poll_timeout(), None, "the search is over");
        }
    }

    #[test]
    fn false_answers_make_nothing_usable() {
        let mut path = installed();
        path.handle_wanted(Time::ZERO);
        path.next_probe(Time::ZERO, &view(2, &[1, 2, 3]), |_| None);
        for (rank, bytes) in [(0, FULL), (1, FULL), (1, FULL), (9, FULL), (2, FULL - 1)] {
            assert!(!path.handle_answer(Time::ZERO, rank, bytes));
        }
        assert_eq!(path.usable(), SAFE_BYTES);
        (0..20).for_each(|rank| path.answer(rank, 1000));
        assert_eq!(path.answers.len(), ANSWERS_MAX);
    }
    /// A firewall lets multicasts in and stops unicast, so the answers. The search said that full
    /// datagrams do not arrive.
    #[test]
    fn answers_that_never_arrive_narrow_no_path() {
        let (mut path, view) = (installed(), view(2, &[1, 2, 3]));
        path.handle_wanted(Time::ZERO);
        let mut probes = 0;
        while let Some((now, _)) = path.poll_timeout() {
            if let Some(bytes) = path.next_probe(now, &view, |_| Some(now)) {
                probes += 1;
                path.handle_answer(now, 1, bytes);
            }
        }
        assert_eq!((path.narrow(), path.usable(), path.is_open()), (None, SAFE_BYTES, false));
        assert!(probes <= 6 * usize::from(PROBES_MAX), "{probes}");
    }

    /// It was stopped for half a second, which said nothing about the way to it.
    #[test]
    fn silent_member_narrows_no_path() {
        let (mut path, view) = (installed(), view(2, &[1, 2, 3]));
        path.handle_wanted(Time::ZERO);
        let mut probes = 0;
        for ms in (0..2000).step_by(100) {
            let now = Time::from_millis(ms);
            let met_at = |rank| (rank == 1).then_some(now);
            if let Some(bytes) = path.next_probe(now, &view, met_at) {
                probes += 1;
                assert_eq!(bytes, FULL);
                path.handle_answer(now, 1, bytes);
            }
        }
        assert_eq!((path.narrow(), probes), (None, 2 * usize::from(PROBES_MAX)), "it goes on");
        assert!(path.handle_answer(Time::from_millis(2000), 2, FULL));
        assert_eq!(path.usable(), FULL);
    }
}
