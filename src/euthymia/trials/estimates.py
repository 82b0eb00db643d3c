"""What a trial concludes: each endpoint analysed in one replicate, as the field does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import RunFailedError
from euthymia.trials.analysis.ancova import ancova
from euthymia.trials.analysis.estimate import estimate
from euthymia.trials.analysis.mmrm import mmrm
from euthymia.trials.analysis.paired import change, crossover
from euthymia.trials.analysis.proportions import Count, share, two_shares
from euthymia.trials.analysis.survival import cox, kaplan_meier, log_rank
from euthymia.trials.design import Endpoint
from euthymia.trials.endpoints import Stretch, has_outcome, is_well, relapse, stretches, values
from euthymia.trials.records import ArmSummary, Codes, Cohort, Estimate, Flags, Replicate

Array = NDArray[np.float64]
NAN = float("nan")
FEWEST = 2
"""Patients below which there is no spread, and no interval of a mean."""


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


def estimates_of(cohort: Cohort, *, endpoint: str | None = None) -> Iterator[Estimate]:
    """Yield every endpoint of a trial, or one of them, as estimated in one replicate.

    An analysis that cannot be made (an arm without anybody, a likelihood without maximum) yields NaN: what is
    yielded, and in what order, depends on the protocol only.
    """
    for name, one in cohort.protocol.endpoints.items():
        if endpoint in (None, name):
            yield from OF_KIND[one.kind](cohort, one, partial(_made, name, one))


def _made(
    name: str,
    endpoint: Endpoint,
    arm: str,
    measure: str,
    *,
    reference: str = "",
    method: str = "",
    n: int = 0,
    **numbers: Any,
) -> Estimate:
    """Return an estimate; numbers that are not given are NaN."""
    found: dict[str, Any] = dict.fromkeys(("value", "se", "low", "high", "p"), NAN)
    found |= {key: float(np.ravel(value)[0]) for key, value in numbers.items()}
    found |= {"endpoint": name, "arm": arm, "reference": reference, "measure": measure, "n": n}
    return Estimate(method=method or endpoint.method, **found)


Make = Callable[..., Estimate]
"""`_made` of one endpoint."""


def _numbers(one: Any, *, error: str = "standard_error", place: Any = ...) -> dict[str, Any]:
    """Return what an analysis gives as an estimate has it."""
    named = {"value": "value", "se": error, "low": "low", "high": "high", "p": "p"}
    return {name: np.asarray(getattr(one, field))[place] for name, field in named.items()}


def _of_values(cohort: Cohort, endpoint: Endpoint, make: Make) -> Iterator[Estimate]:
    """Yield means of arms, and contrasts by the endpoint's method."""
    protocol = cohort.protocol
    parts = [(part, *values(part, endpoint)[1:]) for part in stretches(cohort)]
    outcomes = [
        totals - before[:, None] if endpoint.kind == "change" else totals for _, totals, before in parts
    ]
    for place, arm in enumerate(protocol.arms):
        own = np.concatenate(
            [
                one[(part.treatment == place) & cohort.is_analysed, -1]
                for one, (part, *_) in zip(outcomes, parts, strict=True)
            ]
        )
        known = own[~np.isnan(own)]
        seen: dict[str, Any] = {"n": len(known), "method": "as observed"}
        yield make(arm, "mean", **seen, **_mean(known, 1.0 - protocol.alpha))
        yield make(arm, "SD", **seen, value=_sd(known) if len(known) >= FEWEST else NAN)
    if protocol.control is None:
        return
    if protocol.crossover is not None:
        given = np.stack([part.treatment for part, *_ in parts], axis=1)
        yield from _of_periods(cohort, np.stack([one[:, -1] for one in outcomes], axis=1), given, make)
        return
    ((part, _, before),) = parts
    yield from _contrasts(cohort, endpoint, part, outcomes[0], before, make)


def _mean(known: Array, level: float) -> dict[str, Any]:
    """Return the mean of numbers, one a patient, with its interval where there are two."""
    if len(known) < FEWEST:
        return {"value": known[0] if len(known) else NAN}
    return _numbers(change(known, level=level).mean)


def _contrasts(
    cohort: Cohort, endpoint: Endpoint, part: Stretch, outcome: Array, before: Array, make: Make
) -> Iterator[Estimate]:
    """Yield each arm less the control: ANCOVA or MMRM on baseline and strata, or neither (t)."""
    protocol, arms = cohort.protocol, list(cohort.protocol.arms)
    control = protocol.control or ""
    is_repeated = endpoint.method == "mmrm" and outcome.shape[1] > 1
    used = outcome if is_repeated else outcome[:, -1:]
    rows = cohort.is_analysed & ~np.isnan(before) & ~np.isnan(used).all(axis=1)
    arm, others = part.treatment[rows], [arms.index(one) for one in protocol.active]
    found: dict[int, Any] = {}
    for codes in _compared_together(arm, used[rows], others, arms.index(control), endpoint.method):
        own = np.isin(arm, codes)
        covariates = np.column_stack([before[rows][own], _dummies(cohort.stratum[rows][own])])
        given: dict[str, Any] = {"control": arms.index(control), "level": 1.0 - protocol.alpha}
        try:
            if is_repeated:
                found |= _by_mmrm(used[rows][own], arm[own], covariates, given)
            else:
                adjusted = covariates if endpoint.method in ADJUSTED else None
                found |= _by_ancova(used[rows][own, 0], arm[own], adjusted, given)
        except (RunFailedError, np.linalg.LinAlgError):
            continue
    for code in others:
        count = int(np.isin(arm, (code, arms.index(control))).sum())
        difference, size = found.get(code, ({}, NAN))
        yield make(arms[code], "difference", reference=control, n=count, **difference)
        if not is_repeated:
            yield make(arms[code], "standardised difference", reference=control, n=count, value=size)


