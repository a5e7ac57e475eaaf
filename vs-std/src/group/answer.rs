//! Whether the membership service answers, and what is told while it does not.

use core::fmt;
use core::time::Duration;

use vs_core::Time;
use vs_core::trace::Tracer;

use crate::driver::Driver;
use crate::embedded::Membership;
use crate::name::ServerName;

/// How long no server answers before that is told, in ms.
const FIRST_MS: u64 = 2000;
/// How often it is told from then on, in ms.
const EVERY_MS: u64 = 5000;

/// No membership server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unanswered {
    /// For how long.
    pub waited: Duration,
    /// The servers that were named, or the one inside this process.
    pub servers: Vec<ServerName>,
    /// Why the last attempt failed, if one did: see [`crate::driver::ConnectFailure`].
    pub why: Option<String>,
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no membership server has answered for {} s", self.waited.as_secs())?;
        match &self.why {
            Some(why) => write!(f, ": {why}"),
            None => {
                f.write_str(":")?;
                for (i, server) in self.servers.iter().enumerate() {
                    write!(f, "{} {server}", if i == 0 { "" } else { "," })?;
                }
                f.write_str(if self.servers.len() == 1 { " says nothing" } else { " say nothing" })
            }
        }
    }
}

/// Watches the connection to the membership service.
#[derive(Debug)]
pub(super) struct Watch {
    /// Views come from servers, which can be silent.
    has_servers: bool,
    /// Since when no server answers.
    since: Option<Time>,
    /// When that is told next.
    tell_at: Time,
    /// The first view has to be there by then.
    join_until: Option<Time>,
    /// What waits to be told.
    told: Option<Box<Unanswered>>,
}

impl Watch {
    pub(super) fn new(now: Time, membership: &Membership, join: Option<Duration>) -> Self {
        let join = join.map(|join| u64::try_from(join.as_nanos()).unwrap_or(u64::MAX));
        Self {
            has_servers: !matches!(membership, Membership::External),
            since: None,
            tell_at: now,
            join_until: join.map(|join| now + join),
            told: None,
        }
    }

    /// The first view is there.
    pub(super) fn handle_view(&mut self) {
        self.join_until = None;
    }

    /// Looks at the connection.
    pub(super) fn advance<T: Tracer>(&mut self, driver: &Driver<T>) {
        let now = driver.recent();
        if !self.has_servers || driver.link_status().is_answering {
            (self.since, self.told) = (None, None);
            return;
        }
        let Some(since) = self.since else {
            (self.since, self.tell_at) = (Some(now), now.plus_ms(FIRST_MS));
            return;
        };
        if now >= self.tell_at {
            self.told = Some(Box::new(unanswered(driver, now, since)));
            self.tell_at = now.plus_ms(EVERY_MS);
        }
    }

    /// Why the group is given up, if the first view is late.
    pub(super) fn join_failure<T: Tracer>(&self, driver: &Driver<T>) -> Option<String> {
        let now = driver.recent();
        if self.join_until.is_none_or(|until| now < until) {
            return None;
        }
        Some(match self.since {
            Some(since) => unanswered(driver, now, since).to_string(),
            None => "the membership service has announced no view".into(),
        })
    }

    /// When [`Watch::advance`] has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let tell = self.since.map(|_| self.tell_at);
        tell.into_iter().chain(self.join_until).min()
    }

    /// What is to be told.
    pub(super) fn take(&mut self) -> Option<Box<Unanswered>> {
        self.told.take()
    }
}

fn unanswered<T: Tracer>(driver: &Driver<T>, now: Time, since: Time) -> Unanswered {
    let failure = driver.link_status().last_failure.as_ref();
    Unanswered {
        waited: Duration::from_nanos(now - since),
        servers: driver.servers().to_vec(),
        why: failure.map(ToString::to_string),
    }
}
