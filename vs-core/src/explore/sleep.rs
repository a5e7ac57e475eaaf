//! Partial-order reduction: of two orders of independent actions one is gone through.
//!
//! These are *sleep sets*. When an action of a state has been gone through, it sleeps in what
//! follows on the later ones that are independent of it: to wake it there would lead to a state
//! that is come to by the other order. Every state is still come to, so every end is, and what is
//! demanded of a step is demanded of the same step in the other order; only steps are saved. A
//! state that several ways lead to sleeps what sleeps on all of them.
//!
//! Two actions are independent if they happen at two processes or servers and neither sees what
//! the other does: then both orders lead to one state, and none can prevent the other. A test
//! tries that on pairs of drawn states.

use alloc::vec::Vec;

use super::action::Action;
use super::log::Setting;
use crate::ident::{ProcessId, ServerId};
use crate::order::Order;

/// Actions that need not be gone through.
pub(super) type Sleep = Vec<Action>;

/// Where an action happens that sees and changes nothing but what is there, and what is under way
/// to there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Process(ProcessId),
    Server(ServerId),
}

/// `None` of what sees others: who lacks something asks whoever is there; who installs a view
/// decides what is forgotten everywhere.
fn place(action: Action) -> Option<Place> {
    Some(match action {
        Action::Send(p)
        | Action::Served(p)
        | Action::BlockOk(p)
        | Action::Packet(_, p)
        | Action::Handed(_, p)
        | Action::Sync { to: p, .. }
        | Action::Deliver(_, p)
        | Action::Beat(_, p) => Place::Process(p),
        Action::Gathered(s) | Action::Proposal(_, s) => Place::Server(s),
        Action::Track(_)
        | Action::Lose(..)
        | Action::Pull(..)
        | Action::Ask { .. }
        | Action::Install(_) => return None,
    })
}

/// Whether two actions that are possible in one state are independent.
pub(super) fn are_independent(a: Action, b: Action) -> bool {
    match (place(a), place(b)) {
        (Some(a), Some(b)) => a != b,
        _ => false,
    }
}

/// Whether a world is gone through with sleep sets: not where clients act along with servers, nor
/// in orders whose trailers see more.
pub(super) fn is_reduced(setting: Setting<'_>) -> bool {
    setting.reduce && !setting.plan.clients_at_once && setting.plan.order == Order::Fifo
}

/// What sleeps after `action`, if `before` slept or was gone through.
pub(super) fn after(action: Action, before: &[Action]) -> Sleep {
    before.iter().copied().filter(|other| are_independent(action, *other)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fingerprint::fingerprint;
    use super::super::log::Log;
    use super::super::world::World;
    use super::super::{Limits, PLANS, explore};
    use super::*;
    use crate::rng::Rng;
    use crate::rule::Rules;

    /// Both orders of `a` and `b` are possible, allowed, and lead to one state.
    fn assert_commute(setting: Setting<'_>, world: &World, a: Action, b: Action) {
        let both = [[a, b], [b, a]].map(|order| {
            let mut world = world.clone();
            for action in order {
                assert!(world.actions(setting).contains(&action), "{a} and {b}: one is in the way");
                let mut log = Log::default();
                world.apply(setting, &mut log, action);
                assert!(log.refuted.is_none(), "{a} and {b}");
            }
            fingerprint(&world)
        });
        assert_eq!(both[0], both[1], "{}: {a}, and: {b}", setting.plan.name);
    }

    #[test]
    fn independent_actions_commute() {
        let mut pairs = 0;
        for plan in PLANS {
            let setting = Setting { plan, rules: Rules::default(), refine: true, reduce: true };
            if !is_reduced(setting) {
                continue;
            }
            for seed in 0..20 {
                let mut rng = Rng::new(seed);
                let mut world = World::prelude(setting, &mut Log::default());
                loop {
                    let actions = world.actions(setting);
                    let Some(&next) = actions.get(rng.below(actions.len() as u64) as usize) else {
                        break;
                    };
                    for (at, &a) in actions.iter().enumerate() {
                        for &b in actions[..at].iter().filter(|b| are_independent(a, **b)) {
                            assert_commute(setting, &world, a, b);
                            pairs += 1;
                        }
                    }
                    world.apply(setting, &mut Log::default(), next);
                }
            }
        }
        assert!(pairs > 1_000, "{pairs} pairs were tried");
    }

    #[test]
    fn reduced_worlds_have_the_same_states() {
        let small = ["outsider", "last-words", "last-words-reborn", "flap"];
        for plan in PLANS.iter().filter(|plan| small.contains(&plan.name)) {
            let [reduced, full] = [true, false].map(|reduce| {
                explore(plan, Rules::default(), Limits::default().with_reduced(reduce))
            });
            let name = plan.name;
            assert!(reduced.is_whole && full.is_whole && full.found.is_none(), "{name}");
            assert_eq!((reduced.states, reduced.ends), (full.states, full.ends), "{name}");
            assert_eq!(reduced.depth, full.depth, "{name}");
            assert!(reduced.steps < full.steps, "{name}");
        }
    }
}
