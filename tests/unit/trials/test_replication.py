"""Rows of outcomes beside simulated trials: the table, each quantity by hand, verdicts."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from euthymia.errors import InvalidInputError
from euthymia.evidence.records import Role
from euthymia.evidence.studies import load_outcome_rows
from euthymia.population.patient import Patient
from euthymia.tables import Row, read_table
from euthymia.trials import replication
from euthymia.trials.design import Protocol
from euthymia.trials.fields import EVENTS
from euthymia.trials.protocols import load_protocol, protocol_names
from euthymia.trials.records import READINGS, Cohort, Sessions
from euthymia.trials.replication import (
    FEWEST_REPLICATES,
    ReplicationRun,
    compare,
    load_replication,
    observed_interval,
    observed_of,
    quantity_of,
    replication_row,
)
from euthymia.trials.replication_runs import (
    QUANTITIES,
    TABLE,
    protocol_problems,
    read_condition,
    read_replication,
    row_problems,
)

NAN = float("nan")
OUTCOMES = {row.row_id: row for row in load_outcome_rows()}
COMPARABLE = tuple(run for run in load_replication() if run.is_comparable)


def _run(row_id: str, part: str = "a") -> ReplicationRun:
    return next(run for run in load_replication() if (run.row_id, run.part) == (row_id, part))


# the table -------------------------------------------------------------------------------------------------


def test_every_published_outcome_is_in_the_table_and_nothing_else():
    assert {run.row_id for run in load_replication()} == set(OUTCOMES)
    assert len(OUTCOMES) == 371


def test_the_table_holds_no_printed_number():
    """Its numbers are days, cut-offs and doses: no column for a value, and no value in a note."""
    header = next(row for row in csv.reader(_text_without_comments()) if row)
    assert not {"value", "mean", "sd", "contrast", "low", "high", "p", "response_percent"} & set(header)
    for run in COMPARABLE:
        number = observed_of(run, OUTCOMES[run.row_id])
        if math.isfinite(number) and "." in f"{number * 100:g}":
            assert f"{number:g}" not in run.note, run


def _text_without_comments() -> list[str]:
    path = files("euthymia").joinpath("data", *TABLE.split("/"))
    return [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]


def test_what_is_not_compared_says_why_and_copies_point_at_an_original():
    originals = {run.row_id for run in load_replication() if not run.same_as}
    for run in load_replication():
        if not run.is_comparable:
            assert len(run.reason) > 10
        if run.same_as:
            assert run.same_as in originals


def test_a_copy_repeats_the_number_of_its_original():
    """Rows of courses and of controls that repeat a row of a trial are counted once."""
    copies = {(run.row_id, run.same_as) for run in load_replication() if run.same_as}
    checked = 0
    for row_id, original in copies:
        one, other = OUTCOMES[row_id], OUTCOMES[original]
        pairs = [
            (one.estimate.value, other.estimate.value),
            (one.response_percent, other.response_percent),
            (one.remission_percent, other.remission_percent),
        ]
        known = [(a, b) for a, b in pairs if a is not None and b is not None]
        # one table counts improvement as positive
        assert all(abs(a) == pytest.approx(abs(b), abs=0.5) for a, b in known), (row_id, original)
        checked += bool(known)
    assert checked >= 45


@pytest.mark.parametrize("run", COMPARABLE, ids=lambda run: f"{run.row_id}{run.part}")
def test_each_comparable_row_finds_its_arms_visits_and_scales(run: ReplicationRun):
    assert set(run.protocols) <= set(protocol_names())
    assert list(protocol_problems(run, [load_protocol(name) for name in run.protocols])) == []


def test_each_comparable_row_has_a_printed_number_or_a_direction():
    for run in COMPARABLE:
        if not run.is_direction:
            assert math.isfinite(observed_of(run, OUTCOMES[run.row_id])), run.label


def test_contrasts_are_read_in_the_unit_that_the_row_prints():
    kinds = {
        "contrast_share": "percentage points",
        "contrast_change": "difference",
        "hazard_ratio": "hazard ratio",
    }
    for run in COMPARABLE:
        if run.observed == "contrast":
            kind = OUTCOMES[run.row_id].contrast_kind
            assert kind.startswith(kinds[run.quantity]), run.row_id
            if run.quantity == "contrast_share":
                assert ("remission" in kind) == (run.at_most is not None), run.row_id


def test_times_are_those_of_the_rows_unless_a_note_says_otherwise():
    followed = {"median_days", "hazard_ratio", "relapse_share", "well_share"}
    for run in COMPARABLE:
        row = OUTCOMES[run.row_id]
        if row.time_h is not None and row.t0 == "start of treatment" and run.quantity not in followed:
            assert run.note or abs(row.time_h - run.last_h) < 0.1, run.row_id


def test_another_scale_than_the_row_s_is_said_in_a_note():
    for run in COMPARABLE:
        scale = OUTCOMES[run.row_id].scale
        if scale and run.scale != scale and scale != "QIDS-SR":
            assert "stands for" in run.note, run.row_id


def test_a_trial_has_at_most_one_primary_contrast_and_most_with_a_contrast_have_one():
    primary = [run for run in COMPARABLE if run.is_primary_contrast]
    assert len({OUTCOMES[run.row_id].study for run in primary}) == len(primary) == 17
    assert all(run.observed in ("contrast", "value") and run.reference for run in primary)


def test_every_protocol_but_none_is_held_against_some_row():
    assert {name for run in COMPARABLE for name in run.protocols} == set(protocol_names())


def test_every_quantity_of_the_vocabulary_is_used():
    assert {run.quantity for run in COMPARABLE} == set(QUANTITIES)


GOOD: Row = next(row for row in read_table(TABLE) if row["row_id"] == "T0103" and row["part"] == "a")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"comparable": "perhaps"}, "comparable must be yes or no"),
        ({"quantity": "mean"}, "quantity must be one of mean_change"),
        ({"reference": ""}, "reference must be given for contrast_change"),
        ({"observed": "number"}, "observed must be one of value, sd"),
        ({"imputation": "guess"}, "imputation must be one of observed"),
        ({"analysis": "anova"}, "analysis must be one of raw"),
        ({"rule": "MADRS 23"}, "rule must be one of"),
        ({"time": "soon"}, "must be a time"),
        ({"scale": "MADRSS"}, "MADRS"),
        ({"among": "the happy few"}, "'among' must be such as"),
        ({"among": "height_cm < 170"}, "Unknown covariate"),
        ({"quantity": "contrast_share"}, "fraction or at_most must be given"),
        ({"comparable": "no"}, "needs a reason"),
        ({"comparable": "no", "reason": "why"}, "has no quantity"),
    ],
)
def test_a_wrong_row_names_the_row_the_column_and_what_is_allowed(changes: dict[str, str], message: str):
    (problem, *_) = row_problems(GOOD | changes)
    assert problem.startswith("T0103a: ")
    assert message in problem
    with pytest.raises(InvalidInputError, match="T0103a"):
        read_replication([GOOD | changes])


def test_a_copy_of_a_copy_and_a_row_given_twice_are_refused():
    no = (
        GOOD | dict.fromkeys(("quantity", "observed"), "") | {"comparable": "no", "is_primary_contrast": "no"}
    )
    copy, again = no | {"row_id": "A", "reason": "same as B"}, no | {"row_id": "B", "reason": "same as A"}
    with pytest.raises(InvalidInputError, match="B must be another row"):
        read_replication([copy, again])
    with pytest.raises(InvalidInputError, match="T0103a stands twice"):
        read_replication([GOOD, GOOD])


def test_conditions_are_read():
    one = read_condition("no QIDS-SR16 <= 20 at day 0, week 1")
    assert (one.kind, one.is_met, one.field, one.comparison) == ("points", False, "QIDS-SR16", "<=")
    assert one.times_h == (0.0, 168.0)
    assert read_condition("sex == female").threshold == "female"
    assert read_condition("analysed").kind == "analysed"


# quantities, by hand ---------------------------------------------------------------------------------------

PARALLEL: dict[str, Any] = {
    "id": "by-hand",
    "title": "Two arms by hand",
    "arms": {
        "drug": {"n": 4, "regimen": "esketamine 56 mg in at day 0, 3"},
        "other": {"n": 1, "regimen": "esketamine 28 mg in at day 0, 3"},
        "control": {"n": 3, "regimen": "placebo in at day 0, 3", "is_control": True},
    },
    "visits": [{"at": "day 0"}, {"at": "day 1"}, {"at": "day 7"}, {"at": "day 14"}],
    "endpoints": {"day-14": {"kind": "change", "at": "day 14"}},
}
ARM = (0, 0, 0, 0, 2, 2, 2)
SCORES = [
    [40.0, 20.0, 10.0, 30.0],
    [30.0, 30.0, 12.0, 12.0],
    [20.0, 15.0, NAN, NAN],
    [36.0, 18.0, 24.0, 9.0],
    [32.0, 32.0, 30.0, 28.0],
    [28.0, 20.0, 14.0, NAN],
    [24.0, 24.0, 24.0, 24.0],
]
"""MADRS on days 0, 1, 7 and 14."""


def _cohort(
    scores: Sequence[Sequence[float]] = SCORES,
    arm: Sequence[int] = ARM,
    content: Mapping[str, Any] = PARALLEL,
    *,
    people: Sequence[Patient] | None = None,
    analysed: Sequence[bool] | None = None,
    left_h: Sequence[float] | None = None,
    given_mg: Sequence[Sequence[float]] | None = None,
) -> Cohort:
    protocol = Protocol.model_validate(dict(content))
    totals, count = np.array(scores, float), len(arm)
    turns = 1 if protocol.crossover is None else len(protocol.crossover.sequences[0])
    period = 0.0 if protocol.crossover is None else protocol.crossover.period
    given = np.zeros((count, 2)) if given_mg is None else np.array(given_mg, float)
    return Cohort(
        protocol=protocol,
        replicate=0,
        number=np.arange(1, count + 1),
        key=np.arange(1, count + 1),
        arm=np.array(arm, dtype=np.int64),
        stratum=np.zeros(count, dtype=np.int64),
        people=tuple(people or [Patient.create()] * count),
        screened=count,
        visits_h=np.concatenate([np.array(protocol.visits_h) + turn * period for turn in range(turns)]),
        actual_h=np.zeros_like(totals),
        scores={"MADRS": totals},
        unmasked={"MADRS": totals},
        left_h=np.full(count, np.inf) if left_h is None else np.array(left_h, float),
        reason=("completed",) * count,
        is_analysed=np.ones(count, dtype=bool) if analysed is None else np.array(analysed),
        sessions=Sessions(
            start_h=np.tile([0.0, 72.0], (count, 1)),
            planned_mg=given,
            given_mg=given,
            was_switched=np.zeros(given.shape, dtype=bool),
            was_held=np.zeros(given.shape, dtype=bool),
            was_missed=np.zeros(given.shape, dtype=bool),
            readings=dict.fromkeys(READINGS, np.zeros((*given.shape, 1))),
            minutes=np.zeros(1),
            events=dict.fromkeys(EVENTS, np.zeros(given.shape, dtype=bool)),
        ),
    )


def _value(
    quantity: str, time: str, cohort: Cohort | Sequence[Cohort] | None = None, **columns: str
) -> float:
    """Return a quantity of the cohort by hand; columns as in the table."""
    row = dict.fromkeys(GOOD, "") | {
        "row_id": "X",
        "part": "a",
        "protocol": "by-hand",
        "comparable": "yes",
        "is_primary_contrast": "no",
        "quantity": quantity,
        "observed": "value",
        "arm": "drug",
        "scale": "MADRS",
        "time": time,
    }
    (run,) = read_replication([row | columns])
    return quantity_of(_cohort() if cohort is None else cohort, run)


def test_mean_and_sd_of_change_by_each_imputation():
    assert _value("mean_change", "day 14") == pytest.approx((-10 - 18 - 27) / 3)
    assert _value("mean_change", "day 14", imputation="locf") == pytest.approx((-10 - 18 - 5 - 27) / 4)
    assert _value("mean_change", "day 14", imputation="bocf") == pytest.approx((-10 - 18 + 0 - 27) / 4)
    assert _value("sd_change", "day 14") == pytest.approx(np.std([-10, -18, -27], ddof=1))
    assert _value("mean_score", "day 14") == pytest.approx((30 + 12 + 9) / 3)
    assert _value("sd_score", "day 14") == pytest.approx(np.std([30, 12, 9], ddof=1))
    assert _value("mean_score", "day 0") == pytest.approx((40 + 30 + 20 + 36) / 4)


def test_change_counts_from_the_visit_that_is_named():
    assert _value("mean_change", "day 14", since="day 7") == pytest.approx((20 + 0 - 15) / 3)


def test_raw_contrast_and_standardised_difference():
    ours, theirs = np.array([-20.0, 0.0, -5.0, -18.0]), np.array([0.0, -8.0, 0.0])
    expected = ours.mean() - theirs.mean()
    assert _value("contrast_change", "day 1", reference="control") == pytest.approx(expected)
    pooled = math.sqrt((3 * ours.var(ddof=1) + 2 * theirs.var(ddof=1)) / 5)
    assert _value("standardised_difference", "day 1", reference="control") == pytest.approx(
        -expected / pooled
    )


def test_adjusted_contrast_is_the_coefficient_of_least_squares():
    before, change = np.array([40, 30, 20, 36, 32, 28, 24.0]), np.array([-20, 0, -5, -18, 0, -8, 0.0])
    is_ours = np.array([1, 1, 1, 1, 0, 0, 0.0])
    design = np.column_stack([np.ones(7), is_ours, before - before.mean()])
    coefficients = np.linalg.lstsq(design, change, rcond=None)[0]
    found = _value("contrast_change", "day 1", reference="control", analysis="ancova")
    assert found == pytest.approx(coefficients[1])
    adjusted = _value("mean_change", "day 1", analysis="ancova")
    assert adjusted == pytest.approx(coefficients[0] + coefficients[1])


def test_mixed_model_without_missing_ratings_equals_analysis_of_covariance():
    """With complete data and a slope of the baseline at each visit both give the same contrast."""
    rng = np.random.default_rng(4)
    before = rng.normal(34.0, 5.0, (40, 1))
    after = before - 8.0 + rng.normal(0.0, 6.0, (40, 3)) + rng.normal(0.0, 4.0, (40, 1))
    cohort = _cohort(np.hstack([before, after]).tolist(), [0, 2] * 20)
    one, other = (
        _value("contrast_change", "day 14", cohort, reference="control", analysis=analysis)
        for analysis in ("mmrm", "ancova")
    )
    assert one == pytest.approx(other, rel=1e-6)


def test_shares_by_the_row_s_own_rule_and_imputation():
    half = {"fraction": "0.5"}
    assert _value("response_share", "day 14", **half) == pytest.approx(2 / 3)
    assert _value("response_share", "day 14", imputation="failure", **half) == pytest.approx(2 / 4)
    assert _value("response_share", "day 14", fraction="0.25") == pytest.approx(3 / 3)
    assert _value("remission_share", "day 14", at_most="9") == pytest.approx(1 / 3)
    assert _value("response_share", "day 14", at_most="10", **half) == pytest.approx(1 / 3)
    assert _value("contrast_share", "day 7", reference="control", **half) == pytest.approx(2 / 3 - 1 / 3)


def test_responses_at_several_visits_count_at_all_some_or_none_of_them():
    visits, half = "day 1, day 7, day 14", {"fraction": "0.5"}
    # at day 1: 40>20, 36>18; at day 7: 40>10, 30>12; at day 14: 30>12, 36>9
    assert _value("response_share", visits, count="1", **half) == pytest.approx(3 / 3)
    assert _value("response_share", visits, count="2", **half) == pytest.approx(3 / 3)
    assert _value("response_share", visits, **half) == pytest.approx(0 / 3)
    assert _value("response_share", visits, count="0", **half) == pytest.approx(0 / 3)
    assert _value("response_share", "day 1", count="0", **half) == pytest.approx(2 / 4)


def test_conditional_shares_leave_out_whom_the_condition_does_not_know():
    half = {"fraction": "0.5"}
    given = _value("conditional_share", "day 14", among="response at day 1", **half)
    assert given == pytest.approx(1 / 2)
    assert _value("conditional_share", "day 14", among="no response at day 1", **half) == pytest.approx(1 / 1)
    late = _value("conditional_share", "day 1", among="MADRS <= 12 at day 14", **half)
    assert late == pytest.approx(1 / 2)
    none = _value("conditional_share", "day 1", among="no MADRS <= 12 at day 7, day 14", **half)
    assert none == pytest.approx(2 / 2)  # the third is not known; the second is at 12 both times


def test_subgroups_are_by_what_is_known_of_people():
    people = [
        Patient.create(sex=sex, age_years=age) for sex, age in (("female", 70), ("male", 80), ("male", 60))
    ]
    cohort = _cohort(people=[*people, Patient.create(), *people])
    assert _value("mean_change", "day 1", cohort, among="sex == male") == pytest.approx((0 - 5) / 2)
    assert _value("mean_change", "day 1", cohort, among="age_years < 75") == pytest.approx((-20 - 5) / 2)
    assert math.isnan(_value("mean_change", "day 1", cohort, among="age_years > 90"))


def test_only_those_analysed_count_where_the_row_says_so():
    cohort = _cohort(analysed=[True, False, False, True, True, True, True])
    assert _value("mean_change", "day 1", cohort, among="analysed") == pytest.approx((-20 - 18) / 2)
    assert _value("mean_change", "day 1", cohort) == pytest.approx((-20 + 0 - 5 - 18) / 4)


def test_relapse_counts_from_the_start_among_those_who_are_well():
    rule = {"rule": "MADRS 22 once", "since": "day 1", "among": "response at day 1"}
    # the first relapses on day 14 (30), the fourth on day 7 (24)
    assert _value("relapse_share", "day 7", **rule) == pytest.approx(1 / 2)
    assert _value("well_share", "day 14", **rule) == pytest.approx(0.0)
    assert _value("median_days", "day 14", **rule) == pytest.approx(6.0)
    well = rule | {"among": "MADRS <= 12 at day 7", "since": "day 7"}
    assert _value("well_share", "day 14", **well) == pytest.approx(1 / 2)
    assert math.isnan(_value("relapse_share", "day 14", **(rule | {"among": "MADRS <= 2 at day 1"})))


def test_a_median_that_is_not_reached_is_infinite():
    rule = {"rule": "MADRS 22 twice", "since": "day 1", "among": "response at day 1"}
    assert _value("median_days", "day 14", **rule) == math.inf


def test_response_lost_uses_the_scale_of_the_row_and_missing_ratings_are_no_relapse():
    rule = {"rule": "response lost", "since": "day 1", "among": "response at day 1"}
    assert _value("relapse_share", "day 14", **rule) == pytest.approx(1.0)
    scores = [
        [40.0, 15.0, NAN, NAN],
        [40.0, 15.0, NAN, 30.0],
        [40.0, 15.0, 15.0, 15.0],
        [40.0, 40.0, 40.0, 40.0],
    ]
    cohort = _cohort(scores, [0, 0, 0, 0])
    # one is censored at the start, so that of the two who are followed one relapses on day 14
    assert _value("relapse_share", "day 14", cohort, **rule) == pytest.approx(1 / 2)


def test_hazard_ratio_of_two_arms_solves_the_partial_likelihood():
    """Events by visit: ours on days 6 and 13, theirs none and one; checked against a root found apart."""
    scores = [
        [40.0, 10.0, 30.0, 30.0],
        [40.0, 10.0, 10.0, 30.0],
        [40.0, 10.0, 10.0, 10.0],
        [40.0, 10.0, 10.0, 10.0],
        [40.0, 10.0, 10.0, 10.0],
        [40.0, 10.0, 10.0, 30.0],
        [40.0, 10.0, 10.0, 10.0],
        [40.0, 10.0, 10.0, 10.0],
    ]
    cohort = _cohort(scores, [0, 0, 0, 0, 2, 2, 2, 2])
    found = _value(
        "hazard_ratio",
        "day 14",
        cohort,
        reference="control",
        rule="MADRS 22 once",
        since="day 1",
        among="analysed",
    )

    def score(log_ratio: float) -> float:
        """Derivative of the partial likelihood with Efron's ties."""
        ratio = math.exp(log_ratio)
        first = 1.0 - 4 * ratio / (4 * ratio + 4)
        second = 0.0
        for share in (0.0, 0.5):
            weight = 3 * ratio + 4 - share * (ratio + 1)
            second += 0.5 - (3 * ratio - share * ratio) / weight
        return first + second

    low, high = -3.0, 3.0
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if score(middle) > 0 else (low, middle)
    assert math.log(found) == pytest.approx(low, abs=1e-4)


