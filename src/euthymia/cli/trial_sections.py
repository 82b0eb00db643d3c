"""The sections of a trial's page: what was simulated, flow, courses, individuals, shares, contrasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from euthymia.cli import trial_numbers as numbers
from euthymia.cli.show import significant
from euthymia.cli.trial_numbers import RATIO_MEASURES, Individuals, Summary
from euthymia.files.report import Section, TableBlock
from euthymia.plots import consort, survival, trials, waterfall
from euthymia.plots.arms import ArmStyle, absent, arm_styles, key_html, panels_html
from euthymia.population.settings import find_setting, settings
from euthymia.trials.analysis.survival import kaplan_meier
from euthymia.trials.design import EVENTS, Endpoint, time_text
from euthymia.trials.published import Observed, ObservedEstimate
from euthymia.trials.records import TrialResult

Array = NDArray[np.float64]
DESIGNS = {
    "parallel": "Arms in parallel, allocated at random",
    "crossover": "A crossover: everybody gets each treatment, in sequences allocated at random",
    "withdrawal": "A withdrawal: only who is well at its point is compared from there on",
    "single-arm": "One arm, no control",
}
UNITS = {"median days": "days", "mean": "points", "difference": "points", "paired difference": "points"}
SHARES = ("share", "risk difference")


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A result with the look of its arms, its estimates over replicates, and what is published and open."""

    result: TrialResult
    styles: dict[str, ArmStyle]
    found: tuple[Summary, ...]
    observed: Observed

    @property
    def count(self) -> int:
        """Replicates."""
        return len(self.result.replicates)

    @property
    def level(self) -> str:
        """What intervals over replicates are."""
        if self.count == 1:
            return f"{1.0 - self.result.protocol.alpha:.0%} interval of the one replicate's own analysis"
        return f"90 % interval (5th to 95th percentile) over {self.count} replicates"

    def key(self, names: Sequence[str], *, has_observed: bool = False) -> str:
        """Return the key to some arms."""
        return key_html([self.styles[name] for name in names], has_observed=has_observed)

    def label(self, name: str) -> str:
        """Return what an arm is called."""
        return self.styles[name].label if name in self.styles else name

    def published(
        self, endpoint: str, arm: str, measure: str, reference: str = ""
    ) -> ObservedEstimate | None:
        """Return a published result, where one is open."""
        wanted = (endpoint, arm, measure, reference)
        for one in self.observed.estimates:
            if (one.endpoint, one.arm, one.measure, one.reference) == wanted:
                return one
        return None


def shown(result: TrialResult, observed: Observed | None) -> Shown:
    """Return a result with what is shown of it; where the observed side is closed it is empty."""
    labels = numbers.labels_of(result)
    named = [one.arm for replicate in result.replicates for one in (*replicate.arms, *replicate.estimates)]
    labels |= {name: name for name in named if name and name not in labels}
    beside = observed or Observed()
    return Shown(
        result=result,
        styles=arm_styles(labels),
        found=tuple(numbers.summaries(result)),
        observed=Observed(closed=beside.closed) if beside.closed else beside,
    )


# --- what was simulated ------------------------------------------------------------------------


def summary_section(one: Shown) -> Section:
    """Return what was simulated: the design in words, the arms, the primary result on cards."""
    protocol = one.result.protocol
    crossover = protocol.crossover
    people = f"{protocol.size} virtual patients in each of {_replicates(one.count)}, seed {one.result.seed}"
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
    return "one replicate" if count == 1 else f"{count} replicates"


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
            power = f", p < {one.result.protocol.alpha:g} in {contrast.significant:.0%} of replicates"
        value, spread = sized(contrast.measure, contrast.value), interval_text(contrast)
        found.append((f"{value} {spread}", f"{contrast.measure}, {one.label(contrast.arm)}{against}{power}"))
    return found


