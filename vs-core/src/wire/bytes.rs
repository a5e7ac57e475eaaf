//! Numbers at fixed places, little-endian, and optional fields.

/// Bytes as they came: reads fields at fixed places. The caller has checked the length; beyond it
/// all is zero.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a>(pub(super) &'a [u8]);

impl Raw<'_> {
    fn bytes_at<const N: usize>(self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        if let Some(field) = self.0.get(at..at + N) {
            bytes.copy_from_slice(field);
        }
        bytes
    }

    pub(super) fn u16_at(self, at: usize) -> u16 {
        u16::from_le_bytes(self.bytes_at(at))
    }

    pub(super) fn u32_at(self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes_at(at))
    }

    pub(super) fn u64_at(self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes_at(at))
    }
}

pub(super) fn put_u16(out: &mut [u8], at: usize, value: u16) {
    out[at..at + 2].copy_from_slice(&value.to_le_bytes());
}

pub(super) fn put_u32(out: &mut [u8], at: usize, value: u32) {
    out[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

pub(super) fn put_u64(out: &mut [u8], at: usize, value: u64) {
    out[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

/// The first of these optional fields: its tag, its content, and the others. `None`: there is none.
pub(super) fn take_option(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let ((tag, content), rest) = postcard::take_from_bytes::<(u8, &[u8])>(bytes).ok()?;
    Some((tag, content, rest))
}

/// The optional field with this tag, if there is one; `bytes` are optional fields.
pub(super) fn option(mut bytes: &[u8], wanted: u8) -> Option<&[u8]> {
    while let Some((tag, field, rest)) = take_option(bytes) {
        if tag == wanted {
            return Some(field);
        }
        bytes = rest;
    }
    None
}

/// Whether `bytes` are optional fields, one after the other: a tag u8, a length as a varint, and so
/// many bytes.
pub(super) fn are_options(mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match take_option(bytes) {
            Some((.., rest)) => bytes = rest,
            None => return false,
        }
    }
    true
}
