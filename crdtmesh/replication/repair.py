"""Anti-entropy: finds out what a peer lacks, and sends the entries that the missing events touched.

    A                                     B
    DIGEST  hash of E, each system  ──►
            ◄── VECTOR  E of B                      for each system whose hash differs
    REPAIR  entries, base, E of A   ──►             in chunks, each legal on its own
            ◄── REPAIR  entries, base               when B has what A lacks

Two round trips, for any number of differing keys; chunks beyond the window wait for ACKs. An entry travels under its
own context K_k (rule B) plus `base`, what the receiver has applied and the sender knows (rule C): so only the dots that
the receiver lacks are listed, and the cost is that of the difference. A session holds no promise: when a chunk is lost
it is given up, what arrived is applied, and the next round asks for the rest.

Once a second, with jitter, each replica asks one peer at random, those first that missed pushes; and a peer whose link
just came up, at once. Of the two ends of a new link the one with the smaller name asks, so that they don't both.
"""

import hashlib
import random
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final

from crdtmesh.crdts.codec import Writer
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import Dot, ReplicaTable
from crdtmesh.replication import wire
from crdtmesh.replication.entry import Entry
from crdtmesh.replication.events import EntryState, covers
from crdtmesh.replication.options import MESSAGE_BYTES_MAX, PAYLOAD_BYTES_MAX, ReplicationOptions
from crdtmesh.replication.shard import Shard

# An estimate above this is checked by encoding the entry before it is used.
_MEASURED_ABOVE_BYTES: Final = 4096

_RUN_BYTES: Final = 8

Runs = list[tuple[Dot, Dot]]


