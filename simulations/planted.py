"""Bugs to plant, one at a time: what the net of checkers must catch.

Each is a patch of production code that lasts as long as a check of the checkers (`mutations`, and the tests). They are
what a tired author might write: the rule that each one breaks is in its docstring. Those of replication and engine are
here, others in `plants`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from crdtmesh.crdts import values
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.register_lww import LWWRegister
from crdtmesh.engine import Engine
from crdtmesh.replication import confirming
from crdtmesh.replication.checkpoint import Checkpoints
from crdtmesh.replication.entry import Entry
from crdtmesh.replication.expiring import Expiry
from crdtmesh.replication.options import ReplicationOptions
from crdtmesh.replication.outlet import Outlet
from crdtmesh.replication.own_dots import OwnDots
from crdtmesh.replication.receiver import Receiver
from crdtmesh.replication.repair import Repairer
from crdtmesh.replication.session import Session
from crdtmesh.replication.shard import Shard
from crdtmesh.runtime.replies import Replies
from gossip.refutation import Refuter
from gossip.rules import Rules
from simulations.node import SimulatedNode
from simulations.patching import Patch, Plant
from simulations.plan import BRIEF_PREFIX, DiskShape, FaultPlan, PathShape, RunPlan
from simulations.plants import (
    accept_life_at_the_same_incarnation,
    drop_calls_at_a_full_mailbox,
    keep_the_lesser_sum,
    keep_what_was_removed_before_a_handover,
    let_refuted_suspicions_end,
    let_the_order_of_a_set_reach_bytes,
    place_by_the_hash_of_the_process,
    remove_without_a_context,
    take_late_acks,
)
from simulations.scheduler import MILLISECOND_NS, SECOND_NS

Focus = Callable[[RunPlan], RunPlan]


def acknowledge_before_sync(patch: Patch) -> None:
    """A reply waits until the disk has what it is about."""
    patch.setattr(Replies, "hold", Replies.reply)


def show_reads_before_sync(patch: Patch) -> None:
    """A reader sees nothing that a crash could take back."""

    async def committed(self: Engine) -> None:
        del self

    patch.setattr(Engine, "committed", committed)


def compress_contexts_to_their_maximum(patch: Patch) -> None:
    """A context never holds a dot that was not added: gaps stay gaps."""

    def count_applied(self: Shard, event: Any) -> None:
        self.applied.add_run((event.first >> 44) << 44 | 1, event.last)
        self.revision += 1

    patch.setattr(Shard, "_count_applied", count_applied)


def repair_by_what_is_known(patch: Patch) -> None:
    """Rule A: knowing a superseded dot is not having applied its event."""

    def learn(self: Shard, entry: Entry, context: CausalContext) -> None:
        original(self, entry, context)
        self.applied.update(context)

    original = Shard._learn
    patch.setattr(Shard, "_learn", learn)


def repair_without_base(patch: Patch) -> None:
    """Rule C: a repaired entry's context reaches below what both sides have."""

    def encode(self: Session, *arguments: Any, **rest: Any) -> bytes:
        self._base = CausalContext(self.shard.table)
        return original(self, *arguments, **rest)

    original = Session._encode
    patch.setattr(Session, "_encode", encode)


def mark_unapplied_events_as_applied(patch: Patch) -> None:
    """Rule A on the repair path: the sender says which of the dots it lists it never applied."""

    def own_dots(self: Session, number: int) -> tuple[CausalContext, CausalContext]:
        return original(self, number)[0], CausalContext(self.shard.table)

    original = Session._own_dots
    patch.setattr(Session, "_own_dots", own_dots)


def repair_on_the_base_of_the_first_chunk(patch: Patch) -> None:
    """The base is that of the entries as they are sent; see the scenario `removal_learnt_between_chunks`."""

    def refresh(self: Session) -> None:
        base = self._base
        original(self)
        if self._next_chunk:
            self._base = base

    original = Session._refresh
    patch.setattr(Session, "_refresh", refresh)


def send_the_whole_context_with_a_part(patch: Patch) -> None:
    """Rule B: a context is absorbed only together with everything that it speaks for."""

    def own_dots(self: Session, number: int) -> tuple[CausalContext, CausalContext]:
        return self.shard.known.copy(), self.shard.known.difference(self.shard.applied)

    patch.setattr(Session, "_own_dots", own_dots)


def never_repair(patch: Patch) -> None:
    """What a lost push carried comes by anti-entropy."""
    patch.setattr(Repairer, "due", lambda self, peers, lagging, now_ns: self._arm(now_ns))
    patch.setattr(Repairer, "asks_first", lambda self, peer: False)


