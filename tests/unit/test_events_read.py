"""Event tables: what their rows mean, checked on doses and on simulated concentrations."""

from __future__ import annotations

import re
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from euthymia.dosing.notation import parse_regimen
from euthymia.dosing.order import Route
from euthymia.errors import ResultWarning
from euthymia.files.events import EventTable, read_events
from euthymia.model.trajectory import Trajectory
from euthymia.population.concentrations import simulate_concentrations, simulate_subjects
from euthymia.population.patient import Patient

UMOL_PER_MG = 1000.0 / 237.73
EXAMPLES = Path(__file__).parents[2] / "examples"
FORMATS = EXAMPLES.parent / "docs" / "formats.md"


@pytest.fixture
def table(tmp_path: Path):
    """Return a function that reads an event table from its text."""

    def read(text: str, **options: object) -> EventTable:
        path = tmp_path / "doses.csv"
        path.write_text(text, encoding="utf-8")
        return read_events(path, **options)  # type: ignore[arg-type]

    return read


def run(events: EventTable, times_h: list[float] | np.ndarray, **options: object) -> Trajectory:
    return simulate_subjects(events.subjects, is_random=False, times_h=times_h, **options)  # type: ignore[arg-type]


def assert_same(first: Trajectory, second: Trajectory, *, rtol: float) -> None:
    """Compare every variable in the max norm."""
    assert first.values.keys() == second.values.keys()
    for name, values in first.values.items():
        scale = np.abs(second.values[name]).max()
        assert scale > 0
        assert np.abs(values - second.values[name]).max() <= rtol * scale, name


TIMES_H = np.linspace(0.0, 96.0, 193)


def test_columns_may_be_in_any_case_and_order(table) -> None:
    one = table("Amt,id,time,ROUTE,Rate\n35,a,0,iv,52.5\n").subjects[0]
    (given,) = one.epochs[0].given
    assert one.label == "a"
    assert given.dose.route is Route.IV_INFUSION
    assert given.dose.duration_h == pytest.approx(40 / 60, rel=1e-15)
    assert given.dose.amount_umol == pytest.approx(35 * UMOL_PER_MG, rel=1e-15)


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_marks_between_fields_line_ends_blank_lines_and_byte_order_marks_do_not_matter(
    table, mark: str, newline: str
) -> None:
    lines = ["\ufeffID,TIME,AMT,ROUTE", "1,0,35,im", "", ",,,", "1,24,.,."]
    events = table(newline.join(lines).replace(",", mark))
    assert events.text == "event table doses.csv: 1 subject, 1 dose"
    assert events.times_h == (24.0,)


@pytest.mark.parametrize(
    ("written", "route"),
    [
        ("iv", Route.IV_BOLUS),
        ("IV_BOLUS", Route.IV_BOLUS),
        ("intravenous", Route.IV_BOLUS),
        ("im", Route.INTRAMUSCULAR),
        ("Intramuscular", Route.INTRAMUSCULAR),
        ("sc", Route.SUBCUTANEOUS),
        ("in", Route.INTRANASAL),
        ("nasal", Route.INTRANASAL),
        ("sl", Route.SUBLINGUAL),
        ("po", Route.ORAL),
        ("er", Route.ORAL_EXTENDED_RELEASE),
        ("po er", Route.ORAL_EXTENDED_RELEASE),
        ("extended-release", Route.ORAL_EXTENDED_RELEASE),
        *((route.value, route) for route in Route if route is not Route.IV_INFUSION),
    ],
)
def test_routes_are_read_in_full_and_short(table, written: str, route: Route) -> None:
    events = table(f"ID,TIME,AMT,ROUTE\n1,0,35,{written}\n")
    assert events.subjects[0].epochs[0].given[0].dose.route is route


@pytest.mark.parametrize("written", ["iv", "iv_infusion", "IV infusion", "intravenous"])
def test_a_rate_makes_an_infusion(table, written: str) -> None:
    events = table(f"ID,TIME,AMT,RATE,ROUTE\n1,0,35,35,{written}\n")
    dose = events.subjects[0].epochs[0].given[0].dose
    assert (dose.route, dose.duration_h) == (Route.IV_INFUSION, 1.0)


