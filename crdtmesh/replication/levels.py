"""Consistency levels: what "acknowledged" means, and who is counted.

A level counts *voters*: `local` is this node's disk; `to(n)`, `majority` and `all` are so many voters that have
applied an update and have it on disk. The voter list is replicated state: an add-wins set of node names in the system
`_mesh`. It changes when a node that caught up adds itself, leaves, or is removed by an operator, and *never* by the
failure detector: two halves of a split that both shrink their count would both be a majority.
"""

import enum
import re
from dataclasses import dataclass
from typing import Final

from crdtmesh.replication.errors import LevelInvalid, shown
from crdtmesh.replication.outputs import EntryKey

MESH_SYSTEM: Final = "_mesh"
VOTERS_PREFIX: Final = "voters/"

WRITE_LEVEL_METADATA: Final = "crdtmesh.write"
"""The key of a call's metadata that names the level of its writes."""

READ_LEVEL_METADATA: Final = "crdtmesh.read"
"""Likewise for a call that only reads."""

# A level counts nodes of one cluster; memberlist clusters are run up to a few thousand.
LEVEL_COUNT_MAX: Final = 9999

_NUMBER: Final = "[0-9]{1,4}"
_TO: Final = re.compile(rf"to\(({_NUMBER})\)")
_MAJORITY: Final = re.compile(rf"majority(?:\((?:min_cap=({_NUMBER}))?(?:(?<=[0-9]),)?(?:extra=({_NUMBER}))?\))?")


class LevelKind(enum.Enum):
    """The four levels, for writes and for reads."""

    LOCAL = "local"
    TO = "to"
    MAJORITY = "majority"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Level:
    """A consistency level.

    Attributes:
        kind: which of the four.
        count: voters, for `to(n)` only.
        min_cap: for `majority` only: at least so many, as far as there are voters.
        extra: for `majority` only: so many beyond it; 1 covers one change of the voter list.
    """

    kind: LevelKind
    count: int = 0
    min_cap: int = 0
    extra: int = 0

    @property
    def is_local(self) -> bool:
        """This node's disk is all that it asks for."""
        return self.kind is LevelKind.LOCAL or (self.kind is LevelKind.TO and self.count <= 1)

    def __str__(self) -> str:
        """The text that `parse_level` reads."""
        if self.kind is LevelKind.TO:
            return f"to({self.count})"
        parts = [f"{name}={value}" for name, value in (("min_cap", self.min_cap), ("extra", self.extra)) if value]
        return f"{self.kind.value}({','.join(parts)})" if parts else self.kind.value


LOCAL: Final = Level(LevelKind.LOCAL)
MAJORITY: Final = Level(LevelKind.MAJORITY)


def parse_level(text: str) -> Level:
    """Reads `local`, `to(n)`, `majority`, `majority(min_cap=n,extra=n)` or `all`; the empty text is `local`.

    Raises:
        LevelInvalid: it is none of them; nothing was applied.
    """
    if text in ("", "local"):
        return LOCAL
    if text == "all":
        return Level(LevelKind.ALL)
    match = _TO.fullmatch(text)
    if match is not None and int(match[1]) > 0:
        return Level(LevelKind.TO, int(match[1]))
    match = _MAJORITY.fullmatch(text)
    if match is not None and not text.endswith(("()", ",)")):
        return Level(LevelKind.MAJORITY, min_cap=int(match[1] or 0), extra=int(match[2] or 0))
    raise LevelInvalid(
        f"level local, to(n), majority, majority(min_cap=n,extra=n) or all expected, {shown(text)} found; "
        f"n is at most {LEVEL_COUNT_MAX}"
    )


def quorum(voters: int, *, min_cap: int = 0, extra: int = 0, expected_nodes: int = 0) -> int:
    """How many voters, this node among them, make a majority.

    Args:
        voters: length of the voter list.
        min_cap: at least so many, as far as there are voters.
        extra: so many beyond the majority; 1 covers one change of the list.
        expected_nodes: size of the finished cluster; its majority is a floor that a short voter list does not lower,
            so that two fresh nodes are not each a majority of one.
    Source: facts of the data types, section 9.
    """
    counted = min(voters, max(voters // 2 + 1 + extra, min_cap))
    return max(counted, expected_nodes // 2 + 1) if expected_nodes > 0 else counted


def needed(level: Level, voters: int, *, expected_nodes: int = 0) -> int:
    """How many voters a level asks for, at least 1: with an empty list nobody can be counted.

    `all` is never less than a majority would be.
    """
    if level.kind is LevelKind.TO:
        return level.count
    if level.kind is LevelKind.MAJORITY:
        counted = quorum(voters, min_cap=level.min_cap, extra=level.extra, expected_nodes=expected_nodes)
        return max(1, counted)
    if level.kind is LevelKind.ALL:
        return max(1, voters, quorum(voters, expected_nodes=expected_nodes))
    return 1


def voters_key(system: str) -> EntryKey:
    """Where the voter list of a system's shard is kept."""
    return EntryKey(MESH_SYSTEM, VOTERS_PREFIX + system, "ORSet")
