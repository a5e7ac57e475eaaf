//! Histories that are linearizable, and such that are not.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::rng::Rng;
use crate::time::Time;

fn operation(client: u64, request: Request, called: u64) -> Operation {
    Operation { client, key: "k".into(), request, called: Time(called), answer: None }
}

/// `put(client, called, answered, value, before)`.
fn put(client: u64, called: u64, at: u64, value: &str, before: &str) -> Operation {
    answered(operation(client, Request::Put(value.into()), called), at, before)
}

fn delete(client: u64, called: u64, at: u64, before: &str) -> Operation {
    answered(operation(client, Request::Delete, called), at, before)
}

fn get(client: u64, called: u64, at: u64, value: &str) -> Operation {
    answered(operation(client, Request::Get, called), at, value)
}

/// An answer; an empty text: there was no value.
fn answered(operation: Operation, at: u64, value: &str) -> Operation {
    let value = (!value.is_empty()).then(|| value.to_string());
    Operation { answer: Some(Answer { at: Time(at), value }), ..operation }
}

fn open_put(client: u64, called: u64, value: &str) -> Operation {
    operation(client, Request::Put(value.into()), called)
}

fn open_delete(client: u64, called: u64) -> Operation {
    operation(client, Request::Delete, called)
}

#[track_caller]
fn accepted(history: &[Operation]) -> Judged {
    judge(history).unwrap_or_else(|refusal| panic!("{refusal}"))
}

