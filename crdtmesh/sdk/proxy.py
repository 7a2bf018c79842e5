"""An actor as an object, whose methods are its actions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from crdtmesh.sdk.context import ActorRef

if TYPE_CHECKING:
    from crdtmesh.sdk.client import Client

__all__ = ["ActorProxy"]


class ActorProxy:
    """An actor whose actions are methods; see `Client.actor`."""

    __slots__ = ("_client", "_ref", "_timeout")

    def __init__(self, client: Client, ref: ActorRef, timeout: float | None) -> None:
        self._client = client
        self._ref = ref
        self._timeout = timeout

    def __getattr__(self, action: str) -> Callable[..., Awaitable[Any]]:
        if action.startswith("__"):
            raise AttributeError(action)

        def call(*values: Any, **arguments: Any) -> Awaitable[Any]:
            if len(values) > 1 or (values and arguments):
                raise TypeError(f"{action}: expected one positional argument or keyword arguments, got both or several")
            argument = values[0] if values else (arguments or None)
            system, name, parent = self._ref
            return self._client.invoke(system, name, action, argument, parent=parent, timeout=self._timeout)

        call.__name__ = action
        return call

    def __repr__(self) -> str:
        return f"<ActorProxy {self._ref}>"
