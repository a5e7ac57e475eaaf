//! A page and WebSockets at one port, in a `mio::Poll`. It knows nothing of what is said there.

use core::net::SocketAddr;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::http::StatusCode;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, Message, Utf8Bytes, WebSocket, accept_hdr_with_config};

/// Who comes when all are taken gets the place of one who has asked for nothing yet, or none.
pub(crate) const CLIENTS_MAX: usize = 64;
/// The token of the listener; clients have those below.
const LISTENER: Token = Token(CLIENTS_MAX);
pub(crate) const TOKENS_END: Token = Token(CLIENTS_MAX + 1);
pub(crate) const TEXT_BYTES_MAX: usize = 8 << 10;
const REQUEST_BYTES_MAX: usize = 8 << 10;
const READ_BYTES: usize = 4 << 10;
const WRITE_BYTES: usize = 64 << 10;

pub(crate) struct Client<T> {
    asking: Option<TcpStream>,
    socket: Option<WebSocket<TcpStream>>,
    ready: bool,
    full: bool,
    pub(crate) gone: bool,
    pub(crate) state: T,
}

impl<T> Client<T> {
    /// The next text; `None` until more comes.
    pub(crate) fn read(&mut self) -> Option<Utf8Bytes> {
        while self.ready && !self.gone {
            match self.socket.as_mut()?.read() {
                Ok(Message::Text(text)) => return Some(text),
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Err(error) if would_block(&error) => self.ready = false,
                Ok(_) | Err(_) => self.gone = true,
            }
        }
        None
    }

    /// Writes a text, unless what was written before waits for room.
    pub(crate) fn write(&mut self, text: Utf8Bytes) -> bool {
        let Some(socket) = self.socket.as_mut().filter(|_| !self.full && !self.gone) else {
            return false;
        };
        let written = socket.write(Message::Text(text));
        self.wrote(written);
        !self.gone // it is written, or waits in the buffer of the socket
    }

    fn flush(&mut self) {
        if let Some(socket) = self.socket.as_mut().filter(|_| !self.full && !self.gone) {
            let flushed = socket.flush();
            self.wrote(flushed);
        }
    }

    fn wrote(&mut self, written: Result<(), Error>) {
        if let Err(error) = written {
            (self.full, self.gone) = (true, !would_block(&error));
        }
    }

    /// Answers what was asked for, once all of the request is there.
    fn answer(
        &mut self,
        page: &str,
        origins: &[String],
    ) -> Result<(), Box<dyn core::error::Error>> {
        let Some(stream) = &mut self.asking else { return Ok(()) };
        let mut request = [0; REQUEST_BYTES_MAX];
        let len = match stream.peek(&mut request) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            len => len?,
        };
        if !request[..len].windows(4).any(|bytes| bytes == b"\r\n\r\n") {
            return if len == 0 || len == request.len() {
                Err("no request".into())
            } else {
                Ok(())
            };
        }
        if !request.starts_with(b"GET /ws ") {
            let _ = stream.read(&mut request[..len])?;
            let head =
                "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close";
            write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{page}", page.len())?;
            stream.shutdown(Shutdown::Write)?;
            return Err("the page is all that was asked for".into());
        }
        // Pages of others do not get in: a browser says whose page it is.
        #[expect(clippy::result_large_err, reason = "the library asks for it")]
        let ours = |request: &Request, response: Response| {
            let origin = request.headers().get("origin").map(|origin| origin.as_bytes());
            if origin.is_none_or(|it| origins.iter().any(|own| it.starts_with(own.as_bytes()))) {
                return Ok(response);
            }
            let mut refused = ErrorResponse::new(None);
            *refused.status_mut() = StatusCode::FORBIDDEN;
            Err(refused)
        };
        let config = WebSocketConfig::default().read_buffer_size(READ_BYTES);
        let config = config.write_buffer_size(WRITE_BYTES).max_write_buffer_size(4 * WRITE_BYTES);
        let config =
            config.max_message_size(Some(TEXT_BYTES_MAX)).max_frame_size(Some(TEXT_BYTES_MAX));
        let stream = self.asking.take().ok_or("it is there")?;
        self.socket =
            Some(accept_hdr_with_config(stream, ours, Some(config)).map_err(|_| "refused")?);
        Ok(())
    }
}

fn would_block(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == ErrorKind::WouldBlock)
}

pub(crate) struct Web<T> {
    listener: TcpListener,
    registry: Registry,
    origins: [String; 2],
    clients: Vec<Option<Client<T>>>,
    page: &'static str,
}

impl<T: Default> Web<T> {
    pub(crate) fn listen(
        at: SocketAddr,
        page: &'static str,
        registry: &Registry,
    ) -> io::Result<Self> {
        let mut listener = TcpListener::bind(at)?;
        registry.register(&mut listener, LISTENER, Interest::READABLE)?;
        let origins = [format!("http://{}:", at.ip()), "http://localhost:".into()];
        let clients = (0..CLIENTS_MAX).map(|_| None).collect();
        Ok(Self { listener, registry: registry.try_clone()?, origins, clients, page })
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// False if the event belongs to somebody else.
    pub(crate) fn handle_event(&mut self, event: &Event) -> bool {
        if let Some(Some(client)) = self.clients.get_mut(event.token().0) {
            client.ready |= event.is_readable() || event.is_read_closed() || event.is_error();
            client.full &= !event.is_writable();
        }
        event.token() <= LISTENER
    }

    /// Takes those who have come, answers those who have asked, and lets go who is gone.
    pub(crate) fn advance(&mut self) {
        while let Ok((mut stream, _)) = self.listener.accept() {
            let free = self.clients.iter().position(Option::is_none);
            let free = free.or_else(|| self.clients().position(|client| client.socket.is_none()));
            let Some(at) = free else { continue };
            let both = Interest::READABLE | Interest::WRITABLE;
            if self.registry.register(&mut stream, Token(at), both).is_ok() {
                let (asking, state) = (Some(stream), T::default());
                let (ready, full, gone) = (true, false, false);
                self.clients[at] = Some(Client { asking, socket: None, ready, full, gone, state });
            }
        }
        for place in &mut self.clients {
            let Some(client) = place else { continue };
            let failed = client.ready && client.answer(self.page, &self.origins).is_err();
            client.ready &= client.asking.is_none();
            client.flush();
            if failed || client.gone {
                *place = None;
            }
        }
    }

    pub(crate) fn clients(&mut self) -> impl Iterator<Item = &mut Client<T>> {
        self.clients.iter_mut().flatten()
    }

    /// Whether somebody has said something that was not read yet.
    pub(crate) fn is_ready(&self) -> bool {
        self.clients.iter().flatten().any(|client| client.ready)
    }
}
