use super::*;
use crate::ident::NUMBER_MAX;
use crate::order::Stage;
use crate::trace::{CallKind, CallResult, ReplyResult, StateEvent};

fn view() -> Box<View> {
    let members = [1, 2].map(ProcessId);
    Box::new(View::new(ViewId { major: 4, minor: 1 }, &members, &[8, 9].map(Cid)).unwrap())
}

fn clusters() -> Box<[ToldCluster]> {
    let alone = |p, fresh| ToldCluster { members: Members::from_slice(&[ProcessId(p)]), fresh };
    [alone(1, false), alone(2, true)].into()
}

fn of_states() -> Vec<Event> {
    let (p, at, hash, client, no) = (ProcessId(2), u64::MAX, 0xab, 0x0123_4567_89ab_cdef, 3);
    let call = |kind| StateEvent::Call { client, no, kind, hash };
    let reply = |(kind, result)| StateEvent::Reply { client, no, kind, result, hash };
    let [asked, read] = CallKind::ALL;
    let events = [
        StateEvent::Create,
        StateEvent::Recover { from: p },
        StateEvent::Snapshot { to: p, at, hash },
        StateEvent::Restore { from: p, at, hash },
        StateEvent::Settled,
        StateEvent::Serve { epoch: ViewId { major: 4, minor: 1 } },
        StateEvent::Open { client, at, stage: Stage::Tail },
        StateEvent::Apply { client, no, at, hash, stage: Stage::Regular },
        StateEvent::Pass { client, no, at, hash, stage: Stage::Recorded },
        StateEvent::Collect { client, no, want: 3 },
        StateEvent::Heard { client, no, from: p, result: ReplyResult::Left, hash },
        StateEvent::Collected { client, no, is_enough: true },
        call(asked),
        call(read),
    ];
    let replies = CallResult::ALL.map(|result| reply((asked, result)));
    events.into_iter().chain(replies).map(Event::State).collect()
}

fn events() -> Vec<Event> {
    let set = Members::from_slice(&[1, 2].map(ProcessId));
    let p = ProcessId(2);
    Vec::from([
        Event::Join { order: Order::Total, clusters: false },
        Event::Join { order: Order::Fifo, clusters: true },
        Event::Signal { transitional: set.clone() },
        Event::Start { incarnation: Incarnation::new(NUMBER_MAX) },
        Event::StartChange { cid: Cid(8), set: set.clone() },
        Event::MbrView { view: view() },
        Event::Block,
        Event::BlockOk,
        Event::Send { n: 1, hash: 0x0123_4567_89ab_cdef, len: 0 },
        Event::Deliver { from: p, n: 10, hash: u64::MAX, len: u64::MAX, stage: Stage::Tail },
        Event::Sync { cid: Cid(0), view: view(), cut: [(p, 3), (p, 0)][..].into(), safe: 0 },
        Event::Sync { cid: Cid(0), view: view(), cut: [(p, 3)][..].into(), safe: 7 },
        Event::Forward { to: p, from: p, packet: 7, view: view() },
        Event::View { view: view(), transitional: set.clone(), clusters: None },
        Event::View { view: view(), transitional: set, clusters: Some(clusters()) },
        Event::Primary,
        Event::Lapsed,
        Event::Restored,
        Event::Gap { messages: 7 },
        Event::Leave,
        Event::Crash,
        Event::BrokenOff,
    ])
}

#[test]
fn encoded_trace_parses_to_itself() {
    let group = GroupName::new("a \"b\" \\ é").unwrap();
    let header = Header {
        process: ProcessId(1),
        incarnation: Incarnation::new(3),
        runtime: "x\ny".to_string(),
    };
    let record = |event| Record {
        ts: Time(1_700_000_000_000_000_000),
        process: ProcessId(1),
        group: group.clone(),
        event,
    };
    let all = events().into_iter().chain(of_states());
    let trace = Trace::from_records(header, all.map(record).collect());
    let mut out = Vec::new();
    encode_trace(&trace, &mut out);
    assert_eq!(parse_trace(&out), Ok(trace));
}

