"""Runs cells one after the other: those of one size on one mesh, which is made anew after a cell that failed."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from tests.hosts.enclosure import Grounds
from tests.hosts.matrix import Cell
from tests.hosts.mesh import Mesh, logs_of
from tests.hosts.results import Results, commit
from tests.hosts.trial import Trial, Verdict

CAPTURE: Final = "capture.pcapng"
FAILED: Final = "failed-"


class Runner:
    """Runs cells, tells of each, and keeps what shows why one failed.

    Args:
        grounds: what is allowed here.
        folder: logs and captures of cells that fail stay in it.
        seed: of all that is drawn.
        results: what was run before, and where to write to.
        budget_s: no cell begins after so many seconds; 0 for no limit.
        says: takes a line for each cell.
        bug: planted in all nodes; empty for none.

    Attributes:
        is_cut: whether the budget ended the run.
    """

    def __init__(
        self,
        grounds: Grounds,
        folder: Path,
        *,
        seed: int,
        results: Results,
        budget_s: float,
        says: Callable[[str], None],
        bug: str = "",
    ) -> None:
        self.is_cut = False
        self._grounds = grounds
        self._folder = folder
        self._seed = seed
        self._results = results
        self._budget_s = budget_s
        self._says = says
        self._bug = bug
        self._started_s = time.monotonic()
        self._mesh: Mesh | None = None
        self._size = 0
        self._meshes = 0
        self._verdicts: list[Verdict] = []
        self._left_out: list[str] = []

    async def run(self, cells: Sequence[Cell]) -> None:
        """All of them, but those that passed before and those that are not possible here."""
        passed = self._results.passed()
        for cell in cells:
            if cell.name in passed:
                self._says(f"{cell.name}: passed before at {commit()}")
            elif cell.process == "syncerror" and not self._grounds.has_trace:
                self._left_out.append(cell.name)
                self._says(f"{cell.name}: left out, syncs can't be made to fail here")
            elif self._budget_s and time.monotonic() - self._started_s > self._budget_s:
                self.is_cut = True
                self._says(f"{cell.name} and what follows: not begun, {self._budget_s:.0f} s are over")
                return
            else:
                await self._one(cell)

    async def close(self) -> None:
        """Ends what runs; the folder stays if a cell failed."""
        if self._mesh is not None:
            await self._mesh.close()
            self._mesh = None
        (self._folder / CAPTURE).unlink(missing_ok=True)
        if not any(self._folder.glob(f"{FAILED}*")):
            shutil.rmtree(self._folder, ignore_errors=True)

    def summary(self) -> dict[str, Any]:
        """The run as a whole."""
        done = self._verdicts
        times = {
            name: sorted(
                verdict.converged_s
                for verdict in done
                if verdict.converged_s is not None and verdict.cell.endswith("-clean-none") == is_clean
            )
            for name, is_clean in (("converged_clean_s", True), ("converged_faulty_s", False))
        }
        return {
            "commit": commit(),
            "seed": self._seed,
            "planted": self._bug,
            "means": self._grounds.means,
            "stepped_down": list(self._grounds.notes),
            "ran": len(done),
            "ok": sum(1 for verdict in done if not verdict.broken),
            "left_out": self._left_out,
            "calls": sum(verdict.calls for verdict in done),
            "acknowledged": sum(verdict.acknowledged for verdict in done),
            "unknown": sum(verdict.unknown for verdict in done),
            "lost": sum(verdict.lost for verdict in done),
            "false_deaths": sum(verdict.false_deaths or 0 for verdict in done),
            **{name: {"median": median(found), "max": found[-1]} for name, found in times.items() if found},
            "cells": [verdict.to_json() for verdict in done],
        }

    async def _one(self, cell: Cell) -> None:
        try:
            mesh = await self._mesh_of(cell.size)
            await mesh.wire.capture(self._folder / CAPTURE)
            verdict = await Trial(mesh, cell, self._seed).run()
        except Exception as error:  # whatever fails is this cell's failure; the next has a new mesh
            broken = f"{type(error).__name__}: {error}"
            verdict = Verdict(cell=cell.name, seed=self._seed, means=self._grounds.means, broken=(broken,))
        if verdict.broken:
            await self._keep(cell)
            await self._drop_mesh()
        self._verdicts.append(verdict)
        self._results.add(verdict)
        self._says(line_of(verdict))
        for promise in verdict.broken[:20]:
            self._says(f"    {promise}")

    async def _mesh_of(self, size: int) -> Mesh:
        if self._mesh is None or self._size != size:
            await self._drop_mesh()
            self._meshes += 1
            folder = self._folder / f"mesh-{self._meshes}"
            folder.mkdir(parents=True)
            grounds = self._grounds
            self._mesh = Mesh(
                size, folder, means=grounds.means, seed=self._seed, has_disks=grounds.has_disks, bug=self._bug
            )
            self._size = size
            self._says(f"{size} hosts, joined by {grounds.means}, found each other in {await self._mesh.start():.1f} s")
        return self._mesh

    async def _drop_mesh(self) -> None:
        if self._mesh is not None:
            await self._mesh.close()
            shutil.rmtree(self._mesh.folder, ignore_errors=True)
            self._mesh = None

    async def _keep(self, cell: Cell) -> None:
        """The capture and all logs of a cell that failed."""
        assert self._mesh is not None
        with contextlib.suppress(RuntimeError, OSError):  # the process that writes it may be what failed
            await self._mesh.wire.capture(None)
        kept = self._folder / f"{FAILED}{cell.name}"
        kept.mkdir(exist_ok=True)
        for path in [self._folder / CAPTURE, *logs_of(self._mesh.hosts)]:
            if path.exists():
                shutil.copy(path, kept / path.name)
        self._says(f"{cell.name}: logs and capture are in {kept}")


def line_of(verdict: Verdict) -> str:
    """What is printed of a cell."""
    happened = " ".join(f"{kind}={number}" for kind, number in verdict.network.items())
    befell = f"; {verdict.victim}: {verdict.befell}" if verdict.victim else ""
    restart = f", restarted in {verdict.restart_s} s" if verdict.restart_s is not None else ""
    return (
        f"{verdict.cell}: {'FAILED' if verdict.broken else 'ok'} seed={verdict.seed} frames: {happened}{befell}; "
        f"calls={verdict.calls} acknowledged={verdict.acknowledged} failed={verdict.failed} unknown={verdict.unknown} "
        f"lost={verdict.lost} deaths={verdict.deaths} converged={verdict.converged_s} s "
        f"members={verdict.members_s} s{restart}"
    )
