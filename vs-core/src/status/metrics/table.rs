//! All metrics. A name is never changed, nor what it means: a new one takes its place.

use super::metric::{Kind, Measured, Metric, Row, Unit};
use crate::status::{
    Decided, DialStatus, GroupStatus, MembershipStatus, NodeStatus, PeerStatus, ServerStatus,
    StreamStatus,
};

/// What kind of metric a word of the tables means, and in which unit.
macro_rules! kind {
    (counter) => {
        (Kind::Counter, Unit::Count)
    };
    (counter_ms) => {
        (Kind::Counter, Unit::Millis)
    };
    (gauge) => {
        (Kind::Gauge, Unit::Count)
    };
    (gauge_ms) => {
        (Kind::Gauge, Unit::Millis)
    };
}

/// The metrics of a part of a status: kind, name, field, meaning.
macro_rules! rows {
    ($table:ident: $part:ty, $path:literal, $labels:expr;
     $($kind:ident $name:literal $($field:ident).+, $help:literal;)+) => {
        pub(super) static $table: &[Row<$part>] = &[$(Row {
            metric: Metric {
                name: $name,
                kind: kind!($kind).0,
                unit: kind!($kind).1,
                labels: $labels,
                help: $help,
                field: concat!($path $(, ".", stringify!($field))+),
            },
            read: |part| part.$($field).+.measure(),
        }),+];
    };
}

/// That there is an answer, and of which version.
pub(super) static BUILD: Metric = Metric {
    name: "vs_build_info",
    kind: Kind::Gauge,
    unit: Unit::Count,
    labels: &["version", "protocol"],
    help: "Always 1; its labels say which version answers.",
    field: "",
};

rows! { NODE: NodeStatus, "node", &["process"];
    gauge_ms "vs_node_start_time_seconds" incarnation, "When the incarnation of the process began, in UNIX time.";
    gauge "vs_node_server_connected" server, "Whether the process is connected to a membership server.";
    counter "vs_node_datagrams_total" counters.datagrams, "Datagrams that arrived.";
    counter "vs_node_datagrams_accepted_total" counters.accepted, "Datagrams that told something new.";
    counter "vs_node_datagrams_duplicate_total" counters.duplicate, "Datagrams that told nothing new.";
    counter "vs_node_datagrams_early_total" counters.early, "Datagrams of a view that was not installed yet; they were kept.";
    counter "vs_node_datagrams_foreign_total" counters.foreign, "Datagrams that do not concern this process.";
    counter "vs_node_datagrams_dropped_total" counters.dropped, "Datagrams that found no room and waited for their repair.";
    counter "vs_node_datagrams_other_version_total" counters.version, "Datagrams of another version of the protocol.";
    counter "vs_node_datagrams_malformed_total" counters.malformed, "Datagrams that are damaged or of another protocol.";
    counter "vs_node_datagrams_clear_total" counters.clear, "Datagrams in the clear, though the process has keys.";
    counter "vs_node_datagrams_other_key_total" counters.other_key, "Datagrams that say to be sealed with a key that the process does not have.";
    counter "vs_node_datagrams_forged_total" counters.forged, "Datagrams that were not sealed with the key that they name, and sync messages that their sender did not sign.";
    counter "vs_node_datagrams_replayed_total" counters.replayed, "Sealed datagrams that arrived again.";
    counter "vs_node_datagrams_impostor_total" counters.impostors, "Datagrams in the name of this process that it did not send.";
    counter "vs_node_datagrams_overflowed_total" overflowed, "Datagrams that the system dropped since buffers of sockets were full.";
    counter "vs_node_false_cuts_total" counters.false_cuts, "Sync messages that were dropped, since their cuts say more than can have been sent.";
    counter "vs_node_messages_delivered_total" counters.delivered, "Messages delivered to the application, over all groups and views.";
    counter "vs_node_views_total" counters.views, "Views installed, over all groups.";
    counter "vs_node_unheard_reports_total" counters.unheard, "Times that a member said that it hears no multicasts of this process.";
    counter "vs_node_frames_skipped_total" counters.frames_skipped, "Frames of the server that were skipped, since this version does not know their kind.";
    gauge "vs_node_pool_slots" slots, "Slots of the pool, each for one packet.";
    gauge "vs_node_pool_slots_used" slots_used, "Slots of the pool that hold a packet.";
    gauge "vs_node_groups" groups, "Groups that the process is in.";
}

