"""What the service `State` promises, as pure functions of a history and the final states; see `checkers`.

Reads at a level, session tokens, batches, operation ids, expiry, and watches.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from crdtmesh.crdts.values import PlainValue
from crdtmesh.replication.outputs import EntryKey
from simulations.asking import is_sure
from simulations.history import Call, FinalState, History, Outcome, Route, holds
from simulations.scheduler import MILLISECOND_NS
from simulations.watch_model import WatchModel
from simulations.workload import is_expiring

QUORUMS: Final = frozenset({"majority", "all"})
"""Levels of which any two have a voter in common."""

# A timer that is due, and a handful of turns of a busy loop.
LATE_MS: Final = 1_000


def reads_at_levels(history: History, finals: Sequence[FinalState]) -> list[str]:
    """A read at a majority shows every write that was acknowledged at a majority before it began.

    The rule. The voters that confirmed the write and those that answered the read have one in common when together they
    are more than the voters that there were: all that either side counted among, while it waited. A voter that lost its
    disk in between is none of those that confirmed.
    """
    del finals
    failures = []
    written = [call for call in _at_quorums(history) if call.is_update]
    for read in _at_quorums(history):
        if read.is_update or not is_sure(read.key):
            continue
        shown = set(_elements(read.value))
        failures += [
            f"read {read.number} of {read.key.key} at {read.level} on {read.node} lacks what call {call.number} to "
            f"{call.node} had added at {call.level}"
            for call in written
            if call.key == read.key
            and call.completed_ns < read.invoked_ns
            and call.operations[0].arguments[0] not in shown
            and _meet(history, call, read)
        ]
    return failures


def tokens_cover(history: History, finals: Sequence[FinalState]) -> list[str]:
    """A read that brings a session token shows no less than the answer that the token came with, on whatever node."""
    del finals
    failures = []
    for read in history.calls:
        if read.after is None or read.outcome is not Outcome.OK:
            continue
        source = history.calls[read.after]
        lacking = set(_elements(source.value)) - set(_elements(read.value))
        if lacking:
            failures.append(
                f"read {read.number} of {read.key.key} on {read.node} lacks {sorted(map(str, lacking))!r:.80} with the "
                f"token of call {source.number} on {source.node}, which was shown it"
            )
    return failures


def batches_whole(history: History, finals: Sequence[FinalState]) -> list[str]:
    """What was done to several keys in one event is seen in all of them or in none, at every node and moment."""
    batches = [call for call in history.calls if call.others]
    failures = []
    for read in history.calls:
        if read.is_list and read.outcome is Outcome.OK and isinstance(read.value, Mapping):
            shown = read.value
            torn = _torn(batches, shown)
            failures += [f"read {read.number} on {read.node} shows a part of {text}" for text in torn]
    for final in finals:
        held = {key.key: value for key, value in final.values.items()}
        failures += [f"{final.node} holds a part of {text}" for text in _torn(batches, held)]
    return failures


def done_once(history: History, finals: Sequence[FinalState]) -> list[str]:
    """What is sent again under its operation id is done once, wherever one looks."""
    return [
        f"call {call.number} to {call.node} was sent {call.attempts} times and done {count} times on {final.node}"
        for call in history.calls
        if call.operation_id and len(call.events) > 1 and not history.may_repeat(call)
        for final in finals
        if (count := sum(holds(final.applied, event) for event in call.events)) > 1
    ]


def expiry_in_time(history: History, finals: Sequence[FinalState]) -> list[str]:
    """What expires is there until some clock of the mesh says so, is gone when its node's own does, and stays away.

    Before its time: an element that the node has applied is shown as long as no clock has shown its time yet; whoever
    removes it goes by a clock of the mesh. In its time: an entry is not shown a second after the last time that was
    told for it, if no clock was wrong. Back: a node that showed it gone never shows it again, unless it lost its disk,
    clocks jumped, or an update came that had kept the entry alive.
    """
    del finals
    failures = []
    for key, added in _expiring(history).items():
        reads = [
            call
            for call in history.calls
            if call.key == key and not call.is_update and call.route is Route.EDGE and call.outcome is Outcome.OK
        ]
        for read in reads:
            failures += _too_early(read, added)
            if not history.clocks_erred:
                failures += _too_late(history, read, added)
        if not history.clocks_jumped:
            failures += _back(history, reads, added)
    return failures


def watches_exact(history: History, finals: Sequence[FinalState]) -> list[str]:
    """A snapshot and the changes behind it leave nothing out and tell nothing twice: they make what the node holds."""
    by_name = {final.node: final for final in finals}
    failures = []
    for watch in history.watches:
        model = WatchModel()
        problems = [text for _, event in watch.steps if (text := model.take(event))]
        failures += [f"reader {watch.reader}: {text}" for text in problems[:1]]
        final = by_name.get(watch.steps[-1][0]) if watch.steps else None
        if final is None or watch.is_over or problems:
            continue
        held = {
            key: value
            for key, value in final.values.items()
            if key.key.startswith(watch.prefix) and watch.type_name in ("", key.type_name)
        }
        failures += [f"reader {watch.reader} of {final.node} {text}" for text in model.unlike(held)]
    return failures


# --- inside


def _at_quorums(history: History) -> Iterable[Call]:
    return (call for call in history.calls if call.level in QUORUMS and call.outcome is Outcome.OK)


def _meet(history: History, write: Call, read: Call) -> bool:
    lost = {node for node, lost_ns in history.wipes if write.invoked_ns <= lost_ns <= read.completed_ns}
    is_known = bool(write.voters and read.voters)
    return is_known and write.needed - len(lost) + read.needed > len(write.voters | read.voters)


def _torn(batches: Sequence[Call], values: Mapping[str, PlainValue]) -> list[str]:
    """The batches of which some keys show the element and others do not."""
    torn = []
    for call in batches:
        element = call.operations[0].arguments[0]
        shown = [element in _elements(values.get(key.key)) for key in call.keys]
        if any(shown) and not all(shown):
            torn.append(f"call {call.number} to {call.node}: {call.key.key} and {len(call.others)} more")
    return torn


def _expiring(history: History) -> dict[EntryKey, list[Call]]:
    """The additions to each set that expires, of which it is known that they were made."""
    added: dict[EntryKey, list[Call]] = defaultdict(list)
    for call in history.calls:
        if is_expiring(call.key) and call.is_update and call.event is not None:
            added[call.key].append(call)
    return added


def _expires_ms(call: Call) -> int:
    return call.wall_ms + (call.ttl_ms or 0)


def _elements(value: PlainValue) -> Sequence[PlainValue]:
    return value if isinstance(value, list | tuple) else ()


def _has_applied(read: Call, call: Call) -> bool:
    return call.event is not None and holds(read.visible, call.event)


def _too_early(read: Call, added: Sequence[Call]) -> list[str]:
    return [
        f"read {read.number} of {read.key.key} on {read.node} lacks what call {call.number} added, "
        f"{_expires_ms(call) - read.latest_ms} ms before its time by the fastest clock"
        for call in added
        if _has_applied(read, call)
        and read.latest_ms < _expires_ms(call)
        and call.operations[0].arguments[0] not in _elements(read.value)
    ]


def _too_late(history: History, read: Call, added: Sequence[Call]) -> list[str]:
    if not _elements(read.value) or any(call.ttl_ms is None for call in added):
        return []
    last_ms = max((_expires_ms(call) for call in added if call.invoked_ns <= read.completed_ns), default=0)
    held_up_ms = history.held_up_ns(read.node, read.invoked_ns - LATE_MS * MILLISECOND_NS, read.completed_ns)
    late_ms = read.wall_ms - last_ms - LATE_MS - held_up_ms // MILLISECOND_NS
    if late_ms <= 0:
        return []
    return [f"read {read.number} of {read.key.key} on {read.node} shows what expired {late_ms + LATE_MS} ms before"]


def _back(history: History, reads: Sequence[Call], added: Sequence[Call]) -> list[str]:
    failures = []
    for call in added:
        element = call.operations[0].arguments[0]
        gone: dict[str, Call] = {}
        for read in sorted(reads, key=lambda each: each.completed_ns):
            before = gone.get(read.node)
            if element not in _elements(read.value):
                if before is None and _has_applied(read, call):
                    gone[read.node] = read
            elif (
                before is not None
                and before.completed_ns <= read.invoked_ns
                and not history.wipes_between(read.node, before.invoked_ns, read.completed_ns)
                and not any(_has_applied(read, each) and not _has_applied(before, each) for each in added)
            ):
                failures.append(
                    f"read {read.number} of {read.key.key} on {read.node} shows again what call {call.number} added; "
                    f"it was gone for read {before.number}"
                )
    return failures


STATE_CHECKERS: Final = (reads_at_levels, tokens_cover, batches_whole, done_once, expiry_in_time)
"""All but `watches_exact`, which is about the node that a reader was at."""
