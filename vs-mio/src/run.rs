//! Loops for programs that have none of their own.

use core::ops::ControlFlow;
use std::io::{self, ErrorKind};

use mio::{Events, Poll, Token};
use vs_core::trace::Tracer;

use crate::driver::{Driver, Tokens};
use crate::serve::ServerDriver;

/// Events that one poll brings.
const EVENTS_MAX: usize = 256;

/// Drives `driver` until `handler` breaks. The handler is called once a round: it polls actions
/// ([`Driver::poll_action`]), as many as it wants, and gives commands.
///
/// # Errors
/// The system's, of the poll; and those that the handler breaks with.
pub fn run<T: Tracer>(
    driver: &mut Driver<T>,
    mut handler: impl FnMut(&mut Driver<T>) -> ControlFlow<io::Result<()>>,
) -> io::Result<()> {
    let mut poll = Poll::new()?;
    driver.register(poll.registry(), Tokens::from_base(Token(0)))?;
    let mut events = Events::with_capacity(EVENTS_MAX);
    loop {
        driver.advance();
        if let ControlFlow::Break(result) = handler(driver) {
            driver.flush();
            driver.deregister()?;
            return result;
        }
        driver.flush();
        uninterrupted(poll.poll(&mut events, driver.timeout()))?;
        for event in &events {
            driver.handle_event(event);
        }
    }
}

/// Drives `driver` until `handler` breaks. The handler is called once a round: it reads notes
/// ([`ServerDriver::poll_note`]).
///
/// # Errors
/// The system's, of the poll; and those that the handler breaks with.
pub fn run_server(
    driver: &mut ServerDriver,
    mut handler: impl FnMut(&mut ServerDriver) -> ControlFlow<io::Result<()>>,
) -> io::Result<()> {
    let mut poll = Poll::new()?;
    driver.register(poll.registry(), Token(0))?;
    let mut events = Events::with_capacity(EVENTS_MAX);
    loop {
        driver.advance();
        if let ControlFlow::Break(result) = handler(driver) {
            return result;
        }
        uninterrupted(poll.poll(&mut events, driver.timeout()))?;
        for event in &events {
            driver.handle_event(event);
        }
    }
}

fn uninterrupted(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
        result => result,
    }
}