def drop_deltas_of_removals(patch: Patch) -> None:
    """A removal is an event like any other."""

    def absorb(self: Shard, entry: Entry, delta: Any) -> Any:
        if entry.data_type.is_bottom(delta.store):
            return ()
        return original(self, entry, delta)

    original = Shard._absorb
    patch.setattr(Shard, "_absorb", absorb)


def reuse_replica_id_after_lost_state(patch: Patch) -> None:
    """A new replica id at every start, whatever the disk says."""

    def new_replica_id(self: SimulatedNode, *, is_fresh: bool) -> bytes:
        return self.name.encode().ljust(16, b".") if is_fresh else original(self, is_fresh=is_fresh)

    original = SimulatedNode._new_replica_id
    patch.setattr(SimulatedNode, "_new_replica_id", new_replica_id)
    # Production has two guards of its own; a bug like this one would have got past both.
    patch.setattr(Receiver, "_check_own_dots", lambda self, shard, context, source: None)
    patch.setattr(Shard, "is_above", lambda self, context: False)


def compute_turn_on_current_state(patch: Patch) -> None:
    """A turn's mutations are computed on what its handler saw."""
    patch.setattr(Entry, "detach", lambda self: None)


def note_applied_at_the_end_of_a_checkpoint(patch: Patch) -> None:
    """E on disk is that of the beginning of a checkpoint, so never ahead of the entries beside it."""

    def finish(self: Checkpoints) -> Any:
        self._marks = [
            mark._replace(applied=mark.shard.applied.copy(), known=mark.shard.known.copy()) for mark in self._marks
        ]
        return original(self)

    original = Checkpoints._finish
    patch.setattr(Checkpoints, "_finish", finish)


def load_without_the_log(patch: Patch) -> None:
    """A start takes up the log behind the last checkpoint."""
    patch.setattr(Receiver, "replay", lambda self, message: None)


def forget_to_log_what_peers_send(patch: Patch) -> None:
    """What was received is logged before it is shown to anybody."""

    def receive_push(self: Receiver, *arguments: Any) -> Any:
        self._outlet.log = lambda message: None  # type: ignore[method-assign]
        try:
            return original(self, *arguments)
        finally:
            del self._outlet.log

    original = Receiver._receive_push
    patch.setattr(Receiver, "_receive_push", receive_push)


def never_refute(patch: Patch) -> None:
    """A live member contradicts claims of its death."""
    patch.setattr(Refuter, "refute", lambda self, incarnation: None)


def never_declare_dead(patch: Patch) -> None:
    """A suspicion that nobody refutes ends in death."""
    patch.setattr(Rules, "on_suspicion_over", lambda self, name: None)


def break_ties_by_arrival(patch: Patch) -> None:
    """Which of several concurrent writes a register shows does not depend on the order in which they came."""

    def value(self: LWWRegister, store: Any) -> Any:
        del self
        return values.decode(list(store.values())[-1][2]) if store else None

    patch.setattr(LWWRegister, "value", value)


def absorb_context_early(patch: Patch) -> None:
    """A context is absorbed with what it speaks for, not before: else new dots look like removed ones."""

    def absorb(self: Shard, entry: Entry, delta: Any) -> Any:
        self.known.update(delta.context)
        return original(self, entry, delta)

    original = Shard._absorb
    patch.setattr(Shard, "_absorb", absorb)


def put_two_entries_under_one_dot(patch: Patch) -> None:
    """Each primitive mutation takes a dot of its own."""

    def next_dot(self: OwnDots) -> Any:
        dot = self.next
        self.next = dot + 1
        return dot & ~1 or dot

    patch.setattr(OwnDots, "next_dot", next_dot)


def acknowledge_levels_with_one_disk(patch: Patch) -> None:
    """A level counts as many disks as it says."""
    patch.setattr(confirming, "needed_of", lambda level, voters, ground: 1)


def answer_well_after_a_failed_commit(patch: Patch) -> None:
    """What will never be on disk is not acknowledged."""
    patch.setattr(Replies, "commit_failed", lambda self, ticket, reason: self.committed(ticket))


def expire_each_by_its_own_clock(patch: Patch) -> None:
    """An expired entry is removed by an event, not dropped by each node in silence."""

    def hide(self: Expiry, key: Any) -> None:
        original(self, key)
        entry = self._find(key)
        if entry is not None:
            entry.store = entry.data_type.bottom()

    original = Expiry._hide
    patch.setattr(Expiry, "_hide", hide)


