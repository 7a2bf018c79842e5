"""Data types for actors by pattern: for released SDKs, which have no field to say one."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from crdtmesh.runtime.definition import STATE_TYPE_PREFIX, ActorDefinition, StateKind

__all__ = ["TypeRules"]


class TypeRules:
    """Which actors have which replicated data type as their state, whatever else their hosts call it.

    Args:
        rules: (pattern, name of the type); `*` stands for any characters and `?` for one. A pattern with a slash is
            matched against `SYSTEM/ACTOR`, another one against the actor's name; of a template's instances against the
            template's. The first that fits counts.
    """

    __slots__ = ("_rules",)

    def __init__(self, rules: Sequence[tuple[str, str]]) -> None:
        self._rules: Final = [(_compiled(pattern), "/" in pattern, type_name) for pattern, type_name in rules]

    def applied(self, definitions: Sequence[ActorDefinition]) -> Sequence[ActorDefinition]:
        """The definitions, with the types that the rules give. A type that a host itself declares stays."""
        return [self._applied(definition) for definition in definitions] if self._rules else definitions

    def _applied(self, definition: ActorDefinition) -> ActorDefinition:
        if definition.state is not StateKind.OPAQUE:
            return definition
        system, name, _ = definition.address
        for pattern, is_whole, type_name in self._rules:
            if pattern.fullmatch(f"{system}/{name}" if is_whole else name):
                return replace(definition, state_type=STATE_TYPE_PREFIX + type_name)
        return definition


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
