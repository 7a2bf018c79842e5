"""Replicated data types that merge without conflict, usable on their own: pure values, no I/O, no clock, no randomness.

`State` holds one value of any type; `registry.get(name)` finds a type; each type's module says who wins. Names are
loaded on first use, so that importing this package costs nothing and pulls in nothing but msgpack.
"""

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from crdtmesh.crdts.base import WHOLE, DataType, Delta, Mutation, Touched
    from crdtmesh.crdts.clock import HybridClock, Stamp
    from crdtmesh.crdts.codec import Reader, Writer
    from crdtmesh.crdts.context import CausalContext
    from crdtmesh.crdts.counter_bounded import BOUNDED_COUNTER
    from crdtmesh.crdts.counter_exact import EXACT_COUNTER
    from crdtmesh.crdts.counter_g import G_COUNTER
    from crdtmesh.crdts.counter_pn import PN_COUNTER
    from crdtmesh.crdts.deltas import decode_delta, encode_delta, encode_store
    from crdtmesh.crdts.dots import Dot, ReplicaTable
    from crdtmesh.crdts.errors import (
        CodecError,
        CrdtError,
        DataTypeMismatch,
        InsufficientRights,
        InvalidOperation,
        InvalidValue,
        ReplicaTableFull,
        ReplicaTableMismatch,
        UnknownType,
    )
    from crdtmesh.crdts.flag_dw import DW_FLAG
    from crdtmesh.crdts.flag_ew import EW_FLAG
    from crdtmesh.crdts.json_document import JSON_DOCUMENT
    from crdtmesh.crdts.json_form import JsonValue, json_form, json_text
    from crdtmesh.crdts.map_counter import PN_COUNTER_MAP
    from crdtmesh.crdts.map_lww import LWW_MAP
    from crdtmesh.crdts.map_or import OR_MAP
    from crdtmesh.crdts.map_rw import RW_MAP
    from crdtmesh.crdts.map_uw import UW_MAP
    from crdtmesh.crdts.multimap import OR_MULTI_MAP
    from crdtmesh.crdts.mutation import LocalMutation
    from crdtmesh.crdts.operations import Operation
    from crdtmesh.crdts.register_fww import FWW_REGISTER
    from crdtmesh.crdts.register_lww import LWW_REGISTER
    from crdtmesh.crdts.register_max import MAX_REGISTER
    from crdtmesh.crdts.register_min import MIN_REGISTER
    from crdtmesh.crdts.register_mv import MV_REGISTER
    from crdtmesh.crdts.set_2p import TWO_PHASE_SET
    from crdtmesh.crdts.set_aw import OR_SET
    from crdtmesh.crdts.set_g import G_SET
    from crdtmesh.crdts.set_rw import RW_SET
    from crdtmesh.crdts.state import State
    from crdtmesh.crdts.text import TEXT
    from crdtmesh.crdts.values import PlainValue
    from crdtmesh.crdts.vote import VOTE, Tally

__all__ = [
    "BOUNDED_COUNTER",
    "DW_FLAG",
    "EW_FLAG",
    "EXACT_COUNTER",
    "FWW_REGISTER",
    "G_COUNTER",
    "G_SET",
    "JSON_DOCUMENT",
    "LWW_MAP",
    "LWW_REGISTER",
    "MAX_REGISTER",
    "MIN_REGISTER",
    "MV_REGISTER",
    "OR_MAP",
    "OR_MULTI_MAP",
    "OR_SET",
    "PN_COUNTER",
    "PN_COUNTER_MAP",
    "RW_MAP",
    "RW_SET",
    "TEXT",
    "TWO_PHASE_SET",
    "UW_MAP",
    "VOTE",
    "WHOLE",
    "CausalContext",
    "CodecError",
    "CrdtError",
    "DataType",
    "DataTypeMismatch",
    "Delta",
    "Dot",
    "HybridClock",
    "InsufficientRights",
    "InvalidOperation",
    "InvalidValue",
    "JsonValue",
    "LocalMutation",
    "Mutation",
    "Operation",
    "PlainValue",
    "Reader",
    "ReplicaTable",
    "ReplicaTableFull",
    "ReplicaTableMismatch",
    "Stamp",
    "State",
    "Tally",
    "Touched",
    "UnknownType",
    "Writer",
    "decode_delta",
    "encode_delta",
    "encode_store",
    "json_form",
    "json_text",
]

_MODULES: Final = {
    "base": ("WHOLE", "DataType", "Delta", "Mutation", "Touched"),
    "clock": ("HybridClock", "Stamp"),
    "codec": ("Reader", "Writer"),
    "context": ("CausalContext",),
    "counter_bounded": ("BOUNDED_COUNTER",),
    "counter_pn": ("PN_COUNTER",),
    "deltas": ("decode_delta", "encode_delta", "encode_store"),
    "dots": ("Dot", "ReplicaTable"),
    "errors": (
        "CodecError",
        "DataTypeMismatch",
        "CrdtError",
        "InsufficientRights",
        "InvalidOperation",
        "InvalidValue",
        "ReplicaTableFull",
        "ReplicaTableMismatch",
        "UnknownType",
    ),
    "set_g": ("G_SET",),
    "counter_g": ("G_COUNTER",),
    "counter_exact": ("EXACT_COUNTER",),
    "register_mv": ("MV_REGISTER",),
    "flag_ew": ("EW_FLAG",),
    "flag_dw": ("DW_FLAG",),
    "set_rw": ("RW_SET",),
    "json_document": ("JSON_DOCUMENT",),
    "json_form": ("JsonValue", "json_form", "json_text"),
    "map_or": ("OR_MAP",),
    "map_rw": ("RW_MAP",),
    "map_uw": ("UW_MAP",),
    "map_lww": ("LWW_MAP",),
    "map_counter": ("PN_COUNTER_MAP",),
    "multimap": ("OR_MULTI_MAP",),
    "mutation": ("LocalMutation",),
    "operations": ("Operation",),
    "register_fww": ("FWW_REGISTER",),
    "register_lww": ("LWW_REGISTER",),
    "register_max": ("MAX_REGISTER",),
    "register_min": ("MIN_REGISTER",),
    "set_2p": ("TWO_PHASE_SET",),
    "set_aw": ("OR_SET",),
    "state": ("State",),
    "text": ("TEXT",),
    "values": ("PlainValue",),
    "vote": ("VOTE", "Tally"),
}
_MODULE_OF: Final = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
