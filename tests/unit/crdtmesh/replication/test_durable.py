"""A replica on a real disk."""

from __future__ import annotations

import queue
from pathlib import Path

from crdtmesh.persistence.sqlite import SqliteOptions, SqliteStore
from crdtmesh.replication.options import ReplicationOptions
from crdtmesh.replication.outputs import EntryKey, Persist
from tests.unit.crdtmesh.replication.mesh import STOCK, Mesh, add, increment


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
