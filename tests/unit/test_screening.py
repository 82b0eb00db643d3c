"""Who is enrolled by an entry rule, and what falls afterwards without any cause."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from euthymia import simulate
from euthymia.errors import InvalidInputError, UnknownNameError
from euthymia.model.parameters import load_parameters
from euthymia.model.scales import find_scale
from euthymia.model.trajectory import Trajectory
from euthymia.population import screening
from euthymia.population.baseline import expect_rating
from euthymia.population.patient import Patient
from euthymia.population.screening import Entry, numbers_of_enrolled, ratings_before
from euthymia.population.summary import totals

RULE = Entry(at_least_points=34)
MONTHS_H = [0.0, 24.0, 28 * 24.0]


def enrolled(count: int, entry: Entry | None = RULE, regimen: str | None = None, **more: Any) -> Trajectory:
    asked: dict[str, Any] = {"times_h": MONTHS_H, "days": 28, "variables": ["severity_fraction"], "seed": 4}
    return simulate(regimen, patients=count, entry=entry, **(asked | more))


def rated(course: Trajectory, days: list[float], scale: str = "MADRS") -> np.ndarray:
    """Return totals before treatment and on some days, (P, 1 + days)."""
    return totals(course, scale, days, parameters=load_parameters())


@pytest.mark.parametrize(
    "entry", [RULE, Entry(at_least_points=20), Entry(at_least_points=24, scale="HAM-D17")], ids=str
)
def test_everybody_enrolled_meets_the_rule_as_raters_see_it_at_the_start(entry: Entry):
    course = enrolled(60, entry)
    assert len(course.patients) == 60
    assert rated(course, [1.0], entry.scale)[:, 0].min() >= entry.at_least_points


def test_the_start_is_that_of_the_run_also_before_time_0():
    course = simulate(
        "escitalopram 10 mg, daily x 3 from -10 d",
        patients=40,
        entry=RULE,
        days=1,
        times_h=[-240.0, 0.0],
        variables=["severity_fraction"],
    )
    assert course.times_h[0] == -240.0
    assert rated(course, [0.0])[:, 0].min() >= RULE.at_least_points


@pytest.mark.slow
def test_who_does_not_meet_the_rule_is_left_out_and_nobody_else():
    course, everyone = enrolled(30), enrolled(int(enrolled(30).numbers[-1]), None)
    at_start = rated(everyone, [1.0])[:, 0]
    assert course.numbers.tolist() == everyone.numbers[at_start >= RULE.at_least_points].tolist()
    chosen = course.numbers - 1
    assert len(chosen) < len(everyone.patients)
    for name, values in course.values.items():
        assert values.tobytes() == everyone.values[name][chosen].tobytes(), name


@pytest.mark.slow
def test_who_is_enrolled_does_not_depend_on_how_many_are():
    few, many = enrolled(10), enrolled(100)
    assert few.patients == many.patients[:10]
    assert few["severity_fraction"].tobytes() == many["severity_fraction"][:10].tobytes()
    assert rated(few, [1.0, 28.0]).tobytes() == rated(many, [1.0, 28.0])[:10].tobytes()


@pytest.mark.slow
def test_another_seed_enrols_others():
    assert enrolled(20).patients != enrolled(20, seed=5).patients


def test_a_stricter_rule_enrols_some_of_the_same():
    person, parameters = Patient(), load_parameters()
    lenient, strict = (
        set(
            numbers_of_enrolled(
                Entry(at_least_points=points), parameters, person, count, seed=4, start_h=0.0
            ).tolist()
        )
        for points, count in ((20.0, 200), (38.0, 5))
    )
    assert strict < lenient


@pytest.mark.slow
def test_untreated_patients_who_were_chosen_fall_back_and_unchosen_ones_do_not():
    """Regression to the mean: the rater's error and a bad week of the day of entry both pass."""
    count = 400
    changes = {}
    for entry in (RULE, None):
        course = enrolled(count, entry)
        before, after = rated(course, [28.0]).T
        changes[entry] = after - before
    chosen, unchosen = changes[RULE], changes[None]
    error = float(unchosen.std() / np.sqrt(count))
    assert chosen.mean() < -2.0
    assert chosen.mean() < -5 * chosen.std() / np.sqrt(count)
    # the map from logit to severity is curved, and swings at the start are drawn as those at the end
    assert abs(unchosen.mean()) < 5 * error


@pytest.mark.parametrize("points", [61.0, 60.0])
def test_a_rule_that_nobody_meets_is_refused(points: float):
    with pytest.raises(
        InvalidInputError, match=r"'entry' must be a rule that 2 of 400 virtual patients meet"
    ):
        enrolled(2, Entry(at_least_points=points))


def test_who_is_chosen_by_ideation_meets_the_rule_as_raters_see_it_at_the_start():
    """The total of a run at its start is the one that was screened, bit for bit."""
    rule = Entry(at_least_points=4, scale="SSI", also=(Entry(at_least_points=30),))
    course = enrolled(80, rule, variables=["severity_fraction", "suicidal_ideation_fraction"])
    for scale, least in (("SSI", 4), ("MADRS", 30)):
        seen = rated(course, [1.0], scale)[:, 0]
        known = {"numbers": course.numbers, "seed": 4}
        (screened,) = ratings_before(load_parameters(), [scale], [0.0], **known)
        assert seen.min() >= least
        assert seen.tobytes() == screened.tobytes()


def test_ideation_before_treatment_is_that_of_the_start_of_a_run_to_the_bit():
    """Not the rated points alone, which hide a small difference."""
    parameters, numbers = load_parameters(), np.arange(1, 200)
    course = simulate(
        None,
        patients=199,
        days=1,
        times_h=[0.0],
        variables=["severity_fraction", "suicidal_ideation_fraction"],
        seed=4,
    )
    values = screening._rated_values(parameters, None, numbers, 4)  # pyright: ignore[reportPrivateUsage]
    usual = values["severity.episode_severity_fraction"][:, None]
    found = screening._latent(find_scale("SSI"), course["severity_fraction"], usual, values)  # pyright: ignore[reportPrivateUsage]
    assert found.tobytes() == course["suicidal_ideation_fraction"].tobytes()


def test_a_baseline_table_is_not_solved_with_a_rule_about_ideation():
    rule = Entry(at_least_points=4, scale="SSI")
    with pytest.raises(InvalidInputError, match=r"'entry' must be a scale of mood. Got SSI"):
        expect_rating(load_parameters(), "MADRS", rule)


def test_a_rule_of_no_scale_is_refused():
    with pytest.raises(UnknownNameError, match="Unknown scale 'MADSR'"):
        enrolled(2, Entry(at_least_points=4, scale="MADSR"))


@pytest.mark.parametrize("patients", [None, [Patient(), Patient(weight_kg=50.0)]], ids=["typical", "listed"])
def test_only_a_number_of_alike_virtual_patients_can_be_screened(patients: Any):
    with pytest.raises(InvalidInputError, match="'entry' must be used with a number of alike virtual"):
        simulate(None, patients=patients, entry=RULE, days=1)


def test_a_rule_says_what_it_is():
    assert str(RULE) == "MADRS of 34 or more at the start"
