//! Traces as JSON Lines: the format that users, operators and other tools read.
//!
//! Encoding appends to a buffer of the caller and allocates nothing else, since it stands on the
//! way of every message of a traced process. Parsing is tolerant where the format may grow (fields
//! and events that it does not know) and strict about what it uses: an error names the line and
//! says what is wrong with it.
//!
//! ```
//! use vs_core::ident::{GroupName, Incarnation, ProcessId};
//! use vs_core::trace::{Event, Header};
//! use vs_core::{Time, trace_json};
//!
//! let (process, group) = (ProcessId(7), GroupName::new("chat").unwrap());
//! let mut out = Vec::new();
//! let header = Header { process, incarnation: Incarnation::new(1), runtime: "own".into() };
//! trace_json::encode_header(&header, &mut out);
//! trace_json::encode_event(Time(5), process, &group, &Event::BlockOk, &mut out);
//! let trace = trace_json::parse_trace(&out).unwrap();
//! assert_eq!(trace.lines[0].record.event, Event::BlockOk);
//! ```

mod read;
mod state;
mod write;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::Deserialize;

use read::{digits, missing, need, number};
use write::{field_hash, field_number, field_stage, string};

use crate::ident::{Cid, GroupName, Incarnation, ProcessId, ViewId};
use crate::order::Order;
use crate::time::Time;
use crate::trace::{Event, Header, Line, Record, ToldCluster, Trace};
use crate::view::{Members, View};

/// The version of the format, in the header of each trace.
pub const TRACE_VERSION: u64 = 1;

/// Appends the first line of a trace, with its line feed.
pub fn encode_header(header: &Header, out: &mut Vec<u8>) {
    field_number(out, b"{\"vs_trace\":", TRACE_VERSION);
    field_number(out, b",\"p\":", header.process.0);
    field_number(out, b",\"inc\":", header.incarnation.millis());
    out.extend_from_slice(b",\"runtime\":");
    string(out, &header.runtime);
    out.extend_from_slice(b"}\n");
}

/// Appends a whole trace: what `vs check` reads.
pub fn encode_trace(trace: &Trace, out: &mut Vec<u8>) {
    encode_header(&trace.header, out);
    trace.lines.iter().for_each(|line| encode_record(&line.record, out));
}

/// Appends one record as a line, with its line feed.
pub fn encode_record(record: &Record, out: &mut Vec<u8>) {
    encode_event(record.ts, record.process, &record.group, &record.event, out);
}

/// Appends one event as a line, with its line feed. As [`encode_record`], for callers that have the
/// parts.
pub fn encode_event(
    ts: Time,
    process: ProcessId,
    group: &GroupName,
    event: &Event,
    out: &mut Vec<u8>,
) {
    field_number(out, b"{\"ts\":", ts.0);
    field_number(out, b",\"p\":", process.0);
    out.extend_from_slice(b",\"g\":");
    string(out, group.as_str());
    out.extend_from_slice(b",\"ev\":\"");
    out.extend_from_slice(name(event).as_bytes());
    out.push(b'"');
    fields(event, out);
    out.extend_from_slice(b"}\n");
}

/// The value of `ev`.
fn name(event: &Event) -> &'static str {
    match event {
        Event::Join { .. } => "join",
        Event::Signal { .. } => "signal",
        Event::Start { .. } => "start",
        Event::StartChange { .. } => "start_change",
        Event::MbrView { .. } => "mbr_view",
        Event::Block => "block",
        Event::BlockOk => "block_ok",
        Event::Send { .. } => "send",
        Event::Deliver { .. } => "deliver",
        Event::Sync { .. } => "sync",
        Event::Forward { .. } => "forward",
        Event::View { .. } => "view",
        Event::Primary => "primary",
        Event::Lapsed => "lapsed",
        Event::Restored => "restored",
        Event::Gap { .. } => "gap",
        Event::State(event) => state::name(event),
        Event::Leave => "leave",
        Event::Crash => "crash",
        Event::BrokenOff => "broken_off",
    }
}

