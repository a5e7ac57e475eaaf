//! What a change of the view in progress needs, besides the agreement itself.

use alloc::vec::Vec;

use crate::ident::{Rank, Seq};
use crate::time::{Time, Wake};

/// The progress of a change.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Up to where each stream may be delivered, by rank; `None` without a bound.
    limits: Option<Vec<Seq>>,
    /// Whether the packets that this process has to hand on were handed to the multicast.
    is_forwarded: bool,
    /// When the application was asked to stop sending.
    block_asked_at: Option<Time>,
}

impl Progress {
    /// A change is proposed.
    pub(super) fn handle_start_change(&mut self) {
        self.is_forwarded = false;
    }

    /// The view is installed: its streams have no bounds yet.
    pub(super) fn handle_installed(&mut self) {
        (self.limits, self.is_forwarded) = (None, false);
    }

    /// Up to where the stream of `rank` may be delivered.
    pub(super) fn limit(&self, rank: Rank) -> Seq {
        let Some(limits) = &self.limits else { return Seq::MAX };
        limits.get(usize::from(rank)).copied().unwrap_or(0)
    }

    /// Whether deliveries are bounded, as they are from the own sync message on.
    pub(super) fn has_limits(&self) -> bool {
        self.limits.is_some()
    }

    pub(super) fn set_limits(&mut self, limits: Option<&[Seq]>) {
        self.limits = limits.map(<[Seq]>::to_vec);
    }

    /// Raises the bounds to `agreed`, and calls `raised` with the rank and the new bound of each
    /// that grew.
    pub(super) fn raise_limits(&mut self, agreed: &[Seq], mut raised: impl FnMut(Rank, Seq)) {
        let limits = self.limits.iter_mut().flatten();
        for (rank, (limit, &upto)) in limits.zip(agreed).enumerate() {
            if upto > *limit {
                *limit = upto;
                raised(rank as Rank, upto);
            }
        }
    }

    /// Whether packets have to be handed on now; true once for each change.
    pub(super) fn begin_forwarding(&mut self) -> bool {
        !core::mem::replace(&mut self.is_forwarded, true)
    }

    /// The application is asked to stop sending.
    pub(super) fn handle_block(&mut self, now: Time) {
        self.block_asked_at = Some(now);
    }

    /// The application has answered, or its time is over.
    pub(super) fn handle_block_ok(&mut self) {
        self.block_asked_at = None;
    }

    /// When the application must have answered.
    pub(super) fn block_timeout(&self, block_ok_ms: u64) -> Option<(Time, Wake)> {
        Some((self.block_asked_at?.plus_ms(block_ok_ms), Wake::BlockOk))
    }
}
