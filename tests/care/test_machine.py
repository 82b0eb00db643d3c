"""Any order of entries by several people, with clocks that jump: what must never happen does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.care.steps import CALM, WELL, Desk

from euthymia.care.checks import checks
from euthymia.care.clinic import Clinic
from euthymia.care.clock import SteadyClock
from euthymia.care.gate import pre_dose, stops
from euthymia.care.obligation import OPEN
from euthymia.care.readiness import ADVICE, is_ready, ready
from euthymia.care.record import Event
from euthymia.care.recording import StoppedError, tick
from euthymia.errors import InvalidInputError

PEOPLE = st.sampled_from(["nora", "nils", "paula", "theo", "fay"])
CLINICIANS = st.sampled_from(["nora", "nils", "paula"])
NUMBERS = {
    "systolic_mmHg": st.sampled_from(["118", "124", "139", "140", "166", "181", "82", "16"]),
    "spo2_percent": st.sampled_from(["98", "97", "91", "96"]),
    "moaas_points": st.sampled_from(["5", "5", "5", "4", "2"]),
    "cadss_points": st.sampled_from(["0", "3", "12"]),
    "heart_rate_per_min": st.sampled_from(["66", "70", "74", "130"]),
}
BEFORE_SUMMER = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)


class OneSession(RuleBasedStateMachine):
    """One patient, several people, one clock that may be moved; entries in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.wall, self.ticks = BEFORE_SUMMER, 0.0
        self.clock = SteadyClock(lambda: self.wall, lambda: self.ticks)
        self.desk = Desk(at=BEFORE_SUMMER)
        self.owed: set[str] = set()
        self.raised: set[str] = set()

    # Time

    def _now(self) -> None:
        self.desk.now = self.clock.read()
        self.desk.at = self.desk.now.at

    @rule(minutes=st.sampled_from([0.5, 1, 2, 5, 10, 12, 30, 120]))
    def time_passes(self, minutes):
        self.wall += timedelta(minutes=minutes)
        self.ticks += minutes * 60

    @rule(seconds=st.sampled_from([-3600, -30, 30, 3600, 7200]))
    def somebody_moves_the_clock(self, seconds):
        self.wall += timedelta(seconds=seconds)

    @rule()
    def somebody_looks_at_the_clock(self):
        self.desk.now = self.clock.confirm()

    # Entries

    def _try(self, kind: str, **more):
        """Enter, or be refused; a refusal leaves nothing behind."""
        self._now()
        before = len(self.desk.clinic.home)
        try:
            return self.desk.enter(kind, **more)
        except (StoppedError, InvalidInputError):
            assert len(self.desk.clinic.home) == before
            return None

    @initialize()
    def a_clinic_with_an_order(self):
        self._now()
        self.desk.open_clinic().course()
        self.desk.book()

    @rule()
    def arrives(self):
        self._try("patient_arrived", who="fay")

    @rule(who=CLINICIANS)
    def is_asked_everything(self, who):
        self._now()
        try:
            self.desk.answers()
        except (StoppedError, InvalidInputError):
            return

    @rule(item=st.sampled_from(["food", "escort", "alcohol_today", "identifiers"]), who=CLINICIANS)
    def gives_an_answer_that_stops(self, item, who):
        answer = {"food": True, "escort": False, "alcohol_today": True, "identifiers": ["name"]}[item]
        self._try("answer_recorded", who=who, item=item, answer=answer, since_min=10)

    @rule(
        who=CLINICIANS,
        changes=st.dictionaries(st.sampled_from(sorted(NUMBERS)), st.integers(0, 7), max_size=2),
        data=st.data(),
        is_weighed=st.booleans(),
        back_min=st.sampled_from([0, 0, 1, 20]),
    )
    def is_measured(self, who, changes, data, is_weighed, back_min):
        drawn = {name: data.draw(NUMBERS[name]) for name in changes}
        weight = {"weight_kg": data.draw(st.sampled_from(["70", "154"]))} if is_weighed else {}
        self._now()
        observed = self.desk.at - timedelta(minutes=back_min)
        self._try("reading_taken", who=who, values=CALM | drawn | weight, observed_at=observed, **WELL)

    @rule(who=PEOPLE)
    def somebody_answers_a_question(self, who):
        events = self.desk.session.events
        answered = {one.facts["question_id"] for one in events if one.kind == "question_answered"}
        asked = [one.event_id for one in events if one.kind == "question_asked"]
        waiting = [name for name in asked if name not in answered]
        if waiting:
            self._try("question_answered", who=who, question_id=waiting[0], answer="as entered")

    @rule(level=st.sampled_from(["none", "none", "none", "passive", "intent"]), who=CLINICIANS)
    def is_asked_about_suicide(self, level, who):
        self._try("risk_answered", who=who, instrument="C-SSRS", level=level, is_remote=False)

    @rule(who=CLINICIANS)
    def a_clinician_deals_with_it(self, who):
        self._try("disposition_recorded", who=who, clinician=who, disposition="seen, safe to go on")
        self._try("safety_plan_recorded", who=who, clinician=who)

    @rule(who=PEOPLE)
    def somebody_acts_on_an_alert(self, who):
        for alert in self.desk.clinic.alerts_of("p1"):
            subjects = {"patient": "p1", "course": "c1", "session": "s1", "alert": alert.id}
            self._try("alert_acted", who=who, subjects=subjects, action="looked")

    @rule()
    def the_prescriber_signs(self):
        self._try("ready_to_treat_signed", who="paula", signed_by="paula")
        self._try(
            "dose_checked",
            first_checker="nora",
            second_checker="nils",
            values={"amount_mg": "84"},
            lot="L1",
        )

    @rule(
        rule_id=st.sampled_from(["food", "alcohol_today", "predose_systolic_guide", "predose_systolic_hard"])
    )
    def the_prescriber_overrides(self, rule_id):
        self._try(
            "override_signed",
            who="paula",
            rule_id=rule_id,
            signed_by="paula",
            second_signer="nora",
            reason="weighed",
        )

    @rule(
        who=CLINICIANS,
        lot=st.sampled_from(["L1", "L1", "L1", "unknown"]),
        amount=st.sampled_from(["28", "84"]),
    )
    def a_device_is_given(self, who, lot, amount):
        self._give(who, lot, amount, deviation=None)

    @rule(who=CLINICIANS)
    def a_device_is_given_whatever_the_record_says(self, who):
        self._give(who, "L1", "28", deviation="given before the computer was asked")

    def _give(self, who, lot, amount, *, deviation):
        self._now()
        session, clinic, now = self.desk.session, self.desk.clinic, self.desk.reading_of_clock()
        is_first = not session.doses
        held_by = stops(pre_dose(session, clinic.around(session), now)) if is_first else ()
        outcome = self._try(
            "dose_given",
            who=who,
            deviation=deviation,
            form="device",
            drug="esketamine",
            route="intranasal",
            lot=lot,
            values={"amount_mg": amount},
        )
        if outcome is None:
            return
        said = [event for event in outcome.events if event.kind == "deviation_recorded"]
        if held_by:
            assert said, "a dose against a stop is recorded with its reason"
            assert said[0].reason
            missing = {one.finding.rule_id for one in held_by} - set(said[0].facts["rules"])
            assert missing <= {"stock_lot"}

    @rule(kind=st.sampled_from(["nausea", "dizziness", "seizure"]), is_serious=st.booleans())
    def something_happens(self, kind, is_serious):
        self._try("incident_opened", type=kind, severity="mild", is_serious=is_serious)

    @rule(who=CLINICIANS)
    def it_is_over(self, who):
        for one in self.desk.session.open_incidents:
            self._try("incident_closed", who=who, incident_id=one.id, outcome="resolved")

    @precondition(lambda self: self.desk.session.doses)
    @rule()
    def all_checks_are_left_out_with_a_reason(self):
        self._now()
        for one in checks(self.desk.session, self.desk.clinic.timing, self.desk.reading_of_clock()):
            if one.is_owed:
                self._try("check_skipped", check_id=one.id, reason="asleep")

    @precondition(lambda self: not self.desk.session.doses)
    @rule(is_weighed_wrongly=st.sampled_from([False, False, False, True]), to_the_end=st.booleans())
    def it_begins_well(self, is_weighed_wrongly, to_the_end):
        """A straight way to a dose, so that it is reached often enough to be tested."""
        self.arrives()
        self.is_asked_everything("nora")
        self.is_asked_about_suicide("none", "nora")
        self._try("reading_taken", values=CALM | {"weight_kg": "154" if is_weighed_wrongly else "70"}, **WELL)
        self.time_passes(1)
        self.the_prescriber_signs()
        self.a_device_is_given("nora", "L1", "28")
        if to_the_end and self.desk.session.doses:
            self.it_goes_well()

    @precondition(lambda self: self.desk.session.doses)
    @rule()
    def it_goes_well(self):
        """A straight way to the end."""
        self.it_is_over("nora")
        for _ in range(6):
            self.somebody_answers_a_question("nora")
        self.a_clinician_deals_with_it("paula")
        self.somebody_acts_on_an_alert("paula")
        for _ in range(5):
            self.time_passes(30)
            self.is_measured_calmly()
        self.time_passes(12)
        self.is_measured_calmly()
        self.all_checks_are_left_out_with_a_reason()
        self.is_asked_about_suicide("none", "nora")
        self._try("escort_seen", name="Eve")
        self._try("advice_given", items=list(ADVICE))
        self.leaves("discharged", is_forced=False)

    def is_measured_calmly(self):
        heart = f"{60 + self.desk.count % 17}"
        self._try("reading_taken", values=CALM | {"heart_rate_per_min": heart}, **WELL)

    @rule(how=st.sampled_from(["discharged", "discharged", "against advice"]), is_forced=st.booleans())
    def leaves(self, how, is_forced):
        self._now()
        session, clinic, now = self.desk.session, self.desk.clinic, self.desk.reading_of_clock()
        was_ready = is_ready(ready(session, clinic.around(session), now)) if session.doses else False
        outcome = self._try(
            "patient_left",
            how=how,
            decided_by="nora",
            reason=None if how == "discharged" else "wants to go",
            deviation="the house was cleared" if is_forced else None,
        )
        if outcome is not None and how == "discharged":
            forced = any(event.kind == "deviation_recorded" for event in outcome.events)
            assert was_ready or forced, "discharged only when ready, or with a recorded deviation"
            if was_ready:
                assert now.minutes_at_least(session.observed_from) >= 120.0

    @rule()
    def is_reviewed(self):
        self._try("session_reviewed", signed_by="nora")

    @rule(who=st.sampled_from(["nora", "nils", "paula"]))
    def somebody_goes_home_and_comes_back(self, who):
        self._try("staff_left", subjects={"clinic": "k"}, account=who)
        role = {"paula": "prescriber"}.get(who, "nurse")
        self._try(
            "staff_on_site",
            subjects={"clinic": "k"},
            account=who,
            staff_role=role,
            is_emergency_trained=who == "paula",
        )

    @rule(
        count=st.integers(-1, 25), kind=st.sampled_from(["lot_wasted", "lot_returned"]), witness=st.booleans()
    )
    def stock_moves(self, count, kind, witness):
        more = {"witness": "nils" if witness else "nora"} if kind == "lot_wasted" else {}
        facts = {"count": count, "by": "nora", **more}
        self._try(kind, subjects={"lot": "L1"}, reason="broken", **facts)

    @rule()
    def the_service_looks(self):
        self._now()
        self.desk.tick()
        again = tick(self.desk.clinic, self.desk.reading_of_clock())
        assert not again.events, "asked twice at one moment, the second time gives nothing"

    @rule()
    def the_service_is_restarted(self):
        """State is the fold over events, stored as JSON and read back."""
        again = [Event.from_dict(event.to_dict()) for event in self.desk.events]
        rebuilt = Clinic.of(again)
        assert rebuilt.sessions == self.desk.clinic.sessions
        assert rebuilt.obligations == self.desk.clinic.obligations
        assert rebuilt.alerts == self.desk.clinic.alerts
        assert rebuilt.lots == self.desk.clinic.lots
        self.desk.clinic = rebuilt
        self.clock = SteadyClock(lambda: self.wall, lambda: self.ticks, last=rebuilt.last_entered_at)

    # What always holds

    @invariant()
    def times_of_entry_never_run_backwards(self):
        times = [event.entered_at for event in self.desk.events]
        assert times == sorted(times)

    @invariant()
    def every_alert_has_an_owner(self):
        for alert in self.desk.clinic.alerts.values():
            assert alert.owner
            if alert.needs_disposition and not alert.is_open:
                kinds = {one.kind for one in self.desk.events if one.entered_at >= alert.raised_at}
                assert kinds >= {"disposition_recorded", "safety_plan_recorded"}

    @invariant()
    def stock_balances(self):
        for lot in self.desk.clinic.lots.values():
            assert lot.is_balanced
            given = sum(len(session.doses) for session in self.desk.clinic.sessions.values())
            assert lot.given <= given

    @invariant()
    def no_obligation_is_lost(self):
        now = self.desk.clinic.obligations
        opened = {e.about("obligation") for e in self.desk.events if e.kind == "obligation_opened"}
        ended = {e.about("obligation") for e in self.desk.events if e.kind in ("obligation_done",)}
        assert opened == set(now)
        assert {one.id for one in now.values() if one.status == OPEN} == opened - ended

    @invariant()
    def what_was_entered_stays(self):
        ids = [event.event_id for event in self.desk.events]
        assert len(set(ids)) == len(ids)
        assert set(ids) == set(self.desk.clinic.home)

    @invariant()
    def a_dose_leaves_its_obligations(self):
        session = self.desk.clinic.sessions.get("s1")
        if session is None or not session.doses or "patient_left" not in session.last:
            return
        types = {one.type for one in self.desk.clinic.obligations.values()}
        assert {"first_contact", "rems_form"} <= types


TestOneSession = pytest.mark.slow(OneSession.TestCase)
TestOneSession.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
