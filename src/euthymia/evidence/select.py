"""Chooses rows by role; the only door through which fitting code gets evidence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from euthymia.errors import invalid
from euthymia.evidence.records import FITTABLE_ROLES, Role, TimeCourse


class Evidence(Protocol):
    """Anything with a role: an exposure, a time course."""

    @property
    def row_id(self) -> str:
        """Name of the row."""
        ...

    @property
    def role(self) -> Role:
        """What the row may be used for."""
        ...


Row = TypeVar("Row", bound=Evidence)


def fitting_rows(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Return the rows that may be fitted: those to calibrate with, priors and background."""
    return tuple(row for row in rows if row.role in FITTABLE_ROLES)


def require_fittable(row: Evidence) -> None:
    """Refuse a row that may only be predicted or shown.

    Raises
    ------
    InvalidInputError
        If the role of the row is not calibrate, prior or background.
    """
    if row.role not in FITTABLE_ROLES:
        must = f"one of {', '.join(sorted(FITTABLE_ROLES))} for fitting (docs: evidence roles)"
        cure = "Choose rows with evidence.select.fitting_rows."
        raise invalid(field="role", must=must, got=f"{row.role} in row {row.row_id}", cure=cure)


def usable_points(course: TimeCourse) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return times (h) and concentrations of a course without artefact and without censored points.

    Returns
    -------
    times_h, concentrations : tuple of float (points,)
        In the unit of the course.
    """
    end_h = float("inf") if course.censored_from_h is None else course.censored_from_h
    start = 1 if course.is_first_point_artefact else 0
    points = list(zip(course.times_h, course.concentrations, strict=True))[start:]
    kept = [(time_h, value) for time_h, value in points if time_h < end_h]
    return tuple(time_h for time_h, _ in kept), tuple(value for _, value in kept)
