//! What a client makes of its servers, good and bad ones.

use alloc::vec;
use core::net::SocketAddr;

use super::*;
use crate::ident::{Incarnation, NUMBER_MAX, ViewId};
use crate::rng::Rng;
use crate::view::VIEW_MEMBERS_MAX;
use crate::wire::frame;

const ME: ProcessId = ProcessId(2);

fn ms(ms: u64) -> Time {
    Time::from_millis(ms)
}

fn group() -> GroupName {
    GroupName::new("chat").unwrap()
}

fn addr() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}

fn client(servers: usize) -> Client {
    let config = ClientConfig { reconnect_max_ms: 100, ..ClientConfig::default() };
    let identity = Peer { process: ME, incarnation: Incarnation::new(5), addr: addr() };
    Client::new(config, identity, servers)
}

/// A client that has asked for membership over a connection to its first server.
fn attached(past: Past) -> Client {
    let mut client = client(1);
    client.attach(ms(0), &group(), 16, past);
    client.handle_connected(ms(0));
    client.handle_stream(ms(0), &frame::preamble());
    client
}

/// The server says it to the last attachment.
fn say(client: &mut Client, now: Time, reply: &Reply) {
    let mut reply = reply.clone();
    if let Reply::StartChange { counter, .. }
    | Reply::View { counter, .. }
    | Reply::Detached { counter, .. } = &mut reply
    {
        *counter = client.counter;
    }
    say_as_is(client, now, &reply);
}

fn say_as_is(client: &mut Client, now: Time, reply: &Reply) {
    let mut bytes = Vec::new();
    frame::encode(reply, &mut bytes);
    client.handle_stream(now, &bytes);
}

/// What the client has written since the last call; the preamble comes with the first.
fn requests(client: &mut Client) -> Vec<Request> {
    let mut decoder = Decoder::default();
    let bytes = client.output().to_vec();
    if !bytes.starts_with(&frame::preamble()) {
        decoder.push(&frame::preamble());
    }
    decoder.push(&bytes);
    client.consumed(ms(0), bytes.len());
    core::iter::from_fn(|| decoder.next().unwrap()).collect()
}

/// What the client was told, besides that it asked.
fn events(client: &mut Client) -> Vec<ClientEvent> {
    let said = |event: &ClientEvent| !matches!(event, ClientEvent::Attached { .. });
    core::iter::from_fn(|| client.poll_event()).filter(said).collect()
}

fn commands(client: &mut Client) -> Vec<LinkCommand> {
    core::iter::from_fn(|| client.poll_link()).collect()
}

fn peers(set: &[u64]) -> Vec<Peer> {
    let peer =
        |&p: &u64| Peer { process: ProcessId(p), incarnation: Incarnation::new(1), addr: addr() };
    set.iter().map(peer).collect()
}

fn start_change(cid: u64, set: &[u64]) -> Reply {
    Reply::StartChange { group: group(), counter: 1, cid: Cid(cid), peers: peers(set) }
}

fn view(major: u64, set: &[u64], start: &[u64]) -> View {
    let members: Vec<ProcessId> = set.iter().map(|p| ProcessId(*p)).collect();
    let start: Vec<Cid> = start.iter().map(|c| Cid(*c)).collect();
    View::new(ViewId { major, minor: 1 }, &members, &start).unwrap()
}

fn view_reply(major: u64, set: &[u64], start: &[u64]) -> Reply {
    Reply::View { group: group(), counter: 1, view: view(major, set, start), secret: None }
}

