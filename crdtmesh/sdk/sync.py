"""The client for scripts: the same calls without `async`.

    from crdtmesh.sdk.sync import Client

    with Client("127.0.0.1:9980") as client:
        print(client.invoke("shops", "shopping-list", "add", "milk"))

A thread of its own runs an event loop with the asyncio client; any thread may call. Not for use inside an event loop,
which it would block.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue
from crdtmesh.sdk import client as asynchronous
from crdtmesh.sdk import proxy as proxies
from crdtmesh.sdk.cluster import ActorInfo, Member, NodeStatus
from crdtmesh.sdk.errors import NotConnected
from crdtmesh.sdk.state import StateEntry

__all__ = ["ActorProxy", "Client", "StateClient"]

T = TypeVar("T")


class Client:
    """A client of the mesh whose methods block; the arguments, answers and errors are those of `crdtmesh.sdk.Client`.

    Args:
        addresses: `HOST:PORT` or `unix:PATH` of one or more nodes.
        timeout: how long a call may take, in seconds, if it doesn't say.

    Raises:
        ValueError: no address, a malformed one, or a timeout that is not positive.
    """

    def __init__(self, *addresses: str, timeout: float = 10.0) -> None:
        self._client = asynchronous.Client(*addresses, timeout=timeout)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.state = StateClient(self)

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise RuntimeError("a client is entered once; make another one")
        self._loop = asyncio.new_event_loop()
        # A script that forgets to leave the block can still end.
        self._thread = threading.Thread(target=self._loop.run_forever, name="crdtmesh-client", daemon=True)
        self._thread.start()
        self.run(self._client.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection; calls of other threads raise. Does nothing the second time."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        self.run(self._client.close())
        self._loop = None
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine where the client is, and waits for it; for this module's helpers.

        Raises:
            NotConnected: the client is not open.
        """
        if self._loop is None:
            call.close()
            raise NotConnected("the client is not open; use it in `with`", outcome="not_applied")
        future: concurrent.futures.Future[T] = asyncio.run_coroutine_threadsafe(call, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # Ctrl-C ends the wait here: the node is told that nobody waits any more
            raise

    @overload
    def invoke(
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
    def invoke(
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
    def invoke(self, system: str, actor: str, action: str, argument: Any = None, **options: Any) -> Any:
        """Calls an action and waits for its answer."""
        return self.run(self._client.invoke(system, actor, action, argument, **options))

    def send(  # noqa: PLR0913 - options by name
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
        """Calls an action, now or later, without waiting for its answer."""
        call = self._client.send(
            system, actor, action, argument, parent=parent, at=at, delay=delay, timeout=timeout, metadata=metadata
        )
        self.run(call)

    def actor(self, system: str, name: str, *, parent: str = "", timeout: float | None = None) -> ActorProxy:
        """An actor whose actions are methods: `client.actor("shops", "shopping-list").add("milk")`."""
        return ActorProxy(self, self._client.actor(system, name, parent=parent, timeout=timeout))

    def spawn(self, system: str, *names: str, parent: str, timeout: float | None = None) -> None:
        """Spawns instances of a template."""
        self.run(self._client.spawn(system, *names, parent=parent, timeout=timeout))

    def delete(self, system: str, *names: str, parent: str = "", timeout: float | None = None) -> list[bool]:
        """Removes actors; for each whether there was something to remove."""
        return self.run(self._client.delete(system, *names, parent=parent, timeout=timeout))

    def stop(self, system: str, *names: str, parent: str = "", timeout: float | None = None) -> list[bool]:
        """Takes actors out of memory; for each whether it was there."""
        return self.run(self._client.stop(system, *names, parent=parent, timeout=timeout))

    def actors(self, system: str = "", *, timeout: float | None = None) -> list[ActorInfo]:
        """The actors that some live node offers."""
        return self.run(self._client.actors(system, timeout=timeout))

    def members(self, *, timeout: float | None = None) -> list[Member]:
        """The mesh's members as the node sees them."""
        return self.run(self._client.members(timeout=timeout))

    def status(self, *, timeout: float | None = None) -> NodeStatus:
        """The node's own state."""
        return self.run(self._client.status(timeout=timeout))


class StateClient:
    """Replicated state by key: `client.state`; as `crdtmesh.sdk.state.StateClient`."""

    __slots__ = ("_client",)

    def __init__(self, client: Client) -> None:
        self._client = client

    def get(
        self, system: str, key: str, type_name: str = "", *, read: str | None = None, timeout: float | None = None
    ) -> StateEntry | None:
        """One entry, or None."""
        state = self._client._client.state
        return self._client.run(state.get(system, key, type_name, read=read, timeout=timeout))

    def list(
        self, system: str, prefix: str = "", *, read: str | None = None, timeout: float | None = None
    ) -> list[StateEntry]:
        """All entries whose key starts with the prefix."""
        state = self._client._client.state

        async def gather() -> list[StateEntry]:
            return [entry async for entry in state.list(system, prefix, read=read, timeout=timeout)]

        return self._client.run(gather())

    def update(
        self,
        system: str,
        key: str,
        type_name: str,
        operations: Operation | Sequence[Operation],
        *,
        write: str | None = None,
        timeout: float | None = None,
    ) -> tuple[bool, PlainValue]:
        """Changes one entry; all operations take effect, or none."""
        state = self._client._client.state
        return self._client.run(state.update(system, key, type_name, operations, write=write, timeout=timeout))


class ActorProxy:
    """An actor whose actions are methods; see `Client.actor`."""

    __slots__ = ("_client", "_proxy")

    def __init__(self, client: Client, proxy: proxies.ActorProxy) -> None:
        self._client = client
        self._proxy = proxy

    def __getattr__(self, action: str) -> Callable[..., Any]:
        if action.startswith("__"):
            raise AttributeError(action)
        method = getattr(self._proxy, action)

        def call(*values: Any, **arguments: Any) -> Any:
            return self._client.run(method(*values, **arguments))

        call.__name__ = action
        return call

    def __repr__(self) -> str:
        return repr(self._proxy)
