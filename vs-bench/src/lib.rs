//! vs-bench.
