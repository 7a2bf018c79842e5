import random

from crdtmesh.replication.options import ReplicationOptions
from crdtmesh.replication.replica import Replica
from crdtmesh.voters import Voters


def _replica() -> Replica:
    return Replica(ReplicationOptions(), node="a", replica_id=bytes(16), rng=random.Random(1), now_ns=0, wall_ms=1_000)


def test_a_node_that_is_alone_counts_from_the_first_entry() -> None:
    voters = Voters("a", _replica(), has_peers=lambda: False, wall_ms=lambda: 0)

    voters.changed("shops")

    assert ["a"] == voters.of("shops")


def test_a_node_with_peers_counts_when_it_has_caught_up() -> None:
    voters = Voters("a", _replica(), has_peers=lambda: True, wall_ms=lambda: 0)
    voters.changed("shops")

    assert [] == voters.of("shops")

    voters.caught_up("shops")

    assert ["a"] == voters.of("shops")


def test_a_node_that_leaves_counts_no_more() -> None:
    voters = Voters("a", _replica(), has_peers=lambda: False, wall_ms=lambda: 0)
    voters.changed("shops")

    voters.leave()

    assert [] == voters.of("shops")


def test_being_told_again_changes_nothing() -> None:
    replica = _replica()
    voters = Voters("a", replica, has_peers=lambda: False, wall_ms=lambda: 0)
    voters.changed("shops")
    events = replica.summary()[0].events

    voters.caught_up("shops")
    voters.changed("shops")

    assert events == replica.summary()[0].events


def test_a_node_that_is_gone_is_taken_off_all_lists() -> None:
    replica = _replica()
    for name in ("a", "b"):
        Voters(name, replica, has_peers=lambda: False, wall_ms=lambda: 0).changed("shops")
    voters = Voters("a", replica, has_peers=lambda: True, wall_ms=lambda: 0)

    assert ["shops"] == voters.remove("b")
    assert [] == voters.remove("b")
    assert ["a"] == voters.of("shops")
