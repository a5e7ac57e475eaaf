//! The C ABI of `vs-std`: handles, codes and texts in place of types.
//!
//! A handle is a number that looks like a pointer: it is looked up at each call and never followed.
//! So NULL, a handle that was freed, and one of another kind are refused, from whatever thread. All
//! other pointers are what their function says; these alone the library has to trust.
#![allow(non_camel_case_types, reason = "names of C")]
#![deny(clippy::undocumented_unsafe_blocks)]

pub mod error;
pub mod event;
pub mod group;
mod memory;
pub mod options;
pub mod store;
mod table;

use core::ffi::c_char;

/// Version of this ABI. It grows when a function changes its meaning or goes; functions, codes,
/// kinds and fields at the end of structs are added without that.
pub const VS_ABI_VERSION: u32 = 1;

/// The VS_ABI_VERSION of the library that is loaded. Compare it with that of the header.
#[unsafe(no_mangle)]
pub extern "C" fn vs_abi_version() -> u32 {
    VS_ABI_VERSION
}

/// The version of the library in words. It is never freed.
#[unsafe(no_mangle)]
pub extern "C" fn vs_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}
