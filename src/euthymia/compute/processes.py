"""The executor that runs chunks in several processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from typing import final

from euthymia.compute.executor import Chunk, Result
from euthymia.compute.threads import whole_workers


@final
class ProcessExecutor:
    """Runs the chunks in a fixed number of processes; worth it where Python itself takes the time.

    Parameters
    ----------
    workers : int
        Number of processes, from 1.

    Notes
    -----
    Function, chunks and results are pickled, so the function lives in a module. Processes start afresh
    (``spawn``), which takes about a second. A failure stops new chunks; of several errors that of the first
    chunk, in the order of the chunks, is raised, as `SerialExecutor` would. After Ctrl-C no more start.
    """

    def __init__(self, workers: int) -> None:
        self.workers = whole_workers(workers)

    def map(
        self,
        function: Callable[[Chunk], Result],
        chunks: Sequence[Chunk],
        *,
        on_done: Callable[[int], object] | None = None,
    ) -> list[Result]:
        """Implement `euthymia.compute.executor.Executor.map`."""
        if not chunks:
            return []
        pool = ProcessPoolExecutor(min(self.workers, len(chunks)), mp_context=get_context("spawn"))
        try:
            futures = [pool.submit(function, chunk) for chunk in chunks]
            _wait_for(futures, on_done)
            return [future.result() for future in futures]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _wait_for(futures: Sequence[Future[Result]], on_done: Callable[[int], object] | None) -> None:
    """Wait until all are done, or the first to fail and those before it are; raise its error."""
    waiting, done = set(futures), 0
    while waiting:
        finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        failed = [place for place, one in enumerate(futures) if one in finished and one.exception()]
        if failed:
            for one in futures[: min(failed) + 1]:
                one.result()
        done += len(finished)
        if on_done is not None:
            on_done(done)
