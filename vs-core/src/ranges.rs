//! Sets of packet numbers as ranges.
