"""What a host has to send: answers to turns as columns, gathered until the next message is built."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2 as pb

__all__ = ["ANSWER_SIZE_BYTES_MAX", "Answers"]

ANSWER_SIZE_BYTES_MAX: Final = 8 * 1024 * 1024
"""Largest result, mutations and effects of one turn. A node takes messages of 16 MiB, and a larger one would end the
stream with all turns on it; a batch is cut at 1 MiB, so one answer may stand alone at eight times that."""

_BATCH_SIZE_BYTES_MAX: Final = 1024 * 1024
_BATCH_ITEMS_MAX: Final = 4_096

_MESSAGE_CHARS_MAX: Final = 2_000  # of a failure: a traceback's last line fits; a dumped state doesn't

_HANDLES_MAX: Final = 65_535


class Answers:
    """Answers that are finished and not yet sent, and the handles of their type URLs on this stream."""

    __slots__ = ("_bindings", "_effects", "_failures", "_handles", "_mutations", "_payloads", "_turns", "_type_urls")

    def __init__(self) -> None:
        self._turns: list[int] = []
        self._type_urls: list[int] = []
        self._payloads: list[bytes] = []
        self._mutations: list[bytes] = []
        self._effects: dict[int, pb.TurnEffects] = {}
        self._failures: list[pb.TurnFailure] = []
        self._bindings: list[pb.Binding] = []
        self._handles: dict[str, int] = {"": 0}

    def __len__(self) -> int:
        return len(self._turns) + len(self._failures)

    def add(
        self, turn: int, type_url: str, payload: bytes, mutations: bytes, effects: pb.TurnEffects | None = None
    ) -> None:
        """Queues the answer to a turn."""
        if effects is not None:
            self._effects[turn] = effects
        self._turns.append(turn)
        handle = self._handles.get(type_url)
        self._type_urls.append(self._bind(type_url) if handle is None else handle)
        self._payloads.append(payload)
        self._mutations.append(mutations)

    def fail(self, turn: int, message: str, *, unknown_action: bool = False) -> None:
        """Queues the failure of a turn that left nothing."""
        text = message if len(message) <= _MESSAGE_CHARS_MAX else message[: _MESSAGE_CHARS_MAX - 1] + "…"
        text = text.encode(errors="replace").decode()  # a message with a lone surrogate must not cost the stream
        self._failures.append(pb.TurnFailure(turn=turn, message=text, unknown_action=unknown_action))

    def take_batches(self) -> Iterator[pb.HostBatch]:
        """All that is queued, as messages; the queue is empty afterwards. Usually it is one message."""
        turns, self._turns = self._turns, []
        type_urls, self._type_urls = self._type_urls, []
        payloads, self._payloads = self._payloads, []
        mutations, self._mutations = self._mutations, []
        effects, self._effects = self._effects, {}
        failures, self._failures = self._failures, []
        bindings, self._bindings = self._bindings, []
        sizes = [effects[turn].ByteSize() if turn in effects else 0 for turn in turns] if effects else []
        for cut in _cuts(payloads, mutations, sizes):
            # A column of zeros or empty bytes is left out.
            yield pb.HostBatch(
                bindings=bindings,
                turn=turns[cut],
                type_url=column if any(column := type_urls[cut]) else (),
                payload=column_b if any(column_b := payloads[cut]) else (),
                mutations=column_c if any(column_c := mutations[cut]) else (),
                failures=failures,
                effects=[effects[turn] for turn in turns[cut] if turn in effects] if effects else (),
            )
            bindings, failures = [], []

    def _bind(self, type_url: str) -> int:
        if len(self._handles) > _HANDLES_MAX:
            # Type URLs are those of classes in the user's code; only a program that makes them up comes here.
            raise ValueError(f"more than {_HANDLES_MAX} payload types on one stream")
        handle = self._handles[type_url] = len(self._handles)
        self._bindings.append(pb.Binding(handle=handle, type_url=type_url))
        return handle


def _cuts(payloads: list[bytes], mutations: list[bytes], sizes: list[int]) -> Iterator[slice]:
    """Slices of the columns that keep each message under the bounds; one even for no item, as failures need one.

    Args:
        payloads: a column.
        mutations: a column.
        sizes: of the effects of each item, in bytes; empty when none has any.
    """
    count = len(payloads)
    total = sum(map(len, payloads)) + sum(map(len, mutations)) + sum(sizes)
    if count <= _BATCH_ITEMS_MAX and total <= _BATCH_SIZE_BYTES_MAX:
        yield slice(0, count)
        return
    start = size = 0
    for index in range(count):
        item = len(payloads[index]) + len(mutations[index]) + (sizes[index] if sizes else 0)
        if index > start and (size + item > _BATCH_SIZE_BYTES_MAX or index - start >= _BATCH_ITEMS_MAX):
            yield slice(start, index)
            start, size = index, 0
        size += item
    yield slice(start, count)
