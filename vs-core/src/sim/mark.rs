//! Reachability: how often the runs came to each rare situation.

use core::fmt;

use crate::trace::Mark;

/// How often each rare situation occurred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks([u64; Mark::ALL.len()]);

impl Default for Marks {
    fn default() -> Self {
        Self([0; Mark::ALL.len()])
    }
}

impl Marks {
    /// Counts one occurrence.
    pub(crate) fn add(&mut self, mark: Mark) {
        self.0[mark as usize] += 1;
    }

    /// How often `mark` occurred.
    #[must_use]
    pub fn count(&self, mark: Mark) -> u64 {
        self.0[mark as usize]
    }

    /// Adds the counts of another run.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a += b);
    }

    /// The situations that never occurred.
    pub fn missing(&self) -> impl Iterator<Item = Mark> + '_ {
        Mark::ALL.iter().copied().filter(|mark| self.count(*mark) == 0)
    }
}

/// One line each.
impl fmt::Display for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, mark) in Mark::ALL.iter().enumerate() {
            let end = if i == 0 { "" } else { "\n" };
            write!(f, "{end}{:>12}  {}", self.count(*mark), mark.what())?;
        }
        Ok(())
    }
}
