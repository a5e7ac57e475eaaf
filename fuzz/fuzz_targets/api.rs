//! Any order of calls of the public interface.
#![cfg_attr(fuzzing, no_main)]

vs_fuzz::target!(api);
