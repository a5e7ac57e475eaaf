//! Measurements of the workspace; nothing to use from outside. `cargo bench -p vs-bench`.
