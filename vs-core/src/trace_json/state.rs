//! Lines of replicated states.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::read::{self, digits, missing, need, number};
use super::write::{field_hash, field_number, field_stage, string};
use crate::ident::{ProcessId, ViewId};
use crate::trace::{CallKind, CallResult, ReplyResult, StateEvent};

/// The value of `ev`.
pub(super) fn name(event: &StateEvent) -> &'static str {
    match event {
        StateEvent::Create => "create",
        StateEvent::Recover { .. } => "recover",
        StateEvent::Snapshot { .. } => "snapshot",
        StateEvent::Restore { .. } => "restore",
        StateEvent::Settled => "settled",
        StateEvent::Serve { .. } => "serve",
        StateEvent::Open { .. } => "open",
        StateEvent::Apply { .. } => "apply",
        StateEvent::Pass { .. } => "pass",
        StateEvent::Call { .. } => "call",
        StateEvent::Reply { .. } => "reply",
        StateEvent::Collect { .. } => "collect",
        StateEvent::Heard { .. } => "heard",
        StateEvent::Collected { .. } => "collected",
    }
}

pub(super) fn fields(event: &StateEvent, out: &mut Vec<u8>) {
    match *event {
        StateEvent::Create | StateEvent::Settled => {}
        StateEvent::Serve { epoch } => {
            field_number(out, b",\"epoch\":[", epoch.major);
            field_number(out, b",", epoch.minor);
            out.push(b']');
        }
        StateEvent::Recover { from } => field_number(out, b",\"from\":", from.0),
        StateEvent::Snapshot { to: ProcessId(p), at, hash }
        | StateEvent::Restore { from: ProcessId(p), at, hash } => {
            let is_offered = matches!(event, StateEvent::Snapshot { .. });
            field_number(out, if is_offered { b",\"to\":" } else { b",\"from\":" }, p);
            field_number(out, b",\"at\":", at);
            field_hash(out, b",\"h\":\"", hash);
        }
        StateEvent::Open { client, at, stage } => {
            field_hash(out, b",\"client\":\"", client);
            field_number(out, b",\"at\":", at);
            field_stage(out, stage);
        }
        StateEvent::Apply { client, no, at, hash, stage }
        | StateEvent::Pass { client, no, at, hash, stage } => {
            field_hash(out, b",\"client\":\"", client);
            field_number(out, b",\"no\":", no);
            field_number(out, b",\"at\":", at);
            field_hash(out, b",\"h\":\"", hash);
            field_stage(out, stage);
        }
        StateEvent::Call { client, no, kind, hash } => {
            asked(out, client, no, kind);
            field_hash(out, b",\"h\":\"", hash);
        }
        StateEvent::Reply { client, no, kind, result, hash } => {
            asked(out, client, no, kind);
            out.extend_from_slice(b",\"result\":");
            string(out, result.name());
            field_hash(out, b",\"h\":\"", hash);
        }
        StateEvent::Collect { client, no, want } => {
            named(out, client, no);
            field_number(out, b",\"want\":", want);
        }
        StateEvent::Heard { client, no, from, result, hash } => {
            named(out, client, no);
            field_number(out, b",\"from\":", from.0);
            out.extend_from_slice(b",\"result\":");
            string(out, result.name());
            field_hash(out, b",\"h\":\"", hash);
        }
        StateEvent::Collected { client, no, is_enough } => {
            named(out, client, no);
            out.extend_from_slice(if is_enough {
                b",\"enough\":true"
            } else {
                b",\"enough\":false"
            });
        }
    }
}

fn named(out: &mut Vec<u8>, client: u64, no: u64) {
    field_hash(out, b",\"client\":\"", client);
    field_number(out, b",\"no\":", no);
}

fn asked(out: &mut Vec<u8>, client: u64, no: u64, kind: CallKind) {
    named(out, client, no);
    out.extend_from_slice(b",\"kind\":");
    string(out, kind.name());
}

/// What may stand in a line.
pub(super) struct Fields<'a> {
    pub(super) from: Option<u64>,
    pub(super) to: Option<u64>,
    pub(super) at: Option<u64>,
    pub(super) no: Option<u64>,
    pub(super) want: Option<u64>,
    pub(super) enough: Option<bool>,
    pub(super) epoch: Option<(u64, u64)>,
    pub(super) stage: &'a str,
    pub(super) client: &'a str,
    pub(super) kind: &'a str,
    pub(super) result: &'a str,
    pub(super) h: &'a str,
}

/// The event of a replicated state, if the line is of one.
pub(super) fn parse(ev: &str, fields: &Fields<'_>) -> Result<Option<StateEvent>, String> {
    let from = || number("from", fields.from).map(ProcessId);
    let (at, no) = (|| need("at", fields.at), || need("no", fields.no));
    let (client, hash) = (|| digits("client", fields.client), || digits("h", fields.h));
    let stage = || read::stage(fields.stage);
    Ok(Some(match ev {
        "create" => StateEvent::Create,
        "recover" => StateEvent::Recover { from: from()? },
        "snapshot" => {
            let to = ProcessId(number("to", fields.to)?);
            StateEvent::Snapshot { to, at: at()?, hash: hash()? }
        }
        "restore" => StateEvent::Restore { from: from()?, at: at()?, hash: hash()? },
        "settled" => StateEvent::Settled,
        "serve" => {
            let (major, minor) = fields.epoch.ok_or_else(|| missing("epoch"))?;
            StateEvent::Serve { epoch: ViewId { major, minor } }
        }
        "open" => StateEvent::Open { client: client()?, at: at()?, stage: stage()? },
        "apply" => StateEvent::Apply {
            client: client()?,
            no: no()?,
            at: at()?,
            hash: hash()?,
            stage: stage()?,
        },
        "pass" => StateEvent::Pass {
            client: client()?,
            no: no()?,
            at: at()?,
            hash: hash()?,
            stage: stage()?,
        },
        "call" => {
            let kind = kind(fields.kind)?;
            StateEvent::Call { client: client()?, no: no()?, kind, hash: hash()? }
        }
        "reply" => {
            let (kind, result) = (kind(fields.kind)?, call_result(fields.result)?);
            StateEvent::Reply { client: client()?, no: no()?, kind, result, hash: hash()? }
        }
        "collect" => {
            let want = need("want", fields.want)?;
            StateEvent::Collect { client: client()?, no: no()?, want }
        }
        "heard" => {
            let (from, result) = (from()?, reply_result(fields.result)?);
            StateEvent::Heard { client: client()?, no: no()?, from, result, hash: hash()? }
        }
        "collected" => {
            let is_enough = fields.enough.ok_or_else(|| missing("enough"))?;
            StateEvent::Collected { client: client()?, no: no()?, is_enough }
        }
        _ => return Ok(None),
    }))
}

fn kind(name: &str) -> Result<CallKind, String> {
    let found = CallKind::ALL.into_iter().find(|kind| kind.name() == name);
    found.ok_or_else(|| format!("\"kind\" is {name:?}, which this program does not know"))
}

fn reply_result(name: &str) -> Result<ReplyResult, String> {
    let found = ReplyResult::ALL.into_iter().find(|result| result.name() == name);
    found.ok_or_else(|| format!("\"result\" is {name:?}, which this program does not know"))
}

fn call_result(name: &str) -> Result<CallResult, String> {
    let found = CallResult::ALL.into_iter().find(|result| result.name() == name);
    found.ok_or_else(|| format!("\"result\" is {name:?}, which this program does not know"))
}
