"""The promises, as pure functions of a history and the final states.

Each returns a list of sentences, empty when the promise was kept. They know nothing of how replication works: expected
values follow from what clients asked for, what they were told, and which events each call could see. Outcome `unknown`
is allowed both ways.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue
from crdtmesh.replication.outputs import EntryKey
from gossip.messages import MemberState
from simulations.asking import is_once
from simulations.history import Call, FinalState, History, Outcome, Route, holds, touches
from simulations.scheduler import MILLISECOND_NS, SECOND_NS
from simulations.specifications import SPECIFICATIONS, SUMS_SURVIVE_LOSS, deeds_of
from simulations.state_checks import STATE_CHECKERS, watches_exact
from simulations.workload import COUNTER, TTL_LONG_MS, TTL_SHORT_MS_MAX, is_expiring, is_up_counter

Checker = Callable[[History, Sequence[FinalState]], list[str]]

# The slowest sync of a good disk, and a handful of turns of a busy loop.
PROMPT_NS: Final = SECOND_NS


def convergence(history: History, finals: Sequence[FinalState]) -> list[str]:
    """After heal and quiet all nodes hold equal bytes, and read equal values."""
    del history
    failures = []
    first = finals[0]
    for other in finals[1:]:
        if first.digest != other.digest:
            failures.append(f"{first.node} and {other.node} hold different bytes: {_difference(first, other)}")
        elif _lasting(first) != _lasting(other):
            failures.append(f"{first.node} and {other.node} have equal digests, unequal values")
    return failures


def no_lost_update(history: History, finals: Sequence[FinalState]) -> list[str]:
    """Every event that a node with a surviving disk acknowledged is applied on every node."""
    return [
        f"call {call.number} was acknowledged by {call.node} and is missing on {final.node}: {_shown(call)}"
        for call in history.calls
        if call.event is not None and history.promised(call)
        for final in finals
        if not holds(final.applied, call.event)
    ]


def all_or_nothing(history: History, finals: Sequence[FinalState]) -> list[str]:
    """No event is applied in part."""
    return [
        f"call {call.number} is applied in part on {final.node}: {_shown(call)}"
        for call in history.calls
        if call.event is not None
        for final in finals
        if touches(final.applied, call.event) and not holds(final.applied, call.event)
    ]


def counter_exact(history: History, finals: Sequence[FinalState]) -> list[str]:
    """Acknowledged <= value <= acknowledged + unknown, for amounts of either sign."""
    failures = []
    for key, calls in _updates(history):
        if not is_up_counter(key) and key.type_name != COUNTER:
            continue
        low = high = 0
        for call in calls:
            amount = amount_of(call)
            most = amount * max(1, call.times_applied) if history.may_repeat(call) else amount
            if history.promised(call):
                low += amount
                high += most
            elif call.outcome is not Outcome.FAILED:
                low += min(0, amount)
                high += max(0, most)
        for final in finals:
            value = final.values.get(key, 0)
            if not isinstance(value, int) or not low <= value <= high:
                failures.append(f"{key.key} on {final.node} is {value!r}, not within {low}..{high}")
    return failures


def meaning(history: History, finals: Sequence[FinalState]) -> list[str]:
    """Every entry reads as what was done to it means: nothing lost, nothing invented, nothing back from the dead."""
    failures = []
    for key, calls in _updates(history):
        specification = SPECIFICATIONS.get(key.type_name)
        if (
            specification is None
            or is_expiring(key)
            or is_once(key)
            or (history.wipes and key.type_name in SUMS_SURVIVE_LOSS)
        ):
            continue
        done = [call for call in calls if call.event is not None or _promises_without_event(history, call)]
        for final in finals:
            deeds = deeds_of(done, partial(_is_held, final))
            problem = specification(deeds, final.values.get(key))
            if problem:
                failures.append(f"{key.key} on {final.node} {problem}")
    return failures


def expiry(history: History, finals: Sequence[FinalState]) -> list[str]:
    """What was told to live long is there, whatever was told before and elsewhere; what was not is gone in its time.

    Of the latter nothing is said when a wall clock was wrong: it may have said much later.
    """
    failures = []
    for key, calls in _updates(history):
        if not is_expiring(key):
            continue
        kept = [call for call in calls if call.ttl_ms == TTL_LONG_MS]
        for final in finals:
            value = final.values.get(key)
            shown = value if isinstance(value, tuple | list) else ()
            failures += [
                f"{key.key} on {final.node} lost what was to live long: {_shown(call)}"
                for call in kept
                if history.promised(call) and call.operations[0].arguments[0] not in shown
            ]
            over = all(call.completed_ns + TTL_SHORT_MS_MAX * MILLISECOND_NS < history.ended_ns for call in calls)
            if not kept and over and not history.clocks_erred and value is not None:
                failures.append(f"{key.key} on {final.node} has expired and reads {value!r}")
    return failures


def applied_once(history: History, finals: Sequence[FinalState]) -> list[str]:
    """No call takes effect twice, and none that was told to have failed takes effect at all."""
    del finals
    return [
        f"call {call.number} to {call.node} was {call.outcome} and took {call.times_applied} events: {_shown(call)}"
        for call in history.calls
        if call.times_applied > (0 if call.outcome is Outcome.FAILED else 1)
        # What has an operation id may be made anew where the first one was lost; see `done_once`.
        and (call.outcome is Outcome.FAILED or not call.operation_id)
    ]


def session_order(history: History, finals: Sequence[FinalState]) -> list[str]:
    """On one node a counter that only grows is never read lower than before, nor without acknowledged own updates.

    Across restarts too: what was shown to somebody waited for the disk.
    """
    del finals
    failures = []
    by_node: dict[tuple[str, EntryKey], list[Call]] = defaultdict(list)
    for call in history.calls:
        # An actor may be served by another node; what that one shows or takes is not promised here at once.
        if call.outcome is Outcome.OK and is_up_counter(call.key) and (call.is_update or call.route is Route.STATE):
            by_node[call.ran_on or call.node, call.key].append(call)
    for (node, key), calls in sorted(by_node.items()):
        for read in calls:
            if read.is_update:
                continue
            before = [
                call
                for call in calls
                if call.completed_ns <= read.invoked_ns
                and not history.wipes_between(node, call.invoked_ns, read.invoked_ns)
            ]
            acknowledged = sum(amount_of(call) for call in before if call.is_update)
            shown = max((int(str(call.value or 0)) for call in before if not call.is_update), default=0)
            value = int(str(read.value or 0))
            if value < max(acknowledged, shown):
                failures.append(
                    f"read {read.number} of {key.key} on {node} got {value}, "
                    f"{shown} was shown and {acknowledged} acknowledged there before"
                )
    return failures


def answered(history: History, finals: Sequence[FinalState]) -> list[str]:
    """Every call ends: level `local` never blocks on other nodes."""
    del finals
    return [
        f"call {call.number} on {call.node} was never answered: {_shown(call)}"
        for call in history.calls
        if call.outcome is Outcome.OPEN
    ]


def progress(history: History, finals: Sequence[FinalState]) -> list[str]:
    """Level `local` waits for nobody else: a node that is not held up answers reads and updates of its state soon.

    Left out are updates of entries with actors, which wait for the turns under way, and reads that an update held up.
    """
    del finals
    acted = {call.key for call in history.calls if call.route is Route.ACTOR}
    failures = []
    for call in history.calls:
        took_ns = call.completed_ns - call.invoked_ns
        if call.route is not Route.STATE or call.level != "local" or took_ns <= PROMPT_NS or call.key in acted:
            continue
        if took_ns > PROMPT_NS + history.held_up_ns(call.node, call.invoked_ns, call.completed_ns):
            failures.append(f"call {call.number} to {call.node} took {took_ns / 1e9:.1f} s: {_shown(call)}")
    return failures


def nothing_queued(history: History, finals: Sequence[FinalState]) -> list[str]:
    """After quiet nothing waits on any link."""
    del history
    return [
        f"{final.node} still has {final.queued_bytes} bytes queued on its links"
        for final in finals
        if final.queued_bytes > 0
    ]


def known_identities(history: History, finals: Sequence[FinalState]) -> list[str]:
    """No node knows more replica ids than there were: what contexts hold is bounded by the starts of nodes."""
    failures = []
    for final in finals:
        ids = {replica_id for _, replica_id in final.applied}
        if len(ids) > history.identities:
            failures.append(f"{final.node} knows {len(ids)} replica ids, {history.identities} were made")
    return failures


CONDUCT: Final[tuple[Checker, ...]] = (applied_once, answered, progress, nothing_queued)
"""What must hold whatever peers say of themselves."""

CHECKERS: Final[tuple[Checker, ...]] = (
    no_lost_update,
    all_or_nothing,
    applied_once,
    counter_exact,
    expiry,
    meaning,
    session_order,
    answered,
    progress,
    nothing_queued,
    known_identities,
    *STATE_CHECKERS,
)
"""All but `convergence`, which compares the nodes, and `watches_exact`; these judge each node by itself."""


def check_all(history: History, finals: Sequence[FinalState]) -> list[str]:
    """The broken promises of a run, each with the name of its checker."""
    failures = [f"convergence: {failure}" for failure in convergence(history, finals)]
    failures += [f"watches_exact: {failure}" for failure in watches_exact(history, finals)]
    # Nodes that hold the same need to be judged once: after a good run that is one of them.
    distinct: list[FinalState] = []
    for final in finals:
        if not any(final.applied == other.applied and final.values == other.values for other in distinct):
            distinct.append(final)
    return failures + [
        f"{checker.__name__}: {failure}" for checker in CHECKERS for failure in checker(history, distinct)
    ]


def check_conduct(history: History, finals: Sequence[FinalState]) -> list[str]:
    """Those of the promises that hold with a peer that lies."""
    return [f"{checker.__name__}: {failure}" for checker in CONDUCT for failure in checker(history, finals)]


def amount_of(call: Call) -> int:
    """What an update adds to its counter."""
    return sum(_amount(operation) for operation in call.operations)


# --- inside


def _amount(operation: Operation) -> int:
    amount = operation.arguments[0] if operation.arguments else 1
    assert isinstance(amount, int)
    return -amount if operation.name == "decrement" else amount


def _updates(history: History) -> Iterator[tuple[EntryKey, list[Call]]]:
    """The update calls of each entry, in order of the keys; those that certainly did nothing left out."""
    by_key: dict[EntryKey, list[Call]] = defaultdict(list)
    for call in history.calls:
        if call.is_update and call.outcome is not Outcome.FAILED:
            for key in call.keys:
                by_key[key].append(call)
    yield from sorted(by_key.items())


def _promises_without_event(history: History, call: Call) -> bool:
    """Whether a call that found nothing to do, and took no event, promises that what it saw is so."""
    return bool(call.ran_on) and history.promised(call) and call.key.type_name == "ORSet"


def _is_held(final: FinalState, call: Call) -> bool:
    """Whether what a call did is part of what a node's state means."""
    return call.event is None or holds(final.applied, call.event)


