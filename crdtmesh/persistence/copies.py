"""Copies of stores, row by row, each compared with its checksum on the way: backups, and what is made of them.

A copy is taken within one read transaction, so it holds what one commit left, however much is written meanwhile by the
node that has the store open: readers of SQLite's write-ahead log and its writer do not wait for each other.
"""

import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from crdtmesh.persistence.base import FORMAT_VERSION, StoreMeta
from crdtmesh.persistence.errors import CorruptRecord, StoreExists, StoreInUse, StoreTooNew, shown
from crdtmesh.persistence.sqlite import check_row, drafted, read_meta

_STATE = "SELECT key, checksum, data FROM state ORDER BY key"
_LOG = "SELECT id, checksum, data FROM log ORDER BY id"


class Copied(NamedTuple):
    """What a copy holds.

    Attributes:
        meta: whose it is, and its format.
        state_rows: entries, parts of indexes, and a few more.
        log_rows: what came since the last checkpoint.
        size_bytes: of the file.
    """

    meta: StoreMeta
    state_rows: int
    log_rows: int
    size_bytes: int


def copy_store(
    source: Path, target: Path, *, without: Collection[bytes], node: str | None = None, cluster: str | None = None
) -> Copied:
    """Copies a store into a file that does not exist yet.

    Args:
        source: a store, in use or not, or a copy of one.
        target: its folder exists; the file appears whole or not at all.
        without: keys of state rows that are left out.
        node: who the copy is for; None for the same.
        cluster: likewise.

    Raises:
        StoreExists: there is a file of the target's name.
        StoreInUse: a node began to use the source meanwhile.
        StoreTooNew: a newer version has written the source.
        CorruptRecord: the source is no store, or a row of it is not what was written.
        OSError: the target can't be written.

    Complexity: O(rows), with a bounded number of them in memory.
    """
    if target.exists():
        raise StoreExists(f"{target} exists; name another file, or move it away")
    meta = read_meta(source)
    if meta.format_version > FORMAT_VERSION:
        raise StoreTooNew(
            f"{source} has format {meta.format_version}, this version reads up to {FORMAT_VERSION}; use the newer one"
        )
    made = StoreMeta(node=node or meta.node, cluster=cluster or meta.cluster, format_version=meta.format_version)
    # Without a log nobody has the store open, and it is read without the files that SQLite would put beside it.
    log = source.with_name(source.name + "-wal")
    mode = "mode=ro" if log.exists() else "mode=ro&immutable=1"
    reader = sqlite3.connect(f"{source.absolute().as_uri()}?{mode}", uri=True, isolation_level=None)
    try:
        reader.execute("BEGIN")
        with drafted(target, made) as writer:
            state_rows = _copied(reader, writer, "state", _STATE, without)
            log_rows = _copied(reader, writer, "log", _LOG, ())
            if mode != "mode=ro" and log.exists():
                raise StoreInUse(f"{source} was opened by its node meanwhile; try again")
    except sqlite3.DatabaseError as error:
        raise CorruptRecord(f"{source} can't be copied to {target}: {error}") from error
    finally:
        reader.close()
    return Copied(made, state_rows, log_rows, target.stat().st_size)


def _copied(
    reader: sqlite3.Connection, writer: sqlite3.Connection, table: str, select: str, without: Collection[bytes]
) -> int:
    count = 0

    def checked() -> Iterator[tuple[object, object, object]]:
        nonlocal count
        for key, checksum, data in reader.execute(select):
            if key in without:
                continue
            check_row(checksum, key if table == "state" else b"", data, where=f"{table} row {shown(key)}")
            count += 1
            yield key, checksum, data

    writer.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", checked())  # noqa: S608 - one of two names, ours
    return count
