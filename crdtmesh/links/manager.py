"""One link to each peer: listening, dialling, dialling again.

Glue only: the rules are in `peering`, the protocol in `session`.

The node tells the manager who its peers are (`set_peers`, from membership) and is told when a link to a peer is up
or down and what came in. The `peer` of every callback is the name that the handshake established for that
connection, never something a message says: acknowledgements counted by it cannot be forged for another node.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from crdtmesh.links.counters import LinkCounters
from crdtmesh.links.errors import CloseReason
from crdtmesh.links.frames import Channel
from crdtmesh.links.options import Identity, LinkOptions, PeerAddress
from crdtmesh.links.peering import Backoff, Verdict, dials_first, judge_inbound
from crdtmesh.links.security import LinkSecurity, PlainLinks
from crdtmesh.links.session import Session
from crdtmesh.links.states import Closed
from crdtmesh.links.tcp import Connection
from crdtmesh.observability.logs import RateLimit, event

__all__ = ["LinkManager", "LinkStatus"]

_LOG: Final = logging.getLogger("crdtmesh.links")

# A link that lived this long was a real one: its loss starts the back-off anew. Shorter ones count as failed dials,
# so that two nodes which disagree about something do not connect and part in a tight loop.
_STABLE_NS: Final = 1_000_000_000

# What a peer can make us log: ten lines in a burst, and one line per 100 ms for as long as it tries.
_LOGS_PER_S: Final = 10.0

# Ends that are part of normal life and need no operator.
_QUIET_REASONS: Final = frozenset(
    {
        CloseReason.GOODBYE,
        CloseReason.SHUTDOWN,
        CloseReason.NOT_A_PEER,
        CloseReason.DUPLICATE,
        CloseReason.REPLACED,
        CloseReason.LOST,
    }
)


@dataclass(slots=True)
class _Peer:
    """A peer as membership names it, and what we have of it."""

    name: str
    address: PeerAddress
    is_lower: bool  # our name is the lower one, so we dial first and our connection stays
    backoff: Backoff
    link: Connection | None = None
    link_since_ns: int = 0
    dial: Connection | None = None
    dial_task: asyncio.Task[None] | None = None
    retry: asyncio.TimerHandle | None = None


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """One established link, for status output."""

    peer: str
    start_id: bytes
    is_dialled_by_us: bool
    round_trip_ns: int | None
    queued_bytes: tuple[int, ...]


class LinkManager:
    """All peer links of one node. Belongs to one event loop.

    Callbacks run on that loop, must not block, and may call `send`. `on_up(peer, start_id)` and `on_down(peer,
    reason)` alternate for each peer; `on_message(peer, channel, payload)` comes only between them. A callback that
    raises costs the link, and is counted and logged.
    """

    def __init__(
        self,
        options: LinkOptions,
        identity: Identity,
        *,
        rng: random.Random,
        on_up: Callable[[str, bytes], None],
        on_down: Callable[[str, CloseReason], None],
        on_message: Callable[[str, Channel, bytes], None],
        security: LinkSecurity | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Prepare; nothing is opened before `start`.

        Args:
            options: limits and times.
            identity: who we are.
            rng: for the jitter of the back-off.
            on_up: a link to a peer is up.
            on_down: it is down; what was in flight may be lost.
            on_message: a message came.
            security: encryption and proof of identity; plain TCP when None.
            clock_ns: monotonic time.
        """
        self.counters = LinkCounters()
        self._options = options
        self._identity = identity
        self._rng = rng
        self._on_up = on_up
        self._on_down = on_down
        self._on_message = on_message
        self._security: LinkSecurity = PlainLinks() if security is None else security
        self._clock_ns = clock_ns
        self._peers: dict[str, _Peer] = {}
        self._connections: set[Connection] = set()  # every open transport; bounded by peers + connections_pending_max
        self._pending: dict[Connection, None] = {}  # accepted, not admitted; oldest first; connections_pending_max
        self._waiting: dict[Connection, Identity] = {}  # those of them whose hello is good
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._is_closing = False
        self._all_gone = asyncio.Event()
        self._log_limit = RateLimit(_LOGS_PER_S)

    # --- life

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen.

        Returns:
            The bound address and port; `port` 0 picks a free one.

        Raises:
            OSError: the address cannot be bound.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, host, port)
        bound = self._server.sockets[0].getsockname()
        return str(bound[0]), int(bound[1])

    async def aclose(self) -> None:
        """Send what is queued, say goodbye to all peers, close everything; bounded by `drain_timeout_s`."""
        if self._is_closing:
            return
        self._is_closing = True
        if self._server is not None:
            self._server.close()
        for peer in self._peers.values():
            self._abandon_dial(peer, CloseReason.SHUTDOWN)
            self._cancel_retry(peer)
        for connection in list(self._connections):
            self._end(connection, CloseReason.SHUTDOWN, "this node goes", drains=True)
        if self._connections:
            try:
                async with asyncio.timeout(self._options.drain_timeout_s + 1):
                    await self._all_gone.wait()
            except TimeoutError:
                for connection in list(self._connections):
                    connection.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    # --- commands

    def set_peers(self, peers: Mapping[str, PeerAddress]) -> None:
        """Replace the set of peers. Our own name is skipped.

        A peer that is no longer named loses its link; another start id of the same name replaces the link to the old
        start; another address of the same start is used for the next dial.
        """
        for name in [name for name in self._peers if name not in peers]:
            self._forget(name)
        for name, address in peers.items():
            if name != self._identity.node:
                self._set_peer(name, address)
        self._judge_waiting()

    def send(self, peer: str, channel: Channel, payload: bytes) -> bool:
        """Queue a message to a peer.

        Returns:
            False when nothing was queued: no link to the peer is up, or its queue for the channel is full.

        Raises:
            MessageTooLargeError: `payload` exceeds `message_size_bytes_max`.
        """
        record = self._peers.get(peer)
        if record is None or record.link is None:
            return False
        return record.link.send(channel, payload)

    def hold(self, peer: str, channel: Channel) -> None:
        """Deliver no more messages of this channel for now; the peer's sender stops when its window is used up."""
        record = self._peers.get(peer)
        if record is not None and record.link is not None:
            record.link.session.hold(channel)

    def release(self, peer: str, channel: Channel) -> None:
        """Undo `hold`; held messages are delivered before this returns. A new link starts with nothing held."""
        record = self._peers.get(peer)
        if record is not None and record.link is not None:
            record.link.session.release(channel)
            record.link.pump()

    def links(self) -> list[LinkStatus]:
        """The established links, by peer name."""
        return [
            LinkStatus(
                peer=name,
                start_id=record.address.start_id,
                is_dialled_by_us=record.link.session.dials,
                round_trip_ns=record.link.session.round_trip_ns,
                queued_bytes=tuple(record.link.session.queued_bytes(channel) for channel in Channel),
            )
            for name, record in sorted(self._peers.items())
            if record.link is not None
        ]

    # --- callbacks of connections

    def opened(self, connection: Connection) -> None:
        """Count the connection, and make room when too many have no admitted peer."""
        self._connections.add(connection)
        if self._is_closing:
            self._end(connection, CloseReason.SHUTDOWN, "this node goes")
            return
        if connection.session.dials:
            return
        self.counters.connections_accepted += 1
        self._pending[connection] = None
        if len(self._pending) > self._options.connections_pending_max:
            # The oldest that has said nothing: an honest peer says hello within a round trip.
            silent = (other for other in self._pending if other not in self._waiting)
            self.counters.connections_dropped += 1
            detail = f"over connections_pending_max={self._options.connections_pending_max}"
            self._end(next(silent, next(iter(self._pending))), CloseReason.OVERLOADED, detail)

    def secured(self, connection: Connection) -> None:
        """Refuse a channel whose other end is no node of this cluster, or not the one that was dialled."""
        stranger = self._security.stranger(connection.channel, dialled=connection.peer_name)
        if stranger is not None:
            connection.session.refuse(stranger)

    def hello_received(self, connection: Connection, peer: Identity) -> None:
        """Judge an accepted connection, or let it wait."""
        if connection.session.is_closed:  # what came with the hello ended it
            return
        if self._is_unproven(connection, peer):
            return
        for other, earlier in list(self._waiting.items()):
            if earlier.node == peer.node and earlier.start_id == peer.start_id:
                self._end(other, CloseReason.DUPLICATE, "a newer connection waits")
        connection.peer_name = peer.node
        self._waiting[connection] = peer
        self._judge(connection)

    def established(self, connection: Connection, peer: Identity) -> None:
        """Make the connection the link to its peer."""
        self._pending.pop(connection, None)
        self._waiting.pop(connection, None)
        record = self._peers.get(peer.node)
        if connection.session.dials:
            if self._is_unproven(connection, peer):
                return
            refusal = self._judge_answer(connection, peer, record)
            if refusal is not None:
                self._end(connection, *refusal)
                return
        assert record is not None
        assert record.link is None
        if record.dial is connection:
            record.dial = None
        self._cancel_retry(record)
        record.link = connection
        record.link_since_ns = self._clock_ns()
        self._log(logging.INFO, "link.up", peer=peer.node, is_dialled_by_us=connection.session.dials)
        self._call(connection, self._on_up, peer.node, peer.start_id)

    def messages_received(self, connection: Connection, channel: Channel, payloads: list[bytes]) -> None:
        """Hand messages to the node."""
        name = connection.peer_name
        record = self._peers.get(name) if name is not None else None
        if name is None or record is None or record.link is not connection:
            return  # of a connection that was replaced: `on_down` was said
        on_message = self._on_message
        try:
            for payload in payloads:
                on_message(name, channel, payload)
        except Exception:  # the outermost edge of whatever the node does with a message
            self._callback_failed(connection)

    def closed(self, connection: Connection, closed: Closed) -> None:
        """Forget the connection, tell the node, and dial again if the peer is still one."""
        self._pending.pop(connection, None)
        self._waiting.pop(connection, None)
        self._log_closed(connection, closed)
        record = self._peers.get(connection.peer_name) if connection.peer_name is not None else None
        if record is None:
            return
        if record.link is connection:
            self._link_down(record, closed.reason)
        elif record.dial is connection:
            record.dial = None
        else:
            return
        self._dial_later(record)
        self._judge_waiting()

    def gone(self, connection: Connection) -> None:
        """The transport is closed."""
        self._connections.discard(connection)
        if self._is_closing and not self._connections:
            self._all_gone.set()

    # --- peers

    def _set_peer(self, name: str, address: PeerAddress) -> None:
        record = self._peers.get(name)
        if record is not None and record.address.start_id == address.start_id:
            record.address = address
            return
        if record is not None:
            self._forget(name, CloseReason.REPLACED)
        is_lower = dials_first(self._identity.node, name)
        record = _Peer(name, address, is_lower, Backoff(self._options, self._rng))
        self._peers[name] = record
        self._schedule_dial(record, 0.0 if is_lower else self._options.dial_delay_s)

    def _forget(self, name: str, reason: CloseReason = CloseReason.NOT_A_PEER) -> None:
        record = self._peers[name]
        self._cancel_retry(record)
        self._abandon_dial(record, reason)
        link = record.link
        if link is not None:
            self._link_down(record, reason)
            self._end(link, reason, "membership says so", drains=True)
        # After `on_down`, which may still ask for this peer; a callback may also have replaced the record.
        if self._peers.get(name) is record:
            del self._peers[name]

    def _link_down(self, record: _Peer, reason: CloseReason) -> None:
        link = record.link
        assert link is not None
        record.link = None
        if self._clock_ns() - record.link_since_ns >= _STABLE_NS:
            record.backoff.reset()
        self._log(logging.INFO, "link.down", peer=record.name, reason=str(reason))
        self._call(link, self._on_down, record.name, reason)

    # --- accepted connections

    def _accept(self) -> Connection:
        session = Session(self._options, self._identity, dials=False, now_ns=self._clock_ns(), counters=self.counters)
        return Connection(session, self, clock_ns=self._clock_ns, channel=self._security.channel(dials=False))

    def _judge_waiting(self) -> None:
        for connection in list(self._waiting):
            if connection in self._waiting:
                self._judge(connection)

    def _judge(self, connection: Connection) -> None:
        hello = self._waiting[connection]
        record = self._peers.get(hello.node)
        verdict = judge_inbound(
            is_lower=record is not None and record.is_lower,
            is_known_start=record is not None and record.address.start_id == hello.start_id,
            link_is_ours=None if record is None or record.link is None else record.link.session.dials,
            is_dialling=record is not None and record.dial is not None,
        )
        if verdict is Verdict.PARK or record is None:
            return
        del self._waiting[connection]
        if verdict is Verdict.REPLACE and record.link is not None:
            link = record.link
            self._link_down(record, CloseReason.REPLACED)
            self._end(link, CloseReason.REPLACED, "the peer dialled anew")
        self._abandon_dial(record, CloseReason.DUPLICATE)
        connection.session.admit(now_ns=self._clock_ns())
        connection.pump()

    # --- dialled connections

    def _schedule_dial(self, record: _Peer, delay_s: float) -> None:
        self._cancel_retry(record)
        if not self._is_closing:
            loop = asyncio.get_running_loop()
            record.retry = loop.call_later(delay_s, self._start_dial, record)

    def _dial_later(self, record: _Peer) -> None:
        delay_s = record.backoff.next_delay_s()
        self._schedule_dial(record, delay_s if record.is_lower else delay_s + self._options.dial_delay_s)

    def _start_dial(self, record: _Peer) -> None:
        record.retry = None
        if record.link is not None or record.dial is not None:
            return
        self.counters.dials += 1
        session = Session(
            self._options,
            self._identity,
            dials=True,
            now_ns=self._clock_ns(),
            expected_node=record.name,
            counters=self.counters,
        )
        channel = self._security.channel(dials=True)
        record.dial = Connection(session, self, clock_ns=self._clock_ns, peer_name=record.name, channel=channel)
        task = asyncio.get_running_loop().create_task(self._connect(record, record.dial))
        record.dial_task = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, record: _Peer, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        host, port = record.address.host, record.address.port
        try:
            async with asyncio.timeout(self._options.connect_timeout_s):
                await loop.create_connection(lambda: connection, host, port)
        except (OSError, TimeoutError) as error:
            self.counters.dials_failed += 1
            self._log(logging.DEBUG, "link.dial_failed", peer=record.name, host=host, port=port, error=repr(error))
            if record.dial is connection:
                record.dial = None
                self._dial_later(record)
                self._judge_waiting()

    def _judge_answer(
        self, connection: Connection, peer: Identity, record: _Peer | None
    ) -> tuple[CloseReason, str] | None:
        """Why a dialled connection that was answered is not wanted; None when it is."""
        if record is None or record.dial is not connection:
            return CloseReason.DUPLICATE, "this dial was given up"
        if peer.start_id != record.address.start_id:
            return CloseReason.UNEXPECTED_PEER, "another start of the node answered than membership names"
        return None

    def _is_unproven(self, connection: Connection, peer: Identity) -> bool:
        """Ends a connection whose channel does not prove its hello; the peer is not told why."""
        refusal = self._security.refusal(peer, connection.channel)
        if refusal is None:
            return False
        connection.session.refuse(refusal)
        connection.pump()
        return True

    def _abandon_dial(self, record: _Peer, reason: CloseReason) -> None:
        connection, record.dial = record.dial, None
        task, record.dial_task = record.dial_task, None
        if connection is None:
            return
        if task is not None and not task.done():
            task.cancel()
        self._end(connection, reason, "this dial was given up")

    def _cancel_retry(self, record: _Peer) -> None:
        if record.retry is not None:
            record.retry.cancel()
            record.retry = None

    # --- ends

    def _end(self, connection: Connection, reason: CloseReason, detail: str, *, drains: bool = False) -> None:
        connection.session.close(now_ns=self._clock_ns(), reason=reason, detail=detail, drains=drains)
        connection.pump()

    def _call(self, connection: Connection, callback: Callable[..., None], *arguments: object) -> None:
        try:
            callback(*arguments)
        except Exception:  # the outermost edge of whatever the node does with the news
            self._callback_failed(connection)

    def _callback_failed(self, connection: Connection) -> None:
        self.counters.callback_errors += 1
        self._log(logging.ERROR, "link.callback_failed", exc_info=True, peer=connection.peer_name)
        connection.abort()

    def _log_closed(self, connection: Connection, closed: Closed) -> None:
        level = logging.DEBUG if closed.reason in _QUIET_REASONS else logging.WARNING
        self._log(
            level,
            "link.closed",
            peer=connection.peer_name,
            host=connection.peer_host,
            reason=str(closed.reason),
            by_peer=closed.by_peer,
            detail=closed.detail,
        )

    def _log(self, level: int, name: str, *, exc_info: bool = False, **fields: object) -> None:
        # Every one of these lines can be caused by a peer.
        if _LOG.isEnabledFor(level) and self._log_limit():
            event(_LOG, level, name, exc_info=exc_info, suppressed=self._log_limit.suppressed, **fields)
