//! An application for simulated worlds that sends messages at given times.

use vs_core::ident::GroupKey;
use vs_core::sim::{Application, Handle, ProcessPlan};
use vs_core::{Action, SendError, Time};

#[derive(Debug)]
pub(crate) struct Talker {
    group: Option<GroupKey>,
    /// Length of each message.
    bytes: usize,
    /// Something is said each so many µs …
    every_us: Option<u64>,
    /// … until then.
    until: Time,
    /// Whether a message is sent in the instant of each view and of each block request.
    at_views: bool,
    /// Whether it was asked to stop.
    asked: bool,
    /// Sends that were refused.
    pub(crate) refused: u64,
    next: Time,
    due: u64,
}

impl Talker {
    /// Something is said each `every_us` µs, if any.
    pub(crate) fn every(every_us: Option<u64>) -> Self {
        Self {
            group: None,
            bytes: 64,
            every_us,
            until: Time(u64::MAX),
            at_views: false,
            asked: false,
            refused: 0,
            next: Time::ZERO,
            due: 0,
        }
    }

    /// Messages of `bytes_max` bytes each `interval_us`; none of its own accord if that is 0.
    pub(crate) fn new(plan: &ProcessPlan) -> Self {
        let load = &plan.load;
        let bytes = load.bytes_max as usize;
        let every_us = Some(load.interval_us).filter(|us| *us > 0);
        Self { bytes, until: load.until, ..Self::every(every_us) }
    }

    /// A talker that also sends a message in the instant of each view and of each block request.
    pub(crate) fn at_views(plan: &ProcessPlan) -> Self {
        Self { at_views: true, ..Self::new(plan) }
    }
}

impl Application for Talker {
    fn handle_joined(&mut self, group: GroupKey) {
        self.group = Some(group);
    }

    fn handle_action(&mut self, _: Time, action: &Action<'_>) {
        let block = matches!(action, Action::Block { .. });
        self.asked |= block;
        self.due += u64::from(self.at_views && (block || matches!(action, Action::View { .. })));
    }

    fn act(&mut self, handle: &mut Handle<'_>) -> Option<Time> {
        let (group, now) = (self.group?, handle.now());
        let next = self.every_us.map(|us| now.plus_us(us)).filter(|_| now < self.until);
        if next.is_some() && now >= self.next {
            self.due += 1;
            self.next = now.plus_us(self.every_us.unwrap_or_default());
        }
        let payload = vec![self.due as u8; self.bytes];
        while self.due > 0 {
            match handle.send(group, &payload) {
                Ok(_) => self.due -= 1,
                Err(error) => {
                    self.refused += u64::from(error == SendError::WindowFull);
                    break;
                }
            }
        }
        if core::mem::take(&mut self.asked) {
            // Refused if the change is over; nothing is owed then.
            let _ = handle.block_ok(group);
        }
        next.map(|_| self.next)
    }

    fn handle_crash(&mut self) {
        (self.group, self.due, self.asked) = (None, 0, false);
    }

    fn say(&mut self, n: u64) {
        self.due += n;
    }

    fn is_drained(&self, _: GroupKey) -> bool {
        self.due == 0
    }
}
