"""Expiry: entries that are gone after a while, on every node, unless somebody keeps them.

When an entry expires stands in a cell beside it, in its shard: a register of milliseconds since 1970, written in one
event with the update that set or raised it. Readers of a node see an entry until then by the node's own clock. Only
the view is the clock's: the entry is *removed* by an ordinary event, an observed remove of entry and cell together.
One node of the shard writes it, the first by a hash over the voters; others take over when it does not. So clocks that
differ, and nodes that were away, never bring an entry back that others have dropped, and an update which the remover
had not seen survives with the expiry that came with it. Two removals do no harm.

A cell is written anew with each update that names a ttl, also when it stays as it is: an update that is concurrent
with the removal leaves the entry and its cell, or neither. That needs one thing more. Writing a cell takes the place of
what it held, so a node may have the cell of a later update before it has an earlier one; a removal of that cell would
leave the earlier update without any, and it would never expire (scenario `expired_before_an_update_came`). So a node
removes an entry only when it has applied all that its cell took the place of. If such an event died with a disk, the
entry stays hidden, and is not removed until it is written to again. Driven by `Replica`, which has the clock.
"""

import hashlib
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final

from crdtmesh.crdts.base import WHOLE
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.removals import removal_of
from crdtmesh.replication.entry import Entry
from crdtmesh.replication.errors import LimitExceeded, TtlInvalid
from crdtmesh.replication.key_rules import KeyRules
from crdtmesh.replication.options import TTL_MS_MAX, ReplicationOptions
from crdtmesh.replication.outputs import Changed, EntryKey
from crdtmesh.replication.repeats import CELL_MARK
from crdtmesh.replication.systems import Systems

CELL_TYPE: Final = "MVRegister"
"""Its concurrent values are all kept, and the greatest counts."""

NO_EXPIRY_MS: Final = 0
"""As a ttl: the entry does not expire any more."""

GRACE_MS: Final = 2_000
"""An entry is removed so long after it expired: updates and touches that came in time, at nodes whose clocks are behind
by less, have arrived by then."""

TAKEOVER_MS: Final = 10_000
"""Each further node waits so long for those before it: longer than a link takes to come back after a restart."""

# Entries that one tick takes: about 20 µs each when they are removed.
_PER_TICK_MAX: Final = 256


def cell_of(key: EntryKey) -> EntryKey:
    """Where the expiry of an entry is kept."""
    return EntryKey(key.system, f"{key.key}{CELL_MARK}{key.type_name}", CELL_TYPE)


def checked_ttl(key: EntryKey, ttl_ms: int) -> int:
    """A ttl that a caller named for an entry.

    Raises:
        LimitExceeded: it is out of bounds.
        TtlInvalid: entries of this type can't be removed.
    """
    if not 0 <= ttl_ms <= TTL_MS_MAX:
        raise LimitExceeded(f"a ttl of 1 to {TTL_MS_MAX} ms expected, or 0 for none, {ttl_ms} found")
    if ttl_ms != NO_EXPIRY_MS and removal_of(key.type_name) is None:
        raise TtlInvalid(f"a {key.type_name} can't be removed, so it can't expire; leave the ttl out")
    return ttl_ms


def writing(cell: Entry | None, ttl_ms: int, *, wall_ms: int) -> Operation:
    """The operation on a cell that has its entry live for `ttl_ms` from now, or longer if it does already; 0: on."""
    if ttl_ms == NO_EXPIRY_MS:
        return Operation("clear")
    return Operation("set", (max(wall_ms + ttl_ms, _expires_ms(cell) or 0),))


