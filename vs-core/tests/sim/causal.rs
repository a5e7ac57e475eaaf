//! Groups in causal order, in situations built by hand: what follows from a lost message, chains,
//! messages of several packets, slow readers. Each rule is left out once, and is missed.

use core::time::Duration;

use crate::sites::{FAR_MS, Sites, group, group_config};
use vs_core::GroupConfig;
use vs_core::ident::{Incarnation, ProcessId};
use vs_core::order::Order;
use vs_core::rule::{Rule, Rules};
use vs_core::sim::{Scenario, Site, Step};
use vs_core::spec::{self, Property};
use vs_core::trace::{Event, Header, Mark, Trace};

/// No accusation hides what waits.
fn config() -> GroupConfig {
    group_config().with_order(Order::Causal).with_peer(Duration::from_secs(60))
}

/// A few bytes, and a message of several packets.
const LENGTHS: [usize; 2] = [8, 4000];

fn intact() -> Rules {
    Rules::default()
}

fn sites(rules: Rules, processes: &[u64]) -> Sites {
    let mut sites = Sites::new(1, &config(), rules);
    sites.start(processes);
    sites.await_view(processes);
    sites
}

fn send(sites: &mut Sites, p: u64, len: usize) {
    sites.world.send(ProcessId(p), group().key(), &vec![p as u8; len]).unwrap();
}

/// What one process sends does not reach the other any more, or does again.
fn cut(sites: &mut Sites, from: u64, to: u64, cut: bool) {
    let [from, to] = [from, to].map(|p| Site::Process(ProcessId(p)));
    if cut { sites.world.cut(from, to) } else { sites.world.heal(from, to) }
}

/// What is violated, and who has delivered a message of `sender`.
fn judged(sites: &mut Sites, sender: u64) -> (Vec<Property>, Vec<u64>) {
    let (mut traces, mut heard) = (Vec::new(), Vec::new());
    for (process, records) in sites.world.take_traces() {
        let is_heard = |event: &Event| matches!(event, Event::Deliver { from, .. } if *from == ProcessId(sender));
        if records.iter().any(|record| is_heard(&record.event)) {
            heard.push(process.0);
        }
        let header = Header { process, incarnation: Incarnation::new(0), runtime: "sim".into() };
        traces.push(Trace::from_records(header, records));
    }
    (spec::check(&traces).violated().collect(), heard)
}

/// 11 asks, and only 3 hears it. 3 answers 1 and 2. Then 3 and 11 are gone: nobody who is left has
/// the question.
fn answer_outlives_its_question(rules: Rules, len: usize) -> (Vec<Property>, Vec<u64>) {
    let mut sites = sites(rules, &[1, 2, 3, 11]);
    cut(&mut sites, 11, 1, true);
    cut(&mut sites, 11, 2, true);
    send(&mut sites, 11, len);
    sites.world.run_for_ms(2 * FAR_MS).unwrap();
    send(&mut sites, 3, len);
    sites.world.run_for_ms(5).unwrap();
    sites.world.power_off(ProcessId(3));
    sites.world.power_off(ProcessId(11));
    assert!(sites.meet(&[1, 2]).is_some());
    assert_eq!(sites.world.marks().count(Mark::LeftOut), u64::from(rules == intact()) * 2);
    judged(&mut sites, 3)
}

#[test]
fn answer_to_a_lost_question_is_left_out() {
    for len in LENGTHS {
        assert_eq!(answer_outlives_its_question(intact(), len), (vec![], vec![3]));
    }
}

#[test]
fn answer_that_is_not_left_out_is_noticed() {
    for rule in [Rule::CausalCut, Rule::CausalWait] {
        let (violated, heard) = answer_outlives_its_question(Rules::without(rule), 8);
        assert_eq!((violated, heard), (vec![Property::T3], vec![1, 2, 3]), "{rule:?}");
    }
}

/// 1 says something, 2 answers, 11 answers the answer. 3 does not hear 1 before the end.
fn chain(rules: Rules, len: usize) -> (Vec<Property>, Vec<u64>) {
    let mut sites = sites(rules, &[1, 2, 3, 11]);
    cut(&mut sites, 1, 3, true);
    for p in [1, 2, 11] {
        send(&mut sites, p, len);
        sites.world.run_for_ms(2 * FAR_MS).unwrap();
    }
    cut(&mut sites, 1, 3, false);
    sites.world.run_for_ms(20 * FAR_MS).unwrap();
    assert_eq!(sites.world.view(ProcessId(3), group().key()).unwrap().len(), 4);
    judged(&mut sites, 11)
}

#[test]
fn chain_waits_for_its_lost_beginning() {
    for len in LENGTHS {
        assert_eq!(chain(intact(), len), (vec![], vec![1, 2, 3, 11]));
    }
}

#[test]
fn chain_that_does_not_wait_is_noticed() {
    let (violated, heard) = chain(Rules::without(Rule::CausalWait), 8);
    assert_eq!((violated, heard), (vec![Property::T3], vec![1, 2, 3, 11]));
}

/// Members that all send; what becomes of `steps` between.
fn busy(members: u64, datagram_bytes: usize, steps: Vec<(u64, Step)>) -> u64 {
    let mut scenario = Scenario::calm(members, members).with_order(Order::Causal);
    scenario.node.datagram_bytes = datagram_bytes;
    for at in (100_000..200_000).step_by(2_000 * members as usize) {
        let sends = (1..=members).map(|p| (at + p * 1_000, Step::Send(ProcessId(p), 3)));
        scenario.steps.extend(sends);
    }
    scenario.steps.extend(steps);
    scenario.steps.sort_by_key(|(at, _)| *at);
    scenario.heal_us = 500_000;
    let outcome = scenario.run();
    if let Some(failure) = &outcome.failure {
        panic!("{failure}");
    }
    outcome.stats.marks.count(Mark::LeftOut)
}

#[test]
fn five_members_that_all_send_lose_nothing() {
    assert_eq!(busy(5, 1472, Vec::new()), 0);
}

/// More senders than a trailer has room for beside a message.
#[test]
fn many_members_that_all_send_lose_nothing() {
    assert_eq!(busy(24, 512, Vec::new()), 0);
}

#[test]
fn slow_reader_holds_nobody_up_for_long() {
    let slow = ProcessId(4);
    busy(5, 1472, vec![(110_000, Step::StopReading(slow)), (190_000, Step::Read(slow))]);
}

#[test]
fn members_that_die_leave_the_same_behind() {
    for at in (120_000..180_000).step_by(3_000) {
        let dies = |p, after: u64| (at + after, Step::Kill(ProcessId(p)));
        busy(5, 1472, vec![dies(2, 0), dies(5, at % 7_000)]);
    }
}
