"""Work before it is asked for: kernels compiled and first answers computed, in one background thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import Event, Thread

LONGEST_END_S = 10.0
"""How long the end waits for a step; the thread is a daemon and goes with the process."""
Steps = Iterable[Callable[[], object]]


class Warmth:
    """Runs the steps of every page one after the other until done or stopped.

    Parameters
    ----------
    pages : sequence of callable () -> iterable of callable
        Each page's steps; a step that fails is logged and the next one taken.
    """

    def __init__(self, pages: Sequence[Callable[[], Steps]]) -> None:
        self._pages = pages
        self._is_stopped, self._is_done = Event(), Event()
        self._thread = Thread(target=self._run, name="euthymia-warm", daemon=True)

    @property
    def is_done(self) -> bool:
        """Whether every step was taken."""
        return self._is_done.is_set()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the step that is being taken."""
        self._is_stopped.set()
        if self._thread.is_alive():
            self._thread.join(LONGEST_END_S)

    def wait(self, timeout_s: float) -> bool:
        """Wait until every step was taken; return whether it was."""
        return self._is_done.wait(timeout_s)

    def _steps(self) -> Iterator[Callable[[], object]]:
        for page in self._pages:
            yield from page()

    def _run(self) -> None:
        for step in self._steps():
            if self._is_stopped.is_set():
                return
            try:
                step()
            except Exception:
                logging.getLogger("euthymia.web").exception("a step before the first request failed")
        self._is_done.set()
