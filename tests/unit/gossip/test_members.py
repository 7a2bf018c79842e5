from random import Random

from gossip.identity import Endpoint, NodeName, address_of
from gossip.members import Member, MemberTable
from gossip.messages import MemberState


def member(name: str, *, state: MemberState = MemberState.ALIVE, port: int = 1, changed_ns: int = 0) -> Member:
    endpoint = Endpoint("10.0.0.1", port)
    return Member(
        name=NodeName(name),
        endpoint=endpoint,
        address=address_of(endpoint.host),
        incarnation=1,
        state=state,
        meta=b"",
        versions=b"",
        changed_ns=changed_ns,
    )


def table_of(*members: Member) -> MemberTable:
    table = MemberTable(Random(1))
    for entry in members:
        table.put(entry)
    return table


def test_a_pass_visits_every_member_once_and_the_next_pass_in_another_order() -> None:
    table = table_of(*(member(f"n{i}", port=i) for i in range(20)))

    passes = []
    for _ in range(2):
        names = []
        while (name := table.next_to_probe()) is not None:
            names.append(name)
        passes.append(names)
        table.reshuffle(forget_before_ns=0)

    assert sorted(passes[0]) == sorted(passes[1]) == sorted(f"n{i}" for i in range(20))
    assert passes[0] != passes[1]


def test_the_gone_are_forgotten_after_their_time_and_the_present_never() -> None:
    table = table_of(
        member("alive", port=1),
        member("dead long ago", state=MemberState.DEAD, port=2, changed_ns=10),
        member("left long ago", state=MemberState.LEFT, port=3, changed_ns=10),
        member("dead lately", state=MemberState.DEAD, port=4, changed_ns=11),
    )

    table.reshuffle(forget_before_ns=10)

    assert {"alive", "dead lately"} == {m.name for m in table}
    assert table.at(Endpoint("10.0.0.1", 2)) is None


def test_a_member_is_found_at_its_newest_endpoint_only() -> None:
    table = table_of(member("a", port=1), member("a", port=2))

    assert table.at(Endpoint("10.0.0.1", 1)) is None
    found = table.at(Endpoint("10.0.0.1", 2))
    assert found is not None
    assert "a" == found.name


def test_a_sample_holds_different_wanted_members() -> None:
    for size in (3, 50):
        table = table_of(*(member(f"n{i}", port=i) for i in range(size)))

        sample = table.sample(3, lambda m: m.name != "n0")

        assert len({m.name for m in sample}) == len(sample) <= 3
        assert "n0" not in {m.name for m in sample}


def test_a_small_table_yields_all_that_are_wanted() -> None:
    table = table_of(*(member(f"n{i}", port=i) for i in range(5)))

    assert 4 == len(table.sample(4, lambda m: m.name != "n0"))
