"""Courses, obligations, stock, therapy, follow-up and the programme's form."""

from datetime import UTC, date, datetime, timedelta

import pytest
from tests.care.steps import CALM, START, Desk, through_a_session

from euthymia.care import followup, rems, stock
from euthymia.care.checks import checks
from euthymia.care.clock import exactly
from euthymia.care.integration import is_prepared, therapy_of, usual_window, window_after
from euthymia.care.obligation import DONE
from euthymia.care.record import to_text
from euthymia.care.recording import StoppedError
from euthymia.care.timing import load_timing
from euthymia.errors import InvalidInputError, UnknownNameError

TIMING = load_timing()
PATIENT = {"patient": "p1", "course": "c1"}
OPENING = {"drug": "esketamine", "route": "intranasal"}


def opened(**facts) -> Desk:
    desk = Desk().open_clinic()
    desk.enter("course_opened", who="fay", subjects=PATIENT, **(OPENING | facts))
    return desk


def move(desk, to, **more):
    return desk.enter("course_moved", subjects=PATIENT, to=to, **more)


def refused(desk, to, rule_id, **more):
    with pytest.raises(StoppedError) as stopped:
        move(desk, to, **more)
    assert rule_id in {one.finding.rule_id for one in stopped.value.criteria}
    assert not stopped.value.may_deviate


# Courses


def test_urgent_risk_comes_before_screening():
    desk = opened(is_urgent=True)
    refused(desk, "SCREENING", "urgent_risk_first")
    desk.enter("disposition_recorded", who="paula", subjects=PATIENT, clinician="paula", disposition="seen")
    move(desk, "SCREENING")
    asked = opened()
    refused(asked, "SCREENING", "urgent_risk_first")


def test_a_contraindication_keeps_a_course_out_and_an_override_needs_what_its_severity_says():
    desk = opened(is_urgent=False)
    move(desk, "SCREENING")
    row = {"rule_id": "aneurysm", "status": "fails", "severity": "block"}
    refused(desk, "BASELINE", "screened")
    refused(desk, "BASELINE", "aneurysm", findings=[row])
    sign = {"who": "paula", "subjects": PATIENT, "signed_by": "paula", "reason": "weighed"}
    desk.enter("override_signed", **sign, rule_id="aneurysm", second_signer="nora")
    refused(desk, "BASELINE", "aneurysm", findings=[row])
    off = row | {"severity": "countersign"}
    move(desk, "BASELINE", findings=[off])


def test_a_contraindication_stops_the_dose_as_well():
    desk = Desk().ready_for_dose()
    move(desk, "REVIEW")
    move(desk, "PAUSED", owner="paula", restart_test="scan", reason="new finding")
    move(desk, "SCREENING")
    row = {"rule_id": "aneurysm", "status": "unknown", "severity": "block"}
    refused(desk, "BASELINE", "aneurysm", findings=[row])


def test_each_step_needs_what_the_table_says():
    desk = opened(is_urgent=False)
    refused(desk, "BASELINE", "course_step")
    move(desk, "SCREENING")
    move(desk, "BASELINE", findings=[])
    refused(desk, "CONSENTED", "baseline_complete")
    desk.enter("measured", subjects=PATIENT, values=CALM | {"weight_kg": "70"})
    for scale in ("MADRS", "PHQ-9"):
        desk.enter("score_recorded", subjects=PATIENT, scale=scale, points=20)
    desk.enter("score_recorded", subjects=PATIENT, scale="GAD-7", points=9, is_complete=False)
    desk.enter("risk_answered", subjects=PATIENT, instrument="C-SSRS", level="none", is_remote=False)
    refused(desk, "CONSENTED", "consent")
    desk.enter("consent_signed", subjects=PATIENT, version="3", signed_by="p1")
    refused(desk, "CONSENTED", "baseline_complete")
    desk.enter("score_recorded", subjects=PATIENT, scale="GAD-7", points=9)
    move(desk, "CONSENTED")
    refused(desk, "PLANNED", "plan")
    desk.enter("plan_signed", who="paula", subjects=PATIENT, plan="x", plan_version=1, signed_by="paula")
    move(desk, "PLANNED")
    refused(desk, "INDUCTION", "order")
    refused(desk, "INDUCTION", "enrolment")


