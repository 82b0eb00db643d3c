"""Processes give what a plain loop gives: results, order, progress, errors. They never outlive the call."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from euthymia.compute.processes import ProcessExecutor
from euthymia.compute.serial import SerialExecutor
from euthymia.compute.threads import ThreadExecutor, whole_workers
from euthymia.errors import InvalidInputError, RunFailedError, UnknownNameError
from euthymia.population.outcomes import relapse_visit
from euthymia.trials.analysis.paired import change

pytestmark = pytest.mark.slow  # a process takes about a second to start

EVERY = [SerialExecutor(), ThreadExecutor(2), ProcessExecutor(2)]
every_executor = pytest.mark.parametrize("executor", EVERY, ids=lambda one: type(one).__name__)


def no_children_left() -> bool:
    return not [one for one in multiprocessing.active_children() if one.name.startswith("euthymia")]


def test_results_come_in_the_order_of_the_chunks():
    assert ProcessExecutor(2).map(math.sqrt, range(50)) == [math.sqrt(number) for number in range(50)]
    assert no_children_left()


def test_two_processes_share_the_work_and_neither_is_this_one():
    pids = ProcessExecutor(2).map(partial(_pid_after, 0.05), range(6))
    assert len(set(pids)) == 2
    assert os.getpid() not in pids


def _pid_after(seconds: float, _: int) -> int:
    time.sleep(seconds)
    return os.getpid()


def test_no_chunks_start_no_process():
    assert ProcessExecutor(2).map(math.sqrt, []) == []


def test_one_process_starts_for_one_chunk():
    assert ProcessExecutor(4).map(math.sqrt, [4.0]) == [2.0]


@every_executor
def test_each_result_is_reported_with_its_place_before_it_is_counted(executor):
    told: list[object] = []
    executor.map(
        math.sqrt,
        [0.0, 1.0, 4.0, 9.0],
        on_result=lambda place, result: told.append((place, result)),
        on_done=told.append,
    )
    assert sorted(one for one in told if isinstance(one, tuple)) == [(0, 0.0), (1, 1.0), (2, 2.0), (3, 3.0)]
    assert [one for one in told if not isinstance(one, tuple)] == [1, 2, 3, 4]
    assert all(isinstance(one, tuple) for one in told[::2])


@every_executor
def test_results_before_a_failure_are_reported(executor):
    told: dict[int, float] = {}
    with pytest.raises(ValueError, match="math domain error"):
        executor.map(math.sqrt, [1.0, 4.0, -1.0, *[9.0] * 500], on_result=told.__setitem__)
    assert told[0] == 1.0
    assert told[1] == 2.0
    assert 2 not in told
    assert len(told) < 500


def test_of_several_errors_that_of_the_first_chunk_is_raised():
    with pytest.raises(InvalidInputError, match=r"'workers' must be a whole number from 1\. Got -7\."):
        ProcessExecutor(2).map(whole_workers, [-7, -8, -9])


def test_errors_keep_their_type_their_message_and_where_they_were_raised():
    with pytest.raises(UnknownNameError) as unknown:
        ProcessExecutor(1).map(partial(relapse_visit, baseline=None, totals=None), ["MADRS 23 twice"])
    assert str(unknown.value).startswith("Unknown definition of relapse 'MADRS 23 twice'. Did you mean")
    assert "in relapse_visit" in unknown.value.__notes__[0]
    with pytest.raises(RunFailedError, match=r"^The mean change has no result: 1 patients"):
        ProcessExecutor(1).map(change, [[1.0]])


def test_an_error_that_cannot_be_sent_is_told_in_words():
    with pytest.raises(RunFailedError, match=r"^UnicodeDecodeError: .*invalid start byte"):
        ProcessExecutor(1).map(_raise_unsendable, [b"\xff"])


def _raise_unsendable(content: bytes) -> None:
    try:
        content.decode()
    except UnicodeDecodeError as error:
        error.__dict__["kept"] = lambda: None
        raise


def test_a_process_that_dies_is_told_of_and_nothing_hangs():
    with pytest.raises(RunFailedError, match=r"ended by itself \(exit code 7\)"):
        ProcessExecutor(2).map(os._exit, [7, 7, 7])
    assert no_children_left()


@pytest.mark.parametrize("callback", ["on_done", "on_result"])
def test_a_callback_that_raises_ends_the_processes_in_the_middle_of_their_chunks(callback):
    def interrupt(*_):
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        ProcessExecutor(2).map(time.sleep, [0.0, 60.0, 60.0], **{callback: interrupt})
    assert time.monotonic() - began < 30.0
    assert no_children_left()


def test_a_function_that_cannot_be_sent_is_refused_here():
    with pytest.raises(Exception, match="pickle"):
        ProcessExecutor(1).map(lambda number: number, [1])
    assert no_children_left()


SLEEPER = """
import signal, sys, time
from euthymia.compute.processes import ProcessExecutor
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    ProcessExecutor(2).map(
        time.sleep, [0.0, 0.0, 600.0, 600.0], on_done=lambda count: print(count, flush=True)
    )
"""


@pytest.mark.parametrize("is_whole_group", [False, True], ids=["to the parent", "from a terminal"])
def test_control_c_ends_everything_within_seconds_and_is_told_once(tmp_path, is_whole_group):
    script = tmp_path / "sleeper.py"
    script.write_text(SLEEPER)
    run = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert run.stdout is not None
    assert [run.stdout.readline().strip() for _ in range(2)] == ["1", "2"]
    workers = descendants(run.pid)
    assert len(workers) >= 2
    assert all(is_deaf_to_control_c(pid) for pid in workers)
    began = time.monotonic()
    (os.killpg if is_whole_group else os.kill)(run.pid, signal.SIGINT)
    _, said = run.communicate(timeout=30)
    assert time.monotonic() - began < 10.0
    assert said.count("KeyboardInterrupt") == 1
    assert all(is_gone(pid) for pid in workers)


def descendants(pid: int) -> list[int]:
    """Return the children of a process, read from /proc."""
    with open(f"/proc/{pid}/task/{pid}/children") as listing:
        return [int(one) for one in listing.read().split()]


def is_deaf_to_control_c(pid: int) -> bool:
    """Return whether a process ignores or blocks the signal, so that it leaves the answer to its parent."""
    with open(f"/proc/{pid}/status") as status:
        masks = {line.split(":")[0]: line.split(":")[1] for line in status}
    return any(int(masks[name], 16) >> (signal.SIGINT - 1) & 1 for name in ("SigBlk", "SigIgn"))


def is_gone(pid: int) -> bool:
    """Return whether a process has ended, a moment allowed for it to be reaped."""
    until = time.monotonic() + 5.0
    while time.monotonic() < until:
        try:
            with open(f"/proc/{pid}/stat") as stat:
                if stat.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("workers", [0, -1, 1.5, "2", None, True])
def test_workers_that_are_not_a_whole_number_from_1_are_refused(workers):
    with pytest.raises(InvalidInputError, match=r"'workers' must be a whole number from 1\. Got"):
        ProcessExecutor(workers)
