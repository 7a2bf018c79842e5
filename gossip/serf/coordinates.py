"""Network coordinates: where each member stands in a space in which distance is round-trip time.

Every answer to a direct ping brings the answerer's coordinate, and its round trip moves ours a little, as a spring
would whose rest length is the round trip. So places come to fit all that was measured. Eight dimensions stand for the
core of the network, a height for the access link that all paths of a node share, and an adjustment for what fits
neither.

Source: Dabek, Cox, Kaashoek, Morris, "Vivaldi" (SIGCOMM 2004); height, adjustment and gravity as Serf has them.
"""

import math
from collections import deque
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from gossip.codec import pack, unpack_map
from gossip.errors import DecodeError, RejectReason
from gossip.identity import NodeName

DIMENSIONS: Final = 8
ERROR_MAX: Final = 1.5
"""Also the error at the start: more would mean nothing."""
HEIGHT_MIN_S: Final = 10e-6
RTT_MAX_S: Final = 10.0
"""Longer round trips are ignored, since no probe waits for so long; so no honest place is farther off than that either,
and a forged one can't throw us farther."""

_ERROR_WEIGHT: Final = 0.25
_FORCE_WEIGHT: Final = 0.25
_ADJUSTMENT_SAMPLES: Final = 20
_LATENCY_SAMPLES: Final = 3
_GRAVITY_RHO_S: Final = 150.0
_ZERO: Final = 1e-6
_FORM: Final = b"\x01"


@dataclass(frozen=True, slots=True)
class Coordinate:
    """A place, in seconds. `error` is from 0, sure, to 1.5, unknown."""

    vector: tuple[float, ...] = (0.0,) * DIMENSIONS
    error: float = ERROR_MAX
    adjustment_s: float = 0.0
    height_s: float = HEIGHT_MIN_S

    def distance_s(self, other: "Coordinate") -> float:
        """The estimated round-trip time between two places."""
        raw = self.raw_distance_s(other)
        adjusted = raw + self.adjustment_s + other.adjustment_s
        return adjusted if adjusted > 0 else raw

    def raw_distance_s(self, other: "Coordinate") -> float:
        """The same without the adjustments."""
        return math.dist(self.vector, other.vector) + self.height_s + other.height_s

    @property
    def is_valid(self) -> bool:
        """Whether all its numbers are numbers, and in their ranges."""
        extent_s = math.hypot(*self.vector) + abs(self.adjustment_s) + abs(self.height_s)
        return extent_s <= RTT_MAX_S and 0 <= self.error <= ERROR_MAX  # no comparison holds for a NaN


def encode(coordinate: Coordinate) -> bytes:
    """The payload of an ack."""
    body = {
        "Adjustment": coordinate.adjustment_s,
        "Error": coordinate.error,
        "Height": coordinate.height_s,
        "Vec": list(coordinate.vector),
    }
    return _FORM + pack(body)


def decode(payload: bytes) -> Coordinate:
    """Reads the payload of an ack.

    Raises:
        DecodeError: it holds no coordinate of eight dimensions, or numbers that are none.
    """
    if payload[:1] != _FORM:
        raise DecodeError(RejectReason.NOT_SUPPORTED, f"expected a coordinate in an ack, got {payload!r:.32}")
    body = unpack_map(memoryview(payload)[1:])
    vector = body.get(b"Vec")
    if not isinstance(vector, list) or len(vector) != DIMENSIONS:
        raise DecodeError(RejectReason.MALFORMED, f"expected {DIMENSIONS} dimensions, got {vector!r:.64}")
    numbers = [_number(value) for value in (body.get(b"Error"), body.get(b"Adjustment"), body.get(b"Height"), *vector)]
    coordinate = Coordinate(tuple(numbers[3:]), *numbers[:3])
    if not coordinate.is_valid:
        raise DecodeError(RejectReason.MALFORMED, f"no coordinate: {coordinate!r:.128}")
    return coordinate


