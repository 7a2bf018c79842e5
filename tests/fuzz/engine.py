"""A small fuzzer: mutated inputs, and those that reach new lines are kept and mutated further.

Lines are counted by the interpreter's own tracing, which makes a run some ten times slower and needs no tool. Inputs
are drawn from a seeded source, so a find replays from its seed; what is found is printed whole in any case.
"""

from __future__ import annotations

import hashlib
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any, Final

from tests.fuzz.targets import Target

__all__ = ["CORPUS", "Report", "fuzz", "read_corpus", "write_corpus"]

CORPUS: Final = Path(__file__).parent / "corpus"
INPUT_SIZE_BYTES_MAX: Final = 4_096
# Of each target; the file stays readable, and the test that replays all of it stays short.
KEPT_MAX: Final = 200

_INTERESTING: Final = (0, 1, 0x7F, 0x80, 0xFF, 0xC0, 0xC1, 0xDC, 0xDD, 0xDE, 0xDF, 0xC6, 0xDB)


@dataclass(slots=True)
class Report:
    """What one target showed.

    Attributes:
        target: its name.
        inputs: that were tried.
        lines: reached, of the target's modules.
        kept: inputs of the corpus afterwards.
        finds: tracebacks, by the input in hexadecimal.
    """

    target: str
    inputs: int = 0
    lines: int = 0
    kept: int = 0
    finds: dict[str, str] = field(default_factory=dict)


def read_corpus(name: str) -> list[bytes]:
    """The inputs that were kept: one a line, in hexadecimal."""
    path = CORPUS / f"{name}.hex"
    return [bytes.fromhex(line) for line in path.read_text().split()] if path.exists() else []


def write_corpus(name: str, inputs: list[bytes]) -> None:
    """Keeps inputs."""
    (CORPUS / f"{name}.hex").write_text("".join(f"{data.hex()}\n" for data in inputs))


def fuzz(target: Target, *, seconds: float, seed: int) -> tuple[Report, list[bytes]]:
    """Tries inputs for a while.

    Returns:
        The report, and the corpus with what reached new lines.
    """
    rng = Random(f"{seed}-{target.name}")
    report = Report(target.name)
    reached: set[tuple[str, int]] = set()
    kept: list[bytes] = []
    end_s = time.monotonic() + seconds
    waiting = [*target.seeds(), *read_corpus(target.name)]
    tried: set[bytes] = set()
    while waiting or time.monotonic() < end_s:
        data = waiting.pop(0) if waiting else _mutated(rng, kept or [b"\0"])
        mark = hashlib.blake2b(data, digest_size=8).digest()
        if mark in tried:
            continue
        tried.add(mark)
        report.inputs += 1
        lines = _traced(target, data, report)
        if not lines <= reached and len(kept) < KEPT_MAX:
            reached |= lines
            kept.append(data)
    report.lines, report.kept = len(reached), len(kept)
    return report, kept


def _traced(target: Target, data: bytes, report: Report) -> set[tuple[str, int]]:
    lines: set[tuple[str, int]] = set()

    def local(frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "line":
            lines.add((frame.f_code.co_filename, frame.f_lineno))
        return local

    def trace(frame: FrameType, _event: str, _argument: Any) -> Any:
        name = frame.f_globals.get("__name__", "")
        return local if name.startswith(target.modules) else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        target.run(data)
    except Exception:
        report.finds.setdefault(data.hex(), traceback.format_exc(limit=-6))
    finally:
        sys.settrace(before)
    return lines


def _mutated(rng: Random, kept: list[bytes]) -> bytes:
    data = bytearray(rng.choice(kept))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(7):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1 if at < len(data):
                data[at] = rng.choice(_INTERESTING)
            case 2:
                data[at:at] = rng.randbytes(rng.randint(1, 4))
            case 3:
                del data[at : at + rng.randint(1, 8)]
            case 4:
                other = rng.choice(kept)
                data[at:] = other[rng.randrange(len(other) + 1) :]
            case 5:
                data[at:at] = data[at : at + rng.randint(1, 16)]
            case _:
                size = rng.choice((2, 4))
                data[at : at + size] = rng.choice((0, 1, 1 << 31, (1 << 32) - 1)).to_bytes(4)[-size:]
    return bytes(data[:INPUT_SIZE_BYTES_MAX])
