//! MBRSHP: what the membership service may say to each process.

use alloc::collections::BTreeMap;
use alloc::format;

use super::{Step, demand};
use crate::ident::{Cid, ProcessId, ViewId};
use crate::view::{DisplaySet, Members, View};

/// The membership service at the interface of each process (M1 to M6), and what end-points may do
/// with it (S23, S24).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mbrshp {
    clients: BTreeMap<ProcessId, Client>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Client {
    /// The last local id and view id, over all incarnations.
    cid: Cid,
    view: ViewId,
    /// The set of the last start_change, until a view answers it.
    proposed: Option<Members>,
    /// The last view, in this incarnation.
    announced: Option<View>,
}

const NAME: &str = "MBRSHP";

impl Mbrshp {
    /// `start_change_p(cid, set)`.
    ///
    /// # Errors
    /// M1 or M2 does not hold.
    pub fn start_change(&mut self, p: ProcessId, cid: Cid, set: &[ProcessId]) -> Step {
        let client = self.clients.entry(p).or_default();
        demand(NAME, "M2, cid > the last one", cid > client.cid, || {
            format!("{p} was given {cid} after {}", client.cid)
        })?;
        demand(NAME, "M1, p in set", set.contains(&p), || {
            format!("{p} was given {}", DisplaySet(set))
        })?;
        client.cid = cid;
        client.proposed = Some(Members::from_slice(set));
        Ok(())
    }

    /// `view_p(v)`.
    ///
    /// # Errors
    /// One of M1 and M3 to M6 does not hold.
    pub fn view(&mut self, p: ProcessId, v: &View) -> Step {
        let client = self.clients.entry(p).or_default();
        let proposed = client.proposed.as_deref().unwrap_or_default();
        demand(NAME, "M1, p in v.set", v.contains(p), || format!("{p} was given {v}"))?;
        demand(NAME, "M6, v.id > the last one", v.id() > client.view, || {
            format!("{p} was given {v} after {}", client.view)
        })?;
        demand(NAME, "M5, a start_change since the last view", client.proposed.is_some(), || {
            format!("{p} was given {v}")
        })?;
        let within = v.members().iter().all(|q| proposed.binary_search(q).is_ok());
        demand(NAME, "M3, v.set within the proposed set", within, || {
            format!("{p} was given {v} after {}", DisplaySet(proposed))
        })?;
        demand(NAME, "M4, v.start(p) = the last cid", v.start(p) == Some(client.cid), || {
            format!("{p} was given {v} after {}", client.cid)
        })?;
        client.view = v.id();
        client.announced = Some(v.clone());
        client.proposed = None;
        Ok(())
    }

    /// p installs `v`: the membership service has announced it, and nothing since.
    ///
    /// # Errors
    /// S23 or S24 does not hold.
    pub fn installed(&self, p: ProcessId, v: &View) -> Step {
        let client = self.clients.get(&p);
        let announced = client.and_then(|client| client.announced.as_ref());
        demand(NAME, "S24, what is installed was announced", announced == Some(v), || {
            match announced {
                Some(view) => format!("{p} installs {v}, announced was {view}"),
                None => format!("{p} installs {v}, nothing was announced"),
            }
        })?;
        let answered = client.is_some_and(|client| client.proposed.is_none());
        demand(NAME, "S23, no later start_change", answered, || format!("{p} installs {v}"))
    }

    /// An incarnation of p begins or ends. Its proposal is void; the ids continue.
    pub fn reset(&mut self, p: ProcessId) {
        if let Some(client) = self.clients.get_mut(&p) {
            (client.proposed, client.announced) = (None, None);
        }
    }
}
