//! One run through a world, drawn.

use alloc::vec::Vec;

use super::STEPS_MAX;
use super::log::{Log, Setting};
use super::plan::Plan;
use super::world::World;
use crate::rng::Rng;
use crate::rule::Rules;
use crate::spec::refine::Refuted;
use crate::trace::ObservedStep;

/// Goes through a world at random until nothing can happen any more, at most [`STEPS_MAX`] steps
/// far. `observer` is shown each step of an end-point before it is judged. The same seed goes the
/// same way.
///
/// # Errors
/// The first step that the specification does not allow. With a rule left out it judges none: what
/// is shown is for others to judge.
pub fn walk(
    plan: &Plan,
    rules: Rules,
    seed: u64,
    mut observer: impl FnMut(&ObservedStep<'_>),
) -> Result<(), Refuted> {
    let setting = Setting { plan, rules, refine: rules == Rules::default(), reduce: false };
    let mut log = Log { steps: Some(Vec::new()), ..Log::default() };
    let mut rng = Rng::new(seed);
    let mut world = World::prelude(setting, &mut log);
    for _ in 0..STEPS_MAX {
        for (process, action, after) in log.steps.iter_mut().flat_map(|steps| steps.drain(..)) {
            let (action, after) = (action.as_ref(), after.as_ref());
            observer(&ObservedStep { process, action, after });
        }
        if let Some(refuted) = log.refuted.take().filter(|_| setting.refine) {
            return Err(refuted);
        }
        let actions = world.actions(setting);
        let Some(&action) = actions.get(rng.below(actions.len() as u64) as usize) else { break };
        world.apply(setting, &mut log, action);
    }
    Ok(())
}