@pytest.mark.parametrize(
    ("facts", "applies"),
    [
        ({}, True),
        ({"jurisdiction": "EU"}, False),
        ({"setting": "inpatient"}, False),
        ({"drug": "ketamine"}, False),
        ({"route": "subcutaneous"}, False),
    ],
)
def test_enrolment_applies_to_outpatients_with_the_spray_in_the_united_states(facts, applies):
    assert opened(is_urgent=False, **facts).clinic.courses["c1"].needs_enrolment == applies


def reviewed() -> Desk:
    desk = Desk().ready_for_dose()
    move(desk, "REVIEW")
    return desk


INTERVALS = dict.fromkeys(("bladder", "liver", "cognition", "blood_pressure", "misuse"), 182)


def decide(desk, decision="maintain", **more):
    facts = {"decision": decision, "decided_by": "paula", **more}
    return desk.enter("review_decided", who="paula", subjects=PATIENT, **facts)


def intervals(desk, table):
    facts = {"intervals_days": table, "set_by": "paula"}
    return desk.enter("maintenance_intervals_set", who="paula", subjects=PATIENT, **facts)


def test_maintenance_is_refused_with_no_intervals_no_date_or_no_decision():
    desk = reviewed()
    refused(desk, "MAINTENANCE", "review")
    decide(desk)
    refused(desk, "MAINTENANCE", "next_review")
    refused(desk, "MAINTENANCE", "long_term_intervals", next_review_date="2026-06-01")
    intervals(desk, INTERVALS | {"liver": 0})
    refused(desk, "MAINTENANCE", "long_term_intervals", next_review_date="2026-06-01")
    intervals(desk, INTERVALS)
    move(desk, "MAINTENANCE", next_review_date="2026-06-01")
    assert desk.clinic.courses["c1"].state == "MAINTENANCE"


def test_a_pause_has_a_reason_an_owner_and_a_test_and_ends_its_obligation_by_going_on():
    desk = reviewed()
    refused(desk, "PAUSED", "pause_owner", reason="pressure")
    move(desk, "PAUSED", owner="paula", restart_test="below 140/90 three times", reason="pressure")
    assert {one.type for one in desk.clinic.open_of("p1")} == {"pause"}
    move(desk, "REVIEW")
    assert not desk.clinic.open_of("p1")


def test_a_course_closes_only_with_nothing_open():
    desk = reviewed()
    refused(desk, "DISCONTINUED", "end_reason")
    move(desk, "DISCONTINUED", reason="no response")
    owed = desk.clinic.open_of("p1")[0]
    assert owed.type == "stop_contact"
    move(desk, "FOLLOW_UP")
    refused(desk, "CLOSED", "nothing_open")
    desk.wait(6 * 24 * 60)
    desk.enter("contact_made", subjects=PATIENT, contact="stop_contact", outcome="too early")
    assert desk.clinic.obligations[owed.id].is_open
    desk.wait(2 * 24 * 60)
    desk.enter("contact_made", subjects=PATIENT, contact="stop_contact", outcome="reached")
    move(desk, "CLOSED")


def test_no_response_asks_for_a_contact_in_seven_to_fourteen_days():
    desk = reviewed()
    decide(desk, "no response")
    owed = desk.clinic.open_of("p1")[0]
    assert (owed.not_before - START, owed.due_at - START) == pytest.approx(
        (timedelta(days=7), timedelta(days=14)), abs=timedelta(minutes=5)
    )


# Obligations


def after_leaving() -> Desk:
    desk = through_a_session()
    desk.leave()
    return desk


def test_the_first_session_is_followed_by_a_contact_in_one_to_three_days():
    desk = after_leaving()
    owed = next(one for one in desk.clinic.open_of("p1") if one.type == "first_contact")
    assert owed.not_before == desk.at + timedelta(hours=24)
    assert owed.due_at == desk.at + timedelta(hours=72)
    desk.wait(23 * 60)
    desk.enter("contact_made", subjects=PATIENT, contact="first_contact", outcome="well")
    assert desk.clinic.obligations[owed.id].is_open
    desk.wait(60)
    desk.enter("contact_made", subjects=PATIENT, contact="first_contact", outcome="well")
    assert desk.clinic.obligations[owed.id].status == DONE


