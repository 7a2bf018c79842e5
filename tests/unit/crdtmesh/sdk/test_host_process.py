"""`python -m crdtmesh.sdk.host` as a process: how it starts, what it says, how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crdtmesh.sdk.host import main
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2 as pb
from crdtmesh.wire.gen.spawn.actors import actor_pb2

if TYPE_CHECKING:
    from tests.unit.crdtmesh.sdk.conftest import Node

MODULE = """
import asyncio
from crdtmesh.sdk import Context, System, action

system = System("s")

@system.actor("a")
class A:
    @action
    async def nap(self, ctx: Context) -> str:
        await asyncio.sleep(0.2)
        return "rested"
"""


async def start(folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    (folder / "sdk_process_actors.py").write_text(MODULE)
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "crdtmesh.sdk.host", "sdk_process_actors:system", *arguments),
        cwd=folder,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_lets_running_turns_finish_and_ends_with_0(
    node: Node, tmp_path: Path, number: signal.Signals
) -> None:
    process = await start(tmp_path, "--endpoint", node.address)
    stream, _ = await node.accept_host()
    await stream.send(
        pb.TurnBatch(
            bindings=[
                pb.Binding(handle=1, actor=actor_pb2.ActorId(system="s", name="a")),
                pb.Binding(handle=1, action="nap"),
            ],
            turn=[1, 2],
            actor=[1, 1],
            action=[1, 1],
        )
    )
    # The turn runs once the host has read it; a failure of an action it doesn't have says that it has.
    await stream.send(pb.TurnBatch(bindings=[pb.Binding(handle=2, action="?")], turn=[3], actor=[1], action=[2]))
    assert [3] == [failure.turn for failure in (await stream.next()).failures]
    process.send_signal(number)
    assert [1] == list((await stream.next()).turn)
    assert [2] == list((await stream.next()).turn)
    assert await stream.next() is None
    stream.close()
    _, errors = await process.communicate()
    assert (0, b"") == (process.returncode, errors)


async def test_host_ends_when_its_parent_is_another_process(node: Node, tmp_path: Path) -> None:
    process = await start(tmp_path, "--endpoint", node.address, "--parent-pid", str(os.getppid()))
    _, errors = await process.communicate()
    assert 0 == process.returncode
    assert b"host.parent_gone" in errors


async def test_refused_actors_end_the_host_with_2(node: Node, tmp_path: Path) -> None:
    node.refusal = "no such type"
    process = await start(tmp_path, "--endpoint", node.address)
    stream, _ = await node.accept_host()
    _, errors = await process.communicate()
    stream.close()
    assert 2 == process.returncode
    assert b"error: the node refused the actors of 's': no such type\n" == errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sdk_nowhere:system"], "error: no module 'sdk_nowhere'"),
        (["examples.shops:sytem"], "examples.shops:sytem does not exist; did you mean 'system'?"),
        (
            ["examples.shops:system", "--endpoint", "nowhere"],
            "error: expected HOST:PORT, tls:HOST:PORT or unix:PATH, got 'nowhere'",
        ),
    ],
)
def test_wrong_arguments_end_the_host_with_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 2 == main(arguments)
    assert message in capsys.readouterr().err


def test_help_names_every_option() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "crdtmesh.sdk.host", "--help"], check=True, capture_output=True, text=True
    )
    for option in ("MODULE:SYSTEM", "--endpoint", "--log-level", "--drain-timeout", "--parent-pid"):
        assert option in done.stdout
