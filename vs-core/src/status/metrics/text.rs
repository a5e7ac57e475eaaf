//! The values of a status, and the text that Prometheus reads (exposition format 0.0.4).

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{Display, Write};

use super::metric::{Kind, Metric, Row, Unit};
use super::table::{BUILD, DECIDED, DIALLED, GROUP, MEMBER, NODE, PEER, SERVED, SERVER};
use crate::status::{NodeStatus, ServerStatus, Status};
use crate::wire::PROTOCOL_VERSION;

/// A value of a metric.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Sample<'a> {
    /// Whose value it is.
    pub metric: &'static Metric,
    /// A word for each of its labels.
    pub labels: &'a [String],
    /// The value in its unit.
    pub value: u64,
}

/// A part of a status, with what tells it from its like.
type Part<'a, T> = (Vec<String>, &'a T);

/// All metrics, in the order in which they are told.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    fn of<T>(rows: &'static [Row<T>]) -> impl Iterator<Item = &'static Metric> {
        rows.iter().map(|row| &row.metric)
    }
    let nodes = of(NODE).chain(of(GROUP)).chain(of(MEMBER));
    let servers = of(SERVER).chain(of(PEER)).chain(of(DIALLED)).chain(of(SERVED));
    core::iter::once(&BUILD).chain(nodes).chain(servers).chain(of(DECIDED))
}

/// Hands each value of `statuses` to `each`, all of one metric one after the other. A busy status
/// has none. Takes time with what is listed: at most [`crate::status::GROUPS_LISTED_MAX`] groups
/// with [`crate::status::MEMBERS_LISTED_MAX`] members each.
pub fn visit(statuses: &[Status], mut each: impl FnMut(Sample<'_>)) {
    let each = &mut each as &mut dyn FnMut(Sample<'_>);
    let build = [env!("CARGO_PKG_VERSION").to_string(), u16::from(PROTOCOL_VERSION).to_string()];
    each(Sample { metric: &BUILD, labels: &build, value: 1 });
    let nodes = statuses.iter().filter_map(|status| match status {
        Status::Node(node) => Some(node),
        _ => None,
    });
    of_nodes(&nodes.collect::<Vec<_>>(), each);
    let servers = statuses.iter().filter_map(|status| match status {
        Status::Server(server) => Some(server),
        _ => None,
    });
    of_servers(&servers.collect::<Vec<_>>(), each);
}

fn of_nodes(nodes: &[&NodeStatus], each: &mut dyn FnMut(Sample<'_>)) {
    let whole = parts(nodes.iter().map(|node| ([], &node.process, *node)));
    let groups = whole.iter().flat_map(|(labels, node)| {
        node.groups.first.iter().map(move |group| (labels.as_slice(), &group.name, group))
    });
    let groups = parts(groups);
    let members = groups.iter().flat_map(|(labels, group)| {
        group.members.first.iter().map(move |member| (labels.as_slice(), &member.process, member))
    });
    tell(NODE, &whole, each);
    tell(GROUP, &groups, each);
    tell(MEMBER, &parts(members), each);
}

fn of_servers(servers: &[&ServerStatus], each: &mut dyn FnMut(Sample<'_>)) {
    let whole = parts(servers.iter().map(|server| ([], &server.server, *server)));
    let peers = whole.iter().flat_map(|(labels, server)| {
        server.peers.first.iter().map(move |peer| (labels.as_slice(), &peer.server, peer))
    });
    let dialled = whole.iter().flat_map(|(labels, server)| {
        server.dialled.first.iter().map(move |dial| (labels.as_slice(), &dial.addr, dial))
    });
    let groups = whole.iter().flat_map(|(labels, server)| {
        server.groups.first.iter().map(move |group| (labels.as_slice(), &group.name, group))
    });
    let groups = parts(groups);
    let decided = groups.iter().filter_map(|(labels, group)| {
        group.decided.as_ref().map(|decided| (labels.clone(), decided))
    });
    tell(SERVER, &whole, each);
    tell(PEER, &parts(peers), each);
    tell(DIALLED, &parts(dialled), each);
    tell(SERVED, &groups, each);
    tell(DECIDED, &decided.collect::<Vec<_>>(), each);
}

/// Each part with the labels of what it is a part of, and one more.
fn parts<'a, T, L: AsRef<[String]>, D: Display + 'a>(
    all: impl Iterator<Item = (L, &'a D, &'a T)>,
) -> Vec<Part<'a, T>> {
    let part = |(labels, own, part): (L, &D, _)| {
        let labels = labels.as_ref().iter().cloned();
        (labels.chain(core::iter::once(own.to_string())).collect(), part)
    };
    all.map(part).collect()
}

fn tell<T>(rows: &'static [Row<T>], parts: &[Part<'_, T>], each: &mut dyn FnMut(Sample<'_>)) {
    for row in rows {
        for (labels, part) in parts {
            each(Sample { metric: &row.metric, labels, value: (row.read)(part) });
        }
    }
}

/// `statuses`, each of another node or server, as Prometheus reads it: to be served as
/// `text/plain; version=0.0.4`.
#[must_use]
pub fn text(statuses: &[Status]) -> String {
    let (mut out, mut last) = (String::new(), "");
    visit(statuses, |sample| {
        let metric = sample.metric;
        if metric.name != last {
            last = metric.name;
            push_heading(&mut out, metric);
        }
        out.push_str(metric.name);
        push_labels(&mut out, metric.labels, sample.labels);
        // Writing to a string does not fail.
        let _ = match metric.unit {
            Unit::Count => writeln!(out, " {}", sample.value),
            Unit::Millis => writeln!(out, " {}.{:03}", sample.value / 1000, sample.value % 1000),
        };
    });
    out
}

fn push_heading(out: &mut String, metric: &Metric) {
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
    };
    let Metric { name, help, .. } = metric;
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn push_labels(out: &mut String, names: &[&str], words: &[String]) {
    for (at, (name, word)) in names.iter().zip(words).enumerate() {
        out.push(if at == 0 { '{' } else { ',' });
        out.push_str(name);
        out.push_str("=\"");
        for c in word.chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                c => out.push(c),
            }
        }
        out.push('"');
    }
    out.push('}');
}