def test_the_form_climbs_after_one_three_five_and_eight_days_and_then_stops_a_booking():
    desk = after_leaving()
    desk.enter("session_reviewed", signed_by="nora")
    form = next(one for one in desk.clinic.open_of("p1") if one.type == "rems_form")
    assert form.due_at == datetime(2026, 3, 9, 22, 59, 59, 999999, tzinfo=UTC)
    seen = []
    for day in range(1, 10):
        desk.at = START.replace(hour=23, minute=30) + timedelta(days=day)
        seen += [
            (day, event.facts["level"], event.facts["to"])
            for event in desk.tick().events
            if event.about("obligation") == form.id
        ]
    assert seen == [(1, 1, "nora"), (3, 2, "paula"), (5, 3, "paula"), (8, 4, "paula")]
    book = dict(
        who="fay",
        subjects=PATIENT | {"session": "s2"},
        starts_at=to_text(desk.at),
        ends_at=to_text(desk.at + timedelta(hours=4)),
        chair="1",
        nurse="nora",
        prescriber="paula",
        drug="esketamine",
        route="intranasal",
    )
    with pytest.raises(StoppedError, match="five days old") as stopped:
        desk.enter("session_booked", **book)
    assert stopped.value.may_deviate
    desk.enter("session_booked", **book, deviation="the form is on its way")
    assert desk.clinic.obligations[form.id].is_open, "nothing is closed by time or by booking"


def test_an_obligation_ends_only_by_being_done_or_by_a_reason():
    desk = after_leaving()
    owed = desk.clinic.open_of("p1")[0]
    subjects = {"obligation": owed.id, "patient": "p1"}
    with pytest.raises(InvalidInputError, match="'reason'"):
        desk.enter("obligation_cancelled", subjects=subjects, cancelled_by="nora")
    desk.enter("obligation_cancelled", subjects=subjects, cancelled_by="nora", reason="moved away")
    assert desk.clinic.obligations[owed.id].outcome == "moved away"
    with pytest.raises(StoppedError, match="open"):
        desk.enter("obligation_done", subjects=subjects, outcome="x")


# Stock


def lot(desk) -> stock.Lot:
    return desk.clinic.lots["L1"]


def test_a_lot_adds_up_after_every_movement():
    desk = Desk().ready_for_dose().three_devices()
    desk.enter("lot_wasted", subjects={"lot": "L1"}, count=2, by="nora", witness="nils", reason="dropped")
    desk.enter("lot_returned", subjects={"lot": "L1"}, count=4, by="nora")
    found = lot(desk)
    assert (found.received, found.given, found.wasted, found.returned, found.on_hand) == (20, 3, 2, 4, 11)
    assert found.is_balanced


@pytest.mark.parametrize(
    ("facts", "rule_id", "may"),
    [
        ({"count": 1, "by": "nora", "witness": "nora"}, "waste_witnessed", True),
        ({"count": 21, "by": "nora", "witness": "nils"}, "enough_on_hand", False),
        ({"count": -1, "by": "nora", "witness": "nils"}, "whole_count", False),
        ({"count": 1.5, "by": "nora", "witness": "nils"}, "whole_count", False),
        ({"count": True, "by": "nora", "witness": "nils"}, "whole_count", False),
    ],
)
def test_waste_is_witnessed_and_never_more_than_there_is(facts, rule_id, may):
    desk = Desk().open_clinic()
    with pytest.raises(StoppedError) as stopped:
        desk.enter("lot_wasted", subjects={"lot": "L1"}, reason="dropped", **facts)
    assert [one.finding.rule_id for one in stopped.value.criteria] == [rule_id]
    assert stopped.value.may_deviate == may
    assert lot(desk).on_hand == 20


def test_a_count_that_differs_goes_to_a_person_and_changes_nothing():
    desk = Desk().open_clinic()
    desk.enter("lot_counted", subjects={"lot": "L1"}, count=20, by="nora", witness="nils")
    assert not desk.clinic.alerts
    desk.enter("lot_counted", subjects={"lot": "L1"}, count=19, by="nora", witness="nils")
    assert [one.owner for one in desk.clinic.alerts.values()] == ["paula"]
    assert (lot(desk).on_hand, lot(desk).counted, lot(desk).variance) == (20, 19, -1)


