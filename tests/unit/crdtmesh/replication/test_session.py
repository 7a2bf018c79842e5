"""What a repair sends of a large entry: its difference, whatever its size."""

from __future__ import annotations

import pytest

from crdtmesh.crdts.operations import Operation
from crdtmesh.replication import wire
from crdtmesh.replication.options import MESSAGE_BYTES_MAX, PAYLOAD_BYTES_MAX
from crdtmesh.replication.outputs import EntryKey
from tests.unit.crdtmesh.replication.mesh import LIST, Mesh, add, remove

NESTED = EntryKey("shop", "nested", "ORMap")


def nested_add(key: str, element: int | str) -> Operation:
    """Adds to a set in a map in a map."""
    return Operation("update", (key, "ORMap", "update", "x", "ORSet", "add", element))


def bytes_of_repair(mesh: Mesh) -> int:
    """Connects a and b, has them repair each other, and counts the bytes of the entries and of what goes with them."""
    mesh.connect("a", "b")
    size = 0
    for _ in range(6):
        for source in "ab":
            mesh[source].sync()
            for message in mesh.take_sent(source):
                if message.payload[1] == wire.Kind.REPAIR:
                    size += len(message.payload)
                mesh.deliver(source, message)
    return size


def apart(*updates: Operation, key: EntryKey = LIST) -> Mesh:
    """Two replicas that agree on an entry and have no link."""
    mesh = Mesh("ab")
    mesh.connect("a", "b")
    mesh.update("a", key, *updates)
    mesh.drain()
    assert mesh.agree()
    mesh.disconnect("a", "b")
    return mesh


MANY = [add(f"element {number}") for number in range(2_000)]


@pytest.mark.parametrize("size", [10, 2_000])
def test_one_new_element_costs_the_same_in_a_small_and_in_a_large_set(size: int) -> None:
    mesh = apart(*MANY[:size])
    mesh.update("a", LIST, add("one more"))
    assert bytes_of_repair(mesh) < 110
    assert mesh.agree()
    assert size + 1 == len(list(mesh.value("b", LIST)))  # type: ignore[arg-type]


def test_removed_elements_are_named_by_their_dots() -> None:
    mesh = apart(*MANY)
    mesh.update("a", LIST, remove("element 7"), remove("element 1234"))
    assert bytes_of_repair(mesh) < 120
    assert mesh.agree()
    assert 1_998 == len(list(mesh.value("b", LIST)))  # type: ignore[arg-type]


def test_both_sides_have_news_for_each_other() -> None:
    mesh = apart(*MANY)
    mesh.update("a", LIST, add("of a"), remove("element 3"))
    mesh.update("b", LIST, add("of b"), remove("element 4"))
    assert bytes_of_repair(mesh) < 400
    assert mesh.agree()
    assert 2_000 == len(list(mesh.value("b", LIST)))  # type: ignore[arg-type]


def test_change_deep_in_nested_maps_costs_what_changed() -> None:
    mesh = apart(*(nested_add(f"k{number}", number) for number in range(500)), key=NESTED)
    mesh.update("a", NESTED, nested_add("k7", "new"))
    assert bytes_of_repair(mesh) < 160
    assert mesh.agree()


def test_packed_entry_of_a_restarted_sender_is_repaired_by_its_difference() -> None:
    mesh = apart(*MANY)
    mesh.update("a", LIST, add("one more"))
    mesh["a"].sync()
    mesh.restart("a")
    assert bytes_of_repair(mesh) < 110
    assert mesh.agree()


def test_entry_above_the_payload_limit_is_repaired_in_one_small_message() -> None:
    elements = [add("x" * 100_000 + str(number)) for number in range(30)]
    mesh = apart(*elements)
    assert PAYLOAD_BYTES_MAX < 3_000_000 < MESSAGE_BYTES_MAX
    mesh.update("a", LIST, add("small"))
    assert bytes_of_repair(mesh) < 110
    assert mesh.agree()
