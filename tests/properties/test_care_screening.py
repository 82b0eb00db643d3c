"""Unknown never passes, and knowing more never turns a stop into a pass."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from euthymia.care.conditions import Fact
from euthymia.care.intake import Field, Intake, fields, intake_fields
from euthymia.care.rules import Rule, evaluate, products, rules
from euthymia.care.screening import screen

AT = datetime(2026, 5, 4, tzinfo=UTC)
PRODUCTS = st.sampled_from(products())
TESTED = [one for one in rules().values() if one.is_tested]
ASKED = [one for one in intake_fields() if not one.derived and one.kind != "list"]


def values_of(field: Field) -> st.SearchStrategy[Any]:
    """Anything that may be on record of a field."""
    if field.kind == "yes_no":
        return st.booleans()
    if field.kind == "choice":
        return st.sampled_from(field.choices)
    if field.kind == "list":
        return st.lists(st.sampled_from(["maoi", "benzodiazepine", "other"]), max_size=3).map(tuple)
    if field.kind == "text":
        return st.just("none")
    low, high = field.low or 0, field.high or 1000
    whole = st.integers(int(low), int(high))
    return whole.map(float) if field.kind == "count" else whole | st.floats(low, high)


@st.composite
def known_less_and_more(draw: st.DrawFn, names: tuple[str, ...]) -> tuple[dict[str, Fact], dict[str, Fact]]:
    more = {name: draw(values_of(fields()[name])) for name in names if draw(st.booleans())}
    less = {name: value for name, value in more.items() if draw(st.booleans())}
    return less, more


@settings(max_examples=500)
@given(data=st.data(), rule=st.sampled_from(TESTED), product=PRODUCTS)
def test_knowing_more_keeps_every_verdict(data: st.DataObject, rule: Rule, product: tuple[str, Any]):
    drug, route = product
    less, more = data.draw(known_less_and_more(rule.fields))
    before = evaluate(rule, less, drug=drug, route=route)
    after = evaluate(rule, more, drug=drug, route=route)
    assert (before is None) == (after is None)
    if before is not None and after is not None:
        assert before.status in {"unknown", after.status}
        assert bool(before.asks) == (before.status == "unknown")
        assert set(before.asks) <= set(rule.fields) - set(less)


@st.composite
def intakes(draw: st.DrawFn) -> tuple[Intake, Intake]:
    """Two intakes of one person, the second with more answers."""
    more = {one.name: draw(values_of(one)) for one in ASKED if draw(st.booleans())}
    less = {name: value for name, value in more.items() if draw(st.booleans())}
    return (
        Intake.create(patient_id="P", answers=less, comedications=None),
        Intake.create(
            patient_id="P", answers=more, comedications=draw(st.sampled_from([None, [], ["lithium"]]))
        ),
    )


@settings(max_examples=40)
@given(pair=intakes(), product=PRODUCTS)
def test_a_block_stays_while_the_answers_stay(pair: tuple[Intake, Intake], product: tuple[str, Any]):
    drug, route = product
    less, more = (screen(one, drug=drug, route=route, at_utc=AT) for one in pair)
    # a pressure that turns out to be the wrong way round is taken back, and is then open: still a stop
    standing = {one.rule_id for one in more.standing}
    assert {one.rule_id for one in less.standing if one.status == "fails"} <= standing


@settings(max_examples=40)
@given(pair=intakes(), product=PRODUCTS)
def test_what_is_unknown_is_open_and_what_can_stop_stands(
    pair: tuple[Intake, Intake], product: tuple[str, Any]
):
    drug, route = product
    found = screen(pair[0], drug=drug, route=route, at_utc=AT)
    known = pair[0].facts()
    for one in found.findings:
        if one.status == "unknown":
            assert set(one.asks) <= set(found.open_fields)
            assert not set(one.asks) & set(known)
            assert one.is_stopping == (one in found.standing)
    assert any("no verdict" in text for text in found.says) == (not found.standing)


@settings(max_examples=30)
@given(pair=intakes())
def test_every_contraindication_that_is_on_record_stops_every_product(pair: tuple[Intake, Intake]):
    facts = pair[1].facts()
    kinds = {one.id: one for one in TESTED if one.kind == "contraindication"}
    on_record = {name for name, one in kinds.items() if one.fails_if is not None and one.fails_if.hold(facts)}
    for drug, route in products():
        found = screen(pair[1], drug=drug, route=route, at_utc=AT)
        assert on_record <= {one.rule_id for one in found.standing}
