//! A whole node under whatever arrives, and whatever time it is.
#![cfg_attr(fuzzing, no_main)]

vs_fuzz::target!(node);