def endpoint_words(endpoint: Endpoint) -> str:
    """Return an endpoint with its rule, analysis, imputation and estimand in words."""
    rule = ""
    if endpoint.kind == "response":
        rule = f", a fall of {endpoint.fraction:.0%} or more from baseline"
    return (
        f"{endpoint.text}{rule}; analysis {endpoint.method}, missing ratings: {endpoint.imputation}, "
        f"estimand {endpoint.estimand}"
    )


def sized(measure: str, value: float) -> str:
    """Return an estimate as it is read: shares in per cent, ratios plain, the rest with a sign or unit."""
    if not np.isfinite(value):
        return "–"
    if measure == "share":
        return f"{value:.0%}"
    if measure == "risk difference":
        return f"{100.0 * value:+.0f} points of %"
    if measure in ("difference", "paired difference"):
        return f"{value:+.1f}"
    if measure == "standardised difference":
        return f"{value:+.2f}"
    return f"{value:.1f}" if measure in ("mean", "median days") else significant(value)


def interval_text(one: Summary) -> str:
    """Return the interval of an estimate in brackets, or nothing where there is none."""
    if not (np.isfinite(one.low) and np.isfinite(one.high)):
        return ""
    low, high = sized(one.measure, one.low), sized(one.measure, one.high)
    return f"({low.removesuffix(' points of %')} to {high.removesuffix(' points of %')})"


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
        caption=f"Simulated, {_first(one)}.{_screened(one)}",
    )


def _first(one: Shown) -> str:
    return "the one replicate" if one.count == 1 else f"replicate 0 of {one.count}"


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
        caption=f"Simulated: mean of those rated, with its {one.level}.{beside} Arms stand a little apart so "
        "that their intervals can be told from each other.",
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


# --- individuals -------------------------------------------------------------------------------


def waterfall_section(one: Shown) -> Section:
    """Return the change of each patient of replicate 0, a panel an arm."""
    protocol = one.result.protocol
    scale, at_h, why = numbers.shown_time(protocol)
    arms = numbers.individuals(one.result.first, scale, at_h)
    line = -100.0 * protocol.endpoints[protocol.primary].fraction
    title = f"Each patient, {time_text(at_h)}"
    percents = [arm.percent[np.isfinite(arm.percent)] for arm in arms]
    if not any(len(percent) for percent in percents):
        return Section(title=title, figure=_nobody(f"{scale}: nobody was rated at {time_text(at_h)}."))
    every = np.concatenate([*percents, [0.0, line]])
    lowest = max(-105.0, 25.0 * np.floor(every.min() / 25.0) - 4.0)
    highest = 25.0 * np.ceil(every.max() / 25.0) + 4.0
    panels = [
        _waterfall(one, arm, scale=scale, lowest=lowest, highest=highest, line=line, at_h=at_h)
        for arm in arms
    ]
    return Section(
        title=title,
        texts=[
            f"Change of the {scale} total from baseline at {time_text(at_h)} ({why}), worst first. The "
            f"dashed line is a fall of {-line:.0f} % of what lies above the scale's minimum. "
            + _completion(one)
        ],
        figure=panels_html(panels, narrowest_px=170),
        caption=f"Simulated patients, {_first(one)}. A bar a patient; no bar: no change.",
    )


def _completion(one: Shown) -> str:
    """Return how totals of those who left or missed the visit come in."""
    endpoint = one.result.protocol.endpoints[one.result.protocol.primary]
    if endpoint.at is None:
        return "As rated."
    return f"Totals as the primary endpoint has them ({endpoint.estimand}, {endpoint.imputation})."


def _waterfall(
    one: Shown, arm: Individuals, *, scale: str, lowest: float, highest: float, line: float, at_h: float
) -> tuple[str, str]:
    known = arm.percent[np.isfinite(arm.percent)]
    label = one.label(arm.arm)
    if not len(known):
        return label, absent(f"Nobody was rated with {scale} at {time_text(at_h)}.")
    unrated = len(arm.percent) - len(known)
    head = f"{label}: {int((known <= line).sum())} of {len(known)} at {line:.0f} % or below"
    body = waterfall.waterfall_figure(
        arm.percent, style=one.styles[arm.arm], lowest=lowest, highest=highest, line=line
    )
    return head + (f", {unrated} not rated" if unrated else ""), body


