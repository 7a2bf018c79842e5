"""Anti-entropy: finds out what a peer lacks, and sends the entries that the missing events touched.

    A                                     B
    DIGEST  hash of E, each system  ──►
            ◄── VECTORS  E of B, or its changes     for each system that differs, of its shards that differ
    REPAIR  entries, base, E of A   ──►             for each shard, in chunks, each legal on its own
            ◄── REPAIR  entries, base               when B has what A lacks

Two round trips, for any number of differing keys; when more is on its way to a peer than a few chunks, what follows
waits for ACKs. What a chunk holds: `session`.

Once a second, with jitter, each replica asks one peer at random, those first that missed pushes; and a peer whose link
just came up, at once. Of the two ends of a new link the one with the smaller name asks, so that they don't both.

Such a peer and one that missed pushes get all that they lack, and give it. In other rounds what differs is mostly on
its way: the peer gets what has settled here (`settling`), and what it has beyond this replica is noted. What of that is
still missing a grace later is asked for, by a REPAIR without entries that tells E.
"""

import hashlib
import random
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from crdtmesh.crdts.codec import Writer
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.crdts.errors import CodecError
from crdtmesh.replication import wire
from crdtmesh.replication.entry import Entry
from crdtmesh.replication.options import ReplicationOptions
from crdtmesh.replication.session import Session
from crdtmesh.replication.settling import Grace, Settling
from crdtmesh.replication.shard import Shard
from crdtmesh.replication.systems import Systems
from crdtmesh.replication.vectors import (
    Remembered,
    Vector,
    VectorMemory,
    Vectors,
    apply_changes,
    changes_between,
    encode_vectors,
)

# Rounds in which a peer that may have missed pushes gets also what has not settled; one may wait for the disk.
_ROUNDS_IN_FULL: Final = 2

ShardName = tuple[str, int]
"""A system, and the number of one of its shards."""


class _Sent(NamedTuple):
    """A chunk that was not acknowledged yet."""

    session: int
    chunk: int
    size_bytes: int
    asks: bool


class _Lack(NamedTuple):
    """What a peer had of a shard and this replica had not, and when to ask for what is still missing."""

    shard: Shard
    peer: str
    events: CausalContext
    due_ns: int


class _Stream:
    """The sessions with one peer, one after the other, and what is on its way to it.

    Attributes:
        sessions: those that have chunks left, by shard, in the order of their beginning.
        progress_ns: when the peer last acknowledged something, or the latest session began.
    """

    __slots__ = ("_in_flight", "_sent", "_unasked", "progress_ns", "sessions")

    def __init__(self, now_ns: int) -> None:
        self.sessions: dict[ShardName, Session] = {}
        self.progress_ns = now_ns
        self._sent: deque[_Sent] = deque()
        self._in_flight = 0
        self._unasked = 0

    def may_send(self, bytes_max: int) -> bool:
        """Whether there is a chunk to send, and room for it; always room when no answer is awaited."""
        if not self.sessions:
            return False
        return self._in_flight < bytes_max or not any(sent.asks for sent in self._sent)

    def chunk(self, clock: int, bytes_max: int) -> tuple[Session, bytes]:
        """The body of the next chunk, and whose it is."""
        name, session = next(iter(self.sessions.items()))
        more = len(self.sessions) > 1
        body, asks = session.chunk(clock, may_wait=more and 4 * self._unasked >= bytes_max)
        if session.is_done:
            del self.sessions[name]
        self._sent.append(_Sent(session.number, session.sent_chunks - 1, len(body), asks))
        self._in_flight += len(body)
        self._unasked = 0 if asks else self._unasked + len(body)
        return session, body

    def acknowledge(self, ack: wire.Ack) -> bool:
        """Takes note that a chunk and all before it have arrived; False for one that is not awaited."""
        if not any(sent[:2] == ack for sent in self._sent):
            return False
        while True:
            sent = self._sent.popleft()
            self._in_flight -= sent.size_bytes
            if sent[:2] == ack:
                return True


