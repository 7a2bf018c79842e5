"""Each promise of the membership accepts what it should and refuses what it must: histories written by hand."""

from gossip.outputs import MemberChange
from simulations.history import Conclusion, History, ProbeAnswer
from simulations.member_checks import answers_come_from_the_living, check_members, death_follows_doubt, life_is_newer

JOINED, SUSPECTED, DIED, REFUTED = (
    MemberChange.JOINED,
    MemberChange.SUSPECTED,
    MemberChange.DIED,
    MemberChange.REFUTED,
)


def concluded(*steps: tuple[str, MemberChange, int, int | None]) -> History:
    """What nodes concluded about n9."""
    return History(conclusions=[Conclusion(node, "n9", *rest) for node, *rest in steps])  # type: ignore[arg-type]


def test_death_at_a_doubted_incarnation_is_believed_by_all() -> None:
    history = concluded(("n1", JOINED, 4, None), ("n1", SUSPECTED, 4, 4), ("n2", DIED, 4, 4), ("n1", DIED, 4, 4))
    assert [] == check_members(history)


def test_death_after_a_refutation_that_nobody_doubts_is_refused() -> None:
    history = concluded(("n1", SUSPECTED, 4, 4), ("n1", REFUTED, 5, 4), ("n1", DIED, 5, 5))
    assert ["n1 took n9 for dead at incarnation 5, which nobody doubted"] == death_follows_doubt(history)
    again = concluded(("n1", SUSPECTED, 4, 4), ("n1", REFUTED, 5, 4), ("n2", SUSPECTED, 5, 5), ("n1", DIED, 5, 5))
    assert [] == death_follows_doubt(again)


def test_life_needs_a_higher_incarnation_than_the_doubt() -> None:
    assert [] == life_is_newer(concluded(("n1", JOINED, 0, None), ("n1", REFUTED, 5, 4), ("n1", JOINED, 6, 5)))
    assert 1 == len(life_is_newer(concluded(("n1", REFUTED, 4, 4))))
    assert 1 == len(life_is_newer(concluded(("n1", JOINED, 4, 4))))


def test_probe_is_answered_by_who_ran_in_its_round() -> None:
    history = History(answers=[ProbeAnswer("n1", "n2", took_ns=50, ended_ns=150)])
    history.started("n2", 0)
    assert [] == answers_come_from_the_living(history)
    history.ended("n2", 110)
    assert [] == answers_come_from_the_living(history)
    history.started("n2", 160)
    assert [] == answers_come_from_the_living(history)


def test_answer_of_a_process_that_was_down_throughout_is_refused() -> None:
    history = History(answers=[ProbeAnswer("n1", "n2", took_ns=50, ended_ns=150)])
    history.started("n2", 0)
    history.ended("n2", 80)
    history.started("n2", 160)
    assert 1 == len(answers_come_from_the_living(history))


def test_clock_that_runs_fast_makes_a_round_no_longer_than_it_was() -> None:
    history = History(answers=[ProbeAnswer("n1", "n2", took_ns=80, ended_ns=180)])
    history.started("n2", 0)
    history.ended("n2", 95)
    assert [] == answers_come_from_the_living(history)
