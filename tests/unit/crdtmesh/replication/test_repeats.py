"""Operation ids: a retry of an update whose outcome is unknown is not done twice."""

from __future__ import annotations

import pytest

from crdtmesh.replication.errors import LimitExceeded
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.replication.repeats import OPERATION_ID_CHARS_MAX, OPERATION_ID_MS, OPERATION_IDS_PER_KEY_MAX, beside
from crdtmesh.replication.updating import BatchResult
from tests.unit.crdtmesh.replication.mesh import LIST, STOCK, Mesh, add, increment


def once(mesh: Mesh, name: str, operation_id: str, *, after_ms: int = 0) -> BatchResult:
    """Increments the stock under an id."""
    return mesh[name].replica.update_batch(
        [(STOCK, [increment()])], ticket=operation_id, wall_ms=mesh.wall_ms + after_ms, operation_id=operation_id
    )


def test_what_was_done_under_an_id_is_not_done_again() -> None:
    mesh = Mesh("a")
    assert once(mesh, "a", "x").event is not None
    repeated = once(mesh, "a", "x")
    assert (None, 1) == (repeated.event, repeated.entries[0].value())
    once(mesh, "a", "y")
    assert 2 == mesh.value("a", STOCK)


def test_retry_waits_for_what_it_repeats() -> None:
    mesh = Mesh("a")
    once(mesh, "a", "x")
    once(mesh, "a", "x")
    mesh["a"].flush()
    assert [] == mesh["a"].committed
    mesh["a"].sync()
    assert ["x", "x"] == mesh["a"].committed


def test_id_is_known_where_the_update_is_and_after_a_restart() -> None:
    mesh = Mesh("ab")
    mesh.connect_all()
    once(mesh, "a", "x")
    mesh.drain()
    assert once(mesh, "b", "x").event is None
    mesh.restart("a")
    assert once(mesh, "a", "x").event is None
    assert [1, 1] == mesh.values(STOCK)


def test_id_comes_with_its_update_by_repair_too() -> None:
    mesh = Mesh("ab")
    once(mesh, "a", "x")
    mesh["a"].sync()
    mesh.take_sent("a")
    mesh.connect_all()
    mesh.settle()
    assert once(mesh, "b", "x").event is None


def test_id_is_kept_for_ten_minutes() -> None:
    mesh = Mesh("a")
    once(mesh, "a", "x")
    assert once(mesh, "a", "x", after_ms=OPERATION_ID_MS - 1).event is None
    assert once(mesh, "a", "x", after_ms=OPERATION_ID_MS).event is not None


def test_ids_of_a_key_are_bounded() -> None:
    mesh = Mesh("a")
    for number in range(OPERATION_IDS_PER_KEY_MAX + 5):
        once(mesh, "a", f"{number}", after_ms=number)
    kept = mesh.value("a", beside(STOCK))
    assert isinstance(kept, tuple)
    assert OPERATION_IDS_PER_KEY_MAX == len(kept)
    assert once(mesh, "a", f"{OPERATION_IDS_PER_KEY_MAX + 4}", after_ms=OPERATION_IDS_PER_KEY_MAX + 5).event is None
    assert once(mesh, "a", "0", after_ms=OPERATION_IDS_PER_KEY_MAX + 5).event is not None, "the oldest was pushed out"


def test_ids_lie_in_the_shard_of_their_key_and_are_hidden_from_lists() -> None:
    mesh = Mesh("a")
    for number in range(50):
        key = EntryKey("shop", f"key-{number}", "ORSet")
        assert mesh["a"].replica.shard_of(key) == mesh["a"].replica.shard_of(beside(key))
    mesh["a"].replica.update_batch([(LIST, [add(1)])], ticket=None, wall_ms=0, operation_id="x")
    assert [LIST] == [view.key for view in mesh["a"].replica.entries("shop")]


@pytest.mark.parametrize("operation_id", ["x" * (OPERATION_ID_CHARS_MAX + 1)])
def test_id_that_is_too_long_is_refused(operation_id: str) -> None:
    mesh = Mesh("a")
    with pytest.raises(LimitExceeded):
        once(mesh, "a", operation_id)
    assert mesh.value("a", STOCK) is None