class Expiry:
    """Which entries expire when, and what is due.

    Args:
        options: rules for keys.
        systems: all that the replica holds.
        voters: those of a system.
        node: this node's name.
        changed: told of an entry that became hidden, or visible again.
        remove: removes an entry with its cell by an event; False when no event can be made now.
    """

    __slots__ = (
        "_changed",
        "_due",
        "_node",
        "_queue",
        "_queued",
        "_remove",
        "_rules",
        "_systems",
        "_voters",
        "removed",
    )

    def __init__(
        self,
        options: ReplicationOptions,
        systems: Systems,
        voters: Callable[[str], frozenset[str]],
        *,
        node: str,
        changed: Callable[[Changed], None],
        remove: Callable[[EntryKey], bool],
    ) -> None:
        self._rules = KeyRules(options.ttl_rules)
        self._systems = systems
        self._voters = voters
        self._node = node
        self._changed = changed
        self._remove = remove
        # By entry: when it expires. At most two places in the queue belong to each.
        self._due: dict[EntryKey, int] = {}
        self._queue: list[tuple[int, EntryKey]] = []
        self._queued: dict[EntryKey, int] = {}
        self.removed = 0

    def __len__(self) -> int:
        """Number of entries that expire."""
        return len(self._due)

    def rule_ms(self, key: EntryKey) -> int | None:
        """The ttl that each update of a key renews by the options."""
        if not self._rules:
            return None
        ttl_ms = self._rules.of(key)
        return None if ttl_ms is None or removal_of(key.type_name) is None else ttl_ms

    def of(self, key: EntryKey) -> int | None:
        """When an entry expires, in milliseconds since 1970; None for never."""
        return self._due.get(key)

    def loaded(self) -> None:
        """All entries are back from the disk."""
        for shard in self._systems:
            cells = [number for key, number in shard.entries.keys_of(CELL_TYPE).items() if CELL_MARK in key]
            for number in cells:
                cell = shard.entries.numbered(number)
                if cell is not None:
                    self.noted(cell)

    def noted(self, cell: Entry) -> None:
        """A cell has changed."""
        name, _, type_name = cell.name.key.partition(CELL_MARK)
        key = EntryKey(cell.key.system, name, type_name)
        expires_ms = _expires_ms(cell)
        before_ms = self._due.pop(key, None)
        if expires_ms is not None:
            self._due[key] = expires_ms
            self._enqueue(key, expires_ms)
        if before_ms is not None and expires_ms != before_ms:
            self._show(key)

    def tick(self, wall_ms: int) -> None:
        """Hides what has expired, and removes what is this node's to remove."""
        for _ in range(_PER_TICK_MAX):
            if not self._queue or self._queue[0][0] > wall_ms:
                return
            due_ms, key = heappop(self._queue)
            if self._queued.get(key) == due_ms:
                del self._queued[key]
                expires_ms = self._due.get(key)
                if expires_ms is not None:
                    self._look_at(key, expires_ms, wall_ms)

    def next_ms(self) -> int | None:
        """When `tick` is wanted, by the wall clock."""
        return self._queue[0][0] if self._queue else None

    # --- inside

    def _look_at(self, key: EntryKey, expires_ms: int, wall_ms: int) -> None:
        if wall_ms < expires_ms:
            self._enqueue(key, expires_ms)
            return
        self._hide(key)
        removal_ms = expires_ms + GRACE_MS + self._rank(key) * TAKEOVER_MS
        if wall_ms < removal_ms:
            self._enqueue(key, removal_ms)
        elif self._is_whole(key) and self._remove(key):
            self.removed += 1
        else:
            self._enqueue(key, wall_ms + TAKEOVER_MS)

    def _is_whole(self, key: EntryKey) -> bool:
        """Whether all events are applied that have written the entry's cell, as far as this node knows of them."""
        shard = self._systems.find_for(key)
        cell = None if shard is None else shard.entries.find(cell_of(key)[1:])
        if shard is None or cell is None:
            return True
        missing = shard.known.difference(shard.applied).intervals()
        return all(number != cell.number for run in missing for _, _, number in shard.owners_within(*run))

    def _enqueue(self, key: EntryKey, due_ms: int) -> None:
        queued_ms = self._queued.get(key)
        if queued_ms is None or due_ms < queued_ms:
            self._queued[key] = due_ms
            heappush(self._queue, (due_ms, key))

    def _hide(self, key: EntryKey) -> None:
        entry = self._find(key)
        if entry is not None and not entry.is_hidden and not entry.is_bottom:
            entry.is_hidden = True
            entry.version += 1
            self._changed(Changed(key, WHOLE, False, entry.version, is_expired=True))

    def _show(self, key: EntryKey) -> None:
        """Its expiry was raised, or is gone with the entry; hidden again by `tick` if it is over."""
        entry = self._find(key)
        if entry is not None and entry.is_hidden:
            entry.is_hidden = False
            entry.version += 1
            self._changed(Changed(key, WHOLE, False, entry.version))

    def _find(self, key: EntryKey) -> Entry | None:
        shard = self._systems.find_for(key)
        return None if shard is None else shard.entries.find(key[1:])

    def _rank(self, key: EntryKey) -> int:
        """How many nodes are before this one; a node that is no voter comes last."""
        voters = self._voters(key.system)
        others = [voter for voter in voters if voter != self._node]
        if self._node not in voters:
            return len(others)
        own = _place(self._node, key)
        return sum(_place(voter, key) < own for voter in others)


def _place(node: str, key: EntryKey) -> bytes:
    """The order of nodes for an entry, the same everywhere."""
    return hashlib.blake2b(f"{node}\0{key.key}".encode(), digest_size=8, person=b"crdtmesh expiry").digest()


def _expires_ms(cell: Entry | None) -> int | None:
    value = () if cell is None else cell.value()
    times = value if isinstance(value, list | tuple) else (value,)
    return max((time for time in times if isinstance(time, int)), default=None)
