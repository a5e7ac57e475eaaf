//! The profile that holds in a group, at one server ([`crate::member::profile`]).

use alloc::collections::BTreeMap;

use super::super::conn_id::ConnId;
use crate::ident::{ProcessId, ServerId};
use crate::member::past::Past;
use crate::member::profile::{Held, Profile, ProfileMismatch};

/// What a client said when it attached.
#[derive(Clone, Debug, Default)]
struct Bid {
    profile: Profile,
    held: Option<Held>,
}

/// The profiles of one group.
#[derive(Debug, Default)]
pub(super) struct Profiles {
    /// What the clients here have.
    held: Option<Held>,
    /// What the clients of other servers have.
    elsewhere: BTreeMap<ServerId, Held>,
    /// What the clients here are configured for, by connection.
    bids: BTreeMap<ConnId, Bid>,
}

impl Profiles {
    /// What the clients here have, if there are any.
    pub(super) fn held(&self) -> Option<&Held> {
        self.held.as_ref()
    }

    /// 64 bits of it.
    pub(super) fn fingerprint(&self) -> u64 {
        self.held.as_ref().map_or(0, |held| held.profile.fingerprint())
    }

    /// A client asks for membership over `conn`.
    pub(super) fn handle_attach(&mut self, conn: ConnId, past: &Past) {
        let bid = Bid { profile: past.profile.clone(), held: past.held.clone() };
        self.bids.insert(conn, bid);
    }

    /// Forgets the bids over connections that are of no more use.
    pub(super) fn retain(&mut self, is_used: impl Fn(ConnId) -> bool) {
        self.bids.retain(|&conn, _| is_used(conn));
    }

    /// `process` is about to be let in over `conn`; `is_first`: no other client is here. Returns
    /// what it has to be told.
    ///
    /// What a client says that it was told counts only where nobody else is: a server that has
    /// forgotten all learns it from the first one that comes back.
    pub(super) fn handle_admission(
        &mut self,
        (conn, process): (ConnId, ProcessId),
        is_first: bool,
        since_ms: u64,
    ) -> Result<Option<Held>, ProfileMismatch> {
        let bid = self.bids.get(&conn).cloned().unwrap_or_default();
        if is_first {
            self.held = None;
        }
        let told = bid.held.filter(|held| bid.profile.fits(&held.profile).is_ok());
        let found = || {
            let profile = bid.profile.clone();
            told.clone().unwrap_or(Held { since_ms, founder: process, profile })
        };
        let held = self.oldest().cloned().unwrap_or_else(found);
        bid.profile.fits(&held.profile)?;
        let has = told.as_ref().map_or(&bid.profile, |held| &held.profile);
        let news = (*has != held.profile).then(|| held.clone());
        self.held = Some(held);
        Ok(news)
    }

    /// Another server says what its clients have; `None`: it has none.
    pub(super) fn handle_held(&mut self, server: ServerId, held: Option<Held>) {
        match held.filter(|held| held.profile.is_sound()) {
            Some(held) => self.elsewhere.insert(server, held),
            None => self.elsewhere.remove(&server),
        };
    }

    /// What the clients here have to take instead of what they have, since it has held for longer
    /// elsewhere. Each is asked for once.
    pub(super) fn next_held(&mut self) -> Option<Held> {
        let oldest = self.oldest()?.clone();
        let held = self.held.as_mut()?;
        let is_news = held.profile != oldest.profile;
        *held = oldest;
        is_news.then(|| held.clone())
    }

    /// Whether the client of `conn` can have what holds.
    pub(super) fn fits(&self, conn: ConnId) -> Result<(), ProfileMismatch> {
        match (self.bids.get(&conn), &self.held) {
            (Some(bid), Some(held)) => bid.profile.fits(&held.profile),
            _ => Ok(()),
        }
    }

    fn oldest(&self) -> Option<&Held> {
        self.elsewhere.values().chain(&self.held).min_by_key(|held| held.rank())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::profile::ProfileField;

    const HERE: ConnId = ConnId(1);
    const THERE: ConnId = ConnId(2);

    fn profile(message_bytes_max: u64) -> Profile {
        Profile { message_bytes_max, ..Profile::default() }
    }

    fn held(since_ms: u64, message_bytes_max: u64) -> Held {
        Held { since_ms, founder: ProcessId(9), profile: profile(message_bytes_max) }
    }

    /// Somebody comes with this profile, and was told of that one.
    fn comes(
        profiles: &mut Profiles,
        conn: ConnId,
        message_bytes_max: u64,
        told: Option<Held>,
    ) -> Result<Option<Held>, ProfileMismatch> {
        let (profile, is_first) = (profile(message_bytes_max), profiles.bids.is_empty());
        profiles.handle_attach(conn, &Past { profile, held: told, ..Past::default() });
        profiles.handle_admission((conn, ProcessId(conn.0)), is_first, 50)
    }

    #[test]
    fn the_first_profile_holds_and_others_take_it_or_are_refused() {
        let mut profiles = Profiles::default();
        assert_eq!(comes(&mut profiles, HERE, 1000, None), Ok(None));
        let first = Held { founder: ProcessId(1), ..held(50, 1000) };
        assert_eq!(comes(&mut profiles, THERE, 2000, None), Ok(Some(first.clone())));
        assert_eq!(comes(&mut profiles, THERE, 2000, Some(first)), Ok(None), "it has it");
        let mismatch = comes(&mut profiles, ConnId(3), 500, None).unwrap_err();
        assert_eq!(mismatch.field, ProfileField::MessageBytesMax);
        assert_eq!((&mismatch.group[..], &mismatch.own[..]), ("1000", "500"));
    }

    #[test]
    fn a_server_that_has_forgotten_learns_from_who_comes_back() {
        let mut profiles = Profiles::default();
        assert_eq!(comes(&mut profiles, HERE, 2000, Some(held(7, 1000))), Ok(None));
        assert_eq!(comes(&mut profiles, THERE, 3000, None), Ok(Some(held(7, 1000))));
        let claim = Some(held(1, 10));
        assert_eq!(comes(&mut profiles, ConnId(3), 3000, claim), Ok(Some(held(7, 1000))));
    }

    #[test]
    fn what_has_held_for_longer_stays_when_servers_meet() {
        let mut profiles = Profiles::default();
        assert_eq!(comes(&mut profiles, HERE, 2000, None), Ok(None));
        profiles.handle_held(ServerId(2), Some(held(60, 1000)));
        assert_eq!((profiles.next_held(), profiles.fits(HERE)), (None, Ok(())), "it is younger");
        profiles.handle_held(ServerId(3), Some(held(40, 3000)));
        assert_eq!(profiles.next_held(), Some(held(40, 3000)));
        assert_eq!(profiles.fits(HERE).unwrap_err().group, "3000");
        assert_eq!(profiles.next_held(), None, "it was said");
    }
}
