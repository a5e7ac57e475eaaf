//! The body of a data packet: whole messages one after the other, or one fragment of a large
//! message.
//!
//! ```text
//! messages   (length u32, payload) for each of them
//! fragment   the first one: length of the whole message u32, then its first part;
//!            the others: a part
//! ```
//!
//! Numbers are little-endian. The flags of the packet say which of them it is ([`Flags`]), and
//! whether the messages are the application's or go between members. A packet holds messages of one
//! of these two uses alone. Behind that stands a [`trailer`], if the flags say so. A packet may
//! hold nothing else.

use crate::wire::packet::{
    FLAG_FIRST, FLAG_FRAGMENT, FLAG_INTERNAL, FLAG_LAST, FLAG_TRAILER, data_bytes,
};
use crate::wire::trailer;

/// Bytes before each message of a packet, and before the first fragment: the length of the message.
pub(crate) const LENGTH_BYTES: usize = 4;

/// Room for the body of a packet in a datagram of `datagram_bytes`.
#[must_use]
#[inline]
pub const fn body_bytes(datagram_bytes: usize) -> usize {
    datagram_bytes.saturating_sub(data_bytes(0))
}

/// Packets that a message of `len` bytes takes, with `body_bytes` bytes to a packet.
#[must_use]
#[inline]
pub fn packets_for(len: usize, body_bytes: usize) -> usize {
    len.saturating_add(LENGTH_BYTES).div_ceil(body_bytes.max(1))
}

/// Whom a message of a stream is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Audience {
    /// The applications.
    #[default]
    Application,
    /// The members themselves: a transfer of state will send it. A member that does not
    /// know it drops it.
    Members,
}

/// What the body of a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    /// The flags of a packet that holds whole messages for `audience`.
    #[must_use]
    pub fn messages(audience: Audience) -> Self {
        Self(match audience {
            Audience::Application => 0,
            Audience::Members => FLAG_INTERNAL,
        })
    }

    /// Those in the header of a packet; other bits are ignored.
    #[must_use]
    #[inline]
    pub fn of(bits: u8) -> Self {
        Self(bits & (FLAG_FRAGMENT | FLAG_FIRST | FLAG_LAST | FLAG_INTERNAL | FLAG_TRAILER))
    }

    /// As they stand in the header of a packet.
    #[must_use]
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Whether the body is a part of one message.
    #[must_use]
    #[inline]
    pub fn is_fragment(self) -> bool {
        self.0 & FLAG_FRAGMENT != 0
    }

    /// Whether the body is the first part of a message.
    #[must_use]
    pub fn is_first(self) -> bool {
        self.0 & FLAG_FIRST != 0
    }

    /// Whether the body is the last part of a message.
    #[must_use]
    pub fn is_last(self) -> bool {
        self.0 & FLAG_LAST != 0
    }

    /// Whether what it holds does not go on in the next packet.
    #[must_use]
    #[inline]
    pub fn ends_message(self) -> bool {
        !self.is_fragment() || self.is_last()
    }

    /// The same for a body with a trailer.
    #[must_use]
    pub fn with_trailer(self) -> Self {
        Self(self.0 | FLAG_TRAILER)
    }

    /// Whether a trailer stands behind the messages.
    #[must_use]
    #[inline]
    pub fn has_trailer(self) -> bool {
        self.0 & FLAG_TRAILER != 0
    }

    /// Whether there is nothing that a body without messages contradicts.
    fn is_trailer_alone(self) -> bool {
        self.0 == FLAG_TRAILER
    }

    /// Whether the body is whole messages and nothing else.
    #[must_use]
    #[inline]
    pub fn is_plain(self) -> bool {
        self.0 & (FLAG_FRAGMENT | FLAG_TRAILER) == 0
    }

    /// Whether the messages go between members.
    #[must_use]
    #[inline]
    pub fn is_internal(self) -> bool {
        self.0 & FLAG_INTERNAL != 0
    }
}

/// Whether a body is well-formed in itself: whole messages, or one fragment of a plausible length.
#[inline]
pub(crate) fn is_sound(
    flags: Flags,
    body: &[u8],
    body_bytes: usize,
    message_bytes_max: usize,
) -> bool {
    if body.is_empty() || body.len() > body_bytes {
        return false;
    }
    if flags.has_trailer() {
        return is_sound_with_trailer(flags, body, message_bytes_max);
    }
    is_sound_content(flags, body, message_bytes_max)
}

/// Apart from the way of a packet without a trailer.
#[inline(never)]
fn is_sound_with_trailer(flags: Flags, body: &[u8], message_bytes_max: usize) -> bool {
    let Some((content, _)) = trailer::split(body) else { return false };
    if content.is_empty() {
        flags.is_trailer_alone()
    } else {
        is_sound_content(flags, content, message_bytes_max)
    }
}

