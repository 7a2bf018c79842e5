"""Runs the demo: starts nodes, lets shops call them, kills one and restarts it, and compares everything at the end."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from crdtmesh.demo.display import Display, Row
from crdtmesh.demo.ledger import Ledger
from crdtmesh.demo.shop import ACTORS, PRICE, SYSTEM, Shop
from crdtmesh.local_node import LocalNode
from crdtmesh.sdk.client import Client
from crdtmesh.sdk.cluster import NodeStatus
from crdtmesh.sdk.errors import CallError

NAMES: Final = ("north", "south", "west")
KILLED: Final = "south"
MEET_TIMEOUT_S: Final = 30.0
DOWN_S: Final = 3.0
CONVERGE_TIMEOUT_S: Final = 60.0
POLL_S: Final = 0.05


class DemoFailed(Exception):
    """The demo could not be carried out; nothing is said about promises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How it ended.

    Attributes:
        lost: what the final state owes to the clients, one line each.
        convergence_s: from the last call until all nodes held equal bytes.
    """

    nodes: int
    calls: int
    acknowledged: int
    unknown: int
    refused: int
    lost: tuple[str, ...]
    converged: bool
    convergence_s: float
    restarted: int

    @property
    def is_kept(self) -> bool:
        """Whether every promise was kept."""
        return self.converged and not self.lost

    def line(self) -> dict[str, Any]:
        """The last line of `--format json`."""
        return {
            "nodes": self.nodes,
            "calls": self.calls,
            "acknowledged": self.acknowledged,
            "unknown": self.unknown,
            "refused": self.refused,
            "lost": len(self.lost),
            "converged": self.converged,
            "convergence_s": round(self.convergence_s, 3),
            "restarted": self.restarted,
        }


class Demo:
    """One run.

    Args:
        folder: for data and logs.
        seconds: how long the shops call.
        display: where progress goes.
        seed: of what the shops do.
    """

    def __init__(self, folder: Path, *, seconds: float, display: Display, seed: int) -> None:
        self._seconds = seconds
        self._display = display
        self._rng = random.Random(seed)  # noqa: S311 - picks goods, not secrets
        cluster = f"demo-{secrets.token_hex(4)}"
        arguments = ("--discovery", "mdns", "--system", SYSTEM, "--actors", ACTORS)
        self._nodes = [LocalNode(name, folder, cluster=cluster, arguments=arguments) for name in NAMES]
        self._ledger = Ledger()
        self._restarted = 0
        self._rows: list[Row] = []

    async def run(self) -> Verdict:
        """Starts, disturbs, compares, and stops all nodes whatever happens.

        Raises:
            DemoFailed: the nodes did not find each other.
            StartError: a node did not start.
        """
        try:
            self._display.say(f"starting {len(self._nodes)} nodes on this machine; they find each other by mDNS")
            await asyncio.gather(*(node.start() for node in self._nodes))
            async with self._clients() as clients:
                await self._meet(clients)
                shops = [
                    Shop(node.name, number, client, self._ledger, random.Random(self._rng.random()))  # noqa: S311
                    for number, (node, client) in enumerate(zip(self._nodes, clients, strict=True))
                ]
                await self._disturb(shops, clients)
                return await self._compare(clients)
        finally:
            await asyncio.gather(*(node.stop() for node in self._nodes))

    @contextlib.asynccontextmanager
    async def _clients(self) -> AsyncIterator[list[Client]]:
        async with contextlib.AsyncExitStack() as stack:
            yield [await stack.enter_async_context(Client(node.grpc)) for node in self._nodes]

    async def _meet(self, clients: list[Client]) -> None:
        """Waits until every node is linked to all others and has its host."""
        loop = asyncio.get_running_loop()
        give_up_s = loop.time() + MEET_TIMEOUT_S
        while loop.time() < give_up_s:
            statuses = await self._statuses(clients)
            linked = [sum(peer.is_linked for peer in status.peers) for status in statuses if status is not None]
            hosts = [status.hosts for status in statuses if status is not None]
            if linked == [len(clients) - 1] * len(clients) and all(hosts):
                self._display.say("all nodes are linked and host the shops")
                return
            await asyncio.sleep(POLL_S)
        raise DemoFailed(f"the nodes did not find each other within {MEET_TIMEOUT_S:.0f} s; see their logs")

    async def _disturb(self, shops: list[Shop], clients: list[Client]) -> None:
        until_s = asyncio.get_running_loop().time() + self._seconds
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self._watch(shops, clients))
            calls = [group.create_task(shop.run(until_s)) for shop in shops]
            kill = group.create_task(self._kill_and_restart())
            await asyncio.wait([*calls, kill])
            watch.cancel()

    async def _kill_and_restart(self) -> None:
        victim = next(node for node in self._nodes if node.name == KILLED)
        await asyncio.sleep(self._seconds * 0.4)
        await victim.kill()
        self._display.say(f"killed {victim.name} (SIGKILL); its shop can't call, the others go on")
        await asyncio.sleep(min(DOWN_S, self._seconds * 0.2))
        await victim.start()
        self._restarted += 1
        self._display.say(f"restarted {victim.name} with its data")

    async def _watch(self, shops: list[Shop], clients: list[Client]) -> None:
        loop = asyncio.get_running_loop()
        before = {shop.name: sum(shop.outcomes.values()) for shop in shops}
        while True:
            started_s = loop.time()
            await asyncio.sleep(1.0)
            statuses = await self._statuses(clients)
            events = [_events(status) for status in statuses]
            rows = []
            for shop, status, seen in zip(shops, statuses, events, strict=True):
                calls = sum(shop.outcomes.values())
                rows.append(
                    Row(
                        node=shop.name,
                        state=status.state if status is not None else "down",
                        members=1 + sum(peer.is_linked for peer in status.peers) if status is not None else 0,
                        calls_per_s=(calls - before[shop.name]) / (loop.time() - started_s),
                        acknowledged=shop.outcomes["acknowledged"],
                        unknown=shop.outcomes["unknown"],
                        refused=shop.outcomes["refused"],
                        lag=max(events) - seen if status is not None else 0,
                    )
                )
                before[shop.name] = calls
            self._rows = rows
            self._display.show(rows)

    async def _compare(self, clients: list[Client]) -> Verdict:
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        self._display.say("the shops have stopped calling; waiting until all nodes hold equal bytes")
        converged = False
        while not converged and loop.time() < started_s + CONVERGE_TIMEOUT_S:
            digests = {_digest(status) for status in await self._statuses(clients, digests=True)}
            converged = len(digests) == 1 and None not in digests
            if not converged:
                await asyncio.sleep(POLL_S)
        convergence_s = loop.time() - started_s
        lost_at = [await self._lost_at(client) for client in clients]
        await self._show_end(clients, lost_at)
        lost = dict.fromkeys(line for lines in lost_at for line in lines)
        outcomes = self._ledger.outcomes
        return Verdict(
            nodes=len(clients),
            calls=self._ledger.calls,
            acknowledged=outcomes["acknowledged"],
            unknown=outcomes["unknown"],
            refused=outcomes["refused"],
            lost=tuple(lost),
            converged=converged,
            convergence_s=convergence_s,
            restarted=self._restarted,
        )

    async def _show_end(self, clients: list[Client], lost_at: list[list[str]]) -> None:
        statuses = await self._statuses(clients)
        events = [_events(status) for status in statuses]
        self._display.show(
            [
                dataclasses.replace(
                    row,
                    state=status.state if status is not None else "down",
                    members=1 + sum(peer.is_linked for peer in status.peers) if status is not None else 0,
                    calls_per_s=0.0,
                    lag=max(events) - seen,
                    lost=len(lost),
                )
                for row, status, seen, lost in zip(self._rows, statuses, events, lost_at, strict=True)
            ]
        )

    async def _lost_at(self, client: Client) -> list[str]:
        counters: dict[str, int] = {}
        elements: list[str] = []
        price: int | None = None
        async for entry in client.state.list(SYSTEM):
            if entry.type_name == "PNCounter" and isinstance(entry.value, int):
                counters[entry.key] = entry.value
            elif entry.type_name == "ORSet" and isinstance(entry.value, list | tuple):
                elements += [str(element) for element in entry.value]
            elif entry.key == PRICE and isinstance(entry.value, int):
                price = entry.value
        return self._ledger.lost(counters, elements, price)

    async def _statuses(self, clients: list[Client], *, digests: bool = False) -> list[NodeStatus | None]:
        async def ask(client: Client) -> NodeStatus | None:
            with contextlib.suppress(CallError):
                return await client.status(digests=digests, timeout=2.0)
            return None

        return await asyncio.gather(*(ask(client) for client in clients))


def _events(status: NodeStatus | None) -> int:
    return sum(system.events for system in status.systems if system.system == SYSTEM) if status is not None else 0


def _digest(status: NodeStatus | None) -> str | None:
    if status is None:
        return None
    return next((system.digest for system in status.systems if system.system == SYSTEM), None)
