"""Access policies: who may call which action. Spawn's files are understood, with lists and globs.

A policy is a file `*.policy` of lines `key: value`; a value is a list, separated by commas, of names in which `*`
stands for any text and `?` for one character. A key that is left out matches everything.

| key | matches |
|---|---|
| `type` | `allow` or `deny` |
| `actors`, `actor_systems` | the actor that calls, as Spawn means it; a call of no actor has the empty name |
| `actions` | the action that is called |
| `callers` | who is connected: `ROLE/NAME` of its token or certificate, `local` on loopback and Unix sockets |
| `target_actors`, `target_systems` | the actor that is called |

A call passes if no `deny` matches it, and, where there is any `allow`, one of them matches. Spawn lets a call pass if
any policy says so, a `deny` that does not match included, so that two of them forbid nothing; we take the order that
forbids.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from crdtmesh.errors import ConfigError

__all__ = ["Attempt", "Policies", "Policy"]

# Each costs a few comparisons for every call.
POLICIES_MAX: Final = 256
FILE_SIZE_BYTES_MAX: Final = 64 * 1024

_LISTS: Final = ("actors", "actor_systems", "actions", "callers", "target_actors", "target_systems")


class Attempt(NamedTuple):
    """One call that somebody wants to make. Fields in the order of a policy's lists."""

    actor: str
    actor_system: str
    action: str
    caller: str
    target_actor: str
    target_system: str


@dataclass(frozen=True, slots=True)
class Policy:
    """One file.

    Attributes:
        name: of the file, for the log.
        allows: what it does with a call that matches.
        patterns: one for each field of an attempt; None where everything matches.
    """

    name: str
    allows: bool
    patterns: tuple[re.Pattern[str] | None, ...]

    @classmethod
    def parse(cls, name: str, text: str) -> Policy:
        """Reads a policy.

        Raises:
            ConfigError: a line, a key or a type that is none. A policy that is misread must not start a node.
        """
        found: dict[str, str] = {}
        for line in text.splitlines():
            bare = line.strip()
            if not bare or bare.startswith("#"):
                continue
            key, colon, value = (part.strip() for part in bare.partition(":"))
            if not colon or key not in ("type", *_LISTS):
                raise ConfigError(
                    f"policy {name}: `key: value` with type, {', '.join(_LISTS)} expected, got {bare!r:.64}"
                )
            if key in found:
                raise ConfigError(f"policy {name}: {key} stands there twice")
            found[key] = value
        if found.get("type") not in ("allow", "deny"):
            raise ConfigError(f"policy {name}: type: allow or type: deny expected, got {found.get('type')!r:.64}")
        return cls(name, found["type"] == "allow", tuple(_pattern(found.get(key, "*")) for key in _LISTS))

    def matches(self, attempt: Attempt) -> bool:
        """Whether it speaks of this call."""
        return all(
            pattern is None or pattern.fullmatch(value) is not None
            for pattern, value in zip(self.patterns, attempt, strict=True)
        )


class Policies:
    """All policies of a node.

    Args:
        policies: in any order.
    """

    def __init__(self, policies: Iterable[Policy] = ()) -> None:
        found = list(policies)
        self._allow = [policy for policy in found if policy.allows]
        self._deny = [policy for policy in found if not policy.allows]

    def __bool__(self) -> bool:
        return bool(self._allow or self._deny)

    @classmethod
    def load(cls, folder: Path) -> Policies:
        """Reads `*.policy` of a folder; none, or no folder, lets every call pass.

        Raises:
            ConfigError: a file can't be read, or is no policy.
        """
        paths = sorted(folder.glob("*.policy"))
        if len(paths) > POLICIES_MAX:
            raise ConfigError(f"{folder}: at most {POLICIES_MAX} policies expected, got {len(paths)}")
        return cls(Policy.parse(path.name, _text(path)) for path in paths)

    def refusal(self, attempt: Attempt) -> str | None:
        """Why a call may not be made; None when it may. O(policies)."""
        for policy in self._deny:
            if policy.matches(attempt):
                return f"policy {policy.name} denies it"
        if self._allow and not any(policy.matches(attempt) for policy in self._allow):
            return "no policy allows it"
        return None


def describe(attempt: Attempt) -> Mapping[str, str]:
    """An attempt as the audit log shows it, each text cut."""
    return {key: value[:64] for key, value in attempt._asdict().items() if value}


def _pattern(value: str) -> re.Pattern[str] | None:
    globs = [part.strip() for part in value.split(",") if part.strip()]
    if "*" in globs:
        return None
    # `[` is no class of characters here: names may hold it, and Spawn gives it no meaning.
    return re.compile("|".join(fnmatch.translate(glob.replace("[", "[[]")) for glob in globs) or r"(?!)")


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_SIZE_BYTES_MAX + 1)
        if len(data) > FILE_SIZE_BYTES_MAX:
            raise ConfigError(f"policy {path}: at most {FILE_SIZE_BYTES_MAX} bytes expected")
        return data.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"policy {path} can't be read: {error}") from None
