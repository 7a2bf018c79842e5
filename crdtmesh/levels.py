"""Consistency levels as people write them, for every layer; `crdtmesh.replication.levels` says what they mean."""

import enum
import re
from dataclasses import dataclass
from typing import Final, Literal

from crdtmesh.errors import MeshError

WRITE_LEVEL_METADATA: Final = "crdtmesh.write"
"""The key of a call's metadata that names the level of its writes."""

READ_LEVEL_METADATA: Final = "crdtmesh.read"
"""Likewise for a call that only reads."""

OPERATION_METADATA: Final = "crdtmesh.operation"
"""The key of a call's metadata with its operation id: what was done under it is not done again."""

# A level counts nodes of one cluster; memberlist clusters are run up to a few thousand.
LEVEL_COUNT_MAX: Final = 9999

_NUMBER: Final = "[0-9]{1,4}"
_TO: Final = re.compile(rf"to\(({_NUMBER})\)")
_MAJORITY: Final = re.compile(rf"majority(?:\((?:min_cap=({_NUMBER}))?(?:(?<=[0-9]),)?(?:extra=({_NUMBER}))?\))?")


class LevelInvalid(MeshError):
    """The text names no level; nothing was applied."""

    outcome: Literal["not_applied"] = "not_applied"


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
        f"level local, to(n), majority, majority(min_cap=n,extra=n) or all expected, {text!r:.64} found; "
        f"n is at most {LEVEL_COUNT_MAX}"
    )
