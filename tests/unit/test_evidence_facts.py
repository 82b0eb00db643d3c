"""The facts about the chain: complete, equal to what was printed, run as stated, and refused when broken."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from copy import deepcopy

import pytest

from euthymia.citations import load_sources
from euthymia.dosing.notation import parse_regimen
from euthymia.errors import InvalidInputError
from euthymia.evidence.fact_records import (
    RECALLED,
    STATISTICS,
    FactRow,
    Override,
    Reference,
    print_overrides,
    read_overrides,
    read_reference,
)
from euthymia.evidence.facts import (
    ACUTE,
    MECHANISM,
    OUTCOMES,
    comparable_runs,
    known_variables,
    load_acute_facts,
    load_mechanism_facts,
    read_facts,
    runs_to_fit,
)
from euthymia.evidence.records import Role
from euthymia.evidence.select import fitting_rows
from euthymia.model.parameters import load_parameters
from euthymia.tables import Row, read_table

Tables = tuple[list[Row], list[Row]]
DIRECTIONS = {"increases": ("expected_low", "expected_high"), "decreases": ("expected_high", "expected_low")}


def everything() -> tuple[FactRow, ...]:
    return load_mechanism_facts() + load_acute_facts()


def fact(row_id: str) -> FactRow:
    return next(row for row in everything() if row.row_id == row_id)


def bounds(row_id: str) -> list[tuple[float | None, float | None]]:
    return [(run.expected_low, run.expected_high) for run in fact(row_id).runs]


def tables(stem: str = MECHANISM) -> Tables:
    return (
        deepcopy(list(read_table(f"{stem}.csv"))),
        deepcopy(list(read_table(f"{stem}_runs.csv"))),
    )


def read(found: Tables, stem: str = MECHANISM) -> tuple[FactRow, ...]:
    return read_facts(
        stem,
        *found,
        sources=load_sources(),
        variables=known_variables(),
        parameters=load_parameters(),
    )


def put(row_id: str, column: str, text: str) -> Callable[[Tables], None]:
    def change(found: Tables) -> None:
        row = next(row for row in found[0] if row["row_id"] == row_id)
        assert column in row
        row[column] = text

    return change


def run(name: str, column: str, text: str) -> Callable[[Tables], None]:
    def change(found: Tables) -> None:
        row = next(row for row in found[1] if row["row_id"] + row["part"] == name)
        assert column in row
        row[column] = text

    return change


def test_all_105_mechanism_facts_load_with_their_roles():
    assert Counter(row.role for row in load_mechanism_facts()) == {
        Role.VALIDATE: 77,
        Role.CALIBRATE: 25,
        Role.CONTEXT: 3,
    }


def test_all_295_acute_facts_load_with_their_roles():
    assert Counter(row.role for row in load_acute_facts()) == {
        Role.VALIDATE: 220,
        Role.PRIOR: 44,
        Role.CALIBRATE: 31,
    }


def test_rows_hold_what_was_printed_by_hand():
    assert fact("Q019").printed["value"] == "+13 %"
    assert fact("Q022").citation.startswith("Front Neurosci 2021 609485")
    assert fact("Q056").source_keys == ("Holmes2022",)
    assert fact("AE-BLOOD-014").printed["value"] == "13.3"
    assert fact("AE-BLOOD-014").source_keys == ("Doherty2020",)
    assert fact("AE-DISSO-002").printed["comparator_value"] == "5-16"
    assert fact("AE-SEDAT-001").confidence == "seen-in-source"


def test_bounds_hold_what_was_printed_by_hand():
    assert bounds("Q022") == [(0.96, 1.04)]
    assert bounds("Q019") == [(1.13, None)]
    assert bounds("Q083") == [(0.76, 0.85)] * 4
    assert bounds("Q097") == [(72.0, 336.0)]
    assert bounds("AE-DISSO-002") == [(0.61, 0.84), (0.05, 0.16)]
    assert bounds("AE-BLOOD-014") == [(13.3, 13.3), (6.1, 6.1)]
    assert bounds("AE-BLOOD-038") == [(10.4, 14.82)]
    assert bounds("AE-BLOOD-011") == [(0.17, 0.17), (0.02, 0.02)]
    assert bounds("AE-NAUSE-001") == [(0.28, 0.28), (0.09, 0.09)]


def test_single_printed_percentages_are_the_bounds_of_their_shares():
    wrong = []
    for row in load_acute_facts():
        shares = [one for one in row.runs if one.is_comparable and STATISTICS[one.statistic].is_share]
        if not shares or row.printed["unit"] != "%" or not row.printed["value"]:
            continue
        printed = float(row.printed["value"]) / 100.0
        if shares[0].expected_low != pytest.approx(printed, rel=1e-9, abs=1e-12):
            wrong.append(row.row_id)
    assert wrong == []


def test_printed_ranges_and_intervals_are_the_bounds_of_their_first_run():
    checked = 0
    for row in load_acute_facts():
        low, high = row.printed["value_low"], row.printed["value_high"]
        scale = {"%": 100.0, "mmHg": 1.0, "beats/min": 1.0, "min after first spray": 60.0}
        first = row.runs[0]
        if not (first.is_comparable and low and high and row.printed["unit"] in scale):
            continue
        if "either of two criteria" in first.assumption:
            assert first.expected_high == pytest.approx(float(high) / 100.0, rel=1e-9)
            continue
        factor = scale[row.printed["unit"]]
        assert first.expected_low == pytest.approx(float(low) / factor, rel=1e-9), row.row_id
        assert first.expected_high == pytest.approx(float(high) / factor, rel=1e-9), row.row_id
        checked += 1
    assert checked >= 9


def test_every_fact_is_comparable_or_says_in_one_sentence_why_not():
    for row in everything():
        assert [one.part for one in row.runs] == [*"abcdefgh"[: len(row.runs)]], row.row_id
        for one in row.runs:
            assert one.is_comparable != bool(one.reason), row.row_id
            assert one.is_comparable or len(one.reason) >= len("recalled, not used"), row.row_id


def test_facts_that_the_model_must_reach_are_compared():
    mechanism = "Q003 Q004 Q005 Q008 Q009 Q014 Q017 Q018 Q019 Q020 Q022 Q031 Q032 Q033 Q038 Q044 Q046 Q047"
    mechanism += " Q048 Q049 Q050 Q056 Q057 Q058 Q059 Q082 Q083 Q084 Q085 Q086 Q097 Q098 Q099"
    acute = "DISSO-002 DISSO-003 DISSO-004 DISSO-021 DISSO-029 DISSO-030 DISSO-031 DISSO-032 DISSO-033"
    acute += " DISSO-037 ATTEN-001 ATTEN-002 ATTEN-003 ATTEN-004 SEDAT-001 SEDAT-002 SEDAT-003 SEDAT-004"
    acute += " SEDAT-005 BLOOD-001 BLOOD-005 BLOOD-006 BLOOD-007 BLOOD-008 BLOOD-009 BLOOD-010 BLOOD-011"
    acute += " BLOOD-012 BLOOD-013 BLOOD-014 BLOOD-015 BLOOD-016 BLOOD-017 BLOOD-022 BLOOD-038 BLOOD-039"
    acute += " BLOOD-040 BLOOD-041 BLOOD-042 BLOOD-043 BLOOD-044 BLOOD-045 HEART-006 HEART-008"
    names = [*mechanism.split(), *(f"AE-{name}" for name in acute.split())]
    assert [name for name in names if not fact(name).is_comparable] == []


def test_recalled_facts_are_never_compared_nor_fitted():
    recalled = [row for row in everything() if row.confidence == RECALLED]
    assert [row.row_id for row in recalled] == ["Q015", "Q039", "Q054"]
    assert not any(row.is_comparable for row in recalled)
    assert fitting_rows(recalled) == ()


def test_baths_are_evaluated_directly_and_all_else_is_run():
    held = {one.row_id: one for one in comparable_runs(everything()) if one.steady_at_umol_per_L is not None}
    assert set(held) == {"Q004", "Q005", "Q008", "Q009", "Q014", "Q017"}
    assert (held["Q008"].steady_at_umol_per_L, held["Q008"].statistic) == (1.0, "increases")
    assert (held["Q009"].steady_at_umol_per_L, held["Q009"].statistic) == (10.0, "decreases")
    assert all(one.regimen == "" and one.from_h is None for one in held.values())
    assert all(one.regimen for one in comparable_runs(everything()) if one.row_id not in held)


def test_directions_are_open_on_the_far_side():
    for one in comparable_runs(everything()):
        if one.statistic in DIRECTIONS:
            zero, far = DIRECTIONS[one.statistic]
            assert (getattr(one, zero), getattr(one, far)) == (0.0, None), one.row_id


def test_no_comparison_is_true_of_a_model_without_effect_and_false_of_none():
    """A ratio of 1 or a share of 0 to 1 would hold whatever the model says."""
    for one in comparable_runs(everything()):
        low, high = one.expected_low, one.expected_high
        if STATISTICS[one.statistic].is_share:
            assert (low, high) != (0.0, 1.0), one.row_id
        if one.statistic == "correlation":
            assert (low, high) != (-1.0, 1.0), one.row_id


def test_windows_lie_inside_the_treatment_that_they_read():
    for one in comparable_runs(everything()):
        if one.regimen and one.from_h is not None:
            last_h = max(event.start_h for event in parse_regimen(one.regimen).doses(70.0))
            assert one.from_h <= last_h + 800.0, one.row_id


def test_every_comparable_run_says_what_it_supposes_or_runs_the_printed_dose():
    silent = [one for one in comparable_runs(everything()) if not one.assumption]
    printed = re.compile(r"ketamine 0\.5 mg/kg iv over 40 min|esketamine 84 mg intranasal")
    assert [one.row_id for one in silent if not printed.fullmatch(one.regimen)] == []


def test_a_shipped_run_is_read_into_its_fields():
    one = fact("Q020").runs[0]
    assert (one.from_h, one.to_h, one.patients_count, one.threshold) == (0.67, 0.67, 200, None)
    assert one.reference == Reference(kind="variable", variable="cadss_points", at_h=0.67)
    window = fact("Q099").runs[1]
    assert (window.from_h, window.to_h, window.patients_count) == (2.0, 4.0, None)
    assert (window.expected_low, window.expected_high) == (None, 0.0)


def test_references_are_read_in_every_form():
    assert read_reference("") == Reference(kind="none")
    assert read_reference("baseline") == Reference(kind="baseline")
    assert read_reference("time: 24 h") == Reference(kind="time", at_h=24.0)
    assert read_reference("variable: bdnf_relative") == Reference(kind="variable", variable="bdnf_relative")
    assert read_reference("regimen: placebo intranasal").regimen == "placebo intranasal"
    assert read_reference("mediator: madrs_points, regimen: placebo po, daily x 2") == Reference(
        kind="mediator", variable="madrs_points", regimen="placebo po, daily x 2"
    )
    with pytest.raises(InvalidInputError, match=r"'reference' must be 'baseline', .*Got 'yesterday'"):
        read_reference("yesterday")


def test_blockers_are_read_as_overrides_and_their_reference_is_without():
    one = fact("Q040").runs[0]
    assert one.overrides == (Override("signalling.mtorc1_scale_relative", 0.0),)
    assert one.reference == Reference(kind="regimen", regimen=one.regimen)
    assert one.reference_overrides == ()
    assert [run.row_id for run in comparable_runs(everything()) if run.reference_overrides] == []
    mutant = fact("Q010").runs[1].overrides
    assert [over.parameter for over in mutant] == [
        "circuit.pyramidal_nmda_share",
        "signalling.direct_weight_fraction",
    ]


def test_overrides_are_printed_as_they_are_read():
    text = "circuit.pyramidal_nmda_share=0.25;signalling.opioid_block_fraction=1"
    assert print_overrides(read_overrides(text)) == text
    assert read_overrides("") == ()
    for broken in ("mtorc1=0", "signalling.mtorc1_scale_relative", "signalling.opioid_block_fraction=off"):
        with pytest.raises(InvalidInputError, match=r"'overrides' must be 'layer\.field=number'"):
            read_overrides(broken)
    with pytest.raises(InvalidInputError, match="'overrides' must be one value for a parameter"):
        read_overrides("signalling.opioid_block_fraction=1;signalling.opioid_block_fraction=0")


def test_a_run_may_change_its_reference_too():
    found = tables()
    run("Q040a", "reference_overrides", "signalling.opioid_block_fraction=1")(found)
    changed = next(row for row in read(found) if row.row_id == "Q040").runs[0]
    assert changed.reference_overrides == (Override("signalling.opioid_block_fraction", 1.0),)


def test_facts_to_validate_with_are_refused_for_fitting():
    with pytest.raises(InvalidInputError, match=r"'role' must be one of .*Got validate in row Q056"):
        runs_to_fit([fact("Q019"), fact("Q056")])
    assert [one.row_id for one in runs_to_fit([fact("Q019"), fact("Q022")])] == ["Q019", "Q022"]


def test_fitting_gets_no_fact_to_validate_with():
    chosen = runs_to_fit(fitting_rows(everything()))
    roles = {row.row_id: row.role for row in everything()}
    assert {roles[one.row_id] for one in chosen} == {Role.CALIBRATE}
    assert len({one.row_id for one in chosen}) == 51


def drop_a_run(found: Tables) -> None:
    found[1][:] = [one for one in found[1] if one["row_id"] != "Q006"]


def drop_a_row(found: Tables) -> None:
    del found[0][5]


def repeat_first_row(found: Tables) -> None:
    found[0].append(dict(found[0][0]))


def repeat_first_run(found: Tables) -> None:
    found[1].append(dict(found[1][0]))


def compare_recalled(found: Tables) -> None:
    done = next(one for one in found[1] if one["row_id"] == "Q019")
    recalled = next(one for one in found[1] if one["row_id"] == "Q015")
    recalled.update({**done, "row_id": "Q015"})


def test_unchanged_tables_pass():
    assert len(read(tables())) == 105
    assert len(read(tables(ACUTE), ACUTE)) == 295


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop_a_run, "'row_id' must be in both tables. Got 'Q006' in only one"),
        (drop_a_row, "'row_id' must be in both tables. Got 'Q006' in only one"),
        (repeat_first_row, "'row_id' must be given and unique. Got 'Q001' 2 time"),
        (repeat_first_run, "'row_id' must be given and unique. Got 'Q001a' 2 time"),
        (compare_recalled, "'comparable' must be no for a recalled row. Got run Q015a. A number from memory"),
        (put("Q019", "role", ""), "'role' must be one of 'calibrate'.*Got '' in row Q019. Every row"),
        (put("Q019", "confidence", "sure"), "'confidence' must be one of .*Got 'sure' in row Q019"),
        (put("Q019", "citation", ""), "'citation' must be given. Got nothing in row Q019"),
        (put("Q056", "source_key", "Holms2022"), "Unknown source 'Holms2022'.*Holmes2022.*row Q056"),
        (run("Q019a", "part", ""), "'part' must be one small letter. Got '' in run Q019"),
        (run("Q019a", "comparable", "maybe"), "'comparable' must be one of 'yes', 'no'. Got 'maybe'"),
        (run("Q019a", "comparable", "no"), "'reason' must be given alone.*run Q019a"),
        (run("Q019a", "reason", "because"), "'reason' must be left out where comparable is yes.*Q019a"),
        (run("Q006a", "reason", ""), "'reason' must be given alone.*Got nothing in run Q006a"),
        (run("Q019a", "variable", "glutamate_relative"), "Unknown variable 'glutamate_relative'.*Q019a"),
        (run("Q020a", "reference", "variable: cads_points at 1 h"), "Unknown variable 'cads_points'"),
        (run("Q019a", "statistic", "median_at"), "'statistic' must be one of 'value_at'.*'median_at'"),
        (run("Q019a", "subgroup", "tall"), "'subgroup' must be one of 'all'.*Got 'tall' in run Q019a"),
        (run("Q019a", "regimen", "ketamine 35 mq im"), "In run Q019a: Unknown unit 'mq'"),
        (run("Q019a", "regimen", ""), "'regimen' must be given exactly where steady.*run Q019a"),
        (run("Q008a", "regimen", "ketamine 35 mg im"), "'regimen' must be given exactly where steady"),
        (run("Q018a", "reference", "regimen: ketamine 1 mq im"), "In run Q018a: Unknown unit 'mq'"),
        (run("Q019a", "reference", "placebo"), "In run Q019a: 'reference' must be 'baseline'.*Got 'placebo'"),
        (run("Q019a", "reference", "mediator: madrs_point, regimen: saline iv"), "Unknown variable 'madrs"),
        (run("Q019a", "reference", "mediator: madrs_points, regimen: saline iv 40"), "In run Q019a: "),
        (run("Q022a", "reference", ""), "'reference' must be of the kind baseline or .*run Q022a"),
        (run("Q003a", "reference", "baseline"), "'reference' must be of the kind none.*peak in run Q003a"),
        (run("Q019a", "population", "200 people"), "'population' must be 'typical' or.*'200 people'"),
        (run("Q020a", "population", "typical"), "'population' must be a number of virtual patients.*Q020a"),
        (run("Q019a", "at_h", "0.67-0"), "'at_h' must be a time or a window.*'0.67-0' in run Q019a"),
        (run("Q019a", "at_h", ""), "'at_h' must be given. Got nothing for ratio_at in run Q019a"),
        (run("Q097a", "threshold", ""), "'threshold' must be given. Got '' for return_by_h in run Q097a"),
        (run("Q019a", "threshold", "3"), "'threshold' must be left out. Got '3' for ratio_at in run Q019a"),
        (run("Q097a", "expected_low", "400"), "'expected_low' must be at most expected_high. Got 400"),
        (run("Q019a", "expected_low", ""), "'expected_low' must be given, or expected_high.*Q019a"),
        (run("Q022a", "expected_low", "nan"), "'expected_low' must be a number. Got 'nan' in run Q022a"),
        (run("Q098a", "expected_high", "60"), "'expected_high' must be 0 to 1 for a share.*run Q098a"),
        (run("Q040a", "overrides", "rapamycin"), "In overrides of run Q040a: 'overrides' must be 'layer"),
        (run("Q040a", "overrides", "signalling.mtorc1_scale=0"), "overrides of run Q040a: Unknown parameter"),
        (run("Q040a", "overrides", "signalling.mtorc1_scale_relative=3"), "Q040a: .*must be 0–2.*Got 3"),
        (run("Q040a", "reference_overrides", "circuit.share=0"), "In reference_overrides of run Q040a: Unkn"),
        (
            run("Q019a", "reference_overrides", "signalling.opioid_block_fraction=1"),
            "'reference_overrides' must be left out where the reference has no regimen.*Q019a",
        ),
        (run("Q006a", "overrides", "circuit.pyramidal_nmda_share=0"), "'reason' must be given alone.*Q006a"),
    ],
)  # fmt: skip
def test_a_changed_fact_is_refused(change: Callable[[Tables], None], message: str):
    found = tables()
    change(found)
    with pytest.raises(InvalidInputError, match=message):
        read(found)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (run("C0036a", "relapse_rule", ""), "'relapse_rule' must be one of 'MADRS 22 twice'.*Got '' for"),
        (run("C0036a", "relapse_rule", "HAM-D 16"), "'relapse_rule' must be one of .*'HAM-D 16'.*C0036a"),
        (run("C0036a", "well_by", "good"), "'well_by' must be one of 'response'.*Got 'good'.*run C0036a"),
        (run("T0105a", "well_by", "response"), "'well_by' must be left out. Got 'response' for share_respon"),
        (run("T0105a", "relapse_rule", "response lost"), "'relapse_rule' must be left out.*run T0105a"),
        (run("P0006a", "well_by", "response"), "'reason' must be given alone.*Got well_by in run P0006a"),
        (run("C0036a", "at_h", "288"), "'at_h' must be a window. Got '288' for share_relapsed in run C0036a"),
        (run("C0036a", "at_h", ""), "'at_h' must be given"),
        (run("C0036a", "population", "typical"), "'population' must be a number of virtual patients"),
        (run("C0036a", "variable", "qids_sr16_points"), "'variable' must be madrs_points, which 'resp"),
        (run("C0036a", "well_by", "stable_remission"), "'at_h' must be a window with weekly visits of"),
        (run("P0208a", "well_by", "stable_remission"), "'relapse_rule' must be a rule on MADRS where well"),
    ],
)  # fmt: skip
def test_a_changed_follow_up_is_refused(change: Callable[[Tables], None], message: str):
    found = tables(OUTCOMES)
    change(found)
    with pytest.raises(InvalidInputError, match=message):
        read(found, OUTCOMES)


def test_columns_of_a_follow_up_may_be_left_out_of_a_table():
    assert "well_by" not in tables()[1][0]
    assert {one.well_by for row in everything() for one in row.runs} == {""}


def test_every_problem_of_a_table_is_named_at_once():
    found = tables()
    run("Q019a", "statistic", "median_at")(found)
    put("Q056", "role", "")(found)
    with pytest.raises(InvalidInputError, match=r"(?s)2 problem\(s\).*Q056.*Q019a"):
        read(found)
