//! A source of views that is not of this crate: the example, and what it may not say.

use vs_core::ident::{Cid, GroupKey, GroupName, Identity, Incarnation, ProcessId, ViewId};
use vs_core::member::{ContractError, MembershipError, MembershipRequest, Peer};
use vs_core::seal::{KeyRing, Keys, PORTABLE, RingKey, SECRET_BYTES, Secret, Suite};
use vs_core::{Action, DetachReason, GroupConfig, JoinError, Node, NodeConfig, Time, View};

#[path = "../../examples/own_membership.rs"]
#[allow(dead_code, reason = "its main is not the test's")]
mod example;

#[test]
fn nodes_follow_revisions_of_a_store() {
    let traces = example::run().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(traces.len(), 3);
}

const NOW: Time = Time(1_000_000);

fn peer(process: u64) -> Peer {
    let addr = ([127, 0, 0, 1], 4000 + process as u16).into();
    Peer { process: ProcessId(process), incarnation: Incarnation::new(7), addr }
}

fn peers(set: &[u64]) -> Vec<Peer> {
    set.iter().map(|p| peer(*p)).collect()
}

fn view(id: u64, members: &[u64], start: &[u64]) -> View {
    let members: Vec<ProcessId> = members.iter().map(|p| ProcessId(*p)).collect();
    let start: Vec<Cid> = start.iter().map(|c| Cid(*c)).collect();
    View::new(ViewId { major: id, minor: 0 }, &members, &start).unwrap()
}

fn name() -> GroupName {
    GroupName::new("own").unwrap()
}

fn config() -> GroupConfig {
    GroupConfig::default().with_members_max(4)
}

/// Process 2, which has asked to join.
fn node(groups_max: usize) -> (Node, GroupKey) {
    let Peer { process, incarnation, addr } = peer(2);
    let identity = Identity { process, incarnation, addr, seed: 1 };
    let node_config = NodeConfig::default().with_groups_max(groups_max);
    let mut node = Node::new(node_config, identity, 0, ()).unwrap();
    let group = node.join_external(NOW, &name(), config()).unwrap();
    assert_eq!(node.poll_membership(), Some(asks(0, 0)));
    assert_eq!(node.poll_membership(), None);
    assert!(node.poll_link().is_none(), "nobody is to be connected to");
    (node, group)
}

fn asks(last_cid: u64, last_view: u64) -> MembershipRequest {
    let last_view = ViewId { major: last_view, minor: 0 };
    MembershipRequest::Join { group: name(), peer: peer(2), last_cid: Cid(last_cid), last_view }
}

/// Views that the application is told of.
fn installed(node: &mut Node) -> Vec<View> {
    let mut views = Vec::new();
    while let Some(action) = node.poll_action(NOW) {
        if let Action::View { view, .. } = action {
            views.push(view.clone());
        }
    }
    views
}

#[test]
fn external_view_is_installed() {
    let (mut node, group) = node(1);
    node.handle_start_change(NOW, group, Cid(4), &peers(&[1, 2])).unwrap();
    assert!(node.is_changing(group));
    node.handle_mbr_view(NOW, group, view(9, &[1, 2], &[3, 4]), None).unwrap();
    assert_eq!(installed(&mut node), [view(9, &[1, 2], &[3, 4])]);
    assert!(node.group_addresses(group).eq([peer(1).addr]));
}

/// Where there are keys, what members of one view say is sealed with a secret of the view: else who
/// has the key file could read it.
#[test]
fn view_needs_a_secret_where_there_are_keys() {
    let secret = || Secret::new([1; SECRET_BYTES]);
    let key = RingKey::of_servers(1, Suite::Aes256Gcm, secret()).unwrap();
    let keys = Keys::new(KeyRing::new(vec![key]).unwrap(), &PORTABLE, secret());
    let Peer { process, incarnation, addr } = peer(2);
    let identity = Identity { process, incarnation, addr, seed: 1 };
    let mut node = Node::new(NodeConfig::default(), identity, 0, ()).unwrap();
    node.set_keys(keys).unwrap();
    let group = node.join_external(NOW, &name(), config()).unwrap();
    let Some(MembershipRequest::Join { peer: own, .. }) = node.poll_membership() else {
        panic!("it does not ask to join");
    };
    assert_eq!(own.incarnation, node.identity().incarnation, "others know whose signature it is");
    assert_ne!(own.incarnation, incarnation);
    node.handle_start_change(NOW, group, Cid(4), &[peer(1), own]).unwrap();
    let next = view(9, &[1, 2], &[3, 4]);
    let refused = node.handle_mbr_view(NOW, group, next.clone(), None);
    assert_eq!(refused, Err(MembershipError::Contract(ContractError::NoSecret)));
    node.handle_mbr_view(NOW, group, next.clone(), Some(secret())).unwrap();
    assert_eq!(installed(&mut node), [next]);
}

