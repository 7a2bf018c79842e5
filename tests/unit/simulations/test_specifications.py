"""Every data type has a mix of operations and a meaning, and each meaning accepts and refuses what it should."""

import random
from collections.abc import Mapping, Sequence

import pytest

from crdtmesh.crdts import registry
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.state import State
from crdtmesh.crdts.values import PlainValue
from crdtmesh.replication.outputs import EntryKey, EventRun
from simulations.history import Call
from simulations.mixes import LOOKALIKES, MIXES, Drawing
from simulations.specifications import SPECIFICATIONS, deeds_of

A, B, C, D = (name * 16 for name in (b"a", b"b", b"c", b"d"))


def deed(replica: bytes, number: int, *operations: tuple[object, ...], sees: Mapping[bytes, int] | None = None) -> Call:
    return Call(
        number=0,
        client=0,
        node="n1",
        key=EntryKey("shop", "k", "T"),
        operations=tuple(Operation(str(name), tuple(rest)) for name, *rest in operations),  # type: ignore[arg-type]
        is_update=True,
        invoked_ns=0,
        event=EventRun(replica, number, number + len(operations) - 1, 0),
        visible={(0, replica_id): ((1, last),) for replica_id, last in (sees or {}).items()},
    )


def problem(name: str, value: PlainValue, *calls: Call, lost: Sequence[Call] = ()) -> str:
    return SPECIFICATIONS[name](deeds_of(calls, lambda call: call not in lost), value)


def test_every_registered_type_is_written_to_and_has_a_meaning() -> None:
    assert set(registry.names()) == set(MIXES) == set(SPECIFICATIONS)


@pytest.mark.parametrize("name", sorted(MIXES))
def test_meaning_of_one_writer_is_what_the_type_reads(name: str) -> None:
    rng = random.Random(name)
    state = State(registry.get(name), ReplicaTable(), replica_id=A)
    calls: list[Call] = []
    number = 1
    for step in range(200):
        operation = MIXES[name](Drawing(rng, (*LOOKALIKES, "e0"), str(step)))
        if name == "BoundedCounter" and operation.name != "increment":
            continue  # one without rights is refused
        if state.apply(operation, now_ms=step) is None:
            continue
        call = deed(A, number, (operation.name, *operation.arguments), sees={A: number - 1} if number > 1 else {})
        calls.append(call)
        number += 1
        assert problem(name, state.value, *calls) == ""


def test_reset_of_a_running_sum_spares_what_it_has_not_seen() -> None:
    first, reset = deed(A, 1, ("increment", 5)), deed(B, 1, ("reset",), sees={A: 1})
    second = deed(A, 2, ("increment", 2), sees={A: 1})
    assert problem("PNCounter", 7, first, reset, second) == ""
    after = deed(A, 2, ("increment", 2), sees={A: 1, B: 1})
    assert problem("PNCounter", 2, first, reset, after) == ""
    assert problem("PNCounter", 7, first, reset, after)


def test_reset_spares_a_sum_that_was_gone_already_when_it_was_made() -> None:
    first, reset = deed(A, 1, ("increment", 6)), deed(B, 1, ("reset",), sees={A: 1})
    again = deed(C, 1, ("reset",), sees={A: 1, B: 1})
    # The second reset comes before the first one: it removed nothing of this replica, whose sum still stands.
    moved = deed(A, 2, ("decrement", 8), sees={A: 1, C: 1})
    assert problem("PNCounter", -2, first, reset, again, moved) == ""
    assert problem("PNCounter", -8, first, reset, again, moved)
    informed = deed(A, 2, ("decrement", 8), sees={A: 1, B: 1, C: 1})
    assert problem("PNCounter", -8, first, reset, again, informed) == ""


def test_element_is_back_when_what_removed_it_is_lost_though_others_had_seen_that() -> None:
    first, removal = deed(A, 1, ("add", "x")), deed(B, 1, ("remove", "x"), sees={A: 1})
    second = deed(C, 1, ("add", "x"), sees={A: 1, B: 1})
    last = deed(D, 1, ("remove", "x"), sees={A: 1, B: 1, C: 1})
    calls = first, removal, second, last
    assert problem("ORSet", (), *calls) == "" != problem("ORSet", ("x",), *calls)
    assert problem("ORSet", ("x",), *calls, lost=[removal]) == "" != problem("ORSet", (), *calls, lost=[removal])


def test_acknowledged_removal_without_an_event_keeps_away_all_that_it_saw() -> None:
    first, removal = deed(A, 1, ("add", "x")), deed(B, 1, ("remove", "x"), sees={A: 1})
    found_nothing = deed(C, 1, ("remove", "x"), sees={A: 1, B: 1})
    found_nothing.event = None
    assert problem("ORSet", (), first, removal, found_nothing, lost=[removal]) == ""
    assert problem("ORSet", ("x",), first, removal, found_nothing, lost=[removal])


def test_removals_win_in_one_set_and_additions_in_the_other() -> None:
    calls = deed(A, 1, ("add", "x")), deed(B, 1, ("remove", "x"))
    assert problem("ORSet", ("x",), *calls) == "" != problem("ORSet", (), *calls)
    assert problem("RWSet", (), *calls) == "" != problem("RWSet", ("x",), *calls)


def test_first_writer_keeps_its_register_and_the_last_one_gets_the_other() -> None:
    calls = deed(A, 1, ("set", "x")), deed(B, 1, ("set", "y"), sees={A: 1})
    assert problem("FWWRegister", "x", *calls) == "" != problem("FWWRegister", "y", *calls)
    assert problem("LWWRegister", "y", *calls) == "" != problem("LWWRegister", "x", *calls)
    assert problem("MVRegister", ("y",), *calls) == "" != problem("MVRegister", ("x", "y"), *calls)


def test_removed_key_loses_what_the_removal_saw_and_no_more() -> None:
    calls = (
        deed(A, 1, ("update", "k", "PNCounter", "increment", 5)),
        deed(B, 1, ("remove", "k"), sees={A: 1}),
        deed(A, 2, ("update", "k", "ORSet", "add", "x"), sees={A: 1}),
    )
    assert problem("ORMap", {"k": {"ORSet": ("x",)}}, *calls) == ""
    assert problem("ORMap", {"k": {"ORSet": ("x",), "PNCounter": 5}}, *calls)