fn fields(event: &Event, out: &mut Vec<u8>) {
    match event {
        Event::Join { order, clusters } => {
            out.extend_from_slice(b",\"order\":");
            string(out, order.name());
            field_flag(out, b",\"clusters\":", *clusters);
        }
        Event::Signal { transitional } => {
            field_list(out, b",\"trans\":", transitional.iter().map(|p| p.0));
        }
        Event::Start { incarnation } => field_number(out, b",\"inc\":", incarnation.millis()),
        Event::StartChange { cid, set } => {
            field_number(out, b",\"cid\":", cid.0);
            field_list(out, b",\"set\":", set.iter().map(|p| p.0));
        }
        Event::MbrView { view } => field_view(out, view),
        Event::Send { n, hash, len } => message(out, *n, *hash, *len),
        Event::Deliver { from, n, hash, len, stage } => {
            field_number(out, b",\"from\":", from.0);
            message(out, *n, *hash, *len);
            field_stage(out, *stage);
        }
        Event::Sync { cid, view, cut, safe } => {
            field_number(out, b",\"cid\":", cid.0);
            field_view(out, view);
            out.extend_from_slice(b",\"cut\":[");
            for (i, (p, packets)) in cut.iter().enumerate() {
                field_list(out, if i == 0 { b"" } else { b"," }, [p.0, *packets]);
            }
            out.push(b']');
            if *safe > 0 {
                field_number(out, b",\"safe\":", *safe);
            }
        }
        Event::Forward { to, from, packet, view } => {
            field_number(out, b",\"to\":", to.0);
            field_number(out, b",\"from\":", from.0);
            field_number(out, b",\"packet\":", *packet);
            field_view(out, view);
        }
        Event::View { view, transitional, clusters } => {
            field_view(out, view);
            field_list(out, b",\"trans\":", transitional.iter().map(|p| p.0));
            if let Some(clusters) = clusters {
                field_clusters(out, clusters);
            }
        }
        Event::Gap { messages } => field_number(out, b",\"messages\":", *messages),
        Event::State(event) => state::fields(event, out),
        Event::Block
        | Event::BlockOk
        | Event::Primary
        | Event::Lapsed
        | Event::Restored
        | Event::Leave
        | Event::Crash
        | Event::BrokenOff => {}
    }
}

fn message(out: &mut Vec<u8>, n: u64, hash: u64, len: u64) {
    field_number(out, b",\"n\":", n);
    field_hash(out, b",\"h\":\"", hash);
    field_number(out, b",\"len\":", len);
}

fn field_view(out: &mut Vec<u8>, view: &View) {
    let id = view.id();
    field_list(out, b",\"view\":{\"id\":", [id.major, id.minor]);
    field_list(out, b",\"members\":", view.members().iter().map(|p| p.0));
    field_list(out, b",\"start\":", view.start_ids().iter().map(|c| c.0));
    out.push(b'}');
}

fn field_clusters(out: &mut Vec<u8>, clusters: &[ToldCluster]) {
    out.extend_from_slice(b",\"clusters\":[");
    for (i, cluster) in clusters.iter().enumerate() {
        let key: &[u8] = if i == 0 { b"{\"members\":" } else { b",{\"members\":" };
        field_list(out, key, cluster.members.iter().map(|p| p.0));
        field_flag(out, b",\"fresh\":", cluster.fresh);
        out.push(b'}');
    }
    out.push(b']');
}

fn field_flag(out: &mut Vec<u8>, key: &[u8], flag: bool) {
    out.extend_from_slice(key);
    out.extend_from_slice(if flag { b"true" } else { b"false" });
}

fn field_list(out: &mut Vec<u8>, key: &[u8], list: impl IntoIterator<Item = u64>) {
    out.extend_from_slice(key);
    out.push(b'[');
    for (i, n) in list.into_iter().enumerate() {
        field_number(out, if i == 0 { b"" } else { b"," }, n);
    }
    out.push(b']');
}

/// Why a trace cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The number of the line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl core::error::Error for ParseError {}

/// Reads one trace line by line, so that a trace of any length needs the memory of one line.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    line: u64,
    header: Option<Header>,
    group: Option<GroupName>,
    skipped: u64,
}

impl Reader {
    /// A reader before the first line.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The header, once its line was read.
    #[must_use]
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// The number of the line read last; 0 before the first.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Number of lines with events that this version does not know; they are skipped.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Takes the next line, with or without its line feed. Nothing comes back for the header, an
    /// empty line, and an event that a later version may have added.
    ///
    /// # Errors
    /// Names the line and what is wrong with it; the reader may go on with the next line.
    pub fn read(&mut self, line: &[u8]) -> Result<Option<Line>, ParseError> {
        self.line += 1;
        let record = self.record(line).map_err(|what| ParseError { line: self.line, what })?;
        Ok(record.map(|record| Line { number: self.line, record }))
    }

