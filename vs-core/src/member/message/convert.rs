//! Between the frames of [`wire`] and the values that clients and servers work with: the only place
//! where what was read becomes a value, and where bad names and numbers end.
//!
//! Numbers of clients, views and profiles are checked where the contract, a claim or a profile is
//! taken, since what follows differs.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Peer, PeerWord, Refusal, Reply, Request};
use crate::ident::{Deployment, GroupName, Incarnation, ProcessId, ServerId};
use crate::member::attached::{Attached, Attachment, ReportId, Settled};
use crate::member::detach::{Departure, DetachReason};
use crate::member::past::Past;
use crate::member::profile::{ProfileField, ProfileMismatch};
use crate::member::proposal::{Mode, Proposal};
use crate::view::View;
use crate::wire::ChannelError;
use crate::wire::message::{self as wire, Frame, Reason};

/// Longest text of the other side for a reason, in bytes.
const WORDS_BYTES_MAX: usize = 256;

/// A frame has no meaning for its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meaningless;

type Checked<T> = Result<T, Meaningless>;

fn group(name: &str) -> Checked<GroupName> {
    GroupName::new(name).map_err(|_| Meaningless)
}

fn deployment(name: &str) -> Checked<Deployment> {
    Deployment::new(name).map_err(|_| Meaningless)
}

fn name(group: &GroupName) -> String {
    group.as_str().into()
}

impl From<Incarnation> for wire::Incarnation {
    fn from(incarnation: Incarnation) -> Self {
        Self { millis: incarnation.millis(), nonce: incarnation.nonce() }
    }
}

impl From<wire::Incarnation> for Incarnation {
    fn from(incarnation: wire::Incarnation) -> Self {
        Self::new(incarnation.millis).with_nonce(incarnation.nonce)
    }
}

impl From<&Peer> for wire::Peer {
    fn from(peer: &Peer) -> Self {
        let Peer { process, incarnation, addr } = *peer;
        Self { process, incarnation: incarnation.into(), addr: addr.into() }
    }
}

impl From<wire::Peer> for Peer {
    fn from(peer: wire::Peer) -> Self {
        let wire::Peer { process, incarnation, addr } = peer;
        Self { process, incarnation: incarnation.into(), addr: addr.into() }
    }
}

impl From<&View> for wire::View {
    fn from(view: &View) -> Self {
        let (members, start) = (view.members().to_vec(), view.start_ids().to_vec());
        Self { id: view.id(), members, start }
    }
}

/// As it was said: whoever is told of a view holds it against the rules, and names the one that it
/// breaks.
fn unchecked(view: &wire::View) -> View {
    View::unchecked(view.id, &view.members, &view.start)
}

impl From<&Past> for wire::Past {
    fn from(past: &Past) -> Self {
        let Past { last_cid, last_view, pending, mbr_view, .. } = past;
        let mbr_view = mbr_view.as_ref().map(Into::into);
        Self { last_cid: *last_cid, last_view: *last_view, pending: *pending, mbr_view }
    }
}

/// What a client brings along: all of [`wire::Attach`] that tells of the client's past and
/// configuration.
fn past(frame: wire::Attach) -> Past {
    let wire::Past { last_cid, last_view, pending, mbr_view } = frame.past;
    let mbr_view = mbr_view.as_ref().map(unchecked);
    let (profile, held) = (frame.profile, frame.held);
    Past { last_cid, last_view, pending, mbr_view, profile, held }
}

impl From<&Attached> for wire::Attached {
    fn from(client: &Attached) -> Self {
        let Attached { process, attachment, home, members_max, settled, profile } = *client;
        let Attachment { incarnation, counter } = attachment;
        let settled = settled.map(|settled| (settled.id, settled.fingerprint));
        let incarnation = incarnation.into();
        Self { process, incarnation, counter, home, members_max, settled, profile }
    }
}