def _nobody(text: str) -> str:
    return panels_html([("", absent(text))])


def exposure_section(one: Shown) -> Section:
    """Return change by what was given per kilogram until then, in replicate 0."""
    scale, at_h, _ = numbers.shown_time(one.result.protocol)
    arms = numbers.individuals(one.result.first, scale, at_h)
    kept = [
        arm
        for arm in arms
        if numbers.is_inactive(arm) or numbers.is_ketamine(one.result.protocol, _treatment(one, arm.arm))
    ]
    left_out = [one.label(arm.arm) for arm in arms if arm not in kept]
    title = "Change by exposure"
    exposures = [arm.given_mg / arm.weight_kg for arm in kept]
    changes = [arm.change for arm in kept]
    given = np.concatenate([*exposures, []])
    change = np.concatenate([*changes, []])
    if not np.any((given > 0) & np.isfinite(change)):
        return Section(title=title, figure=_nobody("Nobody who was given ketamine was rated at that time."))
    steps = waterfall.steps_of(given, change)
    figure = waterfall.exposure_response_figure(
        [
            waterfall.Exposed(style=one.styles[arm.arm], exposure=exposure, change=arm.change)
            for arm, exposure in zip(kept, exposures, strict=True)
        ],
        steps,
        exposure=f"Given until {time_text(at_h)} (mg/kg, base)",
        change=f"{scale} change at {time_text(at_h)} (points)",
    )
    how = "each dose" if len(steps) != 4 or len(np.unique(given[given > 0].round(3))) <= 6 else "each quarter"
    other = f" Not on this axis: {', '.join(left_out)}, another drug." if left_out else ""
    return Section(
        title=title,
        figure=panels_html([("", figure)], key=one.key([arm.arm for arm in kept])),
        caption=f"Simulated patients, {_first(one)}: a mark each; black: median and quartiles of {how} of "
        f"exposure.{other} Patients of the same exposure stand a little apart. Arms differ in more than "
        "exposure where doses follow response.",
    )


def _treatment(one: Shown, name: str) -> str:
    return name if name in one.result.protocol.arms else name.split(" > ", maxsplit=1)[0]


# --- shares ------------------------------------------------------------------------------------


def share_section(one: Shown) -> Section:
    """Return response and remission by arm, a panel an endpoint with its rule."""
    endpoints = {
        name: endpoint
        for name, endpoint in one.result.protocol.endpoints.items()
        if endpoint.kind in ("response", "remission")
    }
    title = "Response and remission"
    if not endpoints:
        text = "This protocol has no endpoint of response or remission."
        return Section(title=title, figure=_nobody(text))
    panels = [_share_panel(one, name, endpoint) for name, endpoint in endpoints.items()]
    has_open = any(one.published(own.endpoint, own.arm, "share") for own in one.found)
    beside = " Open diamonds: published." if has_open else ""
    return Section(
        title=title,
        figure=panels_html(panels, narrowest_px=420),
        caption=f"Simulated: share of patients with its {one.level}.{beside}",
    )


def _share_panel(one: Shown, name: str, endpoint: Endpoint) -> tuple[str, str]:
    own = [
        found
        for found in one.found
        if found.endpoint == name and found.measure == "share" and np.isfinite(found.value)
    ]
    head = _rule(endpoint)
    if not own:
        return head, absent("Nobody was rated.")
    bars = []
    for found in own:
        beside = one.published(name, found.arm, "share")
        bars.append(
            trials.Bar(
                style=one.styles[found.arm],
                share=found.value,
                low=found.low,
                high=found.high,
                observed=beside.value if beside else np.nan,
                observed_low=beside.low if beside else np.nan,
                observed_high=beside.high if beside else np.nan,
                text=f", n {found.n:.3g}",
            )
        )
    return head, trials.share_figure(bars, quantity="Patients (%)")


