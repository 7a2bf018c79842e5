import asyncio
from collections.abc import Iterable

from crdtmesh.edge.pump import QUEUED_BYTES_MAX, Pump


class Stream:
    """A stream whose reader takes one message for each `release`."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self._permits = asyncio.Semaphore(0)

    def release(self, count: int = 1) -> None:
        for _ in range(count):
            self._permits.release()

    async def write(self, message: str) -> None:
        await self._permits.acquire()
        self.written.append(message)


def _joined(items: list[str]) -> Iterable[str]:
    yield "+".join(items)


async def _settle() -> None:
    """Lets every task that can run do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_gathers_during_a_write_is_the_next_message() -> None:
    stream = Stream()
    pump = Pump(stream.write, _joined)
    running = asyncio.create_task(pump.run())
    pump.put("a", 1)
    await _settle()
    for item in "bcd":
        pump.put(item, 1)
    await _settle()
    stream.release(2)
    await _settle()

    assert ["a", "b+c+d"] == stream.written
    running.cancel()


async def test_a_reader_that_is_too_slow_leaves_no_room_until_it_has_caught_up() -> None:
    stream = Stream()
    pump = Pump(stream.write, _joined)
    running = asyncio.create_task(pump.run())
    pump.put("first", 1)
    await _settle()
    pump.put("large", QUEUED_BYTES_MAX + 1)
    waiting = asyncio.create_task(pump.room())
    await _settle()
    assert not waiting.done()

    stream.release(2)
    await _settle()

    assert ["first", "large"] == stream.written
    assert waiting.done()
    running.cancel()


async def test_there_is_room_up_to_the_bound() -> None:
    pump = Pump(Stream().write, _joined)
    pump.put("as much as may be queued", QUEUED_BYTES_MAX)

    await asyncio.wait_for(pump.room(), 1)


async def test_the_end_comes_after_what_is_queued() -> None:
    stream = Stream()
    pump = Pump(stream.write, _joined)
    running = asyncio.create_task(pump.run())
    pump.put("last", 1)
    pump.end()
    await _settle()
    assert not running.done()

    stream.release()
    await asyncio.wait_for(running, 1)

    assert ["last"] == stream.written


async def test_an_idle_pump_ends_at_once() -> None:
    pump = Pump(Stream().write, _joined)
    running = asyncio.create_task(pump.run())
    await _settle()
    pump.end()

    await asyncio.wait_for(running, 1)
