"""The meaning of every data type, as a pure function of a history, against what its replicas read.

The functions below know nothing of dots, contexts or stores. How histories are made: `crdtmesh.testing.histories`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtmesh.crdts import registry, values
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.state import State
from crdtmesh.crdts.values import PlainValue
from crdtmesh.testing.checks import converge
from crdtmesh.testing.histories import Event, History, Recorder
from crdtmesh.testing.worlds import Step
from tests.property import specifications_dots as dotted
from tests.property import specifications_json as json
from tests.property import specifications_maps as maps
from tests.property import specifications_slots as slots
from tests.property import specifications_text
from tests.property.strategies import OPERATIONS, REPLICA_IDS

EACH_TYPE = pytest.mark.parametrize("name", registry.names())
EXAMPLES = settings.get_profile(settings.get_current_profile_name()).max_examples
histories = settings(max_examples=EXAMPLES if EXAMPLES > 1_000 else 50)


def pn_counter(history: History) -> PlainValue:
    """Each replica's running sum at its last update, unless a reset has seen that update.

    A reset starts a replica's sum anew only if the replica has seen it, and it had seen the replica's update before: an
    update concurrent with a reset carries the whole earlier sum past it.
    """
    updates = [event for event in history if event.operation.name != "reset"]
    resets = [event for event in history if event.operation.name == "reset"]

    def last_of(at: int, events: Iterable[Event]) -> Event | None:
        own = [event for event in events if event.at == at and event.operation.name != "reset"]
        return max(own, key=lambda event: event.first_n, default=None)

    def running(update: Event) -> int:
        before = last_of(update.at, update.seen)
        was_reset = before is None or any(before in reset.seen and reset in update.seen for reset in resets)
        sign = 1 if update.operation.name == "increment" else -1
        amount = update.operation.arguments[0]
        assert isinstance(amount, int)
        return sign * amount + (0 if was_reset or before is None else running(before))

    lasts = [last for at in range(3) if (last := last_of(at, updates)) is not None]
    return sum(running(last) for last in lasts if not any(last in reset.seen for reset in resets))


def or_set(history: History) -> PlainValue:
    """The elements of which some add was seen by no removal of them and no clear."""

    def removes(event: Event, element: bytes) -> bool:
        name = event.operation.name
        return name == "clear" or (name == "remove" and event.element == element)

    adds = [event for event in history if event.operation.name == "add"]
    alive = {
        add.element for add in adds if not any(add in event.seen and removes(event, add.element) for event in history)
    }
    return tuple(values.decode(element) for element in sorted(alive))


def lww_register(history: History) -> PlainValue:
    """Of the writes that no later write or clear has seen, the one with the greatest time; ids break ties.

    A write's time is its wall clock, or just beyond the greatest time it has seen.
    """

    @cache
    def time(write: Event) -> int:
        seen = [time(other) + 1 for other in write.seen if other.operation.name == "set"]
        return max([write.now_ms << 16, *seen])

    writes = [
        event
        for event in history
        if event.operation.name == "set" and not any(event in other.seen for other in history)
    ]
    if not writes:
        return None
    winner = max(writes, key=lambda write: (time(write), REPLICA_IDS[write.at]))
    return values.decode(winner.element)


MIXED_MAPS = maps.Maps(
    {
        **dotted.SPECIFICATIONS,
        **json.SPECIFICATIONS,
        "PNCounter": pn_counter,
        "GCounter": pn_counter,
        "PNCounterMap": maps.counter_map(pn_counter),
        "ORSet": or_set,
        "ORMultiMap": maps.multi_map(or_set),
        "MaxRegister": slots.max_register,
        "MinRegister": slots.min_register,
        "TwoPhaseSet": slots.two_phase_set,
        "Vote": slots.vote,
        "LWWRegister": lww_register,
        "FWWRegister": slots.fww_register,
        "LWWMap": maps.lww_map,
        **specifications_text.SPECIFICATIONS,
    }
)

SPECIFICATIONS: Mapping[str, Callable[[History], PlainValue]] = {
    "PNCounter": pn_counter,
    "GCounter": pn_counter,
    **dotted.SPECIFICATIONS,
    **json.SPECIFICATIONS,
    **specifications_text.SPECIFICATIONS,
    "LWWMap": maps.lww_map,
    "PNCounterMap": maps.counter_map(pn_counter),
    "ORMap": MIXED_MAPS.or_map,
    "UWMap": MIXED_MAPS.uw_map,
    "RWMap": MIXED_MAPS.rw_map,
    "ORMultiMap": maps.multi_map(or_set),
    "ORSet": or_set,
    "LWWRegister": lww_register,
    "BoundedCounter": slots.bounded_counter,
    "FWWRegister": slots.fww_register,
    "MaxRegister": slots.max_register,
    "MinRegister": slots.min_register,
    "TwoPhaseSet": slots.two_phase_set,
    "Vote": slots.vote,
}


@EACH_TYPE
@histories
@given(data=st.data())
def test_replicas_read_what_the_history_says(name: str, data: st.DataObject) -> None:
    converge(data, registry.get(name), OPERATIONS[name], SPECIFICATIONS[name])


FIRST_OPERATIONS: Mapping[str, tuple[str, PlainValue]] = {
    **dotted.FIRST_OPERATIONS,
    **maps.FIRST_OPERATIONS,
    **json.FIRST_OPERATIONS,
    **specifications_text.FIRST_OPERATIONS,
    "PNCounter": ("increment", 2),
    "ORSet": ("add", "x"),
    "LWWRegister": ("set", "x"),
    "BoundedCounter": ("increment", 2),
    "FWWRegister": ("set", "x"),
    "MaxRegister": ("set", 2),
    "MinRegister": ("set", 2),
    "TwoPhaseSet": ("add", "x"),
    "Vote": ("vote", True),
}


def _first_event(name: str) -> Event:
    operation, argument = FIRST_OPERATIONS[name]
    arguments = argument if isinstance(argument, tuple) else () if argument is None else (argument,)
    return Event(0, Operation(operation, arguments), 1, frozenset())


@EACH_TYPE
def test_specification_tells_operations_apart(name: str) -> None:
    """A specification that ignores its history would agree with a type that ignores its operations."""
    assert SPECIFICATIONS[name](frozenset()) != SPECIFICATIONS[name](frozenset({_first_event(name)}))


@EACH_TYPE
def test_first_operation_has_the_effect_that_its_specification_says(name: str) -> None:
    """Histories leave out what a type refuses; one that refuses everything would agree with an empty history."""
    state = State(registry.get(name), ReplicaTable(), replica_id=REPLICA_IDS[0])
    event = _first_event(name)
    assert state.apply(event.operation, now_ms=event.now_ms) is not None
    assert values.encode(SPECIFICATIONS[name](frozenset({event}))) == values.encode(state.value)


@pytest.mark.parametrize("name", ["JsonDocument"])
@pytest.mark.parametrize("seed", range(12))
def test_long_histories_read_what_the_history_says(name: str, seed: int) -> None:
    """What is drawn above is short; lists that are edited by all meet more of what can happen."""
    rng = random.Random(seed)
    recorder = Recorder(registry.get(name))
    recorder.take(Step(0, Operation("set", ([], {"l": [1, 2, 3], "k": {"l": []}})), 0, 0))
    for at in (1, 2):
        recorder.deliver(at, 0)
    for _ in range(50):
        at = rng.randrange(3)
        if rng.random() < 0.5:
            recorder.take(Step(at, None, rng.randrange(len(recorder.events)), 0))
            continue
        recorder.close(at)
        value = recorder.world.replicas[at].value
        recorder.take(Step(at, json.likely_operation(rng, cast("dict[str, Any]", value)), 0, rng.randrange(4)))
        expected = SPECIFICATIONS[name](frozenset(recorder.applied[at]))
        assert values.encode(expected) == values.encode(recorder.world.replicas[at].value)