def _rule(endpoint: Endpoint) -> str:
    """Return the rule of an endpoint as a heading."""
    missing = {"observed": "of those rated", "failure": "missing counts as none"}
    how = missing.get(endpoint.imputation, f"missing: {endpoint.imputation}")
    when = time_text(endpoint.at or 0.0)
    if endpoint.kind == "response":
        return f"Response at {when}: {endpoint.scale} down by {endpoint.fraction:.0%} or more, {how}"
    return f"Remission at {when}: {endpoint.scale} of {endpoint.at_most:g} or less, {how}"


def event_section(one: Shown) -> Section:
    """Return the share of each arm with an adverse event in any session."""
    arms = numbers.event_arms(one.result)
    seen, never = [], []
    for event in EVENTS:
        shares = {arm: numbers.event_shares(one.result, arm, event) for arm in arms}
        is_counted = any(event in counts for r in one.result.replicates for counts in r.events.values())
        if any(share[0] > 0 for share in shares.values()):
            bars = [
                trials.Bar(style=one.styles[arm], share=share[0], low=share[1], high=share[2])
                for arm, share in shares.items()
                if np.isfinite(share[0])
            ]
            seen.append((event, bars))
        elif is_counted:
            never.append(event)
    title = "Adverse events"
    if not seen:
        return Section(
            title=title, figure=_nobody("No adverse event was recorded in any arm and any replicate.")
        )
    none = f" In nobody: {', '.join(never)}." if never else ""
    level = "95 % interval (Wilson) of the one replicate" if one.count == 1 else one.level
    return Section(
        title=title,
        figure=panels_html(
            [("", trials.event_figure(seen, quantity="Patients with it in any session (%)"))],
            key=one.key(arms),
        ),
        caption=f"Simulated: share of those enrolled, with its {level}.{none}",
    )


# --- relapse -----------------------------------------------------------------------------------


def relapse_section(one: Shown) -> Section | None:
    """Return Kaplan-Meier curves of endpoints of relapse with numbers at risk; None where there is none."""
    endpoints = [
        endpoint for endpoint in one.result.protocol.endpoints.values() if endpoint.kind == "relapse"
    ]
    if not endpoints:
        return None
    panels = [_relapse_panel(one, endpoint) for endpoint in endpoints]
    return Section(
        title="Still well",
        figure=panels_html(panels, narrowest_px=480, key=one.key(one.result.first.arms)),
        caption=f"Simulated patients, {_first(one)}: Kaplan-Meier estimate with its 95 % interval (log-log); "
        "below the axis the number still followed without relapse on that day.",
    )


def _relapse_panel(one: Shown, endpoint: Endpoint) -> tuple[str, str]:
    head = f"{endpoint.text}; {endpoint.estimand}"
    arms = []
    for name, (days, has_relapsed) in numbers.followed(one.result.first, endpoint).items():
        if len(days) and days.max() > 0:
            curve = kaplan_meier(days, has_relapsed, level=1.0 - one.result.protocol.alpha)
            times = np.unique([0.0, *curve.times])
            share, low, high = curve.at(times)
            steps = survival.Steps(label=one.label(name), days=times, share=share, low=low, high=high)
            arms.append(survival.AtRisk(style=one.styles[name], steps=steps, at_risk=curve.count_at_risk))
    if not arms:
        return head, absent("Nobody was well and followed from the start of this endpoint on.")
    start = time_text(endpoint.start or 0.0)
    return head, survival.survival_at_risk_figure(arms, start=start)


# --- contrasts ---------------------------------------------------------------------------------


