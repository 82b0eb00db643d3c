"""Replicates are the same to the last bit, however they are cut, run, stopped and gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tests.unit.test_compute_processes import descendants, is_gone
from tests.unit.trials.cohorts import PARALLEL, make_protocol
from tests.unit.trials.hand_made import differing, trial

from euthymia.compute.processes import ProcessExecutor
from euthymia.compute.threads import ThreadExecutor
from euthymia.errors import InvalidInputError, RunFailedError, UnknownNameError
from euthymia.files.run_folder import Manifest, RunFolder
from euthymia.model.parameters import load_parameters
from euthymia.trials.conduct import run_replicates
from euthymia.trials.design import Protocol
from euthymia.trials.enrol import intake
from euthymia.trials.estimates import estimates_of
from euthymia.trials.protocols import load_protocol
from euthymia.trials.records import Replicate, TrialResult
from euthymia.trials.replicate import (
    Batch,
    batches,
    digest_of,
    distinct,
    first_of_each_arm,
    run_batch,
    run_trial,
)

VISITS = [{"at": f"day {day}", "scales": ["MADRS", "HAM-D17"]} for day in (0, 1, 3, 7)]
INFUSION = "iv over 40 min, twice weekly x 2"
PROTOCOL: dict[str, Any] = {
    "visits": VISITS,
    "arms": {
        "ketamine": {"n": 9, "regimen": f"ketamine 0.5 mg/kg {INFUSION}"},
        "low": {"n": 6, "regimen": f"ketamine 0.2 mg/kg {INFUSION}"},
        "saline": {"n": 9, "regimen": f"saline {INFUSION}", "is_control": True},
    },
    "population": {"entry": [{"scale": "MADRS", "at_least": 20}]},
    "randomisation": {"strata": ["age_years >= 45"]},
    "endpoints": {
        "mmrm": {"kind": "change", "at": "day 7", "analysis": "mmrm", "is_primary": True},
        "day-1": {"kind": "change", "scale": "HAM-D17", "at": "day 1", "imputation": "locf"},
        "response": {"kind": "response", "at": "day 7", "imputation": "failure"},
        "relapse": {"kind": "relapse", "rule": "MADRS 22 once", "start": "day 1"},
        "anxiety": {"kind": "event", "event": "anxiety"},
    },
    "conduct": {
        "dropout": {"share": 0.3, "by": "day 7", "per_10_points": 1.5, "after_event": 2.0},
        "missed_rating": 0.1,
        "missed_session": 0.1,
        "hold": {"systolic_mmHg": 150},
        "flexible": {"ketamine": {"levels": [1.0, 1.5], "start": "day 2"}},
    },
    "looks": {"fractions": [0.6, 1.0]},
}
NINE = 9


@pytest.fixture(scope="module")
def protocol() -> Protocol:
    return make_protocol(**PROTOCOL)


@pytest.fixture(scope="module")
def reference(protocol: Protocol) -> TrialResult:
    return run_trial(protocol, replicates=NINE, engine="c")


class Kept:
    """A store in memory."""

    def __init__(self, found: dict[int, Sequence[Replicate]] | None = None) -> None:
        self.found, self.saved = dict(found or {}), list[int]()

    def load(self, batch: int) -> tuple[Replicate, ...] | None:
        one = self.found.get(batch)
        return None if one is None else tuple(one)

    def save(self, batch: int, replicates: Sequence[Replicate]) -> None:
        self.found[batch] = replicates
        self.saved.append(batch)


def test_replicates_differ_and_are_in_order(reference: TrialResult):
    assert [one.replicate for one in reference.replicates] == list(range(NINE))
    assert len(set(reference.values("mmrm", "ketamine", "difference"))) == NINE
    assert np.isfinite(reference.values("mmrm", "ketamine", "difference")).all()


@pytest.mark.slow
@pytest.mark.parametrize("patients", [1, 50, 10**6])
def test_size_of_batches_moves_no_bit(protocol: Protocol, reference: TrialResult, patients: int):
    found = run_trial(protocol, replicates=NINE, engine="c", patients_per_batch=patients)
    assert differing(found.replicates, reference.replicates) == []
    assert differing(found.first, reference.first) == []


@pytest.mark.slow
@pytest.mark.parametrize("executor", [ProcessExecutor(2), ThreadExecutor(2)], ids=["processes", "threads"])
def test_executor_moves_no_bit(protocol: Protocol, reference: TrialResult, executor: Any):
    found = run_trial(protocol, replicates=NINE, engine="c", executor=executor, patients_per_batch=50)
    assert differing(found.replicates, reference.replicates) == []


@pytest.mark.slow
def test_more_replicates_leave_the_first_as_they_are(protocol: Protocol, reference: TrialResult):
    found = run_trial(protocol, replicates=5, engine="c")
    assert differing(found.replicates, reference.replicates[:5]) == []


@pytest.mark.slow
def test_estimates_depend_on_their_replicate_alone(protocol: Protocol, reference: TrialResult):
    given = intake(protocol, load_parameters(), seed=1)
    (alone,), _ = run_replicates(given, [6], engine="c")
    found = tuple(estimates_of(alone))
    assert differing(found, reference.replicates[6].estimates[: len(found)]) == []


@pytest.mark.slow
def test_what_is_kept_is_not_run_again(protocol: Protocol, reference: TrialResult):
    store = Kept()
    cut = {"replicates": NINE, "engine": "c", "patients_per_batch": 50}
    run_trial(protocol, store=store, **cut)
    assert store.saved == [0, 1, 2, 3, 4]
    half = Kept({place: store.found[place] for place in (0, 3)})
    told: list[tuple[int, int]] = []
    again = run_trial(protocol, store=half, on_done=lambda *one: told.append(one), **cut)
    assert half.saved == [1, 2, 4]
    assert differing(again.replicates, reference.replicates) == []
    assert told == [(4, 9), (6, 9), (8, 9), (9, 9)]
    assert run_trial(protocol, store=half, **cut).replicates == again.replicates


@pytest.mark.slow
def test_a_batch_of_a_shorter_run_is_run_again(protocol: Protocol, reference: TrialResult):
    short = Kept()
    run_trial(protocol, replicates=3, engine="c", patients_per_batch=50, store=short)
    found = run_trial(protocol, replicates=4, engine="c", patients_per_batch=50, store=short)
    assert short.saved == [0, 1, 1]
    assert differing(found.replicates, reference.replicates[:4]) == []


@pytest.mark.slow
def test_progress_reaches_the_total_once(protocol: Protocol):
    told: list[tuple[int, int]] = []
    run_trial(
        protocol,
        replicates=5,
        engine="c",
        patients_per_batch=50,
        executor=ProcessExecutor(2),
        on_done=lambda *one: told.append(one),
    )
    assert told[-1] == (5, 5)
    assert [one for one, _ in told] == sorted({one for one, _ in told})


def test_one_replicate_is_the_patients_that_are_shown(protocol: Protocol, reference: TrialResult):
    store = Kept()
    found = run_trial(protocol, engine="c", store=store)
    assert store.saved == [0]
    assert differing(found.replicates, reference.replicates[:1]) == []


def test_batches_cover_the_replicates_once_and_hold_about_so_many_patients(protocol: Protocol):
    found = batches(protocol, NINE, patients_per_batch=50)
    assert [one.replicates for one in found] == [(0, 1), (2, 3), (4, 5), (6, 7), (8,)]
    assert [one.replicates for one in batches(protocol, 2, patients_per_batch=1)] == [(0,), (1,)]
    with pytest.raises(InvalidInputError, match=r"'replicates' must be 1 or more\. Got 0"):
        batches(protocol, 0)


@pytest.mark.slow
@pytest.mark.parametrize("executor", [None, ProcessExecutor(2)], ids=["serial", "processes"])
def test_an_engine_that_is_not_known_is_told_alike(protocol: Protocol, executor: Any):
    with pytest.raises(InvalidInputError, match="engine"):
        run_trial(protocol, replicates=2, engine="abacus", executor=executor)


@pytest.mark.slow
def test_errors_of_a_batch_come_back_as_they_are():
    with pytest.raises(UnknownNameError, match="Unknown protocol 'fava-2017'") as found:
        ProcessExecutor(1).map(load_protocol, ["fava-2017"])
    assert "fava-2018" in str(found.value)


@pytest.mark.slow
def test_a_store_that_fails_ends_the_run(protocol: Protocol):
    class Full(Kept):
        def save(self, batch: int, replicates: Sequence[Replicate]) -> None:
            message = "Cannot write: no space left on device."
            raise RunFailedError(message)

    with pytest.raises(RunFailedError, match="no space left"):
        run_trial(
            protocol,
            replicates=9,
            engine="c",
            patients_per_batch=50,
            store=Full(),
            executor=ProcessExecutor(2),
        )


def test_first_of_each_arm_keeps_the_order(reference: TrialResult):
    part = first_of_each_arm(reference.first, 4)
    assert [int((part.arm == code).sum()) for code in range(3)] == [4, 4, 4]
    assert (np.diff(part.number) > 0).all()
    for code in range(3):
        own = reference.first.number[reference.first.arm == code]
        assert part.number[part.arm == code].tolist() == own[:4].tolist()


def test_notes_that_differ_in_numbers_only_are_said_once():
    assert distinct(["3 patients out of range", "5 patients out of range", "no table"]) == (
        "3 patients out of range",
        "no table",
    )


def test_digest_tells_protocols_apart(protocol: Protocol):
    other = make_protocol(**(PROTOCOL | {"alpha": 0.1}))
    assert digest_of(protocol) == digest_of(make_protocol(**PROTOCOL)) != digest_of(other)


STOPPED_RUN = """
import json, signal, sys
from pathlib import Path
from euthymia.compute.processes import ProcessExecutor
from euthymia.files.run_folder import Manifest, RunFolder
from euthymia.model.parameters import load_parameters
from euthymia.trials.design import Protocol
from euthymia.trials.replicate import run_trial

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    protocol = Protocol.model_validate(json.loads(Path(sys.argv[2]).read_text()))
    manifest = Manifest.of_run(protocol, load_parameters(), seed=1, engine="c")
    run_trial(
        protocol, replicates=4000, engine="c", executor=ProcessExecutor(2),
        store=RunFolder(Path(sys.argv[1]), manifest).store(4000),
        on_done=lambda done, total: print(done, flush=True),
    )
