from gossip.discovery.candidates import CANDIDATES_MAX, CONTACTS_PER_CALL_MAX, Candidates
from gossip.identity import Endpoint

SECOND = 1_000_000_000


def endpoint(number: int) -> Endpoint:
    return Endpoint(f"10.0.{number >> 8 & 255}.{number & 255}", 7946 + (number >> 16))


def due(candidates: Candidates, second: float, members: tuple[Endpoint, ...] = ()) -> list[Endpoint]:
    return candidates.take_due(now_ns=round(second * SECOND), is_member=members.__contains__)


def test_a_candidate_is_tried_at_once_and_then_ever_more_rarely() -> None:
    candidates = Candidates()
    candidates.offer(endpoint(1), now_ns=0)

    tried = [second for second in range(200) if due(candidates, second)]

    assert [0, 1, 3, 7, 15, 31, 63, 123, 183] == tried


def test_a_member_is_not_contacted_and_starts_afresh_when_it_is_gone() -> None:
    candidates = Candidates()
    candidates.offer(endpoint(1), now_ns=0)
    for second in range(20):
        due(candidates, second)

    assert [] == due(candidates, 30, members=(endpoint(1),))
    assert [endpoint(1)] == due(candidates, 31)


def test_a_flood_costs_bounded_memory_and_a_bounded_number_of_contacts() -> None:
    candidates = Candidates()
    candidates.offer(endpoint(0), now_ns=0)
    contacts = 0
    for number in range(1, 2_001):
        candidates.offer(endpoint(number), now_ns=number * SECOND // 200)
        if number % 200 == 0:
            contacts += len(due(candidates, number / 200))

    assert CANDIDATES_MAX == len(candidates)
    assert 10 * CONTACTS_PER_CALL_MAX >= contacts


def test_a_full_book_gives_room_only_for_what_failed_often() -> None:
    candidates = Candidates()
    for number in range(CANDIDATES_MAX):
        assert candidates.offer(endpoint(number), now_ns=0)
    assert not candidates.offer(endpoint(999), now_ns=0)

    for second in range(400):
        due(candidates, second)
    assert candidates.offer(endpoint(999), now_ns=0)
    assert CANDIDATES_MAX == len(candidates)


def test_offering_again_changes_nothing() -> None:
    candidates = Candidates()
    candidates.offer(endpoint(1), now_ns=0)
    due(candidates, 0)

    assert not candidates.offer(endpoint(1), now_ns=0)
    assert [] == due(candidates, 0.5)
