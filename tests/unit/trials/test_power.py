"""Power by simulation: sizes as asked for, first patients of one trial, the closed form where it holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from tests.unit.trials.cohorts import CROSSOVER, make_cohort, make_protocol
from tests.unit.trials.hand_made import differing, trial

from euthymia.compute.processes import ProcessExecutor
from euthymia.errors import InvalidInputError, UnknownNameError
from euthymia.model.parameters import load_parameters
from euthymia.trials import power
from euthymia.trials.conduct import run_replicates
from euthymia.trials.design import Protocol
from euthymia.trials.enrol import intake
from euthymia.trials.estimates import estimates_of
from euthymia.trials.power import of_size, power_curves, sizes_of
from euthymia.trials.records import PowerCurve
from euthymia.trials.replicate import batches, first_of_each_arm


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20:60:20", (20, 40, 60)),
        ("20:61:20", (20, 40, 60)),
        ("20:200", (20, 40, 60, 80, 100, 120, 140, 160, 180, 200)),
        ("4:6", (4, 5, 6)),
        (" 8 : 9 ", (8, 9)),
    ],
)
def test_sizes_are_read(text: str, expected: tuple[int, ...]):
    assert sizes_of(text) == expected


@pytest.mark.parametrize(
    "text", ["", "3", "20:", "a:b", "200:20", "20:20", "3:20", "20:60:0", "-4:20", "1:2:3:4"]
)
def test_sizes_that_make_no_sense_are_refused(text: str):
    with pytest.raises(InvalidInputError, match=r"'--n' must be N, LOW:HIGH"):
        sizes_of(text)


def protocol_of(*, regimen: str = "saline iv over 40 min", **changes: Any) -> Protocol:
    """Return a trial of a day, its active arm given something."""
    endpoints = {
        "t": {"kind": "change", "at": "day 1", "analysis": "t", "is_primary": True},
        "share": {"kind": "response", "fraction": 0.3, "at": "day 1"},
    }
    protocol = trial(endpoints, sizes={"drug": 5, "placebo": 9}, days=(0, 1), **changes)
    arms = {name: one.model_copy(update={"setting": "saline"}) for name, one in protocol.arms.items()}
    arms["drug"] = arms["drug"].model_copy(update={"regimen": regimen})
    return protocol.model_copy(update={"arms": arms})


KETAMINE = "ketamine 0.2 mg/kg iv over 40 min"
SIZES = (6, 10, 20, 40)


@pytest.fixture(scope="module")
def curve() -> PowerCurve:
    (found,) = power_curves(
        protocol_of(regimen=KETAMINE), SIZES, replicates=300, engine="c", executor=ProcessExecutor(2)
    )
    return found


@pytest.mark.slow
def test_power_is_that_of_the_closed_form_within_its_error(curve: PowerCurve):
    assert curve.closed_form is not None
    assert (curve.endpoint, curve.arm, curve.reference) == ("t", "drug", "placebo")
    assert (curve.replicates, curve.alpha) == (300, 0.05)
    assert curve.closed_form[0] < 0.7 < curve.closed_form[-1]
    low, high = stats.binom.ppf(np.array([[0.0005], [0.9995]]), 300, curve.closed_form) / 300
    assert ((low <= curve.power) & (curve.power <= high)).all()


@pytest.mark.slow
def test_power_grows_with_size_within_wilsons_interval(curve: PowerCurve):
    assert (np.diff(curve.power) > -0.03).all()
    assert ((curve.low <= curve.power) & (curve.power <= curve.high)).all()
    low, high = stats.binomtest(round(curve.power[1] * 300), 300).proportion_ci(method="wilson")
    assert (curve.low[1], curve.high[1]) == pytest.approx((low, high), rel=1e-9)


@pytest.mark.slow
def test_closed_form_is_the_noncentral_t_of_effect_and_spread_at_the_largest_size(curve: PowerCurve):
    given = intake(of_size(protocol_of(regimen=KETAMINE), 40), load_parameters(), seed=1)
    cohorts, _ = run_replicates(given, range(300), engine="c")
    found = [
        one for each in cohorts for one in estimates_of(each, endpoint="t") if one.measure == "difference"
    ]
    gap = np.mean([one.value for one in found])
    sd = np.sqrt(np.mean([one.se**2 for one in found]) / (2 / 40))
    sizes = np.array(SIZES)
    shift, df = gap / (sd * np.sqrt(2 / sizes)), 2 * sizes - 2
    reach = stats.t.ppf(0.975, df)
    expected = stats.nct.sf(reach, df, abs(shift)) + stats.nct.cdf(-reach, df, abs(shift))
    assert curve.closed_form is not None
    np.testing.assert_allclose(curve.closed_form, expected, rtol=1e-6)


@pytest.mark.slow
def test_smaller_sizes_are_the_first_patients_of_the_largest(monkeypatch: pytest.MonkeyPatch):
    protocol = protocol_of()
    seen: dict[tuple[int, int], Any] = {}

    def noting(cohort: Any, size: int) -> Any:
        seen[cohort.replicate, size] = first_of_each_arm(cohort, size)
        return seen[cohort.replicate, size]

    monkeypatch.setattr(power, "first_of_each_arm", noting)
    power_curves(protocol, [4, 7], replicates=2, engine="c")
    assert set(seen) == {(0, 4), (0, 7), (1, 4), (1, 7)}
    for replicate in range(2):
        small, large = seen[replicate, 4], seen[replicate, 7]
        assert [int((large.arm == code).sum()) for code in (0, 1)] == [7, 7]
        assert differing(first_of_each_arm(large, 4), small) == []


@pytest.mark.slow
def test_neither_executor_nor_batches_move_a_bit(monkeypatch: pytest.MonkeyPatch):
    asked: dict[str, Any] = {"sizes": [4, 8], "replicates": 12, "engine": "c"}
    told: list[tuple[int, int]] = []
    one = power_curves(protocol_of(), **asked)
    monkeypatch.setattr(power, "PATIENTS_PER_BATCH", 64)
    assert len(batches(of_size(protocol_of(), 8), 12, patients_per_batch=64)) == 3
    other = power_curves(
        protocol_of(), **asked, executor=ProcessExecutor(2), on_done=lambda *each: told.append(each)
    )
    assert differing(one, other) == []
    assert [done for done, _ in told] == [4, 8, 12]


@pytest.mark.slow
def test_under_no_effect_power_is_the_error():
    (found,) = power_curves(protocol_of(), [8, 20], replicates=400, engine="c", executor=ProcessExecutor(2))
    low, high = stats.binom.ppf([0.0005, 0.9995], 400, 0.05) / 400
    assert ((low <= found.power) & (found.power <= high)).all()


@pytest.mark.slow
def test_another_endpoint_is_read_in_the_same_trial():
    (found,) = power_curves(protocol_of(), [8, 30], endpoint="share", replicates=40, engine="c")
    assert found.endpoint == "share"
    assert found.closed_form is not None
    whole = of_size(protocol_of(), 30)
    assert whole.primary == "t"
    assert set(whole.endpoints) == {"t", "share"}


def test_arms_are_of_one_size_and_blocks_that_no_longer_fit_are_left_out():
    protocol = make_protocol(
        arms={
            "drug": {"n": 8, "regimen": KETAMINE},
            "placebo": {"n": 4, "regimen": "saline iv over 40 min", "is_control": True},
        },
        randomisation={"blocks": [3, 6]},
    )
    found = of_size(protocol, 10)
    assert [arm.n for arm in found.arms.values()] == [10, 10]
    assert found.randomisation.blocks == (6,)
    assert found.size == 20


@pytest.mark.slow
def test_crossover_is_sized_by_all_its_patients():
    protocol = make_protocol(CROSSOVER, endpoints={"e": {"kind": "change", "at": "day 1"}})
    assert of_size(protocol, 14).size == 14
    (found,) = power_curves(protocol, [6, 10], replicates=8, engine="c")
    assert found.sizes.tolist() == [6, 10]
    assert found.closed_form is None
    assert len(first_of_each_arm(make_cohort(protocol), 6).key) == 6


def test_every_active_arm_has_its_curve():
    names = [one.arm for one in _of_three_arms()]
    assert names == ["high", "low"]


def _of_three_arms() -> tuple[PowerCurve, ...]:
    protocol = trial(
        {"e": {"kind": "score", "at": "day 1"}}, sizes={"high": 4, "low": 4, "placebo": 4}, days=(0, 1)
    )
    return power_curves(protocol, [5], replicates=3, engine="c")


def test_what_cannot_be_compared_or_is_not_there_is_refused():
    alone = make_protocol(design="single-arm", arms={"all": {"n": 5, "regimen": KETAMINE}})
    with pytest.raises(InvalidInputError, match="one with a control arm to compare with"):
        power_curves(alone, [20])
    with pytest.raises(UnknownNameError, match=r"Unknown endpoint 'shares'\. Did you mean 'share'"):
        power_curves(protocol_of(), [20], endpoint="shares")
    for sizes in ([], [3, 20]):
        with pytest.raises(
            InvalidInputError, match="'sizes' must be one or more numbers of patients per arm"
        ):
            power_curves(protocol_of(), sizes)
    with pytest.raises(InvalidInputError, match="'replicates' must be 1 or more"):
        power_curves(protocol_of(), [5], replicates=0, engine="c")
