import itertools

from tests.hosts.deciding import QUEUE_NS_MAX, SECOND_NS, Decider, damage
from tests.hosts.shape import Shape, Weather

FRAMES = 2_000
MS_NS = 1_000_000


def decided(shape: Shape, *, seed: int = 1, apart_ns: int = MS_NS) -> tuple[Decider, list[tuple[int, ...]]]:
    """When the copies of frames of 100 bytes arrive, one frame each millisecond; counted from the sending of each."""
    decider = Decider(seed, Weather(everywhere=shape))
    dues = []
    for number in range(FRAMES):
        now_ns = number * apart_ns
        dues.append(tuple(due_ns - now_ns for due_ns in decider.decide(0, 1, 100, now_ns).dues))
    return decider, dues


def test_a_clear_link_passes_every_frame_at_once() -> None:
    decider, dues = decided(Shape())

    assert [(0,)] * FRAMES == dues
    assert {"seen": FRAMES, "delivered": FRAMES} == decider.counts


def test_the_share_that_is_lost_is_the_one_asked_for() -> None:
    decider, dues = decided(Shape(loss=0.2))

    assert 0.17 < dues.count(()) / FRAMES < 0.23
    assert decider.counts["lost"] == dues.count(())
    assert FRAMES == decider.counts["lost"] + decider.counts["delivered"]


def test_which_frames_are_lost_follows_from_the_seed() -> None:
    shape = Shape(loss=0.5)

    assert decided(shape, seed=7)[1] == decided(shape, seed=7)[1]
    assert decided(shape, seed=7)[1] != decided(shape, seed=8)[1]


def test_a_second_fault_does_not_change_which_frames_the_first_one_takes() -> None:
    alone = [not due for due in decided(Shape(loss=0.3))[1]]
    together = [not due for due in decided(Shape(loss=0.3, duplication=0.5, jitter_s=0.01, reordering=0.5))[1]]

    assert alone == together


def test_a_cut_takes_one_direction_only() -> None:
    decider = Decider(1, Weather().cutting(frozenset({(0, 1)})))

    assert () == decider.decide(0, 1, 100, 0).dues
    assert (0,) == decider.decide(1, 0, 100, 0).dues
    assert (1, 1) == (decider.counts["cut"], decider.counts["delivered"])


def test_doubled_frames_arrive_twice() -> None:
    decider, dues = decided(Shape(duplication=0.5))

    assert {1, 2} == {len(due) for due in dues}
    assert decider.counts["duplicated"] == sum(1 for due in dues if len(due) == 2)
    assert decider.counts["delivered"] == sum(map(len, dues))


def test_delay_and_jitter_keep_the_order() -> None:
    decider, dues = decided(Shape(delay_s=0.04, jitter_s=0.02, tail=0.01, tail_s=0.2))
    arrivals = [number * MS_NS + due[0] for number, due in enumerate(dues)]

    assert sorted(arrivals) == arrivals
    assert 40 * MS_NS <= min(due[0] for due in dues)
    assert 200 * MS_NS < max(due[0] for due in dues) <= 260 * MS_NS
    assert FRAMES == decider.counts["delayed"]


def test_frames_that_are_held_back_are_overtaken() -> None:
    decider, dues = decided(Shape(reordering=0.1, hold_s=0.01))
    arrivals = [number * MS_NS + due[0] for number, due in enumerate(dues)]
    overtaken = sum(1 for one, next_one in itertools.pairwise(arrivals) if one > next_one)

    assert 0.07 < decider.counts["reordered"] / FRAMES < 0.13
    assert 0 < overtaken <= decider.counts["reordered"]


def test_a_rate_spreads_a_burst_and_drops_what_would_wait_too_long() -> None:
    decider, dues = decided(Shape(rate_bytes_s=10_000), apart_ns=0)
    passed = [due[0] for due in dues if due]

    assert [SECOND_NS * 100 // 10_000 * (number + 1) for number in range(len(passed))] == passed
    assert QUEUE_NS_MAX < max(passed) <= QUEUE_NS_MAX + SECOND_NS // 50
    assert FRAMES == len(passed) + decider.counts["overflowed"]


def test_a_damaged_frame_differs_in_one_bit() -> None:
    frame = bytes(range(100))
    decider = Decider(1, Weather(everywhere=Shape(corruption=1.0)))
    verdict = decider.decide(0, 1, len(frame), 0)

    assert verdict.flipped is not None
    changed = damage(frame, verdict.flipped)
    assert 1 == sum((one ^ other).bit_count() for one, other in zip(frame, changed, strict=True))
    assert 1 == decider.counts["corrupted"]
