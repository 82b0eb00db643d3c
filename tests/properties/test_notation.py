"""What the regimen notation promises for every regimen and every text."""

from __future__ import annotations

import warnings
from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.strategies import orders, regimens

from euthymia.dosing.drug import find_drug
from euthymia.dosing.notation import parse_regimen, print_regimen
from euthymia.dosing.order import Order
from euthymia.dosing.regimen import Regimen, append, repeat, shift, single
from euthymia.errors import InvalidInputError, ResultWarning

WORDS = (
    "ketamine esketamine saline CBT ECT escitalopram 0 0.5 40 84 -3 mg mg/kg ug/kg/min mg/h iv im sl er "
    "bolus over min h d each then ; , ( ) hcl / - x for from at after before dose day weeks once twice three "
    "times weekly daily every two stopped paused held spat out 1e400 1e-400 @ µg \u00d7 \n"
).split(" ")


@settings(max_examples=300)
@given(regimens())
def test_a_printed_regimen_reads_back_as_itself(regimen: Regimen) -> None:
    assert parse_regimen(print_regimen(regimen)) == regimen


@settings(max_examples=200)
@given(regimens())
def test_a_canonical_text_prints_as_itself(regimen: Regimen) -> None:
    text = print_regimen(regimen)
    assert print_regimen(parse_regimen(text)) == text


@given(regimens())
def test_capitals_and_spaces_do_not_matter(regimen: Regimen) -> None:
    text = print_regimen(regimen)
    assert parse_regimen(f"  {text.upper().replace(' ', '  ')}\n") == regimen


@settings(max_examples=500)
@given(st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join) | st.text(max_size=40))
@example("ketamine 1e308 mg im at 1e308 weeks")
@example("ketamine 5 mg im, weekly x 1e300")
@example("ketamine 1e-999999999999999999999 mg im")
def test_any_text_is_read_or_refused_with_a_pointer(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResultWarning)
        regimen, message = outcome(text)
    if regimen is None:
        assert message.endswith("^")
    else:
        assert parse_regimen(print_regimen(regimen)) == regimen


def outcome(text: str) -> tuple[Regimen | None, str]:
    try:
        return parse_regimen(text), ""
    except InvalidInputError as error:
        return None, str(error)


@settings(max_examples=200)
@given(orders(), st.floats(3, 300))
def test_an_order_without_stop_gives_its_whole_amount(order: Order, weight_kg: float) -> None:
    doses = order.doses(0.0, weight_kg)
    given_umol = sum(dose.amount_umol for dose in doses)
    planned_mg = (order.amount or 0.0) * (weight_kg if order.amount_unit == "mg/kg" else 1.0)
    planned_umol = planned_mg * find_drug(order.drug).umol_per_mg(order.salt_form)
    if order.stopped_at_min is None:
        assert given_umol == pytest.approx(planned_umol, rel=1e-12, abs=0)
    else:
        assert given_umol < planned_umol or planned_umol == 0


@given(orders(is_infusion=True), st.floats(3, 300))
def test_the_pieces_of_an_infusion_follow_each_other(order: Order, weight_kg: float) -> None:
    doses = order.doses(5.0, weight_kg)
    ends_h = [dose.start_h + dose.duration_h for dose in doses]
    assert all(end <= dose.start_h + 1e-9 for end, dose in zip(ends_h, doses[1:], strict=False))
    assert doses[0].start_h == 5.0
    assert ends_h[-1] == pytest.approx(5.0 + order.end_min / 60, rel=1e-12, abs=0)


@given(orders(), st.lists(st.floats(3, 300), min_size=1, max_size=5))
def test_many_weights_give_what_each_weight_gives(order: Order, weights_kg: list[float]) -> None:
    together = order.doses(1.0, np.array(weights_kg))
    for index, weight_kg in enumerate(weights_kg):
        alone = order.doses(1.0, weight_kg)
        assert [dose.amount_umol for dose in alone] == [dose.amount_umol[index] for dose in together]


@given(regimens(), st.floats(-500, 500))
def test_shifting_moves_every_item_alike(regimen: Regimen, by_h: float) -> None:
    moved = shift(regimen, by_h=by_h)
    times_h = [start_h + by_h for start_h, _ in regimen.items]
    np.testing.assert_allclose([time_h for time_h, _ in moved.items], times_h, rtol=0, atol=1e-7)
    assert Counter(item for _, item in moved.items) == Counter(item for _, item in regimen.items)
    assert parse_regimen(print_regimen(moved)) == moved


@given(orders(), st.integers(1, 5), st.integers(1, 5))
def test_repeating_and_appending_multiply_and_add_items(order: Order, count: int, times: int) -> None:
    regimen = parse_regimen(f"{print_regimen(single(order))}, weekly x {count}")
    again = repeat(regimen, times=times, every_h=168.0 * count)
    assert [time_h for time_h, _ in again.items] == [168.0 * index for index in range(times * count)]
    chained = append(regimen, again)
    assert [time_h for time_h, _ in chained.items] == [168.0 * index for index in range((times + 1) * count)]
    assert parse_regimen(print_regimen(chained)) == chained