class Session:
    """What one peer lacks of one shard, and how far it was sent.

    Attributes:
        number: names the session in its chunks.
        progress_ns: when it began, or last got an ACK.
    """

    __slots__ = (
        "_acked",
        "_base",
        "_dots",
        "_next_chunk",
        "_options",
        "_queue",
        "_seen",
        "_sent",
        "_theirs",
        "_wants_back",
        "is_done",
        "number",
        "oversized",
        "progress_ns",
        "shard",
    )

    def __init__(
        self,
        shard: Shard,
        theirs: CausalContext,
        number: int,
        *,
        options: ReplicationOptions,
        wants_back: bool,
        now_ns: int,
    ) -> None:
        self._options = options
        self.shard = shard
        self.number = number
        self.progress_ns = now_ns
        self.is_done = False
        self.oversized: list[Entry] = []
        self._theirs = theirs
        self._wants_back = wants_back
        self._base = CausalContext(shard.table)
        self._seen = theirs
        self._dots: dict[int, Runs] = {}
        self._sent: set[int] = set()
        self._next_chunk = 0
        self._acked = 0
        missing = shard.applied.difference(theirs).intervals()
        touched = (number for first, last in missing for _, _, number in shard.owners_within(first, last))
        self._queue = deque(dict.fromkeys(touched))
        self._refresh()

    @property
    def has_nothing(self) -> bool:
        """The peer lacks nothing and has nothing that is wanted."""
        return not self._queue and not self._wants_back

    def acknowledge(self, chunk: int, now_ns: int) -> None:
        """The peer has applied a chunk."""
        self._acked = max(self._acked, min(chunk + 1, self._next_chunk))
        self.progress_ns = now_ns

    def chunks(self, clock: int) -> list[bytes]:
        """The messages that may be sent now."""
        messages: list[bytes] = []
        while not self.is_done and self._next_chunk - self._acked < self._options.repair_chunks_in_flight:
            messages.append(self._chunk(clock))
        return messages

    def _chunk(self, clock: int) -> bytes:
        self._refresh()
        numbers, spans = self._gather()
        while True:
            message = self._encode(numbers, spans, clock)
            if len(message) < PAYLOAD_BYTES_MAX or len(numbers) == 1 or spans:
                break
            kept = max(1, int(0.9 * len(numbers) * PAYLOAD_BYTES_MAX / len(message)))
            self._queue.extendleft(reversed(numbers[kept:]))
            numbers = numbers[:kept]
        if len(message) > MESSAGE_BYTES_MAX:
            # No link would take it. The entries stay behind, and the alarm says which.
            self.oversized += [self.shard.numbered(number) for number in numbers]
            message = self._encode([], [], clock)
        self._sent.update(numbers)
        self._next_chunk += 1
        self.is_done = not self._queue
        return message

    def _refresh(self) -> None:
        """Takes up dots that this replica learnt since the last chunk, so that contexts fit the entries as they are.

        The base too: of what the peer has applied, this replica may have learnt more, and superseded it in its entries
        (scenario `removal_learnt_between_chunks`). The peer's E only grows, so what it had applied stays a base for it.
        """
        self._base = self.shard.known.intersection(self._theirs)
        for first, last in self.shard.known.difference(self._seen).intervals():
            for low, high, number in self.shard.owners_within(first, last):
                self._dots.setdefault(number, []).append((low, high))
        self._seen = self._seen.union(self.shard.known)

    def _gather(self) -> tuple[list[int], list[tuple[Dot, Dot]]]:
        """The entries of the next chunk; those that share an event of several keys go together, whatever their size."""
        numbers: dict[int, None] = {}
        spans: dict[tuple[Dot, Dot], None] = {}
        size = 0
        limit = self._options.repair_chunk_bytes
        while self._queue and size < limit:
            number = self._queue.popleft()
            if number in self._sent or number in numbers:
                continue
            together = self._closure(number, spans)
            cost = sum(self._cost(each) for each in together)
            if numbers and size + cost > limit:
                self._queue.appendleft(number)
                break
            numbers.update(dict.fromkeys(together))
            size += cost
        return list(numbers), list(spans)

    def _closure(self, number: int, spans: dict[tuple[Dot, Dot], None]) -> list[int]:
        """An entry, and all that events of several keys tie to it."""
        found = {number: None}
        waiting = [number]
        while waiting:
            for first, last in self._dots.get(waiting.pop(), ()):
                for span in self.shard.spans_within(first, last):
                    if span in spans:
                        continue
                    spans[span] = None
                    others = [other for _, _, other in self.shard.owners_within(*span) if other not in found]
                    found.update(dict.fromkeys(others))
                    waiting += others
        return list(found)

    def _cost(self, number: int) -> int:
        entry = self.shard.numbered(number)
        if entry.size_bytes > _MEASURED_ABOVE_BYTES:
            self.shard.measure(entry)
        return entry.size_bytes + len(entry.key.key) + _RUN_BYTES * (2 + len(self._dots.get(number, ())))

    def _encode(self, numbers: Iterable[int], spans: Iterable[tuple[Dot, Dot]], clock: int) -> bytes:
        is_last = not self._queue
        repair = wire.Repair(
            session=self.number,
            chunk=self._next_chunk,
            clock=clock,
            base=self._base,
            entries=tuple(self._state(number) for number in numbers),
            spans=tuple(spans),
            applied=self.shard.applied if is_last and self._wants_back else None,
            is_last=is_last,
        )
        return wire.encode_repair(self.shard.system, self.shard.table, repair)

    def _state(self, number: int) -> EntryState:
        shard = self.shard
        entry = shard.numbered(number)
        runs = self._dots.get(number, ())
        context = CausalContext(shard.table, entry.data_type.dots(entry.store))
        unapplied = CausalContext(shard.table)
        for first, last in runs:
            context.add_run(first, last)
            if not covers(shard.applied, first, last):
                run = CausalContext.of_bounds(shard.table, [first, last + 1])
                unapplied.update(run.difference(shard.applied))
        return EntryState(entry.name, entry.data_type, entry.store, context, unapplied)


