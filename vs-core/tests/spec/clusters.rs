//! What views tell about who came together (T7), broken in runs that are as small as can be.

use vs_core::ident::{Cid, GroupName, Incarnation, ProcessId, ViewId};
use vs_core::order::Order;
use vs_core::spec::Property::{self, *};
use vs_core::spec::{self, Report};
use vs_core::trace::{Event, Header, Record, ToldCluster, Trace};
use vs_core::{Members, Time, View};

/// The members of a cluster, and whether it is fresh.
type Told = (&'static [u64], bool);

const RIGHT: &[Told] = &[(&[1, 2], false), (&[3], false), (&[4], true)];

fn set(members: &[u64]) -> Members {
    members.iter().map(|p| ProcessId(*p)).collect()
}

fn view(major: u64, minor: u64, members: &[u64]) -> Box<View> {
    let start = vec![Cid(major); members.len()];
    Box::new(View::new(ViewId { major, minor }, &set(members), &start).unwrap())
}

/// A change that ends in `view`, of which is told what is `told`.
fn change(view: &View, transitional: &[u64], told: Option<&[Told]>) -> Vec<Event> {
    let cluster = |&(members, fresh): &Told| ToldCluster { members: set(members), fresh };
    let (set_of, view) = (Members::from_slice(view.members()), Box::new(view.clone()));
    vec![
        Event::StartChange { cid: Cid(view.id().major), set: set_of },
        Event::Block,
        Event::BlockOk,
        Event::MbrView { view: view.clone() },
        Event::View {
            view,
            transitional: set(transitional),
            clusters: told.map(|told| told.iter().map(cluster).collect()),
        },
    ]
}

/// The trace of `p`, which comes to a view before the last one, perhaps, and to that.
fn member(
    p: u64,
    before: Option<(&View, &[Told])>,
    (last, own, told): (&View, &[u64], Option<&[Told]>),
) -> Trace {
    let mut events = vec![
        Event::Join { order: Order::Fifo, clusters: true },
        Event::Start { incarnation: Incarnation::new(1) },
    ];
    if let Some((view, fresh)) = before {
        events.extend(change(view, &[p], Some(fresh)));
    }
    events.extend(change(last, own, told));
    trace(p, events)
}

fn trace(p: u64, events: Vec<Event>) -> Trace {
    let (process, group) = (ProcessId(p), GroupName::new("g").unwrap());
    let record = |event| Record { ts: Time(0), process, group: group.clone(), event };
    let header = Header { process, incarnation: Incarnation::new(1), runtime: "test".into() };
    Trace::from_records(header, events.into_iter().map(record).collect())
}

/// Processes 1 and 2 come from one view, 3 from another, and 4 is fresh: each is told what stands
/// at its place.
fn run(told: [Option<&[Told]>; 4]) -> Report {
    let last = view(9, 1, &[1, 2, 3, 4]);
    let both: &[Told] = &[(&[1], true), (&[2], true)];
    let three: &[Told] = &[(&[3], true)];
    let members = [
        member(1, Some((&view(8, 1, &[1, 2]), both)), (&last, &[1, 2], told[0])),
        member(2, Some((&view(8, 1, &[1, 2]), both)), (&last, &[1, 2], told[1])),
        member(3, Some((&view(8, 2, &[3]), three)), (&last, &[3], told[2])),
        member(4, None, (&last, &[4], told[3])),
    ];
    spec::check(&members)
}

#[track_caller]
fn judged(told: [Option<&[Told]>; 4], expected: &[Property]) -> Report {
    let report = run(told);
    assert_eq!(report.violated().collect::<Vec<_>>(), expected, "{:#?}", report.violations);
    report
}

#[test]
fn merge_of_two_sides_and_a_joiner_is_clean() {
    judged([Some(RIGHT); 4], &[]);
}

#[test]
fn member_that_is_told_other_clusters_breaks_t7() {
    let wrong: &[Told] = &[(&[1, 2], false), (&[3], true), (&[4], true)];
    let report = judged([Some(RIGHT), Some(RIGHT), Some(RIGHT), Some(wrong)], &[T7]);
    assert_eq!(report.total(T7), 1);
    assert!(
        report.violations[0]
            .what
            .ends_with("4 was told {1,2} {3} fresh {4} fresh, and 1 {1,2} {3} {4} fresh")
    );
}

#[test]
fn member_that_is_told_nothing_breaks_t7() {
    judged([Some(RIGHT), None, Some(RIGHT), Some(RIGHT)], &[T7]);
}

#[test]
fn clusters_that_all_are_told_wrongly_break_t7() {
    let wrong: [(&[Told], &str); 5] = [
        (&[(&[1], false), (&[2], false), (&[3], false), (&[4], true)], "the transitional set"),
        (&[(&[1, 2], false), (&[3, 4], false)], "the transitional set"),
        (&[(&[1, 2], true), (&[3], false), (&[4], true)], "came from <8.1"),
        (&[(&[1, 2], false), (&[3], false), (&[4], false)], "came from <0"),
        (&[(&[1, 2], false), (&[3], false)], "each member"),
    ];
    for (told, says) in wrong {
        let report = judged([Some(told); 4], &[T7]);
        let says_so = report.violations.iter().any(|violation| violation.what.contains(says));
        assert!(says_so, "{says}: {:#?}", report.violations);
    }
    let twice: &[Told] = &[(&[1, 2], false), (&[3], false), (&[3], false), (&[4], true)];
    judged([Some(twice); 4], &[T7]);
}

#[test]
fn group_without_clusters_is_not_judged() {
    let report = spec::check(&[trace(1, change(&view(9, 1, &[1]), &[1], None))]);
    assert_eq!(report.violated().count(), 0, "{:#?}", report.violations);
}
