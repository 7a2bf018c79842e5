"""Types that a node does not know: kept, counted, repaired, passed on, and opened by a version that knows them."""

from __future__ import annotations

import pytest

from crdtmesh.crdts import registry
from crdtmesh.crdts.errors import InvalidOperation, UnknownType
from crdtmesh.crdts.set_aw import OR_SET
from crdtmesh.replication.options import SECOND_NS, ReplicationOptions
from crdtmesh.replication.outputs import EntryKey
from tests.unit.crdtmesh.replication.mesh import STOCK, Mesh, add, increment, remove

LATER = EntryKey("shop", "list", "ORSet.2")


class _Later:
    """What a later version could bring: the add-wins set under a name that this one does not know."""

    name = "ORSet.2"

    def __getattr__(self, name: str) -> object:
        return getattr(OR_SET, name)


class _Registry:
    """Switches between a version that knows the type and one that does not."""

    def __init__(self) -> None:
        self.is_known = True
        self.type = _Later()

    def get(self, name: str) -> object:
        if name == _Later.name:
            if not self.is_known:
                raise UnknownType(f"no data type {name!r}")
            return self.type
        return _GET(name)


_GET = registry.get


@pytest.fixture
def version(monkeypatch: pytest.MonkeyPatch) -> _Registry:
    switch = _Registry()
    monkeypatch.setattr(registry, "get", switch.get)
    return switch


def settle_unknowing(mesh: Mesh, version: _Registry, *, unknowing: str) -> None:
    """Rounds of repair in which one node does not know the type."""
    for _ in range(12):
        for name in mesh.nodes:
            version.is_known = name != unknowing
            mesh[name].replica.tick(now_ns=mesh.now_ns, wall_ms=mesh.wall_ms)
            mesh[name].sync()
        for name in mesh.nodes:
            for message in mesh.take_sent(name):
                version.is_known = message.peer != unknowing
                mesh.deliver(name, message)
                mesh[message.peer].sync()
        mesh.now_ns += SECOND_NS
    version.is_known = True


def test_unknown_type_is_passed_on_by_a_node_that_does_not_know_it(version: _Registry) -> None:
    mesh = Mesh("abc")
    mesh.connect("a", "b")
    mesh.connect("b", "c")
    mesh.update("a", LATER, add("milk"), add("eggs"))
    mesh.update("a", LATER, remove("milk"))
    mesh.update("c", LATER, add("flour"))
    mesh.update("a", STOCK, increment())
    settle_unknowing(mesh, version, unknowing="b")
    assert [("eggs", "flour"), None, ("eggs", "flour")] == mesh.values(LATER)
    assert 1 == mesh.value("b", STOCK)
    assert mesh.agree()
    assert 1 == len({len(mesh.shard(name, LATER).applied) for name in "abc"})
    assert [] == mesh.rejections("b")


def test_unknown_type_survives_restarts_and_is_opened_by_a_version_that_knows_it(version: _Registry) -> None:
    mesh = Mesh("ab", options=ReplicationOptions(checkpoint_log_rows=1))
    mesh.connect_all()
    mesh.update("a", LATER, add("milk"), add("eggs"))
    settle_unknowing(mesh, version, unknowing="b")
    mesh.update("a", LATER, remove("milk"))
    settle_unknowing(mesh, version, unknowing="b")
    version.is_known = False
    mesh.restart("b")
    assert mesh.value("b", LATER) is None
    assert mesh.agree()
    with pytest.raises(InvalidOperation):
        mesh.update("b", LATER, add("flour"))
    mesh["b"].sync()
    version.is_known = True
    mesh.restart("b")
    assert ("eggs",) == mesh.value("b", LATER)
    mesh.update("b", LATER, add("flour"))
    assert ("eggs", "flour") == mesh.value("b", LATER)


def test_audit_finds_no_mismatch_between_who_knows_and_who_does_not(version: _Registry) -> None:
    mesh = Mesh("ab", options=ReplicationOptions(shards=1, audit_interval_ns=2 * SECOND_NS))
    mesh.connect_all()
    for number in range(5):
        mesh.update("a", LATER, add(number))
        mesh.update("a", LATER, remove(number - 1))
    settle_unknowing(mesh, version, unknowing="b")
    assert 0 < mesh["b"].replica._receiver.auditor.count
    assert [[], []] == [mesh.alarms(name) for name in "ab"]


def test_unknown_type_is_handed_over_with_its_shard(version: _Registry) -> None:
    mesh = Mesh("ab")
    mesh.update("a", LATER, add("milk"), add("eggs"))
    mesh.update("a", LATER, remove("milk"))
    mesh["a"].sync()
    mesh.forget_all("a")
    mesh.connect_all()
    settle_unknowing(mesh, version, unknowing="b")
    assert 1 == mesh["b"].replica._receiver.stagings.count
    assert mesh.agree()
    mesh["b"].sync()
    mesh.restart("b")
    assert ("eggs",) == mesh.value("b", LATER)


def test_type_that_becomes_known_while_a_node_runs_asks_for_a_restart(version: _Registry) -> None:
    mesh = Mesh("ab")
    mesh.connect_all()
    mesh.update("a", LATER, add("milk"))
    settle_unknowing(mesh, version, unknowing="b")
    mesh.update("a", LATER, add("eggs"))
    mesh.drain()
    assert "limit_exceeded" in mesh.rejections("b")
    mesh.restart("b")
    mesh.connect_all()
    mesh.settle()
    assert [("eggs", "milk")] * 2 == mesh.values(LATER)
