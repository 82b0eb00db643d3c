"""What a trial's page shows, as numbers: sizes over replicates, individuals, the flow of people, relapse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from euthymia.dosing.drug import find_drug
from euthymia.model.scales import find_scale
from euthymia.trials.design import Endpoint, Protocol
from euthymia.trials.endpoints import Stretch, relapse, stretches, values
from euthymia.trials.fields import SAME_TIME_H, time_text
from euthymia.trials.looks import REACHED, STOPPED, Z
from euthymia.trials.records import Cohort, TrialResult

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int64]
NAN = float("nan")
OUTER = (0.05, 0.95)
"""Quantiles over replicates that bound an interval."""
RATIO_MEASURES = ("odds ratio", "hazard ratio", "risk ratio", "relative risk")
CONTRASTS = ("difference", "hazard ratio", "risk difference", "odds ratio", "standardised difference")
"""Measures that a primary contrast may have, the first that is there is shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """One estimate over replicates: mean and 5 to 95 %; with one replicate its own value and interval.

    Of a ratio the median, as a mean is that of the few replicates in which an arm has hardly an event.

    ``significant`` is the share with p < alpha of the ``tested`` replicates that have a p, NaN if none has;
    ``count`` is how many replicates have a value, of ``replicates``.
    """

    endpoint: str
    arm: str
    reference: str
    measure: str
    method: str
    value: float
    low: float
    high: float
    significant: float
    tested: int
    p: float
    n: float
    count: int
    replicates: int
    values: Array


@dataclass(frozen=True, kw_only=True, slots=True)
class CourseOf:
    """An arm at its visits over replicates: (V,) each, NaN where nobody was rated."""

    arm: str
    times_h: Array
    mean: Array
    low: Array
    high: Array


@dataclass(frozen=True, kw_only=True, slots=True)
class Individuals:
    """Patients of one arm in replicate 0, (P,): totals before and at a time, and what each was given.

    In a crossover an arm is a treatment, and everybody who got it is in it.
    """

    arm: str
    baseline: Array
    total: Array
    given_mg: Array
    weight_kg: Array
    minimum_points: float

    @property
    def change(self) -> Array:
        """In points."""
        return self.total - self.baseline

    @property
    def percent(self) -> Array:
        """Change as a share (%) of what lies above the minimum of the scale at baseline."""
        above = self.baseline - self.minimum_points
        return 100.0 * np.divide(
            self.change, above, out=np.full(len(above), np.nan), where=np.isfinite(above) & (above > 0)
        )


def labels_of(result: TrialResult) -> dict[str, str]:
    """Return what each arm is called; sequences of a crossover follow its treatments."""
    named = {name: arm.label or name for name, arm in result.protocol.arms.items()}
    sequences = () if result.protocol.crossover is None else result.first.arms
    return named | {
        one: " > ".join(named.get(part, part) for part in one.split(" > "))
        for one in sequences
        if one not in named
    }


# --- over replicates ---------------------------------------------------------------------------


def interval(sizes: Array, *, is_ratio: bool = False) -> tuple[float, float, float]:
    """Return mean, of ratios median, with 5 % and 95 % of the finite values; NaN where there are none."""
    known = sizes[np.isfinite(sizes)]
    if not len(known):
        return NAN, NAN, NAN
    low, high = np.quantile(known, OUTER)
    return float(np.median(known) if is_ratio else known.mean()), float(low), float(high)


def boundary_text(one: Summary) -> str:
    """Return the boundary of a look in one replicate, which stands in place of an interval; else nothing."""
    is_look = one.replicates == 1 and one.measure.startswith(Z)
    return f"boundary ±{one.high:.2f}" if is_look else ""


def is_share(measure: str) -> bool:
    """Return whether a measure is a share of one, which is read in per cent."""
    return measure in ("share", STOPPED) or measure.startswith(REACHED)


def summaries(result: TrialResult) -> list[Summary]:
    """Return every estimate over replicates, in the order in which they first appear."""
    found: dict[tuple[str, str, str, str], list] = {}
    for replicate in result.replicates:
        for one in replicate.estimates:
            found.setdefault((one.endpoint, one.arm, one.reference, one.measure), []).append(one)
    return [_summary(result, group) for group in found.values()]


def _summary(result: TrialResult, group: list) -> Summary:
    sizes = np.array([one.value for one in group], float)
    p = np.array([one.p for one in group], float)
    known = p[np.isfinite(p)]
    first = group[0]
    value, low, high = interval(sizes, is_ratio=first.measure in RATIO_MEASURES)
    if len(result.replicates) == 1:
        value, low, high = first.value, first.low, first.high
    return Summary(
        endpoint=first.endpoint,
        arm=first.arm,
        reference=first.reference,
        measure=first.measure,
        method=first.method,
        value=value,
        low=low,
        high=high,
        significant=float((known < result.protocol.alpha).mean()) if len(known) else float("nan"),
        tested=len(known),
        p=float(p[0]),
        n=float(np.mean([one.n for one in group])),
        count=int(np.isfinite(sizes).sum()),
        replicates=len(result.replicates),
        values=sizes,
    )


