//! How far the promise of an order reaches.

/// To whom the promise of an order reaches for a delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Stage {
    /// To all members of the view: before [`crate::Action::Signal`], and always in groups of
    /// [`crate::order::Order::Fifo`].
    #[default]
    Regular,
    /// To the transitional set alone. Members outside it may have delivered the message before
    /// their own signal.
    Recorded,
    /// To the transitional set alone. Nobody delivered the message before a signal.
    Tail,
}
