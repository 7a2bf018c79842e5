"""A data directory as the first storage format left it, recorded by that version: it loads, and is replaced at once."""

from __future__ import annotations

import queue
import random
import sqlite3
from pathlib import Path

import pytest

from crdtmesh.persistence.errors import StoreTooNew
from crdtmesh.persistence.sqlite import DATABASE_NAME, SqliteOptions, SqliteStore
from crdtmesh.replication.outputs import EntryKey, Persist
from crdtmesh.replication.replica import Replica
from tests.unit.crdtmesh.replication.mesh import Mesh, add

RECORDED = Path(__file__).parent / "data" / "store-format-1.sql"
"""20 sets, a counter, a deleted key and three registers of system `shop`, one voter of `_mesh`: rows of a checkpoint,
then pushes and a repair in the log. The database as SQL text, which a diff can show."""


class Disk:
    """A copy of the recorded directory, opened."""

    def __init__(self, path: Path) -> None:
        if not (path / DATABASE_NAME).exists():
            recorded = sqlite3.connect(path / DATABASE_NAME)
            recorded.executescript(RECORDED.read_text(encoding="ascii"))
            recorded.close()
        self.done: queue.Queue[tuple[int, str | None]] = queue.Queue()
        self.store = SqliteStore(
            SqliteOptions(directory=path, node="a", cluster="mesh"), lambda seq, error: self.done.put((seq, error))
        )
        self.store.open()

    def load(self, mesh: Mesh) -> Replica:
        """A replica of the data."""
        replica = mesh.new_replica("a")
        replica.load(self.store.load())
        return replica

    def write(self, replica: Replica) -> None:
        """Writes what waits."""
        for output in replica.take_outgoing():
            if isinstance(output, Persist):
                self.store.write(output.seq, output.records)
                assert (output.seq, None) == self.done.get(timeout=10)
                replica.persisted(output.seq, now_ns=0)


def expect_all(replica: Replica) -> None:
    """What the recording version read at the end."""
    values = {entry.key.key: entry.value() for entry in replica.entries("shop")}
    expected: dict[str, object] = {f"list{number}": (number,) for number in range(20)}
    expected |= {f"late{number}": f"value{number}" for number in range(3)}
    expected["stock"] = 205
    assert expected == values
    assert ("a",) == next(replica.entries("_mesh", "voters/")).value()


def test_data_of_format_1_is_loaded_and_replaced_in_one_group(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    replica = disk.load(Mesh("z"))
    expect_all(replica)
    disk.write(replica)
    disk.store.close()
    rows = sqlite3.connect(tmp_path / DATABASE_NAME)
    assert [("2",)] == rows.execute("SELECT value FROM meta WHERE name = 'format_version'").fetchall()
    assert [(0,)] == rows.execute("SELECT count(*) FROM log").fetchall()
    assert {b"C", b"e", b"s"} >= {key[:1] for (key,) in rows.execute("SELECT key FROM state")}
    rows.close()
    again = Disk(tmp_path)
    loaded = again.load(Mesh("y"))
    again.store.close()
    expect_all(loaded)
    assert replica.digest("shop") == loaded.digest("shop")


def test_crash_before_the_replacement_loads_the_old_data_again(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    disk.load(Mesh("z"))
    disk.store.close()
    again = Disk(tmp_path)
    expect_all(again.load(Mesh("y")))
    again.store.close()


def test_upgraded_node_converges_with_another_and_with_an_empty_one(tmp_path: Path) -> None:
    rng = random.Random(5)
    mesh = Mesh("abc")
    for name in "ab":
        (tmp_path / name).mkdir()
        disk = Disk(tmp_path / name)
        mesh[name].replica = disk.load(mesh)
        disk.store.close()
    mesh.connect_all()
    for number in range(20):
        mesh.update("ab"[number % 2], EntryKey("shop", f"list{rng.randrange(20)}", "ORSet"), add("new"))
    mesh.settle()
    assert mesh.agree()
    assert 24 == len(list(mesh["c"].replica.entries("shop")))


def test_older_version_is_told_that_the_data_is_too_new(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    disk.store.close()
    rows = sqlite3.connect(tmp_path / DATABASE_NAME)
    rows.execute("UPDATE meta SET value = '3' WHERE name = 'format_version'")
    rows.commit()
    rows.close()
    with pytest.raises(StoreTooNew):
        Disk(tmp_path)
