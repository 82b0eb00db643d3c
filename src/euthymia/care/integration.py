"""Preparation and integration: therapy offered inside this patient's window, before the patient leaves.

The window is the model's: how far beliefs can be updated, after this person's doses. That its timing matters
in people rests on little, and every window says so.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from euthymia.care.clinic import Clinic
from euthymia.care.record import Event, from_text
from euthymia.care.timing import Timing
from euthymia.errors import invalid
from euthymia.tables import read_text

if TYPE_CHECKING:
    from euthymia.population.patient import Patient

HOUR = timedelta(hours=1)
VARIABLE = "window_of_plasticity_fraction"
HORIZON_DAYS = 8.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """When therapy after a session is offered.

    Attributes
    ----------
    from_h, until_h : float
        Hours after the first dose of the session.
    widest_h : float or None
        When the model has the window at its widest; None where no model was asked.
    grade : str
        Of the evidence for a window.
    says, against : str
        What it is, and what speaks against it.
    """

    from_h: float
    until_h: float
    widest_h: float | None
    grade: str
    says: str
    against: str

    def bounds(self, dose_at: datetime) -> tuple[datetime, datetime]:
        """Return the first and last instant of the window after a dose."""
        return dose_at + self.from_h * HOUR, dose_at + self.until_h * HOUR

    def holds(self, dose_at: datetime, starts_at: datetime) -> bool:
        """Return whether a therapy session that starts at an instant lies in the window."""
        first, last = self.bounds(dose_at)
        return first <= starts_at <= last


def usual_window(timing: Timing) -> Window:
    """Return the window of clinics' practice, where no run of the model was asked for."""
    first, last = timing.clocks["integration_from"], timing.clocks["integration_until"]
    return Window(
        from_h=first.length / HOUR,
        until_h=last.length / HOUR,
        widest_h=None,
        grade="practice",
        says=f"{first.says} {first.source}.",
        against="No trial has compared times.",
    )


def window_after(
    regimen: str, *, timing: Timing, patient: Patient | None = None, parameters: Any = None
) -> Window:
    """Return this patient's window after the last dose of a regimen, by the model.

    Parameters
    ----------
    regimen : str
        Doses so far and this one, in the dosing language.
    timing : Timing
        Gives the share of its largest from which the window counts as open.
    patient : Patient, optional
        Weight, age and so on; else a typical one.
    parameters : ParameterSet, optional

    Returns
    -------
    window : Window
        Simulated; open while it is at least the share of its largest.

    Raises
    ------
    InvalidInputError
        Where the regimen gives no ketamine.
    """
    from euthymia.dosing.notation import parse_regimen
    from euthymia.model.parameters import DEFAULT_SET
    from euthymia.population.request import is_ketamine_dose
    from euthymia.population.simulate import simulate

    weight_kg = patient.weight_kg if patient else 70.0
    given = [dose.start_h for dose in parse_regimen(regimen).doses(weight_kg) if is_ketamine_dose(dose)]
    if not given:
        raise invalid("regimen", must="one that gives ketamine", got=regimen)
    after_h = np.arange(0.0, HORIZON_DAYS * 24.0 + 1.0)
    run = simulate(
        regimen,
        patient=patient,
        parameters=parameters or DEFAULT_SET,
        times_h=max(given) + after_h,
        days=max(given) / 24.0 + HORIZON_DAYS + 1.0,
        variables=[VARIABLE],
    )
    return _window(after_h, run[VARIABLE][0], timing)


def _window(after_h: np.ndarray, width: np.ndarray, timing: Timing) -> Window:
    is_open = width >= timing.words["window_share"] * width.max()
    widest = int(np.argmax(width))
    before, after = np.flatnonzero(~is_open[:widest]), np.flatnonzero(~is_open[widest:])
    first = int(before[-1]) + 1 if len(before) else 0
    last = widest + int(after[0]) - 1 if len(after) else len(width) - 1
    story = _story()
    return Window(
        from_h=float(after_h[first]),
        until_h=float(after_h[last]),
        widest_h=float(after_h[widest]),
        grade=story["grade"],
        says=f"Simulated: the window of plasticity is widest {after_h[widest]:.0f} h after the dose.",
        against=story["against"],
    )


@cache
def _story() -> dict[str, Any]:
    links = tomllib.loads(read_text("story.toml"))["link"]
    return next(link for link in links if link["id"] == "window")


@dataclass(frozen=True, kw_only=True, slots=True)
class Therapy:
    """How therapy after a session stands: offered, booked, inside the window, held, missed, offered again."""

    session: str
    is_offered: bool
    is_booked: bool
    is_inside: bool | None
    is_held: bool
    is_missed: bool
    is_offered_again: bool

    @property
    def is_owed(self) -> bool:
        """Return whether somebody still has to offer a time."""
        return not self.is_offered or (self.is_missed and not self.is_offered_again)


def therapy_of(clinic: Clinic, session_id: str, window: Window | None = None) -> Therapy:
    """Return how therapy after a session stands in the record."""
    session = clinic.sessions[session_id]
    events = [event for event in session.events if event.kind.startswith("therapy_")]
    last = {event.kind: event for event in events}
    booked, missed = last.get("therapy_booked"), last.get("therapy_missed")
    again = missed is not None and _is_after(events, missed)
    inside = None
    if booked is not None and window is not None and session.first_dose_at is not None:
        inside = window.holds(session.first_dose_at, from_text(booked.facts["starts_at"]))
    return Therapy(
        session=session_id,
        is_offered="therapy_offered" in last or booked is not None,
        is_booked=booked is not None and (missed is None or again),
        is_inside=inside,
        is_held="therapy_held" in last,
        is_missed=missed is not None,
        is_offered_again=again,
    )


def _is_after(events: Sequence[Event], missed: Event) -> bool:
    later = events[events.index(missed) + 1 :]
    return any(event.kind in ("therapy_offered", "therapy_booked") for event in later)


def is_prepared(clinic: Clinic, course_id: str) -> bool:
    """Return whether a preparation visit, with expectations and anxiety, is in the record."""
    return clinic.courses[course_id].last("preparation_held") is not None
