from gossip.awareness import Awareness


def test_the_score_stays_within_its_bounds() -> None:
    awareness = Awareness(8)
    awareness.add(-1)
    assert 0 == awareness.score

    awareness.add(20)
    assert 7 == awareness.score


def test_intervals_are_stretched_by_the_score() -> None:
    awareness = Awareness(8)
    awareness.add(2)

    assert 300 == awareness.scale_ns(100)


def test_a_disabled_score_stays_at_zero() -> None:
    awareness = Awareness(8, is_enabled=False)
    awareness.add(5)

    assert 0 == awareness.score
