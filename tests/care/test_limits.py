"""Every limit of the table at its boundary, in a real session, generated from the table itself."""

import math

import pytest
from tests.care.steps import START, Desk, exactly

from euthymia.care.gate import pre_dose
from euthymia.care.readiness import ready
from euthymia.care.timing import load_timing

TIMING = load_timing()
PREDOSE = [name for name in TIMING.limits if name.startswith("predose_")]
PROMPTS = [name for name, limit in TIMING.limits.items() if limit.prompt]
SINCE = ["food", "liquids", "nasal_agent"]
RISE = {"systolic_rise_mmHg": ("systolic_mmHg", 124), "diastolic_rise_mmHg": ("diastolic_mmHg", 76)}


def around_limit(limit, step=1.0):
    """The limit itself and one step to either side, each with whether it passes, worked out by hand here."""
    passes = {
        "<": lambda value: value < limit.value,
        "<=": lambda value: value <= limit.value,
        ">": lambda value: value > limit.value,
        ">=": lambda value: value >= limit.value,
    }[limit.passes]
    values = [limit.value - step, limit.value, limit.value + step]
    return [(value, passes(value)) for value in values if value >= 0]


def cases(names):
    return [
        pytest.param(name, value, passes, id=f"{name}-{value:g}")
        for name in names
        for value, passes in around_limit(TIMING.limits[name])
    ]


def found(criteria, rule_id):
    return next(one for one in criteria if one.finding.rule_id == rule_id)


@pytest.fixture(scope="module")
def before_dose():
    """A clinic with a patient who has arrived; copied by each test, because state is never changed."""
    desk = Desk().open_clinic().course().book()
    desk.enter("patient_arrived", who="fay")
    return desk


@pytest.fixture(scope="module")
def dosed():
    desk = Desk().ready_for_dose()
    desk.dose()
    return desk.wait(40)


def copy_of(desk):
    return Desk(clinic=desk.clinic, at=desk.at, events=list(desk.events), count=desk.count)


@pytest.mark.parametrize(("name", "value", "passes"), cases(PREDOSE))
def test_before_a_dose(before_dose, name, value, passes):
    desk, limit = copy_of(before_dose), TIMING.limits[name]
    desk.read(**{limit.quantity: f"{value:g}"})
    one = found(pre_dose(desk.session, desk.clinic.around(desk.session), exactly(desk.at)), name)
    in_doubt = limit.quantity == "moaas_points" and value > 5
    expected = "unknown" if in_doubt else "meets" if passes else "fails"
    assert one.finding.status == expected
    assert one.finding.source
    assert one.finding.version == TIMING.version


@pytest.mark.parametrize(("name", "value", "passes"), cases(SINCE))
def test_time_since_food_drink_and_nasal_agents(before_dose, name, value, passes):
    desk = copy_of(before_dose)
    desk.enter("answer_recorded", item=name, answer=True, since_min=value)
    one = found(pre_dose(desk.session, desk.clinic.around(desk.session), exactly(desk.at)), name)
    assert one.finding.status == ("meets" if passes else "fails")


@pytest.mark.parametrize(("name", "value", "passes"), cases(PROMPTS))
def test_prompts_in_a_session(dosed, name, value, passes):
    desk, limit = copy_of(dosed), TIMING.limits[name]
    quantity, base = RISE.get(limit.quantity, (limit.quantity, 0))
    changes = {quantity: f"{value + base:g}"}
    outcome = desk.read(**changes)
    raised = {event.facts["rule_id"] for event in outcome.events if event.kind == "alert_raised"}
    stronger = {"prompt_systolic", "prompt_diastolic", "prompt_systolic_rise", "prompt_diastolic_rise"}
    if passes:
        assert name not in raised
    else:
        assert name in raised or (raised & stronger), "said by itself or by a stronger prompt of that value"
        assert all(event.facts["owner"] for event in outcome.events if event.kind == "alert_raised")