rows! { GROUP: MembershipStatus, "node.groups[]", &["process", "group"];
    gauge "vs_group_view_major" view.major, "First part of the id of the view; grows with every view.";
    gauge "vs_group_view_minor" view.minor, "Second part of the id of the view; differs between components of a group that is parted.";
    gauge "vs_group_changing" changing, "Whether a change of view is under way.";
    gauge "vs_group_members" members, "Members of the view.";
    gauge "vs_group_window_packets" window, "Own packets that may be outstanding.";
    gauge "vs_group_outstanding_packets" outstanding, "Own packets that were sent and are not known to be stable.";
    gauge "vs_group_queued_messages" queued, "Own messages that wait for the next view.";
    gauge "vs_group_unheard_by_members" unheard_by, "Members that hear no multicasts of this process.";
    gauge "vs_group_unicast_missing_members" unicast_missing_from, "Members whose datagrams to this process alone do not arrive.";
    counter "vs_group_packets_sent_total" counters.sent, "Own packets in this view, at their first transmission.";
    counter "vs_group_record_packets_sent_total" counters.records, "Own packets without messages, which say which packets of others come next.";
    counter "vs_group_packets_repaired_total" counters.repaired, "Packets sent again because somebody asked.";
    counter "vs_group_repairs_suppressed_total" counters.repairs_suppressed, "Packets that were asked for and not sent again, because that had just been done.";
    counter "vs_group_repairs_refused_total" counters.repairs_refused, "Packets that were asked for and not sent again, because their asker had asked for too many.";
    counter "vs_group_packets_forwarded_total" counters.forwarded, "Packets of others handed on.";
    counter "vs_group_acks_sent_total" counters.acks, "Acknowledgements sent.";
    counter "vs_group_false_acks_total" counters.false_acks, "Parts of acknowledgements that say more than can have been sent.";
    counter "vs_group_naks_sent_total" counters.naks, "Reports of gaps sent: packets were lost on the way to this process.";
    counter "vs_group_naks_suppressed_total" counters.naks_suppressed, "Reports of gaps that were put off because others reported the same.";
    counter "vs_group_heartbeats_sent_total" counters.heartbeats, "Heartbeats sent.";
    counter "vs_group_packets_received_total" counters.received, "Packets that were new.";
    counter "vs_group_packets_duplicate_total" counters.duplicates, "Packets that were here already.";
    counter "vs_group_packets_beyond_total" counters.beyond, "Packets outside of the window or beyond the end of a closed stream.";
    counter "vs_group_packets_without_slot_total" counters.no_slot, "Packets for which the pool had no slot.";
    counter "vs_group_packets_malformed_total" counters.malformed, "Packets whose body made no sense.";
    counter "vs_group_messages_delivered_total" counters.delivered, "Messages delivered to the application in this view.";
    counter "vs_group_messages_unknown_total" counters.unknown, "Messages between members that this member does not know.";
    counter "vs_group_messages_refused_total" counters.refused, "Messages refused for want of window or credit.";
}

rows! { MEMBER: StreamStatus, "node.groups[].members[]", &["process", "group", "member"];
    gauge "vs_member_received_packets" received, "Packets of the member in this view that were received without a gap.";
    gauge "vs_member_delivered_packets" delivered, "Packets of the member in this view that are delivered.";
    gauge "vs_member_stable_packets" stable, "Packets of the member in this view that are known to be at all members.";
    gauge "vs_member_acked_packets" acked, "Packets of this process in this view that the member has said to have.";
    gauge "vs_member_credit_packets" credit, "Packets of this process that the member still has room for.";
    gauge "vs_member_lag_packets" lag, "Packets of this process that the member has not given room back for.";
}

