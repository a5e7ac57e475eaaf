//! How a field is written.

use alloc::format;
use alloc::vec::Vec;

use crate::order::Stage;

pub(super) fn field_number(out: &mut Vec<u8>, key: &[u8], mut n: u64) {
    out.extend_from_slice(key);
    let start = out.len();
    loop {
        // A remainder by ten fits a byte.
        out.push(b'0' + (n % 10) as u8);
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out[start..].reverse();
}

pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// `key` ends with the quotation mark that begins the value.
pub(super) fn field_hash(out: &mut Vec<u8>, key: &[u8], hash: u64) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(key);
    let digit = |shift: u32| DIGITS[(hash >> shift) as usize & 15];
    out.extend((0..16).rev().map(|i| digit(4 * i)));
    out.push(b'"');
}

/// What stands for a stage; regular deliveries have nothing.
pub(super) fn stage_name(stage: Stage) -> Option<&'static str> {
    match stage {
        Stage::Regular => None,
        Stage::Recorded => Some("recorded"),
        Stage::Tail => Some("tail"),
    }
}

pub(super) fn field_stage(out: &mut Vec<u8>, stage: Stage) {
    if let Some(stage) = stage_name(stage) {
        out.extend_from_slice(b",\"stage\":");
        string(out, stage);
    }
}
