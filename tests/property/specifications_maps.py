"""The meaning of maps as a function of a history: per entry that of the nested type, with removals as its own reset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, cast

from hypothesis import strategies as st

from crdtmesh.crdts import values
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue
from crdtmesh.testing.histories import Event, History
from crdtmesh.testing.strategies import operation
from crdtmesh.testing.worlds import REPLICA_IDS
from tests.property import specifications_dots as dots

Specification = Callable[[History], PlainValue]

RESETS: Mapping[str, str] = {
    "PNCounter": "reset",
    "ORSet": "clear",
    "RWSet": "reset",
    "MVRegister": "clear",
    "EWFlag": "disable",
    "ORMap": "clear",
}
"""Nested types that are drawn, with the operation that forgets all it has seen."""

_keys = st.sampled_from(["k", "l"])
_amounts = st.integers(0, 5)
_leaves: st.SearchStrategy[tuple[Any, ...]] = st.one_of(
    st.tuples(st.just("PNCounter"), st.just("increment"), _amounts),
    st.tuples(st.just("ORSet"), st.sampled_from(["add", "remove"]), dots.few_values),
    st.tuples(st.just("RWSet"), st.sampled_from(["add", "remove"]), dots.few_values),
    st.tuples(st.just("MVRegister"), st.just("set"), dots.few_values),
    st.tuples(st.just("EWFlag"), st.sampled_from(["enable", "disable"])),
)


def _inside(leaves: st.SearchStrategy[tuple[Any, ...]]) -> st.SearchStrategy[tuple[Any, ...]]:
    updates = st.builds(lambda key, leaf: ("ORMap", "update", key, *leaf), _keys, leaves)
    return st.one_of(updates, updates, st.builds(lambda key: ("ORMap", "remove", key), _keys))


_updates = st.builds(
    lambda key, leaf: Operation("update", (key, *leaf)),
    _keys,
    st.one_of(_leaves, _inside(_leaves), _inside(_inside(_leaves))),
)
_named_update = st.builds(
    Operation, st.just("update"), st.tuples(_keys, st.just("PNCounter"), st.just("increment"), _amounts)
)
_remove = operation("remove", _keys)

OPERATIONS: dict[str, st.SearchStrategy[Operation]] = {
    "ORMap": st.one_of(
        _updates,
        _updates,
        _updates,
        _named_update,
        _remove,
        operation("remove", _keys, st.sampled_from(["PNCounter", "ORMap"])),
        operation("clear"),
    ),
}

FIRST_OPERATIONS: dict[str, tuple[str, PlainValue]] = {"ORMap": ("update", ("k", "PNCounter", "increment", 2))}


def _nested(history: History, key: str, kind: str) -> History:
    """What a history of a map means for one entry."""
    inner: dict[Event, Event] = {}
    for event in sorted(history, key=lambda each: len(each.seen)):
        arguments = event.operation.arguments
        if event.operation.name == "update":
            if arguments[:2] != (key, kind):
                continue
            meant = Operation(cast("str", arguments[2]), arguments[3:])
        elif event.operation.name == "remove" and (arguments[0] != key or arguments[1:] not in ((), (kind,))):
            continue
        else:
            meant = Operation(RESETS[kind])
        seen = frozenset(inner[other] for other in event.seen if other in inner)
        inner[event] = replace(event, operation=meant, seen=seen)
    return frozenset(inner.values())


def _is_there(kind: str, history: History, value: PlainValue) -> bool:
    """Whether anything is live: a counter at zero is, and a set that only knows of removals, if removals win there."""
    if kind in {"PNCounter", "RWSet"}:
        resets = [event for event in history if event.operation.name == "reset"]
        return any(e.operation.name != "reset" and not any(e in reset.seen for reset in resets) for e in history)
    return bool(value)


def or_map(nested: Mapping[str, Specification]) -> Specification:
    """The specification of a map, from those of the types nested in it."""

    def specification(history: History) -> PlainValue:
        entries = {cast("tuple[str, str]", e.operation.arguments[:2]) for e in history if e.operation.name == "update"}
        read: dict[str, dict[str, PlainValue]] = {}
        for key, kind in sorted(entries, key=values.encode):
            about = _nested(history, key, kind)
            value = {**nested, "ORMap": specification}[kind](about)
            if _is_there(kind, about, value):
                read.setdefault(key, {})[kind] = value
        return cast("PlainValue", read)

    return specification


OPERATIONS["LWWMap"] = st.one_of(
    operation("put", _keys, dots.few_values), operation("put", _keys, dots.few_values), _remove, operation("clear")
)
OPERATIONS["PNCounterMap"] = st.one_of(
    operation("increment", _keys, _amounts), operation("decrement", _keys, _amounts), _remove, operation("clear")
)
FIRST_OPERATIONS["LWWMap"] = ("put", ("k", "x"))
FIRST_OPERATIONS["PNCounterMap"] = ("increment", ("k", 2))


def counter_map(counter: Specification) -> Specification:
    """Each key as a counter, with its removals as resets."""

    def specification(history: History) -> PlainValue:
        as_updates = {
            event: replace(event, operation=Operation("update", (key, "PNCounter", event.operation.name, *rest)))
            for event in history
            if event.operation.name in {"increment", "decrement"}
            for key, *rest in [event.operation.arguments]
        }
        meant = {event: as_updates.get(event, event) for event in history}
        inner: dict[Event, Event] = {}
        for event in sorted(history, key=lambda each: len(each.seen)):
            inner[event] = replace(meant[event], seen=frozenset(inner[other] for other in event.seen))
        renamed = frozenset(inner.values())
        read = cast("dict[str, dict[str, PlainValue]]", or_map({"PNCounter": counter})(renamed))
        return {key: held["PNCounter"] for key, held in read.items()}

    return specification


def lww_map(history: History) -> PlainValue:
    """For each key, of the puts that nothing about the key has seen, the one with the greatest time; ids break ties."""

    @cache
    def time(put: Event) -> int:
        seen = [time(other) + 1 for other in put.seen if other.operation.name == "put"]
        return max([put.now_ms << 16, *seen])

    def is_replaced(put: Event) -> bool:
        about = [e for e in history if e.operation.name == "clear" or e.element == put.element]
        return any(put in other.seen for other in about)

    puts = [event for event in history if event.operation.name == "put" and not is_replaced(event)]
    puts.sort(key=lambda put: (time(put), REPLICA_IDS[put.at]))
    return dict(cast("tuple[str, PlainValue]", put.operation.arguments) for put in puts)


OPERATIONS["ORMultiMap"] = st.one_of(
    operation("add_binding", _keys, dots.few_values),
    operation("add_binding", _keys, dots.few_values),
    operation("remove_binding", _keys, dots.few_values),
    operation("put", _keys, st.lists(dots.few_values, max_size=3)),
    operation("put", _keys, st.lists(dots.few_values, max_size=3)),
    _remove,
    operation("clear"),
)
FIRST_OPERATIONS["ORMultiMap"] = ("add_binding", ("k", "x"))


def multi_map(set_of: Specification) -> Specification:
    """A set of pairs: what removes a key, and what a put leaves out, is the removal of each pair that it has seen."""

    def meant(event: Event, held: PlainValue) -> list[Operation]:
        name, arguments = event.operation.name, event.operation.arguments
        if name in {"add_binding", "remove_binding"}:
            return [Operation(name.removesuffix("_binding"), (arguments,))]
        pairs = {values.encode(pair): pair for pair in cast("tuple[tuple[str, PlainValue], ...]", held)}
        if name == "clear":
            return [Operation("remove", (pair,)) for pair in pairs.values()]
        wanted = [(arguments[0], value) for value in cast("list[PlainValue]", arguments[1:2] and arguments[1])]
        names = {values.encode(pair) for pair in wanted}
        gone = [pair for name, pair in pairs.items() if pair[0] == arguments[0] and name not in names]
        new = [pair for pair in wanted if values.encode(pair) not in pairs]
        return [*(Operation("remove", (pair,)) for pair in gone), *(Operation("add", (pair,)) for pair in new)]

    def specification(history: History) -> PlainValue:
        inner: dict[Event, list[Event]] = {}
        for event in sorted(history, key=lambda each: len(each.seen)):
            seen = frozenset(part for other in event.seen for part in inner[other])
            inner[event] = [replace(event, operation=each, seen=seen) for each in meant(event, set_of(seen))]
        read: dict[str, list[PlainValue]] = {}
        held = set_of(frozenset(part for parts in inner.values() for part in parts))
        for key, value in cast("tuple[tuple[str, PlainValue], ...]", held):
            read.setdefault(key, []).append(value)
        return {key: sorted(bound, key=values.encode) for key, bound in read.items()}

    return specification