@pytest.mark.parametrize("compartment", ["1", "1.0", "central", "CENTRAL"])
def test_the_central_compartment_stands_for_intravenous(table, compartment: str) -> None:
    events = table(f"ID,TIME,AMT,CMT\n1,0,35,{compartment}\n")
    assert events.subjects[0].epochs[0].given[0].dose.route is Route.IV_BOLUS


def test_without_evid_an_amount_makes_a_dose(table) -> None:
    events = table("ID,TIME,AMT,ROUTE\n1,0,35,im\n1,1,0,.\n1,2,.,.\n")
    assert len(events.subjects[0].epochs[0].given) == 1
    assert events.times_h == (1.0, 2.0)


def test_observation_times_are_the_union_over_ids_and_other_events_are_none(table) -> None:
    events = table(
        "ID,TIME,EVID,AMT,ROUTE\n1,0,1,35,im\n1,5,0,.,.\n1,6,2,.,.\n2,0,1,35,im\n2,1,0,.,.\n2,5,0,.,.\n"
    )
    assert events.times_h == (1.0, 5.0)
    assert table("ID,TIME,AMT,ROUTE\n1,0,35,im\n").times_h is None


def test_commented_rows_are_left_out_unread(table) -> None:
    events = table("ID,TIME,AMT,ROUTE,C\n1,0,35,im,\n1,1,many,im,wrong unit\n1,2,35,im,.\n")
    assert events.text.endswith("1 subject, 2 doses")


def test_unknown_columns_are_named_in_one_note_and_dv_and_mdv_are_not(table) -> None:
    events = table("ID,TIME,AMT,ROUTE,SEX,Dv,MDV,,LAB\n1,0,35,im,F,3.1,0,x,2\n")
    assert events.notes == ("Columns without a meaning here were not used: SEX, (no name), LAB.",)


def test_drug_is_the_column_then_the_argument_then_ketamine(table) -> None:
    text = "ID,TIME,AMT,ROUTE,DRUG\n1,0,35,im,.\n1,1,35,im,s-ketamine\n"
    drugs = [given.dose.drug for given in table(text).subjects[0].epochs[0].given]
    assert drugs == ["ketamine", "esketamine"]
    drugs = [given.dose.drug for given in table(text, drug="arketamine").subjects[0].epochs[0].given]
    assert drugs == ["arketamine", "esketamine"]


def test_weight_is_the_column_then_the_patient_then_the_default(table) -> None:
    plain = "ID,TIME,AMT,ROUTE\n1,0,35,im\n"
    weighed = "ID,TIME,AMT,ROUTE,WEIGHT_KG,AGE\n1,0,35,im,.,.\n1,1,35,im,81,44\n2,0,35,im,.,.\n"
    who = Patient.create(weight_kg=60, age_years=30, ancestry="japanese")
    assert table(plain).subjects[0].patient == Patient()
    assert table(plain, default_weight_kg=55).subjects[0].patient.weight_kg == 55
    first, second = table(weighed, patient=who).subjects
    assert first.patient == Patient(weight_kg=81.0, age_years=44.0, ancestry="japanese")
    assert second.patient == who
    assert table(weighed.replace("WEIGHT_KG", "WT"), patient=who).subjects[0].patient.weight_kg == 81


def test_ids_need_not_be_contiguous_and_keep_the_order_of_appearance(table) -> None:
    mixed = table("ID,TIME,AMT,ROUTE\nb,0,35,im\na,0,20,im\nb,24,35,im\na,12,20,im\n")
    grouped = table("ID,TIME,AMT,ROUTE\nb,0,35,im\nb,24,35,im\na,0,20,im\na,12,20,im\n")
    assert mixed.subjects == grouped.subjects
    assert [(one.label, one.number) for one in mixed.subjects] == [("b", 1), ("a", 2)]


