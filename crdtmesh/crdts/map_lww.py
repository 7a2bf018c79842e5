"""LWWMap: a map from text to values, of which the last write holds for each key.

State: DotMap from key to the DotFun of `LWWRegister`, all under one context.
Join: that of DotMap and DotFun. Value: key to the value with the greatest stamp.

Who wins: of concurrent puts of a key the later stamp, then the greater replica id. A put wins over a removal that has
not seen it: a removal takes out what it has seen, whatever the stamps say. Putting the same value again is an event.
After a removal nothing is kept but the dots in the context. A put costs O(concurrent puts of the key); taking in what
supersedes dots elsewhere costs O(keys).

Source: Almeida, Shoker, Baquero 2018, section 7.5; stamps as in `register_lww`.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from crdtmesh.crdts.base import DataType
from crdtmesh.crdts.register_lww import LWW_REGISTER
from crdtmesh.crdts.typed_maps import TypedMap


class LWWMap(TypedMap):
    """The data type; see the module for its meaning.

    Operations: `put(key, value)`, `remove(key)`, `clear()`.
    """

    name: ClassVar[str] = "LWWMap"
    operations: ClassVar[Mapping[str, tuple[int, int]]] = {"put": (2, 2), "remove": (1, 1), "clear": (0, 0)}
    inner: ClassVar[DataType[Any]] = LWW_REGISTER
    updates: ClassVar[Mapping[str, str]] = {"put": "set"}


LWW_MAP: Final = LWWMap()
"""The data type's only instance."""
