//! Events as C reads them.

use core::ffi::c_char;
use core::ptr;
use std::ffi::CString;

use vs_core::View;
use vs_core::ident::ProcessId;
use vs_core::order::Stage;
use vs_std::Event;

use crate::error::{Failure, VS_OK, guard, words};
use crate::memory;
use crate::table::Table;

/// Of a kind that this version of the ABI does not name; `text` says what it is.
pub const VS_EVENT_OTHER: u32 = 0;
/// A message: `from`, `number`, `stage`, `payload`. Own messages come back, too.
pub const VS_EVENT_MESSAGE: u32 = 1;
/// A new view: `view_major`, `view_minor`, `members`, `transitional`, `flag` (there is a quorum).
pub const VS_EVENT_VIEW: u32 = 2;
/// The view ends: what comes from here on is promised to `transitional` alone.
pub const VS_EVENT_SIGNAL: u32 = 3;
/// A message to this process alone: `from`, `payload`.
pub const VS_EVENT_DIRECT: u32 = 4;
/// The view is primary from here on.
pub const VS_EVENT_PRIMARY: u32 = 5;
/// The view does not hold any more for this process.
pub const VS_EVENT_LAPSED: u32 = 6;
/// The view holds again.
pub const VS_EVENT_RESTORED: u32 = 7;
/// Messages are missing here, since this process receives too slowly: `count`.
pub const VS_EVENT_GAP: u32 = 8;
/// The process is out: `text` says why, `flag` whether for good.
pub const VS_EVENT_DETACHED: u32 = 9;
/// No membership server answers: `text`.
pub const VS_EVENT_UNANSWERED: u32 = 10;
/// The group was left: `count` messages nobody will see.
pub const VS_EVENT_LEFT: u32 = 11;

/// `stage`: promised to all members of the view.
pub const VS_STAGE_REGULAR: u32 = 0;
/// `stage`: promised to the transitional set alone.
pub const VS_STAGE_RECORDED: u32 = 1;
/// `stage`: the same, and nobody delivered it before the signal.
pub const VS_STAGE_TAIL: u32 = 2;

/// An event. It belongs to the program: end it with vs_event_free.
#[derive(Debug)]
pub struct vs_event;

/// What an event holds. Set `size` to `sizeof(vs_event_info)`. What the kind does not name is 0 or
/// NULL. All that it points to belongs to the event, and is there until vs_event_free.
#[repr(C)]
#[derive(Debug)]
pub struct vs_event_info {
    /// `sizeof(vs_event_info)`.
    pub size: u32,
    /// VS_EVENT_.
    pub kind: u32,
    /// Who sent it.
    pub from: u64,
    /// The sender's number of the message in the view, from 1.
    pub number: u64,
    /// VS_STAGE_.
    pub stage: u32,
    /// See the kind.
    pub flag: u32,
    /// The message: bytes, perhaps with NULs, and none behind them.
    pub payload: *const u8,
    /// How many.
    pub payload_len: usize,
    /// The id of the view grows.
    pub view_major: u64,
    /// Tells views of one number apart.
    pub view_minor: u64,
    /// Members of the view, ascending.
    pub members: *const u64,
    /// How many.
    pub members_len: usize,
    /// Members that came from the same view as this process, ascending.
    pub transitional: *const u64,
    /// How many.
    pub transitional_len: usize,
    /// See the kind.
    pub count: u64,
    /// Words for people; UTF-8.
    pub text: *const c_char,
}

/// An event with what C reads of it.
#[derive(Debug)]
struct Held {
    event: Event,
    members: Vec<u64>,
    transitional: Vec<u64>,
    text: Option<CString>,
}

static EVENTS: Table<Held> = Table::new("event");

fn numbers(processes: &[ProcessId]) -> Vec<u64> {
    processes.iter().map(|process| process.0).collect()
}

