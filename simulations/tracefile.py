"""The trace of a run as a file: JSON lines, for people, for `show` and for `jq`.

The first line is about the run (`Header`), every other is one note with its fields by name:

    {"t": 1500000, "kind": "call", "node": "n1", "number": 7, "route": "state", "key": "ORSet-0", "operations": "..."}

`t` is virtual nanoseconds. Bytes become their size, a digest, and a word for what they are. The file is bounded: of
each of three groups of notes (landmarks, calls, messages) the newest are kept; once a call appears that a failure
names, half of the room is for what follows. How many were left out stands in the header.
"""

import hashlib
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from crdtmesh.links.frames import Channel
from gossip.messages import MessageType
from simulations.trace import Field, Note

VERSION: Final = 1
TEXT_MAX: Final = 240
# An ordinary run of two minutes has about 3,000 calls and 60,000 messages, so nothing is left out of it. At 150 bytes a
# line the whole file stays below 50 MB.
LANDMARKS_MAX: Final = 20_000
CALLS_MAX: Final = 60_000
MESSAGES_MAX: Final = 200_000
FAILURES_MAX: Final = 50

MESSAGES: Final = frozenset({"datagram", "datagram_sent", "payload", "payload_sent", "persist", "stored"})
CALLS: Final = frozenset({"call", "reply", "applied"})

_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "call": ("node", "number", "route", "key", "operations"),
    "reply": ("node", "number", "outcome", "reason", "value"),
    "applied": ("node", "number"),
    "datagram": ("from", "to", "bytes"),
    "datagram_sent": ("from", "to", "bytes"),
    "payload": ("from", "to", "channel", "bytes"),
    "payload_sent": ("from", "to", "channel", "bytes"),
    "link_up": ("node", "peer", "start_id"),
    "link_down": ("node", "peer", "reason"),
    "persist": ("node", "group", "records"),
    "stored": ("node", "group", "error"),
    "start": ("node", "count"),
    "start_refused": ("node", "reason"),
    "cut": ("from", "to"),
    "open": ("from", "to"),
    "lasts": ("node", "what", "duration_ns"),
    "failed": ("what",),
}
_NAMED: Final = re.compile(r"\b(?:call|read) (\d+)\b")
# Behind the type of a packet with a checksum: its four bytes.
_CRC_BYTES: Final = 5


class TraceFileError(ValueError):
    """A file is no trace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a run was, and what became of it.

    Attributes:
        seed: which run.
        replay: the command that runs it again.
        plan: its parameters, for people.
        failures: broken promises, the first ones.
        calls: numbers of the calls that these name.
        trace_hash: of the whole run.
        left_out: notes that are not in the file, by group.
        version: of this form.
    """

    seed: int
    replay: str
    plan: str
    failures: tuple[str, ...] = ()
    calls: tuple[int, ...] = ()
    trace_hash: str = ""
    left_out: dict[str, int] = field(default_factory=dict)
    version: int = VERSION


class TraceRecorder:
    """An observer that keeps the notes of one run, within bounds.

    Args:
        failures: what the run is known to fail with; decides what is kept of a run that is too long.
    """

    def __init__(self, failures: Sequence[str] = ()) -> None:
        self.calls = named_calls(failures)
        self._count = 0
        self._groups = {
            "landmarks": _Window(LANDMARKS_MAX),
            "calls": _Window(CALLS_MAX),
            "messages": _Window(MESSAGES_MAX),
        }

    def __call__(self, note: Note) -> None:
        """Takes a note."""
        self._count += 1
        line = as_fields(note)
        if note.kind == "call" and line["number"] in self.calls:
            for window in self._groups.values():
                window.focus()
        group = "messages" if note.kind in MESSAGES else "calls" if note.kind in CALLS else "landmarks"
        self._groups[group].add(self._count, line)

    def left_out(self) -> dict[str, int]:
        """How many notes were not kept, by group."""
        return {name: window.left_out for name, window in self._groups.items() if window.left_out}

    def lines(self) -> Iterator[dict[str, Any]]:
        """What was kept, in order."""
        kept = [entry for window in self._groups.values() for entry in window.entries()]
        yield from (line for _, line in sorted(kept, key=lambda entry: entry[0]))


