//! What stands in the page.

use vs_core::Time;
use vs_core::ident::{GroupName, Incarnation, ProcessId};
use vs_core::trace::{CallResult, Event, Header, Record, ReplyResult};

use super::*;

fn header(process: u64, incarnation: u64) -> Header {
    let incarnation = Incarnation::new(incarnation);
    Header { process: ProcessId(process), incarnation, runtime: "made".into() }
}

/// A trace whose process starts, and leaves.
fn push_trace(columns: &mut Columns, group: &str, of: (u64, u64), times: [u64; 2]) {
    let (process, incarnation) = of;
    columns.begin(&header(process, incarnation));
    let start = Event::Start { incarnation: Incarnation::new(incarnation) };
    for (ts, event) in times.into_iter().zip([start, Event::Leave]) {
        let group = GroupName::new(group).unwrap();
        columns.push(&Record { ts: Time(ts), process: ProcessId(process), group, event });
    }
}

fn numbers(json: &serde_json::Value) -> Vec<u64> {
    json.as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect()
}

#[test]
fn data_cannot_end_its_element() {
    let mut columns = Columns::default();
    push_trace(&mut columns, "</script><script>alert(1)</script>", (1, 1), [5, 6]);
    let mut page = Vec::new();
    write(columns, &mut page).unwrap();
    let page = String::from_utf8(page).unwrap();
    assert_eq!(page.matches("</script>").count(), 2, "that of the data, that of the program");
    assert!(page.contains("\\u003c/script>"));
    assert!(!page.contains("/*CSS*/") && !page.contains("/*JS*/") && !page.contains("/*DATA*/"));
    for outside in ["http://", "https://", "import(", "src="] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn golden_traces_are_drawn() {
    let traces = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vs-core/tests/traces");
    for name in ["good-11", "good-12", "good-13", "good-14"] {
        let files = check::files(&[traces.join(name)]).unwrap();
        let columns = read(&files).unwrap();
        assert_eq!(columns.processes(), 5, "{name}");
        let (events, json) = (columns.events(), columns.into_json());
        for column in ["t", "g", "k", "a", "b", "c"] {
            assert_eq!(json["events"][column].as_array().unwrap().len(), events, "{name} {column}");
        }
        let rows = json["rows"].as_array().unwrap();
        let of_rows: u64 = rows.iter().map(|row| row["events"].as_u64().unwrap()).sum();
        assert_eq!(of_rows, events as u64, "{name}");
        assert!(!json["views"].as_array().unwrap().is_empty(), "{name}");
    }
}

#[test]
fn process_that_starts_again_keeps_its_line() {
    let mut columns = Columns::default();
    // The files are read in the order of their names: the later incarnation comes first.
    push_trace(&mut columns, "g", (7, 2), [500, 600]);
    push_trace(&mut columns, "g", (7, 1), [100, 300]);
    let json = columns.into_json();
    assert_eq!(json["rows"], serde_json::json!([{"process": 0, "events": 4}]));
    assert_eq!(numbers(&json["events"]["t"]), [0, 200, 200, 100]);
}

#[test]
fn two_of_one_id_have_a_line_each() {
    let mut columns = Columns::default();
    push_trace(&mut columns, "g", (7, 1), [100, 300]);
    push_trace(&mut columns, "g", (7, 2), [200, 400]);
    assert_eq!(columns.processes(), 1);
    assert_eq!(columns.into_json()["rows"].as_array().unwrap().len(), 2);
}

#[test]
fn clock_set_back_does_not_turn_events_round() {
    let mut columns = Columns::default();
    push_trace(&mut columns, "g", (7, 1), [300, 100]);
    push_trace(&mut columns, "g", (8, 1), [100, 400]);
    assert_eq!(numbers(&columns.into_json()["events"]["t"]), [200, 0, 0, 300]);
}

#[test]
fn results_have_the_numbers_that_the_page_knows() {
    let calls = [CallResult::Ok, CallResult::Unknown, CallResult::Refused];
    assert_eq!(calls.map(|result| result as u64), [0, 1, 2]);
    assert_eq!(ReplyResult::ALL.map(|result| result as u64), [0, 1, 2, 3, 4]);
}

#[test]
fn page_does_not_take_the_place_of_a_trace() {
    let dir = std::env::temp_dir().join(format!("vs-draw-test-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let golden =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vs-core/tests/traces/good-11/1.jsonl");
    let trace = dir.join("1.jsonl");
    let text = std::fs::read(golden).unwrap();
    std::fs::write(&trace, &text).unwrap();
    // The same file under another name.
    let out = dir.join(".").join("1.jsonl");
    let refused = draw(core::slice::from_ref(&trace), &out);
    let after = std::fs::read(&trace).unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    assert!(refused.unwrap_err().0.contains("one of the traces"));
    assert_eq!(after, text);
}
