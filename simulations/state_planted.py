"""Bugs to plant in what the service `State` promises, and in what is left of replication; see `planted`.

The rule that each one breaks is in its docstring; what must catch it is the checker of that rule.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from crdtmesh.crdts.operations import Operation
from crdtmesh.levels import LOCAL
from crdtmesh.replication import repeats, updating
from crdtmesh.replication.checkpoint import SHARD_KIND, RowLoader
from crdtmesh.replication.confirming import Confirmer
from crdtmesh.replication.expiring import Expiry
from crdtmesh.replication.ground import VoterLists
from crdtmesh.replication.options import ReplicationOptions
from crdtmesh.replication.shard import Shard
from crdtmesh.replication.tokens import Tokens
from crdtmesh.replication.updating import BatchResult, Updates
from crdtmesh.replication.watch import Watch
from simulations.patching import Patch
from simulations.plan import DiskShape, FaultPlan, PathShape, RunPlan, StatePlan
from simulations.planted import Focus, Planted, many_chunks
from simulations.scheduler import MILLISECOND_NS, SECOND_NS

# --- levels and tokens


def answer_reads_from_this_node(patch: Patch) -> None:
    """A read at a level asks as many voters as it says."""

    def read(self: Confirmer, ticket: Any, key: Any, **rest: Any) -> None:
        original(self, ticket, key, **{**rest, "level": LOCAL})

    original = Confirmer.read
    patch.setattr(Confirmer, "read", read)


def count_by_the_failure_detector(patch: Patch) -> None:
    """Who counts is on a list that cuts do not shorten: else both halves of a split are a majority."""

    def of(self: VoterLists, system: str) -> frozenset[str]:
        del system
        replica: Any = self._read
        replica = replica.__self__
        return frozenset({replica._node, *replica._outlet.outbox.peers})

    patch.setattr(VoterLists, "of", of)


def take_tokens_for_reached(patch: Patch) -> None:
    """A read with a token waits until this node has what the token holds."""
    patch.setattr(Tokens, "_is_reached", lambda self, waiting: True)


# --- batches and operation ids


def make_an_event_of_each_key(patch: Patch) -> None:
    """A batch is one event, so that nobody has a part of it."""

    def update_batch(self: Updates, updates: Any, **rest: Any) -> BatchResult:
        results = [original(self, [update], **rest) for update in updates]
        return BatchResult(results[-1].event, tuple(result.entries[0] for result in results))

    original = Updates.update_batch
    patch.setattr(Updates, "update_batch", update_batch)


def forget_operation_ids(patch: Patch) -> None:
    """What was done under an id is not done again under it."""
    patch.setattr(repeats, "is_repeated", lambda kept, operation_id, *, wall_ms: False)


# --- expiry


def expire_at_half_of_the_time(patch: Patch) -> None:
    """An entry lives for as long as it was told."""

    def writing(cell: Any, ttl_ms: int, *, wall_ms: int) -> Operation:
        return original(cell, ttl_ms // 2, wall_ms=wall_ms)

    original = updating.writing  # type: ignore[attr-defined]
    patch.setattr(updating, "writing", writing)


def show_what_has_expired(patch: Patch) -> None:
    """An entry that has expired is not shown while it waits for its removal."""
    patch.setattr(Expiry, "_hide", lambda self, key: None)


def forget_expiries_at_a_start(patch: Patch) -> None:
    """What expires does so after a restart too."""
    patch.setattr(Expiry, "loaded", lambda self: None)


def remove_what_is_not_whole(patch: Patch) -> None:
    """What has expired is removed by a node that has all updates whose expiry it goes by."""
    patch.setattr(Expiry, "_is_whole", lambda self, key: True)


# --- watches


def miss_changes_while_the_reader_is_slow(patch: Patch) -> None:
    """A reader that is slow gets changes joined, and none left out."""

    def mark(self: Watch, key: Any, now_ns: int) -> None:
        if not self.queue:
            original(self, key, now_ns)

    original = Watch.mark
    patch.setattr(Watch, "mark", mark)


def resume_one_message_early(patch: Patch) -> None:
    """A reader that comes back is given what is behind the last message that it has, and nothing again."""

    def rewind(self: Watch, seq: int) -> bool:
        return original(self, seq - 1 if seq > 1 else seq)

    original = Watch.rewind
    patch.setattr(Watch, "rewind", rewind)


def resume_behind_what_was_sent(patch: Patch) -> None:
    """What was sent is with the reader only when it says so."""

    def rewind(self: Watch, seq: int) -> bool:
        is_known = original(self, seq)
        while self.queue and is_known:
            self.advance()
        return is_known

    original = Watch.rewind
    patch.setattr(Watch, "rewind", rewind)


# --- trimmed history and the fallback


def repair_across_what_was_trimmed(patch: Patch) -> None:
    """Rule D: a peer that lacks what the index has forgotten is sent the whole shard."""
    patch.setattr(Shard, "reaches", lambda self, theirs: True)


def absorb_half_of_a_fallback(patch: Patch) -> None:
    """Rule D: a fallback is finished: its context counts when all of its entries are there."""

    def take_over(self: Shard, offered: Any, states: Any, **rest: Any) -> Any:
        half = len(states) // 2
        left = [state._replace(store=state.data_type.bottom()) for state in states[half:]]
        return original(self, offered, [*states[:half], *left], **rest)

    original = Shard.take_over
    patch.setattr(Shard, "take_over", take_over)


def trim_above_what_is_applied(patch: Patch) -> None:
    """The index forgets only events that this replica has applied."""

    def trim(self: Shard, low: Any) -> None:
        original(self, low if low.issubset(self.low) else _without_gaps(self.known))

    original = Shard.trim
    patch.setattr(Shard, "trim", trim)


def _without_gaps(context: Any) -> Any:
    """For each replica id all up to the last dot that is known."""
    full = context.copy()
    for replica in context.replicas():
        full.add_run(replica << 44 | 1, replica << 44 | context.greatest(replica))
    return full


def load_entries_without_their_context(patch: Patch) -> None:
    """A snapshot of a shard is its entries and its context: without it what was removed is unknown."""

    def load_shard_row(self: RowLoader, key: bytes, data: bytes) -> None:
        original(self, key, data)
        if key[:1] == SHARD_KIND:
            shard = self._systems.make(key[3 : 3 + key[2]].decode()).shard(key[3 + key[2]])
            shard.known = type(shard.known)(shard.table)

    original = RowLoader._load_shard_row
    patch.setattr(RowLoader, "_load_shard_row", load_shard_row)


# --- what the plans are turned towards


def _asking(plan: RunPlan, **changes: Any) -> RunPlan:
    """Mostly clients of the service, on wires and disks that hold nothing up."""
    off = dict.fromkeys(("write", "read", "follow", "batch", "scan", "once", "expire", "look"), 0.0)
    state = StatePlan(**{**off, "clients": 5, "think_ns_mean": 50 * MILLISECOND_NS, "readers": 0, "keys": 1, **changes})
    workload = replace(plan.workload, clients=1, overload_clients=0, padding=0, levels=0.0)
    plan = replace(plan, datagrams=PathShape(), segments=PathShape(), disk=DiskShape(), payload_loss=None)
    return replace(plan, state=state, workload=workload, hostile=None, stays_down=False)


def levels_behind_cuts(plan: RunPlan) -> RunPlan:
    """Writes and reads at majorities, on both sides of cuts that last until each takes the other for dead."""
    plan = _asking(plan, write=1.0, read=1.0, stickiness=0.0)
    faults = FaultPlan(partitions=2, partition_ns_max=60 * SECOND_NS)
    # Without the size of the finished cluster, which would be a floor.
    return replace(plan, faults=faults, replication=replace(plan.replication, expected_nodes=0))


def levels_on_lossy_links(plan: RunPlan) -> RunPlan:
    """Writes and reads at majorities, while what was written is lost on its way to some nodes."""
    loss = PathShape(delay_ns_max=50 * MILLISECOND_NS, loss=0.2)
    plan = _asking(plan, write=1.0, read=2.0, stickiness=0.0)
    return replace(plan, payload_loss=loss, faults=FaultPlan())


def tokens_elsewhere(plan: RunPlan) -> RunPlan:
    """Tokens that travel faster than what they hold."""
    loss = PathShape(delay_ns_max=500 * MILLISECOND_NS, loss=0.3)
    return replace(_asking(plan, write=1.0, follow=2.0), payload_loss=loss)


def batches_in_chunks(plan: RunPlan) -> RunPlan:
    """Batches that are lost on the way and repaired in chunks of one entry."""
    plan = _asking(plan, batch=1.0, scan=3.0, stickiness=0.0)
    return replace(plan, payload_loss=many_chunks(plan).payload_loss, replication=many_chunks(plan).replication)


def many_attempts(plan: RunPlan) -> RunPlan:
    """Operation ids, and clients that know little of what became of them."""
    plan = _asking(plan, once=1.0)
    faults = FaultPlan(crashes=6, disk_losses=0.0, down_ns_max=SECOND_NS, partitions=4, partition_ns_max=5 * SECOND_NS)
    return replace(plan, faults=faults)


def many_looks(plan: RunPlan) -> RunPlan:
    """Sets that expire, looked at all the time, at nodes that restart."""
    faults = FaultPlan(crashes=4, disk_losses=0.0, all_at_once=0.0, down_ns_max=SECOND_NS)
    replication = replace(plan.replication, checkpoint_log_rows=5)
    return replace(_asking(plan, expire=1.0, look=3.0), faults=faults, replication=replication)


def many_readers(plan: RunPlan) -> RunPlan:
    """Readers that are slow and often away."""
    changes = {"readers": 3, "away": 0.2, "away_ns_max": SECOND_NS, "slow_ns_max": 500 * MILLISECOND_NS}
    plan = _asking(plan, write=1.0, batch=1.0, interval_ms=0, **changes)
    return replace(plan, faults=FaultPlan())


def short_memories(plan: RunPlan) -> RunPlan:
    """Indexes that forget all the time, under nodes that are away or lose messages."""
    plan = many_chunks(plan)
    replication: ReplicationOptions = replace(
        plan.replication,
        index_runs_max=16,
        index_age_ns=SECOND_NS,
        trim_interval_ns=SECOND_NS,
        trim_runs_min=1,
        checkpoint_log_rows=5,
    )
    faults = FaultPlan(partitions=4, partition_ns_max=6 * SECOND_NS, crashes=6, down_ns_max=4 * SECOND_NS)
    workload = replace(plan.workload, keys=8, clients=5, think_ns_mean=60 * MILLISECOND_NS)
    return replace(plan, replication=replication, faults=faults, workload=workload, hostile=None, stays_down=False)


_WITH_FOCUS: Sequence[tuple[Callable[[Patch], None], Focus]] = (
    (absorb_half_of_a_fallback, short_memories),
    (answer_reads_from_this_node, levels_on_lossy_links),
    (count_by_the_failure_detector, levels_behind_cuts),
    (expire_at_half_of_the_time, many_looks),
    (forget_expiries_at_a_start, many_looks),
    (forget_operation_ids, many_attempts),
    (load_entries_without_their_context, short_memories),
    (make_an_event_of_each_key, batches_in_chunks),
    (miss_changes_while_the_reader_is_slow, many_readers),
    (repair_across_what_was_trimmed, short_memories),
    (resume_behind_what_was_sent, many_readers),
    (resume_one_message_early, many_readers),
    (show_what_has_expired, many_looks),
    (take_tokens_for_reached, tokens_elsewhere),
    (trim_above_what_is_applied, short_memories),
)

PLANTED: Sequence[Planted] = (
    *(Planted(plant, focus) for plant, focus in _WITH_FOCUS),
    Planted(remove_what_is_not_whole, scenario="expired_before_an_update_came"),
)
"""All of them."""
