//! How many processes a swarm has, and its mix of faults.

use alloc::vec::Vec;

use crate::sim::kind::Fault;
use crate::sim::scenario::draw::Draw;

/// Which faults there are, and how often each is drawn, relative to the others. A mix of all hides
/// what only some together bring about.
pub(crate) fn weights(draw: &mut Draw<'_>) -> Vec<(Fault, u64)> {
    let mut weights = Vec::new();
    // Impostors are drawn last, from another seed.
    for fault in Fault::ALL.iter().filter(|fault| **fault != Fault::Impostor) {
        if draw.percent(40) {
            weights.push((*fault, 1 + draw.below(8)));
        }
    }
    // These are never left out: joins in mid-change, and faults at its moments.
    weights.extend([(Fault::AtMoment, 4), (Fault::Join, 3), (Fault::Kill, 1)]);
    weights
}

/// Sizes of groups, in 10 000 of the seeds, and in each class rather small than large: small ones
/// meet most situations most cheaply. What a world costs grows with more than the square of its
/// size.
const SIZES: [(u64, u64, u64); 5] =
    [(5, 32, 97), (40, 17, 15), (1_155, 10, 7), (4_300, 4, 6), (4_500, 2, 2)];

pub(crate) fn processes(draw: &mut Draw<'_>) -> u64 {
    let mut place = draw.below(10_000);
    for (share, least, sizes) in SIZES {
        if place < share {
            let largest = 1 + draw.below(sizes);
            return least + draw.below(largest);
        }
        place -= share;
    }
    2
}
