"""Window, beliefs, severity and swings of mood, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from tests.registry import LAYERS, layer_course, typical, typical_values
from tests.strategies import fractions, layer_parameters, loads

from euthymia.engine.maths import NUMPY
from euthymia.mechanism.plasticity import stress, synapses
from euthymia.mechanism.symptoms import belief, noise, severity
from euthymia.model import wiring
from euthymia.model.parameters import load_parameters
from euthymia.population.individual import chain_values
from euthymia.population.patient import Patient

# --- window and beliefs ----------------------------------------------------------------------------

BELIEF = typical("belief")
ILL = typical("severity").episode_severity_fraction
LIVED = belief.Inputs(
    protein_relative=0.0,
    resting_gate_relative=0.8,
    severity_fraction=ILL,
    episode_severity_fraction=ILL,
    learning_relative=0.0,
    extra_stress_relative=0.0,
)
HOURS = np.linspace(0.0, 400.0, 101)


@st.composite
def lives(draw: st.DrawFn) -> belief.Inputs:
    """Any protein, mood, therapy and stress."""
    return belief.Inputs(
        protein_relative=draw(st.floats(0.0, 50.0)),
        resting_gate_relative=draw(st.floats(0.0, 2.0)),
        severity_fraction=draw(fractions()),
        episode_severity_fraction=draw(st.floats(0.2, 0.9)),
        learning_relative=draw(fractions()),
        extra_stress_relative=draw(loads()),
    )


def belief_change(state: belief.State, inputs: belief.Inputs, p: belief.Parameters = BELIEF) -> belief.State:
    return belief.rates(NUMPY, state, inputs, p)


def test_half_of_a_belief_is_taught_at_the_threshold_of_the_own_episode():
    for episode in (0.3, 0.55, 0.8):
        threshold = BELIEF.threshold_relative * episode
        inputs = LIVED._replace(episode_severity_fraction=episode, severity_fraction=threshold)
        assert belief.lived(NUMPY, inputs, BELIEF) == pytest.approx(0.5, rel=1e-12)
        above = inputs._replace(severity_fraction=threshold + BELIEF.threshold_width_fraction)
        assert belief.lived(NUMPY, above, BELIEF) == pytest.approx(1 / (1 + np.exp(-1.0)), rel=1e-12)


def test_worse_lived_mood_teaches_a_stronger_belief():
    inputs = LIVED._replace(severity_fraction=np.linspace(0.0, 1.0, 200))
    assert np.all(np.diff(belief.lived(NUMPY, inputs, BELIEF)) > 0)


def test_the_start_is_in_balance_with_lived_mood():
    for mood in (0.1, 0.25, ILL, 0.9):
        inputs = LIVED._replace(severity_fraction=mood)
        assert belief_change(belief.initial(NUMPY, inputs, BELIEF), inputs) == belief.State(0.0, 0.0)


def test_no_belief_hardens_in_usual_life():
    assert belief.hardening_event(LIVED) == 0.0
    hard = belief_change(belief.State(0.5, 0.2), LIVED, typical("belief", hardening_rate_per_h=0.1))
    assert hard == belief_change(belief.State(0.5, 0.2), LIVED, typical("belief", hardening_rate_per_h=0.0))


def test_a_little_stress_hardly_hardens_and_much_hardens_by_almost_all_of_it():
    def event(extra: float) -> float:
        return float(belief.hardening_event(LIVED._replace(extra_stress_relative=extra)))

    assert event(1e-6) / 1e-6 == pytest.approx(0.0, abs=1e-5)  # slope 2 x at 0
    assert event(1.0) == pytest.approx(0.5, rel=1e-12)
    assert event(3.0) == pytest.approx(2.25, rel=1e-12)
    assert event(1e4) - 1e4 == pytest.approx(-1.0, abs=1e-3)


def test_therapy_unlearns_in_proportion_to_plasticity_and_belief():
    p = typical("belief", belief_time_h=1e12)
    state = belief.State(0.3, 0.8)
    plasticity = p.resting_plasticity_fraction * 0.8 + 0.3
    assert belief.outputs(NUMPY, state, LIVED, p).plasticity_fraction == pytest.approx(plasticity, rel=1e-14)
    found = belief_change(state, LIVED._replace(learning_relative=0.5), p).belief_fraction
    assert found == pytest.approx(-p.learning_rate_per_h * 0.5 * plasticity * 0.8, rel=1e-9)


def test_lasting_therapy_takes_a_belief_away_by_one_exponential():
    p = typical("belief", belief_time_h=1e12)
    inputs = LIVED._replace(learning_relative=1.0)
    found = layer_course("belief", belief.State(0.0, 0.9), p, HOURS, inputs)
    rate = p.learning_rate_per_h * p.resting_plasticity_fraction * 0.8
    np.testing.assert_allclose(found.belief_fraction, 0.9 * np.exp(-rate * HOURS), rtol=1e-7, atol=1e-10)


def test_stress_hardens_in_proportion_to_plasticity_and_to_what_is_left_to_harden():
    p = typical("belief", belief_time_h=1e12)
    found = belief_change(
        belief.State(0.3, 0.2), LIVED._replace(extra_stress_relative=3.0), p
    ).belief_fraction
    plasticity = p.resting_plasticity_fraction * 0.8 + 0.3
    assert found == pytest.approx(p.hardening_rate_per_h * 9.0 / 4.0 * plasticity * 0.8, rel=1e-9)


def test_the_window_follows_protein_and_closes_by_its_time_constant():
    for protein in (0.0, 0.5, 3.0):
        found = layer_course(
            "belief", belief.State(0.1, 0.5), BELIEF, HOURS, LIVED._replace(protein_relative=protein)
        )
        aim = np.tanh(protein)
        expected = aim + (0.1 - aim) * np.exp(-HOURS / BELIEF.window_time_h)
        np.testing.assert_allclose(found.window_fraction, expected, rtol=1e-8, atol=1e-12)


@given(inputs=lives(), parameters=layer_parameters("belief"), other=fractions())
def test_window_and_belief_cannot_leave_0_to_1(
    inputs: belief.Inputs, parameters: belief.Parameters, other: float
):
    assert belief_change(belief.State(0.0, other), inputs, parameters).window_fraction >= 0.0
    assert belief_change(belief.State(1.0, other), inputs, parameters).window_fraction <= 0.0
    assert belief_change(belief.State(other, 0.0), inputs, parameters).belief_fraction >= 0.0
    assert belief_change(belief.State(other, 1.0), inputs, parameters).belief_fraction <= 0.0


# --- severity --------------------------------------------------------------------------------------

SEVERITY = typical("severity")
NEUTRAL = severity.Inputs(
    deficit_relative=0.5,
    belief_fraction=0.5,
    ampa_fraction=0.0,
    expectancy_fraction=0.0,
    care_fraction=0.0,
    ect_logit=0.0,
    mood_noise_logit=0.0,
    offset_logit=0.0,
)
PUSHES = st.lists(
    st.floats(-5.0, 5.0), min_size=len(severity.Inputs._fields), max_size=len(severity.Inputs._fields)
)


def test_logit_is_undone_by_the_logistic_function():
    share = np.array([1e-6, 0.1, 0.5, 0.9, 1 - 1e-6])
    np.testing.assert_allclose(1 / (1 + np.exp(-severity.logit(NUMPY, share))), share, rtol=1e-12, atol=0)
    assert severity.logit(NUMPY, 0.5) == 0.0


@pytest.mark.parametrize(
    ("field", "step", "weight"),
    [
        ("deficit_relative", 0.3, SEVERITY.synapse_weight_logit),
        ("belief_fraction", 0.3, SEVERITY.belief_weight_logit),
        ("ampa_fraction", 0.3, -SEVERITY.ampa_weight_logit),
        ("expectancy_fraction", 0.3, -SEVERITY.expectancy_weight_logit),
        ("care_fraction", 0.3, -SEVERITY.care_weight_logit),
        ("ect_logit", 0.3, -1.0),
        ("mood_noise_logit", 0.3, 1.0),
    ],
)
def test_each_cause_shifts_the_logit_by_its_weight(field: str, step: float, weight: float):
    assert severity.pressure(NEUTRAL, SEVERITY) == 0.0
    moved = NEUTRAL._replace(**{field: getattr(NEUTRAL, field) + step})
    assert severity.pressure(moved, SEVERITY) == pytest.approx(weight * step, rel=1e-12)


@pytest.mark.parametrize("offset", [-2.0, 0.0, 0.2, 1.5])
def test_severity_comes_to_rest_at_the_logistic_of_its_offset(offset: float):
    rest = 1.0 / (1.0 + np.exp(-offset))
    found = layer_course(
        "severity", severity.State(0.4), SEVERITY, HOURS[:21], NEUTRAL._replace(offset_logit=offset)
    )
    expected = rest + (0.4 - rest) * np.exp(-HOURS[:21] / SEVERITY.severity_time_h)
    np.testing.assert_allclose(found.severity_fraction, expected, rtol=1e-9, atol=0)


TWO_RESTS = typical("severity", bistability_fraction=1.0)
RESTS = {
    "ill": ILL,
    "between": TWO_RESTS.bistable_threshold_relative * ILL,
    "well": TWO_RESTS.bistable_well_relative * ILL,
}
IN_BALANCE = NEUTRAL._replace(offset_logit=float(severity.logit(NUMPY, ILL)))
"""The pressure of the untreated episode."""
DAYS_H = np.linspace(0.0, 480.0, 121)


def mood_speed(mood: float, inputs: severity.Inputs = IN_BALANCE) -> float:
    return float(severity.rates(NUMPY, severity.State(mood), inputs, TWO_RESTS).severity_fraction)


@pytest.mark.parametrize(("name", "is_stable"), [("ill", True), ("between", False), ("well", True)])
def test_bistable_mood_rests_ill_or_well_and_leaves_what_lies_between(name: str, is_stable: bool):
    mood = RESTS[name]
    assert mood_speed(mood) == pytest.approx(0.0, abs=1e-15)
    assert (mood_speed(mood + 1e-3) < 0.0 < mood_speed(mood - 1e-3)) == is_stable
    assert (mood_speed(mood - 1e-3) < 0.0 < mood_speed(mood + 1e-3)) == (not is_stable)


@pytest.mark.parametrize(("time_constants", "end"), [(0.8, "ill"), (20.0, "well")])
def test_only_a_push_across_the_threshold_stays(time_constants: float, end: str):
    hours = time_constants * TWO_RESTS.severity_time_h
    pushed = IN_BALANCE._replace(ampa_fraction=3.0 / SEVERITY.ampa_weight_logit)
    carried = layer_course("severity", severity.State(ILL), TWO_RESTS, [0.0, hours], pushed)
    after = severity.State(float(carried.severity_fraction[-1]))
    assert (after.severity_fraction < RESTS["between"]) == (end == "well")
    free = layer_course("severity", after, TWO_RESTS, DAYS_H, IN_BALANCE)
    assert free.severity_fraction[-1] == pytest.approx(RESTS[end], rel=1e-6)


@pytest.mark.parametrize("push", [-5.0, -1.0, 1.0, 5.0])
@pytest.mark.parametrize("mood", [0.001, ILL, 0.999])
def test_bistable_mood_stays_between_0_and_1_under_strong_pushes(push: float, mood: float):
    inputs = IN_BALANCE._replace(mood_noise_logit=push)
    found = layer_course("severity", severity.State(mood), TWO_RESTS, DAYS_H, inputs).severity_fraction
    assert np.all((found > 0.0) & (found < 1.0))
    # where the law comes to rest at last is no edge: logits of it and its neighbours stay finite
    assert 0.01 < found[-1] < 0.99


def test_half_a_bistable_law_is_the_mean_of_both():
    half = typical("severity", bistability_fraction=0.5)
    inputs = IN_BALANCE._replace(mood_noise_logit=-0.7)
    one, two, both = (
        severity.rates(NUMPY, severity.State(0.4), inputs, p).severity_fraction
        for p in (SEVERITY, TWO_RESTS, half)
    )
    assert both == pytest.approx(0.5 * (one + two), rel=1e-13)


@given(pushes=PUSHES, parameters=layer_parameters("severity"))
def test_severity_cannot_leave_0_to_1(pushes: list[float], parameters: severity.Parameters):
    inputs = severity.Inputs(*pushes)
    assert severity.rates(NUMPY, severity.State(0.0), inputs, parameters).severity_fraction >= 0.0
    assert severity.rates(NUMPY, severity.State(1.0), inputs, parameters).severity_fraction <= 0.0


@st.composite
def people(draw: st.DrawFn) -> dict[str, float]:
    """Parameters of the whole chain, those of what an untreated episode rests on anywhere in their range."""
    values = typical_values()
    for layer in ("stress", "signalling", *wiring.REGIONS, "belief", "severity"):
        drawn = draw(layer_parameters(layer))
        values |= {f"{layer}.{field}": value for field, value in drawn._asdict().items()}
    return values


def drives(**changes: float) -> dict[str, float]:
    return dict.fromkeys(wiring.DRIVES, 0.0) | changes


class NoBlock:
    """A circuit that stays at rest."""

    def __call__(self, x: Any, y: Any) -> float:
        assert not np.any(x)
        assert not np.any(y)
        return 1.0


RESTING = {wiring.CIRCUIT_TABLE: NoBlock()}


def quiet_rates(states: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the chain moves without drug, therapy, stress from outside or chance."""
    return wiring.rates(NUMPY, states, drives(), {**values, **RESTING})


