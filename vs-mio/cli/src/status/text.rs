//! The status as people read it: a heading, and tables.

use core::fmt::{Display, Write as _};

use vs_core::status::{
    Counters, DialState, GroupStatus, Listed, MembershipStatus, NodeStatus, ServerCounters,
    ServerStatus, Status,
};

use crate::output::push_printable;

/// Blanks between two columns.
const GAP: usize = 2;

/// The status in lines.
pub(super) fn text(status: &Status) -> String {
    // Whoever answered chose these words: nothing in them reaches the terminal but what can be
    // printed.
    let mut out = String::new();
    for line in match status {
        Status::Server(server) => of_server(server),
        Status::Node(node) => of_node(node),
        Status::Busy => "busy".into(),
        other => format!("{other:?}"),
    }
    .lines()
    {
        push_printable(&mut out, line.as_bytes());
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out
}

fn of_server(s: &ServerStatus) -> String {
    let mut head = format!("membership server {}", s.server);
    if let Some(process) = s.embeds {
        let _ = write!(head, ", inside process {process}");
    }
    let _ = write!(head, ": {}, {} of clients", count(s.connections, "connection"), s.clients);
    if !s.settled {
        head.push_str("; still looking for other servers");
    }
    let c = &s.counters;
    let _ = writeln!(
        head,
        "\nsince its start: {}, {}, {} in fast and {} in slow mode",
        count(c.changes, "change"),
        count(c.proposals, "proposal"),
        count(c.views_fast, "view"),
        c.views_slow
    );
    if c.beacons_dropped > 0 {
        let _ = writeln!(
            head,
            "{} dropped, not sealed with its keys",
            count(c.beacons_dropped, "beacon")
        );
    }
    head += &of_strangers(c);
    let peers = rows(&s.peers, |peer| {
        let link = if peer.connected { "up" } else { "lost" };
        let views = if peer.shares_views { "shared" } else { "apart" };
        vec![
            peer.server.to_string(),
            link.into(),
            views.into(),
            peer.left_out.clone().unwrap_or_default(),
        ]
    });
    let dialled = rows(&s.dialled, |dial| {
        let state = match dial.state {
            DialState::Waiting => "tried again soon",
            DialState::Dialling => "connecting",
            DialState::Up => "connected",
            DialState::Spare => "connected otherwise",
            DialState::Itself => "this server",
            _ => "unknown",
        };
        vec![dial.addr.to_string(), state.into(), dial.trouble.clone().unwrap_or_default()]
    });
    let groups = rows(&s.groups, |group| of_group(group, s));
    head + &table(&["SERVER", "LINK", "VIEWS", ""], peers)
        + &table(&["DIALLED", "STATE", ""], dialled)
        + &table(&["GROUP", "VIEW", "NOW", "MODE", "TOOK", "MEMBERS", ""], groups)
}

/// What a server has shut out; nothing if there was nothing.
fn of_strangers(c: &ServerCounters) -> String {
    let mut out = String::new();
    if c.strangers_crowded_out + c.strangers_late + c.strangers_refused + c.no_room > 0 {
        let _ = writeln!(
            out,
            "connections shut out: {} by others before they named themselves, {} too late for that, \
             {} of another protocol or key, {} for want of room",
            c.strangers_crowded_out, c.strangers_late, c.strangers_refused, c.no_room
        );
    }
    if c.readers_given_up > 0 {
        let readers = count(c.readers_given_up, "connection");
        let _ = writeln!(out, "{readers} ended that did not read");
    }
    if c.claims_ahead + c.proposals_dropped + c.accusations_dropped > 0 {
        let _ = writeln!(
            out,
            "not believed: {} ahead of the clock, {} without clients, {} in the name of others",
            count(c.claims_ahead, "claim"),
            count(c.proposals_dropped, "proposal"),
            count(c.accusations_dropped, "accusation")
        );
    }
    out
}

fn of_group(group: &GroupStatus, server: &ServerStatus) -> Vec<String> {
    let (view, mode, took) = match &group.decided {
        Some(decided) => (
            decided.view.to_string(),
            if decided.fast { "fast" } else { "slow" },
            format!("{} ms", decided.took_ms),
        ),
        // Members that came over from another server need no view of this one.
        None => ("not decided here".into(), "", String::new()),
    };
    let members = list(&group.members, |member| {
        if member.home == server.server {
            member.process.to_string()
        } else {
            format!("{} at {}", member.process, member.home)
        }
    });
    let mut besides = String::new();
    if group.waiting > 0 {
        let wait = if group.waiting == 1 { "waits" } else { "wait" };
        let _ = write!(besides, "{} {wait} for an id that is taken ", group.waiting);
    }
    if !group.excluded.first.is_empty() {
        let _ = write!(besides, "excluded: {}", list(&group.excluded, ToString::to_string));
    }
    vec![group.name.to_string(), view, now(group.changing), mode.into(), took, members, besides]
}

fn of_node(n: &NodeStatus) -> String {
    let server = match n.server {
        Some(addr) => format!("connected to the membership server {addr}"),
        None => "connected to no membership server".into(),
    };
    let c = &n.counters;
    let head = format!(
        "process {}, {server}; {} of {} for packets in use\n\
         since its start: {}, {} delivered\n\
         datagrams: {} in; {} new, {} duplicate, {} early, {} foreign, {} without room, {} of other versions, \
         {} damaged or none of ours (others probe the network when they start)\n",
        n.process,
        n.slots_used,
        count(n.slots, "slot"),
        count(c.views, "view"),
        count(c.delivered, "message"),
        c.datagrams,
        c.accepted,
        c.duplicate,
        c.early,
        c.foreign,
        c.dropped,
        c.version,
        c.malformed,
    );
    let head = match n.overflowed {
        0 => head,
        dropped => {
            let dropped = count(dropped, "datagram");
            head + &format!("the system dropped {dropped}, since buffers were full\n")
        }
    };
    let head = head + &of_dropped(c);
    n.groups.first.iter().map(of_membership).fold(head, |all, group| all + &group)
        + &more(&n.groups, "group")
}

/// What others send that they should not, if they do.
fn of_dropped(c: &Counters) -> String {
    let counts = [
        (c.clear, "in the clear"),
        (c.other_key, "sealed with another key"),
        (c.forged, "forged"),
        (c.replayed, "heard before"),
        (c.impostors, "in the name of this process"),
        (c.false_cuts, "with false cuts"),
    ];
    let some = counts.iter().filter(|(count, _)| *count > 0);
    let some: Vec<String> = some.map(|(count, what)| format!("{count} {what}")).collect();
    match some.len() {
        0 => String::new(),
        _ => format!("datagrams that were dropped: {}\n", some.join(", ")),
    }
}

fn of_membership(g: &MembershipStatus) -> String {
    let c = &g.counters;
    let wait = if g.queued == 1 { "waits" } else { "wait" };
    let waiting = format!("{} {wait}", count(g.queued, "message"));
    let mut head = format!(
        "\ngroup {}: view {}, {}; window {}, {} outstanding; {} for the next view\n\
         in this view: {} sent, {} received; {} reported, {} sent again, {} forwarded, {} duplicate, \
         {} without room; {} refused for want of window\n",
        g.name,
        g.view,
        now(g.changing),
        count(g.window, "packet"),
        g.outstanding,
        waiting,
        count(c.sent, "packet"),
        c.received,
        count(c.naks, "gap"),
        count(c.repaired, "packet"),
        c.forwarded,
        c.duplicates,
        c.no_slot,
        count(c.refused, "message"),
    );
    if c.false_acks > 0 {
        let _ =
            writeln!(head, "{} acknowledgements say more than can have been sent", c.false_acks);
    }
    if c.repairs_refused > 0 {
        let refused = count(c.repairs_refused, "packet");
        let _ = writeln!(head, "{refused} not sent again to members that asked for too many");
    }
    if !g.unheard_by.first.is_empty() {
        let deaf = list(&g.unheard_by, ToString::to_string);
        let _ = writeln!(head, "no multicast of this process is heard by {deaf}");
    }
    if !g.unicast_missing_from.first.is_empty() {
        let missing = list(&g.unicast_missing_from, ToString::to_string);
        let _ = writeln!(head, "no datagram to this process alone arrives from {missing}");
    }
    let members = rows(&g.members, |stream| {
        let s = stream;
        let packets = [s.received, s.delivered, s.stable, s.acked, s.credit, s.lag];
        core::iter::once(stream.process.to_string()).chain(packets.map(|n| n.to_string())).collect()
    });
    head + &table(&["MEMBER", "RECEIVED", "DELIVERED", "STABLE", "ACKED", "CREDIT", "LAG"], members)
}

fn now(changing: bool) -> String {
    if changing { "changing" } else { "stable" }.into()
}

/// `1 view`, `2 views`.
fn count<N: Display + PartialEq + From<u8>>(n: N, what: &str) -> String {
    let plural = if n == N::from(1) { "" } else { "s" };
    format!("{n} {what}{plural}")
}

/// `1, 2, 3 and 7 more`.
fn list<T>(listed: &Listed<T>, word: impl Fn(&T) -> String) -> String {
    let words: Vec<String> = listed.first.iter().map(word).collect();
    match listed.more {
        0 => words.join(", "),
        more => format!("{} and {more} more", words.join(", ")),
    }
}

fn more<T>(listed: &Listed<T>, what: &str) -> String {
    match listed.more {
        0 => String::new(),
        more => format!("and {}\n", count(more, &format!("more {what}"))),
    }
}

/// A row for each, and a last one if there are more.
fn rows<T>(listed: &Listed<T>, row: impl Fn(&T) -> Vec<String>) -> Vec<Vec<String>> {
    let last = (listed.more > 0).then(|| vec![format!("and {} more", listed.more)]);
    listed.first.iter().map(row).chain(last).collect()
}

/// Columns below `titles`; nothing if there are no rows.
fn table(titles: &[&str], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let title = titles.iter().map(ToString::to_string).collect();
    let rows: Vec<Vec<String>> = core::iter::once(title).chain(rows).collect();
    let width =
        |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|c| c.chars().count()).max();
    let widths: Vec<usize> =
        (0..titles.len()).map(|at| width(at).unwrap_or_default() + GAP).collect();
    let mut out = String::new();
    for row in &rows {
        let line: String =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        let [none, one, two] = [0_u64, 1, 2].map(|n| count(n, "view"));
        assert_eq!((&*none, &*one, &*two), ("0 views", "1 view", "2 views"));
        assert_eq!(more(&Listed { first: vec![7], more: 1 }, "group"), "and 1 more group\n");
    }

    #[test]
    fn who_was_shut_out_is_shown_once_there_is_any() {
        let mut counters = ServerCounters::default();
        assert_eq!(of_strangers(&counters), "");
        counters.strangers_crowded_out = 7;
        counters.readers_given_up = 1;
        counters.claims_ahead = 2;
        let text = of_strangers(&counters);
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.starts_with("connections shut out: 7 by others"), "{text}");
    }

    #[test]
    fn what_is_not_shown_is_counted() {
        let listed = Listed { first: vec![1, 2], more: 3 };
        assert_eq!(list(&listed, ToString::to_string), "1, 2 and 3 more");
        let rows = rows(&listed, |n| vec![n.to_string(), "x".into()]);
        assert_eq!(
            table(&["N", "WORD"], rows),
            "N           WORD\n1           x\n2           x\nand 3 more\n"
        );
        assert_eq!(table(&["N"], Vec::new()), "");
    }
}