def test_time_to_response_is_to_the_first_visit_with_one():
    columns = {"reference": "control", "rule": "response"}
    found = _value("hazard_ratio", "day 14", **columns)
    assert found > 1.0
    turned = _value("hazard_ratio", "day 14", arm="control", reference="drug", rule="response")
    assert turned == pytest.approx(1.0 / found, rel=1e-5)


def test_a_hazard_ratio_is_at_its_end_where_only_one_arm_had_an_event():
    columns = {"reference": "control", "rule": "remission"}
    assert _value("hazard_ratio", "day 7", at_most="11", **columns) == math.inf
    turned = {"arm": "control", "reference": "drug", "rule": "remission"}
    assert _value("hazard_ratio", "day 7", at_most="11", **turned) == 0.0
    assert math.isnan(_value("hazard_ratio", "day 7", at_most="2", **columns))


def test_the_last_dose_of_those_who_are_still_treated_counts():
    cohort = _cohort(
        given_mg=[[56, 84], [56, 56], [56, 84], [56, 0], [0, 0], [0, 0], [0, 0]],
        left_h=[np.inf, np.inf, 100.0, np.inf, np.inf, np.inf, np.inf],
    )
    # two and one of the three who stay: 84, 56, and 56 of the session before the one that was missed
    assert _value("dose_share", "day 14", cohort, at_least="84") == pytest.approx(1 / 3)
    assert _value("dose_share", "day 1", cohort, at_least="84") == pytest.approx(0.0)


