//! Standard output, written by a thread of its own: a reader that stops must not stop the protocol.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::time::Duration;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, OnceLock};

use mio::Waker;

use crate::failure::Failure;

/// Why standard output took a line of the results no more.
static UNWRITTEN: OnceLock<io::Error> = OnceLock::new();

/// Writes a line of the results. The first failure is kept for [`unwritten`]; what follows it is
/// dropped.
pub(crate) fn say(line: core::fmt::Arguments<'_>) {
    if UNWRITTEN.get().is_some() {
        return;
    }
    // Put together first: JSON that cannot be written in the midst of it panics.
    let mut line = line.to_string();
    line.push('\n');
    let mut stdout = io::stdout().lock();
    if let Err(error) = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()) {
        let _ = UNWRITTEN.set(error);
    }
}

/// That results were lost, if [`say`] could not write them all.
pub(crate) fn unwritten() -> Result<(), Failure> {
    match UNWRITTEN.get() {
        Some(error) => Err(Failure(format!("the results cannot be written: {error}"))),
        None => Ok(()),
    }
}

/// Pieces that may wait to be written.
const PIECES_MAX: usize = 4096;
/// Bytes that may wait before [`Output::has_room`] says no.
const BYTES_MAX: usize = 1 << 20;
/// Bytes that are put together for one write.
const WRITE_BYTES: usize = 64 * 1024;
/// How long the reader may take nothing of the last lines.
const FINISH_WAIT: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
struct Shared {
    pieces: AtomicUsize,
    bytes: AtomicUsize,
    /// Somebody waits for room.
    starved: AtomicBool,
    /// Standard output takes nothing more.
    closed: AtomicBool,
}

/// The way to standard output.
#[derive(Debug)]
pub(crate) struct Output {
    pieces: SyncSender<Vec<u8>>,
    shared: Arc<Shared>,
    finished: Receiver<()>,
}

impl Output {
    /// Starts the thread; `waker` is woken when there is room again.
    pub(crate) fn start(waker: Arc<Waker>) -> Result<Self, Failure> {
        let (sender, receiver) = sync_channel(PIECES_MAX);
        let (done, finished) = sync_channel(1);
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let write = move || {
            if write_all(&receiver, &theirs, &waker).is_err() {
                theirs.closed.store(true, Ordering::SeqCst);
                // A poll that cannot be woken has ended.
                let _ = waker.wake();
            }
            // Nobody may wait for it.
            let _ = done.send(());
        };
        std::thread::Builder::new()
            .name("stdout".into())
            .spawn(write)
            .map_err(|e| Failure(format!("no thread for standard output: {e}")))?;
        Ok(Self { pieces: sender, shared, finished })
    }

    /// Whether more may be written. If not, the waker follows.
    pub(crate) fn has_room(&self) -> bool {
        if self.is_below_limits() {
            return true;
        }
        self.shared.starved.store(true, Ordering::SeqCst);
        // Room may have come before the thread could see that it is waited for.
        self.is_below_limits()
    }

    fn is_below_limits(&self) -> bool {
        self.shared.pieces.load(Ordering::SeqCst) < PIECES_MAX
            && self.shared.bytes.load(Ordering::SeqCst) < BYTES_MAX
    }

    /// Whether standard output takes nothing more.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::SeqCst)
    }

    /// Writes one or more lines; only after [`Output::has_room`] said yes.
    pub(crate) fn write(&self, lines: Vec<u8>) {
        if lines.is_empty() {
            return;
        }
        let len = lines.len();
        self.shared.pieces.fetch_add(1, Ordering::SeqCst);
        self.shared.bytes.fetch_add(len, Ordering::SeqCst);
        if self.pieces.try_send(lines).is_err() {
            self.shared.pieces.fetch_sub(1, Ordering::SeqCst);
            self.shared.bytes.fetch_sub(len, Ordering::SeqCst);
        }
    }

    /// Waits until everything is written, or the reader takes nothing any more.
    pub(crate) fn finish(self) {
        drop(self.pieces);
        loop {
            let before = self.shared.bytes.load(Ordering::SeqCst);
            let done = self.finished.recv_timeout(FINISH_WAIT).is_ok();
            if done || self.shared.bytes.load(Ordering::SeqCst) == before {
                return;
            }
        }
    }
}

fn write_all(pieces: &Receiver<Vec<u8>>, shared: &Shared, waker: &Waker) -> io::Result<()> {
    let mut out = io::stdout().lock();
    while let Ok(mut batch) = pieces.recv() {
        let mut count = 1;
        while batch.len() < WRITE_BYTES {
            match pieces.try_recv() {
                Ok(piece) => batch.extend_from_slice(&piece),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
            count += 1;
        }
        out.write_all(&batch)?;
        out.flush()?;
        shared.pieces.fetch_sub(count, Ordering::SeqCst);
        shared.bytes.fetch_sub(batch.len(), Ordering::SeqCst);
        if shared.starved.swap(false, Ordering::SeqCst) {
            waker.wake()?;
        }
    }
    Ok(())
}

/// Appends `text` to a line for people: nothing in it can end the line or reach the terminal.
pub(crate) fn push_printable(line: &mut String, bytes: &[u8]) {
    for c in String::from_utf8_lossy(bytes).chars() {
        if c.is_control() && c != '\t' {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
}

/// Appends `bytes` in base64 (RFC 4648, with padding).
pub(crate) fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at)) as usize & 63];
            out.push(if at <= chunk.len() { digit } else { b'=' });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let cases =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (bytes, expected) in cases {
            let mut out = Vec::new();
            push_base64(&mut out, bytes.as_bytes());
            assert_eq!(out, expected.as_bytes(), "{bytes:?}");
        }
    }

    #[test]
    fn a_payload_cannot_end_its_line() {
        let mut line = String::new();
        push_printable(&mut line, b"a\tb\n\x1b[2J\xff");
        assert_eq!(line, "a\tb\\n\\u{1b}[2J\u{fffd}");
    }
}
