//! What a membership server proposes as the next view of a group.

use alloc::vec::Vec;

use super::attached::ReportId;
use crate::ident::{CREDIBLE_MAX, Cid, ProcessId, ServerId};
use crate::seal::Secret;
use crate::view::VIEW_MEMBERS_MAX;

/// Most servers whose proposals one proposal names as used.
const USED_MAX: usize = 1024;

/// How a proposal is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    Fast,
    Slow,
}

/// What a server proposes as the next view.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Proposal {
    pub(crate) from: ServerId,
    /// Who is proposed.
    pub(crate) set: ReportId,
    /// The cids that the proposer gave its own clients for this change, and the highest that it
    /// knows of the others.
    pub(crate) cids: Vec<(ProcessId, Cid)>,
    pub(crate) vnum: u64,
    pub(crate) mode: Mode,
    /// The number of a slow proposal.
    pub(crate) n: u64,
    /// The highest such number that the proposer has seen.
    pub(crate) max_n: u64,
    /// The proposer's own count.
    pub(crate) pn: u64,
    /// The last proposals of others that the proposer has used for a view.
    pub(crate) used: Vec<(ServerId, u64)>,
    /// The proposer's part of the secret of the view.
    pub(crate) share: Option<Secret>,
}

impl Proposal {
    /// The highest cid or view number.
    pub(crate) fn highest_id(&self) -> u64 {
        self.cids.iter().map(|(_, cid)| cid.0).max().unwrap_or(0).max(self.vnum)
    }

    /// Whether its numbers leave others to count on with, as nobody was ever given higher ones; and
    /// whether it is no longer than one can be, with at most one cid for each process.
    pub(crate) fn is_credible(&self) -> bool {
        let cids = self.cids.iter().map(|(_, cid)| cid.0);
        let mut numbers = cids.chain([self.vnum, self.n, self.max_n]);
        self.cids.len() <= VIEW_MEMBERS_MAX
            && self.cids.is_sorted_by(|(p, _), (q, _)| p < q)
            && self.used.len() <= USED_MAX
            && numbers.all(|number| number <= CREDIBLE_MAX)
    }
}
