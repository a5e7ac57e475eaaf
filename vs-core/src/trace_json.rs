//! Traces as JSON Lines.
