"""Executors agree with a plain loop in results, order, progress and failure; chunks are fixed."""

from __future__ import annotations

import signal
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from euthymia.compute.batch import chunks
from euthymia.compute.executor import Executor
from euthymia.compute.serial import SerialExecutor
from euthymia.compute.threads import ThreadExecutor
from euthymia.errors import InvalidInputError

EXECUTORS = [SerialExecutor(), ThreadExecutor(1), ThreadExecutor(2), ThreadExecutor(8)]


def name_of(executor: Executor) -> str:
    return f"{type(executor).__name__}-{getattr(executor, 'workers', 1)}"


def work() -> None:
    """Take about a millisecond off the interpreter, as a chunk in compiled code does."""
    threading.Event().wait(0.001)


every_executor = pytest.mark.parametrize("executor", EXECUTORS, ids=name_of)


@every_executor
def test_results_come_in_the_order_of_the_chunks(executor):
    assert executor.map(lambda number: number**2, range(100)) == [number**2 for number in range(100)]


@every_executor
def test_no_chunks_give_no_results(executor):
    assert executor.map(lambda number: number, []) == []


@every_executor
def test_progress_counts_every_chunk_once_in_the_calling_thread(executor):
    counts = []
    executor.map(
        lambda _: None, range(20), on_done=lambda count: counts.append((count, threading.get_ident()))
    )
    assert counts == [(count, threading.get_ident()) for count in range(1, 21)]


@every_executor
def test_the_first_failure_is_raised_and_the_rest_never_starts(executor):
    started = []

    def fail_from_three(number):
        started.append(number)
        work()
        if number >= 3:
            raise ValueError(number)

    with pytest.raises(ValueError, match=r"^3$"):
        executor.map(fail_from_three, range(2_000))
    assert len(started) < 2_000


@every_executor
def test_progress_that_raises_stops_the_run(executor):
    started = []

    def start(number):
        started.append(number)
        work()

    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        executor.map(start, range(2_000), on_done=interrupt)
    assert len(started) < 2_000


@pytest.fixture
def control_c():
    """Make Ctrl-C raise, also where the suite was started in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@every_executor
def test_control_c_stops_the_run_and_leaves_no_thread(executor, control_c):
    started = []

    def interrupt_the_caller(number):
        started.append(number)
        work()
        if number == 20:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        executor.map(interrupt_the_caller, range(2_000))
    assert len(started) < 2_000
    until = time.monotonic() + 10  # one that was being started when the signal came ends a moment later
    while ours_left() and time.monotonic() < until:
        time.sleep(0.01)
    assert not ours_left()


def ours_left():
    return [thread for thread in threading.enumerate() if thread.name.startswith("euthymia")]


@every_executor
def test_the_callers_floating_point_settings_hold_inside(executor):
    with np.errstate(divide="ignore"):
        assert executor.map(lambda number: np.float64(1) / number, [0.0, 2.0]) == [np.inf, 0.5]
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        executor.map(lambda number: np.float64(1) / number, [0.0])


def test_threads_run_at_the_same_time():
    meeting = threading.Barrier(2, timeout=10)
    assert sorted(ThreadExecutor(2).map(lambda _: meeting.wait(), range(2))) == [0, 1]


def test_an_executor_serves_again_after_a_failure():
    executor = ThreadExecutor(2)
    with pytest.raises(ZeroDivisionError):
        executor.map(lambda number: 1 / number, [0])
    assert executor.map(lambda number: 1 / number, [2]) == [0.5]


@pytest.mark.parametrize("workers", [0, -1, 1.5, "2", None, True])
def test_workers_that_are_not_a_whole_number_from_1_are_refused(workers):
    with pytest.raises(InvalidInputError, match=r"'workers' must be a whole number from 1\. Got"):
        ThreadExecutor(workers)


@given(st.integers(0, 500), st.integers(1, 600))
def test_chunks_cover_everything_once_in_pieces_of_the_size(count, size):
    pieces = chunks(count, size)
    assert [item for piece in pieces for item in range(count)[piece]] == list(range(count))
    assert all(piece.stop - piece.start == size for piece in pieces[:-1])
    assert all(0 < piece.stop - piece.start <= size for piece in pieces)


def test_more_items_leave_the_earlier_chunks_as_they_are():
    assert chunks(1000, 256)[:3] == chunks(768, 256)


@pytest.mark.parametrize(("count", "size", "field"), [(-1, 5, "count"), (5, 0, "size"), (5, -2, "size")])
def test_chunks_refuse_impossible_numbers(count, size, field):
    with pytest.raises(InvalidInputError, match=f"'{field}' must be a whole number"):
        chunks(count, size)