class Repairer:
    """Decides whom to ask and when, and answers those who ask. Holds at most `repair_sessions_max` sessions."""

    __slots__ = ("_digests", "_next_ns", "_node", "_options", "_rng", "_session_number", "_sessions", "oversized")

    def __init__(self, options: ReplicationOptions, node: str, rng: random.Random, now_ns: int) -> None:
        self._options = options
        self._node = node
        self._rng = rng
        self._sessions: dict[tuple[str, str], Session] = {}
        self._session_number = rng.getrandbits(32)
        # Hash of E of each system, at a revision of its shard.
        self._digests: dict[str, tuple[int, bytes]] = {}
        # Entries too large to be sent at all; whoever reports them empties the list.
        self.oversized: list[Entry] = []
        self._next_ns = now_ns
        self._arm(now_ns)

    @property
    def next_ns(self) -> int:
        """When the next round is due."""
        return self._next_ns

    def asks_first(self, peer: str) -> bool:
        """Whether this end of a new link begins."""
        return self._node < peer

    def due(self, peers: list[str], lagging: dict[str, None], now_ns: int) -> str | None:
        """The peer to ask now, if a round is due; one that lags is no longer counted as lagging."""
        self._sessions = {
            key: session
            for key, session in self._sessions.items()
            if now_ns - session.progress_ns < self._options.repair_timeout_ns
        }
        if now_ns < self._next_ns:
            return None
        self._arm(now_ns)
        if lagging:
            peer = next(iter(lagging))
            del lagging[peer]
            return peer
        return self._rng.choice(peers) if peers else None

    def forget(self, peer: str) -> None:
        """Ends the sessions of a peer whose link is gone."""
        self._sessions = {key: session for key, session in self._sessions.items() if key[0] != peer}

    # --- the messages, each answered with messages to its sender

    def ask(self, shards: Mapping[str, Shard]) -> bytes:
        """A DIGEST of all systems."""
        return wire.encode_digests([(system, self._digest(shards[system])) for system in sorted(shards)])

    def on_digest(self, digests: Mapping[str, bytes], shards: Mapping[str, Shard]) -> list[bytes]:
        """A VECTOR for each system that differs; a system that one side does not have is empty there."""
        answers: list[bytes] = []
        for system in sorted({*digests, *shards}):
            shard = shards.get(system)
            ours = _EMPTY_DIGEST if shard is None else self._digest(shard)
            if ours != digests.get(system, _EMPTY_DIGEST):
                applied = CausalContext(ReplicaTable()) if shard is None else shard.applied
                answers.append(wire.encode_vector(system, applied))
        return answers

    def agreed(self, digests: Mapping[str, bytes], shards: Mapping[str, Shard]) -> list[str]:
        """The systems of which sender and receiver have applied the same."""
        return [
            system for system, digest in digests.items() if system in shards and self._digest(shards[system]) == digest
        ]

    def on_vector(
        self, peer: str, shard: Shard, theirs: CausalContext, *, clock: int, is_back: bool, now_ns: int
    ) -> list[bytes]:
        """The first chunks of what the peer lacks; nothing when enough sessions are busy or this one makes progress."""
        key = peer, shard.system
        running = self._sessions.get(key)
        if running is None:
            if len(self._sessions) >= self._options.repair_sessions_max:
                return []
        elif not is_back and now_ns - running.progress_ns < self._options.repair_interval_ns:
            return []
        self._session_number = self._session_number + 1 & wire.SESSION_MAX
        wants_back = not is_back and not theirs.issubset(shard.applied)
        session = Session(
            shard, theirs, self._session_number, options=self._options, wants_back=wants_back, now_ns=now_ns
        )
        if session.has_nothing:
            return []
        self._sessions[key] = session
        return self._continue(key, session, clock)

    def on_ack(self, peer: str, system: str, number: int, chunk: int, *, clock: int, now_ns: int) -> list[bytes]:
        """The next chunks of a session; an ACK of another one is ignored."""
        session = self._sessions.get((peer, system))
        if session is None or session.number != number:
            return []
        session.acknowledge(chunk, now_ns)
        return self._continue((peer, system), session, clock)

    def _continue(self, key: tuple[str, str], session: Session, clock: int) -> list[bytes]:
        messages = session.chunks(clock)
        self.oversized += session.oversized
        session.oversized = []
        if session.is_done:
            self._sessions.pop(key, None)
        return messages

    def _digest(self, shard: Shard) -> bytes:
        cached = self._digests.get(shard.system)
        if cached is None or cached[0] != shard.revision:
            cached = self._digests[shard.system] = shard.revision, context_digest(shard.applied)
        return cached[1]

    def _arm(self, now_ns: int) -> None:
        jitter = self._rng.randrange(self._options.repair_jitter_ns + 1)
        self._next_ns = now_ns + self._options.repair_interval_ns - jitter


def context_digest(context: CausalContext) -> bytes:
    """A hash that is equal for equal sets of dots, on every node."""
    writer = Writer(context.table)
    writer.context(context)
    return hashlib.blake2b(writer.finish(), digest_size=wire.DIGEST_BYTES).digest()


_EMPTY_DIGEST: Final = context_digest(CausalContext(ReplicaTable()))
