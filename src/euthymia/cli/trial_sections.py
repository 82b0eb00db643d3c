"""Sections of a trial's page: what was simulated, the flow of people, courses, contrasts, estimates."""

from __future__ import annotations

import numpy as np

from euthymia.cli import trial_numbers as numbers
from euthymia.cli.show import significant
from euthymia.cli.trial_numbers import RATIO_MEASURES, Summary
from euthymia.cli.trial_shown import (
    SHARES,
    UNITS,
    Shown,
    endpoint_words,
    interval_text,
    measure_label,
    nobody,
    percent,
    replicate_words,
    sized,
)
from euthymia.files.report import Section, TableBlock
from euthymia.plots import consort, contrasts, trials
from euthymia.plots.arms import absent, panels_html
from euthymia.population.settings import find_setting, settings
from euthymia.trials.published import ObservedEstimate

DESIGNS = {
    "parallel": "Arms in parallel, allocated at random",
    "crossover": "A crossover: everybody gets each treatment, in sequences allocated at random",
    "withdrawal": "A withdrawal: only who is well at its point is compared from there on",
    "single-arm": "One arm, no control",
}
# --- what was simulated ------------------------------------------------------------------------


def summary_section(one: Shown) -> Section:
    """Return what was simulated: the design in words, the arms, the primary result on cards."""
    protocol = one.result.protocol
    crossover = protocol.crossover
    people = f"{protocol.size} virtual patients in {_replicates(one.count)}, seed {one.result.seed}"
    texts = [
        f"{DESIGNS[protocol.design]}; {people}, parameters {one.result.parameters}. Everything on this page "
        "is simulated" + (", except what is marked as published." if _has_open(one) else "."),
        *([one.observed.closed] if one.observed.closed else []),
        *([f"Primary endpoint: {endpoint_words(protocol.endpoints[protocol.primary])}."]),
    ]
    rows = [
        [
            one.label(name) + (" (control)" if arm.is_control else ""),
            str(crossover.n if crossover is not None else arm.n),
            arm.text,
            f"{arm.setting}: {_meaning(arm.setting)}",
        ]
        for name, arm in protocol.arms.items()
    ]
    notes = []
    if crossover is not None:
        sequences = "; ".join(one.label(name) for name in one.result.first.arms)
        notes.append(f"Sequences: {sequences}. A period starts every {_days(crossover.period)}.")
    if protocol.population.already_on:
        notes.append(f"Everybody goes on with {', '.join(protocol.population.already_on)}.")
    table = TableBlock(
        heads=("arm", "patients", "regimen", "setting"), rows=rows, right=(1,), note=" ".join(notes)
    )
    return Section(title="What was simulated", texts=texts, cards=_cards(one), tables=[table])


def _meaning(setting: str) -> str:
    return " ".join(settings()[name]["meaning"] for name in find_setting(setting).name.split("+"))


def _replicates(count: int) -> str:
    return "one replicate" if count == 1 else f"each of {count} replicates"


def _days(time_h: float) -> str:
    return f"{time_h / 24.0:g} days"


def _has_open(one: Shown) -> bool:
    return bool(one.observed.means or one.observed.estimates)


def _cards(one: Shown) -> list[tuple[str, str]]:
    found = []
    for contrast in numbers.primary_contrasts(one.result, one.found)[:4]:
        against = f" against {one.label(contrast.reference)}" if contrast.reference else ""
        power = ""
        if contrast.reference and one.count > 1 and np.isfinite(contrast.significant):
            power = f", p < {one.result.protocol.alpha:g} in {percent(contrast.significant)} of replicates"
        value, spread = sized(contrast.measure, contrast.value), interval_text(contrast)
        found.append((f"{value} {spread}", f"{contrast.measure}, {one.label(contrast.arm)}{against}{power}"))
    return found


# --- flow --------------------------------------------------------------------------------------


def flow_section(one: Shown) -> Section:
    """Return the flow of people through replicate 0 as a diagram; the spread over replicates in words."""
    cohort = one.result.first
    enrolled = len(cohort.number)
    missed = max(cohort.screened - enrolled, 0)
    why = "without the entry rule" if cohort.protocol.population.entry else "not needed"
    arms = [
        consort.ArmFlow(
            style=one.styles[arm.name],
            allocated=arm.allocated,
            left=arm.left,
            completed=arm.completed,
            analysed=arm.analysed,
            rated=arm.rated,
        )
        for arm in numbers.flow_counts(cohort)
    ]
    flow = consort.Flow(
        screened=max(cohort.screened, enrolled),
        enrolled=enrolled,
        not_enrolled=((why, missed),) if missed else (),
        arms=tuple(arms),
        lead_in=numbers.not_randomised(cohort),
        is_randomised=cohort.protocol.design != "single-arm",
    )
    return Section(
        title="Flow of patients",
        figure=consort.consort_figure(flow),
        caption=f"Simulated, {replicate_words(one)}.{_screened(one)}",
    )