def test_arms_joined_by_a_plus_are_pooled_and_others_left_out():
    scores = [*SCORES, [30.0, 30.0, 30.0, 0.0]]
    cohort = _cohort(scores, [*ARM, 1])
    assert _value("mean_change", "day 14", cohort) == pytest.approx((-10 - 18 - 27) / 3)
    pooled = _value("mean_change", "day 14", cohort, arm="drug + other")
    assert pooled == pytest.approx((-10 - 18 - 27 - 30) / 4)


def test_patients_of_several_protocols_are_pooled():
    fewer = _cohort([[30.0, 30.0, 30.0, 0.0]], [0])
    pooled = _value("mean_change", "day 14", [_cohort(), fewer], protocol="by-hand + again")
    assert pooled == pytest.approx((-10 - 18 - 27 - 30) / 4)


def test_protocols_whose_visits_differ_are_not_pooled():
    content = dict(PARALLEL) | {"visits": [{"at": "day 0"}, {"at": "day 14"}]}
    fewer = _cohort([[30.0, 0.0]], [0], content)
    with pytest.raises(InvalidInputError, match="visits differ"):
        _value("mean_change", "day 14", [_cohort(), fewer])


CROSSOVER: dict[str, Any] = PARALLEL | {
    "design": "crossover",
    "arms": {
        "drug": {"regimen": "ketamine 0.5 mg/kg iv over 40 min"},
        "control": {"regimen": "saline iv over 40 min", "is_control": True},
    },
    "crossover": {"n": 2, "period": "10 d", "sequences": [["drug", "control"], ["control", "drug"]]},
    "visits": [{"at": "day 0"}, {"at": "40 min"}, {"at": "day 7"}],
    "endpoints": {"day-7": {"kind": "change", "at": "day 7"}},
}


