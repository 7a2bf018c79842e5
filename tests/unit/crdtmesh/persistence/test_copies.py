"""Copies of stores: whole, checked, and of one moment."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from crdtmesh.persistence.base import LogRecord, Record, StateRecord, records_of
from crdtmesh.persistence.copies import copy_store
from crdtmesh.persistence.errors import CorruptRecord, StoreExists, StoreTooNew
from crdtmesh.persistence.sqlite import DATABASE_NAME, SqliteOptions, SqliteStore


class Opened:
    """A store that is in use."""

    def __init__(self, directory: Path, node: str = "a") -> None:
        self._done = threading.Semaphore(0)
        self._seq = 0
        self.store = SqliteStore(SqliteOptions(directory=directory, node=node, cluster="c"), self._completed)
        self.store.open()
        self.file = directory / DATABASE_NAME

    def _completed(self, seq: int, error: str | None) -> None:
        assert error is None
        self._done.release()

    def write(self, *records: Record) -> None:
        self._seq += 1
        self.store.write(self._seq, records)
        assert self._done.acquire(timeout=10)


def rows(directory: Path, node: str = "a") -> list[Record]:
    opened = Opened(directory, node)
    try:
        return list(records_of(opened.store.load()))
    finally:
        opened.store.close()


RECORDS = (StateRecord(b"k", b"v"), StateRecord(b"R", b"a"), LogRecord(b"one"), LogRecord(b"two"))
KEPT = [StateRecord(b"k", b"v"), LogRecord(b"one"), LogRecord(b"two")]


@pytest.mark.parametrize("is_running", [True, False])
def test_a_copy_holds_all_rows_but_those_left_out_whether_the_store_is_in_use_or_not(
    tmp_path: Path, is_running: bool
) -> None:
    opened = Opened(tmp_path / "a")
    opened.write(*RECORDS)
    if not is_running:
        opened.store.close()
    before = sorted(path.name for path in (tmp_path / "a").iterdir())
    target = tmp_path / "b" / DATABASE_NAME
    target.parent.mkdir()
    copied = copy_store(opened.file, target, without={b"R"})
    assert before == sorted(path.name for path in (tmp_path / "a").iterdir())
    if is_running:
        opened.write(LogRecord(b"three"))
        opened.store.close()
    assert (1, 2, target.stat().st_size) == copied[1:]
    assert KEPT == rows(target.parent)


def test_a_copy_can_be_for_another_node(tmp_path: Path) -> None:
    opened = Opened(tmp_path / "a")
    opened.store.close()
    target = tmp_path / "b" / DATABASE_NAME
    target.parent.mkdir()
    meta = copy_store(opened.file, target, without=(), node="b").meta
    assert ("b", "c") == (meta.node, meta.cluster)
    assert [] == rows(target.parent, "b")


def test_what_is_there_already_is_left_as_it_is(tmp_path: Path) -> None:
    opened = Opened(tmp_path / "a")
    opened.store.close()
    (tmp_path / "x").write_bytes(b"mine")
    with pytest.raises(StoreExists):
        copy_store(opened.file, tmp_path / "x", without=())
    assert b"mine" == (tmp_path / "x").read_bytes()


def test_a_row_that_rotted_is_not_copied_and_nothing_is_left(tmp_path: Path) -> None:
    opened = Opened(tmp_path / "a")
    opened.write(*RECORDS)
    opened.store.close()
    with sqlite3.connect(opened.file) as connection:
        connection.execute("UPDATE log SET data = ? WHERE id = 1", (b"On!",))
    connection.close()
    with pytest.raises(CorruptRecord, match="log row 1"):
        copy_store(opened.file, tmp_path / "x", without=())
    assert [tmp_path / "a"] == list(tmp_path.iterdir())


def test_a_store_of_a_newer_version_is_not_guessed_at(tmp_path: Path) -> None:
    opened = Opened(tmp_path / "a")
    opened.store.close()
    with sqlite3.connect(opened.file) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE name = 'format_version'")
    connection.close()
    with pytest.raises(StoreTooNew):
        copy_store(opened.file, tmp_path / "x", without=())


def test_bytes_that_are_no_store_are_refused(tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(b"noise" * 1000)
    with pytest.raises(CorruptRecord):
        copy_store(tmp_path / "noise", tmp_path / "x", without=())
    with pytest.raises(CorruptRecord):
        copy_store(tmp_path / "missing", tmp_path / "x", without=())
    assert [tmp_path / "noise"] == list(tmp_path.iterdir())
