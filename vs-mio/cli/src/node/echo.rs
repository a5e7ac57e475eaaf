//! Where a node's events go: to the trace, and with `--json` to standard output.

use vs_core::Time;
use vs_core::ident::{GroupName, ProcessId};
use vs_core::trace::{Event, Tracer};
use vs_core::trace_json::encode_event;
use vs_std::trace::MaybeTrace;

use crate::output::push_base64;

/// Bytes of events that may wait while standard output is not read. Events beyond are left out of
/// it; those that the application has to see are not among them, since they wait in the node.
const ECHO_BYTES_MAX: usize = 1 << 20;

/// A tracer that also keeps the lines for standard output.
#[derive(Debug)]
pub(super) struct Tee {
    pub(super) trace: MaybeTrace,
    pub(super) echo: Option<Echo>,
}

/// Lines for standard output.
#[derive(Debug)]
pub(super) struct Echo {
    unix_offset: u64,
    lines: Vec<u8>,
    /// A delivery whose line waits for the payload.
    delivery: Option<(Time, ProcessId, GroupName, Event)>,
    left_out: u64,
}

impl Tracer for Tee {
    fn enabled(&self) -> bool {
        self.echo.is_some() || self.trace.enabled()
    }

    fn record(&mut self, now: Time, process: ProcessId, group: &GroupName, event: Event) {
        if let Some(echo) = &mut self.echo {
            echo.record(now, process, group, &event);
        }
        self.trace.record(now, process, group, event);
    }
}

impl Echo {
    pub(super) fn new(unix_offset: u64) -> Self {
        Self { unix_offset, lines: Vec::new(), delivery: None, left_out: 0 }
    }

    fn record(&mut self, now: Time, process: ProcessId, group: &GroupName, event: &Event) {
        let ts = now + self.unix_offset;
        if matches!(event, Event::Deliver { .. }) {
            self.delivery = Some((ts, process, group.clone(), event.clone()));
        } else if self.lines.len() < ECHO_BYTES_MAX {
            encode_event(ts, process, group, event, &mut self.lines);
        } else {
            self.left_out += 1;
        }
    }

    /// The payload of the delivery recorded last.
    pub(super) fn payload(&mut self, payload: &[u8]) {
        let Some((ts, process, group, event)) = self.delivery.take() else { return };
        encode_event(ts, process, &group, &event, &mut self.lines);
        // The line ends with a brace and a line feed.
        self.lines.truncate(self.lines.len() - 2);
        match core::str::from_utf8(payload) {
            Ok(text) => {
                self.lines.extend_from_slice(b",\"text\":");
                self.lines.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
            }
            Err(_) => {
                self.lines.extend_from_slice(b",\"base64\":\"");
                push_base64(&mut self.lines, payload);
                self.lines.push(b'"');
            }
        }
        self.lines.extend_from_slice(b"}\n");
    }

    /// The lines that came since the last call.
    pub(super) fn take(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.lines)
    }

    /// Whether all lines were taken.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Events that were left out.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }
}

#[cfg(test)]
mod tests {
    use vs_core::order::Stage;

    use super::*;

    #[test]
    fn a_delivery_carries_its_payload() {
        let mut echo = Echo::new(0);
        let group = GroupName::new("g").unwrap();
        let event =
            Event::Deliver { from: ProcessId(2), n: 1, hash: 0, len: 2, stage: Stage::Regular };
        for (payload, expected) in
            [(&b"a\"b"[..], r#","text":"a\"b"}"#), (&b"\xff"[..], r#","base64":"/w=="}"#)]
        {
            echo.record(Time(5), ProcessId(1), &group, &event);
            echo.payload(payload);
            let line = String::from_utf8(echo.take()).unwrap();
            assert!(line.trim_end().ends_with(expected), "{line}");
            assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{line}");
        }
    }
}
