//! `vs check`.

use crate::Failure;

/// What `vs check` is told.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {}

pub(crate) fn run(_args: Args) -> Result<(), Failure> {
    Err(Failure("vs check is not part of this build".into()))
}
