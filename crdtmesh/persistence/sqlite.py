"""The store of a node: one SQLite file, one writer thread, group commit.

Everything that is queued while a commit runs becomes the next transaction, so the busier the node, the more writes
share one sync. WAL with `synchronous=FULL` syncs the write-ahead log before a commit returns.

A **torn tail** needs no code here: SQLite checksums each frame of its write-ahead log, and a transaction whose frames
are not all there is dropped at the next open. It was never completed, hence never acknowledged. A row whose own
checksum is wrong was *not* torn, it rotted: loading stops loudly.

What is left out: what the rows mean, and any retry. After a failed commit nothing more is written; the node reloads.
"""

import fcntl
import os
import sqlite3
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from crdtmesh.persistence.base import (
    FORMAT_VERSION,
    Completion,
    Loaded,
    LogRecord,
    Record,
    StateRows,
    StoreMeta,
    TrimLog,
)
from crdtmesh.persistence.errors import CorruptRecord, StoreFailed, StoreInUse, shown
from crdtmesh.persistence.memory import check_meta

DATABASE_NAME: Final = "state.sqlite3"
LOCK_NAME: Final = "lock"

PAGE_SIZE_BYTES: Final = 4096

# Rows that are read, compared with their checksums and handed on in one go: some 30 kB, which the cache of a processor
# holds; 1,000 take a seventh longer.
_ROWS_AT_ONCE: Final = 256

SCHEMA: Final = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE log (id INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, data BLOB NOT NULL)",
    "CREATE TABLE state (key BLOB PRIMARY KEY, checksum INTEGER NOT NULL, data BLOB NOT NULL) WITHOUT ROWID",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteOptions:
    """How a `SqliteStore` uses its directory.

    Attributes:
        directory: made with mode 0700 when it does not exist.
        node: name of the owner; a directory of another node is refused.
        cluster: name of its cluster; likewise.
        size_bytes_max: the file may not grow beyond this; a commit that needs more fails as on a full disk. None: no
            limit but the disk's own.
    """

    directory: Path
    node: str
    cluster: str
    size_bytes_max: int | None = None

    def __post_init__(self) -> None:
        """Refuses a limit that holds not even the empty tables."""
        if self.size_bytes_max is not None and self.size_bytes_max < 16 * PAGE_SIZE_BYTES:
            raise ValueError(
                f"size_bytes_max={self.size_bytes_max} is below {16 * PAGE_SIZE_BYTES}; leave it out for no limit"
            )


