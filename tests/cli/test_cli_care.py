"""``euthymia care init``, ``screen`` and ``plan``: an example file, findings, a plan; clear mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.cli.commands import Command, check_schema

from euthymia.care.intake import Intake, fields, intake_fields
from euthymia.care.rules import find_rule
from euthymia.cli.care_screen import NOT_A_DEVICE, virtual
from euthymia.errors import InvalidInputError
from euthymia.files.care_intake import parse_intake, read_intake
from euthymia.tables import read_text

TEMPLATE = read_text("intake_template.yaml")
DRIP = ("--drug", "ketamine", "--route", "iv_infusion")


@pytest.fixture
def example(tmp_path: Path, command: Command) -> Path:
    path = tmp_path / "intake.yaml"
    assert command("care", "init", path).code == 0
    return path


def rewritten(path: Path, old: str, new: str) -> Path:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


def test_the_example_names_every_field_that_is_asked(example: Path):
    read = read_intake(example)
    worked_out = {one.name for one in intake_fields() if one.derived and one.derived != "prior_trials"}
    assert set(read.answers) == {one.name for one in intake_fields()} - worked_out - {"comedications"}
    for name in read.answers:
        assert f"{name}: " in TEMPLATE
        line = TEMPLATE.splitlines()[read.lines[name] - 1]
        assert line.strip().startswith(f"{name}:")
        assert "#" in line


def test_the_example_keeps_what_was_entered(example: Path):
    quantity = read_intake(example).intake().answers["weight_kg"].quantity
    assert quantity is not None
    assert str(quantity) == "174 lb"
    assert quantity.canonical == pytest.approx(174 * 0.45359237, rel=1e-12)


def test_a_screening_is_told_without_a_verdict(example: Path, command: Command):
    found = command("care", "screen", example)
    assert found.code == 0
    assert "SR-CARDIO-05" in found.out
    assert "Not known" in found.out
    assert " ".join(NOT_A_DEVICE.split()) in " ".join(found.out.split())
    assert "eligible" not in found.out.lower()


def test_a_screening_as_json_keeps_to_its_shape(example: Path, command: Command):
    document = command("care", "screen", example, "--json").json
    check_schema(document, "screening-1")
    assert (document["drug"], document["route"]) == ("esketamine", "intranasal")
    assert "eligible" not in str(document).lower()
    fails = {one["rule_id"] for one in document["findings"] if one["status"] == "fails"}
    assert set(document["standing"]) >= set(document["needing_override"])
    assert set(document["needing_override"]) <= fails
    other = command("care", "screen", example, "--json", *DRIP).json
    check_schema(other, "screening-1")
    assert (other["drug"], other["route"]) == ("ketamine", "iv_infusion")


def test_all_shows_what_is_met(example: Path, command: Command):
    assert "SR-CARDIO-01" not in command("care", "screen", example).out
    assert "SR-CARDIO-01" in command("care", "screen", example, "--all").out


def test_a_block_of_the_product_and_an_override_off_it(example: Path, command: Command):
    rewritten(example, "  aneurysmal_disease: no ", "  aneurysmal_disease: yes ")
    document = command("care", "screen", example, "--json").json
    assert document["blocking"] == ["SR-CARDIO-01"]
    signed = (
        "overrides:\n  - {rule_id: SR-CARDIO-01, of: fails, reason: Repaired; surgeon agrees., by: Dr A,"
        " by_role: prescriber, signed_utc: 2026-05-04T09:40:00Z, countersigned_by: Dr B}\n"
    )
    rewritten(example, "overrides: []", f"{signed}#")
    refused = command("care", "screen", example)
    assert refused.code == 2
    assert "allows none here" in refused.err
    document = command("care", "screen", example, "--json", *DRIP).json
    assert [one["rule_id"] for one in document["overridden"]] == ["SR-CARDIO-01"]
    assert document["overridden"][0]["countersigned_by"] == "Dr B"
    assert "SR-CARDIO-01" not in document["standing"]


def test_reports_need_nothing_else(example: Path, command: Command, tmp_path: Path):
    for verb in ("screen", "plan"):
        page = tmp_path / f"{verb}.html"
        extra = ("--patients", 20) if verb == "plan" else ()
        assert command("care", verb, example, *extra, "--report", page).code == 0
        html = page.read_text(encoding="utf-8")
        assert "not a medical device" in html
        assert "EXAMPLE-1" in html
        assert 'src="http' not in html
        assert "<link" not in html


@pytest.mark.slow
def test_a_plan_carries_the_expected_course_with_its_caveats(example: Path, command: Command):
    document = command("care", "plan", example, "--patients", 20, "--json").json
    check_schema(document, "care_plan-1")
    assert document["at_home"]["status"] == "not offered"
    assert document["expected"]["patients"] == 20
    assert document["expected"]["caveats"]
    assert document["changes"] is None
    assert document["standing"] == ["SR-SETTIN-01.enrolment"]
    shown = command("care", "plan", example, "--patients", 20)
    assert shown.code == 0
    assert "Simulated." in shown.out


def test_a_plan_is_compared_with_an_earlier_one(example: Path, command: Command, tmp_path: Path):
    later = tmp_path / "later.yaml"
    later.write_text(example.read_text(encoding="utf-8"), encoding="utf-8")
    same = command("care", "plan", later, "--against", example, "--patients", 0)
    assert "No difference." in same.out
    rewritten(later, "  dose: 56 ", "  dose: 84 ")
    document = command("care", "plan", later, "--against", example, "--patients", 0, "--json").json
    check_schema(document, "care_plan-1")
    assert len(document["changes"]) == 3
    assert document["expected"] is None
    assert all("56 mg" in one and "84 mg" in one for one in document["changes"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("weight_kg: 174 lb", "weight_kg: heavy", "line {}: 'weight_kg' must be a number in kg"),
        ("weight_kg: 174 lb", "weight_kg: 174 stones", "line {}: Unknown unit of 'weight_kg'"),
        ("  stroke: no ", "  strok: no ", "line {}: Unknown field 'strok'. Did you mean 'stroke'"),
        ("  stroke: no ", "  tia: yes ", "stands here twice"),
        ("route: intranasal", "route: rectal", "line {}: Unknown route 'rectal'"),
        ("drug: esketamine", "drug: midazolam", "line {}: 'drug' must be ketamine, esketamine or arketamine"),
        ("drug: esketamine", "drug: esketamin", "esketamine"),
        ("patient: EXAMPLE-1", "patient: ", "'patient' is missing"),
        ("T09:30:00Z ", "T09:30:00 ", "given with its zone"),
        ("seen_utc: 2026-05-04T09:30:00Z", "seen_utc: yesterday", "a date and time with its zone"),
        ("schema: euthymia.intake/1", "schema: euthymia.intake/9", "'schema' must be euthymia.intake/1"),
        ("confirmed: []", "confirmed: [weigt_kg]", "Did you mean 'weight_kg'"),
        ("overrides: []", "overrides: [{rule_id: SR-CARDIO-05}]", "one without of, reason"),
        ("overrides: []", "overrides: [now]", "a list of mappings"),
        ("person:\n", "person: [\n", "no valid YAML"),
    ],
)
def test_a_mistake_is_told_with_its_line(example: Path, command: Command, old: str, new: str, message: str):
    text = example.read_text(encoding="utf-8")
    line = text[: text.index(old)].count("\n") + 1
    rewritten(example, old, new)
    found = command("care", "screen", example)
    assert found.code == 2, found.out
    assert message.format(line) in found.err
    assert "Traceback" not in found.err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("schedule: spravato-trd ", "schedule: spravato ", "Unknown schedule 'spravato'"),
        ("  dose: 56 ", "  dose: much ", "'dose' must be a number"),
        ("  dose: 56 ", "  dose: 70 ", "'dose' must be 56, 84 mg"),
        ("step_down_review: 2026-07-27", "step_down_review: 2027-07-27", "within 3 months"),
        ("step_down_review: 2026-07-27", "step_down_review: soon", "'step_down_review' must be a date"),
        ("author_role: prescriber", "author_rle: prescriber", "one without author_role"),
        ("daily_practice: Ten", "daily_practise: Ten", "Did you mean 'daily_practice'"),
        ("at_home: {status: not offered}", "at_home: {status: maybe}", "Unknown status at home 'maybe'"),
        ("at_home: {status: not offered}", "at_home: {state: offered}", "a mapping with status"),
    ],
)
def test_a_mistake_in_a_plan_is_told(example: Path, command: Command, old: str, new: str, message: str):
    found = command("care", "plan", rewritten(example, old, new), "--patients", 0)
    assert found.code == 2, found.out
    assert message in found.err


def test_a_file_is_not_overwritten_unless_it_is_asked_for(example: Path, command: Command):
    assert command("care", "init", example).code == 2
    assert command("care", "init", example, "--force").code == 0
    assert command("care", "init", example.with_suffix(".txt")).code == 2
    missing = command("care", "screen", example.with_name("none.yaml"))
    assert missing.code == 2
    assert "care init" in missing.err


def test_fields_may_stand_alone_or_under_their_headings():
    head = (
        "schema: euthymia.intake/1\npatient: P\nseen_utc: 2026-05-04T09:30:00Z\ndrug: ketamine\nroute: oral\n"
    )
    alone = parse_intake(f"{head}stroke: yes\n", "a.yaml").intake()
    under = parse_intake(f"{head}brain_and_eye:\n  stroke: yes\n", "a.yaml").intake()
    assert alone.facts() == under.facts() == {"stroke": True}
    assert parse_intake(f"{head}brain_and_eye:\n", "a.yaml").intake().facts() == {}


def test_a_file_that_is_no_mapping_is_refused():
    with pytest.raises(InvalidInputError, match="a mapping of fields"):
        parse_intake("- a\n", "a.yaml")


def test_what_is_known_of_the_person_reaches_the_model():
    given: dict[str, Any] = {"weight_kg": 80, "age_years": 50, "height_cm": 180}
    intake = Intake.create(patient_id="P", answers=given, comedications=["ticlopidine", "sertraline"])
    person = virtual(intake.facts())
    assert (person.weight_kg, person.age_years, person.comedications) == (80.0, 50.0, ("ticlopidine",))
    assert virtual({}).weight_kg == 70.0


def test_the_questions_of_the_example_are_those_of_the_table():
    assert all(
        one.asks in TEMPLATE for one in fields().values() if f"  {one.name}: " in TEMPLATE and not one.derived
    )
    assert find_rule("SR-CARDIO-05").id in TEMPLATE
