"""What is promised of actors with one activation, as pure functions of the book, the history and what nodes hold.

Each returns sentences, empty when the promise was kept.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from simulations.actors.book import Ask, Book, Kept, TurnRun
from simulations.actors.desk import asks_by_actor
from simulations.actors.office import DIARY, POOL
from simulations.history import History, Outcome

Finals = Mapping[str, Mapping[str, Kept]]
"""By node, what it holds of each actor."""

Checker = Callable[[Book, History, Finals], list[str]]

LOCAL: Final = frozenset({DIARY, POOL})
"""Actors whose writes are acknowledged by one disk."""


def active_once(book: Book, history: History, finals: Finals) -> list[str]:
    """An actor is active at two nodes only while these see different offers of it."""
    del history, finals
    return [
        f"{overlap.name} was active on {' and '.join(overlap.nodes)}, which had seen the same for a while"
        for overlap in book.overlaps
    ]


def nothing_lost(book: Book, history: History, finals: Finals) -> list[str]:
    """What was acknowledged is in the state or among what was put aside, on every node."""
    runs = book.runs_of()
    return [
        f"ask {ask.number} of {ask.actor.name} was acknowledged by {ask.node} and is nowhere on {node}"
        for ask in book.asks
        if not ask.later_ms and promised(ask, runs.get(ask.number, ()), history)
        for node, kept in finals.items()
        if not _holds(kept, ask)
    ]


def nothing_invented(book: Book, history: History, finals: Finals) -> list[str]:
    """What was refused as not applied is not in the state, and nothing is there twice."""
    del history
    failures = []
    refused = {ask.number for ask in book.asks if ask.outcome is Outcome.FAILED}
    for node, actors in finals.items():
        for name, kept in actors.items():
            wrong = sorted(refused.intersection((*kept.state, *kept.aside)))
            failures += [f"ask {number} of {name} failed and has its effect on {node}" for number in wrong]
            later = {ask.number for ask in book.asks if ask.later_ms}
            twice = [number for number, count in Counter(kept.state).items() if count > 1 and number not in later]
            failures += [f"ask {number} of {name} is in its state twice on {node}" for number in twice]
    return failures


def run_once(book: Book, history: History, finals: Finals) -> list[str]:
    """A handler that has run for a call is not run for it again, but for those that are kept for later."""
    del history, finals
    return [
        f"ask {number} of {runs[0].name} ran on {', '.join(run.node for run in runs)}"
        for number, runs in book.runs_of().items()
        if len(runs) > 1 and not book.asks[number].later_ms
    ]


def seen_by_the_next(book: Book, history: History, finals: Finals) -> list[str]:
    """A turn sees every turn of its own node, or from before its activation, that was acknowledged at a majority.

    What other activations do meanwhile, while views differ, it can't see. Nor what lost against a write that neither
    saw it nor was seen by it: that is a conflict, and puts it aside.
    """
    del finals
    last = {number: runs[-1] for number, runs in book.runs_of().items()}
    failures = []
    by_actor = asks_by_actor(book)
    for run in book.runs:
        if run.name in LOCAL:
            continue
        for ask in by_actor.get(run.name, ()):
            before = last.get(ask.number)
            is_due = ask.outcome is Outcome.OK and not ask.later_ms and ask.completed_ns < run.began_ns
            if not is_due or before is None or ask.number in run.seen or _is_excused(ask, run, history):
                continue
            if before.node != run.node and book.activated_ns(run) < ask.completed_ns:
                continue
            if not any(_beats(last.get(number), before) for number in run.seen):
                failures.append(
                    f"ask {ask.number} of {run.name} ran on {before.node} and was acknowledged; "
                    f"ask {run.ask} ran later on {run.node} and did not see it"
                )
    return failures


def later_but_not_never(book: Book, history: History, finals: Finals) -> list[str]:
    """A call for later that was acknowledged is made."""
    del finals
    unmade = book.unmade(history, wall_ms=book.patience_ms)
    return [f"ask {ask.number} of {ask.actor.name}, kept by {ask.node}, was never made" for ask in unmade]


CHECKERS: Final[tuple[Checker, ...]] = (
    active_once,
    nothing_lost,
    nothing_invented,
    run_once,
    seen_by_the_next,
    later_but_not_never,
)


def check_actors(book: Book, history: History, finals: Finals) -> list[str]:
    """All of them, at most a few sentences of each."""
    return [f"{checker.__name__}: {text}" for checker in CHECKERS for text in checker(book, history, finals)[:5]]


def check_in_peace(book: Book) -> list[str]:
    """What must not happen where nothing goes wrong."""
    runs = book.runs_of()
    return [
        *(
            f"ask {ask.number} was kept for later and made {len(runs.get(ask.number, ()))} times"
            for ask in book.asks
            if ask.later_ms and ask.outcome is Outcome.OK and len(runs.get(ask.number, ())) != 1
        ),
        *(
            f"ask {run.ask} was made {book.asks[run.ask].due_ms - run.wall_ms} ms before its time"
            for run in book.runs
            if run.wall_ms < book.asks[run.ask].due_ms
        ),
    ]


def promised(ask: Ask, runs: tuple[TurnRun, ...] | list[TurnRun], history: History) -> bool:
    """Whether the mesh owes it: the same rule as `History.promised`."""
    if ask.outcome is not Outcome.OK or not runs:
        return False
    needed = 1 if ask.actor.name in LOCAL else ask.needed
    lost = {node for node, lost_ns in history.wipes if ask.invoked_ns <= lost_ns}
    return runs[-1].node not in lost or len(lost) < needed


def _is_excused(ask: Ask, run: TurnRun, history: History) -> bool:
    """A majority that has lost a disk since may not meet the next one."""
    return any(ask.invoked_ns <= lost_ns <= run.began_ns for _, lost_ns in history.wipes)


def _beats(other: TurnRun | None, run: TurnRun) -> bool:
    """Whether two turns were concurrent, so that one of them had to lose."""
    return other is not None and other.ask not in run.seen and run.ask not in other.seen


def _holds(kept: Mapping[str, Kept], ask: Ask) -> bool:
    found = kept.get(ask.actor.name)
    return found is not None and (ask.number in found.state or ask.number in found.aside)
