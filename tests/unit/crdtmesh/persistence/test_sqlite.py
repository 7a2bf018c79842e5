"""What only the store on a real disk can get wrong."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from crdtmesh.persistence.base import LogRecord, StateRecord, records_of
from crdtmesh.persistence.errors import CorruptRecord, StoreFailed, StoreForeign, StoreInUse, StoreTooNew
from crdtmesh.persistence.sqlite import DATABASE_NAME, LOCK_NAME, PAGE_SIZE_BYTES, SqliteOptions, SqliteStore

Seen = list[tuple[int, str | None]]


def options(directory: Path, *, size_bytes_max: int | None = None) -> SqliteOptions:
    return SqliteOptions(directory=directory, node="shop-1", cluster="shops", size_bytes_max=size_bytes_max)


def ignore(seq: int, error: str | None) -> None:
    pass


def filled(directory: Path) -> Path:
    """A closed store with one row of each kind; returns the file."""
    store = SqliteStore(options(directory), ignore)
    store.open()
    store.write(1, [LogRecord(b"log"), StateRecord(b"key", b"row")])
    store.close()
    return directory / DATABASE_NAME


def change(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def test_newer_format_is_refused_and_nothing_is_touched(tmp_path: Path) -> None:
    change(filled(tmp_path), "UPDATE meta SET value = '3' WHERE name = 'format_version'")
    before = contents(tmp_path)
    with pytest.raises(StoreTooNew, match="format 3, this version reads up to 2"):
        SqliteStore(options(tmp_path), ignore).open()
    assert before == contents(tmp_path)


def test_file_that_is_no_database_is_refused_and_not_touched(tmp_path: Path) -> None:
    (tmp_path / DATABASE_NAME).write_bytes(b"not a database" * 1000)
    (tmp_path / LOCK_NAME).touch()
    before = contents(tmp_path)
    with pytest.raises(CorruptRecord, match="no store of crdtmesh"):
        SqliteStore(options(tmp_path), ignore).open()
    assert before == contents(tmp_path)


def test_database_of_something_else_is_refused(tmp_path: Path) -> None:
    change(tmp_path / DATABASE_NAME, "CREATE TABLE bookmarks (url TEXT)")
    with pytest.raises(CorruptRecord, match="no store of crdtmesh"):
        SqliteStore(options(tmp_path), ignore).open()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE log SET data = x'00'",
        "UPDATE log SET checksum = checksum + 1",
        "UPDATE state SET data = x'00'",
        "UPDATE state SET key = x'00'",
        "UPDATE state SET data = 'text'",
    ],
)
def test_changed_row_stops_the_load(tmp_path: Path, statement: str) -> None:
    change(filled(tmp_path), statement)
    store = SqliteStore(options(tmp_path), ignore)
    store.open()
    with pytest.raises(CorruptRecord, match="restore a backup"):
        list(store.load())
    store.close()


def test_half_made_store_of_a_crashed_start_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / DATABASE_NAME).with_suffix(".new").write_bytes(b"half")
    store = SqliteStore(options(tmp_path), ignore)
    assert store.open().is_fresh
    store.close()


def test_lock_is_held_against_another_process_and_freed_by_its_death(tmp_path: Path) -> None:
    with writer(tmp_path) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with pytest.raises(StoreInUse, match="in use by another process"):
            SqliteStore(options(tmp_path), ignore).open()
        child.kill()
    store = SqliteStore(options(tmp_path), ignore)
    store.open()
    store.close()


def test_write_before_open_and_after_close_is_refused(tmp_path: Path) -> None:
    store = SqliteStore(options(tmp_path), ignore)
    with pytest.raises(StoreFailed, match="not open"):
        store.write(1, [])
    store.open()
    store.close()
    with pytest.raises(StoreFailed, match="not open"):
        store.write(1, [])


def test_full_disk_fails_the_group_and_every_later_one(tmp_path: Path) -> None:
    seen: Seen = []
    changed = threading.Condition()

    def completion(seq: int, error: str | None) -> None:
        with changed:
            seen.append((seq, error))
            changed.notify()

    def write(seq: int, data: bytes) -> None:
        store.write(seq, [LogRecord(data)])
        with changed:
            assert changed.wait_for(lambda: len(seen) == seq, timeout=10)

    store = SqliteStore(options(tmp_path, size_bytes_max=128 * 1024), completion)
    store.open()
    write(1, b"fits")
    write(2, bytes(256 * 1024))
    write(3, b"would fit")
    assert [1, 2, 3] == [seq for seq, _ in seen]
    assert seen[0][1] is None
    for _, error in seen[1:]:
        assert error is not None
        assert "full" in error
    assert [LogRecord(b"fits")] == list(store.load())
    store.close()


def test_limit_below_the_empty_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="size_bytes_max=4096"):
        options(tmp_path, size_bytes_max=4096)


WRITER = """
import sys
from pathlib import Path
from crdtmesh.persistence.base import LogRecord, StateRecord, records_of, TrimLog
from crdtmesh.persistence.sqlite import SqliteOptions, SqliteStore