#[track_caller]
fn told(history: &[Operation]) -> String {
    match judge(history) {
        Err(refusal @ HistoryError::NotLinearizable { .. }) => refusal.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn operations_one_after_the_other_are_accepted() {
    let history = [
        get(1, 0, 1, ""),
        put(1, 2, 3, "a", ""),
        get(2, 4, 5, "a"),
        put(2, 6, 7, "b", "a"),
        delete(1, 8, 9, "b"),
        delete(1, 10, 11, ""),
        get(1, 12, 13, ""),
    ];
    let judged = accepted(&history);
    assert_eq!((judged.keys, judged.answered, judged.open, judged.carried_out), (1, 7, 0, 0));
}

#[test]
fn operations_at_once_have_any_order() {
    let history =
        [put(1, 0, 10, "a", "b"), put(2, 0, 10, "b", ""), get(3, 5, 6, "b"), get(3, 7, 8, "")];
    assert!(told(&history).contains("get, found nothing"), "b was there before");
    accepted(&history[..3]);
}

#[test]
fn a_call_at_the_time_of_an_answer_is_at_once() {
    accepted(&[put(1, 0, 5, "a", ""), get(2, 5, 6, "")]);
}

#[test]
fn a_stale_read_is_refused() {
    let history = [put(1, 0, 1, "a", ""), put(1, 2, 3, "b", "a"), get(2, 4, 5, "a")];
    let told = told(&history);
    assert!(told.contains("2 of 3 answers fit one order"), "{told}");
    assert!(told.contains("client 2: get, found a"), "{told}");
    assert!(told.contains("a was put by\n  0.000 ms, client 1: put a"), "{told}");
}

#[test]
fn a_lost_put_is_refused() {
    told(&[put(1, 0, 1, "a", ""), put(2, 2, 3, "b", "")]);
    told(&[put(1, 0, 1, "a", ""), get(2, 2, 3, "")]);
}

#[test]
fn a_put_carried_out_twice_shows_in_the_value_before() {
    // a, b, a again: the next one finds a.
    told(&[put(1, 0, 1, "a", ""), put(2, 2, 3, "b", "a"), put(3, 4, 5, "c", "a")]);
}

#[test]
fn a_value_that_nobody_put_is_refused() {
    let told = told(&[get(1, 0, 1, "x")]);
    assert!(told.contains("nobody, or only by who was refused"), "{told}");
}

#[test]
fn an_unanswered_put_takes_effect_late_or_never() {
    let judged = accepted(&[open_put(1, 0, "a"), get(2, 5, 6, ""), get(2, 7, 8, "a")]);
    assert_eq!((judged.open, judged.carried_out), (1, 1));
    let judged = accepted(&[open_put(1, 0, "a"), get(2, 5, 6, ""), put(2, 7, 8, "b", "")]);
    assert_eq!((judged.open, judged.carried_out), (1, 0));
}

#[test]
fn an_unanswered_put_that_was_read_does_not_vanish() {
    told(&[open_put(1, 0, "a"), get(2, 1, 2, "a"), get(3, 3, 4, "")]);
    // Nor does it come twice.
    told(&[
        open_put(1, 0, "a"),
        get(2, 1, 2, "a"),
        put(2, 3, 4, "b", "a"),
        get(3, 5, 6, "b"),
        get(3, 7, 8, "a"),
    ]);
}

#[test]
fn an_unanswered_put_is_not_seen_before_its_call() {
    told(&[get(2, 0, 1, "a"), open_put(1, 2, "a")]);
    accepted(&[get(2, 0, 3, "a"), open_put(1, 2, "a")]);
    // The get of client 3 has to come first, and was over by then.
    told(&[get(2, 0, 9, "a"), get(3, 1, 2, "a"), open_put(1, 3, "a")]);
}

#[test]
fn each_unanswered_delete_counts_once() {
    let history =
        [open_delete(1, 0), put(2, 1, 2, "a", ""), put(2, 3, 4, "b", ""), put(2, 5, 6, "c", "")];
    told(&history);
    accepted(&history[..3]);
    accepted(&[&history[..], &[open_delete(3, 0)]].concat());
}

#[test]
fn keys_are_judged_apart() {
    let other = |operation: Operation| Operation { key: "other".into(), ..operation };
    let history = [put(1, 0, 1, "a", ""), other(get(1, 2, 3, "")), other(put(1, 4, 5, "a", ""))];
    assert_eq!(accepted(&history).keys, 2);
    let refusal = judge(&[&history[..], &[other(get(1, 6, 7, "b"))]].concat()).unwrap_err();
    assert!(refusal.to_string().starts_with("the history of key other is not"), "{refusal}");
}

#[test]
fn too_many_operations_are_refused_by_number() {
    let history = vec![get(1, 0, 1, ""); OPERATIONS_MAX + 1];
    assert!(matches!(judge(&history), Err(HistoryError::TooMany { .. })));
}

/// Plays `clients` on a register that works, and records what they see. Of their operations some
/// get no answer, and of these some are carried out.
fn played(rng: &mut Rng, clients: u64, operations: u64, open_percent: u64) -> Vec<Operation> {
    let mut history: Vec<Operation> = Vec::new();
    let mut value: Option<String> = None;
    let mut free_at = vec![0; clients as usize];
    // When each takes effect.
    let mut effects: Vec<(u64, usize)> = Vec::new();
    for n in 0..operations {
        let client = rng.below(clients);
        let called = free_at[client as usize] + rng.below(20);
        let request = match rng.below(10) {
            0 => Request::Delete,
            1..5 => Request::Get,
            _ => Request::Put(n.to_string()),
        };
        let effect = called + 1 + rng.below(30);
        let at = effect + 1 + rng.below(30);
        free_at[client as usize] = at;
        let mut new = operation(client, request, called * 1000);
        if rng.percent(open_percent) {
            if rng.percent(50) {
                effects.push((effect + rng.below(500), history.len()));
            }
        } else {
            new = answered(new, at * 1000, "");
            effects.push((effect, history.len()));
        }
        history.push(new);
    }
    effects.sort_unstable();
    for (_, position) in effects {
        let operation = &mut history[position];
        let after = operation.leaves(value.as_deref()).map(ToString::to_string);
        if let Some(answer) = &mut operation.answer {
            answer.value.clone_from(&value);
        }
        value = after;
    }
    history
}

#[test]
fn whatever_a_register_answers_is_accepted() {
    for seed in 0..200 {
        let mut rng = Rng::new(seed);
        let history = played(&mut rng, 1 + seed % 8, 200, 10);
        judge(&history).unwrap_or_else(|refusal| panic!("seed {seed}: {refusal}"));
    }
}

#[test]
fn long_histories_with_many_open_operations_are_decided() {
    let history = played(&mut Rng::new(7), 12, 10_000, 5);
    let judged = accepted(&history);
    assert!(judged.open > 300 && judged.carried_out > 50, "{judged:?}");
    assert!(judged.states < 20_000, "{judged:?}");
}

#[test]
fn many_reads_at_once_are_decided() {
    let mut history = vec![put(0, 0, 1000, "a", "")];
    for client in 0..60 {
        history.push(get(client, client, 1000, if client % 2 == 0 { "" } else { "a" }));
    }
    assert!(accepted(&history).states < 100);
    history.push(get(70, 0, 1000, "b"));
    told(&history);
}

/// Tries every order: what the search must agree with.
fn has_order(history: &[Operation]) -> bool {
    fn go(history: &[Operation], left: u32, value: Option<&str>) -> bool {
        let is_left = |n: usize| left & (1 << n) != 0;
        let answered = (0..history.len()).filter(|n| is_left(*n));
        let first = answered.filter_map(|n| history[n].answer.as_ref()).map(|a| a.at).min();
        let Some(first) = first else { return true };
        (0..history.len()).filter(|n| is_left(*n) && history[*n].called <= first).any(|n| {
            let found = history[n].answer.as_ref().map(|answer| answer.value.as_deref());
            found.is_none_or(|found| found == value)
                && go(history, left & !(1 << n), history[n].leaves(value))
        })
    }
    go(history, (1 << history.len()) - 1, None)
}

#[test]
fn the_search_agrees_with_trying_every_order() {
    let mut refused = 0;
    for seed in 0..3000 {
        let mut rng = Rng::new(seed);
        let mut history = played(&mut rng, 3, 7, 30);
        // Few values, some of them wrong.
        for operation in &mut history {
            let name = |value: &String| (value.parse::<u64>().unwrap_or_default() % 3).to_string();
            if let Request::Put(value) = &mut operation.request {
                *value = name(value);
            }
            if let Some(answer) = &mut operation.answer {
                answer.value = answer.value.as_ref().map(name);
                if rng.percent(10) {
                    answer.value = Some(rng.below(3).to_string());
                }
            }
        }
        let is_accepted = judge(&history).is_ok();
        assert_eq!(is_accepted, has_order(&history), "seed {seed}: {history:#?}");
        refused += u32::from(!is_accepted);
    }
    assert!((300..2700).contains(&refused), "{refused} of 3000");
}
