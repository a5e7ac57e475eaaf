//! Shows each step to who checks it against the specification, and rare situations to who counts them (feature `sim`).

/// Tells that a rare situation came up; nothing without feature `sim`.
macro_rules! mark {
    ($cx:expr, $mark:ident) => {{
        #[cfg(feature = "sim")]
        $cx.tracer.mark($crate::sim::Mark::$mark);
    }};
}

use super::{Cx, Endpoint};
use crate::cast::Cast;
use crate::ident::GroupName;
use crate::sync::Automaton;
use crate::time::Time;
use crate::trace::{Event, Tracer};

impl Endpoint {
    pub(super) fn show(&self, cx: &mut Cx<'_>, action: Option<&Event>) {
        show(cx.tracer, cx.now, &self.name, &self.sync, &self.cast, action);
    }
}

#[cfg(feature = "sim")]
pub(super) fn show(
    tracer: &mut dyn Tracer,
    now: Time,
    group: &GroupName,
    sync: &Automaton,
    cast: &Cast,
    action: Option<&Event>,
) {
    tracer.observe(now, group, action, &|| crate::spec::refine::relate(sync, cast));
}

#[cfg(not(feature = "sim"))]
pub(super) fn show(
    _: &mut dyn Tracer,
    _: Time,
    _: &GroupName,
    _: &Automaton,
    _: &Cast,
    _: Option<&Event>,
) {
}

#[cfg(feature = "sim")]
impl crate::spec::refine::Streams for Cast {
    fn arrived(&self, rank: crate::ident::Rank) -> crate::ident::Seq {
        Self::arrived(self, rank)
    }

    fn received(&self, rank: crate::ident::Rank) -> crate::ident::Seq {
        self.prefix(rank)
    }

    fn delivered(&self, rank: crate::ident::Rank) -> crate::ident::Seq {
        self.touched(rank)
    }

    fn freed(&self, rank: crate::ident::Rank) -> crate::ident::Seq {
        Self::freed(self, rank)
    }

    fn sent(&self) -> u64 {
        self.accepted()
    }

    fn is_open(&self) -> bool {
        Self::is_open(self)
    }
}
