//! Both directions of a connection: frames out of bytes that arrive, and bytes out of frames. With
//! keys all behind the preambles is sealed (`wire/channel`), and nothing in the clear is taken.

use alloc::boxed::Box;
use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::STREAM_VERSION;
use super::channel::{Channel, ChannelError, Context, Party};
use super::frame::{self, Decoder, FrameError, Output, PREAMBLE_BYTES, read_preamble};
use super::message::Frame;
use crate::ident::Deployment;
use crate::seal::{KeyRing, Keys};

/// Which end of a connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// This side dialled, as this.
    Dialled(Party),
    Accepted,
}

/// What seals a connection.
#[derive(Debug)]
struct Sealed {
    channel: Channel,
    end: End,
    /// What has arrived of the preamble, until it is complete.
    preamble: Option<Vec<u8>>,
    /// Why nothing more can be read. Frames that were read before come first.
    failed: Option<ChannelError>,
}

impl Sealed {
    /// Bytes arrived: plaintext and answers are appended.
    fn receive(
        &mut self,
        mut bytes: &[u8],
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), ChannelError> {
        if let Some(preamble) = &mut self.preamble {
            let (head, rest) = bytes.split_at(bytes.len().min(PREAMBLE_BYTES - preamble.len()));
            preamble.extend_from_slice(head);
            let said = read_preamble(preamble).map_err(|_| ChannelError::Protocol)?;
            let Some((other, seals)) = said else { return Ok(()) };
            if other != STREAM_VERSION {
                return Err(ChannelError::Version { other, own: STREAM_VERSION });
            }
            if !seals {
                return Err(ChannelError::Clear);
            }
            (self.preamble, bytes) = (None, rest);
        }
        self.channel.receive(bytes, plain, out)
    }
}

/// Both directions of a connection.
#[derive(Debug)]
pub(crate) struct Stream {
    decoder: Decoder,
    output: Output,
    sealed: Option<Box<Sealed>>,
}

impl Stream {
    /// A connection that was just made. What `decoder` takes is what the other side may send, and
    /// at most `output_bytes_max` bytes wait to be written. It is sealed if there are keys.
    pub(crate) fn new(
        decoder: Decoder,
        output_bytes_max: usize,
        end: End,
        keys: Option<&mut Keys>,
        deployment: &Deployment,
    ) -> Self {
        let Some(keys) = keys else {
            return Self { decoder, output: Output::new(output_bytes_max), sealed: None };
        };
        let context = Context { version: STREAM_VERSION, deployment: deployment.as_str() };
        let mut output = Output::sealed(output_bytes_max);
        let channel = match end {
            End::Dialled(party) => Channel::dialled(keys, party, context, output.sink()),
            End::Accepted => Channel::accepted(keys, context, output.sink()),
        };
        let sealed = Sealed { channel, end, preamble: Some(Vec::new()), failed: None };
        let decoder = decoder.behind_preamble();
        Self { decoder, output, sealed: Some(Box::new(sealed)) }
    }

