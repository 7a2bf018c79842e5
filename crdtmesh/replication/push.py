"""Pushes: local events in frames, and per-peer queues that drop deltas under pressure, never correctness.

Every peer gets every event of this replica when the commit that made it durable is done, the updates of one key within
a group joined into one. Nothing is forwarded: with up to about 30 peers the origin reaches all of them, and repair
heals what was lost. A full queue forgets pushes and marks the peer, which is then repaired. For more peers than that,
`Outbox.broadcast` is where a push tree chooses whom a message goes to.
"""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final

from crdtmesh.crdts.base import Delta
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.replication import wire
from crdtmesh.replication.events import EntryName, Event, KeyDelta
from crdtmesh.replication.options import PUSH_FRAME_BYTES
from crdtmesh.replication.outputs import SendTo
from crdtmesh.replication.parts import split
from crdtmesh.replication.wire import ShardEvents

# Events joined into one: enough that what each adds beside its content is gone, and about a fifth of a frame.
_JOINED_MAX: Final = 512

# The first guess of an event's size; it follows what was measured from there on.
_EVENT_BYTES: Final = 64.0


def coalesce(table: ReplicaTable, events: Sequence[Event]) -> list[Event]:
    """Joins the events of one key, so that it travels, and is logged, once.

    Args:
        table: of their dots.
        events: of one shard and replica, in order of their dots.

    Returns:
        Events that bring the same, in order of their first dots. Those of several keys stay as they are, and nothing is
        joined across them, so that all or nothing still holds for each.

    Complexity: O(deltas).
    """
    if len(events) == 1 or len({event.parts[0].name for event in events}) == len(events):
        return list(events)
    result: list[Event] = []
    by_name: dict[EntryName, list[Event]] = {}
    for event in events:
        if len(event.parts) == 1:
            group = by_name.setdefault(event.parts[0].name, [])
            group.append(event)
            if len(group) == _JOINED_MAX:
                result += _joined(table, by_name.pop(event.parts[0].name))
        else:
            for part in event.parts:
                result += _joined(table, by_name.pop(part.name, []))
            result.append(event)
    for group in by_name.values():
        result += _joined(table, group)
    result.sort(key=itemgetter(0))
    return result


def _joined(table: ReplicaTable, group: list[Event]) -> list[Event]:
    if len(group) < 2:
        return group
    name, data_type, _ = group[0].parts[0]
    store, context = data_type.bottom(), CausalContext(table)
    for event in group:
        delta = event.parts[0].delta
        store, _ = data_type.absorb(store, context, delta)
        context.update(delta.context)
    return [Event(group[0].first, group[-1].last, (KeyDelta(name, data_type, Delta(store, context)),))]


class FrameEncoder:
    """Turns events into PUSH messages of at most PUSH_FRAME_BYTES, as far as one event allows."""

    __slots__ = ("_event_bytes",)

    def __init__(self) -> None:
        self._event_bytes = _EVENT_BYTES

    def encode(
        self, table: ReplicaTable, clock: int, sections: Sequence[ShardEvents]
    ) -> list[tuple[bytes, list[ShardEvents]]]:
        """The bodies of the messages for events of one system, each with what is in it, in order.

        Events of one key are joined (`coalesce`), unless a message with them would be too large. The number of events
        for a message is guessed from the sizes seen before; a message that came out too large is halved.
        """
        joined = [(shard, coalesce(table, events)) for shard, events in sections]
        frames = self._encode(table, clock, joined)
        if any(len(body) > PUSH_FRAME_BYTES for body, _ in frames):
            frames = self._encode(table, clock, sections)
        return frames

    def _encode(
        self, table: ReplicaTable, clock: int, sections: Sequence[ShardEvents]
    ) -> list[tuple[bytes, list[ShardEvents]]]:
        events = [(shard, event) for shard, section in sections for event in section]
        frames: list[tuple[bytes, list[ShardEvents]]] = []
        position = 0
        while position < len(events):
            count = max(1, int(0.9 * PUSH_FRAME_BYTES / self._event_bytes))
            if position == 0 and count >= len(events):
                batch = list(sections)
                count = len(events)
            else:
                count = min(count, len(events) - position)
                batch = _sections(events[position : position + count])
            body = wire.encode_push(table, clock, batch)
            while len(body) > PUSH_FRAME_BYTES and count > 1:
                count = (count + 1) // 2
                batch = _sections(events[position : position + count])
                body = wire.encode_push(table, clock, batch)
            self._event_bytes += (len(body) / count - self._event_bytes) / 8
            frames.append((body, batch))
            position += count
        return frames


def _sections(events: Sequence[tuple[int, Event]]) -> list[ShardEvents]:
    """Events that are in order of their shard, by shard."""
    return [(shard, [event for _, event in group]) for shard, group in groupby(events, key=itemgetter(0))]


class Outbox:
    """Payloads for peers with a link, until the driver takes them.

    Args:
        bytes_max: of pushes waiting for one peer. Repairs are bounded by their sessions.
    """

    __slots__ = ("_bytes_max", "_messages", "_payloads", "_waiting", "lagging")

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._waiting: dict[str, int] = {}
        self._payloads: list[SendTo] = []
        self._messages = 0
        # Peers that missed pushes; a dict keeps them in the order in which they began to lag.
        self.lagging: dict[str, None] = {}

    @property
    def peers(self) -> list[str]:
        """The peers with a link, in the order in which they came up."""
        return list(self._waiting)

    def __contains__(self, peer: str) -> bool:
        return peer in self._waiting

    def __len__(self) -> int:
        return len(self._waiting)

    def up(self, peer: str) -> None:
        """A link is there."""
        self._waiting.setdefault(peer, 0)

    def down(self, peer: str) -> None:
        """The link is gone, and what waited for it with it; anti-entropy follows when it is back."""
        self._waiting.pop(peer, None)
        self.lagging.pop(peer, None)
        self._payloads = [payload for payload in self._payloads if payload.peer != peer]

    def broadcast(self, message: bytes) -> None:
        """Queues a push for every peer that has room."""
        if not self._waiting:
            return
        parts = self._split(message)
        for peer, waiting in self._waiting.items():
            if waiting + len(message) > self._bytes_max:
                self.lagging[peer] = None
                continue
            self._waiting[peer] = waiting + len(message)
            for part in parts:
                self._payloads.append(SendTo(peer, part))

    def send(self, peer: str, message: bytes) -> None:
        """Queues a message of anti-entropy; it is dropped if the link is gone."""
        if peer in self._waiting:
            for part in self._split(message):
                self._payloads.append(SendTo(peer, part, is_repair=True))

    def take(self) -> list[SendTo]:
        """All payloads, emptied."""
        payloads, self._payloads = self._payloads, []
        if payloads:
            self._waiting = dict.fromkeys(self._waiting, 0)
        return payloads

    def _split(self, message: bytes) -> list[bytes]:
        self._messages += 1
        return split(message, self._messages)
