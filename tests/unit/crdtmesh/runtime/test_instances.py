"""Instances of UNNAMED templates: how they are named, remembered and told apart."""

import pytest

from crdtmesh.replication.outputs import EntryKey
from crdtmesh.runtime.definition import ActorAddress, Kind
from crdtmesh.runtime.errors import ErrorCode, SpawnRefused
from crdtmesh.runtime.messages import TurnEffects
from crdtmesh.runtime.opaque import OpaqueState
from tests.unit.crdtmesh.runtime.mesh import ECHO, SYSTEM, TYPE_URL, Host, Node, definition, deliver, link

CUSTOMER = ActorAddress(SYSTEM, "customer")
EVE = ActorAddress(SYSTEM, "eve", "customer")
BARE = ActorAddress(SYSTEM, "eve")
TEMPLATE = definition(CUSTOMER, is_stateful=True, kind=Kind.UNNAMED)
KEY = EntryKey(SYSTEM, "customer\x1feve", "LWWRegister")


def alone() -> Node:
    """A node that counts, and nobody else does."""
    node = Node()
    node.enlist("a")
    return node


def answer(host: Host, data: bytes) -> ActorAddress:
    """Answers the one turn that is there with a new state; tells whose it was."""
    (turn,) = host.take()
    host.answer([(turn.number, TYPE_URL, b"", TurnEffects(state=OpaqueState("t", data)))], [])
    return turn.actor


def spawn(node: Node, *instances: ActorAddress) -> None:
    node.runtime.spawn(instances, wall_ms=node.wall_ms)
    node.flush()


def test_spawned_instance_is_called_by_its_name_alone() -> None:
    node = alone()
    host = node.connect(TEMPLATE)
    spawn(node, EVE)
    for number, address in enumerate((EVE, BARE)):
        node.call(address, "echo")
        assert EVE == answer(host, bytes([number]))
    assert ("t", b"\x01", {}) == node.value(KEY)


def test_instance_that_was_called_with_its_parent_needs_no_spawn() -> None:
    node = alone()
    host = node.connect(TEMPLATE)
    for address in (EVE, BARE):
        node.call(address, "echo")
        assert EVE == answer(host, b"x")


def test_spawn_is_known_at_other_nodes_and_after_a_restart_of_the_host() -> None:
    a, b = Node("a"), Node("b")
    a.enlist("a", "b")
    a.meet(b)
    host = b.connect(TEMPLATE)
    link(a, b)
    spawn(b, EVE)
    deliver(a, b)
    a.call(BARE, "echo")
    deliver(a, b)
    assert EVE == answer(host, b"x")
    b.lose(host)
    host = b.connect(TEMPLATE)
    b.call(BARE, "echo")
    deliver(a, b)
    assert EVE == answer(host, b"y")


def test_template_is_called_by_its_own_name() -> None:
    node = alone()
    host = node.connect(TEMPLATE)
    for address in (CUSTOMER, ActorAddress(SYSTEM, "customer", "customer")):
        node.call(address, "echo")
        assert CUSTOMER == answer(host, b"x")


def test_parent_of_a_named_actor_says_nothing() -> None:
    node = alone()
    host = node.connect(definition(ECHO))
    node.call(ActorAddress(SYSTEM, "echo", "other"), "echo")
    (turn,) = host.take()
    assert ECHO == turn.actor


def test_spawn_of_an_unknown_template_is_refused_whole() -> None:
    node = alone()
    node.connect(TEMPLATE)
    with pytest.raises(SpawnRefused, match="parent 'nobody' expected to be an UNNAMED actor"):
        spawn(node, EVE, ActorAddress(SYSTEM, "adam", "nobody"))
    assert ErrorCode.UNKNOWN_ACTOR == node.failure(node.call(BARE, "echo")).code


def test_first_template_of_a_name_stays() -> None:
    node = alone()
    host = node.connect(TEMPLATE, definition(ActorAddress(SYSTEM, "guest"), kind=Kind.UNNAMED))
    spawn(node, EVE)
    spawn(node, ActorAddress(SYSTEM, "eve", "guest"))
    node.call(BARE, "echo")
    assert EVE == answer(host, b"x")


def test_template_that_is_registered_anew_ends_its_instances() -> None:
    node = alone()
    host = node.connect(TEMPLATE)
    node.call(EVE, "echo")
    answer(host, b"x")
    newer = node.connect(definition(CUSTOMER, is_stateful=True, kind=Kind.UNNAMED, actions=frozenset({"more", "echo"})))
    assert [EVE] == (host.take(), host.released)[1]
    node.call(EVE, "more")
    assert EVE == answer(newer, b"y")


def test_a_forgotten_instance_is_known_by_its_name_no_more_and_leaves_memory() -> None:
    node = alone()
    host = node.connect(TEMPLATE)
    spawn(node, EVE)
    node.call(BARE, "echo")
    answer(host, b"1")
    node.flush()
    assert 1 == node.runtime.active

    assert EVE == node.runtime.resolve(BARE)
    assert node.runtime.forget(EVE, wall_ms=node.wall_ms)
    node.flush()
    assert 0 == node.runtime.active
    assert BARE == node.runtime.resolve(BARE)
    assert not node.runtime.forget(EVE, wall_ms=node.wall_ms)
