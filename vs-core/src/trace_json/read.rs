//! How a field is read.

use alloc::format;
use alloc::string::String;

use crate::ident::NUMBER_MAX;

pub(super) fn missing(field: &str) -> String {
    format!("\"{field}\" is missing")
}

pub(super) fn digits(field: &str, text: &str) -> Result<u64, String> {
    let hex = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let n = u64::from_str_radix(text, 16);
    n.ok().filter(|_| hex).ok_or_else(|| format!("\"{field}\" must be 16 hex digits"))
}

pub(super) fn need(field: &str, value: Option<u64>) -> Result<u64, String> {
    value.ok_or_else(|| missing(field))
}

pub(super) fn number(field: &str, value: Option<u64>) -> Result<u64, String> {
    let n = need(field, value)?;
    if n > NUMBER_MAX {
        return Err(format!("\"{field}\" is above 2^53 - 1"));
    }
    Ok(n)
}
