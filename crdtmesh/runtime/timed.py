"""Which actors have timers that run: replicated state, so that they outlive the node that runs them.

One entry of the system `_mesh` for each actor with timers, written by its first activation. Whoever is the actor's
owner runs its timers; who becomes it, because another one died or a host came, begins with them. Looking for what a
node has become the owner of goes in slices, since there may be a hundred thousand instances.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final

from crdtmesh.crdts.operations import Operation
from crdtmesh.replication.errors import ReplicationError
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.replication.replica import Replica
from crdtmesh.runtime.definition import MESH_SYSTEM, ActorAddress

__all__ = ["Timed"]

_SEPARATOR: Final = "\x1f"
# No name has the separator, so these keys are nobody else's.
_PREFIX: Final = f"timed{_SEPARATOR}"
_TYPE: Final = "EWFlag"

# Looked at in one loop turn. One costs a hash for each node that offers the actor, about 1 µs each.
SLICE: Final = 1_000


class Timed:
    """The actors whose timers run, as far as this node knows."""

    __slots__ = ("_known", "_replica", "_suspects")

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        # A dict for its order.
        self._known: dict[ActorAddress, None] = {}
        self._suspects: deque[ActorAddress] = deque()
        for view in replica.entries(MESH_SYSTEM, _PREFIX):
            self.changed(view.key)

    def remember(self, actor: ActorAddress, *, wall_ms: int) -> None:
        """An actor with timers was activated. A node that is read-only says so in the reply to the call itself."""
        if actor not in self._known:
            self._update(actor, "enable", wall_ms)

    def forget(self, actor: ActorAddress, *, wall_ms: int) -> None:
        """An actor was stopped or deleted: nobody runs its timers until it is activated again."""
        if actor in self._known:
            self._update(actor, "disable", wall_ms)

    def _update(self, actor: ActorAddress, operation: str, wall_ms: int) -> None:
        try:
            self._replica.update(_key(actor), [Operation(operation)], ticket=None, wall_ms=wall_ms)
        except ReplicationError:
            return

    def changed(self, key: EntryKey) -> ActorAddress | None:
        """An entry of the system `_mesh` changed; gives the actor whose timers are to end, if any."""
        actor = _actor(key)
        if actor is None:
            return None
        view = self._replica.read(key)
        if view is None or view.value() is not True:
            self._known.pop(actor, None)
            return actor
        if actor not in self._known:
            self._known[actor] = None
            self._suspects.append(actor)
        return None

    def owners_changed(self) -> None:
        """Other nodes, or this one, offer other actors than before."""
        self._suspects = deque(self._known)

    def take_suspects(self) -> Iterator[ActorAddress]:
        """The next slice of those that may be this node's to run."""
        suspects = self._suspects
        for _ in range(min(SLICE, len(suspects))):
            yield suspects.popleft()

    @property
    def has_suspects(self) -> bool:
        """Whether there is something to look at."""
        return bool(self._suspects)


def _key(actor: ActorAddress) -> EntryKey:
    return EntryKey(MESH_SYSTEM, _PREFIX + _SEPARATOR.join(actor), _TYPE)


def _actor(key: EntryKey) -> ActorAddress | None:
    if key.type_name != _TYPE or not key.key.startswith(_PREFIX):
        return None
    parts = key.key.removeprefix(_PREFIX).split(_SEPARATOR)
    return ActorAddress(*parts) if len(parts) == len(ActorAddress._fields) else None