#[test]
fn a_lost_connection_is_tried_at_the_next_server_after_a_growing_pause() {
    let mut client = client(3);
    assert_eq!(client.poll_timeout(), None, "nobody wants anything");
    client.attach(ms(0), &group(), 16, Past::default());
    assert_eq!(commands(&mut client), [LinkCommand::Connect(0)]);
    let mut now = ms(0);
    for (server, pause) in [(1, 20), (2, 40), (0, 80), (1, 100), (2, 100)] {
        client.handle_disconnected(now);
        client.handle_disconnected(now); // said twice, it counts once
        assert_eq!(client.poll_timeout(), Some((now.plus_ms(pause), Wake::Reconnect)));
        client.handle_timeout(now.plus_ms(pause - 1));
        assert_eq!(commands(&mut client), []);
        now = now.plus_ms(pause);
        client.handle_timeout(now);
        assert_eq!(commands(&mut client), [LinkCommand::Connect(server)]);
    }
    assert!(events(&mut client).is_empty(), "there was no attachment to lose");
    // A server that answers ends the growth.
    client.handle_connected(now);
    client.handle_stream(now, &frame::preamble());
    say(&mut client, now, &Reply::Ping);
    client.handle_disconnected(now);
    assert_eq!(client.poll_timeout(), Some((now.plus_ms(20), Wake::Reconnect)));
}

#[test]
fn a_server_that_accepts_and_closes_is_not_asked_ever_faster() {
    let mut client = client(1);
    client.attach(ms(0), &group(), 16, Past::default());
    let mut now = ms(0);
    for pause in [20, 40, 80, 100] {
        client.handle_connected(now);
        client.handle_disconnected(now);
        assert_eq!(client.poll_timeout().map(|(at, _)| at), Some(now.plus_ms(pause)));
        now = now.plus_ms(pause);
        client.handle_timeout(now);
    }
}

#[test]
fn a_connection_that_never_comes_up_is_given_up() {
    let mut client = client(2);
    client.attach(ms(0), &group(), 16, Past::default());
    assert_eq!(client.poll_timeout(), Some((ms(500), Wake::Reconnect)));
    client.handle_timeout(ms(499));
    assert_eq!(commands(&mut client), [LinkCommand::Connect(0)]);
    client.handle_timeout(ms(500));
    client.handle_connected(ms(501)); // too late
    client.handle_timeout(ms(520));
    assert_eq!(commands(&mut client), [LinkCommand::Close, LinkCommand::Connect(1)]);
    assert!(client.output().is_empty());
}

#[test]
fn an_attach_reports_the_past_and_counts_on() {
    let past = |cid| Past {
        last_cid: Cid(cid),
        last_view: ViewId { major: 7, minor: 1 },
        pending: Some(Cid(cid)),
        mbr_view: Some(view(7, &[2, 3], &[8, 9])),
        ..Past::default()
    };
    let mut client = attached(past(8));
    let attach = |request: &Request| match request {
        Request::Attach { group: name, counter, past, .. } if *name == group() => {
            (*counter, past.clone())
        }
        other => panic!("{other:?}"),
    };
    let said = requests(&mut client);
    assert!(
        matches!(said[0], Request::Client { peer, .. } if peer.process == ME),
        "first its name"
    );
    assert_eq!(said[1..].iter().map(attach).collect::<Vec<_>>(), [(1, past(8))]);
    client.handle_disconnected(ms(5));
    let lost = DetachReason::ServerLost;
    assert!(
        matches!(&events(&mut client)[..], [ClientEvent::Detached { reason, .. }] if *reason == lost)
    );
    client.handle_timeout(ms(25));
    client.handle_connected(ms(25));
    assert_eq!(requests(&mut client).len(), 1, "not attached before the endpoint says so");
    client.attach(ms(26), &group(), 16, past(9));
    assert_eq!(requests(&mut client).iter().map(attach).collect::<Vec<_>>(), [(2, past(9))]);
    client.detach(ms(27), group().key());
    assert!(matches!(&requests(&mut client)[..], [Request::Leave { .. }]));
}

