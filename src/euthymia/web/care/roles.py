"""Who may do what: roles, rights, and the right that each kind of event asks for. Others are refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

FRONT_DESK, NURSE, PRESCRIBER, THERAPIST = "front_desk", "nurse", "prescriber", "therapist"
WITNESS, OWNER, RESEARCHER = "stock_witness", "owner", "researcher"
CLINICIANS = frozenset({NURSE, PRESCRIBER, THERAPIST})

RIGHTS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "home.read": frozenset({FRONT_DESK, NURSE, PRESCRIBER, THERAPIST, WITNESS, OWNER, RESEARCHER}),
        "board.read": frozenset({FRONT_DESK, NURSE, PRESCRIBER, THERAPIST, OWNER}),
        "schedule.read": frozenset({FRONT_DESK, NURSE, PRESCRIBER, THERAPIST, OWNER}),
        "schedule.write": frozenset({FRONT_DESK, NURSE, PRESCRIBER}),
        "identity.read": frozenset({FRONT_DESK, NURSE, PRESCRIBER, THERAPIST, OWNER}),
        "identity.write": frozenset({FRONT_DESK, NURSE, PRESCRIBER}),
        "patient.read": frozenset({NURSE, PRESCRIBER, THERAPIST, OWNER}),
        "intake.read": frozenset({FRONT_DESK, NURSE, PRESCRIBER, OWNER}),
        "intake.write": frozenset({FRONT_DESK, NURSE, PRESCRIBER}),
        "session.read": frozenset({NURSE, PRESCRIBER, OWNER}),
        "session.write": frozenset({NURSE, PRESCRIBER}),
        "assessment.write": frozenset({NURSE, PRESCRIBER, THERAPIST}),
        "plan.write": frozenset({PRESCRIBER}),
        "therapy.read": frozenset({NURSE, PRESCRIBER, THERAPIST, OWNER}),
        "therapy.write": frozenset({THERAPIST, NURSE, PRESCRIBER}),
        "obligation.read": frozenset({FRONT_DESK, NURSE, PRESCRIBER, THERAPIST, OWNER}),
        "obligation.write": frozenset({FRONT_DESK, NURSE, PRESCRIBER, THERAPIST}),
        "alert.write": frozenset({NURSE, PRESCRIBER, THERAPIST}),
        "stock.read": frozenset({NURSE, PRESCRIBER, WITNESS, OWNER}),
        "stock.write": frozenset({NURSE, PRESCRIBER}),
        "stock.witness": frozenset({NURSE, PRESCRIBER, WITNESS}),
        "clinic.write": frozenset({NURSE, PRESCRIBER}),
        "event.write": frozenset({FRONT_DESK, NURSE, PRESCRIBER, THERAPIST, WITNESS}),
        "glass.break": CLINICIANS,
        "audit.read": frozenset({OWNER}),
        "account.manage": frozenset({OWNER}),
        "access.manage": frozenset({OWNER}),
        "backup.run": frozenset({OWNER}),
        "identity.erase": frozenset({OWNER}),
        "research.export": frozenset({RESEARCHER}),
    }
)
"""The roles that have each right. An owner reads and audits; who also treats has two roles."""

ROLES: Mapping[str, str] = MappingProxyType(
    {
        FRONT_DESK: "front desk",
        NURSE: "nurse or monitor",
        PRESCRIBER: "prescriber",
        THERAPIST: "therapist",
        WITNESS: "stock witness",
        OWNER: "owner and auditor",
        RESEARCHER: "researcher, pseudonyms only",
    }
)

_BY_RIGHT: Mapping[str, tuple[str, ...]] = {
    "intake.write": ("course_opened", "intake_recorded", "consent_signed", "enrolled"),
    "plan.write": (
        "course_moved",
        "plan_signed",
        "order_signed",
        "order_ended",
        "review_decided",
        "override_signed",
        "ready_to_treat_signed",
        "bp_accepted",
        "maintenance_intervals_set",
    ),
    "assessment.write": (
        "score_recorded",
        "risk_answered",
        "disposition_recorded",
        "safety_plan_recorded",
        "contact_made",
        "long_term_checked",
        "early_requested",
        "measured",
        "note_added",
        "exported",
    ),
    "therapy.write": (
        "preparation_held",
        "therapy_offered",
        "therapy_booked",
        "therapy_held",
        "therapy_missed",
    ),
    "schedule.write": ("session_booked", "visit_confirmed", "visit_cancelled", "patient_arrived"),
    "session.write": (
        "pmp_checked",
        "answer_recorded",
        "reading_taken",
        "dose_checked",
        "dose_given",
        "infusion_changed",
        "infusion_ended",
        "check_skipped",
        "incident_opened",
        "incident_updated",
        "incident_closed",
        "escort_seen",
        "advice_given",
        "would_be_ready",
        "ready_seen",
        "forecast_attached",
        "patient_left",
        "session_aborted",
        "session_reviewed",
        "deviation_recorded",
        "question_asked",
        "question_answered",
    ),
    "obligation.write": (
        "obligation_opened",
        "obligation_assigned",
        "obligation_escalated",
        "obligation_done",
        "obligation_cancelled",
    ),
    "alert.write": ("alert_raised", "alert_seen", "alert_assigned", "alert_acted"),
    "stock.write": ("lot_received", "lot_given", "lot_wasted", "lot_returned", "lot_counted"),
    "clinic.write": ("staff_on_site", "staff_left", "clock_stepped", "clock_confirmed", "site_set"),
}
KIND_RIGHTS: Mapping[str, str] = MappingProxyType(
    {kind: right for right, kinds in _BY_RIGHT.items() for kind in kinds}
)
"""The right that an event asks for; a correction asks for that of what it corrects. Others are refused."""


def may(roles: Iterable[str], right: str) -> bool:
    """Return whether any of some roles has a right; a right that is not listed nobody has."""
    return not RIGHTS.get(right, frozenset()).isdisjoint(roles)


def role_for(roles: Iterable[str], right: str) -> str | None:
    """Return the role, of those somebody has, in which a right is used; None where there is none."""
    allowed = RIGHTS.get(right, frozenset())
    return next((role for role in ROLES if role in allowed and role in set(roles)), None)
