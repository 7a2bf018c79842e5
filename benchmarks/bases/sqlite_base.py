"""Base `bare SQLite`: durable writes one at a time, and a plain SELECT of a store's file.

No queue, no thread, no checksums. WAL with `synchronous=FULL`, as in our store: a commit returns when it is on disk.

Run as `python -m benchmarks.bases.sqlite_base JOB`; `address` of the job is a folder for `writes`, a file for `load`.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from pathlib import Path

from benchmarks.load import Job, drive, payload, run_client, verify
from benchmarks.measures import Sample


async def client(job: Job) -> Sample:
    """Does what `job.case` says."""
    return load(job) if job.case == "load" else await writes(job)


async def writes(job: Job) -> Sample:
    """Commits one row after the other, then counts them."""
    with tempfile.TemporaryDirectory(dir=job.address) as folder:
        connection = sqlite3.connect(Path(folder) / "base.sqlite3", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE log (id INTEGER PRIMARY KEY, data BLOB NOT NULL)")
        written = 0

        async def call(number: int) -> None:
            nonlocal written
            connection.execute("INSERT INTO log (data) VALUES (?)", (payload(number),))
            written += 1

        sample = await drive(call, job)
        verify((written,), connection.execute("SELECT count(*) FROM log").fetchone())
        connection.close()
    return sample


def load(job: Job) -> Sample:
    """Reads every row of a store's file, once, and keeps them."""
    began_s = time.perf_counter()
    connection = sqlite3.connect(f"file:{job.address}?mode=ro", uri=True)
    rows = connection.execute("SELECT key, checksum, data FROM state ORDER BY key").fetchall()
    rows += connection.execute("SELECT id, checksum, data FROM log ORDER BY id").fetchall()
    connection.close()
    return Sample(rate=len(rows) / (time.perf_counter() - began_s))


if __name__ == "__main__":
    run_client(client)
