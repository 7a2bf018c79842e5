"""The examples' own commands, as their docstrings show them, on a real node."""

from __future__ import annotations

import asyncio
import importlib
import shlex
import signal
from typing import Any

import pytest

from crdtmesh.local_node import LocalNode
from crdtmesh.sdk.client import Client
from tests.e2e.cli import crdtmesh, ended, eventually, python, start_python
from tests.e2e.conftest import Nodes, hosted


async def started(nodes: Nodes, name: str) -> tuple[LocalNode, list[list[str]]]:
    """A node that runs an example by its first command, and the commands that follow."""
    lines = (importlib.import_module(f"examples.{name}").__doc__ or "").splitlines()
    commands = [shlex.split(line) for line in lines if line.startswith(("    crdtmesh ", "    python "))]
    assert ["crdtmesh", "up"] == commands[0][:2]
    node = await nodes.start(name, *commands[0][2:])
    assert await eventually(lambda: hosted([node]))
    return node, commands[1:]


CHECKED_OUT = """\
ValueError: expected 820 cents, got 500 (not_applied)
1 x milk, 2 x tea
[True]"""
WORKED = '{"@type": "type.googleapis.com/google.protobuf.Duration", "value": "5400s"}'


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cart", ["spawned 1", "1", "120"]),
        ("orders", ['"3 x tea: 1050 cents"', "1050"]),
        ("kitchen", ['"boiling"', '"boiling"', "scheduled"]),
        ("news", ["null", '["2:1"]', '["2:1"]']),
        ("shops", ["10", "8", "1"]),
        ("checkout", [CHECKED_OUT, "90"]),
        ("timesheet", ["ann worked 1:30:00", WORKED]),
    ],
)
async def test_the_commands_of_an_example_print_what_it_promises(nodes: Nodes, name: str, expected: list[str]) -> None:
    node, commands = await started(nodes, name)
    assert len(expected) == len(commands)
    for command, printed in zip(commands, expected, strict=True):

        async def says(command: list[str] = command, printed: str = printed) -> bool:
            run = crdtmesh if command[0] == "crdtmesh" else python
            ran = await run(*command[1:], endpoint=node.grpc)
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


async def test_a_visitor_is_in_the_room_for_as_long_as_it_runs(nodes: Nodes) -> None:
    node, ((_, *visit), (_, *people), (_, *say)) = await started(nodes, "chat")
    visitor = await start_python(*visit, endpoint=node.grpc)
    assert visitor.stdout is not None
    assert b"here: ann\n" == await asyncio.wait_for(visitor.stdout.readline(), 30)
    assert "ann" in (await crdtmesh(*people, endpoint=node.grpc)).out

    hearing = asyncio.create_task(visitor.stdout.readline())

    async def has_heard() -> bool:
        assert "null" == (await crdtmesh(*say, endpoint=node.grpc)).out.strip()
        return hearing.done()

    assert await eventually(has_heard)
    assert b"said: hello\n" == hearing.result()
    visitor.send_signal(signal.SIGINT)
    # A signal between Python's last look for one and its wait for sockets is seen when the next message comes.
    await crdtmesh(*say, endpoint=node.grpc)
    assert 0 == await ended(visitor)

    async def is_empty() -> bool:
        return "[]" == (await crdtmesh(*people, endpoint=node.grpc)).out.strip()

    assert await eventually(is_empty)
