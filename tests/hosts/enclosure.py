"""Where the whole matrix runs: a network, a mount table and a process table of its own, so that nothing is left behind.

When the process that runs the matrix ends, in whatever way, the kernel ends all nodes with it, and the networks,
devices and disks go with them. Where that is not allowed, it runs in the open and cleans up itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import Final

from tests.hosts.kernel import new_network, open_tap
from tests.hosts.wire import Means

ENCLOSED: Final = "TESTS_HOSTS_ENCLOSED"
"""Set in the enclosure."""

_OWN: Final = ("--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
_WAYS: Final = (("unshare", *_OWN), ("unshare", "--user", "--map-root-user", *_OWN))
"""As root; as somebody else, where the kernel gives a user name spaces of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """What is allowed here.

    Attributes:
        means: how hosts are kept apart.
        has_disks: whether small file systems can be mounted.
        has_trace: whether system calls of a node can be made to fail.
        notes: what is not, and what is done instead.
    """

    means: Means
    has_disks: bool
    has_trace: bool
    notes: tuple[str, ...]


def enclose(arguments: list[str]) -> None:
    """Becomes the same program in an enclosure; returns if there is none to be had, or this is it."""
    if ENCLOSED in os.environ:
        return
    for way in _WAYS:
        if shutil.which(way[0]) and _succeeds(*way, "true"):
            environment = {**os.environ, ENCLOSED: "1"}
            command = (*way, sys.executable, "-m", "tests.hosts", *arguments)
            sys.stdout.flush()
            os.execvpe(command[0], command, environment)


def survey(wanted: Means | None) -> Grounds:
    """Finds out what is allowed, by trying.

    Args:
        wanted: use this; None: namespaces if possible.
    """
    is_enclosed = ENCLOSED in os.environ
    notes = []
    if not is_enclosed:
        notes.append("no mount, network and process tables of its own: hosts run in the open")
    has_disks = is_enclosed and _can_mount()
    if not has_disks:
        notes.append("no small file systems can be mounted: disks are full by RLIMIT_FSIZE 0")
    means: Means = wanted or "namespaces"
    if wanted is None and (problem := _problem_with_namespaces()):
        means = "proxies"
        notes.append(f"no network namespaces with TAP devices ({problem}): proxies on loopback, --join instead of mDNS")
    has_trace = _can_trace()
    if not has_trace:
        notes.append("strace is not here or may not attach: the cells `syncerror` are left out")
    return Grounds(means=means, has_disks=has_disks, has_trace=has_trace, notes=tuple(notes))


def _problem_with_namespaces() -> str:
    if not shutil.which("nsenter"):
        return "no nsenter"
    try:
        with new_network() as namespace:
            try:
                os.close(open_tap("probe"))
            finally:
                os.close(namespace)
    except OSError as error:
        return str(error)
    return ""


def _can_mount() -> bool:
    """In the enclosure only: what is mounted elsewhere might stay."""
    with tempfile.TemporaryDirectory() as folder:
        if not _succeeds("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder):
            return False
        return _succeeds("umount", folder)


def _can_trace() -> bool:
    """By attaching to a process, since a child may be traced where a stranger may not."""
    if not shutil.which("strace"):
        return False
    with subprocess.Popen(["sleep", "10"]) as sleeper:
        command = ["strace", "-p", str(sleeper.pid)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as tracer:
            try:
                assert tracer.stderr is not None
                return b"attached" in tracer.stderr.readline()
            finally:
                sleeper.kill()


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
