//! What C hands in and wants back: the one place that follows its pointers.

use core::ffi::{CStr, c_char};

use crate::error::{Failure, VS_ERR_BUFFER, VS_OK};

/// Bytes that are read during the call.
///
/// # Safety
/// `data` is NULL or has `len` bytes, which nobody writes during the call.
pub(crate) unsafe fn bytes<'a>(data: *const u8, len: usize) -> Result<&'a [u8], Failure> {
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() || len > isize::MAX.unsigned_abs() {
        return Err(Failure::argument(
            "the bytes are NULL, or too many: hand in as many as you say",
        ));
    }
    // SAFETY: there are `len` bytes, says the caller; it is not NULL, and the length was checked.
    Ok(unsafe { core::slice::from_raw_parts(data, len) })
}

/// A text that is read during the call; `None` if it is NULL.
///
/// # Safety
/// `text` is NULL or ends with a NUL, and nobody writes it during the call.
pub(crate) unsafe fn text<'a>(text: *const c_char, name: &str) -> Result<Option<&'a str>, Failure> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: it ends with a NUL, says the caller, and is not NULL.
    let found = unsafe { CStr::from_ptr(text) };
    let found = found.to_str();
    found.map(Some).map_err(|_| Failure::argument(format!("{name} is no UTF-8: write it so")))
}

/// Writes a result.
///
/// # Safety
/// `out` is NULL or a place for a `T`.
pub(crate) unsafe fn put<T>(out: *mut T, value: T) -> Result<(), Failure> {
    if out.is_null() {
        return Err(no_place());
    }
    // SAFETY: it is a place for a `T`, says the caller, and is not NULL.
    unsafe { out.write(value) };
    Ok(())
}

/// Refuses a NULL before anything is done.
pub(crate) fn check<T>(out: *mut T) -> Result<(), Failure> {
    if out.is_null() { Err(no_place()) } else { Ok(()) }
}

fn no_place() -> Failure {
    Failure::argument("the place for the result is NULL: hand in one")
}

/// Copies `from` to a buffer, and says how long it is.
///
/// # Safety
/// `buffer` is NULL or has room for `room` bytes; `len` is NULL or a place.
pub(crate) unsafe fn copy(
    from: &[u8],
    buffer: *mut u8,
    room: usize,
    len: *mut usize,
) -> Result<i32, Failure> {
    // SAFETY: the caller promises the same.
    unsafe { put(len, from.len()) }?;
    if room < from.len() || buffer.is_null() && !from.is_empty() {
        let needed = from.len();
        return Err(Failure::new(
            VS_ERR_BUFFER,
            format!("{needed} bytes do not fit: offer as many"),
        ));
    }
    if !from.is_empty() {
        // SAFETY: the buffer has room for all of `from`, which is memory of this library.
        unsafe { core::ptr::copy_nonoverlapping(from.as_ptr(), buffer, from.len()) };
    }
    Ok(VS_OK)
}

/// A struct whose first field is its size, as large as the caller knows it: newer fields are zero.
///
/// # Safety
/// `from` is NULL or begins with the bytes that it has; zero bytes are a `T`, and any bytes of C.
pub(crate) unsafe fn sized<T>(from: *const T, name: &str) -> Result<T, Failure> {
    if from.is_null() {
        return Err(Failure::argument(format!("{name} is NULL: hand in one")));
    }
    // SAFETY: each such struct begins with its size.
    let size = unsafe { from.cast::<u32>().read_unaligned() } as usize;
    let most = size_of::<T>();
    if size < size_of::<u32>() || size > 4096 {
        return Err(Failure::argument(format!("{name}.size is {size}: set it to sizeof")));
    }
    if size > most {
        // SAFETY: there are `size` bytes, says the field.
        let more = unsafe { bytes(from.cast::<u8>().add(most), size - most) }?;
        if more.iter().any(|byte| *byte != 0) {
            let why =
                format!("{name} has fields that this library does not know: load a newer one");
            return Err(Failure::argument(why));
        }
    }
    let mut value = core::mem::MaybeUninit::<T>::zeroed();
    // SAFETY: both have as many bytes, and zero bytes are a `T`.
    unsafe {
        let to = value.as_mut_ptr().cast::<u8>();
        core::ptr::copy_nonoverlapping(from.cast::<u8>(), to, size.min(most));
        Ok(value.assume_init())
    }
}

/// Fills a struct whose first field is its size, as far as the caller knows it.
///
/// # Safety
/// `to` is NULL or begins with its size, and has as many bytes.
pub(crate) unsafe fn fill<T>(to: *mut T, value: &T, name: &str) -> Result<(), Failure> {
    if to.is_null() {
        return Err(Failure::argument(format!("{name} is NULL: hand in one")));
    }
    // SAFETY: each such struct begins with its size.
    let size = unsafe { to.cast::<u32>().read_unaligned() } as usize;
    let head = size_of::<u32>();
    if size < head || size > 4096 {
        return Err(Failure::argument(format!("{name}.size is {size}: set it to sizeof")));
    }
    let count = size.min(size_of::<T>()) - head;
    // SAFETY: both have `head + count` bytes; the size stays as the caller has set it.
    unsafe {
        let from = core::ptr::from_ref(value).cast::<u8>().add(head);
        core::ptr::copy_nonoverlapping(from, to.cast::<u8>().add(head), count);
    }
    Ok(())
}
