"""Hosts that mean different things by one name: who stays, who is refused, and who is told."""

import pytest

from crdtmesh.runtime.definition import ActorDefinition, Kind
from crdtmesh.runtime.errors import DefinitionConflict
from crdtmesh.runtime.events import Conflicted
from tests.unit.crdtmesh.runtime.mesh import ECHO, STOCK, STOCK_KEY, Node, definition, deliver, link

COUNTER = definition(STOCK, "PNCounter")
SET = definition(STOCK, "ORSet")


def conflicts(node: Node) -> list[Conflicted]:
    """What hosts were told since the last look."""
    found = [event for event in node.events if isinstance(event, Conflicted)]
    node.events.clear()
    return found


@pytest.mark.parametrize(
    "other",
    [
        SET,
        definition(STOCK, "PNCounter", kind=Kind.UNNAMED),
        definition(STOCK),
        definition(STOCK, is_stateful=True, state_type="shop.Goods"),
    ],
    ids=["another type", "a template", "without state", "opaque"],
)
def test_host_that_came_first_stays_and_both_are_told(other: ActorDefinition) -> None:
    node = Node()
    first = node.connect(COUNTER)
    call = node.call(STOCK, "increment")
    first.run_all()
    with pytest.raises(DefinitionConflict, match=r"a named actor with the state PNCounter expected.*got a .*; stop"):
        node.connect(other, definition(ECHO))
    node.flush()
    assert [(STOCK, (first.id,))] == [event[:2] for event in conflicts(node)]
    assert node.reply(call)
    assert ["stock"] == [offer.address.name for offer in node.runtime.offers()], "nothing of the refused host"
    node.call(STOCK, "increment")
    first.run_all()
    assert 2 == node.value(STOCK_KEY)


def test_refused_host_is_taken_when_the_first_has_left() -> None:
    node = Node()
    first = node.connect(COUNTER)
    with pytest.raises(DefinitionConflict):
        node.connect(SET)
    node.lose(first)
    second = node.connect(SET)
    call = node.call(STOCK, "add", b"milk")
    second.run_all()
    assert node.reply(call)


@pytest.mark.parametrize(
    "changes",
    [{"actions": frozenset({"count"})}, {"timers": (("echo", 100),)}, {"deactivation_timeout_ms": 1}],
    ids=["actions", "timers", "timeouts"],
)
def test_what_a_new_version_of_a_program_may_change_is_no_conflict(changes: dict[str, object]) -> None:
    node = Node()
    node.connect(COUNTER)
    node.connect(definition(STOCK, "PNCounter", **changes))
    assert [] == conflicts(node)


def test_opaque_states_of_other_names_are_no_conflict_since_nobody_reads_them() -> None:
    node = Node()
    for name in ("shop.Goods", "shop.v2.Goods"):
        node.connect(definition(STOCK, is_stateful=True, state_type=name))
    assert [] == conflicts(node)


def test_host_may_register_its_own_actor_as_something_else() -> None:
    node = Node()
    host = node.connect(COUNTER)
    node.runtime.host_connected(host.id, [SET], now_ns=node.now_ns)
    assert ["crdtmesh.v1.ORSet"] == [offer.state_type for offer in node.runtime.offers()]


def test_host_of_another_node_stays_and_is_told_too() -> None:
    a, b = Node("a"), Node("b")
    first = a.connect(COUNTER)
    b.runtime.directory_changed({"a": a.runtime.offers()})
    a.runtime.peer_up("b")
    b.runtime.peer_up("a")
    with pytest.raises(DefinitionConflict, match="as node a has it"):
        b.connect(SET)
    b.flush()
    deliver(a, b)
    (told,) = conflicts(a)
    assert (STOCK, (first.id,)) == told[:2]
    assert "got a named actor with the state ORSet" in told.message


def test_both_sides_of_a_split_keep_what_they_have_and_are_told_once_when_they_meet() -> None:
    a, b = Node("a"), Node("b")
    hosts = {"a": a.connect(COUNTER), "b": b.connect(SET)}
    for _ in range(2):
        link(a, b)
    for node in (a, b):
        node.flush()
        (told,) = conflicts(node)
        assert (STOCK, (hosts[node.name].id,)) == told[:2]
    calls = [a.call(STOCK, "increment"), b.call(STOCK, "add", b"milk")]
    for host in hosts.values():
        host.run_all()
    assert [a.reply(calls[0]), b.reply(calls[1])]
