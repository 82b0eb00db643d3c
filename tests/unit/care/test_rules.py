"""Rules are data: every row of the evidence is one or says why not, and every boundary is tried."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from euthymia.care.conditions import OTHERS, Fact, read_conditions
from euthymia.care.findings import SEVERITIES, STATUSES, by_weight, strictest
from euthymia.care.intake import fields
from euthymia.care.rules import (
    KINDS,
    MOMENTS,
    RECALLED,
    Rule,
    evaluate,
    find_rule,
    products,
    rows_without_rule,
    rule_set_version,
    rules,
    rules_at,
)
from euthymia.dosing.order import Route
from euthymia.errors import InvalidInputError, UnknownNameError
from euthymia.tables import read_table

SCREENING = {row["id"]: row for row in read_table("evidence/safety/screening_rules.csv")}
SESSION = {row["id"]: row for row in read_table("evidence/safety/session_protocols.csv")}
ROWS = {**SCREENING, **SESSION}
COPIED = [one for one in rules().values() if one.row]
TESTED = [one for one in rules().values() if one.is_tested]
CONTRAINDICATIONS = [row for row in SCREENING.values() if row["severity"] == "contraindication"]
SUGGESTED = {
    "block": "block",
    "override_with_reason": "override",
    "warn": "inform",
    "record_required": "record",
}
STEP = 0.01


def drug_and_route(rule: Rule) -> tuple[str, Route]:
    """A product that the rule speaks of."""
    return next((drug, way) for drug, way in products() if rule.severity_for(drug, way) is not None)


def said(rule: Rule, facts: Mapping[str, Fact]) -> str:
    drug, way = drug_and_route(rule)
    found = evaluate(rule, facts, drug=drug, route=way)
    assert found is not None
    return found.status


# An implementation of its own: Python's 'and' and 'or' instead of the reader of the package.


def python_of(text: str) -> str:
    text = re.sub(r"(\w+) is yes", r"(f['\1'] is True)", text)
    text = re.sub(r"(\w+) is no\b", r"(f['\1'] is False)", text)
    text = re.sub(r"(?<!\])\b(\w+) is (?!True|False)(\w+)", r"(f['\1'] == '\2')", text)
    text = re.sub(r"(\w+) has (\w+)", r"('\2' in f['\1'])", text)
    return re.sub(r"(\w+) (>=|<=|>|<) ([\d.]+)", r"(f['\1'] \2 \3)", text)


def text_of(rule: Rule) -> str:
    assert rule.fails_if is not None
    return " or ".join(" and ".join(str(one) for one in way) for way in rule.fails_if.ways)


def candidates(rule: Rule) -> dict[str, list[Fact]]:
    """Values to try of each field: of numbers those at, just below and just above every threshold."""
    found: dict[str, list[Fact]] = {}
    for one in rule.fails_if.atoms() if rule.fails_if else ():
        values: list[Fact] = (
            [True, False]
            if isinstance(one.value, bool)
            else [one.value - STEP, one.value, one.value + STEP]
            if isinstance(one.value, float)
            else [("something", str(one.value)), ("something",)]
            if one.operator == "has"
            else [str(one.value), "another"]
        )
        known = found.setdefault(one.field, [])
        known += [value for value in values if value not in known]
    for field in rule.records:
        found.setdefault(field, [True] if fields()[field].kind == "yes_no" else [1.0])
    return found


def settings(rule: Rule) -> Iterator[dict[str, Fact]]:
    tried = candidates(rule)
    for values in product(*tried.values()):
        yield dict(zip(tried, values, strict=True))


def fails(rule: Rule, facts: Mapping[str, Fact]) -> bool:
    return bool(rule.fails_if) and bool(eval(python_of(text_of(rule)), {"f": facts}))


@pytest.mark.parametrize("rule", TESTED, ids=lambda rule: rule.id)
def test_a_rule_fails_exactly_where_its_text_says_at_and_beside_every_threshold(rule: Rule):
    tried = list(settings(rule))
    verdicts = [fails(rule, facts) for facts in tried]
    assert [said(rule, facts) for facts in tried] == ["fails" if one else "meets" for one in verdicts]
    assert True in verdicts or rule.records
    assert False in verdicts


@pytest.mark.parametrize("rule", TESTED, ids=lambda rule: rule.id)
def test_nothing_known_is_unknown_and_says_what_to_ask(rule: Rule):
    drug, way = drug_and_route(rule)
    found = evaluate(rule, {}, drug=drug, route=way)
    assert found is not None
    assert (found.status, found.observed) == ("unknown", None)
    assert set(found.asks) == set(rule.fields)


@pytest.mark.parametrize("rule", TESTED, ids=lambda rule: rule.id)
def test_what_is_said_with_something_missing_holds_however_it_turns_out(rule: Rule):
    whole = list(settings(rule))
    for missing in rule.fields:
        for facts in whole:
            known = {field: value for field, value in facts.items() if field != missing}
            verdict = said(rule, known)
            completed = {fails(rule, {**known, missing: value}) for value in candidates(rule)[missing]}
            assert verdict == "unknown" or completed == {verdict == "fails"}
            if completed == {True, False}:
                assert verdict == "unknown"


@pytest.mark.parametrize("rule", TESTED, ids=lambda rule: rule.id)
def test_what_a_rule_asks_for_decides_it(rule: Rule):
    """Asking for what is named, one after another, ends with a verdict."""
    drug, way = drug_and_route(rule)
    for facts in settings(rule):
        known: dict[str, Fact] = {}
        for _ in rule.fields:
            found = evaluate(rule, known, drug=drug, route=way)
            assert found is not None
            if not found.asks:
                break
            known[found.asks[0]] = facts[found.asks[0]]
        assert said(rule, known) == ("fails" if fails(rule, facts) else "meets")


def test_no_row_is_lost():
    made = {one.row for one in COPIED}
    assert made | set(rows_without_rule()) == set(ROWS)
    assert made & set(rows_without_rule()) == set()
    assert len(ROWS) == 109 + 106


def test_a_row_without_rule_says_why_and_leads_to_one_that_exists():
    for one in rows_without_rule().values():
        assert len(one.reason) > 20
        assert not one.see or one.see in rules()


def test_a_copied_rule_says_what_its_row_says():
    for rule in COPIED:
        row = ROWS[rule.row]
        assert rule.id.startswith(rule.row)
        assert (rule.source, rule.url, rule.confidence) == (row["citation"], row["url"], row["confidence"])
        assert (rule.jurisdiction, rule.unit, rule.says) == (row["jurisdiction"], row["unit"], row["rule"])
        assert rule.note == row["notes"]


def test_the_severity_of_a_screening_rule_is_that_of_its_row():
    for rule in (one for one in COPIED if one.row in SCREENING):
        row = SCREENING[rule.row]
        assert rule.kind in {row["severity"], "instruction"}
        assert rule.severity == (SUGGESTED[row["suggested_enforcement"]] if rule.is_tested else "inform"), row
        assert rule.threshold == row["threshold"]


MEASURED_ONLY = {"SR-INTERA-11"}
"""Their number is an effect that was seen, no threshold."""
REQUIRED = {"SR-INDICA-01", "SR-INDICA-04", "SR-INDICA-12", "SR-PSYCHI-12"}
"""Their rows say what must hold, so that the rule fails below."""


@pytest.mark.parametrize(
    "rule",
    [one for one in TESTED if one.id not in MEASURED_ONLY and SCREENING.get(one.row, {}).get("threshold")],
    ids=lambda rule: rule.id,
)
def test_thresholds_are_those_of_the_row(rule: Rule):
    row = SCREENING[rule.row]
    text, numbers = text_of(rule), re.findall(r"\d+(?:\.\d+)?", row["threshold"])
    letters = row["threshold"] if row["operator"] == "=" else ""
    operator = {">=": "<"}[row["operator"]] if rule.id in REQUIRED else row["operator"]
    if letters:
        assert f"is {letters}" in text
    for one in numbers if rule.id != "SR-CARDIO-08" else ["140", "150", "90"]:
        assert f"{operator} {one}" in text


def test_a_value_of_a_parameter_is_that_of_its_row():
    for one in COPIED:
        if one.row in SESSION:
            row = SESSION[one.row]
            assert str("" if one.value is None else one.value) == row["value"]
            for own, given in ((one.low, row["value_low"]), (one.high, row["value_high"])):
                assert own == (float(given) if given else None)
            assert one.timing == row["timing"]


@pytest.mark.parametrize("row", CONTRAINDICATIONS, ids=lambda row: row["id"])
def test_a_contraindication_of_any_product_stops_every_drug_and_route(row: dict[str, str]):
    rule = find_rule(row["id"])
    routes = {"IN": {Route.INTRANASAL}, "any": set(Route)}[row["route"]]
    drugs = {
        "esketamine": {"esketamine"},
        "racemic ketamine": {"ketamine"},
        "any": {"ketamine", "esketamine", "arketamine"},
    }[row["drug"]]
    for drug, route in products():
        expected = "block" if drug in drugs and route in routes else "countersign"
        assert rule.severity_for(drug, route) == expected, (drug, route)


def test_every_ketamine_and_every_route_is_tried():
    assert {drug for drug, _ in products()} == {"ketamine", "esketamine", "arketamine"}
    assert {route for _, route in products()} == set(Route)
    assert len(CONTRAINDICATIONS) == 9


def test_relative_contraindications_stop_every_drug_and_route():
    relative = [row for row in SCREENING.values() if row["severity"] == "relative_contraindication"]
    for row in relative:
        for drug, route in products():
            assert find_rule(row["id"]).severity_for(drug, route) in {"block", "countersign", "override"}


def test_what_is_recalled_only_informs():
    recalled = [one for one in rules().values() if one.confidence == RECALLED]
    assert len(recalled) >= 4
    assert {one.severity_for(*product) for one in recalled for product in products()} <= {"inform", None}
    strict = replace(recalled[0], severity="block", elsewhere="block")
    assert {strict.severity_for(*product) for product in products()} == {"inform"}


def test_a_rule_that_no_source_sets_says_so():
    own = [one for one in rules().values() if one.is_own_rule]
    assert find_rule("SR-CARDIO-10").is_own_rule
    assert all(one.is_own_rule for one in rules().values() if not one.row)
    assert all(one.confidence in {"own", "derived"} for one in own)
    derived = [one for one in rules().values() if one.confidence == "derived" and one.is_tested]
    assert [one.id for one in derived if not one.is_own_rule] == ["SP-SPRAVATO-16"], (
        "two a week for four weeks"
    )


def test_intervals_without_a_source_are_marked():
    follow = [
        one for one in rules().values() if one.id.startswith(("OWN-FOLLOW", "OWN-CHECKS", "OWN-CONTACT"))
    ]
    assert len(follow) == 9
    assert all(one.is_consensus_needed for one in follow)


def test_every_rule_is_well_formed():
    for one in rules().values():
        check_form(one)


def check_form(rule: Rule) -> None:
    assert rule.kind in KINDS
    assert rule.severity in SEVERITIES
    assert rule.elsewhere in {*SEVERITIES, None}
    assert set(rule.routes) <= set(Route)
    assert set(rule.drugs) <= {drug for drug, _ in products()}
    assert rule.moments
    assert set(rule.moments) <= set(MOMENTS)
    assert set(rule.fields) <= set(fields())
    assert rule.source
    assert rule.is_tested == bool(rule.holds)
    assert rule.version == rule_set_version()


def test_rules_compare_what_their_fields_can_hold():
    kinds = {"yes_no": {"is"}, "choice": {"is"}, "list": {"has"}, "number": {">", ">=", "<", "<="}}
    kinds["count"] = kinds["number"]
    for one in (atom for rule in TESTED if rule.fails_if for atom in rule.fails_if.atoms()):
        field = fields()[one.field]
        assert one.operator in kinds[field.kind]
        assert isinstance(one.value, bool) == (field.kind == "yes_no")
        assert field.kind != "choice" or one.value in field.choices


def test_a_list_that_holds_others_does_not_say_what_it_lacks():
    line = read_conditions("comedication_classes has maoi")
    assert line.hold({"comedication_classes": ("ssri",)}) is False
    assert line.hold({"comedication_classes": ("ssri", OTHERS)}) is None
    assert line.hold({"comedication_classes": ("maoi", OTHERS)}) is True


@pytest.mark.parametrize("text", ["age_years over 18", "age_years >", "", "a is yes b", "a <> 3"])
def test_what_is_no_condition_is_refused(text: str):
    with pytest.raises(InvalidInputError, match="no condition"):
        read_conditions(text)


def test_a_word_where_a_number_belongs_is_refused():
    with pytest.raises(InvalidInputError, match=r"'age_years' must be a number\. Got 'old'"):
        read_conditions("age_years > 3").hold({"age_years": "old"})


def test_a_condition_is_written_as_it_is_read():
    text = "age_years >= 65 and child_pugh is B or is_at_home is yes and comedications has lithium"
    read = read_conditions(text)
    assert " or ".join(" and ".join(str(one) for one in way) for way in read.ways) == text


def test_only_the_first_way_that_is_open_is_asked_for():
    rule = find_rule("SR-CARDIO-04")
    found: Any = evaluate(rule, {"cardiovascular_event": False}, drug="ketamine", route="oral")
    assert (found.status, found.asks) == ("meets", ())
    found = evaluate(rule, {"cardiovascular_event": True}, drug="ketamine", route="oral")
    assert (found.status, found.asks) == ("unknown", ("weeks_since_cardiovascular_event",))


def test_unknown_names_are_told_with_the_nearest():
    with pytest.raises(UnknownNameError, match="'SR-CARDIO-21'"):
        find_rule("SR-CARDIO-1")
    with pytest.raises(UnknownNameError, match="moment"):
        rules_at("breakfast")


def test_rules_of_a_product_leave_out_those_that_say_nothing_of_it():
    named = {one.id for one in rules_at("pre_dose", drug="ketamine", route="iv_infusion")}
    assert "SR-INTERA-15" not in named
    assert "SR-INTERA-15" in {one.id for one in rules_at("pre_dose", drug="esketamine", route="intranasal")}


def test_the_weightiest_finding_comes_first():
    drug, way = "esketamine", Route.INTRANASAL
    facts: dict[str, Fact] = {"aneurysmal_disease": True, "age_years": 60.0, "sleep_apnoea": False}
    ids = ("SR-CARDIO-20", "SR-AGE-03", "SR-CARDIO-02", "SR-CARDIO-18", "SR-CARDIO-01")
    found = [evaluate(find_rule(one), facts, drug=drug, route=way) for one in ids]
    assert None not in found
    ordered = by_weight(one for one in found if one is not None)
    assert [one.rule_id for one in ordered] == [ids[4], ids[2], ids[3], ids[1], ids[0]]
    assert strictest(ordered) == "block"
    assert strictest(one for one in ordered if not one.is_stopping) is None
    assert {one.status for one in ordered} == set(STATUSES)
