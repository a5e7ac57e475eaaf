//! What an operator is told.

use alloc::vec::Vec;

use super::super::{ConnId, ServerConfig};
use super::bench::{Bench, group, processes};
use crate::ident::Deployment;
use crate::member::message::Request;
use crate::status::{ANSWERS_EVERY_MS, ANSWERS_MAX, Asker, MEMBERS_LISTED_MAX, Status};

/// Somebody who asks, in the clear.
fn asker() -> Asker {
    Asker::new(None, &Deployment::default())
}

#[test]
fn status_names_members_and_decided_view() {
    let mut bench = Bench::together(ServerConfig::default(), 2);
    bench.join(3, 3);
    bench.pass(1000);
    let status = bench.server.status();
    assert_eq!((status.connections, status.clients, status.settled), (3, 3, true));
    let [chat] = &status.groups.first[..] else { panic!("one group: {status:?}") };
    let members: Vec<_> = chat.members.first.iter().map(|member| member.process).collect();
    assert_eq!((&chat.name, chat.changing, members), (&group(), false, processes(&[1, 2, 3])));
    let decided = chat.decided.expect("a view");
    assert_eq!(Some(decided.view), bench.views(1).last().map(|view| view.id()));
    assert!(decided.fast, "there is one server");
    assert!(decided.took_ms >= ServerConfig::default().gather_join_ms, "{decided:?}");
    assert!(status.counters.views_fast > 0 && status.counters.views_slow == 0);
}

#[test]
fn status_answer_ends_connection() {
    let mut bench = Bench::together(ServerConfig::default(), 2);
    let (now, conn) = (bench.now, ConnId(9));
    bench.server.handle_accepted(now, conn);
    for byte in asker().output().to_vec() {
        assert_eq!(bench.server.poll_close(), None);
        bench.server.handle_stream(now, conn, &[byte]);
    }
    assert_eq!(bench.server.poll_close(), Some(conn));
    let told = asker().handle_stream(bench.server.output(conn));
    assert_eq!(bench.server.status().connections, 2);
    let Ok(Some(Status::Server(told))) = told else { panic!("{told:?}") };
    assert_eq!((told.connections, told.clients), (3, 2));
}

/// Who asked in a loop kept the server from everything else.
#[test]
fn frequent_status_requests_answered_busy() {
    let mut bench = Bench::together(ServerConfig::default(), 2);
    let ask = |bench: &mut Bench, conn| {
        bench.server.handle_accepted(bench.now, conn);
        bench.server.handle_stream(bench.now, conn, asker().output());
        assert_eq!(bench.server.poll_close(), Some(conn), "in any case it is over");
        asker().handle_stream(bench.server.output(conn)).unwrap()
    };
    for i in 0..u64::from(ANSWERS_MAX) {
        let told = ask(&mut bench, ConnId(100 + i));
        assert!(matches!(told, Some(Status::Server(_))), "{told:?}");
    }
    assert_eq!(ask(&mut bench, ConnId(200)), Some(Status::Busy));
    bench.pass(ANSWERS_EVERY_MS - 1);
    assert_eq!(ask(&mut bench, ConnId(201)), Some(Status::Busy));
    bench.pass(1);
    assert!(matches!(ask(&mut bench, ConnId(202)), Some(Status::Server(_))));
}

#[test]
fn named_client_cannot_ask_status() {
    let mut bench = Bench::together(ServerConfig::default(), 2);
    bench.say(2, &Request::Status);
    assert_eq!(bench.closed, [2]);
}

#[test]
fn large_group_listed_in_part() {
    let members = MEMBERS_LISTED_MAX as u64 + 3;
    let mut bench = Bench::new(ServerConfig::default());
    for p in 1..=members {
        bench.open(p);
        bench.say(p, &super::bench::hello(super::bench::peer(p, p)));
        let past = crate::member::past::Past::default();
        let (group, members_max) = (group(), 1000);
        bench.say(p, &Request::Attach { group, counter: 1, members_max, past });
    }
    bench.pass(1000);
    let status = bench.server.status();
    let chat = &status.groups.first[0].members;
    assert_eq!((chat.first.len(), chat.more), (MEMBERS_LISTED_MAX, 3));
}
