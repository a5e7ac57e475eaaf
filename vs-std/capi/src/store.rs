//! A replicated state whose operations are functions of C.

use core::ffi::{c_char, c_void};
use core::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use vs_core::replica::{Broken, ReplicaEvent, Restore, Sink, Source, State};
use vs_std::{CallError, Pending, ReplicaOptions, Replicated};

use crate::error::{Failure, VS_ERR_ENDED, VS_NOTHING, VS_OK, guard, words};
use crate::group::time;
use crate::memory;
use crate::options::{group_name, processes, read, vs_options};
use crate::table::Table;

/// A replicated state. It belongs to the program: end it with vs_store_free. Threads may share it.
#[derive(Debug)]
pub struct vs_store;

/// A call that waits for its answer. It belongs to the program: end it with vs_pending_free.
#[derive(Debug)]
pub struct vs_pending;

/// Takes bytes, during the callback that it is handed to.
pub struct vs_writer<'a>(&'a mut dyn Sink);

/// Hands out bytes, during the callback that it is handed to.
pub struct vs_reader<'a>(&'a mut dyn Source);

/// What a state is. The functions are called on threads of the library, never two at once with one
/// state. They must not end by an exception or by longjmp, and must not call the store.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vs_state_ops {
    /// `sizeof(vs_state_ops)`.
    pub size: u32,
    /// 0.
    pub reserved: u32,
    /// Handed to `restore` and `hear`.
    pub user: *mut c_void,
    /// Carries an operation out, and writes its answer. It depends on the state and the operation
    /// alone: not on time, random numbers, addresses or the order of a hash table.
    pub apply: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            op: *const u8,
            op_len: usize,
            answer: *mut vs_writer<'_>,
        ),
    >,
    /// Writes all of the state: equal states write equal bytes. Not 0: it cannot.
    pub snapshot:
        Option<unsafe extern "C" fn(state: *const c_void, out: *mut vs_writer<'_>) -> i32>,
    /// Makes another state of what `snapshot` wrote, to the end. Not 0: it cannot.
    pub restore: Option<
        unsafe extern "C" fn(
            user: *mut c_void,
            input: *mut vs_reader<'_>,
            state: *mut *mut c_void,
        ) -> i32,
    >,
    /// Frees a state. NULL: nothing is to be freed.
    pub drop_state: Option<unsafe extern "C" fn(state: *mut c_void)>,
    /// Hears in words what happens. NULL: nobody does.
    pub hear: Option<unsafe extern "C" fn(user: *mut c_void, text: *const c_char)>,
}

