"""The canonical text of a regimen: full words for routes, one form for each meaning."""

from __future__ import annotations

from euthymia.dosing.limits import shortest
from euthymia.dosing.order import Item, Order, Route, TherapySession
from euthymia.dosing.regimen import Clause, Regimen
from euthymia.dosing.schedule import (
    HOURS_PER_DAY,
    HOURS_PER_WEEK,
    PATTERNS,
    AfterEachDose,
    AtTimes,
    Once,
    Repeated,
    Schedule,
)

_PRINTED_ROUTES = {
    Route.INTRAMUSCULAR: "intramuscular",
    Route.SUBCUTANEOUS: "subcutaneous",
    Route.INTRANASAL: "intranasal",
    Route.SUBLINGUAL: "sublingual",
    Route.ORAL: "oral",
    Route.ORAL_EXTENDED_RELEASE: "oral extended-release",
}


def print_regimen(regimen: Regimen) -> str:
    """Return the canonical text of a regimen; `parse_regimen` reads it back as an equal one.

    Examples
    --------
    >>> from euthymia.dosing.notation import parse_regimen
    >>> print_regimen(parse_regimen("Ketamine 500 ug/kg IV over 40 min every 7 d x 4"))
    'ketamine 0.5 mg/kg intravenous over 40 min, weekly x 4'
    """
    return "; ".join(_print_clause(clause) for clause in regimen.clauses)


def _print_clause(clause: Clause) -> str:
    printed: list[str] = []
    previous: Item | None = None
    for phase in clause.phases:
        schedule = _print_schedule(phase.schedule)
        if phase.item == previous:
            printed.append(schedule or "once")
        else:
            printed.append(", ".join(part for part in (_print_item(phase.item), schedule) if part))
        previous = phase.item
    return " then ".join(printed)


def _print_item(item: Item) -> str:
    if isinstance(item, TherapySession):
        duration = "" if item.duration_min is None else f" {shortest(item.duration_min)} min"
        return item.therapy + duration
    return " ".join((item.drug, *_print_amount(item), *_print_route(item), *_print_modifiers(item)))


def _print_amount(order: Order) -> list[str]:
    salt = ["(hcl)"] if order.salt_form == "hcl" else []
    if order.rate_steps:
        unit = order.rate_unit
        if _has_equal_steps(order):
            return [" then ".join(shortest(rate) for rate, _ in order.rate_steps), f"{unit}", *salt]
        steps = [f"{shortest(rate)} {unit} for {shortest(minutes)} min" for rate, minutes in order.rate_steps]
        return [" then ".join(steps), *salt]
    if order.amount is None:
        return salt
    return [shortest(order.amount), order.amount_unit, *salt]


def _has_equal_steps(order: Order) -> bool:
    return len({minutes for _, minutes in order.rate_steps}) == 1


def _print_route(order: Order) -> list[str]:
    if order.route is Route.IV_BOLUS:
        return ["intravenous bolus"]
    if order.route is not Route.IV_INFUSION:
        return [_PRINTED_ROUTES[order.route]]
    if not order.rate_steps:
        return [f"intravenous over {shortest(order.duration_min or 0)} min"]
    if not _has_equal_steps(order):
        return ["intravenous"]
    minutes = shortest(order.rate_steps[0][1])
    single = len(order.rate_steps) == 1
    return [f"intravenous over {minutes} min" if single else f"intravenous, {minutes} min each"]


def _print_modifiers(order: Order) -> list[str]:
    printed = [f"paused {shortest(start)}-{shortest(end)} min" for start, end in order.pauses]
    if order.stopped_at_min is not None:
        printed.append(f"stopped at {shortest(order.stopped_at_min)} min")
    if order.hold_min is not None:
        printed.append(f"held {shortest(order.hold_min)} min")
    return [*printed, "spat out"] if order.spat_out else printed


def _print_schedule(schedule: Schedule) -> str:
    if isinstance(schedule, Once):
        return ""
    if isinstance(schedule, AtTimes):
        return f"at {_print_times(schedule.times_h)}"
    if isinstance(schedule, AfterEachDose):
        if schedule.delays_h[-1] < 0:
            return (
                f"at {_print_times([-delay_h for delay_h in reversed(schedule.delays_h)])} before each dose"
            )
        return f"at {_print_times(schedule.delays_h)} after each dose"
    parts = [_print_pattern(schedule)]
    parts.append(
        f"x {schedule.count}"
        if schedule.count is not None
        else f"for {_print_hours(schedule.length_h or 0.0)}"
    )
    if schedule.from_h is not None:
        parts.append(f"from {_print_times((schedule.from_h,))}")
    return " ".join(parts)


def _print_pattern(schedule: Repeated) -> str:
    for name, pattern in PATTERNS.items():
        if pattern == (schedule.offsets_h, schedule.period_h):
            return name
    return f"every {_print_hours(schedule.period_h)}"


def _print_hours(hours: float) -> str:
    """Return a length of time in the largest of weeks, days and hours in which it is whole."""
    for hours_per_unit, word in ((HOURS_PER_WEEK, "week"), (HOURS_PER_DAY, "day")):
        if hours % hours_per_unit == 0:
            count = hours / hours_per_unit
            return f"{shortest(count)} {word}{'' if count == 1 else 's'}"
    return f"{shortest(hours)} h"


def _print_times(times_h: tuple[float, ...] | list[float]) -> str:
    """Return times in days where all are whole days, else in hours."""
    if all(time_h % HOURS_PER_DAY == 0 for time_h in times_h):
        return f"{', '.join(shortest(time_h / HOURS_PER_DAY) for time_h in times_h)} d"
    return f"{', '.join(shortest(time_h) for time_h in times_h)} h"