"""


@pytest.mark.slow
@pytest.mark.parametrize("is_whole_group", [False, True], ids=["to the parent", "from a terminal"])
def test_control_c_leaves_whole_batches_and_no_process(
    tmp_path: Path, protocol: Protocol, is_whole_group: bool
):
    script, content, folder = tmp_path / "run.py", tmp_path / "trial.json", tmp_path / "run"
    script.write_text(STOPPED_RUN)
    content.write_text(json.dumps(PARALLEL | PROTOCOL))
    child = subprocess.Popen(
        [sys.executable, str(script), str(folder), str(content)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert child.stdout is not None
    assert int(child.stdout.readline()) > 0
    workers = descendants(child.pid)
    began = time.monotonic()
    (os.killpg if is_whole_group else os.kill)(child.pid, signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert time.monotonic() - began < 10.0
    assert said.count("KeyboardInterrupt") == 1
    assert all(is_gone(pid) for pid in workers)

    there = RunFolder(folder, Manifest.of_run(protocol, load_parameters(), seed=1, engine="c"))
    every, missing = there.batches(4000), there.missing(4000)
    whole = [place for place in range(len(every)) if place not in missing]
    assert len(whole) == len(list((folder / "replicates").iterdir())) >= 1
    assert there.notes == []
    given = intake(protocol, load_parameters(), seed=1)
    alone = run_batch(given, Batch(place=0, replicates=(every[whole[0]].start,)), engine="c")
    assert differing(there.load_batch(whole[0])[:1], alone) == []


@pytest.mark.slow
def test_arms_that_are_the_same_differ_in_five_replicates_of_a_hundred():
    replicates = 1000
    endpoints = {
        "ancova": {"kind": "change", "at": "day 1"},
        "t": {"kind": "score", "at": "day 1", "analysis": "t"},
        "share": {"kind": "response", "fraction": 0.3, "at": "day 1"},
    }
    protocol = trial(
        endpoints,
        sizes={"one": 20, "other": 20},
        days=(0, 1),
        population={"entry": [{"scale": "MADRS", "at_least": 20}]},
        randomisation={"strata": ["age_years >= 45"]},
    )
    found = run_trial(protocol, replicates=replicates, engine="c", executor=ProcessExecutor(2))
    low, high = stats.binom.ppf([0.0005, 0.9995], replicates, 0.05)
    for name, measure in {"ancova": "difference", "t": "difference", "share": "risk difference"}.items():
        p = [
            one.p
            for each in found.replicates
            for one in each.estimates
            if (one.endpoint, one.measure) == (name, measure)
        ]
        assert len(p) == replicates
        assert low <= sum(np.array(p) < 0.05) <= high, name
    share = found.values("share", "one", "share").mean()
    assert 0.2 < share < 0.8
