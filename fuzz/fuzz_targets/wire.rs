//! Decoding of datagrams.
#![cfg_attr(fuzzing, no_main)]

vs_fuzz::target!(wire);