def primary_contrasts(result: TrialResult, found: Sequence[Summary]) -> list[Summary]:
    """Return what the primary endpoint compares, one a compared arm; an arm's own size where none is."""
    mine = [one for one in found if one.endpoint == result.protocol.primary]
    for measure in CONTRASTS:
        chosen = [one for one in mine if one.reference and one.measure == measure]
        if chosen:
            return chosen
    chosen = [one for one in mine if one.reference]
    own = [one for one in mine if not one.reference]
    return chosen or [one for one in own if own and one.measure == own[0].measure]


def share_interval(count: float, of: int) -> tuple[float, float]:
    """Return the 95 % interval (Wilson) of a share."""
    from scipy.stats import binomtest

    if not of:
        return float("nan"), float("nan")
    found = binomtest(round(count), of).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def courses(result: TrialResult, scale: str, *, is_change: bool = False) -> list[CourseOf]:
    """Return the mean of each arm at each visit over replicates, of the total or of its change."""
    found: dict[str, list[tuple[Array, Array, Codes]]] = {}
    for replicate in result.replicates:
        for one in replicate.arms:
            if one.scale == scale:
                means, sds = (one.mean_change, one.sd_change) if is_change else (one.mean, one.sd)
                found.setdefault(one.arm, []).append((means, sds, one.n))
    return [_course(result, arm, parts) for arm, parts in found.items()]


def _course(result: TrialResult, arm: str, parts: list[tuple[Array, Array, Codes]]) -> CourseOf:
    means = np.array([mean for mean, _, _ in parts])
    if len(parts) == 1:
        half = _half_width(parts[0][1], parts[0][2], 1.0 - result.protocol.alpha)
        mean, low, high = means[0], means[0] - half, means[0] + half
    else:
        mean, low, high = np.transpose([interval(means[:, visit]) for visit in range(means.shape[1])])
    return CourseOf(arm=arm, times_h=_times_h(result, len(mean)), mean=mean, low=low, high=high)


def _half_width(sd: Array, n: Codes, level: float) -> Array:
    """Return half the interval of a mean by Student's t; NaN where fewer than two were rated."""
    from scipy.special import stdtrit

    many = n > 1
    half = stdtrit(np.where(many, n - 1, 1), 0.5 + level / 2.0) * sd / np.sqrt(np.where(many, n, 1))
    return np.where(many, half, np.nan)


def _times_h(result: TrialResult, visits: int) -> Array:
    """Return the planned times of so many visits: of the protocol, or of the cohort where it has more."""
    planned = np.array(result.protocol.visits_h)
    return planned if len(planned) == visits else result.first.visits_h


def event_shares(result: TrialResult, arm: str, event: str) -> tuple[float, float, float]:
    """Return the share of an arm's patients with an event in any session, and its interval."""
    of = [one.enrolled.get(arm, 0) for one in result.replicates]
    seen = [one.events.get(arm, {}).get(event, 0) for one in result.replicates]
    if len(of) == 1:
        return (seen[0] / of[0] if of[0] else float("nan"), *share_interval(seen[0], of[0]))
    return interval(np.divide(seen, of, out=np.full(len(of), np.nan), where=np.array(of) > 0))


def event_arms(result: TrialResult) -> list[str]:
    """Return the arms of which events are counted, in the protocol's order."""
    counted = list(dict.fromkeys(arm for one in result.replicates for arm in one.events))
    return sorted(counted, key=lambda arm: [*labels_of(result), *counted].index(arm))


# --- individuals of replicate 0 ----------------------------------------------------------------


def shown_time(protocol: Protocol) -> tuple[str, float, str]:
    """Return the scale and the time at which individuals are shown, and why it is that one."""
    endpoint = protocol.endpoints[protocol.primary]
    if endpoint.at is not None:
        return endpoint.scale, endpoint.at, "the primary endpoint's"
    scale = endpoint.scale if endpoint.kind != "event" else protocol.scales[0]
    rated = [visit.at for visit in protocol.visits if scale in visit.scales]
    return scale, rated[-1], f"the last visit with {scale}, the primary endpoint having no time of its own"


def individuals(cohort: Cohort, scale: str, at_h: float) -> list[Individuals]:
    """Return the patients of each arm who are analysed, with totals at baseline and at a time.

    At the time of the primary endpoint they are as that endpoint completes them, else as rated.
    """
    endpoint = cohort.protocol.endpoints[cohort.protocol.primary]
    parts = [_read(part, endpoint, scale, at_h) for part in stretches(cohort)]
    return [
        _individuals(cohort, name, place, parts, scale) for place, name in enumerate(cohort.protocol.arms)
    ]


