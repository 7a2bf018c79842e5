"""The attacks that systems of this kind met, with what stands against each here, and the tests that show it.

A row is defended when all of its tests pass and nothing is left open. What is left open by the wire, or not built,
stands in `limit`: then the row is a documented limit, its tests show how far the guard goes, and SECURITY.md says the
same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["ROWS", "Row"]

SWIM: Final = "tests/unit/gossip/test_swim_rules.py"
REPAIR: Final = "tests/unit/crdtmesh/replication/test_repair.py"
TLS: Final = "tests/contract/test_links_tls.py"
CALLBACKS: Final = "tests/unit/crdtmesh/edge/test_callbacks.py"
CODEC: Final = "tests/property/test_crdts_codec.py"
FRAMES: Final = "tests/property/test_links_frames.py"
PACKETS: Final = "tests/unit/gossip/test_packets.py"
SECURITY: Final = "tests/unit/crdtmesh/test_security.py"
FUZZ: Final = "tests/property/test_gossip_fuzz.py"
CALLS: Final = "tests/unit/crdtmesh/runtime/test_calls.py"
ACTIVATION: Final = "tests/unit/crdtmesh/runtime/test_activation.py"
LOGS: Final = "tests/unit/crdtmesh/observability/test_logs.py"
OWN: Final = "tests/attacks/test_attacks.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One attack.

    Attributes:
        attack: what is tried.
        guard: what stands against it.
        tests: `FILE::NAME` of each; a name without parameters stands for all of them.
        limit: what stays possible; empty if nothing does.
    """

    attack: str
    guard: str
    tests: tuple[str, ...]
    limit: str = ""


