//! How membership ended, for the threads of the application.

use std::io;
use std::sync::Arc;

use vs_core::DetachReason;

use crate::group::{RecvError, SendError, again};

/// How membership ended, for every caller.
#[derive(Clone, Debug)]
pub(super) enum Ended {
    Left { unsent: usize },
    Detached(DetachReason),
    JoinTimedOut(String),
    Failed(Arc<io::Error>),
    Forked,
}

macro_rules! errors {
    ($($error:ty),+) => {$(
        impl From<&Ended> for $error {
            fn from(ended: &Ended) -> Self {
                match ended {
                    Ended::Left { .. } => Self::Left,
                    Ended::Detached(reason) => Self::Detached(reason.clone()),
                    Ended::JoinTimedOut(why) => Self::JoinTimedOut { why: why.clone() },
                    Ended::Failed(error) => Self::Wait(again(error)),
                    Ended::Forked => Self::Forked,
                }
            }
        }
    )+};
}

errors!(SendError, RecvError);