def _screened(one: Shown) -> str:
    if one.count == 1:
        return ""
    screened = [replicate.screened for replicate in one.result.replicates]
    done = [sum(replicate.completed.values()) for replicate in one.result.replicates]
    return (
        f" Over all replicates {min(screened)} to {max(screened)} were screened, and {min(done)} to "
        f"{max(done)} of {one.result.protocol.size} completed."
    )


# --- courses -----------------------------------------------------------------------------------


def course_section(one: Shown) -> Section:
    """Return each scale over the visits by arm: the primary one first, with its change from baseline."""
    protocol = one.result.protocol
    primary = numbers.shown_time(protocol)[0]
    scales = sorted(protocol.scales, key=lambda scale: scale != primary)
    panels, names = [], []
    for scale in scales:
        changes = (False, True) if scale == primary or _published(one, scale, is_change=True) else (False,)
        for is_change in changes:
            head, body, arms = _course_panel(one, scale, is_change=is_change)
            panels.append((head, body))
            names += [arm for arm in arms if arm not in names]
    has_open = bool(one.observed.means)
    key = one.key([name for name in one.styles if name in names], has_observed=has_open)
    beside = " Open diamonds: published, with the 95 % interval of the mean." if has_open else ""
    return Section(
        title="Arms over time",
        figure=panels_html(panels, narrowest_px=420, key=key),
        caption=f"Simulated: mean of those rated, with its {one.level}.{beside}"
        + (" Arms stand a little apart to keep their intervals apart." if len(names) > 2 else ""),
    )


def _course_panel(one: Shown, scale: str, *, is_change: bool) -> tuple[str, str, list[str]]:
    head = f"{scale}, change from baseline" if is_change else f"{scale}, total"
    found = [
        course
        for course in numbers.courses(one.result, scale, is_change=is_change)
        if np.isfinite(course.mean).any()
    ]
    if not found:
        return head, absent(f"{scale}: not rated in anybody."), []
    figure = trials.course_figure(
        [
            trials.Course(
                style=one.styles[course.arm],
                times_h=course.times_h,
                mean=course.mean,
                low=course.low,
                high=course.high,
            )
            for course in found
        ],
        _published(one, scale, is_change=is_change),
        quantity=f"{scale} {'change' if is_change else 'total'} (points)",
    )
    return head, figure, [course.arm for course in found]


def _published(one: Shown, scale: str, *, is_change: bool) -> list[trials.Published]:
    found = []
    for name, style in one.styles.items():
        points = [
            mean
            for mean in one.observed.means
            if (mean.arm, mean.scale, mean.is_change) == (name, scale, is_change)
        ]
        if points:
            times_h, value, low, high = np.array(
                [[mean.time_h, mean.value, mean.low, mean.high] for mean in points]
            ).T
            sources = ", ".join(dict.fromkeys(mean.source for mean in points if mean.source))
            found.append(
                trials.Published(
                    style=style, times_h=times_h, value=value, low=low, high=high, source=sources
                )
            )
    return found


# --- contrasts ---------------------------------------------------------------------------------


def contrast_section(one: Shown) -> Section:
    """Return how often each size of the primary contrast came out, with what was published marked."""
    protocol = one.result.protocol
    title = f"The primary endpoint over replicates: {protocol.endpoints[protocol.primary].text}"
    found = numbers.primary_contrasts(one.result, one.found)
    if not found:
        return Section(title=title, figure=nobody("The primary endpoint has no estimate."))
    if one.count == 1:
        text = "One replicate: its estimates are in the table below. Run more with '--replicates'."
        return Section(title=title, figure=nobody(text))
    panels = [_contrast_panel(one, contrast) for contrast in found]
    is_compared = any(contrast.reference for contrast in found)
    none = "Dotted: no effect" if is_compared else "Dotted: 0"
    middle = "geometric mean" if found[0].measure in RATIO_MEASURES else "mean"
    has_open = any(_beside(one, contrast) for contrast in found)
    beside = " Black line and diamond: published." if has_open else ""
    return Section(
        title=title,
        figure=panels_html(panels, narrowest_px=330),
        caption=f"Simulated: {one.count} trials of this size. {none}; thick: {middle} over replicates."
        + beside
        + (
            f" The share with p < {protocol.alpha:g} is the power, if people and drug are as modelled."
            if is_compared
            else ""
        ),
    )


