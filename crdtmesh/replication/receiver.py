"""What a replica does with what comes from peers, and with its own log at a start.

Nothing here raises for what a peer sent: it is counted, with a reason from a closed set, and changes nothing. A body is
decoded to its end before anything is changed.
"""

from collections.abc import Sequence
from typing import Final

from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.crdts.errors import CodecError, CrdtError
from crdtmesh.persistence.errors import CorruptRecord
from crdtmesh.replication import wire
from crdtmesh.replication.catchup import CatchUp
from crdtmesh.replication.errors import LimitExceeded
from crdtmesh.replication.events import Event
from crdtmesh.replication.identity import describe_run
from crdtmesh.replication.level_layer import Levels
from crdtmesh.replication.options import ReplicationOptions
from crdtmesh.replication.outlet import Outlet
from crdtmesh.replication.outputs import CaughtUp, IdentityNeeded
from crdtmesh.replication.parts import Assembler, MalformedPart
from crdtmesh.replication.repair import Repairer
from crdtmesh.replication.shard import Change, Shard
from crdtmesh.replication.systems import System, Systems


class Receiver:
    """Takes messages apart and applies them.

    Attributes:
        is_identity_lost: another process uses our replica id; updates are refused until it is renewed.
    """

    def __init__(
        self, options: ReplicationOptions, systems: Systems, outlet: Outlet, repairer: Repairer, levels: Levels
    ) -> None:
        self.is_identity_lost = False
        self._options: Final = options
        self._systems: Final = systems
        self._outlet: Final = outlet
        self._repairer: Final = repairer
        self._levels: Final = levels
        self._catch_up = CatchUp(options.shards)
        self._assemblers: dict[str, Assembler] = {}
        self._drifting: dict[str, None] = {}

    def peer_up(self, peer: str) -> None:
        """A link to a peer is up."""
        self._assemblers[peer] = Assembler()

    def peer_down(self, peer: str) -> None:
        """The link to a peer is down."""
        self._assemblers.pop(peer, None)
        self._drifting.pop(peer, None)

    def receive(self, payload: bytes, source: str, *, now_ns: int) -> None:
        """Takes a payload of a peer; what can't be understood becomes a `Rejected` event and changes nothing."""
        assembler = self._assemblers.get(source)
        if assembler is None:
            self._outlet.reject(source, "unknown_peer", "no link to this peer is up")
            return
        try:
            message = assembler.receive(payload)
            if message is not None:
                self._receive(message, source, now_ns)
        except MalformedPart as error:
            self._outlet.reject(source, "malformed_part", str(error))
        except CrdtError as error:
            self._outlet.reject(source, "undecodable", str(error))
        except LimitExceeded as error:
            self._outlet.reject(source, "limit_exceeded", str(error))

    def _receive(self, message: bytes, source: str, now_ns: int) -> None:
        frame = wire.open_message(message)
        if frame.shards != self._systems.shards:
            detail = f"{self._systems.shards} shards expected, {frame.shards} found; set shards alike on all nodes"
            self._outlet.reject(source, "shard_count", detail)
        elif frame.kind is wire.Kind.DIGEST:
            self._receive_digest(frame, source)
        elif frame.kind >= wire.Kind.CONFIRM:
            self._levels.receive(frame, source)
        elif frame.kind is wire.Kind.ACK:
            ack = wire.decode(frame.body, ReplicaTable(), wire.read_ack)
            self._send_repairs(
                source, self._repairer.on_ack(source, ack, clock=self._systems.clock.time, now_ns=now_ns)
            )
        else:
            # A system becomes ours only when a message about it was understood.
            system = self._systems.draft(frame.system)
            if frame.kind is wire.Kind.PUSH:
                self._receive_push(system, frame, message, source)
            elif frame.kind is wire.Kind.VECTORS:
                self._receive_vectors(system, frame, source, now_ns)
            else:
                self._receive_repair(system, frame, message, source, now_ns)

    # --- by kind

    def _receive_digest(self, frame: wire.Frame, source: str) -> None:
        digests = wire.decode(frame.body, ReplicaTable(), wire.read_digests)
        if any(len(digest.shorts) != self._systems.shards for digest in digests.values()):
            raise CodecError(f"expected digests of {self._systems.shards} shards")
        for system, numbers in self._repairer.differing(digests, self._systems).items():
            if numbers:
                self._outlet.send(source, self._repairer.vectors(system, numbers, self._systems))
            if system in digests and system in self._systems:
                self._agreed(system, set(range(self._systems.shards)).difference(numbers))

    def _receive_push(self, system: System, frame: wire.Frame, message: bytes, source: str) -> None:
        push = wire.decode(frame.body, system.table, wire.read_push)
        for number, _ in push.sections:
            self._check_number(number)
        self._systems.keep(system)
        self._witness(push.clock, source)
        recent = self._outlet.recent(system.name)
        fresh: list[tuple[Shard, Event]] = []
        count = 0
        for number, events in push.sections:
            shard = system.shard(number)
            count += len(events)
            for event in events:
                for part in event.parts:
                    self._check_own_dots(shard, part.delta.context, source)
                if not shard.has_applied(event.first, event.last):
                    fresh.append((shard, event))
                elif recent.is_forged(system.table, message, number, event):
                    run = describe_run(shard, event.first, event.last)
                    detail = f"event {run} came from {source} with another content than before"
                    self._outlet.alarm("event_forged", detail)
        if not fresh:
            return
        recent.remember(message, push.sections)
        self._outlet.log(message)
        self._apply_events(fresh, len(message) * len(fresh) // count)

    def _receive_vectors(self, system: System, frame: wire.Frame, source: str, now_ns: int) -> None:
        vectors = wire.decode(frame.body, system.table, wire.read_vectors)
        for number, _ in vectors:
            self._check_number(number)
        self._systems.keep(system)
        named = [number for number, _ in vectors]
        self._compare([(system.shard(number), theirs) for number, theirs in vectors], source, now_ns, is_back=False)
        # A peer that answers names all shards that differ.
        self._agreed(system.name, set(range(self._systems.shards)).difference(named))

    def _receive_repair(self, system: System, frame: wire.Frame, message: bytes, source: str, now_ns: int) -> None:
        repair = wire.decode(frame.body, system.table, wire.read_repair)
        self._check_number(repair.shard)
        self._systems.keep(system)
        self._witness(repair.clock, source)
        shard = system.shard(repair.shard)
        if not repair.base.issubset(shard.applied):
            self._outlet.reject(source, "stale_repair", "it builds on events that are not applied here")
            return
        for state in repair.entries:
            self._check_own_dots(shard, state.context, source)
        changes, has_grown = self._apply_repair(shard, repair, len(message))
        if changes or has_grown:
            self._outlet.log(message)
        if repair.wants_ack:
            ack = wire.encode_ack(wire.Ack(repair.session, repair.chunk))
            self._outlet.send(source, wire.header(wire.Kind.ACK, self._systems.shards) + ack)
        if repair.applied is not None:
            self._compare([(shard, repair.applied)], source, now_ns, is_back=True)

    def _compare(
        self, vectors: Sequence[tuple[Shard, CausalContext]], source: str, now_ns: int, *, is_back: bool
    ) -> None:
        """Sends a peer what it lacks, and takes note of what it has."""
        for shard, theirs in vectors:
            self._check_own_dots(shard, theirs, source)
            if self._catch_up.reaches(shard, theirs):
                self._agreed(shard.system, (shard.number,))
        clock = self._systems.clock.time
        answers = self._repairer.on_vectors(source, vectors, clock=clock, is_back=is_back, now_ns=now_ns)
        self._send_repairs(source, answers)

    # --- the log

    def replay(self, message: bytes) -> None:
        """Applies a message of the log again.

        Raises:
            CorruptRecord: it is none that this version writes.
        """
        try:
            frame = wire.open_message(message)
            if frame.shards != self._systems.shards:
                raise CorruptRecord(
                    f"shards={self._systems.shards}, but the data has {frame.shards}; set shards={frame.shards}"
                )
            system = self._systems.make(frame.system)
            if frame.kind is wire.Kind.PUSH:
                push = wire.decode(frame.body, system.table, wire.read_push)
                events = [(system.shard(number), event) for number, section in push.sections for event in section]
                self._apply_events(events, len(message))
            elif frame.kind is wire.Kind.REPAIR:
                repair = wire.decode(frame.body, system.table, wire.read_repair)
                self._apply_repair(system.shard(repair.shard), repair, len(message))
            else:
                raise CodecError(f"{frame.kind.name} is no message of the log")
        except (CrdtError, LimitExceeded, IndexError) as error:
            raise CorruptRecord(f"a log row can't be read: {error}; restore a backup") from error

    # --- applying

    def _apply_events(self, events: Sequence[tuple[Shard, Event]], size_bytes: int) -> None:
        changes: list[Change] = []
        for shard, event in events:
            if not shard.has_applied(event.first, event.last):
                changes += shard.apply_event(event)
        self._outlet.announce(changes, size_bytes)

    def _apply_repair(self, shard: Shard, repair: wire.Repair, size_bytes: int) -> tuple[list[Change], bool]:
        for first, last in repair.spans:
            if (first, last) not in shard.spans_within(first, last):
                shard.add_span(first, last)
        changes, has_grown = shard.apply_states(repair.base, repair.entries)
        self._outlet.announce(changes, size_bytes)
        return changes, has_grown

    # --- inside

    def _send_repairs(self, peer: str, messages: Sequence[bytes]) -> None:
        for message in messages:
            self._outlet.send(peer, message)
        for entry in self._repairer.oversized:
            self._outlet.alarm("entry_refused", f"entry {entry.key.key!r:.64} is too large to be sent to {peer}")
        self._repairer.oversized.clear()

    def _agreed(self, system: str, numbers: set[int] | tuple[int]) -> None:
        if self._catch_up.agreed(system, numbers):
            self._outlet.events.append(CaughtUp(system))

    def _check_number(self, number: int) -> None:
        if number >= self._systems.shards:
            raise CodecError(f"expected a shard of {self._systems.shards}, got {number}")

    def _witness(self, time: int, source: str) -> None:
        if self._systems.clock.observe(time, now_ms=self._outlet.wall_ms):
            self._drifting.pop(source, None)
        elif source not in self._drifting:
            self._drifting[source] = None
            limit_ms = self._options.drift_max_ms
            self._outlet.alarm("clock_drift", f"the clock of {source} is more than {limit_ms} ms ahead")

    def _check_own_dots(self, shard: Shard, context: CausalContext, source: str) -> None:
        if shard.is_above(context) and not self.is_identity_lost:
            self.is_identity_lost = True
            self._outlet.alarm(
                "identity_doubled",
                f"{source} has events of our replica id {self._systems.clock.replica_id.hex()[:8]} that we never "
                "issued; is this a copied machine or data directory?",
            )
            self._outlet.events.append(IdentityNeeded())