#[test]
fn encoded_form_is_as_documented() {
    let mut out = Vec::new();
    let group = GroupName::new("g").unwrap();
    let event =
        Event::Deliver { from: ProcessId(2), n: 10, hash: 0xab, len: 5, stage: Stage::Regular };
    encode_event(Time(7), ProcessId(1), &group, &event, &mut out);
    let event = Event::View { view: view(), transitional: Members::new(), clusters: None };
    encode_event(Time(8), ProcessId(1), &group, &event, &mut out);
    let event = Event::Join { order: Order::Fifo, clusters: true };
    encode_event(Time(9), ProcessId(1), &group, &event, &mut out);
    let event =
        Event::View { view: view(), transitional: Members::new(), clusters: Some(clusters()) };
    encode_event(Time(9), ProcessId(1), &group, &event, &mut out);
    let expected = concat!(
        r#"{"ts":7,"p":1,"g":"g","ev":"deliver","from":2,"n":10,"h":"00000000000000ab","len":5}"#,
        "\n",
        r#"{"ts":8,"p":1,"g":"g","ev":"view","view":{"id":[4,1],"members":[1,2],"start":[8,9]},"#,
        r#""trans":[]}"#,
        "\n",
        r#"{"ts":9,"p":1,"g":"g","ev":"join","order":"fifo","clusters":true}"#,
        "\n",
        r#"{"ts":9,"p":1,"g":"g","ev":"view","view":{"id":[4,1],"members":[1,2],"start":[8,9]},"#,
        r#""trans":[],"clusters":[{"members":[1],"fresh":false},{"members":[2],"fresh":true}]}"#,
        "\n",
    );
    assert_eq!(core::str::from_utf8(&out), Ok(expected));
}

#[test]
fn encoded_lines_of_states_are_as_documented() {
    let (group, client) = (GroupName::new("g").unwrap(), 0xab);
    let events = [
        StateEvent::Restore { from: ProcessId(2), at: 7, hash: 1 },
        StateEvent::Apply { client, no: 3, at: 8, hash: 2, stage: Stage::Tail },
        StateEvent::Serve { epoch: ViewId { major: 4, minor: 1 } },
        StateEvent::Reply { client, no: 3, kind: CallKind::Call, result: CallResult::Ok, hash: 3 },
        StateEvent::Collect { client, no: 3, want: 2 },
        StateEvent::Heard {
            client,
            no: 3,
            from: ProcessId(2),
            result: ReplyResult::TooLarge,
            hash: 0,
        },
        StateEvent::Collected { client, no: 3, is_enough: false },
    ];
    let mut out = Vec::new();
    for event in events {
        encode_event(Time(7), ProcessId(1), &group, &Event::State(event), &mut out);
    }
    let expected = concat!(
        r#"{"ts":7,"p":1,"g":"g","ev":"restore","from":2,"at":7,"h":"0000000000000001"}"#,
        "\n",
        r#"{"ts":7,"p":1,"g":"g","ev":"apply","client":"00000000000000ab","no":3,"at":8,"#,
        r#""h":"0000000000000002","stage":"tail"}"#,
        "\n",
        r#"{"ts":7,"p":1,"g":"g","ev":"serve","epoch":[4,1]}"#,
        "\n",
        r#"{"ts":7,"p":1,"g":"g","ev":"reply","client":"00000000000000ab","no":3,"kind":"call","#,
        r#""result":"ok","h":"0000000000000003"}"#,
        "\n",
        r#"{"ts":7,"p":1,"g":"g","ev":"collect","client":"00000000000000ab","no":3,"want":2}"#,
        "\n",
        r#"{"ts":7,"p":1,"g":"g","ev":"heard","client":"00000000000000ab","no":3,"from":2,"#,
        r#""result":"too_large","h":"0000000000000000"}"#,
        "\n",
        r#"{"ts":7,"p":1,"g":"g","ev":"collected","client":"00000000000000ab","no":3,"#,
        r#""enough":false}"#,
        "\n",
    );
    assert_eq!(core::str::from_utf8(&out), Ok(expected));
}

