"""The guide's code and commands run as they stand there, and print what it says."""

import asyncio
import re
import shlex
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.e2e.cli import eventually
from tests.e2e.machine import Machine

GUIDE = Path(__file__).parents[2] / "docs" / "guide"
PYTHON = re.compile(r"[Ss]ave this as `(?P<name>\w+\.py)`:\n\n```python\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
STARTS = "crdtmesh up "


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    """A machine with the guide's files, on which `crdtmesh up --actors shop:system` runs as the node `cellar`."""
    print(f"logs in {tmp_path}")
    made = Machine.make(tmp_path / "cellar", cluster=tmp_path.name)
    for match in PYTHON.finditer((GUIDE / "actors.md").read_text()):
        # The endpoint's port is this test's.
        text = match["text"].replace("127.0.0.1:9980", f"127.0.0.1:{made.environment['CRDTMESH_GRPC_PORT']}")
        (made.folder / match["name"]).write_text(text)
    (up,) = (line for line, _ in _commands("actors.md") if line.startswith(STARTS))
    process = await made.start(up)
    try:
        assert process.stdout is not None
        assert b"is ready" in await asyncio.wait_for(process.stdout.readline(), 30)

        async def hosted() -> bool:
            return "shop/stock" in await made.run("crdtmesh actors list")

        assert await eventually(hosted)
        yield made
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.communicate(), 20)
    assert 0 == process.returncode


@pytest.mark.parametrize("page", ["actors.md", "operating.md"])
async def test_the_pages_commands_print_what_it_says(machine: Machine, page: str) -> None:
    commands = [(line, expected) for line, expected in _commands(page) if not line.startswith(STARTS)]
    assert len(commands) > 4

    for line, expected in commands:
        printed = (await machine.run(_runnable(line))).splitlines()
        assert _agree(expected, printed), (line, expected, printed)


def _commands(page: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a page, with the lines that it prints; `...` stands for any lines."""
    for block in CONSOLE.finditer((GUIDE / page).read_text()):
        for part in re.split(r"^\$ ", block["text"], flags=re.MULTILINE)[1:]:
            line, *expected = part.splitlines()
            yield line, expected


def _runnable(line: str) -> str:
    program, *arguments = shlex.split(line)
    return shlex.join([sys.executable, *arguments]) if program == "python" else line


def _agree(expected: list[str], printed: list[str]) -> bool:
    if expected == ["..."]:
        return bool(printed)
    if expected[-1:] != ["..."]:
        return expected == printed
    head = expected[:-1]
    found = [
        shown.startswith(said.removesuffix("...")) if said.endswith("...") else shown == said
        for said, shown in zip(head, printed, strict=False)
    ]
    return len(printed) >= len(head) and all(found)
