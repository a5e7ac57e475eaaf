//! Members of a group as processes that tell their views: how long it takes until all have the next
//! one.

use core::time::Duration;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::Signal;
use serde_json::Value;

use crate::process::{PATIENCE, Process, pause, receive};

/// A member has a new view.
#[derive(Clone, Copy, Debug)]
struct Seen {
    member: usize,
    /// In ns of UNIX time.
    at: u64,
    size: usize,
}

/// Starts member `k`.
pub type Start<'a> = Box<dyn Fn(usize) -> Result<Process, String> + 'a>;

/// What a line says of a new view: when, in ns of UNIX time, and its size.
pub type Parse = fn(&str) -> Option<(u64, usize)>;

/// Members 1 to n, each a process that tells its views.
pub struct Members<'a> {
    start: Start<'a>,
    parse: Parse,
    processes: Vec<Process>,
    /// The last view of each.
    last: Vec<(u64, usize)>,
    sender: Sender<Seen>,
    seen: Receiver<Seen>,
}

/// Now, in ns of UNIX time.
fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Parses a new view from a line of `vs node --json`.
#[must_use]
pub fn parse_node(line: &str) -> Option<(u64, usize)> {
    let event: Value = serde_json::from_str(line).ok()?;
    if event["ev"] != "view" {
        return None;
    }
    Some((event["ts"].as_u64()?, event.pointer("/view/members")?.as_array()?.len()))
}

impl<'a> Members<'a> {
    /// `count` members that `start` starts, once they share a view.
    ///
    /// # Errors
    /// One does not start, or they have no view in time.
    pub fn new(count: usize, start: Start<'a>, parse: Parse) -> Result<Self, String> {
        let (sender, seen) = channel();
        let (processes, last) = (Vec::new(), vec![(0, 0); count]);
        let mut members = Self { start, parse, processes, last, sender, seen };
        for k in 1..=count {
            let process = members.member(k)?;
            members.processes.push(process);
        }
        members.wait_for_views(count, None, 0)?;
        Ok(members)
    }

    fn member(&self, k: usize) -> Result<Process, String> {
        let mut process = (self.start)(k)?;
        let (lines, sender, parse) = (process.take_lines(), self.sender.clone(), self.parse);
        thread::spawn(move || {
            for line in lines {
                if let Some((at, size)) = parse(&line)
                    && sender.send(Seen { member: k, at, size }).is_err()
                {
                    return;
                }
            }
        });
        Ok(process)
    }

    /// Members.
    #[must_use]
    pub fn count(&self) -> usize {
        self.processes.len()
    }

    /// Their processes, in order.
    #[must_use]
    pub fn processes(&self) -> &[Process] {
        &self.processes
    }

    /// Waits until all but `without` have a view of `size` that is younger than `after`; when the
    /// last one had it.
    fn wait_for_views(
        &mut self,
        size: usize,
        without: Option<usize>,
        after: u64,
    ) -> Result<u64, String> {
        loop {
            let mut all = (1..).zip(&self.last).filter(|(k, _)| Some(*k) != without);
            if all.all(|(_, (at, n))| *n == size && *at > after) {
                let all = (1..).zip(&self.last).filter(|(k, _)| Some(*k) != without);
                return Ok(all.map(|(_, (at, _))| *at).max().unwrap_or_default());
            }
            let what = format!("a view of {size}");
            let seen = receive(&self.seen, PATIENCE, &what)?.ok_or("no members")?;
            self.last[seen.member - 1] = (seen.at, seen.size);
        }
    }

    /// After `go` has begun to take member `k` away: how long it takes until all others have the
    /// view without it, in ms.
    fn without(
        &mut self,
        k: usize,
        go: impl FnOnce(&mut Process) -> Result<(), String>,
    ) -> Result<f64, String> {
        let before = unix_ns();
        go(&mut self.processes[k - 1])?;
        let at = self.wait_for_views(self.count() - 1, Some(k), before)?;
        Ok((at - before) as f64 / 1e6)
    }

    /// Kills member `k`; how long it takes until all others have the view without it, in ms.
    ///
    /// # Errors
    /// They do not have it in time.
    pub fn kill(&mut self, k: usize) -> Result<f64, String> {
        self.without(k, |process| {
            process.kill();
            Ok(())
        })
    }

    /// Has member `k` leave, as [`Members::kill`]. Its process has ended when this returns.
    ///
    /// # Errors
    /// The others do not have the view in time, or the process does not end.
    pub fn leave(&mut self, k: usize) -> Result<f64, String> {
        let ms = self.without(k, |process| process.signal(Signal::TERM))?;
        self.processes[k - 1].wait(PATIENCE)?;
        Ok(ms)
    }

    /// Stops member `k`, so that it says nothing any more though all its connections stay, as
    /// [`Members::kill`]. Its process is gone when this returns.
    ///
    /// # Errors
    /// The others do not have the view in time.
    pub fn silence(&mut self, k: usize) -> Result<f64, String> {
        let ms = self.without(k, |process| process.signal(Signal::STOP))?;
        self.processes[k - 1].kill();
        Ok(ms)
    }

    /// Starts member `k`, which is gone, again; how long it takes until all have the view with it,
    /// in ms.
    ///
    /// # Errors
    /// It does not start, or they do not have the view in time.
    pub fn join(&mut self, k: usize) -> Result<f64, String> {
        let before = unix_ns();
        self.last[k - 1] = (0, 0);
        self.processes[k - 1] = self.member(k)?;
        let at = self.wait_for_views(self.count(), None, before)?;
        Ok((at - before) as f64 / 1e6)
    }

    /// Lets `time` pass; whether a view changed meanwhile though nothing happened.
    ///
    /// # Errors
    /// A view changed, and they do not share one again in time.
    pub fn is_disturbed(&mut self, time: Duration) -> Result<bool, String> {
        pause(time)?;
        let mut disturbed = false;
        for seen in self.seen.try_iter() {
            self.last[seen.member - 1] = (seen.at, seen.size);
            disturbed = true;
        }
        if disturbed {
            self.wait_for_views(self.count(), None, 0)?;
        }
        Ok(disturbed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn view_is_parsed_from_node_output() {
        let view = r#"{"ts":5,"p":1,"g":"g","ev":"view","view":{"id":[1,1],"members":[1,2],"start":[3,4]},"trans":[1]}"#;
        assert_eq!(parse_node(view), Some((5, 2)));
        assert_eq!(parse_node(&view.replace(r#""ev":"view""#, r#""ev":"mbr_view""#)), None);
        assert_eq!(parse_node("no JSON"), None);
    }
}
