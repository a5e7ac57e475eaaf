//! The command `vs`.
fn main() {}