/// Hands an event to C.
pub(crate) fn hand_out(event: Event) -> *mut vs_event {
    let mut held = Held { members: Vec::new(), transitional: Vec::new(), text: None, event };
    match &held.event {
        Event::View { view, transitional, .. } => {
            held.members = numbers(view.members());
            held.transitional = numbers(transitional);
        }
        Event::Signal { transitional } => held.transitional = numbers(transitional),
        Event::Detached { reason } => held.text = Some(words(reason)),
        Event::Unanswered(unanswered) => held.text = Some(words(unanswered)),
        Event::Membership(request) => held.text = Some(words(format!("{request:?}"))),
        _ => {}
    }
    EVENTS.add(held)
}

/// A view as an event, whose transitional set is not known.
pub(crate) fn of_view(view: View) -> *mut vs_event {
    hand_out(Event::View { view, transitional: Vec::new(), quorum: false, clusters: None })
}

/// A list for C, NULL if it is empty.
fn list<T>(items: &[T]) -> (*const T, usize) {
    (if items.is_empty() { ptr::null() } else { items.as_ptr() }, items.len())
}

fn info(held: &Held) -> vs_event_info {
    let (members, members_len) = list(&held.members);
    let (transitional, transitional_len) = list(&held.transitional);
    let text = held.text.as_ref().map_or(ptr::null(), |text| text.as_ptr());
    let mut info = vs_event_info {
        size: 0,
        kind: VS_EVENT_OTHER,
        from: 0,
        number: 0,
        stage: VS_STAGE_REGULAR,
        flag: 0,
        payload: ptr::null(),
        payload_len: 0,
        view_major: 0,
        view_minor: 0,
        members,
        members_len,
        transitional,
        transitional_len,
        count: 0,
        text,
    };
    info.kind = match &held.event {
        Event::Message { from, number, payload, stage } => {
            (info.from, info.number) = (from.0, *number);
            (info.payload, info.payload_len) = list(payload);
            info.stage = match stage {
                Stage::Regular => VS_STAGE_REGULAR,
                Stage::Recorded => VS_STAGE_RECORDED,
                Stage::Tail => VS_STAGE_TAIL,
            };
            VS_EVENT_MESSAGE
        }
        Event::Direct { from, payload } => {
            info.from = from.0;
            (info.payload, info.payload_len) = list(payload);
            VS_EVENT_DIRECT
        }
        Event::View { view, quorum, .. } => {
            (info.view_major, info.view_minor) = (view.id().major, view.id().minor);
            info.flag = (*quorum).into();
            VS_EVENT_VIEW
        }
        Event::Signal { .. } => VS_EVENT_SIGNAL,
        Event::Primary => VS_EVENT_PRIMARY,
        Event::Lapsed => VS_EVENT_LAPSED,
        Event::Restored => VS_EVENT_RESTORED,
        Event::Gap { messages } => {
            info.count = *messages;
            VS_EVENT_GAP
        }
        Event::Detached { reason } => {
            info.flag = reason.is_final().into();
            VS_EVENT_DETACHED
        }
        Event::Unanswered(_) => VS_EVENT_UNANSWERED,
        Event::Left { unsent } => {
            info.count = *unsent as u64;
            VS_EVENT_LEFT
        }
        _ => VS_EVENT_OTHER,
    };
    info
}

/// Tells what an event holds.
///
/// # Safety
/// `to` is NULL or begins with its size and has as many bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_event_get(event: *const vs_event, to: *mut vs_event_info) -> i32 {
    guard(|| {
        let held = EVENTS.get(event)?;
        // SAFETY: the caller promises the same.
        unsafe { memory::fill(to, &info(&held), "info") }?;
        Ok(VS_OK)
    })
}

/// Frees an event, and all that its info points to.
#[unsafe(no_mangle)]
pub extern "C" fn vs_event_free(event: *mut vs_event) -> i32 {
    guard(|| {
        let held: Result<_, Failure> = EVENTS.remove(event);
        drop(held?);
        Ok(VS_OK)
    })
}