impl From<wire::Attached> for Attached {
    fn from(client: wire::Attached) -> Self {
        let wire::Attached { process, incarnation, counter, home, members_max, settled, profile } =
            client;
        let attachment = Attachment { incarnation: incarnation.into(), counter };
        let settled = settled.map(|(id, fingerprint)| Settled { id, fingerprint });
        Self { process, attachment, home, members_max, settled, profile }
    }
}

fn proposal_frame(group: &GroupName, proposal: &Proposal) -> wire::Proposal {
    let Proposal { from, set, cids, vnum, mode, n, max_n, pn, used, share } = proposal;
    wire::Proposal {
        group: name(group),
        from: *from,
        set: set.0,
        cids: cids.clone(),
        vnum: *vnum,
        is_slow: *mode == Mode::Slow,
        n: *n,
        max_n: *max_n,
        pn: *pn,
        used: used.clone(),
        share: share.clone(),
    }
}

impl From<wire::Proposal> for Proposal {
    fn from(proposal: wire::Proposal) -> Self {
        let wire::Proposal { from, set, cids, vnum, is_slow, n, max_n, pn, used, share, .. } =
            proposal;
        let mode = if is_slow { Mode::Slow } else { Mode::Fast };
        let set = ReportId(set);
        Self { from, set, cids, vnum, mode, n, max_n, pn, used, share }
    }
}

fn reason(code: u8, is_final: bool, numbers: Vec<u64>, texts: &[&str]) -> Reason {
    Reason { code, is_final, numbers, texts: texts.iter().map(ToString::to_string).collect() }
}

/// Texts of the other side, without control characters: a terminal may show them.
fn words(texts: &[String]) -> String {
    let mut words = texts.join(", ");
    words.retain(|c| !c.is_control());
    while words.len() > WORDS_BYTES_MAX {
        words.pop();
    }
    words
}

fn field_code(field: ProfileField) -> u64 {
    match field {
        ProfileField::Other => 0,
        ProfileField::PrimaryOf => 1,
        ProfileField::Order => 2,
        ProfileField::Clusters => 3,
        ProfileField::MessageBytesMax => 4,
        ProfileField::DatagramBytes => 5,
        ProfileField::WindowPackets => 6,
    }
}

fn field(code: u64) -> ProfileField {
    match code {
        1 => ProfileField::PrimaryOf,
        2 => ProfileField::Order,
        3 => ProfileField::Clusters,
        4 => ProfileField::MessageBytesMax,
        5 => ProfileField::DatagramBytes,
        6 => ProfileField::WindowPackets,
        _ => ProfileField::Other,
    }
}

impl From<&DetachReason> for Reason {
    fn from(why: &DetachReason) -> Self {
        let is_final = why.is_final();
        let (code, numbers, texts): (u8, Vec<u64>, &[&str]) = match why {
            DetachReason::ServerLost => (0, Vec::new(), &[]),
            DetachReason::Accused { by } => (1, by.iter().map(|p| p.0).collect(), &[]),
            DetachReason::DuplicateId => (2, Vec::new(), &[]),
            DetachReason::Version { server, own } => {
                (3, Vec::from([u64::from(*server), u64::from(*own)]), &[])
            }
            DetachReason::ServerFull => (4, Vec::new(), &[]),
            DetachReason::BlockTimeout => (5, Vec::new(), &[]),
            DetachReason::ViewTooLarge => (6, Vec::new(), &[]),
            DetachReason::Contract(rule) => (7, Vec::new(), &[rule]),
            DetachReason::Excluded => (8, Vec::new(), &[]),
            DetachReason::Silent => (9, Vec::new(), &[]),
            DetachReason::Deployment { server, own } => {
                (10, Vec::new(), &[server.as_str(), own.as_str()])
            }
            DetachReason::Ahead => (11, Vec::new(), &[]),
            DetachReason::Profile(ProfileMismatch { field, group, own }) => {
                (12, Vec::from([field_code(*field)]), &[group, own])
            }
            DetachReason::IdClaimed { at } => (13, Vec::from([at.0]), &[]),
            DetachReason::Seal(error) => {
                let (code, first, second) = error.code();
                (14, Vec::from([code.into(), first, second]), &[])
            }
            DetachReason::SlowReader { waiting_bytes, after_ms } => {
                (15, Vec::from([*waiting_bytes, *after_ms]), &[])
            }
            DetachReason::Other { words, .. } => (u8::MAX, Vec::new(), &[words]),
        };
        reason(code, is_final, numbers, texts)
    }
}

