"""The executor that runs chunks on several threads of this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextvars import copy_context
from operator import index
from typing import final

from euthymia.compute.executor import Chunk, Result
from euthymia.errors import invalid


@final
class ThreadExecutor:
    """Runs the chunks on a fixed number of threads; worth it where the function releases the GIL.

    Parameters
    ----------
    workers : int
        Number of threads, from 1.

    Notes
    -----
    Chunks start in order and a failure stops new ones, so every chunk before the failed one has started and
    is waited for: the error raised is the one that `SerialExecutor` would raise. After Ctrl-C the running
    chunks finish, the others never start.
    """

    def __init__(self, workers: int) -> None:
        self.workers = _whole_workers(workers)

    def map(
        self,
        function: Callable[[Chunk], Result],
        chunks: Sequence[Chunk],
        *,
        on_done: Callable[[int], object] | None = None,
    ) -> list[Result]:
        """Implement `euthymia.compute.executor.Executor.map`."""
        with ThreadPoolExecutor(max_workers=self.workers, thread_name_prefix="euthymia") as pool:
            try:
                # NumPy keeps errstate in the context, which a new thread does not get by itself.
                futures = [pool.submit(copy_context().run, function, chunk) for chunk in chunks]
                _watch(futures, on_done)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        return [future.result() for future in futures]


def _watch(futures: Sequence[Future[Result]], on_done: Callable[[int], object] | None) -> None:
    """Report finished chunks until all are done or one has failed."""
    for count, future in enumerate(as_completed(futures), start=1):
        if future.exception() is not None:
            return
        if on_done is not None:
            on_done(count)


def _whole_workers(workers: int) -> int:
    """Check that the number of workers is whole and at least 1."""
    if isinstance(workers, bool) or not hasattr(workers, "__index__") or index(workers) < 1:
        raise invalid(field="workers", must="a whole number from 1", got=repr(workers))
    return index(workers)