rows! { SERVER: ServerStatus, "server", &["server"];
    gauge_ms "vs_server_start_time_seconds" boot_ms, "When the server started, in UNIX time.";
    gauge "vs_server_settled" settled, "Whether the server admits clients.";
    gauge "vs_server_connections" connections, "Connections of all kinds.";
    gauge "vs_server_clients" clients, "Connections of clients.";
    counter "vs_server_changes_total" counters.changes, "Changes of views, counted once a change and group.";
    counter "vs_server_proposals_total" counters.proposals, "Proposals sent.";
    counter "vs_server_views_fast_total" counters.views_fast, "Views decided in the fast mode.";
    counter "vs_server_views_slow_total" counters.views_slow, "Views decided in the slow mode.";
    counter_ms "vs_server_change_seconds_total" counters.change_ms_sum, "Time from the first start_change of a change to its view, summed over all changes.";
    gauge_ms "vs_server_change_longest_seconds" counters.change_ms_max, "The longest time from the first start_change of a change to its view.";
    counter "vs_server_frames_skipped_total" counters.frames_skipped, "Frames that were skipped, since this version does not know their kind.";
    counter "vs_server_beacons_dropped_total" counters.beacons_dropped, "Beacons that were not sealed as they have to be.";
    counter "vs_server_strangers_crowded_out_total" counters.strangers_crowded_out, "Connections that were closed for another one before they had named themselves.";
    counter "vs_server_strangers_late_total" counters.strangers_late, "Connections that took too long to name themselves.";
    counter "vs_server_strangers_refused_total" counters.strangers_refused, "Connections that spoke another protocol, or with another key or none.";
    counter "vs_server_no_room_total" counters.no_room, "Connections that found no room.";
    counter "vs_server_readers_given_up_total" counters.readers_given_up, "Connections that were closed since they did not read what they were sent.";
    counter "vs_server_proposals_dropped_total" counters.proposals_dropped, "Proposals of peers that were not believed.";
    counter "vs_server_accusations_dropped_total" counters.accusations_dropped, "Accusations in the name of somebody who is no client of the peer that told of them.";
    counter "vs_server_claims_ahead_total" counters.claims_ahead, "Claims that are too far ahead of the clock.";
    counter "vs_server_link_searches_total" counters.link_searches, "Searches for the servers with which views are shared.";
    gauge "vs_server_peers" peers, "Servers that are or were connected.";
    gauge "vs_server_dialled_addresses" dialled, "Addresses at which servers are looked for.";
    gauge "vs_server_groups" groups, "Groups that the server knows.";
}

rows! { PEER: PeerStatus, "server.peers[]", &["server", "peer"];
    gauge "vs_server_peer_connected" connected, "Whether the peer is connected.";
    gauge "vs_server_peer_shares_views" shares_views, "Whether clients of the peer are in views with those of this server.";
}

rows! { DIALLED: DialStatus, "server.dialled[]", &["server", "addr"];
    gauge "vs_server_dialled_connected" state, "Whether the server at this address is connected, or is this server.";
}

rows! { SERVED: GroupStatus, "server.groups[]", &["server", "group"];
    gauge "vs_server_group_changing" changing, "Whether a change of view is under way.";
    gauge "vs_server_group_members" members, "Processes that are members of this view or the next.";
    gauge "vs_server_group_waiting_clients" waiting, "Clients that wait here for an id that another process has.";
    gauge "vs_server_group_excluded_clients" excluded, "Clients that were excluded by accusation and may not come back yet.";
}

rows! { DECIDED: Decided, "server.groups[].decided", &["server", "group"];
    gauge "vs_server_group_view_major" view.major, "First part of the id of the last view that was decided here.";
    gauge "vs_server_group_view_minor" view.minor, "Second part of the id of the last view that was decided here.";
    gauge "vs_server_group_view_fast" fast, "Whether the last view was decided in the fast mode.";
    gauge_ms "vs_server_group_view_decision_seconds" took_ms, "How long the last view took from the first start_change of its change.";
}
