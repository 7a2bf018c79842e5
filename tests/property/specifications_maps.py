"""The meaning of maps as a function of a history: per entry that of the nested type, with removals as its own reset."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
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
from tests.property import specifications_json as json
from tests.property import specifications_text as text
from tests.property.specifications_dots import in_order

Specification = Callable[[History], PlainValue]

RESETS: Mapping[str, str] = {
    "PNCounter": "reset",
    "ORSet": "clear",
    "RWSet": "reset",
    "MVRegister": "clear",
    "EWFlag": "disable",
    "JsonDocument": "clear",
    "ORMap": "clear",
    "ExactCounter": "reset",
    "UWMap": "clear",
    "RWMap": "reset",
    "GSet": "reset",
    "GCounter": "reset",
    "DWFlag": "reset",
    "MaxRegister": "clear",
    "MinRegister": "clear",
    "TwoPhaseSet": "reset",
    "Vote": "reset",
    "PNCounterMap": "clear",
    "ORMultiMap": "clear",
    "LWWRegister": "clear",
    "FWWRegister": "clear",
    "LWWMap": "clear",
    "Text": "clear",
}
"""Types that may be nested, with the operation that forgets all it has seen."""

_keys = st.sampled_from(["k", "l"])
_amounts = st.integers(0, 5)
_numbers = st.sampled_from([-1, 0.5, 1, 2])
_whole: dict[str, st.SearchStrategy[tuple[Any, ...]]] = {
    "ExactCounter": st.tuples(st.just("increment"), _amounts),
    "ORSet": st.tuples(st.sampled_from(["add", "remove"]), dots.few_values),
    "RWSet": st.tuples(st.sampled_from(["add", "remove"]), dots.few_values),
    "GSet": st.tuples(st.just("add"), dots.few_values),
    "TwoPhaseSet": st.tuples(st.sampled_from(["add", "add", "remove"]), dots.few_values),
    "MVRegister": st.tuples(st.sampled_from(["set", "resolve"]), dots.few_values),
    "LWWRegister": st.tuples(st.just("set"), dots.few_values),
    "FWWRegister": st.tuples(st.just("set"), dots.few_values),
    "LWWMap": st.tuples(st.just("put"), _keys, dots.few_values),
    "MaxRegister": st.tuples(st.just("set"), _numbers),
    "MinRegister": st.tuples(st.just("set"), _numbers),
    "EWFlag": st.tuples(st.sampled_from(["enable", "disable"])),
    "DWFlag": st.tuples(st.sampled_from(["enable", "disable"])),
    "ORMultiMap": st.tuples(st.sampled_from(["add_binding", "remove_binding"]), _keys, dots.few_values),
    "JsonDocument": st.one_of(
        st.tuples(st.just("extend"), st.just(["l"]), st.tuples(dots.few_values)),
        st.tuples(st.just("delete"), st.just(["l"])),
    ),
}
"""Operations of types whose content is by the dot, which any map may hold."""
SUMS: dict[str, st.SearchStrategy[tuple[Any, ...]]] = {
    "PNCounter": st.tuples(st.just("increment"), _amounts),
    "GCounter": st.tuples(st.just("increment"), _amounts),
    "PNCounterMap": st.tuples(st.sampled_from(["increment", "decrement"]), _keys, _amounts),
    "Vote": st.tuples(st.just("vote"), st.booleans()),
}
"""Those of types that keep one entry for each replica, which `UWMap` refuses."""


def _leaf(kinds: dict[str, st.SearchStrategy[tuple[Any, ...]]], name: str) -> st.SearchStrategy[tuple[Any, ...]]:
    """Updates of two of these types, the same two throughout one history, so that they meet."""

    def of(which: int) -> st.SearchStrategy[tuple[Any, ...]]:
        kind = st.shared(st.sampled_from(sorted(kinds)), key=f"{name} {which}")
        return kind.flatmap(lambda chosen: kinds[chosen].map(lambda update: (chosen, *update)))

    return st.one_of(of(1), of(2))


_whole_leaves = _leaf(_whole, "whole")
_leaves = _leaf({**SUMS, **_whole}, "any")


def _inside(name: str, leaves: st.SearchStrategy[tuple[Any, ...]]) -> st.SearchStrategy[tuple[Any, ...]]:
    """Operations of a map of that name, with these updates."""
    updates = st.builds(lambda key, leaf: (name, "update", key, *leaf), _keys, leaves)
    return st.one_of(updates, updates, st.builds(lambda key: (name, "remove", key), _keys))


def _updates(*leaves: st.SearchStrategy[tuple[Any, ...]]) -> st.SearchStrategy[Operation]:
    return st.builds(lambda key, leaf: Operation("update", (key, *leaf)), _keys, st.one_of(*leaves))


_named_update = st.builds(
    Operation, st.just("update"), st.tuples(_keys, st.just("PNCounter"), st.just("increment"), _amounts)
)
_named_whole_update = st.builds(
    Operation, st.just("update"), st.tuples(_keys, st.just("ExactCounter"), st.just("increment"), _amounts)
)
_nested_twice = _updates(
    _leaves,
    _inside("ORMap", _leaves),
    _inside("ORMap", _inside("ORMap", _leaves)),
    _inside("RWMap", _leaves),
    _inside("UWMap", _whole_leaves),
    _inside("RWMap", _inside("UWMap", _whole_leaves)),
)
_whole_updates = _updates(
    _whole_leaves,
    _inside("UWMap", _whole_leaves),
    _inside("ORMap", _whole_leaves),
    _inside("RWMap", _inside("ORMap", _whole_leaves)),
    _inside("UWMap", _inside("UWMap", _whole_leaves)),
)
_remove = operation("remove", _keys)

OPERATIONS: dict[str, st.SearchStrategy[Operation]] = {
    "ORMap": st.one_of(
        _nested_twice,
        _nested_twice,
        _nested_twice,
        _named_update,
        _remove,
        operation("remove", _keys, st.sampled_from(["PNCounter", "ORMap"])),
        operation("clear"),
    ),
    "UWMap": st.one_of(
        _whole_updates,
        _whole_updates,
        _whole_updates,
        _named_whole_update,
        _remove,
        operation("remove", _keys, st.sampled_from(["ExactCounter", "UWMap"])),
        operation("clear"),
    ),
    "RWMap": st.one_of(_nested_twice, _nested_twice, _named_update, _named_update, _remove, operation("reset")),
}

FIRST_OPERATIONS: dict[str, tuple[str, PlainValue]] = {
    "ORMap": ("update", ("k", "PNCounter", "increment", 2)),
    "UWMap": ("update", ("k", "ExactCounter", "increment", 2)),
    "RWMap": ("update", ("k", "PNCounter", "increment", 2)),
}


def _about(history: History, key: str, kind: str) -> set[Event]:
    """The events of a map that concern one entry: its updates, and what removes or resets it."""
    return {
        event
        for event in history
        if (event.operation.arguments[: 2 if event.operation.name == "update" else 1] in ((), (key,), (key, kind)))
        and event.operation.arguments[1:2] in ((), (kind,))
    }


def _unseen(events: Collection[Event], others: Collection[Event]) -> frozenset[Event]:
    """Those events that none of the others has seen."""
    return frozenset(event for event in events if not any(event in other.seen for other in others))


def _inner(kind: str, seen_by: Mapping[Event, Collection[Event]]) -> History:
    """What events mean to the nested type, each with which of the others it builds on."""
    inner: dict[Event, Event] = {}
    for event in in_order(frozenset(seen_by)):
        meant = Operation(RESETS[kind])
        if event.operation.name == "update":
            meant = Operation(cast("str", event.operation.arguments[2]), event.operation.arguments[3:])
        inner[event] = replace(event, operation=meant, seen=frozenset(inner[other] for other in seen_by[event]))
    return frozenset(inner.values())


def _is_stamped(operation: Operation) -> bool:
    """Whether an operation of a map writes something that has a time."""
    if operation.name != "update":
        return False
    kind, *inner = operation.arguments[1:]
    nested = Operation(cast("str", inner[0]), tuple(inner[1:]))
    if kind in {"ORMap", "UWMap", "RWMap"}:
        return _is_stamped(nested)
    if kind == "JsonDocument":
        return json.writes_a_scalar(nested)
    return nested.name in {"LWWRegister": {"set"}, "FWWRegister": {"set"}, "LWWMap": {"put"}}.get(cast("str", kind), ())


def _clocked(history: History) -> History:
    """The history with each write at its hybrid time: its wall clock, or just beyond the writes of any key it saw."""
    times: dict[Event, int] = {}
    clocked: dict[Event, Event] = {}
    for event in in_order(history):
        if _is_stamped(event.operation):
            times[event] = max([event.now_ms << 16, *(times[other] + 1 for other in event.seen if other in times)])
        now = times.get(event, event.now_ms)
        clocked[event] = replace(event, now_ms=now, seen=frozenset(clocked[other] for other in event.seen))
    return frozenset(clocked.values()) if times else history


_THERE_WITHOUT_A_VALUE = {
    "PNCounter",
    "GCounter",
    "RWSet",
    "TwoPhaseSet",
    "DWFlag",
    "ExactCounter",
    "LWWRegister",
    "FWWRegister",
}
"""Types that hold something when they read zero, nothing, off or None: all that no reset has seen."""


def _is_there(kind: str, history: History, value: PlainValue) -> bool:
    """Whether anything is live: a counter at zero is, and a set that only knows of removals, if removals win there."""
    if kind == "Text":
        return text.holds_anything(history)
    if kind == "JsonDocument":
        return json.holds_anything(history)
    if kind in {"MaxRegister", "MinRegister"}:
        return value is not None
    if kind == "Vote":
        return value != {"against": 0, "for": 0}
    if kind in _THERE_WITHOUT_A_VALUE:
        resets = [event for event in history if event.operation.name == RESETS[kind]]
        return any(e not in resets and not any(e in reset.seen for reset in resets) for e in history)
    return bool(value)


class Maps:
    """The specifications of maps of any type, from those of the types nested in them."""

    def __init__(self, nested: Mapping[str, Specification]) -> None:
        self._nested = {**nested, "ORMap": self.or_map, "UWMap": self.uw_map, "RWMap": self.rw_map}

    def _read(self, history: History, meaning: Callable[[History, str, str], History]) -> PlainValue:
        history = _clocked(history)
        entries = {cast("tuple[str, str]", e.operation.arguments[:2]) for e in history if e.operation.name == "update"}
        read: dict[str, dict[str, PlainValue]] = {}
        for key, kind in sorted(entries, key=values.encode):
            inner = meaning(history, key, kind)
            value = self._nested[kind](inner)
            if _is_there(kind, inner, value):
                read.setdefault(key, {})[kind] = value
        return cast("PlainValue", read)

    def or_map(self, history: History) -> PlainValue:
        """Each entry as its type reads its updates, with every removal of the key as the type's own reset."""

        def meaning(history: History, key: str, kind: str) -> History:
            about = _about(history, key, kind)
            return _inner(kind, {event: event.seen & about for event in about})

        return self._read(history, meaning)

    def uw_map(self, history: History) -> PlainValue:
        """Each entry as its type reads the updates that nothing has replaced or removed, and those these build on.

        Removals do not reach the nested type at all.
        """

        def meaning(history: History, key: str, kind: str) -> History:
            @cache
            def kept(known: frozenset[Event]) -> frozenset[Event]:
                newest = {
                    e for e in known if e.operation.name == "update" and not any(e in other.seen for other in known)
                }
                return frozenset(newest).union(*(kept(event.seen & about) for event in newest))

            about = frozenset(_about(history, key, kind))
            return _inner(kind, {event: kept(event.seen & about) for event in kept(about)})

        return self._read(history, meaning)

    def rw_map(self, history: History) -> PlainValue:
        """Each entry as its type reads the updates that have seen every removal of the key that stands.

        A removal stands while no later one and no reset has seen it. What its replica has seen beaten and then updated
        is gone for good.
        """

        def meaning(history: History, key: str, kind: str) -> History:
            @cache
            def counting(known: frozenset[Event]) -> frozenset[Event]:
                removals = {e for e in known if e.operation.name != "update"}
                standing = {
                    e
                    for e in removals
                    if e.operation.name == "remove" and not any(e in other.seen for other in removals)
                }
                updates = {e for e in known - removals if standing <= e.seen}
                return frozenset(removals | {e for e in updates if not is_given_up(e, known)})

            def is_given_up(event: Event, known: frozenset[Event]) -> bool:
                later = [e for e in known if e.operation.name == "update" and e.at == event.at and event in e.seen]
                return any(event not in counting(e.seen & about) for e in later)

            about = frozenset(_about(history, key, kind))
            now = counting(about)
            built_on = {
                event: counting(event.seen & about) if event.operation.name == "update" else event.seen for event in now
            }
            return _inner(kind, {event: seen & now for event, seen in built_on.items()})

        return self._read(history, meaning)


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
        for event in in_order(history):
            inner[event] = replace(meant[event], seen=frozenset(inner[other] for other in event.seen))
        renamed = frozenset(inner.values())
        read = cast("dict[str, dict[str, PlainValue]]", Maps({"PNCounter": counter}).or_map(renamed))
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
        for event in in_order(history):
            seen = frozenset(part for other in event.seen for part in inner[other])
            inner[event] = [replace(event, operation=each, seen=seen) for each in meant(event, set_of(seen))]
        read: dict[str, list[PlainValue]] = {}
        held = set_of(frozenset(part for parts in inner.values() for part in parts))
        for key, value in cast("tuple[tuple[str, PlainValue], ...]", held):
            read.setdefault(key, []).append(value)
        return {key: sorted(bound, key=values.encode) for key, bound in read.items()}

    return specification
