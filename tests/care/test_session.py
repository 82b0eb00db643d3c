"""A session from arrival to review: hard stops, prompts, checks, suicide answers, leaving."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.care.steps import CALM, Desk, exactly, through_a_session

from euthymia.care.board import board
from euthymia.care.checks import Forecast, checks, due_minutes, floor_at, next_check, owed
from euthymia.care.clinic import Clinic
from euthymia.care.clock import Now
from euthymia.care.events import correction
from euthymia.care.gate import pre_dose, stops
from euthymia.care.readiness import is_ready, ready, would_be_ready
from euthymia.care.readings import quantities
from euthymia.care.recording import StoppedError, backcharted_together, enter
from euthymia.care.timing import load_timing
from euthymia.errors import InvalidInputError

TIMING = load_timing()
MINUTE = timedelta(minutes=1)


def rules_of(criteria):
    return {one.finding.rule_id for one in criteria}


def gate(desk):
    return stops(pre_dose(desk.session, desk.clinic.around(desk.session), exactly(desk.at)))


def not_ready(desk):
    return rules_of(stops(ready(desk.session, desk.clinic.around(desk.session), exactly(desk.at))))


def alerts(desk):
    return {one.rule_id: one for one in desk.clinic.alerts.values()}


# Before a dose


def test_with_everything_in_order_nothing_stops():
    desk = Desk().ready_for_dose()
    assert gate(desk) == ()
    assert desk.dose().events[0].kind == "dose_given"


def test_an_empty_session_stops_at_everything_and_nothing_passes_by_being_absent():
    desk = Desk()
    desk.open_clinic().course().book()
    desk.enter("patient_arrived", who="fay")
    found = rules_of(gate(desk))
    assert found >= {
        "identity",
        "food",
        "liquids",
        "nasal_agent",
        "drugs_today",
        "alcohol_today",
        "new_symptoms",
        "pregnancy",
        "escort",
        "ideation",
        "predose_systolic_guide",
        "predose_spo2",
        "predose_moaas",
        "recorded_weight_kg",
        "ready_to_treat",
        "second_check",
    }
    assert all(one.finding.status == "unknown" for one in gate(desk))


@pytest.mark.parametrize(
    ("answers", "rule_id"),
    [
        ({"identifiers": ["name"]}, "identity"),
        ({"identifiers": ["name", "name"]}, "identity"),
        ({"drugs_today": True}, "drugs_today"),
        ({"alcohol_today": True}, "alcohol_today"),
        ({"new_symptoms": True}, "new_symptoms"),
        ({"pregnancy": "pregnant"}, "pregnancy"),
        ({"pregnancy": "declined"}, "pregnancy"),
        ({"escort": False}, "escort"),
    ],
)
def test_each_answer_at_arrival_can_stop(answers, rule_id):
    desk = Desk().ready_for_dose()
    desk.answers(**{name: answer for name, answer in answers.items()})
    assert rules_of(gate(desk)) == {rule_id}
    with pytest.raises(StoppedError) as refused:
        desk.dose()
    assert refused.value.may_deviate
    assert rules_of(refused.value.criteria) == {rule_id}


@pytest.mark.parametrize(
    ("leave", "rule_id"), [("paula", "prescriber_on_site"), ("paula", "emergency_trained_on_site")]
)
def test_without_a_prescriber_or_somebody_trained_it_stops(leave, rule_id):
    desk = Desk().ready_for_dose()
    desk.enter("staff_left", subjects={"clinic": "k"}, account=leave)
    assert rule_id in rules_of(gate(desk))


def test_an_order_that_ended_or_lapsed_is_none():
    desk = Desk().ready_for_dose()
    subjects = {"patient": "p1", "course": "c1"}
    desk.enter("order_ended", who="paula", subjects=subjects, order_id="o1", reason="changed")
    assert "order" in rules_of(gate(desk))


def test_an_override_needs_a_prescriber_and_a_countersignature_a_second_person():
    desk = Desk().ready_for_dose()
    desk.answers(alcohol_today=True, pregnancy="pregnant")
    sign = {"who": "paula", "signed_by": "paula", "reason": "weighed"}
    with pytest.raises(InvalidInputError, match="'role' must be prescriber"):
        desk.enter("override_signed", rule_id="alcohol_today", signed_by="nora", reason="x")
    desk.enter("override_signed", **sign, rule_id="alcohol_today")
    desk.enter("override_signed", **sign, rule_id="pregnancy")
    assert rules_of(gate(desk)) == {"pregnancy"}
    desk.enter("override_signed", **sign, rule_id="pregnancy", second_signer="paula")
    assert rules_of(gate(desk)) == {"pregnancy"}, "the second person is another one"
    desk.enter("override_signed", **sign, rule_id="pregnancy", second_signer="nora")
    assert gate(desk) == ()


def test_what_blocks_has_no_override_but_the_record_does_not_lie():
    desk = Desk().ready_for_dose()
    desk.answers(escort=False)
    desk.enter(
        "override_signed", who="paula", rule_id="escort", signed_by="paula", reason="x", second_signer="nora"
    )
    assert rules_of(gate(desk)) == {"escort"}
    outcome = desk.dose(deviation="escort rang from the car park")
    deviation = outcome.events[1]
    assert deviation.kind == "deviation_recorded"
    assert (deviation.author, deviation.reason) == ("nora", "escort rang from the car park")
    assert deviation.facts["rules"] == ("escort",)
    assert desk.session.given_mg == 28.0


def test_an_override_of_one_session_does_not_hold_in_the_next():
    desk = through_a_session()
    desk.enter("override_signed", who="paula", rule_id="food", signed_by="paula", reason="x")
    assert desk.clinic.courses["c1"].override_of("food", session="s1")
    assert desk.clinic.courses["c1"].override_of("food", session="s2") is None


def test_the_prescribers_word_comes_after_the_values_it_rests_on():
    desk = Desk().ready_for_dose()
    desk.read(heart_rate_per_min="72")
    assert rules_of(gate(desk)) == {"ready_to_treat"}


@pytest.mark.parametrize(
    ("changes", "rule_id"),
    [
        ({"amount_mg": "85"}, "dose_limit"),
        ({"lot": "L9"}, "stock_lot"),
        ({"drug": "ketamine"}, "as_ordered"),
    ],
)
def test_a_dose_that_is_not_the_one_ordered_stops(changes, rule_id):
    desk = Desk().ready_for_dose()
    with pytest.raises(StoppedError) as refused:
        desk.dose(**changes)
    assert rule_id in rules_of(refused.value.criteria)


def test_the_whole_amount_of_a_session_is_held_to_the_order():
    desk = Desk().ready_for_dose().three_devices()
    desk.wait(5)
    with pytest.raises(StoppedError) as refused:
        desk.dose()
    assert rules_of(refused.value.criteria) == {"dose_limit"}
    desk.dose(deviation="given before the limit was seen")
    assert desk.session.given_mg == 112.0


def test_a_value_in_question_is_not_recorded_for_the_gate():
    desk = Desk().ready_for_dose()
    outcome = desk.read(weight_kg="154", heart_rate_per_min="71")
    asked = [event for event in outcome.events if event.kind == "question_asked"]
    assert [event.facts["question"] for event in asked] == ["unit"]
    assert {"recorded_weight_kg", "no_open_question"} <= rules_of(gate(desk))
    desk.enter("question_answered", question_id=asked[0].event_id, answer="as entered")
    assert "recorded_weight_kg" not in rules_of(gate(desk))


def test_a_correction_answers_the_question_and_keeps_the_old_value():
    desk = Desk().ready_for_dose()
    wrong = desk.read(weight_kg="154", heart_rate_per_min="71").events[0]
    entry = correction(
        wrong,
        event_id="fix",
        at=desk.at,
        author="nora",
        role="nurse",
        reason="pounds",
        values={"weight_kg": quantities({"weight_kg": "69.9"})["weight_kg"]},
    )
    desk.keep(enter(desk.clinic, entry, exactly(desk.at)))
    assert desk.session.asked == frozenset()
    assert desk.session.latest("weight_kg").value == 69.9
    assert [event.number("weight_kg") for event in desk.session.events if event.number("weight_kg")] == [
        70,
        154,
        69.9,
    ]


def test_a_lapsed_review_goes_to_a_prescriber_and_withholds_nothing():
    desk = Desk().ready_for_dose()
    subjects = {"patient": "p1", "course": "c1"}
    days = dict.fromkeys(("bladder", "liver", "cognition", "blood_pressure", "misuse"), 182)
    desk.enter(
        "maintenance_intervals_set", who="paula", subjects=subjects, intervals_days=days, set_by="paula"
    )
    desk.enter("course_moved", subjects=subjects, to="REVIEW")
    review = {"decision": "maintain", "decided_by": "paula", "next_review_date": "2026-03-01"}
    desk.enter("review_decided", who="paula", subjects=subjects, **review)
    desk.enter("course_moved", subjects=subjects, to="MAINTENANCE")
    assert rules_of(gate(desk)) == {"review_in_time"}
    found = [event for event in desk.tick().events if event.kind == "obligation_opened"]
    assert [(event.facts["type"], event.facts["owner"]) for event in found] == [("review", "paula")]
    desk.enter(
        "override_signed", who="paula", rule_id="review_in_time", signed_by="paula", reason="seen today"
    )
    assert desk.dose().criteria


# During a session


def dosed():
    desk = Desk().ready_for_dose()
    desk.dose()
    return desk.wait(40)


def test_a_saturation_below_92_asks_to_stop_and_names_the_prescriber():
    desk = dosed()
    desk.read(spo2_percent="91")
    alert = alerts(desk)["prompt_spo2"]
    assert (alert.tier, alert.owner) == ("stop", "paula")
    assert "prompts_answered" in not_ready(desk)


def test_before_a_dose_a_high_pressure_is_a_finding_and_no_prompt():
    desk = Desk().open_clinic().course().book()
    desk.enter("patient_arrived", who="fay")
    assert not [event for event in desk.read(systolic_mmHg="182").events if event.kind == "alert_raised"]


def test_one_pressure_prompts_once_with_the_strongest_words():
    desk = dosed()
    raised = [e for e in desk.read(systolic_mmHg="190").events if e.kind == "alert_raised"]
    assert [event.facts["rule_id"] for event in raised] == ["prompt_systolic"]


@pytest.mark.parametrize("symptom", TIMING.words["crisis_symptoms"])
def test_crisis_symptoms_are_answered_with_the_emergency_services(symptom):
    desk = dosed()
    desk.read(facts={"symptoms": [symptom]})
    assert "emergency services" in alerts(desk)["crisis_symptoms"].says
    other = dosed()
    other.enter("incident_opened", type=symptom, severity="mild")
    assert "emergency services" in alerts(other)["crisis_symptoms"].says


def test_severe_agitation_prompts():
    desk = dosed()
    desk.read(facts={"mental_state": "severe agitation"})
    assert alerts(desk)["severe_agitation"].tier == "stop"


def test_an_open_event_blocks_leaving_and_review():
    desk = through_a_session()
    incident = desk.enter("incident_opened", type="nausea", severity="mild").events[0]
    assert desk.session.stage == "EVENT"
    assert "no_open_incident" in not_ready(desk)
    with pytest.raises(StoppedError):
        desk.leave()
    desk.enter("incident_closed", incident_id=incident.event_id, outcome="resolved")
    desk.leave()
    assert desk.session.stage == "DISCHARGED"


def test_a_serious_event_owes_a_report_and_keeps_the_course_open():
    desk = dosed()
    desk.enter("incident_opened", type="seizure", severity="severe", is_serious=True)
    assert "serious_event_report" in {one.type for one in desk.clinic.open_of("p1")}


# Checks


@pytest.mark.parametrize(
    ("route", "until", "end", "expected"),
    [
        ("intranasal", 180, None, (40, 150, 180)),
        ("iv_infusion", 45, None, (10, 20, 30, 40)),
        ("iv_infusion", 110, 40, (10, 20, 30, 40, 55, 70, 85, 100)),
        ("iv_infusion", 200, 40, (10, 20, 30, 40, 55, 70, 85, 100, 115, 130, 145, 160, 190)),
        ("intramuscular", 95, None, (15, 30, 45, 60, 90)),
        ("subcutaneous", 95, None, (15, 30, 45, 60, 90)),
        ("oral", 140, None, (30, 60, 90, 105, 135)),
        ("sublingual", 106, None, (15, 30, 45, 60, 90, 105)),
    ],
)
def test_checks_of_each_route(route, until, end, expected):
    schedule = TIMING.schedule(route)
    assert due_minutes(schedule, until_min=until, end_of_infusion_min=end) == expected


def test_swallowed_drug_is_watched_through_its_peak():
    peak_min = 1.76 * 60
    for route in ("oral", "sublingual"):
        assert max(TIMING.schedule(route).at_min) + 1 > peak_min


@given(
    extra=st.lists(st.floats(min_value=-10, max_value=400), max_size=6),
    longer=st.floats(min_value=-100, max_value=400),
    at_min=st.floats(min_value=0, max_value=300),
)
def test_a_forecast_only_adds_checks_and_only_lengthens(extra, longer, at_min):
    desk = DOSED
    now = exactly(desk.session.doses[0].at + at_min * MINUTE)
    forecast = Forecast(extra_checks_min=tuple(extra), observation_min=longer)
    plain = checks(desk.session, TIMING, now, forecast=Forecast())
    with_it = checks(desk.session, TIMING, now, forecast=forecast)
    assert [one for one in with_it if not one.is_added] == list(plain)
    assert floor_at(desk.session, TIMING, forecast) >= floor_at(desk.session, TIMING, Forecast())


DOSED = dosed().wait(0)


def test_a_forecast_in_the_record_puts_off_leaving():
    desk = through_a_session()
    assert not_ready(desk) == set()
    desk.enter("forecast_attached", says="expected", grade="model", observation_min=150)
    assert not_ready(desk) == {"observation"}


@pytest.mark.parametrize(
    ("at_min", "state"), [(34, "upcoming"), (39.9, "upcoming"), (40, "due"), (44.9, "due"), (45, "overdue")]
)
def test_a_check_is_due_then_overdue(at_min, state):
    session = DOSED.session
    now = exactly(session.doses[0].at + at_min * MINUTE)
    assert checks(session, TIMING, now)[0].state == state


@pytest.mark.parametrize(("at_min", "state"), [(34.9, "missing"), (35, "done"), (45, "done"), (45.1, "late")])
def test_a_reading_counts_from_five_minutes_before(at_min, state):
    desk = Desk(clinic=DOSED.clinic, at=DOSED.session.doses[0].at + at_min * MINUTE, count=DOSED.count)
    desk.read(heart_rate_per_min="71")
    first = checks(desk.session, TIMING, exactly(desk.at))[0]
    assert (first.state if not first.missing else "missing") == state


def test_half_a_check_is_none():
    desk = dosed()
    desk.enter("reading_taken", values={"systolic_mmHg": "130", "diastolic_mmHg": "80"})
    first = checks(desk.session, TIMING, exactly(desk.at))[0]
    assert first.missing == ("spo2_percent", "moaas_points")
    assert first.is_owed


def test_a_check_that_went_by_needs_a_reason_before_leaving():
    desk = Desk().ready_for_dose().three_devices().wait(115)
    desk.read(heart_rate_per_min="71")
    desk.wait(12).read(heart_rate_per_min="72")
    desk.before_leaving()
    assert not_ready(desk) == {"checks_done"}
    for one in owed(checks(desk.session, TIMING, exactly(desk.at))):
        desk.enter("check_skipped", check_id=one.id, reason="in another room")
    assert not_ready(desk) == set()


def test_an_overdue_check_goes_to_a_second_person_and_is_closed_by_recording_it():
    desk = dosed()
    desk.wait(9.9)
    assert not desk.tick().events
    desk.wait(0.1)
    raised = desk.tick().events
    assert [(event.kind, event.facts["owner"]) for event in raised] == [("alert_raised", "nils")]
    assert not desk.tick().events
    desk.read(heart_rate_per_min="71")
    assert not desk.clinic.alerts_of("p1")


def test_an_alert_nobody_acts_on_goes_to_another_person():
    desk = dosed()
    desk.read(spo2_percent="90")
    desk.wait(10).tick()
    assert alerts(desk)["prompt_spo2"].owner == "nora"


def test_alerts_of_somebody_who_goes_home_go_to_somebody_who_is_there():
    desk = dosed()
    desk.read(spo2_percent="90")
    desk.enter("staff_left", subjects={"clinic": "k"}, account="paula")
    assert alerts(desk)["prompt_spo2"].owner == "nora"


def test_an_infusion_is_watched_every_ten_minutes_and_counts_from_its_end():
    desk = Desk().ready_for_dose(drug="ketamine", route="iv_infusion", amount_mg=35)
    desk.dose(drug="ketamine", route="iv_infusion")
    assert desk.session.stage == "DOSED"
    assert floor_at(desk.session, TIMING) is None
    desk.wait(40)
    desk.enter("infusion_ended", values={"amount_mg": "33"})
    assert desk.session.given_mg == 33.0
    assert floor_at(desk.session, TIMING) == desk.at + timedelta(minutes=120)
    found = checks(desk.session, TIMING, exactly(desk.at))
    assert [one.due_at for one in found[:2]] == [desk.at - timedelta(minutes=back) for back in (30, 20)]
    assert (next_check(found), found[0].state) == (found[0], "missed")


def test_a_step_of_the_clock_forward_does_not_end_the_observation():
    desk = Desk().ready_for_dose().three_devices().wait(100)
    desk.read(heart_rate_per_min="71")
    desk.wait(12).read(heart_rate_per_min="72")
    doubtful = Now(at=desk.at, earliest=desk.at, latest=desk.at + timedelta(hours=2))
    found = stops(ready(desk.session, desk.clinic.around(desk.session), doubtful))
    assert "observation" in rules_of(found)


# Suicide answers


def test_intent_needs_a_clinician_now_and_disposition_and_safety_plan():
    desk = through_a_session()
    desk.enter("risk_answered", instrument="C-SSRS", level="intent", is_remote=False)
    alert = alerts(desk)["suicide_urgent"]
    assert (alert.tier, alert.owner, alert.blocks) == ("stop", "paula", "readiness")
    assert {"risk_dealt_with", "ideation_not_above"} <= not_ready(desk)
    act = {"who": "paula", "subjects": {"patient": "p1", "course": "c1", "session": "s1", "alert": alert.id}}
    with pytest.raises(StoppedError):
        desk.enter("alert_acted", **act, action="spoken with")
    desk.enter("disposition_recorded", who="paula", clinician="paula", disposition="goes to hospital")
    with pytest.raises(StoppedError):
        desk.enter("alert_acted", **act, action="spoken with")
    desk.enter("safety_plan_recorded", who="paula", clinician="paula")
    desk.enter("alert_acted", **act, action="spoken with")
    assert "risk_dealt_with" not in not_ready(desk)


@pytest.mark.parametrize("level", ["passive", "active"])
def test_thoughts_need_a_named_clinician_before_leaving(level):
    desk = through_a_session()
    desk.enter("risk_answered", instrument="C-SSRS", level=level, is_remote=False)
    assert alerts(desk)["suicide_watch"].owner == "paula"
    assert "risk_dealt_with" in not_ready(desk)


def test_item_nine_of_the_phq_9_is_enough():
    desk = through_a_session()
    subjects = {"patient": "p1", "course": "c1"}
    calm = [1, 1, 1, 1, 1, 1, 1, 1, 0]
    desk.enter("score_recorded", subjects=subjects, scale="PHQ-9", points=8, items=calm)
    assert not alerts(desk)
    desk.enter("score_recorded", subjects=subjects, scale="PHQ-9", points=9, items=[*calm[:8], 1])
    assert "suicide_watch" in alerts(desk)
    assert "risk_dealt_with" in not_ready(desk)


def test_an_answer_from_afar_gets_the_crisis_text_at_once_and_who_reads_it_when():
    desk = through_a_session()
    outcome = desk.enter("risk_answered", instrument="PHQ-9", level="passive", item_9=1, is_remote=True)
    text = outcome.events[1].facts["crisis_text"]
    assert "emergency number" in text
    assert "the clinic reads it in its opening hours" in text


def test_ideation_before_a_dose_goes_to_a_prescriber():
    desk = Desk().ready_for_dose()
    desk.enter("risk_answered", instrument="C-SSRS", level="plan", is_remote=False)
    assert {"ideation", "no_open_alert"} <= rules_of(gate(desk))


def test_an_unknown_level_is_refused():
    desk = Desk().ready_for_dose()
    with pytest.raises(InvalidInputError, match="level of risk"):
        desk.enter("risk_answered", instrument="C-SSRS", level="mild", is_remote=False)


# Leaving


@pytest.mark.parametrize(
    ("facts", "rule_id"),
    [
        ({"on_air": False}, "ready_spo2"),
        ({"walks": False}, "walks"),
        ({"is_oriented": False}, "oriented"),
        ({"nausea": "vomiting"}, "nausea"),
    ],
)
def test_each_criterion_can_hold_somebody_here(facts, rule_id):
    desk = through_a_session()
    desk.read(heart_rate_per_min="73", facts=facts)
    assert rule_id in not_ready(desk)


def test_dissociation_by_word_where_no_scale_was_rated():
    desk = through_a_session()
    desk.wait(16)
    values = {name: value for name, value in CALM.items() if name != "cadss_points"}
    for word, is_held in (("mild", True), ("none", False)):
        desk.wait(1).enter(
            "reading_taken",
            values=values | {"heart_rate_per_min": f"{60 + desk.count % 30}"},
            on_air=True,
            walks=True,
            is_oriented=True,
            nausea="none",
            dissociation=word,
        )
        assert ("ready_cadss" in not_ready(desk)) == is_held


def test_an_escort_seen_before_the_dose_is_only_promised():
    desk = Desk().ready_for_dose()
    desk.enter("escort_seen", name="Eve")
    desk.wait(1)
    desk.dose()
    assert "escort_present" in not_ready(desk.wait(1))


def test_a_pressure_accepted_by_a_prescriber_holds_for_that_pressure_only():
    desk = through_a_session()
    desk.read(systolic_mmHg="150")
    assert {"ready_systolic", "ready_near_predose"} <= not_ready(desk)
    facts = {"signed_by": "paula", "diastolic_mmHg": 76.0, "reason": "usual for her"}
    desk.enter("bp_accepted", who="paula", systolic_mmHg=149.0, **facts)
    assert "ready_systolic" in not_ready(desk)
    desk.enter("bp_accepted", who="paula", systolic_mmHg=150.0, **facts)
    assert not_ready(desk) == set()
    desk.wait(1).read(systolic_mmHg="151")
    assert "ready_systolic" in not_ready(desk)


def test_leaving_against_advice_is_its_own_transition_with_a_reason():
    desk = Desk().ready_for_dose().three_devices()
    with pytest.raises(StoppedError):
        desk.leave("against advice")
    desk.leave("against advice", reason="wants to catch a train")
    assert desk.session.stage == "LEFT"
    assert "left_early" in alerts(desk)
    assert {"first_contact", "rems_form"} <= {one.type for one in desk.clinic.open_of("p1")}


def test_an_aborted_session_with_drug_on_board_is_still_observed():
    desk = dosed()
    desk.enter("session_aborted", reason="infusion pump failed")
    assert desk.session.stage == "OBSERVING"
    assert "observation" in not_ready(desk)
    other = Desk().ready_for_dose()
    other.enter("session_aborted", reason="no ride")
    assert other.session.stage == "ABORTED"


def test_signing_is_one_act_and_waits_for_what_is_open():
    desk = through_a_session()
    desk.leave()
    desk.enter("session_reviewed", signed_by="nora")
    assert desk.session.stage == "REVIEWED"


def test_the_next_session_waits_for_this_one():
    desk = through_a_session()
    desk.wait(60 * 72)
    times = {"starts_at": "2026-03-06T08:00:00+00:00", "ends_at": "2026-03-06T12:00:00+00:00"}
    book = {
        "who": "fay",
        "subjects": {"patient": "p1", "course": "c1", "session": "s2"},
        "chair": "1",
        "nurse": "nora",
        "prescriber": "paula",
        "drug": "esketamine",
        "route": "intranasal",
    }
    with pytest.raises(StoppedError, match="resolved"):
        desk.enter("session_booked", **book, **times)


def test_readings_written_down_together_afterwards_are_shown_as_such():
    desk = dosed()
    desk.wait(60)
    for back in (50, 35, 20):
        desk.enter(
            "reading_taken", values={"systolic_mmHg": "120"}, observed_at=desk.at - timedelta(minutes=back)
        )
    assert len(backcharted_together(desk.session.events, desk.clinic)) == 3
    desk.wait(5).read()
    assert len(backcharted_together(desk.session.events, desk.clinic)) == 3


def test_nothing_is_seen_in_the_future_and_nothing_is_entered_twice():
    desk = dosed()
    with pytest.raises(InvalidInputError, match="'observed_at' must be not later than now"):
        desk.enter(
            "reading_taken", values={"systolic_mmHg": "120"}, observed_at=desk.at + timedelta(minutes=3)
        )
    desk.count -= 1
    again = desk.events[-1]
    with pytest.raises(InvalidInputError, match="'event_id' must be new"):
        enter(desk.clinic, again, exactly(desk.at))


def test_the_board_has_the_most_urgent_first_and_says_what_is_waited_for():
    desk = dosed()
    desk.wait(20)
    row = board(desk.clinic, exactly(desk.at))[0]
    assert (row.session, row.stage, row.overdue_min) == ("s1", "OBSERVING", 20.0)
    assert "observation" in row.waits_for
    assert row.since_dose_min == 60.0


def test_state_is_the_fold_over_the_events():
    desk = through_a_session()
    desk.leave()
    assert Clinic.of(desk.events).sessions == desk.clinic.sessions


def test_when_only_the_time_is_missing_somebody_would_be_ready():
    desk = Desk().ready_for_dose().three_devices().wait(28)
    for minutes in (0, 30, 30, 12):
        desk.wait(minutes).read(heart_rate_per_min=f"{60 + desk.count % 30}")
    desk.before_leaving()
    criteria = ready(desk.session, desk.clinic.around(desk.session), exactly(desk.at))
    assert rules_of(stops(criteria)) == {"observation"}
    assert would_be_ready(criteria)
    assert not is_ready(criteria)
    desk.enter("incident_opened", type="nausea", severity="mild")
    assert not would_be_ready(ready(desk.session, desk.clinic.around(desk.session), exactly(desk.at)))


def test_a_condition_says_when_its_value_was_seen_and_how_old_it_is():
    desk = Desk().ready_for_dose()
    desk.wait(5)
    found = {
        one.finding.rule_id: one
        for one in pre_dose(desk.session, desk.clinic.around(desk.session), exactly(desk.at))
    }
    read = desk.session.readings[-1].observed_at
    for name in (
        "predose_spo2",
        "recorded_weight_kg",
        "identity",
        "food",
        "alcohol_today",
        "escort",
        "ideation",
    ):
        assert found[name].seen_at == read, name
        assert found[name].age_min == 7.0, name
    assert found["order"].seen_at is not None
    assert found["consent"].age_min == 7.0
    assert found["interval"].finding.observed == "no dose before"
    assert found["dose_limit"].finding.threshold == 84.0
    assert found["stock_lot"].finding.observed == ("L1",)


def test_the_interval_of_the_order_is_counted_from_the_last_dose():
    desk = through_a_session()
    desk.leave()
    desk.enter("session_reviewed", signed_by="nora")
    start = desk.session.doses[-1].at
    for hours, is_met in ((47.99, False), (48.0, True)):
        other = Desk(clinic=desk.clinic, at=start + timedelta(hours=hours), count=desk.count, session_id="s2")
        other.book()
        found = pre_dose(other.session, other.clinic.around(other.session), exactly(other.at))
        one = next(one for one in found if one.finding.rule_id == "interval")
        assert (one.finding.status == "meets") == is_met


def test_what_was_never_opened_or_booked_is_named():
    desk = Desk().open_clinic()
    with pytest.raises(InvalidInputError, match="Unknown course 'c1'"):
        desk.book()
    desk.course()
    with pytest.raises(InvalidInputError, match="Unknown session 's1'"):
        desk.enter("patient_arrived", who="fay")


def test_a_session_that_has_begun_is_not_booked_again():
    desk = Desk().ready_for_dose()
    with pytest.raises(StoppedError, match="It has not begun"):
        desk.book()


def test_without_checks_there_is_no_next_one_and_only_owed_ones_are_owed():
    assert next_check(()) is None
    found = checks(DOSED.session, TIMING, exactly(DOSED.session.doses[0].at + 39 * MINUTE))
    assert next_check(found) is found[0]
    assert owed(found) == ()
    assert checks(Desk().open_clinic().course().book().session, TIMING, exactly(DOSED.at)) == ()


def test_the_last_pressure_is_held_to_the_larger_of_both_rises():
    desk = dosed()
    desk.read(heart_rate_per_min="71")
    for changes, status in (({"diastolic_mmHg": "97"}, "fails"), ({"systolic_mmHg": "100"}, "meets")):
        desk.wait(10).read(**changes, heart_rate_per_min=f"{60 + desk.count % 30}")
        found = ready(desk.session, desk.clinic.around(desk.session), exactly(desk.at))
        near = next(one for one in found if one.finding.rule_id == "ready_near_predose")
        assert near.finding.status == status
