//! Sync messages and requests for them, written down a second time from the documentation of
//! `vs_core::wire::control`, so that the two readings can be compared.

use serde::{Deserialize, Serialize};
use vs_core::VIEW_MEMBERS_MAX;
use vs_core::ident::{NUMBER_MAX, ViewId};

/// Which view a sync message's sender is in.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct ViewKey {
    pub(crate) id: ViewId,
    pub(crate) start: u64,
    pub(crate) fingerprint: u64,
}

/// A part of a sync message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SyncMessage {
    pub(crate) process: u64,
    /// Milliseconds and nonce.
    pub(crate) incarnation: (u64, u64),
    pub(crate) cid: u64,
    pub(crate) view: ViewKey,
    pub(crate) total: u16,
    pub(crate) first: u16,
    /// How many ranks have a number, and the number.
    pub(crate) runs: Vec<(u16, u64)>,
}

/// A request for sync messages.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SyncRequest {
    pub(crate) process: u64,
    pub(crate) wanted: Vec<(u64, u64)>,
}

/// Sync messages that one request names, at most.
const REQUESTS_MAX: usize = 16;

impl SyncMessage {
    /// The fields, and what the optional field of tag 1 says, if it is there. That of tag 2 has at
    /// most 32 bytes.
    pub(crate) fn read(body: &[u8]) -> Option<(Self, Option<u64>)> {
        let (message, options) = whole(body)?;
        let note = options.iter().find(|(tag, _)| *tag == 2);
        if note.is_some_and(|(_, value)| value.len() > 32) {
            return None;
        }
        let safe = options.into_iter().find(|(tag, _)| *tag == 1);
        let safe = safe.map(|(_, value)| postcard::take_from_bytes(value).ok());
        match safe {
            None => Some((message, None)),
            Some(Some((safe, []))) => Some((message, Some(safe))),
            Some(_) => None,
        }
    }

    pub(crate) fn is_well_formed(&self) -> bool {
        let Self { process, incarnation, cid, view, total, first, runs } = self;
        let numbers = [*process, incarnation.0, *cid, view.id.major, view.id.minor, view.start];
        let total = usize::from(*total);
        let ranks: usize = runs.iter().map(|(ranks, _)| usize::from(*ranks)).sum();
        numbers.iter().chain(runs.iter().map(|(_, n)| n)).all(|n| *n <= NUMBER_MAX)
            && runs.iter().all(|(ranks, _)| *ranks > 0)
            && (1..=VIEW_MEMBERS_MAX).contains(&total)
            && usize::from(*first) + ranks <= total
    }
}

impl SyncRequest {
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        whole(body).map(|(message, _)| message)
    }

    pub(crate) fn is_well_formed(&self) -> bool {
        let numbers = self.wanted.iter().flat_map(|(process, cid)| [process, cid]);
        self.wanted.len() <= REQUESTS_MAX
            && numbers.chain([&self.process]).all(|n| *n <= NUMBER_MAX)
    }
}

/// A message and its optional fields.
type Whole<'a, M> = (M, Vec<(u8, &'a [u8])>);

fn whole<M: for<'de> Deserialize<'de>>(body: &[u8]) -> Option<Whole<'_, M>> {
    let (message, mut rest) = postcard::take_from_bytes(body).ok()?;
    let mut options = Vec::new();
    while !rest.is_empty() {
        // A tag, a length, and so many bytes.
        let (option, behind) = postcard::take_from_bytes::<(u8, &[u8])>(rest).ok()?;
        options.push(option);
        rest = behind;
    }
    Some((message, options))
}
