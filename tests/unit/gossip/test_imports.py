import subprocess
import sys

import pytest

import gossip

_HEAVY = ["asyncio", "socket", "ssl", "logging", "threading", "zeroconf", "cryptography", "crdtmesh"]


def modules_after(statement: str) -> set[str]:
    """What a fresh interpreter has loaded after a statement."""
    script = f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


@pytest.mark.parametrize("statement", ["import gossip.swim", "import gossip; gossip.Swim", "import gossip.codec"])
def test_the_machine_loads_no_loop_and_no_sockets(statement: str) -> None:
    loaded = modules_after(statement)

    assert "gossip" in loaded
    assert [] == [name for name in _HEAVY if name in loaded]


def test_importing_the_package_alone_loads_next_to_nothing() -> None:
    assert {"gossip"} == {name for name in modules_after("import gossip") if name.startswith("gossip")}


def test_every_public_name_can_be_had() -> None:
    assert sorted(gossip.__all__) == dir(gossip)
    assert all(getattr(gossip, name) is not None for name in gossip.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Agnet'"):
        _ = gossip.Agnet
