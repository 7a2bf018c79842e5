"""Raw HTTP/1.1, as bytes: what a client sends and gets, and what a server got."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Response:
    """What came back.

    Attributes:
        status: the status code.
        headers: by lower-case name.
        body: all of it.
    """

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Request:
    """What a server got.

    Attributes:
        line: method, path and version.
        headers: by lower-case name.
        body: all of it.
        pieces: how many reads it took, from the first byte to the last.
        connection: number of the connection it came on.
    """

    line: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    pieces: int = 0
    connection: int = 0


async def send(address: str, request: bytes) -> Response:
    """Sends these bytes on a connection of their own; `address` is HOST:PORT or the path of a Unix socket."""
    async with asyncio.timeout(TIMEOUT_S):
        if address.startswith("/"):
            reader, writer = await asyncio.open_unix_connection(address)
        else:
            host, _, port = address.rpartition(":")
            reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        try:
            writer.write(request)
            await writer.drain()
            return await _read(reader)
        finally:
            writer.close()


def post(path: str, body: bytes, headers: dict[str, str], *, is_chunked: bool = False) -> bytes:
    """The bytes of a POST, its length or its chunks included."""
    if is_chunked:
        headers = {**headers, "Transfer-Encoding": "chunked"}
        middle = len(body) // 2
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:middle], body[middle:]) if part)
        body += b"0\r\n\r\n"
    else:
        headers = {**headers, "Content-Length": str(len(body))}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + body


def get(path: str, host: str = "127.0.0.1", method: str = "GET") -> bytes:
    """The bytes of a request without a body."""
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()


async def _read(reader: asyncio.StreamReader) -> Response:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    if "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    else:
        body = await reader.read()
    return Response(int(head[0].split()[1]), headers, body)
