//! How a field is read.

use alloc::format;
use alloc::string::{String, ToString};

use super::write::stage_name;
use crate::ident::NUMBER_MAX;
use crate::order::Stage;

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

pub(super) fn stage(name: &str) -> Result<Stage, String> {
    let stages = [Stage::Recorded, Stage::Tail];
    match name {
        "" => Ok(Stage::Regular),
        name => stages
            .into_iter()
            .find(|stage| stage_name(*stage) == Some(name))
            .ok_or_else(|| "\"stage\" must be \"recorded\" or \"tail\"".to_string()),
    }
}
