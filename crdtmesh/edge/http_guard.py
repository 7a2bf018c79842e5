"""Keeps web pages from speaking to a node through its user's browser.

A page may send requests to loopback; the browser says whose page it is in `Origin`. A page may also let its own name
lead to loopback (DNS rebinding), and then its origin and the request agree; but `Host` carries that name. So: an origin
must be the server's own, and on loopback the host must be an address or `localhost`. A Unix socket is out of reach.
"""

from __future__ import annotations

import functools
import ipaddress
from typing import Final
from urllib.parse import urlsplit

from aiohttp.web_request import BaseRequest

from crdtmesh.edge.access import Access
from crdtmesh.identity.names import name_in

# Clients of a node use a few names for it. Reading an address costs a tenth of a request; a header has 8 KiB at most.
REMEMBERED_MAX: Final = 64


class Forbidden(Exception):
    """The request may be a web page's; nothing was done."""


def check_origin(request: BaseRequest) -> None:
    """Lets a request pass that no foreign page can have sent.

    Raises:
        Forbidden: with what was expected.
    """
    host = request.headers.get("Host", "")
    origin = request.headers.get("Origin")
    if origin is not None and not _is_same(origin, host):
        raise Forbidden(f"origin {origin[:64]!r} is not this server; web pages of other sites may not call it")
    if _is_loopback(request) and not _is_own_name(host):
        raise Forbidden(f"Host: an IP address or localhost expected on loopback, got {host[:64]!r}")


def enter(access: Access, method: str, request: BaseRequest) -> None:
    """Finds out who makes a request, and whether that one may.

    Raises:
        crdtmesh.edge.access.Forbidden: nothing may be done.
    """
    transport = request.transport
    certificate = None if transport is None else transport.get_extra_info("peercert")
    name = name_in(certificate)
    peer = _address(request, "peername")
    access.enter(
        method,
        is_local=peer is None,
        authorization=request.headers.get("Authorization", ""),
        uris=() if name is None else (name.uri,),
        host=peer or "",
    )


def _is_same(origin: str, host: str) -> bool:
    try:
        return urlsplit(origin).netloc.lower() == host.lower() != ""
    except ValueError:
        return False


def is_remote(request: BaseRequest) -> bool:
    """Whether the request came from another machine; on a Unix socket none does."""
    name = _address(request, "peername")
    return name is not None and not _is_loopback_address(name)


def _is_loopback(request: BaseRequest) -> bool:
    """Whether the connection came in on a loopback address; a Unix socket has none."""
    name = _address(request, "sockname")
    return name is not None and _is_loopback_address(name)


def _address(request: BaseRequest, which: str) -> str | None:
    transport = request.transport
    name = None if transport is None else transport.get_extra_info(which)
    return name[0] if isinstance(name, tuple) else None


@functools.lru_cache(REMEMBERED_MAX)
def _is_loopback_address(text: str) -> bool:
    return ipaddress.ip_address(text.partition("%")[0]).is_loopback


@functools.lru_cache(REMEMBERED_MAX)
def _is_own_name(host: str) -> bool:
    """An address can't be rebound, and browsers let nobody else have `localhost`. None at all is HTTP/1.0."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() and not host.endswith("]") else host
    if name in ("", "localhost"):
        return True
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
