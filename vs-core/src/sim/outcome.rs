//! The outcome of a run.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::config::ConfigError;
use crate::ident::ProcessId;
use crate::rule::Rule;
use crate::sim::defect::Defect;
use crate::sim::profile::Profile;
use crate::sim::stats::Stats;
use crate::spec::{Evidence, Report, Violation};
use crate::trace::Trace;

/// A finished run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The seed of the scenario.
    pub seed: u64,
    /// What happened in it.
    pub stats: Stats,
    /// The trace of each process, over all its incarnations.
    pub traces: Vec<Trace>,
    /// The verdict of the checker.
    pub report: Report,
    /// Why it failed.
    pub failure: Option<Failure>,
}

/// Why a run failed. Its `Display` tells how to replay the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The profile, if the scenario was made for one.
    pub profile: Option<Profile>,
    /// The rule that was left out.
    pub left_out: Option<Rule>,
    /// Whether the applications were [`Traffic`](crate::sim::Traffic): then `vs sim` plays the run
    /// again.
    pub of_traffic: bool,
    /// What was wrong.
    pub why: Why,
}

/// What was wrong with a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Why {
    /// Properties do not hold.
    Violations(Vec<Violation>),
    /// A node or server never came to rest.
    Defect(Defect),
    /// The group did not settle in time after all faults were over. The text is the state of each
    /// process.
    Unsettled(String),
    /// Two processes ran under one id, and neither was refused.
    TwoUnderOneId(ProcessId),
    /// An application found a fault.
    Application(String),
    /// The configuration cannot be used.
    Config(ConfigError),
}

/// Violations that are shown of a failed run.
const VIOLATIONS_SHOWN_MAX: usize = 5;

impl Why {
    /// The text of [`Display`](fmt::Display), with places of events as `place` writes them: in
    /// files that were kept, for example.
    pub fn told(&self, place: impl Fn(&Evidence) -> String) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.tell(&mut text, &place);
        text
    }

    fn tell(&self, f: &mut impl fmt::Write, place: &dyn Fn(&Evidence) -> String) -> fmt::Result {
        match self {
            Self::Violations(all) => {
                for (i, violation) in all.iter().take(VIOLATIONS_SHOWN_MAX).enumerate() {
                    let end = if i == 0 { "" } else { "\n  " };
                    write!(f, "{end}{}", violation.told(place))?;
                }
                match all.len().saturating_sub(VIOLATIONS_SHOWN_MAX) {
                    0 => Ok(()),
                    more => write!(f, "\n  and {more} more"),
                }
            }
            Self::Defect(defect) => write!(f, "{defect}"),
            Self::Unsettled(state) => {
                write!(f, "the group did not settle after all faults were over: {state}")
            }
            Self::TwoUnderOneId(p) => {
                write!(f, "two processes ran under the id {p}, and neither was refused")
            }
            Self::Application(what) => f.write_str(what),
            Self::Config(error) => write!(f, "{error}"),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tell(f, &Evidence::to_string)
    }
}

impl Failure {
    /// As [`Why::told`], with the seed and how to replay the run.
    pub fn told(&self, place: impl Fn(&Evidence) -> String) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.tell(&mut text, &place);
        text
    }

    fn tell(&self, f: &mut impl fmt::Write, place: &dyn Fn(&Evidence) -> String) -> fmt::Result {
        let Self { seed, profile, left_out, of_traffic, why } = self;
        write!(f, "seed {seed}: ")?;
        why.tell(f, place)?;
        if !of_traffic {
            return Ok(());
        }
        write!(f, "\nreplay: vs sim --seed {seed}")?;
        if let Some(profile) = profile {
            write!(f, " --profile {profile}")?;
        }
        if matches!(why, Why::Defect(Defect::Refuted { .. })) {
            f.write_str(" --refine")?;
        }
        if let Some(rule) = left_out {
            write!(f, " --leave-out {rule:?}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tell(f, &Evidence::to_string)
    }
}

impl core::error::Error for Failure {}
