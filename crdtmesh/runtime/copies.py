"""How a host's copy of a state is brought up to date: whole, or by the elements of a set that others touched.

An opaque state always goes whole.
"""

from collections.abc import Mapping
from itertools import islice
from typing import Final

from crdtmesh.crdts import values
from crdtmesh.crdts.set_aw import OR_SET, ORSet
from crdtmesh.crdts.values import PlainValue
from crdtmesh.replication.entry import EntryView, Snapshot
from crdtmesh.runtime import opaque
from crdtmesh.runtime.activation import Activation
from crdtmesh.runtime.definition import ActorAddress, ActorDefinition, StateKind
from crdtmesh.runtime.messages import StateUpdate
from crdtmesh.runtime.opaque import OpaqueState

__all__ = ["bring_up_to_date", "opaque_state"]

# Types whose value is a collection of the elements that `Touched` names. Of other types every change is sent whole.
SETS: Final[Mapping[str, ORSet]] = {OR_SET.name: OR_SET}


def bring_up_to_date(activation: Activation, view: Snapshot) -> StateUpdate | None:
    """What makes the host's copy equal to the view, and the activation's notes of it; None when it is equal already.

    Complexity: O(state) for a whole state, O(touched) for a change of a set.
    """
    key = activation.key
    if activation.state is StateKind.OPAQUE or key is None:
        return _opaque(activation, view)
    touched = activation.touched
    is_accounted = touched is not None and activation.seen_version == view.version
    activation.note_copy(view.version)
    if touched is not None and is_accounted:
        if not touched:
            return None
        data_type = SETS.get(key.type_name)
        if data_type is not None and _is_larger(data_type, view, len(touched)):
            return _set_change(activation.definition.address, data_type, view, touched)
    return StateUpdate(activation.definition.address, key.type_name, True, view.value())


def _opaque(activation: Activation, view: Snapshot) -> StateUpdate:
    activation.note_copy(view.version)
    return StateUpdate(activation.definition.address, "", True, None, opaque=opaque_state(activation.definition, view))


def opaque_state(definition: ActorDefinition, entry: EntryView) -> OpaqueState:
    """The opaque state in an entry; what the actor begins with as long as nothing was written."""
    value = entry.value()
    return definition.initial if value is None else opaque.from_plain(value)


def _is_larger(data_type: ORSet, view: Snapshot, count: int) -> bool:
    """Whether the set has more than `count` elements, about: an element added twice at once has two dots."""
    return sum(1 for _ in islice(data_type.dots(view.store), count + 1)) > count


def _set_change(address: ActorAddress, data_type: ORSet, view: Snapshot, touched: set[bytes]) -> StateUpdate:
    added: list[PlainValue] = []
    removed: list[PlainValue] = []
    # Sorted, since the order of a set of bytes differs between processes.
    for element in values.decode_all(sorted(touched)):
        (added if data_type.contains(view.store, element) else removed).append(element)
    return StateUpdate(address, data_type.name, False, None, added, removed)
