"""Log events: a constant name and key-values, written by a thread so that a slow terminal never stalls the loop.

Decides: the two line formats (text for people, JSON for machines) and the bound on what a peer can make us write.
Leaves out: what is logged. Driven from the CLI (`configure`) and by every driver (`event`).
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import queue
import sys
import time
from collections.abc import Callable
from typing import Any, Final, TextIO

# A burst of 10,000 records of about 300 bytes is 3 MB; beyond that records are dropped and counted rather than kept.
RECORDS_QUEUED_MAX: Final = 10_000
FIELD_CHARACTERS_MAX: Final = 200


class _BoundedQueueHandler(logging.handlers.QueueHandler):
    """Drops records when the writer can't keep up, and says how many."""

    dropped = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%H:%M:%S", time.localtime(record.created))
        fields = " ".join(f"{key}={_short(value)}" for key, value in _fields(record).items())
        line = f"{stamp}.{int(record.msecs):03d} {record.levelname:<7} {record.getMessage()} {fields}".rstrip()
        return f"{line}\n{record.exc_text}" if record.exc_text else line


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"time": record.created, "level": record.levelname.lower(), "event": record.getMessage()}
        line.update(
            (key, _short(value) if isinstance(value, str | bytes) else value) for key, value in _fields(record).items()
        )
        if record.exc_text:
            line["exception"] = record.exc_text
        return json.dumps(line, default=str)


def configure(level: str, *, as_json: bool = False, stream: TextIO | None = None) -> Callable[[], None]:
    """Sends the logs of this process to a stream, standard error by default.

    Args:
        level: debug, info, warning or error.
        as_json: one JSON object a line instead of text.
        stream: where to write.

    Returns:
        A function that writes what is queued and stops the thread; call it last.
    """
    target = logging.StreamHandler(stream or sys.stderr)
    target.setFormatter(_JsonFormatter() if as_json else _TextFormatter())
    records: queue.Queue[logging.LogRecord] = queue.Queue(RECORDS_QUEUED_MAX)
    listener = logging.handlers.QueueListener(records, target)
    root = logging.getLogger()
    handler = _BoundedQueueHandler(records)
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Libraries speak of their own inner life at INFO; an operator of a node did not ask for it.
    for library in ("asyncio", "gossip", "grpc", "zeroconf"):
        logging.getLogger(library).setLevel(max(logging.WARNING, root.level))
    listener.start()

    def stop() -> None:
        listener.stop()
        root.handlers[:] = []
        if handler.dropped:
            target.stream.write(f"{handler.dropped} log records were dropped: the log's reader was too slow\n")

    return stop


def event(logger: logging.Logger, level: int, name: str, /, *, exc_info: bool = False, **fields: Any) -> None:
    """Logs one event.

    Args:
        logger: whose event it is.
        level: a level of `logging`.
        name: constant, dotted, lowercase, such as `member.suspected`.
        exc_info: also write the exception being handled.
        fields: key-values; long ones are cut. No secrets, payloads or whole states.
    """
    if logger.isEnabledFor(level):
        logger.log(level, name, exc_info=exc_info, extra={"fields": fields})


class RateLimit:
    """Bounds how often something that a peer can trigger is logged.

    Args:
        per_s: events let through in a second on average; also the burst, which is at least one.
        clock: seconds that never go backwards.
    """

    __slots__ = ("_allowance", "_burst", "_clock", "_last", "_per_s", "suppressed")

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._clock = clock
        self._burst = self._allowance = max(1.0, per_s)
        self._last = clock()
        self.suppressed = 0

    def __call__(self) -> bool:
        """Whether this one may be logged; refused ones are counted in `suppressed`."""
        now = self._clock()
        self._allowance = min(self._burst, self._allowance + (now - self._last) * self._per_s)
        self._last = now
        if self._allowance < 1:
            self.suppressed += 1
            return False
        self._allowance -= 1
        return True


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = getattr(record, "fields", {})
    return fields


def _short(value: Any) -> str:
    """Text that can't forge a line: escapes are escaped, long values are cut."""
    text = value if isinstance(value, str) else str(value)
    if not text.isprintable() or " " in text or not text:
        text = repr(text)
    return text if len(text) <= FIELD_CHARACTERS_MAX else text[:FIELD_CHARACTERS_MAX] + "…"