def expire_by_the_first_word(patch: Patch) -> None:
    """An expiry that was raised counts as it is now."""

    def noted(self: Expiry, cell: Entry) -> None:
        before = dict(self._due)
        original(self, cell)
        self._due = {key: min(due, before.get(key, due)) for key, due in self._due.items()}

    original = Expiry.noted
    patch.setattr(Expiry, "noted", noted)


def forget_to_log_what_may_wait(patch: Patch) -> None:
    """An update that does not wait for the disk is on it after the interval of its mode."""
    patch.setattr(Outlet, "_log_later", lambda self, message: self._logged(message))


def as_drawn(plan: RunPlan) -> RunPlan:
    """An ordinary run."""
    return plan


def many_turns(plan: RunPlan) -> RunPlan:
    """Every update is a turn, and they meet."""
    workload = replace(plan.workload, turns=0.5, turns_waiting=1.0, handler_ns_max=SECOND_NS, keys=1, elements=0)
    workload = replace(workload, mix=(("ORSet", 1.0),), up_counter=0.0, read=0.0)
    workload = replace(workload, clients=6, think_ns_mean=50 * MILLISECOND_NS)
    return replace(plan, workload=workload, state=None)


def many_crashes(plan: RunPlan) -> RunPlan:
    """Crashes, restarts and checkpoints all the time, on slow disks, with many readers."""
    faults = replace(plan.faults, crashes=20, down_ns_max=SECOND_NS)
    workload = replace(plan.workload, clients=6, think_ns_mean=100 * MILLISECOND_NS, keys=1, up_counter=2.0, read=4.0)
    replication = replace(plan.replication, checkpoint_log_rows=5, checkpoint_slice_entries=1)
    disk = replace(plan.disk, slow=0.2, slow_ns_max=2 * SECOND_NS)
    return replace(plan, faults=faults, workload=workload, disk=disk, replication=replication)


def many_lost_disks(plan: RunPlan) -> RunPlan:
    """Updates at high levels, and one node's disk lost after the other behind cuts."""
    faults = replace(plan.faults, crashes=6, disk_losses=1.0, down_ns_max=SECOND_NS, partitions=6, joins=0)
    workload = replace(plan.workload, clients=6, think_ns_mean=50 * MILLISECOND_NS, levels=1.0, turns=0.0)
    return replace(plan, faults=faults, workload=workload)


def many_failing_disks(plan: RunPlan) -> RunPlan:
    """Disks that refuse transactions all the time."""
    disk = replace(plan.disk, error=0.02)
    workload = replace(plan.workload, clients=6, think_ns_mean=50 * MILLISECOND_NS)
    return replace(plan, disk=disk, workload=workload)


def one_register(plan: RunPlan) -> RunPlan:
    """Everybody writes one register."""
    workload = replace(plan.workload, clients=6, think_ns_mean=50 * MILLISECOND_NS, keys=1, up_counter=0.0, read=0.0)
    return replace(plan, workload=replace(workload, mix=(("LWWRegister", 1.0),)))


def one_set(plan: RunPlan) -> RunPlan:
    """Everybody adds to one set and removes from it."""
    return replace(one_register(plan), workload=replace(one_register(plan).workload, mix=(("ORSet", 1.0),), elements=0))


def many_brief(plan: RunPlan) -> RunPlan:
    """Nothing but updates that do not wait for the disk, and a crash of all nodes when most should be on it."""
    workload = replace(plan.workload, clients=6, think_ns_mean=200 * MILLISECOND_NS, brief=1.0, up_counter=0, read=0)
    rules = ((f"{BRIEF_PREFIX}*", 100),)
    # What a repair or a checkpoint brings is on disk at once, so both are rare.
    replication = ReplicationOptions(durability_rules=rules, repair_interval_ns=30 * SECOND_NS)
    faults = FaultPlan(crashes=1, disk_losses=0.0, all_at_once=1.0, down_ns_max=SECOND_NS)
    workload = replace(workload, mix=(("ORSet", 0.0),), expiring=0.0, overload_clients=0)
    plan = replace(plan, state=None, hostile=None, stays_down=False, payload_loss=None, disk=DiskShape())
    plan = replace(plan, datagrams=PathShape(), segments=PathShape(), hostless=0)
    return replace(plan, workload=workload, replication=replication, faults=faults, faulty_ns=40 * SECOND_NS)


def many_expiring(plan: RunPlan) -> RunPlan:
    """Sets that expire, updated all the time."""
    workload = replace(plan.workload, clients=6, think_ns_mean=100 * MILLISECOND_NS, expiring=10.0)
    return replace(plan, workload=workload)


