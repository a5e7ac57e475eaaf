//! Each automaton takes what it should, and refuses each thing that it is there for, by its name.

use super::*;
use crate::ident::{Cid, ProcessId, ViewId};
use crate::order::Stage;
use crate::view::View;

fn p(n: u64) -> ProcessId {
    ProcessId(n)
}

fn set(members: &[u64]) -> alloc::vec::Vec<ProcessId> {
    members.iter().map(|&m| p(m)).collect()
}

fn view(major: u64, members: &[u64], start: &[u64]) -> View {
    let start: alloc::vec::Vec<Cid> = start.iter().map(|&c| Cid(c)).collect();
    View::new(ViewId { major, minor: 1 }, &set(members), &start).unwrap()
}

fn refused(step: Step, rule: &str) {
    let refused = step.unwrap_err();
    assert!(refused.rule.contains(rule), "{refused}");
}

const HELLO: Payload = Payload { hash: 7, len: 5 };
const OTHER: Payload = Payload { hash: 8, len: 5 };

#[test]
fn mbrshp_refuses_what_m1_to_m6_forbid() {
    let mut service = Mbrshp::default();
    service.start_change(p(1), Cid(3), &set(&[1, 2])).unwrap();
    refused(service.start_change(p(1), Cid(3), &set(&[1])), "M2");
    refused(service.start_change(p(1), Cid(4), &set(&[2])), "M1");
    refused(service.view(p(1), &view(5, &[2], &[1])), "M1");
    refused(service.view(p(1), &view(5, &[1, 3], &[3, 1])), "M3");
    refused(service.view(p(1), &view(5, &[1, 2], &[2, 1])), "M4");
    let v = view(5, &[1, 2], &[3, 1]);
    refused(service.installed(p(1), &v), "S24");
    service.view(p(1), &v).unwrap();
    service.installed(p(1), &v).unwrap();
    refused(service.installed(p(1), &view(5, &[1, 2], &[3, 2])), "S24");
    refused(service.view(p(1), &view(6, &[1], &[3])), "M5");
    service.reset(p(1));
    refused(service.installed(p(1), &v), "S24");
    refused(service.start_change(p(1), Cid(2), &set(&[1])), "M2");
    service.start_change(p(1), Cid(9), &set(&[1])).unwrap();
    refused(service.view(p(1), &view(5, &[1], &[9])), "M6");
    service.reset(p(1));
    refused(service.view(p(1), &view(6, &[1], &[9])), "M5");
    service.start_change(p(1), Cid(10), &set(&[1])).unwrap();
    let v = view(6, &[1], &[10]);
    service.view(p(1), &v).unwrap();
    service.start_change(p(1), Cid(11), &set(&[1])).unwrap();
    refused(service.installed(p(1), &v), "S23");
}

/// 1 and 2 in one view.
fn pair(service: &mut WvRfifo) -> View {
    let v = view(5, &[1, 2], &[1, 1]);
    for q in [p(1), p(2)] {
        service.reset(q);
        service.view(q, &v).unwrap();
    }
    v
}

#[test]
fn wv_rfifo_refuses_any_but_the_next_message() {
    let mut service = WvRfifo::default();
    refused(service.send(p(1), 1, HELLO), "S3");
    pair(&mut service);
    refused(service.send(p(1), 2, HELLO), "S3");
    for n in 1..=3 {
        service.send(p(1), n, HELLO).unwrap();
    }
    service.deliver(p(2), p(1), 1, HELLO).unwrap();
    refused(service.deliver(p(2), p(1), 1, HELLO), "S6");
    refused(service.deliver(p(2), p(1), 3, HELLO), "S13");
    refused(service.deliver(p(2), p(1), 2, OTHER), "S5");
    refused(service.deliver(p(2), p(3), 1, HELLO), "S5");
    refused(service.deliver(p(1), p(2), 1, HELLO), "S5");
    refused(service.view(p(2), &view(5, &[1, 2], &[2, 2])), "S2");
    refused(service.view(p(2), &view(6, &[1], &[2])), "S1");
    service.view(p(2), &view(6, &[1, 2], &[2, 2])).unwrap();
    refused(service.deliver(p(2), p(1), 2, HELLO), "S12");
    refused(service.deliver(p(2), p(1), 1, HELLO), "S7");
    service.reset(p(2));
    refused(service.view(p(2), &view(6, &[1, 2], &[3, 3])), "S2");
}

