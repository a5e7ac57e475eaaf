//! T9: a group call hears as many members as it wants, or says of each that is missing why.

use alloc::format;
use alloc::string::String;

use hashbrown::{HashMap, HashSet};

use crate::ident::ProcessId;
use crate::spec::log::{Step, ViewIndex};
use crate::spec::model::{At, Group};
use crate::spec::property::Property;
use crate::spec::report::Findings;
use crate::trace::{ReplyResult, StateEvent};

/// A group call that goes on.
#[derive(Debug)]
struct Collect {
    want: u64,
    begun: At,
    /// The view in which it was begun.
    view: ViewIndex,
    /// What became of the replies.
    heard: HashMap<ProcessId, (ReplyResult, u64)>,
    /// Who was missing in a view since then.
    gone: HashSet<ProcessId>,
}

/// The group calls of one process that go on, by session and number.
#[derive(Debug, Default)]
struct Life {
    view: Option<ViewIndex>,
    calls: HashMap<(u64, u64), Collect>,
}

pub(super) fn judge(group: &Group, findings: &mut Findings) {
    for log in 0..group.logs.len() {
        let mut life = Life::default();
        for item in 0..group.logs[log].items.len() {
            let by = At { log, item };
            let Err((earlier, what)) = life.step(group, by) else { continue };
            findings.add(Property::T9, || {
                let what = format!("{} {what}", group.process(by));
                group.violation(Property::T9, by, earlier, what)
            });
        }
    }
}

/// An earlier line, and what is wrong.
type Breach = (Option<At>, String);

impl Life {
    fn step(&mut self, group: &Group, by: At) -> Result<(), Breach> {
        match group.item(by).step {
            Step::Begin | Step::Start | Step::Leave | Step::Crash | Step::BrokenOff => {
                *self = Self::default();
            }
            Step::View { view, .. } => {
                self.view = Some(view);
                self.calls.values_mut().for_each(|call| call.handle_view(group, view));
            }
            Step::State(StateEvent::Collect { client, no, want }) => {
                let Some(view) = self.view else { return Ok(()) };
                let (heard, gone) = (HashMap::new(), HashSet::new());
                let call = Collect { want, begun: by, view, heard, gone };
                self.calls.insert((client, no), call);
            }
            Step::State(StateEvent::Heard { client, no, from, result, hash }) => {
                if let Some(call) = self.calls.get_mut(&(client, no)) {
                    return call.hear(group, from, (result, hash));
                }
            }
            Step::State(StateEvent::Collected { client, no, is_enough }) => {
                if let Some(call) = self.calls.remove(&(client, no)) {
                    return call.end(group, is_enough);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Collect {
    /// The process installs a view.
    fn handle_view(&mut self, group: &Group, view: ViewIndex) {
        let asked = group.view(self.view).members().iter().copied();
        self.gone.extend(asked.filter(|p| !group.view(view).contains(*p)));
    }

    fn hear(
        &mut self,
        group: &Group,
        from: ProcessId,
        (result, hash): (ReplyResult, u64),
    ) -> Result<(), Breach> {
        let breach = |what: String| Err((Some(self.begun), what));
        if !group.view(self.view).contains(from) {
            return breach(format!("heard {from}, which was no member when it was asked"));
        }
        if result == ReplyResult::Left && !self.gone.contains(&from) {
            return breach(format!("says that {from} left, which is a member in each view since"));
        }
        let others = || self.heard.iter().filter(|(_, (other, _))| *other == ReplyResult::Ok);
        if result == ReplyResult::Ok
            && let Some((other, _)) = others().find(|(_, (_, other))| *other != hash)
        {
            return breach(format!("heard another answer of {from} than of {other}"));
        }
        match self.heard.insert(from, (result, hash)) {
            None => Ok(()),
            Some(_) => Err((Some(self.begun), format!("heard {from} twice for one call"))),
        }
    }

    fn end(&self, group: &Group, is_enough: bool) -> Result<(), Breach> {
        let replies = self.heard.values().filter(|(result, _)| *result == ReplyResult::Ok).count();
        let mut members = group.view(self.view).members().iter();
        let what = if is_enough && (replies as u64) < self.want {
            format!("says that {replies} replies are enough where {} are wanted", self.want)
        } else if let Some(missing) = members.find(|p| !is_enough && !self.heard.contains_key(*p)) {
            format!("ends a call without a word on {missing}")
        } else {
            return Ok(());
        };
        Err((Some(self.begun), what))
    }
}
