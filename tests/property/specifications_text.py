"""The meaning of a text as a function of a history, and what is drawn.

Which text is there, and which updates make it, is decided here by what events had seen. How the library orders
characters is not ours to specify: each event is replayed in a document of the library that has what the event had seen.
"""

from __future__ import annotations

from typing import Any, cast

from hypothesis import strategies as st

from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.text import Home, client_id
from crdtmesh.crdts.values import PlainValue
from crdtmesh.testing.histories import Event, History
from crdtmesh.testing.strategies import operation
from crdtmesh.testing.worlds import REPLICA_IDS
from crdtmesh.text.sequence import Sequence
from tests.property.specifications_dots import in_order

_texts = st.sampled_from(["a", "bc", "é😀x", ""])
_insert = operation("insert", st.sampled_from([0, 0, 0, 1, 2, 3]), _texts)

OPERATIONS: dict[str, st.SearchStrategy[Operation]] = {
    "Text": st.one_of(
        _insert,
        _insert,
        _insert,
        operation("delete", st.sampled_from([0, 0, 1]), st.integers(0, 2)),
        operation("set", st.sampled_from(["xyz", "n", ""])),
        operation("clear"),
    ),
}

FIRST_OPERATIONS: dict[str, tuple[str, PlainValue]] = {"Text": ("insert", (0, "x"))}


class _Replay:
    """The texts of a history, each named by who began it, and what each event wrote."""

    def __init__(self, history: History) -> None:
        self.begun: dict[Event, Home] = {}
        self.wrote: dict[Event, tuple[Home, bytes]] = {}
        for event in in_order(history):
            self.run(event)

    def home(self, view: History) -> Home | None:
        """Of the texts that nothing which ends texts has seen, the one with the least name."""
        ends = list(filter(_is_end, view))
        begun = [event for event in self.begun if event in view and not any(event in end.seen for end in ends)]
        return min((self.begun[event] for event in begun), default=None)

    def open(self, home: Home, view: History, client: int) -> Sequence:
        """A text with what a view has of it."""
        sequence = Sequence(client)
        for event in in_order(view & self.wrote.keys()):
            if self.wrote[event][0] == home:
                sequence.apply(self.wrote[event][1])
        return sequence

    def run(self, event: Event) -> None:
        """Replay an event."""
        name, arguments = event.operation.name, event.operation.arguments
        if name == "clear" or arguments == ("",):
            return
        replica_id = REPLICA_IDS[event.at]
        home = None if name == "set" else self.home(event.seen)
        if home is None:
            home = self.begun[event] = Home(replica_id, event.first_n)
            begun = Sequence(client_id(replica_id, home))
            self.wrote[event] = home, begun.insert(0, cast("str", arguments[-1]))
            return
        sequence = self.open(home, event.seen, client_id(replica_id, home))
        index, what = arguments
        edit: Any = sequence.insert if name == "insert" else sequence.delete
        self.wrote[event] = home, edit(index, what)


def _is_end(event: Event) -> bool:
    """Whether it does away with all texts that it has seen."""
    return event.operation.name in {"clear", "set"}


def holds_anything(history: History) -> bool:
    """Whether anything is left of what a history wrote, read or not."""
    wrote = _Replay(history).wrote
    return any(not any(event in end.seen for end in filter(_is_end, history)) for event in wrote)


def text(history: History) -> PlainValue:
    """The text that is there, as the library reads it."""
    replay = _Replay(history)
    home = replay.home(history)
    return "" if home is None else str(replay.open(home, history, 1))


SPECIFICATIONS = {"Text": text}
