"""The meaning of each data type, as a function of what was done to an entry and what each deed had seen.

Independent of how the types work: there are no dots, contexts or stores here. Every function takes the deeds that one
node has applied and the value that it reads, and says what is wrong with the value; an empty text means nothing.

The rule of what stands, once for all types. A deed *takes the place* of another one about the same thing if it saw it,
and saw none that had taken its place before. A deed *stands* on a node that has applied it, and none that took its
place. Which deeds are about the same thing, and which of them take a place at all, is what the types differ in.

Both halves of the first sentence matter, because deeds arrive in any order and some are lost with a disk. Whoever
removes an element that is gone already removes nothing: it saw the element's addition *and* the removal before its
own. A node that has the second removal and not yet the first (or never, if that one died with a disk) still holds the
element, and is right to. So deeds that are lost count in what others saw, and not in what a node holds.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue, encode
from simulations.history import Call, holds


@dataclass(frozen=True, slots=True, eq=False)
class Deed:
    """One operation of one call, as a node sees it.

    Attributes:
        operation: what was done.
        call: the call that did it.
        index: its place among the operations of the call.
        is_applied: whether the node has applied it; if not, others may have seen it all the same.
    """

    operation: Operation
    call: Call
    index: int
    is_applied: bool = True

    @property
    def name(self) -> str:
        """Of the operation."""
        return self.operation.name

    @property
    def argument(self) -> Any:
        """The first argument of the operation."""
        return self.operation.arguments[0]

    @property
    def order(self) -> tuple[int, int]:
        """Greater than that of all that it saw."""
        return self.call.order, self.index

    def saw(self, other: "Deed") -> bool:
        """Whether it was computed on a state that held another one."""
        if self.call is other.call:
            return other.index < self.index
        return other.call.event is not None and holds(self.call.visible, other.call.event)


Specification = Callable[[Sequence[Deed], PlainValue], str]
"""What is wrong with a value, given all that was done, oldest first; empty if nothing is."""


def deeds_of(calls: Iterable[Call], is_applied: Callable[[Call], bool] = lambda call: True) -> list[Deed]:
    """The deeds of calls that did something somewhere, oldest first."""
    deeds: list[Deed] = []
    for call in calls:
        holds_it = is_applied(call)
        deeds += [Deed(operation, call, index, holds_it) for index, operation in enumerate(call.operations)]
    return in_order(deeds)


def in_order(deeds: Iterable[Deed]) -> list[Deed]:
    """Oldest first."""
    return sorted(deeds, key=lambda deed: deed.order)


def places_taken(deed: Deed, others: Iterable[Deed]) -> Iterator[Deed]:
    """Those of others, given and found oldest first, that took the place of a deed.

    One without an event found nothing to do, and was acknowledged as if it had: what it saw was gone, and stays so.
    """
    found: list[Deed] = []
    for other in others:
        if other is deed or not other.saw(deed):
            continue
        if other.call.event is None or not any(other.saw(earlier) for earlier in found):
            found.append(other)
            yield other


def stands(deed: Deed, others: Iterable[Deed]) -> bool:
    """Whether a deed is applied, and none of others that took its place."""
    return deed.is_applied and not any(other.is_applied for other in places_taken(deed, others))


def latest(deeds: Sequence[Deed]) -> list[Deed]:
    """Those that stand, if each takes the place of all that it saw."""
    return [deed for deed in deeds if stands(deed, deeds)]


def kept(deeds: Sequence[Deed], names: Iterable[str], removal: str) -> list[Deed]:
    """Those of some names that stand, if only removals take a place."""
    removals = [deed for deed in deeds if deed.name == removal]
    wanted = frozenset(names)
    return [deed for deed in deeds if deed.name in wanted and stands(deed, removals)]


def _applied(deeds: Iterable[Deed]) -> list[Deed]:
    return [deed for deed in deeds if deed.is_applied]


# --- counters


def _amount(deed: Deed) -> int:
    amount = deed.argument
    assert isinstance(amount, int)
    return -amount if deed.name == "decrement" else amount


def summed(deeds: Sequence[Deed], value: PlainValue) -> str:
    """The sum of all moves whose place no reset took."""
    return _expect(sum(_amount(deed) for deed in kept(deeds, ("increment", "decrement"), "reset")), value or 0)


def running_sums(deeds: Sequence[Deed], value: PlainValue) -> str:
    """For each replica its running sum at its last move, unless a reset took the place of that move.

    A move that is concurrent with a reset carries the sum before it past the reset; that is the price of one number for
    each replica.
    """
    resets = [deed for deed in deeds if deed.name == "reset"]
    total = 0
    for moves in _by_replica(deed for deed in _applied(deeds) if deed.name != "reset").values():
        total += _running(moves, resets)
    return _expect(total, value or 0)


def _running(moves: Sequence[Deed], resets: Sequence[Deed]) -> int:
    total = 0
    before: Deed | None = None
    for move in moves:
        if before is not None and any(move.saw(reset) for reset in places_taken(before, resets)):
            total = 0
        total += _amount(move)
        before = move
    return total if before is not None and stands(before, resets) else 0


def _by_replica(deeds: Iterable[Deed]) -> dict[bytes, list[Deed]]:
    """Each replica's own deeds in their order, which is total."""
    found: dict[bytes, list[Deed]] = defaultdict(list)
    for deed in deeds:
        assert deed.call.event is not None
        found[deed.call.event.replica_id].append(deed)
    for own in found.values():
        own.sort(key=lambda deed: (deed.call.event.first if deed.call.event else 0, deed.index))
    return found