@pytest.mark.slow
@given(values=people())
def test_the_untreated_episode_is_at_rest_in_any_person(values: dict[str, float]):
    states, start = wiring.initial(NUMPY, values)
    severe = values["severity.episode_severity_fraction"]
    assert states["severity.severity_fraction"] == pytest.approx(severe, rel=1e-14)
    changes = quiet_rates(states, values | start)
    assert {name: rate for name, rate in changes.items() if abs(rate) > 1e-13} == {}


@pytest.fixture(scope="module")
def crowd() -> dict[str, Any]:
    """Return the parameters of a thousand virtual patients."""
    numbers = np.arange(1, 1001)
    values = chain_values(load_parameters(), [Patient()] * len(numbers), numbers=numbers, seed=1)
    return values


@pytest.mark.parametrize("is_well", [False, True])
def test_ill_or_well_every_virtual_patient_starts_at_rest(crowd: dict[str, Any], is_well: bool):
    states, start = wiring.initial(NUMPY, crowd, is_well=is_well)
    changes = quiet_rates(states, crowd | start)
    worst = {name: float(np.abs(rate).max()) for name, rate in changes.items()}
    assert {name: rate for name, rate in worst.items() if rate > 1e-12} == {}


def test_a_swing_at_the_start_is_in_mood_and_in_the_ideation_of_that_mood_alone():
    values = typical_values()
    calm, start = wiring.initial(NUMPY, values)
    swung, same = wiring.initial(NUMPY, values, mood_noise_logit=0.8)
    odds = [
        one["severity.severity_fraction"] / (1.0 - one["severity.severity_fraction"]) for one in (calm, swung)
    ]
    assert odds[1] / odds[0] == pytest.approx(np.exp(0.8), rel=1e-12)
    assert same == start
    moved = {name for name in calm if calm[name] != swung[name]}
    assert moved == {"severity.severity_fraction", "ideation.ideation_fraction"}, "ideation goes with mood"


