//! A member that is alone hears itself at once: nobody else would wake its loop.

mod serving;

use core::time::Duration;

use mio::{Events, Poll, Token};
use serving::{Failure, Serving, directory, fresh, read_traces, udp};
use vs_core::ident::{GroupName, ProcessId};
use vs_core::member::ServerConfig;
use vs_core::spec;
use vs_core::trace::Header;
use vs_core::{Action, GroupConfig};
use vs_mio::{Driver, DriverConfig, Tokens};
use vs_std::Membership;
use vs_std::trace::{MaybeTrace, TraceFile};

#[test]
fn a_loop_with_pending_actions_does_not_wait() -> Result<(), Failure> {
    let serving = Serving::begin(ServerConfig::default())?;
    let membership = Membership::Servers(vec![serving.addr.into()]);
    let config = DriverConfig::new(ProcessId(1), membership, udp(21)).with_seed(1);
    let file = fresh(directory("alone").join("1.jsonl"));
    let header =
        Header { process: config.process, incarnation: config.incarnation, runtime: "mio".into() };
    let trace = TraceFile::open(&file, &header, config.clock.unix_offset())?;
    let mut driver = Driver::new(config, MaybeTrace(Some(trace)))?;
    let mut poll = Poll::new()?;
    driver.register(poll.registry(), Tokens::from_base(Token(0)))?;
    let group = driver.join(&GroupName::new("alone")?, GroupConfig::default())?;
    let mut events = Events::with_capacity(16);
    let mut is_in_view = false;
    while !is_in_view {
        driver.advance();
        while let Some(action) = driver.poll_action() {
            is_in_view |= matches!(action, Action::View { .. });
        }
        driver.flush();
        poll.poll(&mut events, driver.timeout())?;
        for event in &events {
            driver.handle_event(event);
        }
    }

    // As a loop does: it hears, then speaks, then waits.
    driver.advance();
    assert!(driver.poll_action().is_none());
    driver.send(group, b"to myself")?;
    driver.flush();
    assert!(driver.node().has_action());
    assert_eq!(driver.timeout(), Some(Duration::ZERO), "it comes at once");

    // An application that does not ask is not waited for: its loop sleeps until there is something
    // else to do.
    while driver.has_backlog() || driver.timeout() == Some(Duration::ZERO) {
        driver.advance();
    }
    assert!(driver.node().has_action(), "it is still there");
    let Some(Action::Deliver { payload: b"to myself", .. }) = driver.poll_action() else {
        return Err("the message was lost".into());
    };
    drop(driver);
    let report = spec::check(&read_traces(&[file]));
    assert!(report.is_clean(), "{:#?}", report.violations);
    Ok(())
}
