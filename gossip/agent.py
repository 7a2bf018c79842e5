"""An agent: one node of the cluster in the current event loop.

Glue only. The rules are in `swim`, packets and streams in `transport`, candidates in `discovery`; this file hands
values from one to the other, resolves names, counts and logs.
"""

import asyncio
import contextlib
import logging
import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Self

from gossip.agent_config import AgentConfig
from gossip.config import to_ns
from gossip.discovery.base import Announcement
from gossip.discovery.candidates import Candidates
from gossip.discovery.static import resolve
from gossip.driver import CoreDriver
from gossip.errors import GossipError, JoinError
from gossip.event_stream import EventStream
from gossip.identity import Endpoint
from gossip.members import Member
from gossip.outputs import (
    CloseStream,
    Event,
    JoinFinished,
    LeaveFinished,
    OpenStream,
    Outgoing,
    Query,
    QueryFinished,
    QueryId,
    QueryResponse,
    SendDatagram,
    SendStream,
    StreamId,
)
from gossip.recorder import Recorder
from gossip.serf import encode_tags
from gossip.serf.filters import by_node
from gossip.serf.intents import Status
from gossip.serf.layer import Serf
from gossip.swim import Swim
from gossip.transport.base import Transport
from gossip.transport.sockets import SocketTransport

_LOG = logging.getLogger("gossip.agent")


class _Answers:
    """What came back for one query."""

    def __init__(self, asked: set[str]) -> None:
        self.missing = asked
        self.by_node: dict[str, bytes] = {}
        self.is_over = asyncio.Event()

    def add(self, node: str, payload: bytes) -> None:
        self.by_node[node] = payload
        self.missing.discard(node)
        if not self.missing:
            self.is_over.set()


