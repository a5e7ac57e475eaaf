//! Starts that fail.
