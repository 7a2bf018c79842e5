"""Writes what a network carried as a file that Wireshark and tcpdump open: pcapng, with a comment on each frame.

The comment names the link, and what was done to the frame; a frame that was dropped is in the file too.
Source: draft-ietf-opsawg-pcapng, sections 4.1 to 4.3.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

# A cell of nine hosts carries a few megabytes; what is beyond this is a storm, and its beginning tells as much.
CAPTURE_SIZE_BYTES_MAX: Final = 64 << 20
SNAP_SIZE_BYTES: Final = 512

LINK_TYPE_ETHERNET: Final = 1
LINK_TYPE_RAW_IP: Final = 101

_SECTION: Final = 0x0A0D0D0A
_INTERFACE: Final = 1
_PACKET: Final = 6
_OPTION_COMMENT: Final = 1
_OPTION_RESOLUTION: Final = 9
_NANOSECONDS: Final = b"\x09"


class Capture:
    """One file, open for writing; buffered, so it is whole once it is closed."""

    def __init__(self, path: Path, *, link_type: int = LINK_TYPE_ETHERNET) -> None:
        self._file = path.open("wb")
        self._size_bytes = 0
        self.frames = 0
        self._write(_SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
        header = struct.pack("<HHI", link_type, 0, SNAP_SIZE_BYTES)
        self._write(_INTERFACE, header + _options([(_OPTION_RESOLUTION, _NANOSECONDS)]))

    def add(self, frame: bytes, comment: str, wall_ns: int) -> None:
        """One frame, unless the file is as large as it may get.

        Args:
            frame: as it was sent.
            comment: what became of it.
            wall_ns: when, in ns since 1970.
        """
        if self._size_bytes >= CAPTURE_SIZE_BYTES_MAX:
            return
        self.frames += 1
        kept = frame[:SNAP_SIZE_BYTES]
        header = struct.pack("<IIIII", 0, wall_ns >> 32, wall_ns & 0xFFFFFFFF, len(kept), len(frame))
        self._write(_PACKET, header + _padded(kept) + _options([(_OPTION_COMMENT, comment.encode())]))

    def close(self) -> None:
        """Writes what is left."""
        self._file.close()

    def _write(self, kind: int, body: bytes) -> None:
        size_bytes = len(body) + 12
        self._file.write(struct.pack("<II", kind, size_bytes) + body + struct.pack("<I", size_bytes))
        self._size_bytes += size_bytes


def _options(options: list[tuple[int, bytes]]) -> bytes:
    parts = [struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options]
    return b"".join([*parts, bytes(4)])


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
