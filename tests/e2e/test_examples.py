"""The examples' own commands, as their docstrings show them, on a real node."""

from __future__ import annotations

import importlib
import shlex
from typing import Any

import pytest

from crdtmesh.local_node import LocalNode
from crdtmesh.sdk.client import Client
from tests.e2e.cli import crdtmesh, eventually
from tests.e2e.conftest import Nodes, hosted


async def started(nodes: Nodes, name: str) -> tuple[LocalNode, list[list[str]]]:
    """A node that runs an example by its first command, and the commands that follow."""
    lines = (importlib.import_module(f"examples.{name}").__doc__ or "").splitlines()
    commands = [shlex.split(line) for line in lines if line.startswith("    crdtmesh ")]
    assert ["crdtmesh", "up"] == commands[0][:2]
    node = await nodes.start(name, *commands[0][2:])
    assert await eventually(lambda: hosted([node]))
    return node, [command[1:] for command in commands[1:]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cart", ["spawned 1", "1", "120"]),
        ("orders", ['"3 x tea: 1050 cents"', "1050"]),
        ("kitchen", ['"boiling"', '"boiling"', "scheduled"]),
        ("news", ["null", '["2:1"]', '["2:1"]']),
    ],
)
async def test_the_commands_of_an_example_print_what_it_promises(nodes: Nodes, name: str, expected: list[str]) -> None:
    node, commands = await started(nodes, name)
    assert len(expected) == len(commands)
    for command, printed in zip(commands, expected, strict=True):

        async def says(command: list[str] = command, printed: str = printed) -> bool:
            ran = await crdtmesh(*command, endpoint=node.grpc)
            assert 0 == ran.code, ran.err
            return printed == ran.out.strip()

        # What follows an answer (effects, messages) may come after the next command: those only read.
        is_read = command[-1] in ("sum", "read")
        assert await eventually(says, timeout_s=15.0 if is_read else 0.0), command


async def test_eggs_are_done_after_their_time_and_the_clock_ticks_by_itself(nodes: Nodes) -> None:
    node, _ = await started(nodes, "kitchen")
    async with Client(node.grpc) as client:
        assert "boiling" == await client.invoke("kitchen", "eggs", "boil", {"seconds": 0.2})

        async def answers(actor: str, action: str) -> Any:
            return await client.invoke("kitchen", actor, action)

        async def done() -> bool:
            return bool("done" == await answers("eggs", "show"))

        async def ticked() -> bool:
            return bool(await answers("clock", "ticks") > 1)

        assert await eventually(done)
        assert await eventually(ticked)