impl TryFrom<Reason> for DetachReason {
    type Error = Meaningless;

    fn try_from(why: Reason) -> Checked<Self> {
        let Reason { code, is_final, numbers, texts } = why;
        let text = |at: usize| texts.get(at).ok_or(Meaningless);
        let version =
            |at: usize| numbers.get(at).and_then(|&n| u16::try_from(n).ok()).ok_or(Meaningless);
        Ok(match code {
            0 => Self::ServerLost,
            1 => Self::Accused { by: numbers.into_iter().map(ProcessId).collect() },
            2 => Self::DuplicateId,
            3 => Self::Version { server: version(0)?, own: version(1)? },
            4 => Self::ServerFull,
            5 => Self::BlockTimeout,
            6 => Self::ViewTooLarge,
            7 => Self::Contract(text(0).map(|rule| words(core::slice::from_ref(rule)))?),
            8 => Self::Excluded,
            9 => Self::Silent,
            10 => Self::Deployment { server: deployment(text(0)?)?, own: deployment(text(1)?)? },
            11 => Self::Ahead,
            12 => {
                let field = field(*numbers.first().ok_or(Meaningless)?);
                let (group, own) = (
                    words(&texts[..texts.len().min(1)]),
                    words(texts.get(1..2).unwrap_or_default()),
                );
                Self::Profile(ProfileMismatch { field, group, own })
            }
            13 => Self::IdClaimed { at: ServerId(*numbers.first().ok_or(Meaningless)?) },
            14 => match numbers[..] {
                [code, first, second, ..] => {
                    let error = ChannelError::of_code((code, first, second));
                    error.map_or(Self::Other { words: words(&texts), is_final }, Self::Seal)
                }
                _ => return Err(Meaningless),
            },
            15 => match numbers[..] {
                [waiting_bytes, after_ms, ..] => Self::SlowReader { waiting_bytes, after_ms },
                _ => return Err(Meaningless),
            },
            _ => Self::Other { words: words(&texts), is_final },
        })
    }
}

impl From<&Refusal> for Reason {
    fn from(why: &Refusal) -> Self {
        match why {
            Refusal::Itself => reason(0, true, Vec::new(), &[]),
            Refusal::SameId(id) => reason(1, true, Vec::from([id.0]), &[]),
            Refusal::Deployments(one, other) => {
                reason(2, true, Vec::new(), &[one.as_str(), other.as_str()])
            }
            Refusal::Other(words) => reason(u8::MAX, true, Vec::new(), &[words]),
        }
    }
}

impl TryFrom<Reason> for Refusal {
    type Error = Meaningless;

    fn try_from(why: Reason) -> Checked<Self> {
        Ok(match (why.code, &why.numbers[..], &why.texts[..]) {
            (0, ..) => Self::Itself,
            (1, [id, ..], _) => Self::SameId(ServerId(*id)),
            (2, _, [one, other, ..]) => Self::Deployments(deployment(one)?, deployment(other)?),
            (1 | 2, ..) => return Err(Meaningless),
            (_, _, texts) => Self::Other(words(texts)),
        })
    }
}

fn gone_frame(group: &GroupName, process: ProcessId, why: &Departure) -> wire::Gone {
    let (code, reason) = match why {
        Departure::Left => (0, None),
        Departure::Ended => (1, None),
        Departure::Told(reason) => (2, Some(reason.into())),
        Departure::ServerLost => (3, None),
    };
    wire::Gone { group: name(group), process, code, reason }
}

