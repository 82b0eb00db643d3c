"""What a trial concludes: each endpoint analysed in one replicate, as the field does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import RunFailedError
from euthymia.trials.analysis.ancova import ancova
from euthymia.trials.analysis.mmrm import mmrm
from euthymia.trials.analysis.paired import change, crossover
from euthymia.trials.analysis.proportions import Count, share, two_shares
from euthymia.trials.analysis.survival import cox, kaplan_meier, log_rank
from euthymia.trials.design import Endpoint
from euthymia.trials.endpoints import Stretch, has_outcome, is_well, relapse, stretches, values
from euthymia.trials.records import ArmSummary, Cohort, Estimate, Replicate

Array = NDArray[np.float64]
NAN = float("nan")
FEWEST = 2
"""Patients of an arm below which nothing is estimated."""


def summarise(cohort: Cohort) -> Replicate:
    """Return what is kept of a replicate."""
    arms = tuple(cohort.protocol.arms)
    counted = {name: cohort.arm == place for place, name in enumerate(cohort.arms)}
    return Replicate(
        replicate=cohort.replicate,
        screened=cohort.screened,
        enrolled={name: int(rows.sum()) for name, rows in counted.items()},
        completed={name: int((rows & ~cohort.has_left).sum()) for name, rows in counted.items()},
        arms=tuple(_summaries(cohort, arms)),
        estimates=tuple(estimates_of(cohort)),
        events=_events(cohort, counted),
    )


def _summaries(cohort: Cohort, arms: tuple[str, ...]) -> Iterator[ArmSummary]:
    """Yield every arm at every visit, by scale; of a crossover each treatment over its periods."""
    parts = list(stretches(cohort))
    for scale in cohort.protocol.scales:
        totals = [part.cohort.scores[scale][:, part.visits_of_protocol] for part in parts]
        for place, name in enumerate(arms):
            rows = [(part.treatment == place) & cohort.is_analysed for part in parts]
            seen = np.concatenate([one[own] for one, own in zip(totals, rows, strict=True)])
            base = np.concatenate([part.baseline(scale)[own] for part, own in zip(parts, rows, strict=True)])
            changes = seen - base[:, None]
            yield ArmSummary(
                arm=name,
                scale=scale,
                n=(~np.isnan(seen)).sum(axis=0),
                mean=_over(np.mean, seen, 1),
                sd=_over(_sd, seen, 2),
                mean_change=_over(np.mean, changes, 1),
                sd_change=_over(_sd, changes, 2),
            )


def _sd(values_: Array) -> float:
    return float(np.std(values_, ddof=1))


def _over(function: Callable[[Array], Any], columns: Array, fewest: int) -> Array:
    """Return a function of what is known in each column, NaN where there is too little."""
    known = [column[~np.isnan(column)] for column in columns.T]
    return np.array([float(function(one)) if len(one) >= fewest else NAN for one in known])


def _events(cohort: Cohort, counted: Mapping[str, NDArray[np.bool_]]) -> dict[str, dict[str, int]]:
    had = {name: flags.any(axis=1) for name, flags in cohort.sessions.events.items()}
    return {
        arm: {name: int((one & rows).sum()) for name, one in had.items()} for arm, rows in counted.items()
    }


def estimates_of(cohort: Cohort) -> Iterator[Estimate]:
    """Yield every endpoint of a trial as estimated in one replicate.

    An analysis that cannot be made (an arm without anybody, a likelihood without maximum) yields NaN.
    """
    for name, endpoint in cohort.protocol.endpoints.items():
        if endpoint.kind in ("change", "score"):
            yield from _of_values(cohort, name, endpoint)
        elif endpoint.kind == "relapse":
            yield from _of_relapse(cohort, name, endpoint)
        else:
            yield from _of_shares(cohort, name, endpoint)


def _made(
    name: str, endpoint: Endpoint, arm: str, measure: str, *, reference: str = "", n: int = 0, **numbers: Any
) -> Estimate:
    """Return an estimate; numbers that are not given are NaN."""
    found: dict[str, Any] = dict.fromkeys(("value", "se", "low", "high", "p"), NAN)
    found |= {key: float(np.ravel(value)[0]) for key, value in numbers.items()}
    found |= {"endpoint": name, "arm": arm, "reference": reference, "measure": measure, "n": n}
    return Estimate(method=endpoint.method, **found)


def _of_values(cohort: Cohort, name: str, endpoint: Endpoint) -> Iterator[Estimate]:
    """Yield means of arms, and contrasts by the endpoint's method."""
    protocol = cohort.protocol
    level = 1.0 - protocol.alpha
    parts = [(part, *values(part, endpoint)) for part in stretches(cohort)]
    for place, arm in enumerate(protocol.arms):
        own = np.concatenate(
            [
                (totals[:, -1] - (before if endpoint.kind == "change" else 0.0))[
                    (part.treatment == place) & cohort.is_analysed
                ]
                for part, _, totals, before in parts
            ]
        )
        known = own[~np.isnan(own)]
        if len(known) < FEWEST:
            yield _made(name, endpoint, arm, "mean", value=NAN, n=len(known))
            continue
        one = change(known, level=level).mean
        yield _made(name, endpoint, arm, "mean", n=len(known), **_numbers(one, standard="standard_error"))
        yield _made(name, endpoint, arm, "SD", value=_sd(known), n=len(known))
    if protocol.control is None:
        return
    if protocol.crossover is not None:
        yield from _of_periods(cohort, name, endpoint, parts)
        return
    (part, _, totals, before) = parts[0]
    yield from _contrasts(cohort, name, endpoint, part, totals, before)


