"""One cell: clients work, faults come and go, the mesh comes together again, and the checkers judge."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from simulations.checkers import unexpected_alarms
from simulations.history import Outcome
from tests.hosts.clients import Clients, count
from tests.hosts.host import Host
from tests.hosts.matrix import Cell
from tests.hosts.mesh import Agreement, Mesh
from tests.hosts.shape import Weather
from tests.hosts.witnesses import judge, not_held_up

# Some wait for a node that is gone while the others go on.
CLIENTS: Final = 6

# Before the faults, so that there is something to lose.
CALM_S: Final = 1.0

# Far beyond what a healthy mesh takes on a loaded machine; a cell that needs longer has failed.
AGREE_TIMEOUT_S: Final = 60.0

# Some commits of a loaded node: when it is hit, some calls of the burst are answered, some are under way.
BURST_LEAD_S: Final = 0.02

# When in a cell's faulty time its host is hit, as a share of it.
BLOW_AT: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one cell gave.

    Attributes:
        cell: its name.
        seed: of everything drawn.
        means: how hosts were kept apart.
        victim: the host that something befell; empty for none.
        befell: what really happened to it.
        network: what really happened to frames, by kind.
        calls: updates and reads.
        acknowledged, failed, unknown: updates by what clients were told.
        lost: acknowledged updates that are gone.
        deaths: how often a node that nothing befell declared another one dead during the faults.
        false_deaths: likewise, where every host ran and could be reached all the time, so that each is a mistake; None:
            they did not.
        converged_s: from the end of the faults until equal bytes everywhere; None: not in time.
        members_s: likewise, until each node took all others for alive.
        restart_s: how long the victim took to start again; None: it was not started again.
        broken: broken promises.
    """

    cell: str
    seed: int
    means: str
    victim: str = ""
    befell: str = ""
    network: Mapping[str, int] = field(default_factory=dict)
    calls: int = 0
    acknowledged: int = 0
    failed: int = 0
    unknown: int = 0
    lost: int = 0
    deaths: int = 0
    false_deaths: int | None = None
    converged_s: float | None = None
    members_s: float | None = None
    restart_s: float | None = None
    broken: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """One line of a report."""
        return asdict(self)


