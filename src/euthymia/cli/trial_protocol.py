"""A protocol in words, and written out again as the file that makes it, without what is at its default."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

import yaml
from pydantic import BaseModel, BeforeValidator

from euthymia.trials.conduct_rules import Conduct, Flexible, Switch
from euthymia.trials.design import Protocol
from euthymia.trials.fields import SAME_TIME_H, hours, time_text

LENGTHS = ("window", "period")
"""Fields that say how long, not when."""


def length_text(time_h: float) -> str:
    """Return a length of time as people write it.

    Examples
    --------
    >>> length_text(24.0), length_text(36.0), length_text(2.0)
    ('1 d', '36 h', '2 h')
    """
    days = round(time_h / 24.0)
    is_days = days > 0 and abs(time_h - 24.0 * days) < SAME_TIME_H
    return f"{days} d" if is_days else "0 h" if time_h == 0.0 else time_text(time_h)


def plan_lines(protocol: Protocol) -> Iterator[str]:
    """Yield in words what no table of arms, visits or endpoints says of a protocol."""
    yield f"{protocol.id}: {protocol.title}"
    yield f"{protocol.design}, {protocol.size} patients of '{protocol.population.name}'"
    for rule in protocol.population.entry:
        bounds = [f"{rule.at_least:g} or more"] if rule.at_least is not None else []
        bounds += [f"{rule.at_most:g} or less"] if rule.at_most is not None else []
        yield f"entry: {rule.scale} {' and '.join(bounds)} at {' and '.join(rule.at)}"
    yield from _parting(protocol)
    yield from _happenings(protocol.conduct)
    for name, flexible in protocol.conduct.flexible.items():
        yield f"doses of {name}: {_flexible(flexible)}"
    for name, rescue in protocol.conduct.rescue.items():
        yield f"rescue of {name}: sessions from {time_text(rescue.start)} on only where '{rescue.rule}'"
    for name, switch in protocol.conduct.switch.items():
        yield f"route of {name}: {_switch(switch)}"
    if protocol.looks.fractions != (1.0,):
        looks = ", ".join(f"{100.0 * one:.3g} %" for one in protocol.looks.fractions)
        yield f"looks: at {looks} of patients, spending {protocol.looks.spending}"
    yield f"alpha: {protocol.alpha:g}, two-sided"


def _parting(protocol: Protocol) -> Iterator[str]:
    """Yield how patients come to differ in what they are given."""
    rules, crossover, withdrawal = protocol.randomisation, protocol.crossover, protocol.withdrawal
    if rules.strata or rules.blocks:
        parts = [f"strata {', '.join(rules.strata)}"] if rules.strata else []
        parts += [f"blocks of {', '.join(map(str, rules.blocks))}"] if rules.blocks else []
        yield f"randomisation: {'; '.join(parts)}"
    if crossover is not None:
        sequences = "; ".join(" > ".join(one) for one in crossover.sequences)
        yield f"crossover: {sequences}; a period starts every {length_text(crossover.period)}"
    if withdrawal is not None:
        cut = f" ({withdrawal.at_most:g} or less)" if "remission" in withdrawal.rule else ""
        yield (
            f"withdrawal: {time_text(withdrawal.at)}; compared is who has {withdrawal.rule}{cut} there "
            f"on the {withdrawal.scale}"
        )


def _happenings(conduct: Conduct) -> Iterator[str]:
    """Yield who leaves, what is missed, and when a session is held."""
    dropout, hold = conduct.dropout, conduct.hold
    if dropout.share:
        parts = [f"{100.0 * dropout.share:g} % by {time_text(dropout.by)} of those who stay as ill"]
        parts += [f"times {dropout.per_10_points:g} for every 10 points more"] * (
            dropout.per_10_points != 1.0
        )
        after = f"times {dropout.after_event:g} after {', '.join(dropout.events)}"
        yield f"leaving: {'; '.join(parts + [after] * (dropout.after_event != 1.0))}"
    missed = {"sessions": conduct.missed_session, "ratings": conduct.missed_rating}
    if any(missed.values()):
        yield f"missed: {', '.join(f'{100.0 * size:g} % of {what}' for what, size in missed.items() if size)}"
    limits = {"systolic": hold.systolic_mmHg, "diastolic": hold.diastolic_mmHg}
    if any(limits.values()):
        said = " or ".join(f"{what} {size:g} mmHg" for what, size in limits.items() if size)
        yield f"held: a session with {said} or more before it"


def _flexible(rules: Flexible) -> str:
    levels = ", ".join(f"{one:g}" for one in rules.levels)
    until = f" to {time_text(rules.until)}" if rules.until is not None else ""
    need = f" ({rules.at_most:g} or less)" if rules.up_unless == "remission" else ""
    up = f", up unless {rules.up_unless}{need} on the {rules.scale}" if rules.up_unless != "never" else ""
    down = f", down after {', '.join(rules.down_after)}" if rules.down_after else ""
    return f"{levels} times what the regimen says, from {time_text(rules.start)}{until}{up}{down}"


def _switch(rules: Switch) -> str:
    until = f" to {time_text(rules.until)}" if rules.until is not None else ""
    reasons = [f"after {', '.join(rules.after)}"] if rules.after else []
    if rules.unless is not None:
        need = f" ({rules.at_most:g} or less)" if rules.unless == "remission" else ""
        reasons.append(f"without {rules.unless}{need} on the {rules.scale}")
    reasons += [f"by chance in {100.0 * rules.share:g} % of sessions"] if rules.share else []
    length = "and from then on" if rules.lasts else "for that session"
    return f"'{rules.to}' from {time_text(rules.start)}{until}, {' or '.join(reasons)}, {length}"


def protocol_yaml(protocol: Protocol) -> str:
    """Return a protocol as canonical YAML, includes and changes worked in; it reads back the same.

    Examples
    --------
    >>> from euthymia.trials.protocols import load_protocol
    >>> protocol_yaml(load_protocol("fava-2018")).splitlines()[0]
    'schema: euthymia.protocol/1'
    """
    content = {"schema": protocol.schema_} | _plain(protocol)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def _plain(part: BaseModel) -> dict[str, Any]:
    """Return the fields of a part that differ from their defaults."""
    found: dict[str, Any] = {}
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        if not field.is_required() and value == field.get_default(call_default_factory=True):
            continue
        is_time = _is_time(
            [field.metadata, *(getattr(x, "__metadata__", ()) for x in get_args(field.annotation))]
        )
        said = length_text if name in LENGTHS else time_text
        found[field.alias or name] = _time(value, said) if is_time and value is not None else _written(value)
    return found


def _written(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return _plain(value)
    if isinstance(value, Mapping):
        return {key: _written(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [_written(one) for one in value]
    return value


def _is_time(marks: list[Any]) -> bool:
    return any(isinstance(mark, BeforeValidator) and mark.func is hours for part in marks for mark in part)


def _time(time_h: float, said: Callable[[float], str]) -> str:
    """Return a time as people write it, in hours with every digit where that would round it."""
    text = said(time_h)
    return text if hours(text) == time_h else f"{time_h!r} h"
