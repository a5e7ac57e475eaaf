//! Groups without IP multicast: by choice, of some members alone, and in a network that carries
//! none.

use crate::world::{Process, World, is_view, multicast};

/// Members are not to be accused while a busy machine finds out what the network carries.
const PATIENCE: [&str; 2] = ["--peer-ms", "20000"];

fn together(members: &mut [Process], view: &str, with: Option<&str>) {
    for member in members {
        member.wait(&format!("a view of {view}"), |line| is_view(line, view, with).then_some(()));
    }
}

/// Each says something, and all hear all of it.
fn talk(members: &mut [Process], what: &str) {
    for (at, member) in members.iter_mut().enumerate() {
        member.type_line(&format!("{what} {}", at + 1));
    }
    let lines: Vec<String> = (1..=members.len()).map(|p| format!("{p}: {what} {p}")).collect();
    for member in members {
        let mut missing = lines.clone();
        member.wait(&format!("{what} of all"), |line| {
            assert!(!line.starts_with("view <"), "nobody left: {line}");
            missing.retain(|expected| expected != line);
            missing.is_empty().then_some(())
        });
    }
}

/// How a member sends what goes to all.
#[derive(Clone, Copy)]
enum Way {
    Multicast,
    /// Where nobody else listens: as in a network that carries no multicasts.
    Apart,
    Unicast,
}

/// Three members talk, one is killed, two go on. What they complained of.
fn live(name: &str, ways: [Way; 3]) -> [String; 3] {
    let mut world = World::new(name, &[]);
    let start = |(id, way): (u64, &Way)| {
        if matches!(way, Way::Apart) {
            world.multicast = multicast();
        }
        let unicast: &[&str] = if matches!(way, Way::Unicast) { &["--unicast"] } else { &[] };
        world.node(id, &[unicast, &PATIENCE].concat())
    };
    let mut members: Vec<Process> = (1..).zip(&ways).map(start).collect();
    together(&mut members, "1,2,3", None);
    talk(&mut members, "hello");
    talk(&mut members, "again");
    let mut said: Vec<String> = members.iter_mut().map(|m| m.complaints().join("\n")).collect();
    members.pop().expect("three members").kill();
    together(&mut members, "1,2", Some("1,2"));
    talk(&mut members, "still here");
    for (member, said) in members.iter_mut().zip(&mut said) {
        *said = member.complaints().join("\n");
    }
    world.check("1,2");
    world.end(members);
    said.try_into().expect("of three")
}

const ADVICE: &str = "multicasts of this process do not arrive at";

#[test]
fn a_group_of_unicast_members_works() {
    let said = live("unicast", [Way::Unicast; 3]);
    assert!(!said.iter().any(|said| said.contains(ADVICE)), "{said:?}");
}

#[test]
fn members_without_multicast_mix_with_others() {
    let said = live("unicast-mixed", [Way::Multicast, Way::Multicast, Way::Unicast]);
    for said in &said[..2] {
        assert!(said.contains(&format!("{ADVICE} {{3}}")), "it says so: {said}");
        assert_eq!(said.matches(ADVICE).count(), 1, "once: {said}");
    }
    assert!(!said[2].contains(ADVICE), "{said:?}");
}

#[test]
fn a_network_without_multicast_is_found_out() {
    for said in live("unicast-found", [Way::Apart; 3]) {
        assert_eq!(said.matches(ADVICE).count(), 1, "it says so, once: {said}");
    }
}
