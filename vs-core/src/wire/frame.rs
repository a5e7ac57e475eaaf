//! Frames of a byte stream.
