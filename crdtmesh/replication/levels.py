"""Consistency levels: what "acknowledged" means, and who is counted.

A level counts *voters*: `local` is this node's disk; `to(n)`, `majority` and `all` are so many voters that have
applied an update and have it on disk. The voter list is replicated state: an add-wins set of node names in the system
`_mesh`. It changes when a node that caught up adds itself, leaves, or is removed by an operator, and *never* by the
failure detector: two halves of a split that both shrink their count would both be a majority.
"""

from typing import Final

from crdtmesh.levels import (
    LOCAL,
    MAJORITY,
    READ_LEVEL_METADATA,
    WRITE_LEVEL_METADATA,
    Level,
    LevelKind,
    parse_level,
)
from crdtmesh.replication.outputs import EntryKey

__all__ = [
    "LOCAL",
    "MAJORITY",
    "MESH_SYSTEM",
    "READ_LEVEL_METADATA",
    "VOTERS_PREFIX",
    "VOTERS_TYPE",
    "WRITE_LEVEL_METADATA",
    "Level",
    "LevelKind",
    "needed",
    "parse_level",
    "quorum",
    "voters_key",
]

MESH_SYSTEM: Final = "_mesh"
VOTERS_PREFIX: Final = "voters/"
VOTERS_TYPE: Final = "ORSet"


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
    return EntryKey(MESH_SYSTEM, VOTERS_PREFIX + system, VOTERS_TYPE)
