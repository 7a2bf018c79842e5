"""`python -m tests.deep [--types A,B] [--examples N] [--part I/N] [--json]`: laws and histories, many times over.

Each type is taken through chunks of examples, each with a seed of its own, until N were seen. What was done is kept in
a file line by line, so a run that was broken off goes on where it stopped. The type with the fewest examples goes next.
Several machines share the work by `--part 1/3`, `--part 2/3`, `--part 3/3`: each draws by seeds of its own until it has
seen its share, and their files, one after the other, are the file of the whole.

Exit status 0 if nothing failed. A chunk that failed is not counted; it prints the command that repeats it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from crdtmesh.crdts import registry

EXAMPLES = 100_000
CHUNK = 2_000
"""Above 1,000, from where on the tests take the number as it is; the slowest type takes some minutes for this many."""
PROGRESS = Path(".test-deep.jsonl")
TESTS = (
    "tests/property/test_crdt_laws.py",
    "tests/property/test_crdt_specifications.py",
    "tests/property/test_crdt_nested.py",
)


@dataclass(frozen=True)
class Chunk:
    """One chunk that passed: the examples of each law and of the histories of one type, their seed and what they cost.

    Attributes:
        type_name: the type.
        seed: of its draws.
        examples: of each law, and of the histories.
        seconds: of processor time; a shared machine makes of them any number on the clock.
    """

    type_name: str
    seed: int
    examples: int
    seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.deep", description=__doc__)
    parser.add_argument("--types", default=",".join(registry.names()), help="names, with commas between")
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="of each law, for each type")
    parser.add_argument("--chunk", type=int, default=CHUNK, help="examples of one run of the tests")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no chunk after this time")
    parser.add_argument("--part", type=part_of, default=(1, 1), metavar="I/N", help="the I-th share of N")
    parser.add_argument("--progress", type=Path, default=PROGRESS, help="what was done, one chunk a line")
    parser.add_argument("--json", action="store_true", help="print the figures as one line of JSON")
    given = parser.parse_args(arguments)
    types = [registry.get(name).name for name in given.types.split(",")]
    end = time.monotonic() + given.seconds
    part, parts = given.part
    done = load(given.progress)
    failed = False
    while not failed and time.monotonic() < end:
        own = [chunk for chunk in done if chunk.seed % parts == part % parts]
        name = next_type(types, own, given.examples // parts)
        if name is None:
            break
        chunk = run(name, part + parts * sum(chunk.type_name == name for chunk in own), given.chunk)
        failed = chunk is None
        if chunk is not None:
            with given.progress.open("a") as file:
                file.write(json.dumps(asdict(chunk)) + "\n")
            done.append(chunk)
    report(types, done, as_json=given.json)
    return 1 if failed else 0


def part_of(text: str) -> tuple[int, int]:
    """A share of the work, such as 2/3.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise argparse.ArgumentTypeError(f"expected a share such as 2/3, got {text!r:.64}")
    return int(part), int(parts)


def load(progress: Path) -> list[Chunk]:
    """The chunks of earlier runs."""
    return [Chunk(**json.loads(line)) for line in progress.read_text().splitlines()] if progress.exists() else []


def next_type(types: Sequence[str], done: Iterable[Chunk], examples: int) -> str | None:
    """The type that has seen the fewest examples; None when each has seen enough."""
    seen = dict.fromkeys(types, 0)
    for chunk in done:
        if chunk.type_name in seen:
            seen[chunk.type_name] += chunk.examples
    name = min(seen, key=seen.__getitem__)
    return name if seen[name] < examples else None


def run(name: str, seed: int, examples: int) -> Chunk | None:
    """One chunk of a type in a process of its own; None when a test failed, which is then told."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"TESTS_HYPOTHESIS_PROFILE": "deep", "TESTS_DEEP_EXAMPLES": str(examples)}
    command = [sys.executable, "-m", "tests.deep.chunk", name, str(seed)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
        told = f"TESTS_HYPOTHESIS_PROFILE=deep TESTS_DEEP_EXAMPLES={examples} python -m tests.deep.chunk {name} {seed}"
        print(f"failed; again: {told}", file=sys.stderr)
        return None
    print(f"{name} seed {seed}: {examples} examples in {seconds:.1f} s of processor time", file=sys.stderr, flush=True)
    return Chunk(name, seed, examples, round(seconds, 1))


def report(types: Sequence[str], done: Sequence[Chunk], *, as_json: bool) -> None:
    """Prints, for each type, how many examples were seen and what a thousand of them cost."""
    rows = []
    for name in types:
        chunks = [chunk for chunk in done if chunk.type_name == name]
        examples, seconds = sum(chunk.examples for chunk in chunks), sum(chunk.seconds for chunk in chunks)
        cost = round(1_000 * seconds / examples, 1) if examples else None
        rows.append({"type": name, "examples": examples, "seconds": round(seconds, 1), "seconds_per_1000": cost})
    if as_json:
        print(json.dumps({"types": rows}))
        return
    for row in rows:
        each = f"{row['seconds_per_1000']} s per 1,000"
        print(f"{row['type']:15} {row['examples']:>8} examples {row['seconds']:>8} s, {each}")


if __name__ == "__main__":
    sys.exit(main())