/// Nothing but what an operator reads depends on it, so a code that is not known here may pass for
/// a known one.
fn departure(code: u8, reason: Option<Reason>) -> Checked<Departure> {
    Ok(match (code, reason) {
        (0, _) => Departure::Left,
        (2, Some(reason)) => Departure::Told(reason.try_into()?),
        (3, _) => Departure::ServerLost,
        _ => Departure::Ended,
    })
}

impl From<&Request> for Frame {
    fn from(request: &Request) -> Self {
        match request {
            Request::Client { peer, deployment, proof } => wire::Client {
                peer: peer.into(),
                deployment: deployment.as_str().into(),
                proof: *proof,
            }
            .into(),
            Request::Server { server, boot, deployment } => wire::Server {
                server: *server,
                boot: *boot,
                deployment: deployment.as_str().into(),
            }
            .into(),
            Request::Attach { group, counter, members_max, past } => wire::Attach {
                group: name(group),
                counter: *counter,
                members_max: *members_max,
                past: past.into(),
                profile: past.profile.clone(),
                held: past.held.clone(),
            }
            .into(),
            Request::Leave { group } => wire::Leave { group: name(group) }.into(),
            Request::Accuse { group, accused } => {
                wire::Accuse { group: name(group), accused: accused.clone() }.into()
            }
            Request::Peer(word) => word.into(),
            Request::Ping => wire::Ping.into(),
            Request::Silence(silence_ms) => wire::Silence { silence_ms: *silence_ms }.into(),
            Request::Refused(refusal) => wire::TurnedDown { reason: refusal.into() }.into(),
            Request::Status => wire::StatusRequest.into(),
        }
    }
}

impl TryFrom<Frame> for Request {
    type Error = Meaningless;

    fn try_from(frame: Frame) -> Checked<Self> {
        Ok(match frame {
            Frame::Client(f) => Self::Client {
                peer: f.peer.into(),
                deployment: deployment(&f.deployment)?,
                proof: f.proof,
            },
            Frame::Server(f) => Self::Server {
                server: f.server,
                boot: f.boot,
                deployment: deployment(&f.deployment)?,
            },
            Frame::Attach(f) => Self::Attach {
                group: group(&f.group)?,
                counter: f.counter,
                members_max: f.members_max,
                past: past(f),
            },
            Frame::Leave(f) => Self::Leave { group: group(&f.group)? },
            Frame::Accuse(f) => Self::Accuse { group: group(&f.group)?, accused: f.accused },
            Frame::Ping(_) => Self::Ping,
            Frame::Silence(f) => Self::Silence(f.silence_ms),
            Frame::TurnedDown(f) => Self::Refused(f.reason.try_into()?),
            Frame::StatusRequest(_) => Self::Status,
            frame => Self::Peer(frame.try_into()?),
        })
    }
}

impl From<&PeerWord> for Frame {
    fn from(word: &PeerWord) -> Self {
        match word {
            PeerWord::Links { server, version, servers, ready } => wire::Links {
                server: *server,
                version: *version,
                servers: servers.clone(),
                ready: ready.clone(),
            }
            .into(),
            PeerWord::Clients { version, group, clients, held } => wire::Clients {
                version: *version,
                group: name(group),
                clients: clients.iter().map(|(c, addr)| (c.into(), (*addr).into())).collect(),
                held: held.clone(),
            }
            .into(),
            PeerWord::Proposal { group, proposal } => proposal_frame(group, proposal).into(),
            PeerWord::Gone { group, process, why } => gone_frame(group, *process, why).into(),
            PeerWord::Accuse { group, by, accused } => {
                wire::Accusation { group: name(group), by: *by, accused: accused.clone() }.into()
            }
            PeerWord::About { embeds, gathering, listen } => wire::About {
                embeds: *embeds,
                gathering: *gathering,
                listen: listen.map(Into::into),
            }
            .into(),
            PeerWord::Ask { server } => wire::Ask { server: *server }.into(),
            PeerWord::Tell { server, boot, listen } => {
                wire::Tell { server: *server, boot: *boot, listen: (*listen).into() }.into()
            }
        }
    }
}

