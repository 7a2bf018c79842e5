"""Real nodes on loopback for end-to-end tests."""

from __future__ import annotations

import asyncio
import functools
import inspect
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from crdtmesh.local_node import LocalNode
from tests.e2e.cli import eventually
from tests.e2e.watch import status

ACTORS = "tests.e2e.actors:system"
# Far above what a loaded machine needs for any test here; a test that hangs must not hang the suite.
TEST_TIMEOUT_S = 60.0


class Nodes:
    """Starts nodes of one cluster; ends them all afterwards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cluster = f"test-{secrets.token_hex(4)}"
        self.started: list[LocalNode] = []
        print(f"logs in {folder}")

    async def start(self, name: str, *arguments: str, join: LocalNode | None = None, actors: bool = False) -> LocalNode:
        """One node; static discovery unless the arguments say otherwise."""
        found: tuple[str, ...] = ("--discovery", "none")
        if join:
            found = ("--join", join.gossip, "--discovery", "static")
        if "--discovery" in arguments:
            found = ()
        hosted = ("--actors", ACTORS) if actors else ()
        node = LocalNode(name, self.folder, cluster=self.cluster, arguments=(*found, *hosted, *arguments))
        self.started.append(node)
        await node.start()
        return node

    async def kill(self) -> None:
        """Ends all of them, whatever state they are in."""
        await asyncio.gather(*(node.kill() for node in self.started))


@dataclass(frozen=True, slots=True)
class Trio:
    """Three nodes that are linked to each other. `a` and `c` host the actors, `b` hosts nothing."""

    a: LocalNode
    b: LocalNode
    c: LocalNode

    @property
    def all(self) -> list[LocalNode]:
        return [self.a, self.b, self.c]


async def linked(nodes: list[LocalNode]) -> bool:
    """Whether each of these is linked to all others."""
    for node in nodes:
        found = await status(node)
        if sum(peer.is_linked for peer in found.peers) < len(nodes) - 1:
            return False
    return True


async def hosted(nodes: list[LocalNode]) -> bool:
    """Whether each of these has its host."""
    return all([(await status(node)).hosts for node in nodes])


async def start_trio(nodes: Nodes) -> Trio:
    a = await nodes.start("a", actors=True)
    b, c = await asyncio.gather(nodes.start("b", join=a), nodes.start("c", join=a, actors=True))
    assert await eventually(lambda: linked([a, b, c]))
    assert await eventually(lambda: hosted([a, c]))
    return Trio(a, b, c)


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[Nodes]:
    """Nodes of one test."""
    made = Nodes(tmp_path)
    try:
        yield made
    finally:
        await made.kill()


@pytest.fixture(scope="module")
async def trio(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Trio]:
    """Three nodes that the tests of a module share; none of them ends one."""
    made = Nodes(tmp_path_factory.mktemp("trio"))
    try:
        yield await start_trio(made)
    finally:
        await made.kill()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests of this folder, and bounds them in time."""
    for item in items:
        if Path(__file__).parent not in item.path.parents or not isinstance(item, pytest.Function):
            continue
        item.add_marker(pytest.mark.e2e)
        if inspect.iscoroutinefunction(item.obj):
            item.obj = _bounded(item.obj)


def _bounded(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def run(*arguments: Any, **fixtures: Any) -> None:
        async with asyncio.timeout(TEST_TIMEOUT_S):
            await test(*arguments, **fixtures)

    return run
