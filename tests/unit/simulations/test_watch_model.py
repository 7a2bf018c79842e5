"""The model of a watch takes what follows from what was shown, and finds what does not."""

from typing import Any

import pytest

from crdtmesh.replication.outputs import EntryKey
from crdtmesh.sdk.watch import MapChange, SetChange, WatchEvent
from simulations.watch_model import WatchModel


def event(kind: Any, key: str = "k", type_name: str = "LWWRegister", **fields: Any) -> WatchEvent:
    return WatchEvent(kind=kind, system="shop", key=key, type_name=type_name, **fields)


def shown(*events: WatchEvent) -> WatchModel:
    model = WatchModel()
    for each in (event("snapshot"), *events, event("complete")):
        assert not model.take(each)
    return model


def key(type_name: str = "LWWRegister") -> EntryKey:
    return EntryKey("shop", "k", type_name)


def test_snapshot_and_changes_make_the_state() -> None:
    model = shown(event("present", value="a"))
    assert not model.take(event("changed", value="b", old_value="a"))
    assert [] == model.unlike({key(): "b"})
    assert model.unlike({key(): "a"})
    assert not model.take(event("deleted", old_value="b"))
    assert [] == model.unlike({})


def test_sets_change_by_elements_that_python_takes_for_one() -> None:
    model = shown(event("present", type_name="ORSet", value=(1, "x")))
    change = SetChange(added=(True,), removed=(1,))
    assert not model.take(event("changed", type_name="ORSet", change=change))
    assert [] == model.unlike({key("ORSet"): ("x", True)})
    assert model.unlike({key("ORSet"): ("x", 1)})


def test_maps_change_by_keys() -> None:
    model = shown(event("present", type_name="LWWMap", value={"a": 1, "b": 2}))
    change = MapChange(added={"c": 3}, removed={"a": 1}, changed={"b": (2, 4)})
    assert not model.take(event("changed", type_name="LWWMap", change=change))
    assert [] == model.unlike({key("LWWMap"): {"b": 4, "c": 3}})


def test_new_snapshot_forgets_what_was_shown() -> None:
    model = shown(event("present", value="a"))
    assert not model.take(event("snapshot"))
    assert not model.is_complete
    assert not model.take(event("absent"))
    assert not model.take(event("complete"))
    assert [] == model.unlike({})


@pytest.mark.parametrize(
    "wrong",
    [
        event("changed", value="c", old_value="b"),
        event("changed", value="a", old_value="a"),
        event("changed", key="other", value="c", old_value="b"),
        event("deleted", key="other"),
        event("deleted", old_value="b"),
        event("present", key="other", value="c"),
        event("changed", key="set", type_name="ORSet", change=SetChange(added=("x",))),
        event("changed", key="set", type_name="ORSet", change=SetChange(removed=("y",))),
        event("changed", key="set", type_name="ORSet", change=SetChange()),
        event("changed", key="map", type_name="LWWMap", change=MapChange(added={"m": 2})),
        event("changed", key="map", type_name="LWWMap", change=MapChange(removed={"m": 2})),
        event("changed", key="map", type_name="LWWMap", change=MapChange(changed={"n": (1, 2)})),
        event("changed", key="map", type_name="LWWMap", change=MapChange()),
    ],
)
def test_change_that_does_not_follow_is_found(wrong: WatchEvent) -> None:
    model = shown(
        event("present", value="a"),
        event("present", key="set", type_name="ORSet", value=("x",)),
        event("present", key="map", type_name="LWWMap", value={"m": 1}),
    )
    assert model.take(wrong)


def test_entry_that_comes_twice_in_a_snapshot_or_changes_within_it_is_found() -> None:
    model = WatchModel()
    model.take(event("snapshot"))
    assert not model.take(event("present", value="a"))
    assert model.take(event("present", value="a"))
    assert model.take(event("changed", value="b", old_value="a"))
