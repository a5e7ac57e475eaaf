//! `vs demo`.

use crate::Failure;

/// What `vs demo` is told.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {}

pub(crate) fn run(_args: Args) -> Result<(), Failure> {
    Err(Failure("vs demo is not part of this build".into()))
}
