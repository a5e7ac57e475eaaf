//! Numbers as a reader likes them.

use std::collections::BTreeMap;

use vs_core::View;
use vs_core::ident::{Cid, ProcessId, ViewId};

/// Numbers that are derived from the clock are above this.
const CLOCK_MIN: u64 = 1_000_000_000;
/// Numbers of views that are further apart do not follow one another: the later one is from the
/// clock.
const STEP_MAX: u64 = 1000;

/// Shows views with numbers counted from the beginning of the demo. Servers without stable storage
/// continue numbers from the clock, so that they never fall back; in the traces they stand as they
/// are.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// What is taken off the numbers of views, and the largest number so far.
    view: Option<(u64, u64)>,
    cids: BTreeMap<ProcessId, u64>,
}

impl Numbers {
    /// A local id of `process`.
    pub(super) fn cid(&mut self, process: ProcessId, cid: Cid) -> Cid {
        let base = self.cids.entry(process).or_insert_with(|| base(cid.0));
        Cid(cid.0.saturating_sub(*base))
    }

    /// A view: `<4.1, {1,2,3}, [8,9,3]>`.
    pub(super) fn view(&mut self, view: &View) -> String {
        let major = view.id().major;
        let (base, max) = self.view.get_or_insert_with(|| (base(major), major));
        if major > max.saturating_add(STEP_MAX) {
            // Somebody came whose numbers go on from a later time.
            *base += major - *max - 1;
        }
        *max = major.max(*max);
        let base = *base;
        let id = ViewId { major: major.saturating_sub(base), ..view.id() };
        let start = view.members().iter().zip(view.start_ids());
        let start: Vec<Cid> = start.map(|(p, cid)| self.cid(*p, *cid)).collect();
        View::new(id, view.members(), &start).map_or_else(|_| view.to_string(), |v| v.to_string())
    }
}

/// What is taken off so that the first number is 1.
fn base(first: u64) -> u64 {
    if first >= CLOCK_MIN { first - 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(major: u64, start: [u64; 2]) -> View {
        let members = [ProcessId(1), ProcessId(2)];
        View::new(ViewId { major, minor: 1 }, &members, &start.map(Cid)).unwrap()
    }

    #[test]
    fn numbers_from_the_clock_begin_with_one() {
        let mut numbers = Numbers::default();
        let boot = 1_800_000_000_000;
        assert_eq!(numbers.cid(ProcessId(1), Cid(boot)), Cid(1));
        assert_eq!(numbers.view(&view(boot, [boot + 2, boot])), "<1.1, {1,2}, [3,1]>");
        assert_eq!(numbers.view(&view(boot + 3, [boot + 4, boot + 1])), "<4.1, {1,2}, [5,2]>");
    }

    #[test]
    fn a_step_by_the_clock_counts_as_one() {
        let mut numbers = Numbers::default();
        let boot = 1_800_000_000_000;
        numbers.view(&view(boot, [boot, boot]));
        assert_eq!(numbers.view(&view(boot + 5_000_000, [boot, boot])), "<2.1, {1,2}, [1,1]>");
        assert_eq!(numbers.view(&view(boot + 5_000_002, [boot, boot])), "<4.1, {1,2}, [1,1]>");
    }

    #[test]
    fn small_numbers_stay() {
        assert_eq!(Numbers::default().view(&view(4, [8, 9])), "<4.1, {1,2}, [8,9]>");
    }
}
