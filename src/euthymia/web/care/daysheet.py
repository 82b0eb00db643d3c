"""The day sheet: what a day needs on paper, printed before opening, for when nothing can be reached."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from euthymia.care.checks import due_minutes
from euthymia.care.readings import measures
from euthymia.care.record import from_text, to_text
from euthymia.care.timing import Timing
from euthymia.errors import UnknownNameError
from euthymia.web.care.entry import course_now, read_day, shown_at, site_of
from euthymia.web.care.guards import Ask
from euthymia.web.care.pages import Screens, Shown
from euthymia.web.care.projections import State
from euthymia.web.care.schedule import sessions_on, therapy_on
from euthymia.web.care.store import Person, read_people, read_row, read_rows, read_stream

SCREENS = Screens()
UNTIL_MIN = 180.0
"""Rows for checks up to here; an empty one after it for more."""
COLUMNS = ("systolic_mmHg", "diastolic_mmHg", "heart_rate_per_min", "spo2_percent", "moaas_points")


@SCREENS.screen("/daysheet", right="session.read", template="daysheet.html", menu="Day sheet")
def daysheet_page(ask: Ask, day: str = "") -> Shown:
    """Show a day for paper: who comes when, the order in force, a blank table of the checks of the route."""
    with ask.care.store.reading() as connection:
        site = site_of(connection)
        on = read_day(day) if day else ask.now.astimezone(site.zone).date()
        sessions = [one for one in sessions_on(connection, on, site) if one.get("status") != "cancelled"]
        therapy = therapy_on(connection, on, site, now=ask.now)
        owed = [one for one in read_rows(connection, "obligations", limit=2000) if _is_due(one, ask, 1)]
        patients = {one["patient"] for one in (*sessions, *therapy, *owed) if one.get("patient")}
        closed = ask.closed(connection, patients)
        people = read_people(connection, [*(patients - closed)])
        lots = read_rows(connection, "stock", limit=200)
        seen = [one for one in sessions if one["patient"] not in closed]
        orders = {one["session"]: _order(connection, one) for one in seen}
    timing = site.timing()
    return Shown(
        data={
            "day": on.isoformat(),
            "weekday": f"{on:%A}",
            "zone": str(site.zone),
            "printed": shown_at(to_text(ask.now), site),
            "sheets": [
                {
                    **_who(one, people),
                    "starts": shown_at(one.get("starts_at"), site)[11:],
                    "ends": shown_at(one.get("ends_at"), site)[11:],
                    **{
                        name: one.get(name, "")
                        for name in ("chair", "nurse", "prescriber", "drug", "number", "status")
                    },
                    "route": one.get("route", "").replace("_", " "),
                    "order": orders[one["session"]],
                    "checks": _checks(timing, one.get("route", "")),
                }
                for one in seen
            ],
            "restricted": sum(one["patient"] in closed for one in sessions),
            "columns": [{"label": measures()[one].label, "unit": measures()[one].unit} for one in COLUMNS],
            "therapy": [
                {
                    **_who(one, people),
                    "starts": shown_at(one["starts_at"], site)[11:],
                    "therapist": one["therapist"],
                }
                for one in therapy
                if one["patient"] not in closed
            ],
            "owed": [
                {
                    **_who(one, people),
                    "says": one.get("says", ""),
                    "owner": one.get("owner", ""),
                    "due": shown_at(one["due_at"], site),
                }
                for one in owed
                if one.get("patient", "") not in closed
            ],
            "lots": [
                {name: one.get(name, "") for name in ("lot", "drug", "on_hand", "unit", "expiry")}
                for one in lots
            ],
        },
        about=tuple(dict.fromkeys(one for one in patients if one not in closed)),
        title="Day sheet",
    )


def _is_due(state: State, ask: Ask, days: int) -> bool:
    return from_text(state["due_at"]) < ask.now + timedelta(days=days)


def _who(state: Any, people: dict[str, Person]) -> dict[str, str]:
    person = people.get(state.get("patient", ""))
    return {"name": person.name if person else "", "birth_date": person.birth_date if person else ""}


def _order(connection: Any, session: State) -> dict[str, Any] | None:
    """Return the order in force for a session's course; None where none is signed."""
    course = session.get("course") or course_now(read_row(connection, "patients", session["patient"]))
    orders: dict[str, Any] = {}
    for one in read_stream(connection, f"course:{course}"):
        if one.event.kind == "order_signed":
            orders[one.event.facts["order_id"]] = one.event.facts
        elif one.event.kind == "order_ended":
            orders.pop(one.event.facts["order_id"], None)
    if not orders:
        return None
    facts = list(orders.values())[-1]
    names = ("amount_mg", "max_amount_mg", "min_interval_h", "valid_until", "signed_by", "duration_min")
    return {name: facts.get(name) for name in names}


def _checks(timing: Timing, route: str) -> list[float]:
    """Return the minutes after the first dose at which the route asks for a check."""
    try:
        return list(due_minutes(timing.schedule(route), until_min=UNTIL_MIN))
    except UnknownNameError:
        return []