def test_a_lot_of_yesterday_or_of_another_drug_is_not_usable():
    found = lot(Desk().open_clinic())
    assert found.is_usable("esketamine", date(2027, 1, 31))
    assert not found.is_usable("esketamine", date(2027, 2, 1))
    assert not found.is_usable("ketamine", date(2026, 1, 1))


def test_a_dose_from_a_lot_that_is_not_there_is_recorded_and_the_difference_goes_to_a_person():
    desk = Desk().ready_for_dose()
    desk.dose(lot="L9", deviation="the label was read afterwards")
    assert desk.session.doses[0].lot == "L9"
    assert lot(desk).given == 0
    assert [one.rule_id for one in desk.clinic.alerts.values()] == ["stock_difference"]


# Therapy


def test_the_models_window_opens_within_hours_and_says_how_little_is_known():
    window = window_after("esketamine 84 mg in", timing=TIMING)
    assert 0.0 < window.from_h < window.widest_h < window.until_h < 24 * 8
    assert window.grade == "human trial"
    assert "one trial" in window.against
    dose = START
    assert window.holds(dose, dose + timedelta(hours=window.widest_h))
    assert window.holds(dose, dose + timedelta(hours=window.until_h))
    assert not window.holds(dose, dose + timedelta(hours=window.until_h, minutes=1))
    assert not window.holds(dose, dose)


def test_without_a_model_the_window_is_that_of_practice():
    window = usual_window(TIMING)
    assert (window.from_h, window.until_h, window.grade) == (24.0, 96.0, "practice")
    with pytest.raises(InvalidInputError, match="one that gives ketamine"):
        window_after("escitalopram 10 mg, daily x 3", timing=TIMING)


def test_therapy_that_was_not_offered_is_owed_and_missed_therapy_is_offered_again():
    desk = after_leaving()
    assert therapy_of(desk.clinic, "s1").is_owed
    times = {
        "starts_at": to_text(desk.at + timedelta(hours=24)),
        "ends_at": to_text(desk.at + timedelta(hours=25)),
    }
    desk.enter("therapy_booked", appointment_id="a1", therapist="theo", **times)
    assert "integration_offer" not in {one.type for one in desk.clinic.open_of("p1")}
    window = usual_window(TIMING)
    assert therapy_of(desk.clinic, "s1", window).is_inside
    desk.wait(26 * 60)
    desk.enter("therapy_missed", appointment_id="a1")
    now = therapy_of(desk.clinic, "s1", window)
    assert (now.is_missed, now.is_booked, now.is_owed) == (True, False, True)
    assert "integration_offer" in {one.type for one in desk.clinic.open_of("p1")}
    desk.enter("therapy_booked", appointment_id="a2", therapist="theo", **times)
    again = therapy_of(desk.clinic, "s1")
    assert (again.is_offered_again, again.is_booked, again.is_owed) == (True, True, False)


def test_therapy_offered_before_leaving_leaves_nothing_owed():
    desk = through_a_session()
    times = {"starts_at": to_text(desk.at), "ends_at": to_text(desk.at + timedelta(hours=1))}
    desk.enter("therapy_offered", **times)
    desk.leave()
    assert "integration_offer" not in {one.type for one in desk.clinic.open_of("p1")}


def test_preparation_is_recorded_with_expectation_and_anxiety():
    desk = Desk().ready_for_dose()
    assert not is_prepared(desk.clinic, "c1")
    desk.enter("preparation_held", subjects=PATIENT, expectation=6, anxiety=3)
    assert is_prepared(desk.clinic, "c1")


# Follow-up


def scored(*points, scale="MADRS") -> Desk:
    """A dose, then totals a week apart."""
    desk = after_leaving()
    for one in points:
        desk.wait(7 * 24 * 60)
        desk.enter("score_recorded", subjects=PATIENT, scale=scale, points=one)
    return desk