def many_losses(plan: RunPlan) -> RunPlan:
    """Links that lose, under sets that are added to and removed from."""
    workload = replace(
        plan.workload, clients=6, think_ns_mean=100 * MILLISECOND_NS, keys=2, elements=0, mix=(("ORSet", 1.0),)
    )
    replication = replace(plan.replication, repair_chunk_bytes=192 * 1024)
    loss = PathShape(delay_ns_max=500 * MILLISECOND_NS, loss=0.3)
    return replace(plan, workload=workload, payload_loss=loss, replication=replication)


def many_chunks(plan: RunPlan) -> RunPlan:
    """Repairs of one entry a message, of many entries that change meanwhile, on links that lose."""
    plan = many_losses(plan)
    workload = replace(plan.workload, keys=32, clients=8, think_ns_mean=40 * MILLISECOND_NS)
    replication = replace(plan.replication, shards=1, repair_chunk_bytes=1, repair_chunks_in_flight=1)
    loss = PathShape(delay_ns_max=500 * MILLISECOND_NS, loss=0.5)
    return replace(plan, workload=workload, payload_loss=loss, replication=replication)


def late_answers(plan: RunPlan) -> RunPlan:
    """Datagrams that take seconds, to and from nodes that go down for long."""
    datagrams = PathShape(delay_ns_max=500 * MILLISECOND_NS, tail=0.4, tail_ns_max=5 * SECOND_NS)
    faults = replace(plan.faults, crashes=8, down_ns_max=8 * SECOND_NS)
    return replace(plan, datagrams=datagrams, faults=faults)


def full_mailboxes(plan: RunPlan) -> RunPlan:
    """Slow handlers behind mailboxes for one call."""
    plan = many_turns(plan)
    return replace(plan, mailbox_max=1, window_max=1, workload=replace(plan.workload, turns=1.0))


def many_routes(plan: RunPlan) -> RunPlan:
    """Nodes without hosts, whose calls go to others."""
    workload = replace(plan.workload, turns=1.0, clients=6, keys=4, think_ns_mean=100 * MILLISECOND_NS)
    return replace(plan, hostless=1, workload=workload)


@dataclass(frozen=True)
class Planted:
    """A bug to plant.

    Attributes:
        plant: makes it.
        focus: turns up what the rule is about, for a bug that an ordinary run seldom meets.
        scenario: what catches it, where runs reach the branch too seldom; empty for runs.
        is_repeated: each run is made again in a process with another hash seed, and must be the same.
    """

    plant: Plant
    focus: Focus = as_drawn
    scenario: str = ""
    is_repeated: bool = False


PLANTED: Sequence[Planted] = (
    Planted(absorb_context_early),
    Planted(accept_life_at_the_same_incarnation),
    Planted(acknowledge_before_sync),
    Planted(acknowledge_levels_with_one_disk, many_lost_disks),
    Planted(answer_well_after_a_failed_commit, many_failing_disks),
    Planted(break_ties_by_arrival, one_register),
    Planted(compress_contexts_to_their_maximum),
    Planted(compute_turn_on_current_state, many_turns),
    Planted(drop_calls_at_a_full_mailbox, full_mailboxes),
    Planted(drop_deltas_of_removals),
    Planted(expire_by_the_first_word, many_expiring),
    Planted(expire_each_by_its_own_clock, many_expiring),
    Planted(forget_to_log_what_may_wait, many_brief),
    Planted(forget_to_log_what_peers_send, many_crashes),
    Planted(keep_the_lesser_sum),
    Planted(keep_what_was_removed_before_a_handover, scenario="removed_before_a_handover"),
    Planted(let_refuted_suspicions_end),
    Planted(let_the_order_of_a_set_reach_bytes, is_repeated=True),
    Planted(load_without_the_log),
    Planted(mark_unapplied_events_as_applied, many_losses),
    Planted(never_declare_dead),
    Planted(never_refute),
    Planted(never_repair),
    Planted(note_applied_at_the_end_of_a_checkpoint, many_crashes),
    Planted(place_by_the_hash_of_the_process, many_routes, is_repeated=True),
    Planted(put_two_entries_under_one_dot),
    Planted(remove_without_a_context, one_set),
    Planted(repair_by_what_is_known),
    Planted(repair_on_the_base_of_the_first_chunk, scenario="removal_learnt_between_chunks"),
    Planted(repair_without_base),
    Planted(reuse_replica_id_after_lost_state),
    Planted(send_the_whole_context_with_a_part, many_chunks),
    Planted(show_reads_before_sync, many_crashes),
    Planted(take_late_acks, late_answers),
)
"""All of them."""

FOCUSES: Sequence[Focus] = tuple({planted.focus.__name__: planted.focus for planted in PLANTED}.values())
"""All that are used."""