ADJUSTED = ("ancova", "mmrm")
"""Methods that adjust for baseline and strata, all arms in one model; others compare arms in pairs."""


def _compared_together(
    arm: Codes, used: Array, others: Sequence[int], control: int, method: str
) -> list[tuple[int, ...]]:
    """Return the arms of each model to be fitted; an arm that nobody of was rated at a visit is left out."""
    rated = [code for code in others if _is_rated(used[arm == code])]
    if not rated or not _is_rated(used[arm == control]):
        return []
    return [(control, *rated)] if method in ADJUSTED else [(control, code) for code in rated]


def _is_rated(values_: Array) -> bool:
    """Tell whether each visit has somebody."""
    return bool((~np.isnan(values_)).any(axis=0).all())


def _by_mmrm(
    outcome: Array, arm: Codes, covariates: Array, given: Mapping[str, Any]
) -> dict[int, tuple[dict[str, Any], float]]:
    """Return the contrast of each arm at the last visit; baseline is the first covariate."""
    found = mmrm(outcome, arm, baseline=covariates[:, 0], strata=covariates[:, 1:], **given)
    numbers = [_numbers(found.contrast, place=(place, -1)) for place in range(len(found.others))]
    return {int(code): (one, NAN) for code, one in zip(found.others, numbers, strict=True)}


def _by_ancova(
    outcome: Array, arm: Codes, covariates: Array | None, given: Mapping[str, Any]
) -> dict[int, tuple[dict[str, Any], float]]:
    """Return the contrast and the standardised difference of each arm."""
    found = ancova(outcome, arm, covariates=covariates, **given)
    return {
        int(code): (_numbers(found.contrast, place=place), float(found.effect_size[place]))
        for place, code in enumerate(found.others)
    }


def _dummies(strata: Codes) -> Array:
    """Return a column for each stratum but the first, (P, strata - 1)."""
    return (strata[:, None] == np.unique(strata)[1:]).astype(float)


def _of_periods(cohort: Cohort, outcomes: Array, given: Codes, make: Make) -> Iterator[Estimate]:
    """Yield treatments compared within patients: freed of the period's effect where the design is 2 x 2.

    Parameters
    ----------
    outcomes, given : array (P, periods)
        What each period brought, and the place of what was given.
    """
    protocol, arms = cohort.protocol, list(cohort.protocol.arms)
    control, level = arms.index(protocol.control or ""), 1.0 - protocol.alpha
    is_two_by_two = len(arms) == 2 and outcomes.shape[1] == 2 and len(cohort.arms) == 2
    for arm in protocol.active:
        place = arms.index(arm)
        differences = _by_treatment(outcomes, given, place) - _by_treatment(outcomes, given, control)
        first = (given[:, 0] == place).astype(int)
        try:
            if is_two_by_two and first.any() and not first.all():
                found = _numbers(crossover(outcomes, first, level=level).treatment)
            elif is_two_by_two:
                found = {}
            else:
                found = _numbers(change(differences, level=level).mean)
        except RunFailedError:
            found = {}
        count = int((~np.isnan(differences)).sum())
        yield make(arm, "difference", reference=arms[control], method="paired", n=count, **found)


def _by_treatment(outcomes: Array, given: Codes, place: int) -> Array:
    """Return the mean of each patient's periods of a treatment, (P,); NaN where one is missing or none is."""
    own = given == place
    with np.errstate(invalid="ignore"):
        return np.where(own, outcomes, 0.0).sum(axis=1) / own.sum(axis=1)


def _of_shares(cohort: Cohort, endpoint: Endpoint, make: Make) -> Iterator[Estimate]:
    """Yield shares of arms, risk differences (p of the pooled z test) and odds ratios."""
    protocol, control = cohort.protocol, cohort.protocol.control
    level = 1.0 - protocol.alpha
    parts = [(part, *has_outcome(part, endpoint)) for part in stretches(cohort)]
    counts = {arm: _counted(cohort, parts, place) for place, arm in enumerate(protocol.arms)}
    for arm, count in counts.items():
        yield make(arm, "share", n=count.total, **_share(count, level))
    if control is None:
        return
    paired: dict[str, Estimate] = {}
    if protocol.crossover is not None:
        outcomes = np.stack([np.where(known, has_it, np.nan) for _, has_it, known in parts], axis=1)
        given = np.stack([part.treatment for part, *_ in parts], axis=1)
        paired = {one.arm: one for one in _of_periods(cohort, outcomes, given, make)}
    for arm in protocol.active:
        pair = counts[arm], counts[control]
        common: dict[str, Any] = {"reference": control, "n": sum(one.total for one in pair)}
        difference, odds = _two_shares(*pair, level)
        if arm in paired:
            yield replace(paired[arm], measure="risk difference")
            odds = {"value": odds.get("value", NAN)}
        else:
            yield make(arm, "risk difference", **common, **difference)
        yield make(arm, "odds ratio", **common, **odds)


