"""What the README's first screen shows runs as it stands there; only addresses, ports and names are this machine's."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.cli import eventually
from tests.e2e.machine import Machine

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
async def machines(tmp_path: Path) -> AsyncIterator[list[Machine]]:
    """Two machines with `home.py` and a running node each; the second one was invited."""
    print(f"logs in {tmp_path}")
    (python,) = _blocks("python")
    first_up, second_up = (re.sub(r"192\.168\.1\.\d+", "127.0.0.1", line) for line in _commands("up"))
    here, there = (Machine.make(tmp_path / name, cluster=tmp_path.name) for name in ("kitchen", "hall"))
    running = []
    try:
        for machine in (here, there):
            (machine.folder / "home.py").write_text(python)
        for line in _commands("certs"):
            await here.run(line)
        running.append(await _started(here, first_up))
        (invite,), (join,) = _commands("invite"), _commands("join")
        printed = (await here.run(invite)).strip()
        assert printed.startswith(join.removesuffix("TOKEN"))
        assert second_up.partition(" --actors")[0] in await there.run(printed)
        running.append(await _started(there, second_up))
        yield [here, there]
    finally:
        for process in running:
            process.terminate()
        await asyncio.gather(*(asyncio.wait_for(process.communicate(), 20) for process in running))
    assert [0, 0] == [process.returncode for process in running]


async def _started(machine: Machine, up: str) -> asyncio.subprocess.Process:
    process = await machine.start(up)
    assert process.stdout is not None
    assert b"is ready" in await asyncio.wait_for(process.stdout.readline(), 30)
    return process


async def test_the_first_screen_runs_as_it_stands_there(machines: list[Machine]) -> None:
    here, there = machines
    (invoke,) = _commands("invoke")
    (get,) = _commands("state")
    (members,) = _commands("members")

    async def both() -> bool:
        return 2 == (await here.run(members)).count(" alive ")

    async def hosted() -> bool:
        return (await here.run("crdtmesh actors list")).count("home/shopping") == 1

    assert await eventually(both)
    for machine in machines:
        assert "links TLS 1.3, gossip sealed" in await machine.run("crdtmesh status")
    assert await eventually(hosted)
    assert '["milk"]\n' == await here.run(invoke)

    async def arrived() -> bool:
        return "home/shopping" in await there.run("crdtmesh state list home/")

    assert await eventually(arrived)
    assert '["milk"]\n' == await there.run(get)


def test_the_users_code_is_at_most_fifteen_lines() -> None:
    (python,) = _blocks("python")

    assert 15 >= len([line for line in python.splitlines() if line.strip()])


def _blocks(language: str) -> list[str]:
    return [match["text"] for match in BLOCK.finditer(README.read_text()) if match["language"] == language]


def _commands(name: str) -> list[str]:
    lines = [line for block in _blocks("") for line in block.splitlines()]
    return [line for line in lines if line.startswith(f"crdtmesh {name}")]
