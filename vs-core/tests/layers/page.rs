//! The table of the architecture page: rooms, bottom to top, and what each may import.

use std::collections::{BTreeMap, BTreeSet};

/// The rooms of a package.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    /// What each room may import.
    pub(crate) imports: BTreeMap<String, BTreeSet<String>>,
    /// The room of each file or folder, without `.rs`.
    places: BTreeMap<String, String>,
    /// The rooms, bottom to top.
    order: Vec<String>,
}

impl Rooms {
    /// Reads the table below the heading `heading` of `page`: room, files, imports, and more that
    /// is not read.
    pub(crate) fn read(page: &str, heading: &str) -> Self {
        let mut rooms = Self::default();
        let section = page.split("\n## ").find(|section| section.lines().next() == Some(heading));
        let section = section.unwrap_or_else(|| panic!("the page has no section {heading}"));
        // Behind the head of the table and the line below it.
        for line in section.lines().filter(|line| line.starts_with('|')).skip(2) {
            let cells: Vec<Vec<String>> = line.trim_matches('|').split('|').map(names).collect();
            let [room, files, imports, ..] = &cells[..] else { panic!("too few cells: {line}") };
            let [room] = &room[..] else { panic!("a row is for one room: {line}") };
            rooms.order.push(room.clone());
            for file in files {
                rooms.places.insert(file.clone(), room.clone());
            }
            rooms.imports.insert(room.clone(), imports.iter().cloned().collect());
        }
        rooms
    }

    /// The room of a file: that of the longest path that is drawn.
    pub(crate) fn room(&self, file: &str) -> Option<&str> {
        let mut place = file.trim_end_matches("/mod.rs").trim_end_matches(".rs");
        loop {
            if let Some(room) = self.places.get(place) {
                return Some(room);
            }
            place = place.rsplit_once('/')?.0;
        }
    }

    /// The first file or folder of a room.
    pub(crate) fn place<'a>(&'a self, room: &'a str) -> &'a str {
        let found = self.places.iter().find(|(_, other)| *other == room);
        found.map_or(room, |(place, _)| place)
    }

    /// Rooms that import one which is not below them, or which is not drawn.
    pub(crate) fn upward(&self) -> Vec<String> {
        let below = |at: usize, room: &String| self.order[..at].contains(room);
        let of_room = |(at, room): (usize, &String)| {
            let wrong = self.imports[room].iter().filter(move |other| !below(at, other));
            wrong
                .map(|other| format!("{room} imports {other}, which is not below it"))
                .collect::<Vec<_>>()
        };
        self.order.iter().enumerate().flat_map(of_room).collect()
    }
}

/// The words in backticks of a cell.
fn names(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(|name| name.trim_end_matches('/').to_owned()).collect()
}
