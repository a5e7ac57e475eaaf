//! Handles: numbers that look like pointers, looked up at each call.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::error::{Failure, VS_ERR_HANDLE};

/// The number of the next handle of any kind: none is used twice. It is odd, so it is no address of
/// anything that C aligns.
static NEXT: AtomicUsize = AtomicUsize::new(1);

/// What the handles of one kind stand for.
#[derive(Debug)]
pub(crate) struct Table<T> {
    name: &'static str,
    entries: RwLock<BTreeMap<usize, Arc<T>>>,
}

impl<T> Table<T> {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self { name, entries: RwLock::new(BTreeMap::new()) }
    }

    pub(crate) fn add<H>(&self, value: T) -> *mut H {
        let number = NEXT.fetch_add(2, Ordering::Relaxed);
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.insert(number, Arc::new(value));
        core::ptr::without_provenance_mut(number)
    }

    pub(crate) fn get<H>(&self, handle: *const H) -> Result<Arc<T>, Failure> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.get(&handle.addr()).cloned().ok_or_else(|| self.unknown())
    }

    /// What it stands for is dropped by whoever uses it last.
    pub(crate) fn remove<H>(&self, handle: *const H) -> Result<Arc<T>, Failure> {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.remove(&handle.addr()).ok_or_else(|| self.unknown())
    }

    fn unknown(&self) -> Failure {
        let name = self.name;
        Failure::new(VS_ERR_HANDLE, format!("this is no {name}, or it was freed: use one that is"))
    }
}