@pytest.mark.parametrize(
    ("points", "responded", "cuts"),
    [
        (17, False, []),
        (16, True, []),
        (13, True, []),
        (12, True, ["esketamine spray trials"]),
        (10, True, ["esketamine spray trials", "most trials of ketamine infusions"]),
    ],
)
def test_response_is_a_fall_by_half_and_every_cut_of_remission_is_shown(points, responded, cuts):
    found = followup.standing(scored(points).clinic.courses["c1"], "MADRS")
    assert found.baseline.points == 32
    assert found.has_responded is responded
    assert sorted(name for name, has in found.remission.items() if has) == cuts
    assert len(found.remission) == 3
    assert found.fall_percent == pytest.approx(100 * (32 - points) / 32, abs=0.05)


def test_relapse_is_looked_for_only_after_a_response_and_by_every_definition():
    assert followup.standing(scored(30, 28).clinic.courses["c1"], "MADRS").relapse == {}
    well = followup.standing(scored(12, 14).clinic.courses["c1"], "MADRS").relapse
    assert set(well.values()) == {False}
    once = followup.standing(scored(12, 22).clinic.courses["c1"], "MADRS").relapse
    assert (once["MADRS 22 once"], once["MADRS 22 twice"]) == (True, False)
    twice = followup.standing(scored(12, 22, 23).clinic.courses["c1"], "MADRS").relapse
    assert twice["MADRS 22 twice"]


def test_an_incomplete_scale_is_no_total():
    desk = after_leaving()
    desk.enter("score_recorded", subjects=PATIENT, scale="MADRS", points=3, is_complete=False)
    found = followup.standing(desk.clinic.courses["c1"], "MADRS")
    assert (found.now, found.has_responded) == (None, None)


def test_an_unknown_scale_is_named():
    with pytest.raises(UnknownNameError):
        followup.standing(after_leaving().clinic.courses["c1"], "MADRAS")


def test_long_term_checks_have_due_dates_once_set_and_are_marked():
    desk = reviewed()
    site, today = desk.clinic.site, date(2026, 3, 2)
    plain = followup.long_term(desk.clinic.courses["c1"], today, site)
    assert {one.due_on for one in plain} == {None}
    assert {one.marked for one in plain} == {"consensus needed"}
    assert {one.check for one in plain if one.is_each_visit} == {"bladder", "blood_pressure", "misuse"}
    intervals(desk, INTERVALS)
    due = {one.check: one for one in followup.long_term(desk.clinic.courses["c1"], today, site)}
    assert due["liver"].due_on == date(2026, 8, 31)
    assert not due["liver"].is_overdue
    late = followup.long_term(desk.clinic.courses["c1"], date(2026, 9, 1), site)
    assert all(one.is_overdue for one in late)
    assert {one.type for one in desk.clinic.open_of("p1")} == {f"long_term_{name}" for name in INTERVALS}


def test_a_long_term_check_that_is_done_becomes_due_again():
    desk = reviewed()
    intervals(desk, INTERVALS)
    desk.wait(30 * 24 * 60)
    desk.enter("long_term_checked", subjects=PATIENT, check="liver", result="normal")
    owed = [one for one in desk.clinic.obligations.values() if one.type == "long_term_liver"]
    assert [one.status for one in owed] == ["done", "open"]
    found = {
        one.check: one
        for one in followup.long_term(desk.clinic.courses["c1"], date(2026, 4, 2), desk.clinic.site)
    }
    assert (found["liver"].last_on, found["liver"].due_on) == (date(2026, 4, 1), date(2026, 9, 30))
    desk.enter("long_term_checked", subjects=PATIENT, check="bladder", result="urgency", is_concern=True)
    assert [one.tier for one in desk.clinic.alerts_of("p1")] == ["act"]


@pytest.mark.parametrize(("days", "alerts"), [(1.0, 0), (1.1, 1), (3.0, 1)])
def test_a_dose_asked_for_early_is_flagged(days, alerts):
    desk = after_leaving()
    desk.enter("early_requested", subjects=PATIENT, days_early=days)
    assert followup.early_requests(desk.clinic.courses["c1"]) == 1
    assert len(desk.clinic.alerts_of("p1")) == alerts


