"""The peers of the last run, kept on disk: where to knock after a restart when nobody on the join list is there.

One small file in the data directory, rewritten whole a second after the members changed. Addresses are candidates as
any that discovery finds: a stale one costs attempts that grow rare, and gives no trust. Who leaves forgets them.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import gossip
from crdtmesh.config import split_address
from crdtmesh.errors import ConfigError
from crdtmesh.observability import logs

_LOG: Final = logging.getLogger(__name__)

FILE_NAME: Final = "peers.json"

# One that answers is enough, and of so many one will; the first of a larger mesh by name, so that changes among the
# others write nothing. An address and its name take some 100 bytes.
PEERS_MAX: Final = 64
_FILE_BYTES_MAX: Final = 64 * 1024

# Members that come together are written together.
WRITE_DELAY_S: Final = 1.0


class RememberedPeers:
    """A `gossip.Discovery` that offers the peers of the last run, and remembers those of this one.

    Args:
        folder: the node's data directory.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._written: dict[str, str] = {}
        self._wanted: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None
        self._is_forgotten = False
        # A write that was begun ends in its thread, whatever becomes of the task; it must not come after the removal.
        self._lock = threading.Lock()

    async def start(self, announcement: gossip.Announcement, on_candidate: Callable[[gossip.Endpoint], None]) -> None:
        """Offers what the file has, once."""
        self._written = await asyncio.to_thread(self._read)
        for address in self._written.values():
            with contextlib.suppress(ConfigError, ValueError):
                host, port = split_address("address", address)
                endpoint = gossip.Endpoint(str(ipaddress.ip_address(host)), port)
                if endpoint != announcement.endpoint:
                    on_candidate(endpoint)

    async def close(self) -> None:
        """Writes nothing more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def note(self, peers: Iterable[tuple[str, str]]) -> None:
        """Has these remembered, by name, each with its address; the last ones stay when there is nobody any more."""
        wanted = dict(sorted(peers)[:PEERS_MAX])
        if wanted and not self._is_forgotten:
            self._wanted = wanted
            if wanted != self._written and (self._task is None or self._task.done()):
                self._task = asyncio.get_running_loop().create_task(self._write_soon(), name="remembered peers")

    async def forget(self) -> None:
        """This node leaves for good: nobody is remembered."""
        self._is_forgotten = True
        await self.close()
        await asyncio.to_thread(self._remove)

    async def _write_soon(self) -> None:
        while self._wanted != self._written:
            await asyncio.sleep(WRITE_DELAY_S)
            peers = self._wanted
            try:
                await asyncio.to_thread(self._write, peers)
            except OSError as error:
                # It is a convenience: the join list is there, and peers look for this node too.
                logs.event(_LOG, logging.WARNING, "peers.not_written", reason=str(error.strerror))
            self._written = peers

    def _write(self, peers: dict[str, str]) -> None:
        fresh = self._path.with_suffix(".new")
        with self._lock:
            if self._is_forgotten:
                return
            with fresh.open("w", encoding="utf-8") as file:
                json.dump({"peers": peers}, file)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)

    def _remove(self) -> None:
        with self._lock:
            self._path.unlink(missing_ok=True)

    def _read(self) -> dict[str, str]:
        try:
            with self._path.open(encoding="utf-8") as file:
                peers = json.loads(file.read(_FILE_BYTES_MAX))["peers"].items()
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            logs.event(_LOG, logging.WARNING, "peers.unreadable", path=str(self._path), reason=str(error))
            return {}
        return {name: address for name, address in list(peers)[:PEERS_MAX] if isinstance(address, str)}
