"""JSON documents and texts by themselves: edits against those of pycrdt; what they cost to keep and to send.

`list_append` and `list_random` insert one number at a time, encode the change, and apply it at another replica; rates
are by CPU time. `list_delta_bytes` are bytes of one such change, `list_state_bytes` bytes of the encoded state for each
element after EDITS random inserts, `list_appended_bytes` after as many at the end; less is better for these. The cases
of `text` are the same with one character at a time, against a text of pycrdt. `..._position_bytes` is the longest
position after POSITIONS inserts at one place of a list, against the 16 bytes of a UUID.
"""

from __future__ import annotations

import importlib.util
import random
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from benchmarks.harness import Options, Side, compare_sides, progress
from benchmarks.load import Job, run_client, verify
from benchmarks.measures import Line, Sample
from benchmarks.processes import Children
from crdtmesh.crdts import JSON_DOCUMENT, TEXT, DataType, Operation, ReplicaTable, State, deltas
from crdtmesh.crdts.dots import REPLICA_ID_BYTES

EDITS: Final = 10_000
POSITIONS: Final = 100_000

_PLACES: Final[dict[str, Callable[[random.Random, int], int]]] = {
    "end": lambda _, size: size,
    "start": lambda _, size: 0,
    "fixed": lambda _, size: min(size, 50),
    "middle": lambda _, size: size // 2,
    "random": lambda rng, size: rng.randint(0, size),
}
_AGAINST_PYCRDT: Final = tuple(
    f"{kind}_{measured}"
    for kind in ("list", "text")
    for measured in ("append", "random", "delta_bytes", "state_bytes", "appended_bytes")
)

CASES: Final = (*_AGAINST_PYCRDT, *(f"{place}_position_bytes" for place in _PLACES))

_A: Final = b"a" * REPLICA_ID_BYTES
_B: Final = b"b" * REPLICA_ID_BYTES
_NOW_MS: Final = 1_700_000_000_000


def run(children: Children, options: Options) -> Iterator[Line]:
    """The cases; both sides of each run in fresh processes."""
    for case in CASES:
        if not options.wants(case):
            continue
        if case in _AGAINST_PYCRDT and importlib.util.find_spec("pycrdt") is None:
            progress(f"crdt_documents {case}: pycrdt is not installed; the extra `text` has it")
            continue
        base = "pycrdt" if case in _AGAINST_PYCRDT else "bytes of a UUID"
        yield from compare_sides(
            children,
            options,
            bench="crdt_documents",
            case=case,
            bases={base: Side(command=("benchmarks.crdt_documents", "base"), case=case)},
            subject=(
                "Text" if case.startswith("text") else "JsonDocument",
                Side(command=("benchmarks.crdt_documents", "subject"), case=case),
            ),
        )


async def subject(job: Job) -> Sample:
    """Our document."""
    if job.case.endswith("_position_bytes"):
        return Sample(rate=_longest_position(_PLACES[job.case.removesuffix("_position_bytes")]))
    return _sample(job.case, _edit)


async def base(job: Job) -> Sample:
    """The other library's array or text."""
    return Sample(rate=16) if job.case.endswith("_position_bytes") else _sample(job.case, _edit_pycrdt)


def _sample(case: str, edit: Callable[[str, str], tuple[int, int]]) -> Sample:
    kind, _, measured = case.partition("_")
    began_s = time.process_time()
    delta_bytes, state_bytes = edit(kind, "end" if measured.startswith("append") else "random")
    if measured == "delta_bytes":
        return Sample(rate=delta_bytes / EDITS)
    if measured in {"state_bytes", "appended_bytes"}:
        return Sample(rate=state_bytes / EDITS)
    return Sample(rate=EDITS / (time.process_time() - began_s))


def _edit(kind: str, place: str) -> tuple[int, int]:
    """Bytes of all deltas, and of the state at the end."""
    rng = random.Random(1)
    data_type: DataType[Any] = TEXT if kind == "text" else JSON_DOCUMENT
    here, there = (State(data_type, ReplicaTable(), replica_id=replica_id) for replica_id in (_A, _B))
    sent = 0
    for number in range(EDITS):
        at = _PLACES[place](rng, number)
        inserted = Operation("insert", (at, "x") if kind == "text" else (["l"], at, number))
        delta = here.apply(inserted, now_ms=_NOW_MS + number)
        assert delta is not None
        data = deltas.encode_delta(data_type, delta)
        there.join_encoded(data, now_ms=_NOW_MS + number)
        sent += len(data)
    value: Any = there.value
    verify(EDITS, len(value if kind == "text" else value["l"]))
    return sent, len(here.encode())


def _edit_pycrdt(kind: str, place: str) -> tuple[int, int]:
    from pycrdt import Array, Doc, Text

    rng = random.Random(1)
    here: Any = Doc()
    there: Any = Doc()
    items, copies = (doc.get("l", type=Text if kind == "text" else Array) for doc in (here, there))
    sent = 0

    def send(event: Any) -> None:
        nonlocal sent
        sent += len(event.update)
        there.apply_update(event.update)

    subscription = here.observe(send)
    for number in range(EDITS):
        items.insert(_PLACES[place](rng, number), "x" if kind == "text" else number)
    here.unobserve(subscription)
    verify(EDITS, len(copies))
    return sent, len(here.get_update())


def _longest_position(place: Callable[[random.Random, int], int]) -> int:
    rng = random.Random(1)
    document = State(JSON_DOCUMENT, ReplicaTable(), replica_id=_A)
    for number in range(POSITIONS):
        document.apply(Operation("insert", (["l"], place(rng, number), number)))
    return max(len(position) for position, _ in document.delta().store.root.keys["l"].order)


if __name__ == "__main__":
    run_client(subject if sys.argv[1] == "subject" else base)