class Repairer:
    """Decides whom to ask and when, and answers those who ask. Serves at most `repair_sessions_max` peers at once.

    Attributes:
        settling: which of the applied events have been here for a while.
        oversized: entries too large to be sent at all; whoever reports them empties the list.
    """

    __slots__ = (
        "_digests",
        "_grace",
        "_in_full",
        "_lacks",
        "_next_ns",
        "_node",
        "_options",
        "_rng",
        "_sent",
        "_session_number",
        "_streams",
        "_told",
        "oversized",
        "settling",
    )

    def __init__(self, options: ReplicationOptions, node: str, rng: random.Random, now_ns: int) -> None:
        self._options = options
        self._node = node
        self._rng = rng
        self._streams: dict[str, _Stream] = {}
        self._session_number = rng.getrandbits(32)
        # Hash of E of each shard, at a revision of it.
        self._digests: dict[ShardName, tuple[int, bytes]] = {}
        self.oversized: list[Entry] = []
        self._grace = Grace(options)
        self.settling: Final = Settling(self._grace)
        # Peers that are to get all that differs, with when that began.
        self._in_full: dict[str, int] = {}
        self._lacks: dict[ShardName, _Lack] = {}
        # The vectors that this replica has told peers last, and those that it was told.
        self._sent = VectorMemory()
        self._told = VectorMemory()
        self._next_ns = now_ns
        self._arm(now_ns)

    @property
    def next_ns(self) -> int:
        """When the next round is due, or something that was noted as missing."""
        return min([self._next_ns, *(lack.due_ns for lack in self._lacks.values())])

    def asks_first(self, peer: str) -> bool:
        """Whether this end of a new link begins."""
        return self._node < peer

    def due(self, peers: list[str], lagging: dict[str, None], now_ns: int) -> str | None:
        """The peer to ask now, if a round is due; one that lags is no longer counted as lagging, and asked in full."""
        timeout_ns = self._options.repair_timeout_ns
        self._streams = {
            peer: stream for peer, stream in self._streams.items() if now_ns - stream.progress_ns < timeout_ns
        }
        if now_ns < self._next_ns:
            return None
        self._arm(now_ns)
        if lagging:
            peer = next(iter(lagging))
            del lagging[peer]
            self._in_full[peer] = now_ns
            return peer
        return self._rng.choice(peers) if peers else None

    def linked(self, peer: str, now_ns: int) -> None:
        """A link is new: the peer is to get, and to give, all that differs."""
        self._in_full[peer] = now_ns

    def forget(self, peer: str) -> None:
        """Ends the sessions of a peer whose link is gone."""
        self._streams.pop(peer, None)
        self._in_full.pop(peer, None)
        self._grace.forget(peer)
        self._sent.forget(peer)
        self._told.forget(peer)
        self._lacks = {name: lack for name, lack in self._lacks.items() if lack.peer != peer}

    def overdue(self, *, clock: int, now_ns: int) -> list[tuple[str, bytes]]:
        """Asks for what was noted as missing a grace ago and still is: peers, with messages to them."""
        due = {name: lack for name, lack in self._lacks.items() if lack.due_ns <= now_ns}
        asked: list[tuple[str, bytes]] = []
        for name, (shard, peer, events, _) in due.items():
            del self._lacks[name]
            if not events.issubset(shard.applied):
                head = wire.header(wire.Kind.REPAIR, self._options.shards, shard.system)
                asked.append((peer, head + self._request(shard, clock)))
        return asked

    def _request(self, shard: Shard, clock: int) -> bytes:
        """The body of a REPAIR that only tells what is applied, for the peer to send what is not."""
        request = wire.Repair(
            shard=shard.number,
            session=self._next_session(),
            chunk=0,
            clock=clock,
            base=CausalContext(shard.table),
            entries=(),
            spans=(),
            applied=shard.applied,
            wants_ack=False,
        )
        return wire.encode_repair(shard.table, request)

    def _next_session(self) -> int:
        self._session_number = self._session_number + 1 & wire.SESSION_MAX
        return self._session_number

    def trimmed(self, shard: Shard) -> None:
        """Ends sessions that need what the index of a shard has forgotten."""
        name = shard.system, shard.number
        for stream in self._streams.values():
            session = stream.sessions.get(name)
            if session is not None and not shard.reaches(session.theirs):
                del stream.sessions[name]

    # --- the messages, each answered with messages to its sender

    def ask(self, peer: str, systems: Systems, *, now_ns: int) -> bytes:
        """A DIGEST of all systems for a peer."""
        self._grace.asked(peer, now_ns)
        digests = [
            (name, self._digest(systems, name)._replace(mark=self._told.mark(peer, name))) for name in systems.names
        ]
        return wire.header(wire.Kind.DIGEST, self._options.shards) + wire.encode_digests(digests)

    def differing(self, digests: Mapping[str, wire.Digest], systems: Systems) -> dict[str, list[int]]:
        """The shards of each system on either side of which not the same was applied; a missing system is empty."""
        nothing = self._digest_of([_EMPTY_DIGEST] * self._options.shards)
        found: dict[str, list[int]] = {}
        for name in sorted({*digests, *systems.names}):
            ours = self._digest(systems, name) if name in systems else nothing
            theirs = digests.get(name, nothing)
            numbers = []
            if ours.whole != theirs.whole:
                pairs = zip(ours.shorts, theirs.shorts, strict=True)
                numbers = [number for number, (our, their) in enumerate(pairs) if our != their]
            found[name] = numbers
        return found

    def vectors(
        self, system: str, numbers: Iterable[int], systems: Systems, *, peer: str = "", mark: bytes = b""
    ) -> bytes:
        """A VECTORS of some shards of a system: only what changed where a peer remembers what it was told last.

        Args:
            system: which; one that is not here has nothing applied.
            numbers: of its shards.
            systems: all that are here.
            peer: who is told; nobody is remembered for no name.
            mark: of what the peer remembers.
        """
        head = wire.header(wire.Kind.VECTORS, self._options.shards, system)
        held = systems.get(system)
        if held is None:
            table = ReplicaTable()
            empty = tuple((number, CausalContext(table)) for number in numbers)
            return head + encode_vectors(table, Vectors(base=b"", shards=empty))
        is_fresh = not mark or mark != self._sent.mark(peer, system)
        known = {} if is_fresh else self._sent.of(peer, system)
        vectors: list[tuple[int, Vector]] = []
        told: list[tuple[int, Remembered]] = []
        for number in numbers:
            shard = held.find(number)
            applied = CausalContext(held.table) if shard is None else shard.applied
            digest = _EMPTY_DIGEST if shard is None else self.digest_of(shard)
            base = known.get(number)
            vectors.append((number, applied if base is None else changes_between(base.applied, applied)))
            told.append((number, Remembered(applied.copy(), digest)))
        if peer:
            self._sent.remember(peer, system, told, is_fresh=is_fresh)
        return head + encode_vectors(held.table, Vectors(b"" if is_fresh else mark, tuple(vectors)))

    def told(self, peer: str, system: str, vectors: Vectors) -> list[tuple[int, CausalContext]] | None:
        """The whole vectors of a VECTORS, which are remembered; None if it builds on others than are remembered.

        Raises:
            CodecError: its changes are none of what is remembered.
        """
        if vectors.base and vectors.base != self._told.mark(peer, system):
            return None
        known = self._told.of(peer, system) if vectors.base else {}
        whole: list[tuple[int, CausalContext]] = []
        for number, vector in vectors.shards:
            if isinstance(vector, CausalContext):
                whole.append((number, vector))
            elif number in known:
                whole.append((number, apply_changes(known[number].applied, vector)))
            else:
                raise CodecError(f"changes of a vector of shard {number} that was never told")
        remembered = [(number, Remembered(applied, context_digest(applied))) for number, applied in whole]
        self._told.remember(peer, system, remembered, is_fresh=not vectors.base)
        return whole

    def on_vectors(
        self,
        peer: str,
        vectors: Sequence[tuple[Shard, CausalContext]],
        *,
        clock: int,
        is_back: bool,
        now_ns: int,
    ) -> list[bytes]:
        """The first chunks of what the peer lacks; nothing when enough peers are busy or this one makes progress.

        Args:
            peer: who has told its vectors.
            vectors: shards, with what the peer has applied of each.
            clock: of this replica.
            is_back: the peer has told them to get all that it lacks; otherwise they answer a DIGEST.
            now_ns: monotonic time.
        """
        if not is_back:
            self._grace.answered(peer, now_ns)
        in_full = is_back or self._is_in_full(peer, now_ns)
        if not in_full:
            self._note_lacks(peer, vectors, now_ns)
        stream = self._streams.get(peer)
        if stream is None:
            if len(self._streams) >= self._options.repair_sessions_max:
                return []
            stream = _Stream(now_ns)
        elif now_ns - stream.progress_ns >= self._options.repair_interval_ns:
            # The peer asks again and acknowledged nothing for so long: what was sent is lost.
            stream = _Stream(now_ns)
        for shard, theirs in vectors:
            name = shard.system, shard.number
            if name in stream.sessions:
                continue  # it is on its way
            session = self._session_for(shard, theirs, in_full=in_full, is_back=is_back, now_ns=now_ns)
            if not session.has_nothing:
                stream.sessions[name] = session
                stream.progress_ns = now_ns
        if not stream.sessions:
            self._streams.pop(peer, None)
            return []
        self._streams[peer] = stream
        return self._continue(peer, stream, clock)

    def _is_in_full(self, peer: str, now_ns: int) -> bool:
        """Whether a peer is to get all: for two rounds, so that the first may be slow."""
        since_ns = self._in_full.get(peer)
        if since_ns is not None and now_ns - since_ns >= _ROUNDS_IN_FULL * self._options.repair_interval_ns:
            del self._in_full[peer]
        return peer in self._in_full

    def _note_lacks(self, peer: str, vectors: Sequence[tuple[Shard, CausalContext]], now_ns: int) -> None:
        """Takes note of what the peer has and this replica has not, where nothing is noted yet."""
        due_ns = now_ns + self._grace.ns
        for shard, theirs in vectors:
            events = theirs.difference(shard.applied)
            if events:
                self._lacks.setdefault((shard.system, shard.number), _Lack(shard, peer, events, due_ns))

    def _session_for(
        self, shard: Shard, theirs: CausalContext, *, in_full: bool, is_back: bool, now_ns: int
    ) -> Session:
        """A session for all that a peer lacks, or for the entries of which it lacks something that has settled."""
        if in_full:
            return self._session(shard, theirs, wants_back=not is_back and not theirs.issubset(shard.applied))
        missing = self.settling.settled(shard, now_ns).difference(theirs).intervals()
        owners = (number for first, last in missing for _, _, number in shard.owners_within(first, last))
        return self._session(shard, theirs, wants_back=False, only=owners)

    def on_ack(self, peer: str, ack: wire.Ack, *, clock: int, now_ns: int) -> list[bytes]:
        """The next chunks for a peer; an ACK that is not awaited is ignored."""
        stream = self._streams.get(peer)
        if stream is None or not stream.acknowledge(ack):
            return []
        stream.progress_ns = now_ns
        return self._continue(peer, stream, clock)

    def _session(
        self, shard: Shard, theirs: CausalContext, *, wants_back: bool, only: Iterable[int] | None = None
    ) -> Session:
        return Session(
            shard,
            theirs,
            self._next_session(),
            chunk_bytes=self._options.repair_chunk_bytes,
            wants_back=wants_back,
            only=only,
        )

    def _continue(self, peer: str, stream: _Stream, clock: int) -> list[bytes]:
        messages: list[bytes] = []
        bytes_max = self._options.repair_chunk_bytes * self._options.repair_chunks_in_flight
        while stream.may_send(bytes_max):
            session, body = stream.chunk(clock, bytes_max)
            self.oversized += session.oversized
            session.oversized = []
            messages.append(wire.header(wire.Kind.REPAIR, self._options.shards, session.shard.system) + body)
        if not stream.sessions:
            self._streams.pop(peer, None)
        return messages

    def _digest(self, systems: Systems, name: str) -> wire.Digest:
        digests = [_EMPTY_DIGEST] * self._options.shards
        for shard in systems.get(name) or ():
            digests[shard.number] = self.digest_of(shard)
        return self._digest_of(digests)

    def _digest_of(self, digests: Sequence[bytes]) -> wire.Digest:
        whole = hashlib.blake2b(b"".join(digests), digest_size=wire.WHOLE_BYTES).digest()
        shorts = (b"" if digest == _EMPTY_DIGEST else digest[: wire.SHORT_BYTES] for digest in digests)
        return wire.Digest(whole, tuple(shorts))

    def digest_of(self, shard: Shard) -> bytes:
        """The hash of what a shard has applied."""
        name = shard.system, shard.number
        cached = self._digests.get(name)
        if cached is None or cached[0] != shard.revision:
            cached = self._digests[name] = shard.revision, context_digest(shard.applied)
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