    fn record(&mut self, line: &[u8]) -> Result<Option<Record>, String> {
        if line.trim_ascii().is_empty() {
            return Ok(None);
        }
        let raw: Raw<'_> =
            serde_json::from_slice(line).map_err(|e| format!("not an event of a trace: {e}"))?;
        if self.header.is_none() {
            self.header = Some(raw.header()?);
            return Ok(None);
        }
        if raw.vs_trace.is_some() {
            return Err("a second header; one file holds one trace".into());
        }
        let Some(event) = raw.event()? else {
            self.skipped += 1;
            return Ok(None);
        };
        let group = self.group(&raw.g)?;
        let process = ProcessId(number("p", raw.p)?);
        Ok(Some(Record { ts: Time(need("ts", raw.ts)?), process, group, event }))
    }

    /// Lines of one group share one name.
    fn group(&mut self, name: &str) -> Result<GroupName, String> {
        if let Some(group) = self.group.as_ref().filter(|g| g.as_str() == name) {
            return Ok(group.clone());
        }
        let group = GroupName::new(name).map_err(|e| format!("\"g\": {e}"))?;
        self.group = Some(group.clone());
        Ok(group)
    }
}

/// Reads a whole trace. A last line that has no line feed and cannot be read is left out: a process
/// that was killed may leave one.
///
/// # Errors
/// Names the first line that cannot be read.
pub fn parse_trace(bytes: &[u8]) -> Result<Trace, ParseError> {
    let mut reader = Reader::new();
    let mut lines = Vec::new();
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        match reader.read(line) {
            Ok(record) => lines.extend(record),
            Err(_) if !line.ends_with(b"\n") && reader.header().is_some() => {}
            Err(error) => return Err(error),
        }
    }
    let missing =
        || ParseError { line: 1, what: "the trace is empty: its header is missing".into() };
    let header = reader.header.ok_or_else(missing)?;
    Ok(Trace { header, lines })
}

/// Every field of every line. A missing field is `None` or empty; an unknown field is skipped.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Raw<'a> {
    vs_trace: Option<u64>,
    #[serde(borrow)]
    runtime: Cow<'a, str>,
    ts: Option<u64>,
    p: Option<u64>,
    #[serde(borrow)]
    g: Cow<'a, str>,
    #[serde(borrow)]
    ev: Cow<'a, str>,
    inc: Option<u64>,
    cid: Option<u64>,
    set: Option<Vec<u64>>,
    view: Option<RawView>,
    n: Option<u64>,
    #[serde(borrow)]
    h: Cow<'a, str>,
    len: Option<u64>,
    from: Option<u64>,
    to: Option<u64>,
    packet: Option<u64>,
    messages: Option<u64>,
    cut: Option<Vec<(u64, u64)>>,
    trans: Option<Vec<u64>>,
    safe: Option<u64>,
    #[serde(borrow)]
    order: Cow<'a, str>,
    #[serde(borrow)]
    stage: Cow<'a, str>,
    clusters: Option<RawClusters>,
    at: Option<u64>,
    epoch: Option<(u64, u64)>,
    no: Option<u64>,
    want: Option<u64>,
    enough: Option<bool>,
    #[serde(borrow)]
    client: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    result: Cow<'a, str>,
}

/// Of a `join` whether the group has them, of a `view` which they are.
#[derive(Deserialize)]
#[serde(untagged)]
enum RawClusters {
    Asked(bool),
    Told(Vec<RawCluster>),
}

#[derive(Deserialize)]
struct RawCluster {
    members: Vec<u64>,
    fresh: bool,
}

#[derive(Deserialize)]
struct RawView {
    id: (u64, u64),
    #[serde(default)]
    members: Vec<u64>,
    #[serde(default)]
    start: Vec<u64>,
}