def _counted(cohort: Cohort, parts: Sequence[tuple[Stretch, Flags, Flags]], place: int) -> Count:
    """Return who has it, of how many of whom that is known, of one arm."""
    rows = [(part.treatment == place) & cohort.is_analysed & known for part, _, known in parts]
    events = sum(int((has_it & own).sum()) for own, (_, has_it, _) in zip(rows, parts, strict=True))
    return Count(events, sum(int(own.sum()) for own in rows))


def _share(count: Count, level: float) -> dict[str, float]:
    if not count.total:
        return {}
    one = share(*count, level=level)
    return {"value": one.value, "low": one.low, "high": one.high}


def _two_shares(arm: Count, control: Count, level: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return risk difference and odds ratio; the p of the first is of the z test that pools both arms."""
    if not arm.total or not control.total:
        return {}, {}
    two = two_shares(arm, control, level=level)
    gap, pooled = two.difference, (arm.events + control.events) / (arm.total + control.total)
    error = np.sqrt(pooled * (1.0 - pooled) * (1.0 / arm.total + 1.0 / control.total))
    difference = {
        "value": gap.value,
        "se": two.difference_wald.standard_error,
        "low": gap.low,
        "high": gap.high,
        "p": estimate(gap.value, error, level=level).p,
    }
    return difference, _numbers(two.odds_ratio, error="log_standard_error")


def _of_relapse(cohort: Cohort, endpoint: Endpoint, make: Make) -> Iterator[Estimate]:
    """Yield shares relapsed by the end (Kaplan-Meier), medians, and hazard ratios with the log-rank p.

    Of a crossover each treatment over its periods, and no ratio: patients are in both.
    """
    protocol = cohort.protocol
    level, arms = 1.0 - protocol.alpha, list(protocol.arms)
    parts = [(part, *relapse(part, endpoint)) for part in stretches(cohort)]
    rows = np.concatenate([cohort.is_analysed & is_well(part, endpoint) for part, *_ in parts])
    arm = np.concatenate([part.treatment for part, *_ in parts])[rows]
    days = np.concatenate([each for _, each, _ in parts])[rows]
    has_relapsed = np.concatenate([each for *_, each in parts])[rows]
    for place, name in enumerate(arms):
        own = arm == place
        of_end, median = _followed(days[own], has_relapsed[own], level)
        yield make(name, "share", n=int(own.sum()), **of_end)
        yield make(name, "median days", n=int(own.sum()), **median)
    if protocol.control is None:
        return
    for name in protocol.active:
        pair = np.isin(arm, (arms.index(name), arms.index(protocol.control)))
        is_own = (arm[pair] == arms.index(name)).astype(int)
        found = _hazards(days[pair], has_relapsed[pair], is_own, level) if protocol.crossover is None else {}
        yield make(name, "hazard ratio", reference=protocol.control, n=int(pair.sum()), **found)


def _followed(days: Array, has_relapsed: Flags, level: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the share relapsed by the end of follow-up and the median, where anybody is followed."""
    if not len(days):
        return {}, {}
    curve = kaplan_meier(days, has_relapsed, level=level)
    of_end = {"value": 1.0 - curve.share[-1]}
    if has_relapsed.any():  # else nothing is known of the spread
        of_end |= {"low": 1.0 - curve.high[-1], "high": 1.0 - curve.low[-1]}
    return of_end, dict(zip(("value", "low", "high"), curve.median(), strict=True))


def _hazards(days: Array, has_relapsed: Flags, is_own: Codes, level: float) -> dict[str, Any]:
    """Return the hazard ratio of two arms; where one has no relapse the p of the log-rank test alone."""
    if len(np.unique(is_own)) < 2:
        return {}
    found: dict[str, Any] = {}
    with suppress(RunFailedError):
        found["p"] = log_rank(days, has_relapsed, is_own).p
    with suppress(RunFailedError):
        ratio = cox(days, has_relapsed, is_own, level=level).hazard_ratio
        found = _numbers(ratio, error="log_standard_error") | found
    return found


OF_KIND: dict[str, Callable[[Cohort, Endpoint, Make], Iterator[Estimate]]] = {
    "change": _of_values,
    "score": _of_values,
    "response": _of_shares,
    "remission": _of_shares,
    "event": _of_shares,
    "relapse": _of_relapse,
}
"""What estimates each kind of endpoint."""
