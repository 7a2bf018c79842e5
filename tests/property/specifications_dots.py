"""The meaning of grow-only, exact, multi-value, flag and remove-wins types, as functions of a history; what is drawn.

An event is *kept* while no removal has seen it, and *maximal* while no event that supersedes it has.
"""

from __future__ import annotations

from typing import Any, cast

from hypothesis import strategies as st

from crdtmesh.crdts import values
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue
from crdtmesh.testing.histories import Event, History
from crdtmesh.testing.strategies import operation

few_values: st.SearchStrategy[PlainValue] = st.sampled_from([True, 1, 1.0, "1"])
_amounts = st.integers(0, 5)
_add, _remove = operation("add", few_values), operation("remove", few_values)
_set, _reset = operation("set", few_values), operation("reset")
_increment, _decrement = operation("increment", _amounts), operation("decrement", _amounts)
_enable, _disable = operation("enable"), operation("disable")

OPERATIONS: dict[str, st.SearchStrategy[Operation]] = {
    "GSet": st.one_of(_add, _add, _add, _reset),
    "GCounter": st.one_of(_increment, _increment, _increment, _reset),
    "ExactCounter": st.one_of(_increment, _increment, _decrement, _reset),
    "MVRegister": st.one_of(_set, _set, _set, operation("resolve", few_values), operation("clear")),
    "EWFlag": st.one_of(_enable, _disable),
    "DWFlag": st.one_of(_enable, _enable, _disable, _reset),
    "RWSet": st.one_of(_add, _add, _add, _remove, _reset),
}

FIRST_OPERATIONS: dict[str, tuple[str, PlainValue]] = {
    "GSet": ("add", "x"),
    "GCounter": ("increment", 2),
    "ExactCounter": ("increment", 2),
    "MVRegister": ("set", "x"),
    "EWFlag": ("enable", None),
    "DWFlag": ("enable", None),
    "RWSet": ("add", "x"),
}


def in_order(history: History) -> list[Event]:
    """The events, each after those it has seen, also where a map shows a nested type less of what was seen."""
    depths: dict[Event, int] = {}

    def depth(event: Event) -> int:
        if event not in depths:
            depths[event] = 1 + max(map(depth, event.seen), default=0)
        return depths[event]

    return sorted(history, key=depth)


def _kept(history: History, name: str, *removals: str) -> list[Event]:
    removers = [event for event in history if event.operation.name in removals]
    return [
        event
        for event in history
        if event.operation.name == name and not any(event in remover.seen for remover in removers)
    ]


def _maximal(history: History) -> list[Event]:
    return [event for event in history if not any(event in later.seen for later in history)]


def _elements(encoded: set[bytes]) -> PlainValue:
    return tuple(values.decode(element) for element in sorted(encoded))


def g_set(history: History) -> PlainValue:
    """The elements with an add that no reset has seen."""
    return _elements({event.element for event in _kept(history, "add", "reset")})


def exact_counter(history: History) -> PlainValue:
    """The sum of all updates that no reset has seen."""
    signs = {"increment": 1, "decrement": -1}
    return sum(
        sign * cast("int", event.operation.arguments[0])
        for name, sign in signs.items()
        for event in _kept(history, name, "reset")
    )


def mv_register(history: History) -> PlainValue:
    """The distinct values of the writes, resolving ones too, that no write and no clear has seen."""
    return _elements({event.element for event in _maximal(history) if event.operation.name in {"set", "resolve"}})


def ew_flag(history: History) -> PlainValue:
    """On while there is an enable that no disable has seen."""
    return bool(_kept(history, "enable", "disable"))


def dw_flag(history: History) -> PlainValue:
    """On while an enable is maximal and no disable is."""
    names = {event.operation.name for event in _maximal(history)}
    return "enable" in names and "disable" not in names


def rw_set(history: History) -> PlainValue:
    """The elements of which an add is maximal and no removal is, among what concerns the element."""
    alive = set()
    named: list[Any] = [event for event in history if event.operation.name != "reset"]
    for element in {event.element for event in named}:
        about = frozenset(e for e in history if e.operation.name == "reset" or e.element == element)
        names = {event.operation.name for event in _maximal(about)}
        if "add" in names and "remove" not in names:
            alive.add(element)
    return _elements(alive)


SPECIFICATIONS = {
    "GSet": g_set,
    "ExactCounter": exact_counter,
    "MVRegister": mv_register,
    "EWFlag": ew_flag,
    "DWFlag": dw_flag,
    "RWSet": rw_set,
}
