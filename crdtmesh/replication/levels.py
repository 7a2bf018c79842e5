"""Consistency levels: what "acknowledged" means, and who is counted.

`local` is offered: on this node's disk. The other levels are parsed, so that a caller is told the truth about them, and
refused. The voter list, on which they will count, is replicated state from the start: an add-wins set of node names in
the system `_mesh`. It changes when a node that caught up adds itself, leaves, or is removed by an operator, and *never*
by the failure detector: two halves of a split that both shrink their count would both be a majority.
"""

import enum
import re
from dataclasses import dataclass
from typing import Final

from crdtmesh.replication.errors import LevelInvalid, LevelUnsupported, shown
from crdtmesh.replication.outputs import EntryKey

MESH_SYSTEM: Final = "_mesh"
VOTERS_PREFIX: Final = "voters/"

WRITE_LEVEL_METADATA: Final = "crdtmesh.write"
"""The key of a call's metadata that names the level of its writes."""

# A level counts nodes of one cluster; memberlist clusters are run up to a few thousand.
LEVEL_COUNT_MAX: Final = 9999

_TO: Final = re.compile(r"to\(([1-9][0-9]{0,3})\)")


class LevelKind(enum.Enum):
    """The four levels, for writes and for reads."""

    LOCAL = "local"
    TO = "to"
    MAJORITY = "majority"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Level:
    """A consistency level; `count` has a meaning for `to(n)` only."""

    kind: LevelKind
    count: int = 0


LOCAL: Final = Level(LevelKind.LOCAL)


def parse_level(text: str) -> Level:
    """Reads `local`, `to(n)`, `majority` or `all`; the empty text is `local`.

    Raises:
        LevelInvalid: it is none of them; nothing was applied.
    """
    if text in ("", "local"):
        return LOCAL
    match = _TO.fullmatch(text)
    if match is not None:
        return Level(LevelKind.TO, int(match[1]))
    if text in ("majority", "all"):
        return Level(LevelKind(text))
    raise LevelInvalid(f"level local, to(n), majority or all expected, {shown(text)} found; change crdtmesh.write")


def require_offered(level: Level) -> None:
    """Refuses a level that this version can't keep, before anything is applied.

    Raises:
        LevelUnsupported: any level but `local`, and `to(1)`, which is the same.
    """
    if level.kind is LevelKind.LOCAL or level == Level(LevelKind.TO, 1):
        return
    raise LevelUnsupported(f"level local expected, {level.kind.value} is not offered yet; set crdtmesh.write=local")


def quorum(voters: int, *, minimum_cap: int = 0, extra: int = 0, expected_nodes: int = 0) -> int:
    """How many voters, this node among them, make a majority.

    Args:
        voters: length of the voter list.
        minimum_cap: at least so many, as far as there are voters.
        extra: so many beyond the majority; 1 covers one change of the list.
        expected_nodes: size of the finished cluster; its majority is a floor that a short voter list does not lower,
            so that two fresh nodes are not each a majority of one.
    Source: facts of the data types, section 9.
    """
    counted = min(voters, max(voters // 2 + 1 + extra, minimum_cap))
    return max(counted, expected_nodes // 2 + 1) if expected_nodes > 0 else counted


def voters_key(system: str) -> EntryKey:
    """Where the voter list of a system's shard is kept."""
    return EntryKey(MESH_SYSTEM, VOTERS_PREFIX + system, "ORSet")
