"""`ctx.state` of a map from text to sets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, TypeAlias

from crdtmesh.crdts.errors import InvalidOperation, shorten
from crdtmesh.crdts.values import PlainValue
from crdtmesh.sdk.live.base import identify
from crdtmesh.sdk.live.snapshot import Snapshot

__all__ = ["ORMultiMap"]

Bindings: TypeAlias = dict[str, dict[bytes, PlainValue]]


class ORMultiMap(Snapshot[Bindings]):
    """A map from text to sets of values: `ctx.state["k"]` reads the values of one key, none where there is none.

    Values are told apart as the mesh does: `True`, `1`, `1.0` and `"1"` are four.
    """

    __slots__ = ()

    type_name: ClassVar[str] = "ORMultiMap"

    def __init__(self, bindings: Mapping[str, Iterable[PlainValue]] | None = None) -> None:
        """A map of `bindings`, as a test of a handler would want it."""
        super().__init__({key: held for key, bound in (bindings or {}).items() if (held := dict(map(identify, bound)))})

    @property
    def value(self) -> dict[str, tuple[PlainValue, ...]]:
        """Key to values, with what this turn has changed so far."""
        return {key: tuple(held.values()) for key, held in self._value.items()}

    def add_binding(self, key: str, value: PlainValue) -> None:
        """Binds a value to a key. It survives removals that have not seen this.

        Raises:
            InvalidValue: the mesh can't hold the value; nothing was changed.
        """
        identity, plain = identify(value)
        self._record("add_binding", key, plain)
        self._bind(key, {**self._value.get(key, {}), identity: plain})

    def remove_binding(self, key: str, value: PlainValue) -> None:
        """Unbinds a value from a key if it is bound. A concurrent add of it survives."""
        identity, plain = identify(value)
        held = self._value.get(key, {})
        if identity in held:
            self._record("remove_binding", key, plain)
            self._bind(key, {other: each for other, each in held.items() if other != identity})

    def put(self, key: str, values: Iterable[PlainValue]) -> None:
        """Makes these the values of a key, by adding and removing only what differs.

        Raises:
            InvalidOperation: text or bytes in place of several values; nothing was changed.
            InvalidValue: the mesh can't hold a value; nothing was changed.
        """
        if isinstance(values, str | bytes):
            raise InvalidOperation(f"put: expected a list of values, got {shorten(values)}; for one call add_binding")
        wanted = dict(map(identify, values))
        held = self._value.get(key, {})
        if wanted.keys() != held.keys():
            self._record("put", key, tuple(wanted.values()))
            self._bind(key, wanted)

    def remove(self, key: str) -> None:
        """Removes a key with the bindings that this node has seen."""
        if key in self._value:
            self._record("remove", key)
            self._bind(key, {})

    def clear(self) -> None:
        """Removes all bindings that this node has seen."""
        if self._value:
            self._record("clear")
            self._value = {}

    def _bind(self, key: str, held: dict[bytes, PlainValue]) -> None:
        others = {other: each for other, each in self._value.items() if other != key}
        self._value = {**others, key: held} if held else others

    def _parse(self, value: PlainValue) -> Bindings:
        if value is not None and not isinstance(value, Mapping):
            raise ValueError(f"expected a dict for an ORMultiMap, got {shorten(value)}")
        bindings: Bindings = {}
        for key, bound in (value or {}).items():
            if not isinstance(bound, list | tuple):
                raise ValueError(f"expected a list of values under {key!r:.64}, got {shorten(bound)}")  # noqa: TRY004 - the host expects it
            bindings[key] = dict(map(identify, bound))
        return bindings

    def __getitem__(self, key: str) -> tuple[PlainValue, ...]:
        return tuple(self._value.get(key, {}).values())

    def __contains__(self, key: object) -> bool:
        return key in self._value

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._value))

    def __len__(self) -> int:
        return len(self._value)