def test_in_a_crossover_times_count_from_the_period_in_which_the_treatment_is_given():
    scores = [[40.0, 10.0, 20.0, 30.0, 28.0, 26.0], [36.0, 35.0, 34.0, 30.0, 12.0, 20.0]]
    cohort = _cohort(scores, [0, 1], CROSSOVER)
    ours, theirs = (10 - 40 + 12 - 30) / 2, (28 - 30 + 35 - 36) / 2
    assert _value("contrast_change", "40 min", cohort, reference="control") == pytest.approx(ours - theirs)
    assert _value("response_share", "day 7", cohort, fraction="0.5") == pytest.approx(1 / 2)


def test_what_the_protocol_does_not_have_is_an_error():
    with pytest.raises(InvalidInputError, match="does not rate MADRS at day 3"):
        _value("mean_change", "day 3")
    with pytest.raises(InvalidInputError, match="no arm 'drag'"):
        _value("mean_change", "day 1", arm="drag")
    with pytest.raises(InvalidInputError, match="is not comparable: number of patients only"):
        quantity_of(_cohort(), _run("T0106"))


def test_an_analysis_that_cannot_be_made_gives_nan():
    lonely = _cohort([[40.0, 20.0, 10.0, 30.0], [30.0, 30.0, 30.0, 30.0]], [0, 2])
    assert math.isnan(_value("contrast_change", "day 1", lonely, reference="control", analysis="ancova"))
    assert math.isnan(_value("standardised_difference", "day 1", lonely, reference="control"))
    empty = _cohort([[40.0, 20.0, 10.0, 30.0]], [2])
    assert math.isnan(_value("mean_change", "day 1", empty))


