//! vs-mio.
