"""The outcomes of trials: every row kept and run or reasoned, bounds as printed, closed rows closed."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping

import pytest

from euthymia.citations import load_sources
from euthymia.dosing.notation import parse_regimen
from euthymia.errors import InvalidInputError
from euthymia.evidence import fact_compare
from euthymia.evidence.fact_compare import CLOSED, compare_facts, facts_of, is_closed, is_misfit
from euthymia.evidence.fact_courses import other_setting_of, setting_of
from euthymia.evidence.fact_records import RECALLED, STATISTICS, FactRow, FactRun
from euthymia.evidence.facts import OUTCOMES, comparable_runs, load_outcome_facts, runs_to_fit
from euthymia.evidence.records import FITTABLE_ROLES, Role
from euthymia.evidence.select import fitting_rows
from euthymia.population.settings import find_setting
from euthymia.population.surroundings import visits_of
from euthymia.tables import read_table

NORMAL_95 = 1.96
ROUNDING = 0.0051
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def rows() -> dict[str, FactRow]:
    return {row.row_id: row for row in load_outcome_facts()}


@pytest.fixture
def unsimulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every value of the model be 1, without running it."""
    monkeypatch.setattr(fact_compare, "simulate_scenes", lambda *_, **__: {})
    monkeypatch.setattr(fact_compare, "statistic_of", lambda *_: 1.0)


# --- completeness --------------------------------------------------------------------------------


def test_all_371_outcomes_load_with_their_roles_and_groups():
    found = load_outcome_facts()
    assert Counter(row.role for row in found) == {
        Role.CALIBRATE: 196,
        Role.VALIDATE: 100,
        Role.BACKGROUND: 56,
        Role.PRIOR: 13,
        Role.OTHER_INDICATION: 5,
        Role.CONTEXT: 1,
    }
    assert Counter(row.printed["group"] for row in found) == {
        "control": 186,
        "comparator": 57,
        "relapse": 50,
        "schedule": 25,
        "predictor": 17,
        "therapy": 21,
        "ideation": 15,
    }


def test_every_outcome_has_a_run_row_in_the_same_order():
    runs = list(dict.fromkeys(run["row_id"] for run in read_table(f"{OUTCOMES}_runs.csv")))
    assert runs == [row["row_id"] for row in read_table(f"{OUTCOMES}.csv")]


def test_every_outcome_says_where_it_was_read():
    for row in load_outcome_facts():
        printed = row.printed
        assert all(printed[name] for name in ("quantity", "citation", "location", "source_key")), row.row_id
        assert re.match(r"https?://(?!\d+\.\d+\.\d+\.\d+)[\w.-]+/", row.url), row.row_id
        assert set(row.source_keys) <= set(load_sources()), row.row_id
        assert row.confidence != RECALLED


def test_numbers_stand_in_columns_that_hold_numbers():
    for row in load_outcome_facts():
        for name in ("contrast", "response_percent", "remission_percent", "time_h", "n"):
            assert not row.printed[name] or math.isfinite(float(row.printed[name])), (row.row_id, name)


def test_rows_hold_what_was_printed_by_hand():
    found = rows()
    assert (found["P0017"].printed["value"], found["P0017"].printed["spread"]) == ("-5.7", "SE 1.79")
    assert (found["T0014"].printed["value"], found["T0014"].printed["spread"]) == ("-5.7", "SD 10.2")
    assert found["T0052"].printed["contrast"] == "-4.0"
    assert found["T0127"].printed["contrast_spread"] == "95 % CI -7.59 to -2.33"
    assert found["T0101"].printed["response_percent"] == "28"


def test_other_indications_and_context_are_shown_only():
    shown = [row for row in load_outcome_facts() if row.role in (Role.OTHER_INDICATION, Role.CONTEXT)]
    assert len(shown) == 6
    assert not any(row.is_comparable for row in shown)


def test_a_number_that_stands_in_two_rows_is_compared_once():
    pairs = {
        row.row_id: match[1]
        for row in load_outcome_facts()
        if (match := re.match(r"same number as (\w\d+), compared there$", row.runs[0].reason))
    }
    assert len(pairs) == 41
    for twin, compared in pairs.items():
        assert rows()[compared].is_comparable, twin
        assert rows()[compared].role is rows()[twin].role, twin


# --- how each is run -----------------------------------------------------------------------------


def compared() -> list[tuple[FactRow, FactRun]]:
    return [(row, run) for row in load_outcome_facts() for run in row.runs if run.is_comparable]


@pytest.mark.usefixtures("nothing_is_frozen")
def test_what_the_table_is_for_is_compared():
    names = "P0008 P0016 P0017 P0018 P0036 P0040 P0041 P0043 P0207 S0004 S0005 S0006 T0007 T0013 T0014 T0015"
    names += " T0016 T0020 T0024 T0028 T0032 T0052 T0103 T0127 T0128 T0260 T0263 T0429 T0431 T0434 T0435"
    names += " P0063 P0208 C0027 C0036 C0037 C0039 C0044"
    assert [name for name in names.split() if not rows()[name].is_comparable] == []
    assert len([row for row, _ in compared() if not is_closed("efficacy", row)]) == 65


