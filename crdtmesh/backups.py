"""Backups: one file with all that a node's disk held at one moment, and a data directory made of it.

Left out of a backup is what says that this very disk may be counted: a node that starts on a restored copy has lost
what was confirmed since, so it counts in majorities only after it has caught up with enough others, as with an empty
disk (`replication.reconciling`). A replica id is on no disk: each start takes a new one.
"""

from pathlib import Path
from typing import Final

from crdtmesh.persistence.copies import Copied, copy_store
from crdtmesh.persistence.errors import StoreExists, StoreForeign, shown
from crdtmesh.persistence.sqlite import DATABASE_NAME, read_meta
from crdtmesh.replication.checkpoint import RECONCILED_KEY

LEFT_OUT: Final = frozenset({RECONCILED_KEY})
"""Keys of the rows that belong to one disk alone."""


def back_up(directory: Path, file: Path) -> Copied:
    """Writes a backup of a data directory, whether its node runs or not.

    Raises:
        StoreExists: there is a file of this name.
        CorruptRecord: the directory holds no store, or a row of it is not what was written: no backup was made.
        OSError: the file can't be written.
    """
    source = directory / DATABASE_NAME
    if not source.exists():
        raise StoreForeign(f"{directory} holds no state of a node; name one by --data-dir")
    return copy_store(source, file, without=LEFT_OUT)


def restore(file: Path, directory: Path, *, node: str, cluster: str) -> Copied:
    """Makes a data directory for a node from a backup.

    Args:
        file: the backup.
        directory: does not exist, or is empty.
        node: who will use it: the node that the backup is of, or another one.
        cluster: of the node.

    Raises:
        StoreExists: the directory is not empty.
        StoreForeign: the backup is of another cluster.
        StoreTooNew: a newer version has written it.
        CorruptRecord: it is no backup, or not what was written. In all cases nothing was changed.
        OSError: it can't be read, or the directory can't be written.
    """
    if directory.exists() and any(directory.iterdir()):
        raise StoreExists(f"data directory {directory} is not empty; name another by --data-dir, or move it away")
    meta = read_meta(file)
    if meta.cluster != cluster:
        raise StoreForeign(f"{file} is of cluster {shown(meta.cluster)}, not of {shown(cluster)}; use --cluster")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return copy_store(file, directory / DATABASE_NAME, without=LEFT_OUT, node=node)
