"""Results of cells as tables in Markdown: one row for each cell, and how long meshes took to agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any, Final

from tests.hosts.matrix import NETWORKS, PROCESSES

Result = Mapping[str, Any]

HEAD: Final = (
    "| cell | frames seen | not delivered | delayed, doubled, reordered, damaged | what befell a host | calls "
    "| acknowledged | unknown | lost | equal after, s | all alive after, s |\n" + "|---" * 11 + "|"
)
_DROPPED: Final = ("lost", "cut", "overflowed")
_CHANGED: Final = ("delayed", "duplicated", "reordered", "corrupted")


def table(results: Sequence[Result]) -> str:
    """One row for each cell."""
    return "\n".join([HEAD, *(_row(result) for result in results)])


def times(results: Sequence[Result]) -> str:
    """Median and maximum of the time until bytes were equal: networks down, what befell a host across."""
    by_kind: dict[tuple[str, str], list[float]] = {}
    for result in results:
        _, network, process = result["cell"].split("-")
        if result["converged_s"] is not None:
            by_kind.setdefault((network, process), []).append(result["converged_s"])
    rows = [
        _line([network, *(_spread(by_kind.get((network, process), [])) for process in PROCESSES)])
        for network in NETWORKS
    ]
    return "\n".join([_line(["", *PROCESSES]), "|---" * (len(PROCESSES) + 1) + "|", *rows])


def totals(results: Sequence[Result]) -> str:
    """The whole in one sentence."""
    sums = {name: sum(result[name] for result in results) for name in ("calls", "acknowledged", "unknown", "lost")}
    frames = sum(result["network"].get("seen", 0) for result in results)
    dropped = sum(result["network"].get(kind, 0) for result in results for kind in _DROPPED)
    connected = [result["false_deaths"] for result in results if result["false_deaths"] is not None]
    failed = sum(1 for result in results if result["broken"])
    seeds = ", ".join(sorted({str(result["seed"]) for result in results}))
    commits = ", ".join(sorted({result["commit"] for result in results}))
    means = ", ".join(sorted({result["means"] for result in results}))
    return (
        f"Commit {commits}, seed {seeds}, hosts by {means}: {len(results)} cells, {failed} failed; {frames:,} frames, "
        f"{dropped:,} of them not delivered; {sums['calls']:,} calls, {sums['acknowledged']:,} updates acknowledged, "
        f"{sums['unknown']:,} unknown, lost {sums['lost']}; {sum(connected)} false deaths in {len(connected)} "
        "cells in which every host ran and could be reached."
    )


def _row(result: Result) -> str:
    network = result["network"]
    dropped = sum(network.get(kind, 0) for kind in _DROPPED)
    changed = ", ".join(f"{network.get(kind, 0):,}" for kind in _CHANGED) if any(map(network.get, _CHANGED)) else ""
    verdict = "" if not result["broken"] else f" **failed**: {result['broken'][0]}"
    return _line(
        (
            f"{result['cell']}{verdict}",
            f"{network.get('seen', 0):,}",
            f"{dropped:,}",
            changed,
            f"{result['victim']}: {result['befell']}" if result["victim"] else "",
            f"{result['calls']:,}",
            f"{result['acknowledged']:,}",
            f"{result['unknown']:,}",
            result["lost"],
            result["converged_s"],
            result["members_s"],
        )
    )


def _spread(found: Sequence[float]) -> str:
    return f"{median(found):.2f}, {max(found):.2f}" if found else ""


def _line(cells: Iterable[object]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"