def _numbers(one: Any, *, standard: str, place: Any = ...) -> dict[str, Any]:
    return {
        "value": np.asarray(one.value)[place],
        "se": np.asarray(getattr(one, standard))[place],
        "low": np.asarray(one.low)[place],
        "high": np.asarray(one.high)[place],
        "p": np.asarray(one.p)[place],
    }


def _contrasts(
    cohort: Cohort, name: str, endpoint: Endpoint, part: Stretch, totals: Array, before: Array
) -> Iterator[Estimate]:
    """Yield each arm less the control: ANCOVA or MMRM on baseline and strata, or neither (t)."""
    protocol = cohort.protocol
    arms, rows = list(protocol.arms), cohort.is_analysed & ~np.isnan(before)
    control = arms.index(protocol.control or "")
    given: dict[str, Any] = {"control": control, "level": 1.0 - protocol.alpha}
    outcome = totals - before[:, None] if endpoint.kind == "change" else totals
    arm, start, strata = part.treatment[rows], before[rows], _dummies(cohort.stratum[rows])
    size: Mapping[int, float] = {}
    try:
        if endpoint.method == "mmrm" and totals.shape[1] > 1:
            fitted = mmrm(outcome[rows], arm, baseline=start, strata=strata, **given)
            others, contrast = fitted.others, _last(fitted.contrast)
        else:
            covariates = None if endpoint.method == "t" else np.column_stack([start, strata])
            found = ancova(outcome[rows, -1], arm, covariates=covariates, **given)
            others, contrast = found.others, found.contrast
            size = dict(zip(others.tolist(), np.ravel(found.effect_size).tolist(), strict=True))
    except RunFailedError:
        for place, other in enumerate(arms):
            if place != control:
                yield _made(name, endpoint, other, "difference", reference=arms[control], value=NAN)
        return
    seen = ~np.isnan(outcome[rows, -1])
    for place, code in enumerate(others):
        count = int((seen & ((arm == code) | (arm == control))).sum())
        numbers = _numbers(contrast, standard="standard_error", place=place)
        yield _made(name, endpoint, arms[code], "difference", reference=arms[control], n=count, **numbers)
        if code in size:
            yield _made(
                name,
                endpoint,
                arms[code],
                "standardised difference",
                reference=arms[control],
                n=count,
                value=size[code],
            )


def _last(contrast: Any) -> Any:
    """Return the contrasts of the last visit."""
    from dataclasses import fields, replace

    return replace(contrast, **{one.name: getattr(contrast, one.name)[:, -1] for one in fields(contrast)})


def _dummies(strata: NDArray[np.int64]) -> Array:
    """Return a column for each stratum but the first, (P, strata - 1)."""
    return (strata[:, None] == np.unique(strata)[1:]).astype(float)


