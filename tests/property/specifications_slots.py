"""The meaning of registers of one winner, two-phase sets, votes and bounded counters, as functions of a history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, cast

from crdtmesh.crdts import values
from crdtmesh.crdts.values import PlainValue
from crdtmesh.testing.histories import Event, History
from crdtmesh.testing.worlds import REPLICA_IDS


def _kept(history: History, name: str, removal: str) -> list[Event]:
    """The events of a name that no removal has seen."""
    removals = [event for event in history if event.operation.name == removal]
    return [
        event
        for event in history
        if event.operation.name == name and not any(event in removal.seen for removal in removals)
    ]


def fww_register(history: History) -> PlainValue:
    """Of the writes that no clear has seen, the one with the least time; ids break ties.

    A write's time is its wall clock, or just beyond the greatest time it has seen.
    """

    def time(write: Event) -> int:
        seen = [time(other) + 1 for other in write.seen if other.operation.name == "set"]
        return max([write.now_ms << 16, *seen])

    writes = _kept(history, "set", "clear")
    if not writes:
        return None
    return values.decode(min(writes, key=lambda write: (time(write), REPLICA_IDS[write.at])).element)


def _extreme(history: History, choose: Callable[..., Any]) -> PlainValue:
    numbers = [cast("float", write.operation.arguments[0]) for write in _kept(history, "set", "clear")]
    return cast("PlainValue", choose(numbers, key=lambda number: (number, values.encode(number)), default=None))


def max_register(history: History) -> PlainValue:
    """The greatest number whose set no clear has seen."""
    return _extreme(history, max)


def min_register(history: History) -> PlainValue:
    """The least number whose set no clear has seen."""
    return _extreme(history, min)


def two_phase_set(history: History) -> PlainValue:
    """The elements with an add and no removal, as far as no reset has seen them."""
    added = {event.element for event in _kept(history, "add", "reset")}
    removed = {event.element for event in _kept(history, "remove", "reset")}
    return tuple(values.decode(element) for element in sorted(added - removed))


def vote(history: History) -> PlainValue:
    """Each replica's last ballot, if it was not withdrawn and no reset has seen it."""
    kept = _kept(history, "vote", "reset")
    ballots: list[PlainValue] = []
    for at in range(len(REPLICA_IDS)):
        own = [event for event in history if event.at == at and event.operation.name in {"vote", "withdraw"}]
        last = max(own, key=lambda event: event.first_n, default=None)
        if last in kept:
            ballots.append(last.operation.arguments[0])
    return {"against": ballots.count(False), "for": ballots.count(True)}


def bounded_counter(history: History) -> PlainValue:
    """Bookkeeping: increments create, decrements destroy, transfers move."""
    held: Counter[str] = Counter()
    for event in history:
        own = REPLICA_IDS[event.at].hex()
        amount = cast("int", event.operation.arguments[-1])
        if event.operation.name == "increment":
            held[own] += amount
        else:
            held[own] -= amount
        if event.operation.name == "transfer":
            held[cast("str", event.operation.arguments[0])] += amount
    assert all(rights >= 0 for rights in held.values())
    return {"rights": {replica: rights for replica, rights in held.items() if rights}, "value": sum(held.values())}