#[inline]
fn is_sound_content(flags: Flags, body: &[u8], message_bytes_max: usize) -> bool {
    if !flags.is_fragment() {
        return holds_messages(body, message_bytes_max);
    }
    match (flags.is_first(), flags.is_last()) {
        (true, true) => false,
        (true, false) => {
            let total = length_at(body, 0);
            total.is_some_and(|n| n <= message_bytes_max && n + LENGTH_BYTES > body.len())
        }
        (false, _) => true,
    }
}

#[inline]
fn holds_messages(mut body: &[u8], message_bytes_max: usize) -> bool {
    while !body.is_empty() {
        match length_at(body, 0) {
            Some(len) if len <= message_bytes_max && len <= body.len() - LENGTH_BYTES => {
                body = &body[LENGTH_BYTES + len..];
            }
            _ => return false,
        }
    }
    true
}

#[inline]
fn length_at(body: &[u8], at: usize) -> Option<usize> {
    let field = body.get(at..at + LENGTH_BYTES)?;
    Some(u32::from_le_bytes(field.try_into().ok()?) as usize)
}

/// The messages of a sound body, or its fragment: what stands before the trailer.
#[inline]
pub(crate) fn content(flags: Flags, body: &[u8]) -> &[u8] {
    if flags.has_trailer() {
        trailer::split(body).map_or(&[], |(content, _)| content)
    } else {
        body
    }
}

/// Bytes of a large message that are still to come after this sound body, if `missing` were to come
/// before it. `None`: the body does not fit there.
pub(crate) fn left_after(missing: usize, flags: Flags, body: &[u8]) -> Option<usize> {
    match (missing, flags.is_fragment()) {
        (0, false) => Some(0),
        (0, true) if flags.is_first() => {
            let body = content(flags, body);
            length_at(body, 0).and_then(|n| (n + LENGTH_BYTES).checked_sub(body.len()))
        }
        (left, true) if !flags.is_first() => {
            let len = content(flags, body).len();
            left.checked_sub(len).filter(|&after| (after == 0) == flags.is_last())
        }
        _ => None,
    }
}

/// The message at byte `at` of a body of whole messages, and where it ends.
#[inline]
pub(crate) fn message_at(body: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let start = at + LENGTH_BYTES;
    let end = start + length_at(body, at)?;
    Some((body.get(start..end)?, end))
}

/// The part of a message that a fragment holds.
pub(crate) fn part(flags: Flags, body: &[u8]) -> Option<&[u8]> {
    content(flags, body).get(if flags.is_first() { LENGTH_BYTES } else { 0 }..)
}

/// Whether a message of `len` bytes fits behind the first `used` bytes of a body of `body_bytes`.
#[inline]
pub(crate) fn fits(len: usize, used: usize, body_bytes: usize) -> bool {
    len + LENGTH_BYTES <= body_bytes - used
}

/// Writes a message behind the first `used` bytes of `body`, in which it fits. Answers how many
/// bytes are used then.
#[inline]
pub(crate) fn append(body: &mut [u8], used: usize, message: &[u8]) -> usize {
    let end = used + LENGTH_BYTES + message.len();
    let place = &mut body[used..end];
    place[..LENGTH_BYTES].copy_from_slice(&(message.len() as u32).to_le_bytes());
    place[LENGTH_BYTES..].copy_from_slice(message);
    end
}

/// Cuts a message that does not fit one packet into bodies.
#[derive(Debug)]
pub(crate) struct Fragments<'a> {
    rest: &'a [u8],
    len: usize,
    /// Length of each body but the last.
    share: usize,
    flags: u8,
}

impl<'a> Fragments<'a> {
    /// The fragments of `message`, which takes more than one packet of `body_bytes`. All but the
    /// last are of one length, and the last is hardly shorter: so large messages go out in runs.
    pub(crate) fn new(message: &'a [u8], audience: Audience, body_bytes: usize) -> Self {
        let packets = packets_for(message.len(), body_bytes);
        let share = (message.len() + LENGTH_BYTES).div_ceil(packets);
        let flags = FLAG_FRAGMENT | FLAG_FIRST | Flags::messages(audience).bits();
        Self { rest: message, len: message.len(), share, flags }
    }

