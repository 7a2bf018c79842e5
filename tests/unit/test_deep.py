"""Deep runs of the laws go on where they stopped, share the work evenly and do not count what failed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.deep import __main__ as deep
from tests.deep.__main__ import Chunk, main, next_type


def test_type_with_the_fewest_examples_goes_next_until_each_has_enough() -> None:
    done = [Chunk("ORSet", 1, 2_000, 1.0), Chunk("Vote", 1, 1_500, 1.0), Chunk("GSet", 1, 1, 1.0)]
    assert "Vote" == next_type(["ORSet", "Vote"], done, 2_000)
    assert next_type(["ORSet"], done, 2_000) is None


def test_run_goes_on_where_it_was_broken_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, int]] = []

    def run(name: str, seed: int, examples: int) -> Chunk | None:
        ran.append((name, seed))
        return None if len(ran) == 2 else Chunk(name, seed, examples, 2.0)

    monkeypatch.setattr(deep, "run", run)
    arguments = ["--types", "ORSet", "--examples", "3", "--chunk", "1", "--progress", str(tmp_path / "done")]
    assert 1 == main(arguments)
    assert 0 == main(arguments)
    assert [("ORSet", 1), ("ORSet", 2), ("ORSet", 2), ("ORSet", 3)] == ran


def test_shares_of_three_machines_draw_by_different_seeds_and_make_up_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[int] = []

    def run(name: str, seed: int, examples: int) -> Chunk:
        seeds.append(seed)
        return Chunk(name, seed, examples, 2.0)

    monkeypatch.setattr(deep, "run", run)
    for part in ("1/3", "2/3", "3/3"):
        arguments = ["--types", "ORSet", "--examples", "6", "--chunk", "1", "--part", part]
        assert 0 == main([*arguments, "--progress", str(tmp_path / part[0])])
    assert [1, 4, 2, 5, 3, 6] == seeds


@pytest.mark.parametrize("part", ["0/3", "4/3", "3", "a/b", "/"])
def test_share_that_is_none_is_refused(part: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--part", part, "--progress", str(tmp_path / "done")])
    assert "a share such as 2/3" in capsys.readouterr().err


def test_chunk_runs_every_law_and_the_histories_of_its_type_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--types", "GSet", "--examples", "1", "--chunk", "1", "--progress", str(tmp_path / "done"), "--json"]
    assert 0 == main(arguments)
    (row,) = json.loads(capfd.readouterr().out)["types"]
    assert ("GSet", 1) == (row["type"], row["examples"])


def test_unknown_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="did you mean 'ORSet'"):
        main(["--types", "ORSets", "--progress", str(tmp_path / "done")])
