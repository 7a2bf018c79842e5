"""Consistency levels of a replica: who asks, who answers and who counts, behind one face.

What "acknowledged" means above this node's own disk is decided here and in the modules that this one ties together:
`confirming` (the asker), `voting` (the voter), `reconciling` (who may count), `ground` (what they need of the replica).
Driven by `Replica`, which gives it time, peers and messages.
"""

import random
from collections.abc import Hashable, Sequence

from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import DOT_BITS, ReplicaTable
from crdtmesh.crdts.errors import CodecError
from crdtmesh.replication import level_wire as lw
from crdtmesh.replication import wire
from crdtmesh.replication.confirming import Confirmer
from crdtmesh.replication.entry_states import events_of
from crdtmesh.replication.ground import Ground, VoterLists
from crdtmesh.replication.levels import Level
from crdtmesh.replication.outputs import CommitFailed, EntryKey, EventRun, ReadAt, Rejected
from crdtmesh.replication.reconciling import Reconciler
from crdtmesh.replication.shard import Shard
from crdtmesh.replication.voting import Voter
from crdtmesh.replication.waves import OwnCopy

# Half of the range stays for counting up from it.
_RANDOM_BITS = 59


class Levels:
    """The levels of one replica."""

    __slots__ = ("_confirmer", "_ground", "_reconciler", "_voter", "voters")

    def __init__(self, ground: Ground, rng: random.Random) -> None:
        self._ground = ground
        self.voters = VoterLists(ground.read)
        self._reconciler = Reconciler(ground, self.voters, number=rng.getrandbits(_RANDOM_BITS))
        self._voter = Voter(ground, self._reconciler)
        self._confirmer = Confirmer(ground, self.voters, self._reconciler, number=rng.getrandbits(_RANDOM_BITS))

    # --- commands

    def acknowledge(
        self,
        ticket: Hashable,
        keys: Sequence[EntryKey],
        run: EventRun | None,
        *,
        level: Level,
        timeout_ns: int,
        now_ns: int,
    ) -> None:
        """Waits for a level on behalf of an update; see `Replica.acknowledge`."""
        shard = self._ground.systems.find_for(keys[0])
        if run is None and (len(keys) == 1 or shard is None):
            self._confirmer.read(ticket, keys[0], level=level, timeout_ns=timeout_ns, now_ns=now_ns, shows_value=False)
            return
        assert shard is not None
        if run is None:
            # What the update saw of its entries is all that they have.
            entries = [entry for key in keys if (entry := shard.entries.find(key[1:])) is not None]
            events = events_of(shard, shard.applied, [entry.number for entry in entries])
        else:
            replica = shard.table.intern(run.replica_id)
            bounds = [replica << DOT_BITS | run.first, (replica << DOT_BITS | run.last) + 1]
            events = CausalContext.of_bounds(shard.table, bounds)
        self._confirmer.write(ticket, shard, events, level=level, timeout_ns=timeout_ns, now_ns=now_ns)

    def read(self, ticket: Hashable, key: EntryKey, *, level: Level, timeout_ns: int, now_ns: int) -> None:
        """Reads at a level; see `Replica.read_at`."""
        if not level.is_local:
            self._confirmer.read(ticket, key, level=level, timeout_ns=timeout_ns, now_ns=now_ns)
            return
        view = self._ground.read(key)
        read = ReadAt(ticket, False, None, 0) if view is None else ReadAt(ticket, True, view.value(), view.version)
        if not self._ground.wait(OwnCopy(0, read)):
            self._ground.emit(read)

    def read_range(
        self, ticket: Hashable, key: EntryKey, shard: int, *, level: Level, timeout_ns: int, now_ns: int
    ) -> None:
        """Reads many entries of a shard at a level; see `Replica.read_range_at`."""
        self._confirmer.read(
            ticket, key, level=level, timeout_ns=timeout_ns, now_ns=now_ns, shows_value=False, shard=shard
        )

    @property
    def is_reconciled(self) -> bool:
        """Whether this node has caught up since its start, so that its copy may be counted."""
        return self._reconciler.is_reconciled

    def loaded(self) -> None:
        """The disk is one that had reconciled in an earlier run."""
        self._reconciler.has_history = True

    # --- the disk

    def own_copy(self, ticket: OwnCopy, error: str | None) -> None:
        """What a ticket of ours waited for is on disk; or, with an error, it never will be."""
        if ticket.read is not None:
            read = ticket.read
            self._ground.emit(read if error is None else CommitFailed(read.ticket, error))
        elif error is None:
            self._confirmer.own_committed(ticket.number)
        else:
            self._confirmer.own_failed(ticket.number, error)

    # --- peers

    def peer_up(self, peer: str) -> None:
        """A link is up."""
        self._reconciler.peer_up(peer)
        self._confirmer.peer_up(peer)

    def peer_down(self, peer: str) -> None:
        """A link is down."""
        self._reconciler.peer_down(peer)
        self._voter.peer_down(peer)
        self._confirmer.peer_down(peer)

    def receive(self, frame: wire.Frame, source: str) -> None:
        """Takes a message of levels.

        Raises:
            CodecError, LimitExceeded: it can't be read; nothing was changed.
        """
        systems = self._ground.systems
        system = systems.draft(frame.system) if frame.system else None
        table = ReplicaTable() if system is None else system.table
        message = wire.decode(frame.body, table, lw.READERS[frame.kind])
        if isinstance(message, lw.Told):
            self._reconciler.on_told(source, message)
        elif isinstance(message, int):
            if frame.kind is wire.Kind.TELL:
                self._reconciler.on_tell(source, message)
            else:
                self._confirmer.on_confirmed(source, message)
        elif isinstance(message, lw.Mark):
            if system is None or any(number >= systems.shards for number, _ in message.applied):
                raise CodecError(f"expected shards of a system, got {frame.system!r:.64}")
            systems.keep(system)
            self._reconciler.on_mark(source, system, message)
        else:
            if system is None or message.shard >= systems.shards:
                raise CodecError(f"expected a shard of a system, got {message.shard} of {frame.system!r:.64}")
            # A question about a system that nobody has anything of does not bring it into being.
            if lw.names_dots(message):
                systems.keep(system)
            self._receive_about(system.shard(message.shard), message, source)

    def _receive_about(self, shard: Shard, message: lw.AboutShard, source: str) -> None:
        if isinstance(message, lw.Has):
            self._confirmer.on_has(source, shard, message)
        elif isinstance(message, lw.Lacks):
            self._confirmer.on_lacks(source, shard, message)
        elif not self._voter.ask(source, shard, message, is_known=shard.system in self._ground.systems):
            self._ground.emit(Rejected(source, "too_many_questions", "it did not wait for earlier answers"))

    # --- verbs

    def flush(self) -> None:
        """Before the group is closed: answers and questions that this loop turn brought about."""
        self._reconciler.flush()
        self._voter.flush()
        self._confirmer.flush()

    def tick(self, *, now_ns: int) -> None:
        """Everything that is due."""
        self._reconciler.tick(now_ns=now_ns)
        self._confirmer.tick(now_ns=now_ns)

    def next_deadline_ns(self) -> int | None:
        """When `tick` is wanted for somebody who waits; may be early."""
        return self._confirmer.next_deadline_ns()
