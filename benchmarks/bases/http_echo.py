"""Base `bare aiohttp echo`: a POST whose body comes back.

Run as `python -m benchmarks.bases.http_echo serve`, or `client JOB`.
"""

from __future__ import annotations

import asyncio
import sys

import aiohttp
from aiohttp import web

from benchmarks.load import Job, announce, drive, payload, run_client, run_loop, verify
from benchmarks.measures import Sample

PATH = "/api/v1/system/{system}/actors/{actor}/invoke"


async def echo(request: web.Request) -> web.Response:
    """Sends the body back."""
    return web.Response(body=await request.read(), content_type="application/octet-stream")


async def server() -> None:
    """Serves until it is stopped."""
    application = web.Application()
    application.router.add_post(PATH, echo)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    announce(address=f"{host}:{port}")
    await asyncio.Event().wait()


async def client(job: Job) -> Sample:
    """One POST for every operation, on as many connections as there are operations in flight."""
    actors = [
        f"http://{job.address}" + PATH.format(system="bench", actor=f"counter-{number:04}")
        for number in range(job.actors)
    ]
    connector = aiohttp.TCPConnector(limit=job.concurrency)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def call(number: int) -> None:
            sent = payload(number)
            async with session.post(actors[number % job.actors], data=sent) as response:
                verify(sent, await response.read())

        return await drive(call, job)


if __name__ == "__main__":
    run_loop(server()) if sys.argv[1] == "serve" else run_client(client)
