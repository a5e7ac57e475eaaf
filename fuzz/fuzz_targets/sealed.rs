//! What is sealed, and what somebody without the key makes of it.
#![cfg_attr(fuzzing, no_main)]

vs_fuzz::target!(sealed);
