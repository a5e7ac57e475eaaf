//! What stands in the optional field of a frame, where the struct of the frame has one.

use alloc::vec::Vec;

use super::bytes::option;
use super::frame_error::FrameError;
use crate::seal::{Proof, Secret};

/// The tag of the optional field of a frame: none has more than one.
const FIELD_TAG: u8 = 1;

/// What may stand in an optional field.
pub(super) trait Field: Sized {
    fn write(&self, out: &mut Vec<u8>);

    /// `None`: these bytes are no such thing.
    fn read(bytes: &[u8]) -> Option<Self>;
}

impl Field for Secret {
    fn write(&self, out: &mut Vec<u8>) {
        put_option(&self.bytes()[..], out);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self::new(bytes.try_into().ok()?))
    }
}

impl Field for Proof {
    fn write(&self, out: &mut Vec<u8>) {
        put_option(&self.to_bytes(), out);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self::from_bytes(bytes.try_into().ok()?))
    }
}

pub(super) fn put_field<F: Field>(field: Option<&F>, out: &mut Vec<u8>) {
    if let Some(field) = field {
        field.write(out);
    }
}

/// As postcard writes it, without a copy on the way: the bytes may be secret.
fn put_option(bytes: &[u8], out: &mut Vec<u8>) {
    debug_assert!(bytes.len() < 128, "its length takes one byte");
    out.extend_from_slice(&[FIELD_TAG, bytes.len() as u8]);
    out.extend_from_slice(bytes);
}

/// The field among these optional fields, if it is there.
pub(super) fn read_field<F: Field>(options: &[u8]) -> Result<Option<F>, FrameError> {
    let Some(bytes) = option(options, FIELD_TAG) else { return Ok(None) };
    F::read(bytes).map(Some).ok_or(FrameError::Content)
}
