"""One plan per person: what is given, watched, hoped for and looked at again; a change is a new version.

The software writes no plan by itself: a schedule of a label or a protocol is copied in, with its rows, and a
person fills in the rest and signs. Home use is not offered unless two people record why it suits this person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime
from typing import Any, Literal

from euthymia.care.conditions import Fact
from euthymia.care.findings import Finding, by_weight
from euthymia.care.record import in_utc
from euthymia.care.rules import evaluate_at, find_rule, rule_set_version
from euthymia.care.schedules import find_schedule, monitoring
from euthymia.care.screening import PRESCRIBER, checked_product
from euthymia.dosing.drug import find_drug
from euthymia.dosing.notation import parse_regimen, print_regimen
from euthymia.dosing.order import Order, Route
from euthymia.errors import invalid, unknown

HomeStatus = Literal["not offered", "not suitable", "offered"]
HOME_STATUSES: tuple[HomeStatus, ...] = ("not offered", "not suitable", "offered")
Status = Literal["draft", "signed", "ended"]
STATUSES: tuple[Status, ...] = ("draft", "signed", "ended")
STEP_DOWN = "OWN-STEPDOWN-01"
LONGEST_MONTH_DAYS = 31


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """A part of a course: its name, what is given in the dosing language, and where that comes from."""

    name: str
    regimen: str
    basis: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.regimen}"


@dataclass(frozen=True, kw_only=True, slots=True)
class AtHome:
    """Whether treatment at home was looked at; not offered unless it is recorded otherwise."""

    status: HomeStatus = "not offered"
    reasons: tuple[str, ...] = ()
    assessed_by: str = ""
    countersigned_by: str = ""
    assessed_on: date | None = None

    def __str__(self) -> str:
        who = " and ".join(filter(None, (self.assessed_by, self.countersigned_by)))
        when = f" on {self.assessed_on}" if self.assessed_on else ""
        return f"{self.status}{f' ({who}{when})' if who else ''}"


@dataclass(frozen=True, kw_only=True, slots=True)
class CarePlan:
    """The plan of one person; use :meth:`create`, :func:`from_schedule` or :func:`revised`.

    Attributes
    ----------
    patient_id : str
    version : int
        From 1; a change is the next one.
    author, author_role : str
    created_utc : datetime
    status : str
        draft, signed or ended. Only a prescriber's plan is signed.
    reason : str
        Why it was changed; empty in version 1.
    drug : str
    route : Route
    indication, basis : str
        ``basis``: label or protocol and its rows, or what a person wrote.
    phases : tuple of Phase
    dose_rule : str
    monitoring : tuple of str
        Ids of the rules by which sessions are watched.
    therapy : tuple of str
        In the dosing language: ``integration 60 min at 1 d after each dose``.
    daily_practice : str
    go_on_rules, stop_rules, goals, expectations, comorbidity : tuple of str
    least_that_holds : str
        What is done to find the lowest dose and the longest interval that hold.
    step_down_review : date
        When that is looked at next.
    at_home : AtHome
    contingency : str
        What is done in a crisis or where the course is broken off.
    findings : tuple of Finding
        Of the rules of planning, when it was written.
    rules_version : str
    """

    patient_id: str
    version: int = 1
    author: str
    author_role: str
    created_utc: datetime
    status: Status = "draft"
    reason: str = ""
    drug: str
    route: Route
    indication: str = ""
    basis: str = ""
    phases: tuple[Phase, ...]
    dose_rule: str
    monitoring: tuple[str, ...]
    therapy: tuple[str, ...] = ()
    daily_practice: str = ""
    go_on_rules: tuple[str, ...]
    stop_rules: tuple[str, ...]
    goals: tuple[str, ...] = ()
    expectations: tuple[str, ...] = ()
    comorbidity: tuple[str, ...] = ()
    least_that_holds: str = "The lowest dose and the least frequent schedule that hold are looked for."
    step_down_review: date
    at_home: AtHome = field(default_factory=AtHome)
    contingency: str = ""
    findings: tuple[Finding, ...] = ()
    rules_version: str = ""

    @classmethod
    def create(cls, **given: Any) -> CarePlan:
        """Return a plan after checking it.

        Parameters
        ----------
        **given
            The attributes.

        Raises
        ------
        InvalidInputError
            Where a phase cannot be read or gives another drug or route, something that every plan needs is
            missing, the review is not within the interval of the rules, or home use lacks its signatures.
        """
        known = [one.name for one in fields(cls)]
        for name in given:
            if name not in known:
                raise unknown("field of a plan", name, known)
        drug, route = checked_product(given["drug"], given["route"])
        made = {
            **given,
            "drug": drug,
            "route": route,
            "created_utc": in_utc("created_utc", given["created_utc"]),
            "rules_version": rule_set_version(),
        }
        plan = cls(**made)
        for check in (_check_author, _check_phases, _check_therapy, _check_texts, _check_review, _check_home):
            check(plan)
        return plan

    @property
    def regimen(self) -> str:
        """Return all phases and therapy as one regimen, in the canonical form of the dosing language."""
        given = " then ".join(one.regimen for one in self.phases)
        return print_regimen(parse_regimen("; ".join((given, *self.therapy))))

    @property
    def standing(self) -> tuple[Finding, ...]:
        """Return what stops by the rules of planning, unknown included."""
        return tuple(one for one in self.findings if one.is_stopping)


def from_schedule(
    schedule: str,
    *,
    patient_id: str,
    author: str,
    author_role: str,
    created_utc: datetime,
    step_down_review: date,
    dose: float | None = None,
    facts: Mapping[str, Fact] | None = None,
    **more: Any,
) -> CarePlan:
    """Return version 1 of a plan by a label or a protocol.

    Parameters
    ----------
    schedule : str
        Id (``schedules``).
    patient_id, author, author_role : str
    created_utc : datetime
        With its zone.
    step_down_review : date
    dose : float, optional
        One of the schedule's; its first by default.
    facts : mapping, optional
        What is on record of the person, for the rules of planning.
    **more
        Other attributes of the plan; they stand over those of the schedule.

    Raises
    ------
    InvalidInputError
    """
    chosen = find_schedule(schedule)
    amount = f"{chosen.checked_dose(dose):g}"
    plain: dict[str, Any] = {
        "drug": chosen.drug,
        "route": chosen.route,
        "indication": chosen.indication,
        "basis": f"{chosen.basis}: {chosen.title} ({', '.join(chosen.rows)})",
        "phases": tuple(
            Phase(name=one.name, regimen=one.regimen.format(dose=amount), basis=", ".join(one.rows))
            for one in chosen.phases
        ),
        "dose_rule": chosen.dose_rule,
        "monitoring": tuple(one.id for one in monitoring(chosen.route)),
        "go_on_rules": chosen.go_on,
        "stop_rules": chosen.stop,
    }
    home = more.get("at_home", AtHome())
    judged = plan_findings(facts or {}, drug=chosen.drug, route=chosen.route, at_home=home)
    return CarePlan.create(
        patient_id=patient_id,
        author=author,
        author_role=author_role,
        created_utc=created_utc,
        step_down_review=step_down_review,
        **{**plain, "findings": judged, **more},
    )


def plan_findings(
    facts: Mapping[str, Fact], *, drug: str, route: Route | str, at_home: AtHome | None = None
) -> tuple[Finding, ...]:
    """Return what the rules of planning say; those of single doses wait for the day.

    Parameters
    ----------
    facts : mapping
    drug : str
    route : Route or str
    at_home : AtHome, optional
        Whether it is offered decides the rules of use at home.
    """
    is_home = at_home is not None and at_home.status == "offered"
    known = {**facts, "is_at_home": is_home}
    found = evaluate_at("plan", known, drug=drug, route=route)
    return tuple(by_weight(one for one in found if not _waits_for_the_day(one.rule_id)))


def revised(
    plan: CarePlan, *, author: str, author_role: str, created_utc: datetime, reason: str, **changes: Any
):
    """Return the next version of a plan.

    Parameters
    ----------
    plan : CarePlan
    author, author_role : str
    created_utc : datetime
        Later than that of the plan.
    reason : str
        Why it is changed.
    **changes
        Attributes; ``status`` is draft again unless it is given.

    Returns
    -------
    plan : CarePlan

    Raises
    ------
    InvalidInputError
    """
    if not reason.strip():
        raise invalid("reason", must="given with a change of the plan", got="nothing")
    when = in_utc("created_utc", created_utc)
    if when <= plan.created_utc:
        raise invalid("created_utc", must=f"later than {plan.created_utc:%Y-%m-%d %H:%M} UTC", got=str(when))
    for name in ("patient_id", "version"):
        if name in changes:
            raise invalid(name, must="left as it is", got=repr(changes[name]))
    kept = {one.name: getattr(plan, one.name) for one in fields(plan)}
    own = {
        "version": plan.version + 1,
        "author": author,
        "author_role": author_role,
        "reason": reason.strip(),
    }
    return CarePlan.create(**{**kept, "status": "draft", **changes, **own, "created_utc": when})


LABELS = {
    "status": "Status",
    "drug": "Drug",
    "route": "Route",
    "indication": "Indication",
    "basis": "Basis",
    "phases": "Phases",
    "dose_rule": "Dose rule",
    "monitoring": "Monitoring",
    "therapy": "Therapy",
    "daily_practice": "Daily practice",
    "go_on_rules": "Rules to go on",
    "stop_rules": "Rules to stop",
    "goals": "Goals",
    "expectations": "Expectations",
    "comorbidity": "Comorbidity",
    "least_that_holds": "Lowest dose and longest interval",
    "step_down_review": "Review of a step down",
    "at_home": "At home",
    "contingency": "Contingency",
    "rules_version": "Version of the rules",
}


def compare(old: CarePlan, new: CarePlan) -> tuple[str, ...]:
    """Return how two versions of a plan differ, in words; () where they say the same.

    Raises
    ------
    InvalidInputError
        Where they are of different people.
    """
    if old.patient_id != new.patient_id:
        raise invalid("plans", must="of one person", got=f"{old.patient_id} and {new.patient_id}")
    said: list[str] = []
    for name, label in LABELS.items():
        said += _differences(label, getattr(old, name), getattr(new, name))
    return (*said, *_changed_findings(old.findings, new.findings))


def _differences(label: str, old: Any, new: Any) -> list[str]:
    if old == new:
        return []
    if not isinstance(old, tuple):
        return [f"{label}: {_shown(old)} -> {_shown(new)}."]
    if label == "Phases":
        return _changed_phases(old, new)
    gone = [f"{label}, removed: {_shown(one)}." for one in old if one not in new]
    come = [f"{label}, added: {_shown(one)}." for one in new if one not in old]
    return gone + come or [f"{label}: in another order."]


def _changed_phases(old: Sequence[Phase], new: Sequence[Phase]) -> list[str]:
    before, after = ({one.name: one for one in phases} for phases in (old, new))
    said = [f"Phase {name} removed: {one.regimen}." for name, one in before.items() if name not in after]
    for name, one in after.items():
        if name not in before:
            said.append(f"Phase {name} added: {one.regimen}.")
        elif one.regimen != before[name].regimen:
            said.append(f"Phase {name}: {before[name].regimen} -> {one.regimen}.")
        elif one != before[name]:
            said.append(f"Phase {name}: basis {before[name].basis} -> {one.basis}.")
    return said or ["Phases: in another order."]


def _changed_findings(old: Iterable[Finding], new: Iterable[Finding]) -> list[str]:
    before, after = ({one.rule_id: one.status for one in found} for found in (old, new))
    names = dict.fromkeys((*before, *after))
    return [
        f"Rule {name}: {before.get(name, 'not looked at')} -> {after.get(name, 'not looked at')}."
        for name in names
        if before.get(name) != after.get(name)
    ]


def _shown(value: Any) -> str:
    if isinstance(value, Route):
        return value.value
    return str(value).rstrip(".") or "nothing"


def _waits_for_the_day(rule_id: str) -> bool:
    """Return whether a rule looks at one dose, whose amount and number are known on the day alone."""
    on_the_day = {"dose_mg", "dose_mg_per_kg", "session_number", "phase", "is_benefit_reviewed"}
    return bool(on_the_day & set(find_rule(rule_id).fields))


def _check_author(plan: CarePlan) -> None:
    if not plan.author.strip() or not plan.patient_id.strip():
        raise invalid(
            "plan", must="of a person, written by somebody", got=repr((plan.patient_id, plan.author))
        )
    if plan.status not in STATUSES:
        raise unknown("status of a plan", plan.status, STATUSES)
    if plan.status == "signed" and plan.author_role != PRESCRIBER:
        raise invalid("status", must="'signed' by a prescriber only", got=repr(plan.author_role))
    if plan.version < 1 or (plan.version > 1 and not plan.reason):
        raise invalid("version", must="from 1, with a reason from 2 on", got=plan.version)


def _check_phases(plan: CarePlan) -> None:
    if not plan.phases:
        raise invalid("phases", must="one or more", got="none")
    names = [one.name for one in plan.phases]
    if len(set(names)) < len(names):
        raise invalid("phases", must="each of its own name", got=", ".join(names))
    for one in plan.phases:
        for order in _orders(one.regimen):
            if (order.drug, order.route) != (plan.drug, plan.route):
                must = f"of {plan.drug}, {plan.route.value} in every phase"
                raise invalid("phases", must=must, got=f"{order.drug}, {order.route.value} in {one.name}")


def _orders(regimen: str) -> list[Order]:
    found = [item for _, item in parse_regimen(regimen).items]
    given = [one for one in found if isinstance(one, Order) and find_drug(one.drug).is_ketamine]
    if not given:
        raise invalid("regimen", must="one that gives a ketamine", got=repr(regimen))
    return given


def _check_therapy(plan: CarePlan) -> None:
    if isinstance(plan.therapy, str):
        raise invalid("therapy", must="a list", got=repr(plan.therapy))
    _ = plan.regimen


def _check_texts(plan: CarePlan) -> None:
    for name in ("dose_rule", "monitoring", "go_on_rules", "stop_rules"):
        if not getattr(plan, name):
            raise invalid(name, must="given in every plan", got="nothing")
    for rule_id in plan.monitoring:
        find_rule(rule_id)


def _check_review(plan: CarePlan) -> None:
    months = find_rule(STEP_DOWN).value
    most_days = float(months if isinstance(months, int | float) else 0) * LONGEST_MONTH_DAYS
    days = (plan.step_down_review - plan.created_utc.date()).days
    if not 0 < days <= most_days:
        must = f"within {months} months after the plan ({STEP_DOWN})"
        raise invalid("step_down_review", must=must, got=str(plan.step_down_review))


def _check_home(plan: CarePlan) -> None:
    home = plan.at_home
    if home.status not in HOME_STATUSES:
        raise unknown("status at home", home.status, HOME_STATUSES)
    if home.status != "offered":
        return
    names = {one.strip().casefold() for one in (home.assessed_by, home.countersigned_by)} - {""}
    if len(names) < 2 or not home.reasons or home.assessed_on is None:
        must = "offered with reasons, a date and two people's names"
        raise invalid("at_home", must=must, got=str(home))
    home_rules = [one for one in plan.standing if "is_at_home" in find_rule(one.rule_id).fields]
    blocked = [one.rule_id for one in home_rules if one.severity == "block"]
    if blocked or not plan.findings:
        told = ", ".join(blocked) or "the rules were not looked at"
        raise invalid("at_home", must="offered where no rule of home use stands", got=told)


def ended(plan: CarePlan, *, author: str, author_role: str, created_utc: datetime, reason: str) -> CarePlan:
    """Return the last version of a plan: the course is over; why stands in ``reason``."""
    given: dict[str, Any] = {"author": author, "author_role": author_role, "created_utc": created_utc}
    return replace(revised(plan, reason=reason, **given), status="ended")