# verdicts --------------------------------------------------------------------------------------------------

SPREAD = np.linspace(-1.0, 1.0, 101)


def test_a_published_number_within_the_middle_nine_tenths_is_inside():
    run, row = _run("T0103"), OUTCOMES["T0103"]
    printed = observed_of(run, row)
    found = compare(run, row, printed + SPREAD)
    assert (found.word, found.observed, found.replicates) == ("inside", printed, 101)
    assert (found.low, found.high) == (pytest.approx(printed - 0.9), pytest.approx(printed + 0.9))
    assert compare(run, row, printed + 0.89 + SPREAD).word == "inside"
    assert compare(run, row, printed + 0.91 + SPREAD).word == "outside"


def test_shares_are_held_against_percent_and_weeks_against_days():
    assert observed_of(_run("T0100"), OUTCOMES["T0100"]) == pytest.approx(0.64)
    assert observed_of(_run("C0065"), OUTCOMES["C0065"]) == 84.0
    assert observed_of(_run("T0008"), OUTCOMES["T0008"]) == pytest.approx(10.97)
    low, high = observed_interval(_run("T0050", "c"), OUTCOMES["T0050"])
    assert (low, high) == (pytest.approx(0.0401), pytest.approx(0.306))


def test_numbers_in_words_are_taken_by_their_place():
    sensitivity, specificity = (observed_of(_run("C0038", part), OUTCOMES["C0038"]) for part in "ab")
    assert (sensitivity, specificity) == (0.94, 0.71)