const HEADER: &str = "{\"vs_trace\":1,\"p\":7}\n";

fn lines(rest: &str) -> Result<usize, ParseError> {
    parse_trace(format!("{HEADER}{rest}").as_bytes()).map(|trace| trace.lines.len())
}

#[test]
fn unknown_fields_are_skipped() {
    let known = r#"{"ev":"block","ts":1,"p":7,"g":"g","inc":4,"new":[{}]}"#;
    assert_eq!(lines(&format!("\n{known}\n")), Ok(1));
    assert_eq!(lines(r#"{"ev":"mood","ts":1,"p":7,"g":"g"}"#), Ok(0));
}

#[test]
fn torn_last_line_is_skipped() {
    assert_eq!(lines(r#"{"ev":"block","ts":1,"p":7,"#), Ok(0));
    assert_eq!(lines("{\"ev\":\"block\",\"ts\":1,\n").unwrap_err().line, 2);
}

#[test]
fn parse_error_names_line_and_fault() {
    let fault = |line: &str| lines(&format!("\n{line}\n")).unwrap_err().to_string();
    let send = |fields: &str| fault(&format!(r#"{{"ev":"send","ts":1,"p":7,"g":"g",{fields}}}"#));
    assert!(fault("x").starts_with("line 3: not an event of a trace: "));
    assert_eq!(fault("{}"), "line 3: \"ev\" is missing");
    assert_eq!(fault(HEADER.trim()), "line 3: a second header; one file holds one trace");
    assert_eq!(send(r#""n":0,"h":"0000000000000000","len":1"#), "line 3: \"n\" counts from 1");
    assert_eq!(
        send(r#""n":1,"h":"+000000000000000","len":1"#),
        "line 3: \"h\" must be 16 hex digits"
    );
    assert_eq!(send(r#""n":1,"h":"0000000000000000""#), "line 3: \"len\" is missing");
    let bad = r#"{"ev":"mbr_view","ts":1,"p":7,"g":"g","view":{"id":[1,0],"members":[2,1],"start":[1,1]}}"#;
    assert_eq!(fault(bad), "line 3: \"view\": members of a view must be strictly ascending");
    let bad = r#"{"ev":"join","ts":1,"p":7,"g":"g","order":"fifo","clusters":[]}"#;
    assert_eq!(fault(bad), "line 3: \"clusters\" must be true or false");
    let bad = r#"{"ev":"view","ts":1,"p":7,"g":"g","view":{"id":[1,0],"members":[1],"start":[1]},"trans":[1],"clusters":true}"#;
    assert_eq!(fault(bad), "line 3: \"clusters\" must be a list");
    let bad =
        r#"{"ev":"call","ts":1,"p":7,"g":"g","client":"0000000000000000","no":1,"kind":"cal"}"#;
    assert_eq!(fault(bad), "line 3: \"kind\" is \"cal\", which this program does not know");
    let big = format!(r#"{{"ev":"leave","ts":1,"p":{},"g":"g"}}"#, NUMBER_MAX + 1);
    assert_eq!(fault(&big), "line 3: \"p\" is above 2^53 - 1");
}

#[test]
fn trace_without_header_is_refused() {
    assert_eq!(parse_trace(b"").unwrap_err().line, 1);
    assert!(parse_trace(b"{\"ev\":\"block\"}\n").unwrap_err().what.contains("header"));
    assert!(parse_trace(b"{\"vs_trace\":2,\"p\":1}\n").unwrap_err().what.contains("version 2"));
}
