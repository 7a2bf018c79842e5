"""Base `drained raw UDP echo`: a non-blocking socket that is read until it is empty and sends back what came.

The same reading pattern as the gossip transport, and nothing around it: no decoding, no state, no reply of its own.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final

from benchmarks.load import announce, run_loop

DRAIN_MAX: Final = 64


async def main() -> None:
    """Serves until the process is ended."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.setblocking(False)
    bound.bind(("127.0.0.1", 0))

    def drain() -> None:
        for _ in range(DRAIN_MAX):
            try:
                data, source = bound.recvfrom(65_536)
            except (BlockingIOError, InterruptedError):
                return
            bound.sendto(data, source)

    asyncio.get_running_loop().add_reader(bound.fileno(), drain)
    announce(address=f"127.0.0.1:{bound.getsockname()[1]}")
    await asyncio.Event().wait()


if __name__ == "__main__":
    run_loop(main())