def _number(value: Any) -> float:
    if not isinstance(value, float):
        raise DecodeError(RejectReason.MALFORMED, f"expected a float in a coordinate, got {value!r:.64}")
    return value


class Vivaldi:
    """This node's place, and those of the members that answered it.

    Args:
        rng: directions between nodes at one place come from it.
        members_max: places kept; the one that was heard of longest ago makes room.
    """

    def __init__(self, rng: Random, *, members_max: int) -> None:
        self._rng = rng
        self._members_max = members_max
        self._others: dict[NodeName, Coordinate] = {}
        self._rtts: dict[NodeName, deque[float]] = {}
        self._adjustments: deque[float] = deque(maxlen=_ADJUSTMENT_SAMPLES)
        self.own = Coordinate()

    def get(self, name: NodeName) -> Coordinate | None:
        """The place that a member told last."""
        return self._others.get(name)

    def forget(self, name: NodeName) -> None:
        """A member is gone."""
        self._others.pop(name, None)
        self._rtts.pop(name, None)

    def on_ack(self, name: NodeName, payload: bytes, *, rtt_ns: int) -> None:
        """A member answered a direct ping.

        Raises:
            DecodeError: with something else than a coordinate; nothing was changed.
        """
        other = decode(payload)
        rtt_s = rtt_ns / 1e9
        if rtt_s > RTT_MAX_S:
            return
        if name not in self._others and len(self._others) >= self._members_max:
            self.forget(next(iter(self._others)))
        self._others[name] = other
        recent = self._rtts.setdefault(name, deque(maxlen=_LATENCY_SAMPLES))
        recent.append(rtt_s)
        median_s = max(_ZERO, sorted(recent)[len(recent) // 2])
        moved = self._gravitate(self._adjust(self._move(other, median_s), other, median_s))
        self.own = moved if moved.is_valid else Coordinate()

    def _move(self, other: Coordinate, rtt_s: float) -> Coordinate:
        """Pulled to `other` if the distance is too long, pushed off if it is too short; the less sure one gives way."""
        own = self.own
        distance_s = own.distance_s(other)
        wrong = abs(distance_s - rtt_s) / rtt_s
        weight = own.error / max(own.error + other.error, _ZERO)
        error = min(ERROR_MAX, _ERROR_WEIGHT * weight * wrong + own.error * (1 - _ERROR_WEIGHT * weight))
        force_s = _FORCE_WEIGHT * weight * (rtt_s - distance_s)
        vector, height_s = self._pushed(own, force_s, other)
        return Coordinate(vector, error, own.adjustment_s, height_s)

    def _pushed(self, own: Coordinate, force_s: float, other: Coordinate) -> tuple[tuple[float, ...], float]:
        span_s = math.dist(own.vector, other.vector)
        if span_s > _ZERO:
            unit = [(a - b) / span_s for a, b in zip(own.vector, other.vector, strict=True)]
            height_s = max(HEIGHT_MIN_S, (own.height_s + other.height_s) * force_s / span_s + own.height_s)
        else:  # at one place any direction leads apart
            draw = [self._rng.gauss(0.0, 1.0) for _ in range(DIMENSIONS)]
            size = math.hypot(*draw)
            unit = [part / size for part in draw]
            height_s = own.height_s
        return tuple(a + force_s * part for a, part in zip(own.vector, unit, strict=True)), height_s

    def _adjust(self, own: Coordinate, other: Coordinate, rtt_s: float) -> Coordinate:
        self._adjustments.append(rtt_s - own.raw_distance_s(other))
        adjustment_s = sum(self._adjustments) / (2 * _ADJUSTMENT_SAMPLES)
        return Coordinate(own.vector, own.error, adjustment_s, own.height_s)

    def _gravitate(self, own: Coordinate) -> Coordinate:
        """A weak pull to the origin, or the whole cluster would drift."""
        origin = Coordinate()
        force_s = -((own.distance_s(origin) / _GRAVITY_RHO_S) ** 2)
        vector, height_s = self._pushed(own, force_s, origin)
        return Coordinate(vector, own.error, own.adjustment_s, height_s)