def test_virtual_patients_repeat_each_id_with_numbers_of_their_own(table) -> None:
    events = table("ID,TIME,AMT,ROUTE\nb,0,35,im\na,0,20,im\n", virtual_per_id=3)
    assert [(one.label, one.number) for one in events.subjects] == [
        *[("b/1", 1), ("b/2", 2), ("b/3", 3)],
        *[("a/1", 4), ("a/2", 5), ("a/3", 6)],
    ]
    assert events.text == "event table doses.csv: 2 subjects, 2 doses, 3 virtual patients each"
    alone = table("ID,TIME,AMT,ROUTE\nb,0,35,im\na,0,20,im\n", virtual_per_id=1)
    assert [(one.label, one.number) for one in alone.subjects] == [("b/1", 1), ("a/1", 2)]


def test_intranasal_esketamine_becomes_devices(table) -> None:
    given = table("ID,TIME,AMT,ROUTE,DRUG\n1,2,84,in,esketamine\n").subjects[0].epochs[0].given
    assert [one.dose.device_index for one in given] == [0, 1, 2]
    assert [one.dose.start_h for one in given] == pytest.approx([2, 2 + 5 / 60, 2 + 10 / 60], rel=1e-15)


def test_a_part_of_a_device_is_warned_of_once_with_its_place(table) -> None:
    text = "ID,TIME,AMT,ROUTE,DRUG\n1,0,30,in,esketamine\n1,24,30,in,esketamine\n1,48,28,in,esketamine\n"
    with pytest.warns(
        ResultWarning, match=r"row 2, column AMT \(and 1 more row\): 30 mg .* given in part"
    ) as caught:
        table(text)
    assert len(caught) == 1


def test_hold_and_spitting_out_reach_the_dose(table) -> None:
    events = table("ID,TIME,AMT,ROUTE,HOLD,SPAT_OUT\n1,0,50,sl,12,1\n1,24,50,sl,.,0\n")
    first, second = (given.dose for given in events.subjects[0].epochs[0].given)
    assert (first.hold_h, first.spat_out) == (pytest.approx(0.2, rel=1e-15), True)
    assert (second.hold_h, second.spat_out) == (None, False)


def test_a_table_gives_what_its_regimen_gives(table) -> None:
    events = table("ID,TIME,AMT,RATE,ROUTE,ADDL,II\n1,0,35,52.5,iv,2,24\n")
    assert_same(
        run(events, TIMES_H),
        simulate_concentrations("ketamine 35 mg iv over 40 min, daily x 3", times_h=TIMES_H),
        rtol=1e-12,
    )


def test_further_doses_equal_rows_of_their_own(table) -> None:
    short = table("ID,TIME,AMT,ROUTE,DRUG,ADDL,II\n1,1,84,in,esketamine,3,12\n1,2,20,im,ketamine,1,0.7\n")
    rows = "1,1,84,in,esketamine\n1,2,20,im,ketamine\n1,2.7,20,im,ketamine\n"
    rows += "".join(f"1,{time},84,in,esketamine\n" for time in (13, 25, 37))
    long = table("ID,TIME,AMT,ROUTE,DRUG\n" + rows)
    assert short.subjects == long.subjects
    assert_same(run(short, TIMES_H), run(long, TIMES_H), rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("amount", "rate", "route", "drug", "interval_h"),
    [
        (35, ".", "iv", "ketamine", 8),
        (35, 52.5, "iv", "ketamine", 8),
        (84, ".", "in", "esketamine", 12),
        (50, ".", "sl", "ketamine", 6),
        (50, ".", "po", "ketamine", 4),
        (120, ".", "er", "ketamine", 12),
    ],
)
def test_steady_state_equals_many_repeated_doses(
    table, amount: float, rate: str, route: str, drug: str, interval_h: float
) -> None:
    count = 60
    how = f"{amount},{rate},{route},{drug}"
    head = "ID,TIME,AMT,RATE,ROUTE,DRUG,SS,II,ADDL\n"
    steady = table(f"{head}1,0,{how},1,{interval_h},2\n")
    repeated = table(f"{head}1,{-count * interval_h},{how},.,{interval_h},{count + 2}\n")
    assert {
        given.steady_from_h for given in steady.subjects[0].epochs[0].given if given.steady_interval_h
    } == {0.0}
    assert_same(run(steady, TIMES_H), run(repeated, TIMES_H), rtol=1e-9)