    /// Takes bytes; call [`Stream::next`] until it has no more. Something may have to be written
    /// after it.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let Some(sealed) = &mut self.sealed else { return self.decoder.push(bytes) };
        if sealed.failed.is_none() {
            let (plain, out) = (self.decoder.input(), self.output.sink());
            sealed.failed = sealed.receive(bytes, plain, out).err();
        }
    }

    /// The next whole frame, if there is one, as what it means.
    pub(crate) fn next<M: TryFrom<Frame>>(&mut self) -> Result<Option<M>, FrameError> {
        let next = self.decoder.next()?;
        match self.sealed.as_ref().and_then(|sealed| sealed.failed) {
            Some(error) if next.is_none() => Err(FrameError::Seal(error)),
            _ => Ok(next),
        }
    }

    /// The other side has named itself: frames may be long from now on.
    pub(crate) fn handle_named(&mut self) {
        self.decoder.handle_named();
    }

    /// Frames that were skipped since the last call: their kinds are not known here.
    pub(crate) fn take_skipped(&mut self) -> u64 {
        self.decoder.take_skipped()
    }

    /// Whether the other side may be heard: the handshake is done, or there is none.
    pub(crate) fn is_up(&self) -> bool {
        self.sealed.as_ref().is_none_or(|sealed| sealed.channel.is_up())
    }

    /// As what the other side has shown itself to be; none in the clear, and before it has.
    pub(crate) fn other(&self) -> Option<Party> {
        let sealed = self.sealed.as_ref()?;
        match sealed.end {
            End::Dialled(_) => sealed.channel.is_up().then_some(Party::Server),
            End::Accepted => sealed.channel.party(),
        }
    }

    /// What stands for this connection alone, and both ends know: the hash of the handshake. None
    /// in the clear, and before it is done.
    pub(crate) fn binding(&self) -> Option<&[u8]> {
        self.sealed.as_ref()?.channel.binding()
    }

    /// Whether it is sealed under a key of `ring`.
    pub(crate) fn is_of(&self, ring: &KeyRing) -> bool {
        self.sealed.as_ref().is_some_and(|sealed| sealed.channel.is_of(ring))
    }

    /// Appends a frame; false if more waits than the bound allows, and the connection is to be
    /// given up.
    pub(crate) fn send<'a, M>(&mut self, message: &'a M) -> bool
    where
        Frame: From<&'a M>,
    {
        if self.sealed.is_none() {
            return self.output.push(message);
        }
        // A secret stands at the end, so what grows leaves none behind.
        let mut plain = Zeroizing::new(Vec::new());
        frame::encode(message, &mut plain);
        self.send_encoded(&plain)
    }

    /// Appends a frame that was encoded before; as [`Stream::send`].
    pub(crate) fn send_encoded(&mut self, frame: &[u8]) -> bool {
        let Some(sealed) = &mut self.sealed else { return self.output.push_encoded(frame) };
        sealed.channel.send(frame, self.output.sink());
        self.output.is_within_with(sealed.channel.waiting_bytes())
    }

    /// Bytes to be written.
    pub(crate) fn pending(&self) -> &[u8] {
        self.output.pending()
    }

    /// Bytes that wait, those that cannot be written before the handshake is done included.
    pub(crate) fn waiting_bytes(&self) -> usize {
        let sealed = self.sealed.as_ref();
        self.pending().len() + sealed.map_or(0, |sealed| sealed.channel.waiting_bytes())
    }

    /// Bytes that it holds: those that wait, and those of messages that are not complete.
    pub(crate) fn held_bytes(&self) -> usize {
        let arrived = self.sealed.as_ref().map_or(0, |sealed| sealed.channel.arrived_bytes());
        self.waiting_bytes() + self.decoder.held_bytes() + arrived
    }

    /// `n` bytes of [`Stream::pending`] were written.
    pub(crate) fn consumed(&mut self, n: usize) {
        self.output.consumed(n);
    }

    /// What is still to be written, after the last word.
    pub(crate) fn into_output(self) -> Output {
        self.output
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::seal::{PORTABLE, RingKey, SECRET_BYTES, Secret, Suite};
    use crate::wire::frame::preamble;
    use crate::wire::message::{Ping, StatusRequest};

    const OUTPUT_BYTES_MAX: usize = 4096;

    fn keys() -> Keys {
        let secret = Secret::new([1; SECRET_BYTES]);
        let key = RingKey::of_servers(1, Suite::Aes256Gcm, secret).unwrap();
        Keys::new(KeyRing::new(vec![key]).unwrap(), &PORTABLE, Secret::new([2; SECRET_BYTES]))
    }

    fn stream(end: End, has_keys: bool) -> Stream {
        let (mut keys, deployment) = (keys(), Deployment::default());
        let keys = has_keys.then_some(&mut keys);
        Stream::new(Decoder::default(), OUTPUT_BYTES_MAX, end, keys, &deployment)
    }

    fn carry(from: &mut Stream, to: &mut Stream, step: usize) {
        let bytes = from.pending().to_vec();
        from.consumed(bytes.len());
        bytes.chunks(step).for_each(|piece| to.push(piece));
    }

    #[test]
    fn sealed_frames_survive_any_cut_of_the_stream() {
        for step in [1, 5, usize::MAX] {
            let mut dials = stream(End::Dialled(Party::Client), true);
            let mut accepts = stream(End::Accepted, true);
            assert!(dials.send(&Frame::from(StatusRequest)));
            assert!(!dials.pending().ends_with(&[8]) && dials.waiting_bytes() > 0);
            for _ in 0..3 {
                carry(&mut dials, &mut accepts, step);
                carry(&mut accepts, &mut dials, step);
            }
            assert_eq!(accepts.next(), Ok(Some(Frame::from(StatusRequest))));
            assert_eq!(dials.next::<Frame>(), Ok(None));
            let both = [dials.other(), accepts.other()];
            assert_eq!(both, [Some(Party::Server), Some(Party::Client)]);
            assert!(accepts.is_of(keys().ring()) && dials.waiting_bytes() == 0);
        }
    }

    #[test]
    fn who_seals_and_who_does_not_name_each_other() {
        for (dials, accepts) in [(true, false), (false, true)] {
            let mut ends =
                [stream(End::Dialled(Party::Client), dials), stream(End::Accepted, accepts)];
            let [one, other] = &mut ends;
            carry(one, other, 1);
            carry(other, one, 1);
            for end in ends {
                let (mut end, seals) = (end, true);
                let expected =
                    if end.sealed.is_some() { ChannelError::Clear } else { ChannelError::Sealed };
                assert_eq!(end.next::<Frame>(), Err(FrameError::Seal(expected)), "{seals}");
            }
        }
    }

    #[test]
    fn nothing_in_the_clear_is_taken_where_there_are_keys() {
        let mut ping = preamble().to_vec();
        frame::encode(&Frame::from(Ping), &mut ping);
        let behind_sealed = [&frame::sealed_preamble()[..], &ping[PREAMBLE_BYTES..]].concat();
        let other = ChannelError::Version { other: 9, own: STREAM_VERSION };
        for (bytes, expected) in [
            (&ping[..], ChannelError::Clear),
            (&behind_sealed, ChannelError::NotHere(0)),
            (b"GET / HTTP/1.1", ChannelError::Protocol),
            (b"VSM\0\x09\0", other),
            (b"VSM\0\x09\x80", other),
        ] {
            let mut accepts = stream(End::Accepted, true);
            accepts.push(bytes);
            assert_eq!(accepts.next::<Frame>(), Err(FrameError::Seal(expected)));
            accepts.push(&frame::sealed_preamble());
            assert_eq!(accepts.next::<Frame>(), Err(FrameError::Seal(expected)), "it stays so");
        }
    }

    #[test]
    fn what_waits_for_the_handshake_counts() {
        let mut dials = stream(End::Dialled(Party::Client), true);
        let frame = [0; 1000];
        assert!((0..4).all(|_| dials.send_encoded(&frame)));
        assert!(!dials.send_encoded(&frame));
    }
}
