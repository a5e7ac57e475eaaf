//! Members that come, go, fall silent or do nothing: changes of the view as the members tell them, and processor time.

use core::time::Duration;
use std::fs;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::corosync::Corosync;
use crate::lab::{Lab, PATIENCE, SERVER, addr};
use crate::member;
use crate::process::{Process, pause, receive};
use crate::samples::field;

/// Between two changes, so that nothing of one is left in the next.
const SETTLE: Duration = Duration::from_millis(60);

/// A member has a new view.
#[derive(Clone, Copy, Debug)]
struct Seen {
    member: usize,
    /// In ns of UNIX time.
    at: u64,
    size: usize,
}

/// Starts a member.
type Start<'a> = Box<dyn Fn(usize) -> Result<Process, String> + 'a>;

/// What a line says of a new view: when, and its size.
type Parse = fn(&str) -> Option<(u64, usize)>;

/// Members 1 to n, each a process that tells its views.
pub(crate) struct Members<'a> {
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

fn parse_node(line: &str) -> Option<(u64, usize)> {
    let event: Value = serde_json::from_str(line).ok()?;
    if event["ev"] != "view" {
        return None;
    }
    Some((event["ts"].as_u64()?, event.pointer("/view/members")?.as_array()?.len()))
}

fn parse_client(line: &str) -> Option<(u64, usize)> {
    let time = line.split_whitespace().find_map(|word| word.strip_prefix("ts="))?;
    Some((time.parse().ok()?, field(line, "members")? as usize))
}

impl<'a> Members<'a> {
    /// `count` members of `vs node`, together. A server has to run.
    pub(crate) fn of_vs(
        lab: &'a Lab,
        count: usize,
        options: &'a [&'a str],
    ) -> Result<Self, String> {
        let start = move |k: usize| {
            let (id, here) = (k.to_string(), addr(k));
            let words = ["node", "--group", "compare", "--json", "--server", SERVER, "--id", &id];
            let words = words.into_iter().chain(["--bind", &here, "--interface", &here]);
            lab.start(k, &lab.vs, words.chain(options.iter().copied()))
        };
        Self::new(count, Box::new(start), parse_node)
    }

    /// `count` members that are embedded in a program, together. A server has to run.
    pub(crate) fn embedded(lab: &'a Lab, count: usize) -> Result<Self, String> {
        let own = std::env::current_exe().map_err(|e| format!("where this program is: {e}"))?;
        let start =
            move |k: usize| lab.start(k, &own, [member::WORD, &k.to_string(), &addr(k), SERVER]);
        Self::new(count, Box::new(start), parse_client)
    }

    /// `count` clients of Corosync, together.
    pub(crate) fn of_corosync(corosync: &'a Corosync<'a>, count: usize) -> Result<Self, String> {
        Self::new(count, Box::new(|k| corosync.watch(k)), parse_client)
    }

    fn new(count: usize, start: Start<'a>, parse: Parse) -> Result<Self, String> {
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
    pub(crate) fn count(&self) -> usize {
        self.processes.len()
    }

    /// Waits until all but `without` have a view of `size` that is younger than `after`; when the last one had it.
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

    /// Kills member `k`; how long it takes until all others have the view without it, in ms. Then starts it again.
    pub(crate) fn kill(&mut self, k: usize) -> Result<f64, String> {
        let count = self.count();
        pause(SETTLE)?;
        let before = unix_ns();
        self.processes[k - 1].kill();
        let at = self.wait_for_views(count - 1, Some(k), before)?;
        self.bring_back(k)?;
        Ok((at - before) as f64 / 1e6)
    }

    /// Stops member `k`, so that it says nothing any more though all its connections stay; how long it takes until all
    /// others have the view without it, in ms. Then starts it again.
    pub(crate) fn silence(&mut self, k: usize) -> Result<f64, String> {
        let count = self.count();
        let raw = i32::try_from(self.processes[k - 1].id()).unwrap_or_default();
        let pid = Pid::from_raw(raw).ok_or("a process without an id")?;
        let before = unix_ns();
        kill_process(pid, Signal::STOP).map_err(|e| format!("it cannot be stopped: {e}"))?;
        let at = self.wait_for_views(count - 1, Some(k), before)?;
        self.processes[k - 1].kill();
        self.bring_back(k)?;
        Ok((at - before) as f64 / 1e6)
    }

    fn bring_back(&mut self, k: usize) -> Result<(), String> {
        let again = unix_ns();
        self.last[k - 1] = (0, 0);
        self.processes[k - 1] = self.member(k)?;
        self.wait_for_views(self.count(), None, again).map(drop)
    }

    /// Lets `time` pass; whether a view changed meanwhile though nothing happened.
    pub(crate) fn is_disturbed(&mut self, time: Duration) -> Result<bool, String> {
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

    /// Processor time of each member while nothing happens, in per cent of a core.
    pub(crate) fn idle(&self, calm: Duration, time: Duration) -> Result<Vec<f64>, String> {
        pause(calm)?;
        idle(&self.processes, time)
    }
}

/// Processor time of each of `processes` while `time` passes, in per cent of a core.
pub(crate) fn idle(processes: &[Process], time: Duration) -> Result<Vec<f64>, String> {
    let before: Vec<u64> = processes.iter().map(cpu_ns).collect();
    pause(time)?;
    let spent = processes.iter().zip(before).map(|(process, before)| cpu_ns(process) - before);
    Ok(spent.map(|ns| 100.0 * ns as f64 / time.as_nanos() as f64).collect())
}

/// Time that the threads of a process ran, in ns.
fn cpu_ns(process: &Process) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.id()));
    let tasks = tasks.into_iter().flatten().filter_map(Result::ok);
    let stat = tasks.filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok());
    stat.filter_map(|stat| stat.split_whitespace().next()?.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_found_in_what_members_say() {
        let view = r#"{"ts":5,"p":1,"g":"g","ev":"view","view":{"id":[1,1],"members":[1,2],"start":[3,4]},"trans":[1]}"#;
        assert_eq!(parse_node(view), Some((5, 2)));
        assert_eq!(parse_node(&view.replace(r#""ev":"view""#, r#""ev":"mbr_view""#)), None);
        assert_eq!(parse_node("no JSON"), None);
        assert_eq!(parse_client("change member=0 ts=7 members=3 left=1"), Some((7, 3)));
    }
}
