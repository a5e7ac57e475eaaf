//! The executable specification: a checker over traces.
