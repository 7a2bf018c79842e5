"""The kept corpus of every parser, each time; the search for more is `make fuzz`."""

import pytest

from tests.fuzz.engine import CORPUS, fuzz, read_corpus
from tests.fuzz.targets import TARGETS, Target


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_no_input_of_the_corpus_comes_out_as_anything_but_a_declared_error(target: Target) -> None:
    corpus = read_corpus(target.name)
    assert corpus, "make fuzz writes it"

    for data in [*target.seeds(), *corpus]:
        target.run(data)


def test_every_corpus_has_its_parser() -> None:
    assert {target.name for target in TARGETS} == {path.stem for path in CORPUS.glob("*.hex")}


def test_the_fuzzer_finds_a_planted_fault() -> None:
    def fragile(data: bytes) -> None:
        if data[:1] == b"\x80":
            raise RuntimeError("planted")

    report, _ = fuzz(Target("planted", ("tests.",), lambda: [b"\0abc"], fragile), seconds=1.0, seed=1)

    assert report.finds
    assert all(bytes.fromhex(data)[:1] == b"\x80" for data in report.finds)
