//! vs-std.
