"""Outcomes on a trial's page: each patient, response and remission, relapse, adverse events, exposure."""

from __future__ import annotations

import numpy as np

from euthymia.cli import trial_numbers as numbers
from euthymia.cli.trial_numbers import Individuals
from euthymia.cli.trial_shown import Shown, nobody, percent, replicate_words
from euthymia.files.report import Section
from euthymia.plots import survival, trials, waterfall
from euthymia.plots.arms import absent, panels_html
from euthymia.trials.analysis.survival import kaplan_meier
from euthymia.trials.design import Endpoint
from euthymia.trials.fields import EVENTS, time_text


def waterfall_section(one: Shown) -> Section:
    """Return the change of each patient of replicate 0, a panel an arm."""
    protocol = one.result.protocol
    scale, at_h, why = numbers.shown_time(protocol)
    arms = numbers.individuals(one.result.first, scale, at_h)
    line = -100.0 * protocol.endpoints[protocol.primary].fraction
    title = f"Each patient, {time_text(at_h)}"
    percents = [arm.percent[np.isfinite(arm.percent)] for arm in arms]
    if not any(len(percent) for percent in percents):
        return Section(title=title, figure=nobody(f"{scale}: nobody was rated at {time_text(at_h)}."))
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
        caption=f"Simulated patients, {replicate_words(one)}. A bar a patient; no bar: no change.",
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


def exposure_section(one: Shown) -> Section:
    """Return change by what was given per kilogram until then, in replicate 0."""
    scale, at_h, _ = numbers.shown_time(one.result.protocol)
    arms = numbers.individuals(one.result.first, scale, at_h)
    kept = [
        arm for arm in arms if numbers.is_inactive(arm) or numbers.is_ketamine(one.result.protocol, arm.arm)
    ]
    left_out = [one.label(arm.arm) for arm in arms if arm not in kept]
    title = "Change by exposure"
    exposures = [arm.given_mg / arm.weight_kg for arm in kept]
    changes = [arm.change for arm in kept]
    given = np.concatenate([*exposures, []])
    change = np.concatenate([*changes, []])
    if not np.any((given > 0) & np.isfinite(change)):
        return Section(title=title, figure=nobody("Nobody who was given ketamine was rated at that time."))
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
    is_few = len(np.unique(given[given > 0].round(3))) <= waterfall.MOST_DOSES
    how = "at each exposure" if is_few else "in each quarter of exposure"
    other = f" Not on this axis: {', '.join(left_out)}, another drug." if left_out else ""
    return Section(
        title=title,
        figure=panels_html([("", figure)], key=one.key([arm.arm for arm in kept])),
        caption=f"Simulated patients, {replicate_words(one)}: a mark each; black: median and quartiles {how}."
        f"{other} Patients of the same exposure stand a little apart. Arms differ in more than "
        "exposure where doses follow response.",
    )


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
        return Section(title=title, figure=nobody(text))
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
                text=f", n {found.n:.1f}".removesuffix(".0"),
            )
        )
    known = {one_bar.style.label for one_bar in bars}
    missing = [label for name_ in one.result.protocol.arms if (label := one.label(name_)) not in known]
    head += f"; not rated: {', '.join(missing)}" if missing else ""
    return head, trials.share_figure(bars, quantity="Patients (%)")


def _rule(endpoint: Endpoint) -> str:
    """Return the rule of an endpoint as a heading."""
    missing = {"observed": "of those rated", "failure": "missing counts as none"}
    how = missing.get(endpoint.imputation, f"missing: {endpoint.imputation}")
    when = time_text(endpoint.at or 0.0)
    if endpoint.kind == "response":
        return f"Response at {when}: {endpoint.scale} down by {percent(endpoint.fraction)} or more, {how}"
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
            title=title, figure=nobody("No adverse event was recorded in any arm and any replicate.")
        )
    by = ", by sequence" if one.result.protocol.crossover is not None else ""
    none = f" In nobody: {', '.join(never)}." if never else ""
    level = "95 % interval (Wilson) of the one replicate" if one.count == 1 else one.level
    return Section(
        title=title,
        figure=panels_html(
            [("", trials.event_figure(seen, quantity="Patients with it in any session (%)"))],
            key=one.key(arms),
        ),
        caption=f"Simulated: share of those enrolled{by}, with its {level}.{none}",
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
        caption=f"Simulated patients, {replicate_words(one)}: Kaplan-Meier estimate with its "
        f"{percent(1.0 - one.result.protocol.alpha)} interval (log-log), drawn for three arms or "
        "fewer; below the axis the number still followed without relapse on that day.",
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