enum Say {
    Change(u64, &'static [u64]),
    View(View),
}
use Say::{Change, View as Announce};

#[test]
fn broken_rule_is_named_and_changes_nothing() {
    let contract = MembershipError::Contract;
    let last = Cid(4);
    for (what, want) in [
        (Change(5, &[1, 3]), contract(ContractError::M1)),
        (Announce(view(9, &[1], &[3])), contract(ContractError::M1)),
        (Change(4, &[1, 2]), contract(ContractError::M2 { last })),
        (Change(3, &[1, 2]), contract(ContractError::M2 { last })),
        (
            Announce(view(9, &[1, 2, 3], &[3, 4, 1])),
            contract(ContractError::M3 { member: ProcessId(3) }),
        ),
        (Announce(view(9, &[1, 2], &[3, 3])), contract(ContractError::M4 { last })),
        (Change(5, &[2, 1]), contract(ContractError::Set)),
        (Change(1 << 53, &[1, 2]), contract(ContractError::Number)),
        (Change(5, &[1, 2, 3, 4, 5]), MembershipError::TooLarge { members: 5, max: 4 }),
    ] {
        let (mut node, group) = node(1);
        node.handle_start_change(NOW, group, last, &peers(&[1, 2])).unwrap();
        let said = match &what {
            Change(cid, set) => node.handle_start_change(NOW, group, Cid(*cid), &peers(set)),
            Announce(view) => node.handle_mbr_view(NOW, group, view.clone(), None),
        };
        assert_eq!(said, Err(want));
        if let MembershipError::Contract(rule) = want {
            let (name, text) = (format!("{rule:?}"), rule.to_string());
            assert!(!name.starts_with('M') || text.starts_with(&name[..2]), "{text}");
        }
        // It goes on as if nothing had been said.
        let next = view(9, &[1, 2], &[3, 4]);
        node.handle_mbr_view(NOW, group, next.clone(), None).unwrap();
        assert_eq!(installed(&mut node), [next]);
        // M5 and M6, which take a view.
        let again = node.handle_mbr_view(NOW, group, view(10, &[1, 2], &[3, 4]), None);
        assert_eq!(again, Err(contract(ContractError::M5)));
        node.handle_start_change(NOW, group, Cid(5), &peers(&[2])).unwrap();
        let last = ViewId { major: 9, minor: 0 };
        let again = node.handle_mbr_view(NOW, group, view(9, &[2], &[5]), None);
        assert_eq!(again, Err(contract(ContractError::M6 { last })));
        node.handle_mbr_view(NOW, group, view(10, &[2], &[5]), None).unwrap();
    }
}

#[test]
fn excluded_process_asks_again_and_counts_on() {
    let (mut node, group) = node(1);
    node.handle_start_change(NOW, group, Cid(4), &peers(&[1, 2])).unwrap();
    node.handle_mbr_view(NOW, group, view(9, &[1, 2], &[3, 4]), None).unwrap();
    installed(&mut node);
    node.handle_excluded(NOW, group).unwrap();
    let action = node.poll_action(NOW);
    assert!(
        matches!(&action, Some(Action::Detached { reason: DetachReason::Excluded, .. })),
        "{action:?}"
    );
    assert_eq!(node.poll_membership(), Some(asks(4, 9)));
    let old = node.handle_start_change(NOW, group, Cid(4), &peers(&[2]));
    assert!(matches!(old, Err(MembershipError::Contract(ContractError::M2 { .. }))));
    node.handle_start_change(NOW, group, Cid(5), &peers(&[2])).unwrap();
    node.handle_mbr_view(NOW, group, view(10, &[2], &[5]), None).unwrap();
    assert_eq!(installed(&mut node), [view(10, &[2], &[5])]);
}

/// It asked for a timer at once, again and again where the runtime polled before it handed in the
/// time (`vs sim --seed 6316`, by chance).
#[test]
fn excluded_process_asks_again_after_last_delivery() {
    let (mut node, group) = node(1);
    node.handle_start_change(NOW, group, Cid(4), &peers(&[2])).unwrap();
    node.handle_mbr_view(NOW, group, view(9, &[2], &[4]), None).unwrap();
    installed(&mut node);
    node.send(NOW, group, b"to be read").unwrap();
    node.handle_excluded(NOW, group).unwrap();
    assert!(matches!(node.poll_action(NOW), Some(Action::Detached { .. })));
    assert_eq!(node.poll_membership(), None, "its application has not caught up");
    assert!(matches!(node.poll_action(NOW), Some(Action::Deliver { .. })));
    assert!(node.poll_action(NOW).is_none());
    assert_eq!(node.poll_membership(), Some(asks(4, 9)));
    assert!(node.poll_timeout().is_none_or(|(at, _)| at > NOW));
}

#[test]
fn leave_is_reported_and_unread_reports_are_bounded() {
    let (mut node, group) = node(1);
    node.handle_start_change(NOW, group, Cid(4), &peers(&[2])).unwrap();
    node.handle_mbr_view(NOW, group, view(9, &[2], &[4]), None).unwrap();
    installed(&mut node);
    assert!(node.leave(NOW, group));
    assert!(matches!(node.poll_action(NOW), Some(Action::Left { .. })));
    let said = node.handle_start_change(NOW, group, Cid(5), &peers(&[2]));
    assert_eq!(said, Err(MembershipError::NotJoined));
    let early = node.join_external(NOW, &name(), config());
    assert_eq!(early, Err(JoinError::TooManyGroups), "the source has not learned of the leave");
    assert_eq!(node.poll_membership(), Some(MembershipRequest::Leave { group: name() }));
    // Numbers go on in the next membership of the same life.
    node.join_external(NOW, &name(), config()).unwrap();
    assert_eq!(node.poll_membership(), Some(asks(4, 9)));
}

/// Servers decide about other groups of the same node.
#[test]
fn server_group_refuses_external_views() {
    let (mut node, _) = node(2);
    let other = GroupName::new("other").unwrap();
    let key = node.join(NOW, &other, config()).unwrap();
    let said = node.handle_start_change(NOW, key, Cid(4), &peers(&[2]));
    assert_eq!(said, Err(MembershipError::NotJoined));
    assert_eq!(node.poll_membership(), None);
}