type Write = unsafe extern "C" fn(*const c_void, *mut vs_writer<'_>) -> i32;
type Read = unsafe extern "C" fn(*mut c_void, *mut vs_reader<'_>, *mut *mut c_void) -> i32;
type Apply = unsafe extern "C" fn(*mut c_void, *const u8, usize, *mut vs_writer<'_>);

/// The functions that a state needs, all there.
#[derive(Clone, Copy)]
struct Ops {
    user: *mut c_void,
    apply: Apply,
    snapshot: Write,
    restore: Read,
    drop_state: Option<unsafe extern "C" fn(*mut c_void)>,
    hear: Option<unsafe extern "C" fn(*mut c_void, *const c_char)>,
}

// SAFETY: the header says that the functions are called on threads of the library; `user` is only
// handed to them.
unsafe impl Send for Ops {}
// SAFETY: the same.
unsafe impl Sync for Ops {}

/// A state of C, which is freed with it.
struct CState {
    ops: Ops,
    state: *mut c_void,
}

// SAFETY: the header says that a state goes from thread to thread, and is used by one at a time.
unsafe impl Send for CState {}

impl Drop for CState {
    fn drop(&mut self) {
        if let Some(drop_state) = self.ops.drop_state {
            // SAFETY: the state came from C, and nobody has it any more.
            unsafe { drop_state(self.state) };
        }
    }
}

impl fmt::Debug for CState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CState")
    }
}

impl State for CState {
    type Op = Vec<u8>;
    type Out = Vec<u8>;

    fn apply(&mut self, op: Vec<u8>) -> Vec<u8> {
        let mut answer = Vec::new();
        let mut writer = vs_writer(&mut answer);
        // SAFETY: the state is the one that these functions know; the rest lives during the call.
        unsafe { (self.ops.apply)(self.state, op.as_ptr(), op.len(), &raw mut writer) };
        answer
    }

    fn snapshot(&self, out: &mut dyn Sink) -> Result<(), Broken> {
        let mut writer = vs_writer(out);
        // SAFETY: as above.
        match unsafe { (self.ops.snapshot)(self.state, &raw mut writer) } {
            0 => Ok(()),
            code => Err(Broken::new(format!("snapshot answered {code}"))),
        }
    }

    /// Never called: [`restore`] is in its place.
    fn restore(_: &mut dyn Source) -> Result<Self, Broken> {
        Err(Broken::new("a state of C is restored by its own function"))
    }
}

fn restore(ops: Ops, input: &mut dyn Source) -> Result<CState, Broken> {
    let (mut state, mut reader) = (core::ptr::null_mut(), vs_reader(input));
    // SAFETY: `user` is that of these functions; the rest lives during the call.
    match unsafe { (ops.restore)(ops.user, &raw mut reader, &raw mut state) } {
        0 => Ok(CState { ops, state }),
        code => Err(Broken::new(format!("restore answered {code}"))),
    }
}

static STORES: Table<Replicated<CState>> = Table::new("store");
static PENDING: Table<Mutex<Call>> = Table::new("pending call");

/// Where a call stands.
enum Call {
    Waits(Pending<Vec<u8>>),
    Done(Vec<u8>),
    Failed(Failure),
}

/// Writes bytes. Not VS_OK: there is no room for them, so let the callback answer an error.
///
/// # Safety
/// `writer` is NULL or was handed to the callback that runs; `data` has `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_write(writer: *mut vs_writer<'_>, data: *const u8, len: usize) -> i32 {
    guard(|| {
        // SAFETY: it is NULL or lives while the callback runs, and nobody else has it.
        let writer = unsafe { writer.as_mut() };
        let writer = writer.ok_or_else(|| Failure::argument("the writer is NULL"))?;
        // SAFETY: the caller promises the same.
        let bytes = unsafe { memory::bytes(data, len) }?;
        writer.0.put(bytes).map_err(Failure::argument)?;
        Ok(VS_OK)
    })
}

/// Reads up to `room` bytes; `len` 0 at the end alone.
///
/// # Safety
/// `reader` is NULL or was handed to the callback that runs; `buffer` has `room` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_read(
    reader: *mut vs_reader<'_>,
    buffer: *mut u8,
    room: usize,
    len: *mut usize,
) -> i32 {
    guard(|| {
        memory::check(len)?;
        memory::check(buffer)?;
        // SAFETY: it is NULL or lives while the callback runs, and nobody else has it.
        let reader = unsafe { reader.as_mut() };
        let reader = reader.ok_or_else(|| Failure::argument("the reader is NULL"))?;
        let mut part = vec![0; room.min(1 << 16)];
        let count = reader.0.take(&mut part).map_err(Failure::argument)?;
        // SAFETY: the caller promises the same.
        unsafe { memory::copy(&part[..count], buffer, room, len) }
    })
}

