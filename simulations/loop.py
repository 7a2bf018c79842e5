"""An asyncio event loop in virtual time: one for each simulated process.

Production code that wants a loop (links, engine, actor hosts and their handlers) runs on it unchanged. All loops of a
run share one scheduler, so exactly one callback of the whole mesh runs at a time, and the order is the seed's.

A process that has nothing to do wakes a moment after something came in, and takes everything that came in meanwhile
with it: as a busy loop does, and as group commit needs. A stopped process runs nothing, and what comes in waits; a
killed one loses it. Only what production uses of the loop's interface is here; anything else raises.
"""

import asyncio
import contextlib
import contextvars
import math
import random
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any, Final, Protocol

from simulations.clocks import MachineClock
from simulations.scheduler import MILLISECOND_NS, SECOND_NS, Scheduler

# How long after an input a process that was idle takes it up.
WAKE_NS_MAX: Final = MILLISECOND_NS
# Ended tasks are forgotten when the list of tasks has grown to this.
TASKS_KEPT_MIN: Final = 64
# One that awaits something while it is closed has to be closed again; deeper nesting than this is nowhere.
CLOSES_MAX: Final = 16


class Wires(Protocol):
    """What connects the loops of one run."""

    async def connect(self, loop: "VirtualLoop", factory: Callable[[], asyncio.Protocol], host: str) -> Any:
        """Dials; see `asyncio.loop.create_connection`."""
        ...

    def listen(self, loop: "VirtualLoop", factory: Callable[[], asyncio.Protocol], host: str, port: int) -> Any:
        """Listens; see `asyncio.loop.create_server`."""
        ...


class VirtualLoop(asyncio.AbstractEventLoop):
    """One process.

    Args:
        name: of the process, for messages.
        scheduler: virtual time.
        clock: of the machine.
        rng: for the length of naps.
        failed: told of an exception that nobody caught; that fails the run.
        wires: for connections; None for a process without.

    Attributes:
        lag_ns: how much longer every turn of the loop takes: a slow machine.
    """

    def __init__(
        self,
        name: str,
        *,
        scheduler: Scheduler,
        clock: MachineClock,
        rng: random.Random,
        failed: Callable[[str], None],
        wires: Wires | None = None,
    ) -> None:
        self.name = name
        self.lag_ns = 0
        self._scheduler = scheduler
        self._clock = clock
        self._random = rng.random
        self._failed = failed
        self._wires = wires
        self._ready: deque[asyncio.Handle] = deque()
        self._tasks: list[asyncio.Task[Any]] = []
        self._tasks_max = TASKS_KEPT_MIN
        self._is_due = False
        self._is_gone = False
        self._stops = 0

    # --- life

    @property
    def is_gone(self) -> bool:
        """Whether the process was killed."""
        return self._is_gone

    @property
    def is_stopped(self) -> bool:
        """Whether the process does nothing at the moment."""
        return self._stops > 0

    def stop_for(self, duration_ns: int) -> None:
        """Does nothing for a while. Stops may overlap."""
        self._stops += 1
        self._scheduler.after(duration_ns, self._continue)

    def kill(self) -> None:
        """Ends at once. Coroutines are closed, so that nothing of them runs at some later time."""
        self._is_gone = True
        self._ready.clear()
        tasks, self._tasks = self._tasks, []
        running = events._get_running_loop()
        events._set_running_loop(self)
        try:
            for task in tasks:
                if not task.done():
                    _close(task)
        finally:
            events._set_running_loop(running)

    # --- asyncio's interface

    def time(self) -> float:
        """Monotonic seconds of the machine."""
        return self._clock.monotonic_ns() / SECOND_NS

    def call_soon(  # type: ignore[override]  # typeshed ties the arguments to the callback
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Runs a callback in the next turn."""
        handle = asyncio.Handle(callback, args, self, context)
        if not self._is_gone:
            self._ready.append(handle)
            if not self._is_due:
                self._is_due = True
                self._scheduler.after(int(self._random() * WAKE_NS_MAX) + self.lag_ns, self._turn)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]  # there is one thread

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Runs a callback after some seconds of the machine."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Runs a callback at an instant of `time`."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._schedule(timer)
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer still fires, and does nothing."""

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[Any]:
        """A task of this loop."""
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # a kill is no mistake
        self._tasks.append(task)
        if len(self._tasks) >= self._tasks_max:
            self._tasks = [task for task in self._tasks if not task.done()]
            self._tasks_max = max(TASKS_KEPT_MIN, 2 * len(self._tasks))
        return task

    async def create_connection(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], asyncio.Protocol],
        host: str,
        port: int,
    ) -> Any:
        """Dials another process; a machine has one port for links."""
        assert self._wires is not None
        return await self._wires.connect(self, protocol_factory, host)

    async def create_server(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], asyncio.Protocol],
        host: str,
        port: int,
    ) -> Any:
        """Listens."""
        assert self._wires is not None
        return self._wires.listen(self, protocol_factory, host, port)

    def get_debug(self) -> bool:
        """Never."""
        return False

    def is_running(self) -> bool:
        """Until it is killed."""
        return not self._is_gone

    def is_closed(self) -> bool:
        """Once it is killed."""
        return self._is_gone

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Something raised and nobody caught it: a bug in what runs here."""
        error = context.get("exception")
        self._failed(f"{self.name}: {context.get('message')}: {error!r:.300}")

    # --- inside

    def _schedule(self, timer: asyncio.TimerHandle) -> None:
        due_ns = self._clock.scheduled_ns(math.ceil(timer.when() * SECOND_NS))
        self._scheduler.at(due_ns, partial(self._fire, timer))

    def _fire(self, timer: asyncio.TimerHandle) -> None:
        if timer.cancelled() or self._is_gone:
            return
        if self._clock.monotonic_ns() < math.floor(timer.when() * SECOND_NS):
            self._schedule(timer)  # the clock has slowed down since
            return
        self._ready.append(timer)
        if not self._is_due:
            self._is_due = True
            self._scheduler.after(self.lag_ns, self._turn)

    def _turn(self) -> None:
        """Runs what is ready now; what becomes ready meanwhile is for the next turn."""
        if self._is_gone:
            return
        if self._stops:
            return  # still due: `_continue` sees to it
        ready = self._ready
        events._set_running_loop(self)
        try:
            for _ in range(len(ready)):
                handle = ready.popleft()
                if not handle.cancelled():
                    handle._run()
                if self._is_gone:
                    return
        finally:
            events._set_running_loop(None)
        self._is_due = bool(ready)
        if ready:
            self._scheduler.after(self.lag_ns, self._turn)

    def _continue(self) -> None:
        self._stops -= 1
        if not self._stops and self._is_due and not self._is_gone:
            self._scheduler.after(0, self._turn)


def _close(task: asyncio.Task[Any]) -> None:
    """Closes a coroutine to its end; what is left would go on whenever its memory is freed."""
    for _ in range(CLOSES_MAX):
        with contextlib.suppress(RuntimeError):
            task.get_coro().close()
            return
