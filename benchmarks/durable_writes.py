"""Durable writes of the store against bare SQLite: many at a time, one at a time, and reading it all back.

64 writers at once share the syncs of a group commit, so the ratio to one-at-a-time writes is what group commit is worth
on this disk. The case `alone` shows what the writer thread costs a single writer. `load` reads a store of LOAD_ROWS.
"""

from __future__ import annotations

import asyncio
import dataclasses
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.harness import Options, Side, compare_sides
from benchmarks.load import Job, drive, payload, run_client, verify
from benchmarks.measures import Line, Sample
from benchmarks.processes import Children
from crdtmesh.persistence.base import LogRecord, StateRecord, records_of
from crdtmesh.persistence.sqlite import DATABASE_NAME, SqliteOptions, SqliteStore

CASES: Final = ("together", "alone", "load")

LOAD_ROWS: Final = 100_000

_BASE: Final = ("benchmarks.bases.sqlite_base",)
_SUBJECT: Final = ("benchmarks.durable_writes",)


def run(children: Children, options: Options) -> Iterator[Line]:
    """The cases, each against bare SQLite on the same disk."""
    folder = str(children.folder("durable"))
    single = Side(command=_BASE, address=folder, case="writes", concurrency=1)
    store = Side(command=_SUBJECT, address=folder, case="writes")
    bases = {"bare SQLite, one at a time": single}
    if options.wants("together"):
        both = {**bases, "SqliteStore, one at a time": dataclasses.replace(store, concurrency=1)}
        yield from compare_sides(
            children,
            options,
            bench="durable_writes",
            case="together",
            bases=both,
            subject=("SqliteStore", store),
            concurrency=64,
        )
    if options.wants("alone"):
        yield from compare_sides(
            children, options, bench="durable_writes", case="alone", bases=bases, subject=("SqliteStore", store)
        )
    if options.wants("load"):
        filled = children.folder("load")
        _fill(filled)
        yield from compare_sides(
            children,
            options,
            bench="durable_writes",
            case="load",
            bases={"bare SELECT": Side(command=_BASE, address=str(filled / DATABASE_NAME), case="load")},
            subject=("SqliteStore", Side(command=_SUBJECT, address=str(filled), case="load")),
        )


class _Writer:
    """A store whose writes can be awaited, the way the node's glue does it."""

    def __init__(self, folder: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._completed = 0
        self.seq = 0
        self.store = SqliteStore(_store_options(folder), self._on_thread)

    async def write(self, data: bytes) -> None:
        """Writes a group of one log record; returns when it is on disk."""
        self.seq += 1
        done = self._waiting[self.seq] = self._loop.create_future()
        self.store.write(self.seq, [LogRecord(data)])
        await done

    def _on_thread(self, seq: int, error: str | None) -> None:
        verify(None, error)
        self._loop.call_soon_threadsafe(self._complete, seq)

    def _complete(self, seq: int) -> None:
        while self._completed < seq:
            self._completed += 1
            self._waiting.pop(self._completed).set_result(None)


async def client(job: Job) -> Sample:
    """Does what `job.case` says."""
    return _load(job) if job.case == "load" else await _writes(job)


async def _writes(job: Job) -> Sample:
    with tempfile.TemporaryDirectory(dir=job.address) as folder:
        writer = _Writer(Path(folder))
        writer.store.open()

        async def call(number: int) -> None:
            await writer.write(payload(number))

        sample = await drive(call, job)
        verify(writer.seq, sum(1 for _ in records_of(writer.store.load())))
        writer.store.close()
    return sample


def _load(job: Job) -> Sample:
    began_s = time.perf_counter()
    store = SqliteStore(_store_options(Path(job.address)), lambda seq, error: None)
    store.open()
    records = list(records_of(store.load()))
    took_s = time.perf_counter() - began_s
    store.close()
    verify(LOAD_ROWS, len(records))
    return Sample(rate=len(records) / took_s)


def _fill(folder: Path) -> None:
    store = SqliteStore(_store_options(folder), lambda seq, error: verify(None, error))
    store.open()
    store.write(1, [StateRecord(b"key-%08d" % number, payload(number)) for number in range(LOAD_ROWS)])
    store.close()


def _store_options(folder: Path) -> SqliteOptions:
    return SqliteOptions(directory=folder, node="bench", cluster="bench")


if __name__ == "__main__":
    run_client(client)