def test_every_run_names_people_setting_and_what_it_supposes():
    for row, run in compared():
        assert run.assumption, row.row_id
        assert find_setting(setting_of(run)), row.row_id
        assert find_setting(other_setting_of(run)), row.row_id
        assert (setting_of(run) == "none") == (row.row_id in ("P0008", "P0207")), row.row_id


def _intervals(row: Mapping[str, str]) -> list[tuple[float, float]]:
    """Return the intervals that the printed columns of a row give by themselves."""
    found = []
    for value, spread in ((row["value"], row["spread"]), (row["contrast"], row["contrast_spread"])):
        interval = re.search(r"95 % CI (-?[\d.]+) to (-?[\d.]+)", spread)
        if interval:
            found.append((float(interval[1]), float(interval[2])))
            found.append((float(interval[1]) / 100.0, float(interval[2]) / 100.0))
        error = _standard_error(row, spread)
        if error is not None:
            found.append((float(value) - NORMAL_95 * error, float(value) + NORMAL_95 * error))
        if value and not spread and re.fullmatch(r"-?[\d.]+", value):
            found.append((float(value), float(value)))
    if row["response_percent"] and row["n"]:
        found.append(_wilson(float(row["response_percent"]) / 100.0, float(row["n"])))
    return found


def _standard_error(row: Mapping[str, str], spread: str) -> float | None:
    error, deviation = re.search(r"SE ([\d.]+)", spread), re.search(r"SD ([\d.]+)", spread)
    if error:
        return float(error[1])
    return float(deviation[1]) / math.sqrt(float(row["n"])) if deviation and row["n"] else None


def _wilson(share: float, count: float) -> tuple[float, float]:
    squared = NORMAL_95**2 / count
    centre = (share + squared / 2.0) / (1.0 + squared)
    half = math.sqrt(squared * (share * (1.0 - share) + squared / 4.0)) / (1.0 + squared)
    return centre - half, centre + half


def test_bounds_are_the_printed_interval_or_the_one_that_the_printed_numbers_give():
    """Of the rest, each with its own arithmetic, the assumption says what was worked out."""
    worked_out = {}
    for row, run in compared():
        low, high = run.expected_low, run.expected_high
        if run.statistic == "share_relapsed":
            continue
        if low is None or high is None:
            assert (low, high) in ((0.0, None), (None, 0.0)), row.row_id
            continue
        if not any(abs(low - a) < ROUNDING and abs(high - b) < ROUNDING for a, b in _intervals(row.printed)):
            worked_out[f"{row.row_id}{run.part}"] = run.assumption
    arms, scores, singh = "T0007a T0103a", "P0040a P0041a P0042a P0043a", "T0015b T0019a T0020a"
    scores += " C0015a C0016a C0023a C0024a C0025a C0026a"
    singh += " T0013a T0014a T0015a T0016a"
    assert set(worked_out) == {*arms.split(), *scores.split(), *singh.split(), "T0429a"}
    words = ("standard error", "unpaired means", "67 patients in four arms", "slope within arms")
    assert all(any(word in text for word in words) for text in worked_out.values())


def test_bounds_that_were_worked_out_are_those_worked_out_here():
    bounds = {f"{row.row_id}{run.part}": (run.expected_low, run.expected_high) for row, run in compared()}
    midazolam, ketamine = 8.8 / 4.63, 16.5 / 10.31
    by_hand = {
        "T0007a": (-8.8, midazolam),
        "T0103a": (-7.7, math.hypot(midazolam, ketamine)),
        "P0041a": (15.0 - 35.2, math.hypot(10.4 / math.sqrt(32), 8.4 / math.sqrt(37))),
        "T0014a": (-5.7, 10.2 / math.sqrt(67 / 4)),
        "T0015b": (-17.7 + 18.4, math.hypot(12.0, 7.3) / math.sqrt(67 / 4)),
        "T0020a": (-14.6, math.hypot(7.3, 5.7) / math.sqrt(67 / 4)),
    }
    for name, (mean, error) in by_hand.items():
        low, high = bounds[name]
        assert low == pytest.approx(mean - NORMAL_95 * error, abs=ROUNDING), name
        assert high == pytest.approx(mean + NORMAL_95 * error, abs=ROUNDING), name
    assert bounds["T0429a"] == (0.336, 0.336)


