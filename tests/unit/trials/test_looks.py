"""Interim looks: what a part of a trial shows, where it crosses a boundary, and how often under no effect."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tests.unit.trials.cohorts import make_cohort
from tests.unit.trials.hand_made import NAN, trial, written

from euthymia.trials.estimates import summarise
from euthymia.trials.looks import REACHED, STOPPED, Z, part_of_trial, with_looks
from euthymia.trials.records import Cohort, Estimate

HALF: dict[str, Any] = {"fractions": [0.5, 1.0]}
LIMITS = (2.962588, 1.968596)
"""Of two looks by O'Brien and Fleming's spending, two-sided 5 % (Lan & DeMets 1983)."""
SCORE = {"e": {"kind": "score", "at": "day 21", "analysis": "t"}}


def looked(cohort: Cohort) -> list[Estimate]:
    kept = summarise(cohort)
    found = with_looks(kept, cohort).estimates
    assert all(one is other for one, other in zip(kept.estimates, found, strict=False))
    return list(found[len(kept.estimates) :])


def with_gap(gap: float, *, size: int = 40, late_gap: float | None = None, seed: int = 2) -> Cohort:
    """Return a cohort whose active arm ends lower by a gap; the later half by another one."""
    protocol = trial(SCORE, sizes={"drug": size // 2, "placebo": size // 2}, looks=HALF)
    arm = np.arange(size) % 2
    rng = np.random.default_rng(seed)
    gaps = np.where(np.arange(size) < size // 2, gap, gap if late_gap is None else late_gap)
    last = 25.0 + rng.normal(0.0, 5.0, size) - gaps * (arm == 0)
    rows = np.column_stack([np.full((size, 3), 30.0), last])
    return written(protocol, rows, arm=arm.tolist())


def z_of(cohort: Cohort, count: int) -> float:
    """Return the z of the first patients by SciPy."""
    last, arm = cohort.scores["MADRS"][:count, -1], cohort.arm[:count]
    test = stats.ttest_ind(last[arm == 0], last[arm == 1])
    return float(np.sign(test.statistic) * stats.norm.isf(test.pvalue / 2.0))


def test_each_look_shows_the_first_patients_against_its_boundary():
    cohort = with_gap(4.0)
    first, last = (one for one in looked(cohort) if one.measure.startswith(Z))
    assert [first.measure, last.measure] == ["z at 50 % of patients", "z at 100 % of patients"]
    assert [first.value, last.value] == pytest.approx([z_of(cohort, 20), z_of(cohort, 40)], rel=1e-9)
    assert [first.high, last.high] == pytest.approx(LIMITS, abs=1e-4)
    assert [first.low, last.low] == [-first.high, -last.high]
    assert [first.se, last.se] == [0.5, 1.0]
    assert [first.n, last.n] == [20, 40]


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [((20.0, None), 0.5), ((0.0, 20.0), 1.0), ((0.0, None), NAN)],
    ids=["at once", "at the end", "never"],
)
def test_trial_stops_at_the_first_boundary_crossed(gaps: tuple[float, float | None], expected: float):
    cohort = with_gap(gaps[0], late_gap=gaps[1])
    (stopped,) = (one for one in looked(cohort) if one.measure == STOPPED)
    assert stopped.value == pytest.approx(expected, nan_ok=True)
    assert np.isnan([stopped.se, stopped.low, stopped.high, stopped.p]).all()
    by = [one.value for one in looked(cohort) if one.measure.startswith(REACHED)]
    assert by == [float(expected <= fraction) for fraction in (0.5, 1.0)]  # not a number: never


def test_harm_stops_a_trial_too():
    (stopped,) = (one for one in looked(with_gap(-20.0)) if one.measure == STOPPED)
    assert stopped.value == 0.5


def test_part_of_a_trial_is_its_first_patients():
    cohort = make_cohort(trial(sizes={"drug": 5, "placebo": 4}))
    part = part_of_trial(cohort, 0.5)
    assert part.number.tolist() == [1, 2, 3, 4]
    assert part.people == cohort.people[:4]
    assert part.scores["MADRS"].shape == (4, 4)
    assert all(flags.shape[0] == 4 for flags in part.sessions.events.values())
    assert len(part_of_trial(cohort, 1.0).key) == 9


def test_without_looks_nothing_is_added():
    cohort = make_cohort(trial())
    kept = summarise(cohort)
    assert with_looks(kept, cohort) is kept


def test_a_look_before_an_arm_has_anybody_shows_nothing():
    apart = with_gap(20.0)
    by_arm = np.argsort(apart.arm, kind="stable")
    scores = {"MADRS": apart.scores["MADRS"][by_arm]}
    first, _, last, _, stopped = looked(replace(apart, arm=apart.arm[by_arm], scores=scores))
    assert np.isnan(first.value)
    assert abs(last.value) > last.high
    assert stopped.value == 1.0


def relapse_rows(week_of: list[int]) -> list[list[float]]:
    return [[30.0, 10.0, *(25.0 if week == one else 10.0 for one in (2, 3, 4))] for week in week_of]


@pytest.mark.parametrize(("drug", "placebo", "sign"), [(4, 2, -1.0), (2, 4, 1.0), (0, 2, 1.0)])
def test_the_sign_of_a_hazard_ratio_is_that_of_its_logarithm(drug: int, placebo: int, sign: float):
    protocol = trial(
        {"e": {"kind": "relapse", "rule": "MADRS 22 once", "start": "day 7"}},
        sizes={"drug": 20, "placebo": 20},
        days=(0, 7, 14, 21, 28),
        looks=HALF,
    )
    weeks = [
        one for pair in zip([drug, drug, 0, 3] * 5, [placebo, placebo, 0, 3] * 5, strict=True) for one in pair
    ]
    if not drug:  # nobody of that arm relapses: the ratio does not exist, its size does
        weeks[::2] = [0] * 20
    cohort = written(protocol, relapse_rows(weeks), arm=[0, 1] * 20)
    shown = [one for one in looked(cohort) if one.measure.startswith(Z)]
    assert np.sign(shown[-1].value) == sign


KEPT = summarise(make_cohort(trial()))


@pytest.mark.slow
@pytest.mark.parametrize("spending", ["obrien-fleming", "pocock"])
def test_two_looks_keep_the_error_of_the_trial(spending: str):
    trials = 1500
    rng = np.random.default_rng(6)
    protocol = trial(SCORE, sizes={"drug": 60, "placebo": 60}, looks=HALF | {"spending": spending})
    blank = with_gap(0.0, size=120)
    stopped = 0
    for _ in range(trials):
        rows = np.column_stack([np.full((120, 3), 30.0), rng.normal(25.0, 5.0, 120)])
        cohort = replace(blank, protocol=protocol, scores={"MADRS": rows}, unmasked={"MADRS": rows})
        found = with_looks(KEPT, cohort).estimates
        stopped += np.isfinite(next(one.value for one in found if one.measure == STOPPED))
    low, high = stats.binom.ppf([0.0005, 0.9995], trials, 0.05)
    assert low <= stopped <= high


@pytest.mark.parametrize("spending", ["obrien-fleming", "pocock"])
def test_boundaries_of_brownian_motion_are_crossed_five_times_in_a_hundred(spending: str):
    from euthymia.trials.analysis.sequential import boundaries

    fractions, draws = np.array([0.3, 0.7, 1.0]), 200_000
    limits = boundaries(fractions.tolist(), spending=spending).z
    steps = np.random.default_rng(3).normal(size=(draws, 3)) * np.sqrt(np.diff(fractions, prepend=0.0))
    z = steps.cumsum(axis=1) / np.sqrt(fractions)
    crossed = int((np.abs(z) >= limits).any(axis=1).sum())
    low, high = stats.binom.ppf([0.0005, 0.9995], draws, 0.05)
    assert low <= crossed <= high
