//! Why the command fails.

/// Exit status of a command line that cannot be followed.
const MISUSED: i32 = 2;

/// Why a verb failed: one sentence that says what to do.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

/// The system refuses to do `what`.
pub(crate) fn system(what: &str, error: &std::io::Error) -> Failure {
    Failure(format!("cannot {what}: {error}"))
}

/// Ends the process, which has opened nothing yet: its command line lacks something, as `why` says
/// in one sentence.
pub(crate) fn misused(why: &str) -> ! {
    tracing::error!("{why}");
    std::process::exit(MISUSED)
}
