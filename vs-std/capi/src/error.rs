//! Codes and texts of errors, and the wall that no panic passes.

use core::cell::RefCell;
use core::ffi::c_char;
use core::fmt::Display;
use core::panic::AssertUnwindSafe;
use std::ffi::CString;
use std::panic::catch_unwind;

use vs_std::{CallError, JoinError, LeaveError, RecvError, SendError};

/// It is done.
pub const VS_OK: i32 = 0;
/// There was nothing within the time that was given. This is no error, and has no text.
pub const VS_NOTHING: i32 = 1;
/// An argument is NULL, no UTF-8, out of its range, or of another size.
pub const VS_ERR_ARGUMENT: i32 = -1;
/// The handle is NULL, was freed, or is one of another kind.
pub const VS_ERR_HANDLE: i32 = -2;
/// An option cannot be used, or the system refuses what it asks for.
pub const VS_ERR_OPTION: i32 = -3;
/// The message or the operation is longer than `message_bytes_max`.
pub const VS_ERR_TOO_LARGE: i32 = -4;
/// There is no room at the moment.
pub const VS_ERR_FULL: i32 = -5;
/// There was no room, or no end, in time.
pub const VS_ERR_TIMED_OUT: i32 = -6;
/// The group was left.
pub const VS_ERR_LEFT: i32 = -7;
/// The process is out of the group for good.
pub const VS_ERR_DETACHED: i32 = -8;
/// There was no view within `join_timeout_ms`.
pub const VS_ERR_JOIN_TIMED_OUT: i32 = -9;
/// The process was forked from the one that joined.
pub const VS_ERR_FORKED: i32 = -10;
/// The system refuses something.
pub const VS_ERR_SYSTEM: i32 = -11;
/// An observer does not send.
pub const VS_ERR_OBSERVER: i32 = -12;
/// The call was not sent, and will not be carried out.
pub const VS_ERR_REFUSED: i32 = -13;
/// The operation was carried out once or never.
pub const VS_ERR_UNKNOWN: i32 = -14;
/// The replicated state has ended.
pub const VS_ERR_ENDED: i32 = -15;
/// A call from inside a callback of the state would wait for itself.
pub const VS_ERR_INSIDE: i32 = -16;
/// The buffer is too small; the length that is needed was written.
pub const VS_ERR_BUFFER: i32 = -17;
/// A fault of this library. The handle should not be used any more.
pub const VS_ERR_PANIC: i32 = -18;

/// Why a call fails.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: i32,
    text: String,
}

impl Failure {
    pub(crate) fn new(code: i32, text: impl Display) -> Self {
        Self { code, text: text.to_string() }
    }

    pub(crate) fn argument(text: impl Display) -> Self {
        Self::new(VS_ERR_ARGUMENT, text)
    }

    pub(crate) fn again(&self) -> Self {
        Self { code: self.code, text: self.text.clone() }
    }
}

impl From<JoinError> for Failure {
    fn from(error: JoinError) -> Self {
        Self::new(VS_ERR_OPTION, error)
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        let code = match &error {
            SendError::TooLarge { .. } => VS_ERR_TOO_LARGE,
            SendError::Full | SendError::InboxFull => VS_ERR_FULL,
            SendError::TimedOut { .. } => VS_ERR_TIMED_OUT,
            SendError::Observer => VS_ERR_OBSERVER,
            SendError::Left => VS_ERR_LEFT,
            SendError::Detached(_) => VS_ERR_DETACHED,
            SendError::JoinTimedOut { .. } => VS_ERR_JOIN_TIMED_OUT,
            SendError::Forked => VS_ERR_FORKED,
            _ => VS_ERR_SYSTEM,
        };
        Self::new(code, error)
    }
}

impl From<RecvError> for Failure {
    fn from(error: RecvError) -> Self {
        let code = match &error {
            RecvError::Left => VS_ERR_LEFT,
            RecvError::Detached(_) => VS_ERR_DETACHED,
            RecvError::JoinTimedOut { .. } => VS_ERR_JOIN_TIMED_OUT,
            RecvError::Forked => VS_ERR_FORKED,
            _ => VS_ERR_SYSTEM,
        };
        Self::new(code, error)
    }
}

impl From<LeaveError> for Failure {
    fn from(error: LeaveError) -> Self {
        let code = match &error {
            LeaveError::TimedOut => VS_ERR_TIMED_OUT,
            LeaveError::Forked => VS_ERR_FORKED,
            _ => VS_ERR_SYSTEM,
        };
        Self::new(code, error)
    }
}

impl<Out> From<&CallError<Out>> for Failure {
    fn from(error: &CallError<Out>) -> Self {
        let code = match error {
            CallError::Refused(_) => VS_ERR_REFUSED,
            CallError::TooLarge => VS_ERR_TOO_LARGE,
            CallError::Ended(_) => VS_ERR_ENDED,
            CallError::Inside => VS_ERR_INSIDE,
            _ => VS_ERR_UNKNOWN,
        };
        Self::new(code, error)
    }
}

thread_local! {
    static LAST: RefCell<(i32, CString)> = RefCell::new((VS_OK, CString::default()));
}

/// Words for C: a NUL in them ends nothing.
pub(crate) fn words(text: impl Display) -> CString {
    CString::new(text.to_string().replace('\0', "\u{fffd}")).unwrap_or_default()
}

/// Runs a call: its failure becomes the code, and the text of this thread. So does a panic.
pub(crate) fn guard(call: impl FnOnce() -> Result<i32, Failure>) -> i32 {
    let failure = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(code)) => return code,
        Ok(Err(failure)) => failure,
        Err(_) => Failure::new(VS_ERR_PANIC, "a fault of this library: please report it"),
    };
    // Of a thread that ends nobody asks for the text.
    let _ = LAST.try_with(|last| *last.borrow_mut() = (failure.code, words(&failure.text)));
    failure.code
}

/// The code of the last call of this thread that failed; VS_OK before.
#[unsafe(no_mangle)]
pub extern "C" fn vs_error_code() -> i32 {
    LAST.try_with(|last| last.borrow().0).unwrap_or(VS_OK)
}

/// The last call of this thread that failed, in a sentence that says what to do. Never NULL; UTF-8.
/// It belongs to the library, and is there until the next call of this thread that fails.
#[unsafe(no_mangle)]
pub extern "C" fn vs_error_text() -> *const c_char {
    LAST.try_with(|last| last.borrow().1.as_ptr()).unwrap_or(c"".as_ptr())
}
