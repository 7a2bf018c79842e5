"""A replica on a real disk."""

from __future__ import annotations

import queue
from pathlib import Path

from crdtmesh.crdts.operations import Operation
from crdtmesh.persistence.base import records_of
from crdtmesh.persistence.sqlite import SqliteOptions, SqliteStore
from crdtmesh.replication.options import ReplicationOptions
from crdtmesh.replication.outputs import EntryKey, Persist
from tests.unit.crdtmesh.replication.mesh import STOCK, Mesh, add, increment, remove


def test_state_and_log_come_back_from_sqlite(tmp_path: Path) -> None:
    done: queue.Queue[tuple[int, str | None]] = queue.Queue()
    options = SqliteOptions(directory=tmp_path, node="a", cluster="shops")
    store = SqliteStore(options, lambda seq, error: done.put((seq, error)))
    store.open()
    mesh = Mesh("a", options=ReplicationOptions(checkpoint_log_rows=3, checkpoint_slice_entries=2))
    replica = mesh["a"].replica
    for number in range(10):
        mesh.update("a", STOCK, increment(), ticket=number)
        mesh.update("a", EntryKey("shop", f"list-{number % 4}", "ORSet"), add(number))
        for output in replica.take_outgoing():
            if isinstance(output, Persist):
                store.write(output.seq, output.records)
                assert (output.seq, None) == done.get(timeout=10)
                replica.persisted(output.seq, now_ns=0)
    mesh["a"].flush()
    assert list(range(10)) == mesh["a"].committed
    store.close()

    again = SqliteStore(options, lambda seq, error: None)
    again.open()
    loaded = mesh.new_replica("a")
    loaded.load(again.load())
    again.close()
    assert replica.digest("shop") == loaded.digest("shop")


def test_more_entries_than_are_read_at_once_come_back_with_gaps_between_them(tmp_path: Path) -> None:
    options = SqliteOptions(directory=tmp_path, node="a", cluster="shops")
    store = SqliteStore(options, lambda seq, error: None)
    store.open()
    mesh = Mesh("a", options=ReplicationOptions(shards=1, checkpoint_log_rows=1))
    keys = [EntryKey("shop", f"list-{number}", ("ORSet", "MVRegister")[number % 2]) for number in range(1_000)]
    for key in keys:
        mesh.update("a", key, add("milk") if key.type_name == "ORSet" else Operation("set", ("milk",)))
    for key in keys[::7]:
        mesh.update("a", key, remove("milk") if key.type_name == "ORSet" else Operation("clear", ()))
    mesh["a"].sync()
    mesh.forget_all("a")
    mesh.update("a", STOCK, increment())
    mesh["a"].sync()
    store.write(1, list(records_of(mesh["a"].disk.load())))
    store.close()

    store.open()
    loaded = mesh.new_replica("a")
    loaded.load(store.load())
    store.close()
    assert 1 + len(keys) - len(keys[::7]) == loaded.summary()[0].entries
    assert mesh["a"].replica.digest("shop") == loaded.digest("shop")
