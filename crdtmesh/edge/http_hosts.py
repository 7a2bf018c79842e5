"""All user functions that are called by HTTP: one host for each address, found by the registration's callback."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from crdtmesh.edge.callbacks import CallbackPolicy, CallbackRefused
from crdtmesh.edge.http_host import HttpHost, OnCallback
from crdtmesh.edge.http_registrations import Registrations
from crdtmesh.engine import Engine
from crdtmesh.observability import logs
from crdtmesh.runtime.errors import RegistrationRefused
from crdtmesh.wire.gen.spawn.actors.protocol_pb2 import RegistrationRequest
from crdtmesh.wire.registration import definitions_from

_LOG: Final = logging.getLogger(__name__)

# A machine has a handful of SDK processes beside its node. Each may keep 128 connections, and a task for each turn.
HOSTS_MAX: Final = 64


class HttpHosts:
    """The user functions of one node.

    Args:
        engine: of this node.
        policy: where user functions may be called.
        registrations: what was registered, on disk.
        host: where the user function is when a registration doesn't say.
        port: likewise.
        on_callback: hears of each call.
    """

    def __init__(
        self,
        engine: Engine,
        policy: CallbackPolicy,
        registrations: Registrations,
        *,
        host: str,
        port: int,
        on_callback: OnCallback,
    ) -> None:
        self._engine = engine
        self._policy = policy
        self._registrations = registrations
        self._default = (host, port)
        self._on_callback = on_callback
        self._hosts: dict[str, HttpHost] = {}
        self._writing = asyncio.Lock()

    async def restore(self) -> None:
        """Looks for the user functions that registered in earlier runs of this node."""
        for authority, requests in self._registrations.load().items():
            try:
                target = await self._policy.target(*_split(authority))
                definitions = [each for request in requests for each in definitions_from(request)]
                self._engine.register(definitions)
            except (CallbackRefused, RegistrationRefused) as error:
                logs.event(_LOG, logging.WARNING, "host.not_restored", host=authority, reason=str(error))
                continue
            if authority not in self._hosts:  # it may have registered meanwhile
                host = self._hosts[authority] = HttpHost(self._engine, target, on_callback=self._on_callback)
                host.expect(definitions)

    async def register(
        self, request: RegistrationRequest, *, callback: str | None = None, is_remote: bool = False
    ) -> None:
        """A user function offers actors.

        Args:
            request: what it offers.
            callback: `HOST:PORT` where it is, if not where the settings say.
            is_remote: the registration came from another machine.

        Raises:
            CallbackRefused: it may not be called there, or there are too many; nothing was registered.
            RegistrationRefused: one of the definitions can't be used; nothing was registered.
        """
        definitions = definitions_from(request)
        if callback is None:
            target = await self._policy.target(*self._default)
        else:
            target = await self._policy.target(*_split(callback), is_remote=is_remote)
        host = self._hosts.get(target.authority)
        if host is None:
            if len(self._hosts) >= HOSTS_MAX:
                raise CallbackRefused(f"{HOSTS_MAX} user functions have registered with this node; use another node")
            host = HttpHost(self._engine, target, on_callback=self._on_callback)
        host.offer(target, definitions)
        self._hosts[target.authority] = host
        await self._remember(target.authority, request)

    async def _remember(self, authority: str, request: RegistrationRequest) -> None:
        async with self._writing:
            try:
                await asyncio.to_thread(self._registrations.add, authority, request)
            except OSError as error:
                # It holds until the node restarts; then the SDK has to register again.
                logs.event(_LOG, logging.WARNING, "registrations.not_written", reason=str(error.strerror))

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