impl TryFrom<Frame> for PeerWord {
    type Error = Meaningless;

    fn try_from(frame: Frame) -> Checked<Self> {
        Ok(match frame {
            Frame::Links(f) => {
                let wire::Links { server, version, servers, ready } = f;
                Self::Links { server, version, servers, ready }
            }
            Frame::Clients(f) => {
                let clients = f.clients.into_iter().map(|(c, addr)| (c.into(), addr.into()));
                let (version, group) = (f.version, group(&f.group)?);
                Self::Clients { version, group, clients: clients.collect(), held: f.held }
            }
            Frame::Proposal(f) => Self::Proposal { group: group(&f.group)?, proposal: f.into() },
            Frame::Gone(f) => Self::Gone {
                group: group(&f.group)?,
                process: f.process,
                why: departure(f.code, f.reason)?,
            },
            Frame::Accusation(f) => {
                Self::Accuse { group: group(&f.group)?, by: f.by, accused: f.accused }
            }
            Frame::About(wire::About { embeds, gathering, listen }) => {
                Self::About { embeds, gathering, listen: listen.map(Into::into) }
            }
            Frame::Ask(f) => Self::Ask { server: f.server },
            Frame::Tell(wire::Tell { server, boot, listen }) => {
                Self::Tell { server, boot, listen: listen.into() }
            }
            _ => return Err(Meaningless),
        })
    }
}

impl From<&Reply> for Frame {
    fn from(reply: &Reply) -> Self {
        match reply {
            Reply::StartChange { group, counter, cid, peers } => wire::StartChange {
                group: name(group),
                counter: *counter,
                cid: *cid,
                peers: peers.iter().map(Into::into).collect(),
            }
            .into(),
            Reply::View { group, counter, view, secret } => wire::NewView {
                group: name(group),
                counter: *counter,
                view: view.into(),
                secret: secret.clone(),
            }
            .into(),
            Reply::Profile { group, counter, held } => {
                wire::NewProfile { group: name(group), counter: *counter, held: held.clone() }
                    .into()
            }
            Reply::Detached { group, counter, reason, retry_ms } => wire::Detached {
                group: name(group),
                counter: *counter,
                reason: reason.into(),
                retry_ms: *retry_ms,
            }
            .into(),
            Reply::Ping => wire::Ping.into(),
            Reply::Silence(silence_ms) => wire::Silence { silence_ms: *silence_ms }.into(),
            Reply::Refused(reason) => wire::Refused { reason: reason.into() }.into(),
        }
    }
}

impl TryFrom<Frame> for Reply {
    type Error = Meaningless;

    fn try_from(frame: Frame) -> Checked<Self> {
        Ok(match frame {
            Frame::StartChange(f) => Self::StartChange {
                group: group(&f.group)?,
                counter: f.counter,
                cid: f.cid,
                peers: f.peers.into_iter().map(Into::into).collect(),
            },
            Frame::NewView(f) => {
                let view = unchecked(&f.view);
                Self::View { group: group(&f.group)?, counter: f.counter, view, secret: f.secret }
            }
            Frame::NewProfile(f) => {
                Self::Profile { group: group(&f.group)?, counter: f.counter, held: f.held }
            }
            Frame::Detached(f) => Self::Detached {
                group: group(&f.group)?,
                counter: f.counter,
                reason: f.reason.try_into()?,
                retry_ms: f.retry_ms,
            },
            Frame::Ping(_) => Self::Ping,
            Frame::Silence(f) => Self::Silence(f.silence_ms),
            Frame::Refused(f) => Self::Refused(f.reason.try_into()?),
            _ => return Err(Meaningless),
        })
    }
}
