"""All user functions that are called by HTTP: one host for each address, found by the registration's callback."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from crdtmesh.edge.callbacks import CallbackPolicy, CallbackRefused
from crdtmesh.edge.http_host import HttpHost, OnCallback
from crdtmesh.engine import Engine
from crdtmesh.runtime.definition import ActorDefinition

# A machine has a handful of SDK processes beside its node. Each may keep 128 connections, and a task for each turn.
HOSTS_MAX: Final = 64


class HttpHosts:
    """The user functions of one node.

    Args:
        engine: of this node.
        policy: where user functions may be called.
        host: where the user function is when a registration doesn't say.
        port: likewise.
        on_callback: hears of each call.
    """

    def __init__(
        self, engine: Engine, policy: CallbackPolicy, *, host: str, port: int, on_callback: OnCallback
    ) -> None:
        self._engine = engine
        self._policy = policy
        self._default = (host, port)
        self._on_callback = on_callback
        self._hosts: dict[str, HttpHost] = {}

    async def register(self, definitions: Sequence[ActorDefinition], *, callback: str | None = None) -> None:
        """A user function offers these actors.

        Args:
            definitions: what it offers.
            callback: `HOST:PORT` where it is, if not where the settings say.

        Raises:
            CallbackRefused: it may not be called there, or there are too many; nothing was registered.
            RegistrationRefused: one of the definitions can't be used; nothing was registered.
        """
        target = await self._policy.target(*(self._default if callback is None else _split(callback)))
        host = self._hosts.get(target.authority)
        if host is not None:
            host.offer(target, definitions)
            return
        if len(self._hosts) >= HOSTS_MAX:
            raise CallbackRefused(f"{HOSTS_MAX} user functions have registered with this node; use another node")
        host = HttpHost(self._engine, target, on_callback=self._on_callback)
        host.offer(target, definitions)
        self._hosts[target.authority] = host

    def close(self) -> None:
        """Forgets all of them."""
        for host in self._hosts.values():
            host.close()
        self._hosts.clear()


def _split(callback: str) -> tuple[str, int]:
    host, colon, port = callback.rpartition(":")
    if not colon or not (port.isascii() and port.isdecimal()) or len(port) > 5:
        raise CallbackRefused(f"callback: HOST:PORT expected, got {callback[:64]!r}; for example 127.0.0.1:8090")
    return host.removeprefix("[").removesuffix("]"), int(port)
