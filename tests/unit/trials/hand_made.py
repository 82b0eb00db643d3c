"""Cohorts whose every rating is written down, and what was estimated of them by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from tests.unit.trials.cohorts import CROSSOVER, make_cohort, make_protocol

from euthymia.trials.design import Endpoint, Protocol
from euthymia.trials.endpoints import Stretch, stretches
from euthymia.trials.estimates import estimates_of
from euthymia.trials.records import COMPLETED, WITHDREW, Cohort, Estimate

DAYS = (0, 7, 14, 21)
NAN = float("nan")


def trial(
    endpoints: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    sizes: Mapping[str, int] | None = None,
    days: Sequence[float] = DAYS,
    scale: str = "MADRS",
    **changes: Any,
) -> Protocol:
    """Return a parallel trial with one scale at some days; the last arm is the control."""
    given = {"drug": 3, "placebo": 3} if sizes is None else sizes
    arms = {
        name: {"n": count, "regimen": "saline iv over 40 min", "is_control": name == list(given)[-1]}
        for name, count in given.items()
    }
    default = {"last": {"kind": "change", "scale": scale, "at": f"day {days[-1]:g}"}}
    visits = [{"at": f"day {day:g}", "scales": [scale]} for day in days]
    return make_protocol(arms=arms, visits=visits, endpoints=dict(endpoints or default), **changes)


def crossover_trial(
    endpoints: Mapping[str, Mapping[str, Any]],
    *,
    sequences: Sequence[Sequence[str]] = (("drug", "placebo"), ("placebo", "drug")),
    n: int,
) -> Protocol:
    """Return a crossover with visits on days 0 and 7 of periods of 21 days."""
    names = list(dict.fromkeys(name for sequence in sequences for name in sequence))
    arms = {
        name: {"regimen": "saline iv over 40 min", "is_control": name == "placebo"} for name in sorted(names)
    }
    return make_protocol(
        CROSSOVER,
        arms=arms,
        visits=[{"at": "day 0"}, {"at": "day 7"}],
        endpoints=dict(endpoints),
        crossover={"n": n, "period": "day 21", "sequences": [list(one) for one in sequences]},
    )


def written(
    protocol: Protocol,
    scores: ArrayLike,
    *,
    arm: Sequence[int] | None = None,
    left_day: Mapping[int, float] | None = None,
    unmasked: ArrayLike | None = None,
    **changes: Any,
) -> Cohort:
    """Return a cohort with these ratings (P, V); who leaves is not rated from that day on."""
    told = np.asarray(scores, float)
    everybody = make_cohort(protocol, leaving_share=0.0)
    left_h = np.full(len(told), np.inf)
    for row, day in (left_day or {}).items():
        left_h[row] = 24.0 * day
    scale = protocol.scales[0]
    seen = np.where(everybody.visits_h >= left_h[:, None], np.nan, told)
    return replace(
        everybody,
        arm=everybody.arm if arm is None else np.array(arm),
        scores={scale: seen},
        unmasked={scale: told if unmasked is None else np.asarray(unmasked, float)},
        left_h=left_h,
        reason=tuple(WITHDREW if np.isfinite(one) else COMPLETED for one in left_h),
        **changes,
    )


def endpoint_of(protocol: Protocol, name: str | None = None) -> Endpoint:
    """Return an endpoint, the primary if none is named."""
    return protocol.endpoints[name or protocol.primary]


def whole(cohort: Cohort) -> Stretch:
    """Return the only stretch of a trial without periods."""
    (one,) = stretches(cohort)
    return one


def estimated(cohort: Cohort) -> dict[tuple[str, str, str], Estimate]:
    """Return every estimate by endpoint, arm and measure."""
    found = list(estimates_of(cohort))
    named = {(one.endpoint, one.arm, one.measure): one for one in found}
    assert len(named) == len(found)
    return named


def leaves(record: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Yield every number of a record, however deep, as bytes; what is no number as it is."""
    if is_dataclass(record):
        for field in fields(record):
            yield from leaves(getattr(record, field.name), f"{path}.{field.name}")
    elif isinstance(record, Mapping):
        for key, value in record.items():
            yield from leaves(value, f"{path}[{key}]")
    elif isinstance(record, tuple | list):
        for place, value in enumerate(record):
            yield from leaves(value, f"{path}[{place}]")
    elif isinstance(record, np.ndarray):
        yield path, (record.dtype.str, record.shape, record.tobytes())
    elif isinstance(record, float):
        yield path, np.float64(record).tobytes()
    else:
        yield path, record


def differing(one: object, other: object) -> list[str]:
    """Return where two records differ in any bit."""
    first, second = dict(leaves(one)), dict(leaves(other))
    return [path for path in first | second if first.get(path, ()) != second.get(path, ())]
