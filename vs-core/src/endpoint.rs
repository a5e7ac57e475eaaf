//! The endpoint of one group.
