//! The notification service: who can be in the next view of a group.
//!
//! It needs more than attachments: servers tell whom they reach, and members accuse those that owe
//! them something. What it reports is a deterministic choice, so that all servers that see the same
//! settle on the same.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::ident::ProcessId;
use crate::member::attached::{Attached, Report};
use crate::view::VIEW_MEMBERS_MAX;

/// Splits `clients`, ascending by process, into those that share a view and the rest. All that
/// share one have room for so many, and there are as many of them as there can be: those that have
/// the least room stay out if that costs fewer members than a view of a size that they have room
/// for. Beyond that, who came last goes first.
pub(super) fn fit(clients: Report) -> (Report, Report) {
    let room_of = |client: &Attached| usize::from(client.members_max).min(VIEW_MEMBERS_MAX);
    if clients.iter().map(room_of).min() >= Some(clients.len()) {
        return (clients, Report::new());
    }
    let mut rooms: Vec<usize> = clients.iter().map(room_of).collect();
    rooms.sort_unstable();
    // How large a view is of those that have at least this room; of equal ones that which leaves
    // fewest out for it.
    let sizes = rooms.iter().enumerate().map(|(at, &room)| (room.min(rooms.len() - at), room));
    let (size, least) = sizes.max_by_key(|&(size, room)| (size, Reverse(room))).unwrap_or_default();
    let turn = |c: &Attached| (room_of(c) < least, c.attachment, c.process);
    let mut turns: Vec<_> = clients.iter().map(turn).collect();
    turns.sort_unstable();
    let first_out = turns.get(size);
    clients.into_iter().partition(|client| first_out.is_none_or(|first| turn(client) < *first))
}

