"""The executor that runs chunks on several threads of this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from operator import index
from queue import SimpleQueue
from threading import Thread
from typing import Generic, cast, final

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
        self.workers = whole_workers(workers)

    def map(
        self,
        function: Callable[[Chunk], Result],
        chunks: Sequence[Chunk],
        *,
        on_done: Callable[[int], object] | None = None,
        on_result: Callable[[int, Result], object] | None = None,
    ) -> list[Result]:
        """Implement `euthymia.compute.executor.Executor.map`."""
        done: SimpleQueue[_Done[Result] | None] = SimpleQueue()
        waiting = iter(list(enumerate(chunks)))
        stopped: list[bool] = []  # not an Event, whose lock Ctrl-C might leave held
        # NumPy keeps errstate in the context, which a new thread does not get by itself.
        context = copy_context()

        def work() -> None:
            # What is taken is run: of several errors the one of the lowest number is then always among them.
            while not stopped and (taken := next(waiting, None)) is not None:
                number, chunk = taken
                try:
                    done.put(_Done(number, result=context.copy().run(function, chunk)))
                except BaseException as error:  # raised again by the caller's thread
                    stopped.append(True)
                    done.put(_Done(number, error=error))
            done.put(None)

        threads: list[Thread] = []
        try:
            for number in range(min(self.workers, len(chunks))):
                thread = Thread(target=work, name=f"euthymia_{number}", daemon=True)
                thread.start()
                threads.append(thread)
            return _collect(done, len(threads), on_done, on_result)
        finally:
            stopped.append(True)
            for thread in threads:
                thread.join()


@dataclass(frozen=True)
class _Done(Generic[Result]):
    """What became of one chunk."""

    number: int
    result: Result | None = None
    error: BaseException | None = None


def _collect(
    done: SimpleQueue[_Done[Result] | None],
    workers: int,
    on_done: Callable[[int], object] | None,
    on_result: Callable[[int, Result], object] | None,
) -> list[Result]:
    """Return the results in order of their chunks, once every worker has ended; raise the first error.

    The caller's thread shares only a queue in C with the workers: Ctrl-C may come between any two steps of
    Python, and would leave the lock of a `Future` held for ever.
    """
    finished: dict[int, _Done[Result]] = {}
    has_failed = False
    while workers > 0:
        one = done.get()
        if one is None:
            workers -= 1
            continue
        finished[one.number] = one
        has_failed = has_failed or one.error is not None
        if on_result is not None and one.error is None:
            on_result(one.number, cast(Result, one.result))
        if on_done is not None and not has_failed:
            on_done(len(finished))
    for number in sorted(finished):
        if (error := finished[number].error) is not None:
            raise error
    return [cast(Result, finished[number].result) for number in sorted(finished)]


def whole_workers(workers: int) -> int:
    """Check that the number of workers is whole and at least 1."""
    if isinstance(workers, bool) or not hasattr(workers, "__index__") or index(workers) < 1:
        raise invalid(field="workers", must="a whole number from 1", got=repr(workers))
    return index(workers)
