"""Rivals on a regimen: experiments, the drug that is swapped, the band, and facts by each mechanism."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from euthymia import simulate
from euthymia.dosing.drug import find_drug
from euthymia.dosing.notation import parse_regimen, print_regimen
from euthymia.errors import InvalidInputError, RunFailedError
from euthymia.evidence import fact_courses
from euthymia.evidence.fact_compare import NOT_REPRODUCED, REPRODUCED, FactComparison, compare_facts
from euthymia.evidence.fact_records import STATISTICS, FactRow
from euthymia.model.mechanisms import mechanisms, with_mechanisms
from euthymia.model.parameters import load_parameters
from euthymia.population import rival_facts
from euthymia.population import rivals as rivals_module
from euthymia.population.rival_facts import (
    DIRECTIONS,
    RivalFact,
    compare_rival_facts,
    not_separated,
    typical_facts,
)
from euthymia.population.rivals import (
    READ_DAYS,
    Rival,
    arrange,
    compare_mechanisms,
    ensemble_of,
    experiments,
    naming,
    with_drug,
)
from euthymia.tables import read_table

INFUSION = "ketamine 0.5 mg/kg iv over 40 min"
TWO = ("direct", "expectancy_only")


def rows_of(*row_ids: str) -> tuple[FactRow, ...]:
    return tuple(row for row in typical_facts() if row.row_id in row_ids)


# --- experiments -------------------------------------------------------------------------------


def test_experiments_change_what_the_model_has_and_the_first_changes_nothing():
    first, *others = experiments()
    assert (first.factor, first.drug, first.setting, dict(first.overrides)) == (1.0, None, "none", {})
    chain = load_parameters().chain
    settings = {row["name"] for row in read_table("settings.csv")}
    for one in others:
        assert (one.factor, one.drug, one.setting, dict(one.overrides)) != (1.0, None, "none", {})
        assert one.factor > 0
        assert one.drug is None or find_drug(one.drug).is_ketamine
        assert set(one.overrides) <= set(chain)
        assert one.setting in settings
    assert len({one.id for one in experiments()}) == len(experiments())


@pytest.mark.parametrize(
    ("given", "swapped"),
    [
        (INFUSION, "esketamine 0.5 mg/kg iv over 40 min"),
        (
            "ketamine 0.5 mg/kg iv over 40 min, weekly x 3; mindfulness 50 min at 24 h after each dose",
            "esketamine 0.5 mg/kg iv over 40 min, weekly x 3; mindfulness 50 min at 24 h after each dose",
        ),
        (
            "midazolam 2 mg im; arketamine 40 mg im at 24 h; escitalopram 10 mg po, daily x 7",
            "midazolam 2 mg im; esketamine 40 mg im at 24 h; escitalopram 10 mg po, daily x 7",
        ),
        (
            "ketamine 0.5 mg/kg (hcl) iv over 40 min paused 10-15 min stopped at 30 min",
            "esketamine 0.5 mg/kg (hcl) iv over 40 min paused 10-15 min stopped at 30 min",
        ),
    ],
)
def test_every_ketamine_and_nothing_else_is_swapped(given: str, swapped: str):
    assert with_drug(parse_regimen(given), "esketamine") == parse_regimen(swapped)


def test_an_infusion_in_steps_keeps_its_steps():
    plan = parse_regimen("ketamine 0.3 mg/kg/h for 20 min then 0.6 mg/kg/h for 40 min iv")
    other = with_drug(plan, "arketamine")
    assert print_regimen(other) == print_regimen(plan).replace("ketamine", "arketamine")


def test_an_order_that_the_other_drug_does_not_allow_is_refused():
    with pytest.raises(InvalidInputError, match="'amount_unit' of esketamine intranasal must be 'mg'"):
        with_drug(parse_regimen("ketamine 0.5 mg/kg intranasal"), "esketamine")


@pytest.mark.parametrize(
    ("regimen", "name", "experiment", "reason"),
    [
        ("esketamine 84 mg intranasal", "composed", "esketamine", "gives esketamine already"),
        ("esketamine 0.4 mg/kg iv over 40 min", "simons-2022", "arketamine", "covers esketamine by"),
        ("ketamine 0.5 mg/kg intranasal", "composed", "esketamine", "must be 'mg'"),
    ],
)
def test_experiments_that_a_regimen_does_not_allow_are_left_out_with_the_reason(
    regimen: str, name: str, experiment: str, reason: str
):
    plans, left_out = arrange(parse_regimen(regimen), load_parameters(name))
    assert reason in left_out[experiment]
    assert experiment not in plans
    assert {*plans, *left_out} == {one.id for one in experiments()}
    assert plans[experiments()[0].id] == parse_regimen(regimen)


# --- predictions and the band ------------------------------------------------------------------


@pytest.fixture(scope="module")
def found() -> tuple[Rival, ...]:
    """Return two mechanisms on two experiments."""
    two = tuple(one for one in experiments() if one.id in ("as_given", "esketamine"))
    asked: list[tuple[int, int]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rivals_module, "experiments", lambda: two)
        plan, parameters = parse_regimen(INFUSION), load_parameters()
        compared = compare_mechanisms(
            plan, parameters=parameters, names=TWO, on_done=lambda done, total: asked.append((done, total))
        )
    assert asked == [(0, 4), (1, 4), (2, 4), (3, 4)]
    return compared


def test_a_swapped_drug_predicts_what_its_own_regimen_does(found: tuple[Rival, ...]):
    course = simulate(
        "esketamine 0.5 mg/kg iv over 40 min",
        parameters=with_mechanisms(load_parameters(), ["direct"]),
        days=28,
        times_h=[0.0, *(day * 24.0 for day in READ_DAYS)],
        setting="none",
        variables=["madrs_points"],
    )
    points = course["madrs_points"][0]
    # the one is read off dense times, linear between them; the other at the times themselves
    np.testing.assert_allclose(
        found[0].change_points["esketamine"], points[1:] - points[0], rtol=0, atol=0.02
    )
    assert found[0].change_points["esketamine"] != found[0].change_points["as_given"]


def test_the_band_holds_every_mechanism_and_touches_one_at_each_time(found: tuple[Rival, ...]):
    band = ensemble_of(found)
    direct, hope = (one.course["madrs_points"][0] for one in found)
    np.testing.assert_array_equal(band.points["lowest"], np.minimum(direct, hope))
    np.testing.assert_array_equal(band.points["highest"], np.maximum(direct, hope))
    np.testing.assert_allclose(band.points["median"], 0.5 * (direct + hope), rtol=1e-12)
    assert band.times_h.shape == band.points["median"].shape
    assert band.lowest_by == ("direct",) * len(READ_DAYS)
    assert band.highest_by == ("expectancy_only",) * len(READ_DAYS)


def test_the_median_is_of_the_mechanisms_and_not_their_mean(found: tuple[Rival, ...]):
    days = len(READ_DAYS)
    three = [replace(found[0], change_points={"as_given": (points,) * days}) for points in (-9.0, -1.0, -2.0)]
    changes = ensemble_of(three).change_points
    assert changes == {
        "lowest": (-9.0,) * days,
        "median": (-2.0,) * days,
        "highest": (-1.0,) * days,
    }


def test_mechanisms_with_one_course_are_named(found: tuple[Rival, ...]):
    assert ensemble_of(found).same_course == ()
    assert ensemble_of((*found, found[0])).same_course == (("direct", "direct"),)


def test_a_failed_run_names_its_mechanism():
    with pytest.raises(RunFailedError, match="Mechanism 'direct': no solution"), naming("direct"):
        raise RunFailedError("no solution")


def test_one_mechanism_is_no_ensemble(found: tuple[Rival, ...]):
    with pytest.raises(InvalidInputError, match=r"'mechanism' must be two or more\. Got direct"):
        ensemble_of(found[:1])
    with pytest.raises(InvalidInputError, match="two or more"):
        compare_rival_facts(parameters=load_parameters(), names=["direct"])


# --- facts -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def example() -> FactComparison:
    return compare_facts("mechanism", rows_of("Q005"))[0]


def fact_of(example: FactComparison, *hits: bool, statistic: str = "increases") -> RivalFact:
    verdicts = {True: REPRODUCED, False: NOT_REPRODUCED}
    return RivalFact(
        statistic=statistic,
        by_mechanism={
            name: replace(example, verdict=verdicts[hit])
            for name, hit in zip(mechanisms(), hits, strict=False)
        },
    )


def test_facts_are_the_comparable_ones_of_a_typical_patient():
    runs = [run for row in typical_facts() for run in row.runs]
    assert runs
    assert all(run.is_comparable and run.patients_count is None for run in runs)
    assert "Q031" not in {run.row_id for run in runs}, "a correlation over virtual patients"


def test_a_fact_separates_where_a_direction_is_reproduced_by_some_only(example: FactComparison):
    assert fact_of(example, True, False).is_separating
    assert not fact_of(example, True, True).is_separating
    assert not fact_of(example, False, False).is_separating
    by_size = fact_of(example, True, False, statistic="time_of_peak_h")
    assert (by_size.has_both, by_size.is_separating) == (True, False)


@pytest.mark.parametrize(
    ("hit", "miss", "is_separating"),
    [(1.06, 1.12, False), (1.0, 1.12, True), (0.97, 1.12, True), (0.97, 0.8, False), (1.0, None, True)],
)
def test_no_change_separates_those_that_stay_from_those_that_move(
    hit: float, miss: float | None, is_separating: bool, example: FactComparison
):
    two = fact_of(example, True, False, statistic="no_change")
    values = dict(zip(two.by_mechanism, (hit, miss), strict=True))
    told = {name: replace(one, simulated=values[name]) for name, one in two.by_mechanism.items()}
    assert replace(two, by_mechanism=told).is_separating == is_separating


@pytest.mark.parametrize(("kind", "is_direction"), [("direction", True), ("number", False)])
def test_a_contrast_is_a_direction_where_its_bounds_have_no_size(
    kind: str, is_direction: bool, example: FactComparison
):
    two = fact_of(example, True, False, statistic="contrast_at")
    told = {name: replace(one, kind=kind) for name, one in two.by_mechanism.items()}
    assert replace(two, by_mechanism=told).is_direction == is_direction


@pytest.mark.slow
@pytest.mark.parametrize(
    ("row_id", "part", "names", "reproduced_by"),
    [
        ("Q010", "a", ("disinhibition", "direct"), ("disinhibition",)),
        ("Q037", "a", ("disinhibition", "trkb_binding"), ("trkb_binding",)),
        ("Q038", "e", ("disinhibition", "mtor_bypassed"), ("disinhibition",)),
        ("Q040", "a", ("disinhibition", "mtor_bypassed"), ("mtor_bypassed",)),
        ("Q090", "a", ("disinhibition", "opioid"), ("opioid",)),
        ("Q096", "a", ("disinhibition", "habenula_trapping"), ("disinhibition",)),
    ],
)
def test_facts_about_blockers_separate_what_one_course_cannot(
    row_id: str, part: str, names: tuple[str, str], reproduced_by: tuple[str, ...]
):
    rows = [replace(row, runs=tuple(run for run in row.runs if run.part == part)) for row in rows_of(row_id)]
    (found,) = compare_rival_facts(rows, parameters=load_parameters(), names=names)
    assert found.is_separating
    assert found.reproduced_by == reproduced_by


def test_mechanisms_are_told_apart_by_directions_only(example: FactComparison):
    names = list(mechanisms())
    same = fact_of(example, True, True, False)
    by_size = fact_of(example, True, False, False, statistic="ratio_at")
    assert not_separated([same, by_size]) == ((names[0], names[1]),)
    assert not_separated([same, by_size, fact_of(example, True, False, False)]) == ()
    assert not_separated([]) == ()


@pytest.mark.slow
def test_each_mechanism_gets_its_own_values_and_each_scene_one_run(monkeypatch: pytest.MonkeyPatch):
    scenes, progress = [], []
    plain = fact_courses._simulated

    def counted(scene: fact_courses.Scene, *given):
        scenes.append(scene)
        return plain(scene, *given)

    monkeypatch.setattr(fact_courses, "_simulated", counted)
    rows, parameters = rows_of("Q005", "Q027", "Q038"), load_parameters()
    compared = compare_rival_facts(
        rows, parameters=parameters, names=TWO, on_done=lambda done, total: progress.append((done, total))
    )
    assert len(scenes) == 4, "with mTORC1 and without, by two mechanisms"
    assert progress == [(done, 4) for done in range(4)]
    assert [f"{one.stated.row_id}{one.stated.part}" for one in compared] == [
        *("Q005a", "Q005b", "Q027a", "Q038a", "Q038b", "Q038c", "Q038d", "Q038e")
    ]
    alone = compare_facts("mechanism", rows, parameters=with_mechanisms(parameters, ["direct"]))
    assert [one.by_mechanism["direct"] for one in compared] == list(alone)
    assert [one.is_direction for one in compared] == [False, False, *[True] * 6]
    ampa = compared[2]
    assert (ampa.reproduced_by, ampa.missed_by, ampa.is_separating) == (*((one,) for one in TWO), True)
    assert ampa.by_mechanism["expectancy_only"].simulated == 0.0


def test_mechanisms_with_the_same_numbers_are_simulated_once(monkeypatch: pytest.MonkeyPatch):
    scenes = []
    monkeypatch.setattr(rival_facts, "compare_facts", lambda *given, **_: scenes.append(given) or [None] * 2)
    names = ("disinhibition", "mtor_required", "direct")
    found = compare_rival_facts(rows_of("Q005"), parameters=load_parameters(), names=names)
    assert len(scenes) == 2
    assert all(tuple(one.by_mechanism) == names for one in found)


def test_directions_are_statistics_of_the_vocabulary_and_not_all_of_them():
    assert set(DIRECTIONS) < set(STATISTICS)
    runs = {run.statistic for row in typical_facts() for run in row.runs}
    assert set(DIRECTIONS) <= runs
    assert runs - set(DIRECTIONS), "some facts are decided by sizes"
