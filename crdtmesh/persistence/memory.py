"""A store in memory: for tests, for nodes told to keep nothing, and as the plainest reading of the protocol."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from crdtmesh.persistence.base import FORMAT_VERSION, Completion, Loaded, Record, StoreImage, StoreMeta
from crdtmesh.persistence.errors import StoreForeign, StoreInUse, StoreTooNew, shown


@dataclass(slots=True)
class MemoryDisk:
    """What outlives a `MemoryStore`: hand the same disk to the next one to restart with its data."""

    image: StoreImage = field(default_factory=StoreImage)
    meta: StoreMeta | None = None
    is_locked: bool = False


class MemoryStore:
    """Keeps groups on a `MemoryDisk`. The completion is called inside `write`, before it returns."""

    def __init__(self, *, node: str, cluster: str, completion: Completion, disk: MemoryDisk | None = None) -> None:
        self._node = node
        self._cluster = cluster
        self._completion = completion
        self._disk = disk if disk is not None else MemoryDisk()
        self._is_open = False
        self._failure: str | None = None

    def open(self) -> StoreMeta:
        """Locks the disk and checks whose it is; see `Store.open`."""
        disk = self._disk
        if disk.is_locked:
            raise StoreInUse("the disk is in use by another store; close that one first")
        check_meta(disk.meta, node=self._node, cluster=self._cluster, where="the disk")
        meta = StoreMeta(node=self._node, cluster=self._cluster, is_fresh=disk.meta is None)
        disk.meta = StoreMeta(node=self._node, cluster=self._cluster)
        disk.is_locked = self._is_open = True
        return meta

    def load(self) -> Iterator[Loaded]:
        """State rows by key, then the log; see `Store.load`."""
        return self._disk.image.load()

    def write(self, seq: int, records: Sequence[Record]) -> None:
        """Applies the group at once and completes it."""
        if self._failure is None:
            self._disk.image.apply(records)
        self._completion(seq, self._failure)

    def fail(self, reason: str) -> None:
        """Makes every later write fail, as a full disk does."""
        self._failure = reason

    def close(self) -> None:
        """Releases the disk; closing twice is harmless."""
        if self._is_open:
            self._is_open = False
            self._disk.is_locked = False


def check_meta(meta: StoreMeta | None, *, node: str, cluster: str, where: str) -> None:
    """Refuses a store of a newer format, of another node or of another cluster.

    Raises:
        StoreTooNew, StoreForeign: nothing was changed.
    """
    if meta is None:
        return
    if meta.format_version > FORMAT_VERSION:
        raise StoreTooNew(
            f"{where} has format {meta.format_version}, this version reads up to {FORMAT_VERSION}; "
            "run the newer version, or restore a backup into an empty directory"
        )
    if meta.node != node:
        raise StoreForeign(
            f"{where} belongs to node {shown(meta.node)}, not to {shown(node)}; use --name or --data-dir"
        )
    if meta.cluster != cluster:
        raise StoreForeign(
            f"{where} belongs to cluster {shown(meta.cluster)}, not to {shown(cluster)}; use --cluster or --data-dir"
        )
