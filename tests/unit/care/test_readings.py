import pytest
from hypothesis import given
from hypothesis import strategies as st

from euthymia.care.readings import measures, quantities, quantity, questions
from euthymia.errors import InvalidInputError


@given(st.decimals(min_value=0, max_value=400, places=2))
def test_what_was_typed_is_kept_with_point_or_comma(number):
    for text in (str(number), str(number).replace(".", ",")):
        found = quantity("weight_kg", text)
        assert found.entered == text
        assert found.canonical == float(number)


@pytest.mark.parametrize("text", ["", "abc", "-4", "1.234,5", "12 kg", "1e3", "nan"])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(InvalidInputError, match="digits with one decimal mark"):
        quantity("weight_kg", text)


@pytest.mark.parametrize(
    ("name", "entered", "unit", "canonical"),
    [
        ("weight_kg", "154", "lb", 69.8532),
        ("temperature_C", "100.4", "F", 38.0),
        ("systolic_mmHg", "16", "kPa", 120.0099),
        ("height_cm", "1,7", "m", 170.0),
        ("amount_mg", "0.5", "g", 500.0),
    ],
)
def test_units_become_canonical(name, entered, unit, canonical):
    assert quantity(name, entered, unit).canonical == pytest.approx(canonical, abs=1e-3)


@given(st.floats(min_value=30, max_value=44))
def test_canonical_values_do_not_move_when_they_are_opened_again(value):
    text = f"{value:.1f}"
    once = quantity("temperature_C", text)
    assert quantity("temperature_C", once.entered, once.unit) == once
    assert once.canonical == float(text)


def test_a_unit_of_something_else_is_refused():
    with pytest.raises(InvalidInputError, match="unit of weight_kg"):
        quantity("weight_kg", "70", "mmHg")


@pytest.mark.parametrize("name", sorted(measures()))
def test_each_range_asks_on_both_sides_and_not_within(name):
    measure = measures()[name]
    step = 1.0 if measure.is_whole else 0.1
    low, high = measure.usual
    for inside in (low, high):
        assert not questions({name: quantity(name, f"{inside:g}")})
    outside = [value for value in (low - step, high + step) if value >= 0]
    for value in outside:
        asked = questions({name: quantity(name, f"{value:g}")})
        is_possible = measure.possible[0] <= value <= measure.possible[1]
        assert [one.kind for one in asked] == ["unusual" if is_possible else "impossible"]


def kinds(values, before=None):
    return [one.kind for one in questions(quantities(values), before=quantities(before or {}))]


def test_pounds_in_the_field_of_kilograms_are_asked_about_with_a_proposal():
    found = questions(quantities({"weight_kg": "154"}), before=quantities({"weight_kg": "70"}))
    assert [one.kind for one in found] == ["unit"]
    assert found[0].proposals[0]["weight_kg"].canonical == pytest.approx(69.85, abs=0.01)
    assert found[0].proposals[0]["weight_kg"].entered == "154"


@pytest.mark.parametrize(
    ("now", "asks"), [("78.4", []), ("78.5", ["unusual"]), ("61.6", []), ("61.5", ["unusual"])]
)
def test_a_change_of_weight_above_twelve_in_a_hundred_is_asked_about(now, asks):
    assert kinds({"weight_kg": now}, {"weight_kg": "70"}) == asks


def test_two_pressures_the_wrong_way_round_are_asked_about():
    found = questions(quantities({"systolic_mmHg": "82", "diastolic_mmHg": "124"}))
    assert [one.kind for one in found] == ["swapped"]
    assert found[0].proposals[0]["systolic_mmHg"].canonical == 124.0
    assert kinds({"systolic_mmHg": "90", "diastolic_mmHg": "90"}) == ["swapped"]
    assert kinds({"systolic_mmHg": "91", "diastolic_mmHg": "90"}) == []


def test_a_pressure_in_kilopascals_is_asked_about():
    found = questions({"systolic_mmHg": quantity("systolic_mmHg", "16")})
    assert [one.kind for one in found] == ["impossible"]
    assert found[0].proposals[0]["systolic_mmHg"].unit == "kPa"


def test_values_that_look_copied_are_asked_about():
    same = {"systolic_mmHg": "124", "diastolic_mmHg": "76", "heart_rate_per_min": "70"}
    assert kinds(same, same) == ["repeated"]
    assert kinds(same, same | {"heart_rate_per_min": "71"}) == []
    two = {name: same[name] for name in ("systolic_mmHg", "diastolic_mmHg")}
    assert kinds(two, same) == []


def test_a_half_point_of_a_rating_is_asked_about():
    assert kinds({"moaas_points": "4.5"}) == ["whole"]
