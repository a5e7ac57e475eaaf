//! Why a configuration cannot be used, and how its fields are checked.

use core::fmt;
use core::ops::RangeInclusive;

use crate::config::bounds::TIME_MS_LIMIT;

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A field has a value that is not within its bounds.
    Field {
        /// The name of the field.
        field: &'static str,
        /// Its value.
        value: u64,
        /// The least possible value.
        least: u64,
        /// The greatest possible value.
        most: u64,
        /// The other field that the bounds follow from, and its value.
        given: Option<(&'static str, u64)>,
    },
    /// Another rule is broken: one sentence that names the fields.
    Rule(&'static str),
}

impl ConfigError {
    /// Checks that the value of `field` is within `bounds`.
    pub(crate) fn check(
        field: &'static str,
        value: u64,
        bounds: RangeInclusive<u64>,
    ) -> Result<(), Self> {
        Self::check_given(field, value, bounds, None)
    }

    /// Checks that the value of `field` is within `bounds`, which follow from the field `given`.
    pub(crate) fn check_given(
        field: &'static str,
        value: u64,
        bounds: RangeInclusive<u64>,
        given: Option<(&'static str, u64)>,
    ) -> Result<(), Self> {
        if bounds.contains(&value) {
            return Ok(());
        }
        let (least, most) = bounds.into_inner();
        Err(Self::Field { field, value, least, most, given })
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Self::Field { field, value, least, most, given } = self else {
            let Self::Rule(rule) = self else { return Ok(()) };
            return f.write_str(rule);
        };
        write!(f, "{field} must be ")?;
        match (least, most) {
            (0, most) => write!(f, "at most {most}")?,
            (least, u64::MAX) => write!(f, "at least {least}")?,
            (least, most) => write!(f, "{least} to {most}")?,
        }
        if let Some((other, other_value)) = given {
            write!(f, " since {other} is {other_value}")?;
        }
        write!(f, ", but is {value}")
    }
}

impl core::error::Error for ConfigError {}

pub(super) fn check_rule(condition: bool, rule: &'static str) -> Result<(), ConfigError> {
    if condition { Ok(()) } else { Err(ConfigError::Rule(rule)) }
}

pub(super) fn check_size(
    field: &'static str,
    value: usize,
    bounds: RangeInclusive<usize>,
) -> Result<(), ConfigError> {
    ConfigError::check(field, value as u64, *bounds.start() as u64..=*bounds.end() as u64)
}

pub(super) fn check_times<const N: usize>(
    times: [(&'static str, u64); N],
) -> Result<(), ConfigError> {
    times.into_iter().try_for_each(|(field, ms)| ConfigError::check(field, ms, 1..=TIME_MS_LIMIT))
}
