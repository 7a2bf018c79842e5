"""The switch between the hosts, a process of its own: makes a network namespace with a TAP device for each host, and
passes every frame on as the weather of the moment says.

It obeys lines of JSON on standard input and answers each with one on standard output; when its input ends it ends, and
with it the devices. `wire.Wire` is its other side.
"""

from __future__ import annotations

import heapq
import json
import os
import select
import sys
import time
from pathlib import Path
from typing import Any, Final

from tests.hosts.deciding import Decider, damage
from tests.hosts.kernel import bring_up, new_network, open_tap, set_address, set_hardware_address, silence_ipv6
from tests.hosts.pcap import Capture
from tests.hosts.shape import Weather

DEVICE: Final = "mesh0"
NETWORK: Final = "10.77.0"
FRAME_SIZE_BYTES_MAX: Final = 2_048

# Frames read from one host before the others get their turn.
BURST: Final = 32


def address_of(number: int) -> str:
    """The address of a host."""
    return f"{NETWORK}.{number + 1}"


class Switch:
    """All ports, and the frames that are on their way."""

    def __init__(self, hosts: int, seed: int) -> None:
        self._decider = Decider(seed)
        self._capture: Capture | None = None
        self._under_way: list[tuple[int, int, int, bytes]] = []
        self._sequence = 0
        self.namespaces: list[int] = []
        self._taps: list[int] = []
        for number in range(hosts):
            with new_network() as namespace:
                self.namespaces.append(namespace)
                self._taps.append(_plug_in(number))
        self._numbers = {tap: number for number, tap in enumerate(self._taps)}

    def run(self) -> None:
        """Until standard input ends."""
        orders = sys.stdin.fileno()
        pending = b""
        while True:
            self._deliver()
            readable, _, _ = select.select([orders, *self._taps], [], [], self._patience_s())
            for source in readable:
                if source != orders:
                    self._take(source)
                    continue
                data = os.read(orders, 1 << 16)
                if not data:
                    return
                *lines, pending = (pending + data).split(b"\n")
                for line in lines:
                    print(json.dumps(self._obey(json.loads(line))), flush=True)

    def _obey(self, order: dict[str, Any]) -> dict[str, Any]:
        if "weather" in order:
            self._decider.weather = Weather.from_json(order["weather"])
        if "capture" in order:
            frames = self._capture.frames if self._capture else 0
            if self._capture:
                self._capture.close()
            self._capture = Capture(Path(order["capture"])) if order["capture"] else None
            return {"frames": frames}
        return dict(self._decider.counts)

    def _take(self, tap: int) -> None:
        source = self._numbers[tap]
        for _ in range(BURST):
            try:
                frame = os.read(tap, FRAME_SIZE_BYTES_MAX)
            except BlockingIOError:
                return
            for target in self._targets(source, frame):
                self._send(source, target, frame)

    def _targets(self, source: int, frame: bytes) -> list[int]:
        """Of a frame for one host, that host; of a broadcast or multicast frame, all others."""
        if frame[0] & 1:
            return [number for number in range(len(self._taps)) if number != source]
        number = frame[5] - 1
        is_known = frame[:5] == _hardware_address(0)[:5] and 0 <= number < len(self._taps)
        return [number] if is_known and number != source else []

    def _send(self, source: int, target: int, frame: bytes) -> None:
        verdict = self._decider.decide(source, target, len(frame), time.monotonic_ns())
        if self._capture:
            words = ", ".join(verdict.words)
            self._capture.add(frame, f"{source} > {target}" + (f": {words}" if words else ""), time.time_ns())
        if verdict.flipped is not None:
            frame = damage(frame, verdict.flipped)
        for due_ns in verdict.dues:
            self._sequence += 1
            heapq.heappush(self._under_way, (due_ns, self._sequence, target, frame))

    def _deliver(self) -> None:
        now_ns = time.monotonic_ns()
        while self._under_way and self._under_way[0][0] <= now_ns:
            _, _, target, frame = heapq.heappop(self._under_way)
            try:
                os.write(self._taps[target], frame)
            except OSError:
                self._decider.counts["undeliverable"] += 1

    def _patience_s(self) -> float | None:
        if not self._under_way:
            return None
        return max(0.0, (self._under_way[0][0] - time.monotonic_ns()) / 1e9)


def _hardware_address(number: int) -> bytes:
    return bytes([0x02, 0, 0, 0, 0, number + 1])


def _plug_in(number: int) -> int:
    """A device in this, new, network namespace, with its address."""
    silence_ipv6()
    tap = open_tap(DEVICE)
    set_hardware_address(DEVICE, _hardware_address(number))
    set_address(DEVICE, address_of(number), "255.255.255.0")
    bring_up("lo")
    bring_up(DEVICE)
    return tap


def main() -> None:
    """Runs one switch: number of hosts and seed are the arguments."""
    hosts, seed = map(int, sys.argv[1:3])
    switch = Switch(hosts, seed)
    print(json.dumps({"namespaces": switch.namespaces}), flush=True)
    switch.run()


if __name__ == "__main__":
    main()