def test_steady_state_1_forgets_and_2_adds(table) -> None:
    head = "ID,TIME,AMT,ROUTE,SS,II\n"
    before, after = "1,0,100,im,.,.\n", "1,24,20,im,{},12\n"
    alone = run(table(head + after.format(1)), TIMES_H)
    forgetting = run(table(head + before + after.format(1)), TIMES_H)
    adding = run(table(head + before + after.format(2)), TIMES_H)
    first = run(table(head + before), TIMES_H)
    late = TIMES_H >= 24
    for name, values in adding.values.items():
        np.testing.assert_allclose(
            forgetting.values[name][:, ~late], first.values[name][:, ~late], rtol=1e-12
        )
        np.testing.assert_allclose(forgetting.values[name][:, late], alone.values[name][:, late], rtol=1e-12)
        expected = (first.values[name] + alone.values[name])[:, late]
        np.testing.assert_allclose(values[:, late], expected, rtol=1e-10)


def test_a_reset_forgets_and_ends_an_infusion(table) -> None:
    head = "ID,TIME,EVID,AMT,RATE,ROUTE\n"
    events = table(head + "1,0,1,60,30,iv\n1,1,3,.,.,.\n1,24,1,35,.,im\n1,48,4,35,.,im\n")
    assert [epoch.start_h for epoch in events.subjects[0].epochs] == [0.0, 1.0, 48.0]
    values = run(events, TIMES_H).values["ketamine_arterial"][0]
    assert np.all(values[(TIMES_H >= 1) & (TIMES_H < 24)] == 0)
    again = run(table(head + "1,24,1,35,.,im\n"), TIMES_H).values["ketamine_arterial"][0]
    inside = (TIMES_H >= 24) & (TIMES_H < 48)
    np.testing.assert_allclose(values[inside], again[inside], rtol=1e-12)
    np.testing.assert_allclose(values[TIMES_H >= 48][:40], again[inside][:40], rtol=1e-12)


def test_a_reset_before_everything_or_after_another_changes_nothing(table) -> None:
    head = "ID,TIME,EVID,AMT,ROUTE\n"
    plain = table(head + "1,0,1,35,im\n1,24,4,35,im\n")
    more = table(head + "1,0,4,35,im\n1,12,3,.,.\n1,24,4,35,im\n")
    assert [epoch.start_h for epoch in plain.subjects[0].epochs] == [0.0, 24.0]
    assert [epoch.start_h for epoch in more.subjects[0].epochs] == [0.0, 12.0]
    assert [e.given for e in plain.subjects[0].epochs] == [e.given for e in more.subjects[0].epochs]


def test_epochs_begin_at_time_0_or_at_the_first_time_of_the_table(table) -> None:
    late = table("ID,TIME,AMT,ROUTE\n1,5,35,im\n")
    early = table("ID,TIME,AMT,ROUTE\n1,-24,35,im\n1,5,35,im\n")
    assert late.subjects[0].epochs[0].start_h == 0.0
    assert early.subjects[0].epochs[0].start_h == -24.0


def test_a_last_reset_and_an_id_without_doses_leave_nothing_in_the_blood(table) -> None:
    head = "ID,TIME,EVID,AMT,ROUTE\n"
    for order in ((1, 2), (2, 1)):
        rows = {1: "1,0,1,35,im\n1,24,3,.,.\n1,30,0,.,.\n", 2: "2,30,0,.,.\n"}
        events = table(head + "".join(rows[place] for place in order))
        assert events.notes == ("No doses, so concentrations of 0: ID 2.",)
        course = run(events, TIMES_H, variables=["ketamine_arterial"])
        values = dict(zip(course.patients, course.values["ketamine_arterial"], strict=True))
        assert np.all(values["2"] == 0)
        assert np.all(values["1"][TIMES_H >= 24] == 0)
        assert np.all(values["1"][(TIMES_H > 0) & (TIMES_H < 24)] > 0)


