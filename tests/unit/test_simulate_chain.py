"""``simulate``: what it refuses and how, what it returns by default, and how a failed solve is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.registry import SETS

from euthymia import simulate
from euthymia.errors import InvalidInputError, ResultWarning, RunFailedError, UnknownNameError
from euthymia.model.course import Pulse
from euthymia.model.parameters import load_parameters
from euthymia.model.scales import find_scale, scales
from euthymia.model.variables import variables
from euthymia.population import simulate as public
from euthymia.population import solve as module
from euthymia.population.outcomes import rate
from euthymia.population.patient import Patient
from euthymia.population.run import ENGINES, Life, default_days
from euthymia.population.surroundings import Taken

INFUSION = "ketamine 0.5 mg/kg iv over 40 min"
TWICE = f"{INFUSION}, weekly x 2"


# --- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"setting": "opne"}, r"Unknown setting 'opne'. Did you mean 'open' or 'none'\?"),
        ({"engine": "nunpy"}, r"Unknown engine 'nunpy'. Did you mean 'numpy'\?"),
        ({"engine": "magic"}, rf"Unknown engine 'magic'. Known: {', '.join(sorted(ENGINES))}."),
        ({"variables": ["madrs_pionts"]}, r"Unknown variable 'madrs_pionts'. Did you mean 'madrs_points'"),
        ({"variables": ["madrs_points", "mood"]}, r"Unknown variable 'mood'"),
        ({"parameters": "compsed"}, r"Unknown parameter set 'compsed'. Did you mean 'composed'\?"),
    ],
    ids=str,
)
def test_an_unknown_name_is_refused_with_the_nearest(asked: dict[str, Any], message: str):
    with pytest.raises(UnknownNameError, match=message):
        simulate(INFUSION, **asked)


def test_an_unknown_scale_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"'MADSR'.*'MADRS'"):
        find_scale("MADSR")
    severity, times = np.full((2, 1), 0.5), [0.0]
    numbers = np.array([1, 2])
    with pytest.raises(UnknownNameError, match="'MADSR'"):
        rate(severity, "MADSR", times, parameters=load_parameters(), numbers=numbers, seed=1)


@pytest.mark.parametrize("days", [0.0, -3.0, 7.0, float("nan"), 1e6])
def test_a_horizon_before_the_last_item_or_beyond_the_limit_is_refused(days: float):
    with pytest.raises(
        InvalidInputError, match=r"'days' must be 7.03 \(end of the last item\).*Leave it out"
    ):
        simulate(TWICE, days=days)


def test_a_horizon_before_the_end_of_stress_is_refused():
    life = Life(stress=(Pulse(0.0, 480.0, 1.0),))
    with pytest.raises(InvalidInputError, match=r"'days' must be 20 \(end of the last item\)"):
        simulate(None, days=10, life=life)


def test_times_beyond_the_horizon_are_refused():
    with pytest.raises(InvalidInputError, match=r"'times_h' must be within 2 days. Got 100 h"):
        simulate(INFUSION, days=2, times_h=[0.0, 100.0])


@pytest.mark.parametrize(
    ("times_h", "message"),
    [
        ([], "a list of finite hours"),
        ([0.0, float("nan")], "a list of finite hours"),
        ([1.0, 1.0], "strictly ascending"),
        ([2.0, 1.0], "1 h after 2 h"),
        ("now", "a list of finite hours"),
    ],
    ids=str,
)
def test_times_that_are_none_are_refused(times_h: Any, message: str):
    with pytest.raises(InvalidInputError, match=message):
        simulate(INFUSION, times_h=times_h)


@pytest.mark.parametrize(
    ("factors", "got"),
    [
        (np.ones((1, 1)), r"shape \(1, 1\)"),
        (np.ones((2, 2)), r"shape \(2, 2\)"),
        (np.ones(2), r"shape \(2,\)"),
        (np.array([[1.0, -0.1]]), "negative or not finite"),
        (np.array([[1.0, np.nan]]), "negative or not finite"),
    ],
    ids=["too few", "too many patients", "flat", "negative", "NaN"],
)
def test_factors_of_a_wrong_shape_or_sign_are_refused(factors: np.ndarray, got: str):
    with pytest.raises(InvalidInputError, match=rf"'factors' must be \(1, 2\), patients by doses.*{got}"):
        simulate(TWICE, factors=factors)


@pytest.mark.parametrize("seed", [-1, 1.5, "one", True])
def test_a_seed_that_is_no_whole_number_from_0_is_refused(seed: Any):
    with pytest.raises(InvalidInputError, match="'seed' must be"):
        simulate(INFUSION, seed=seed)


@pytest.mark.parametrize("patients", [0, -1, 2.5, []])
def test_a_number_of_patients_that_is_none_is_refused(patients: Any):
    with pytest.raises(InvalidInputError, match="'patients' must be"):
        simulate(INFUSION, patients=patients)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"belief.learning_rate_per_h": 3.0}, r"'belief.learning_rate_per_h' must be 0–2 1/h .*set composed"),
        ({"signalling.trkb_block_fraction": -0.1}, r"must be 0–1 .*Got -0.1. The set's value is 0"),
        ({"surge.adaptation_relative": 1.2}, r"'surge.adaptation_relative' must be 0–1"),
        ({"surge.glutamate_time_h": float("nan")}, r"must be .*Got nan"),
    ],
    ids=str,
)
def test_a_parameter_outside_its_range_is_refused(override: dict[str, float], message: str):
    with pytest.raises(InvalidInputError, match=message):
        load_parameters().with_overrides(override)


def test_an_unknown_parameter_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"'surge.adaptation'.*'surge.adaptation_relative'"):
        load_parameters().with_overrides({"surge.adaptation": 0.5})


@pytest.mark.parametrize("name", [one for one in SETS if not load_parameters(one).chain])
def test_a_set_that_ends_at_concentrations_is_refused_with_the_sets_that_do_not(name: str):
    message = rf"'{name}' ends at concentrations.*Sets with the whole chain: composed.*--concentrations"
    drug = load_parameters(name).drugs[0]
    with pytest.raises(InvalidInputError, match=message):
        simulate(INFUSION.replace("ketamine", drug), parameters=name)


def test_some_set_ends_at_concentrations_and_some_does_not():
    assert not load_parameters("kamp-2020").chain
    assert load_parameters("composed").chain


def test_too_large_a_result_is_refused_before_it_is_computed():
    with pytest.raises(InvalidInputError, match=r"fit into 8 GB.*Name fewer variables"):
        simulate(INFUSION, patients=1_000_000, days=365)


# --- what is returned ------------------------------------------------------------------------------


def test_by_default_a_run_goes_on_for_a_week_after_the_last_item_and_holds_everything():
    course = simulate(INFUSION)
    assert course.times_h[0] == 0.0
    assert course.times_h[-1] == pytest.approx(168.0 + 2.0 / 3.0)
    chain = {stem for stem, one in variables().items() if one.layer not in ("pk", "connectivity")}
    assert chain <= course.values.keys()
    assert {scale.variable for scale in scales().values()} <= course.values.keys()
    assert course.patients == ("typical",)
    assert all(values.shape == (1, len(course.times_h)) for values in course.values.values())


def test_default_days_are_those_of_a_run():
    from euthymia.dosing.notation import parse_regimen

    for text in (INFUSION, f"{TWICE}; CBT 50 min at 20 d"):
        assert default_days(parse_regimen(text)) == pytest.approx(simulate(text).times_h[-1] / 24.0)


def test_variables_come_in_the_order_asked_for_each_once():
    asked = ["madrs_points", "ketamine_arterial", "madrs_points", "severity_fraction"]
    course = simulate(INFUSION, variables=asked, times_h=[0.0, 1.0])
    assert sorted(course.values) == sorted(set(asked))


def test_times_asked_for_are_the_times_returned():
    times = [0.0, 0.1, 3.0, 33.3]
    assert simulate(INFUSION, times_h=times).times_h.tolist() == times


def test_a_run_begins_with_what_comes_before_time_0():
    course = simulate("escitalopram 10 mg po, daily x 10 from -10 d; " + INFUSION, days=1)
    assert course.times_h[0] == -240.0
    assert course["sert_occupancy_fraction"][0, 0] == pytest.approx(0.8, abs=1e-12)


def test_scores_are_what_is_latent_on_their_scales():
    course = simulate(INFUSION, patients=5, days=2)
    for scale in scales().values():
        right = np.interp(course[scale.latent], scale.map.latent_fraction, scale.map.points)
        np.testing.assert_allclose(course[scale.variable], right, rtol=1e-12, atol=1e-12, err_msg=scale.name)


def test_provenance_names_what_was_asked():
    chosen = load_parameters().with_overrides({"surge.adaptation_relative": 0.5})
    patient = Patient(weight_kg=80.0)
    course = simulate(
        INFUSION,
        patients=3,
        patient=patient,
        seed=7,
        parameters=chosen,
        setting="saline",
        times_h=[0.0, 24.0],
    )
    made = course.provenance
    assert made.seed == 7
    assert made.parameters == "composed"
    assert made.overrides == {"surge.adaptation_relative": 0.5}
    assert made.weight_kg == (80.0, 80.0)
    assert "setting saline" in made.covariates
    assert "numpy" in made.engine
    assert "Ebert1997" in made.sources
    assert course.patients == ("1", "2", "3")


@pytest.mark.slow
def test_settings_differ_by_hope_alone():
    courses = {
        name: simulate(INFUSION, setting=name, times_h=[0.0, 24.0]) for name in ("open", "saline", "none")
    }
    hope = {name: one["expectancy_fraction"][0, 1] for name, one in courses.items()}
    assert hope["open"] > hope["saline"] > hope["none"] == 0.0
    drug = {one["ampa_potentiation_fraction"][0, 1] for one in courses.values()}
    assert max(drug) - min(drug) <= 1e-5  # visits make grid points, and the grid leaves up to 1e-4


def test_what_has_no_effect_is_warned_of(monkeypatch: pytest.MonkeyPatch):
    said = "CBT has no effect in this version: it changes nothing here."
    monkeypatch.setattr(public, "inert_of", lambda plan: (said,))
    with pytest.warns(ResultWarning, match="CBT has no effect"):
        course = simulate("CBT 60 min", times_h=[0.0, 24.0])
    assert said in course.warnings


def test_midazolam_acts_and_what_is_weak_about_it_is_said():
    course = simulate("midazolam 2 mg iv over 40 min", times_h=[0.0, 0.5, 24.0])
    assert any(note.startswith("Midazolam: ") for note in course.warnings)
    site, drowsiness = course["midazolam_site"][0], course["drowsiness_fraction"][0]
    assert site[0] == 0.0 < site[1]
    assert 0.2 < drowsiness[1] < 0.8
    gain = course["circuit_gain_relative"][0]
    assert gain[0] == pytest.approx(1.0, rel=1e-12)
    assert 0.8 < gain[1] < 0.99
    assert np.all(course["dissociation_fraction"] == 0.0)


@pytest.mark.slow
def test_ect_lowers_severity_for_weeks():
    course = simulate("ECT, twice weekly x 6", days=40, times_h=[0.0, 480.0, 960.0], setting="none")
    madrs = course["madrs_points"][0]
    assert madrs[1] < madrs[0] - 5.0
    assert course["ect_effect_fraction"][0, 1] > course["ect_effect_fraction"][0, 2] > 0.0


def test_under_anaesthesia_nobody_dissociates_and_nobody_answers():
    course = simulate(INFUSION, setting="anaesthesia", times_h=[0.0, 0.6, 24.0])
    awake = simulate(INFUSION, setting="open", times_h=[0.0, 0.6, 24.0])
    assert course["cadss_points"][0, 1] == 0.0 < awake["cadss_points"][0, 1]
    assert course["moaas_points"][0, 1] < 0.01 < awake["moaas_points"][0, 1]
    assert course["moaas_points"][0, 2] == pytest.approx(5.0, abs=1e-6)


# --- what is taken already ---------------------------------------------------------------------------


def on(text: str, days: float, regimen: str | None = None) -> Any:
    """Return the course of somebody who has taken an antidepressant for months."""
    return simulate(regimen, days=days, life=Life(taken=(Taken.create(text),)), setting="none")


def test_who_is_on_an_antidepressant_already_stays_as_they_are():
    course = on("escitalopram 10 mg", 90.0)
    for name in ("madrs_points", "bdnf_relative", "prefrontal_synapses_fraction", "negative_belief_fraction"):
        np.testing.assert_allclose(course[name], course[name][0, 0], rtol=1e-9, atol=0, err_msg=name)
    np.testing.assert_allclose(course["sert_occupancy_fraction"], 0.8, rtol=1e-12, atol=0)
    assert course["madrs_points"][0, 0] == pytest.approx(33.0, rel=1e-12)
    assert "already on escitalopram 10 mg" in course.provenance.covariates


def test_stopping_an_antidepressant_lets_severity_rise_slowly():
    course = on("escitalopram 10 mg until day 14", 90.0)
    madrs = course["madrs_points"][0]
    days = course.times_h / 24.0
    np.testing.assert_allclose(madrs[days <= 14.0], madrs[0], rtol=1e-9, atol=0)
    after = madrs[days >= 14.0]
    assert np.all(np.diff(after) > -1e-9)
    risen = {day: np.interp(day, days, madrs) - madrs[0] for day in (15.0, 28.0, 90.0)}
    assert risen[15.0] < 0.2
    assert 0.3 < risen[28.0] < 0.75 * risen[90.0]
    assert 1.0 < risen[90.0] < 8.0


def test_a_dose_outside_the_range_of_the_set_is_warned_of():
    with pytest.warns(ResultWarning, match="lies outside"):
        simulate("ketamine 8 mg/kg im", times_h=[0.0, 1.0])


# --- a solve that fails ----------------------------------------------------------------------------


def broken(monkeypatch: pytest.MonkeyPatch, name: str, values: Any) -> None:
    """Let a parameter of the chain be something that no row allows."""
    real = module.chain_values

    def changed(*arguments: Any, **more: Any) -> dict[str, Any]:
        return real(*arguments, **more) | {name: values}

    monkeypatch.setattr(module, "chain_values", changed)


def test_a_failed_solve_names_patient_time_state_and_term(monkeypatch: pytest.MonkeyPatch):
    times = np.full(4, 60.0)
    times[2] = np.nan
    broken(monkeypatch, "signalling.ampa_time_h", times)
    with pytest.raises(RunFailedError) as caught:
        simulate(INFUSION, patients=4, days=2)
    message = str(caught.value)
    assert message.startswith("The solve of patient 3 failed after ")
    assert " h: " in message
    assert "ampa_fraction is not finite, first at the term " in message
    assert message.endswith("A parameter far outside its usual size is the usual cause.")


def test_a_failed_solve_of_the_typical_patient_says_so(monkeypatch: pytest.MonkeyPatch):
    broken(monkeypatch, "severity.severity_time_h", np.asarray(float("nan")))
    with pytest.raises(RunFailedError, match=r"patient typical failed after 0 h: severity.severity_fraction"):
        simulate(INFUSION, days=1)


def test_the_patient_who_fails_is_named_by_number_in_a_later_chunk(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "PATIENTS_PER_CHUNK", 2)
    real = module.chain_values

    def changed(*arguments: Any, numbers: Any, **more: Any) -> dict[str, Any]:
        found = real(*arguments, numbers=numbers, **more)
        return found | {"severity.severity_time_h": np.where(numbers == 5, np.nan, 0.75)}

    monkeypatch.setattr(module, "chain_values", changed)
    with pytest.raises(RunFailedError, match="patient 5 failed"):
        simulate(INFUSION, patients=6, days=1)


def test_one_failure_leaves_the_next_run_as_it_was(monkeypatch: pytest.MonkeyPatch):
    before = simulate(INFUSION, times_h=[0.0, 24.0], variables=["madrs_points"])
    with monkeypatch.context() as patched:
        broken(patched, "severity.severity_time_h", np.asarray(float("nan")))
        with pytest.raises(RunFailedError):
            simulate(INFUSION, days=1)
    after = simulate(INFUSION, times_h=[0.0, 24.0], variables=["madrs_points"])
    assert after["madrs_points"].tobytes() == before["madrs_points"].tobytes()
