"""Who is on site, and what the site has set for itself: without people on site no dose is in order."""

from __future__ import annotations

from typing import Any

from euthymia.care.record import from_text, to_text
from euthymia.care.site import CLINICIANS, Site
from euthymia.web.care.guards import Ask
from euthymia.web.care.pages import Screens, Shown
from euthymia.web.care.session_view import PRESENT_H
from euthymia.web.care.store import read_rows, read_stream, version_of

SCREENS = Screens()
ONLY = "site"
"""The identifier of a clinic that has none yet: one file is one clinic."""
ZONES = (
    "Europe/Berlin",
    "Europe/London",
    "Europe/Paris",
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "Australia/Sydney",
    "Asia/Singapore",
    "UTC",
)


@SCREENS.screen("/here", right="board.read", template="here.html", menu="Who is here")
def here_page(ask: Ask) -> Shown:
    """Show who is on site and the settings that the rules ask for."""
    with ask.care.store.reading() as connection:
        rows = read_rows(connection, "clinic")
        name = str(rows[0]["clinic"]) if rows else ONLY
        stored = read_stream(connection, f"clinic:{name}")
        version = version_of(connection, f"clinic:{name}")
    site = Site.of([one.event for one in stored])
    since = rows[0].get("staff", {}) if rows else {}
    data = {
        "clinic": name,
        "now": to_text(ask.now),
        "versions": {f"clinic:{name}": version},
        "account": ask.actor,
        "my_roles": [one for one in ask.roles if one in CLINICIANS],
        "may_write": ask.may("clinic.write"),
        "people": [_person(ask, account, dict(facts), since, site) for account, facts in site.staff.items()],
        "is_set": bool(site.settings),
        "settings": {
            key: site.settings.get(key) for key in ("time_zone", "is_certified", "reader", "read_when")
        },
        "zones": list(dict.fromkeys((str(site.settings.get("time_zone", ZONES[0])), *ZONES))),
    }
    return Shown(data=data, about=(), title="Who is here")


def _person(
    ask: Ask, account: str, facts: dict[str, Any], since: dict[str, Any], site: Site
) -> dict[str, Any]:
    at = since.get(account, {}).get("since")
    came = from_text(at) if at else None
    hours = None if came is None else (ask.now - came).total_seconds() / 3600
    return {
        "account": account,
        "role": str(facts["staff_role"]),
        "is_emergency_trained": bool(facts.get("is_emergency_trained")),
        "is_lead": bool(facts.get("is_lead")),
        "since": "" if came is None else came.astimezone(site.zone).strftime("%d %b %H:%M"),
        "counts": hours is None or hours <= PRESENT_H,
        "is_me": account == ask.actor,
    }
