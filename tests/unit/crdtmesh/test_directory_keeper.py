"""The keeper between a real engine and two replicas that hear of each other's entries as after a restart."""

from __future__ import annotations

from typing import Any, Final

import pytest

from crdtmesh.directory import announcement, entry_key
from crdtmesh.directory_keeper import DirectoryKeeper
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.runtime.definition import MESH_SYSTEM, ActorAddress
from crdtmesh.runtime.messages import ActorOffer
from tests.unit.crdtmesh.test_engine import Bench

OTHER: Final = bytes([1] * 16)
CART: Final = ActorOffer(address=ActorAddress("shops", "cart"), state_type="crdtmesh.v1.ORSet", actions=("add",))


@pytest.fixture
async def bench() -> Bench:
    return Bench()


def _offer_of_b(bench: Bench) -> None:
    said = announcement(OTHER, [CART])
    bench.engine.replica.update(entry_key("b"), [said], ticket=None, wall_ms=1_000)


def _keeper(bench: Bench, refusals: list[str] | None = None) -> DirectoryKeeper:
    told = refusals if refusals is not None else []
    return DirectoryKeeper("a", bytes(16), bench.engine, wall_ms=lambda: 1_000, refused=told.append)


async def test_entries_that_were_loaded_are_read(bench: Bench) -> None:
    _offer_of_b(bench)
    keeper = _keeper(bench)

    keeper.members_changed({"b": OTHER.hex()})

    assert {"b": [CART]} == keeper.directory.offers()


async def test_an_entry_that_changes_is_read_again(bench: Bench) -> None:
    keeper = _keeper(bench)
    keeper.members_changed({"b": OTHER.hex()})
    _offer_of_b(bench)

    keeper.entry_changed(entry_key("b"))

    assert {"b": [CART]} == keeper.directory.offers()


async def test_other_entries_do_not_matter(bench: Bench) -> None:
    keeper = _keeper(bench)
    keeper.members_changed({"b": OTHER.hex()})
    _offer_of_b(bench)

    for key in (EntryKey("shops", "b", "LWWRegister"), EntryKey(MESH_SYSTEM, "b", "ORSet")):
        keeper.entry_changed(key)

    assert {} == keeper.directory.offers()


async def test_what_the_node_offers_is_written_with_its_start(bench: Bench) -> None:
    _keeper(bench).announce()

    view: Any = bench.engine.replica.read(entry_key("a"))
    assert {"start": "00" * 16, "actors": ()} == view.value()


async def test_a_refused_announcement_is_told(bench: Bench) -> None:
    bench.engine.replica.persist_failed(0, "disk full")
    refusals: list[str] = []

    _keeper(bench, refusals).announce()

    assert 1 == len(refusals)
