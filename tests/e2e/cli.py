"""Runs the command line as a user would."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Ran:
    """A finished command."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """What it printed, as JSON."""
        assert self.code == 0, self.err
        return json.loads(self.out)

    def error(self) -> Any:
        """What it said of its failure with `--format json`: the last line of standard error."""
        assert self.code != 0, self.out
        return json.loads(self.err.splitlines()[-1])


async def crdtmesh(*arguments: str, endpoint: str = "", timeout_s: float = 30.0) -> Ran:
    """Runs one command."""
    return await python("-m", "crdtmesh.cli", *arguments, endpoint=endpoint, timeout_s=timeout_s)


async def python(*arguments: str, endpoint: str = "", timeout_s: float = 30.0) -> Ran:
    """Runs a program to its end."""
    process = await start_python(*arguments, endpoint=endpoint)
    out, err = await asyncio.wait_for(process.communicate(), timeout_s)
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


async def start_python(*arguments: str, endpoint: str = "") -> asyncio.subprocess.Process:
    """Starts a program."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CRDTMESH_")}
    environment["PYTHONFAULTHANDLER"] = "1"
    if endpoint:
        environment["CRDTMESH_ENDPOINT"] = endpoint
    return await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )


async def ended(process: asyncio.subprocess.Process, *, timeout_s: float = 30.0) -> int | None:
    """The exit code of a program that was asked to end; one that does not fails the test with where it stands."""
    try:
        await asyncio.wait_for(process.communicate(), timeout_s)
    except TimeoutError:
        process.send_signal(signal.SIGABRT)
        _, errors = await process.communicate()
        raise AssertionError(f"still running after {timeout_s} s\n{errors.decode()}") from None
    return process.returncode


async def eventually(check: Any, *, timeout_s: float = 15.0) -> Any:
    """Repeats an async check until it returns something true; its last answer when the time is over."""
    loop = asyncio.get_running_loop()
    give_up_s = loop.time() + timeout_s
    while True:
        found = await check()
        if found or loop.time() > give_up_s:
            return found
        await asyncio.sleep(0.1)
