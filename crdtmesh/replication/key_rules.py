"""Rules for keys by pattern: the first one whose pattern fits a key is in force."""

import re
from collections.abc import Sequence
from typing import Final, Generic, TypeVar

from crdtmesh.replication.levels import MESH_SYSTEM
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.replication.repeats import SEPARATOR

V = TypeVar("V")

# Keys whose rule is remembered, about 2 MB: matching patterns takes a microsecond each, finding a key here a tenth.
_REMEMBERED: Final = 16_384

PATTERN_CHARS_MAX: Final = 256


class KeyRules(Generic[V]):
    """Values by pattern of a key, where `*` stands for any characters and `?` for one.

    What is kept beside an entry follows the entry's rule. The system `_mesh` has none.

    Args:
        rules: (pattern, value), the first that fits wins.

    Raises:
        ValueError: a pattern is empty or too long.
    """

    __slots__ = ("_found", "_rules")

    def __init__(self, rules: Sequence[tuple[str, V]]) -> None:
        self._rules = [(_compiled(pattern), value) for pattern, value in rules]
        self._found: dict[str, V | None] = {}

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._rules)

    def of(self, key: EntryKey) -> V | None:
        """The value in force for a key, or None."""
        if not self._rules or key.system == MESH_SYSTEM:
            return None
        name = key.key
        if name in self._found:
            return self._found[name]
        if len(self._found) >= _REMEMBERED:
            self._found.clear()
        bare = name.partition(SEPARATOR)[0]
        value = next((value for pattern, value in self._rules if pattern.fullmatch(bare)), None)
        self._found[name] = value
        return value


def _compiled(pattern: str) -> re.Pattern[str]:
    if not 0 < len(pattern) <= PATTERN_CHARS_MAX:
        raise ValueError(f"pattern {pattern!r:.64}: 1 to {PATTERN_CHARS_MAX} characters expected")
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