def bounded(deeds: Sequence[Deed], value: PlainValue) -> str:
    """What increments created and decrements destroyed; never below zero, in no replica's rights."""
    moved = sum(map(_moved, _applied(deeds)))
    if value is None:
        return _expect(0, moved)
    assert isinstance(value, dict)
    rights = value["rights"]
    assert isinstance(rights, dict)
    if any(not isinstance(held, int) or held < 0 for held in rights.values()):
        return f"rights below zero: {rights!r}"
    return _expect(moved, value["value"])


def _moved(deed: Deed) -> int:
    return 0 if deed.name == "transfer" else _amount(deed)


# --- sets


def add_wins(deeds: Sequence[Deed], value: PlainValue) -> str:
    """An element is in if among the latest deeds about it there is an addition."""
    return _elements(deeds, value, lambda about: any(deed.name == "add" for deed in latest(about)))


def remove_wins(deeds: Sequence[Deed], value: PlainValue) -> str:
    """An element is in if among the latest deeds about it there are additions only."""

    def is_in(about: Sequence[Deed]) -> bool:
        names = {deed.name for deed in latest(about)}
        return "add" in names and "remove" not in names

    return _elements(deeds, value, is_in)


def two_phase(deeds: Sequence[Deed], value: PlainValue) -> str:
    """An element is in if it was added and never removed, as far as no reset took the place of either.

    A removal takes the place of the additions that it saw; it stands until a reset sees it.
    """

    def is_in(about: Sequence[Deed]) -> bool:
        removals = [deed for deed in about if deed.name != "add"]
        return any(deed.name == "add" for deed in latest(about)) and not any(
            deed.name == "remove" for deed in latest(removals)
        )

    return _elements(deeds, value, is_in)


def _elements(deeds: Sequence[Deed], value: PlainValue, is_in: Callable[[Sequence[Deed]], bool]) -> str:
    about: dict[bytes, list[Deed]] = defaultdict(list)
    wholes = [deed for deed in deeds if not deed.operation.arguments]
    elements: dict[bytes, PlainValue] = {}
    for deed in deeds:
        if deed.operation.arguments:
            key = encode(deed.argument)
            elements[key] = deed.argument
            about[key].append(deed)
    expected = {key for key, named in about.items() if is_in(in_order([*named, *wholes]))}
    found = {encode(element): element for element in (value if isinstance(value, list | tuple) else ())}
    lost = [elements[key] for key in sorted(expected - found.keys())]
    extra = [found[key] for key in sorted(found.keys() - expected)]
    return f"lacks {_cut(lost)} and has {_cut(extra)} too much" if lost or extra else ""


# --- registers and flags


def one_of_the_latest(deeds: Sequence[Deed], value: PlainValue) -> str:
    """A value that somebody wrote, and whose place no other write or clear took."""
    return _one_of(latest(deeds), value)


def one_of_the_first(deeds: Sequence[Deed], value: PlainValue) -> str:
    """A value that somebody wrote, of those writes that no clear has seen, and that saw none of them."""
    writes = kept(deeds, ["set"], "clear")
    return _one_of(
        [deed for deed in writes if not any(deed.saw(other) for other in writes if other is not deed)], value
    )


def all_of_the_latest(deeds: Sequence[Deed], value: PlainValue) -> str:
    """All values of the writes whose place no other write or clear took."""
    expected = {encode(deed.argument) for deed in latest(deeds) if deed.name == "set"}
    found = {encode(each) for each in (value if isinstance(value, list | tuple) else ())}
    return "" if expected == found else f"is {_cut(value)}, expected {len(expected)} values, of {len(found)} found"


def _one_of(writes: Iterable[Deed], value: PlainValue) -> str:
    allowed = [deed.argument for deed in writes if deed.name == "set"]
    if value in allowed or (value is None and not allowed):
        return ""
    return f"is {_cut(value)}, expected one of {_cut(allowed)}"


def greatest(deeds: Sequence[Deed], value: PlainValue) -> str:
    """The greatest number whose write stands."""
    return _expect(max(_standing(deeds), default=None), value)