def test_a_well_person_has_at_most_half_the_severity_of_the_episode():
    values = typical_values()
    states, _ = wiring.initial(NUMPY, values, is_well=True)
    assert states["severity.severity_fraction"] < 0.5 * values["severity.episode_severity_fraction"]
    assert states["belief.belief_fraction"] < 0.1


# --- ill and well as states of one person ------------------------------------------------------------


KEPT_UNTIL_A_VISIT = (
    "discomfort.exposure_h",
    "expectancy.belief_fraction",
    "expectancy.felt_dissociation_points",
    "expectancy.felt_drowsiness_fraction",
)
"""States that neither grow nor fade between visits."""


class Person:
    """The typical person without drug: where everything else rests for a strength of negative beliefs."""

    def __init__(self) -> None:
        self.values = typical_values()
        self.states, self.start = wiring.initial(NUMPY, self.values)
        self.parts = {name: typical(name) for name in ("stress", *wiring.REGIONS, "severity", "belief")}

    def settled(self, strength: float) -> dict[str, float]:
        """Return all states, with loads, synapses and mood at rest under a belief."""
        loads = stress.target(stress.Inputs(0.0, 0.0, strength), self.parts["stress"])
        inputs = synapses.Inputs(0.0, loads.stress_relative, loads.inflammation_relative, 0.0, 0.0)
        found, missing = {}, []
        for region in wiring.REGIONS:
            rest = synapses.initial(inputs, self.parts[region])
            found[region] = rest
            missing.append(synapses.outputs(NUMPY, rest, inputs, self.parts[region]).deficit_relative)
        causes = NEUTRAL._replace(deficit_relative=sum(missing) / 2, belief_fraction=strength)
        y = severity.pressure(causes, self.parts["severity"]) + self.start["start.offset_logit"]
        found |= {
            "stress": loads,
            "severity": severity.State(1.0 / (1.0 + np.exp(-y))),
            "belief": belief.State(0.0, strength),
        }
        named = {
            f"{name}.{field}": one for name, rest in found.items() for field, one in rest._asdict().items()
        }
        return self.states | named

    def drift(self, strength: float) -> float:
        """Return how fast the belief moves when everything else has come to rest with it, per hour."""
        return float(quiet_rates(self.settled(strength), self.values | self.start)["belief.belief_fraction"])

    def growth_per_h(self, strength: float) -> float:
        """Return the largest growth rate of a small disturbance of any state, by central differences."""
        states = self.settled(strength)
        names = [name for name in states if name not in KEPT_UNTIL_A_VISIT]
        columns = []
        for name in names:
            up, down = (
                quiet_rates(states | {name: states[name] + step}, self.values | self.start)
                for step in (1e-6, -1e-6)
            )
            columns.append([(up[other] - down[other]) / 2e-6 for other in names])
        return float(np.linalg.eigvals(np.array(columns, float).T).real.max())


