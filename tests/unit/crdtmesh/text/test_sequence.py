"""Updates of the text library in any order."""

import random

import pytest

pytest.importorskip("pycrdt")

from crdtmesh.text.sequence import Sequence

# Of a simulated run (seed 34): four writers, one of whom builds on an update that was lost with a disk. Applied once
# each, they read as one of eleven different texts, depending on their order: the library forgets some that wait.
UPDATES = (
    "0101ec84eda984c3e8080004010474657874085b302e333730355d00",
    "0101ec84eda984c3e8080844a5e3f5da8ddbd20d00085b312e333837335d00",
    "0101ec84eda984c3e8081044ec84eda984c3e80808085b312e333837345d00",
    "0101a7b482be908dec060044a5e3f5da8ddbd20d00085b302e333835335d00",
    "0101a7b482be908dec060844a7b482be908dec0600085b312e333838375d00",
    "0101a7b482be908dec061044a7b482be908dec0608085b312e333930325d00",
    "0101bda58b83d28482010044a5e3f5da8ddbd20d00085b302e333830395d00",
    "0101ec84eda984c3e8081844ec84eda984c3e80810085b312e333936315d00",
    "0101bda58b83d28482010044ec84eda984c3e80800085b312e333936385d00",
    "0101bda58b83d28482010844bda58b83d284820100085b302e333937305d00",
    "0101ec84eda984c3e8080844ec84eda984c3e80800085b302e343038375d00",
)


def test_text_does_not_depend_on_the_order_of_updates_that_wait_for_others() -> None:
    rng = random.Random(1)
    updates = [bytes.fromhex(update) for update in UPDATES]
    read = set()
    for _ in range(100):
        rng.shuffle(updates)
        sequence = Sequence(1)
        for update in updates:
            sequence.apply(update)
            if rng.random() < 0.3:
                str(sequence)
        read.add(str(sequence))
    assert {"[0.3970][1.3968][1.3961][1.3874][0.4087][0.3705]"} == read