def least(deeds: Sequence[Deed], value: PlainValue) -> str:
    """The least number whose write stands."""
    return _expect(min(_standing(deeds), default=None), value)


def _standing(deeds: Sequence[Deed]) -> list[Any]:
    """Numbers whose place no clear took, nor a write that replaced them."""
    return [deed.argument for deed in latest(deeds) if deed.name == "set"]


def enable_wins(deeds: Sequence[Deed], value: PlainValue) -> str:
    """On if among the latest deeds there is an enabling one."""
    return _expect(any(deed.name == "enable" for deed in latest(deeds)), bool(value))


def disable_wins(deeds: Sequence[Deed], value: PlainValue) -> str:
    """On if among the latest deeds one enables and none disables."""
    names = {deed.name for deed in latest(deeds)}
    return _expect("enable" in names and "disable" not in names, bool(value))


def ballots(deeds: Sequence[Deed], value: PlainValue) -> str:
    """Each replica's last ballot, if it was not withdrawn and no reset took its place."""
    valid = kept(deeds, ["vote"], "reset")
    counted = [
        own[-1].argument
        for own in _by_replica(deed for deed in _applied(deeds) if deed.name != "reset").values()
        if own[-1] in valid
    ]
    expected = {"against": counted.count(False), "for": counted.count(True)}
    return _expect(expected, value or {"against": 0, "for": 0})


# --- maps


def latest_puts(deeds: Sequence[Deed], value: PlainValue) -> str:
    """For each key one of the puts whose place nothing about the key took."""
    held = value if isinstance(value, dict) else {}
    wholes = [deed for deed in deeds if not deed.operation.arguments]
    problems = []
    for key in sorted({deed.argument for deed in deeds if deed.operation.arguments} | held.keys()):
        about = [deed for deed in deeds if deed.operation.arguments and deed.argument == key]
        allowed = [deed.operation.arguments[1] for deed in latest(in_order([*about, *wholes])) if deed.name == "put"]
        if (key in held) != bool(allowed) or (key in held and held[key] not in allowed):
            problems.append(f"{key} is {_cut(held.get(key))}, expected one of {_cut(allowed)}")
    return "; ".join(problems)


def counters_by_key(deeds: Sequence[Deed], value: PlainValue) -> str:
    """For each key a counter that its removals reset."""
    held = value if isinstance(value, dict) else {}
    return _nested_entries(
        deeds, {(key, "PNCounter"): inner for key, inner in held.items()}, kind_of=lambda deed: "PNCounter"
    )


def nested(deeds: Sequence[Deed], value: PlainValue) -> str:
    """For each key and type what its own specification says, removals of the key being its resets."""
    held = value if isinstance(value, dict) else {}
    entries = {
        (key, kind): inner for key, kinds in held.items() if isinstance(kinds, dict) for kind, inner in kinds.items()
    }
    return _nested_entries(deeds, entries, kind_of=lambda deed: str(deed.operation.arguments[1]))


def pairs(deeds: Sequence[Deed], value: PlainValue) -> str:
    """A pair of key and value is in if its addition is among the latest deeds about it; removals may name a key."""
    held = value if isinstance(value, dict) else {}
    found = {(key, encode(each)) for key, bound in held.items() if isinstance(bound, list | tuple) for each in bound}
    named = {(deed.argument, encode(deed.operation.arguments[1])) for deed in deeds if deed.operation.arguments[1:]}
    expected = set()
    for key, data in named:
        about = [deed for deed in deeds if _names_pair(deed, key, data)]
        if any(deed.name == "add_binding" for deed in latest(about)):
            expected.add((key, data))
    lost, extra = sorted(expected - found), sorted(found - expected)
    return f"lacks {_cut(lost)} and has {_cut(extra)} too much" if lost or extra else ""


def _names_pair(deed: Deed, key: str, data: bytes) -> bool:
    arguments = deed.operation.arguments
    return not arguments or (arguments[0] == key and (len(arguments) == 1 or encode(arguments[1]) == data))


def unwritten(deeds: Sequence[Deed], value: PlainValue) -> str:
    """No key is there that nobody wrote. What else they mean needs a history that is closed under what was seen."""
    held = value if isinstance(value, dict) else {}
    invented = sorted(held.keys() - {deed.argument for deed in _applied(deeds) if deed.name == "update"})
    return f"has {_cut(invented)}, which nobody wrote" if invented else ""