def _beside(one: Shown, contrast: Summary) -> ObservedEstimate | None:
    return one.published(contrast.endpoint, contrast.arm, contrast.measure, contrast.reference)


def _contrast_panel(one: Shown, contrast: Summary) -> tuple[str, str]:
    against = f" against {one.label(contrast.reference)}" if contrast.reference else ""
    head = f"{one.label(contrast.arm)}{against}"
    if contrast.count < 2:
        return head, absent(f"An estimate in {contrast.count} of {one.count} replicates only.")
    if contrast.reference and np.isfinite(contrast.significant):
        low, high = numbers.share_interval(contrast.significant * contrast.tested, contrast.tested)
        head += f": power {percent(contrast.significant)} ({percent(low)} to {percent(high)})"
    if contrast.count < one.count:
        head += f", {one.count - contrast.count} replicates without an estimate"
    beside = _beside(one, contrast)
    is_ratio = contrast.measure in RATIO_MEASURES
    is_share = contrast.measure in SHARES
    factor = 100.0 if is_share else 1.0
    figure = contrasts.replicate_figure(
        factor * contrast.values,
        style=one.styles[contrast.arm],
        quantity=measure_label(contrast.measure),
        is_ratio=is_ratio,
        observed=None
        if beside is None
        else (factor * beside.value, factor * beside.low, factor * beside.high),
    )
    return head, figure


def estimate_section(one: Shown) -> Section:
    """Return every estimate, a table an endpoint."""
    protocol = one.result.protocol
    tables = []
    for name in dict.fromkeys([*protocol.endpoints, *(found.endpoint for found in one.found)]):
        rows = [_estimate_row(one, found) for found in one.found if found.endpoint == name]
        endpoint = protocol.endpoints.get(name)
        words = name if endpoint is None else f"{name}: {endpoint_words(endpoint)}"
        mark = " (primary)" if name == protocol.primary else ""
        if rows:
            tables.append(TableBlock(title=words + mark, heads=_heads(one), rows=rows, right=(4, 5, 6, 7, 8)))
        else:
            tables.append(TableBlock(title=words + mark, heads=("estimate",), rows=[["none"]]))
    one_only = one.count == 1
    text = (
        "One replicate." if one_only else f"Mean over replicates, of ratios the median, with its {one.level}."
    )
    return Section(title="All estimates", texts=[text], tables=tables)


def _heads(one: Shown) -> tuple[str, ...]:
    protocol = one.result.protocol
    last = "p" if one.count == 1 else f"share with p < {protocol.alpha:g}"
    level = f"{percent(1.0 - protocol.alpha)} interval" if one.count == 1 else "5 to 95 %"
    size = "value" if one.count == 1 else "mean or median"
    return ("arm", "against", "measure", "method", size, level, last, "n", "published")


def _estimate_row(one: Shown, found: Summary) -> list[str]:
    beside = one.published(found.endpoint, found.arm, found.measure, found.reference)
    is_tested = found.reference or one.result.protocol.control is None
    p = np.nan if not is_tested else found.p if one.count == 1 else found.significant
    shown_p = "–" if not np.isfinite(p) else significant(p) if one.count == 1 else percent(p)
    value = sized(found.measure, found.value)
    missing = "" if found.count == found.replicates else f" ({found.count} of {found.replicates} replicates)"
    return [
        one.label(found.arm),
        one.label(found.reference) if found.reference else "",
        _measure_text(found.measure),
        found.method,
        value + missing,
        numbers.boundary_text(found) or interval_text(found).strip("()") or "–",
        shown_p,
        f"{found.n:.1f}".removesuffix(".0"),
        _published_text(one, found.measure, beside),
    ]


def _measure_text(measure: str) -> str:
    """Return a measure with its unit, but per cent, which stands beside the value."""
    return measure if measure in SHARES else f"{measure} ({UNITS[measure]})" if measure in UNITS else measure


def _published_text(one: Shown, measure: str, beside: ObservedEstimate | None) -> str:
    if beside is None:
        return "closed" if one.observed.closed else "–"
    ends = [end for end in (beside.low, beside.high) if np.isfinite(end)]
    spread = f" ({sized(measure, ends[0])} to {sized(measure, ends[1])})" if len(ends) == 2 else ""
    return sized(measure, beside.value) + spread
