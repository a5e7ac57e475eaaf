//! Every number of a status has a metric, with its own value; names and page are as they should be.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Value, json};

use super::*;
use crate::status::Status;

/// Fields of a serialised status without a metric of their own, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("node.process", "a label"),
    ("node.groups[].name", "a label"),
    ("node.groups[].members[].process", "a label"),
    ("node.groups[].unheard_by[]", "an id: their number is told"),
    ("node.groups[].unicast_missing_from[]", "an id: their number is told"),
    ("server.server", "a label"),
    ("server.embeds", "an id: the same answer has the node, which has metrics of its own"),
    ("server.peers[].server", "a label"),
    ("server.peers[].left_out", "a text; whether views are shared is told"),
    ("server.dialled[].addr", "a label"),
    ("server.dialled[].trouble", "a text; whether there is a connection is told"),
    ("server.groups[].name", "a label"),
    ("server.groups[].members[].process", "an id: their number is told"),
    ("server.groups[].members[].home", "an id: each server tells of its clients"),
    ("server.groups[].members[].addr", "an address, no number"),
    ("server.groups[].excluded[]", "an id: their number is told"),
];

/// A node and a server of which each field is there. The literals name all fields of what is
/// listed: a new one does not compile until it is here, and then the tests ask for its metric.
fn statuses() -> [Status; 2] {
    crate::status::tests::full()
}

/// Each leaf of `value`; a list of which only a part is shown is one, with its number.
fn walk(value: &mut Value, path: &str, leaf: &mut dyn FnMut(&str, &mut Value)) {
    match value {
        Value::Object(fields) if fields.len() == 2 && fields.contains_key("more") => {
            leaf(path, &mut fields["more"]);
            let first = fields["first"].as_array_mut().expect("a list");
            assert_eq!(first.len(), 1, "one of each is listed at {path}");
            first.iter_mut().for_each(|one| walk(one, &format!("{path}[]"), leaf));
        }
        Value::Object(fields) => {
            let dot = if path.is_empty() { "" } else { "." };
            for (name, field) in fields {
                walk(field, &format!("{path}{dot}{name}"), leaf);
            }
        }
        value => leaf(path, value),
    }
}

#[test]
fn every_field_has_a_metric_or_a_reason() {
    let metrics: BTreeSet<&str> = all().map(|metric| metric.field).collect();
    let excepted: BTreeSet<&str> = EXCEPTIONS.iter().map(|(field, _)| *field).collect();
    let mut found = BTreeSet::new();
    for status in statuses() {
        let mut value = serde_json::to_value(&status).expect("plain values");
        walk(&mut value, "", &mut |path, _| {
            assert!(
                metrics.contains(path) != excepted.contains(path),
                "{path} of the status: add a metric to status/metrics/table.rs, or a reason to EXCEPTIONS"
            );
            found.insert(path.to_string());
        });
    }
    for path in metrics.union(&excepted) {
        assert!(path.is_empty() || found.contains(*path), "no status has {path}");
    }
}

/// Numbers that all differ come out where they belong.
#[test]
fn metrics_show_the_value_of_their_field() {
    let mut expected = BTreeMap::new();
    let mut next = 1000;
    let statuses = statuses().map(|status| {
        let mut value = serde_json::to_value(&status).expect("plain values");
        walk(&mut value, "", &mut |path, leaf| {
            next += 1;
            let told = match leaf {
                Value::Number(_) => {
                    *leaf = json!(next);
                    next
                }
                Value::Bool(flag) => u64::from(*flag),
                _ => 1,
            };
            expected.insert(path.to_string(), told);
        });
        serde_json::from_value(value).expect("a status")
    });
    let mut told = BTreeSet::new();
    visit(&statuses, |sample| {
        let metric = sample.metric;
        assert_eq!(sample.labels.len(), metric.labels.len(), "{}", metric.name);
        assert!(told.insert(metric.name), "{} once", metric.name);
        if let Some(expected) = expected.get(metric.field) {
            // Of a list, the one that is shown counts, too.
            let shown = u64::from(sample.value == expected + 1);
            assert_eq!(sample.value - shown, *expected, "{}", metric.name);
        }
    });
    assert_eq!(told.len(), all().count());
}

/// What `promtool check metrics` asks for, and more.
#[test]
fn names_follow_the_conventions_of_prometheus() {
    let mut names = BTreeSet::new();
    for Metric { name, kind, unit, labels, help, .. } in all() {
        assert!(names.insert(*name), "{name} is told twice");
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        assert!(name.starts_with("vs_") && name.split('_').all(is_word), "{name}");
        assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
        assert_eq!(name.contains("_seconds"), *unit == Unit::Millis, "{name}");
        for odd in ["_count", "_sum", "_bucket", "_ms", "_millis", "_gauge", "_counter"] {
            assert!(!name.ends_with(odd), "{name} must not end with {odd}");
        }
        assert!(labels.iter().all(|label| is_word(label) && *label != "instance"), "{name}");
        assert!(help.ends_with('.') && !help.contains(['\\', '\n', '|']), "{name}: {help}");
    }
}

#[test]
fn the_text_is_that_of_prometheus() {
    let [mut node, server] = statuses();
    if let Status::Node(node) = &mut node {
        node.groups.first[0].name = crate::ident::GroupName::new(r#"a"b\c"#).expect("a name");
    }
    let text = text(&[node, server, Status::Busy]);
    assert!(text.contains("# TYPE vs_node_datagrams_total counter\nvs_node_datagrams_total{"));
    assert!(text.contains(r#",group="a\"b\\c"} "#), "{text}");
    assert!(text.ends_with('\n') && !text.contains("\n\n"), "{text}");
    let mut headings = BTreeSet::new();
    let mut family = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().expect("a name");
            assert!(headings.insert(family), "{family} is one block");
        } else if !line.starts_with('#') {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            assert_eq!(series.split('{').next(), Some(family), "{line}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    assert_eq!(super::text(&[]).lines().count(), 3, "what runs is told in any case");
}

/// The lines of the table on the page.
fn page() -> String {
    let line = |metric: &Metric| {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let unit = match metric.unit {
            Unit::Millis => "seconds",
            Unit::Count => "",
        };
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        format!(
            "| `{}` | {kind} | {unit} | {} | {} |\n",
            metric.name,
            labels.join(", "),
            metric.help
        )
    };
    all().map(line).collect()
}

#[test]
fn the_page_lists_all_metrics() {
    let there = include_str!("../../manual/metrics.md");
    let there: String =
        there.lines().filter(|line| line.starts_with("| `vs_")).flat_map(|l| [l, "\n"]).collect();
    assert!(there == page(), "the table of manual/metrics.md has to be:\n\n{}", page());
}
