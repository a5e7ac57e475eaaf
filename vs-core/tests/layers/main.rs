//! The rooms of the architecture page, held against what the files import.
//!
//! The page (`src/manual/architecture.md`) draws each room with its files and what it may import.
//! These tests read the page and the sources. They fail on an import that is not drawn, on a drawn
//! arrow that nothing needs, and on a circle of files.

mod page;
mod source;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use page::Rooms;
use tree::{Tree, circles};

fn package(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn page() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/manual/architecture.md");
    std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// Roots and pages without code are in no room. They declare, and hand names on.
fn is_root(file: &str) -> bool {
    ["lib.rs", "main.rs", "manual/mod.rs"].contains(&file)
}

/// For each room what it needs of others, with one pair of files that shows it.
type Arrows = BTreeMap<(String, String), (String, String)>;

/// The arrows between rooms, and files without a room.
fn arrows(rooms: &Rooms, needs: &BTreeMap<String, BTreeSet<String>>) -> (Arrows, Vec<String>) {
    let (mut arrows, mut wrong) = (Arrows::new(), Vec::new());
    let is_in_room = |file: &&String| !is_root(file);
    for from in needs.keys().filter(is_in_room) {
        let Some(room) = rooms.room(from) else {
            wrong.push(format!("{from} is in no room"));
            continue;
        };
        for to in needs[from].iter().filter(is_in_room) {
            let Some(other) = rooms.room(to).filter(|other| *other != room) else { continue };
            let arrow = (room.to_owned(), other.to_owned());
            arrows.entry(arrow).or_insert_with(|| (from.clone(), to.clone()));
        }
    }
    (arrows, wrong)
}

/// What is wrong with the imports of a package, by its page.
fn judge(rooms: &Rooms, tree: &Tree) -> Vec<String> {
    let (arrows, mut wrong) = arrows(rooms, &tree.needs());
    wrong.extend(rooms.upward());
    for ((room, other), (from, to)) in &arrows {
        if !rooms.imports[room].contains(other) {
            wrong.push(format!("{room} may not import {other}, but {from} imports {to}"));
        }
    }
    for (room, others) in &rooms.imports {
        let is_used = |other: &&String| arrows.contains_key(&(room.clone(), (*other).clone()));
        let unused = others.iter().filter(|other| !is_used(other));
        wrong.extend(unused.map(|other| format!("{room} may import {other}, but does not")));
    }
    wrong
}

/// Files that import each other in a circle.
fn judge_circles(tree: &Tree) -> Vec<String> {
    let files = |circle: BTreeSet<String>| circle.into_iter().collect::<Vec<_>>().join(", ");
    let told = |circle| format!("files import each other in a circle: {}", files(circle));
    circles(&tree.needs()).into_iter().map(told).collect()
}

fn assert_right(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// Holds the rooms of a package against its page.
fn assert_as_drawn(heading: &str, dir: &str, root: &str) {
    let src = package(dir);
    if !src.exists() {
        return; // A package that was published stands alone.
    }
    let (rooms, tree) = (Rooms::read(&page(), heading), Tree::read(&src, root));
    assert_right(&judge(&rooms, &tree));
}

#[test]
fn rooms_of_the_core_import_as_drawn() {
    assert_as_drawn("Rooms of vs-core", "vs-core/src", "lib.rs");
}

#[test]
fn rooms_of_the_runtimes_import_as_drawn() {
    assert_as_drawn("Rooms of vs-std", "vs-std/src", "lib.rs");
    assert_as_drawn("Rooms of vs-mio", "vs-mio/src", "lib.rs");
}

#[test]
fn rooms_of_the_command_import_as_drawn() {
    assert_as_drawn("Rooms of the command", "vs-mio/cli/src", "main.rs");
}

/// The root files of a package: library, command, programs.
fn roots(package: &Path) -> Vec<PathBuf> {
    let src = package.join("src");
    let bins = std::fs::read_dir(src.join("bin")).into_iter().flatten().flatten();
    let bins = bins
        .map(|entry| entry.path())
        .map(|bin| if bin.is_dir() { bin.join("main.rs") } else { bin });
    [src.join("lib.rs"), src.join("main.rs")]
        .into_iter()
        .chain(bins)
        .filter(|root| root.exists())
        .collect()
}

/// The modules below a root file.
fn tree(root: &Path) -> Tree {
    let (dir, file) = (root.parent().unwrap_or(root), root.file_name().unwrap_or_default());
    Tree::read(dir, &file.to_string_lossy())
}

/// The packages that the sources of `package` name.
fn named(package: &Path) -> BTreeSet<String> {
    let names = |root: PathBuf| tree(&root).packages();
    roots(package).into_iter().flat_map(names).map(|name| name.replace('_', "-")).collect()
}

#[test]
fn files_of_no_package_import_each_other_in_a_circle() {
    let rooms = Rooms::read(&page(), "Packages");
    let mut wrong = Vec::new();
    for name in rooms.imports.keys() {
        for root in roots(&package(rooms.place(name))) {
            let circles = judge_circles(&tree(&root));
            wrong.extend(circles.into_iter().map(|circle| format!("{name}: {circle}")));
        }
    }
    assert_right(&wrong);
}

#[test]
fn packages_import_as_drawn() {
    let rooms = Rooms::read(&page(), "Packages");
    let mut wrong = rooms.upward();
    for (name, allowed) in &rooms.imports {
        let dir = package(rooms.place(name));
        if roots(&dir).is_empty() {
            continue; // A package that was published stands alone.
        }
        let mut named = named(&dir);
        named.retain(|other| other != name && rooms.imports.contains_key(other));
        let undrawn = named.difference(allowed);
        wrong.extend(undrawn.map(|other| format!("{name} may not import {other}")));
        let unused = allowed.difference(&named);
        wrong.extend(unused.map(|other| format!("{name} may import {other}, but does not")));
    }
    assert_right(&wrong);
}

const PAGE: &str = "\
# Architecture

## Rooms of toys

| Room | Files | May import | What it holds |
|---|---|---|---|
| `low` | `low` | | names |
| `middle` | `middle/`, `ring` | `low` | |
| `high` | `high` | `low`, `middle` | |

## More
";

const LIB: &str = "pub mod high; pub mod low; mod middle; mod ring;";

/// What is wrong with a package of these files.
fn judge_toys(files: &[(&str, &str)]) -> Vec<String> {
    let load = |file: &str| {
        let found = files.iter().chain(&[("lib.rs", LIB)]).find(|(name, _)| *name == file);
        found.map(|(_, text)| (*text).to_owned())
    };
    let tree = Tree::from_files("lib.rs", &load);
    let wrong = judge(&Rooms::read(PAGE, "Rooms of toys"), &tree);
    wrong.into_iter().chain(judge_circles(&tree)).collect()
}

const LOW: (&str, &str) = ("low.rs", "pub struct Name;");
const RING: (&str, &str) = ("ring.rs", "use crate::low::Name; pub struct Ring(Name);");
const HIGH: (&str, &str) =
    ("high.rs", "use crate::{low, middle::Gap}; fn f(_: Gap) -> low::Name {}");
const MIDDLE: (&str, &str) = ("middle/mod.rs", "mod gap; pub use gap::Gap;");
const GAP: (&str, &str) = ("middle/gap.rs", "pub struct Gap;");

#[test]
fn a_tree_as_drawn_is_right() {
    assert_right(&judge_toys(&[LOW, RING, HIGH, MIDDLE, GAP]));
}

#[test]
fn an_import_that_is_not_drawn_is_found() {
    for low in [
        "use crate::high; fn f() { high::g() }",
        "use crate::high::X;",
        "use super::high::{X as Y};",
        "fn f() { crate::high::g() }",
        "mod inner { use super::super::high::X; }",
    ] {
        let wrong = judge_toys(&[
            ("low.rs", low),
            RING,
            ("high.rs", "use crate::low::A; use crate::middle::Gap;"),
            MIDDLE,
            GAP,
        ]);
        assert!(
            wrong.contains(&"low may not import high, but low.rs imports high.rs".to_owned()),
            "{low}: {wrong:?}"
        );
    }
}

#[test]
fn an_import_for_tests_is_free() {
    let low = ("low.rs", "pub struct Name; #[cfg(test)] mod tests { use crate::high::X; }");
    assert_right(&judge_toys(&[low, RING, HIGH, MIDDLE, GAP]));
}

#[test]
fn an_arrow_that_nothing_needs_is_found() {
    let wrong = judge_toys(&[LOW, RING, ("high.rs", "use crate::low::Name;"), MIDDLE, GAP]);
    assert_eq!(wrong, ["high may import middle, but does not"]);
}

#[test]
fn a_file_in_no_room_is_found() {
    let middle = ("middle/mod.rs", "mod gap; pub use gap::Gap;");
    let lib = ("lib.rs", "pub mod attic; pub mod high; pub mod low; mod middle; mod ring;");
    let wrong = judge_toys(&[lib, ("attic.rs", ""), LOW, RING, HIGH, middle, GAP]);
    assert_eq!(wrong, ["attic.rs is in no room"]);
}

#[test]
fn a_child_that_needs_its_parent_closes_a_circle() {
    let circle = "files import each other in a circle: middle/gap.rs, middle/mod.rs";
    let parent = ("middle/mod.rs", "mod gap; pub use gap::Gap; pub struct Own(gap::Gap);");
    let child = ("middle/gap.rs", "use super::Own; pub struct Gap;");
    assert_eq!(judge_toys(&[LOW, RING, HIGH, parent, child]), [circle]);
    // A parent that only declares and hands on needs nothing.
    let sibling = ("middle/gap.rs", "use super::Gap as Other; pub struct Gap;");
    assert_right(&judge_toys(&[LOW, RING, HIGH, MIDDLE, sibling]));
}

#[test]
fn a_drawn_arrow_that_leads_upward_is_found() {
    let page = PAGE.replace("| `low` | `low` | |", "| `low` | `low` | `high` |");
    assert_eq!(
        Rooms::read(&page, "Rooms of toys").upward(),
        ["low imports high, which is not below it"]
    );
}