def test_a_person_can_rest_in_two_states_ill_and_well_and_in_none_between():
    person = Person()
    grid = np.linspace(0.0, 1.0, 1001)
    values = [person.drift(float(one)) for one in grid]
    turns = [(a, b) for (a, x), (b, y) in pairwise(zip(grid, values, strict=True)) if (x > 0) != (y > 0)]
    well, between, ill = (cast(float, brentq(person.drift, a, b, xtol=1e-14)) for a, b in turns)
    assert person.growth_per_h(well) < 0
    assert person.growth_per_h(ill) < 0
    assert person.growth_per_h(between) > 0
    assert ill == pytest.approx(person.states["belief.belief_fraction"], rel=1e-9)
    assert person.settled(ill)["severity.severity_fraction"] == pytest.approx(ILL, rel=1e-9)
    also_well, _ = wiring.initial(NUMPY, person.values, is_well=True)
    assert well == pytest.approx(also_well["belief.belief_fraction"], rel=1e-6)


def test_the_offset_is_what_makes_ones_own_severity_the_rest():
    for severe in (0.3, ILL, 0.8):
        states, start = wiring.initial(
            NUMPY, typical_values() | {"severity.episode_severity_fraction": severe}
        )
        causes = NEUTRAL._replace(
            deficit_relative=start["start.deficit_relative"],
            belief_fraction=states["belief.belief_fraction"],
        )
        rest = severity.pressure(causes, SEVERITY) + start["start.offset_logit"]
        assert rest == pytest.approx(severity.logit(NUMPY, severe), rel=1e-12, abs=1e-14)


