//! `vs node`: one member of a group.

mod advice;
mod args;
mod echo;
mod embedded;
mod session;
mod setup;
mod status;
mod told;

use crate::failure::Failure;

pub(crate) use args::Args;

/// Takes part in the group until told to leave.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    setup::session(args)?.run()
}
