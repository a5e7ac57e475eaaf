//! What is made of answers.

use super::*;
use crate::top::samples::{answer, node, server, started_again};
use crate::top::tables;

fn model(addrs: &[&str]) -> Model {
    Model::new(&addrs.iter().map(ToString::to_string).collect::<Vec<_>>())
}

fn told(model: &Model) -> Vec<&str> {
    model.changes.iter().rev().map(|change| change.what.as_str()).collect()
}

/// The cell of `column` in the first row.
fn cell(table: &crate::top::table::Table, column: &str) -> String {
    let at = table.columns.iter().position(|c| c.title == column).expect("a column");
    table.rows[0].get(at).map(|cell| cell.text.clone()).unwrap_or_default()
}

const DELIVERED: &str = "vs_node_messages_delivered_total";

#[test]
fn rates_are_differences_of_two_answers() {
    let mut model = model(&["a"]);
    model.handle(answer(0, 10, Ok(node("chat", 1, &[1, 2], 1000))));
    assert_eq!(model.asked[0].rate(DELIVERED, &[]), None, "nothing to compare");
    model.handle(answer(0, 12, Ok(node("chat", 1, &[1, 2], 1500))));
    assert_eq!(model.asked[0].rate(DELIVERED, &[]), Some(250.0));
    let labels = ["1", "chat"].map(str::to_owned);
    assert_eq!(model.asked[0].rate("vs_group_messages_delivered_total", &labels), Some(250.0));
    assert_eq!(cell(&tables::processes(&model), "DELIVERED/s"), "250");
    assert_eq!(cell(&tables::groups(&model), "DELIVERED/s"), "250");
    let counters = tables::counters(&model);
    let row = counters.rows.iter().find(|row| row[0].text == DELIVERED).expect("a counter");
    assert_eq!((&*row[2].text, &*row[3].text), ("1500", "250"));
}

#[test]
fn counters_that_begin_again_have_no_rate() {
    let mut model = model(&["a"]);
    model.handle(answer(0, 1, Ok(node("chat", 1, &[1], 1000))));
    model.handle(answer(0, 2, Ok(node("chat", 2, &[1], 10))));
    assert_eq!(model.asked[0].rate(DELIVERED, &[]), None, "it fell");
    let again = started_again(&node("chat", 3, &[1], 5000));
    model.handle(answer(0, 3, Ok(again)));
    assert_eq!(model.asked[0].rate(DELIVERED, &[]), None, "another start");
    assert_eq!(told(&model).last(), Some(&"was started again: process 1"));
}

#[test]
fn changed_views_are_told() {
    let mut model = model(&["node", "server"]);
    for (s, view, members) in [(1, 1, &[1, 2][..]), (2, 1, &[1, 2]), (3, 2, &[1, 3])] {
        model.handle(answer(0, s, Ok(node("chat", view, members, 0))));
        model.handle(answer(1, s, Ok(server(view, members))));
    }
    assert_eq!(
        told(&model),
        [
            "answers: process 1",
            "answers: server 5",
            "chat: view 2.1 of 1,3 (+3 -2)",
            "chat: decided view 2.5 of 1,3 +2 more, fast, in 12 ms",
        ]
    );
}

#[test]
fn who_does_not_answer_is_told_once_with_the_reason() {
    let mut model = model(&["a", "b"]);
    model.handle(answer(0, 1, Ok(node("chat", 1, &[1], 0))));
    assert_eq!(model.answering(), 1);
    model.handle(answer(0, 2, Err("nobody listens at a")));
    model.handle(answer(0, 3, Err("nobody listens at a")));
    assert_eq!(model.answering(), 0);
    assert_eq!(cell(&tables::processes(&model), "STATE"), "nobody listens at a");
    assert_eq!(cell(&tables::groups(&model), "NOW"), "no answer");
    model.handle(answer(0, 4, Ok(node("chat", 1, &[1], 0))));
    assert_eq!(told(&model), ["answers: process 1", "nobody listens at a", "answers again"]);
    assert_eq!(cell(&tables::members(&model), "LAG"), "10");
}

#[test]
fn remembered_changes_are_bounded() {
    let mut model = model(&["a"]);
    for view in 0..CHANGES_MAX as u64 + 50 {
        model.handle(answer(0, view, Ok(node("chat", view, &[1], 0))));
    }
    assert_eq!(model.changes.len(), CHANGES_MAX);
    model.handle(answer(7, 1, Err("an address that was not named")));
}