    /// Whether all of the message was written.
    pub(crate) fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// Writes the next fragment to the start of `body`: its flags and its length.
    pub(crate) fn write_next(&mut self, body: &mut [u8]) -> (Flags, usize) {
        let body = &mut body[..self.share];
        let head = if self.flags & FLAG_FIRST == 0 { 0 } else { LENGTH_BYTES };
        body[..head].copy_from_slice(&(self.len as u32).to_le_bytes()[..head]);
        let (part, rest) = self.rest.split_at(self.rest.len().min(self.share - head));
        body[head..head + part.len()].copy_from_slice(part);
        self.rest = rest;
        let last = if rest.is_empty() { FLAG_LAST } else { 0 };
        let flags = Flags(self.flags | last);
        self.flags &= !FLAG_FIRST;
        (flags, head + part.len())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;
    use crate::ident::GroupKey;
    use crate::wire::datagram::Header;
    use crate::wire::packet::{Data, encode_data};

    #[test]
    fn the_longest_body_fills_the_datagram() {
        let header = Header { rank: 0, group: GroupKey(1), fingerprint: 2 };
        for datagram_bytes in [512, 1472, 65_000] {
            let body = vec![1; body_bytes(datagram_bytes)];
            let data = Data { flags: 0, origin: 0, seq: 1, stable: 0, body: &body };
            let mut out = vec![0; datagram_bytes];
            assert_eq!(encode_data(&mut out, &header, &data), Some(datagram_bytes));
            assert_eq!(encode_data(&mut out[1..], &header, &data), None);
        }
    }

    #[test]
    fn a_body_that_is_not_sound_is_refused() {
        let sound = |flags, body: &[u8]| is_sound(Flags::of(flags), body, 16, 40);
        assert!(sound(0, &[1, 0, 0, 0, 7, 0, 0, 0, 0]));
        assert!(sound(FLAG_INTERNAL, &[1, 0, 0, 0, 7, 0, 0, 0, 0]));
        assert!(!sound(0, &[2, 0, 0, 0, 7]), "longer than what is there");
        assert!(!sound(0, &[1, 0, 0, 0, 7, 0, 0]), "half a length");
        assert!(!sound(0, &[255, 255, 255, 255, 7]));
        assert!(!sound(0, &[]));
        let first = FLAG_FRAGMENT | FLAG_FIRST;
        let mut body = [0_u8; 16];
        for (total, fine) in [(12, false), (13, true), (40, true), (41, false)] {
            body[0] = total;
            assert_eq!(sound(first, &body), fine, "{total}");
        }
        body[0] = 30;
        assert!(!sound(first, &body[..3]), "not even a length");
        assert!(!sound(first | FLAG_LAST, &body));
        assert!(sound(FLAG_FRAGMENT, &body) && sound(FLAG_FRAGMENT, &body[1..]));
        assert!(sound(FLAG_FRAGMENT | FLAG_LAST, &body[..1]));
    }

    #[test]
    fn messages_are_read_as_they_were_appended() {
        let mut body = vec![0; 64];
        let messages: [&[u8]; 3] = [b"first", b"", b"third"];
        let end = messages.iter().fold(0, |used, message| append(&mut body, used, message));
        assert!(fits(64 - end - LENGTH_BYTES, end, 64) && !fits(64 - end - 3, end, 64));
        let body = &body[..end];
        assert!(is_sound(Flags::messages(Audience::Application), body, 64, 5));
        let mut at = 0;
        for message in messages {
            let (read, next) = message_at(body, at).unwrap();
            assert_eq!(read, message);
            at = next;
        }
        assert_eq!((at, message_at(body, at)), (end, None));
    }

    #[test]
    fn a_large_message_is_its_fragments_in_their_order() {
        for (len, audience) in [(61, Audience::Application), (1000, Audience::Members)] {
            let message: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let mut fragments = Fragments::new(&message, audience, 64);
            let (mut read, mut missing, mut packets) = (Vec::new(), 0, 0);
            while !fragments.is_done() {
                let mut body = vec![0; 64];
                let (flags, len) = fragments.write_next(&mut body);
                let body = &body[..len];
                assert!(is_sound(flags, body, 64, 1000));
                assert_eq!(flags.is_internal(), audience == Audience::Members);
                assert_eq!(
                    (flags.is_first(), flags.is_last()),
                    (packets == 0, fragments.is_done())
                );
                missing = left_after(missing, flags, body).unwrap();
                read.extend_from_slice(part(flags, body).unwrap());
                packets += 1;
            }
            assert_eq!((read, missing, packets), (message, 0, packets_for(len, 64)));
        }
    }

    /// A message would end in the midst of a fragment, or be longer than it said.
    #[test]
    fn last_flag_holds_where_length_ends_alone() {
        let part = |bits, missing| left_after(missing, Flags::of(FLAG_FRAGMENT | bits), b"four");
        assert_eq!((part(0, 10), part(FLAG_LAST, 10)), (Some(6), None));
        assert_eq!((part(0, 4), part(FLAG_LAST, 4)), (None, Some(0)));
        assert_eq!((part(0, 3), part(FLAG_LAST, 3)), (None, None));
    }
}