READ = severity.ReadOutInputs(
    belief_fraction=0.9,
    start_belief_fraction=0.9,
    ampa_fraction=0.0,
    plasticity_fraction=0.1,
    start_plasticity_fraction=0.1,
    deficit_relative=1.0,
    start_deficit_relative=1.0,
    severity_fraction=0.55,
    start_severity_fraction=0.55,
    dissociation_fraction=0.0,
    sedation_fraction=0.0,
)


def test_read_outs_are_1_at_the_start_of_the_episode():
    assert severity.read_outs(READ, SEVERITY) == severity.ReadOuts(1.0, 1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("belief_fraction", 0.45, (0.5, 1.0, 1.0, 1.0)),
        ("plasticity_fraction", 0.3, (1.0, 3.0, 1.0, 1.0)),
        ("deficit_relative", 0.0, (1.0, 1.0, 0.5, 1.0)),
        ("ampa_fraction", 1.0, (0.7, 1.0, 0.7, 1.0)),
        ("severity_fraction", 0.1, (1.0, 1.0, 1.0, 2.0)),
        ("dissociation_fraction", 0.4, (1.0, 1.0, 1.0, 0.6)),
        ("sedation_fraction", 1.0, (1.0, 1.0, 1.0, 0.0)),
    ],
)
def test_each_read_out_moves_by_its_own_causes_only(field: str, value: float, expected: tuple[float, ...]):
    found = severity.read_outs(READ._replace(**{field: value}), SEVERITY)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


