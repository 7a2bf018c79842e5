"""A few entries for one peer, outside of a round of anti-entropy: what read repair and a resent write send."""

from collections.abc import Sequence

from crdtmesh.crdts.context import CausalContext
from crdtmesh.replication import wire
from crdtmesh.replication.options import ReplicationOptions
from crdtmesh.replication.session import Session
from crdtmesh.replication.shard import Shard


def entry_messages(
    shard: Shard, theirs: CausalContext, numbers: Sequence[int], *, options: ReplicationOptions, clock: int
) -> tuple[list[bytes], CausalContext]:
    """REPAIR messages that bring entries of a peer up to date, with all that events of several keys tie to them.

    Args:
        shard: of the entries.
        theirs: what the peer has applied.
        numbers: of the entries.
        options: limits.
        clock: the hybrid clock's time.

    Returns:
        The messages, none when the peer lacks nothing of these entries; and the events of these entries that it lacks.
        A peer that lacks what the index has forgotten (`Shard.reaches`) gets none: only a whole shard helps it.

    Complexity: O(events that the peer lacks in the whole shard).
    """
    events = events_of(shard, shard.applied.difference(theirs), numbers)
    if not events or not shard.reaches(theirs):
        return [], events
    session = Session(shard, theirs, 0, chunk_bytes=options.repair_chunk_bytes, wants_back=False, only=numbers)
    head = wire.header(wire.Kind.REPAIR, options.shards, shard.system)
    messages: list[bytes] = []
    while not session.is_done:
        body, _ = session.chunk(clock, may_wait=False)
        messages.append(head + body)
    return messages, events


def events_of(shard: Shard, among: CausalContext, numbers: Sequence[int]) -> CausalContext:
    """The dots of a context that belong to these entries. Complexity: O(runs of the context in the index)."""
    events = CausalContext(shard.table)
    wanted = frozenset(numbers)
    for first, last in among.intervals():
        for low, high, number in shard.owners_within(first, last):
            if number in wanted:
                events.add_run(low, high)
    return events


def asked_for(shard: Shard, name: tuple[str, str], missing: CausalContext) -> list[int]:
    """The entries that a question is about: the one of a name, or those of all keys that begin like it.

    Args:
        shard: of the entries.
        name: key and type; the beginning of keys if the type is empty.
        missing: of many entries only those are meant that own one of these dots.
    """
    if name[1]:
        entry = shard.entries.find(name)
        return [] if entry is None else [entry.number]
    entries = shard.entries
    return [
        number
        for number in owners_of(shard, missing)
        if entries.is_taken(number) and entries.name_of(number)[0].startswith(name[0])
    ]


def owners_of(shard: Shard, events: CausalContext) -> list[int]:
    """The entries that these dots belong to."""
    owners = (number for first, last in events.intervals() for _, _, number in shard.owners_within(first, last))
    return list(dict.fromkeys(owners))
