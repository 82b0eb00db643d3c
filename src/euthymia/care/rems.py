"""The programme's monitoring form as a by-product of the session: nothing typed twice, nothing made up.

The list of fields is versioned data. A field that the record cannot answer stays empty and is named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from euthymia.care.clock import MINUTE, local_day
from euthymia.care.course import Course
from euthymia.care.session import DISSOCIATION, Session
from euthymia.care.site import Site
from euthymia.care.timing import Timing
from euthymia.tables import Row, read_table

VERSIONS = ("2021-11", "current")
"""As seen: the copy of November 2021, and what descriptions of the present form add."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """A filled form of one session.

    Attributes
    ----------
    version : str
    fields : mapping of str to value
        None where the record has no answer.
    missing : tuple of str
        Required fields without an answer.
    """

    version: str
    fields: Mapping[str, Any]
    missing: tuple[str, ...]


def fields(version: str = "current") -> tuple[Row, ...]:
    """Return the fields of a version: those of November 2021, and of the present one what was added."""
    until = VERSIONS.index(version) + 1
    return tuple(row for row in read_table("rules/rems_form.csv") if row["form_version"] in VERSIONS[:until])


def form(
    session: Session,
    course: Course,
    site: Site,
    *,
    timing: Timing,
    identity: Mapping[str, Any] | None = None,
    comedication: Mapping[str, bool] | None = None,
    version: str = "current",
) -> Form:
    """Return the form of a session.

    Parameters
    ----------
    session : Session
    course : Course
    site : Site
    timing : Timing
    identity : mapping, optional
        Names, address and the like by field key: they are not in the events of the core.
    comedication : mapping, optional
        By field key, such as ``con_benzodiazepine``, as asked today.
    version : str
    """
    given = {**(identity or {}), **(comedication or {}), **_of_record(session, course, site, timing)}
    table = fields(version)
    found = {row["field_key"]: given.get(row["field_key"]) for row in table}
    missing = tuple(
        row["field_key"] for row in table if row["required"] == "yes" and found[row["field_key"]] is None
    )
    return Form(version=version, fields=found, missing=missing)


def _of_record(session: Session, course: Course, site: Site, timing: Timing) -> dict[str, Any]:
    left, told = session.last.get("patient_left"), session.last.get("would_be_ready")
    start = session.first_dose_at
    found: dict[str, Any] = {
        "treatment_date": local_day(start, site.zone).isoformat() if start else None,
        "dose": f"{session.given_mg:g} mg"
        if session.given_mg in (56.0, 84.0)
        else f"other: {session.given_mg:g} mg",
        "lot_number": ", ".join(sorted({dose.lot for dose in session.doses})) or None,
        "monitoring_minutes": round((left.observed_at - start) / MINUTE) if left and start else None,
        "ready_to_leave_minutes": told.facts["after_min"] if told else None,
        "bp_before": _pressure(session, lambda name: session.before_dose(name)),
        "bp_40": _at_40(session, timing),
        "bp_end": _pressure(session, lambda name: session.latest(name, since=start)),
        "first_treatment": len({event.about("session") for event in course.all("dose_given")}) <= 1,
        "enrolled": course.last("enrolled") is not None,
        "spo2_checks": [one.value for one in session.seen("spo2_percent")] or None,
    }
    return found | _events(session, timing)


def _pressure(session: Session, pick: Callable[[str], Any]) -> str | None:
    high, low = pick("systolic_mmHg"), pick("diastolic_mmHg")
    return None if high is None or low is None else f"{high.value:g}/{low.value:g}"


def _at_40(session: Session, timing: Timing) -> str | None:
    """Return the pressure that counted for the check near 40 minutes; None where there was none."""
    start = session.first_dose_at
    if start is None or not timing.schedule(session.route).at_min:
        return None
    due = start + timing.schedule(session.route).at_min[0] * MINUTE
    near = timing.length("check_early") * 2
    return _pressure(session, lambda name: session.latest(name, since=due - near / 2, before=due + near))


def _events(session: Session, timing: Timing) -> dict[str, bool | None]:
    """Return whether sedation, dissociation and breathing depression were seen; None where nobody looked."""
    start, limit = session.first_dose_at, timing.limits["ready_cadss"]
    alert = [one.value for one in session.seen("moaas_points", since=start)]
    words = [one.value for one in session.seen("dissociation", since=start)]
    totals = [one.value for one in session.seen("cadss_points", since=start)]
    breaths = [one.value for one in session.seen("respiration_per_min", since=start)]
    types = {incident.type for incident in session.incidents}
    split = [DISSOCIATION.index(word) > 0 for word in words] + [not limit.holds(total) for total in totals]
    return {
        "sedation": any(value < 5 for value in alert) if alert else None,
        "dissociation": any(split) if split else None,
        "respiratory_depression": "respiratory depression" in types if breaths or types else None,
        "serious_ae": any(incident.is_serious for incident in session.incidents),
    }
