"""PNCounterMap: a map from text to counters that go up and down.

State: DotMap from key to the DotFun of `PNCounter`, all under one context.
Join: that of DotMap and DotFun. Value: key to count; a count of zero stays until its key is removed.

Who wins: updates add up. An update concurrent with a removal of its key survives it together with its replica's whole
earlier count under that key, as in `PNCounter`; what the removal observed from others is gone.
After a removal nothing is kept but the dots in the context. An update costs O(replicas that counted under the key);
taking in what supersedes dots elsewhere costs O(keys).

Source: Almeida, Shoker, Baquero 2018, section 7.5.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from crdtmesh.crdts.base import DataType
from crdtmesh.crdts.counter_pn import PN_COUNTER
from crdtmesh.crdts.typed_maps import TypedMap


class PNCounterMap(TypedMap):
    """The data type; see the module for its meaning.

    Operations: `increment(key, amount=1)`, `decrement(key, amount=1)`, `remove(key)`, `clear()`.
    """

    name: ClassVar[str] = "PNCounterMap"
    operations: ClassVar[Mapping[str, tuple[int, int]]] = {
        "increment": (1, 2),
        "decrement": (1, 2),
        "remove": (1, 1),
        "clear": (0, 0),
    }
    inner: ClassVar[DataType[Any]] = PN_COUNTER
    updates: ClassVar[Mapping[str, str]] = {"increment": "increment", "decrement": "decrement"}


PN_COUNTER_MAP: Final = PNCounterMap()
"""The data type's only instance."""