#[test]
fn a_refused_client_waits_as_long_as_it_was_told() {
    let mut client = attached(Past::default());
    requests(&mut client);
    let reason = DetachReason::Accused { by: vec![ProcessId(3)] };
    say(&mut client, ms(1), &Reply::Detached { group: group(), counter: 1, reason, retry_ms: 50 });
    assert!(matches!(&events(&mut client)[..], [ClientEvent::Detached { .. }]));
    client.attach(ms(2), &group(), 16, Past::default());
    client.accuse(ms(2), group().key(), &[ProcessId(3)]);
    assert!(requests(&mut client).is_empty(), "who is not attached has nothing to say");
    assert_eq!(client.poll_timeout(), Some((ms(51), Wake::Server)));
    client.handle_timeout(ms(50));
    assert!(requests(&mut client).is_empty());
    client.handle_timeout(ms(51));
    assert!(matches!(&requests(&mut client)[..], [Request::Attach { counter: 2, .. }]));
}

#[test]
fn a_server_that_keeps_the_contract_is_believed() {
    let mut client = attached(Past::default());
    for (cid, major) in [(4, 10), (5, 11)] {
        say(&mut client, ms(1), &start_change(cid, &[1, 2, 3]));
        say(&mut client, ms(1), &view_reply(major, &[1, 2], &[9, cid]));
    }
    let heard = events(&mut client);
    let views = heard.iter().filter(|e| matches!(e, ClientEvent::View { .. })).count();
    let changes = heard.iter().filter(|e| matches!(e, ClientEvent::StartChange { .. })).count();
    assert_eq!((changes, views, heard.len()), (2, 2, 4));
}

/// The rule that the last of `replies` breaks, by its number; all others are in order.
fn broken(past: Past, replies: &[Reply]) -> alloc::string::String {
    let mut client = attached(past);
    for reply in replies {
        say(&mut client, ms(1), reply);
    }
    let heard = events(&mut client);
    assert_eq!(heard.len(), replies.len());
    match heard.last() {
        Some(ClientEvent::Detached { reason, .. }) => {
            assert!(reason.is_final());
            let DetachReason::Contract(rule) = reason else { panic!("{reason:?}") };
            rule.split(':').next().unwrap().into()
        }
        other => panic!("{other:?} of {replies:?}"),
    }
}

#[test]
fn a_server_that_breaks_the_contract_is_left() {
    let new = Past::default;
    let start = || start_change(4, &[1, 2, 3]);
    let old =
        || Past { last_cid: Cid(4), last_view: ViewId { major: 10, minor: 1 }, ..Past::default() };
    for (want, past, replies) in [
        ("M1", new(), vec![start_change(4, &[1, 3])]),
        ("M1", new(), vec![start(), view_reply(9, &[1, 3], &[1, 1])]),
        ("M2", new(), vec![start(), start()]),
        ("M2", new(), vec![start(), start_change(3, &[1, 2])]),
        ("M2", old(), vec![start()]),
        ("M3", new(), vec![start(), view_reply(9, &[2, 4], &[4, 1])]),
        ("M4", new(), vec![start(), view_reply(9, &[2, 3], &[3, 1])]),
        ("M4", new(), vec![start(), start_change(5, &[1, 2]), view_reply(9, &[1, 2], &[1, 4])]),
        ("M5", new(), vec![view_reply(9, &[2], &[4])]),
        ("M5", new(), vec![start(), view_reply(9, &[2], &[4]), view_reply(10, &[2], &[4])]),
        ("M6", old(), vec![start_change(5, &[2]), view_reply(10, &[2], &[5])]),
        ("M6", old(), vec![start_change(5, &[2]), view_reply(9, &[2], &[5])]),
    ] {
        assert_eq!(broken(past, &replies), want, "{replies:?}");
    }
    for set in [&[2, 1][..], &[2, 2], &[1, 3, 2]] {
        assert!(broken(new(), &[start_change(4, set)]).starts_with("the set of a start_change"));
    }
    let many: Vec<u64> = (0..=VIEW_MEMBERS_MAX as u64).collect();
    assert!(broken(new(), &[start_change(4, &many)]).starts_with("the set of a start_change"));
}

