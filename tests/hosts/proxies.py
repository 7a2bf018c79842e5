"""Joins hosts where namespaces are not allowed: proxies on loopback, a process with the switch's orders and answers.

Host n listens on 127.78.0.n and is known to the others by 127.78.1.n, where its proxy listens. A datagram goes on from
the sender's own proxy, so its receiver answers there; who opened a connection is found by the kernel's tables.

A stream can't lose a part of itself: what would be lost, doubled or damaged on a cable comes late instead, by the
pause that TCP makes before it sends again. Multicast does not pass.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Final

from tests.hosts.deciding import SECOND_NS, Decider, damage
from tests.hosts.kernel import bring_up
from tests.hosts.pcap import LINK_TYPE_RAW_IP, Capture
from tests.hosts.raw_ip import datagram
from tests.hosts.shape import Weather

GOSSIP_PORT: Final = 7946
LINK_PORT: Final = 7947
CHUNK_SIZE_BYTES: Final = 16 << 10

# Linux's least time before TCP sends again.
RESEND_NS: Final = SECOND_NS // 5

# How often a stream that is cut looks whether it still is.
CUT_POLL_S: Final = 0.05

Address = tuple[str, int]


def inner_address(number: int) -> str:
    """Where a host listens."""
    return f"127.78.0.{number + 1}"


def outer_address(number: int) -> str:
    """Where others reach it."""
    return f"127.78.1.{number + 1}"


class Proxies:
    """All proxies, and what is on its way."""

    def __init__(self, hosts: int, seed: int) -> None:
        self._hosts = hosts
        self._decider = Decider(seed)
        self._capture: Capture | None = None
        self._doors: dict[int, asyncio.DatagramTransport] = {}
        self._flows: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Binds everything."""
        loop = asyncio.get_running_loop()
        for number in range(self._hosts):
            address = outer_address(number)
            self._doors[number], _ = await loop.create_datagram_endpoint(
                lambda number=number: _Door(self, number),  # type: ignore[misc]
                local_addr=(address, GOSSIP_PORT),
            )
            for port in (GOSSIP_PORT, LINK_PORT):
                await asyncio.start_server(self._acceptor(number, port), address, port)

    def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """One order of the other side."""
        if "weather" in order:
            self._decider.weather = Weather.from_json(order["weather"])
        if "capture" in order:
            frames = self._capture.frames if self._capture else 0
            if self._capture:
                self._capture.close()
            path = order["capture"]
            self._capture = Capture(Path(path), link_type=LINK_TYPE_RAW_IP) if path else None
            return {"frames": frames}
        return dict(self._decider.counts)

    def datagram(self, target: int, data: bytes, sender: Address) -> None:
        """One that a host sent to the proxy of another."""
        source = _number_of(sender[0])
        if source is None:
            return
        verdict = self._decider.decide(source, target, len(data), time.monotonic_ns())
        self._note(source, target, verdict.words, data)
        if verdict.flipped is not None:
            data = damage(data, verdict.flipped)
        loop = asyncio.get_running_loop()
        for due_ns in verdict.dues:
            delay_s = max(0.0, (due_ns - time.monotonic_ns()) / SECOND_NS)
            loop.call_later(delay_s, self._doors[source].sendto, data, (inner_address(target), sender[1]))

    def _acceptor(self, target: int, port: int) -> Any:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            source = await asyncio.to_thread(owner_of, writer.get_extra_info("peername"))
            if source is None:
                writer.close()
                return
            try:
                there = await asyncio.open_connection(inner_address(target), port)
            except OSError:
                writer.transport.abort()
                return
            for link, origin, goal in (
                ((source, target), reader, there[1]),
                ((target, source), there[0], writer),
            ):
                task = asyncio.create_task(self._pour(*link, origin, goal))
                self._flows.add(task)
                task.add_done_callback(self._flows.discard)

        return accept

    async def _pour(self, source: int, target: int, origin: asyncio.StreamReader, goal: asyncio.StreamWriter) -> None:
        """One direction of a connection, until it ends."""
        with contextlib.suppress(OSError):
            while data := await origin.read(CHUNK_SIZE_BYTES):
                await self._wait_for(source, target, data)
                goal.write(data)
                await goal.drain()
        with contextlib.suppress(OSError):
            if goal.can_write_eof():
                goal.write_eof()

    async def _wait_for(self, source: int, target: int, data: bytes) -> None:
        while True:
            now_ns = time.monotonic_ns()
            verdict = self._decider.decide(source, target, len(data), now_ns)
            self._note(source, target, verdict.words, data)
            if "cut" in verdict.words:
                await asyncio.sleep(CUT_POLL_S)
                continue
            if verdict.dues and verdict.flipped is None:
                await asyncio.sleep((max(verdict.dues) - now_ns) / SECOND_NS)
                return
            await asyncio.sleep(RESEND_NS / SECOND_NS)

    def _note(self, source: int, target: int, words: tuple[str, ...], data: bytes) -> None:
        if self._capture:
            shown = datagram(outer_address(source), outer_address(target), data)
            self._capture.add(shown, f"{source} > {target}: {', '.join(words) or 'passed'}", time.time_ns())


class _Door(asyncio.DatagramProtocol):
    """The datagram socket of one host's proxy."""

    def __init__(self, proxies: Proxies, number: int) -> None:
        self._proxies = proxies
        self._number = number

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._proxies.datagram(self._number, data, addr)


def _number_of(address: str) -> int | None:
    network, _, last = address.rpartition(".")
    return int(last) - 1 if network == "127.78.0" else None


def owner_of(peer: Address) -> int | None:
    """The number of the host whose process has this end of a connection, found by what its command line says.

    A node's outgoing connections come from 127.0.0.1 whichever address it listens on.
    """
    inode = _inode_of(peer)
    if inode is None:
        return None
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                if os.readlink(descriptor) == f"socket:[{inode}]":
                    return _bound_to((process / "cmdline").read_bytes().decode(errors="replace").split("\0"))
    return None


def _bound_to(arguments: list[str]) -> int | None:
    """The host that a command line names; the last one counts, as for the node."""
    values = [value for flag, value in itertools.pairwise(arguments) if flag == "--bind"]
    return _number_of(values[-1]) if values else None


def _inode_of(peer: Address) -> str | None:
    octets = bytes(int(part) for part in peer[0].split("."))
    wanted = f"{octets[::-1].hex().upper()}:{peer[1]:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1] == wanted:
            return fields[9]
    return None


async def _serve() -> None:
    hosts, seed = map(int, sys.argv[1:3])
    with contextlib.suppress(OSError):
        bring_up("lo")  # a fresh network namespace begins without
    proxies = Proxies(hosts, seed)
    await proxies.start()
    print(json.dumps({"namespaces": []}), flush=True)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        print(json.dumps(proxies.obey(json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve())
