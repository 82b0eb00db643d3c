"""Steps of a visit as people would enter them; each test changes the one thing it is about."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from euthymia.care.clinic import Clinic
from euthymia.care.clock import Now, exactly
from euthymia.care.readiness import ADVICE
from euthymia.care.readings import quantities
from euthymia.care.record import Event, to_text
from euthymia.care.recording import Outcome, enter, tick

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
CALM: dict[str, str | float] = {
    "systolic_mmHg": "124",
    "diastolic_mmHg": "76",
    "heart_rate_per_min": "70",
    "spo2_percent": "98",
    "respiration_per_min": "14",
    "moaas_points": "5",
    "cadss_points": "0",
}
WELL = {"on_air": True, "walks": True, "is_oriented": True, "nausea": "none", "mental_state": "calm"}
FORMS = {"intranasal": "device", "iv_infusion": "infusion_start"}
ROLES = {"paula": "prescriber", "nora": "nurse", "nils": "nurse", "theo": "therapist", "fay": "front desk"}


@dataclass
class Desk:
    """A clinic and its clock; every step enters an event and keeps what follows."""

    clinic: Clinic = field(default_factory=Clinic)
    at: datetime = START
    events: list[Event] = field(default_factory=list)
    count: int = 0
    now: Now | None = None
    session_id: str = "s1"

    def wait(self, minutes: float) -> Desk:
        self.at += timedelta(minutes=minutes)
        return self

    def reading_of_clock(self) -> Now:
        return self.now or exactly(self.at)

    def enter(
        self,
        kind: str,
        *,
        who: str = "nora",
        deviation: str | None = None,
        reason: str | None = None,
        observed_at: datetime | None = None,
        values: dict[str, Any] | None = None,
        subjects: dict[str, str] | None = None,
        **facts: Any,
    ) -> Outcome:
        self.count += 1
        entry = Event(
            event_id=f"e{self.count}",
            kind=kind,
            subjects=subjects or {"patient": "p1", "course": "c1", "session": self.session_id},
            observed_at=observed_at or self.at,
            entered_at=self.at,
            author=who,
            role=ROLES[who],
            values=quantities(values or {}),
            facts=facts,
            reason=reason,
        )
        return self.keep(enter(self.clinic, entry, self.reading_of_clock(), deviation=deviation))

    def keep(self, outcome: Outcome) -> Outcome:
        self.clinic = outcome.clinic
        self.events += outcome.events
        return outcome

    def tick(self) -> Outcome:
        return self.keep(tick(self.clinic, self.reading_of_clock()))

    @property
    def session(self):
        return self.clinic.sessions[self.session_id]

    def open_clinic(self, *, drug: str = "esketamine", emergency: bool = True) -> Desk:
        site = {"clinic": "k"}
        self.enter("site_set", subjects=site, time_zone="Europe/Berlin", is_certified=True)
        people = {"paula": ("prescriber", emergency), "nora": ("nurse", False), "nils": ("nurse", False)}
        for account, (role, trained) in people.items():
            self.enter(
                "staff_on_site",
                subjects=site,
                account=account,
                staff_role=role,
                is_emergency_trained=trained,
                is_lead=account == "paula",
            )
        self.enter(
            "lot_received",
            subjects={"lot": "L1"},
            drug=drug,
            count=20,
            unit="device",
            amount_mg_each=28,
            expiry="2027-01-31",
        )
        return self

    def course(self, *, drug: str = "esketamine", route: str = "intranasal", amount_mg: float = 84) -> Desk:
        subjects = {"patient": "p1", "course": "c1"}
        self.enter("course_opened", who="fay", subjects=subjects, drug=drug, route=route, is_urgent=False)
        self.enter("course_moved", subjects=subjects, to="SCREENING")
        self.enter("course_moved", subjects=subjects, to="BASELINE", findings=[])
        self.enter("measured", subjects=subjects, values=CALM | {"weight_kg": "70"})
        for scale, points in {"MADRS": 32, "PHQ-9": 19, "GAD-7": 12}.items():
            self.enter("score_recorded", subjects=subjects, scale=scale, points=points)
        self.enter("risk_answered", subjects=subjects, instrument="C-SSRS", level="none", is_remote=False)
        self.enter("consent_signed", subjects=subjects, version="3", signed_by="p1")
        self.enter("enrolled", subjects=subjects, programme="REMS", number="123")
        self.enter("course_moved", subjects=subjects, to="CONSENTED")
        self.enter("plan_signed", who="paula", subjects=subjects, plan="x", plan_version=1, signed_by="paula")
        self.enter("course_moved", subjects=subjects, to="PLANNED")
        self.enter(
            "order_signed",
            who="paula",
            subjects=subjects,
            order_id="o1",
            drug=drug,
            route=route,
            amount_mg=amount_mg / 3 if route == "intranasal" else amount_mg,
            max_amount_mg=amount_mg,
            min_interval_h=48,
            signed_by="paula",
        )
        self.enter("course_moved", subjects=subjects, to="INDUCTION")
        return self

    def book(self, *, drug: str = "esketamine", route: str = "intranasal", hours: float = 4) -> Desk:
        self.enter(
            "session_booked",
            who="fay",
            starts_at=to_text(self.at),
            ends_at=to_text(self.at + timedelta(hours=hours)),
            chair="1",
            nurse="nora",
            prescriber="paula",
            drug=drug,
            route=route,
        )
        return self

    def answers(self, **changes: Any) -> Desk:
        table: dict[str, Any] = {
            "identifiers": ["name", "birth date"],
            "food": True,
            "liquids": True,
            "nasal_agent": False,
            "drugs_today": False,
            "alcohol_today": False,
            "new_symptoms": False,
            "pregnancy": "not applicable",
            "escort": "Eve",
        }
        for item, answer in (table | changes).items():
            if answer is not None:
                since = {"since_min": 180} if item in ("food", "liquids") else {}
                self.enter("answer_recorded", item=item, answer=answer, **since)
        return self

    def read(self, *, facts: dict[str, Any] | None = None, who: str = "nora", **values: str) -> Outcome:
        given = {name: value for name, value in (CALM | values).items() if value is not None}
        return self.enter("reading_taken", who=who, values=given, **(WELL | (facts or {})))

    def ready_for_dose(
        self, *, drug: str = "esketamine", route: str = "intranasal", amount_mg: float = 84
    ) -> Desk:
        """Everything before a dose, as it should be."""
        self.open_clinic(drug=drug).course(drug=drug, route=route, amount_mg=amount_mg)
        self.book(drug=drug, route=route)
        self.enter("patient_arrived", who="fay")
        self.answers()
        self.enter("risk_answered", instrument="C-SSRS", level="none", is_remote=False)
        self.read(weight_kg="70")
        self.wait(1)
        self.enter("ready_to_treat_signed", who="paula", signed_by="paula")
        self.enter(
            "dose_checked",
            first_checker="nora",
            second_checker="nils",
            values={"amount_mg": f"{amount_mg:g}"},
            lot="L1",
        )
        return self.wait(1)

    def dose(self, *, drug: str = "esketamine", route: str = "intranasal", **more: Any) -> Outcome:
        amount = more.pop("amount_mg", "28" if route == "intranasal" else "35")
        return self.enter(
            "dose_given",
            form=FORMS.get(route, "injection"),
            drug=drug,
            route=route,
            lot=more.pop("lot", "L1"),
            values={"amount_mg": amount},
            **more,
        )

    def three_devices(self) -> Desk:
        for place in range(3):
            self.dose()
            if place < 2:
                self.wait(5)
        return self

    def observe_until(self, minutes: float) -> Desk:
        """Read at 40 min after the first device and then every 30, to some minutes after the last."""
        first, last = self.session.doses[0].at, self.session.doses[-1].at
        for at in (40.0, 70.0, 100.0):
            self.at = first + timedelta(minutes=at)
            self.read(systolic_mmHg=f"{130 + at / 20:.0f}")
        self.at = last + timedelta(minutes=minutes - 12)
        self.read(systolic_mmHg="126")
        self.wait(12)
        self.read(systolic_mmHg="125")
        return self

    def before_leaving(self) -> Desk:
        self.enter("risk_answered", instrument="C-SSRS", level="none", is_remote=False)
        self.enter("escort_seen", name="Eve")
        self.enter("advice_given", items=list(ADVICE))
        return self

    def leave(self, how: str = "discharged", **more: Any) -> Outcome:
        return self.enter("patient_left", how=how, decided_by="nora", **more)


def through_a_session() -> Desk:
    """A whole session with the spray, up to the moment before leaving."""
    desk = Desk().ready_for_dose()
    return desk.three_devices().observe_until(120).before_leaving()
