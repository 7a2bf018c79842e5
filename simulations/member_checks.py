"""The promises of the membership, as pure functions of what nodes concluded and of which processes ran.

Loss, delay and pauses make nodes doubt members that are well, and may have them declared dead: that is allowed, and
counted. What is not allowed is to conclude from nothing.
"""

from collections.abc import Callable
from typing import Final

from gossip.outputs import MemberChange
from simulations.history import History

MemberChecker = Callable[[History], list[str]]

# A machine's clock may run fast or slow by a twentieth, and a round is as long as that clock says.
_CLOCK_SLACK: Final = 8


def death_follows_doubt(history: History) -> list[str]:
    """Who is declared dead under an incarnation was suspected under it: a refutation ends a suspicion for good."""
    suspected: set[tuple[str, int]] = set()
    failures = []
    for note in history.conclusions:
        who = note.member, note.incarnation
        if note.change is MemberChange.SUSPECTED:
            suspected.add(who)
        elif note.change is MemberChange.DIED and who not in suspected:
            failures.append(
                f"{note.node} took {note.member} for dead at incarnation {note.incarnation}, which nobody doubted"
            )
    return failures


def life_is_newer(history: History) -> list[str]:
    """Only a higher incarnation, which only the member itself can make, ends a doubt or a death."""
    return [
        f"{note.node} took {note.member} for alive at incarnation {note.incarnation}, after {note.before}"
        for note in history.conclusions
        if note.change in (MemberChange.REFUTED, MemberChange.JOINED)
        and note.before is not None
        and note.incarnation <= note.before
    ]


def answers_come_from_the_living(history: History) -> list[str]:
    """A probe is not answered by a process that did not run at any time of its round."""
    return [
        f"{answer.node} had an answer of {answer.member} at {answer.ended_ns / 1e9:.2f} s, which was down"
        for answer in history.answers
        if not _ran_between(history, answer.member, answer.ended_ns - answer.took_ns, answer.ended_ns)
    ]


MEMBER_CHECKERS: Final[tuple[MemberChecker, ...]] = (death_follows_doubt, life_is_newer, answers_come_from_the_living)
"""All of them."""


def check_members(history: History) -> list[str]:
    """The broken promises of a run, each with the name of its checker."""
    return [f"{checker.__name__}: {failure}" for checker in MEMBER_CHECKERS for failure in checker(history)]


def _ran_between(history: History, name: str, start_ns: int, end_ns: int) -> bool:
    start_ns -= (end_ns - start_ns) // _CLOCK_SLACK
    return any(first <= end_ns and (last is None or start_ns <= last) for first, last in history.runs.get(name, ()))
