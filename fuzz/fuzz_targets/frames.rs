//! Frames between clients and membership servers, at both ends.
#![cfg_attr(fuzzing, no_main)]

vs_fuzz::target!(frames);
