//! The tables of what was answered. A column more is a title, and a cell in its row.

use vs_core::status::metrics::{Kind, Unit};
use vs_core::status::{
    GroupStatus, MembershipStatus, NodeStatus, ServerStatus, Status, StreamStatus,
};

use super::changes::{list, who};
use super::model::{Asked, Model};
use super::table::{Cell, Column, Table, Tone, numbers, words};

/// The table of the changes: when, who told it, what.
pub(super) const CHANGES: &[Column] = &[words("UTC"), words("ADDRESS"), words("CHANGE")];

const PROCESSES: &[Column] = &[
    words("ADDRESS"),
    words("WHO"),
    words("STATE"),
    numbers("DELIVERED/s"),
    numbers("DATAGRAMS/s"),
    numbers("GAPS/s"),
    numbers("REPAIRED/s"),
    numbers("DROPPED/s"),
    numbers("STRANGE/s"),
    numbers("SLOTS"),
    numbers("OF"),
];

/// Whom each address leads to, and how that fares.
pub(super) fn processes(model: &Model) -> Table {
    Table { columns: PROCESSES, rows: model.asked.iter().map(process).collect() }
}

fn process(asked: &Asked) -> Vec<Cell> {
    let answer = asked.now.as_ref().map(|seen| &seen.status);
    let mut row = vec![Cell::text(&asked.addr)];
    row.push(answer.map_or_else(Cell::default, |status| Cell::text(who(status))));
    row.push(match (&asked.trouble, answer) {
        (Some(why), _) => Cell::text(why).toned(Tone::Bad, true),
        (None, None) => Cell::text("asked").toned(Tone::Odd, true),
        (None, Some(Status::Node(node))) => state_of_node(node),
        (None, Some(Status::Server(server))) => state_of_server(server),
        (None, Some(_)) => Cell::text("of another version"),
    });
    let rate = |names: &[&'static str]| {
        let rates = names.iter().filter_map(|name| asked.rate(name, &[]));
        Cell::rate(rates.reduce(|a, b| a + b))
    };
    row.push(rate(&["vs_node_messages_delivered_total"]));
    row.push(rate(&["vs_node_datagrams_total"]));
    row.push(rate(&["vs_group_naks_sent_total"]).odd_above_0());
    row.push(rate(&["vs_group_packets_repaired_total"]).odd_above_0());
    row.push(
        rate(&["vs_node_datagrams_dropped_total", "vs_node_datagrams_overflowed_total"])
            .odd_above_0(),
    );
    row.push(
        rate(&[
            "vs_node_datagrams_malformed_total",
            "vs_node_datagrams_other_version_total",
            "vs_node_datagrams_clear_total",
            "vs_node_datagrams_other_key_total",
            "vs_node_datagrams_forged_total",
            "vs_node_datagrams_impostor_total",
            "vs_server_strangers_refused_total",
        ])
        .odd_above_0(),
    );
    if let Some(Status::Node(node)) = answer {
        row.push(Cell::number(node.slots_used as u64));
        row.push(Cell::number(node.slots as u64));
    }
    row
}

fn state_of_node(node: &NodeStatus) -> Cell {
    let groups = node.groups.first.len() + node.groups.more;
    let changing = node.groups.first.iter().filter(|group| group.changing).count();
    match (node.server, changing) {
        (None, _) => Cell::text("no membership server").toned(Tone::Bad, true),
        (_, 0) => Cell::text(format!("{groups} in stable views")).toned(Tone::Good, true),
        (_, n) => Cell::text(format!("{n} of {groups} changing")).toned(Tone::Odd, true),
    }
}

fn state_of_server(server: &ServerStatus) -> Cell {
    if !server.settled {
        return Cell::text("looks for other servers").toned(Tone::Odd, true);
    }
    let apart = server.peers.first.iter().filter(|p| p.connected && !p.shares_views).count();
    if apart > 0 {
        return Cell::text(format!("apart from {apart} servers")).toned(Tone::Bad, true);
    }
    let peers = server.peers.first.len() + server.peers.more;
    let text = format!("clients {}, peers {peers}", server.clients);
    Cell::text(text).toned(Tone::Good, true)
}

const GROUPS: &[Column] = &[
    words("GROUP"),
    words("AT"),
    words("VIEW"),
    words("NOW"),
    numbers("SIZE"),
    words("MEMBERS"),
    numbers("SENT/s"),
    numbers("RECEIVED/s"),
    numbers("DELIVERED/s"),
    numbers("OUTSTANDING"),
    numbers("WINDOW"),
    numbers("QUEUED"),
    numbers("LAG"),
    numbers("GAPS/s"),
    numbers("REPAIRED/s"),
    numbers("TWICE/s"),
    numbers("REFUSED/s"),
    numbers("UNHEARD"),
];

/// The groups, as each process sees them.
pub(super) fn groups(model: &Model) -> Table {
    let mut rows = Vec::new();
    for asked in &model.asked {
        match asked.now.as_ref().map(|seen| &seen.status) {
            Some(Status::Node(node)) => {
                rows.extend(node.groups.first.iter().map(|group| of_member(asked, node, group)));
            }
            Some(Status::Server(server)) => {
                rows.extend(
                    server.groups.first.iter().map(|group| of_server(asked, server, group)),
                );
            }
            _ => {}
        }
    }
    Table { columns: GROUPS, rows }
}

fn now(asked: &Asked, is_changing: bool) -> Cell {
    if asked.trouble.is_some() {
        return Cell::text("no answer").toned(Tone::Bad, true);
    }
    let cell = Cell::text(if is_changing { "changing" } else { "stable" });
    cell.toned(Tone::Odd, is_changing)
}

fn greatest_lag(group: &MembershipStatus) -> u64 {
    group.members.first.iter().map(|member| member.lag).max().unwrap_or_default()
}

