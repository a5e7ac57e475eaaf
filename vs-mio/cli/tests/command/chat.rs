//! People type; a member is killed.

use serde_json::Value;

use crate::world::{Process, World, is_view, now_ns};

const LINES: usize = 10;

#[test]
fn lines_arrive_once_in_order_despite_kills() {
    let world = World::new("chat", &[]);
    let mut members: Vec<Process> = (1..=3).map(|id| world.node(id, &[])).collect();
    for member in &mut members {
        member.wait("all three are together", |line| is_view(line, "1,2,3", None).then_some(()));
    }
    for i in 0..LINES {
        for (at, member) in members.iter_mut().enumerate() {
            member.type_line(&format!("line {i} of {}", at + 1));
        }
    }
    for member in &mut members {
        let mut heard: [Vec<String>; 3] = Default::default();
        member.wait("all lines, the own ones among them", |line| {
            let (from, text) = line.split_once(": ").expect("a line of somebody");
            heard[from.parse::<usize>().expect("an id") - 1].push(text.to_owned());
            (heard.iter().map(Vec::len).sum::<usize>() == 3 * LINES).then_some(())
        });
        for (at, texts) in heard.iter().enumerate() {
            let typed = (0..LINES).map(|i| format!("line {i} of {}", at + 1));
            assert!(texts.iter().eq(&typed.collect::<Vec<_>>()), "of {}: {texts:?}", at + 1);
        }
    }
    world.check("1,2,3");

    members.pop().expect("three members").kill();
    for member in &mut members {
        member.wait("the survivors' view", |line| {
            // Nothing came twice: the view is the next that they hear.
            assert!(is_view(line, "1,2", Some("1,2")), "{line}");
            Some(())
        });
    }
    for (at, member) in members.iter_mut().enumerate() {
        member.type_line(&format!("still here: {}", at + 1));
    }
    for member in &mut members {
        let mut missing = vec!["1: still here: 1", "2: still here: 2"];
        member.wait("lines in the new view", |line| {
            missing.retain(|expected| *expected != line);
            missing.is_empty().then_some(())
        });
    }
    world.check("1,2");
    world.end(members);
}

#[test]
fn who_leaves_takes_nothing_with_it() {
    let world = World::new("leaving", &[]);
    let mut stayer = world.node(1, &[]);
    let mut leavers = [("EOF", world.node(2, &["--leave-at-eof"])), ("INT", world.node(3, &[]))];
    for member in leavers.iter_mut().map(|(_, member)| member).chain([&mut stayer]) {
        member.wait("all three are together", |line| is_view(line, "1,2,3", None).then_some(()));
    }
    for ((how, leaver), (id, left)) in leavers.iter_mut().zip([(2, "1,3"), (3, "1")]) {
        for i in 0..LINES {
            leaver.type_line(&format!("last {i}"));
        }
        if *how == "EOF" {
            leaver.type_nothing_more();
        } else {
            leaver.wait("its own lines", |line| (line == "3: last 9").then_some(()));
            leaver.signal(how);
        }
        let mut heard = Vec::new();
        stayer.wait("the view without it", |line| {
            if line.starts_with("view <") {
                return is_view(line, left, Some(left)).then_some(());
            }
            heard.push(line.to_owned());
            None
        });
        let typed = (0..LINES).map(|i| format!("{id}: last {i}"));
        assert!(typed.eq(heard.iter().cloned()), "{heard:?}");
        assert!(leaver.status().success(), "{how}: {:?}", leaver.complaints());
        let trace = std::fs::read_to_string(world.trace(id)).expect("its trace");
        let last = trace.lines().last().expect("lines");
        assert!(last.contains(r#""ev":"leave""#), "{how}: the trace ends with {last}");
    }
    world.end([stayer]);
}

const KILLS: usize = 20;
const MEMBERS: u64 = 4;

/// When a member was heard to be in a view of `members`, in ns of UNIX time.
fn installed(member: &mut Process, members: &[u64]) -> u64 {
    member.wait(&format!("a view of {members:?}"), |line| {
        let event: Value = serde_json::from_str(line).expect("a JSON object a line");
        let named = event["view"]["members"].as_array()?;
        let same = named.iter().filter_map(Value::as_u64).eq(members.iter().copied());
        (event["ev"] == "view" && same).then_some(())
    });
    member.found_ns
}

#[test]
fn twenty_members_are_killed_and_come_back() {
    let world = World::new("kills", &[]);
    let all: Vec<u64> = (1..=MEMBERS).collect();
    let mut members: Vec<Process> = all.iter().map(|id| world.node(*id, &["--json"])).collect();
    let mut took_us = Vec::new();
    for kill in 0..KILLS {
        for member in &mut members {
            installed(member, &all);
        }
        // What is under way when it happens.
        for member in &mut members {
            member.type_line(&format!("before kill {kill}"));
        }
        let at = kill % members.len();
        let killed = now_ns();
        members[at].kill();
        let left: Vec<u64> = all.iter().copied().filter(|id| *id != all[at]).collect();
        for member in members.iter_mut().enumerate().filter(|(i, _)| *i != at).map(|(_, m)| m) {
            took_us.push(installed(member, &left).saturating_sub(killed) / 1000);
        }
        members[at] = world.node(all[at], &["--json"]);
    }
    for member in &mut members {
        installed(member, &all);
    }
    took_us.sort_unstable();
    let ms = |us: u64| us as f64 / 1000.0;
    println!(
        "kill -9 to the view at the {} survivors, {KILLS} kills: median {:.2} ms, max {:.2} ms",
        MEMBERS - 1,
        ms(took_us[took_us.len() / 2]),
        ms(took_us[took_us.len() - 1]),
    );
    world.check("");
    // The earlier lives are still there.
    for id in all {
        let trace = std::fs::read_to_string(world.trace(id)).expect("a trace");
        let lives = trace.lines().filter(|line| line.contains(r#""ev":"start","#)).count();
        assert_eq!(lives, 1 + KILLS / members.len(), "of process {id}");
    }
    world.end(members);
}
