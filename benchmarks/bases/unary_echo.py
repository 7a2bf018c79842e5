"""Base `bare unary echo`: one hop, one `grpc.aio` unary call each, and a server that sends the message back.

Run as `python -m benchmarks.bases.unary_echo serve`, or `client JOB`.
"""

from __future__ import annotations

import sys
from typing import Any

import grpc

from benchmarks.bases.protocol import Call, EchoStub, serve
from benchmarks.load import Job, announce, drive, payload, run_client, run_loop, verify
from benchmarks.measures import Sample


class Echo:
    """The service; the streams of the protocol are not part of this base."""

    Calls = Host = None

    async def Unary(self, request: Any, context: Any) -> Any:  # noqa: N802 -- the method's name in echo.proto
        """Sends the message back."""
        del context
        return request


async def server() -> None:
    """Serves until it is stopped."""
    running, address = await serve(Echo())
    announce(address=address)
    await running.wait_for_termination()


async def client(job: Job) -> Sample:
    """One unary call for every operation, all on one channel."""
    actors = [f"counter-{number:04}" for number in range(job.actors)]
    async with grpc.aio.insecure_channel(job.address) as channel:
        unary = EchoStub(channel).Unary

        async def call(number: int) -> None:
            sent = payload(number)
            request = Call(actor=actors[number % job.actors], action="increment", payload=sent, id=number)
            verify(sent, (await unary(request)).payload)

        return await drive(call, job)


if __name__ == "__main__":
    run_loop(server()) if sys.argv[1] == "serve" else run_client(client)