class _Window:
    """The newest notes; from the focus on, half of the room is for what follows."""

    __slots__ = ("_after", "_before", "_most", "left_out")

    def __init__(self, most: int) -> None:
        self.left_out = 0
        self._most = most
        self._before: deque[tuple[int, dict[str, Any]]] = deque(maxlen=most)
        self._after: list[tuple[int, dict[str, Any]]] | None = None

    def focus(self) -> None:
        if self._after is None:
            half = self._most // 2
            self.left_out += max(0, len(self._before) - half)
            self._before = deque(self._before, maxlen=half)
            self._after = []

    def add(self, number: int, line: dict[str, Any]) -> None:
        if self._after is None:
            self.left_out += len(self._before) == self._most
            self._before.append((number, line))
        elif len(self._after) < self._most - self._most // 2:
            self._after.append((number, line))
        else:
            self.left_out += 1

    def entries(self) -> Iterator[tuple[int, dict[str, Any]]]:
        yield from self._before
        yield from self._after or ()


def named_calls(failures: Iterable[str]) -> tuple[int, ...]:
    """Numbers of the calls that checkers name in their sentences."""
    return tuple(sorted({int(number) for text in failures for number in _NAMED.findall(text)}))


def as_fields(note: Note) -> dict[str, Any]:
    """A note as an object of JSON."""
    names = _FIELDS.get(note.kind)
    if names is None:
        prefix = note.kind.partition(".")[0]
        names = {"fault": ("nodes",), "member": ("node", "member", "incarnation")}.get(prefix, ("node", "detail"))
    line: dict[str, Any] = {"t": note.time_ns, "kind": note.kind}
    for name, value in zip(names, note.fields, strict=False):
        if name == "bytes":
            assert isinstance(value, bytes)
            line |= {"size": len(value), "digest": hashlib.blake2b(value, digest_size=6).hexdigest()}
            line.setdefault("what", _packet(value))
        elif name == "channel":
            line["what"] = Channel(int(value)).name.lower()
        else:
            line[name] = _plain(value)
    if len(note.fields) > len(names):
        line["more"] = [_plain(value) for value in note.fields[len(names) :]]
    return line


def write(path: Path, header: Header, lines: Iterable[dict[str, Any]]) -> None:
    """Writes a trace; a file of that name is replaced only by a whole one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(json.dumps(asdict(header)) + "\n")
            file.writelines(json.dumps(line) + "\n" for line in lines)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read(path: Path) -> tuple[Header, list[dict[str, Any]]]:
    """Reads a trace.

    Raises:
        TraceFileError: the file is not one of this version.
    """
    with path.open(encoding="utf-8") as file:
        try:
            first, *lines = [json.loads(text) for text in file]
        except ValueError as error:
            raise TraceFileError(f"{path} is no trace of a run: {error}") from None
    if not isinstance(first, dict) or first.get("version") != VERSION:
        raise TraceFileError(f"{path} is no trace of version {VERSION}; write it again with `run --save-traces`")
    first["failures"], first["calls"] = tuple(first["failures"]), tuple(first["calls"])
    return Header(**first), lines


# --- inside


def _plain(value: Field) -> str | int:
    if isinstance(value, bytes):
        return value.hex()[:TEXT_MAX]
    if isinstance(value, str) and len(value) > TEXT_MAX:
        return f"{value[:TEXT_MAX]}... ({len(value)} characters)"
    return value if isinstance(value, int) else str(value)


def _packet(data: bytes) -> str:
    body = data[_CRC_BYTES:] if data[:1] == bytes([MessageType.HAS_CRC]) else data
    try:
        return MessageType(body[0]).name.lower()
    except (IndexError, ValueError):
        return "noise"
