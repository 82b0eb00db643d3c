"""Long runs: a bounded queue, one at a time, with progress; each may be cancelled by who has its name."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Full, Queue
from secrets import token_urlsafe
from threading import Event, Lock, Thread
from typing import Literal

from euthymia.errors import EuthymiaError
from euthymia.web.problems import BusyError

MOST_WAITING = 8
MOST_KEPT = 64
"""Jobs that are remembered; the oldest that have ended are forgotten."""
Status = Literal["waiting", "running", "done", "failed", "cancelled"]
ENDED = ("done", "failed", "cancelled")
Progress = Callable[[float], None]


class CancelledRunError(EuthymiaError):
    """A run was cancelled by who asked for it."""


@dataclass(kw_only=True, slots=True)
class Job:
    """A long run: where it stands, and where its result will be found.

    Parameters
    ----------
    name : str
        Cannot be guessed; whoever has it may look and cancel.
    query : str
        Of the page that shows the result.
    share : float
        0 to 1, of the work that is done.
    message : str
        What went wrong, where it failed.
    """

    name: str
    query: str
    work: Callable[[Progress], object] = field(repr=False)
    status: Status = "waiting"
    share: float = 0.0
    message: str = ""
    stop: Event = field(default_factory=Event, repr=False)

    def progress(self, share: float) -> None:
        """Note how far the run is, and end it if it has been cancelled."""
        if self.stop.is_set():
            raise CancelledRunError
        self.share = min(max(share, self.share), 1.0)


class Jobs:
    """Takes long runs on, one at a time, in the order they came."""

    def __init__(self, *, most_waiting: int = MOST_WAITING) -> None:
        self._queue: Queue[Job] = Queue(maxsize=most_waiting)
        self._kept: OrderedDict[str, Job] = OrderedDict()
        self._lock = Lock()
        self._thread: Thread | None = None

    def start(self, query: str, work: Callable[[Progress], object]) -> Job:
        """Queue a run.

        Raises
        ------
        BusyError
            As many wait as may.
        """
        job = Job(name=token_urlsafe(12), query=query, work=work)
        with self._lock:
            try:
                self._queue.put_nowait(job)
            except Full:
                raise BusyError from None
            self._kept[job.name] = job
            self._forget()
            if self._thread is None:
                self._thread = Thread(target=self._run, name="euthymia-jobs", daemon=True)
                self._thread.start()
        return job

    def find(self, name: str) -> Job | None:
        """Return a job by its name, or None where there is none of that name any more."""
        with self._lock:
            return self._kept.get(name)

    def cancel(self, job: Job) -> None:
        """End a job: at once if it waits, else at its next sign of progress."""
        job.stop.set()
        if job.status == "waiting":
            job.status = "cancelled"

    def _forget(self) -> None:
        ended = [name for name, job in self._kept.items() if job.status in ENDED]
        for name in ended[: max(len(self._kept) - MOST_KEPT, 0)]:
            del self._kept[name]

    def _run(self) -> None:
        while True:
            job = self._queue.get()
            if not job.stop.is_set():
                _do(job)


def _do(job: Job) -> None:
    job.status = "running"
    try:
        job.work(job.progress)
    except CancelledRunError:
        job.status = "cancelled"
    except EuthymiaError as error:
        job.message, job.status = str(error), "failed"
    except Exception:
        logging.getLogger("euthymia.web").exception("a long run failed")
        job.message, job.status = "The computation failed; the terminal says how.", "failed"
    else:
        job.share, job.status = 1.0, "done"