ROWS: Final = (
    Row(
        attack="Unauthenticated join, read, inject",
        guard="no start beyond loopback without certificate and gossip key; AES-GCM on every packet, with the "
        "cluster's "
        "label in what is authenticated; TLS 1.3 on both sides of every link",
        tests=(
            f"{SECURITY}::test_a_node_beyond_loopback_without_identity_is_told_two_commands_that_make_one",
            "tests/unit/gossip/test_security.py::test_another_key_another_label_or_a_flipped_bit_does_not_open",
            f"{PACKETS}::test_plain_text_is_refused_where_there_is_a_key_unless_migrating",
            "tests/contract/test_gossip_agent.py::test_an_encrypted_cluster_lets_nobody_in_without_the_key",
            f"{TLS}::test_who_is_no_node_of_the_cluster_gets_no_link_and_only_the_judge_knows_why",
            f"{TLS}::test_plain_bytes_never_cross_between_nodes",
        ),
    ),
    Row(
        attack="Message replay",
        guard="links: TLS. Gossip: a claim counts only with a newer incarnation, and a refuted one never again",
        tests=(
            f"{OWN}::test_a_recorded_run_that_is_replayed_changes_no_table",
            f"{SWIM}::test_a_stale_announcement_can_not_bring_the_old_address_back",
            f"{REPAIR}::test_event_that_comes_again_changes_nothing_and_is_not_logged",
        ),
        limit="memberlist's wire has no replay protection: a packet opens until its key is rotated, and can make a "
        "member "
        "that was forgotten a day ago appear until a probe finds nobody",
    ),
    Row(
        attack="Forged incarnation: a jump to the maximum",
        guard="one announcement raises a known incarnation by a bounded step; the bound is relative, so uptime is free",
        tests=(
            f"{SWIM}::test_an_incarnation_may_only_jump_so_far",
            f"{SWIM}::test_an_echo_of_a_former_run_is_refuted_above_its_incarnation",
        ),
    ),
    Row(
        attack="Speaking for others: forged leave, dead, alive, liveness",
        guard="links take names from certificates only; membership claims move no data and no votes; the accused "
        "refutes",
        tests=(
            f"{SWIM}::test_a_false_claim_about_this_node_is_refuted_with_a_higher_incarnation",
            "tests/unit/gossip/test_exchange.py::test_the_dead_of_others_are_suspects_first_and_the_left_are_left",
            "tests/unit/gossip/test_probing.py::test_an_ack_with_another_number_does_not_count",
            f"{REPAIR}::test_payload_of_a_peer_without_a_link_is_rejected",
            f"{TLS}::test_who_is_no_node_of_the_cluster_gets_no_link_and_only_the_judge_knows_why",
        ),
        limit="who holds the gossip key can declare members dead or left, which they refute within seconds, and "
        "announce "
        "members that do not exist, in a bounded table",
    ),
    Row(
        attack="Quorum forging: acknowledgements counted by a name in the payload",
        guard="acknowledgements count by the peer that the link's certificate names, once each",
        tests=(
            "tests/unit/crdtmesh/replication/test_level_writes.py::test_peer_that_confirms_twice_counts_once",
            f"{REPAIR}::test_payload_of_a_peer_without_a_link_is_rejected",
        ),
    ),
    Row(
        attack="Poison value that stops the loop and is passed on",
        guard="everything is decoded into our types before any state changes; what is unknown is refused or sealed",
        tests=(
            f"{FUZZ}::test_a_hundred_thousand_mutated_packets_raise_nothing_and_leave_memory_flat",
            "tests/property/test_links_session.py::test_random_bytes_never_raise_and_never_make_a_link",
            "tests/property/test_replication_wire.py::test_refused_payload_changes_nothing_and_none_raises",
            "tests/property/test_runtime_peer_codec.py::test_random_bytes_are_malformed_at_worst",
            f"{REPAIR}::test_hostile_payload_is_rejected_and_leaves_no_trace",
        ),
    ),
    Row(
        attack="Flood of members and tombstones",
        guard="a capped table that keeps who is there, bounded joins and refutations, an allow-list of networks",
        tests=(
            f"{SWIM}::test_a_full_table_keeps_who_is_there",
            "tests/unit/gossip/test_refutation.py::test_a_flood_of_accusations_is_refuted_at_a_bounded_rate",
            "tests/unit/gossip/test_members.py::test_the_gone_are_forgotten_after_their_time_and_the_present_never",
        ),
    ),
    Row(
        attack="Inflated causal contexts, counters pinned to the maximum",
        guard="44-bit dot numbers and 63-bit amounts, caps on replicas and ranges of a context; events claim only "
        "dots they "
        "speak for; a claim about the own replica id beyond its own count is an alarm and a new id",
        tests=(
            "tests/unit/crdtmesh/crdts/test_dots.py::test_full_table_refuses_new_ids_and_keeps_old_ones",
            f"{CODEC}::test_message_with_more_replicas_than_the_table_takes_is_refused",
            f"{REPAIR}::test_event_that_claims_dots_it_does_not_speak_for_is_rejected",
            f"{REPAIR}::test_event_of_our_own_that_we_never_issued_raises_the_alarm_and_stops_updates",
        ),
    ),
    Row(
        attack="Removals of dots that are yet to come",
        guard="a replica id is 128 random bits, new at each start, so future dots can't be named",
        tests=(f"{OWN}::test_dots_of_the_next_start_can_not_be_removed_ahead",),
    ),
    Row(
        attack="Clock poisoning of last-writer-wins",
        guard="a stamp beyond the drift is merged, never advances a clock, is counted; writers go one tick above it",
        tests=(
            "tests/unit/crdtmesh/crdts/test_clock.py::test_poisoned_key_stays_writable_and_keeps_its_poison",
            "tests/unit/crdtmesh/crdts/test_clock.py::test_stamp_beyond_the_drift_guard_does_not_advance_the_clock",
            f"{REPAIR}::test_clock_far_ahead_is_reported_once_and_does_not_drag_ours",
        ),
    ),
    Row(
        attack="Decompression bomb",
        guard="links and endpoints know no compression; gossip unpacks after it was opened, into a bounded buffer",
        tests=(
            f"{PACKETS}::test_a_decompression_bomb_is_refused",
            f"{PACKETS}::test_bombs_in_one_packet_share_one_budget",
            "tests/e2e/test_bombs.py::test_a_compressed_message_is_no_way_around_the_limit",
        ),
    ),
    Row(
        attack="Length fields that ask for memory",
        guard="each length is checked against a named cap before anything is set aside",
        tests=(
            f"{FRAMES}::test_length_above_the_limit_is_refused_from_its_four_bytes",
            "tests/unit/crdtmesh/links/test_session.py::test_stranger_may_not_announce_a_frame_above_one_kilobyte",
            f"{CODEC}::test_hostile_lengths_allocate_no_more_than_their_bytes_warrant",
            "tests/contract/test_joining.py::test_hostile_bytes_are_refused_and_cost_no_invitation",
        ),
    ),
    Row(
        attack="Protobuf bombs: nested messages, JSON transcoding",
        guard="payloads are carried unread; no node turns protobuf into JSON or back; the command line prints answers "
        "as JSON, and as base64 what is nested too deep; 16 MiB a message",
        tests=(
            f"{OWN}::test_no_node_transcodes_protobuf_and_json",
            "tests/e2e/test_bombs.py::test_an_any_nested_ten_thousand_deep_is_carried_unread",
            "tests/unit/crdtmesh/wire/test_payloads.py::test_nesting_beyond_the_stack_is_refused",
        ),
    ),
    Row(
        attack="`Any` of a confusing type",
        guard="what a host answers is compared with exact full names; the node parses nothing else",
        tests=(f"{OWN}::test_a_type_url_that_only_ends_alike_is_no_state",),
    ),
    Row(
        attack="msgpack bombs",
        guard="bounded frames, length limits on every container, no extension types, msgpack 1.2.3 or newer",
        tests=(
            f"{FRAMES}::test_bomb_is_refused_without_taking_memory",
            f"{CODEC}::test_nested_arrays_of_a_short_message_allocate_little",
            "tests/unit/gossip/test_codec.py::test_nested_arrays_do_not_make_us_allocate",
        ),
    ),
    Row(
        attack="Unsafe deserialisation",
        guard="no pickle, marshal, eval or import from what came; a lint rule bans them",
        tests=(f"{OWN}::test_no_module_can_run_what_it_reads",),
    ),
    Row(
        attack="Requests forged through the address of a user function",
        guard="loopback only unless a network is allowed; addresses are checked after resolving and then used; no "
        "redirects, "
        "no proxies, our own ports denied, deadlines and response caps",
        tests=(
            f"{CALLBACKS}::test_each_address_of_a_name_must_be_allowed",
            f"{CALLBACKS}::test_no_other_way_to_write_an_address_is_understood",
            f"{CALLBACKS}::test_the_nodes_own_ports_are_never_called",
            f"{CALLBACKS}::test_another_machine_can_not_have_this_one_call_itself",
            "tests/unit/crdtmesh/edge/test_http_guard.py::test_a_name_that_leads_to_loopback_is_kept_out",
        ),
    ),
    Row(
        attack="Spoofed mDNS and DNS answers",
        guard="answers are candidates, capped and tried ever more rarely; trust begins at the key",
        tests=(
            "tests/unit/gossip/test_candidates.py::test_a_flood_costs_bounded_memory_and_a_bounded_number_of_contacts",
            "tests/contract/test_gossip_agent.py::test_an_encrypted_cluster_lets_nobody_in_without_the_key",
        ),
    ),
    Row(
        attack="Reflection by indirect probes",
        guard="probes only for members and to members, and never more bytes than came",
        tests=(
            "tests/unit/gossip/test_probing.py::test_we_ping_nobody_but_members_and_for_nobody_but_members",
            "tests/unit/gossip/test_probing.py::test_a_stranger_gets_no_more_than_it_sent",
            "tests/unit/gossip/test_probing.py::test_an_ack_is_never_aimed_at_a_third_party",
        ),
    ),
    Row(
        attack="Flood of calls, timers and activations",
        guard="bounded mailboxes, calls in flight, actors in memory, connections and watches, with typed refusals",
        tests=(
            "tests/unit/crdtmesh/runtime/test_calls.py::test_full_mailbox_refuses_and_the_ones_in_it_still_run",
            "tests/unit/crdtmesh/runtime/test_routing.py::test_too_many_calls_for_one_peer_are_refused",
            f"{CALLS}::test_too_many_definitions_are_refused_and_those_without_a_host_give_way_first",
            f"{ACTIVATION}::test_call_to_one_more_actor_is_refused_while_all_that_are_in_memory_are_busy",
            f"{ACTIVATION}::test_the_longest_idle_actors_give_way_when_the_node_is_at_its_bound",
            f"{TLS}::test_strangers_who_never_finish_their_handshake_are_bounded",
        ),
        limit="that an instance of a template was spawned is remembered, in some hundred bytes, without a cap",
    ),
    Row(
        attack="Names chosen to land on one node",
        guard="placement is hashed under the cluster's secret",
        tests=(f"{OWN}::test_names_chosen_without_the_secret_spread_evenly",),
    ),
    Row(
        attack="Paths and keys injected by names",
        guard="names of actors and keys are data in SQLite, never file or table names; names of nodes are a closed "
        "alphabet",
        tests=(
            f"{OWN}::test_names_of_actors_touch_no_file_and_come_back_as_they_are",
            "tests/unit/crdtmesh/identity/test_names.py::test_what_only_looks_like_a_name_is_none",
            "tests/contract/test_joining.py::test_a_name_that_is_none_is_refused",
        ),
    ),
    Row(
        attack="Forged and flooding log lines",
        guard="fields are escaped and cut; what a stranger can cause is logged at a bounded rate",
        tests=(
            f"{LOGS}::test_a_field_can_not_forge_a_line",
            f"{LOGS}::test_a_long_field_is_cut",
            f"{LOGS}::test_the_rate_limit_lets_a_burst_through_and_then_one_at_a_time",
            "tests/unit/crdtmesh/links/test_session.py::test_text_of_a_peer_is_escaped_in_what_we_log",
            "tests/unit/crdtmesh/edge/test_access.py::test_the_audit_log_is_bounded",
        ),
    ),
)
