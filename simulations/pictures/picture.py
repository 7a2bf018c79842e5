"""What is on the picture of a run: lanes of nodes, and on them bands, calls, messages and moments.

Worked out from the trace alone. A message is drawn from where it was sent to where it came in; what was sent and came
in nowhere is lost. Times are virtual nanoseconds.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from simulations.tracefile import Header

Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A state of a node that lasts.

    Attributes:
        node: on whose lane.
        kind: `down`, `cut`, or `slow` for one that is held up or has a full disk.
        begin_ns, end_ns: from when to when.
        text: what it is.
    """

    node: str
    kind: str
    begin_ns: int
    end_ns: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """A message.

    Attributes:
        layer: `gossip` or `link`.
        what: type of the datagram, or channel of the link.
        source, target: from whose lane to whose.
        sent_ns: when; equal to `came_ns` if nobody saw it sent, as with what a hostile peer makes up.
        came_ns: when it was taken in; None if it was lost.
        size: bytes.
    """

    layer: str
    what: str
    source: str
    target: str
    sent_ns: int
    came_ns: int | None
    size: int


@dataclass(slots=True, kw_only=True)
class Operation:
    """A call of a client.

    Attributes:
        number: as in the failures.
        node: who was called.
        text: key and what was asked.
        begin_ns, end_ns: from the call to its reply; the end of the run if none came.
        outcome: `ok`, `failed`, `unknown`, or `open` if there was no reply.
        detail: reason and value of the reply.
        ran_on, ran_ns: where and when it was applied.
        mark: `broken` if a failure names it, `near` if one names its entry.
    """

    number: int
    node: str
    text: str
    begin_ns: int
    end_ns: int
    outcome: str = "open"
    detail: str = ""
    ran_on: str = ""
    ran_ns: int = 0
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Something that happened at one instant.

    Attributes:
        at_ns: when.
        kind: `fault`, `member`, `start`, `heal` or `failed`.
        node: on whose lane; empty for the whole mesh.
        text: what.
    """

    at_ns: int
    kind: str
    node: str
    text: str


@dataclass(slots=True, kw_only=True)
class Picture:
    """All that can be drawn of a run; lists are in order of their begin."""

    header: Header
    nodes: list[str]
    end_ns: int
    bands: list[Band] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)

    def broken(self) -> list[Operation]:
        """The calls that failures name."""
        return [operation for operation in self.operations if operation.mark == "broken"]


def picture_of(header: Header, lines: Sequence[Line]) -> Picture:
    """Works out the picture of a trace."""
    end_ns = max((line["t"] for line in lines), default=0)
    return Picture(
        header=header,
        nodes=_nodes(lines),
        end_ns=end_ns,
        bands=sorted(_bands(lines, end_ns), key=lambda band: (band.begin_ns, band.node)),
        arrows=sorted(_arrows(lines), key=lambda arrow: arrow.sent_ns),
        operations=_operations(header, lines, end_ns),
        moments=_moments(lines),
    )


# --- inside

_LAYERS: Final = {"datagram": "gossip", "payload": "link"}
_DOWN: Final = {"fault.crash": "crashed", "fault.crash_disk_lost": "crashed, disk lost"}
_LASTING: Final = frozenset({"fault.pause", "fault.loop_stall", "fault.slow_node", "fault.disk_full"})
"""Faults that are bands."""


def _nodes(lines: Iterable[Line]) -> list[str]:
    """All that ever started, the first ones first: n2 before n10."""
    found = {line["node"]: None for line in lines if line["kind"] in ("start", "call")}
    return sorted(found, key=lambda name: (name[:1] != "n", len(name), name))


def _bands(lines: Sequence[Line], end_ns: int) -> Iterable[Band]:
    yield from _cut_off(lines, end_ns)
    down: dict[str, tuple[int, str]] = {}
    for line in lines:
        at_ns, kind = line["t"], line["kind"]
        if kind in _DOWN:
            down[line["nodes"]] = at_ns, _DOWN[kind]
        elif kind == "start" and line["node"] in down:
            begin_ns, text = down.pop(line["node"])
            yield Band(node=line["node"], kind="down", begin_ns=begin_ns, end_ns=at_ns, text=text)
        elif kind == "lasts":
            until_ns = at_ns + line["duration_ns"]
            yield Band(node=line["node"], kind="slow", begin_ns=at_ns, end_ns=until_ns, text=line["what"])
    for node, (begin_ns, text) in down.items():
        yield Band(node=node, kind="down", begin_ns=begin_ns, end_ns=end_ns, text=text)


def _cut_off(lines: Sequence[Line], end_ns: int) -> Iterable[Band]:
    """One band for each time in which a node was cut off from the same others."""
    paths: set[tuple[str, str]] = set()
    since: dict[str, tuple[int, str]] = {}
    ends = [{"t": end_ns, "kind": "", "from": node, "to": node} for node in _nodes(lines)]
    for line in (*lines, *ends):
        if line["kind"] not in ("cut", "open", ""):
            continue
        path = line["from"], line["to"]
        (paths.add if line["kind"] == "cut" else paths.discard)(path)
        for node in sorted(set(path)):
            begin_ns, before = since.get(node, (0, ""))
            text = _unreached(node, paths) if line["kind"] else ""
            if text == before:
                continue
            if before and line["t"] > begin_ns:
                yield Band(node=node, kind="cut", begin_ns=begin_ns, end_ns=line["t"], text=before)
            since[node] = line["t"], text


def _unreached(node: str, paths: Iterable[tuple[str, str]]) -> str:
    silent = {other for other, target in paths if target == node}
    deaf = {other for source, other in paths if source == node}
    parts = (
        ("cut off from", silent & deaf),
        ("does not reach", deaf - silent),
        ("does not hear", silent - deaf),
    )
    return ", ".join(f"{words} {', '.join(sorted(others))}" for words, others in parts if others)


def _arrows(lines: Iterable[Line]) -> Iterable[Arrow]:
    under_way: dict[tuple[str, ...], deque[Line]] = defaultdict(deque)
    last: dict[tuple[str, ...], int] = {}
    for line in lines:
        layer = _LAYERS.get(line["kind"].removesuffix("_sent"))
        if layer is None:
            continue
        key = (layer, line["from"], line["to"], line["digest"])
        if line["kind"].endswith("_sent"):
            under_way[key].append(line)
            last[key] = line["t"]
            continue
        waiting = under_way[key]
        # A copy that the network made has the send of the first.
        sent_ns: int = waiting.popleft()["t"] if waiting else last.setdefault(key, line["t"])
        yield _arrow(layer, line, sent_ns, line["t"])
    for (layer, *_), waiting in under_way.items():
        for line in waiting:
            yield _arrow(layer, line, line["t"], None)


def _arrow(layer: str, line: Line, sent_ns: int, came_ns: int | None) -> Arrow:
    return Arrow(
        layer=layer,
        what=line["what"],
        source=line["from"],
        target=line["to"],
        sent_ns=sent_ns,
        came_ns=came_ns,
        size=line["size"],
    )


def _operations(header: Header, lines: Iterable[Line], end_ns: int) -> list[Operation]:
    found: dict[int, Operation] = {}
    for line in lines:
        kind = line["kind"]
        if kind == "call":
            found[line["number"]] = Operation(
                number=line["number"],
                node=line["node"],
                text=f"{line['key']} {_asked(line['operations'])}",
                begin_ns=line["t"],
                end_ns=end_ns,
                mark=_mark(header, line),
            )
        elif kind in ("reply", "applied") and (operation := found.get(line["number"])) is not None:
            if kind == "applied":
                operation.ran_on, operation.ran_ns = line["node"], line["t"]
            else:
                value = "" if line["value"] in ("", "None") else line["value"]
                operation.end_ns, operation.outcome = line["t"], line["outcome"]
                operation.detail = f"{line['reason']} {value}".strip()
    return list(found.values())


def _mark(header: Header, line: Line) -> str:
    if line["number"] in header.calls:
        return "broken"
    return "near" if any(f"{line['key']} on " in failure for failure in header.failures) else ""


def _asked(operations: str) -> str:
    """`(Operation(name='add', arguments=('e1',)),)` as a reader would write it."""
    if operations == "()":
        return "read"
    parts = operations.removeprefix("(").removesuffix(")").split("Operation(name='")[1:]
    return "; ".join(_as_call(part.rstrip(", ").removesuffix(")")) for part in parts)


def _as_call(part: str) -> str:
    return part.replace("', arguments=", "", 1).replace(",)", ")")


def _moments(lines: Iterable[Line]) -> list[Moment]:
    found = []
    for line in lines:
        kind, _, rest = line["kind"].partition(".")
        node, text = "", rest.replace("_", " ")
        if kind == "fault":
            if line["kind"] in _LASTING or rest in ("crash", "restart"):
                continue
            node = line["nodes"] if line["nodes"] and "," not in line["nodes"] else ""
        elif kind == "member":
            node, text = line["node"], f"{line['member']} {rest}"
        elif kind == "start":
            node, text = line["node"], f"start {line['count']}"
        elif kind == "heal":
            text = "heal"
        elif kind == "failed":
            text = line["what"]
        else:
            continue
        found.append(Moment(at_ns=line["t"], kind=kind, node=node, text=text))
    return found
