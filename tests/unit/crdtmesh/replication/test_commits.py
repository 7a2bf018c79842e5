"""The commit barrier on its own."""

from __future__ import annotations

from crdtmesh.persistence.base import LogRecord
from crdtmesh.replication.commits import CommitBarrier


def barrier_with(*tickets: str) -> CommitBarrier:
    """One closed group for each ticket."""
    barrier = CommitBarrier()
    for ticket in tickets:
        barrier.record(LogRecord(b""))
        assert barrier.wait(ticket)
        assert barrier.close_group() is not None
    return barrier


def released(barrier: CommitBarrier, seq: int) -> list[object]:
    return [ticket for group in barrier.persisted(seq) for ticket in group.tickets]


def test_nothing_waits_when_nothing_is_pending() -> None:
    barrier = CommitBarrier()
    assert barrier.is_clear
    assert not barrier.wait("ticket")
    assert not barrier.hold("peer", b"message")
    assert barrier.close_group() is None


def test_groups_are_numbered_from_one_without_gaps() -> None:
    barrier = CommitBarrier()
    seqs = []
    for _ in range(3):
        barrier.record(LogRecord(b""))
        group = barrier.close_group()
        assert group is not None
        seqs.append(group.seq)
    assert [1, 2, 3] == seqs


def test_later_number_covers_the_earlier_groups() -> None:
    assert ["a", "b"] == released(barrier_with("a", "b", "c"), 2)


def test_number_that_comes_again_or_too_early_releases_nothing() -> None:
    barrier = barrier_with("a", "b")
    assert ["a"] == released(barrier, 1)
    assert [] == released(barrier, 1)
    assert not barrier.is_clear
    assert ["b"] == released(barrier, 2)
    assert barrier.is_clear


def test_newcomer_waits_for_the_last_pending_group() -> None:
    barrier = barrier_with("a", "b")
    assert barrier.wait("read")
    assert ["a"] == released(barrier, 1)
    assert ["b", "read"] == released(barrier, 2)


def test_announced_record_is_waited_for_before_it_is_there() -> None:
    barrier = CommitBarrier()
    barrier.expect()
    assert barrier.wait("update")
    barrier.record(LogRecord(b"late"))
    assert barrier.close_group() is not None
    assert ["update"] == released(barrier, 1)


def test_abandoned_groups_give_back_their_tickets() -> None:
    barrier = barrier_with("a")
    barrier.record(LogRecord(b""))
    barrier.wait("open")
    assert ["a", "open"] == [ticket for group in barrier.abandon() for ticket in group.tickets]
    assert barrier.is_clear


def test_newcomer_waits_for_a_record_that_is_only_expected_when_an_earlier_group_is_done() -> None:
    barrier = barrier_with("a", "b")
    barrier.expect()
    assert ["a"] == released(barrier, 1)
    assert barrier.wait("update")
    barrier.record(LogRecord(b""))
    assert barrier.close_group() is not None
    assert ["b"] == released(barrier, 2)
    assert ["update"] == released(barrier, 3)