/// A trace with them could not be read, and no server would take a client that told it of such a
/// cid.
#[test]
fn a_start_change_with_numbers_that_nobody_is_given_is_refused() {
    for (cid, set) in [(NUMBER_MAX + 1, &[2][..]), (u64::MAX, &[2]), (4, &[2, NUMBER_MAX + 1])] {
        let rule = broken(Past::default(), &[start_change(cid, set)]);
        assert_eq!(rule, "numbers of a start_change are at most 2^53 - 1");
    }
    let mut client = attached(Past::default());
    say(&mut client, ms(1), &start_change(NUMBER_MAX, &[2, NUMBER_MAX]));
    assert!(matches!(events(&mut client)[..], [ClientEvent::StartChange { .. }]));
}

#[test]
fn a_set_may_be_as_large_as_a_view_can_be() {
    let mut client = attached(Past::default());
    let all: Vec<u64> = (0..VIEW_MEMBERS_MAX as u64).collect();
    say(&mut client, ms(1), &start_change(4, &all));
    assert!(matches!(&events(&mut client)[..], [ClientEvent::StartChange { .. }]));
}

#[test]
fn without_servers_there_is_nobody_to_connect_to() {
    let mut client = client(0);
    client.attach(ms(0), &group(), 16, Past::default());
    assert_eq!((commands(&mut client), client.poll_timeout()), (vec![], None));
}

#[test]
fn a_new_connection_begins_without_a_change() {
    let mut client = attached(Past::default());
    say(&mut client, ms(1), &start_change(4, &[2]));
    client.handle_disconnected(ms(1));
    client.attach(ms(2), &group(), 16, Past { last_cid: Cid(4), ..Past::default() });
    client.handle_timeout(ms(21));
    client.handle_connected(ms(21));
    client.handle_stream(ms(21), &frame::preamble());
    events(&mut client);
    // The view that answers what the lost server began comes too late (M5).
    say(&mut client, ms(22), &view_reply(9, &[2], &[4]));
    let heard = events(&mut client);
    let [ClientEvent::Detached { reason: DetachReason::Contract(rule), .. }] = &heard[..] else {
        panic!("{heard:?}")
    };
    assert!(rule.starts_with("M5"), "{rule}");
}

#[test]
fn words_about_groups_without_an_attachment_are_passed_over() {
    let mut client = client(1);
    client.attach(ms(0), &group(), 16, Past::default());
    client.handle_connected(ms(0));
    client.handle_stream(ms(0), &frame::preamble());
    let other = GroupName::new("other").unwrap();
    say(
        &mut client,
        ms(1),
        &Reply::StartChange { group: other, counter: 1, cid: Cid(1), peers: peers(&[2]) },
    );
    client.detach(ms(1), group().key());
    say(&mut client, ms(2), &start_change(1, &[2]));
    assert!(events(&mut client).is_empty());
    assert_eq!(commands(&mut client), [LinkCommand::Connect(0)], "and the connection stays");
}

#[test]
fn a_stream_that_makes_no_sense_ends_the_connection() {
    let mut long = u32::MAX.to_le_bytes().to_vec();
    long.push(0);
    // A view that no constructor would make: a member twice, numbers out of range, no start ids.
    let forged = |members: &[u64], start: &[u64]| {
        let mut bytes = Vec::new();
        let members: Vec<ProcessId> = members.iter().map(|p| ProcessId(*p)).collect();
        let start: Vec<Cid> = start.iter().map(|cid| Cid(*cid)).collect();
        let view = View::unchecked(ViewId { major: 1, minor: 1 }, &members, &start);
        frame::encode(&Reply::View { group: group(), counter: 1, view, secret: None }, &mut bytes);
        bytes
    };
    for (bytes, ends) in [
        (long, true),
        (vec![1, 0, 0, 0, 99], true),
        (vec![0, 0, 0, 0], true),
        (vec![2, 0, 0, 0, 3, 3], true),
        (forged(&[2, 2], &[4, 4]), false),
        (forged(&[2], &[]), false),
        (forged(&[], &[]), false),
        (forged(&[2, NUMBER_MAX + 1], &[4, 4]), false),
    ] {
        let mut client = attached(Past::default());
        say(&mut client, ms(1), &start_change(4, &[2]));
        commands(&mut client);
        events(&mut client);
        client.handle_stream(ms(1), &bytes);
        let heard = events(&mut client);
        let [ClientEvent::Detached { reason, .. }] = &heard[..] else { panic!("{heard:?}") };
        assert!(matches!(reason, DetachReason::Contract(_)), "{reason:?}");
        if ends {
            assert_eq!(commands(&mut client), [LinkCommand::Close]);
            assert!(client.output().is_empty());
        }
    }
}

