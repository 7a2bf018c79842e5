"""What a reader of a watch knows: the snapshot, and every change put on top of it, each checked against what was there.

A change says what was shown before. If that is not what the model holds, something was left out, or came twice.
"""

from collections.abc import Mapping
from typing import Final

from crdtmesh.crdts.values import PlainValue, encode
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.replication.watch_values import MAPS, SETS, is_same
from crdtmesh.sdk.watch import MapChange, SetChange, WatchEvent
from crdtmesh.wire import values

UNEQUAL_MAX: Final = 3


class WatchModel:
    """The state that a watch has shown.

    Attributes:
        is_complete: a snapshot is there, whole.
        entries: what each entry reads as; sets by the bytes of their elements.
    """

    def __init__(self) -> None:
        self.is_complete = False
        self.entries: dict[EntryKey, PlainValue] = {}

    def take(self, event: WatchEvent) -> str:
        """Takes the next event; what is wrong with it, or nothing."""
        key = EntryKey(event.system, event.key, event.type_name)
        if event.kind == "snapshot":
            self.entries.clear()
            self.is_complete = False
            return ""
        if event.kind == "complete":
            self.is_complete = True
            return ""
        if event.kind in ("present", "absent"):
            return self._shown(key, event)
        if not self.is_complete:
            return f"{event.kind} came before the snapshot was complete: {key.key}"
        if event.kind == "deleted":
            return self._deleted(key, event)
        return self._changed(key, event)

    def unlike(self, entries: Mapping[EntryKey, PlainValue]) -> list[str]:
        """How the model differs from what a node holds, as sentences."""
        theirs = {key: _kept(key, _as_read(key, value)) for key, value in entries.items()}
        differing = [
            key
            for key in sorted(theirs.keys() | self.entries.keys())
            if (key in theirs) != (key in self.entries) or not is_same(theirs[key], self.entries[key])
        ]
        return [
            f"shows {key.key} as {self.entries.get(key)!r:.80}, which is {theirs.get(key)!r:.80}"
            for key in differing[:UNEQUAL_MAX]
        ]

    # --- inside

    def _shown(self, key: EntryKey, event: WatchEvent) -> str:
        if self.is_complete or key in self.entries:
            return f"{key.key} came twice in a snapshot, or behind it"
        if event.kind == "present":
            self.entries[key] = _kept(key, event.value)
        return ""

    def _deleted(self, key: EntryKey, event: WatchEvent) -> str:
        if key not in self.entries:
            return f"{key.key} was deleted and had not been shown"
        before = self.entries.pop(key)
        if event.old_value is not None and not is_same(before, _kept(key, event.old_value)):
            return f"{key.key} was deleted from {event.old_value!r:.80} and had been shown as {before!r:.80}"
        return ""

    def _changed(self, key: EntryKey, event: WatchEvent) -> str:
        before = self.entries.get(key)
        if isinstance(event.change, SetChange):
            return self._set_changed(key, before, event.change)
        if isinstance(event.change, MapChange):
            return self._map_changed(key, before, event.change)
        self.entries[key] = event.value
        if not is_same(before, event.old_value):
            return f"{key.key} changed from {event.old_value!r:.80} and had been shown as {before!r:.80}"
        if is_same(event.value, event.old_value) and before is not None:
            return f"{key.key} changed to what it was: {event.value!r:.80}"
        return ""

    def _set_changed(self, key: EntryKey, before: PlainValue, change: SetChange) -> str:
        held = dict(before) if isinstance(before, Mapping) else {}
        doubled = [item for item in change.added if _name(item) in held]
        missing = [item for item in change.removed if held.pop(_name(item), _MISSING) is _MISSING]
        held |= {_name(item): item for item in change.added}
        self.entries[key] = held
        if doubled or missing:
            return f"{key.key} got {doubled!r:.80}, which it had, and lost {missing!r:.80}, which it had not"
        return "" if change.added or change.removed or before is None else f"{key.key} changed in nothing"

    def _map_changed(self, key: EntryKey, before: PlainValue, change: MapChange) -> str:
        held = dict(before) if isinstance(before, Mapping) else {}
        wrong = [name for name in change.added if name in held]
        for name, old in change.removed.items():
            if name not in held or not is_same(held.pop(name), old):
                wrong.append(name)
        for name, (old, new) in change.changed.items():
            if name not in held or not is_same(held[name], old):
                wrong.append(name)
            held[name] = new
        held |= change.added
        self.entries[key] = held
        if wrong:
            return f"{key.key} changed at {wrong!r:.80}, and these had been shown as something else"
        is_empty = not (change.added or change.removed or change.changed)
        return f"{key.key} changed in nothing" if is_empty and before is not None else ""


_MISSING: Final = object()


def _kept(key: EntryKey, value: PlainValue) -> PlainValue:
    """A value as the model keeps it."""
    if key.type_name in SETS and isinstance(value, list | tuple):
        return {_name(item): item for item in value}
    if key.type_name in MAPS and isinstance(value, Mapping):
        return dict(value)
    return value


def _as_read(key: EntryKey, value: PlainValue) -> PlainValue:
    """A value of a node as its readers get it."""
    return values.plain_from_value(values.value_from_plain(key.type_name, value))[1]


def _name(item: PlainValue) -> str:
    return encode(item).hex()
