"""Which entry a dot belongs to."""

from crdtmesh.replication.index import DotIndex


def runs(index: DotIndex, first: int = 1, last: int = 100, replica: int = 0) -> list[tuple[int, int, int]]:
    return list(index.runs(replica, first, last))


def test_neighbours_of_one_entry_are_one_run() -> None:
    index = DotIndex()
    for n in range(1, 6):
        index.add(0, n, n, 7)
    assert [(1, 5, 7)] == runs(index)
    assert 1 == len(index)


def test_each_change_of_entry_begins_a_run() -> None:
    index = DotIndex()
    for n, number in enumerate([7, 7, 8, 7], start=1):
        index.add(0, n, n, number)
    assert [(1, 2, 7), (3, 3, 8), (4, 4, 7)] == runs(index)


def test_result_is_cut_to_the_range() -> None:
    index = DotIndex()
    index.add(0, 1, 10, 7)
    index.add(0, 20, 30, 8)
    assert [(5, 10, 7), (20, 25, 8)] == runs(index, 5, 25)
    assert [] == runs(index, 11, 19)


def test_late_dots_fill_the_gap() -> None:
    index = DotIndex()
    index.add(0, 1, 2, 7)
    index.add(0, 9, 9, 8)
    index.add(0, 4, 5, 9)
    assert [(1, 2, 7), (4, 5, 9), (9, 9, 8)] == runs(index)


def test_dot_keeps_its_first_entry() -> None:
    index = DotIndex()
    index.add(0, 3, 4, 7)
    index.add(0, 8, 8, 7)
    index.add(0, 1, 10, 9)
    assert [(1, 2, 9), (3, 4, 7), (5, 7, 9), (8, 8, 7), (9, 10, 9)] == runs(index)
    index.add(0, 1, 10, 5)
    assert [(1, 2, 9), (3, 4, 7), (5, 7, 9), (8, 8, 7), (9, 10, 9)] == runs(index)


def test_replicas_are_apart() -> None:
    index = DotIndex()
    index.add(0, 1, 1, 7)
    index.add(1, 1, 1, 8)
    assert [(1, 1, 8)] == runs(index, replica=1)
    assert [] == runs(index, replica=2)
