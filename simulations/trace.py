"""What happened in a run, as a hash always and as lines on request.

Two runs of one seed are equal when their hashes are. Everything that crosses a boundary of a core is noted: packets,
groups for the disk, replies to clients, faults. Payloads go into the hash whole and into a line as length and digest.
"""

import hashlib
from collections.abc import Callable

from simulations.scheduler import SECOND_NS, Scheduler

Field = str | int | bytes
Sink = Callable[[str], None]


class Trace:
    """Collects the notes of one run."""

    __slots__ = ("_hash", "_scheduler", "_sink")

    def __init__(self, scheduler: Scheduler, sink: Sink | None = None) -> None:
        self._scheduler = scheduler
        self._hash = hashlib.blake2b(digest_size=16)
        self._sink = sink

    def note(self, kind: str, *fields: Field) -> None:
        """Adds one note: what happened now, to whom, with what."""
        update = self._hash.update
        update(b"\n%d %s" % (self._scheduler.now_ns, kind.encode()))
        for field in fields:
            # A length before each field: without it ("ab", "c") and ("a", "bc") would be one note.
            data = field if isinstance(field, bytes) else str(field).encode()
            update(b" %d:" % len(data))
            update(data)
        if self._sink is not None:
            shown = " ".join(_shown(field) for field in fields)
            self._sink(f"{self._scheduler.now_ns / SECOND_NS:12.6f} {kind:<16} {shown}")

    def digest(self) -> str:
        """The hash of all notes so far, in hexadecimal."""
        return self._hash.hexdigest()


def _shown(field: Field) -> str:
    if isinstance(field, bytes):
        return f"[{len(field)}B {hashlib.blake2b(field, digest_size=4).hexdigest()}]"
    return str(field)