#[test]
fn vs_rfifo_demands_one_cut_of_companions() {
    let (mut parent, mut service) = (WvRfifo::default(), VsRfifo::default());
    pair(&mut parent);
    parent.send(p(1), 1, HELLO).unwrap();
    let next = view(6, &[1, 2], &[2, 2]);
    refused(service.view(&parent, p(1), &next), "S14");
    parent.deliver(p(1), p(1), 1, HELLO).unwrap();
    service.view(&parent, p(1), &next).unwrap();
    refused(service.view(&parent, p(2), &next), "S8");
    service.view(&parent, p(2), &view(7, &[2], &[3])).unwrap();
    parent.deliver(p(2), p(1), 1, HELLO).unwrap();
    service.view(&parent, p(2), &next).unwrap();
}

#[test]
fn trans_set_follows_from_sync_messages() {
    let (mut parent, mut service) = (WvRfifo::default(), TransSet::default());
    let old = pair(&mut parent);
    parent.reset(p(3));
    let next = view(6, &[1, 2, 3], &[2, 2, 2]);
    service.commit(&parent, p(1), Cid(2)).unwrap();
    refused(service.view(&parent, p(1), &next, &set(&[1])), "prev_view");
    service.commit(&parent, p(2), Cid(2)).unwrap();
    refused(service.view(&parent, p(1), &next, &set(&[1])), "S10");
    refused(service.view(&parent, p(1), &next, &set(&[1, 2, 3])), "S9");
    service.view(&parent, p(1), &next, &set(&[1, 2])).unwrap();
    // 2 passes through another view: what it said for 2 holds no longer.
    let between = view(5, &[1, 2], &[1, 1]);
    assert_eq!(old, between);
    parent.view(p(2), &view(7, &[2], &[3])).unwrap();
    refused(service.commit(&parent, p(2), Cid(2)), "once");
    refused(service.view(&parent, p(2), &view(8, &[1, 2], &[2, 2]), &set(&[2])), "S10, p comes");
}

#[test]
fn transitional_sets_agree_with_former_views() {
    let (mut parent, mut service) = (WvRfifo::default(), TransSet::default());
    pair(&mut parent);
    parent.reset(p(3));
    let next = view(6, &[1, 2, 3], &[2, 2, 2]);
    refused(service.arrive(&parent, p(1), &next, &set(&[1, 2, 3])), "S9");
    refused(service.arrive(&parent, p(1), &next, &set(&[2])), "S9");
    service.arrive(&parent, p(1), &next, &set(&[1, 2])).unwrap();
    refused(service.arrive(&parent, p(2), &next, &set(&[2])), "S10");
    service.arrive(&parent, p(3), &next, &set(&[3])).unwrap();
    parent.view(p(2), &view(5, &[2], &[3])).unwrap_err();
    parent.view(p(2), &view(7, &[2], &[3])).unwrap();
    refused(service.arrive(&parent, p(2), &next, &set(&[2])), "S10");
    service.retain_views(|_| false);
    service.arrive(&parent, p(2), &next, &set(&[2])).unwrap();
}

#[test]
fn client_stops_only_when_asked() {
    let mut client = Client::default();
    refused(client.block_ok(p(1)), "S21");
    client.block(p(1)).unwrap();
    refused(client.block(p(1)), "S21");
    client.send(p(1)).unwrap();
    client.block_ok(p(1)).unwrap();
    refused(client.send(p(1)), "S21");
    client.unblock(p(1));
    client.send(p(1)).unwrap();
}