def test_a_direction_is_decided_by_the_median():
    run, row = _run("T0003"), OUTCOMES["T0003"]
    assert run.is_direction
    assert compare(run, row, SPREAD - 0.5).word == "direction agrees"
    assert compare(run, row, SPREAD + 0.5).word == "direction contradicts"


def test_what_is_kept_to_validate_stays_closed_until_a_posterior_is_frozen(monkeypatch: pytest.MonkeyPatch):
    run, row = _run("T0117"), OUTCOMES["T0117"]
    assert row.role is Role.VALIDATE
    values = observed_of(run, row) + SPREAD
    monkeypatch.setattr(replication, "is_open", lambda _: False)
    shut = compare(run, row, values)
    assert (shut.word, shut.reason) == ("closed", "closed until the posterior is frozen")
    assert math.isnan(shut.observed)
    assert math.isfinite(shut.low)
    line = replication_row(run, row, values)
    assert math.isnan(line.observed)
    assert math.isnan(line.observed_low)
    monkeypatch.setattr(replication, "is_open", lambda _: True)
    assert compare(run, row, values).word == "inside"


@pytest.mark.usefixtures("nothing_is_frozen")
def test_before_a_posterior_is_frozen_every_row_that_validates_is_closed():
    for run in COMPARABLE:
        row = OUTCOMES[run.row_id]
        word = compare(run, row, SPREAD).word
        assert (word == "closed") == (row.role is Role.VALIDATE), run.row_id


