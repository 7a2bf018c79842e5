import asyncio

import pytest

from crdtmesh.edge.tasks import companion


async def _forever() -> None:
    await asyncio.Event().wait()


async def _fails() -> None:
    raise OSError("the write failed")


async def test_work_ends_with_its_block() -> None:
    async with companion(_forever()) as task:
        await asyncio.sleep(0)

    assert task.cancelled()


async def test_work_that_fails_ends_the_block_with_its_error() -> None:
    with pytest.raises(OSError, match="the write failed"):
        async with companion(_fails()):
            await _forever()

    # The block's own task is not left half cancelled.
    await asyncio.sleep(0)


async def test_an_error_of_the_block_is_not_hidden_and_work_ends() -> None:
    with pytest.raises(ValueError, match="mine"):
        async with companion(_forever()) as task:
            raise ValueError("mine")

    assert task.cancelled()


async def test_a_cancelled_block_stays_cancelled() -> None:
    started = asyncio.Event()

    async def block() -> None:
        async with companion(_forever()):
            started.set()
            await _forever()

    running = asyncio.create_task(block())
    await started.wait()
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running


async def test_work_that_is_done_first_lets_the_block_go_on() -> None:
    async with companion(asyncio.sleep(0)) as task:
        await task
        went_on = True

    assert went_on