def _lasting(final: FinalState) -> dict[EntryKey, PlainValue]:
    """What nodes have to read alike: each hides an entry that expires when its own clock says so."""
    return {key: value for key, value in final.values.items() if not is_expiring(key)}


def _difference(first: FinalState, second: FinalState) -> str:
    keys = sorted(first.values.keys() | second.values.keys())
    differing = [key for key in keys if first.values.get(key) != second.values.get(key)]
    shown = "; ".join(f"{key.key} {first.values.get(key)!r} / {second.values.get(key)!r}" for key in differing[:3])
    return shown or "values are equal"


def _shown(call: Call) -> str:
    operations = ", ".join(f"{operation.name}{operation.arguments!r}" for operation in call.operations)
    return f"{call.key.key} {operations or 'read'}"[:120]


OWN_FAULTS: Final = ("HANDLER_ERROR", "INVALID_OPERATION", "MAILBOX_FULL", "TIMEOUT")
"""Why a call may fail although nothing is wrong: with what it asked for, or with the actor's own pace."""

WAR_REPORTS: Final = ("alarm.", "link_down.", "member.died", "member.left", "member.suspected", "rejected.")
"""How reports begin that nothing explains but a fault."""


def unexpected_in_peace(history: History, reports: Mapping[str, int]) -> list[str]:
    """What a run without any fault must not show: no doubt, no loss, nothing unknown at level `local`."""
    failures = [
        f"{kind} was reported {count} times" for kind, count in sorted(reports.items()) if kind.startswith(WAR_REPORTS)
    ]
    for call in history.calls:
        is_own = call.reason.startswith(OWN_FAULTS) or call.level != "local"
        if call.outcome is not Outcome.OK and not is_own:
            failures.append(f"call {call.number} to {call.node} was {call.outcome}: {call.reason or _shown(call)}")
    return failures


IMPOSSIBLE: Final = ("alarm.audit_mismatch", "alarm.event_forged", "alarm.identity_doubled")
"""What honest nodes never report, whatever happens to them."""


def unexpected_alarms(reports: Mapping[str, int]) -> list[str]:
    """What cores reported that only a lie, or a bug, explains."""
    return [f"{kind} was reported {reports[kind]} times" for kind in IMPOSSIBLE if reports.get(kind)]


def unexpected_members(tables: Mapping[str, Mapping[str, MemberState]], *, running: Iterable[str]) -> list[str]:
    """Where membership is not complete: every running node is alive at every running node, everybody else is gone.

    A suspect is neither: doubt must end, one way or the other.

    Args:
        tables: by running node, what it believes of each member.
        running: names of the nodes that run.
    """
    expected = sorted(running)
    failures = []
    for node, table in sorted(tables.items()):
        doubted = [name for name in expected if table.get(name) is not MemberState.ALIVE]
        present = (MemberState.ALIVE, MemberState.SUSPECT)
        ghosts = sorted(name for name, state in table.items() if name not in expected and state in present)
        if doubted or ghosts:
            failures.append(f"{node} doubts {doubted}, which run, and believes in {ghosts}, which do not")
    return failures
