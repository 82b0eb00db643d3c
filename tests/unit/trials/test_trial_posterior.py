"""Trials with a posterior: each replicate has the numbers of its own draw, however replicates are run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.population.posteriors import posterior_of, spread
from tests.unit.trials.cohorts import make_protocol
from tests.unit.trials.hand_made import differing

from euthymia.compute.processes import ProcessExecutor
from euthymia.errors import InvalidInputError
from euthymia.evidence.records import Role
from euthymia.evidence.studies import load_outcome_rows
from euthymia.files.run_folder import Manifest, RunFolder
from euthymia.model.parameters import load_parameters
from euthymia.population.patient import numbers_of
from euthymia.population.posterior import PRIOR, Posterior
from euthymia.trials.conduct import run_replicates
from euthymia.trials.design import Protocol
from euthymia.trials.enrol import enrol, intake
from euthymia.trials.power import power_curves
from euthymia.trials.records import TrialResult
from euthymia.trials.replicate import UNCALIBRATED, run_trial
from euthymia.trials.replication import load_replication
from euthymia.trials.replication_all import replicate_published, run_task, tasks_of

PARAMETERS = load_parameters()
INFUSION = "iv over 40 min, twice weekly x 2"
PROTOCOL: dict[str, Any] = {
    "visits": [{"at": f"day {day}", "scales": ["MADRS", "HAM-D17"]} for day in (0, 1, 3, 7)],
    "arms": {
        "ketamine": {"n": 9, "regimen": f"ketamine 0.5 mg/kg {INFUSION}"},
        "saline": {"n": 7, "regimen": f"saline {INFUSION}", "is_control": True},
    },
    "population": {
        "entry": [{"scale": "MADRS", "at_least": 20}],
        "baseline": {"MADRS": {"mean": 32, "sd": 4.5}},  # narrower than can be met: a note
    },
    "randomisation": {"strata": ["MADRS >= 30"]},
    "endpoints": {
        "day-7": {"kind": "change", "at": "day 7", "is_primary": True},
        "response": {"kind": "response", "at": "day 1", "imputation": "failure"},
    },
    "conduct": {
        "dropout": {"share": 0.3, "by": "day 7", "per_10_points": 1.5, "after_event": 2.0},
        "missed_session": 0.1,
        "hold": {"systolic_mmHg": 150},
        "flexible": {"ketamine": {"levels": [1.0, 1.5], "start": "day 2"}},
    },
}
SIX = 6
SEED = 3


@pytest.fixture(scope="module")
def protocol() -> Protocol:
    return make_protocol(**PROTOCOL)


@pytest.fixture(scope="module")
def two() -> Posterior:
    return spread()


@pytest.fixture(scope="module")
def reference(protocol: Protocol, two: Posterior) -> TrialResult:
    return run(protocol, two)


def run(protocol: Protocol, posterior: Posterior | str | None, **more: Any) -> TrialResult:
    given: dict[str, Any] = {"replicates": SIX, "seed": SEED, "engine": "c"}
    return run_trial(protocol, posterior=posterior, **(given | more))


def taken_by(posterior: Posterior) -> list[int]:
    return [posterior.draw_of_replicate(one, seed=SEED) for one in range(SIX)]


def test_each_replicate_is_that_of_the_set_at_its_draw(
    protocol: Protocol, two: Posterior, reference: TrialResult
):
    taken = taken_by(two)
    assert set(taken) == {0, 1}
    for draw in (0, 1):
        alone = run(protocol, None, parameters=two.at_draw(PARAMETERS, draw))
        for place, other in enumerate(taken):
            same = differing(reference.replicates[place], alone.replicates[place]) == []
            assert same == (draw == other), place


def test_patients_are_those_of_the_set_at_the_draw_in_every_record(protocol: Protocol, two: Posterior):
    given = intake(protocol, PARAMETERS, seed=SEED, posterior=two)
    cohorts, _ = run_replicates(given, [4, 1, 2])
    for replicate, cohort in zip([4, 1, 2], cohorts, strict=True):
        own = two.at_draw(PARAMETERS, two.draw_of_replicate(replicate, seed=SEED))
        (alone,), _ = run_replicates(intake(protocol, own, seed=SEED), [replicate])
        assert differing(cohort, alone) == []
        assert differing(enrol(given, replicate), enrol(intake(protocol, own, seed=SEED), replicate)) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        {"patients_per_batch": 1},
        {"patients_per_batch": 40},
        {"patients_per_batch": 40, "executor": ProcessExecutor(2)},
    ],
    ids=["one by one", "in threes", "two processes"],
)
def test_how_replicates_are_run_moves_no_bit(
    protocol: Protocol, two: Posterior, reference: TrialResult, more: dict[str, Any]
):
    found = run(protocol, two, **more)
    assert differing(found.replicates, reference.replicates) == []
    assert differing(found.first, reference.first) == []


def test_fewer_replicates_are_the_first_of_more(protocol: Protocol, two: Posterior, reference: TrialResult):
    assert differing(run(protocol, two, replicates=2).replicates, reference.replicates[:2]) == []


def test_a_run_goes_on_in_its_folder_and_in_no_other(
    protocol: Protocol, two: Posterior, reference: TrialResult, tmp_path: Path
):
    def manifest(posterior: Posterior | None) -> Manifest:
        return Manifest.of_run(protocol, PARAMETERS, seed=SEED, engine="c", posterior=posterior)

    path = tmp_path / "run"
    run(protocol, two, replicates=2, store=RunFolder(path, manifest(two)).store(2))
    found = run(protocol, two, store=RunFolder(path, manifest(two)).store(SIX))
    assert differing(found.replicates, reference.replicates) == []
    for other in (None, spread(0.6), two.mean()):
        with pytest.raises(InvalidInputError, match="holds another run: posterior is"):
            RunFolder(path, manifest(other))
    assert "posterior" not in manifest(None).as_json()


def test_a_posterior_without_spread_is_a_set(protocol: Protocol, two: Posterior):
    found = run(protocol, two.mean(), replicates=2)
    right = run(protocol, None, replicates=2, parameters=two.mean().at_center(PARAMETERS))
    assert differing(found.replicates, right.replicates) == []


def test_the_baseline_table_is_met_at_every_draw(protocol: Protocol):
    both = posterior_of([{"mood_noise_sd": -1.0}, {"mood_noise_sd": 1.0}])
    wide = protocol.model_copy(update={"population": make_protocol(**_with_sd(7.0)).population})
    given = intake(wide, PARAMETERS, seed=SEED, posterior=both).taking(range(SIX))
    keys = np.array([numbers_of(one, np.array([1]))[0] for one in range(SIX)])
    severity = given.parameters.draws
    assert severity is not None
    spreads = severity.sds["severity.episode_severity_fraction"]
    taken = np.array([both.draw_of_replicate(one, seed=SEED) for one in range(SIX)])
    assert len(set(spreads[taken == 0])) == len(set(spreads[taken == 1])) == 1
    assert spreads[taken == 0][0] > spreads[taken == 1][0]  # what swings do not scatter, people must
    means = np.asarray(given.mean_points_of(keys))
    assert np.abs(means - 32.0).max() < 1e-3


def _with_sd(sd: float) -> dict[str, Any]:
    population = PROTOCOL["population"] | {"baseline": {"MADRS": {"mean": 32, "sd": sd}}}
    return PROTOCOL | {"population": population}


def test_the_prior_is_what_a_trial_without_posterior_gives(protocol: Protocol):
    plain, prior = run(protocol, None, replicates=2), run(protocol, PRIOR, replicates=2)
    assert differing(plain, prior) == []
    assert UNCALIBRATED in plain.warnings
    assert "posterior" not in plain.provenance


def test_the_result_says_what_it_rests_on_once(reference: TrialResult, two: Posterior):
    assert UNCALIBRATED not in reference.warnings
    assert sum(note.startswith("Baseline: baseline MADRS") for note in reference.warnings) == 1
    assert reference.provenance["posterior"] == "hand-made"
    assert reference.provenance["posterior_digest"] == two.digest


@pytest.mark.slow
def test_power_is_of_the_same_replicates(protocol: Protocol, two: Posterior):
    asked: dict[str, Any] = {"replicates": SIX, "seed": SEED, "engine": "c"}
    (found,) = power_curves(protocol, [6, 10], posterior=two, **asked)
    (again,) = power_curves(protocol, [6, 10], posterior=two, executor=ProcessExecutor(2), **asked)
    assert differing(found, again) == []
    (single,) = power_curves(protocol, [6, 10], posterior=two.mean(), **asked)
    (right,) = power_curves(protocol, [6, 10], parameters=two.mean().at_center(PARAMETERS), **asked)
    assert differing(single, right) == []
    assert differing(single, found) != []


def test_published_trials_take_the_draw_of_each_replicate(two: Posterior):
    runs = [one for one in load_replication() if one.is_comparable and one.protocols == ("berman-2000",)]
    (task,) = tasks_of(runs, SIX, PARAMETERS, seed=SEED, posterior=two)
    together = run_task(task, engine="c")
    for draw in (0, 1):
        (own,) = tasks_of(runs, SIX, two.at_draw(PARAMETERS, draw), seed=SEED)
        alone = run_task(own, engine="c")
        for name, values in together.items():
            is_own = [taken == draw for taken in taken_by(two)]
            left, right = (np.array(one)[is_own] for one in (values, alone[name]))
            assert left.tobytes() == right.tobytes(), name


@pytest.mark.slow
def test_intervals_of_published_trials_widen_with_what_is_uncertain():
    asked: dict[str, Any] = {"replicates": 60, "only": ["murrough-2013"], "engine": "c"}
    wide = posterior_of([{"synapse_weight": z, "ampa_weight": z} for z in (-2.0, -1.0, 0.0, 1.0, 1.9)])
    prior, found = (replicate_published(posterior=one, **asked)[0] for one in (PRIOR, wide))
    pairs = [pair for pair in zip(prior, found, strict=True) if pair[0].is_primary]
    assert pairs
    for narrow, broad in pairs:
        assert broad.high - broad.low > 1.2 * (narrow.high - narrow.low)


def test_bad_posteriors_are_refused_before_anything_is_run(protocol: Protocol):
    from euthymia.model.mechanisms import with_mechanisms

    with pytest.raises(InvalidInputError, match="Unknown posterior 'nobody'"):
        run_trial(protocol, posterior="nobody")
    with pytest.raises(InvalidInputError, match="Unknown posterior 'nobody'"):
        power_curves(protocol, [6], posterior="nobody")
    with pytest.raises(InvalidInputError, match="under direct"):
        replicate_published(
            only=["berman-2000"], posterior=spread(), parameters=with_mechanisms(PARAMETERS, ["direct"])
        )


def test_trials_without_rows_to_validate_may_have_fewer_replicates():
    tasks = tasks_of(load_replication(), 9, PARAMETERS, seed=SEED, fitted_replicates=4)
    counts: dict[str, int] = {}
    for task in tasks:
        name = task.name.rpartition("-")[0]
        counts[name] = counts.get(name, 0) + len(task.replicates)
    kept = {row.row_id for row in load_outcome_rows() if row.role is Role.VALIDATE}
    forecast = {name for run in load_replication() if run.row_id in kept for name in run.protocols}
    assert {9, 4} == set(counts.values())
    for name, count in counts.items():
        assert count == (9 if forecast & set(name.split("+")) else 4)