#[test]
fn noise_never_becomes_a_view() {
    let mut rng = Rng::new(3);
    let mut real = Vec::new();
    frame::encode(&start_change(4, &[1, 2, 3]), &mut real);
    frame::encode(&view_reply(9, &[1, 2], &[4, 4]), &mut real);
    for _ in 0..20_000 {
        let mut client = attached(Past::default());
        let mut bytes = real.clone();
        for _ in 0..1 + rng.below(3) {
            let at = rng.below(bytes.len() as u64) as usize;
            bytes[at] = rng.next_u64() as u8;
        }
        client.handle_stream(ms(1), &bytes);
        let (mut set, mut last) = (None, Cid(0));
        for event in events(&mut client) {
            match event {
                ClientEvent::StartChange { cid, peers, .. } => {
                    (set, last) = (Some(peers), cid);
                }
                ClientEvent::View { view, .. } => {
                    let peers = set.take().expect("M5");
                    assert!(view.validate().is_ok());
                    assert_eq!(view.start(ME), Some(last));
                    let known = |p: &ProcessId| peers.iter().any(|peer| peer.process == *p);
                    assert!(view.members().iter().all(known));
                }
                ClientEvent::Detached { .. }
                | ClientEvent::Attached { .. }
                | ClientEvent::Profile { .. } => {}
            }
        }
    }
}

#[test]
fn another_version_is_final_for_all_groups() {
    let mut client = client(1);
    client.attach(ms(0), &group(), 16, Past::default());
    client.attach(ms(0), &GroupName::new("other").unwrap(), 16, Past::default());
    client.handle_connected(ms(0));
    client.handle_stream(ms(0), b"VSM\0\x63\0");
    let heard = events(&mut client);
    assert_eq!(heard.len(), 2, "{heard:?}");
    for event in heard {
        let ClientEvent::Detached { reason, .. } = event else { panic!("{event:?}") };
        let own = STREAM_VERSION;
        assert_eq!(reason, DetachReason::Version { server: 99, own });
        assert!(reason.is_final());
    }
    assert_eq!(commands(&mut client).last(), Some(&LinkCommand::Close));
}

#[test]
fn a_server_of_another_deployment_is_final_for_all_groups() {
    let mut client = client(2);
    client.attach(ms(0), &group(), 16, Past::default());
    client.attach(ms(0), &GroupName::new("other").unwrap(), 16, Past::default());
    client.handle_connected(ms(0));
    client.handle_stream(ms(0), &frame::preamble());
    let deployment = |name| crate::ident::Deployment::new(name).unwrap();
    let (server, own) = (deployment("blue"), deployment("green"));
    let refused = DetachReason::Deployment { server, own };
    say_as_is(&mut client, ms(0), &Reply::Refused(refused.clone()));
    let final_for = |event| match event {
        ClientEvent::Detached { reason, .. } => Some(reason),
        _ => None,
    };
    let reasons: Vec<_> = events(&mut client).into_iter().filter_map(final_for).collect();
    assert_eq!(reasons, [refused.clone(), refused]);
    assert_eq!(commands(&mut client).last(), Some(&LinkCommand::Close));
}

