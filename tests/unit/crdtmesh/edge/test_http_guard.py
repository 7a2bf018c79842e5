"""Requests that a web page of another site may have sent are told from all others."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from crdtmesh.edge.http_guard import Forbidden, check_origin, is_remote

LOOPBACK = ("127.0.0.1", 9001)


class Socket:
    """A transport that came in at an address."""

    def __init__(self, name: Any, peer: Any = None) -> None:
        self._names = {"sockname": name, "peername": peer}

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._names.get(name, default)

    def is_closing(self) -> bool:
        return False


def check(host: str | None, *, origin: str | None = None, at: Any = LOOPBACK) -> None:
    headers = {name: value for name, value in (("Host", host), ("Origin", origin)) if value is not None}
    check_origin(make_mocked_request("POST", "/api/v1/system", headers=headers, transport=Socket(at)))


@pytest.mark.parametrize("host", ["127.0.0.1:9001", "localhost:9001", "localhost", "0.0.0.0:9001", "[::1]:9001", None])
def test_what_sdks_call_the_node_is_let_in(host: str | None) -> None:
    check(host)


@pytest.mark.parametrize(
    "host", ["evil.example:9001", "evil.example", "127.0.0.1.evil.example", "localhost.evil:1", "[::1"]
)
def test_a_name_that_leads_to_loopback_is_kept_out(host: str) -> None:
    with pytest.raises(Forbidden, match="Host"):
        check(host)
    with pytest.raises(Forbidden, match="Host"):
        check(host, at=("::1", 9001, 0, 0))


@pytest.mark.parametrize("at", ["/run/http.sock", b"", ("10.0.0.7", 9001)])
def test_beyond_loopback_and_on_a_unix_socket_names_are_free(at: Any) -> None:
    check("mesh.example", at=at)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:8000", "http://[", ""])
@pytest.mark.parametrize("at", [LOOPBACK, ("10.0.0.7", 9001), "/run/http.sock"])
def test_a_foreign_page_is_kept_out_everywhere(origin: str, at: Any) -> None:
    with pytest.raises(Forbidden, match="origin"):
        check("127.0.0.1:9001", origin=origin, at=at)


def test_the_servers_own_page_is_let_in() -> None:
    check("127.0.0.1:9001", origin="http://127.0.0.1:9001")


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        (("127.0.0.1", 5), False),
        (("::1", 5, 0, 0), False),
        (("10.0.0.7", 5), True),
        (("fe80::1%eth0", 5, 0, 2), True),
        ("", False),
        (b"", False),
        (None, False),
    ],
)
def test_who_is_on_another_machine_is_told(peer: Any, expected: bool) -> None:
    request = make_mocked_request("POST", "/api/v1/system", transport=Socket(LOOPBACK, peer))

    assert expected is is_remote(request)
