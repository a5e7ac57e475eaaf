//! Why the command fails.

/// Exit status of a command line that cannot be followed.
pub(crate) const MISUSED: u8 = 2;

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
    std::process::exit(MISUSED.into())
}

/// The parts of a message about the command line in one line: what is wrong, tips, how it is meant,
/// where to read more.
pub(crate) fn in_one_sentence(message: &str) -> String {
    let parts = message.trim().split("\n\n");
    let parts = parts.map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    let sentence = parts.collect::<Vec<_>>().join("; ");
    let sentence = sentence.trim_start_matches("error: ").trim_end_matches('.');
    sentence.replace("; Usage:", "; usage:").replace("; For more", "; for more")
}
