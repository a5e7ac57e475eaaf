//! Messages from one member to another alone.

use vs_core::ident::{GroupKey, ProcessId};
use vs_core::sim::{Application, Handle, ProcessPlan, Scenario};
use vs_core::{Action, DirectError, Time};

/// Sends as many messages as are taken to each other member in each view, and counts.
#[derive(Debug, Default)]
struct Caller {
    me: ProcessId,
    group: Option<GroupKey>,
    others: Vec<ProcessId>,
    is_new: bool,
    refusals: Vec<DirectError>,
    taken: u64,
    heard: Vec<(ProcessId, u64)>,
}

impl Application for Caller {
    fn handle_joined(&mut self, group: GroupKey) {
        self.group = Some(group);
    }

    fn handle_action(&mut self, _: Time, action: &Action<'_>) {
        if let Action::View { view, .. } = action {
            let members = view.members().iter().copied();
            self.others = members.filter(|&p| p != self.me).collect();
            self.is_new = true;
        }
    }

    fn act(&mut self, handle: &mut Handle<'_>) -> Option<Time> {
        let group = self.group?;
        while let Some((from, message)) = handle.poll_direct(group) {
            assert!(self.others.contains(&from), "it comes in the view in which it was sent");
            let number = message.first_chunk().map(|head| u64::from_le_bytes(*head)).unwrap();
            self.heard.push((from, number));
        }
        if core::mem::take(&mut self.is_new) && self.others.len() == 2 {
            let max = handle.direct_bytes_max(group);
            for to in self.others.clone() {
                for number in 0..3000_u64 {
                    let mut message = vec![7; if number == 2999 { 100 } else { max }];
                    message[..8].copy_from_slice(&number.to_le_bytes());
                    match handle.send_direct(group, to, &message) {
                        Ok(()) => self.taken += 1,
                        Err(error) => self.refusals.push(error),
                    }
                }
            }
            for (to, len) in [(self.me, 1), (ProcessId(77), 1), (self.others[0], max + 1)] {
                self.refusals.push(handle.send_direct(group, to, &vec![0; len]).unwrap_err());
            }
        }
        None
    }
}

/// As many as the queue takes arrive at the one that they are for, on a network that loses nothing.
#[test]
fn direct_messages_reach_one_member_within_the_bound() {
    let scenario = Scenario::calm(5, 3).plain();
    let make = |plan: &ProcessPlan| Caller { me: plan.id, ..Caller::default() };
    let outcome = scenario.run_with(make, |world| {
        let callers = [1, 2, 3].map(|p| world.app(ProcessId(p)));
        for caller in callers {
            assert!((100..6000).contains(&caller.taken), "{}", caller.taken);
            let full = caller.refusals.iter().filter(|e| **e == DirectError::QueueFull).count();
            assert_eq!(full as u64, 6000 - caller.taken);
            use DirectError::{NoMember, QueueFull, TooLarge};
            let others: Vec<_> = caller.refusals.iter().filter(|e| **e != QueueFull).collect();
            assert!(matches!(others[..], [NoMember(_), NoMember(_), TooLarge { .. }]));
        }
        let taken: u64 = callers.iter().map(|caller| caller.taken).sum();
        let heard: usize = callers.iter().map(|caller| caller.heard.len()).sum();
        assert_eq!(taken, heard as u64);
        Ok(())
    });
    assert!(outcome.failure.is_none(), "{:?}", outcome.failure);
}
