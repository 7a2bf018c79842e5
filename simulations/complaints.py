"""What production code logs during a run: an error is a broken promise, unless a fault explains it."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

LOGGER: Final = "crdtmesh"

EXPLAINED: Final = frozenset(
    {"storage.failed", "voters.not_changed", "directory.not_announced", "member.name_conflict"}
)
"""Errors that faults of the disk bring about."""


class _Complaints(logging.Handler):
    def __init__(self, failed: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self._failed = failed

    def emit(self, record: logging.LogRecord) -> None:
        name = record.getMessage()
        if name not in EXPLAINED:
            cause = record.exc_info[1] if record.exc_info else None
            self._failed(f"logged {name}: {cause!r:.300}")


@contextmanager
def complaints(failed: Callable[[str], None]) -> Iterator[None]:
    """Reports errors that are logged meanwhile, and keeps all else that is logged from the output."""
    logger = logging.getLogger(LOGGER)
    before = logger.level, logger.propagate
    handler = _Complaints(failed)
    logger.addHandler(handler)
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]
