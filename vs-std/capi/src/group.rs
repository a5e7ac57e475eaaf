//! A group, as a handle that threads share.

use core::ffi::{c_char, c_int};
use core::time::Duration;
use std::os::fd::AsRawFd;

use vs_std::SharedGroup;

use crate::error::{Failure, VS_ERR_ENDED, VS_ERR_SYSTEM, VS_NOTHING, VS_OK, guard};
use crate::event::{hand_out, of_view, vs_event};
use crate::memory;
use crate::options::{group_name, read, read_keys, vs_options};
use crate::table::Table;

/// A process in a group. It belongs to the program: end it with vs_free. Threads may share it.
#[derive(Debug)]
pub struct vs_group;

#[derive(Debug)]
struct Entry {
    group: SharedGroup,
    process: u64,
}

static GROUPS: Table<Entry> = Table::new("group");

/// A time that C gives: negative is for ever.
pub(crate) fn time(ms: i64) -> Option<Duration> {
    u64::try_from(ms).ok().map(Duration::from_millis)
}

/// Joins a group. `options` NULL: everything by default. Does not wait for the first view.
///
/// # Safety
/// `name` is a text, `options` is NULL or as it says of itself, `group` is a place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_join(
    name: *const c_char,
    options: *const vs_options,
    group: *mut *mut vs_group,
) -> i32 {
    guard(|| {
        memory::check(group)?;
        // SAFETY: the caller promises the same.
        let (name, join) = unsafe { (group_name(name)?, read(options)?) };
        let process = join.driver.process.0;
        let joined = SharedGroup::join(&name, join)?;
        // SAFETY: it is a place, and was checked.
        unsafe { memory::put(group, GROUPS.add(Entry { group: joined, process })) }?;
        Ok(VS_OK)
    })
}

/// Frees a group. Without vs_leave before, that is a crash in the eyes of the others. A call of
/// another thread that still waits goes on to its end; none may begin.
#[unsafe(no_mangle)]
pub extern "C" fn vs_free(group: *mut vs_group) -> i32 {
    guard(|| {
        drop(GROUPS.remove(group)?);
        Ok(VS_OK)
    })
}

/// The id of this process.
///
/// # Safety
/// `process` is NULL or a place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_process(group: *const vs_group, process: *mut u64) -> i32 {
    guard(|| {
        let id = GROUPS.get(group)?.process;
        // SAFETY: the caller promises the same.
        unsafe { memory::put(process, id) }?;
        Ok(VS_OK)
    })
}

/// Multicasts `len` bytes, and waits for room for up to `send_timeout_ms` of the options. The bytes
/// are copied.
///
/// # Safety
/// `data` has `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_send(group: *const vs_group, data: *const u8, len: usize) -> i32 {
    guard(|| {
        let entry = GROUPS.get(group)?;
        // SAFETY: the caller promises the same.
        entry.group.send(unsafe { memory::bytes(data, len) }?)?;
        Ok(VS_OK)
    })
}

/// vs_send that waits for at most `timeout_ms`; 0: not at all, VS_ERR_FULL if there is no room.
/// Negative: as the options say.
///
/// # Safety
/// `data` has `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_send_timeout(
    group: *const vs_group,
    data: *const u8,
    len: usize,
    timeout_ms: i64,
) -> i32 {
    guard(|| {
        let entry = GROUPS.get(group)?;
        // SAFETY: the caller promises the same.
        let payload = unsafe { memory::bytes(data, len) }?;
        match time(timeout_ms) {
            None => entry.group.send(payload)?,
            Some(Duration::ZERO) => entry.group.try_send(payload)?,
            Some(timeout) => entry.group.send_timeout(payload, timeout)?,
        }
        Ok(VS_OK)
    })
}

