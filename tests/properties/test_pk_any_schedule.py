"""Claim: any drug, route and schedule of any set gives curves that are positive, additive and monotone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.registry import COMBINATIONS, Combination, curves, largest, model_of

from euthymia.dosing.order import Dose
from euthymia.model.pk import PkModel

SAME = 1e-11  # of the peak: the engine's own tolerance, for drawn patients whose rates may nearly meet
TIMES = np.unique(np.concatenate([np.linspace(-10.0, 250.0, 90), np.geomspace(1e-3, 12.0, 20)]))


class Given(NamedTuple):
    """One order: when, and how many times the amount of the registry."""

    start_h: float
    factor: float


class Case(NamedTuple):
    """A combination, one virtual patient, and a schedule of orders that may overlap."""

    combination: Combination
    number: int
    seed: int
    schedule: list[Given]

    def doses(self, *, factor: float = 1.0, schedule: list[Given] | None = None) -> list[Dose]:
        chosen = self.schedule if schedule is None else schedule
        return [
            dose for one in chosen for dose in self.combination.doses(one.start_h, factor=factor * one.factor)
        ]

    def model(self, doses: list[Dose]) -> PkModel:
        return model_of(self.combination, doses, numbers=[self.number], seed=self.seed)

    def curves(self, doses: list[Dose], times: np.ndarray = TIMES) -> dict[str, np.ndarray]:
        return curves(self.model(doses), times)


starts = st.one_of(st.floats(-10.0, 200.0), st.sampled_from([0.0, 0.5, 24.0, 48.0]))
factors = st.floats(1e-3, 10.0)
cases = st.builds(
    Case,
    st.sampled_from(COMBINATIONS),
    st.integers(1, 10**6),
    st.integers(0, 2**31),
    st.lists(st.builds(Given, starts, factors), min_size=1, max_size=6),
)


def assert_same(found: dict[str, np.ndarray], right: dict[str, np.ndarray], *, within: float = SAME) -> None:
    for name, values in found.items():
        off = (np.abs(values - right[name]) / largest(right[name])).max()
        assert off <= within, f"{name}: {off:.1e} of the peak"


@given(cases)
def test_concentrations_are_finite_and_never_below_nothing(case: Case):
    for name, values in case.curves(case.doses()).items():
        assert np.all(np.isfinite(values)), name
        # below 0 only as rounding of a curve that starts at 0 or has died away
        assert values.min() >= -SAME * values.max(), name
        first = min(one.start_h for one in case.schedule)
        assert not np.any(values[:, first > TIMES]), f"{name} before the first dose"


@given(cases, st.floats(1.0, 100.0))
def test_more_drug_never_means_a_lower_concentration(case: Case, factor: float):
    less, more = case.curves(case.doses()), case.curves(case.doses(factor=factor))
    for name in less:
        assert np.all(more[name] - less[name] >= -SAME * largest(more[name])), name


@given(cases, st.data())
def test_another_dose_never_lowers_a_concentration(case: Case, data: st.DataObject):
    extra = data.draw(st.builds(Given, starts, factors))
    before = case.curves(case.doses())
    after = case.curves(case.doses(schedule=[*case.schedule, extra]))
    for name in before:
        assert np.all(after[name] - before[name] >= -SAME * largest(after[name])), name


@given(cases, st.data())
def test_any_schedule_is_the_sum_of_its_parts(case: Case, data: st.DataObject):
    cut = data.draw(st.integers(0, len(case.schedule)))
    whole = case.curves(case.doses())
    parts = [
        case.curves(case.doses(schedule=some)) for some in (case.schedule[:cut], case.schedule[cut:]) if some
    ]
    assert_same(whole, {name: sum(part[name] for part in parts) for name in whole})


@given(cases, st.randoms(use_true_random=False))
def test_the_order_in_which_doses_are_listed_does_not_matter(case: Case, random):
    shuffled = list(case.schedule)
    random.shuffle(shuffled)
    assert_same(case.curves(case.doses(schedule=shuffled)), case.curves(case.doses()))


@given(cases, st.lists(st.floats(-20.0, 300.0), min_size=1, max_size=8, unique=True))
def test_a_value_does_not_depend_on_which_other_times_are_asked(case: Case, times: list[float]):
    asked = np.array(sorted(times))
    some = case.curves(case.doses(), asked)
    everything = np.unique(np.concatenate([asked, TIMES]))
    full = case.curves(case.doses(), everything)
    place = np.searchsorted(everything, asked)
    for name in some:
        off = np.abs(some[name] - full[name][:, place]) / largest(full[name])
        assert off.max() <= SAME, name


@pytest.mark.slow
@settings(max_examples=25)  # one matrix exponential for each distinct step: a second or so for some cases
@given(cases)
def test_any_schedule_agrees_with_matrix_exponentials(case: Case):
    model = case.model(case.doses())
    found = curves(model, TIMES)
    right = curves(model, TIMES, solver="respond_by_exponential")
    assert_same(found, right, within=1e-10)
