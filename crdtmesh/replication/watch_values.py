"""What a subscriber was shown of an entry, and how that differs from what the entry reads as now."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from crdtmesh.crdts.values import PlainValue, encode

# Types whose value is a sequence of distinct elements in the order of their bytes, and types whose value is keyed.
SETS: Final = frozenset({"GSet", "ORSet", "RWSet", "TwoPhaseSet"})
MAPS: Final = frozenset({"JsonDocument", "LWWMap", "ORMap", "ORMultiMap", "PNCounterMap", "RWMap", "UWMap"})

# What an object takes beside its text: CPython's header, and its place in a container.
_OBJECT_BYTES: Final = 64


class SetDifference(NamedTuple):
    """Elements that came and went."""

    added: tuple[PlainValue, ...]
    removed: tuple[PlainValue, ...]


class KeyChange(NamedTuple):
    """One key of a map. `had` and `has` tell an absent key from one whose value is None."""

    key: str
    had: bool
    old: PlainValue
    has: bool
    new: PlainValue


class MapDifference(NamedTuple):
    """Keys that came, went, or read as something else."""

    keys: tuple[KeyChange, ...]


Difference = SetDifference | MapDifference


class Shown:
    """What an entry reads as at one version. Subscribers share it, so nobody changes it.

    Attributes:
        version: of the entry.
        value: plain data.
        size_bytes: about what the value takes in memory, with the index of its elements.
    """

    __slots__ = ("__weakref__", "_elements", "size_bytes", "value", "version")

    def __init__(self, version: int, value: PlainValue) -> None:
        self.version = version
        self.value = value
        self.size_bytes = 2 * size_of(value)
        self._elements: dict[bytes, PlainValue] | None = None

    def elements(self) -> dict[bytes, PlainValue]:
        """The elements of a set by their canonical bytes, computed once."""
        if self._elements is None:
            assert isinstance(self.value, Sequence)
            self._elements = {encode(item): item for item in self.value}
        return self._elements


def difference(type_name: str, old: Shown | None, new: Shown) -> Difference | None:
    """What changed within a set or a map; None for other types, which are shown whole. Complexity: O(entry)."""
    if type_name in SETS:
        before, after = old.elements() if old is not None else {}, new.elements()
        return SetDifference(
            tuple(item for data, item in after.items() if data not in before),
            tuple(item for data, item in before.items() if data not in after),
        )
    if type_name in MAPS:
        return MapDifference(_keys_changed(old.value if old is not None else {}, new.value))
    return None


def is_same(a: PlainValue, b: PlainValue) -> bool:
    """Whether two values are the same one; `True`, `1` and `1.0` are three."""
    if isinstance(a, Mapping):
        return isinstance(b, Mapping) and a.keys() == b.keys() and all(is_same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        if not isinstance(b, list | tuple) or len(a) != len(b):
            return False
        return all(is_same(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and a == b


def size_of(value: PlainValue | Difference) -> int:
    """About what a value takes in memory, in bytes."""
    if isinstance(value, str | bytes):
        return _OBJECT_BYTES + len(value)
    if isinstance(value, Mapping):
        return _OBJECT_BYTES + sum(_OBJECT_BYTES + len(key) + size_of(item) for key, item in value.items())
    if isinstance(value, Sequence):
        return _OBJECT_BYTES + sum(map(size_of, value))
    return _OBJECT_BYTES


def _keys_changed(old: PlainValue, new: PlainValue) -> tuple[KeyChange, ...]:
    assert isinstance(old, Mapping)
    assert isinstance(new, Mapping)
    changes = [KeyChange(key, True, item, False, None) for key, item in old.items() if key not in new]
    for key, item in new.items():
        if key not in old:
            changes.append(KeyChange(key, False, None, True, item))
        elif not is_same(old[key], item):
            changes.append(KeyChange(key, True, old[key], True, item))
    return tuple(changes)