/// Joins a group, and takes part in its state, of which more than half of `primary_of` must have
/// it. A new state begins with `initial`, the same at all members; it belongs to the store from
/// here on, also if this fails with VS_ERR_OPTION. The order of the options does not count.
///
/// # Safety
/// As vs_join; `ops` is as it says of itself, and its functions are there until the process ends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_store_open(
    name: *const c_char,
    options: *const vs_options,
    primary_of: *const u64,
    primary_of_len: usize,
    ops: *const vs_state_ops,
    initial: *mut c_void,
    store: *mut *mut vs_store,
) -> i32 {
    guard(|| {
        memory::check(store)?;
        // SAFETY: the caller promises the same; zero bytes are functions that are not there.
        let (raw, name, primary_of) = unsafe {
            let primary_of = processes(primary_of, primary_of_len, "primary_of")?;
            (memory::sized(ops, "ops")?, group_name(name)?, primary_of)
        };
        let vs_state_ops { user, drop_state, hear, .. } = raw;
        let (Some(apply), Some(snapshot), Some(restored)) = (raw.apply, raw.snapshot, raw.restore)
        else {
            return Err(Failure::argument("apply, snapshot or restore is NULL: hand in all"));
        };
        let ops = Ops { user, apply, snapshot, restore: restored, drop_state, hear };
        // Whatever is wrong with the options, it is given up in order.
        let initial = CState { ops, state: initial };
        // SAFETY: the caller promises the same.
        let join = unsafe { read(options) }?;
        let tell = move |event: ReplicaEvent| ops.tell(&event);
        let replica = ReplicaOptions::new(&primary_of).with_hear(tell);
        let restore = Restore::new(move |input| restore(ops, input));
        let opened = Replicated::open_with(&name, join, replica, initial, restore)?;
        // SAFETY: it is a place, and was checked.
        unsafe { memory::put(store, STORES.add(opened)) }?;
        Ok(VS_OK)
    })
}

impl Ops {
    fn tell(&self, event: &ReplicaEvent) {
        if let Some(hear) = self.hear {
            // SAFETY: `user` is that of this function; the text lives during the call.
            unsafe { hear(self.user, words(event).as_ptr()) };
        }
    }
}

/// Waits until calls are answered. VS_NOTHING: not in time.
#[unsafe(no_mangle)]
pub extern "C" fn vs_store_wait(store: *const vs_store, timeout_ms: i64) -> i32 {
    guard(|| {
        let timeout = time(timeout_ms).unwrap_or(core::time::Duration::MAX);
        let served = STORES.get(store)?.wait_until_served(timeout);
        let served = served.map_err(|end| Failure::new(VS_ERR_ENDED, end))?;
        Ok(if served { VS_OK } else { VS_NOTHING })
    })
}

/// Asks for an operation to be carried out, once, in the order of all. Does not wait. The bytes are
/// copied.
///
/// # Safety
/// `op` has `len` bytes; `pending` is NULL or a place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_store_begin(
    store: *const vs_store,
    op: *const u8,
    len: usize,
    pending: *mut *mut vs_pending,
) -> i32 {
    guard(|| {
        memory::check(pending)?;
        // SAFETY: the caller promises the same.
        let op = unsafe { memory::bytes(op, len) }?.to_vec();
        let begun = STORES.get(store)?.begin(&op).map_err(|error| Failure::from(&error))?;
        // SAFETY: it is a place, and was checked.
        unsafe { memory::put(pending, PENDING.add(Mutex::new(Call::Waits(begun)))) }?;
        Ok(VS_OK)
    })
}