def test_further_doses_go_on_after_a_reset_and_a_note_says_so(table) -> None:
    head = "ID,TIME,EVID,AMT,ROUTE,ADDL,II\n"
    events = table(head + "1,0,1,35,im,2,24\n1,30,3,.,.,.,.\n")
    assert [len(epoch.given) for epoch in events.subjects[0].epochs] == [2, 1]
    assert events.notes == (
        "ID 1: the further doses (ADDL) of row 2 go on after the reset at 30 h, as if each had a row.",
    )


def test_a_further_dose_at_the_time_of_a_reset_comes_after_it_in_spite_of_rounding(table) -> None:
    head = "ID,TIME,EVID,AMT,ROUTE,ADDL,II\n"
    assert 3 * 0.7 != 2.1
    events = table(head + "1,0,1,35,im,3,0.7\n1,2.1,3,.,.,.,.\n")
    assert [len(epoch.given) for epoch in events.subjects[0].epochs] == [3, 1]


SAME_TIME_ROWS = ("1,12,3,.,.,.,.,.", "1,12,1,35,35,iv,.,.", "1,12,1,20,.,im,.,.", "1,12,0,.,.,.,.,.")


def test_rows_at_one_time_mean_the_same_in_every_order(table) -> None:
    head, first = "ID,TIME,EVID,AMT,RATE,ROUTE,SS,II\n", "1,0,1,50,.,im,.,."
    results = []
    for rows in permutations(SAME_TIME_ROWS):
        events = table("\n".join([head.strip(), first, *rows]))
        results.append((events.subjects, events.times_h))
    assert all(result == results[0] for result in results)
    epochs = results[0][0][0].epochs
    assert [(epoch.start_h, len(epoch.given)) for epoch in epochs] == [(0.0, 1), (12.0, 2)]


def test_steady_state_and_resets_at_one_time_come_before_other_doses(table) -> None:
    head, first = "ID,TIME,EVID,AMT,ROUTE,SS,II\n", "1,0,1,50,im,.,."
    rows = ("1,12,1,35,im,1,12", "1,12,4,20,im,.,.", "1,12,1,10,po,2,8")
    results = [table("\n".join([head.strip(), first, *some])).subjects for some in permutations(rows)]
    assert all(result == results[0] for result in results)
    assert [len(epoch.given) for epoch in results[0][0].epochs] == [1, 3]


def test_an_observation_at_the_time_of_a_dose_sees_the_dose(table) -> None:
    events = table("ID,TIME,EVID,AMT,ROUTE\n1,12,0,.,.\n1,12,1,35,iv\n")
    assert run(events, list(events.times_h or ())).values["ketamine_arterial"][0, 0] > 0


def test_an_infusion_may_begin_when_the_one_before_ends_or_is_reset(table) -> None:
    head = "ID,TIME,EVID,AMT,RATE,ROUTE\n"
    third = 1 / 3
    assert table(f"{head}1,0,1,10,30,iv\n1,{third},1,10,30,iv\n").text.endswith("2 doses")
    assert table(f"{head}1,0,1,60,30,iv\n1,1,4,60,30,iv\n").text.endswith("2 doses")
    assert table(f"{head}1,0,1,60,30,iv\n2,1,1,60,30,iv\n").text.endswith("2 doses")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.csv")), ids=lambda path: path.stem)
def test_shipped_examples_can_be_simulated(path: Path) -> None:
    events = read_events(path)
    course = simulate_subjects(events.subjects, is_random=False, times_h=events.times_h, regimen=events.text)
    assert course.provenance.regimen.startswith(f"event table {path.name}: ")
    assert all(np.all(np.isfinite(values)) for values in course.values.values())


def test_tables_of_the_documentation_can_be_read(table) -> None:
    blocks = re.findall(r"```csv\n(.*?)```", FORMATS.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) >= 3
    assert all(table(block).subjects for block in blocks)


def test_the_mg_of_a_table_are_those_of_the_language(table) -> None:
    (given,) = table("ID,TIME,AMT,ROUTE\n1,0,35,im\n").subjects[0].epochs[0].given
    assert given.dose == parse_regimen("ketamine 35 mg im").doses(70.0)[0]