READY = {
    "ready_systolic": "systolic_mmHg",
    "ready_diastolic": "diastolic_mmHg",
    "ready_spo2": "spo2_percent",
    "ready_moaas": "moaas_points",
    "ready_respiration": "respiration_per_min",
    "ready_cadss": "cadss_points",
}


@pytest.mark.parametrize(("name", "value", "passes"), cases(READY))
def test_before_leaving(dosed, name, value, passes):
    desk = copy_of(dosed)
    desk.read()
    desk.wait(10).read(**{READY[name]: f"{value:g}"})
    one = found(ready(desk.session, desk.clinic.around(desk.session), exactly(desk.at)), name)
    in_doubt = name == "ready_moaas" and value > 5
    assert one.finding.status == ("unknown" if in_doubt else "meets" if passes else "fails")


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("ready_near_predose", lambda value: {"systolic_mmHg": f"{124 + value:g}"}),
        ("ready_spo2_fall", lambda value: {"spo2_percent": f"{98 - value:g}"}),
    ],
)
def test_what_is_held_to_the_value_before_the_dose(dosed, name, changes):
    limit = TIMING.limits[name]
    for value, passes in around_limit(limit):
        desk = copy_of(dosed)
        desk.read()
        desk.wait(10).read(**changes(value))
        one = found(ready(desk.session, desk.clinic.around(desk.session), exactly(desk.at)), name)
        assert one.finding.status == ("meets" if passes else "fails"), value


@pytest.mark.parametrize(
    ("gap", "status"), [(9.99, "unknown"), (10, "meets"), (30, "meets"), (30.01, "unknown")]
)
def test_two_pressures_stand_ten_to_thirty_minutes_apart(dosed, gap, status):
    desk = copy_of(dosed)
    desk.read(heart_rate_per_min="72")
    desk.wait(gap).read(heart_rate_per_min="71")
    criteria = ready(desk.session, desk.clinic.around(desk.session), exactly(desk.at))
    assert found(criteria, "ready_pressure_gap").finding.status == status


@pytest.mark.parametrize(("gap", "passes"), [(4.99, False), (5.0, True)])
def test_rest_between_devices(gap, passes):
    desk = Desk().ready_for_dose()
    desk.dose()
    desk.wait(gap)
    outcome = desk.dose(deviation="asked to hurry")
    assert any(event.kind == "deviation_recorded" for event in outcome.events) == (not passes)


@pytest.mark.parametrize(("minutes", "passes"), [(119.99, False), (120.0, True)])
def test_a_hundred_and_twenty_minutes_are_counted_from_the_last_device(minutes, passes):
    desk = Desk().ready_for_dose().three_devices()
    desk.wait(minutes)
    one = found(ready(desk.session, desk.clinic.around(desk.session), exactly(desk.at)), "observation")
    assert (one.finding.status == "meets") == passes
    assert math.isclose(one.finding.observed, minutes, abs_tol=0.06)


@pytest.mark.parametrize(("age", "status"), [(29, "meets"), (30, "meets"), (30.01, "unknown")])
def test_values_before_a_dose_grow_old(before_dose, age, status):
    desk = copy_of(before_dose)
    desk.read()
    desk.wait(age)
    criteria = pre_dose(desk.session, desk.clinic.around(desk.session), exactly(desk.at))
    for name in PREDOSE:
        one = found(criteria, name)
        assert one.finding.status == status
        assert one.age_min == pytest.approx(age)


def test_every_limit_and_clock_says_who_set_it():
    for row in (*TIMING.limits.values(), *TIMING.clocks.values(), *TIMING.schedules.values()):
        assert row.says
        assert row.source
        assert row.confidence in ("seen-in-source", "derived", "own")
        assert (row.confidence != "own") or row.is_own_rule


def test_the_stop_at_180_over_110_is_labelled_as_our_own():
    assert TIMING.limits["predose_systolic_hard"].is_own_rule
    assert TIMING.limits["predose_diastolic_hard"].is_own_rule
    assert START.tzinfo is not None