def contrast_section(one: Shown) -> Section:
    """Return how often each size of the primary contrast came out, with what was published marked."""
    protocol = one.result.protocol
    title = f"The primary endpoint over replicates: {protocol.endpoints[protocol.primary].text}"
    contrasts = numbers.primary_contrasts(one.result, one.found)
    if not contrasts:
        return Section(title=title, figure=_nobody("The primary endpoint has no estimate."))
    if one.count == 1:
        text = "One replicate: its estimates are in the table below. Run more with '--replicates'."
        return Section(title=title, figure=_nobody(text))
    panels = [_contrast_panel(one, contrast) for contrast in contrasts]
    is_compared = any(contrast.reference for contrast in contrasts)
    none = "dotted: no effect; " if is_compared else "dotted: 0; "
    has_open = any(_beside(one, contrast) for contrast in contrasts)
    beside = " Black line and diamond: published." if has_open else ""
    return Section(
        title=title,
        figure=panels_html(panels, narrowest_px=330),
        caption=f"Simulated: {one.count} trials of this size. {none}thick: mean over replicates.{beside} The "
        f"share with p < {protocol.alpha:g} is the power, if people and drug are as the model has them.",
    )


def _beside(one: Shown, contrast: Summary) -> ObservedEstimate | None:
    return one.published(contrast.endpoint, contrast.arm, contrast.measure, contrast.reference)


def _contrast_panel(one: Shown, contrast: Summary) -> tuple[str, str]:
    against = f" against {one.label(contrast.reference)}" if contrast.reference else ""
    head = f"{one.label(contrast.arm)}{against}"
    if contrast.count < 2:
        return head, absent(f"An estimate in {contrast.count} of {one.count} replicates only.")
    if contrast.reference and np.isfinite(contrast.significant):
        low, high = numbers.share_interval(contrast.significant * contrast.count, contrast.count)
        head += f": power {contrast.significant:.0%} ({low:.0%} to {high:.0%})"
    if contrast.count < one.count:
        head += f", {one.count - contrast.count} replicates without an estimate"
    beside = _beside(one, contrast)
    is_ratio = contrast.measure in RATIO_MEASURES
    is_share = contrast.measure in SHARES
    factor = 100.0 if is_share else 1.0
    figure = trials.replicate_figure(
        factor * contrast.values,
        style=one.styles[contrast.arm],
        quantity=measure_label(contrast.measure),
        is_ratio=is_ratio,
        observed=None
        if beside is None
        else (factor * beside.value, factor * beside.low, factor * beside.high),
    )
    return head, figure


def measure_label(measure: str) -> str:
    """Return the label of an axis with the unit of a measure."""
    if measure in SHARES:
        return f"{measure.capitalize()} (%)"
    unit = UNITS.get(measure)
    return f"{measure.capitalize()} ({unit})" if unit else measure.capitalize()


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
    text = "One replicate." if one_only else f"Mean over replicates with its {one.level}."
    return Section(title="All estimates", texts=[text], tables=tables)


def _heads(one: Shown) -> tuple[str, ...]:
    protocol = one.result.protocol
    last = "p" if one.count == 1 else f"share with p < {protocol.alpha:g}"
    level = f"{1.0 - protocol.alpha:.0%} interval" if one.count == 1 else "5 to 95 %"
    size = "value" if one.count == 1 else "mean"
    return ("arm", "against", "measure", "method", size, level, last, "n", "published")


def _estimate_row(one: Shown, found: Summary) -> list[str]:
    beside = one.published(found.endpoint, found.arm, found.measure, found.reference)
    p = found.p if one.count == 1 else found.significant
    shown_p = "–" if not np.isfinite(p) else significant(p) if one.count == 1 else f"{p:.0%}"
    value = sized(found.measure, found.value)
    missing = "" if found.count == found.replicates else f" ({found.count} of {found.replicates} replicates)"
    return [
        one.label(found.arm),
        one.label(found.reference) if found.reference else "",
        measure_label(found.measure).lower() if found.measure not in SHARES else found.measure,
        found.method,
        value + missing,
        interval_text(found).strip("()") or "–",
        shown_p,
        f"{found.n:.4g}",
        _published_text(one, found.measure, beside),
    ]


def _published_text(one: Shown, measure: str, beside: ObservedEstimate | None) -> str:
    if beside is None:
        return "closed" if one.observed.closed else "–"
    ends = [end for end in (beside.low, beside.high) if np.isfinite(end)]
    spread = f" ({sized(measure, ends[0])} to {sized(measure, ends[1])})" if len(ends) == 2 else ""
    return sized(measure, beside.value) + spread