def completion(seq, error):
    sys.stdout.write(f"{seq}\\n")
    sys.stdout.flush()

store = SqliteStore(SqliteOptions(directory=Path(sys.argv[1]), node="shop-1", cluster="shops"), completion)
store.open()
seq = 0
while True:
    seq += 1
    store.write(seq, [LogRecord(b"%d" % seq), StateRecord(b"latest", b"%d" % seq)])
    if seq % 500 == 0:
        __import__("time").sleep(0.005)
"""


def writer(directory: Path) -> subprocess.Popen[str]:
    """A child that writes groups and prints what was completed, until it is killed."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(directory)], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )


def test_every_completed_group_survives_a_kill(tmp_path: Path) -> None:
    with writer(tmp_path) as child:
        assert child.stdout is not None
        completed = [int(child.stdout.readline()) for _ in range(20)]
        child.send_signal(signal.SIGKILL)
        completed += [int(line) for line in child.stdout.read().split("\n") if line]
    store = SqliteStore(options(tmp_path), ignore)
    store.open()
    latest, *log = records_of(store.load())
    store.close()
    assert isinstance(latest, StateRecord)
    assert latest.data is not None
    assert int(latest.data) >= completed[-1]
    # Whole groups, in order, and the state row belongs to the last of them.
    assert [LogRecord(b"%d" % seq) for seq in range(1, int(latest.data) + 1)] == log


def test_file_torn_while_the_log_was_copied_into_it_is_read_with_its_log(tmp_path: Path) -> None:
    # A power cut or a full disk in a checkpoint leaves a file that is no database without its write-ahead log.
    done = threading.Event()
    store = SqliteStore(options(tmp_path / "running"), lambda seq, error: done.set())
    store.open()
    store.write(1, [StateRecord(b"key", b"x" * 100_000)])
    assert done.wait(10)
    shutil.copytree(tmp_path / "running", tmp_path / "crashed")
    store.close()
    with (tmp_path / "crashed" / DATABASE_NAME).open("r+b") as file:
        file.write(bytes(PAGE_SIZE_BYTES))

    found = SqliteStore(options(tmp_path / "crashed"), ignore)
    assert not found.open().is_fresh
    assert [StateRecord(b"key", b"x" * 100_000)] == list(records_of(found.load()))
    found.close()


def test_crashed_directory_of_another_node_is_refused_and_nothing_is_touched(tmp_path: Path) -> None:
    done = threading.Event()
    store = SqliteStore(options(tmp_path / "running"), lambda seq, error: done.set())
    store.open()
    store.write(1, [LogRecord(b"log")])
    assert done.wait(10)
    shutil.copytree(tmp_path / "running", tmp_path / "crashed", ignore=shutil.ignore_patterns("*-shm"))
    store.close()
    before = contents(tmp_path / "crashed")

    with pytest.raises(StoreForeign):
        SqliteStore(SqliteOptions(directory=tmp_path / "crashed", node="shop-2", cluster="shops"), ignore).open()

    assert before == contents(tmp_path / "crashed")
