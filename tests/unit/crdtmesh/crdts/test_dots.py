"""Packed dots and the table of replica ids."""

from __future__ import annotations

import pytest

from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import N_MAX, ReplicaTable, n_of, pack_dot, replica_of
from crdtmesh.crdts.errors import ReplicaTableFull


def test_dot_gives_back_its_parts() -> None:
    dot = pack_dot(65_535, N_MAX)
    assert (65_535, N_MAX) == (replica_of(dot), n_of(dot))
    assert dot < 1 << 60


@pytest.mark.parametrize(("replica", "n"), [(1, 0), (1, -1), (1, N_MAX + 1), (0, 1), (65_536, 1)])
def test_dot_out_of_range_is_refused(replica: int, n: int) -> None:
    with pytest.raises(ValueError, match="must be in 1"):
        pack_dot(replica, n)


def test_replica_id_keeps_its_number() -> None:
    table = ReplicaTable()
    assert [1, 2, 1] == [table.intern(each) for each in (b"a" * 16, b"b" * 16, b"a" * 16)]
    assert b"b" * 16 == table.id_of(2)
    assert (2, True, None) == (len(table), b"a" * 16 in table, table.find(b"c" * 16))


def test_full_table_refuses_new_ids_and_keeps_old_ones() -> None:
    table = ReplicaTable(capacity=1)
    table.intern(b"a" * 16)
    with pytest.raises(ReplicaTableFull, match="capacity=1"):
        table.intern(b"b" * 16)
    assert 1 == table.intern(b"a" * 16) == len(table)


@pytest.mark.parametrize("replica_id", [b"", b"a" * 15, b"a" * 17])
def test_replica_id_of_another_length_is_refused(replica_id: bytes) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        ReplicaTable().intern(replica_id)


@pytest.mark.parametrize("replica", [0, -1, 2])
def test_number_that_was_not_handed_out_has_no_id(replica: int) -> None:
    table = ReplicaTable()
    table.intern(b"a" * 16)
    with pytest.raises(LookupError):
        table.id_of(replica)


@pytest.mark.parametrize("capacity", [0, 65_536])
def test_capacity_out_of_range_is_refused(capacity: int) -> None:
    with pytest.raises(ValueError, match="capacity"):
        ReplicaTable(capacity)


def test_context_shows_its_intervals() -> None:
    context = CausalContext(ReplicaTable(), [pack_dot(1, 1), pack_dot(1, 2), pack_dot(2, 5)])
    assert "CausalContext(1:1-2, 2:5-5)" == repr(context)
    assert context != "something else"


@pytest.mark.parametrize(
    ("first", "last"), [(pack_dot(1, 2), pack_dot(1, 1)), (pack_dot(1, 1), pack_dot(2, 1)), (1 << 44, (1 << 44) + 1)]
)
def test_run_that_is_none_is_refused(first: int, last: int) -> None:
    with pytest.raises(ValueError, match="not a run"):
        CausalContext(ReplicaTable()).add_run(first, last)
