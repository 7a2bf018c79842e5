"""Results of cells as a table in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

HEAD = (
    "| cell | frames seen | not delivered | delayed, doubled, reordered, damaged | what befell a host | calls "
    "| acknowledged | unknown | lost | equal after, s | all alive after, s |\n" + "|---" * 11 + "|"
)
_DROPPED = ("lost", "cut", "overflowed")
_CHANGED = ("delayed", "duplicated", "reordered", "corrupted")


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """One row for each."""
    return "\n".join([HEAD, *(_row(result) for result in results)])


def _row(result: Mapping[str, Any]) -> str:
    network = result["network"]
    dropped = sum(network.get(kind, 0) for kind in _DROPPED)
    changed = ", ".join(f"{network.get(kind, 0):,}" for kind in _CHANGED) if any(map(network.get, _CHANGED)) else ""
    verdict = "" if not result["broken"] else f" **failed**: {result['broken'][0]}"
    cells = (
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
    return "| " + " | ".join(map(str, cells)) + " |"
