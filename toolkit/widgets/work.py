"""Run work at once if it is short, beside the kernel if it is long; only the last piece asked for is ever shown."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")
V = TypeVar("V")
Step = Callable[[str], None]


class CancelledError(Exception):
    """The work was cancelled, or other work was asked for since."""


class Worker(Generic[T]):
    """Runs one piece of work after the other.

    Parameters
    ----------
    done, failed
        Called with what came out, unless other work was asked for since.
    progress
        Called with each step of long work.
    """

    def __init__(
        self,
        done: Callable[[T], None],
        failed: Callable[[Exception], None],
        progress: Callable[[str], None],
    ) -> None:
        self._done = done
        self._failed = failed
        self._progress = progress
        self._asked = 0
        self._running = -1
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="explorer")
        self._lock = threading.Lock()

    @property
    def busy(self) -> bool:
        """Whether long work runs that was not dropped."""
        return self._running == self._asked

    def cancel(self) -> None:
        """Drop the work that runs: it ends at its next step, and what comes out is not shown."""
        self._asked += 1

    def close(self) -> None:
        """Drop what runs, and take no more."""
        self.cancel()
        self._threads.shutdown(wait=False)

    def at_once(self, work: Callable[[], V]) -> V:
        """Do something now that must not run beside other work; what runs is waited for."""
        with self._lock:
            return work()

    def run(self, work: Callable[[Step], T], *, long: bool) -> None:
        """Run work; what ran before is dropped.

        Parameters
        ----------
        work
            Called with a function to be called before each step, which raises `CancelledError` where it was dropped.
        long
            Whether it is to run beside the kernel, so that controls answer meanwhile. Where no event loop runs (in a
            script), it runs at once all the same.
        """
        self._asked += 1
        mine = self._asked
        loop = _loop() if long or self._lock.locked() else None
        if loop is None:
            with self._lock:  # what is kept of the steps is not made for two threads
                try:
                    found = work(lambda what: None)
                except Exception as error:  # shown in the status line, whatever it is
                    self._failed(error)
                    return
            self._done(found)
            return
        self._running = mine

        def step(what: str) -> None:
            if self._asked != mine:
                raise CancelledError(what)
            loop.call_soon_threadsafe(self._tell, mine, what)

        def beside() -> None:
            with self._lock:
                try:
                    step("starting")
                    found = work(step)
                except CancelledError:
                    return
                except Exception as error:  # shown in the status line, whatever it is
                    loop.call_soon_threadsafe(self._end, mine, None, error)
                    return
            loop.call_soon_threadsafe(self._end, mine, found, None)

        self._threads.submit(beside)

    def _tell(self, mine: int, what: str) -> None:
        if self._asked == mine:
            self._progress(what)

    def _end(self, mine: int, found: T | None, error: Exception | None) -> None:
        if self._asked != mine:
            return
        self._running = -1
        if error is not None:
            self._failed(error)
        elif found is not None:
            self._done(found)


def _loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
