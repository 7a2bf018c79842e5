"""The actor host: connects to a node, offers a system's actors, runs their turns, and comes back when the node does.

`python -m crdtmesh.sdk.host MODULE:SYSTEM --endpoint ADDRESS` runs one; `crdtmesh up --actors` starts that as a child.
SIGTERM and SIGINT let running turns finish, and it exits 0. Exit codes: 1 when the node refuses the actors, 2 when the
system can't be loaded or an argument is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import grpc

from crdtmesh.sdk.actors import System
from crdtmesh.sdk.connection import Backoff, open_channel, target_of
from crdtmesh.sdk.errors import DefinitionError, NotConnected, RegistrationRefused
from crdtmesh.sdk.session import Session
from crdtmesh.sdk.turns import StreamError

__all__ = ["Host", "main"]

log = logging.getLogger("crdtmesh.sdk.host")

_CONNECT_TIMEOUT_S: Final = 2.0
_PARENT_PERIOD_S: Final = 0.5
_WARN_PERIOD_S: Final = 10.0


class Host:
    """Runs the actors of one system against one node.

    Args:
        system: what is offered.
        endpoint: `HOST:PORT` or `unix:PATH` of a node.
        drain_timeout_s: how long `stop` lets running turns go on, in seconds.

    Raises:
        ValueError: the endpoint has another form.
    """

    def __init__(self, system: System, endpoint: str, *, drain_timeout_s: float = 5.0) -> None:
        target_of(endpoint)
        self.system = system
        self.endpoint = endpoint
        self._drain_timeout_s = drain_timeout_s
        self._session: Session | None = None
        self._stopping = asyncio.Event()
        self._users: dict[str, object] = {}
        self._backoff = Backoff()
        self._warned_at = -_WARN_PERIOD_S

    async def run(self) -> None:
        """Serves turns until `stop`, and connects again whenever the stream ends.

        Raises:
            DefinitionError: an actor class can't be made.
            RegistrationRefused: the node doesn't take the actors; trying again would not help.
        """
        self._users = {name: _user(spec.actor_class) for name, spec in self.system.actors.items()}
        while not self._stopping.is_set():
            try:
                await self._serve()
            except (NotConnected, StreamError, grpc.RpcError, asyncio.InvalidStateError) as error:
                self._warn(error)
            if not self._stopping.is_set():
                await self._pause(self._backoff.next_s())

    def stop(self) -> None:
        """Lets running turns finish, for at most the drain timeout; then `run` returns."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        session = self._session
        if session is not None:
            session.drain()
            asyncio.get_running_loop().call_later(self._drain_timeout_s, session.abort)

    async def _serve(self) -> None:
        channel = await open_channel(self.endpoint, timeout_s=_CONNECT_TIMEOUT_S)
        try:
            if self._stopping.is_set():
                return
            session = self._session = Session(channel, self.system, self._users)
            try:
                await session.run()
            finally:
                self._session = None
                if session.is_registered:
                    self._backoff.reset()
        finally:
            await channel.close()

    async def _pause(self, delay_s: float) -> None:
        try:
            async with asyncio.timeout(delay_s):
                await self._stopping.wait()
        except TimeoutError:
            pass

    def _warn(self, error: Exception) -> None:
        now = asyncio.get_running_loop().time()
        if self._stopping.is_set() or now - self._warned_at < _WARN_PERIOD_S:
            return
        self._warned_at = now
        reason = error.details() if isinstance(error, grpc.aio.AioRpcError) else error
        log.warning("host.disconnected endpoint=%s reason=%s; trying again", self.endpoint, reason)


def _user(actor_class: type) -> object:
    try:
        return actor_class()
    except Exception as error:
        raise DefinitionError(
            f"{actor_class.__name__} can't be made without arguments: {type(error).__name__}: {error}"
        ) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a host from the command line; returns the exit code."""
    from crdtmesh.sdk.loading import load_system

    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=options.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    try:
        system = load_system(options.system)
        if not system.actors:
            raise DefinitionError(f"{options.system} declares no actor")  # noqa: TRY301 - one place tells the user
        target_of(options.endpoint)
    except (DefinitionError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        log.debug("host.load_failed", exc_info=error)
        return 2
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_run(system, options))
    except (DefinitionError, RegistrationRefused) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


async def _run(system: System, options: argparse.Namespace) -> None:
    host = Host(system, options.endpoint, drain_timeout_s=options.drain_timeout)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, host.stop)
    watch = asyncio.create_task(_watch_parent(options.parent_pid, host)) if options.parent_pid else None
    try:
        await host.run()
    finally:
        if watch is not None:
            watch.cancel()


async def _watch_parent(parent: int, host: Host) -> None:
    """Stops the host when its parent is gone: a child of another process has another parent."""
    while os.getppid() == parent:  # noqa: ASYNC110 - nothing tells of another process's end on every system
        await asyncio.sleep(_PARENT_PERIOD_S)
    log.warning("host.parent_gone pid=%d", parent)
    host.stop()


def _loop_factory() -> Callable[[], Any] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m crdtmesh.sdk.host", description="Run the actors of a system.")
    parser.add_argument(
        "system", metavar="MODULE:SYSTEM", help="such as shops:system; the current directory is searched"
    )
    parser.add_argument("--endpoint", default="127.0.0.1:9980", help="HOST:PORT or unix:PATH of a node (%(default)s)")
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    parser.add_argument(
        "--drain-timeout", type=float, default=5.0, metavar="SECONDS", help="for running turns at a stop (%(default)s)"
    )
    parser.add_argument("--parent-pid", type=int, metavar="PID", help="exit when the parent is no longer this process")
    return parser


if __name__ == "__main__":
    # The module that users import is another one than __main__: its classes must be the ones that run.
    from crdtmesh.sdk.host import main as imported_main

    sys.exit(imported_main())
