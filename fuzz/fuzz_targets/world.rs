//! The simulated world, steered by bytes.
#![cfg_attr(fuzzing, no_main)]

vs_fuzz::target!(world);
