//! T10 in real time: what is asked for after an answer comes after it in the order.
//!
//! Each process has a clock of its own, so its times are held against those of another one in
//! simulated worlds alone. Within a trace the lines are in order.

use alloc::format;
use alloc::vec::Vec;

use super::history::{Place, Places};
use super::walk::{Asked, Walks};
use crate::spec::model::{At, Group};
use crate::spec::property::Property;
use crate::spec::report::Findings;
use crate::time::Time;
use crate::trace::CallKind;

#[derive(Clone, Copy)]
struct Instant<'a> {
    ts: Time,
    by: At,
    place: Place,
    /// What is asked for; `None`: something is answered.
    asked: Option<&'a Asked>,
}

/// The furthest place that was answered so far in the last era.
#[derive(Clone, Copy, Default)]
struct Floor(Option<(Place, At)>);

impl Floor {
    fn raise(&mut self, place: Place, by: At) {
        let key = |place: Place| (place.era, place.at);
        if self.0.is_none_or(|(floor, _)| key(floor) < key(place)) {
            self.0 = Some((place, by));
        }
    }

    /// The answer that contradicts what was asked for after it, and came to `place`.
    fn breach(self, kind: CallKind, place: Place) -> Option<(Place, At)> {
        self.0.filter(|(floor, _)| {
            let is_behind = match kind {
                CallKind::Call => place.at <= floor.at,
                CallKind::Read => place.at < floor.at,
            };
            floor.era == place.era && is_behind
        })
    }
}

pub(super) fn judge(group: &Group, findings: &mut Findings, walks: &Walks, places: &Places) {
    let asked = walks.asked.iter().filter_map(|asked| {
        let place = *places.of.get(&asked.name)?;
        Some(Instant { ts: asked.ts, by: asked.by, place, asked: Some(asked) })
    });
    let answered = places.answers.iter().map(|(answered, place)| Instant {
        ts: answered.ts,
        by: answered.by,
        place: *place,
        asked: None,
    });
    let mut instants: Vec<Instant<'_>> = asked.chain(answered).collect();
    let clock = |instant: &Instant<'_>| group.one_clock.then_some(instant.ts);
    instants.sort_by_key(|instant| (clock(instant), instant.by.log, instant.by.item));
    let mut logs: Vec<Floor> = group.logs.iter().map(|_| Floor::default()).collect();
    let mut all = Floor::default();
    for same in instants.chunk_by(|a, b| clock(a) == clock(b)) {
        for instant in same {
            let Instant { by, place, asked, .. } = *instant;
            let Some(asked) = asked else {
                logs[by.log].raise(place, by);
                continue;
            };
            let kind = asked.name.2;
            let breach = logs[by.log].breach(kind, place).or_else(|| all.breach(kind, place));
            let Some((before, answered)) = breach else { continue };
            findings.add(Property::T10, || {
                let (p, q) = (group.process(by), group.process(answered));
                let (kind, at, known) = (kind.name(), place.at, before.at);
                let what = format!(
                    "a {kind} of {p} came to place {at}, after place {known} was answered to {q}"
                );
                group.violation(Property::T10, by, Some(answered), what)
            });
        }
        // What has the same time has no order, unless a trace tells.
        if group.one_clock {
            let answered = same.iter().filter(|instant| instant.asked.is_none());
            answered.for_each(|instant| all.raise(instant.place, instant.by));
        }
    }
}
