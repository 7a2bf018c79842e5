"""Settings, identities, and the rule about addresses beyond loopback."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from crdtmesh import links
from crdtmesh.links.errors import bounded
from crdtmesh.links.options import Identity, LinkOptions
from crdtmesh.links.security import is_loopback


@pytest.mark.parametrize("bind", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1", "localhost"])
def test_loopback_is_what_only_this_machine_reaches(bind: str) -> None:
    assert is_loopback(bind)


@pytest.mark.parametrize(
    "bind", ["0.0.0.0", "::", "", "192.168.1.4", "::ffff:10.0.0.1", "localhost.example", "2130706433", "127.0.0.1\n"]
)
def test_every_other_address_is_beyond_loopback(bind: str) -> None:
    assert not is_loopback(bind)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"message_size_bytes_max": 10}, "message_size_bytes_max"),
        ({"window_size_bytes": 10}, "window_size_bytes"),
        ({"queue_size_bytes_max": 8 << 20}, "queue_size_bytes_max"),
        ({"idle_timeout_s": 4}, "keepalive_interval_s"),
        ({"handshake_timeout_s": 3}, "connect_timeout_s"),
        ({"backoff_max_s": 0.01}, "backoff_min_s"),
        ({"drain_timeout_s": 0}, "drain_timeout_s"),
    ],
)
def test_settings_that_contradict_are_refused_naming_them(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        LinkOptions(**options)


@pytest.mark.parametrize("changes", [{"node": ""}, {"node": "ä" * 65}, {"cluster": ""}, {"start_id": b""}])
def test_identity_beyond_its_limits_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Identity(**{"cluster": "c", "node": "n", "start_id": b"s", **changes})


def test_quoted_peer_text_is_bounded_and_escaped() -> None:
    for value in ("\n\x00\x1b" * 10_000, b"\xff" * 10_000, ["\n"] * 100, 10**60):
        assert len(bounded(value)) <= 64
        assert bounded(value).isprintable()


def test_every_exported_name_exists() -> None:
    for name in links.__all__:
        assert getattr(links, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = links.no_such_name


def test_core_of_the_links_imports_no_input_or_output() -> None:
    code = (
        "import sys, crdtmesh.links.session, crdtmesh.links.peering;"
        "print(*(m for m in ('asyncio','socket','ssl','threading','uuid','grpc','logging') if m in sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "" == found.stdout.strip()
