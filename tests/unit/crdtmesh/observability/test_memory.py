from crdtmesh.observability.memory import MemoryWatch, default_bytes_max, resident_bytes


async def test_relief_is_asked_for_while_too_much_is_held_and_not_after() -> None:
    held = [150, 120, 90]
    asked: list[int] = []

    def relieve() -> int:
        asked.append(held.pop(0))
        return 1

    watch = MemoryWatch(100, relieve, used=lambda: held[0])
    for _ in range(3):
        watch.check()

    assert [150, 120] == asked
    assert 2 == watch.count


def test_what_this_process_holds_is_told_and_less_than_the_default_bound() -> None:
    assert 1 << 20 < resident_bytes() < default_bytes_max()
