//! A connection that the server has ended and that the other side keeps open.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::io::Write;
use std::net::TcpStream;

use mio::{Events, Poll, Token};
use vs_core::ident::ServerId;
use vs_core::member::server::{Server, ServerConfig};
use vs_mio::ServerDriver;

/// Rounds of the loop, each with a wait of at most a few milliseconds.
const ROUNDS: usize = 60;

/// Each round shut the socket down again, and each of these calls made the next event: the loop
/// never slept, and one such connection cost a whole core.
#[test]
fn a_refused_connection_that_stays_open_raises_few_events() {
    let server = Server::new(ServerConfig::default(), ServerId(1), 1).unwrap();
    let mut driver = ServerDriver::new(server, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let mut poll = Poll::new().unwrap();
    driver.register(poll.registry(), Token(0)).unwrap();
    let mut stranger = TcpStream::connect(driver.local_addr().unwrap()).unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut events = Events::with_capacity(16);
    let mut arrived = 0;
    for _ in 0..ROUNDS {
        let wait = driver.timeout().unwrap_or(Duration::MAX).min(Duration::from_millis(5));
        poll.poll(&mut events, Some(wait)).unwrap();
        for event in &events {
            arrived += 1;
            assert!(driver.handle_event(event));
        }
        driver.advance();
    }
    assert!(arrived < 10, "{arrived} events in {ROUNDS} rounds");
    drop(stranger);
}
