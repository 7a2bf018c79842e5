"""Errors of the stores.

MeshError
└── StorageError           carries `outcome`
    ├── StoreRefused       the directory can't be used by this node; nothing in it was touched
    │   ├── StoreInUse         another process holds its lock
    │   ├── StoreForeign       it belongs to another node or another cluster
    │   ├── StoreTooNew        a newer version wrote it
    │   └── StoreExists        there is something where a new one was to be made
    ├── CorruptRecord      a record's checksum is wrong, or the file is no store at all
    └── StoreFailed        a commit failed (disk full, I/O error); nothing is written any more
"""

from typing import Final, Literal

from crdtmesh.errors import MeshError

Outcome = Literal["not_applied", "unknown"]


class StorageError(MeshError):
    """Base of what a store reports."""

    outcome: Outcome = "not_applied"


class StoreRefused(StorageError):
    """The data directory can't be used by this node; nothing in it was touched."""


class StoreInUse(StoreRefused):
    """Another process, or another store of this process, holds the directory's lock."""


class StoreForeign(StoreRefused):
    """The directory belongs to another node or another cluster."""


class StoreTooNew(StoreRefused):
    """The directory has a format that only a newer version understands."""


class StoreExists(StoreRefused):
    """There is something already where a store was to be made; it was left as it is."""


class CorruptRecord(StorageError):
    """Bytes on disk are not what was written; the store is not opened, or not loaded further."""


class StoreFailed(StorageError):
    """A commit failed. Whether its records survive is unknown; nothing after it is written."""

    outcome: Outcome = "unknown"


REPR_CHARS_MAX: Final = 64


def shown(value: object) -> str:
    """The `repr` of a value, bounded, for an error message."""
    text = repr(value)
    return text if len(text) <= REPR_CHARS_MAX else text[: REPR_CHARS_MAX - 1] + "…"
