"""What happened in a run: a stream of notes, hashed always and handed to an observer on request.

Two runs of one seed are equal when their hashes are. Everything that crosses a boundary of a core is noted. The kinds
of notes, with their fields:

- `call` node, number, route, key, operations; `reply` node, number, outcome, reason, value;
- `datagram` from, to, bytes; `payload` from, to, channel, bytes; `link_up` node, peer, start id; `link_down` node,
  peer, reason;
- `persist` node, group, records; `stored` node, group, error;
- `start` node, number of the start; `fault.<kind>` what it was about: a node, or several with commas between; `mend`;
  `start_refused` node, reason;
- `member.<change>` at which node, of whom, incarnation; `identity_needed` and others that cores report: node, detail;
- `heal` at the end of the faults; `failed` what production code raised.

Remarks are for who looks on and are not hashed, since they follow from the rest:

- `datagram_sent`, `payload_sent` with the fields of what arrives, or is lost; `applied` node, number of the call;
- `cut`, `open` from, to: a path closes, opens; `lasts` node, what, nanoseconds.
"""

import hashlib
from collections.abc import Callable
from typing import NamedTuple

from simulations.scheduler import SECOND_NS, Scheduler

Field = str | int | bytes


class Note(NamedTuple):
    """One thing that happened.

    Attributes:
        time_ns: when, in the run's time.
        kind: what; see the module.
        fields: to whom, with what.
    """

    time_ns: int
    kind: str
    fields: tuple[Field, ...]

    def as_line(self) -> str:
        """For people: bytes are shown as their length and a digest."""
        shown = " ".join(_shown(field) for field in self.fields)
        return f"{self.time_ns / SECOND_NS:12.6f} {self.kind:<16} {shown}"


Observer = Callable[[Note], None]


class Trace:
    """Collects the notes of one run."""

    __slots__ = ("_hash", "_observer", "_scheduler")

    def __init__(self, scheduler: Scheduler, observer: Observer | None = None) -> None:
        self._scheduler = scheduler
        self._hash = hashlib.blake2b(digest_size=16)
        self._observer = observer

    def note(self, kind: str, *fields: Field) -> None:
        """Adds one note: what happened now, to whom, with what."""
        parts = [b"\n%d %s" % (self._scheduler.now_ns, kind.encode())]
        for field in fields:
            # A length before each field: without it ("ab", "c") and ("a", "bc") would be one note.
            data = field if isinstance(field, bytes) else str(field).encode()
            parts += (b" %d:" % len(data), data)
        self._hash.update(b"".join(parts))
        if self._observer is not None:
            self._observer(Note(self._scheduler.now_ns, kind, fields))

    def remark(self, kind: str, *fields: Field) -> None:
        """Tells the observer of something that is no part of the hash. Costs next to nothing when nobody looks on."""
        if self._observer is not None:
            self._observer(Note(self._scheduler.now_ns, kind, fields))

    def digest(self) -> str:
        """The hash of all notes so far, in hexadecimal."""
        return self._hash.hexdigest()


def _shown(field: Field) -> str:
    if isinstance(field, bytes):
        return f"[{len(field)}B {hashlib.blake2b(field, digest_size=4).hexdigest()}]"
    return str(field)
