//! What a node sends: lines of standard input, or generated messages.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

use mio::Waker;
use vs_core::Time;
use vs_core::ident::ProcessId;

use crate::failure::Failure;
use crate::generate::Generator;

/// Lines that are read ahead of what the group takes.
const LINES_MAX: usize = 64;

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A message.
    Message(Vec<u8>),
    /// A line of so many bytes, which is too long for a message.
    TooLong(usize),
    /// Nothing yet; perhaps at this time.
    Later(Option<Time>),
    /// Nothing more.
    End,
}

/// Where messages come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// Standard input.
    Lines(Receiver<Next>),
    /// Made here.
    Generated(Box<Generated>),
}

impl Source {
    /// Starts a thread that reads standard input and wakes `waker` for each line. Each message is
    /// `prefix` and a line; longer ones than `max` are not kept.
    pub(crate) fn lines(prefix: String, max: usize, waker: Arc<Waker>) -> Result<Self, Failure> {
        let (sender, receiver) = sync_channel(LINES_MAX);
        let read = move || read_lines(io::stdin().lock(), prefix.as_bytes(), max, &sender, &waker);
        std::thread::Builder::new()
            .name("stdin".into())
            .spawn(read)
            .map_err(|e| Failure(format!("no thread for standard input: {e}")))?;
        Ok(Self::Lines(receiver))
    }

    /// The next message, if there is one at `now`.
    pub(crate) fn next(&mut self, now: Time) -> Next {
        match self {
            Self::Lines(lines) => match lines.try_recv() {
                Ok(next) => next,
                Err(TryRecvError::Empty) => Next::Later(None),
                Err(TryRecvError::Disconnected) => Next::End,
            },
            Self::Generated(generated) => generated.next(now),
        }
    }

    /// The group's view has `members` members.
    pub(crate) fn handle_view(&mut self, now: Time, members: usize) {
        if let Self::Generated(generated) = self
            && generated.start.is_none()
            && members >= generated.members
        {
            generated.start = Some(now);
        }
    }
}

/// Hands on line after line until the input or the listener ends.
fn read_lines(
    mut input: impl BufRead,
    prefix: &[u8],
    max: usize,
    lines: &SyncSender<Next>,
    waker: &Waker,
) {
    // What cannot be read has ended.
    while let Ok(Some(next)) = read_line(&mut input, prefix, max) {
        if lines.send(next).is_err() || waker.wake().is_err() {
            return;
        }
    }
    // The listener may have ended first.
    let _ = lines.send(Next::End);
    let _ = waker.wake();
}

fn read_line(input: &mut impl BufRead, prefix: &[u8], max: usize) -> io::Result<Option<Next>> {
    let mut line = prefix.to_vec();
    // One byte for the line feed, and one that shows that the line is too long.
    let room = max.saturating_sub(prefix.len()) + 2;
    input.by_ref().take(room as u64).read_until(b'\n', &mut line)?;
    if line.len() == prefix.len() {
        return Ok(None);
    }
    let whole = line.ends_with(b"\n");
    if whole {
        line.pop();
        if line.len() > prefix.len() && line.ends_with(b"\r") {
            line.pop();
        }
    }
    if line.len() <= max {
        return Ok(Some(Next::Message(line)));
    }
    let rest = if whole { 0 } else { skip_line(input)? };
    Ok(Some(Next::TooLong(line.len() + rest)))
}

/// Passes over the rest of a line; returns its bytes without the line feed.
fn skip_line(input: &mut impl BufRead) -> io::Result<usize> {
    let mut skipped = 0;
    loop {
        let bytes = input.fill_buf()?;
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let len = bytes.len();
        if let Some(end) = end {
            input.consume(end + 1);
            return Ok(skipped + end);
        }
        if len == 0 {
            return Ok(skipped);
        }
        input.consume(len);
        skipped += len;
    }
}

/// Generated messages, at a rate or as fast as the group takes them.
#[derive(Debug)]
pub(crate) struct Generated {
    generator: Generator,
    process: ProcessId,
    /// Members that the view must have before the first message.
    members: usize,
    /// Nanoseconds between messages.
    pause: Option<u64>,
    start: Option<Time>,
    made: u64,
}

impl Generated {
    pub(crate) fn new(
        generator: Generator,
        process: ProcessId,
        members: usize,
        pause: Option<u64>,
    ) -> Self {
        Self { generator, process, members, pause, start: None, made: 0 }
    }

    /// Random bytes that begin, as far as they go, with the sender's id and the message's index.
    fn next(&mut self, now: Time) -> Next {
        let Some(start) = self.start else { return Next::Later(None) };
        if let Some(pause) = self.pause.filter(|_| self.generator.left() > 0) {
            let at = start + self.made.saturating_mul(pause);
            if now < at {
                return Next::Later(Some(at));
            }
        }
        if !self.generator.advance() {
            return Next::End;
        }
        let mut payload = self.generator.payload().to_vec();
        let head = format!("{}:{} ", self.process, self.made);
        let len = head.len().min(payload.len());
        payload[..len].copy_from_slice(&head.as_bytes()[..len]);
        self.made += 1;
        Next::Message(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut input: &[u8], prefix: &str, max: usize) -> Vec<Next> {
        core::iter::from_fn(|| read_line(&mut input, prefix.as_bytes(), max).unwrap()).collect()
    }

    #[test]
    fn long_lines_are_skipped() {
        let message = |text: &str| Next::Message(text.into());
        assert_eq!(
            all(b"one\r\n\nfour\nlong line\nend", "", 4),
            [message("one"), message(""), message("four"), Next::TooLong(9), message("end")]
        );
        assert_eq!(all(b"abc\nabcd\n", "x: ", 6), [message("x: abc"), Next::TooLong(7)]);
        assert_eq!(all(b"", "x: ", 6), []);
    }

    #[test]
    fn generated_messages_wait_for_view_and_time() {
        let generator = Generator::new(2, "8..8".parse().unwrap(), 1);
        let generated = Generated::new(generator, ProcessId(7), 2, Some(10));
        let mut source = Source::Generated(Box::new(generated));
        source.handle_view(Time(1), 1);
        assert_eq!(source.next(Time(5)), Next::Later(None));
        source.handle_view(Time(6), 2);
        assert!(matches!(source.next(Time(6)), Next::Message(m) if m.starts_with(b"7:0 ")));
        assert_eq!(source.next(Time(7)), Next::Later(Some(Time(16))));
        assert!(matches!(source.next(Time(16)), Next::Message(m) if m.starts_with(b"7:1 ")));
        assert_eq!(source.next(Time(17)), Next::End);
    }
}
