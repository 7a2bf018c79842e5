# ruff: noqa: ASYNC109 - a timeout here is the deadline that travels to the node, not only our patience
"""The asyncio client: calls actors, reads and changes state, asks for the members; over one connection to one node.

    async with Client("127.0.0.1:9980", "127.0.0.1:9981") as client:
        await client.invoke("shops", "shopping-list", "add", "milk", timeout=2.0)

All calls share one stream (`node_stream`). When it breaks, the client goes on with the next address.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from crdtmesh.levels import OPERATION_METADATA, WRITE_LEVEL_METADATA, LevelInvalid, parse_level
from crdtmesh.sdk.asks import invocation
from crdtmesh.sdk.checks import Mismatch, check_for
from crdtmesh.sdk.cluster import (
    ActorInfo,
    Explanation,
    Member,
    NodeStatus,
    actors_of,
    explanation_of,
    members_of,
    status_of,
)
from crdtmesh.sdk.connection import target_of
from crdtmesh.sdk.context import ActorRef
from crdtmesh.sdk.node_stream import NodeStream
from crdtmesh.sdk.proxy import ActorProxy
from crdtmesh.sdk.state import StateClient
from crdtmesh.sdk.subscriptions import ChannelMessage, subscribed
from crdtmesh.sdk.unary import call_unary, delete, send, spawn, stop, watched
from crdtmesh.sdk.watch import WatchEvent, watch_events, watch_request
from crdtmesh.wire import payloads
from crdtmesh.wire.gen.crdtmesh.v1 import cluster_pb2, state_pb2_grpc
from crdtmesh.wire.tags import ON_CANCEL_METADATA, ON_OPEN_METADATA

__all__ = ["Client"]

T = TypeVar("T")


class Client:
    """A client of the mesh; belongs to the event loop in which it was entered.

    Args:
        addresses: `HOST:PORT` or `unix:PATH` of one or more nodes; the first that answers is used, and the next one
        when
            its stream breaks.
        timeout: how long a call may take, in seconds, if it doesn't say.
        in_flight_max: calls that may be under way at once; further ones wait.

    Raises:
        ValueError: no address, a malformed one, or a limit that is not positive.
    """

    def __init__(self, *addresses: str, timeout: float = 10.0, in_flight_max: int = 1_024) -> None:
        if not addresses:
            raise ValueError("expected at least one address, such as 127.0.0.1:9980")
        for address in addresses:
            target_of(address)
        if timeout <= 0 or in_flight_max < 1:
            raise ValueError(f"expected a positive timeout and in_flight_max, got {timeout} and {in_flight_max}")
        self.addresses = addresses
        self.timeout = timeout
        self.state = StateClient(self.unary)
        self._stream = NodeStream(addresses, in_flight_max=in_flight_max)

    @property
    def address(self) -> str | None:
        """The node that is connected now."""
        return self._stream.address

    @overload
    async def invoke(
        self,
        system: str,
        actor: str,
        action: str,
        argument: Any = None,
        *,
        parent: str = "",
        timeout: float | None = None,
        metadata: Mapping[str, str] | None = None,
        write: str | None = None,
        operation_id: str = "",
        returns: type[T],
    ) -> T: ...
    @overload
    async def invoke(
        self,
        system: str,
        actor: str,
        action: str,
        argument: Any = None,
        *,
        parent: str = "",
        timeout: float | None = None,
        metadata: Mapping[str, str] | None = None,
        write: str | None = None,
        operation_id: str = "",
    ) -> Any: ...
    async def invoke(  # noqa: PLR0913 - options by name
        self,
        system: str,
        actor: str,
        action: str,
        argument: Any = None,
        *,
        parent: str = "",
        timeout: float | None = None,
        metadata: Mapping[str, str] | None = None,
        write: str | None = None,
        operation_id: str = "",
        returns: Any = Any,
    ) -> Any:
        """Calls an action and waits for its answer.

        Args:
            system: name of the actor system.
            actor: name of the actor.
            action: name of the action.
            argument: a plain value, a dataclass or a protobuf message; a dict is keyword arguments, None no argument.
            parent: the template that the actor is an instance of; it is spawned if need be.
            timeout: in seconds; the client's default if None.
            metadata: passed on to the handler.
            write: how many voters have what the call changes on disk when the answer comes: "local", "to(n)",
                "majority" or "all". None: what the actor declares.
            operation_id: what was done under this id is not done again: retry a call whose outcome is unknown under the
                id of its first try. The answer of a repeat is None: what the first try returned is not kept.
            returns: the class of the answer, such as a dataclass.

        Returns:
            What the handler returned, as a plain value, a message, or an object of the class in `returns`.

        Raises:
            CallError: one of its subclasses; `outcome` says what became of the call's effect.
            PayloadError: the argument can't travel; nothing was sent.
            UnreadableAnswer: the action ran, and its answer can't be read or is none of `returns`.
            ValueError: `write` names no level; nothing was sent.
        """
        type_url, payload = payloads.encode(argument)
        type_url, payload = await self._stream.call(
            ActorRef(system, actor, parent),
            action,
            type_url=type_url,
            payload=payload,
            deadline=asyncio.get_running_loop().time() + (self.timeout if timeout is None else timeout),
            metadata=_with_terms(metadata, write, operation_id),
        )
        return _answer(type_url, payload, returns, action)

    def actor(self, system: str, name: str, *, parent: str = "", timeout: float | None = None) -> ActorProxy:
        """An actor whose actions are methods: `await client.actor("shops", "shopping-list").add("milk")`.

        Args:
            system: name of the actor system.
            name: of the actor.
            parent: the template that it is an instance of; it is spawned if need be.
            timeout: of each call, in seconds; the client's default if None.
        """
        return ActorProxy(self, ActorRef(system, name, parent), timeout)

    async def spawn(self, system: str, *names: str, parent: str, timeout: float | None = None) -> None:
        """Spawns instances of a template. They are remembered, so later calls may leave out their parent.

        Args:
            system: name of the actor system.
            names: of the instances.
            parent: name of the template.
            timeout: in seconds; the client's default if None.

        Raises:
            CallError: one of its subclasses; spawning twice is the same as once, so a retry is safe.
        """
        await spawn(self.unary, system, parent, names, timeout)

    async def delete(self, system: str, *names: str, parent: str = "", timeout: float | None = None) -> list[bool]:
        """Removes actors: their states, and that instances were spawned. One that is called again begins anew.

        Changes that other nodes make at the same time may stay; calls that are kept for later do.

        Args:
            system: name of the actor system.
            names: of the actors.
            parent: of instances that were not spawned.
            timeout: in seconds; the client's default if None.

        Returns:
            For each whether there was something to remove.

        Raises:
            CallError: one of its subclasses; deleting twice is the same as once, so a retry is safe.
        """
        return await delete(self.unary, system, parent, names, timeout)

    async def stop(self, system: str, *names: str, parent: str = "", timeout: float | None = None) -> list[bool]:
        """Takes actors out of memory, behind the calls that wait for them; their timers rest until they are called.

        Args:
            system: name of the actor system.
            names: of the actors.
            parent: of instances that were not spawned.
            timeout: in seconds; the client's default if None.

        Returns:
            For each whether it was in memory somewhere.

        Raises:
            CallError: one of its subclasses; stopping twice does no harm, so a retry is safe.
        """
        return await stop(self.unary, system, parent, names, timeout)

    async def subscribe(self, system: str, topic: str, *, returns: Any = Any) -> AsyncGenerator[ChannelMessage, None]:
        """What actors broadcast on a channel, from now on.

            async for message in client.subscribe("shops", "sold"):
                print(message.value, message.publisher)

        At most once: a reader that is too slow misses some, and is told how many (`lagged`); what is broadcast while
        there is no connection is missed. Close the iterator (`contextlib.aclosing`) to end it. When it raises,
        subscribe again.

        Args:
            system: the actor system.
            topic: of the channel.
            returns: the class of the messages' values.

        Raises:
            CallError: one of its subclasses.
            UnreadableAnswer: a value can't be read or is none of `returns`.
        """
        await self._stream.connected(asyncio.get_running_loop().time() + self.timeout)
        async with contextlib.aclosing(subscribed(self._stream.channel, system, topic)) as messages:
            async for lagged, type_url, payload, publisher in messages:
                value = _answer(type_url, payload, returns, topic)
                yield ChannelMessage(value, publisher, lagged)

    async def actors(self, system: str = "", *, timeout: float | None = None) -> list[ActorInfo]:
        """The actors that some live node offers; of all systems if none is named."""
        return await actors_of(self.unary, system, timeout)

    def watch(
        self,
        system: str,
        key: str | None = None,
        *,
        prefix: str = "",
        type_name: str = "",
        interval_ms: int | None = None,
        token: str = "",
    ) -> AsyncGenerator[WatchEvent, None]:
        """Follows replicated state: a snapshot, then changes, none skipped and none shown twice.

            async for event in client.watch("shops", prefix="stock/"):
                print(event.kind, event.key, event.value)

        When the connection breaks it goes on, from where it was if the same node answers within a minute, else with
        a snapshot again, which begins with an event of kind "snapshot". Leave the loop, and close the iterator
        (`contextlib.aclosing`), to end it.

        Args:
            system: the actor system.
            key: one key; None for all.
            prefix: without a key: of the keys.
            type_name: only entries of this type; empty for all.
            interval_ms: changes within so many milliseconds after some that were sent come together; None: 50;
                0: each at once.
            token: of the last event that was worked off (`WatchEvent.token`), to go on with; empty to begin.

        Raises:
            CallError: one of its subclasses; `LimitReached` when the node has too many watches. `NotConnected` when no
                node answered within the client's timeout.
            ValueError: key and prefix.
        """
        if key is not None and prefix:
            raise ValueError("expected a key or a prefix, got both")
        request = watch_request(system, key, prefix=prefix, type_name=type_name, interval_ms=interval_ms, token=token)
        return watch_events(self._open_watch, request)

    async def answers(
        self,
        system: str,
        actor: str,
        action: str,
        argument: Any = None,
        *,
        parent: str = "",
        on_open: str = "",
        on_cancel: str = "",
        returns: Any = Any,
    ) -> AsyncGenerator[Any, None]:
        """An action's answer, at once and whenever the actor's state has changed and the answer is another one.

            async for items in client.answers("shops", "shopping-list", "items"):
                print(items)

        Close the iterator (`contextlib.aclosing`) to end it. When it raises, ask again: nothing was changed.

        Args:
            system: name of the actor system.
            actor: name of the actor.
            action: that only reads; one that changes the state makes its own next call.
            argument: as of `invoke`.
            parent: the template that the actor is an instance of.
            on_open: an action that is called once before the first answer, with the same argument; it may change the
                state, to say that somebody watches.
            on_cancel: one that is called once when the iterator was closed, or this client has gone; not when the watch
                has failed, or the node itself ends.
            returns: the class of the answers.

        Raises:
            CallError: one of its subclasses.
            PayloadError: the argument can't travel.
            UnreadableAnswer: an answer can't be read or is none of `returns`.
        """
        ends = {ON_OPEN_METADATA: on_open, ON_CANCEL_METADATA: on_cancel}
        metadata = {name: called for name, called in ends.items() if called}
        request = invocation(ActorRef(system, actor, parent), action, argument, at=None, delay=None, metadata=metadata)
        request.ClearField("async")
        await self._stream.connected(asyncio.get_running_loop().time() + self.timeout)
        async with contextlib.aclosing(watched(self._stream.channel, request)) as answers:
            async for type_url, payload in answers:
                yield _answer(type_url, payload, returns, action)

    async def explain(
        self, system: str, key: str, type_name: str = "", *, peer: str = "", timeout: float | None = None
    ) -> Explanation:
        """What the node knows of one entry: its store part, dots, contexts, and who wrote it last.

        Args:
            system: the actor system.
            key: the entry's key.
            type_name: may be left out when only one type exists under the key.
            peer: a node with a link to this one, of which `peer` of the answer tells the same.
            timeout: in seconds; the client's default if None.

        Raises:
            CallError: one of its subclasses.
        """
        return await explanation_of(self.unary, (system, key, type_name), peer, timeout)

    async def members(self, *, timeout: float | None = None) -> list[Member]:
        """The mesh's members as the node sees them."""
        return await members_of(self.unary, timeout)

    async def status(self, *, digests: bool = False, timeout: float | None = None) -> NodeStatus:
        """The node's own state.

        Args:
            digests: also compute the digest of each system; O(entries) on the node.
            timeout: in seconds; the client's default if None.
        """
        return await status_of(self.unary, digests, timeout)

    async def send(  # noqa: PLR0913 - options by name
        self,
        system: str,
        actor: str,
        action: str,
        argument: Any = None,
        *,
        parent: str = "",
        at: datetime | None = None,
        delay: float | None = None,
        timeout: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Calls an action without waiting for its answer: returns when the call is in the actor's queue.

        With `at` or `delay` it returns when the call is kept on the node's disk. The call is then made by whichever
        node has the actor at that time, once, or again when that node dies over it.

        Args:
            system: name of the actor system.
            actor: name of the actor.
            action: name of the action.
            argument: a plain value, a dataclass or a protobuf message; a dict is keyword arguments, None no argument.
            parent: the template that the actor is an instance of; it is spawned if need be.
            at: when to make the call, with a time zone; None for now.
            delay: in seconds, instead of a time.
            timeout: for getting there, in seconds; the client's default if None.
            metadata: passed on to the handler.

        Raises:
            CallError: one of its subclasses; the call did not get into the queue, or that is unknown.
            PayloadError: the argument can't travel.
            ValueError: the time is none; nothing was sent.
        """
        target = ActorRef(system, actor, parent)
        request = invocation(target, action, argument, at=at, delay=delay, metadata=metadata)
        await send(self.unary, request, timeout)

    async def remove_member(self, name: str, *, timeout: float | None = None) -> list[str]:
        """Takes a node that will not come back off the voter lists, so that majorities count without it.

        Args:
            name: of the node.
            timeout: in seconds; the client's default if None.

        Returns:
            The systems of whose lists it was taken; none when it was on no list.

        Raises:
            CallError: `InvalidRequest` while it is alive.
        """
        response = await self.unary("Cluster.RemoveMember", cluster_pb2.RemoveMemberRequest(name=name), timeout)
        return list(response.systems)

    async def leave(self, *, timeout: float | None = None) -> None:
        """Makes the node leave the mesh and stop; returns when the leave is announced."""
        await self.unary("Cluster.Leave", cluster_pb2.LeaveRequest(), timeout)

    async def unary(self, method: str, request: Any, timeout: float | None = None) -> Any:
        """One unary call; for this package's helpers.

        Args:
            method: such as "State.Get".
            request: the method's message.
            timeout: in seconds; the client's default if None.

        Raises:
            CallError: one of its subclasses.
        """
        deadline = asyncio.get_running_loop().time() + (self.timeout if timeout is None else timeout)
        await self._stream.connected(deadline)
        left = max(deadline - asyncio.get_running_loop().time(), 0.001)
        return await call_unary(self._stream.channel, method, request, timeout_s=left)

    async def _open_watch(self, request: Any) -> Any:
        """The call of a watch on the node that is connected, once there is one."""
        await self._stream.connected(asyncio.get_running_loop().time() + self.timeout)
        return state_pb2_grpc.StateStub(self._stream.channel).Watch(request)

    async def __aenter__(self) -> Self:
        self._stream.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connection; calls under way raise. Does nothing the second time."""
        await self._stream.close()


def _with_terms(metadata: Mapping[str, str] | None, write: str | None, operation_id: str) -> Mapping[str, str] | None:
    terms: dict[str, str] = {}
    if operation_id:
        terms[OPERATION_METADATA] = operation_id
    if write is not None:
        try:
            parse_level(write)
        except LevelInvalid as error:
            raise ValueError(str(error)) from None
        terms[WRITE_LEVEL_METADATA] = write
    return {**(metadata or {}), **terms} if terms else metadata


def _answer(type_url: str, payload: bytes, kind: Any, action: str) -> Any:
    """What came back, as an object of its class if one is asked for."""
    try:
        answer = payloads.decode(type_url, payload)
        return answer if kind is Any else check_for(kind)(answer)
    except (Mismatch, payloads.PayloadError) as problem:
        raise payloads.UnreadableAnswer(f"{action}: the answer: {problem}") from None