class SqliteStore:
    """A `Store` in one SQLite file.

    Args:
        options: where, and for whom.
        completion: told of finished groups on the writer thread; it should only hand over to the owner's thread.
    """

    def __init__(self, options: SqliteOptions, completion: Completion) -> None:
        self._options = options
        self._completion = completion
        self._path = options.directory / DATABASE_NAME
        self._lock_fd: int | None = None
        self._wakeup = threading.Condition()
        self._queue: list[tuple[int, Sequence[Record]]] = []
        self._is_closing = False
        self._thread: threading.Thread | None = None
        self._connection: sqlite3.Connection | None = None
        # Rows of the log: `first` is the oldest id, `next` the id of the next one. Only the writer thread uses them.
        self._log_first = 1
        self._log_next = 1

    def open(self) -> StoreMeta:
        """Locks and checks the directory, then starts the writer thread; see `Store.open`."""
        options = self._options
        options.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock_fd = _lock(options.directory / LOCK_NAME)
        try:
            is_fresh = not self._path.exists()
            if is_fresh:
                _create(self._path, node=options.node, cluster=options.cluster)
            else:
                check_meta(
                    read_meta(self._path),
                    node=options.node,
                    cluster=options.cluster,
                    where=str(options.directory),
                )
            self._connection = self._connect()
            if not is_fresh:
                self._connection.execute(
                    "UPDATE meta SET value = ? WHERE name = 'format_version'", (str(FORMAT_VERSION),)
                )
        except BaseException:
            self._unlock()
            raise
        self._thread = threading.Thread(target=self._run, name="crdtmesh-store", daemon=True)
        self._thread.start()
        return StoreMeta(node=options.node, cluster=options.cluster, is_fresh=is_fresh)

    def load(self) -> Iterator[Loaded]:
        """State rows by key, then the log, on a connection of its own; see `Store.load`."""
        connection = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            state = connection.execute("SELECT key, checksum, data FROM state ORDER BY key")
            while rows := state.fetchmany(_ROWS_AT_ONCE):
                keys, checksums, contents = zip(*rows, strict=True)
                _check_rows(checksums, keys, contents, "state")
                yield StateRows(keys, contents)
            for row, checksum, data in connection.execute("SELECT id, checksum, data FROM log ORDER BY id"):
                check_row(checksum, b"", data, where=f"log row {row}")
                yield LogRecord(data)
        except sqlite3.DatabaseError as error:
            raise CorruptRecord(f"{self._path} can't be read: {error}; restore a backup") from error
        finally:
            connection.close()

    def write(self, seq: int, records: Sequence[Record]) -> None:
        """Queues a group for the writer thread; see `Store.write`."""
        with self._wakeup:
            if self._is_closing or self._thread is None:
                raise StoreFailed("the store is not open; open it before writing")
            self._queue.append((seq, records))
            if len(self._queue) == 1:
                self._wakeup.notify()

    def close(self) -> None:
        """Commits what is queued, ends the thread and releases the directory; closing twice is harmless."""
        with self._wakeup:
            self._is_closing = True
            self._wakeup.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._unlock()

    # --- the writer thread

    def _run(self) -> None:
        failure: str | None = None
        while True:
            with self._wakeup:
                while not self._queue and not self._is_closing:
                    self._wakeup.wait()
                groups, self._queue = self._queue, []
            if not groups:
                return
            if failure is None:
                failure = self._commit([record for _, records in groups for record in records])
            # A failed transaction is answered with its first group, a good one with its last.
            self._completion(groups[0 if failure else -1][0], failure)

    def _commit(self, records: Sequence[Record]) -> str | None:
        connection = self._connection
        assert connection is not None
        first, following = self._log_first, self._log_next
        try:
            connection.execute("BEGIN IMMEDIATE")
            self._execute(connection, records)
            connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            self._log_first, self._log_next = first, following
            if connection.in_transaction:
                connection.rollback()
            return f"{type(error).__name__}: {error}"
        return None

    def _execute(self, connection: sqlite3.Connection, records: Sequence[Record]) -> None:
        """Neighbouring state rows, and all log rows, go through one `executemany` each."""
        log: list[tuple[int, int, bytes]] = []
        state: list[tuple[bytes, int, bytes]] = []
        for record in records:
            if isinstance(record, LogRecord):
                log.append((self._log_next, _checksum(b"", record.data), record.data))
                self._log_next += 1
            elif isinstance(record, TrimLog):
                self._log_first = min(self._log_first + record.rows, self._log_next - len(log))
                connection.execute("DELETE FROM log WHERE id < ?", (self._log_first,))
            elif record.data is None:
                # Rows of one key must stay in order, so what is collected so far goes first.
                _put(connection, state)
                state = []
                connection.execute("DELETE FROM state WHERE key = ?", (record.key,))
            else:
                state.append((record.key, _checksum(record.key, record.data), record.data))
        _put(connection, state)
        if log:
            connection.executemany("INSERT INTO log (id, checksum, data) VALUES (?, ?, ?)", log)

    # --- opening

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            if self._options.size_bytes_max is not None:
                pages = self._options.size_bytes_max // PAGE_SIZE_BYTES
                connection.execute(f"PRAGMA max_page_count={pages}")
            low, high = connection.execute("SELECT min(id), max(id) FROM log").fetchone()
        except sqlite3.Error as error:
            connection.close()
            raise CorruptRecord(f"{self._path} can't be opened: {error}; restore a backup") from error
        if high is not None:
            self._log_first, self._log_next = low, high + 1
        return connection

    def _unlock(self) -> None:
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise StoreInUse(
            f"data directory {path.parent} is in use by another process; stop it, or use another --data-dir"
        ) from error
    return descriptor