#[test]
fn co_rfifo_keeps_what_it_owes() {
    let mut service = CoRfifo::default();
    let v = view(5, &[1, 2, 3], &[1, 1, 1]);
    service.send(p(1), &v, 4).unwrap();
    refused(service.send(p(1), &v, 3), "stays sent");
    refused(service.deliver(p(2), &v, 0, 5), "only what was sent");
    service.deliver(p(2), &v, 0, 3).unwrap();
    refused(service.deliver(p(2), &v, 0, 2), "stays");
    service.reliable(p(1), crate::view::Members::from_slice(&set(&[1, 2])));
    service.give_up(p(1), &v, 4);
    refused(service.deliver(p(2), &v, 0, 3), "lost");
    service.deliver(p(2), &v, 0, 4).unwrap();
    service.deliver(p(3), &v, 0, 1).unwrap();
}

#[test]
fn causal_refuses_an_answer_before_its_question() {
    let mut fifo = WvRfifo::default();
    let mut service = Causal::default();
    let v = pair(&mut fifo);
    fifo.send(p(1), 1, HELLO).unwrap();
    service.send(&fifo, p(1));
    fifo.deliver(p(2), p(1), 1, HELLO).unwrap();
    service.send(&fifo, p(2));
    fifo.send(p(2), 1, OTHER).unwrap();
    refused(service.deliver(&fifo, p(1), p(2), 1), "S15");
    service.deliver(&fifo, p(1), p(1), 1).unwrap();
    fifo.deliver(p(1), p(1), 1, HELLO).unwrap();
    service.deliver(&fifo, p(1), p(2), 1).unwrap();
    service.retain_views(|view| *view != v);
    assert_eq!(service, Causal::default());
}

/// 1 and 2 in a group of one order, where 1 has delivered a message of each.
fn ordered(is_safe: bool) -> (WvRfifo, Total) {
    let (mut fifo, mut service) = (WvRfifo::default(), Total::new(is_safe));
    pair(&mut fifo);
    for q in [1, 2] {
        service.deliver(&fifo, p(1), (p(q), 1), Stage::Regular).unwrap();
    }
    (fifo, service)
}

#[test]
fn total_refuses_a_second_order_and_a_second_signal() {
    let (fifo, mut service) = ordered(false);
    let next = view(6, &[1, 2], &[2, 2]);
    let mut other = service.clone();
    refused(other.deliver(&fifo, p(2), (p(2), 1), Stage::Regular), "T1");
    refused(other.deliver(&fifo, p(1), (p(2), 2), Stage::Recorded), "T6");
    refused(service.clone().view(&fifo, p(1), &next, &set(&[1])), "T6");
    service.signal(p(1), &set(&[1, 2])).unwrap();
    refused(service.clone().signal(p(1), &set(&[1, 2])), "T6");
    refused(service.clone().deliver(&fifo, p(1), (p(2), 2), Stage::Regular), "T6");
    service.deliver(&fifo, p(1), (p(2), 2), Stage::Tail).unwrap();
    refused(service.clone().deliver(&fifo, p(1), (p(2), 3), Stage::Recorded), "tail");
    refused(service.clone().view(&fifo, p(1), &next, &set(&[1])), "T6");
    service.view(&fifo, p(1), &next, &set(&[1, 2])).unwrap();

    service.deliver(&fifo, p(2), (p(1), 1), Stage::Regular).unwrap();
    service.signal(p(2), &set(&[1, 2])).unwrap();
    refused(service.view(&fifo, p(2), &next, &set(&[1, 2])), "T2");
}

#[test]
fn safe_is_what_all_who_go_on_deliver() {
    let (mut fifo, mut service) = ordered(true);
    let next = view(6, &[2], &[2]);
    service.deliver(&fifo, p(2), (p(1), 1), Stage::Regular).unwrap();
    service.signal(p(2), &set(&[2])).unwrap();
    refused(service.clone().view(&fifo, p(2), &next, &set(&[2])), "T4");
    service.deliver(&fifo, p(2), (p(2), 1), Stage::Recorded).unwrap();
    service.view(&fifo, p(2), &next, &set(&[2])).unwrap();
    fifo.view(p(2), &next).unwrap();
    refused(service.deliver(&fifo, p(1), (p(1), 2), Stage::Regular), "T4");
}
