"""A clinic's day with virtual patients, by the same core as a real one: load, training, alert burden.

Vital signs, dissociation and sedation come from the model and its readings; what people do, and how long it
takes them, is assumed here and says nothing about any clinic. Everything is simulated.
"""

# Over 500 lines: the script of a visit is one thing, and reads from top to bottom.

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.care.board import Row, board
from euthymia.care.checks import checks, floor_at
from euthymia.care.clinic import Clinic
from euthymia.care.clock import MINUTE, Now, exactly
from euthymia.care.gate import pre_dose, stops
from euthymia.care.readiness import ADVICE, ready
from euthymia.care.readings import quantities
from euthymia.care.record import Event, to_text
from euthymia.care.recording import Outcome, enter, tick
from euthymia.care.session import Session
from euthymia.care.timing import Criterion
from euthymia.errors import invalid
from euthymia.streams import uniforms

Floats = NDArray[np.float64]
SLOT_MIN, OPEN_MIN, TURN_MIN = 225, 600, 25
"""Minutes of a booking, of the day, and by which starts on the chairs are staggered; assumed."""
MINUTES_OF_WORK = {
    "ask": 4, "measure": 2, "sign": 2, "check": 1, "give": 1, "act": 2, "leave": 3, "review": 4,
}  # fmt: skip
"""How long each step keeps somebody, in minutes; assumed."""
RUN_MIN = 420
ESCORT_FAILS, SLIP = 0.02, 0.01
"""Chance that there is no escort, and that two pressures are typed the wrong way round; assumed."""
PRODUCTS = (
    ("esketamine", "intranasal", "esketamine 84 mg in", 28.0, 3),
    ("esketamine", "intranasal", "esketamine 56 mg in", 28.0, 2),
    ("ketamine", "iv_infusion", "ketamine 0.5 mg/kg iv over 40 min", 35.0, 1),
    ("ketamine", "subcutaneous", "ketamine 0.5 mg/kg sc", 35.0, 1),
)
RISES = {
    "systolic_mmHg": "systolic_rise_mmHg",
    "diastolic_mmHg": "diastolic_rise_mmHg",
    "heart_rate_per_min": "heart_rate_rise_per_min",
    "cadss_points": "cadss_points",
    "moaas_points": "moaas_points",
}
BASE_DAY = datetime(2026, 3, 2, 7, tzinfo=UTC)
NURSE, PRESCRIBER = "nurse", "prescriber"


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """A virtual patient: what is given, and readings for every minute after the first dose."""

    number: int
    drug: str
    route: str
    regimen: str
    each_mg: float
    devices: int
    readings: Mapping[str, Floats]
    has_escort: bool
    is_late_min: int
    nausea_min: int | None

    @property
    def name(self) -> str:
        """Return the identifier."""
        return f"virtual-{self.number}"


@dataclass(kw_only=True, slots=True)
class Worker:
    """Somebody who does one thing at a time."""

    account: str
    role: str
    free_at: datetime = BASE_DAY
    busy_min: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class DayResult:
    """A simulated day.

    Attributes
    ----------
    events : tuple of Event
    clinic : Clinic
        At the end.
    boards : tuple of (datetime, tuple of Row)
        Every half hour.
    load : mapping
        Figures of load and alert burden.
    """

    events: tuple[Event, ...]
    clinic: Clinic
    boards: tuple[tuple[datetime, tuple[Row, ...]], ...]
    load: Mapping[str, Any]


def simulate_day(*, chairs: int = 4, patients: int = 8, seed: int = 1) -> DayResult:
    """Return a day of a clinic with virtual patients and virtual staff.

    Parameters
    ----------
    chairs : int
        1 to 20.
    patients : int
        As many as the chairs hold in a day.
    seed : int

    Raises
    ------
    InvalidInputError
        Where the day does not hold so many patients.
    """
    _require_room(chairs, patients)
    day = _Day(chairs=chairs, people=_people(patients, seed), seed=seed)
    day.open()
    for minute in range(OPEN_MIN + SLOT_MIN):
        day.at = BASE_DAY + minute * MINUTE
        day.minute(is_half_hour=minute % 30 == 0)
        if day.is_over:
            break
    return day.result()