def test_the_frozen_posterior_has_opened_every_row():
    assert "closed" not in {compare(run, OUTCOMES[run.row_id], SPREAD).word for run in COMPARABLE}


def test_what_is_not_comparable_says_why():
    run = _run("T0106")
    found = compare(run, OUTCOMES["T0106"])
    assert (found.word, found.reason) == ("not comparable", "number of patients only")
    few = compare(_run("T0103"), OUTCOMES["T0103"], [NAN] * 30 + [1.0] * (FEWEST_REPLICATES - 1))
    assert few.word == "not comparable"
    assert few.reason.startswith("19 of 49 replicates gave a value")


def test_infinite_medians_leave_the_interval_open_above():
    run, row = _run("C0027"), OUTCOMES["C0027"]
    found = compare(run, row, [100.0] * 10 + [math.inf] * 30)
    assert (found.word, found.low, found.high) == ("inside", 100.0, math.inf)


def test_a_line_for_pages_carries_measure_unit_role_and_source():
    run, row = _run("T0103"), OUTCOMES["T0103"]
    line = replication_row(run, row, observed_of(run, row) + SPREAD, title="A trial")
    assert (line.trial, line.title, line.role) == ("murrough-2013", "A trial", "calibrate")
    assert (line.measure, line.unit, line.is_primary, line.verdict) == (
        "difference",
        "points",
        True,
        "inside",
    )
    assert line.label == "ketamine - midazolam, MADRS, day 1"
    assert line.source == row.source_keys[0]
    left_out = replication_row(_run("T0106"), OUTCOMES["T0106"])
    assert (left_out.verdict, left_out.reason) == ("not comparable", "number of patients only")
    assert Counter(run.is_comparable for run in load_replication())[True] == len(COMPARABLE)


def test_a_run_reads_the_cell_that_the_row_names():
    run = _run("T0050")
    row = replace(OUTCOMES["T0050"], response_percent=None)
    assert math.isnan(observed_of(run, row))
