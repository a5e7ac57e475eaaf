//! What a status counts and measures, by lasting names, and as the text that Prometheus reads.
//!
//! Nothing here keeps a value: who wants metrics makes a status, and renders it ([`text`]). The
//! page [`manual::metrics`](crate::manual::metrics) lists all metrics. No library for metrics is
//! used: those count by themselves, and what is here was counted already, by values without locks.

mod metric;
mod table;
mod text;

#[cfg(all(test, feature = "json"))]
mod tests;

pub use metric::{Kind, Metric, Unit};
pub use text::{Sample, all, text, visit};
