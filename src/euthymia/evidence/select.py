"""Chooses rows: what may be fitted, whose observed side is open, what a query asks for.

The only door through which fitting code gets evidence.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable
from functools import cache
from typing import Protocol, TypeVar

from euthymia.errors import invalid, unknown
from euthymia.evidence.records import (
    FITTABLE_ROLES,
    KINDS,
    SCALES,
    OutcomeRow,
    Role,
    StudyArm,
    TableName,
    TimeCourse,
)
from euthymia.tables import read_text

CLOSED_TABLES: tuple[TableName, ...] = ("safety", "efficacy")
"""Tables whose rows to validate with are closed until a posterior is frozen."""


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


def is_kept(row: Evidence) -> bool:
    """Tell whether a row is kept to validate: predicted and reported, never fitted."""
    return row.role is Role.VALIDATE


@cache
def frozen_posterior() -> str:
    """Return the digest of the frozen posterior; empty until one is frozen."""
    return tomllib.loads(read_text("evidence/posterior.toml"))["digest"]


def is_open(row: Evidence, *, table: TableName = "efficacy") -> bool:
    """Tell whether the observed side of a row may be shown.

    Rows of sessions and trials that are kept to validate stay closed until a posterior is frozen; that they
    exist, what was measured and when is always shown.
    """
    return not (table in CLOSED_TABLES and is_kept(row)) or bool(frozen_posterior())


def select_outcomes(
    rows: Iterable[OutcomeRow],
    *,
    study: str | None = None,
    role: str | None = None,
    scale: str | None = None,
    drug: str | None = None,
    route: str | None = None,
    kind: str | None = None,
) -> tuple[OutcomeRow, ...]:
    """Return the outcomes that meet every condition given, in their order.

    Parameters
    ----------
    study, role, scale, kind : str, optional
        Key of a study, a role, one of ``SCALES``, a key of ``KINDS``.
    drug, route : str, optional
        Of the arm or of the one it is held against, as the table of studies has them.

    Raises
    ------
    UnknownNameError
        If no row has such a study, drug or route, or the role, scale or kind does not exist.
    """
    chosen = tuple(rows)
    _require_known("study", study, {row.study for row in chosen})
    _require_known("role", role, [one.value for one in Role])
    _require_known("scale", scale, SCALES)
    _require_known("kind of quantity", kind, KINDS)
    _require_known("drug", drug, {arm.drug for row in chosen for arm in _arms(row)})
    _require_known("route", route, {arm.route for row in chosen for arm in _arms(row)})
    return tuple(
        row
        for row in chosen
        if (study in (None, row.study) and role in (None, row.role.value))
        and (scale in (None, row.scale) and kind in (None, row.kind))
        and (drug is None or any(arm.drug == drug for arm in _arms(row)))
        and (route is None or any(arm.route == route for arm in _arms(row)))
    )


def _arms(row: OutcomeRow) -> tuple[StudyArm, ...]:
    return tuple(arm for arm in (row.arm, row.comparator) if arm is not None)


def _require_known(kind: str, name: str | None, known: Collection[str]) -> None:
    if name is not None and name not in known:
        raise unknown(kind, name, [one for one in known if one])


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
