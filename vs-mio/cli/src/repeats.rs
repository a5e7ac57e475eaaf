//! Sentences that would be said again and again.

use vs_core::Time;

/// Pause before a sentence is said again, in ms; doubled with each time up to
/// [`PAUSE_MAX_MS`].
const PAUSE_MS: u64 = 1000;

/// Longest pause before a sentence is said again, in ms.
const PAUSE_MAX_MS: u64 = 64_000;

/// Sentences that are remembered.
const REMEMBERED_MAX: usize = 8;

#[derive(Debug)]
struct Said {
    text: String,
    again_at: Time,
    pause_ms: u64,
}

/// What was said before.
#[derive(Debug, Default)]
pub(crate) struct Repeats(Vec<Said>);

impl Repeats {
    /// Whether `text` is to be said now.
    pub(crate) fn is_due(&mut self, now: Time, text: &str) -> bool {
        if let Some(said) = self.0.iter_mut().find(|said| said.text == text) {
            let is_due = now >= said.again_at;
            if is_due {
                said.pause_ms = (2 * said.pause_ms).min(PAUSE_MAX_MS);
                said.again_at = now.plus_ms(said.pause_ms);
            }
            return is_due;
        }
        if self.0.len() == REMEMBERED_MAX {
            self.0.remove(0);
        }
        let again_at = now.plus_ms(PAUSE_MS);
        self.0.push(Said { text: text.into(), again_at, pause_ms: PAUSE_MS });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentence_is_said_less_and_less_often() {
        let mut repeats = Repeats::default();
        let said = |ms: &u64| repeats.is_due(Time::from_millis(*ms), "no room");
        let times: Vec<u64> = (0..60_000).step_by(500).filter(said).collect();
        assert_eq!(times, [0, 1000, 3000, 7000, 15_000, 31_000]);
        assert!(repeats.is_due(Time::from_millis(500), "another"));
        for n in 0..20 {
            assert!(repeats.is_due(Time::ZERO, &n.to_string()));
        }
        assert_eq!(repeats.0.len(), REMEMBERED_MAX);
    }
}
