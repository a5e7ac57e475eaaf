//! The programs that measurements start: the command `vs`, and helpers in C.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, io};

use crate::process::output;

/// Compiles the helper `source`, a file below the directory of this package, into `dir`.
///
/// # Errors
/// There is no compiler, or it refuses.
pub fn compile(source: &str, dir: &Path, libraries: &[&str]) -> Result<PathBuf, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
    let binary = dir.join(source.file_stem().unwrap_or_default());
    let mut gcc = Command::new("gcc");
    gcc.args(["-O2", "-Wall", "-o"]).arg(&binary).arg(&source).args(libraries);
    output(gcc)?;
    Ok(binary)
}

/// Builds the command `vs` of this workspace, beside this program; with feature `mutants` if this
/// program has it.
///
/// # Errors
/// It does not build, or is not where it belongs.
pub fn build_vs() -> Result<PathBuf, String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--release", "-p", "vs-cli", "--bin", "vs"]);
    if cfg!(feature = "mutants") {
        build.args(["--features", "mutants"]);
    }
    build.current_dir(env!("CARGO_MANIFEST_DIR"));
    output(build)?;
    let own = env::current_exe().map_err(|e: io::Error| format!("where this program is: {e}"))?;
    let vs = own.with_file_name("vs");
    if vs.exists() {
        return Ok(vs);
    }
    Err(format!("{} was not built: name the command with --vs", vs.display()))
}
