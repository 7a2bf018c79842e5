"""The meaning of a JSON document as a function of a history, and what is drawn.

The model replays each event on what the events it had seen left: it notes what the event writes, and which earlier
writes that it saw it does away with. What is left of a history are the writes that no event of it did away with. Lists
are put in order by exact fractions in nested tuples. It knows no dots, contexts, bytes, joins or indices.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias, cast

from hypothesis import strategies as st

from crdtmesh.crdts import values
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue
from crdtmesh.testing.histories import Event, History
from crdtmesh.testing.strategies import operation
from crdtmesh.testing.worlds import REPLICA_IDS
from tests.property.specifications_dots import in_order

# --- what is drawn

_scalars = st.sampled_from([1, True, "1"])
_values = st.one_of(
    _scalars,
    st.sampled_from([{}, [], {"k": 1}, {"k": {"l": 2}, "l": 3}, [1, 2], [{"k": 1}], [[], "x"]]),
)
_lists = st.sampled_from([["l"], ["l"], ["l"], ["k", "l"], ["l", 0, "l"]])
_paths = st.sampled_from([["k"], ["l"], ["k", "l"], ["k", "k"], ["l", 0], ["l", 1], ["l", -1], ["l", 0, "k"]])
_indices = st.sampled_from([0, 0, 1, 1, 2, -1])
_objects = st.sampled_from([[], ["k"], ["l", 0]])

_set = operation("set", _paths, _values)
_insert = operation("insert", _lists, _indices, _values)
_extend = operation("extend", _lists, st.sampled_from([[], [1, 2], [{}], ["x", {"k": 1}]]))
_move = operation("move", _lists, _indices, _indices)
_delete = operation("delete", _paths)

OPERATIONS: dict[str, st.SearchStrategy[Operation]] = {
    "JsonDocument": st.one_of(
        _set,
        _set,
        operation("set", st.just([]), st.sampled_from([{}, {"l": [1, 2, 3]}])),
        operation("update", _objects, st.sampled_from([{}, {"k": 2}, {"k": 3, "l": [4]}])),
        _insert,
        _insert,
        _insert,
        _extend,
        _extend,
        _move,
        _move,
        _delete,
        _delete,
        operation("clear"),
    ),
}

FIRST_OPERATIONS: dict[str, tuple[str, PlainValue]] = {"JsonDocument": ("set", (["k"], 1))}

# --- the model

Position: TypeAlias = tuple[tuple[bytes, Fraction, int], ...]
"""Of each run on the way: its owner, a number in it, and whether the rest is left of that, it, or right of it."""
_LEFT_OF, _AT, _RIGHT_OF = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Element:
    """A list element, which is itself and nothing else."""

    position: Position
    owner: bytes
    age: int

    @property
    def rank(self) -> tuple[Position, bytes, int]:
        """What orders elements that stand at one place."""
        return self.position, self.owner, self.age


Step: TypeAlias = str | Element
Path: TypeAlias = tuple[Step, ...]


@dataclass(frozen=True, eq=False)
class Write:
    """One thing that an event wrote: a scalar, "object", "list", or the place that an element was moved to."""

    path: Path
    kind: str
    rank: tuple[int, bytes, bytes] = (0, b"", b"")
    place: Position = ()


class View:
    """What some writes look like."""

    def __init__(self, writes: Iterable[Write]) -> None:
        self.writes = list(writes)

    def under(self, path: Path) -> list[Write]:
        """The writes at a path and below."""
        return [write for write in self.writes if write.path[: len(path)] == path]

    def at(self, path: Path, kind: str) -> list[Write]:
        """The writes of a kind at a path."""
        return [write for write in self.writes if write.path == path and write.kind == kind]

    def is_there(self, path: Path) -> bool:
        """Whether anything is to be seen at a path."""
        return not path or any(write.kind != "place" for write in self.under(path))

    def steps(self, path: Path, kind: type) -> list[Any]:
        """What visible things hang under a path."""
        each = {write.path[len(path)]: None for write in self.under(path) if len(write.path) > len(path)}
        return [step for step in each if isinstance(step, kind) and self.is_there((*path, step))]

    def is_object(self, path: Path) -> bool:
        """Whether an object is read there."""
        return not path or bool(self.at(path, "object") or self.steps(path, str))

    def is_list(self, path: Path) -> bool:
        """Whether a list is read there."""
        return not self.is_object(path) and bool(self.at(path, "list") or self.steps(path, Element))

    def place(self, path: Path, element: Element) -> Position:
        """Where an element stands."""
        return max((move.place for move in self.at((*path, element), "place")), default=element.position)

    def order(self, path: Path) -> list[Element]:
        """The elements of a list."""
        return sorted(self.steps(path, Element), key=lambda each: (self.place(path, each), each.rank))

    def read(self, path: Path = ()) -> PlainValue:
        """The plain value at a path."""
        if self.is_object(path):
            return {key: self.read((*path, key)) for key in self.steps(path, str)}
        if self.is_list(path):
            return tuple(self.read((*path, each)) for each in self.order(path))
        return values.decode(max(write.rank for write in self.at(path, "scalar"))[2])

    def find(self, asked: Sequence[str | int]) -> Path | None:
        """The path that keys and indices mean; None where they lead through what is no object."""
        path: Path = ()
        for step in asked:
            if isinstance(step, int):
                if not self.is_list(path):
                    return None
                path = (*path, self.order(path)[step])
            else:
                if self.is_there(path) and not self.is_object(path):
                    return None
                path = (*path, step)
        return path


class Replay:
    """The writes of a history."""

    def __init__(self, history: History) -> None:
        self.made: dict[Event, list[Write]] = {}
        self.gone: dict[Event, list[Write]] = {}
        self.times: dict[Event, int] = {}
        self.ages = [0] * len(REPLICA_IDS)
        for event in in_order(history):
            self.made[event], self.gone[event] = [], []
            self.run(event, self.view(event.seen))

    def view(self, events: Iterable[Event]) -> View:
        """What is left of the writes of some events, in their own eyes."""
        events = list(events)
        gone = {write for event in events for write in self.gone[event]}
        return View(write for event in events for write in self.made[event] if write not in gone)

    def run(self, event: Event, view: View) -> None:
        """Note what an event writes and does away with."""
        name, arguments = event.operation.name, event.operation.arguments
        gone = self.gone[event]
        if name == "clear":
            gone += view.writes
            return
        asked, *rest = cast("tuple[Any, ...]", arguments)
        if name == "update":
            for key, value in rest[0].items():
                self.put(event, view, [*asked, key], value)
        elif name == "set" and not asked:
            gone += view.writes
            for key, value in rest[0].items():
                self.write(event, (key,), value)
        elif name == "set":
            self.put(event, view, asked, rest[0])
        elif name == "delete":
            path = view.find(asked)
            gone += view.under(path) if path is not None and view.is_there(path) else []
        else:
            path = view.find(asked)
            assert path is not None
            self.change_list(event, view, path, name, rest)

    def put(self, event: Event, view: View, asked: Sequence[str | int], value: PlainValue) -> None:
        """Replace what is at a path, and make the objects on the way."""
        path = view.find(asked)
        assert path is not None
        self.make_way(event, view, path)
        own_places = view.at(path, "place")
        self.gone[event] += [write for write in view.under(path) if write not in own_places]
        self.write(event, path, value)

    def make_way(self, event: Event, view: View, path: Path) -> None:
        """Make the objects above a path that are not there."""
        for length in range(1, len(path)):
            made = [write for write in self.made[event] if write.path == path[:length]]
            if not view.is_there(path[:length]) and not made:
                self.made[event].append(Write(path[:length], "object"))

    def write(self, event: Event, path: Path, value: PlainValue) -> None:
        """Note the writes of a value."""
        made = self.made[event]
        if isinstance(value, Mapping):
            made.append(Write(path, "object"))
            for key, inner in value.items():
                self.write(event, (*path, key), inner)
        elif isinstance(value, list | tuple):
            made.append(Write(path, "list"))
            for number, inner in enumerate(value):
                position = (REPLICA_IDS[event.at][:4], Fraction(number), _AT)
                self.write(event, (*path, self.element(event, (position,))), inner)
        else:
            rank = (self.time(event), REPLICA_IDS[event.at], values.encode(value))
            made.append(Write(path, "scalar", rank=rank))

    def element(self, event: Event, position: Position) -> Element:
        """A new element."""
        self.ages[event.at] += 1
        return Element(position, REPLICA_IDS[event.at], self.ages[event.at])

    def time(self, event: Event) -> int:
        """Its wall clock, or just beyond the greatest time of a scalar that it has seen."""
        seen = [self.times[other] + 1 for other in event.seen if other in self.times]
        return self.times.setdefault(event, max([event.now_ms << 16, *seen]))

    def change_list(self, event: Event, view: View, path: Path, name: str, rest: Sequence[Any]) -> None:
        """Insert, extend or move."""
        owner, order = REPLICA_IDS[event.at], view.order(path)
        ages = [each.age if each.owner == owner else 0 for each in order]
        places = [view.place(path, each) for each in order]
        if name == "move":
            at, to = (index % len(order) for index in rest)
            element = order[at]
            del ages[at], places[at]
            self.gone[event] += view.at((*path, element), "place")
            place = between(places, ages, to, owner[:4])
            self.made[event].append(Write((*path, element), "place", place=place))
            return
        items = [rest[1]] if name == "insert" else rest[0]
        at = rest[0] % (len(order) + 1) if name == "insert" else len(order)
        self.make_way(event, view, path)
        if not view.is_there(path):
            self.made[event].append(Write(path, "list"))
        position = between(places, ages, at, owner[:4])
        for number, item in enumerate(items):
            if number:  # typed on, with nothing newer in sight
                position = _placed(position, places[at] if at < len(places) else None, owner[:4], "left")
            self.write(event, (*path, self.element(event, position)), item)


def between(places: Sequence[Position], ages: Sequence[int], at: int, tag: bytes) -> Position:
    """A position before the element at an index, given where elements stand and when the writer made them."""
    padded = [0, 0, *ages, 0, 0]
    left_left, left, right, right_right = padded[at : at + 4]
    bias = "middle"
    if left > left_left > right or right > left > right_right:
        bias = "left"
    elif right > right_right > left or left > right > left_left:
        bias = "right"
    return _placed(places[at - 1] if at else None, places[at] if at < len(places) else None, tag, bias)


def _placed(left: Position | None, right: Position | None, tag: bytes, bias: str) -> Position:
    for neighbour in (left, right):
        if neighbour is not None and neighbour[-1][0] == tag:
            run = neighbour[:-1]
            low, high = (_number_in(each, run, tag) for each in (left, right))
            if low is None or high is None or low < high:
                return (*run, (tag, _number(low, high, bias), _AT))
    first = (tag, Fraction(0), _AT)
    if left is not None:
        branch = (*left[:-1], (*left[-1][:2], _RIGHT_OF))
        if right is None or right[: len(branch)] != branch:
            return (*branch, first)
    return (first,) if right is None else (*right[:-1], (*right[-1][:2], _LEFT_OF), first)


def _number_in(position: Position | None, run: Position, tag: bytes) -> Fraction | None:
    """The number of a run that a position is at or hangs on."""
    if position is None or position[: len(run)] != run or len(position) == len(run) or position[len(run)][0] != tag:
        return None
    return position[len(run)][1]


def _number(low: Fraction | None, high: Fraction | None, bias: str) -> Fraction:
    if high is None:
        assert low is not None
        return Fraction(math.floor(low) + 1)
    if low is None:
        return Fraction(math.ceil(high) - 1)
    unit = Fraction(1)
    while low % unit or high % unit or high - low < 2 * unit:
        unit /= 128**3
    return {"left": low + unit, "right": high - unit, "middle": (low + high) // unit // 2 * unit}[bias]


def json_document(history: History) -> PlainValue:
    """What is left of the writes, read as a document."""
    return Replay(history).view(history).read()


SPECIFICATIONS = {"JsonDocument": json_document}


# --- long histories


def holds_anything(history: History) -> bool:
    """Whether anything is left of what a history wrote, read or not."""
    return bool(Replay(history).view(history).writes)


def writes_a_scalar(operation: Operation) -> bool:
    """Whether an operation writes something that has a time."""

    def has_scalar(value: PlainValue) -> bool:
        if isinstance(value, Mapping):
            return any(map(has_scalar, value.values()))
        return any(map(has_scalar, value)) if isinstance(value, list | tuple) else True

    return operation.name in {"set", "update", "insert", "extend"} and has_scalar(operation.arguments[-1])


def likely_operation(rng: random.Random, value: Mapping[str, Any]) -> Operation:
    """An operation that has an effect on a document that reads as `value`, most of the time."""
    paths: list[tuple[list[Any], Any]] = list(_paths_in(value))
    lists = [path for path, held in paths if isinstance(held, tuple)]
    new: Any = rng.choice([1, True, "1", {}, [], {"k": 1}, [1, 2], [{"k": [3]}]])
    kind = rng.choice(["set", "update", "delete", "insert", "insert", "insert", "extend", "move", "move", "move"])
    if kind in {"insert", "extend", "move"} and lists:
        path = rng.choice(lists)
        size = len(cast("tuple[Any, ...]", next(held for at, held in paths if at == path)))
        if kind == "insert":
            return Operation("insert", (path, rng.randint(0, size), new))
        if kind == "extend" or not size:
            return Operation("extend", (path, [new, "x"]))
        return Operation("move", (path, rng.randrange(size), rng.randrange(size)))
    path, held = rng.choice(paths)
    if kind == "update" and isinstance(held, dict):
        return Operation("update", (path, {"k": new, "m": 1}))
    if kind == "delete" and path and rng.random() < 0.5:
        return Operation("delete", (path,))
    return Operation("set", ([*path, rng.choice("kl")], new) if isinstance(held, dict) else (path, new))


def _paths_in(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[list[Any], Any]]:
    yield list(path), value
    if isinstance(value, dict | tuple):
        for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _paths_in(inner, (*path, step))