# --- swings of mood --------------------------------------------------------------------------------

PEOPLE, DAYS = 20_000, 12
SWING = noise.Parameters(mood_noise_sd_logit=0.5, mood_noise_time_h=120.0)


@pytest.fixture(scope="module")
def swings() -> np.ndarray:
    """Return swings of many people from day -6 to day 11, (P, D)."""
    draws = np.random.default_rng(5).standard_normal((PEOPLE, 6 + DAYS))
    earlier, later = noise.daily(SWING, draws[:, :6], draws[:, 6:])
    return np.concatenate([earlier[:, ::-1], later], axis=1)


def test_swings_have_the_same_spread_on_every_day(swings: np.ndarray):
    # 5 standard errors of an SD and of a mean
    np.testing.assert_allclose(swings.std(axis=0), 0.5, rtol=0, atol=5 * 0.5 / np.sqrt(2 * PEOPLE))
    np.testing.assert_allclose(swings.mean(axis=0), 0.0, rtol=0, atol=5 * 0.5 / np.sqrt(PEOPLE))


def test_swings_are_remembered_by_their_time_constant_also_across_day_0(swings: np.ndarray):
    found = np.corrcoef(swings.T)
    days = np.arange(swings.shape[1])
    expected = np.exp(-24.0 * np.abs(days[:, None] - days[None, :]) / SWING.mood_noise_time_h)
    np.testing.assert_allclose(found, expected, rtol=0, atol=5 / np.sqrt(PEOPLE))


def test_swings_follow_the_recursion_from_their_draws():
    draws = np.array([[0.3, -1.0, 2.0], [1.0, 0.0, -0.5]])
    earlier, later = noise.daily(SWING, draws[:, :2], draws)
    memory = np.exp(-24.0 / 120.0)
    fresh = 0.5 * np.sqrt(1.0 - memory**2)
    first = 0.5 * draws[:, 0]
    np.testing.assert_allclose(later[:, 0], first, rtol=1e-15, atol=0)
    np.testing.assert_allclose(later[:, 1], memory * first + fresh * draws[:, 1], rtol=1e-14, atol=0)
    np.testing.assert_allclose(earlier[:, 0], memory * first + fresh * draws[:, 0], rtol=1e-14, atol=0)
    np.testing.assert_allclose(
        earlier[:, 1], memory * earlier[:, 0] + fresh * draws[:, 1], rtol=1e-14, atol=0
    )


def test_each_person_swings_by_their_own_spread_and_memory():
    own = noise.Parameters(np.array([0.5, 1.0]), np.array([120.0, 504.0]))
    draws = np.random.default_rng(6).standard_normal((2, 5))
    _, together = noise.daily(own, draws[:, :0], draws)
    for person in range(2):
        alone = noise.Parameters(*(float(one[person]) for one in own))
        _, found = noise.daily(alone, draws[person : person + 1, :0], draws[person : person + 1])
        assert np.array_equal(found[0], together[person])


def test_all_symptom_layers_of_the_chain_are_tested_here():
    parts = {name for name, layer in LAYERS.items() if ".symptoms." in layer.__name__}
    assert parts == {"belief", "severity"} | {"expectancy", "ideation"}, "these two in files of their own"
