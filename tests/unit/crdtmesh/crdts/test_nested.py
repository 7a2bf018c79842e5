"""What taking in an update of a map costs: the entries that it names, unless it removes something elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from crdtmesh.crdts.base import DataType, Delta, Touched
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.counter_pn import PN_COUNTER
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.crdts.map_counter import PNCounterMap
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.state import State
from crdtmesh.crdts.values import encode


class Counted:
    """The counter, and how often it was asked to take something in."""

    def __init__(self) -> None:
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(PN_COUNTER, name)

    def absorb(self, store: Any, context: CausalContext, delta: Delta[Any]) -> tuple[Any, Touched]:
        self.asked += 1
        return PN_COUNTER.absorb(store, context, delta)


COUNTED: Any = Counted()


class CountedMap(PNCounterMap):
    name: ClassVar[str] = "CountedMap"
    operations: ClassVar[Mapping[str, tuple[int, int]]] = PNCounterMap.operations
    inner: ClassVar[DataType[Any]] = COUNTED


def two_with(keys: int) -> tuple[State[Any], State[Any]]:
    """Two replicas of a map that agree on so many keys."""
    table = ReplicaTable()
    kind = CountedMap()
    a, b = (State(kind, table, replica_id=bytes([number]) * 16) for number in (1, 2))
    for number in range(keys):
        a.apply(Operation("increment", (f"key {number}",)))
    b.join(a)
    COUNTED.asked = 0
    return a, b


def test_update_of_a_key_asks_no_other_key() -> None:
    a, b = two_with(500)
    delta = a.apply(Operation("increment", ("key 7", 2)))
    assert delta is not None
    b.join(delta)
    assert COUNTED.asked == 2  # at each side
    assert a == b


def test_update_that_comes_again_asks_all_keys_for_what_it_superseded() -> None:
    a, b = two_with(20)
    delta = a.apply(Operation("increment", ("key 7", 2)))
    assert delta is not None
    b.join(delta)
    COUNTED.asked = 0
    b.join(delta)
    assert 20 == COUNTED.asked
    assert a == b


def test_removal_is_found_under_a_key_that_the_delta_does_not_name() -> None:
    a, b = two_with(20)
    delta = a.apply(Operation("remove", ("key 3",)))
    assert delta is not None
    assert not delta.store.keys
    assert [encode("key 3")] == b.join(delta)
    assert a == b