/// Waits for the answer. VS_NOTHING: it is not there yet, wait again. VS_OK: `answer` and `len` say
/// where it is, until vs_pending_free. One thread waits at a time.
///
/// # Safety
/// `answer` and `len` are NULL or places.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_pending_wait(
    pending: *const vs_pending,
    timeout_ms: i64,
    answer: *mut *const u8,
    len: *mut usize,
) -> i32 {
    guard(|| {
        memory::check(answer)?;
        memory::check(len)?;
        let entry = PENDING.get(pending)?;
        let mut call = entry.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = || Failure::new(crate::error::VS_ERR_PANIC, "a wait has failed before");
        *call = match core::mem::replace(&mut *call, Call::Failed(lost())) {
            Call::Waits(waits) => {
                match waits.wait(time(timeout_ms).unwrap_or(core::time::Duration::MAX)) {
                    Ok(answer) => Call::Done(answer),
                    Err(CallError::Unknown(waits)) => Call::Waits(waits),
                    Err(error) => Call::Failed(Failure::from(&error)),
                }
            }
            settled => settled,
        };
        match &*call {
            Call::Waits(_) => Ok(VS_NOTHING),
            Call::Failed(failure) => Err(failure.again()),
            Call::Done(bytes) => {
                // SAFETY: they are places, and were checked.
                unsafe {
                    memory::put(answer, bytes.as_ptr())?;
                    memory::put(len, bytes.len())?;
                }
                Ok(VS_OK)
            }
        }
    })
}

/// Frees a call and its answer. One that was not answered is perhaps still carried out.
#[unsafe(no_mangle)]
pub extern "C" fn vs_pending_free(pending: *mut vs_pending) -> i32 {
    guard(|| {
        drop(PENDING.remove(pending)?);
        Ok(VS_OK)
    })
}

/// What reads a state, and where it writes; nobody does any more once the call has ended.
struct Look {
    look: unsafe extern "C" fn(*mut c_void, *const c_void),
    arg: *mut c_void,
}

// SAFETY: the header says that `look` runs on a thread of the library while the caller waits.
unsafe impl Send for Look {}

impl Look {
    fn at(&self, state: &CState) {
        // SAFETY: the caller waits, so `arg` is there; nobody changes the state meanwhile.
        unsafe { (self.look)(self.arg, state.state) };
    }
}

/// Calls `look(arg, state)` once all is in the state that was answered before, and waits for that,
/// for up to 10 s. It runs on a thread of the library, during this call alone.
///
/// # Safety
/// `look` reads the state, and what `arg` points to is there during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_store_read(
    store: *const vs_store,
    look: Option<unsafe extern "C" fn(arg: *mut c_void, state: *const c_void)>,
    arg: *mut c_void,
) -> i32 {
    guard(|| {
        let store = STORES.get(store)?;
        let look = look.ok_or_else(|| Failure::argument("look is NULL: hand in a function"))?;
        let slot = Arc::new(Mutex::new(Some(Look { look, arg })));
        let theirs = Arc::clone(&slot);
        let read = store.read(move |state| {
            // The lock keeps the caller here while it runs.
            if let Some(look) = theirs.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
                look.at(state);
            }
        });
        // Who gave up is not called any more.
        slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        read.map_err(|error| Failure::from(&error))?;
        Ok(VS_OK)
    })
}

/// How the store fares, in words, without a NUL. VS_ERR_BUFFER: `len` says how many bytes to offer.
///
/// # Safety
/// `buffer` is NULL or has `room` bytes; `len` is a place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_store_status(
    store: *const vs_store,
    buffer: *mut u8,
    room: usize,
    len: *mut usize,
) -> i32 {
    guard(|| {
        let store = STORES.get(store)?;
        let text = store.end().map_or_else(|| store.status().to_string(), |end| end.to_string());
        // SAFETY: the caller promises the same.
        unsafe { memory::copy(text.as_bytes(), buffer, room, len) }
    })
}

/// Leaves in good order, and waits for that. The handle is still there: calls answer VS_ERR_ENDED.
#[unsafe(no_mangle)]
pub extern "C" fn vs_store_leave(store: *const vs_store) -> i32 {
    guard(|| {
        Replicated::clone(&*STORES.get(store)?).leave();
        Ok(VS_OK)
    })
}

/// Frees a store. Without vs_store_leave before, that is a crash in the eyes of the others.
#[unsafe(no_mangle)]
pub extern "C" fn vs_store_free(store: *mut vs_store) -> i32 {
    guard(|| {
        drop(STORES.remove(store)?);
        Ok(VS_OK)
    })
}
