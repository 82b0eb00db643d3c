"""Read models: what screens ask for often, as rows that can be thrown away and made again from the events.

A projection is a pure fold of plain JSON. A correction folds the key anew, over the values that now stand.
What depends on the clock is not kept here: screens work it out when they are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from euthymia.care.events import corrected, kinds
from euthymia.care.record import Event, to_text

State = dict[str, Any]
LAST = "9999"
"""Rank of what has no date: after everything that has one."""
SESSION_STATUS = {
    "session_booked": "booked",
    "patient_arrived": "arrived",
    "ready_to_treat_signed": "ready to treat",
    "dose_given": "dosed",
    "patient_left": "left",
    "session_aborted": "aborted",
    "session_reviewed": "reviewed",
    "visit_cancelled": "cancelled",
}
SESSION_OVER = ("reviewed", "cancelled")
COURSE_OVER = ("CLOSED", "DISCONTINUED", "COMPLETED", "closed", "discontinued", "completed")
STOCK_FLOW = {"lot_given": "given", "lot_wasted": "wasted", "lot_returned": "returned"}
TIERS = ("stop", "act", "inform")


@dataclass(frozen=True, kw_only=True, slots=True)
class Projection:
    """One read model.

    Attributes
    ----------
    name : str
    key_of : callable
        The key that an event belongs to; empty where it does not concern this model.
    is_of_patient : bool
        Whether a key gathers all events of a patient; otherwise those of one stream.
    step : callable
        State and event to the next state; the state given is not changed.
    place : callable
        State to whether it is open, and its rank: text by which rows are sorted.
    """

    name: str
    key_of: Callable[[Event], str]
    step: Callable[[State, Event], State]
    place: Callable[[State], tuple[bool, str]]
    is_of_patient: bool = False

    def fold(self, events: Sequence[Event]) -> State:
        """Return the state after events of one key, corrections applied."""
        state: State = {}
        for event in corrected(events):
            if self.key_of(event):
                state = self.step(state, event)
        return state


def machine_of(event: Event) -> str:
    """Return the machine that an event moves."""
    return kinds()[event.kind].machine


MOST_SPECIFIC = ("session", "obligation", "alert", "lot", "course", "patient", "clinic")
OF_MACHINE = {"stock": "lot"}


def stream_of(event: Event) -> str:
    """Return the stream in which an event is counted, such as ``session:7f3a``."""
    machine = machine_of(event)
    if machine != "record":
        return f"{machine}:{event.about(OF_MACHINE.get(machine, machine))}"
    subject = next((one for one in MOST_SPECIFIC if event.about(one)), "record")
    machine = "stock" if subject == "lot" else subject
    return f"{machine}:{event.about(subject)}"


def _stream_key(machine: str) -> Callable[[Event], str]:
    def key_of(event: Event) -> str:
        name, _, key = stream_of(event).partition(":")
        return key if name == machine else ""

    return key_of


def _amount_mg(event: Event) -> float:
    return event.number("amount_mg") or 0.0


def _session(state: State, event: Event) -> State:
    found = {
        **state,
        **event.subjects,
        "status": SESSION_STATUS.get(event.kind, state.get("status", "booked")),
    }
    at = to_text(event.observed_at)
    if event.kind == "session_booked":
        names = (
            "starts_at",
            "ends_at",
            "chair",
            "nurse",
            "prescriber",
            "drug",
            "route",
            "order_id",
            "number",
        )
        found |= {name: event.facts[name] for name in names if name in event.facts}
    elif event.kind == "dose_given":
        found["dosed_at"] = state.get("dosed_at") or at
        found["given_mg"] = state.get("given_mg", 0.0) + _amount_mg(event)
    elif event.kind == "reading_taken":
        found["reading"] = {"at": at, **{name: one.canonical for name, one in event.values.items()}}
        found["reading_count"] = state.get("reading_count", 0) + 1
    elif event.kind in ("incident_opened", "incident_closed"):
        change = 1 if event.kind == "incident_opened" else -1
        found["open_incidents"] = state.get("open_incidents", 0) + change
    elif event.kind in ("patient_arrived", "patient_left", "session_reviewed"):
        found[f"{event.kind}_at"] = at
    return found


def _session_place(state: State) -> tuple[bool, str]:
    return state.get("status") not in SESSION_OVER, str(state.get("starts_at") or LAST)


def _patient(state: State, event: Event) -> State:
    found = {**state, "patient": event.about("patient")}
    course = event.about("course")
    courses = {**state.get("courses", {})}
    at = to_text(event.observed_at)
    if course:
        courses[course] = _course({"session_count": 0, **courses.get(course, {})}, event, at)
    if event.kind == "score_recorded":
        found["scores"] = {**state.get("scores", {}), event.facts["scale"]: [at, event.facts["points"]]}
    elif event.kind == "measured":
        found["measured"] = {"at": at, **{name: one.canonical for name, one in event.values.items()}}
    return {**found, "courses": courses}


def _course(course: State, event: Event, at: str) -> State:
    found = dict(course)
    if event.kind == "course_opened":
        found |= {
            "opened_at": at,
            "state": "REFERRED",
            "drug": event.facts["drug"],
            "route": event.facts["route"],
        }
    elif event.kind == "course_moved":
        found["state"] = event.facts["to"]
    elif event.kind == "dose_given":
        found["last_dose_at"] = at
        found["given_mg"] = course.get("given_mg", 0.0) + _amount_mg(event)
    elif event.kind == "patient_left":
        found["session_count"] = course["session_count"] + 1
    if event.facts.get("next_review_date"):
        found["next_review_date"] = event.facts["next_review_date"]
    return found


def _patient_place(state: State) -> tuple[bool, str]:
    courses = state.get("courses", {}).values()
    is_open = not courses or any(one.get("state") not in COURSE_OVER for one in courses)
    return is_open, min((str(one.get("next_review_date") or LAST) for one in courses), default=LAST)


def _obligation(state: State, event: Event) -> State:
    found = {**state, **event.subjects}
    if event.kind == "obligation_opened":
        return {**found, **event.to_dict()["facts"], "is_done": False, "level": 0}
    if event.kind == "obligation_assigned":
        return {**found, "owner": event.facts["owner"]}
    if event.kind == "obligation_escalated":
        return {**found, "level": event.facts["level"], "escalated_to": event.facts["to"]}
    return {**found, "is_done": True, "how": event.kind} if machine_of(event) == "obligation" else found


def _obligation_place(state: State) -> tuple[bool, str]:
    return not state.get("is_done"), str(state.get("due_at") or LAST)


def _alert(state: State, event: Event) -> State:
    found = {**state, **event.subjects}
    if event.kind == "alert_raised":
        return {
            **found,
            **event.to_dict()["facts"],
            "raised_at": to_text(event.observed_at),
            "is_acted": False,
        }
    if event.kind == "alert_assigned":
        return {**found, "owner": event.facts["owner"]}
    if event.kind == "alert_seen":
        return {**found, "seen_by": event.author}
    if event.kind == "alert_acted":
        return {**found, "is_acted": True, "acted_by": event.author, "action": event.facts["action"]}
    return found


def _alert_place(state: State) -> tuple[bool, str]:
    tier = state.get("tier")
    weight = TIERS.index(tier) if tier in TIERS else len(TIERS)
    return not state.get("is_acted"), f"{weight} {state.get('raised_at', LAST)}"


def _stock(state: State, event: Event) -> State:
    found = {"received": 0, "given": 0, "wasted": 0, "returned": 0, **state, **event.subjects}
    if event.kind == "lot_received":
        found["received"] += event.facts["count"]
        names = ("drug", "unit", "amount_mg_each", "expiry")
        found |= {name: event.facts[name] for name in names}
    elif event.kind in STOCK_FLOW:
        found[STOCK_FLOW[event.kind]] += event.facts["count"]
    elif event.kind == "lot_counted":
        found["counted"] = {"at": to_text(event.observed_at), "count": event.facts["count"]}
    found["on_hand"] = found["received"] - found["given"] - found["wasted"] - found["returned"]
    return found


def _stock_place(state: State) -> tuple[bool, str]:
    return state.get("on_hand", 0) != 0, str(state.get("expiry") or LAST)


def _clinic(state: State, event: Event) -> State:
    staff = {**state.get("staff", {})}
    found = {**state, **event.subjects}
    if event.kind == "staff_on_site":
        staff[event.facts["account"]] = {"since": to_text(event.observed_at), **event.to_dict()["facts"]}
    elif event.kind == "staff_left":
        staff.pop(event.facts["account"], None)
    elif event.kind == "site_set":
        found["site"] = event.to_dict()["facts"]
    return {**found, "staff": staff}


def _always_open(state: State) -> tuple[bool, str]:
    return True, str(state.get("clinic", ""))


PROJECTIONS = (
    Projection(name="sessions", key_of=_stream_key("session"), step=_session, place=_session_place),
    Projection(
        name="patients",
        key_of=lambda event: event.about("patient"),
        step=_patient,
        place=_patient_place,
        is_of_patient=True,
    ),
    Projection(
        name="obligations", key_of=_stream_key("obligation"), step=_obligation, place=_obligation_place
    ),
    Projection(name="alerts", key_of=_stream_key("alert"), step=_alert, place=_alert_place),
    Projection(name="stock", key_of=_stream_key("stock"), step=_stock, place=_stock_place),
    Projection(name="clinic", key_of=_stream_key("clinic"), step=_clinic, place=_always_open),
)
"""Every read model; a new one is a row here and is filled by ``Store.rebuild``."""


def fold_all(events: Iterable[Event]) -> Mapping[tuple[str, str], State]:
    """Return the state of every key of every projection, from nothing but the events."""
    gathered: dict[tuple[str, str], list[Event]] = {}
    for event in events:
        for one in PROJECTIONS:
            if key := one.key_of(event):
                gathered.setdefault((one.name, key), []).append(event)
    by_name = {one.name: one for one in PROJECTIONS}
    return {(name, key): by_name[name].fold(found) for (name, key), found in gathered.items()}
