//! Samples, by name.

use std::collections::BTreeMap;

use serde_json::json;

/// Values under names such as `throughput/vs/3/1/64`.
#[derive(Debug, Default)]
pub struct Samples(BTreeMap<String, Vec<f64>>);

impl Samples {
    /// Adds a value.
    pub fn push(&mut self, name: impl Into<String>, value: f64) {
        self.0.entry(name.into()).or_default().push(value);
    }

    fn sorted(&self, name: &str) -> Vec<f64> {
        let mut values = self.0.get(name).cloned().unwrap_or_default();
        values.sort_by(f64::total_cmp);
        values
    }

    /// The value below which a share of `q` lies.
    pub fn quantile(&self, name: &str, q: f64) -> Option<f64> {
        let values = self.sorted(name);
        let at = (values.len() as f64 * q) as usize;
        values.get(at.min(values.len().saturating_sub(1))).copied()
    }

    /// The median.
    #[must_use]
    pub fn median(&self, name: &str) -> Option<f64> {
        let values = self.sorted(name);
        let (&low, &high) =
            (values.get(values.len().saturating_sub(1) / 2)?, values.get(values.len() / 2)?);
        Some(f64::midpoint(low, high))
    }

    /// The least and the greatest.
    pub fn range(&self, name: &str) -> Option<(f64, f64)> {
        let values = self.sorted(name);
        Some((*values.first()?, *values.last()?))
    }

    /// The number of values.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        self.0.get(name).map_or(0, Vec::len)
    }

    /// The numbers that follow `start` in names, ascending.
    pub fn numbers_after(&self, start: &str) -> Vec<u64> {
        let rest = self.0.keys().filter_map(|name| name.strip_prefix(start));
        let mut numbers: Vec<u64> = rest.filter_map(|rest| rest.parse().ok()).collect();
        numbers.sort_unstable();
        numbers
    }

    /// All of them.
    #[must_use]
    pub fn to_json(&self) -> String {
        format!("{:#}\n", json!(self.0))
    }
}

/// The value of `key` in `key=value` pairs.
pub fn field(line: &str, key: &str) -> Option<f64> {
    let pairs = line.split_whitespace().filter_map(|word| word.split_once('='));
    pairs.filter(|(name, _)| *name == key).find_map(|(_, value)| value.parse().ok())
}

/// The median of `key` over `lines`.
pub fn median_of(lines: &[String], key: &str) -> Option<f64> {
    let mut all = Samples::default();
    lines.iter().filter_map(|line| field(line, key)).for_each(|value| all.push("all", value));
    all.median("all")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_quantiles_and_fields() {
        let mut samples = Samples::default();
        assert_eq!((samples.median("a"), samples.quantile("a", 0.5)), (None, None));
        (1..=100).for_each(|n| samples.push("a", f64::from(n)));
        assert_eq!(samples.median("a"), Some(50.5));
        assert_eq!(samples.quantile("a", 0.99), Some(100.0));
        assert_eq!(samples.range("a"), Some((1.0, 100.0)));
        let lines = ["x a=1 b=2".to_owned(), "x a=3 b=4".to_owned()];
        assert_eq!((field(&lines[0], "b"), median_of(&lines, "a")), (Some(2.0), Some(2.0)));
        samples.push("kill/3", 1.0);
        samples.push("kill/13", 1.0);
        assert_eq!(samples.numbers_after("kill/"), [3, 13]);
    }
}
