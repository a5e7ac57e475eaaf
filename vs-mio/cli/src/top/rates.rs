//! How fast counters grow: differences of two answers.

use core::time::Duration;
use std::collections::BTreeMap;

use vs_core::status::Status;
use vs_core::status::metrics::{Kind, Metric, visit};

/// All values of an answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Values(BTreeMap<(&'static str, Vec<String>), (&'static Metric, u64)>);

impl Values {
    pub(super) fn of(status: &Status) -> Self {
        let mut values = BTreeMap::new();
        visit(core::slice::from_ref(status), |sample| {
            let key = (sample.metric.name, sample.labels.to_vec());
            values.insert(key, (sample.metric, sample.value));
        });
        Self(values)
    }

    /// Each value, and how much it grew since `before`, if it only grows.
    pub(super) fn rows<'a>(
        &'a self,
        before: Option<&'a Self>,
        since: Duration,
    ) -> impl Iterator<Item = (&'static Metric, &'a [String], u64, Option<f64>)> {
        self.0.iter().map(move |(key, (metric, value))| {
            let rate = before.and_then(|before| rate(metric, before.0.get(key)?.1, *value, since));
            (*metric, key.1.as_slice(), *value, rate)
        })
    }

    /// How much the counter `name` grew a second since `before`: the sum over all whose labels
    /// begin with `labels`. `None`: there is nothing to compare, or it began again.
    pub(super) fn rate(
        &self,
        before: Option<&Self>,
        since: Duration,
        name: &'static str,
        labels: &[String],
    ) -> Option<f64> {
        let from = (name, labels.to_vec());
        let same = self
            .0
            .range(from..)
            .take_while(|((other, words), _)| *other == name && words.starts_with(labels));
        let mut sum = None;
        for (key, (metric, value)) in same {
            let earlier = before?.0.get(key).map_or(0, |(_, value)| *value);
            let one = rate(metric, earlier, *value, since)?;
            sum = Some(sum.unwrap_or(0.0) + one);
        }
        sum
    }
}

fn rate(metric: &Metric, before: u64, now: u64, since: Duration) -> Option<f64> {
    let seconds = since.as_secs_f64();
    let grown = now.checked_sub(before)?;
    (metric.kind == Kind::Counter && seconds > 0.0).then(|| grown as f64 / seconds)
}
