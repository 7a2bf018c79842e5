"""The processes of a benchmark: servers that stay for a whole benchmark, and a client for every sample.

Every process is the leader of a session of its own, so that ending it ends what it started. Whatever happens, Ctrl-C
included, `Children` ends them all.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

import psutil  # type: ignore[import-untyped]

from benchmarks.load import Job
from benchmarks.measures import Sample

ROOT: Final = Path(__file__).resolve().parent.parent

READY_TIMEOUT_S: Final = 30.0
# What a client may take beyond its measured time: imports, connecting, the closing checks.
CLIENT_GRACE_S: Final = 60.0
STOP_TIMEOUT_S: Final = 10.0


class ChildFailed(Exception):
    """A process of the benchmark ended or kept silent; the benchmark has no result."""


@dataclass(frozen=True, slots=True)
class Server:
    """A serving process.

    Attributes:
        process: the child.
        ready: the fields of its ready line: addresses under their names.
    """

    process: subprocess.Popen[str]
    ready: dict[str, Any]

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def address(self) -> str:
        """Where a base's server listens."""
        return str(self.ready["address"])


class Children:
    """Everything a run starts, and its scratch folder; both are gone when the block ends.

    Args:
        scratch_parent: where the scratch folder is made; must be on a real disk, because durable writes go there.
    """

    def __init__(self, scratch_parent: Path) -> None:
        self._running: list[subprocess.Popen[str]] = []
        self._scratch = Path(tempfile.mkdtemp(prefix="crdtmesh-bench-", dir=scratch_parent))
        self._folders = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_all()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def folder(self, name: str) -> Path:
        """A fresh empty folder on disk."""
        self._folders += 1
        path = self._scratch / f"{self._folders}-{name}"
        path.mkdir()
        return path

    def server(self, name: str, command: Sequence[str]) -> Server:
        """Starts `python -m COMMAND` and waits for its ready line.

        Raises:
            ChildFailed: it ended, or was not ready in time; the message ends with what it last logged.
        """
        log = self.folder(name) / "log"
        with log.open("w") as errors:
            process = self._start(command, stderr=errors)
        lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
        deadline_s = time.monotonic() + READY_TIMEOUT_S
        while True:
            try:
                line = lines.get(timeout=max(0.0, deadline_s - time.monotonic()))
            except queue.Empty:
                raise ChildFailed(f"{name}: not ready within {READY_TIMEOUT_S:.0f} s\n{_tail(log)}") from None
            if line is None:
                raise ChildFailed(f"{name}: ended with status {process.wait()} before it was ready\n{_tail(log)}")
            with contextlib.suppress(json.JSONDecodeError):
                fields = json.loads(line)
                if isinstance(fields, dict) and fields.get("event") == "ready":
                    return Server(process, fields)

    def client(self, command: Sequence[str], job: Job) -> Sample:
        """Runs one client to its end.

        Raises:
            ChildFailed: it failed; what it said is on standard error.
        """
        process = self._start([*command, job.to_json()], stderr=None)
        try:
            out, _ = process.communicate(timeout=job.seconds + CLIENT_GRACE_S)
        except subprocess.TimeoutExpired:
            raise ChildFailed(f"{' '.join(command)}: no result in time") from None
        finally:
            self._stop(process)
        if process.returncode != 0:
            raise ChildFailed(f"{' '.join(command)}: ended with status {process.returncode}")
        return Sample.from_json(out.strip().splitlines()[-1])

    def stop_all(self) -> None:
        """Ends every process, clients before their servers: asks first, so that a node can drain, then kills."""
        for process in reversed(self._running):
            if process.poll() is None:
                process.terminate()
        for process in list(self._running):
            self._stop(process)

    def _start(self, command: Sequence[str], *, stderr: IO[str] | None) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
        self._running.append(process)
        return process

    def _stop(self, process: subprocess.Popen[str]) -> None:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=STOP_TIMEOUT_S)
        # Grandchildren stay in the session of their leader; those that outlived it go with it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._running.remove(process)


def place(pids: Sequence[int], cpus: Sequence[int]) -> None:
    """Keeps running processes, their children and all their threads on the given processors."""
    for pid in pids:
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            for thread in each.threads():
                # A thread may end in between; new ones inherit the placement of their maker.
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setaffinity(thread.id, cpus)


def filesystem_of(path: Path) -> str:
    """Type of the file system that holds `path`, such as `ext4`; `unknown` where the system does not say."""
    mounts = [part for part in psutil.disk_partitions(all=True) if path.resolve().is_relative_to(part.mountpoint)]
    return str(max(mounts, key=lambda part: len(part.mountpoint)).fstype) if mounts else "unknown"


def _read(stream: IO[str] | None, lines: queue.Queue[str | None]) -> None:
    assert stream is not None
    with stream:
        for line in stream:
            lines.put(line)
    lines.put(None)


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])
