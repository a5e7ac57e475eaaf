//! Control datagrams: sync messages and requests for them, in postcard behind the common header.
//!
//! They name group, process, incarnation, cid and the full old view (rule 5.3), since they cross from view to view and
//! so bypass the filter by fingerprint. A cut is split by rank ranges over as many datagrams as it takes.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::ident::{Cid, Incarnation, NUMBER_MAX, ProcessId, Seq};
use crate::view::VIEW_MEMBERS_MAX;
use crate::view::ViewKey;

/// Bytes of a sync message before its cut, at most: process, incarnation with its nonce, cid, view key,
/// total, first.
const SYNC_FIXED_BYTES: usize = 10 * 8 + 3 * 2;

/// Bytes of one run of a cut, at most.
const RUN_BYTES: usize = 3 + 10;

/// Sync messages that one request names, at most.
pub(crate) const REQUESTS_MAX: usize = 16;

/// A part of a sync message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SyncMessage {
    pub(crate) process: ProcessId,
    /// The milliseconds, then the nonce.
    #[serde(with = "pair")]
    pub(crate) incarnation: Incarnation,
    pub(crate) cid: Cid,
    /// The view that the sender is in.
    pub(crate) view: ViewKey,
    /// Length of the whole cut.
    pub(crate) total: u16,
    /// The first rank of this part.
    pub(crate) first: u16,
    /// Packets received without a gap, by rank in `view`: so many ranks have this number. In a large view few send.
    pub(crate) runs: Vec<(u16, Seq)>,
}

impl SyncMessage {
    /// The part of the cut, rank by rank.
    pub(crate) fn cut(&self) -> impl Iterator<Item = Seq> + '_ {
        self.runs.iter().flat_map(|&(ranks, seq)| core::iter::repeat_n(seq, usize::from(ranks)))
    }
}

/// An incarnation with its nonce.
mod pair {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::ident::Incarnation;

    pub(super) fn serialize<S: Serializer>(
        incarnation: &Incarnation,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        (incarnation.millis(), incarnation.nonce()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Incarnation, D::Error> {
        let (millis, nonce) = Deserialize::deserialize(deserializer)?;
        Ok(Incarnation::new(millis).with_nonce(nonce))
    }
}

/// Asks for sync messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SyncRequest {
    /// Who asks.
    pub(crate) process: ProcessId,
    /// Whose sync messages, for which of their cids.
    pub(crate) wanted: Vec<(ProcessId, Cid)>,
}

/// The runs of `cut` that fit a body of `bytes`, and how many ranks they are.
pub(crate) fn runs(cut: &[Seq], bytes: usize) -> (Vec<(u16, Seq)>, usize) {
    let runs_max = bytes.saturating_sub(SYNC_FIXED_BYTES) / RUN_BYTES;
    let same = cut.chunk_by(|a, b| a == b).take(runs_max);
    let runs: Vec<(u16, Seq)> = same.map(|run| (run.len() as u16, run[0])).collect();
    let ranks = runs.iter().map(|(ranks, _)| usize::from(*ranks)).sum();
    (runs, ranks)
}

/// Writes `message` into `out`; `None` if it does not fit.
pub(crate) fn encode<M: Serialize>(message: &M, out: &mut [u8]) -> Option<usize> {
    postcard::to_slice(message, out).ok().map(|used| used.len())
}

/// Reads a part of a sync message; `None` if it is malformed.
pub(crate) fn decode_sync(bytes: &[u8]) -> Option<SyncMessage> {
    let (message, rest) = postcard::take_from_bytes::<SyncMessage>(bytes).ok()?;
    let ranks = message.runs.iter().map(|(ranks, _)| usize::from(*ranks));
    let end = ranks.fold(usize::from(message.first), usize::saturating_add);
    let numbers = [
        message.process.0,
        message.incarnation.millis(),
        message.cid.0,
        message.view.id.major,
        message.view.id.minor,
        message.view.start.0,
    ];
    let well_formed = rest.is_empty()
        && (1..=VIEW_MEMBERS_MAX).contains(&usize::from(message.total))
        && end <= usize::from(message.total)
        && numbers.iter().all(|&n| n <= NUMBER_MAX)
        && message.runs.iter().all(|&(ranks, seq)| ranks > 0 && seq <= NUMBER_MAX);
    well_formed.then_some(message)
}

/// Reads a request; `None` if it is malformed.
pub(crate) fn decode_request(bytes: &[u8]) -> Option<SyncRequest> {
    let (message, rest) = postcard::take_from_bytes::<SyncRequest>(bytes).ok()?;
    (rest.is_empty() && message.wanted.len() <= REQUESTS_MAX).then_some(message)
}
