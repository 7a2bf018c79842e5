"""What a replica does with what comes from peers, and with its own log at a start.

Nothing here raises for what a peer sent: it is counted, with a reason from a closed set, and changes nothing. A body is
decoded to its end before anything is changed.
"""

import random
from collections.abc import Sequence
from typing import Final

from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.crdts.errors import CodecError, CrdtError
from crdtmesh.persistence.errors import CorruptRecord
from crdtmesh.replication import shard_wire, wire
from crdtmesh.replication.auditing import Auditor
from crdtmesh.replication.catchup import CatchUp
from crdtmesh.replication.errors import LimitExceeded
from crdtmesh.replication.events import Event
from crdtmesh.replication.fingerprints import unpack_sums
from crdtmesh.replication.ground import Ground
from crdtmesh.replication.handover import Handovers
from crdtmesh.replication.identity import describe_run
from crdtmesh.replication.level_layer import Levels
from crdtmesh.replication.options import BUCKETS
from crdtmesh.replication.outlet import Outlet
from crdtmesh.replication.outputs import CaughtUp, IdentityNeeded, ShardTaken
from crdtmesh.replication.parts import Assembler, MalformedPart
from crdtmesh.replication.peer_explaining import PeerExplainer
from crdtmesh.replication.repair import Repairer
from crdtmesh.replication.shard import Change, Shard, StaleOffer
from crdtmesh.replication.staging import Stagings, take_over
from crdtmesh.replication.systems import System
from crdtmesh.replication.trimming import Trimmer
from crdtmesh.replication.vectors import read_vectors


