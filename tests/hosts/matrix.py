"""The matrix as data: how many hosts, what their network does, what befalls one of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from tests.hosts.shape import CLEAR, Shape, Weather, between, from_to

Hosts = frozenset[int]


@dataclass(frozen=True, slots=True)
class Sky:
    """What a network does for the time of a cell.

    Attributes:
        shape: of every link.
        seconds: for how long; more when what befalls a host takes longer.
        cut: draws the links that are cut, if any are.
        flap_s: cut and whole in turns of so many seconds; 0: cut all the time.
        shows: kinds of the switch's counts that can't be zero afterwards, or the fault was none.
    """

    shape: Shape = CLEAR
    seconds: float = 8.0
    cut: Callable[[int, random.Random], Weather] | None = None
    flap_s: float = 0.0
    shows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Blow:
    """What befalls one host; `seconds` is how long it stays so."""

    name: str
    seconds: float = 4.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One of the matrix; `seconds` is how long its faults last."""

    size: int
    network: str
    process: str
    seconds: float

    @property
    def name(self) -> str:
        """By which it is asked for, and found again."""
        return f"{self.size}-{self.network}-{self.process}"

    @property
    def is_connected(self) -> bool:
        """Whether every host runs and can be reached by every other, however badly, for the time of the faults."""
        return self.sky.cut is None and self.process not in {"kill", "pause"}

    @property
    def sky(self) -> Sky:
        """Of its network."""
        return NETWORKS[self.network]


def halves(size: int, rng: random.Random) -> tuple[Hosts, Hosts]:
    """Two groups, the second one larger where they can't be equal."""
    order = rng.sample(range(size), size)
    return frozenset(order[: size // 2]), frozenset(order[size // 2 :])


def split(size: int, rng: random.Random) -> Weather:
    """Neither half reaches the other."""
    return Weather().cutting(between(*halves(size, rng)))


def one_way(size: int, rng: random.Random) -> Weather:
    """One host hears all others; half of them, one at least, do not hear it."""
    silent, *others = rng.sample(range(size), size)
    return Weather().cutting(from_to(frozenset({silent}), frozenset(others[: max(1, (size - 1) // 2)])))


def bridge(size: int, rng: random.Random) -> Weather:
    """Two halves that reach each other by one host only, which reaches all."""
    order = rng.sample(range(size), size)
    middle = (size - 1) // 2
    return Weather().cutting(between(frozenset(order[:middle]), frozenset(order[middle:-1])))


NETWORKS: Final[dict[str, Sky]] = {
    "clean": Sky(),
    "wan": Sky(
        Shape(
            delay_s=0.040,
            jitter_s=0.010,
            tail=0.01,
            tail_s=0.5,
            loss=0.02,
            reordering=0.02,
            hold_s=0.030,
            rate_bytes_s=500_000,
        ),
        shows=("delayed", "lost"),
    ),
    "loss": Sky(
        Shape(loss=0.20, duplication=0.05, reordering=0.05, hold_s=0.010, corruption=0.001),
        shows=("lost", "duplicated"),
    ),
    "split": Sky(seconds=20.0, cut=split, shows=("cut",)),
    "oneway": Sky(cut=one_way, shows=("cut",)),
    "flapping": Sky(cut=split, flap_s=2.0, shows=("cut",)),
    "bridge": Sky(cut=bridge, shows=("cut",)),
}
"""By name. Those named `wan` and `loss` do a little of everything else that such cables do."""

SPLIT_ALONE_S: Final = 60.0
"""How long halves are split when nothing else happens."""

PROCESSES: Final[dict[str, Blow]] = {
    "none": Blow("none", 0.0),
    "kill": Blow("kill"),
    "pause": Blow("pause", 20.0),
    "diskfull": Blow("diskfull"),
    "syncerror": Blow("syncerror"),
}

SIZES: Final = (3, 5, 9)

BRIEF: Final = ("3-clean-none", "3-loss-kill", "3-split-diskfull", "3-oneway-syncerror", "3-wan-pause", "3-bridge-none")
BRIEF_SECONDS: Final = 6.0


def whole() -> Iterator[Cell]:
    """All cells, in the order in which they run: those of one size one after the other."""
    for size in SIZES:
        for network, sky in NETWORKS.items():
            for process, blow in PROCESSES.items():
                is_alone = network == "split" and process == "none"
                yield Cell(size, network, process, SPLIT_ALONE_S if is_alone else max(sky.seconds, blow.seconds + 2.0))


def brief() -> Iterator[Cell]:
    """Some cells, with short faults: every network but flapping, everything that befalls a host."""
    for cell in whole():
        if cell.name in BRIEF:
            yield Cell(cell.size, cell.network, cell.process, BRIEF_SECONDS)
