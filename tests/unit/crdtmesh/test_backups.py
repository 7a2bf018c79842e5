"""Backups of a replica's disk: a node that starts on one has its data, and does not count as if it had all."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from crdtmesh.backups import back_up, restore
from crdtmesh.crdts.operations import Operation
from crdtmesh.persistence.base import StateRecord, records_of
from crdtmesh.persistence.errors import StoreExists, StoreForeign
from crdtmesh.persistence.sqlite import SqliteOptions, SqliteStore
from crdtmesh.replication.checkpoint import RECONCILED_KEY
from crdtmesh.replication.options import ReplicationOptions
from crdtmesh.replication.outputs import EntryKey, Persist
from crdtmesh.replication.replica import Replica

WALL_MS = 1_700_000_000_000
KEY = EntryKey("shop", "stock", "PNCounter")


def opened(directory: Path, node: str) -> tuple[SqliteStore, Replica]:
    store = SqliteStore(SqliteOptions(directory=directory, node=node, cluster="c"), lambda seq, error: None)
    store.open()
    rng = random.Random(f"{directory.name} {node}")
    replica = Replica(ReplicationOptions(), node=node, replica_id=rng.randbytes(16), rng=rng, now_ns=0, wall_ms=WALL_MS)
    replica.load(store.load())
    return store, replica


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """What a node leaves that has reconciled and counted to 5."""
    store, replica = opened(tmp_path / "a", "a")
    replica.update(KEY, [Operation("increment", (5,))], ticket=None, wall_ms=WALL_MS)
    for output in replica.take_outgoing():
        if isinstance(output, Persist):
            store.write(output.seq, [*output.records, StateRecord(RECONCILED_KEY, b"a")])
    store.close()
    return tmp_path / "a"


@pytest.mark.parametrize("node", ["a", "b"])
def test_a_restored_directory_has_the_state_but_no_claim_to_have_reconciled(
    directory: Path, tmp_path: Path, node: str
) -> None:
    back_up(directory, tmp_path / "file")
    restore(tmp_path / "file", tmp_path / "new", node=node, cluster="c")
    store, replica = opened(tmp_path / "new", node)
    view = replica.read(KEY)
    rows = list(records_of(store.load()))
    store.close()
    assert view is not None
    assert 5 == view.value()
    assert RECONCILED_KEY not in [row.key for row in rows if isinstance(row, StateRecord)]


def test_restore_refuses_a_directory_with_anything_in_it(directory: Path, tmp_path: Path) -> None:
    back_up(directory, tmp_path / "file")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "mine").touch()
    with pytest.raises(StoreExists, match="not empty"):
        restore(tmp_path / "file", tmp_path / "new", node="a", cluster="c")
    assert ["mine"] == [path.name for path in (tmp_path / "new").iterdir()]


def test_restore_refuses_another_cluster_s_backup(directory: Path, tmp_path: Path) -> None:
    back_up(directory, tmp_path / "file")
    with pytest.raises(StoreForeign, match="--cluster"):
        restore(tmp_path / "file", tmp_path / "new", node="a", cluster="d")
    assert not (tmp_path / "new").exists()


def test_a_directory_without_a_store_has_no_backup(tmp_path: Path) -> None:
    with pytest.raises(StoreForeign, match="--data-dir"):
        back_up(tmp_path, tmp_path / "file")