impl Raw<'_> {
    fn header(&self) -> Result<Header, String> {
        match self.vs_trace {
            Some(TRACE_VERSION) => {}
            Some(version) => {
                return Err(format!(
                    "the trace has version {version}, known is {TRACE_VERSION}: use a newer program"
                ));
            }
            None => return Err("the first line must be the header, with \"vs_trace\"".into()),
        }
        Ok(Header {
            process: ProcessId(number("p", self.p)?),
            incarnation: Incarnation::new(number("inc", self.inc.or(Some(0)))?),
            runtime: self.runtime.to_string(),
        })
    }

    fn event(&self) -> Result<Option<Event>, String> {
        Ok(Some(match &*self.ev {
            "start" => {
                Event::Start { incarnation: Incarnation::new(number("inc", self.inc.or(Some(0)))?) }
            }
            "start_change" => Event::StartChange { cid: self.cid()?, set: set("set", &self.set)? },
            "mbr_view" => Event::MbrView { view: self.view()? },
            "block" => Event::Block,
            "block_ok" => Event::BlockOk,
            "send" => Event::Send { n: self.n()?, hash: self.hash()?, len: need("len", self.len)? },
            "deliver" => Event::Deliver {
                from: ProcessId(number("from", self.from)?),
                n: self.n()?,
                hash: self.hash()?,
                len: need("len", self.len)?,
                stage: read::stage(&self.stage)?,
            },
            "join" => Event::Join { order: self.order()?, clusters: self.has_clusters()? },
            "signal" => Event::Signal { transitional: set("trans", &self.trans)? },
            "sync" => {
                let cut = self.cut.as_deref().unwrap_or_default();
                let cut = cut.iter().map(|&(p, packets)| (ProcessId(p), packets)).collect();
                let safe = number("safe", self.safe.or(Some(0)))?;
                Event::Sync { cid: self.cid()?, view: self.view()?, cut, safe }
            }
            "forward" => Event::Forward {
                to: ProcessId(number("to", self.to)?),
                from: ProcessId(number("from", self.from)?),
                packet: need("packet", self.packet)?,
                view: self.view()?,
            },
            "view" => Event::View {
                view: self.view()?,
                transitional: set("trans", &self.trans)?,
                clusters: self.clusters()?,
            },
            "primary" => Event::Primary,
            "lapsed" => Event::Lapsed,
            "restored" => Event::Restored,
            "gap" => Event::Gap { messages: need("messages", self.messages)? },
            "leave" => Event::Leave,
            "crash" => Event::Crash,
            "broken_off" => Event::BrokenOff,
            "" => return Err(missing("ev")),
            ev => return Ok(state::parse(ev, &self.of_state())?.map(Event::State)),
        }))
    }

    fn of_state(&self) -> state::Fields<'_> {
        let Self { from, to, at, no, want, enough, epoch, .. } = *self;
        let Self { client, kind, result, h, stage, .. } = self;
        state::Fields { from, to, at, no, want, enough, epoch, stage, client, kind, result, h }
    }

    fn cid(&self) -> Result<Cid, String> {
        number("cid", self.cid).map(Cid)
    }

    fn n(&self) -> Result<u64, String> {
        match need("n", self.n)? {
            0 => Err("\"n\" counts from 1".into()),
            n => Ok(n),
        }
    }

    fn order(&self) -> Result<Order, String> {
        let wrong = || format!("\"order\" is {:?}, which this program does not know", self.order);
        Order::from_name(&self.order).ok_or_else(wrong)
    }

    fn has_clusters(&self) -> Result<bool, String> {
        match &self.clusters {
            None => Ok(false),
            Some(RawClusters::Asked(asked)) => Ok(*asked),
            Some(RawClusters::Told(_)) => Err("\"clusters\" must be true or false".into()),
        }
    }

    fn clusters(&self) -> Result<Option<Box<[ToldCluster]>>, String> {
        let told = match &self.clusters {
            None => return Ok(None),
            Some(RawClusters::Told(told)) => told,
            Some(RawClusters::Asked(_)) => return Err("\"clusters\" must be a list".into()),
        };
        let cluster = |RawCluster { members, fresh }: &RawCluster| {
            Ok(ToldCluster { members: sorted("members", members)?, fresh: *fresh })
        };
        told.iter().map(cluster).collect::<Result<_, String>>().map(Some)
    }

    fn hash(&self) -> Result<u64, String> {
        digits("h", &self.h)
    }

    fn view(&self) -> Result<Box<View>, String> {
        let raw = self.view.as_ref().ok_or_else(|| missing("view"))?;
        let id = ViewId { major: raw.id.0, minor: raw.id.1 };
        let members: Members = raw.members.iter().map(|&p| ProcessId(p)).collect();
        let start: Vec<Cid> = raw.start.iter().map(|&c| Cid(c)).collect();
        View::new(id, &members, &start).map(Box::new).map_err(|e| format!("\"view\": {e}"))
    }
}

fn set(field: &str, list: &Option<Vec<u64>>) -> Result<Members, String> {
    sorted(field, list.as_deref().ok_or_else(|| missing(field))?)
}

fn sorted(field: &str, list: &[u64]) -> Result<Members, String> {
    let mut members = Members::new();
    for &p in list {
        members.push(ProcessId(number(field, Some(p))?));
    }
    members.sort_unstable();
    members.dedup();
    Ok(members)
}

#[cfg(test)]
mod tests;