@dataclass(slots=True)
class Trial:
    """Runs one cell on a mesh that is well."""

    mesh: Mesh
    cell: Cell
    seed: int
    _befell: str = ""
    _had_effect: bool = True
    _restart_s: float | None = None

    async def run(self) -> Verdict:
        """The whole of it; the mesh is as before when no promise was broken."""
        rng = random.Random(f"{self.seed}:{self.cell.name}")
        victim = None if self.cell.process == "none" else rng.choice(self.mesh.hosts)
        weather = self.cell.sky.cut(self.cell.size, rng) if self.cell.sky.cut else Weather()
        if victim and self.cell.process == "diskfull":
            await victim.begin_a_new_log()
            await self.mesh.meet()
        before = Counter(await self.mesh.wire.counts())
        deaths_before = await self.mesh.deaths(without=victim)
        clients = Clients(self.cell.name, self.mesh.clients, f"{self.seed}:{self.cell.name}")
        clients.start(CLIENTS)
        try:
            await asyncio.sleep(CALM_S)
            await asyncio.gather(self._storm(weather), self._strike(victim, clients))
            await clients.finish()
        finally:
            clients.cancel()
        happened = Counter(await self.mesh.wire.counts()) - before
        deaths = await self.mesh.deaths(without=victim) - deaths_before
        await self._mend(victim)
        agreement = await self.mesh.agree(self.cell.name, AGREE_TIMEOUT_S)
        return await self._verdict(clients, victim, (happened, deaths), agreement)

    async def _storm(self, weather: Weather) -> None:
        """The network's part; it goes on until `_mend`."""
        sky = self.cell.sky
        bad = Weather(everywhere=sky.shape, links=weather.links)
        ends_s = time.monotonic() + self.cell.seconds
        if not sky.flap_s:
            await self.mesh.become(bad)
            await asyncio.sleep(self.cell.seconds)
            return
        while (left_s := ends_s - time.monotonic()) > 0:
            await self.mesh.become(bad)
            await asyncio.sleep(min(sky.flap_s, left_s))
            await self.mesh.become(Weather(everywhere=sky.shape))
            await asyncio.sleep(max(0.0, min(sky.flap_s, left_s - sky.flap_s)))

    async def _strike(self, victim: Host | None, clients: Clients) -> None:
        """What befalls a host. One that is killed comes back while the network is still bad."""
        if victim is None:
            return
        await asyncio.sleep(BLOW_AT * self.cell.seconds)
        clients.burst(victim.name)
        await asyncio.sleep(BURST_LEAD_S)
        lasts_s = self.cell.seconds * (1 - BLOW_AT) - 1.0
        if self.cell.process == "kill":
            await victim.kill()
            self._befell = "SIGKILL"
            await asyncio.sleep(lasts_s / 2)
            await self._start(victim)
        elif self.cell.process == "pause":
            victim.pause()
            self._befell = f"SIGSTOP for {lasts_s:.0f} s"
            await asyncio.sleep(lasts_s)
            victim.resume()
        elif self.cell.process == "diskfull":
            self._befell = victim.fill_disk()
        else:
            await victim.break_syncs()
            self._befell = "EIO"

    async def _mend(self, victim: Host | None) -> None:
        await self.mesh.become(Weather())
        if victim is None:
            return
        if self.cell.process == "diskfull":
            state = await _state(victim)
            self._befell += f", state {state}"
            self._had_effect = state == "read_only"
            victim.free_disk()
        elif self.cell.process == "syncerror":
            failed = await victim.mend_syncs()
            self._befell = f"{failed} syncs failed with EIO, state {await _state(victim)}"
            self._had_effect = failed > 0
        else:
            return
        await victim.node.stop()
        await self._start(victim)

    async def _start(self, host: Host) -> None:
        started_s = time.monotonic()
        await host.node.start()
        self._restart_s = time.monotonic() - started_s

    async def _verdict(
        self, clients: Clients, victim: Host | None, seen: tuple[Mapping[str, int], int], agreement: Agreement
    ) -> Verdict:
        happened, deaths = seen
        history = clients.history
        judgement = judge(history, await self.mesh.holdings(self.cell.name))
        unharmed = [host.name for host in self.mesh.hosts if host is not victim]
        broken = [*judgement.broken, *not_held_up(history, unharmed), *unexpected_alarms(await self.mesh.alarms())]
        if agreement.members_s is None:
            broken.append(f"membership: not all nodes were alive for all nodes within {AGREE_TIMEOUT_S:.0f} s")
        broken += without_effect(self.cell, happened, self._had_effect)
        return Verdict(
            cell=self.cell.name,
            seed=self.seed,
            means=self.mesh.means,
            victim=victim.name if victim else "",
            befell=self._befell,
            network=dict(sorted(happened.items())),
            calls=len(history.calls),
            acknowledged=count(history.calls, Outcome.OK),
            failed=count(history.calls, Outcome.FAILED),
            unknown=count(history.calls, Outcome.UNKNOWN),
            lost=judgement.lost,
            deaths=deaths,
            false_deaths=deaths if self.cell.is_connected else None,
            converged_s=_rounded(agreement.data_s),
            members_s=_rounded(agreement.members_s),
            restart_s=_rounded(self._restart_s),
            broken=tuple(broken),
        )


def without_effect(cell: Cell, happened: Mapping[str, int], had_effect: bool) -> list[str]:
    """Faults that were asked for and did not happen: a cell without them shows nothing."""
    found = [f"faults: no frame was {kind}" for kind in cell.sky.shows if not happened.get(kind)]
    return found if had_effect else [*found, f"faults: {cell.process} had no effect on the node"]


async def _state(host: Host) -> str:
    with contextlib.suppress(Exception):
        return (await host.client.status()).state
    return "not answering"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)
