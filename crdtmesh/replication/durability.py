"""Durability modes: how long an update may wait for the disk when nobody else waits for it.

- `sync`, the default: nothing that could show an update leaves before it is on this node's disk.
- `interval(ms)`: it is shown, acknowledged and sent at once, and on this node's disk so many milliseconds later.
- `none`: likewise, and on disk with whatever is written next.

All updates go into one log in their order, so what a `sync` update has seen is on disk with it. What has left a node
that crashed before its commit is not told apart from anything else: replica ids are never used again, so other nodes
may keep what the node itself has lost, and give it back.
"""

from collections.abc import Iterable, Sequence

from crdtmesh.durations import NEVER_MS, SYNC_MS
from crdtmesh.replication.events import Event
from crdtmesh.replication.key_rules import KeyRules
from crdtmesh.replication.outputs import EntryKey


class Durability:
    """Which updates may wait, and until when.

    Args:
        rules: (pattern of keys, interval).
    """

    __slots__ = ("_rules",)

    def __init__(self, rules: Sequence[tuple[str, int]]) -> None:
        self._rules = KeyRules(rules)

    def of(self, system: str, events: Iterable[Event]) -> int:
        """The shortest interval that the entries of events ask for; NEVER_MS when all of them are `none`."""
        if not self._rules:
            return SYNC_MS
        shortest = NEVER_MS
        for event in events:
            for part in event.parts:
                interval_ms = self._rules.of(EntryKey(system, *part.name))
                if not interval_ms:
                    return SYNC_MS
                if interval_ms > 0 and (shortest == NEVER_MS or interval_ms < shortest):
                    shortest = interval_ms
        return shortest