def _create(path: Path, *, node: str, cluster: str) -> None:
    """Makes an empty store beside its final name and renames it, so that a crash leaves a whole one or none."""
    with drafted(path, StoreMeta(node=node, cluster=cluster)):
        pass


@contextmanager
def drafted(path: Path, meta: StoreMeta) -> Iterator[sqlite3.Connection]:
    """A new store in a transaction; it gets its name when the block is left, whole and synced, and else is removed."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    connection = sqlite3.connect(draft, isolation_level=None)
    try:
        connection.execute(f"PRAGMA page_size={PAGE_SIZE_BYTES}")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("BEGIN IMMEDIATE")
        for statement in SCHEMA:
            connection.execute(statement)
        rows = [("format_version", str(meta.format_version)), ("node", meta.node), ("cluster", meta.cluster)]
        connection.executemany("INSERT INTO meta VALUES (?, ?)", rows)
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        draft.unlink(missing_ok=True)
        raise
    connection.close()
    draft.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def read_meta(path: Path) -> StoreMeta:
    """Reads the meta table and leaves the directory as it is.

    After a crash the file alone is not a whole database: a copying of the write-ahead log into it (a checkpoint) may
    have been cut short, by a power cut or a full disk. Then it is read together with the log, for which SQLite wants an
    index file beside it; one that was not there is removed again.
    """
    log, index = path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")
    has_log = log.exists() and log.stat().st_size > 0
    had_index = index.exists()
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?{'mode=ro' if has_log else 'mode=ro&immutable=1'}", uri=True
        )
        try:
            values = dict(connection.execute("SELECT name, value FROM meta"))
        finally:
            connection.close()
            if not had_index:
                index.unlink(missing_ok=True)
        return StoreMeta(node=values["node"], cluster=values["cluster"], format_version=int(values["format_version"]))
    except (sqlite3.Error, KeyError, ValueError) as error:
        raise CorruptRecord(
            f"{path} is no store of crdtmesh, or a broken one ({error}); use another --data-dir or restore a backup"
        ) from error


def _put(connection: sqlite3.Connection, rows: list[tuple[bytes, int, bytes]]) -> None:
    if rows:
        connection.executemany(
            "INSERT INTO state (key, checksum, data) VALUES (?, ?, ?)"
            " ON CONFLICT (key) DO UPDATE SET checksum = excluded.checksum, data = excluded.data",
            rows,
        )


def _checksum(key: bytes, data: bytes) -> int:
    return zlib.crc32(data, zlib.crc32(key))


def _check_rows(checksums: Sequence[Any], keys: Sequence[Any], contents: Sequence[Any], table: str) -> None:
    """Compares many rows with their checksums, in loops of C: the checksum of a row is that of its key and data."""
    try:
        if list(map(zlib.crc32, contents, map(zlib.crc32, keys))) == list(checksums):
            return
    except TypeError:
        pass  # a damaged page: which row it is says the look at each
    for checksum, key, data in zip(checksums, keys, contents, strict=True):
        check_row(checksum, key, data, where=f"{table} row {shown(key)}")


def check_row(checksum: object, key: object, data: object, *, where: str) -> None:
    """Compares a row with its checksum; SQLite may return any type from a damaged page."""
    if not isinstance(key, bytes) or not isinstance(data, bytes):
        raise CorruptRecord(f"{where}: bytes expected, {type(data).__name__} found; restore a backup")
    expected = _checksum(key, data)
    if expected != checksum:
        raise CorruptRecord(f"{where}: checksum {expected:#x} expected, {shown(checksum)} found; restore a backup")
