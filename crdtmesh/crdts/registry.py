"""The data types by name: the one list that wire adapters, nodes and the tests of the laws go by.

A type's module is imported when its name is first asked for. So this module imports none of them, and a map, whose
entries name their types, can import it.
"""

import importlib
from typing import Any, Final, cast

from crdtmesh.crdts.base import DataType
from crdtmesh.crdts.errors import UnknownType
from crdtmesh.crdts.operations import nearest

AnyType = DataType[Any]
"""A data type whose shape of store is its own business."""

_BUILT_IN: Final[dict[str, tuple[str, str]]] = {
    "BoundedCounter": ("counter_bounded", "BOUNDED_COUNTER"),
    "DWFlag": ("flag_dw", "DW_FLAG"),
    "EWFlag": ("flag_ew", "EW_FLAG"),
    "ExactCounter": ("counter_exact", "EXACT_COUNTER"),
    "FWWRegister": ("register_fww", "FWW_REGISTER"),
    "GCounter": ("counter_g", "G_COUNTER"),
    "GSet": ("set_g", "G_SET"),
    "JsonDocument": ("json_document", "JSON_DOCUMENT"),
    "LWWMap": ("map_lww", "LWW_MAP"),
    "LWWRegister": ("register_lww", "LWW_REGISTER"),
    "MVRegister": ("register_mv", "MV_REGISTER"),
    "MaxRegister": ("register_max", "MAX_REGISTER"),
    "MinRegister": ("register_min", "MIN_REGISTER"),
    "ORMap": ("map_or", "OR_MAP"),
    "ORMultiMap": ("multimap", "OR_MULTI_MAP"),
    "ORSet": ("set_aw", "OR_SET"),
    "PNCounter": ("counter_pn", "PN_COUNTER"),
    "PNCounterMap": ("map_counter", "PN_COUNTER_MAP"),
    "RWMap": ("map_rw", "RW_MAP"),
    "RWSet": ("set_rw", "RW_SET"),
    "Text": ("text", "TEXT"),
    "TwoPhaseSet": ("set_2p", "TWO_PHASE_SET"),
    "UWMap": ("map_uw", "UW_MAP"),
    "Vote": ("vote", "VOTE"),
}
"""Name to the module in this package that has the type, and the type's only instance there.

These are the types of the codec's format, which all that read it know. A type that is added after a release is written
sealed (`sealed`), as those are that packages register, until the format changes."""

_LOADED: Final[dict[str, AnyType]] = {}


def register(data_type: AnyType) -> None:
    """Add a data type; packages with types of their own call this when they are imported.

    Raises:
        ValueError: another type of this name is registered.
    """
    name = data_type.name
    if _LOADED.setdefault(name, get(name) if name in _BUILT_IN else data_type) is not data_type:
        raise ValueError(f"a data type {name!r} is already registered")


def get(name: str) -> AnyType:
    """The data type of a name.

    Raises:
        UnknownType: with the nearest known name.
    """
    data_type = _LOADED.get(name)
    if data_type is None:
        if name not in _BUILT_IN:
            raise UnknownType(f"no data type {name!r:.64}{nearest(name, dict.fromkeys(names()))}")
        module, instance = _BUILT_IN[name]
        data_type = cast("AnyType", getattr(importlib.import_module(f"crdtmesh.crdts.{module}"), instance))
        _LOADED[name] = data_type
    return data_type


def is_built_in(name: str) -> bool:
    """Whether every node that reads this format knows the type."""
    return name in _BUILT_IN


def built_in(name: str) -> str:
    """The name, if it is that of a data type.

    Raises:
        ValueError: it is none.
    """
    if name not in names():
        raise ValueError(f"expected one of {', '.join(names())}, got {name!r:.64}")
    return name


def names() -> tuple[str, ...]:
    """The names of all registered types, sorted."""
    return tuple(sorted({*_BUILT_IN, *_LOADED}))
