"""The board: every session of the day, the most overdue first, with what is due and who owns what is open."""

from __future__ import annotations

from dataclasses import dataclass

from euthymia.care.checks import Check, checks, floor_at, next_check
from euthymia.care.clinic import Clinic
from euthymia.care.clock import MINUTE, Now, local_day
from euthymia.care.gate import pre_dose, stops
from euthymia.care.readiness import ready
from euthymia.care.session import Session


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One session on the board.

    Attributes
    ----------
    session, patient, chair, nurse : str
    stage : str
        With ``READY_CHECK`` where the time of observation has passed.
    since_dose_min : float or None
    to_floor_min : float or None
        Minutes of observation that are left; 0 once it is over, None before it counts.
    next_due_min : float or None
        Until the next check; negative where it is overdue.
    alerts : tuple of str
        Open alerts: what they say, and their owner.
    waits_for : tuple of str
        Rules that stop the next step: the dose, or leaving.
    """

    session: str
    patient: str
    chair: str
    nurse: str
    stage: str
    since_dose_min: float | None
    to_floor_min: float | None
    next_due_min: float | None
    alerts: tuple[str, ...]
    waits_for: tuple[str, ...]

    @property
    def overdue_min(self) -> float:
        """Return by how long the next check is overdue; 0 where it is not."""
        return max(0.0, -(self.next_due_min or 0.0))


def board(clinic: Clinic, now: Now) -> tuple[Row, ...]:
    """Return the sessions of the site's day, the most urgent first: alerts, then overdue checks, then due."""
    today = local_day(now.at, clinic.site.zone)
    rows = [_row(clinic, one, now) for one in clinic.sessions.values() if _is_of(clinic, one, today)]
    return tuple(sorted(rows, key=_urgency))


def _is_of(clinic: Clinic, session: Session, today: object) -> bool:
    start = session.instant("starts_at")
    is_today = start is not None and local_day(start, clinic.site.zone) == today
    return session.stage != "CANCELLED" and (is_today or session.is_unresolved)


def _urgency(row: Row) -> tuple[int, float, float]:
    due = row.next_due_min if row.next_due_min is not None else 1e9
    return (-len(row.alerts), -row.overdue_min, due)


def _row(clinic: Clinic, session: Session, now: Now) -> Row:
    start, floor = session.first_dose_at, floor_at(session, clinic.timing)
    is_here = session.is_here
    due = next_check(checks(session, clinic.timing, now)) if is_here else None
    left = None if floor is None else max(0.0, (floor - now.earliest) / MINUTE)
    return Row(
        session=session.id,
        patient=session.patient,
        chair=str(session.booked.get("chair", "")),
        nurse=session.nurse,
        stage=_stage(session, left),
        since_dose_min=now.minutes_at_most(start) if start else None,
        to_floor_min=left,
        next_due_min=_until(due, now),
        alerts=tuple(
            f"{one.says} [{one.owner}]"
            for one in clinic.alerts_of(session.patient)
            if one.session == session.id
        ),
        waits_for=_waits(clinic, session, now) if is_here else (),
    )


def _stage(session: Session, left: float | None) -> str:
    return "READY_CHECK" if session.stage == "OBSERVING" and left == 0.0 else session.stage


def _until(check: Check | None, now: Now) -> float | None:
    return None if check is None else (check.due_at - now.latest) / MINUTE


def _waits(clinic: Clinic, session: Session, now: Now) -> tuple[str, ...]:
    around = clinic.around(session)
    found = ready(session, around, now) if session.doses else pre_dose(session, around, now)
    return tuple(one.finding.rule_id for one in stops(found))