def _of_periods(cohort: Cohort, name: str, endpoint: Endpoint, parts: list[Any]) -> Iterator[Estimate]:
    """Yield treatments compared within patients: freed of the period's effect where the design is 2 x 2."""
    protocol = cohort.protocol
    arms = list(protocol.arms)
    control = arms.index(protocol.control or "")
    level = 1.0 - protocol.alpha
    outcomes = np.stack(
        [totals[:, -1] - (before if endpoint.kind == "change" else 0.0) for _, _, totals, before in parts], 1
    )
    given = np.stack([part.treatment for part, *_ in parts], 1)
    is_two_by_two = len(arms) == 2 and outcomes.shape[1] == 2 and len(cohort.arms) == 2
    for place, arm in enumerate(arms):
        if place == control:
            continue
        by_treatment = [
            np.where((given == code).any(1), outcomes[np.arange(len(given)), (given == code).argmax(1)], NAN)
            for code in (place, control)
        ]
        differences = by_treatment[0] - by_treatment[1]
        count = int((~np.isnan(differences)).sum())
        try:
            if is_two_by_two:
                one = crossover(outcomes, (given[:, 0] == place).astype(int), level=level).treatment
            else:
                one = change(differences, level=level).mean
        except RunFailedError:
            yield _made(name, endpoint, arm, "difference", reference=arms[control], value=NAN, n=count)
            continue
        numbers = _numbers(one, standard="standard_error")
        yield _made(name, endpoint, arm, "difference", reference=arms[control], n=count, **numbers)


def _of_shares(cohort: Cohort, name: str, endpoint: Endpoint) -> Iterator[Estimate]:
    """Yield shares of arms, risk differences and odds ratios."""
    protocol = cohort.protocol
    level = 1.0 - protocol.alpha
    counts: dict[str, Count] = {}
    for place, arm in enumerate(protocol.arms):
        events, total = 0, 0
        for part in stretches(cohort):
            has_it, is_known = has_outcome(part, endpoint)
            rows = (part.treatment == place) & cohort.is_analysed & is_known
            events, total = events + int((has_it & rows).sum()), total + int(rows.sum())
        counts[arm] = Count(events, total)
        if not total:
            yield _made(name, endpoint, arm, "share", value=NAN)
            continue
        one = share(events, total, level=level)
        yield _made(name, endpoint, arm, "share", value=one.value, low=one.low, high=one.high, n=total)
    control = protocol.control
    if control is None or not counts[control].total:
        return
    for arm in protocol.active:
        if not counts[arm].total:
            continue
        two = two_shares(counts[arm], counts[control], level=level)
        common: dict[str, Any] = {"reference": control, "n": counts[arm].total + counts[control].total}
        gap, wald = two.difference, two.difference_wald
        numbers = {"value": gap.value, "low": gap.low, "high": gap.high}
        numbers |= {"se": wald.standard_error, "p": wald.p}
        yield _made(name, endpoint, arm, "risk difference", **common, **numbers)
        odds = _numbers(two.odds_ratio, standard="log_standard_error")
        yield _made(name, endpoint, arm, "odds ratio", **common, **odds)


def _of_relapse(cohort: Cohort, name: str, endpoint: Endpoint) -> Iterator[Estimate]:
    """Yield shares relapsed by the end (Kaplan-Meier), medians, and hazard ratios with the log-rank p."""
    protocol = cohort.protocol
    level = 1.0 - protocol.alpha
    (part,) = stretches(cohort)
    days, has_relapsed = relapse(part, endpoint)
    counts = cohort.is_analysed & is_well(part, endpoint)
    for place, arm in enumerate(protocol.arms):
        rows = (cohort.arm == place) & counts
        if not rows.any():
            yield _made(name, endpoint, arm, "share", value=NAN)
            continue
        curve, count = kaplan_meier(days[rows], has_relapsed[rows], level=level), int(rows.sum())
        ends: dict[str, Any] = {"low": 1.0 - curve.high[-1], "high": 1.0 - curve.low[-1]}
        yield _made(name, endpoint, arm, "share", value=1.0 - curve.share[-1], n=count, **ends)
        numbers = dict(zip(("value", "low", "high"), curve.median(), strict=True))
        yield _made(name, endpoint, arm, "median days", n=count, **numbers)
    control = protocol.control
    if control is None:
        return
    none = (cohort.arm == list(protocol.arms).index(control)) & counts
    for arm in protocol.active:
        own = (cohort.arm == list(protocol.arms).index(arm)) & counts
        rows = own | none
        try:
            given = (days[rows], has_relapsed[rows], own[rows].astype(int))
            ratio, p = cox(*given, level=level).hazard_ratio, log_rank(*given).p
        except RunFailedError:
            yield _made(name, endpoint, arm, "hazard ratio", reference=control, value=NAN)
            continue
        numbers = _numbers(ratio, standard="log_standard_error") | {"p": p}
        yield _made(name, endpoint, arm, "hazard ratio", reference=control, n=int(rows.sum()), **numbers)