/// Whether the process that was asked cannot send, since this member gives no room back.
fn holds_up(group: &MembershipStatus, member: &StreamStatus) -> bool {
    member.credit == 0 && member.lag > 0 && member.lag == greatest_lag(group)
}

fn of_member(asked: &Asked, node: &NodeStatus, group: &MembershipStatus) -> Vec<Cell> {
    let labels = [node.process.to_string(), group.name.to_string()];
    let rate = |name| Cell::rate(asked.rate(name, &labels));
    let lag = greatest_lag(group);
    let is_held_up = group.members.first.iter().any(|member| holds_up(group, member));
    vec![
        Cell::text(&labels[1]),
        Cell::text(format!("process {}", node.process)),
        Cell::text(group.view.to_string()),
        now(asked, group.changing),
        Cell::number((group.members.first.len() + group.members.more) as u64),
        Cell::text(list(&group.members, |member| member.process)),
        rate("vs_group_packets_sent_total"),
        rate("vs_group_packets_received_total"),
        rate("vs_group_messages_delivered_total"),
        Cell::number(group.outstanding),
        Cell::number(group.window),
        Cell::number(group.queued as u64),
        Cell::number(lag).toned(Tone::Bad, is_held_up),
        rate("vs_group_naks_sent_total").odd_above_0(),
        rate("vs_group_packets_repaired_total").odd_above_0(),
        rate("vs_group_packets_duplicate_total"),
        rate("vs_group_messages_refused_total").odd_above_0(),
        Cell::number((group.unheard_by.first.len() + group.unheard_by.more) as u64).odd_above_0(),
    ]
}

fn of_server(asked: &Asked, server: &ServerStatus, group: &GroupStatus) -> Vec<Cell> {
    vec![
        Cell::text(group.name.to_string()),
        Cell::text(format!("server {}", server.server)),
        Cell::text(group.decided.map_or_else(|| "-".into(), |decided| decided.view.to_string())),
        now(asked, group.changing),
        Cell::number((group.members.first.len() + group.members.more) as u64),
        Cell::text(list(&group.members, |member| member.process)),
    ]
}

const MEMBERS: &[Column] = &[
    words("GROUP"),
    words("AT"),
    words("MEMBER"),
    numbers("LAG"),
    numbers("CREDIT"),
    numbers("RECEIVED"),
    numbers("DELIVERED"),
    numbers("STABLE"),
    numbers("UNSTABLE"),
    numbers("ACKED"),
    words(""),
];

/// The streams of all members, as each process sees them.
pub(super) fn members(model: &Model) -> Table {
    let mut rows = Vec::new();
    let nodes = model.asked.iter().filter_map(|asked| match &asked.now.as_ref()?.status {
        Status::Node(node) => Some(node),
        _ => None,
    });
    for node in nodes {
        for group in &node.groups.first {
            rows.extend(streams(node, group));
        }
    }
    Table { columns: MEMBERS, rows }
}

fn streams(node: &NodeStatus, group: &MembershipStatus) -> impl Iterator<Item = Vec<Cell>> {
    group.members.first.iter().map(move |member| {
        let is_full = holds_up(group, member);
        let is_deaf = group.unheard_by.first.contains(&member.process);
        let besides = match (is_full, is_deaf) {
            (true, _) => "holds the sender up",
            (false, true) => "hears no multicasts",
            (false, false) => "",
        };
        vec![
            Cell::text(group.name.to_string()),
            Cell::text(format!("process {}", node.process)),
            Cell::text(member.process.to_string()),
            Cell::number(member.lag).toned(Tone::Bad, is_full),
            Cell::number(member.credit),
            Cell::number(member.received),
            Cell::number(member.delivered),
            Cell::number(member.stable),
            Cell::number(member.received.saturating_sub(member.stable)),
            Cell::number(member.acked),
            Cell::text(besides).toned(Tone::Bad, is_full).toned(Tone::Odd, is_deaf && !is_full),
        ]
    })
}

const COUNTERS: &[Column] =
    &[words("METRIC"), words("OF"), numbers("VALUE"), numbers("/s"), words("MEANING")];

/// Every counter and gauge.
pub(super) fn counters(model: &Model) -> Table {
    let mut rows = Vec::new();
    for asked in &model.asked {
        let Some(now) = &asked.now else { continue };
        for (metric, labels, value, rate) in now.values.rows(asked.before_values(), asked.between())
        {
            let value = match metric.unit {
                Unit::Millis => Cell::text(format!("{}.{:03} s", value / 1000, value % 1000)),
                Unit::Count => Cell::number(value),
            };
            let rate = match (metric.kind, rate) {
                (Kind::Gauge, None) => Cell::default(),
                (_, rate) => Cell::rate(rate.map(|rate| match metric.unit {
                    Unit::Millis => rate / 1000.0,
                    Unit::Count => rate,
                })),
            };
            let names = metric.labels.iter().zip(labels);
            let of: Vec<_> = names.map(|(name, word)| format!("{name} {word}")).collect();
            rows.push(vec![
                Cell::text(metric.name),
                Cell::text(of.join(", ")),
                value,
                rate,
                Cell::text(metric.help),
            ]);
        }
    }
    Table { columns: COUNTERS, rows }
}

/// What changed, the last first.
pub(super) fn changes(model: &Model) -> Table {
    let row = |change: &super::changes::Change| {
        vec![Cell::text(clock(change.unix_s)), Cell::text(&change.addr), Cell::text(&change.what)]
    };
    Table { columns: CHANGES, rows: model.changes.iter().map(row).collect() }
}

/// The time of day of UNIX time.
pub(super) fn clock(unix_s: u64) -> String {
    let s = unix_s % 86_400;
    format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
}
