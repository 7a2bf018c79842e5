"""Bases `pycrdt` and `loro`: the same work as our set's, in the CRDT libraries that people use from Python.

Neither has an add-wins set; both have a map whose keys stand for the elements. `roundtrip` is what a user of the
library does to share one addition: a transaction with one key, the bytes of the update, and their application at
another replica. There are two documented ways to the bytes. *Update events* hand them over at the end of each
transaction, which is the cheapest; whoever has no subscription open when the change happens *exports* what the other
side's version lacks. Both are measured: pycrdt's events cost the same at any size, its exports grow with the document.

automerge is not among them: the newest package of that name for Python, 0.1.2, has no encoded changes.

Run as `python -m benchmarks.bases.other_libraries LIBRARY JOB`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

from benchmarks.load import Job, run_client, time_repeated, verify
from benchmarks.measures import Sample

ROUND_TRIPS: Final = 2_000
"""Operations of one sample of `roundtrip`; each adds an element that is not there."""

BULK: Final = 100_000
"""Entries of `bulk_merge`."""


def keys(count: int, start: int = 0) -> Iterator[str]:
    """Elements that are the same on every side."""
    return (f"item-{number}" for number in range(start, start + count))


def size_of(case: str) -> int:
    """How many elements `roundtrip_N` begins with."""
    return int(case.rpartition("_")[2])


class PycrdtEvents:
    """Two documents of pycrdt, one subscribed to the other's updates."""

    def __init__(self, size: int) -> None:
        from pycrdt import Doc, Map

        self.here: Any = Doc()
        self.there: Any = Doc()
        self.elements: Any = self.here.get("set", type=Map)
        self.copies: Any = self.there.get("set", type=Map)
        with self.here.transaction():
            for key in keys(size):
                self.elements[key] = True
        self.there.apply_update(self.here.get_update())

    def add(self, wanted: Iterator[str]) -> None:
        """Adds and ships elements, one by one."""
        there = self.there
        subscription = self.here.observe(lambda event: there.apply_update(event.update))
        for key in wanted:
            self.elements[key] = True
        self.here.unobserve(subscription)

    def merge(self) -> None:
        """Decodes and merges the whole document into an empty one."""
        from pycrdt import Doc, Map

        doc: Any = Doc()
        elements = doc.get("set", type=Map)
        doc.apply_update(self.encoded)
        self.merged = len(elements)

    def encode(self) -> None:
        """Makes the bytes for `merge`."""
        self.encoded: bytes = self.here.get_update()

    def __len__(self) -> int:
        return len(self.copies)


class PycrdtExports(PycrdtEvents):
    """Two documents of pycrdt; an update is what the state vector from before it lacks."""

    def add(self, wanted: Iterator[str]) -> None:
        """Adds and ships elements, one by one."""
        here, there = self.here, self.there
        for key in wanted:
            before = here.get_state()
            self.elements[key] = True
            there.apply_update(here.get_update(before))


def _loro() -> Any:
    return importlib.import_module("loro")


class LoroEvents:
    """Two documents of loro, one subscribed to the other's updates."""

    def __init__(self, size: int) -> None:
        loro = _loro()

        self.here: Any = loro.LoroDoc()
        self.there: Any = loro.LoroDoc()
        self.elements: Any = self.here.get_map("set")
        self.copies: Any = self.there.get_map("set")
        for key in keys(size):
            self.elements.insert(key, True)
        self.here.commit()
        self.snapshot: bytes = bytes(self.here.export(loro.ExportMode.Snapshot()))
        self.there.import_(self.snapshot)

    def add(self, wanted: Iterator[str]) -> None:
        """Adds and ships elements, one by one."""
        here, there = self.here, self.there

        def ship(update: bytes) -> bool:
            there.import_(bytes(update))
            return True

        subscription = here.subscribe_local_update(ship)
        for key in wanted:
            self.elements.insert(key, True)
            here.commit()
        subscription.unsubscribe()

    def merge(self) -> None:
        """Decodes and merges the whole document into an empty one."""
        loro = _loro()

        doc: Any = loro.LoroDoc()
        doc.import_(self.snapshot)
        self.merged = len(doc.get_map("set"))

    def encode(self) -> None:
        """The snapshot for `merge` is there already."""

    def __len__(self) -> int:
        return len(self.copies)


LIBRARIES: Final[dict[str, Callable[[int], Any]]] = {
    "pycrdt_events": PycrdtEvents,
    "pycrdt_exports": PycrdtExports,
    "loro_events": LoroEvents,
}


async def base(job: Job) -> Sample:
    """One sample of the library that the command line names."""
    make = LIBRARIES[sys.argv[1]]
    if job.case == "bulk_merge":
        pair = make(BULK)
        pair.encode()
        sample = time_repeated(pair.merge, BULK, job)
        verify(BULK, pair.merged)
        return sample
    size = size_of(job.case)
    pair = make(size)
    added = 0

    def once() -> None:
        nonlocal added
        pair.add(keys(ROUND_TRIPS, size + added))
        added += ROUND_TRIPS

    sample = time_repeated(once, ROUND_TRIPS, job)
    verify(size + added, len(pair))
    return sample


if __name__ == "__main__":
    run_client(base)
