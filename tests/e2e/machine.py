"""A folder and variables that make this machine look like one of its own: what documentation shows can run on it."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(sys.executable).with_name("crdtmesh")


@dataclass(frozen=True, slots=True)
class Machine:
    """Runs command lines as a user of that machine would."""

    folder: Path
    environment: dict[str, str]

    @classmethod
    def make(cls, folder: Path, *, cluster: str) -> Machine:
        """A machine whose node is called as the folder is, with free ports."""
        folder.mkdir()
        ports = dict(zip(("GOSSIP", "LINK", "GRPC", "HTTP", "JOIN"), _free_ports(5), strict=True))
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("CRDTMESH_")},
            **{f"CRDTMESH_{name}_PORT": str(port) for name, port in ports.items()},
            "CRDTMESH_NAME": folder.name,
            "CRDTMESH_CLUSTER": re.sub(r"[^A-Za-z0-9]", "-", cluster),
            "XDG_DATA_HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
        }
        return cls(folder, environment)

    async def run(self, line: str) -> str:
        """One command line that must succeed; its output."""
        process = await self.start(line)
        out, _ = await asyncio.wait_for(process.communicate(), 20)
        assert 0 == process.returncode, f"{line}\n{(self.folder / 'log').read_text()}"
        return out.decode()

    async def start(self, line: str) -> asyncio.subprocess.Process:
        """One command line, running; what it says on standard error goes to the file `log`."""
        program, *arguments = shlex.split(line)
        with (self.folder / "log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *(str(SCRIPT) if program == "crdtmesh" else program, *arguments),
                cwd=self.folder,
                env=self.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )


def _free_ports(count: int) -> list[int]:
    holders = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [holder.getsockname()[1] for holder in holders]
    for holder in holders:
        holder.close()
    return ports