def test_exposure_adds_up_sessions_and_milligrams():
    desk = after_leaving()
    sessions = desk.clinic.sessions_of("p1")
    found = followup.exposure(sessions, desk.at, desk.clinic.site)
    assert (found.sessions, dict(found.total_mg), found.sessions_last_90_days) == (1, {"esketamine": 84.0}, 1)
    assert found.first_on == found.last_on == date(2026, 3, 2)
    later = followup.exposure(sessions, desk.at + timedelta(days=91), desk.clinic.site)
    assert later.sessions_last_90_days == 0


def test_a_trend_of_pressure_needs_three_sessions_and_shrugs_off_one_wild_reading():
    one = after_leaving().session
    assert followup.pressure_trend([one, one]).change_per_10_sessions_mmHg is None
    found = followup.pressure_trend([one, one, one])
    assert (found.count, found.last_mmHg, found.change_per_10_sessions_mmHg) == (3, 124.0, 0.0)


def test_the_prescription_monitoring_check_is_on_record():
    desk = after_leaving()
    assert followup.prescription_monitoring(desk.clinic.courses["c1"]) is None
    desk.enter("pmp_checked", subjects=PATIENT, programme="state", checked_by="paula")
    assert followup.prescription_monitoring(desk.clinic.courses["c1"]) == date(2026, 3, 2)


def test_what_a_payer_asks_for_is_taken_from_the_record_and_gaps_are_named():
    desk = scored(16)
    course, sessions = desk.clinic.courses["c1"], desk.clinic.sessions_of("p1")
    found = followup.for_prior_authorisation(course, sessions, desk.clinic.site)
    assert found["missing"] == ["diagnosis", "prior_trials"]
    assert found["sessions"][0]["given_mg"] == 84.0
    assert found["scores"]["MADRS"] == [
        {"on": "2026-03-02", "points": 32.0},
        {"on": "2026-03-09", "points": 16.0},
    ]
    assert found["standing"]["MADRS"]["has_responded"] is True
    answers = {"diagnosis": "MDD", "prior_trials": ["sertraline", "venlafaxine"]}
    desk.enter("intake_recorded", subjects=PATIENT, answers=answers)
    again = followup.for_prior_authorisation(desk.clinic.courses["c1"], sessions, desk.clinic.site)
    assert again["missing"] == []


# The programme's form


def form_of(desk, **more) -> rems.Form:
    return rems.form(desk.session, desk.clinic.courses["c1"], desk.clinic.site, timing=TIMING, **more)


def test_the_form_is_made_by_the_session_and_names_what_it_cannot_answer():
    found = form_of(after_leaving())
    assert found.fields["dose"] == "84 mg"
    assert found.fields["lot_number"] == "L1"
    assert found.fields["monitoring_minutes"] == 130
    assert (found.fields["bp_before"], found.fields["bp_40"], found.fields["bp_end"]) == (
        "124/76",
        "132/76",
        "125/76",
    )
    assert (found.fields["sedation"], found.fields["dissociation"]) == (False, False)
    assert found.fields["first_treatment"] is True
    assert "patient_first" in found.missing
    assert "con_maoi" in found.missing
    assert "treatment_date" not in found.missing


def test_sedation_and_dissociation_are_on_the_form_where_they_were_seen():
    desk = Desk().ready_for_dose().three_devices().wait(30)
    desk.read(moaas_points="4", cadss_points="5", heart_rate_per_min="71")
    found = form_of(desk)
    assert (found.fields["sedation"], found.fields["dissociation"]) == (True, True)
    assert found.fields["bp_end"] == "124/76"


def test_the_form_of_2021_has_fewer_fields_than_the_present_one():
    desk = after_leaving()
    old, new = form_of(desk, version="2021-11"), form_of(desk)
    assert set(old.fields) < set(new.fields)
    assert {"con_opioid", "respiratory_depression", "spo2_checks"} <= set(new.fields) - set(old.fields)


def test_when_somebody_would_have_been_ready_is_asked_and_not_worked_out():
    desk = through_a_session()
    assert form_of(desk).fields["ready_to_leave_minutes"] is None
    desk.enter("would_be_ready", after_min=95)
    assert form_of(desk).fields["ready_to_leave_minutes"] == 95
    assert checks(desk.session, TIMING, exactly(desk.at))
