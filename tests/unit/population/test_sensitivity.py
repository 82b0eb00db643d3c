"""Which inputs are moved, by what, and what moving them does to the outputs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from euthymia.errors import InvalidInputError, UnknownNameError
from euthymia.model.mechanisms import with_mechanisms
from euthymia.model.parameters import load_parameters
from euthymia.population.posterior import Posterior, calibrated_parameters
from euthymia.population.sensitivity import OUTPUTS, Sensitivity, largest, read, sensitivity
from euthymia.population.sensitivity_indices import Local
from euthymia.population.sensitivity_inputs import (
    BETWEEN_PEOPLE,
    CHOSEN,
    NOT_KNOWN,
    Input,
    chosen_inputs,
    inputs_of,
    values_of,
)
from euthymia.population.simulate import simulate

INFUSION = "ketamine 0.5 mg/kg iv over 40 min"
FEW = (
    "dose",
    "synapse_weight",
    "slow_time",
    "severity.synapse_weight_logit",
    "dissociation.half_effect_umol_per_L",
    "oral_fraction",
)


def by_name(inputs: tuple[Input, ...]) -> dict[str, Input]:
    return {one.name: one for one in inputs}


@pytest.fixture(scope="module")
def found() -> Sensitivity:
    return sensitivity(INFUSION, only=FEW, samples=64, seed=2)


# --- inputs ------------------------------------------------------------------------------------------


def test_every_calibrated_value_and_every_own_random_effect_is_an_input():
    chosen = load_parameters()
    inputs = inputs_of(chosen)
    not_known = {one.name for one in inputs if one.group == NOT_KNOWN}
    assert not_known == {one.name for one in calibrated_parameters() if one.of != "sd"}
    moved = [field for one in inputs if one.group == BETWEEN_PEOPLE for field in one.fields]
    rows = (*chosen.rows.values(), *chosen.chain.values())
    assert sorted(moved) == sorted(row.name for row in rows if row.distribution != "fixed")
    assert [one.name for one in inputs if one.group == CHOSEN] == ["dose"]


def test_priors_stay_within_their_bounds_and_typical_values_are_those_of_the_tables():
    inputs = by_name(inputs_of(load_parameters()))
    one = next(one for one in calibrated_parameters() if one.name == "synapse_weight")
    moved = inputs["synapse_weight"]
    assert moved.value(0.0) == pytest.approx(one.middle, rel=1e-12)
    assert moved.value(1.0) == pytest.approx(one.middle * np.exp(one.prior_sd), rel=1e-12)
    assert (moved.value(-9.0), moved.value(9.0)) == (one.low, one.high)
    assert inputs["dose"].value(inputs["dose"].nominal) == pytest.approx(1.0, rel=1e-12)


def test_a_dose_range_need_not_be_even_around_the_regimen():
    dose = by_name(inputs_of(load_parameters(), dose_range=(0.5, 3.0)))["dose"]
    assert dose.value(dose.nominal) == pytest.approx(1.0, rel=1e-12)
    assert (dose.value(-30.0), dose.value(30.0)) == pytest.approx((0.5, 3.0), rel=1e-12)


def test_people_vary_around_what_is_not_known_of_the_middle():
    chosen = load_parameters()
    inputs = chosen_inputs(inputs_of(chosen), ("synapse_weight", "severity.synapse_weight_logit"))
    row = chosen.chain["severity.synapse_weight_logit"]
    prior = next(one for one in calibrated_parameters() if one.name == "synapse_weight")
    place = {one.name: number for number, one in enumerate(inputs)}
    z = np.zeros((1, 2))
    z[0, place["synapse_weight"]], z[0, place["severity.synapse_weight_logit"]] = 0.5, -1.5
    values, dose_relative = values_of(chosen, inputs, z)
    assert values["severity.synapse_weight_logit"][0] == pytest.approx(
        row.value * np.exp(0.5 * prior.prior_sd - 1.5 * row.sd), rel=1e-12
    )
    assert dose_relative.tolist() == [1.0]


def test_what_the_user_or_a_mechanism_has_set_is_known():
    chosen = load_parameters().with_overrides({"severity.synapse_weight_logit": 2.5})
    inputs = by_name(inputs_of(chosen))
    assert "synapse_weight" not in inputs
    assert inputs["severity.synapse_weight_logit"].value(0.0) == 2.5
    one = load_parameters().with_overrides({"prefrontal.formation_rate_per_h": 0.03})
    assert by_name(inputs_of(one))["formation_rate"].fields == ("hippocampus.formation_rate_per_h",)
    without = by_name(inputs_of(with_mechanisms(load_parameters(), ["expectancy_only"])))
    plain = by_name(inputs_of(load_parameters()))
    changed = with_mechanisms(load_parameters(), ["expectancy_only"]).chain
    for name, moved in plain.items():
        if moved.group == NOT_KNOWN:
            is_set = all(
                changed[field].value != load_parameters().chain[field].value for field in moved.fields
            )
            assert (name in without) != is_set, name


def test_a_posterior_takes_the_place_of_the_priors():
    one = next(one for one in calibrated_parameters() if one.name == "synapse_weight")
    sd = next(one for one in calibrated_parameters() if one.name == "synapse_weight_sd")
    draws = np.stack([np.linspace(1.0, 2.0, 101), np.full(101, 0.5)], axis=1)[None]
    posterior = Posterior(
        name="made up",
        version="0",
        set="composed",
        parameters=(one, sd),
        draws=draws,
        diagnostics={},
        evidence={},
    )
    inputs = by_name(inputs_of(load_parameters(), posterior=posterior))
    assert [name for name, moved in inputs.items() if moved.group == NOT_KNOWN] == ["synapse_weight"]
    moved, center = inputs["synapse_weight"], posterior.center[0]
    assert moved.value(0.0) == pytest.approx(1.5, rel=1e-12)
    # 84.134 % of a normal lie below one SD
    assert moved.value(1.0) == pytest.approx(1.0 + 0.841345, abs=1e-6)
    assert moved.value(moved.nominal) == pytest.approx(center, rel=1e-9)
    # people vary around its mean, by its spread
    people = inputs["severity.synapse_weight_logit"]
    assert people.value(1.0) == pytest.approx(center * np.exp(0.5), rel=1e-9)
    found = sensitivity(
        INFUSION, posterior=posterior, only=("synapse_weight", "severity.synapse_weight_logit"), samples=64
    )
    course = simulate(INFUSION, posterior=posterior, times_h=[24.0], days=28.0)
    assert found.typical["madrs_day_1_points"] == pytest.approx(course["madrs_points"][0, 0], rel=1e-5)
    assert found.course.provenance.posterior.startswith("made up")


def test_names_and_groups_choose_inputs():
    inputs = inputs_of(load_parameters())
    some = chosen_inputs(inputs, ("chosen", "oral_fraction", "slow_time"))
    assert {one.name for one in some} == {"dose", "pk.oral_fraction", "slow_time"}
    assert chosen_inputs(inputs, ()) == inputs
    with pytest.raises(UnknownNameError, match="Did you mean 'slow_time'"):
        chosen_inputs(inputs, ("slow_tim",))


@pytest.mark.parametrize("dose_range", [(1.0, 1.5), (0.5, 0.9), (0.0, 2.0), (0.5, 9.0)])
def test_dose_ranges_lie_around_the_regimen(dose_range: tuple[float, float]):
    with pytest.raises(InvalidInputError, match=r"'dose range' must be two numbers around 1"):
        inputs_of(load_parameters(), dose_range=dose_range)


# --- what is read and chosen -------------------------------------------------------------------------


def test_outputs_are_read_off_the_course():
    times_h = np.array([0.0, 0.7, 24.0, 100.0, 672.0])
    madrs = np.array([[33.0, 30.0, 20.0, 5.0, 28.0]])
    values = {
        "madrs_points": madrs,
        "cadss_points": np.array([[0.0, 8.0, 0.0, 9.0, 0.0]]),
        "systolic_rise_mmHg": np.array([[0.0, 14.0, 0.0, 0.0, 0.0]]),
    }
    assert {name: one.tolist() for name, one in read(times_h, values).items()} == {
        "madrs_day_1_points": [20.0],
        "madrs_day_28_points": [28.0],
        "madrs_change_day_1_points": [-13.0],
        "madrs_change_day_28_points": [-5.0],
        "peak_cadss_points": [9.0],
        "peak_systolic_rise_mmHg": [14.0],
    }


def _effect(share: float) -> Local:
    return Local(slope_per_sd=0.0, elasticity=None, at_low=0.0, at_high=0.0, size=share, share=share)


def test_the_largest_inputs_are_those_that_leave_least_of_any_output():
    names = ("a", "b", "c", "d", "none")
    inputs = [Input(name=one, group=NOT_KNOWN, fields=(), unit="1", about="", value=np.exp) for one in names]
    shares = {"mood": (0.5, 0.3, 0.2, 0.0, 0.0), "pressure": (0.0, 0.0, 0.1, 0.9, 0.0)}
    local = {
        output: {name: _effect(share) for name, share in zip(names, row, strict=True)}
        for output, row in shares.items()
    }
    picked = [[one.name for one in largest(inputs, local, top)] for top in (1, 2, 3, 9)]
    # a: mood is held most (tie of 1.0, first); d: pressure; then mood keeps 0.5, of it 0.3 is b
    assert picked == [["a"], ["a", "d"], ["a", "b", "d"], ["a", "b", "c", "d"]]


# --- the analysis ------------------------------------------------------------------------------------


def _peak(course: np.ndarray) -> float:
    return float(course[0].max())


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("synapse_weight", "severity.synapse_weight_logit"),
        ("slow_time", "expectancy.slow_time_h"),
        ("dissociation.half_effect_umol_per_L", "dissociation.half_effect_umol_per_L"),
    ],
)
def test_local_slopes_are_finite_differences_of_simulate(found: Sensitivity, name: str, field: str):
    """By another road: single typical patients, the number set as a user sets it, and a smaller step."""
    chosen, step = load_parameters(), 0.02
    one = by_name(found.inputs)[name]

    def outputs(z: float) -> dict[str, float]:
        course = simulate(
            INFUSION,
            parameters=chosen.with_overrides({field: float(one.value(z))}),
            times_h=[24.0, 672.0],
            is_dense=True,
            days=28.0,
        )
        madrs = course.at([0.0, 24.0, 672.0])["madrs_points"][0]
        return {
            "madrs_day_1_points": madrs[1],
            "madrs_day_28_points": madrs[2],
            "madrs_change_day_1_points": madrs[1] - madrs[0],
            "madrs_change_day_28_points": madrs[2] - madrs[0],
            "peak_cadss_points": _peak(course["cadss_points"]),
            "peak_systolic_rise_mmHg": _peak(course["systolic_rise_mmHg"]),
        }

    above, below, typical = outputs(step), outputs(-step), outputs(0.0)
    for output in OUTPUTS:
        effect = found.local[output.name][name]
        slope = (above[output.name] - below[output.name]) / (2.0 * step)
        # central differences over 0.1 SD lean by a sixth of 0.01 times the third derivative
        assert effect.slope_per_sd == pytest.approx(slope, rel=5e-3, abs=1e-6), output.name
        assert found.typical[output.name] == pytest.approx(typical[output.name], rel=1e-9)
    assert any(abs(found.local[output.name][name].slope_per_sd) > 0.1 for output in OUTPUTS)


def test_local_ends_of_the_dose_are_regimens_with_those_doses(found: Sensitivity):
    dose = by_name(found.inputs)["dose"]
    for z, end in ((-1.0, "at_low"), (1.0, "at_high")):
        regimen = f"ketamine {0.5 * float(dose.value(z)):.9f} mg/kg iv over 40 min"
        course = simulate(regimen, times_h=[24.0], is_dense=True, days=28.0)
        madrs, cadss = course.at([24.0])["madrs_points"][0, 0], _peak(course["cadss_points"])
        assert getattr(found.local["madrs_day_1_points"]["dose"], end) == pytest.approx(madrs, rel=1e-6)
        assert getattr(found.local["peak_cadss_points"]["dose"], end) == pytest.approx(cadss, rel=1e-6)


def test_another_route_moves_nothing_and_is_said_to(found: Sensitivity):
    assert [one.name for one in found.without_effect] == ["pk.oral_fraction"]
    assert [one.name for one in found.held] == ["pk.oral_fraction"]
    assert all(found.local[one.name]["pk.oral_fraction"].size == 0.0 for one in OUTPUTS)


def test_an_input_that_cannot_matter_has_index_0(found: Sensitivity):
    indices = found.sobol["peak_cadss_points"].indices
    for name in ("synapse_weight", "slow_time", "severity.synapse_weight_logit"):
        one = indices[name]
        assert abs(one.first) <= max(one.first_half_width, 1e-12)
        assert one.total <= max(one.total_half_width, 1e-12)
    assert found.sobol["peak_cadss_points"].indices["dose"].total > 0.1


def test_same_seed_same_analysis(found: Sensitivity):
    again = sensitivity(INFUSION, only=FEW, samples=64, seed=2)
    assert again.sobol == found.sobol
    assert again.by_group == found.by_group
    assert again.local == found.local
    other = sensitivity(INFUSION, only=FEW, samples=64, seed=3)
    assert other.local == found.local
    assert other.sobol != found.sobol


def test_one_group_has_no_indices_by_group():
    one = sensitivity(INFUSION, only=("synapse_weight", "slow_time"), samples=64, top=1)
    assert one.by_group == {}
    assert len(one.varied) == 1
    assert one.variance_kept("madrs_day_1_points") is None
    assert one.sets == 1 + 4 * 2 + 64 * 3


def test_progress_reaches_what_is_solved():
    seen: list[tuple[int, int]] = []
    one = sensitivity(
        INFUSION, only=("dose", "slow_time"), samples=64, on_done=lambda *done: seen.append(done)
    )
    assert seen[-1] == (one.sets, one.sets)
    assert all(first[0] <= second[0] for first, second in pairwise(seen))


@pytest.mark.parametrize(
    ("regimen", "more", "message"),
    [
        ("escitalopram 10 mg po daily x 7", {}, "'regimen' must be one with ketamine"),
        (INFUSION, {"engine": "reference"}, "'engine' must be c or numpy. Got reference"),
        (INFUSION, {"top": 0}, "'top' must be 1 or more. Got 0"),
        (INFUSION, {"samples": 100}, r"The nearest is 128"),
        (INFUSION, {"only": ("oral_fraction",)}, "'inputs' must be some that move an output"),
        (INFUSION, {"parameters": "kamp-2020"}, "ends at concentrations"),
    ],
)
def test_bad_input_says_what_is_wrong(regimen: str, more: dict[str, object], message: str):
    with pytest.raises(InvalidInputError, match=message):
        sensitivity(regimen, **more)  # pyright: ignore[reportArgumentType]