/// Whom to exclude, so that no accusation is left between the others: again and again the one with
/// most conflicts, where being accused counts twice as much as accusing, and accusing all others as
/// much as being accused by all; then the one that more accuse, then the highest id. `members`
/// ascend.
pub(super) fn exclude(
    members: &[ProcessId],
    accusations: &BTreeMap<ProcessId, Vec<ProcessId>>,
) -> Vec<(ProcessId, Vec<ProcessId>)> {
    let at = |p: &ProcessId| members.binary_search(p).ok();
    // By the place of a member: whom it accuses, and who accuses it; those that are out are out of
    // these, too.
    let mut accuses: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); members.len()];
    let mut accused_by = accuses.clone();
    for (by, list) in accusations {
        let Some(by) = at(by) else { continue };
        for p in list.iter().filter_map(at).filter(|p| *p != by) {
            accuses[by].insert(p);
            accused_by[p].insert(by);
        }
    }
    let mut left: Vec<usize> = (0..members.len()).collect();
    let mut out = Vec::new();
    loop {
        let others = left.len().saturating_sub(1);
        let weigh = |p: usize| {
            let (accusers, accused) = (accused_by[p].len(), accuses[p].len());
            // Who accuses everybody is cut off itself.
            let cut_off = if others > 1 && accused == others { 2 * others } else { 0 };
            (2 * accusers + accused + cut_off, accusers, p)
        };
        let Some((weight, _, worst)) = left.iter().map(|&p| weigh(p)).max() else { return out };
        if weight == 0 {
            return out;
        }
        let by = core::mem::take(&mut accused_by[worst]);
        for p in core::mem::take(&mut accuses[worst]) {
            accused_by[p].remove(&worst);
        }
        for p in &by {
            accuses[*p].remove(&worst);
        }
        out.push((members[worst], by.iter().map(|p| members[*p]).collect()));
        left.retain(|p| *p != worst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::{Incarnation, ServerId};
    use crate::member::attached::Attachment;

    fn accused(members: &[u64], list: &[(u64, &[u64])]) -> Vec<u64> {
        let p = |list: &[u64]| list.iter().map(|&p| ProcessId(p)).collect::<Vec<_>>();
        let accusations = list.iter().map(|(by, whom)| (ProcessId(*by), p(whom))).collect();
        exclude(&p(members), &accusations).iter().map(|(p, _)| p.0).collect()
    }

    #[test]
    fn most_accused_member_is_excluded() {
        assert_eq!(accused(&[1, 2, 3], &[(1, &[3]), (2, &[3])]), [3]);
        assert_eq!(accused(&[1, 2, 3], &[(3, &[1])]), [1]);
        // The blocked one accuses all, and all accuse it.
        assert_eq!(accused(&[1, 2, 3], &[(1, &[2, 3]), (2, &[1]), (3, &[1])]), [1]);
        assert_eq!(accused(&[1, 2, 3], &[(1, &[2, 3])]), [1], "who reaches nobody");
        assert_eq!(accused(&[1, 2, 3, 4], &[(1, &[2, 3])]), [3, 2]);
        assert_eq!(accused(&[1, 2], &[(1, &[2]), (2, &[1])]), [2], "a tie");
        assert_eq!(accused(&[1, 2], &[(2, &[1])]), [1], "one accusation against none");
        assert_eq!(accused(&[1, 2, 3, 4], &[(1, &[2]), (2, &[3])]), [2], "accusing counts, too");
        let all_of_four: [(u64, &[u64]); 4] = [(1, &[2, 3, 4]), (2, &[3, 4]), (3, &[2]), (4, &[2])];
        assert_eq!(accused(&[1, 2, 3, 4], &all_of_four), [1, 2], "9 against 8, then 2 accuses all");
        assert!(accused(&[1, 2], &[(1, &[3]), (9, &[1])]).is_empty(), "not among us");
    }

    /// The processes of `list` (process, incarnation, room) that share a view, and the others.
    fn fitted(list: &[(u64, u64, u16)]) -> (Vec<u64>, Vec<u64>) {
        let client = |(process, begun, members_max): (u64, u64, u16)| Attached {
            process: ProcessId(process),
            attachment: Attachment { incarnation: Incarnation::new(begun), counter: 1 },
            home: ServerId(1),
            members_max,
            settled: None,
            profile: 0,
        };
        let (fit, rest) = fit(list.iter().copied().map(client).collect());
        let ids = |report: Report| report.iter().map(|c| c.process.0).collect::<Vec<_>>();
        (ids(fit), ids(rest))
    }

    #[test]
    fn latest_client_finds_no_room() {
        assert_eq!(fitted(&[(1, 5, 3), (2, 9, 3), (3, 7, 3)]), (vec![1, 2, 3], vec![]));
        assert_eq!(fitted(&[(1, 5, 2), (2, 9, 3), (3, 7, 3)]), (vec![1, 3], vec![2]));
        assert_eq!(fitted(&[(1, 5, 3), (2, 9, 1), (3, 7, 3)]), (vec![1, 3], vec![2]), "its own");
        assert_eq!(fitted(&[(1, 5, 0)]), (vec![], vec![1]));
        assert_eq!(fitted(&[]), (vec![], vec![]));
        let many: Vec<_> = (1..=VIEW_MEMBERS_MAX as u64 + 2).map(|p| (p, p, u16::MAX)).collect();
        let last = [VIEW_MEMBERS_MAX as u64 + 1, VIEW_MEMBERS_MAX as u64 + 2];
        assert_eq!(fitted(&many).1, last, "no view has more members");
    }

    /// It had come first, and all others were thrown out, so that it had room for the rest.
    #[test]
    fn client_with_little_room_stays_out() {
        let four = [(1, 5, 9), (2, 6, 9), (3, 7, 9), (4, 8, 9)];
        let with = |others: &[(u64, u64, u16)]| fitted(&[&four[..], others].concat());
        assert_eq!(with(&[(5, 1, 2)]), (vec![1, 2, 3, 4], vec![5]));
        assert_eq!(with(&[(5, 1, 1), (6, 1, 3)]), (vec![1, 2, 3, 4], vec![5, 6]));
        assert_eq!(with(&[(5, 1, 4)]), (vec![1, 2, 3, 5], vec![4]), "it costs one, too");
        // There are more of those with less room: they are the group.
        let five = [(5, 1, 5), (6, 2, 5), (7, 3, 5), (8, 4, 5), (9, 9, 5)];
        assert_eq!(with(&five), (vec![1, 5, 6, 7, 8], vec![2, 3, 4, 9]));
    }
}
