"""Children of a benchmark end with it, whatever they do; real processes, because nothing else would show it."""

from __future__ import annotations

import os
import select
from pathlib import Path

import pytest

from benchmarks.load import Job
from benchmarks.processes import ChildFailed, Children, filesystem_of

# `python -m timeit` runs a statement given on the command line.
READY = 'print(\'{"event": "ready", "address": "x:1", "pid": 1}\', flush=True)'
FOREVER = "import time; time.sleep(600)"


def statement(*lines: str) -> list[str]:
    return ["timeit", "-n1", "-r1", "; ".join(lines)]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_server_is_known_by_its_ready_line_and_gone_after_the_block(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        server = children.server("s", statement("print('starting')", READY, FOREVER))
        assert "x:1" == server.address
        assert is_running(server.pid)
    assert not is_running(server.pid)
    assert [] == list(tmp_path.iterdir())


def test_ctrl_c_ends_the_children(tmp_path: Path) -> None:
    server = None
    with pytest.raises(KeyboardInterrupt), Children(tmp_path) as children:  # noqa: PT012
        server = children.server("s", statement(READY, FOREVER))
        raise KeyboardInterrupt
    assert server is not None
    assert not is_running(server.pid)


def test_what_a_server_started_ends_with_it(tmp_path: Path) -> None:
    spawn = "import subprocess; p = subprocess.Popen(['sleep', '600'])"
    ready = 'print(\'{"event": "ready", "child": %d}\' % p.pid, flush=True)'
    with Children(tmp_path) as children:
        server = children.server("s", statement(spawn, ready, FOREVER))
        # Not our child, so it can't be waited for; its descriptor becomes readable when it ends.
        child = os.pidfd_open(int(server.ready["child"]))
    try:
        assert [child] == select.select([child], [], [], 10)[0]
    finally:
        os.close(child)


def test_a_server_that_ends_early_is_reported_with_its_last_words(tmp_path: Path) -> None:
    with Children(tmp_path) as children, pytest.raises(ChildFailed, match=r"(?s)s: ended with status 1.*no disk"):
        children.server("s", statement("raise SystemExit('no disk')"))


def test_a_client_that_fails_gives_no_sample(tmp_path: Path) -> None:
    with Children(tmp_path) as children, pytest.raises(ChildFailed, match="ended with status 1"):
        children.client(statement("raise SystemExit(1)"), Job(seconds=1))


def test_a_file_system_has_a_type() -> None:
    assert "proc" == filesystem_of(Path("/proc/1"))
