//! The simulated world, steered by bytes: `vs sim --input FILE` plays the same run.

use vs_core::sim::Scenario;

use crate::Seeds;

/// Plays the scenario that `input` describes.
///
/// # Panics
/// If the run fails.
pub fn run(input: &[u8]) {
    if let Some(failure) = Scenario::from_bytes(input).run().failure {
        panic!("{}\nreplay: vs sim --input FILE", failure.why);
    }
}

/// Initial inputs: no choices, and random ones.
#[must_use]
pub fn seeds() -> Seeds {
    let drawn = (1..=12_u64).map(|seed| {
        let mut rng = vs_core::rng::Rng::new(seed);
        let len = 60 * seed as usize;
        (format!("drawn-{seed}"), (0..len).map(|_| rng.next_u64() as u8).collect())
    });
    std::iter::once(("empty".into(), Vec::new())).chain(drawn).collect()
}