/// Waits for the next event for at most `timeout_ms`: 0 not at all, negative for ever. VS_NOTHING:
/// there was none. After VS_ERR_LEFT and VS_ERR_DETACHED nothing more will come.
///
/// # Safety
/// `event` is NULL or a place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_recv(
    group: *const vs_group,
    timeout_ms: i64,
    event: *mut *mut vs_event,
) -> i32 {
    guard(|| {
        memory::check(event)?;
        let entry = GROUPS.get(group)?;
        let received = match time(timeout_ms) {
            None => Some(entry.group.recv()?),
            Some(timeout) => entry.group.recv_timeout(timeout)?,
        };
        let Some(received) = received else { return Ok(VS_NOTHING) };
        // SAFETY: it is a place, and was checked.
        unsafe { memory::put(event, hand_out(received)) }?;
        Ok(VS_OK)
    })
}

/// A descriptor that is readable while an event is there, and after the end: for poll, epoll and
/// event loops. Receive with timeout 0 then, until VS_NOTHING. It belongs to the group: do not
/// read, write or close it, and take it out of the loop before vs_free.
///
/// # Safety
/// `fd` is NULL or a place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_fd(group: *const vs_group, fd: *mut c_int) -> i32 {
    guard(|| {
        let ready = GROUPS.get(group)?.group.readiness();
        let ready = ready.map_err(|error| Failure::new(VS_ERR_SYSTEM, error))?;
        // SAFETY: the caller promises the same. The group keeps the descriptor open.
        unsafe { memory::put(fd, ready.as_raw_fd()) }?;
        Ok(VS_OK)
    })
}

/// The view that was received last, as an event of VS_EVENT_VIEW without its transitional set.
///
/// # Safety
/// `view` is NULL or a place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_view(group: *const vs_group, view: *mut *mut vs_event) -> i32 {
    guard(|| {
        memory::check(view)?;
        let now = GROUPS.get(group)?.group.view();
        // SAFETY: it is a place, and was checked.
        unsafe { memory::put(view, of_view(now)) }?;
        Ok(VS_OK)
    })
}

/// What the node sees now, with its counters, as one object of JSON that `vs status --json` prints,
/// without a NUL. VS_ERR_BUFFER: `len` says how many bytes to offer.
///
/// # Safety
/// `buffer` is NULL or has `room` bytes; `len` is a place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_status(
    group: *const vs_group,
    buffer: *mut u8,
    room: usize,
    len: *mut usize,
) -> i32 {
    guard(|| {
        let status = GROUPS.get(group)?.group.inspect(|driver| driver.status());
        let ended = || Failure::new(VS_ERR_ENDED, "membership has ended: join again");
        let status = serde_json::to_vec(&status.ok_or_else(ended)?);
        let status = status.map_err(|error| Failure::new(VS_ERR_SYSTEM, error))?;
        // SAFETY: the caller promises the same.
        unsafe { memory::copy(&status, buffer, room, len) }
    })
}

/// Seals with the keys of a file from now on, and opens with these alone.
///
/// # Safety
/// `key_file` is a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_set_key_file(group: *const vs_group, key_file: *const c_char) -> i32 {
    guard(|| {
        let entry = GROUPS.get(group)?;
        // SAFETY: the caller promises the same.
        let file = unsafe { memory::text(key_file, "key_file") }?;
        let file = file.ok_or_else(|| Failure::argument("key_file is NULL: name one"))?;
        let set = entry.group.set_keys(read_keys(file)?);
        set.map_err(|error| Failure::new(VS_ERR_SYSTEM, error))?;
        Ok(VS_OK)
    })
}

/// Asks to leave, and does not wait: VS_EVENT_LEFT is the last event that is received.
#[unsafe(no_mangle)]
pub extern "C" fn vs_begin_leave(group: *const vs_group) -> i32 {
    guard(|| {
        GROUPS.get(group)?.group.begin_leave();
        Ok(VS_OK)
    })
}

/// Leaves, and waits until all members have what was sent. `unsent`, unless it is NULL: how many
/// messages nobody will see. The handle is still there: calls answer VS_ERR_LEFT until vs_free.
///
/// # Safety
/// `unsent` is NULL or a place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_leave(group: *const vs_group, unsent: *mut u64) -> i32 {
    guard(|| {
        let count = GROUPS.get(group)?.group.clone().leave()?;
        if !unsent.is_null() {
            // SAFETY: the caller promises the same.
            unsafe { memory::put(unsent, count as u64) }?;
        }
        Ok(VS_OK)
    })
}