def _require_room(chairs: int, patients: int) -> None:
    if not 1 <= chairs <= 20:
        raise invalid("chairs", must="1 to 20", got=chairs)
    most = chairs * (OPEN_MIN // SLOT_MIN)
    if not 1 <= patients <= most:
        raise invalid("patients", must=f"1 to {most} on {chairs} chairs in a day", got=patients)


def _people(count: int, seed: int) -> list[Person]:
    """Return virtual patients with their readings; one run of the model for each product."""
    numbers = np.arange(1, count + 1)

    def draw(field_name: str) -> Floats:
        return uniforms(seed=seed, purpose="clinic day", field=field_name, patients=numbers)

    kind = np.searchsorted(np.array([0.4, 0.6, 0.85]), draw("product"), side="right")
    found: dict[int, Person] = {}
    escort, late, sick = draw("escort"), draw("late"), draw("nausea")
    for place, product in enumerate(PRODUCTS):
        mine = numbers[kind == place]
        if len(mine):
            found |= _treated(product, mine, seed, escort=escort, late=late, sick=sick)
    return [found[number] for number in sorted(found)]


def _treated(
    product: tuple[str, str, str, float, int],
    numbers: NDArray[np.int64],
    seed: int,
    *,
    escort: Floats,
    late: Floats,
    sick: Floats,
) -> dict[int, Person]:
    drug, route, regimen, each_mg, devices = product
    readings, nausea = _readings(regimen, numbers, seed)
    return {
        int(number): Person(
            number=int(number),
            drug=drug,
            route=route,
            regimen=regimen,
            each_mg=each_mg,
            devices=devices,
            readings={name: table[place] for name, table in readings.items()},
            has_escort=bool(escort[number - 1] >= ESCORT_FAILS),
            is_late_min=round(10.0 * float(late[number - 1])),
            nausea_min=35 if sick[number - 1] < nausea[place] else None,
        )
        for place, number in enumerate(numbers)
    }


def _readings(regimen: str, numbers: NDArray[np.int64], seed: int) -> tuple[dict[str, Floats], Floats]:
    """Return readings of every minute, (P, minutes), and the probability of nausea, (P,)."""
    from euthymia.model.parameters import DEFAULT_SET, load_parameters
    from euthymia.population.observation import observe
    from euthymia.population.patient import Patient
    from euthymia.population.simulate import simulate

    parameters = load_parameters(DEFAULT_SET)
    times_h = np.arange(RUN_MIN + 1) / 60.0
    course = simulate(
        regimen,
        patients=[Patient()] * len(numbers),
        numbers=numbers,
        parameters=parameters,
        seed=seed,
        times_h=times_h,
        days=1.0,
        variables=[*RISES.values(), "nausea_probability"],
    )
    found = {
        name: observe(variable, course[variable], times_h, parameters=parameters, numbers=numbers, seed=seed)
        for name, variable in RISES.items()
    }
    return found, np.asarray(course["nausea_probability"][:, -1])


Step = tuple[str, str, Callable[[], None]]


@dataclass(kw_only=True)
class _Day:
    """The day while it runs: the record, the clock and who is busy until when."""

    chairs: int
    people: Sequence[Person]
    seed: int
    clinic: Clinic = field(default_factory=Clinic)
    at: datetime = BASE_DAY
    events: list[Event] = field(default_factory=list)
    boards: list[tuple[datetime, tuple[Row, ...]]] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)
    arrivals: dict[str, datetime] = field(default_factory=dict)
    waits: dict[str, datetime] = field(default_factory=dict)
    delays: list[float] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    order: list[str] = field(default_factory=list)
    count: int = 0

    @property
    def now(self) -> Now:
        return exactly(self.at)

    @property
    def is_over(self) -> bool:
        return bool(self.clinic.sessions) and all(
            one.stage == "REVIEWED" for one in self.clinic.sessions.values()
        )

    def person(self, session: Session) -> Person:
        return self.people[int(session.patient.rsplit("-", 1)[1]) - 1]

    def enter(
        self,
        kind: str,
        subjects: Mapping[str, str],
        *,
        who: str = "fay",
        role: str = "front desk",
        values: Mapping[str, str | float] | None = None,
        reason: str | None = None,
        **facts: Any,
    ) -> None:
        self.count += 1
        entry = Event(
            event_id=f"d{self.seed}-{self.count}",
            kind=kind,
            subjects=subjects,
            observed_at=self.at,
            entered_at=self.at,
            author=who,
            role=role,
            values=quantities(values or {}),
            facts=facts,
            reason=reason,
        )
        self.keep(enter(self.clinic, entry, self.now))

    def keep(self, outcome: Outcome) -> None:
        self.clinic = outcome.clinic
        self.events += outcome.events

    # Before the doors open

    def open(self) -> None:
        nurses = [f"nurse-{place}" for place in range(1, (self.chairs + 1) // 2 + 1)]
        self.workers = [Worker(account=name, role=NURSE) for name in nurses]
        self.workers.append(Worker(account="prescriber-1", role=PRESCRIBER))
        site = {"clinic": "simulated"}
        self.enter("site_set", site, time_zone="UTC", is_certified=True, lead="prescriber-1")
        for worker in self.workers:
            self.enter(
                "staff_on_site",
                site,
                account=worker.account,
                staff_role=worker.role,
                is_emergency_trained=worker.role == PRESCRIBER,
            )
        for drug, unit, each in (("esketamine", "device", 28), ("ketamine", "vial", 200)):
            count = 4 * len(self.people)
            self.enter(
                "lot_received",
                {"lot": f"LOT-{drug}"},
                drug=drug,
                count=count,
                unit=unit,
                amount_mg_each=each,
                expiry="2027-12-31",
            )
        for place, person in enumerate(self.people):
            self._enrol(person)
            self._book(person, place, nurses)

    def _enrol(self, person: Person) -> None:
        course = {"patient": person.name, "course": f"course-{person.number}"}
        doctor: dict[str, Any] = {"who": "prescriber-1", "role": PRESCRIBER}
        self.enter("course_opened", course, drug=person.drug, route=person.route, is_urgent=False)
        self.enter("course_moved", course, to="SCREENING")
        self.enter("course_moved", course, to="BASELINE", findings=[])
        vitals = {name: f"{table[0]:.0f}" for name, table in person.readings.items()}
        self.enter("measured", course, values={**vitals, "spo2_percent": "98", "weight_kg": "70"})
        for scale, points in (("MADRS", 31), ("PHQ-9", 18), ("GAD-7", 12)):
            self.enter("score_recorded", course, scale=scale, points=points)
        self.enter("risk_answered", course, instrument="C-SSRS", level="none", is_remote=False)
        self.enter("consent_signed", course, version="1", signed_by=person.name)
        self.enter("enrolled", course, programme="simulated", number=str(person.number))
        self.enter("course_moved", course, to="CONSENTED")
        self.enter(
            "plan_signed", course, **doctor, plan=person.regimen, plan_version=1, signed_by="prescriber-1"
        )
        self.enter("course_moved", course, to="PLANNED")
        self.enter(
            "order_signed",
            course,
            **doctor,
            order_id=f"order-{person.number}",
            drug=person.drug,
            route=person.route,
            amount_mg=person.each_mg,
            max_amount_mg=person.each_mg * person.devices,
            min_interval_h=48,
            signed_by="prescriber-1",
        )
        self.enter("course_moved", course, to="INDUCTION")

    def _book(self, person: Person, place: int, nurses: Sequence[str]) -> None:
        chair, turn = place % self.chairs, place // self.chairs
        start = BASE_DAY + (turn * SLOT_MIN + (chair * TURN_MIN) % 120 + 5) * MINUTE
        name = f"session-{person.number}"
        self.arrivals[name] = start + person.is_late_min * MINUTE
        self.enter(
            "session_booked",
            {"patient": person.name, "course": f"course-{person.number}", "session": name},
            starts_at=to_text(start),
            ends_at=to_text(start + (SLOT_MIN - 10) * MINUTE),
            chair=str(chair + 1),
            nurse=nurses[chair // 2],
            prescriber="prescriber-1",
            drug=person.drug,
            route=person.route,
            order_id=f"order-{person.number}",
        )

    # Minute by minute

    def minute(self, *, is_half_hour: bool) -> None:
        for name, at in list(self.arrivals.items()):
            if self.at >= at:
                del self.arrivals[name]
                self._for(self.clinic.sessions[name], "patient_arrived")
        self.keep(tick(self.clinic, self.now))
        self.order = [row.session for row in board(self.clinic, self.now)]
        for worker in self.workers:
            if self.at >= worker.free_at:
                self._work(worker)
        if is_half_hour:
            self.boards.append((self.at, board(self.clinic, self.now)))

    def _work(self, worker: Worker) -> None:
        """Do the most urgent thing that this person can do now."""
        for name in self.order:
            session = self.clinic.sessions[name]
            if worker.role == NURSE and session.nurse != worker.account:
                continue
            step = self._next(session, worker)
            if step is not None and step[0] == worker.role:
                step[2]()
                minutes = MINUTES_OF_WORK[step[1]]
                worker.free_at, worker.busy_min = self.at + minutes * MINUTE, worker.busy_min + minutes
                return

    def _next(self, session: Session, worker: Worker) -> Step | None:
        if self.waits.get(session.id, self.at) > self.at:
            return None
        alerts = [one for one in self.clinic.alerts_of(session.patient) if one.session == session.id]
        if alerts:
            role = NURSE if alerts[0].owner.startswith(NURSE) else PRESCRIBER
            return role, "act", lambda: self._act(session, alerts[0].id, worker)
        if session.asked:
            return NURSE, "check", lambda: self._answer(session, worker)
        if session.stage in ("ARRIVED", "PRE_DOSE"):
            return self._before(session, worker)
        if session.is_here:
            return self._during(session, worker)
        if session.stage in ("DISCHARGED", "LEFT", "ABORTED"):
            return NURSE, "review", lambda: self._review(session, worker)
        return None

    def _before(self, session: Session, worker: Worker) -> Step:
        person = self.person(session)
        if session.id not in self.asked:
            return NURSE, "ask", lambda: self._ask(session, person, worker)
        open_rules = {
            one.finding.rule_id: one
            for one in stops(pre_dose(session, self.clinic.around(session), self.now))
        }
        if "escort" in open_rules:
            return NURSE, "check", lambda: self._abort(session, "no escort", worker)
        if any(one.finding.is_unknown and one.finding.asks for one in open_rules.values()):
            return NURSE, "measure", lambda: self._measure(session, worker)
        if "predose_systolic_hard" in open_rules or "predose_diastolic_hard" in open_rules:
            return NURSE, "check", lambda: self._too_high(session, worker)
        return self._papers(session, open_rules, worker)

    def _papers(self, session: Session, open_rules: Mapping[str, Criterion], worker: Worker) -> Step:
        overrides = [name for name in open_rules if name not in ("ready_to_treat", "second_check")]
        if overrides:
            return PRESCRIBER, "sign", lambda: self._override(session, overrides[0], worker)
        if "ready_to_treat" in open_rules:
            return PRESCRIBER, "sign", lambda: self._sign(session, worker)
        if "second_check" in open_rules:
            return NURSE, "check", lambda: self._second(session, worker)
        return NURSE, "give", lambda: self._give(session, worker)

    def _during(self, session: Session, worker: Worker) -> Step | None:
        person, since = self.person(session), (self.at - session.doses[0].at) / MINUTE
        if len(session.doses) < person.devices:
            is_time = self.at - session.doses[-1].at >= timedelta(minutes=5)
            return (NURSE, "give", lambda: self._give(session, worker)) if is_time else None
        if session.doses[0].is_running and since >= 40:
            return NURSE, "give", lambda: self._end(session, worker)
        if person.nausea_min is not None and since >= person.nausea_min and not session.incidents:
            return NURSE, "check", lambda: self._nausea(session, worker)
        if session.open_incidents and since >= (person.nausea_min or 0) + 40:
            return NURSE, "check", lambda: self._relieved(session, worker)
        owed = [one for one in checks(session, self.clinic.timing, self.now) if one.is_owed]
        if owed:
            return NURSE, "measure", lambda: self._observe(session, worker)
        return self._ready(session, worker)

    def _ready(self, session: Session, worker: Worker) -> Step | None:
        floor = floor_at(session, self.clinic.timing)
        if floor is None or self.at < floor - timedelta(minutes=12):
            return None
        left = {
            one.finding.rule_id: one for one in stops(ready(session, self.clinic.around(session), self.now))
        }
        if not left:
            return NURSE, "leave", lambda: self._discharge(session, worker)
        if "escort_present" in left or "advice" in left or "ideation_not_above" in left:
            return NURSE, "ask", lambda: self._prepare(session, worker)
        if set(left) == {"observation"}:
            return None
        pressures = {"ready_systolic", "ready_diastolic", "ready_near_predose"}
        if set(left) <= pressures and all(not one.finding.is_unknown for one in left.values()):
            return PRESCRIBER, "sign", lambda: self._accept(session, worker)
        last = session.latest("systolic_mmHg")
        is_soon = last is not None and self.at - last.at < timedelta(minutes=10)
        return None if is_soon else (NURSE, "measure", lambda: self._observe(session, worker))

    # What people enter

    def _for(self, session: Session, kind: str, worker: Worker | None = None, **facts: Any) -> None:
        subjects = {"patient": session.patient, "course": session.course, "session": session.id}
        facts |= {"who": worker.account, "role": worker.role} if worker else {}
        self.enter(kind, subjects, **facts)

    def _ask(self, session: Session, person: Person, worker: Worker) -> None:
        self.asked.add(session.id)
        for item, answer in (
            ("identifiers", ["name", "birth date"]),
            ("food", True),
            ("liquids", True),
            ("nasal_agent", False),
            ("drugs_today", False),
            ("alcohol_today", False),
            ("new_symptoms", False),
            ("pregnancy", "not applicable"),
            ("escort", "named" if person.has_escort else ""),
        ):
            since = {"since_min": 150} if item in ("food", "liquids") else {}
            self._for(session, "answer_recorded", worker, item=item, answer=answer or False, **since)
        self._risk(session, worker)

    def _risk(self, session: Session, worker: Worker) -> None:
        self._for(session, "risk_answered", worker, instrument="C-SSRS", level="none", is_remote=False)

    def _values(self, session: Session) -> dict[str, str | float]:
        start = session.first_dose_at
        minute = 0 if start is None else min(RUN_MIN, round((self.at - start) / MINUTE))
        table = self.person(session).readings
        values: dict[str, str | float] = {name: f"{found[minute]:.0f}" for name, found in table.items()}
        sedated = 5.0 - float(table["moaas_points"][minute])
        return values | {"spo2_percent": f"{98.0 - sedated:.0f}", "respiration_per_min": "14"}

    def _is_slip(self, session: Session) -> bool:
        number, place = self.person(session).number, len(session.readings)
        draw = uniforms(seed=self.seed, purpose="clinic day", field="slip", patients=[number], occasion=place)
        return bool(draw[0] < SLIP)

    def _measure(self, session: Session, worker: Worker, **facts: Any) -> None:
        values = self._values(session)
        if session.first_dose_at is None:
            values["weight_kg"] = "70"
        if self._is_slip(session):
            values["systolic_mmHg"], values["diastolic_mmHg"] = (
                values["diastolic_mmHg"],
                values["systolic_mmHg"],
            )
        self._for(session, "reading_taken", worker, values=values, on_air=True, **facts)

    def _observe(self, session: Session, worker: Worker) -> None:
        late = [
            (self.at - one.due_at) / MINUTE
            for one in checks(session, self.clinic.timing, self.now)
            if one.is_owed
        ]
        self.delays += [max(0.0, one) for one in late[:1]]
        for one in checks(session, self.clinic.timing, self.now):
            if one.state == "missed":
                self._for(session, "check_skipped", worker, check_id=one.id, reason="in another room")
        well = {"walks": True, "is_oriented": True, "nausea": "controlled", "mental_state": "calm"}
        self._measure(session, worker, **well)

    def _answer(self, session: Session, worker: Worker) -> None:
        """Answer the first open question: what was typed the wrong way is corrected, the rest confirmed."""
        answered = {one.facts["question_id"] for one in session.events if one.kind == "question_answered"}
        question = next(
            one for one in session.events if one.kind == "question_asked" and one.event_id not in answered
        )
        if question.facts["question"] == "swapped":
            self._correct(session, self.clinic.home[question.facts["of_event"]], worker)
        else:
            self._for(
                session, "question_answered", worker, question_id=question.event_id, answer="as entered"
            )

    def _correct(self, session: Session, wrong: Event, worker: Worker) -> None:
        from euthymia.care.events import correction

        self.count += 1
        values = {
            "systolic_mmHg": wrong.values["diastolic_mmHg"],
            "diastolic_mmHg": wrong.values["systolic_mmHg"],
        }
        entry = correction(
            wrong,
            event_id=f"d{self.seed}-{self.count}",
            at=self.at,
            author=worker.account,
            role=worker.role,
            reason="typed the wrong way round",
            values=values,
        )
        self.keep(enter(self.clinic, entry, self.now))

    def _too_high(self, session: Session, worker: Worker) -> None:
        """Measure again after a quarter of an hour; the third time the visit ends without a dose."""
        if len(session.readings) >= 3:
            self._abort(session, "pressure above the stop", worker)
            return
        self._measure(session, worker)
        self.waits[session.id] = self.at + timedelta(minutes=15)

    def _override(self, session: Session, rule_id: str, worker: Worker) -> None:
        self._for(
            session,
            "override_signed",
            worker,
            rule_id=rule_id,
            signed_by=worker.account,
            second_signer=session.nurse,
            reason="weighed with the patient",
        )

    def _sign(self, session: Session, worker: Worker) -> None:
        self._for(session, "ready_to_treat_signed", worker, signed_by=worker.account)

    def _second(self, session: Session, worker: Worker) -> None:
        person = self.person(session)
        self._for(
            session,
            "dose_checked",
            worker,
            first_checker=worker.account,
            second_checker="prescriber-1",
            values={"amount_mg": f"{person.each_mg:g}"},
            lot=f"LOT-{person.drug}",
        )

    def _give(self, session: Session, worker: Worker) -> None:
        person = self.person(session)
        forms = {"intranasal": "device", "iv_infusion": "infusion_start"}
        self._for(
            session,
            "dose_given",
            worker,
            form=forms.get(person.route, "injection"),
            drug=person.drug,
            route=person.route,
            lot=f"LOT-{person.drug}",
            values={"amount_mg": f"{person.each_mg:g}"},
        )

    def _end(self, session: Session, worker: Worker) -> None:
        amount = f"{self.person(session).each_mg:g}"
        self._for(session, "infusion_ended", worker, values={"amount_mg": amount})

    def _nausea(self, session: Session, worker: Worker) -> None:
        self._for(session, "incident_opened", worker, type="nausea", severity="mild")

    def _relieved(self, session: Session, worker: Worker) -> None:
        incident = session.open_incidents[0].id
        self._for(session, "incident_closed", worker, incident_id=incident, outcome="resolved")

    def _act(self, session: Session, alert: str, worker: Worker) -> None:
        self._alert(session, alert, worker, "alert_seen")
        self._alert(session, alert, worker, "alert_acted", action="looked at the patient")

    def _alert(self, session: Session, alert: str, worker: Worker, kind: str, **facts: Any) -> None:
        subjects = {
            "patient": session.patient, "course": session.course, "session": session.id, "alert": alert,
        }  # fmt: skip
        self.enter(kind, subjects, who=worker.account, role=worker.role, **facts)

    def _prepare(self, session: Session, worker: Worker) -> None:
        self._risk(session, worker)
        self._for(session, "escort_seen", worker, name="named")
        self._for(session, "advice_given", worker, items=list(ADVICE))
        start = self.at + timedelta(hours=24)
        self._for(
            session,
            "therapy_offered",
            worker,
            starts_at=to_text(start),
            ends_at=to_text(start + timedelta(hours=1)),
        )

    def _accept(self, session: Session, worker: Worker) -> None:
        high, low = session.latest("systolic_mmHg"), session.latest("diastolic_mmHg")
        if high is None or low is None:
            return
        self._for(
            session,
            "bp_accepted",
            worker,
            signed_by=worker.account,
            systolic_mmHg=high.value,
            diastolic_mmHg=low.value,
            reason="without symptoms, usual for this person",
        )

    def _discharge(self, session: Session, worker: Worker) -> None:
        self._for(session, "patient_left", worker, how="discharged", decided_by=worker.account)

    def _abort(self, session: Session, reason: str, worker: Worker) -> None:
        self._for(session, "session_aborted", worker, reason=reason)

    def _review(self, session: Session, worker: Worker) -> None:
        self._for(session, "session_reviewed", worker, signed_by=worker.account)

    # What the day was like

    def result(self) -> DayResult:
        return DayResult(
            events=tuple(self.events), clinic=self.clinic, boards=tuple(self.boards), load=self._load()
        )

    def _load(self) -> dict[str, Any]:
        sessions = list(self.clinic.sessions.values())
        dosed = [one for one in sessions if one.doses]
        alerts = list(self.clinic.alerts.values())
        minutes = (self.at - BASE_DAY) / MINUTE
        return {
            "sessions": len(sessions),
            "dosed": len(dosed),
            "not_dosed": len(sessions) - len(dosed),
            "stays_min": _spread([stay for one in dosed if (stay := _stay(one)) is not None]),
            "alerts": len(alerts),
            "alerts_per_session": round(len(alerts) / len(sessions), 2),
            "alerts_by_rule": _counts(alert.rule_id.split("-")[0] for alert in alerts),
            "alerts_by_tier": _counts(alert.tier for alert in alerts),
            "alerts_open_at_end": sum(alert.is_open for alert in alerts),
            "questions": sum(event.kind == "question_asked" for event in self.events),
            "overrides": sum(event.kind == "override_signed" for event in self.events),
            "deviations": sum(event.kind == "deviation_recorded" for event in self.events),
            "checks_delay_min": _spread(self.delays),
            "obligations_open_at_end": sum(one.is_open for one in self.clinic.obligations.values()),
            "events": len(self.events),
            "events_per_session": round(len(self.events) / len(sessions), 1),
            "busy_fraction": {one.account: round(one.busy_min / minutes, 2) for one in self.workers},
            "end": to_text(self.at),
        }


def _stay(session: Session) -> float | None:
    left = session.last.get("patient_left")
    return None if left is None else (left.observed_at - session.last["patient_arrived"].observed_at) / MINUTE


def _spread(values: Sequence[float]) -> dict[str, float | int] | None:
    if not values:
        return None
    low, middle, high = np.quantile(np.asarray(values), [0.05, 0.5, 0.95])
    return {"count": len(values), "p05": float(low), "p50": float(middle), "p95": float(high)}


def _counts(names: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in names:
        found[name] = found.get(name, 0) + 1
    return dict(sorted(found.items()))