def relapse_bounds(row: FactRow, run: FactRun) -> tuple[float, float]:
    """Return the bounds of a share who relapse that the printed columns give."""
    printed = row.printed
    interval = re.search(r"95 % CI ([\d.]+) to ([\d.]+)", printed["spread"])
    count = printed["n"] or ("17" if row.row_id == "C0037" else "")
    if printed["quantity"].startswith("median"):
        return _wilson(0.5, float(count))
    if interval:
        return float(interval[1]) / 100.0, float(interval[2]) / 100.0
    share = float(printed["value"]) / 100.0
    is_well = any(word in printed["quantity"] for word in ("still well", "kept"))
    share = 1.0 - share if is_well else share
    return _wilson(share, float(count)) if count else (share, share)


def test_bounds_of_a_share_who_relapse_are_those_of_the_printed_share_or_of_half_by_the_median():
    followed = [(row, run) for row, run in compared() if run.statistic == "share_relapsed"]
    assert len(followed) == 18
    for row, run in followed:
        by_hand = relapse_bounds(row, run)
        assert (run.expected_low, run.expected_high) == pytest.approx(by_hand, abs=ROUNDING), row.row_id


def test_no_closed_time_to_relapse_is_shown_as_the_end_of_a_window():
    for row, run in compared():
        if is_closed("efficacy", row) and run.relapse_rule:
            assert not row.printed["quantity"].startswith("median"), row.row_id


def test_the_followed_live_with_events_and_are_followed_as_long_as_was_printed():
    for row, run in compared():
        if run.statistic != "share_relapsed":
            continue
        assert "events of life arrive" in run.assumption
        assert run.from_h is not None
        assert run.to_h is not None
        printed_h = float(row.printed["time_h"])
        last = (visits_of(parse_regimen(run.regimen)) or (0.0,))[-1]
        starts = {"last infusion": last, "end of induction": last, "day-3": 0.0}
        start = next((h for word, h in starts.items() if word in row.printed["note"]), run.from_h)
        assert run.to_h - start == pytest.approx(printed_h), row.row_id


def test_shares_are_of_many_patients_and_scores_of_a_scale():
    for row, run in compared():
        assert run.patients_count or row.row_id == "P0008", row.row_id
        assert run.variable.endswith("_points"), row.row_id
        if STATISTICS[run.statistic].is_share:
            assert run.threshold == (None if run.relapse_rule else 0.5), row.row_id


# --- what stays closed, what may be fitted ---------------------------------------------------------


@pytest.mark.usefixtures("nothing_is_frozen")
@pytest.mark.usefixtures("unsimulated")
def test_rows_to_validate_show_neither_printed_number_nor_verdict():
    printed = rows()
    shut = [one for one in compare_facts("efficacy") if one.role == "validate"]
    assert len({one.row_id for one in shut}) == 100
    assert len([one for one in shut if one.variable]) == 30
    for one in shut:
        row = printed[one.row_id].printed
        assert one.fact == ", ".join(
            filter(None, (row[name] for name in ("trial", "arm", "quantity", "time")))
        )
        assert (one.low, one.high, one.kind, one.comment, one.assumption) == (None, None, "", "", "")
        assert one.verdict == CLOSED if one.variable else one.verdict.startswith("not comparable")
        assert not is_misfit(one)


@pytest.mark.usefixtures("nothing_is_frozen")
@pytest.mark.usefixtures("unsimulated")
def test_no_printed_number_of_a_closed_row_stands_in_what_is_shown():
    columns = ("value", "spread", "contrast", "contrast_spread", "response_percent", "remission_percent")
    printed = rows()
    for one in compare_facts("efficacy"):
        if one.role != "validate":
            continue
        hidden = {
            n for name in columns for n in NUMBER.findall(printed[one.row_id].printed[name]) if "." in n
        }
        shown = f"{one.fact} {one.studied} {one.grade} {one.verdict} {one.statistic}"
        assert not hidden & set(NUMBER.findall(shown)), one.row_id


def test_words_that_tell_an_outcome_are_kept_out_of_what_closed_rows_show():
    telling = re.compile(r"\b(better|worse|significant|superior|no difference|stable|not different)\b")
    for row in load_outcome_facts():
        if is_closed("efficacy", row):
            shown = [row.printed[name] for name in ("trial", "arm", "quantity", "time", "population")]
            assert not telling.search(" ".join([*shown, *(run.reason for run in row.runs)])), row.row_id


def test_rows_to_validate_are_refused_for_fitting():
    with pytest.raises(InvalidInputError, match=r"'role' must be one of .*Got validate in row T0124"):
        runs_to_fit([rows()["T0103"], rows()["T0124"]])
    with pytest.raises(InvalidInputError, match=r"Got other-indication in row S0007"):
        runs_to_fit([rows()["S0007"]])


@pytest.mark.usefixtures("nothing_is_frozen")
def test_fitting_gets_every_open_run_and_no_other():
    chosen = runs_to_fit(fitting_rows(load_outcome_facts()))
    assert {rows()[run.row_id].role for run in chosen} <= FITTABLE_ROLES
    opened = [row for row in facts_of("efficacy") if not is_closed("efficacy", row)]
    assert chosen == comparable_runs(opened)
