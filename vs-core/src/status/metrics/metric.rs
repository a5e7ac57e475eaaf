//! What a metric is, and how its value is read.

use core::net::SocketAddr;

use crate::ident::Incarnation;
use crate::status::{DialState, Listed};

/// Whether a value only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It grows until it begins again with 0.
    Counter,
    /// It grows and falls.
    Gauge,
}

/// What a value is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of what the name says; of a condition, 1 if it holds.
    Count,
    /// Milliseconds, which are written as seconds.
    Millis,
}

/// A counter or a gauge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// Its name, which lasts. It ends with the unit, and that of a counter with `_total`.
    pub name: &'static str,
    /// Whether it only grows.
    pub kind: Kind,
    /// What it is measured in.
    pub unit: Unit,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it tells, in one sentence.
    pub help: &'static str,
    /// The field of the serialised status that it is read from: `node.groups[].window`. Empty if
    /// there is none.
    pub field: &'static str,
}

/// A metric, and how it is read from a part of a status.
#[derive(Debug)]
pub(super) struct Row<T> {
    pub(super) metric: Metric,
    pub(super) read: fn(&T) -> u64,
}

/// What is told as a number.
pub(super) trait Measured {
    fn measure(&self) -> u64;
}

impl Measured for u64 {
    fn measure(&self) -> u64 {
        *self
    }
}

impl Measured for usize {
    fn measure(&self) -> u64 {
        *self as u64
    }
}

impl Measured for bool {
    fn measure(&self) -> u64 {
        (*self).into()
    }
}

/// Whether there is one.
impl Measured for Option<SocketAddr> {
    fn measure(&self) -> u64 {
        self.is_some().into()
    }
}

/// How many there are, those included that are not shown.
impl<T> Measured for Listed<T> {
    fn measure(&self) -> u64 {
        self.first.len().saturating_add(self.more) as u64
    }
}

/// When it began.
impl Measured for Incarnation {
    fn measure(&self) -> u64 {
        (*self).into()
    }
}

/// Whether the server there is connected.
impl Measured for DialState {
    fn measure(&self) -> u64 {
        matches!(self, Self::Up | Self::Spare | Self::Itself).into()
    }
}
