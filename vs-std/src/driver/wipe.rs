//! Copies of keys that calls have left on the stack.

use vs_core::Time;

/// Bytes of the stack that are overwritten: calls from a driver go less deep.
const STACK_BYTES: usize = 128 << 10;

/// Pause between two times that they are, in ms.
const PAUSE_MS: u64 = 100;

/// Overwrites what calls of a driver have left on the stack: compilers and ciphers copy keys there,
/// and what runs next need not reach as deep.
#[derive(Debug, Default)]
pub(super) struct Wiper {
    due: Time,
}

impl Wiper {
    /// To be called again and again, by what calls all else. It takes a few microseconds now and
    /// then.
    pub(super) fn look(&mut self, now: Time) {
        if now >= self.due {
            self.due = now.plus_ms(PAUSE_MS);
            wipe_stack();
        }
    }
}

impl Drop for Wiper {
    fn drop(&mut self) {
        wipe_stack();
    }
}

#[inline(never)]
fn wipe_stack() {
    let room = [0_u8; STACK_BYTES];
    core::hint::black_box(&room);
}
