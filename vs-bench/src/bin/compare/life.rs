//! Members that come, go, fall silent or do nothing: changes of the view as the members tell them,
//! and processor time.

use core::time::Duration;
use std::fs;

use vs_bench::members::{Members, parse_node};
use vs_bench::process::{Process, pause};
use vs_bench::samples::field;

use crate::corosync::Corosync;
use crate::lab::{Lab, SERVER, addr};
use crate::member;

fn parse_client(line: &str) -> Option<(u64, usize)> {
    let time = line.split_whitespace().find_map(|word| word.strip_prefix("ts="))?;
    Some((time.parse().ok()?, field(line, "members")? as usize))
}

/// `count` members of `vs node`, together. A server has to run.
pub(crate) fn of_vs<'a>(
    lab: &'a Lab,
    count: usize,
    options: &'a [&'a str],
) -> Result<Members<'a>, String> {
    let start = move |k: usize| {
        let (id, here) = (k.to_string(), addr(k));
        let words =
            ["node", "--insecure", "--group", "compare", "--json", "--server", SERVER, "--id", &id];
        let words = words.into_iter().chain(["--bind", &here, "--interface", &here]);
        lab.start(k, &lab.vs, words.chain(options.iter().copied()))
    };
    Members::new(count, Box::new(start), parse_node)
}

/// `count` members that are embedded in a program, together. A server has to run.
pub(crate) fn embedded(lab: &Lab, count: usize) -> Result<Members<'_>, String> {
    let own = std::env::current_exe().map_err(|e| format!("where this program is: {e}"))?;
    let start =
        move |k: usize| lab.start(k, &own, [member::WORD, &k.to_string(), &addr(k), SERVER]);
    Members::new(count, Box::new(start), parse_client)
}

/// `count` clients of Corosync, together.
pub(crate) fn of_corosync<'a>(
    corosync: &'a Corosync<'a>,
    count: usize,
) -> Result<Members<'a>, String> {
    Members::new(count, Box::new(|k| corosync.watch(k)), parse_client)
}

/// Processor time of each of `processes` during `time`, in percent of a core.
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
    fn view_is_parsed_from_member_output() {
        assert_eq!(parse_client("change member=0 ts=7 members=3 left=1"), Some((7, 3)));
    }
}