#[test]
fn a_silent_server_is_left_and_a_quiet_client_gives_signs_of_life() {
    let mut client = attached(Past::default());
    requests(&mut client);
    commands(&mut client);
    let mut pings = 0;
    // A look more often than the silence detector asks for: a longer pause would be taken for a
    // suspension.
    for now in (25..2000).step_by(25) {
        if now < 1000 && now % 500 == 0 {
            say(&mut client, ms(now), &Reply::Ping);
        }
        client.handle_timeout(ms(now));
        pings += requests(&mut client).len();
        if now < 1500 {
            assert_eq!(commands(&mut client), [], "at {now}");
        }
    }
    assert!((14..=15).contains(&pings), "one each 100 ms: {pings}");
    assert_eq!(commands(&mut client)[0], LinkCommand::Close, "a second after its last word");
    assert!(matches!(&events(&mut client)[..], [ClientEvent::Detached { .. }]));
}

#[test]
fn a_server_that_does_not_read_is_left() {
    let mut client = attached(Past::default());
    let accused: Vec<ProcessId> = (0..1000).map(|n| ProcessId(NUMBER_MAX - n)).collect();
    for _ in 0..1000 {
        client.accuse(ms(1), group().key(), &accused);
        assert!(client.output().len() <= 2 * ClientConfig::default().output_bytes_max);
    }
    assert_eq!(commands(&mut client).last(), Some(&LinkCommand::Close));
    assert!(client.output().is_empty());
}

#[test]
fn what_was_meant_for_an_earlier_attachment_is_not_taken_for_the_new_one() {
    let mut client = attached(Past::default());
    say(&mut client, ms(1), &start_change(7, &[1, 2]));
    assert_eq!(events(&mut client).len(), 1);
    client.detach(ms(2), group().key());
    client.attach(ms(2), &group(), 16, Past { last_cid: Cid(7), ..Past::default() });
    for late in [view_reply(9, &[1, 2], &[7, 7]), start_change(8, &[1, 2])] {
        say_as_is(&mut client, ms(3), &late);
        assert!(events(&mut client).is_empty(), "{late:?}");
    }
    say(&mut client, ms(4), &start_change(8, &[1, 2]));
    assert_eq!(events(&mut client).len(), 1);
}

#[test]
fn a_client_of_many_groups_attaches_them_all_as_its_output_is_written() {
    let mut client = client(1);
    client.config.output_bytes_max = 1024;
    let name = |i: u64| GroupName::new(&alloc::format!("group{i}")).unwrap();
    for i in 0..100 {
        client.attach(ms(0), &name(i), 16, Past::default());
    }
    client.handle_connected(ms(0));
    let (mut attached, mut rounds) = (0, 0);
    while !client.unsent.is_empty() || !client.output().is_empty() {
        let waiting = client.output().len();
        assert!((1..=1024).contains(&waiting), "{waiting} bytes wait");
        assert!(client.poll_timeout().is_some_and(|(at, _)| at > ms(0)), "nothing is due");
        client.consumed(ms(0), waiting);
        rounds += 1;
        assert!(rounds < 100, "{} of 100 still wait", client.unsent.len());
    }
    while let Some(event) = client.poll_event() {
        assert!(matches!(event, ClientEvent::Attached { .. }), "{event:?}");
        attached += 1;
    }
    assert_eq!((attached, client.poll_link()), (100, Some(LinkCommand::Connect(0))));
    assert_eq!(client.poll_link(), None, "the connection was not given up");
}

/// A server cleared the terminal of its client, or wrote there what it liked.
#[test]
fn words_of_server_hold_no_control_characters() {
    let long = "x".repeat(1000);
    for (rule, shown) in [("M2 \u{1b}[2J\r\n\u{9b}2J", "M2 [2J2J"), (&long, &long[..256])] {
        let mut client = client(1);
        client.attach(ms(0), &group(), 16, Past::default());
        client.handle_connected(ms(0));
        events(&mut client);
        let refused = Reply::Refused(DetachReason::Contract(rule.into()));
        client.handle_stream(ms(0), &frame::preamble());
        say_as_is(&mut client, ms(0), &refused);
        let [ClientEvent::Detached { reason, .. }] = &events(&mut client)[..] else { panic!() };
        assert_eq!(*reason, DetachReason::Contract(shown.into()));
    }
}