class Agent:
    """A member of the cluster while its `async with` block runs.

    Leaving the block normally leaves the cluster gracefully; leaving it by an exception, or by cancellation, closes the
    sockets at once, and the others will find this node dead.

    Args:
        config: the options.
        transport: carries packets and streams; sockets by default.
    """

    def __init__(self, config: AgentConfig, *, transport: Transport | None = None) -> None:
        self._config = config
        self._transport: Transport = SocketTransport(config.bind) if transport is None else transport
        self._swim: Swim | Serf | None = None
        self._driver: CoreDriver[Outgoing, Event] | None = None
        self._seeker: asyncio.Task[None] | None = None
        self._candidates = Candidates()
        self._streams: set[EventStream] = set()
        self._queries: dict[QueryId, _Answers] = {}
        self._joins: dict[Endpoint, list[asyncio.Future[str | None]]] = {}
        self._left: asyncio.Future[bool] | None = None
        self._is_closed = False
        self._recorder = Recorder(config.metrics)
        self.counters = self._recorder.counters

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, exc_type: object, exc: object, traceback: object) -> None:
        try:
            if exc is None and not self._is_closed:
                await self.leave()
        finally:
            await self.close()

    # --- life

    async def start(self) -> None:
        """Binds, announces this node and begins to look for others; returns without waiting for them.

        Raises:
            PortTaken: another process has the port; nothing is left open.
            GossipError: started already, or the address can't be bound, or discovery can't start; nothing is left open.
        """
        if self._swim is not None:
            raise GossipError("the agent was started already; make a new one for another run")
        try:
            await self._transport.start(self)
            bound = self._transport.endpoint
            advertise = self._config.advertise or bound
            self._swim = self._make_core(Endpoint(advertise.host, advertise.port or bound.port))
            self._driver = CoreDriver(self._swim, carry_out=self._carry_out, on_event=self._on_event)
            self._driver.flush()
            local = self._swim.local
            announcement = Announcement(cluster=self._config.cluster, node=self._config.name, endpoint=local.endpoint)
            for discovery in self._config.discoveries:
                await discovery.start(announcement, self._on_candidate)
            self._seeker = asyncio.get_running_loop().create_task(self._seek())
        except BaseException:
            await self.close()
            raise
        _LOG.info("agent.started name=%.64r endpoint=%s", local.name, local.endpoint)

    def _make_core(self, endpoint: Endpoint) -> Swim | Serf:
        config = self._config
        rng = random.Random(secrets.randbits(128))  # noqa: S311 - picks whom to probe, no secrets
        swim = Swim(
            config.swim,
            name=config.name,
            endpoint=endpoint,
            rng=rng,
            now_ns=time.monotonic_ns(),
            # Serf's agents show foreign metadata as a tag, so even no tags are written in their form.
            meta=encode_tags(config.tags) if config.tags or config.serf is not None else b"",
            entropy=secrets.token_bytes,
        )
        return swim if config.serf is None else Serf(swim, config.serf, swim_config=config.swim, rng=rng)

    async def leave(self) -> bool:
        """Departs in good order; the agent goes on answering until it is closed.

        Returns:
            True if enough others were told; false if that took longer than `leave_timeout_s`.
        """
        swim, driver = self._active()
        if self._left is None:
            self._left = asyncio.get_running_loop().create_future()
            swim.leave(now_ns=driver.now_ns())
            driver.flush()
        return await asyncio.shield(self._left)

    async def close(self) -> None:
        """Closes sockets, discovery and event streams at once; repeating is harmless."""
        self._is_closed = True
        if self._seeker is not None:
            self._seeker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._seeker
            self._seeker = None
        if self._driver is not None:
            self._driver.close()
        try:
            for discovery in self._config.discoveries:
                await discovery.close()
        finally:
            await self._transport.close()
        for stream in list(self._streams):
            stream.close()
        for future in [f for waiting in self._joins.values() for f in waiting]:
            if not future.done():
                future.set_result("the agent was closed")
        for answers in self._queries.values():
            answers.is_over.set()
        if self._left is not None and not self._left.done():
            self._left.set_result(False)

    # --- what is known

    @property
    def local(self) -> Member:
        """This node's own entry."""
        return self._running()[0].local

    @property
    def local_health(self) -> int:
        """0 is healthy; each step makes this node wait one probe interval longer before it doubts others."""
        return self._running()[0].local_health

    def members(self) -> list[Member]:
        """All known members: this node, the present, and those that died or left lately."""
        return self._running()[0].members()

    def member(self, name: str) -> Member | None:
        """The member of that name."""
        return self._running()[0].member(name)

    def events(self) -> "EventStream":
        """Everything that happens from now on, for one reader; ends when the agent is closed."""
        stream = EventStream(self._streams)
        self._streams.add(stream)
        return stream

    # --- commands

    async def join(self, endpoints: Sequence[Endpoint]) -> int:
        """Contacts nodes; their tables are merged when this returns.

        Args:
            endpoints: where they listen; hosts may be DNS names.

        Returns:
            How many answered.

        Raises:
            JoinError: none did.
        """
        swim, driver = self._active()
        addresses = [address for endpoint in endpoints for address in await resolve(endpoint)]
        answers = [self._expect_join(address) for address in addresses]
        swim.join(addresses, now_ns=driver.now_ns())
        driver.flush()
        errors = await asyncio.gather(*answers)
        joined = sum(error is None for error in errors)
        if not joined:
            reasons = "; ".join(f"{address}: {error}" for address, error in zip(addresses, errors, strict=True))
            raise JoinError(f"none of {len(endpoints)} endpoints answered ({reasons[:512] or 'no address found'})")
        return joined

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Replaces this node's tags and announces them.

        Raises:
            ConfigError: they need more than 512 bytes; nothing was changed.
        """
        swim, driver = self._active()
        swim.set_meta(encode_tags(tags), now_ns=driver.now_ns())
        driver.flush()

    def broadcast(self, payload: bytes, *, key: str | None = None) -> None:
        """Spreads a message to the present members, best effort; it comes out as a `UserMessage` event there.

        Raises:
            BroadcastTooLarge: it can never fit a packet; nothing was queued.
        """
        swim, driver = self._active()
        swim.broadcast(payload, key=key, now_ns=driver.now_ns())
        driver.flush()

    def set_state(self, state: Callable[[], bytes]) -> None:
        """Gives what goes along with this node's table in each exchange; peers get it as a `UserState` event.

        Args:
            state: called for each exchange; must be quick. Its bytes come out as they are.
        """
        swim, _ = self._active()
        swim.set_state(state)

    # --- commands of the Serf layer

    def status(self, name: str) -> Status | None:
        """What Serf's own tools would show of a member; None if it is not known.

        Raises:
            GossipError: the layer is off.
        """
        return self._serf()[0].status(name)

    def rtt_s(self, name: str) -> float | None:
        """The estimated round-trip time to a member in seconds; None until it has answered a ping with its coordinate.

        Raises:
            GossipError: the layer is off.
        """
        return self._serf()[0].rtt_s(name)

    def user_event(self, name: str, payload: bytes = b"", *, can_coalesce: bool = True) -> None:
        """Sends an event to everybody, this node included: each one gets it once, as a `UserEvent`.

        Args:
            name: what it is about.
            payload: its content.
            can_coalesce: whether only the newest of that name matters to a reader that is late.

        Raises:
            BroadcastTooLarge: name and payload are above the limit; nothing was sent.
            GossipError: the layer is off.
        """
        serf, driver = self._serf()
        serf.user_event(name, payload, can_coalesce=can_coalesce, now_ns=driver.now_ns())
        driver.flush()

    async def query(
        self, name: str, payload: bytes = b"", *, nodes: Sequence[str] = (), timeout_s: float | None = None
    ) -> dict[str, bytes]:
        """Asks the other members; each that is asked gets a `Query` event and may respond.

        Args:
            name: what is asked; names that begin with `_serf_` are the layer's own.
            payload: the question's content.
            nodes: members that are to answer; empty: all.
            timeout_s: how long to wait; by default some seconds, longer in a larger cluster. It returns earlier when
                everybody that was asked has answered.

        Returns:
            The answers, by member.

        Raises:
            BroadcastTooLarge: the question is above the limit; nothing was sent.
            GossipError: the layer is off, or too many queries wait for answers.
        """
        serf, driver = self._serf()
        items = (by_node(*nodes),) if nodes else ()
        timeout_ns = None if timeout_s is None else to_ns(timeout_s)
        query = serf.query(name, payload, filters=items, timeout_ns=timeout_ns, now_ns=driver.now_ns())
        present = {m.name for m in serf.members() if m.is_present and m.name != serf.local.name}
        answers = self._queries[query] = _Answers(set(nodes) or set(present))
        if not answers.missing:
            answers.is_over.set()
        driver.flush()
        try:
            await answers.is_over.wait()
        finally:
            del self._queries[query]
            serf.finish_query(query)
        return answers.by_node

    def _respond(self, query: Query, payload: bytes) -> None:
        serf, driver = self._serf()
        serf.respond(query, payload, now_ns=driver.now_ns())
        driver.flush()

    def _serf(self) -> tuple[Serf, CoreDriver[Outgoing, Event]]:
        core, driver = self._active()
        if not isinstance(core, Serf):
            raise GossipError("the Serf layer is off; set serf=SerfConfig() in the options of the agent")
        return core, driver

    # --- from the transport

    def on_datagram(self, data: bytes, source: Endpoint) -> None:
        """Takes a packet; the transport calls this."""
        swim, driver = self._running()
        self.counters.packets_received += 1
        self.counters.bytes_received += len(data)
        swim.receive(data, source, now_ns=driver.now_ns())

    def on_batch_end(self) -> None:
        """Answers the packets taken; the transport calls this."""
        self._running()[1].flush()

    def on_stream(self, source: Endpoint) -> StreamId | None:
        """Numbers a connection; the transport calls this."""
        swim, driver = self._running()
        stream = swim.accept_stream(source, now_ns=driver.now_ns())
        driver.wake()
        return stream

    def on_stream_data(self, stream: StreamId, data: bytes) -> None:
        """Takes a chunk of a stream; the transport calls this."""
        swim, driver = self._running()
        swim.receive_stream(stream, data, now_ns=driver.now_ns())
        driver.flush()

    def on_stream_end(self, stream: StreamId, error: str | None) -> None:
        """Takes the end of a stream; the transport calls this."""
        swim, driver = self._running()
        swim.close_stream(stream, error=error, now_ns=driver.now_ns())
        driver.flush()

    # --- from the machine

    def _carry_out(self, directive: Outgoing) -> None:
        match directive:
            case SendDatagram(destination, data):
                self.counters.packets_sent += 1
                self.counters.bytes_sent += len(data)
                self._transport.send_datagram(destination, data)
            case OpenStream(stream, destination, data):
                self._transport.open_stream(stream, destination, data)
            case SendStream(stream, data):
                self._transport.send_stream(stream, data)
            case CloseStream(stream):
                self._transport.close_stream(stream)

    def _on_event(self, event: Event) -> None:
        self._recorder.record(event, local_health=self.local_health)
        match event:
            case JoinFinished(endpoint, error):
                for future in self._joins.pop(endpoint, []):
                    if not future.done():
                        future.set_result(error)
            case LeaveFinished(is_complete):
                if self._left is not None and not self._left.done():
                    self._left.set_result(is_complete)
            case QueryResponse(query, node, payload, False) if query in self._queries:
                self._queries[query].add(node, payload)
            case QueryFinished(query) if query in self._queries:
                self._queries[query].is_over.set()
            case Query():
                event = replace(event, responder=self._respond)
            case _:
                pass
        for stream in self._streams:
            self.counters.events_dropped += stream.put(event)

    # --- looking for others

    def _on_candidate(self, endpoint: Endpoint) -> None:
        swim, driver = self._running()
        if endpoint != swim.local.endpoint and self._candidates.offer(endpoint, now_ns=driver.now_ns()):
            self._contact_candidates()

    def _contact_candidates(self) -> None:
        swim, driver = self._running()
        present = {member.endpoint for member in swim.members() if member.is_present}
        due = self._candidates.take_due(now_ns=driver.now_ns(), is_member=present.__contains__)
        if due:
            swim.join(due, now_ns=driver.now_ns())
            driver.wake()

    async def _seek(self) -> None:
        """Joins by the list while this node is alone, and contacts candidates.

        Who is on the list becomes a candidate: when both sides of a split were restarted, nobody is alone and nobody
        remembers the other side, so the list is all that leads there.
        """
        while True:
            swim, driver = self._running()
            seeds: list[Endpoint] = []
            if self._left is None:
                if not any(m.is_present and m.name != swim.local.name for m in swim.members()):
                    found = [address for endpoint in self._config.join for address in await resolve(endpoint)]
                    seeds = [seed for seed in found if seed != swim.local.endpoint]
                    swim.join(seeds, now_ns=driver.now_ns())
                    driver.flush()
                self._contact_candidates()
                for seed in seeds:
                    # Behind the contacts of this round, which has just dialled them.
                    self._candidates.offer(seed, now_ns=driver.now_ns())
            await asyncio.sleep(self._config.join_interval_s)

    def _expect_join(self, endpoint: Endpoint) -> asyncio.Future[str | None]:
        future: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._joins.setdefault(endpoint, []).append(future)
        return future

    def _active(self) -> tuple[Swim | Serf, CoreDriver[Outgoing, Event]]:
        """For commands: what was closed can still be read, but does nothing any more."""
        if self._is_closed:
            raise GossipError("the agent is not running: it was closed")
        return self._running()

    def _running(self) -> tuple[Swim | Serf, CoreDriver[Outgoing, Event]]:
        if self._swim is None or self._driver is None:
            raise GossipError("the agent is not running; use it inside `async with Agent(config) as agent:`")
        return self._swim, self._driver
