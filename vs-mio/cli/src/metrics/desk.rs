//! The thread that reads requests and writes answers, however slowly the other side does: the
//! process only tells its status, and that not often.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use vs_core::status::metrics;

use super::asked::Question;
use super::http::{self, REQUEST_BYTES_MAX, Request, Wrong};

/// Connections at a time; one more takes the place of the oldest.
pub(super) const CONNECTIONS_MAX: usize = 16;
/// How long a connection may last.
const CONNECTION_MAX: Duration = Duration::from_secs(5);
/// How long the process may take to tell what it sees.
const STATUS_MAX: Duration = Duration::from_secs(2);
/// Who asks again within this time gets the same answer.
const FRESH: Duration = Duration::from_millis(250);
/// Bytes of one read.
const READ_BYTES: usize = 1024;
/// Reads after the answer, until the other side closes: who sends more is given up.
const LATE_READS_MAX: usize = 64;
const LISTENER: Token = Token(CONNECTIONS_MAX);

/// Where the values come from.
pub(super) struct Source {
    ask: Box<dyn Fn(Question) + Send>,
    /// The last answer, and when it came. `None`: there was none in time.
    last: Option<(Instant, Option<String>)>,
}

impl Source {
    pub(super) fn new(ask: impl Fn(Question) + Send + 'static) -> Self {
        Self { ask: Box::new(ask), last: None }
    }

    /// The metrics as they are now, or were a moment ago.
    fn text(&mut self) -> Option<&str> {
        if self.last.as_ref().is_none_or(|(since, _)| since.elapsed() >= FRESH) {
            let (sender, answer) = sync_channel(1);
            (self.ask)(sender);
            let statuses = answer.recv_timeout(STATUS_MAX).ok();
            let text = statuses.map(|statuses| metrics::text(&statuses));
            self.last = Some((Instant::now(), text));
        }
        self.last.as_ref().and_then(|(_, text)| text.as_deref())
    }
}

/// A socket at which metrics are asked for.
pub(super) struct Desk {
    poll: Poll,
    listener: TcpListener,
    addr: SocketAddr,
    source: Source,
    conns: [Option<Conn>; CONNECTIONS_MAX],
    /// The place of the next connection.
    next: usize,
}

impl Desk {
    pub(super) fn open(addr: SocketAddr, source: Source) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(addr)?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let addr = listener.local_addr()?;
        let conns = core::array::from_fn(|_| None);
        Ok(Self { poll, listener, addr, source, conns, next: 0 })
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves as long as the process lives.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(CONNECTIONS_MAX + 1);
        loop {
            let ends = self.conns.iter().flatten().map(|conn| conn.until).min();
            let timeout = ends.map(|until| until.saturating_duration_since(Instant::now()));
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != ErrorKind::Interrupted => {
                    tracing::warn!("metrics are served no more: {error}");
                    return;
                }
                _ => {}
            }
            for event in &events {
                if event.token() == LISTENER {
                    self.accept();
                } else {
                    let source = &mut self.source;
                    self.conns[event.token().0].take_if(|conn| conn.is_over(source));
                }
            }
            let now = Instant::now();
            for conn in &mut self.conns {
                conn.take_if(|conn| conn.until <= now);
            }
        }
    }

    fn accept(&mut self) {
        // Errors end with the next connection that is made; those of one that went away are its
        // own.
        while let Ok((mut stream, _)) = self.listener.accept() {
            // Closing the old one takes it out of the poll.
            self.conns[self.next] = None;
            let both = Interest::READABLE | Interest::WRITABLE;
            let token = Token(self.next);
            if self.poll.registry().register(&mut stream, token, both).is_ok() {
                self.conns[self.next] = Some(Conn::new(stream));
                self.next = (self.next + 1) % CONNECTIONS_MAX;
            }
        }
    }
}

/// A connection with one request.
struct Conn {
    stream: TcpStream,
    until: Instant,
    input: Vec<u8>,
    /// The answer, and how much of it was written.
    output: Vec<u8>,
    written: usize,
    /// The answer is written; what remains is that the other side closes.
    is_written: bool,
}

impl Conn {
    fn new(stream: TcpStream) -> Self {
        let until = Instant::now() + CONNECTION_MAX;
        let (input, output) = (Vec::new(), Vec::new());
        Self { stream, until, input, output, written: 0, is_written: false }
    }

    /// Goes on as far as it can; true if nothing more is to be done.
    fn is_over(&mut self, source: &mut Source) -> bool {
        match self.advance(source) {
            Ok(()) => true,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    }

    fn advance(&mut self, source: &mut Source) -> io::Result<()> {
        let mut buffer = [0; READ_BYTES];
        while self.output.is_empty() {
            let room = REQUEST_BYTES_MAX - self.input.len();
            let n = read(&mut self.stream, &mut buffer[..READ_BYTES.min(room)])?;
            if n == 0 {
                return Ok(());
            }
            self.input.extend_from_slice(&buffer[..n]);
            if let Some(request) = http::read(&self.input) {
                self.output = answer(request, source);
            }
        }
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(n) => self.written += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if !self.is_written {
            self.is_written = true;
            self.stream.shutdown(Shutdown::Write)?;
        }
        // What is closed while something is unread takes the answer back.
        for _ in 0..LATE_READS_MAX {
            if read(&mut self.stream, &mut buffer)? == 0 {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn answer(request: Request, source: &mut Source) -> Vec<u8> {
    match request {
        Request::Metrics { is_head } => match source.text() {
            Some(text) => http::metrics(text, is_head),
            None => http::wrong(Wrong::Late),
        },
        Request::Wrong(why) => http::wrong(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_does_not_answer_is_told_of() {
        let mut source = Source::new(drop);
        let request = Request::Metrics { is_head: false };
        let said = String::from_utf8(answer(request, &mut source)).expect("UTF-8");
        assert!(said.starts_with("HTTP/1.1 503 "), "{said}");
    }

    #[test]
    fn the_process_is_not_asked_again_at_once() {
        let (count, counted) = std::sync::mpsc::channel();
        let mut source = Source::new(move |question: Question| {
            count.send(()).expect("a counter");
            question.send(Vec::new()).expect("somebody who waits");
        });
        let begun = Instant::now();
        let first = source.text().map(str::to_owned);
        assert!(first.is_some_and(|text| text.contains("vs_build_info")));
        assert!(source.text().is_some());
        // Unless this machine was slow.
        assert!(counted.try_iter().count() == 1 || begun.elapsed() >= FRESH);
    }
}