def _read(part: Stretch, endpoint: Endpoint, scale: str, at_h: float) -> tuple[Codes, Array, Array, Array]:
    """Return of a stretch: treatment, total before, total at a time, and what was given until then, (P,)."""
    sessions = part.cohort.sessions
    is_before = (sessions.start_h >= part.start_h - SAME_TIME_H) & (sessions.start_h < part.start_h + at_h)
    given_mg = np.where(is_before, np.nan_to_num(sessions.given_mg), 0.0).sum(axis=1)
    if endpoint.at is not None:
        _, totals, before = values(part, endpoint)
        return part.treatment, before, totals[:, -1], given_mg
    return part.treatment, part.baseline(scale), _total(part.cohort, scale, part.start_h + at_h), given_mg


def _individuals(
    cohort: Cohort,
    name: str,
    place: int,
    parts: Sequence[tuple[Codes, Array, Array, Array]],
    scale: str,
) -> Individuals:
    """Return one arm put together from the stretches in which it was given."""
    weight_kg = np.array([one.weight_kg for one in cohort.people], float)
    rows = [(treatment == place) & cohort.is_analysed for treatment, *_ in parts]

    def together(columns: Sequence[Array]) -> Array:
        return np.concatenate([column[own] for column, own in zip(columns, rows, strict=True)])

    return Individuals(
        arm=name,
        baseline=together([before for _, before, _, _ in parts]),
        total=together([total for _, _, total, _ in parts]),
        given_mg=together([given for *_, given in parts]),
        weight_kg=together([weight_kg] * len(parts)),
        minimum_points=find_scale(scale).minimum_points,
    )


def _total(cohort: Cohort, scale: str, time_h: float) -> Array:
    """Return everybody's total as rated at a planned visit; NaN where there is none at that time."""
    place = cohort.visit(time_h)
    if scale not in cohort.scores or abs(cohort.visits_h[place] - time_h) > SAME_TIME_H:
        return np.full(len(cohort.arm), np.nan)
    return cohort.scores[scale][:, place]


def is_ketamine(protocol: Protocol, arm: str) -> bool:
    """Return whether all that is counted in an arm's sessions is a ketamine, so that one axis can bear it."""
    classes = {find_drug(dose.drug).drug_class for dose in protocol.arms[arm].plan.doses(70.0)}
    return "ketamine" in classes and "benzodiazepine" not in classes


def is_inactive(one: Individuals) -> bool:
    """Return whether nobody of an arm was given anything that is counted."""
    return not np.any(one.given_mg > 0)


# --- flow --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmCounts:
    """How many of an arm were allocated, left (reason, count), completed, analysed; ``rated`` in words."""

    name: str
    allocated: int
    left: tuple[tuple[str, int], ...]
    completed: int
    analysed: int
    rated: str


def flow_counts(cohort: Cohort) -> list[ArmCounts]:
    """Return the flow through each arm.

    In a withdrawal only who entered the comparison is counted.
    """
    scale, at_h, _ = shown_time(cohort.protocol)
    counted = cohort.is_analysed if cohort.protocol.withdrawal is not None else np.ones(len(cohort.arm), bool)
    left = cohort.has_left
    reasons = np.array(cohort.reason, dtype=object)
    period = 0.0 if cohort.protocol.crossover is None else cohort.protocol.crossover.period
    rated = _total(cohort, scale, at_h)
    found = []
    for place, name in enumerate(cohort.arms):
        members = (cohort.arm == place) & counted
        why = [str(one) for one in reasons[members & left]]
        words = f"{int(np.isfinite(rated[members]).sum())} rated at {time_text(at_h)}"
        found.append(
            ArmCounts(
                name=name,
                allocated=int(members.sum()),
                left=tuple((reason, why.count(reason)) for reason in dict.fromkeys(sorted(why))),
                completed=int((members & ~left).sum()),
                analysed=int((members & cohort.is_analysed).sum()),
                rated=words + (" of the first period" if period else ""),
            )
        )
    return found


def not_randomised(cohort: Cohort) -> tuple[tuple[str, int], ...]:
    """Return why people of a withdrawal did not enter the comparison, with counts; empty elsewhere."""
    withdrawal = cohort.protocol.withdrawal
    if withdrawal is None:
        return ()
    out = ~cohort.is_analysed
    gone = out & (cohort.left_h <= withdrawal.at)
    when = time_text(withdrawal.at)
    return (
        (f"left before {when}", int(gone.sum())),
        (f"without {withdrawal.rule} at {when}", int((out & ~gone).sum())),
    )


# --- relapse -----------------------------------------------------------------------------------


def followed(cohort: Cohort, endpoint: Endpoint) -> dict[str, tuple[Array, Flags]]:
    """Return by arm the days each patient was followed for relapse, (P,), and who relapsed, as analysed."""
    (part,) = stretches(cohort)
    days, has_relapsed = relapse(part, endpoint)
    found = {}
    for place, name in enumerate(cohort.arms):
        rows = (cohort.arm == place) & cohort.is_analysed
        found[name] = days[rows], has_relapsed[rows]
    return found
