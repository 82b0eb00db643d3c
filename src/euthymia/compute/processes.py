"""The executor that runs chunks in several processes."""

from __future__ import annotations

import pickle
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import connection, get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from traceback import format_exc
from typing import Any, cast, final

from euthymia.compute.executor import Chunk, Result
from euthymia.compute.threads import whole_workers
from euthymia.errors import RunFailedError

SECONDS_TO_END = 5.0
"""How long a process that was told to end may take before it is killed."""


@final
class ProcessExecutor:
    """Runs the chunks in a fixed number of processes; worth it where Python itself takes the time.

    Parameters
    ----------
    workers : int
        Number of processes, from 1.

    Notes
    -----
    Function, chunks and results are pickled, so the function lives in a module; it is sent once to each
    process. Processes start afresh (``spawn``), which takes about a second; a script that uses this needs
    ``if __name__ == "__main__":``. Of several errors that of the first chunk, in the order of the chunks, is
    raised, as `SerialExecutor` would; where it was raised is in its notes. After Ctrl-C, or where ``on_done``
    or ``on_result`` raises, the processes are ended at once, in the middle of their chunks.

    The pool of the standard library is not used: it cannot end a chunk that has begun.
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
        found: dict[int, Result] = {}
        failed: dict[int, BaseException] = {}
        with _workers(function, min(self.workers, len(chunks))) as workers:
            for place, result, error in _handed_out(chunks, workers):
                if error is not None:
                    failed[place] = error
                    continue
                found[place] = cast(Result, result)
                if on_result is not None:
                    on_result(place, found[place])
                if on_done is not None and not failed:
                    on_done(len(found))
        if failed:
            raise failed[min(failed)]
        return [found[place] for place in range(len(chunks))]


def _handed_out(
    chunks: Sequence[Any], workers: Sequence[tuple[BaseProcess, Connection]]
) -> Iterator[tuple[int, Any, BaseException | None]]:
    """Yield place, result and error of each chunk as it is done; none is handed out after an error.

    Chunks start in order, so every one before a failed chunk has started, and is waited for.
    """
    waiting = iter(enumerate(chunks))
    busy: dict[Connection, tuple[int, BaseProcess]] = {}

    def hand_out(process: BaseProcess, pipe: Connection) -> None:
        if (taken := next(waiting, None)) is not None:
            busy[pipe] = taken[0], process
            with suppress(BrokenPipeError, ConnectionResetError):  # it has ended, which reading tells
                pipe.send(taken[1])

    for process, pipe in workers:
        hand_out(process, pipe)
    while busy:
        for pipe in cast(list[Connection], connection.wait(list(busy))):
            place, process = busy.pop(pipe)
            result, error = _received(process, pipe)
            if error is not None:
                waiting = iter(())
            else:
                hand_out(process, pipe)
            yield place, result, error


def _received(process: BaseProcess, pipe: Connection) -> tuple[Any, BaseException | None]:
    """Return what a process made of its chunk."""
    try:
        # from our own child, over a pipe that nobody else has
        return pickle.loads(pipe.recv_bytes())  # nosec B301
    except (EOFError, OSError):
        process.join(SECONDS_TO_END)
        message = (
            f"A process that ran part of the work ended by itself (exit code {process.exitcode}). Out of "
            "memory? Give fewer workers. A script needs 'if __name__ == \"__main__\":' around what it runs."
        )
        return None, RunFailedError(message)


@contextmanager
def _workers(
    function: Callable[[Any], Any], count: int
) -> Iterator[Sequence[tuple[BaseProcess, Connection]]]:
    """Start processes, and end them whatever happens."""
    spawn = get_context("spawn")
    started: list[tuple[BaseProcess, Any]] = []
    try:
        with _interrupts_kept_from_children():
            for number in range(count):
                ours, theirs = spawn.Pipe()
                process = spawn.Process(
                    target=_serve, args=(function, theirs), name=f"euthymia_{number}", daemon=True
                )
                started.append((process, ours))
                process.start()
                theirs.close()
        yield started
    except BaseException:
        for process, _ in started:
            if process.pid is not None:
                process.terminate()
        raise
    finally:
        for _, pipe in started:
            pipe.close()
        for process, _ in started:
            _end(process)


def _end(process: BaseProcess) -> None:
    """Wait for a process whose pipe is closed; one that does not end is killed."""
    if process.pid is None:
        return
    process.join(SECONDS_TO_END)
    if process.is_alive():
        process.kill()
        process.join()


@contextmanager
def _interrupts_kept_from_children() -> Iterator[None]:
    """Let Ctrl-C reach this process only: what is blocked while a process starts stays blocked in it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # which is started with a process else, and unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(function: Callable[[Any], Any], pipe: Connection) -> None:
    """Run the function on every chunk that comes, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            chunk = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            pipe.send_bytes(_made(function, chunk))
        except OSError:
            return  # nobody is there to have it


def _made(function: Callable[[Any], Any], chunk: Any) -> bytes:
    """Return result and error of a chunk, pickled."""
    try:
        return pickle.dumps((function(chunk), None))
    except Exception as error:
        return _pickled(error, format_exc())


def _pickled(error: Exception, where: str) -> bytes:
    """Return an error as bytes that can be read again; one that cannot is given in words."""
    error.add_note(where)
    try:
        content = pickle.dumps((None, error))
        pickle.loads(content)  # nosec B301
        return content
    except Exception:
        failed = RunFailedError(f"{type(error).__name__}: {error}")
        failed.add_note(where)
        return pickle.dumps((None, failed))
