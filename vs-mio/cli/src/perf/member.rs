//! The runtimes under measurement, behind one face.

use core::ops::ControlFlow;
use core::time::Duration;
use std::io::ErrorKind;
use std::time::Instant;

use mio::{Events, Poll, Token};
use vs_core::ident::{GroupKey, ProcessId};
use vs_core::seal::Keys;
use vs_core::{Action, CastCounters, DetachReason, SendError, View};
use vs_mio::{Driver, DriverConfig, Tokens};
use vs_std::driver::IoCounters;
use vs_std::faults::Faults;
use vs_std::keys::KeysError;
use vs_std::trace::{MaybeTrace, TraceError, TraceFile, reached_ms};
use vs_std::udp::{Granted, UdpConfig};
use vs_std::{EventRef, Group, JoinError, JoinOptions, Membership};

use super::args::{Args, Runtime};
use crate::failure::{Failure, system};
use crate::network::{advise_unheard, find_any, servers, unopened};

/// How long the names of servers may take to be looked up.
const LOOK_UP_MAX: Duration = Duration::from_secs(5);

/// What a member hears.
pub(super) enum Heard<'a> {
    Message { from: ProcessId, payload: &'a [u8] },
    View(&'a View),
    Detached(DetachReason),
    Left,
}

/// A member of the group, whatever carries it.
pub(super) trait Member {
    /// Takes a message, to go out with the next [`Member::flush`]; false if there is no room.
    fn send(&mut self, payload: &[u8]) -> Result<bool, Failure>;

    /// Lets out what was sent.
    fn flush(&mut self) -> Result<(), Failure>;

    /// Waits for at most `wait`, and hands out what there is to hear.
    fn hear(&mut self, wait: Duration, hear: &mut dyn FnMut(Heard<'_>)) -> Result<(), Failure>;

    /// Asks to leave.
    fn leave(&mut self);

    /// Seals with other keys from now on.
    fn set_keys(&mut self, keys: &Keys) -> Result<(), KeysError>;

    /// Counters of the current view and of the sockets, and the granted buffers.
    fn counters(&self) -> (CastCounters, IoCounters, Granted);
}

/// Opens the sockets and joins.
pub(super) fn join(args: &Args, process: ProcessId) -> Result<Box<dyn Member>, Failure> {
    Ok(match args.load.runtime {
        Runtime::Std => Box::new(StdMember::new(args, process)?),
        Runtime::Mio => Box::new(MioMember::new(args, process)?),
    })
}

/// The name of the group.
fn group() -> Result<vs_core::ident::GroupName, Failure> {
    vs_core::ident::GroupName::new("perf").map_err(|e| Failure(e.to_string()))
}

fn driver_config(args: &Args, process: ProcessId) -> Result<DriverConfig, Failure> {
    let (keys, (node, _)) = (args.keys()?, args.configs());
    let multicast = args.multicast.unwrap_or(super::stage::multicast(args.bind));
    let mut udp = UdpConfig::new(args.bind, multicast);
    udp.unicast = args.load.unicast;
    udp.faults = Faults::default().with_loss_permille(args.load.loss.0);
    let servers = servers(&args.servers)?;
    // One that is misspelt is told of at once.
    find_any(&servers, Instant::now() + LOOK_UP_MAX, false)?;
    let membership = Membership::Servers(servers);
    let fits = args.tuning.datagram_bytes.is_none();
    let config = DriverConfig::new(process, membership, udp).with_node(node);
    let config = config.with_fit_datagrams(fits);
    let seed = process.0 ^ config.clock.unix_offset();
    Ok(config.with_seed(seed).with_keys(keys))
}

fn advise(advice: Option<impl core::fmt::Display>) {
    if let Some(advice) = advice {
        tracing::warn!("{advice}");
    }
}

/// How long a member that never sleeps looks for something before it lets its user act.
const BUSY: Duration = Duration::from_secs(1);

struct StdMember {
    group: Group,
    key: GroupKey,
}

impl StdMember {
    fn new(args: &Args, process: ProcessId) -> Result<Self, Failure> {
        let driver = driver_config(args, process)?;
        let mut options = JoinOptions::with(driver);
        (_, options.group) = args.configs();
        options.trace.clone_from(&args.trace);
        if args.load.busy {
            options.busy_poll = BUSY;
        }
        if args.load.pin {
            options.pin = Some(core_of(process));
        }
        let name = group()?;
        let joined = Group::join(&name, options).map_err(|error| match error {
            JoinError::Open(error) => unopened(&error, "--bind", "--bind"),
            error => Failure(error.to_string()),
        })?;
        advise(joined.driver().small_buffers());
        Ok(Self { group: joined, key: name.key() })
    }
}

impl Member for StdMember {
    fn send(&mut self, payload: &[u8]) -> Result<bool, Failure> {
        match self.group.try_feed(payload) {
            Ok(_) => Ok(true),
            Err(vs_std::SendError::Full | vs_std::SendError::InboxFull) => Ok(false),
            Err(error) => Err(Failure(error.to_string())),
        }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.group.flush().map_err(|e| Failure(e.to_string()))
    }

    fn hear(&mut self, wait: Duration, hear: &mut dyn FnMut(Heard<'_>)) -> Result<(), Failure> {
        let heard = self.group.recv_with(wait, |event| {
            match event {
                EventRef::Message { from, payload, .. } => hear(Heard::Message { from, payload }),
                EventRef::View { view, .. } => hear(Heard::View(view)),
                EventRef::Detached { reason } => hear(Heard::Detached(reason.clone())),
                EventRef::Left { .. } => hear(Heard::Left),
                _ => {}
            }
            ControlFlow::Continue(())
        });
        heard.map(drop).map_err(|e| Failure(e.to_string()))
    }

    fn leave(&mut self) {
        advise(self.group.driver().unheard(self.key).as_ref().map(advise_unheard));
        self.group.begin_leave();
    }

    fn set_keys(&mut self, keys: &Keys) -> Result<(), KeysError> {
        self.group.set_keys(keys)
    }

    fn counters(&self) -> (CastCounters, IoCounters, Granted) {
        let driver = self.group.driver();
        let cast = driver.node().cast_counters(self.key).copied().unwrap_or_default();
        (cast, *driver.io_counters(), driver.granted())
    }
}

/// A core for each process id, in turn.
fn core_of(process: ProcessId) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (process.0 as usize).wrapping_sub(1) % cores
}

struct MioMember {
    busy: bool,
    poll: Poll,
    events: Events,
    driver: Driver<MaybeTrace>,
    key: GroupKey,
}

impl MioMember {
    fn new(args: &Args, process: ProcessId) -> Result<Self, Failure> {
        let mut config = driver_config(args, process)?;
        let trace = trace(args, &mut config, "mio")?;
        let mut driver =
            Driver::new(config, trace).map_err(|e| unopened(&e, "--bind", "--bind"))?;
        advise(driver.small_buffers());
        let poll = Poll::new().map_err(|e| system("make a poll", &e))?;
        let tokens = Tokens::from_base(Token(0));
        driver.register(poll.registry(), tokens).map_err(|e| system("wait for sockets", &e))?;
        let (_, config) = args.configs();
        let key = driver.join(&group()?, config).map_err(|e| Failure(e.to_string()))?;
        if args.load.pin {
            vs_std::pin(core_of(process)).map_err(|e| system("pin this process to a core", &e))?;
        }
        Ok(Self { busy: args.load.busy, poll, events: Events::with_capacity(64), driver, key })
    }
}

/// Begins the trace, or goes on with that of an earlier incarnation: above what it has reached.
fn trace(args: &Args, config: &mut DriverConfig, runtime: &str) -> Result<MaybeTrace, Failure> {
    let Some(path) = &args.trace else { return Ok(MaybeTrace::default()) };
    let unwritable = |e: TraceError| {
        Failure(format!("cannot write the trace {}: {e}; choose another file", path.display()))
    };
    config.start_above(reached_ms(path).map_err(|e| unwritable(e.into()))?);
    let header = vs_core::trace::Header {
        process: config.process,
        incarnation: config.incarnation,
        runtime: runtime.into(),
    };
    TraceFile::open(path, &header, config.clock.unix_offset())
        .map(|file| MaybeTrace(Some(file)))
        .map_err(unwritable)
}

impl Member for MioMember {
    fn send(&mut self, payload: &[u8]) -> Result<bool, Failure> {
        match self.driver.send(self.key, payload) {
            Ok(_) => Ok(true),
            Err(SendError::WindowFull | SendError::Blocked) => Ok(false),
            Err(error) => Err(Failure(error.to_string())),
        }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.driver.flush();
        Ok(())
    }

    fn hear(&mut self, wait: Duration, hear: &mut dyn FnMut(Heard<'_>)) -> Result<(), Failure> {
        let wait = if self.busy { Duration::ZERO } else { wait };
        let wait = self.driver.timeout().map_or(wait, |timeout| timeout.min(wait));
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => {
                return Err(system("wait for sockets", &error));
            }
            _ => {}
        }
        for event in &self.events {
            self.driver.handle_event(event);
        }
        self.driver.advance();
        loop {
            while let Some(action) = self.driver.poll_action() {
                match action {
                    Action::Deliver { from, payload, .. } => {
                        hear(Heard::Message { from, payload });
                    }
                    Action::View { view, .. } => hear(Heard::View(view)),
                    Action::Detached { reason, .. } => hear(Heard::Detached(reason)),
                    Action::Left { .. } => hear(Heard::Left),
                    _ => {}
                }
            }
            self.driver.flush();
            if !self.driver.node().has_action() {
                return Ok(());
            }
        }
    }

    fn leave(&mut self) {
        advise(self.driver.unheard(self.key).as_ref().map(advise_unheard));
        self.driver.leave(self.key);
        self.driver.flush();
    }

    fn set_keys(&mut self, keys: &Keys) -> Result<(), KeysError> {
        self.driver.set_keys(keys)
    }

    fn counters(&self) -> (CastCounters, IoCounters, Granted) {
        let cast = self.driver.node().cast_counters(self.key).copied().unwrap_or_default();
        (cast, *self.driver.io_counters(), self.driver.granted())
    }
}
