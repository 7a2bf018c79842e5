"""Each promise is found broken when it is, and only then."""

from __future__ import annotations

from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue
from crdtmesh.replication.outputs import EntryKey, EventRun
from simulations.history import Call, History, Outcome
from tests.hosts.witnesses import Holding, Judgement, judge, not_held_up

TAGS = EntryKey("s", "tags-0", "ORSet")
NOTE = EntryKey("s", "note-0", "LWWRegister")
COUNT = EntryKey("s", "up-0", "PNCounter")


class Told:
    """A history, written call by call; each begins when the one before has ended."""

    def __init__(self) -> None:
        self.history = History()

    def call(
        self,
        key: EntryKey,
        *operations: Operation,
        outcome: Outcome = Outcome.OK,
        node: str = "a",
        value: PlainValue = None,
        level: str = "local",
    ) -> Told:
        number = len(self.history.calls)
        call = Call(
            number=number, client=0, node=node, key=key, operations=operations, is_update=bool(operations),
            outcome=outcome, value=value, level=level, invoked_ns=10 * number, completed_ns=10 * number + 5,
        )  # fmt: skip
        if key in (TAGS, NOTE):
            call.event = EventRun(bytes(16), 100 * number, 100 * number + len(operations) - 1, 0)
        self.history.calls.append(call)
        return self

    def broken(self, *values: dict[EntryKey, PlainValue], digests: str = "") -> list[str]:
        """Names of the checkers that complain; one node for each of the values."""
        return sorted({text.partition(":")[0] for text in self._judged(values, digests).broken})

    def lost(self, *values: dict[EntryKey, PlainValue]) -> int:
        return self._judged(values, "").lost

    def _judged(self, values: tuple[dict[EntryKey, PlainValue], ...], digests: str) -> Judgement:
        names = digests or "0" * len(values)
        return judge(
            self.history, [Holding(f"n{index}", f"0{names[index]}", held, 0) for index, held in enumerate(values)]
        )


def add(*elements: str) -> tuple[Operation, ...]:
    return tuple(Operation("add", (element,)) for element in elements)


def remove(element: str) -> Operation:
    return Operation("remove", (element,))


def test_what_was_done_and_is_there_breaks_nothing() -> None:
    told = Told().call(TAGS, *add("x", "y")).call(TAGS, remove("x")).call(COUNT, Operation("increment", (3,)))
    told.call(COUNT, value=3).call(NOTE, Operation("set", ("n",)))
    held: dict[EntryKey, PlainValue] = {TAGS: ("y",), COUNT: 3, NOTE: "n"}

    assert [] == told.broken(held, held)
    assert 0 == told.lost(held, held)


def test_an_acknowledged_element_that_is_missing_is_lost() -> None:
    told = Told().call(TAGS, *add("x")).call(TAGS, *add("y"))

    assert ["no_lost_update"] == told.broken({TAGS: ("y",)})
    assert 1 == told.lost({TAGS: ("y",)})


def test_a_removed_element_that_is_there_again_is_a_lost_removal() -> None:
    told = Told().call(TAGS, *add("x")).call(TAGS, remove("x"))

    assert ["no_lost_update"] == told.broken({TAGS: ("x",)})


def test_half_of_a_batch_is_found() -> None:
    told = Told().call(TAGS, *add("x", "y"), outcome=Outcome.UNKNOWN)

    assert ["all_or_nothing", "meaning"] == told.broken({TAGS: ("x",)})
    assert [] == told.broken({TAGS: ("x", "y")})
    assert [] == told.broken({})


def test_an_effect_of_a_call_that_failed_is_found() -> None:
    told = Told().call(TAGS, *add("x"), outcome=Outcome.FAILED)

    assert ["applied_once"] == told.broken({TAGS: ("x",)})
    assert [] == told.broken({})


def test_an_element_that_nobody_added_is_found() -> None:
    told = Told().call(TAGS, *add("x"))

    assert ["meaning"] == told.broken({TAGS: ("x", "z")})


def test_a_counter_below_or_above_what_was_told_is_found() -> None:
    told = Told().call(COUNT, Operation("increment", (3,)))
    told.call(COUNT, Operation("increment", (5,)), outcome=Outcome.UNKNOWN)
    told.call(COUNT, Operation("increment", (7,)), outcome=Outcome.FAILED)

    assert [[], []] == [told.broken({COUNT: 3}), told.broken({COUNT: 8})]
    assert [["counter_exact"], ["counter_exact"]] == [told.broken({COUNT: 2}), told.broken({COUNT: 9})]
    assert 1 == told.lost({COUNT: 2})


def test_a_text_that_was_overwritten_where_it_was_seen_is_found() -> None:
    told = Told().call(NOTE, Operation("set", ("old",))).call(NOTE, Operation("set", ("new",)))

    assert ["meaning"] == told.broken({NOTE: "old"})
    assert [] == told.broken({NOTE: "new"})


def test_texts_of_two_nodes_may_stand_either_way() -> None:
    told = Told().call(NOTE, Operation("set", ("one",))).call(NOTE, Operation("set", ("other",)), node="b")

    assert [[], []] == [told.broken({NOTE: "one"}), told.broken({NOTE: "other"})]


def test_a_read_below_an_earlier_one_of_its_node_is_found() -> None:
    told = Told().call(COUNT, Operation("increment", (3,))).call(COUNT, value=3).call(COUNT, value=2)

    assert ["session_order"] == told.broken({COUNT: 3})


def test_nodes_with_unequal_bytes_are_found() -> None:
    assert ["convergence"] == Told().call(TAGS, *add("x")).broken({TAGS: ("x",)}, {TAGS: ("x",)}, digests="01")


def test_a_local_call_that_a_node_in_order_did_not_do_is_found() -> None:
    told = Told().call(TAGS, *add("x"), outcome=Outcome.UNKNOWN)
    told.call(TAGS, *add("y"), outcome=Outcome.UNKNOWN, level="majority").call(TAGS, *add("z"), node="b")

    assert 1 == len(not_held_up(told.history, ["a", "b"]))
    assert [] == not_held_up(told.history, ["b"])
