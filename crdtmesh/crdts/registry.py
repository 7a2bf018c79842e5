"""The data types by name: the one list that wire adapters, nodes and the tests of the laws go by."""

from typing import Any, Final

from crdtmesh.crdts.base import DataType
from crdtmesh.crdts.counter_bounded import BOUNDED_COUNTER
from crdtmesh.crdts.counter_exact import EXACT_COUNTER
from crdtmesh.crdts.counter_g import G_COUNTER
from crdtmesh.crdts.counter_pn import PN_COUNTER
from crdtmesh.crdts.errors import UnknownType
from crdtmesh.crdts.flag_dw import DW_FLAG
from crdtmesh.crdts.flag_ew import EW_FLAG
from crdtmesh.crdts.map_counter import PN_COUNTER_MAP
from crdtmesh.crdts.map_lww import LWW_MAP
from crdtmesh.crdts.map_or import OR_MAP
from crdtmesh.crdts.operations import nearest
from crdtmesh.crdts.register_fww import FWW_REGISTER
from crdtmesh.crdts.register_lww import LWW_REGISTER
from crdtmesh.crdts.register_max import MAX_REGISTER
from crdtmesh.crdts.register_min import MIN_REGISTER
from crdtmesh.crdts.register_mv import MV_REGISTER
from crdtmesh.crdts.set_2p import TWO_PHASE_SET
from crdtmesh.crdts.set_aw import OR_SET
from crdtmesh.crdts.set_g import G_SET
from crdtmesh.crdts.set_rw import RW_SET
from crdtmesh.crdts.vote import VOTE

AnyType = DataType[Any]
"""A data type whose shape of store is its own business."""

_TYPES: Final[dict[str, AnyType]] = {}


def register(data_type: AnyType) -> None:
    """Add a data type; packages with types of their own call this when they are imported.

    Raises:
        ValueError: another type of this name is registered.
    """
    known = _TYPES.setdefault(data_type.name, data_type)
    if known is not data_type:
        raise ValueError(f"a data type {data_type.name!r} is already registered")


def get(name: str) -> AnyType:
    """The data type of a name.

    Raises:
        UnknownType: with the nearest known name.
    """
    data_type = _TYPES.get(name)
    if data_type is None:
        raise UnknownType(f"no data type {name!r:.64}{nearest(name, _TYPES)}")
    return data_type


def names() -> tuple[str, ...]:
    """The names of all registered types, sorted."""
    return tuple(sorted(_TYPES))


for _data_type in (
    BOUNDED_COUNTER,
    PN_COUNTER_MAP,
    LWW_MAP,
    OR_MAP,
    RW_SET,
    DW_FLAG,
    EW_FLAG,
    MV_REGISTER,
    EXACT_COUNTER,
    G_COUNTER,
    G_SET,
    FWW_REGISTER,
    LWW_REGISTER,
    MAX_REGISTER,
    MIN_REGISTER,
    OR_SET,
    PN_COUNTER,
    TWO_PHASE_SET,
    VOTE,
):
    register(_data_type)
