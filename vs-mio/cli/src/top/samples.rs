//! Answers for tests.

use core::time::Duration;

use serde_json::{Value, json};
use vs_core::status::Status;

use super::asking::Answer;

/// An answer after so many seconds.
pub(super) fn answer(index: usize, s: u64, told: Result<Status, &str>) -> Answer {
    let told = told.map_err(str::to_owned);
    Answer { index, at: Duration::from_secs(s), unix_s: 1_000_000 + s, told }
}

/// What process 1 sees: a view of `members` in the group `name`, and `delivered` messages in all.
pub(super) fn node(name: &str, major: u64, members: &[u64], delivered: u64) -> Status {
    let counts = |names: &str| -> Value {
        names.split(' ').map(|name| (name.to_owned(), json!(0))).collect()
    };
    let streams = members.iter().map(|process| {
        json!({"process": process, "received": delivered, "delivered": delivered, "stable": 1,
            "acked": 2, "credit": 100, "lag": process * 10})
    });
    let none = json!({"first": [], "more": 0});
    let mut group = json!({
        "name": name, "view": {"major": major, "minor": 1}, "changing": false,
        "members": {"first": streams.collect::<Vec<_>>(), "more": 0},
        "window": 64, "outstanding": 3, "queued": 0,
        "unheard_by": none, "unicast_missing_from": none,
        "counters": counts(
            "sent records repaired repairs_suppressed forwarded acks naks naks_suppressed \
             heartbeats received duplicates beyond no_slot malformed delivered refused"
        ),
    });
    group["counters"]["delivered"] = json!(delivered);
    let mut node = json!({
        "process": 1, "incarnation": 7, "server": "127.0.0.1:7000", "slots": 100, "slots_used": 9,
        "counters": counts(
            "datagrams accepted duplicate early foreign dropped version malformed delivered views \
             unheard frames_skipped"
        ),
        "groups": {"first": [group], "more": 0},
    });
    node["counters"]["delivered"] = json!(delivered);
    serde_json::from_value(json!({"node": node})).expect("a status")
}

/// The same of another start.
pub(super) fn started_again(status: &Status) -> Status {
    let mut value = serde_json::to_value(status).expect("plain values");
    value["node"]["incarnation"] = json!(8);
    serde_json::from_value(value).expect("a status")
}

/// What a server sees that has decided a view of `members`.
pub(super) fn server(major: u64, members: &[u64]) -> Status {
    let member = |process| json!({"process": process, "home": 5, "addr": "127.0.0.1:9"});
    let members: Vec<_> = members.iter().map(member).collect();
    let none = json!({"first": [], "more": 0});
    let peer = json!({"server": 6, "connected": true, "shares_views": false, "left_out": "why"});
    serde_json::from_value(json!({"server": {
        "server": 5, "boot_ms": 1, "embeds": null, "settled": true, "connections": 2,
        "clients": 1, "counters": {}, "peers": {"first": [peer], "more": 0}, "dialled": none,
        "groups": {"first": [{
            "name": "chat", "changing": true,
            "decided": {"view": {"major": major, "minor": 5}, "fast": true, "took_ms": 12},
            "members": {"first": members, "more": 2}, "waiting": 0, "excluded": none,
        }], "more": 0},
    }}))
    .expect("a status")
}