class Receiver:
    """Takes messages apart and applies them.

    Attributes:
        is_identity_lost: another process uses our replica id; updates are refused until it is renewed.
        trimmer: what the index may forget.
        handovers: whole shards on their way to peers.
        stagings: whole shards on their way from peers.
        peer_explainer: tells and asks what is known of a key.
        auditor: compares shards with peers that applied the same.
    """

    def __init__(
        self,
        ground: Ground,
        outlet: Outlet,
        repairer: Repairer,
        levels: Levels,
        *,
        rng: random.Random,
        now_ns: int,
    ) -> None:
        options, systems = ground.options, ground.systems
        self.is_identity_lost = False
        self.trimmer: Final = Trimmer(options, levels.voters.of, node=ground.node, now_ns=now_ns)
        self.handovers: Final = Handovers(options, rng.getrandbits(32))
        self.stagings: Final = Stagings(options)
        self.auditor: Final = Auditor(options, repairer.digest_of, rng, now_ns)
        self._options: Final = options
        self._systems: Final = systems
        self._outlet: Final = outlet
        self._repairer: Final = repairer
        self._levels: Final = levels
        self.peer_explainer: Final = PeerExplainer(ground)
        self._catch_up = CatchUp(options.shards)
        self._assemblers: dict[str, Assembler] = {}
        self._drifting: dict[str, None] = {}
        # Chunks of a shard in the log, until the row that makes them count.
        self._replayed: dict[tuple[str, int], list[shard_wire.Stage]] = {}

    def peer_up(self, peer: str) -> None:
        """A link to a peer is up."""
        self._assemblers[peer] = Assembler()
        self.trimmer.linked(peer, is_up=True)

    def peer_down(self, peer: str) -> None:
        """The link to a peer is down."""
        self._assemblers.pop(peer, None)
        self._drifting.pop(peer, None)
        self.trimmer.linked(peer, is_up=False)
        self.handovers.forget(peer)
        self.stagings.forget(peer)
        self.peer_explainer.peer_down(peer)

    @property
    def is_preparing(self) -> bool:
        """Whether work goes on in slices, so that `tick` is wanted soon."""
        return self.handovers.is_preparing or self.stagings.is_preparing or self.auditor.is_preparing

    def holds(self, shard: Shard) -> bool:
        """Whether a shard is handed over, from here or to here, so that its index has to stay as it is."""
        return self.stagings.holds(shard) or self.handovers.holds(shard)

    def tick(self, *, now_ns: int) -> None:
        """Trims, compares whole shards, goes on with those that are handed over, and asks for what is overdue."""
        self._repairer.settling.look(self._systems, now_ns)
        for peer, message in self._repairer.overdue(clock=self._systems.clock.time, now_ns=now_ns):
            self._outlet.send(peer, message)
        is_writing = self._outlet.checkpoints.is_running
        trimmed = self.trimmer.tick(self._systems, is_held=lambda shard: is_writing or self.holds(shard), now_ns=now_ns)
        for shard in trimmed:
            self._repairer.trimmed(shard)
        for peer, shard, body in self.auditor.tick(self._outlet.outbox.peers, self._systems, now_ns=now_ns):
            self._send(peer, wire.Kind.AUDIT, shard.system, body)
        for peer, shard in self.auditor.found():
            detail = f"{peer} and we applied the same of shard {shard.number} of {shard.system!r:.64} and differ"
            self._outlet.alarm("audit_mismatch", detail)
            self.handovers.begin(peer, shard, shard.applied.copy(), now_ns=now_ns, wants_return=True)
        self._advance(now_ns)

    def _advance(self, now_ns: int) -> None:
        """Sends what became ready of shards that are handed over."""
        for peer, message in self.handovers.tick(self._systems.clock.time, now_ns=now_ns):
            self._outlet.send(peer, message)
        for peer, want in self.stagings.tick(self._systems, now_ns=now_ns):
            self._send(peer, wire.Kind.WANT, "", shard_wire.encode_want(want))

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
        self._repairer.settling.look(self._systems, now_ns)

    def _receive(self, message: bytes, source: str, now_ns: int) -> None:
        frame = wire.open_message(message)
        if frame.shards != self._systems.shards:
            detail = f"{self._systems.shards} shards expected, {frame.shards} found; set shards alike on all nodes"
            self._outlet.reject(source, "shard_count", detail)
        elif frame.kind is wire.Kind.DIGEST:
            self._receive_digest(frame, source)
        elif frame.kind >= wire.Kind.EXPLAIN:
            self.peer_explainer.receive(frame, source)
        elif frame.kind >= wire.Kind.CONFIRM:
            self._levels.receive(frame, source)
        elif frame.kind is wire.Kind.ACK:
            ack = wire.decode(frame.body, ReplicaTable(), wire.read_ack)
            clock = self._systems.clock.time
            self._send_repairs(source, self._repairer.on_ack(source, ack, clock=clock, now_ns=now_ns))
            self._send_repairs(source, self.handovers.on_ack(source, ack, clock=clock, now_ns=now_ns))
        elif frame.kind is wire.Kind.WANT:
            want = wire.decode(frame.body, ReplicaTable(), shard_wire.read_want)
            clock = self._systems.clock.time
            self._send_repairs(source, self.handovers.on_want(source, want, clock=clock, now_ns=now_ns))
        else:
            self._receive_of_system(frame, message, source, now_ns)

    def _receive_of_system(self, frame: wire.Frame, message: bytes, source: str, now_ns: int) -> None:
        # A system becomes ours only when a message about it was understood.
        system = self._systems.draft(frame.system)
        if frame.kind is wire.Kind.PUSH:
            self._receive_push(system, frame, message, source)
        elif frame.kind is wire.Kind.VECTORS:
            self._receive_vectors(system, frame, source, now_ns)
        elif frame.kind is wire.Kind.REPAIR:
            self._receive_repair(system, frame, message, source, now_ns)
        elif frame.kind is wire.Kind.OFFER:
            self._receive_offer(system, frame, source, now_ns)
        elif frame.kind is wire.Kind.STAGE:
            self._receive_stage(system, frame, message, source, now_ns)
        elif frame.kind is wire.Kind.AUDIT:
            audit = wire.decode(frame.body, system.table, shard_wire.read_audit)
            self._check_number(audit.shard)
            shard = system.find(audit.shard)
            if shard is not None:
                self.auditor.on_audit(source, shard, audit)
        else:
            raise CodecError(f"{frame.kind.name} is no message between peers")

    # --- by kind

    def _receive_digest(self, frame: wire.Frame, source: str) -> None:
        digests = wire.decode(frame.body, ReplicaTable(), lambda reader: wire.read_digests(reader, frame.shards))
        for system, numbers in self._repairer.differing(digests, self._systems).items():
            if numbers:
                mark = digests[system].mark if system in digests else b""
                answer = self._repairer.vectors(system, numbers, self._systems, peer=source, mark=mark)
                self._outlet.send(source, answer)
            if system in digests and system in self._systems:
                equal = set(range(self._systems.shards)).difference(numbers)
                self._agreed(system, equal)
                for shard in self._systems.get(system) or ():
                    if shard.number in equal:
                        self.trimmer.agreed(source, shard)

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
                if not shard.has_applied(event):
                    fresh.append((shard, event))
                elif recent.is_forged(system.table, message, number, event):
                    run = describe_run(shard, event.first, event.last)
                    detail = f"event {run} came from {source} with another content than before"
                    self._outlet.alarm("event_forged", detail)
        if not fresh:
            return
        for shard, event in fresh:  # what a limit refuses is refused before it is in the log
            for part in event.parts:
                shard.entries.make(part.name, part.data_type)
        recent.remember(message, push.sections)
        self._outlet.log_push(message, system.name, (event for _, event in fresh))
        self._apply_events(fresh, len(message) * len(fresh) // count)

    def _receive_vectors(self, system: System, frame: wire.Frame, source: str, now_ns: int) -> None:
        vectors = wire.decode(frame.body, system.table, read_vectors)
        for number, _ in vectors.shards:
            self._check_number(number)
        self._systems.keep(system)
        told = self._repairer.told(source, system.name, vectors)
        if told is None:
            self._outlet.reject(source, "stale_vectors", "they build on vectors that are not remembered here")
            return
        named = [number for number, _ in told]
        self._compare([(system.shard(number), theirs) for number, theirs in told], source, now_ns, is_back=False)
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
            self._send(source, wire.Kind.ACK, "", wire.encode_ack(wire.Ack(repair.session, repair.chunk)))
        if repair.applied is not None:
            self._compare([(shard, repair.applied)], source, now_ns, is_back=True)

    def _receive_offer(self, system: System, frame: wire.Frame, source: str, now_ns: int) -> None:
        offer = wire.decode(frame.body, system.table, shard_wire.read_offer)
        sums = unpack_sums(offer.sums)
        if sums is None:
            raise CodecError(f"expected the sums of {BUCKETS} buckets, got {len(offer.sums)} bytes")
        self._check_number(offer.shard)
        self._systems.keep(system)
        shard = system.shard(offer.shard)
        self._check_own_dots(shard, offer.known, source)
        self.stagings.on_offer(source, shard, offer, sums, now_ns=now_ns)
        self._advance(now_ns)

    def _receive_stage(self, system: System, frame: wire.Frame, message: bytes, source: str, now_ns: int) -> None:
        stage = wire.decode(frame.body, system.table, shard_wire.read_stage)
        self._check_number(stage.shard)
        self._systems.keep(system)
        self._witness(stage.clock, source)
        shard = system.shard(stage.shard)
        for state in stage.entries:
            self._check_own_dots(shard, state.context, source)
        if not self.stagings.on_stage(source, shard, message, stage, now_ns=now_ns):
            return
        if stage.grown is not None:
            self._take_over(shard, source, now_ns)
        self._send(source, wire.Kind.ACK, "", wire.encode_ack(wire.Ack(stage.session, stage.chunk)))

    def _take_over(self, shard: Shard, source: str, now_ns: int) -> None:
        """Applies a shard that is here whole, and logs it: chunks and the row that makes them count, in one group."""
        complete = self.stagings.take(shard)
        try:
            changes, cold = take_over(shard, complete.takeover, complete.states, complete.rows, complete.spans)
        except StaleOffer as error:
            self._outlet.reject(source, "stale_offer", str(error))
            return
        for message in complete.messages:
            self._outlet.log(message)
        body = shard_wire.encode_takeover(shard.table, complete.takeover)
        self._outlet.log(wire.header(wire.Kind.TAKEOVER, self._systems.shards, shard.system) + body)
        self._outlet.announce(changes, sum(map(len, complete.messages)))
        self._outlet.announce_rows(shard.system, cold)
        self._outlet.emit(
            ShardTaken(
                shard.system,
                shard.number,
                self._systems.shards,
                source,
                len(complete.states) + len(complete.rows),
                now_ns - complete.began_ns,
            )
        )
        self._repairer.trimmed(shard)
        self.handovers.give_up(shard)
        if self._catch_up.reaches(shard, shard.applied):
            self._agreed(shard.system, (shard.number,))
        if complete.wants_back:
            self.handovers.begin(source, shard, shard.applied.copy(), now_ns=now_ns)
            self._advance(now_ns)

    def _compare(
        self, vectors: Sequence[tuple[Shard, CausalContext]], source: str, now_ns: int, *, is_back: bool
    ) -> None:
        """Sends a peer what it lacks, and takes note of what it has."""
        for shard, theirs in vectors:
            self._check_own_dots(shard, theirs, source)
            self.trimmer.reported(source, shard, theirs)
            if self._catch_up.reaches(shard, theirs):
                self._agreed(shard.system, (shard.number,))
        reachable = [(shard, theirs) for shard, theirs in vectors if shard.reaches(theirs)]
        for shard, theirs in vectors:
            if not shard.reaches(theirs):
                self.handovers.begin(source, shard, theirs, now_ns=now_ns)
        clock = self._systems.clock.time
        answers = self._repairer.on_vectors(source, reachable, clock=clock, is_back=is_back, now_ns=now_ns)
        self._send_repairs(source, answers)
        self._advance(now_ns)

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
            elif frame.kind is wire.Kind.STAGE:
                stage = wire.decode(frame.body, system.table, shard_wire.read_stage)
                self._replayed.setdefault((system.name, stage.shard), []).append(stage)
            elif frame.kind is wire.Kind.TAKEOVER:
                takeover = wire.decode(frame.body, system.table, shard_wire.read_takeover)
                stages = self._replayed.pop((system.name, takeover.shard), [])
                states = [state for stage in stages for state in stage.entries]
                rows = [row for stage in stages for row in stage.rows]
                spans = [span for stage in stages for span in stage.spans]
                take_over(system.shard(takeover.shard), takeover, states, rows, spans)
            else:
                raise CodecError(f"{frame.kind.name} is no message of the log")
        except (CrdtError, LimitExceeded, StaleOffer, IndexError) as error:
            raise CorruptRecord(f"a log row can't be read: {error}; restore a backup") from error

    # --- applying

    def _apply_events(self, events: Sequence[tuple[Shard, Event]], size_bytes: int) -> None:
        changes: list[Change] = []
        for shard, event in events:
            if not shard.has_applied(event):
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
        for entry in self.handovers.take_oversized():
            self._outlet.alarm("entry_refused", f"entry {entry.key.key!r:.64} is too large to be sent to {peer}")

    def _send(self, peer: str, kind: wire.Kind, system: str, body: bytes) -> None:
        self._outlet.send(peer, wire.header(kind, self._systems.shards, system) + body)

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
