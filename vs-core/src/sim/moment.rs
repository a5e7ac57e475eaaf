//! Moments in the life of a process.

use crate::trace::Event;

/// A moment in the life of a process, at which things may be done to it or to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The process was told of a proposed change.
    StartChange,
    /// The process has sent its sync message.
    Sync,
    /// The process was told the view of the membership service.
    MbrView,
    /// The process has forwarded a packet.
    Forward,
    /// The process has installed a view.
    View,
    /// The process was asked to stop sending.
    Block,
}

impl Moment {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::StartChange, Self::Sync, Self::MbrView, Self::Forward, Self::View, Self::Block];

    pub(crate) fn of(event: &Event) -> Option<Self> {
        match event {
            Event::StartChange { .. } => Some(Self::StartChange),
            Event::Sync { .. } => Some(Self::Sync),
            Event::MbrView { .. } => Some(Self::MbrView),
            Event::Forward { .. } => Some(Self::Forward),
            Event::View { .. } => Some(Self::View),
            Event::Block => Some(Self::Block),
            _ => None,
        }
    }
}
