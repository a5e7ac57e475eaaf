//! Why the command fails.

/// Why a verb failed: one sentence that says what to do.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

/// The system refuses to do `what`.
pub(crate) fn system(what: &str, error: &std::io::Error) -> Failure {
    Failure(format!("cannot {what}: {error}"))
}
