//! Traces as text, and the checker over them.
#![cfg_attr(fuzzing, no_main)]

vs_fuzz::target!(trace);