def documents(deeds: Sequence[Deed], value: PlainValue) -> str:
    """The object `o` is a map of puts; the list `l` holds what was inserted and no removal took, in some order."""
    held = value if isinstance(value, dict) else {}
    fields = [replace(deed, operation=meant) for deed in deeds if (meant := _meant_for_field(deed)) is not None]
    problem = latest_puts(fields, held.get("o"))
    removals = [
        deed for deed in deeds if not deed.operation.arguments or (deed.name, deed.argument) == ("delete", ("l",))
    ]
    inserted = [deed for deed in deeds if deed.name in {"insert", "extend"}]
    expected = sorted(
        str(text)
        for deed in inserted
        if stands(deed, removals)
        for text in (deed.operation.arguments[-1:] if deed.name == "insert" else _items(deed.operation.arguments[-1]))
    )
    found = sorted(map(str, _items(held.get("l", ()))))
    return "; ".join(each for each in (problem, "" if expected == found else f"l {_expect(expected, found)}") if each)


def _meant_for_field(deed: Deed) -> Operation | None:
    path, *rest = deed.operation.arguments or (("o",),)
    steps = _items(path)
    if steps[0] != "o":
        return None
    if len(steps) == 1:
        return Operation("clear")
    return Operation("put", (steps[1], *rest)) if deed.name == "set" else Operation("remove", (steps[1],))


def _items(value: PlainValue) -> Sequence[PlainValue]:
    assert isinstance(value, list | tuple)
    return value


def writings(deeds: Sequence[Deed], value: PlainValue) -> str:
    """What is read was written, each once, and nothing that began a new text or cleared it took its place."""
    text = value or ""
    assert isinstance(text, str)
    ends = [deed for deed in deeds if deed.name != "insert"]
    standing = {str(deed.operation.arguments[-1]) for deed in deeds if deed.operation.arguments and stands(deed, ends)}
    found = [f"{part}]" for part in text.split("]")[:-1]]
    extra = [part for part in found if part not in standing]
    doubled = len(found) != len(set(found)) or "".join(found) != text
    return f"has {_cut(extra or text)}, which should not be there" if extra or doubled else ""


RESETS: Final = {"PNCounter": "reset", "ORSet": "clear", "MVRegister": "clear", "EWFlag": "disable"}


def _nested_entries(
    deeds: Sequence[Deed], held: dict[tuple[str, str], PlainValue], kind_of: Callable[[Deed], str]
) -> str:
    changes = [deed for deed in deeds if deed.name not in {"remove", "clear"}]
    entries = {(deed.argument, kind_of(deed)) for deed in changes} | held.keys()
    problems = []
    for key, kind in sorted(entries):
        inner = [_inner(deed, kind) for deed in deeds if _is_about(deed, key, kind, kind_of)]
        problem = SPECIFICATIONS[kind](inner, held.get((key, kind)))
        if problem:
            problems.append(f"{key}/{kind} {problem}")
    return "; ".join(problems)


def _is_about(deed: Deed, key: str, kind: str, kind_of: Callable[[Deed], str]) -> bool:
    if deed.name == "clear":
        return True
    return bool(deed.argument == key) and (deed.name == "remove" or kind_of(deed) == kind)


def _inner(deed: Deed, kind: str) -> Deed:
    """A deed to a map, as what it means for one entry."""
    if deed.name in {"remove", "clear"}:
        meant = Operation(RESETS[kind])
    elif deed.name == "update":
        _, _, name, *rest = deed.operation.arguments
        meant = Operation(str(name), tuple(rest))
    else:
        meant = Operation(deed.name, deed.operation.arguments[1:])
    return replace(deed, operation=meant)


SPECIFICATIONS: Final[dict[str, Specification]] = {
    "BoundedCounter": bounded,
    "DWFlag": disable_wins,
    "EWFlag": enable_wins,
    "ExactCounter": summed,
    "FWWRegister": one_of_the_first,
    "GCounter": running_sums,
    "GSet": add_wins,
    "JsonDocument": documents,
    "LWWMap": latest_puts,
    "LWWRegister": one_of_the_latest,
    "MVRegister": all_of_the_latest,
    "MaxRegister": greatest,
    "MinRegister": least,
    "ORMap": nested,
    "ORMultiMap": pairs,
    "ORSet": add_wins,
    "PNCounter": running_sums,
    "PNCounterMap": counters_by_key,
    "RWMap": unwritten,
    "RWSet": remove_wins,
    "Text": writings,
    "TwoPhaseSet": two_phase,
    "UWMap": unwritten,
    "Vote": ballots,
}
"""By data type."""

SUMS_SURVIVE_LOSS: Final = frozenset({"BoundedCounter", "GCounter", "ORMap", "PNCounter", "PNCounterMap", "Vote"})
"""Types that keep one number for each replica: with a lost disk a deed may be gone while its amount lives on in a later
sum, so what is applied does not say what the value is."""


def _expect(expected: object, value: object) -> str:
    return "" if expected == value else f"is {_cut(value)}, what was done makes {_cut(expected)}"


def _cut(value: object) -> str:
    return f"{value!r:.120}"
