"""Who is on site, which day it is there, and what the site has set for itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from euthymia.care.clock import zone_of
from euthymia.care.events import corrected
from euthymia.care.record import Event
from euthymia.care.timing import Timing, load_timing

CLINICIANS = ("prescriber", "nurse", "therapist")
"""Roles that may act on an alert about a person."""
NOBODY = "on duty"
"""Owner where nobody is on site: whoever is on duty."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """One clinic: its people of the moment and its settings."""

    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    staff: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}))
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, events: Sequence[Event]) -> Site:
        """Return the site that events of a clinic make."""
        staff: dict[str, Mapping[str, Any]] = {}
        settings: Mapping[str, Any] = MappingProxyType({})
        for event in corrected(events):
            if event.kind == "staff_on_site":
                staff[event.facts["account"]] = event.facts
            elif event.kind == "staff_left":
                staff.pop(event.facts["account"], None)
            elif event.kind == "site_set":
                settings = event.facts
        zone = zone_of(settings.get("time_zone", "UTC"))
        return cls(zone=zone, staff=MappingProxyType(staff), settings=settings)

    def timing(self) -> Timing:
        """Return the table of limits and clocks as this site uses it."""
        return load_timing().with_site(
            limits=self.settings.get("limits"), clocks_min=self.settings.get("clocks_min")
        )

    def on_site(self, role: str) -> tuple[str, ...]:
        """Return the accounts of a role that are on site, in the order in which they came."""
        return tuple(name for name, facts in self.staff.items() if facts["staff_role"] == role)

    @property
    def has_emergency_trained(self) -> bool:
        """Return whether somebody trained for emergencies is on site."""
        return any(facts.get("is_emergency_trained") for facts in self.staff.values())

    @property
    def lead(self) -> str:
        """Return who gets what nobody else has closed: named by the site, or whoever is on duty."""
        named = [name for name, facts in self.staff.items() if facts.get("is_lead")]
        return str(self.settings.get("lead") or (named[0] if named else self.clinician()))

    def clinician(self, *, first: str = "prescriber") -> str:
        """Return a clinician on site, of one role first; whoever is on duty where there is none."""
        for role in (first, *CLINICIANS):
            if self.on_site(role):
                return self.on_site(role)[0]
        return NOBODY

    def other_than(self, account: str) -> str:
        """Return a second person on site; the lead where there is nobody else."""
        others = [
            name
            for role in ("nurse", "prescriber", "therapist")
            for name in self.on_site(role)
            if name != account
        ]
        return others[0] if others else self.lead
