//! Somebody who sends datagrams in the name of this process.

use core::fmt;
use core::net::SocketAddr;

use crate::ident::ProcessId;

/// Datagrams came in the name of this process that it did not send. In one sentence, it names where
/// the last one came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Impostor {
    /// This process.
    pub process: ProcessId,
    /// Where the last one came from.
    pub from: SocketAddr,
    /// How many came.
    pub datagrams: u64,
}

impl fmt::Display for Impostor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { process, from, datagrams } = self;
        write!(
            f,
            "{from} sends datagrams in the name of this process, {process} ({datagrams} so far): somebody forges them"
        )
    }
}
